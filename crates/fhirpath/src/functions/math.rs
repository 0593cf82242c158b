//! Mathematics (FHIRPath §5.7), and aggregates (§7, trial use).

use std::cmp::Ordering;

use super::Invocation;
use crate::Item;
use crate::compare;
use crate::decimal::Decimal;
use crate::error::EvalError;
use crate::eval::{Collection, Outcome, Scope, single};
use crate::function::Function;
use crate::item::Scalar;
use crate::operators::integer;
use crate::quantity::Quantity;

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, input: Collection<'a>) -> Outcome<'a> {
    match invocation.call.function {
        Function::Sum | Function::Avg => total(invocation, &input),
        Function::Min => extreme(invocation, input, Ordering::Less),
        Function::Max => extreme(invocation, input, Ordering::Greater),
        Function::Aggregate => aggregate(invocation, &input),
        _ => of_number(invocation, &input),
    }
}

fn of_number<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let Some(item) = single(input, invocation.what)? else {
        return Ok(Vec::new());
    };
    let scalar = item.scalar();
    if let (Function::Abs, Scalar::Quantity(quantity)) = (invocation.call.function, &scalar) {
        let value = quantity.value.abs();
        let unit = quantity.unit.clone();
        return Ok(vec![Item::quantity(Quantity { value, unit })]);
    }
    if matches!(scalar, Scalar::Nothing) {
        return Ok(Vec::new());
    }
    let Some(number) = scalar.number() else {
        return Err(EvalError::WrongType { what: invocation.what, needs: "a number" });
    };
    let whole = |value: Decimal| value.to_integer().map(Item::integer);
    let result = match invocation.call.function {
        Function::Abs => match scalar {
            Scalar::Integer(value) => value.checked_abs().map(Item::integer),
            _ => Some(Item::decimal(number.abs())),
        },
        Function::Ceiling => whole(number.ceiling()),
        Function::Floor => whole(number.floor()),
        Function::Truncate => whole(number.truncated()),
        _ => {
            let digits = integer(&invocation.argument(0)?, invocation.what)?.unwrap_or_default();
            let Ok(digits) = u32::try_from(digits) else {
                return Err(EvalError::WrongType {
                    what: invocation.what,
                    needs: "a number of digits that is not negative",
                });
            };
            Some(Item::decimal(number.rounded(digits)))
        }
    };
    Ok(result.into_iter().collect())
}

/// The sum, and divided by their number the mean. A list of nothing has neither.
fn total<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let mut count = 0_i64;
    let mut sum = Decimal::from(0);
    for item in input.iter().filter(|item| item.has_value()) {
        invocation.engine.charge(1)?;
        let Some(number) = item.scalar().number() else {
            return Err(EvalError::WrongType {
                what: invocation.what,
                needs: "numbers; of a quantity take its value: valueQuantity.value",
            });
        };
        let Some(larger) = sum.plus(number) else {
            return Ok(Vec::new());
        };
        sum = larger;
        count += 1;
    }
    let result = match invocation.call.function {
        _ if count == 0 => None,
        Function::Sum => Some(sum),
        _ => sum.divided_by(Decimal::from(count)),
    };
    Ok(result.map(number_item).into_iter().collect())
}

fn number_item<'a>(value: Decimal) -> Item<'a> {
    match value.to_integer() {
        Some(whole) => Item::integer(whole),
        None => Item::decimal(value),
    }
}

/// The smallest or the largest of numbers, strings, dates.
fn extreme<'a>(invocation: &Invocation<'_, 'a, '_>, input: Collection<'a>, wanted: Ordering) -> Outcome<'a> {
    let mut values = input.into_iter().filter(Item::has_value);
    let Some(mut best) = values.next() else {
        return Ok(Vec::new());
    };
    for item in values {
        invocation.engine.charge(1)?;
        match compare::order(&item, &best, invocation.what)? {
            Some(order) if order == wanted => best = item,
            Some(_) => {}
            // Which one is smaller is not known, so the smallest is not.
            None => return Ok(Vec::new()),
        }
    }
    Ok(vec![best])
}

fn aggregate<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let step = invocation.expr(0)?;
    let mut total = invocation.argument(1)?;
    for (index, item) in input.iter().enumerate() {
        let scope = Scope { this: std::slice::from_ref(item), index: Some(index), total: &total };
        let next = invocation.engine.eval(step, &scope)?;
        invocation.engine.charge(next.len())?;
        total = next;
    }
    Ok(total)
}
