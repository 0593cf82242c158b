//! Existence (FHIRPath §5.1).

use super::Invocation;
use crate::Item;
use crate::error::EvalError;
use crate::eval::Outcome;
use crate::function::Function;
use crate::operators;

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    Ok(vec![match invocation.call.function {
        Function::Empty => Item::boolean(input.is_empty()),
        Function::Count => Item::count(input.len()),
        Function::Exists => Item::boolean(exists(invocation, input)?),
        Function::All => Item::boolean(all(invocation, input)?),
        Function::AllTrue => Item::boolean(booleans(invocation, input)?.iter().all(|value| *value)),
        Function::AnyTrue => Item::boolean(booleans(invocation, input)?.iter().any(|value| *value)),
        Function::AllFalse => Item::boolean(booleans(invocation, input)?.iter().all(|value| !*value)),
        Function::AnyFalse => Item::boolean(booleans(invocation, input)?.iter().any(|value| !*value)),
        Function::Not => return operators::not(input),
        _ => {
            return match &invocation.call.type_name {
                Some(name) => invocation.engine.is(input, name),
                None => Ok(Vec::new()),
            };
        }
    }])
}

fn exists<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Result<bool, EvalError> {
    let Ok(criterion) = invocation.expr(0) else {
        return Ok(!input.is_empty());
    };
    for (index, item) in input.iter().enumerate() {
        if invocation.holds(criterion, item, index)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Result<bool, EvalError> {
    let criterion = invocation.expr(0)?;
    for (index, item) in input.iter().enumerate() {
        if invocation.holds(criterion, item, index)? != Some(true) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn booleans(invocation: &Invocation<'_, '_, '_>, input: &[Item<'_>]) -> Result<Vec<bool>, EvalError> {
    input
        .iter()
        .filter(|item| item.has_value())
        .map(|item| {
            item.as_bool().ok_or(EvalError::WrongType {
                what: invocation.what,
                needs: "booleans; for a condition write all(…) or exists(…)",
            })
        })
        .collect()
}
