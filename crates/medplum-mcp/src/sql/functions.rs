//! The functions that a statement may use, and ours in place of SQLite's where those can take forever: their time grows
//! with the product of two lengths, within one step that nothing interrupts.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result, ffi};

use super::sandboxed::LONGEST_VALUE;

/// Of how many rows a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    One,
    Many,
}

/// What a function gives besides null, whatever it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Text,
    Number,
    Any,
}

/// Every function that may be used.
const FUNCTIONS: &[(Rows, Gives, &str)] = &[
    (
        Rows::One,
        Gives::Text,
        "-> char concat concat_ws current_date current_time current_timestamp date datetime format hex json \
         json_array json_object json_quote json_type lower ltrim printf quote replace rtrim strftime substr \
         substring time timediff trim typeof upper",
    ),
    (
        Rows::One,
        Gives::Number,
        "abs ceil exp floor instr json_array_length json_valid julianday length ln power round sign sqrt \
         unicode unixepoch",
    ),
    (
        Rows::One,
        Gives::Any,
        "->> coalesce glob if ifnull iif json_each json_extract json_tree like likelihood likely nullif \
         unlikely",
    ),
    (Rows::Many, Gives::Text, "group_concat json_group_array json_group_object string_agg"),
    (Rows::Many, Gives::Number, "avg count median sum total"),
    (
        Rows::Many,
        Gives::Any,
        "cume_dist dense_rank first_value lag last_value lead max min nth_value ntile percent_rank rank \
         row_number",
    ),
];

/// A function of one number.
type OfNumber = fn(f64) -> f64;

/// The names of all of them.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().flat_map(|(_, _, names)| names.split_ascii_whitespace())
}

/// Whether a function may be used.
pub(super) fn may_use(name: &str) -> bool {
    all().any(|known| known.eq_ignore_ascii_case(name))
}

/// The name of a function that is of many rows: what it says is wrong where rows are missing.
pub(super) fn of_many(name: &str) -> Option<&'static str> {
    function(name).filter(|(rows, ..)| *rows == Rows::Many).map(|(_, _, known)| known)
}

/// What a function gives.
pub(super) fn gives(name: &str) -> Gives {
    function(name).map_or(Gives::Any, |(_, gives, _)| gives)
}

fn function(name: &str) -> Option<(Rows, Gives, &'static str)> {
    FUNCTIONS.iter().find_map(|(rows, gives, names)| {
        let known = names.split_ascii_whitespace().find(|known| known.eq_ignore_ascii_case(name))?;
        Some((*rows, *gives, known))
    })
}

/// Puts ours in place.
pub(super) fn define(connection: &Connection) -> Result<()> {
    let always = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, always, |cx| {
        Ok(texts(cx).and_then(|t| match t.as_slice() {
            [text, part] => Some(instr(text, part)),
            _ => None,
        }))
    })?;
    connection.create_scalar_function("replace", 3, always, |cx| match texts(cx).as_deref() {
        Some([text, from, to]) => replace(text, from, to).map(Some),
        _ => Ok(None),
    })?;
    for (name, start, end) in [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
        for arguments in [1, 2] {
            connection.create_scalar_function(name, arguments, always, move |cx| {
                Ok(texts(cx).and_then(|t| trimmed(&t, start, end)))
            })?;
        }
    }
    let of_number: [(&str, OfNumber); 5] =
        [("sqrt", f64::sqrt), ("ln", f64::ln), ("exp", f64::exp), ("floor", f64::floor), ("ceil", f64::ceil)];
    for (name, function) in of_number {
        connection.create_scalar_function(name, 1, always, move |cx| {
            Ok(number(cx.get_raw(0)).map(function).filter(finite))
        })?;
    }
    connection.create_scalar_function("power", 2, always, |cx| {
        let (base, exponent) = (number(cx.get_raw(0)), number(cx.get_raw(1)));
        Ok(base.zip(exponent).map(|(base, exponent)| base.powf(exponent)).filter(finite))
    })?;
    connection.create_aggregate_function("median", 1, always, Median)
}

/// The arguments as texts; none if one is null.
fn texts(cx: &Context<'_>) -> Option<Vec<String>> {
    (0..cx.len()).map(|index| text(cx.get_raw(index))).collect()
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(whole) => Some(whole.to_string()),
        ValueRef::Real(real) => Some(format!("{real:?}")),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(whole) => Some(whole as f64),
        ValueRef::Real(real) => Some(real),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn finite(number: &f64) -> bool {
    number.is_finite()
}

/// The place of a part, counted in characters from one; zero if it is not there.
fn instr(text: &str, part: &str) -> i64 {
    let before = text.find(part).and_then(|at| text.get(..at));
    before.map_or(0, |before| i64::try_from(before.chars().count()).unwrap_or(i64::MAX).saturating_add(1))
}

fn replace(text: &str, from: &str, to: &str) -> Result<String> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    let matches = text.matches(from).count();
    let kept = text.len().saturating_sub(matches.saturating_mul(from.len()));
    if matches.saturating_mul(to.len()).saturating_add(kept) > LONGEST_VALUE {
        return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
    }
    Ok(text.replace(from, to))
}

fn trimmed(texts: &[String], start: bool, end: bool) -> Option<String> {
    let mut which: Vec<char> = texts.get(1).map_or_else(|| vec![' '], |chars| chars.chars().collect());
    which.sort_unstable();
    let is_one = |c: char| which.binary_search(&c).is_ok();
    let mut text = texts.first()?.as_str();
    if start {
        text = text.trim_start_matches(is_one);
    }
    if end {
        text = text.trim_end_matches(is_one);
    }
    Some(text.to_owned())
}

/// The middle of the numbers, or the mean of the two in the middle.
struct Median;

impl Aggregate<Vec<f64>, Option<f64>> for Median {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    fn step(&self, cx: &mut Context<'_>, numbers: &mut Vec<f64>) -> Result<()> {
        if numbers.len() >= LONGEST_VALUE {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
        numbers.extend(number(cx.get_raw(0)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, numbers: Option<Vec<f64>>) -> Result<Option<f64>> {
        let mut numbers = numbers.unwrap_or_default();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let upper = numbers.get(middle).copied();
        if numbers.len() % 2 == 1 {
            return Ok(upper);
        }
        let lower = middle.checked_sub(1).and_then(|at| numbers.get(at)).copied();
        Ok(lower.zip(upper).map(|(lower, upper)| f64::midpoint(lower, upper)))
    }
}
