//! A path that somebody else wrote, taken apart so that nothing in it can mean two things.

use percent_encoding::percent_decode_str;

use crate::invalid::InvalidRequest;
use crate::query::{Query, percent_signs_are_whole};

/// A relative path in its segments, each decoded once, and its query.
///
/// A segment holds only letters, digits and `-._$~`: no path of Medplum needs more, and with these alone decoding and
/// encoding cannot disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelativePath {
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
}

impl RelativePath {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidRequest> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        refuse_absolute(path)?;
        let mut segments = Vec::new();
        for segment in path.split('/') {
            segments.push(decode_segment(segment)?);
        }
        Ok(Self { segments, query: Query::parse(query)? })
    }
}

fn refuse_absolute(path: &str) -> Result<(), InvalidRequest> {
    let reason = if path.is_empty() {
        "it is empty"
    } else if path.starts_with('/') {
        "it starts with //, which names another host"
    } else if path.contains("://") || path.contains(':') {
        "it is an absolute URL or holds a colon; give the part behind the server's address"
    } else if path.contains('@') {
        "it holds an @"
    } else if path.contains('#') {
        "it has a fragment (#)"
    } else if path.contains('\\') {
        "it holds a backslash"
    } else {
        return Ok(());
    };
    Err(InvalidRequest::Path(reason))
}

fn decode_segment(segment: &str) -> Result<String, InvalidRequest> {
    if !percent_signs_are_whole(segment) {
        return Err(InvalidRequest::Path("a % is not followed by two hexadecimal digits"));
    }
    let decoded = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| InvalidRequest::Path("a percent-encoded part is not UTF-8"))?;
    let reason = match decoded.as_ref() {
        "" => "a segment is empty (two slashes in a row, or one at the end)",
        "." | ".." => "a segment is . or .., which leads elsewhere",
        text if text.contains(['/', '\\']) => "it hides a slash or backslash in an encoding",
        text if text.chars().any(char::is_control) => "it holds a control character",
        text if !text.bytes().all(is_plain) => "a segment may hold letters, digits and - . _ $ ~ only",
        text => return Ok(text.to_owned()),
    };
    Err(InvalidRequest::Path(reason))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._$~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_and_decoded_once() {
        let path = RelativePath::parse("/fhir/R4/Bot/1b/%24execute?x=%2Fa").unwrap();
        assert_eq!(path.segments, ["fhir", "R4", "Bot", "1b", "$execute"]);
        assert_eq!(path.query.get("x"), Some("/a"));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let bad = [
            "",
            "/",
            "//",
            "//evil.example/x",
            "https://evil.example/fhir",
            "HTTPS:evil",
            "javascript:alert(1)",
            "fhir//R4",
            "fhir/R4/",
            "fhir/R4/Patient/",
            "fhir/R4/./Patient",
            "fhir/R4/../admin",
            "..",
            ".",
            "fhir/%2e%2e/admin",
            "fhir/%2E/x",
            "fhir%2FR4",
            "fhir%5cR4",
            "fhir\\R4",
            "fhir/R4/Patient#x",
            "user@host/x",
            "fhir/R4/%00",
            "fhir/R4/a%0ab",
            "fhir/R4/%zz",
            "fhir/R4/%",
            "fhir/R4/%252e%252e",
            "fhir/R4/Pati ent",
            "fhir/R4/Patiënt",
            "fhir/R4/%ff",
            " fhir/R4/Patient",
            "fhir/R4/Patient;a=b",
        ];
        for path in bad {
            assert!(RelativePath::parse(path).is_err(), "{path:?} was taken");
        }
    }
}
