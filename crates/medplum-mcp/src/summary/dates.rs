//! Dates as records have them: a year, a month, a day, or a moment.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::text::string;

/// A FHIR date or dateTime (<https://hl7.org/fhir/R4/datatypes.html#dateTime>) as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded<'t> {
    /// The date, without the time of day.
    pub(super) date: &'t str,
    /// The first day that it can be.
    first: Date,
    /// The last one.
    last: Date,
    /// For ordering: the moment, or the beginning of the day, month or year.
    pub(super) moment: Timestamp,
}

impl<'t> Recorded<'t> {
    /// Reads it; none if it is no date.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let date = text.get(..10).unwrap_or(text);
        let (first, last) = match date.len() {
            4 => (format!("{date}-01-01").parse().ok()?, format!("{date}-12-31").parse().ok()?),
            7 => {
                let first: Date = format!("{date}-01").parse().ok()?;
                (first, first.last_of_month())
            }
            10 => (date.parse().ok()?, date.parse().ok()?),
            _ => return None,
        };
        let moment = text.parse().ok().or_else(|| begin(text.parse().ok()?)).or_else(|| begin(first.into()))?;
        Some(Self { date, first, last, moment })
    }

    /// Whether it is a day, not a month or a year.
    fn is_day(&self) -> bool {
        self.first == self.last
    }
}

/// A time without a zone counts as UTC.
fn begin(time: DateTime) -> Option<Timestamp> {
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The first of these elements that holds a date; of a Period, its start, or its end if there is no other.
pub(super) fn first<'v>(resource: &'v Value, elements: &[&str]) -> Option<Recorded<'v>> {
    elements.iter().find_map(|element| {
        let value = resource.get(element)?;
        let texts = [value.as_str(), string(value, "/start"), string(value, "/end"), string(value, "/event/0")];
        texts.into_iter().flatten().find_map(Recorded::parse)
    })
}

/// The age on a day: in years; in months and days of the youngest; a span where the date of birth is not whole.
pub(super) fn age(born: &Recorded<'_>, on: &Recorded<'_>) -> Option<Value> {
    let (least, most) = (years(born.last, on.first), years(born.first, on.last)?);
    let least = least.unwrap_or(0);
    if least != most {
        return Some(Value::from(format!("{least}-{most}")));
    }
    if most >= 2 || !born.is_day() || !on.is_day() {
        return Some(Value::from(most));
    }
    let months = months(born.first, on.first);
    let days = born.first.duration_until(on.first).as_hours() / 24;
    Some(Value::from(match months {
        0 if days == 1 => "1 day".to_owned(),
        0 => format!("{days} days"),
        1 => "1 month".to_owned(),
        _ => format!("{months} months"),
    }))
}

/// Whole years from one day to another: born on the 29th of February, a year is over on the 1st of March.
fn years(from: Date, to: Date) -> Option<i16> {
    let reached = (to.month(), to.day()) >= (from.month(), from.day());
    let years = to.year().checked_sub(from.year())?.checked_sub(i16::from(!reached))?;
    (years >= 0).then_some(years)
}

fn months(from: Date, to: Date) -> i16 {
    let years = to.year().saturating_sub(from.year()).saturating_mul(12);
    let months = i16::from(to.month()).saturating_sub(i16::from(from.month()));
    years.saturating_add(months).saturating_sub(i16::from(to.day() < from.day()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn age_on(born: &str, on: &str) -> Value {
        age(&Recorded::parse(born).unwrap(), &Recorded::parse(on).unwrap()).unwrap_or_default()
    }

    #[test]
    fn a_birthday_counts_from_its_day_on() {
        assert_eq!(age_on("1961-02-03", "2026-02-02"), 64);
        assert_eq!(age_on("1961-02-03", "2026-02-03"), 65);
        assert_eq!(age_on("1961-02-03", "2026-02-03T00:00:00Z"), 65);
    }

    #[test]
    fn leap_days() {
        assert_eq!(age_on("2000-02-29", "2018-02-28"), 17);
        assert_eq!(age_on("2000-02-29", "2018-03-01"), 18);
        assert_eq!(age_on("2000-02-29", "2020-02-29"), 20);
        assert_eq!(age_on("2000-02-29", "2020-02-28"), 19);
        assert_eq!(age_on("2000-03-01", "2020-02-29"), 19);
    }

    #[test]
    fn the_youngest() {
        assert_eq!(age_on("2026-01-05", "2026-01-05"), "0 days");
        assert_eq!(age_on("2026-01-05", "2026-02-04"), "30 days");
        assert_eq!(age_on("2026-01-05", "2026-02-05"), "1 month");
        assert_eq!(age_on("2024-01-06", "2026-01-05"), "23 months");
        assert_eq!(age_on("2024-01-05", "2026-01-05"), 2);
    }

    #[test]
    fn a_date_of_birth_that_is_not_whole() {
        assert_eq!(age_on("1961", "2026-06-01"), "64-65");
        assert_eq!(age_on("1961", "2026-12-31"), 65);
        assert_eq!(age_on("1961-06", "2026-06-15"), "64-65");
        assert_eq!(age_on("1961-06", "2026-07-01"), 65);
        assert_eq!(age_on("2026", "2026-06-01"), 0);
        assert_eq!(age_on("1940-05-05", "1999"), "58-59");
    }

    #[test]
    fn what_is_no_age() {
        assert_eq!(age_on("2027-01-01", "2026-01-01"), Value::Null);
        for bad in ["", "soon", "2026-02-30", "2026-1-1", "20260101", "é2026-01-0"] {
            assert_eq!(Recorded::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn order_and_date_of_what_was_recorded() {
        let parsed = |text| Recorded::parse(text).unwrap();
        assert!(parsed("2025-11-02T23:30:00-05:00").moment > parsed("2025-11-03T01:00:00Z").moment);
        assert_eq!(parsed("2025-11-02T23:30:00-05:00").date, "2025-11-02");
        assert!(parsed("2025-11-02T08:00:00").moment > parsed("2025-11-02").moment);
        let visit = json!({"period": {"end": "2025-03"}, "when": "never"});
        assert_eq!(first(&visit, &["when", "period"]).unwrap().date, "2025-03");
        assert!(first(&visit, &["when"]).is_none());
    }
}
