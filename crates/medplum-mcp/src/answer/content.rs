//! Content that is not JSON: text where it is text, base64 where it is not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The media type alone, without its parameters, and with nothing in it that could be taken for our own words.
pub fn media_type(content_type: &str) -> String {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.chars().filter(|c| c.is_ascii_graphic()).take(100).collect()
}

/// Text, if the media type says so and the bytes are: UTF-8, with its mark or without, or what the media type names of the
/// older Western charsets.
pub fn text(content_type: &str, content: &[u8]) -> Option<String> {
    if !is_text(content_type) {
        return None;
    }
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    match std::str::from_utf8(content) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => is_western(content_type).then(|| content.iter().map(|byte| western(*byte)).collect()),
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a media type names a charset that is read as windows-1252 (<https://encoding.spec.whatwg.org/#names-and-labels>).
fn is_western(content_type: &str) -> bool {
    const NAMES: &[&str] = &["iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252", "us-ascii"];
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charset.is_some_and(|(_, charset)| NAMES.contains(&charset.trim().trim_matches('"').to_ascii_lowercase().as_str()))
}

fn western(byte: u8) -> char {
    const FROM_0X80: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    let place = usize::from(byte).checked_sub(0x80);
    place.and_then(|place| FROM_0X80.chars().nth(place)).unwrap_or(char::from(byte))
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

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_text_is_read_by_its_charset() {
        let western: &[u8] = b"Zo\xeb \x80 \x92";
        for charset in ["iso-8859-1", "ISO-8859-1", "\"windows-1252\"", "latin1"] {
            let kind = format!("text/plain; charset={charset}");
            assert_eq!(text(&kind, western).as_deref(), Some("Zo\u{eb} \u{20ac} \u{2019}"), "{kind}");
        }
        assert_eq!(text("text/plain", western), None, "nobody says what it is");
        assert_eq!(text("image/png; charset=latin1", b"a"), None);
        assert_eq!(text("text/plain; charset=latin1", "Zo\u{eb}".as_bytes()).as_deref(), Some("Zo\u{eb}"));
        assert_eq!(text("text/csv", b"\xef\xbb\xbfa,b").as_deref(), Some("a,b"));
    }
}
