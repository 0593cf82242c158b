//! Content that is not JSON: text where it is text, base64 where it is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The media type alone, without its parameters, and with nothing in it that could be taken for our own words.
pub fn media_type(content_type: &str) -> String {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.chars().filter(|c| c.is_ascii_graphic()).take(100).collect()
}

/// Text, if the media type says so and the bytes are.
pub fn text(content_type: &str, content: &[u8]) -> Option<String> {
    let media_type = media_type(content_type).to_ascii_lowercase();
    let textual = media_type.starts_with("text/")
        || media_type.ends_with("+xml")
        || [
            "application/xml",
            "application/x-ndjson",
            "application/hl7-v2",
            "x-application/hl7-v2+er7",
            "application/javascript",
        ]
        .contains(&media_type.as_str());
    if textual { std::str::from_utf8(content).ok().map(str::to_owned) } else { None }
}

/// The bytes as base64.
pub fn base64(content: &[u8]) -> String {
    STANDARD.encode(content)
}
