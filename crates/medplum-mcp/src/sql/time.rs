//! A recorded date or time as one that can be ordered and compared.

use jiff::Timestamp;

/// The same moment in UTC, `2024-01-15T06:30:00`; a date without a time stays a date, filled up to its first day.
///
/// There is no `Z` at the end, so that times with and without fractions of a second are in order as text, and so that
/// SQLite's own date functions take them.
pub(crate) fn utc(recorded: &str) -> Option<String> {
    if recorded.contains('T') {
        let moment: Timestamp = recorded.parse().ok()?;
        let mut text = moment.to_string();
        text.truncate(text.trim_end_matches('Z').len());
        return Some(text);
    }
    let day = match recorded.len() {
        4 => format!("{recorded}-01-01"),
        7 => format!("{recorded}-01"),
        10 => recorded.to_owned(),
        _ => return None,
    };
    day.parse::<jiff::civil::Date>().is_ok().then_some(day)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn moments_are_in_order_as_text() {
        let recorded = [
            ("2015", "2015-01-01"),
            ("2015-03", "2015-03-01"),
            ("2015-03-01", "2015-03-01"),
            ("2015-03-01T00:00:00+02:00", "2015-02-28T22:00:00"),
            ("2015-03-01T08:30:00Z", "2015-03-01T08:30:00"),
            ("2015-03-01T08:30:00.500Z", "2015-03-01T08:30:00.5"),
            ("2015-03-01T08:30:01-05:00", "2015-03-01T13:30:01"),
        ];
        for (text, expected) in recorded {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
        for broken in ["", "yesterday", "20150301", "2015-13", "2015-03-01T25:00:00Z", "2015-03-01T08:30:00"] {
            assert_eq!(utc(broken), None, "{broken}");
        }
    }
}
