//! A URL's query: decoded once on the way in, encoded once on the way out.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::invalid::InvalidRequest;

/// Everything but the unreserved characters, the comma and the colon is encoded.
///
/// `/` and `$` above all: Medplum looks for `/$name` in the whole URL of a request that it answers with 404, and runs
/// a bot that is bound to that name. As `%2F` and `%24` they mean the same and are not found.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',').remove(b':');

/// The parameters of a URL or of a form, decoded, in their order. A key may repeat: in a FHIR search that means AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// A query without parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a query as it stands behind the `?` of a URL. `+` is a space there, but in front of a time's offset, where
    /// a space would mean nothing: `10:00:00+01:00`.
    ///
    /// # Errors
    /// [`InvalidRequest::Query`] for a percent sign without two hexadecimal digits, for text that is not UTF-8, and
    /// for control characters.
    pub fn parse(raw: &str) -> Result<Self, InvalidRequest> {
        let mut query = Self::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.try_push(decode(key)?, decode(value)?)?;
        }
        Ok(query)
    }

    /// Adds a parameter behind the others.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into(), value.into()));
    }

    /// The same for what somebody else wrote: it may hold no control character, of which none belongs into a search, and
    /// the first of which, NUL, no database takes.
    ///
    /// # Errors
    /// [`InvalidRequest::Query`] for a name or a value with one.
    pub fn try_push(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<(), InvalidRequest> {
        let (key, value) = (key.into(), value.into());
        if key.chars().chain(value.chars()).any(char::is_control) {
            return Err(InvalidRequest::Query("it holds a control character"));
        }
        self.push(key, value);
        Ok(())
    }

    /// This query with one more parameter.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.push(key, value);
        self
    }

    /// This query without a parameter, wherever it stands.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.0.retain(|(own, _)| own != key);
        self
    }

    /// The parameters in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The query as it is sent, without the `?`.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        for (key, value) in self.iter() {
            if !out.is_empty() {
                out.push('&');
            }
            out.extend(utf8_percent_encode(key, ENCODED));
            out.push('=');
            out.extend(utf8_percent_encode(value, ENCODED));
        }
        out
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Query {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Query {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(k, v)| (k.into(), v.into())));
    }
}

fn decode(text: &str) -> Result<String, InvalidRequest> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        let values: Vec<Cow<'_, str>> = text.split(',').map(spaced).collect();
        Cow::Owned(values.join(","))
    } else {
        Cow::Borrowed(text)
    };
    if !percent_signs_are_whole(&spaced) {
        return Err(InvalidRequest::Query(
            "a % is not followed by two hexadecimal digits; a percent sign itself is %25",
        ));
    }
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| InvalidRequest::Query("a percent-encoded part is not UTF-8"))?;
    Ok(decoded.into_owned())
}

/// One value with its spaces.
fn spaced(value: &str) -> Cow<'_, str> {
    match value.rsplit_once('+') {
        Some((time, offset)) if is_clock(offset) && ends_in_a_clock(time) => value.into(),
        Some(_) => value.replace('+', " ").into(),
        None => value.into(),
    }
}

/// `01:00`
fn is_clock(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, b':', c, d] if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()))
}

/// `2025-01-01T10:00`, and whatever is behind the minutes.
fn ends_in_a_clock(text: &str) -> bool {
    let time =
        text.rsplit_once('T').and_then(|(date, time)| date.ends_with(|c: char| c.is_ascii_digit()).then_some(time));
    time.and_then(|time| time.get(..5)).is_some_and(is_clock)
}

/// Whether each `%` is followed by two hexadecimal digits.
pub(crate) fn percent_signs_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes().take(2);
        let both = (digits.next(), digits.next());
        matches!(both, (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_meaning_and_hide_slash_and_dollar() {
        let query = Query::parse("name=Zo%C3%AB&url=http://loinc.org/vs&x=/$my-op&family=van+Gogh").unwrap();
        assert_eq!(query.get("name"), Some("Zoë"));
        assert_eq!(query.get("url"), Some("http://loinc.org/vs"));
        assert_eq!(query.get("family"), Some("van Gogh"));
        assert_eq!(query.encode(), "name=Zo%C3%AB&url=http:%2F%2Floinc.org%2Fvs&x=%2F%24my-op&family=van%20Gogh");
        assert_eq!(Query::parse(&query.encode()).unwrap(), query);
    }

    #[test]
    fn a_plus_in_front_of_an_offset_is_one() {
        for (raw, value) in [
            ("ge2025-01-01T10:00:00+01:00", "ge2025-01-01T10:00:00+01:00"),
            (
                "2025-01-01T10:00+01:00,2025-01-01T10:00:00.5+01:00",
                "2025-01-01T10:00+01:00,2025-01-01T10:00:00.5+01:00",
            ),
            ("2025-01-01T10:00:00%2B01:00", "2025-01-01T10:00:00+01:00"),
            ("van+Gogh", "van Gogh"),
            ("at+10:00", "at 10:00"),
            ("T+10:00", "T 10:00"),
        ] {
            assert_eq!(Query::parse(&format!("_since={raw}")).unwrap().get("_since"), Some(value), "{raw}");
        }
    }

    #[test]
    fn broken_encodings_are_refused() {
        for bad in ["name=%", "name=%4", "name=%zz", "na%me=1", "name=%ff", "name=%00", "name=a%0d%0ab"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
        let mut query = Query::new();
        assert!(query.try_push("name", "a\u{0}b").is_err() && query.try_push("na\nme", "a").is_err());
        assert!(query.try_push("name", "Zo\u{eb} O'Brien").is_ok() && query.len() == 1);
    }
}
