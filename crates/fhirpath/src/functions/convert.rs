//! Conversion (FHIRPath §5.5). What does not convert is empty, never an error.

use super::Invocation;
use crate::Item;
use crate::decimal::Decimal;
use crate::eval::{Outcome, single};
use crate::function::Function;
use crate::item::Scalar;
use crate::operators::made_string;
use crate::quantity::Quantity;
use crate::temporal::{Kind, Temporal};

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    use Function as F;
    let Some(item) = single(input, invocation.what)? else {
        return Ok(Vec::new());
    };
    let (target, asks) = match invocation.call.function {
        F::ConvertsToBoolean => (F::ToBoolean, true),
        F::ConvertsToInteger => (F::ToInteger, true),
        F::ConvertsToDecimal => (F::ToDecimal, true),
        F::ConvertsToString => (F::ToString, true),
        F::ConvertsToDate => (F::ToDate, true),
        F::ConvertsToDateTime => (F::ToDateTime, true),
        F::ConvertsToTime => (F::ToTime, true),
        F::ConvertsToQuantity => (F::ToQuantity, true),
        other => (other, false),
    };
    if target == F::ToString && !asks {
        return match to_text(item) {
            Some(text) => made_string(invocation.engine, text, invocation.what),
            None => Ok(Vec::new()),
        };
    }
    let converted = match target {
        F::ToBoolean => to_boolean(item).map(Item::boolean),
        F::ToInteger => to_integer(item).map(Item::integer),
        F::ToDecimal => to_decimal(item).map(Item::decimal),
        F::ToDate => to_temporal(item).and_then(|value| value.date()).map(Item::temporal),
        F::ToDateTime => to_temporal(item).and_then(|value| value.as_date_time()).map(Item::temporal),
        F::ToTime => to_time(item).map(Item::temporal),
        F::ToQuantity => to_quantity(item).map(Item::quantity),
        _ => to_text(item).map(Item::string),
    };
    Ok(if asks { vec![Item::boolean(converted.is_some())] } else { converted.into_iter().collect() })
}

/// The text of a primitive. A date of the resource keeps the spelling that it has there.
pub(crate) fn to_text(item: &Item<'_>) -> Option<String> {
    if let Some(text) = item.as_str() {
        return Some(text.to_owned());
    }
    Some(match item.scalar() {
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Decimal(value) => value.to_string(),
        Scalar::Huge(value) => value.to_string(),
        Scalar::Temporal(value) => value.to_string(),
        Scalar::Quantity(value) => value.to_string(),
        Scalar::String(_) | Scalar::Complex(_) | Scalar::Nothing => return None,
    })
}

fn to_boolean(item: &Item<'_>) -> Option<bool> {
    match item.scalar() {
        Scalar::Boolean(value) => Some(value),
        Scalar::String(text) => match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        other => match other.number()?.to_integer()? {
            1 => Some(true),
            0 => Some(false),
            _ => None,
        },
    }
}

fn to_integer(item: &Item<'_>) -> Option<i64> {
    match item.scalar() {
        Scalar::Integer(value) => Some(value),
        Scalar::Boolean(value) => Some(i64::from(value)),
        Scalar::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn to_decimal(item: &Item<'_>) -> Option<Decimal> {
    match item.scalar() {
        Scalar::Boolean(value) => Some(Decimal::from(i64::from(value))),
        Scalar::String(text) if !text.contains(['e', 'E']) => Decimal::parse(text),
        other => other.number(),
    }
}

fn to_temporal(item: &Item<'_>) -> Option<Temporal> {
    match item.scalar() {
        Scalar::Temporal(value) if value.kind != Kind::Time => Some(value),
        Scalar::String(text) => Temporal::parse(text),
        _ => None,
    }
}

fn to_time(item: &Item<'_>) -> Option<Temporal> {
    match item.scalar() {
        Scalar::Temporal(value) if value.kind == Kind::Time => Some(value),
        Scalar::Temporal(value) => value.time_of_day(),
        Scalar::String(text) => Temporal::parse_time(text.strip_prefix('T').unwrap_or(text)),
        _ => None,
    }
}

fn to_quantity(item: &Item<'_>) -> Option<Quantity> {
    match item.scalar() {
        Scalar::Quantity(value) => Some(value),
        Scalar::String(text) => Quantity::parse(text),
        Scalar::Boolean(_) => to_decimal(item).map(plain),
        other => other.number().map(plain),
    }
}

fn plain(value: Decimal) -> Quantity {
    Quantity { value, unit: "1".to_owned() }
}
