//! Equality, equivalence and order (FHIRPath §6.1 and 6.2). `None` is the third answer, "not known": empty.

use std::cmp::Ordering;

use serde_json::Value;

use crate::decimal::Decimal;
use crate::error::EvalError;
use crate::item::{Data, Item, Scalar};
use crate::temporal::{Kind, Temporal};

/// `=` for two collections: as long, and equal one by one.
pub(crate) fn equal_collections(left: &[Item<'_>], right: &[Item<'_>]) -> Option<bool> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    if left.len() != right.len() {
        return Some(false);
    }
    let mut known = true;
    for (left, right) in left.iter().zip(right) {
        match equal(left, right) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = false,
        }
    }
    known.then_some(true)
}

/// `=` for two values.
pub(crate) fn equal(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    // Most comparisons are of two strings, and need nothing else looked at.
    if let (Some(left_text), Some(right_text)) = (left.as_str(), right.as_str())
        && left_text == right_text
    {
        return Some(true);
    }
    Some(match (left.scalar(), right.scalar()) {
        (Scalar::Nothing, _) | (_, Scalar::Nothing) => return None,
        (Scalar::Boolean(left), Scalar::Boolean(right)) => left == right,
        (Scalar::Integer(left), Scalar::Integer(right)) => left == right,
        (Scalar::String(left), Scalar::String(right)) => left == right,
        (Scalar::Huge(left), Scalar::Huge(right)) => left.total_cmp(&right).is_eq(),
        (Scalar::Quantity(left), Scalar::Quantity(right)) => {
            if !left.same_unit(&right) {
                return None;
            }
            left.value == right.value
        }
        (Scalar::Complex(left), Scalar::Complex(right)) => equal_json(left, right),
        (left, right) => {
            if let (Some(left), Some(right)) = (left.number(), right.number()) {
                return Some(left == right);
            }
            match temporals(&left, &right) {
                Some((left, right)) => return left.compare(&right).map(Ordering::is_eq),
                None => false,
            }
        }
    })
}

/// Both as dates or times, where at least one is: a string beside a date is read as one.
fn temporals(left: &Scalar<'_>, right: &Scalar<'_>) -> Option<(Temporal, Temporal)> {
    let read = |text: &str, kind: Kind| match kind {
        Kind::Time => Temporal::parse_time(text),
        _ => Temporal::parse(text),
    };
    match (left, right) {
        (Scalar::Temporal(left), Scalar::Temporal(right)) => Some((*left, *right)),
        (Scalar::Temporal(left), Scalar::String(right)) => Some((*left, read(right, left.kind)?)),
        (Scalar::String(left), Scalar::Temporal(right)) => Some((read(left, right.kind)?, *right)),
        _ => None,
    }
}

/// Equal in all their parts, whatever their order in an object.
fn equal_json(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right
                || match (Decimal::parse(&left.to_string()), Decimal::parse(&right.to_string())) {
                    (Some(left), Some(right)) => left == right,
                    _ => false,
                }
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal_json(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal_json(left, right)))
        }
        _ => left == right,
    }
}

/// Whether two values count as one in a set: union, distinct, intersect (§6.1.1).
pub(crate) fn same(left: &Item<'_>, right: &Item<'_>) -> bool {
    if let (Data::Json(one), Data::Json(other)) = (&left.data, &right.data) {
        if std::ptr::eq(*one, *other) && !one.is_null() {
            return true;
        }
        if one.is_null() && other.is_null() {
            return match (left.sibling(), right.sibling()) {
                (Some(left), Some(right)) => equal_json(left, right),
                _ => false,
            };
        }
    }
    if let (Data::Unresolved(left), Data::Unresolved(right)) = (&left.data, &right.data) {
        return left == right;
    }
    equal(left, right) == Some(true)
}

/// `~` for two collections: the same values in any order, two empty ones included.
pub(crate) fn equivalent_collections(left: &[Item<'_>], right: &[Item<'_>]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut rest: Vec<_> = right.iter().collect();
    left.iter().all(|item| {
        let found = rest.iter().position(|other| equivalent(item, other));
        if let Some(at) = found {
            rest.swap_remove(at);
        }
        found.is_some()
    })
}

/// `~` for two values: case and blanks of strings do not matter, nor digits that one of two numbers lacks.
pub(crate) fn equivalent(left: &Item<'_>, right: &Item<'_>) -> bool {
    match (left.scalar(), right.scalar()) {
        (Scalar::String(left), Scalar::String(right)) => normalised(left) == normalised(right),
        (Scalar::Quantity(left), Scalar::Quantity(right)) => {
            left.same_unit(&right) && equivalent_numbers(left.value, right.value)
        }
        (Scalar::Complex(left), Scalar::Complex(right)) => equivalent_json(left, right),
        (left_scalar, right_scalar) => match (left_scalar.number(), right_scalar.number()) {
            (Some(left), Some(right)) => equivalent_numbers(left, right),
            _ => equal(left, right) == Some(true),
        },
    }
}

fn equivalent_numbers(left: Decimal, right: Decimal) -> bool {
    let precision = left.precision().min(right.precision());
    left.rounded(precision) == right.rounded(precision)
}

/// In one case, every kind of blank being one.
fn normalised(text: &str) -> String {
    text.replace(char::is_whitespace, " ").to_lowercase()
}

fn equivalent_json(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equivalent_json(left, right)))
        }
        (Value::Array(left), Value::Array(right)) => {
            let left: Vec<_> = left.iter().map(Item::new).collect();
            let right: Vec<_> = right.iter().map(Item::new).collect();
            equivalent_collections(&left, &right)
        }
        (Value::Object(_) | Value::Array(_) | Value::Null, _) => left == right,
        _ => equivalent(&Item::new(left), &Item::new(right)),
    }
}

/// Which of two values comes first.
pub(crate) fn order(left: &Item<'_>, right: &Item<'_>, what: &'static str) -> Result<Option<Ordering>, EvalError> {
    let (left_scalar, right_scalar) = (left.scalar(), right.scalar());
    let huge = |scalar: &Scalar<'_>| matches!(scalar, Scalar::Huge(_));
    Ok(match (&left_scalar, &right_scalar) {
        (Scalar::Nothing, _) | (_, Scalar::Nothing) => None,
        (Scalar::String(one), Scalar::String(other)) => {
            // Without a model a date is but a string. Those of FHIR read as what they are.
            match (undeclared_temporal(left, one), undeclared_temporal(right, other)) {
                (Some(left), Some(right)) => left.compare(&right),
                _ => Some(one.cmp(other)),
            }
        }
        (Scalar::Quantity(left), Scalar::Quantity(right)) => {
            left.same_unit(right).then(|| left.value.cmp(&right.value))
        }
        _ if huge(&left_scalar) || huge(&right_scalar) => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => return Err(not_comparable(what)),
        },
        _ => {
            if let (Some(left), Some(right)) = (left_scalar.number(), right_scalar.number()) {
                return Ok(Some(left.cmp(&right)));
            }
            let Some((left, right)) = temporals(&left_scalar, &right_scalar) else {
                return Err(not_comparable(what));
            };
            if (left.kind == Kind::Time) != (right.kind == Kind::Time) {
                return Err(not_comparable(what));
            }
            left.compare(&right)
        }
    })
}

fn undeclared_temporal(item: &Item<'_>, text: &str) -> Option<Temporal> {
    item.declared.is_none().then(|| Temporal::parse(text)).flatten()
}

fn not_comparable(what: &'static str) -> EvalError {
    EvalError::WrongType {
        what,
        needs: "two values of one kind that have an order: numbers, strings, dates, times, or quantities",
    }
}
