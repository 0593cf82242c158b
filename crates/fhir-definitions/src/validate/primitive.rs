//! How each primitive type is written. FHIR: <https://hl7.org/fhir/R4/datatypes.html#primitive>
//!
//! The rules are those that Medplum applies, so that what it stores is accepted here.

use serde_json::Value;

use crate::names::ResourceId;

/// What is wrong with a primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Not the JSON type that carries it.
    JsonType,
    /// Text without a character that can be seen.
    Blank,
    /// Not written as the type is.
    Format,
    /// Written well, and no such day exists.
    NoSuchDay,
    /// A number outside of what the type may hold.
    Range,
}

/// Looks at one primitive value.
pub(super) fn check(type_name: &str, value: &Value) -> Result<(), Wrong> {
    match type_name {
        "boolean" => value.as_bool().map(|_| ()).ok_or(Wrong::JsonType),
        "decimal" => value.as_number().map(|_| ()).ok_or(Wrong::JsonType),
        "integer" => whole(value, i64::from(i32::MIN)),
        "unsignedInt" => whole(value, 0),
        "positiveInt" => whole(value, 1),
        _ => text(type_name, value.as_str().ok_or(Wrong::JsonType)?),
    }
}

fn whole(value: &Value, least: i64) -> Result<(), Wrong> {
    let number = value.as_number().ok_or(Wrong::JsonType)?;
    let number = match (number.as_i64(), number.as_f64()) {
        (Some(n), _) => n,
        // 1.0 and 1 are the same number to JSON.
        #[allow(clippy::cast_possible_truncation)]
        (None, Some(n)) if n.fract() == 0.0 && n.abs() < 1e15 => n as i64,
        (None, Some(n)) if n.fract() == 0.0 => return Err(Wrong::Range),
        _ => return Err(Wrong::Format),
    };
    if (least..=i64::from(i32::MAX)).contains(&number) { Ok(()) } else { Err(Wrong::Range) }
}

fn text(type_name: &str, text: &str) -> Result<(), Wrong> {
    if type_name != "base64Binary" && text.trim().is_empty() {
        return Err(Wrong::Blank);
    }
    let right = match type_name {
        "date" => return calendar(text, Needs::Date),
        "dateTime" => return calendar(text, Needs::DateTime),
        "instant" => return calendar(text, Needs::Instant),
        "time" => is_time(text.as_bytes()),
        "string" | "markdown" => text.bytes().all(|b| b >= 0x20 || matches!(b, b'\t' | b'\r' | b'\n')),
        "code" => text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace)),
        "uri" | "url" | "canonical" => !text.contains(char::is_whitespace),
        "id" => ResourceId::parse(text).is_ok() || text == "." || text == "..",
        "oid" => text.strip_prefix("urn:oid:").is_some_and(is_oid),
        "uuid" => text.strip_prefix("urn:uuid:").is_some_and(is_uuid),
        "base64Binary" => is_base64(text.as_bytes()),
        "integer64" => text.parse::<i64>().is_ok(),
        _ => true,
    };
    if right { Ok(()) } else { Err(Wrong::Format) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Date,
    DateTime,
    Instant,
}

/// Whether a text is an instant (<https://hl7.org/fhir/R4/datatypes.html#instant>).
pub fn is_instant(text: &str) -> bool {
    calendar(text, Needs::Instant).is_ok()
}

/// Looks at a date, `dateTime` or instant.
fn calendar(text: &str, needs: Needs) -> Result<(), Wrong> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let day = day_of(date.as_bytes()).ok_or(Wrong::Format)?;
    let time_is_right = match (needs, time) {
        (Needs::Date | Needs::DateTime, None) => true,
        (Needs::Date, Some(_)) | (Needs::Instant, None) => false,
        (Needs::DateTime, Some(time)) => date.len() == 10 && has_time(time, false),
        (Needs::Instant, Some(time)) => date.len() == 10 && has_time(time, true),
    };
    if !time_is_right {
        return Err(Wrong::Format);
    }
    if day { Ok(()) } else { Err(Wrong::NoSuchDay) }
}

/// Whether the day of `YYYY[-MM[-DD]]` exists; none if it is not written so.
pub(crate) fn day_of(date: &[u8]) -> Option<bool> {
    let (year, month, day) = match date {
        [y @ .., b'-', m1, m2, b'-', d1, d2] => (y, Some([*m1, *m2]), Some([*d1, *d2])),
        [y @ .., b'-', m1, m2] => (y, Some([*m1, *m2]), None),
        y => (y, None, None),
    };
    let year = (year.len() == 4).then(|| number(year)).flatten().filter(|y| *y > 0)?;
    let Some(month) = month else { return Some(true) };
    let month = number(&month).filter(|m| (1..=12).contains(m))?;
    let Some(day) = day else { return Some(true) };
    let day = number(&day).filter(|d| (1..=31).contains(d))?;
    Some(day <= days_in(year, month))
}

pub(crate) fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// `hh[:mm:ss[.f]][zone]`, or with everything in it.
fn has_time(text: &str, whole: bool) -> bool {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (time, zone) = text.as_bytes().split_at(at);
    let time_is_right = is_time(time) || !whole && is_hour(time);
    time_is_right && (is_zone(zone) || !whole && (zone.is_empty() || zone == b"+" || zone == b"-"))
}

fn is_hour(text: &[u8]) -> bool {
    text.len() == 2 && number(text).is_some_and(|h| h < 24)
}

/// `hh:mm:ss[.f]`.
fn is_time(text: &[u8]) -> bool {
    let (clock, fraction) = match text.split_at_checked(8) {
        Some(parts) => parts,
        None => return false,
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return false };
    let within = |a: &u8, b: &u8, most: u32| number(&[*a, *b]).is_some_and(|n| n <= most);
    let fraction_is_right = match fraction.split_first() {
        None => true,
        Some((b'.', digits)) => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    within(h1, h2, 23) && within(m1, m2, 59) && within(s1, s2, 60) && fraction_is_right
}

fn is_zone(zone: &[u8]) -> bool {
    match zone {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => match (number(&[*h1, *h2]), number(&[*m1, *m2])) {
            (Some(h), Some(m)) => h < 14 && m < 60 || h == 14 && m == 0,
            _ => false,
        },
        _ => false,
    }
}

fn is_oid(rest: &str) -> bool {
    let mut parts = rest.split('.');
    let root = parts.next().is_some_and(|r| matches!(r, "0" | "1" | "2"));
    let mut more = 0;
    let all = parts.all(|p| {
        more += 1;
        !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) && (p == "0" || !p.starts_with('0'))
    });
    root && all && more > 0
}

fn is_uuid(rest: &str) -> bool {
    rest.len() == 36
        && rest.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

/// Groups of four from the alphabet, the last one padded. FHIR would let white space stand between them; Medplum does
/// not.
fn is_base64(text: &[u8]) -> bool {
    let data = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    text.len().is_multiple_of(4)
        && !data.is_empty()
        && data.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// Whether a `dateTime` has a time of day and no zone: Medplum stores it, and nobody knows when it was.
pub(super) fn lacks_zone(text: &str) -> bool {
    text.split_once('T').is_some_and(|(_, time)| !time.contains(['Z', '+', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn right(type_name: &str, values: &[Value]) {
        for value in values {
            assert_eq!(check(type_name, value), Ok(()), "{type_name} {value}");
        }
    }

    fn wrong(type_name: &str, values: &[Value]) {
        for value in values {
            assert!(check(type_name, value).is_err(), "{type_name} {value}");
        }
    }

    #[test]
    fn dates() {
        right(
            "date",
            &[json!("2024"), json!("2024-01"), json!("2024-01-31"), json!("2024-02-29"), json!("1900-01-01")],
        );
        wrong(
            "date",
            &[
                json!("2023-02-29"),
                json!("2024-13"),
                json!("2024-1-1"),
                json!("20240101"),
                json!("0000"),
                json!("01/02/2024"),
                json!("2024-01-01T00:00:00Z"),
                json!(2024),
                json!(""),
                json!("2024-01-32"),
            ],
        );
        right(
            "dateTime",
            &[
                json!("2024-01-15"),
                json!("2024-01-15T08:30:00Z"),
                json!("2024-01-15T08:30:00.123+14:00"),
                json!("2024-01-15T08:30:00"),
                json!("2024-01-15T08"),
            ],
        );
        wrong(
            "dateTime",
            &[
                json!("2024-01-15T08:30Z"),
                json!("2024-01T08:30:00Z"),
                json!("2024-01-15T24:00:00Z"),
                json!("2024-01-15T08:30:00+14:30"),
                json!("2024-01-15 08:30:00"),
                json!("2024-02-30T08:30:00Z"),
                json!("2024-01-15T"),
            ],
        );
        right("instant", &[json!("2024-01-15T08:30:00Z"), json!("2024-01-15T08:30:60.5-05:00")]);
        wrong("instant", &[json!("2024-01-15"), json!("2024-01-15T08:30:00"), json!("2024-01-15T08Z")]);
        right("time", &[json!("08:30:00"), json!("23:59:60.1")]);
        wrong("time", &[json!("08:30"), json!("24:00:00"), json!("8:30:00"), json!("08:30:00Z")]);
    }

    #[test]
    fn numbers() {
        right("integer", &[json!(0), json!(-5), json!(1.0), json!(2_147_483_647)]);
        wrong("integer", &[json!("5"), json!(1.5), json!(2_147_483_648_i64), json!(true)]);
        right("positiveInt", &[json!(1)]);
        wrong("positiveInt", &[json!(0), json!(-1)]);
        right("unsignedInt", &[json!(0)]);
        right("decimal", &[json!(0), json!(1.25), json!(-3)]);
        wrong("decimal", &[json!("1.25"), json!(null)]);
        right("boolean", &[json!(true), json!(false)]);
        wrong("boolean", &[json!("true"), json!(1)]);
    }

    #[test]
    fn texts() {
        right("string", &[json!("a"), json!(" a "), json!("a\nb"), json!("😀")]);
        wrong("string", &[json!(""), json!("   "), json!("a\u{0}"), json!(1)]);
        right("code", &[json!("final"), json!("a b")]);
        wrong("code", &[json!(" a"), json!("a  b"), json!("a "), json!("a\tb")]);
        right("uri", &[json!("http://a.b/c"), json!("urn:x")]);
        wrong("uri", &[json!("http://a b")]);
        right("id", &[json!("a-1.B")]);
        wrong("id", &[json!("a_b"), json!("a".repeat(65))]);
        right("oid", &[json!("urn:oid:1.2.3"), json!("urn:oid:2.16.840.1")]);
        wrong("oid", &[json!("1.2.3"), json!("urn:oid:3.1"), json!("urn:oid:1.02"), json!("urn:oid:1")]);
        right("uuid", &[json!("urn:uuid:c757873d-ec9a-4326-a141-556f43239520")]);
        wrong(
            "uuid",
            &[json!("c757873d-ec9a-4326-a141-556f43239520"), json!("urn:uuid:C757873d-ec9a-4326-a141-556f43239520")],
        );
        right("base64Binary", &[json!("SGVsbG8="), json!("SGVsbA==")]);
        wrong("base64Binary", &[json!("SGVsbG8"), json!("SG*sbG8="), json!("SGVs\nbG8="), json!("===="), json!("")]);
    }
}
