//! Dates mean what people mean: a day is the whole day, a month the whole month, a minute the whole minute.
//!
//! Medplum takes a day for the instant of its midnight where times are stored, and refuses months and years.

use crate::validate::{clipped, day_of, days_in};

/// The prefixes of ordered values.
const PREFIXES: [&str; 9] = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

/// The value, or the values that together say the same. `only_days` if nothing but dates without a time is looked at.
pub(super) fn rewrite(name: &str, value: &str, only_days: bool) -> Result<Vec<String>, String> {
    if value.contains(',') {
        return Err(format!(
            "{name}: several dates with a comma are refused by Medplum. Repeat it for a range: {name}=ge2024-01-01 and {name}=lt2024-02-01; or search each by itself."
        ));
    }
    let (prefix, rest) = prefix_of(value);
    if let Some((date, time)) = rest.split_once('T') {
        let time = Time::parse(time).filter(|_| date.len() == 10 && day_of(date.as_bytes()) == Some(true));
        let time = time.ok_or_else(|| malformed(name, value))?;
        return match time.minute_of(date).filter(|_| !only_days) {
            Some((start, next)) => within(name, value, prefix, &start, &next),
            None => Ok(vec![format!("{}{}", if prefix == "eq" { "" } else { prefix }, time.on(date))]),
        };
    }
    match day_of(rest.as_bytes()) {
        Some(true) => {}
        Some(false) => return Err(format!("{name}={}: there is no such day.", clipped(value))),
        None => return Err(malformed(name, value)),
    }
    if rest.len() == 10 && only_days {
        return Ok(vec![value.to_owned()]);
    }
    let (start, next) = bounds(rest).ok_or_else(|| malformed(name, value))?;
    within(name, value, prefix, &start, &next)
}

/// What is asked of a range, by its start and the start of what is behind it.
fn within(name: &str, value: &str, prefix: &str, start: &str, next: &str) -> Result<Vec<String>, String> {
    Ok(match prefix {
        "eq" | "ap" => vec![format!("ge{start}"), format!("lt{next}")],
        "ge" => vec![format!("ge{start}")],
        "gt" | "sa" => vec![format!("ge{next}")],
        "lt" | "eb" => vec![format!("lt{start}")],
        "le" => vec![format!("lt{next}")],
        _ => {
            return Err(format!(
                "{name}={}: what lies outside of a range cannot be asked at once. Search {name}=lt{start} and {name}=ge{next} separately.",
                clipped(value)
            ));
        }
    })
}

/// The prefix, `eq` if there is none, and the rest.
pub(super) fn prefix_of(value: &str) -> (&'static str, &str) {
    PREFIXES.into_iter().find_map(|p| value.strip_prefix(p).map(|rest| (p, rest))).unwrap_or(("eq", value))
}

/// Whether a value has a prefix and then a digit, as ordered values do.
pub(super) fn has_prefix(value: &str) -> bool {
    PREFIXES.iter().any(|p| value.strip_prefix(p).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

/// The first day of a day, a month or a year, and the first day behind it.
fn bounds(date: &str) -> Option<(String, String)> {
    let mut parts = date.split('-').map(|p| p.parse::<u32>().ok());
    let year = parts.next()??;
    let (month, day) = (parts.next().flatten(), parts.next().flatten());
    let write = |y: u32, m: u32, d: u32| format!("{y:04}-{m:02}-{d:02}");
    let next_month = |y: u32, m: u32| if m == 12 { write(y + 1, 1, 1) } else { write(y, m + 1, 1) };
    Some(match (month, day) {
        (None, _) => (write(year, 1, 1), write(year + 1, 1, 1)),
        (Some(m), None) => (write(year, m, 1), next_month(year, m)),
        (Some(m), Some(d)) if d == days_in(year, m) => (write(year, m, d), next_month(year, m)),
        (Some(m), Some(d)) => (write(year, m, d), write(year, m, d + 1)),
    })
}

/// A time of day: to the minute, `08:30`, or more exactly.
struct Time<'v> {
    clock: &'v str,
    zone: String,
}

impl<'v> Time<'v> {
    fn parse(time: &'v str) -> Option<Self> {
        let at = time.find(['Z', '+', '-', ' ']).unwrap_or(time.len());
        let (clock, zone) = time.split_at_checked(at)?;
        // A plus that was not encoded comes as a space.
        let time = Self { clock, zone: zone.replace(' ', "+") };
        let zone = if zone.is_empty() { "Z" } else { "" };
        crate::validate::is_instant(&format!("{}{zone}", time.on("2000-01-01"))).then_some(time)
    }

    /// The instant on a day: seconds are added where they are left out.
    fn on(&self, date: &str) -> String {
        let seconds = if self.clock.len() == 5 { ":00" } else { "" };
        format!("{date}T{}{seconds}{}", self.clock, self.zone)
    }

    /// The minute that it is on a day, by its start and the start of the next; none for one that is more exact.
    fn minute_of(&self, date: &str) -> Option<(String, String)> {
        let (hours, minutes) = self.clock.split_once(':').filter(|(_, minutes)| minutes.len() == 2)?;
        let next = hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()? + 1;
        let (_, tomorrow) = bounds(date)?;
        let date_of_next = if next == 24 * 60 { tomorrow.as_str() } else { date };
        let clock = format!("{:02}:{:02}", next / 60 % 24, next % 60);
        Some((self.on(date), Time { clock: &clock, zone: self.zone.clone() }.on(date_of_next)))
    }
}

fn malformed(name: &str, value: &str) -> String {
    let (prefix, rest) = prefix_of(value.trim());
    let prefix = if prefix == "eq" { "" } else { prefix };
    match crate::validate::date_from(rest).filter(|d| day_of(d.as_bytes()) == Some(true)) {
        Some(right) => format!("{name}: \"{}\" is not a date. Write {name}={prefix}{right}", clipped(value)),
        None => format!(
            "{name}: \"{}\" is not a date. Write 2024-01-15, 2024-01, 2024, ge2024-01-15 or lt2024-01-15T08:30:00Z.",
            clipped(value)
        ),
    }
}
