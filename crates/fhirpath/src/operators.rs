//! Operators (FHIRPath §6).

use std::cmp::Ordering;

use crate::ast::{BinaryOp, Expr, Literal};
use crate::compare;
use crate::error::EvalError;
use crate::eval::{Engine, Outcome, Scope, single, truth};
use crate::item::{Item, Scalar};
use crate::quantity::Quantity;

pub(crate) fn answer<'a>(value: Option<bool>) -> Vec<Item<'a>> {
    value.map(Item::boolean).into_iter().collect()
}

pub(crate) fn binary<'a>(
    engine: &Engine<'a, '_>,
    op: BinaryOp,
    left: &'a Expr,
    right: &'a Expr,
    scope: &Scope<'_, 'a>,
) -> Outcome<'a> {
    use BinaryOp as Op;
    match op {
        Op::And | Op::Or | Op::Xor | Op::Implies => return logic(engine, op, left, right, scope),
        Op::Equal | Op::NotEqual => {
            let equal = equality(engine, left, right, scope)?;
            return Ok(answer(equal.map(|equal| equal == (op == Op::Equal))));
        }
        _ => {}
    }
    let left = engine.eval(left, scope)?;
    let right = engine.eval(right, scope)?;
    match op {
        Op::Equivalent | Op::NotEquivalent => {
            engine.charge(left.len().saturating_mul(right.len()))?;
            let equivalent = compare::equivalent_collections(&left, &right);
            Ok(answer(Some(equivalent == (op == Op::Equivalent))))
        }
        Op::In => membership(engine, &left, &right, "in"),
        Op::Contains => membership(engine, &right, &left, "contains"),
        Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => inequality(op, &left, &right),
        Op::Concatenate => concatenate(engine, &left, &right),
        _ => arithmetic(engine, op, &left, &right),
    }
}

/// `=`. The commonest comparison by far, a path with a string, is done without making an item of the string.
fn equality<'a>(
    engine: &Engine<'a, '_>,
    left: &'a Expr,
    right: &'a Expr,
    scope: &Scope<'_, 'a>,
) -> Result<Option<bool>, EvalError> {
    let left = engine.eval(left, scope)?;
    if let (Expr::Literal(Literal::String(wanted)), [only]) = (right, left.as_slice())
        && only.declared.is_none()
        && let Some(text) = only.as_str()
    {
        return Ok(Some(text == wanted));
    }
    let right = engine.eval(right, scope)?;
    engine.charge(left.len())?;
    Ok(compare::equal_collections(&left, &right))
}

/// Three-valued logic (§6.5). The right side is not evaluated where the left one decides.
fn logic<'a>(
    engine: &Engine<'a, '_>,
    op: BinaryOp,
    left: &'a Expr,
    right: &'a Expr,
    scope: &Scope<'_, 'a>,
) -> Outcome<'a> {
    let what = op.symbol();
    let left = engine.condition(left, scope, what)?;
    let right = |engine: &Engine<'a, '_>| engine.condition(right, scope, what);
    Ok(answer(match (op, left) {
        (BinaryOp::And, Some(false)) => Some(false),
        (BinaryOp::Or, Some(true)) => Some(true),
        (BinaryOp::Implies, Some(false)) => Some(true),
        (BinaryOp::And, Some(true)) | (BinaryOp::Or, Some(false)) | (BinaryOp::Implies, Some(true)) => right(engine)?,
        (BinaryOp::And, None) => right(engine)?.filter(|right| !right),
        (BinaryOp::Or | BinaryOp::Implies, None) => right(engine)?.filter(|right| *right),
        (_, left) => match (left, right(engine)?) {
            (Some(left), Some(right)) => Some(left != right),
            _ => None,
        },
    }))
}

/// `value in list` (§6.4.2).
fn membership<'a>(engine: &Engine<'a, '_>, value: &[Item<'a>], list: &[Item<'a>], what: &'static str) -> Outcome<'a> {
    let Some(value) = single(value, what)? else {
        return Ok(Vec::new());
    };
    engine.charge(list.len())?;
    Ok(answer(Some(list.iter().any(|item| compare::same(item, value)))))
}

fn inequality<'a>(op: BinaryOp, left: &[Item<'a>], right: &[Item<'a>]) -> Outcome<'a> {
    let what = op.symbol();
    let (Some(left), Some(right)) = (single(left, what)?, single(right, what)?) else {
        return Ok(Vec::new());
    };
    let order = compare::order(left, right, what)?;
    Ok(answer(order.map(|order| match op {
        BinaryOp::Less => order == Ordering::Less,
        BinaryOp::LessOrEqual => order != Ordering::Greater,
        BinaryOp::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })))
}

/// `&`: an absent side is an empty string (§6.6.7).
fn concatenate<'a>(engine: &Engine<'a, '_>, left: &[Item<'a>], right: &[Item<'a>]) -> Outcome<'a> {
    let text = |side: &[Item<'a>]| match single(side, "&")? {
        Some(item) => text_of(item, "&"),
        None => Ok(String::new()),
    };
    let joined = text(left)? + &text(right)?;
    made_string(engine, joined, "&")
}

/// The text of a string, and of a date, which in JSON is one; of a number and a boolean its text as well, as that
/// is what a writer of `'room ' & number` means.
fn text_of(item: &Item<'_>, what: &'static str) -> Result<String, EvalError> {
    crate::functions::convert::to_text(item).ok_or(EvalError::WrongType { what, needs: "strings" })
}

/// A computed string, paid for and not too long.
pub(crate) fn made_string<'a>(engine: &Engine<'a, '_>, text: String, what: &'static str) -> Outcome<'a> {
    const LONGEST: usize = 1 << 20;
    if text.len() > LONGEST {
        return Err(EvalError::TooLong { what });
    }
    engine.charge(text.len() / 8)?;
    Ok(vec![Item::string(text)])
}

fn arithmetic<'a>(engine: &Engine<'a, '_>, op: BinaryOp, left: &[Item<'a>], right: &[Item<'a>]) -> Outcome<'a> {
    let what = op.symbol();
    let (Some(left), Some(right)) = (single(left, what)?, single(right, what)?) else {
        return Ok(Vec::new());
    };
    match (op, left.scalar(), right.scalar()) {
        (_, Scalar::Nothing, _) | (_, _, Scalar::Nothing) => Ok(Vec::new()),
        (BinaryOp::Add, Scalar::String(left), Scalar::String(right)) => {
            made_string(engine, format!("{left}{right}"), what)
        }
        (BinaryOp::Add, Scalar::Temporal(date), Scalar::Quantity(by)) => shifted(date, &by, 1),
        (BinaryOp::Subtract, Scalar::Temporal(date), Scalar::Quantity(by)) => shifted(date, &by, -1),
        (op, Scalar::String(text), Scalar::Quantity(by)) if matches!(op, BinaryOp::Add | BinaryOp::Subtract) => {
            // Without a model a date is but a string.
            match crate::temporal::Temporal::parse(text) {
                Some(date) => shifted(date, &by, if op == BinaryOp::Add { 1 } else { -1 }),
                None => Err(wrong_operands(what)),
            }
        }
        (_, Scalar::Quantity(left), Scalar::Quantity(right)) => quantities(op, &left, &right),
        (_, left, right) => match (left.number(), right.number()) {
            (Some(_), Some(_)) => Ok(numbers(op, &left, &right).into_iter().collect()),
            _ if op == BinaryOp::Subtract && is_date(&left) && is_date(&right) => Err(EvalError::DateDifference),
            _ => Err(wrong_operands(what)),
        },
    }
}

/// Without a model a date is but a string.
fn is_date(value: &Scalar<'_>) -> bool {
    match value {
        Scalar::Temporal(_) => true,
        Scalar::String(text) => crate::temporal::Temporal::parse(text).is_some(),
        _ => false,
    }
}

fn wrong_operands(what: &'static str) -> EvalError {
    EvalError::WrongType {
        what,
        needs: "two numbers (or, for + and -, a date and a quantity such as 2 years; for +, two strings)",
    }
}

/// What overflows, or is divided by zero, has no answer (§6.6).
fn numbers<'a>(op: BinaryOp, left: &Scalar<'_>, right: &Scalar<'_>) -> Option<Item<'a>> {
    if let (Scalar::Integer(left), Scalar::Integer(right)) = (left, right) {
        let whole = match op {
            BinaryOp::Multiply => left.checked_mul(*right),
            BinaryOp::Add => left.checked_add(*right),
            BinaryOp::Subtract => left.checked_sub(*right),
            BinaryOp::Div => left.checked_div(*right),
            BinaryOp::Mod => left.checked_rem(*right),
            _ => return left_over(op, (*left).into(), (*right).into()).map(Item::decimal),
        };
        return whole.map(Item::integer);
    }
    let value = left_over(op, left.number()?, right.number()?)?;
    Some(match value.to_integer() {
        Some(whole) if op == BinaryOp::Div => Item::integer(whole),
        _ => Item::decimal(value),
    })
}

fn left_over(
    op: BinaryOp,
    left: crate::decimal::Decimal,
    right: crate::decimal::Decimal,
) -> Option<crate::decimal::Decimal> {
    match op {
        BinaryOp::Multiply => left.times(right),
        BinaryOp::Divide => left.divided_by(right),
        BinaryOp::Div => left.whole_quotient(right),
        BinaryOp::Mod => left.remainder(right),
        BinaryOp::Add => left.plus(right),
        BinaryOp::Subtract => left.minus(right),
        _ => None,
    }
}

/// Quantities of one unit add up; nothing else is done with them.
fn quantities<'a>(op: BinaryOp, left: &Quantity, right: &Quantity) -> Outcome<'a> {
    if !matches!(op, BinaryOp::Add | BinaryOp::Subtract) {
        return Err(wrong_operands(op.symbol()));
    }
    if !left.same_unit(right) {
        return Ok(Vec::new());
    }
    Ok(left_over(op, left.value, right.value)
        .map(|value| Item::quantity(Quantity { value, unit: left.unit.clone() }))
        .into_iter()
        .collect())
}

/// A date some calendar units later or earlier (§6.7).
fn shifted<'a>(date: crate::temporal::Temporal, by: &Quantity, sign: i64) -> Outcome<'a> {
    let Some(unit) = by.calendar() else {
        return Err(EvalError::WrongType {
            what: "arithmetic with a date",
            needs: "a calendar unit: years, months, weeks, days, hours, minutes, seconds",
        });
    };
    let amount = by.value.truncated().to_integer().and_then(|amount| amount.checked_mul(sign));
    Ok(amount.and_then(|amount| date.plus(amount, unit)).map(Item::temporal).into_iter().collect())
}

/// `-x` and `+x` (§6.6).
pub(crate) fn sign(values: Vec<Item<'_>>, negative: bool) -> Outcome<'_> {
    let what = if negative { "-" } else { "+" };
    let Some(item) = single(&values, what)? else {
        return Ok(Vec::new());
    };
    let negated = match item.scalar() {
        Scalar::Integer(value) => value.checked_neg().map(Item::integer),
        Scalar::Decimal(value) => Some(Item::decimal(value.negated())),
        Scalar::Quantity(quantity) => Some(Item::quantity(Quantity { value: quantity.value.negated(), ..quantity })),
        Scalar::Nothing => None,
        _ => {
            return Err(EvalError::WrongType { what, needs: "a number" });
        }
    };
    Ok(if negative { negated.into_iter().collect() } else { values })
}

/// The only value, as an integer.
pub(crate) fn integer(values: &[Item<'_>], what: &'static str) -> Result<Option<i64>, EvalError> {
    let Some(item) = single(values, what)? else {
        return Ok(None);
    };
    match item.scalar() {
        Scalar::Integer(value) => Ok(Some(value)),
        Scalar::Nothing => Ok(None),
        _ => Err(EvalError::WrongType { what, needs: "an integer" }),
    }
}

/// The logical inverse, unknown staying unknown (§6.5.3).
pub(crate) fn not<'a>(values: &[Item<'a>]) -> Outcome<'a> {
    Ok(answer(truth(values, "not()")?.map(|value| !value)))
}
