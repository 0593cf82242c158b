//! Dates as a search compares them: each is one instant, a day the midnight that it begins with.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Milliseconds since 1970 of a FHIR date, dateTime or instant. A year or a month is its first day.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    if whole.len() == 10 {
        let date: Date = whole.parse().ok()?;
        return Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    }
    whole.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Whether a text has the form of a FHIR date or dateTime; a time may lack its zone.
pub(crate) fn is_date_time(text: &str) -> bool {
    millis(text).is_some() || with_zone(text).is_some()
}

/// A date and time without a zone, taken as UTC.
pub(crate) fn with_zone(text: &str) -> Option<i64> {
    let bare: jiff::civil::DateTime = text.parse().ok()?;
    Some(bare.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_midnight() {
        assert_eq!(millis("1970-01-02"), Some(86_400_000));
        assert_eq!(millis("1970-01-02T00:00:00Z"), Some(86_400_000));
        assert_eq!(millis("1970"), Some(0));
        assert_eq!(millis("1970-02"), Some(31 * 86_400_000));
        assert_eq!(millis("1970-01-01T01:00:00.5+01:00"), Some(500));
        assert_eq!(millis("notadate"), None);
        assert_eq!(millis(""), None);
        assert!(is_date_time("2025-03-03T10:00"));
        assert!(!is_date_time("notadate"));
    }
}
