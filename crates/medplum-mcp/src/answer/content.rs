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
    if is_text(content_type) { std::str::from_utf8(content).ok().map(str::to_owned) } else { None }
}

/// Whether a media type is one of text.
fn is_text(content_type: &str) -> bool {
    const TEXTS: &[&str] = &[
        "application/json",
        "application/xml",
        "application/ndjson",
        "application/x-ndjson",
        "application/csv",
        "application/hl7-v2",
        "x-application/hl7-v2+er7",
        "application/javascript",
        "application/x-www-form-urlencoded",
    ];
    let media_type = media_type(content_type).to_ascii_lowercase();
    media_type.starts_with("text/")
        || ["+json", "+xml", "+ndjson"].iter().any(|suffix| media_type.ends_with(suffix))
        || TEXTS.contains(&media_type.as_str())
}

/// The bytes as base64.
pub fn base64(content: &[u8]) -> String {
    STANDARD.encode(content)
}
