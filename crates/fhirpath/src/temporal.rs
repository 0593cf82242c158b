//! Dates and times of any precision (FHIRPath §4.1.5 to 4.1.7), and how they compare (§6.2).
//!
//! `2020-05` against `2020-05-17` is neither before, after nor equal: it is unknown, and the answer is empty.

use std::cmp::Ordering;
use std::fmt;

/// What kind of value it is: the kinds differ in their type, dates and date-times still compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Date,
    DateTime,
    Time,
}

/// A date, a date and time, or a time of day, as far as it was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Temporal {
    pub(crate) kind: Kind,
    /// Year, month, day, hour, minute, nanoseconds of the minute. Of a time the first three are not known.
    fields: [Option<i64>; 6],
    /// Digits that the fraction of the second was written with.
    fraction_digits: usize,
    /// Minutes east of Greenwich.
    zone: Option<i64>,
}

const NANOS: i64 = 1_000_000_000;

/// Reads a fixed shape from the left, without looking at anything twice.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        digits.parse().ok()
    }

    fn eat(&mut self, letter: char) -> bool {
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

impl Temporal {
    /// A date or a date-time, of any precision: `2020`, `2020-05`, `2020-05-17T10:00:00.5+02:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let mut fields = [None; 6];
        let [year, month, day, ..] = &mut fields;
        *year = Some(reader.digits(4)?);
        if reader.eat('-') {
            *month = Some(reader.digits(2).filter(|month| (1..=12).contains(month))?);
            if reader.eat('-') {
                *day = Some(reader.digits(2)?);
            }
        }
        if let (Some(year), Some(month), Some(day)) = (*year, *month, *day)
            && !(1..=days_in_month(year, month)).contains(&day)
        {
            return None;
        }
        let mut value = Self { kind: Kind::Date, fields, fraction_digits: 0, zone: None };
        if reader.eat('T') {
            value.kind = Kind::DateTime;
            if !reader.rest.is_empty() {
                // A time of day needs the day.
                value.field(2)?;
                value.read_time(&mut reader)?;
                value.read_zone(&mut reader)?;
            }
        }
        reader.rest.is_empty().then_some(value)
    }

    /// A time of day: `14:30`, `14:30:05.25`.
    pub(crate) fn parse_time(text: &str) -> Option<Self> {
        let mut value = Self { kind: Kind::Time, fields: [None; 6], fraction_digits: 0, zone: None };
        let mut reader = Reader { rest: text };
        value.read_time(&mut reader)?;
        reader.rest.is_empty().then_some(value)
    }

    fn read_time(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let [_, _, _, hour, minute, nanos] = &mut self.fields;
        *hour = Some(reader.digits(2).filter(|hour| *hour < 24)?);
        if !reader.eat(':') {
            return Some(());
        }
        *minute = Some(reader.digits(2).filter(|minute| *minute < 60)?);
        if !reader.eat(':') {
            return Some(());
        }
        // A leap second is allowed.
        let seconds = reader.digits(2).filter(|seconds| *seconds <= 60)?;
        let mut fraction = 0;
        if reader.eat('.') {
            let digits = reader.rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            // Beyond nanoseconds nothing is kept.
            let kept = digits.min(9);
            fraction = reader.digits(kept)? * 10_i64.pow(u32::try_from(9 - kept).ok()?);
            reader.rest = reader.rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            self.fraction_digits = kept;
        }
        *nanos = Some(seconds * NANOS + fraction);
        Some(())
    }

    fn read_zone(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        if reader.eat('Z') {
            self.zone = Some(0);
            return Some(());
        }
        let sign = match (reader.eat('+'), reader.eat('-')) {
            (true, _) => 1,
            (_, true) => -1,
            _ => return Some(()),
        };
        let hours = reader.digits(2).filter(|hours| *hours <= 14)?;
        if !reader.eat(':') {
            return None;
        }
        let minutes = reader.digits(2).filter(|minutes| *minutes < 60)?;
        self.zone = Some(sign * (hours * 60 + minutes));
        Some(())
    }

    fn field(&self, at: usize) -> Option<i64> {
        self.fields.get(at).copied().flatten()
    }

    /// The date that a date-time falls on.
    pub(crate) fn date(&self) -> Option<Self> {
        let [year, month, day, ..] = self.fields;
        year?;
        Some(Self { kind: Kind::Date, fields: [year, month, day, None, None, None], fraction_digits: 0, zone: None })
    }

    /// The time of day of a date-time.
    pub(crate) fn time_of_day(&self) -> Option<Self> {
        let [.., hour, minute, nanos] = self.fields;
        hour?;
        Some(Self {
            kind: Kind::Time,
            fields: [None, None, None, hour, minute, nanos],
            fraction_digits: self.fraction_digits,
            zone: None,
        })
    }

    /// A date as a date-time of the same precision.
    pub(crate) fn as_date_time(&self) -> Option<Self> {
        (self.kind != Kind::Time).then_some(Self { kind: Kind::DateTime, ..*self })
    }

    /// In universal time, so that offsets do not matter. Unchanged without an offset or a minute.
    fn in_universal_time(self) -> Self {
        match self.zone {
            Some(zone) if zone != 0 => self.shifted_by_minutes(-zone).unwrap_or(self),
            _ => self,
        }
    }

    fn shifted_by_minutes(self, minutes: i64) -> Option<Self> {
        let [year, month, day, hour, minute, nanos] = self.fields;
        let total = days_from_civil(year?, month?, day?) * 1_440 + hour? * 60 + minute.unwrap_or(0) + minutes;
        let (new_year, new_month, new_day) = civil_from_days(total.div_euclid(1_440));
        let of_day = total.rem_euclid(1_440);
        Some(Self {
            fields: [
                Some(new_year),
                Some(new_month),
                Some(new_day),
                Some(of_day / 60),
                minute.map(|_| of_day % 60),
                nanos,
            ],
            ..self
        })
    }

    /// Before, equal or after; `None` where the precision does not tell.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        if (self.kind == Kind::Time) != (other.kind == Kind::Time) {
            return None;
        }
        let (left, right) = match (self.zone, other.zone) {
            (Some(_), Some(_)) => (self.in_universal_time(), other.in_universal_time()),
            // A day without a time is a day where it was written; a time without an offset may be anywhere.
            (Some(_), None) if other.field(3).is_some() => return self.compare_to_unknown_zone(other),
            (None, Some(_)) if self.field(3).is_some() => {
                return other.compare_to_unknown_zone(self).map(Ordering::reverse);
            }
            _ => (*self, *other),
        };
        for (left, right) in left.fields.iter().zip(right.fields) {
            match (left, right) {
                (Some(left), Some(right)) if *left != right => return Some(left.cmp(&right)),
                (Some(_), Some(_)) | (None, None) => {}
                _ => return None,
            }
        }
        Some(Ordering::Equal)
    }

    /// Decided only where no offset on earth (-12:00 to +14:00) could change it.
    fn compare_to_unknown_zone(&self, other: &Self) -> Option<Ordering> {
        let mine = self.in_universal_time();
        let earliest = other.shifted_by_minutes(-14 * 60)?;
        let latest = other.shifted_by_minutes(12 * 60)?;
        let bare = |value: Self| Self { zone: None, ..value };
        match (bare(mine).compare(&bare(earliest)), bare(mine).compare(&bare(latest))) {
            (Some(Ordering::Less), _) => Some(Ordering::Less),
            (_, Some(Ordering::Greater)) => Some(Ordering::Greater),
            _ => None,
        }
    }

    /// The value `amount` units later (earlier, if negative), in whole units (FHIRPath §6.7). A unit finer than
    /// the value's precision is turned into whole units of that precision. `None` for an unknown unit.
    pub(crate) fn plus(self, amount: i64, unit: &str) -> Option<Self> {
        const LIMIT: i64 = 10_000_000_000;
        if !(-LIMIT..=LIMIT).contains(&amount) {
            return None;
        }
        if self.kind == Kind::Time {
            return self.plus_within_day(amount, unit);
        }
        match unit {
            "year" => self.plus_months(amount * 12),
            "month" => self.plus_months(amount),
            "week" => self.plus_days(amount * 7),
            "day" => self.plus_days(amount),
            _ => self.plus_nanos(i128::from(amount) * unit_nanos(unit)?),
        }
    }

    fn plus_months(self, months: i64) -> Option<Self> {
        let [year, month, day, ..] = self.fields;
        let year = year?;
        let Some(month) = month else {
            return self.with_date(year + months / 12, None, None);
        };
        let total = year * 12 + (month - 1) + months;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        // The last day of the month, where the day does not exist in it.
        self.with_date(year, Some(month), day.map(|day| day.min(days_in_month(year, month))))
    }

    fn plus_days(self, days: i64) -> Option<Self> {
        match self.fields {
            [Some(year), Some(month), Some(day), ..] => {
                let (year, month, day) = civil_from_days(days_from_civil(year, month, day) + days);
                self.with_date(year, Some(month), Some(day))
            }
            [_, Some(_), ..] => self.plus_months(days / 30),
            _ => self.plus_months(days / 365 * 12),
        }
    }

    fn plus_nanos(self, nanos: i128) -> Option<Self> {
        const DAY: i128 = 86_400 * NANOS as i128;
        let Some(hour) = self.field(3) else {
            return self.plus_days(i64::try_from(nanos / DAY).ok()?);
        };
        let total = clock_nanos(hour, self.field(4), self.field(5)) + nanos;
        self.plus_days(i64::try_from(total.div_euclid(DAY)).ok()?)?.with_clock(total.rem_euclid(DAY))
    }

    fn plus_within_day(self, amount: i64, unit: &str) -> Option<Self> {
        const DAY: i128 = 86_400 * NANOS as i128;
        let total = clock_nanos(self.field(3)?, self.field(4), self.field(5)) + i128::from(amount) * unit_nanos(unit)?;
        self.with_clock(total.rem_euclid(DAY))
    }

    fn with_date(self, year: i64, month: Option<i64>, day: Option<i64>) -> Option<Self> {
        let [.., hour, minute, nanos] = self.fields;
        (1..=9_999).contains(&year).then_some(Self { fields: [Some(year), month, day, hour, minute, nanos], ..self })
    }

    fn with_clock(self, of_day: i128) -> Option<Self> {
        let of_day = i64::try_from(of_day).ok()?;
        let [year, month, day, hour, minute, nanos] = self.fields;
        Some(Self {
            fields: [
                year,
                month,
                day,
                hour.map(|_| of_day / (3_600 * NANOS)),
                minute.map(|_| of_day / (60 * NANOS) % 60),
                nanos.map(|_| of_day % (60 * NANOS)),
            ],
            ..self
        })
    }
}

fn clock_nanos(hour: i64, minute: Option<i64>, nanos: Option<i64>) -> i128 {
    i128::from((hour * 60 + minute.unwrap_or(0)) * 60) * i128::from(NANOS) + i128::from(nanos.unwrap_or(0))
}

fn unit_nanos(unit: &str) -> Option<i128> {
    let seconds = |seconds: i128| seconds * i128::from(NANOS);
    Some(match unit {
        "hour" => seconds(3_600),
        "minute" => seconds(60),
        "second" => seconds(1),
        "millisecond" => 1_000_000,
        _ => return None,
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, after Howard Hinnant's "days_from_civil".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, nanos] = self.fields;
        if let Some(year) = year {
            write!(f, "{year:04}")?;
        }
        for part in [month, day].into_iter().flatten() {
            write!(f, "-{part:02}")?;
        }
        if let Some(hour) = hour {
            let separator = if self.kind == Kind::Time { "" } else { "T" };
            write!(f, "{separator}{hour:02}")?;
        }
        if let Some(minute) = minute {
            write!(f, ":{minute:02}")?;
        }
        if let Some(nanos) = nanos {
            write!(f, ":{:02}", nanos / NANOS)?;
            if self.fraction_digits > 0 {
                let fraction = format!("{:09}", nanos % NANOS);
                write!(f, ".{}", fraction.get(..self.fraction_digits).unwrap_or(&fraction))?;
            }
        }
        match self.zone {
            Some(0) => f.write_str("Z"),
            Some(zone) => {
                let sign = if zone < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", zone.abs() / 60, zone.abs() % 60)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Temporal {
        Temporal::parse(text).unwrap()
    }

    #[test]
    fn reads_and_prints() {
        for text in [
            "2020",
            "2020-05",
            "2020-02-29",
            "2020-05-17T10:00",
            "2020-05-17T10:00:00.250Z",
            "2020-05-17T10:00:00-03:30",
        ] {
            assert_eq!(at(text).to_string(), text);
        }
        for text in ["20", "2020-13", "2019-02-29", "2020-05T10:00", "2020-05-17T25:00", "2020-05-17x", ""] {
            assert!(Temporal::parse(text).is_none(), "{text}");
        }
        assert_eq!(Temporal::parse_time("14:30:05.25").unwrap().to_string(), "14:30:05.25");
    }

    #[test]
    fn compares_as_far_as_it_is_known() {
        let compare = |left: &str, right: &str| at(left).compare(&at(right));
        assert_eq!(compare("2020", "2021-01-01"), Some(Ordering::Less));
        assert_eq!(compare("2020", "2020-05"), None);
        assert_eq!(compare("2020-05-17", "2020-05-17"), Some(Ordering::Equal));
        assert_eq!(compare("2020-05-17T10:00:00Z", "2020-05-17T12:00:00+02:00"), Some(Ordering::Equal));
        assert_eq!(compare("2020-05-18T10:00:00Z", "2020-05-17"), Some(Ordering::Greater));
        assert_eq!(compare("2020-05-17T10:00:00Z", "2020-05-17T12:00:00"), None);
        assert_eq!(compare("2020-05-19T10:00:00Z", "2020-05-17T12:00:00"), Some(Ordering::Greater));
        assert_eq!(compare("2020-05-17T10:00:00", "2020-05-17T10:00:00.0"), Some(Ordering::Equal));
    }

    #[test]
    fn calendar_arithmetic() {
        let plus = |text: &str, amount, unit| at(text).plus(amount, unit).unwrap().to_string();
        assert_eq!(plus("2020-02-29", 1, "year"), "2021-02-28");
        assert_eq!(plus("2020-01-31", 1, "month"), "2020-02-29");
        assert_eq!(plus("2020-12-31", 1, "day"), "2021-01-01");
        assert_eq!(plus("2020-03-01", -1, "day"), "2020-02-29");
        assert_eq!(plus("2020", 13, "month"), "2021");
        assert_eq!(plus("2020-05-17T23:30:00Z", 45, "minute"), "2020-05-18T00:15:00Z");
        assert_eq!(plus("2020-05-17", 48, "hour"), "2020-05-19");
        assert!(at("2020").plus(1, "parsec").is_none());
        assert!(at("9999").plus(1, "year").is_none());
    }

    #[test]
    fn days_and_dates_agree() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
