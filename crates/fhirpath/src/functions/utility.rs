//! Choice, tree navigation and the clock (FHIRPath §5.5.1, §5.8, §5.9).

use super::Invocation;
use crate::Item;
use crate::error::EvalError;
use crate::eval::{Collection, Outcome, Scope};
use crate::function::Function;
use crate::temporal::Temporal;

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, input: Collection<'a>) -> Outcome<'a> {
    match invocation.call.function {
        Function::Iif => iif(invocation, &input),
        Function::Children => {
            let mut children = Vec::new();
            for item in &input {
                invocation.engine.children(item, &mut children)?;
            }
            Ok(children)
        }
        Function::Descendants => descendants(invocation, &input),
        // What is traced would be a piece of the record, which has no place in a log: the input goes on, and that is all.
        Function::Trace => Ok(input),
        _ => clock(invocation),
    }
}

/// Only the branch that is taken is evaluated.
fn iif<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let scope = Scope { this: input, ..*invocation.scope };
    let condition = invocation.engine.condition(invocation.expr(0)?, &scope, invocation.what)?;
    let branch = if condition == Some(true) { 1 } else { 2 };
    match invocation.call.arguments.get(branch) {
        Some(expr) => invocation.engine.eval(expr, &scope),
        None => Ok(Vec::new()),
    }
}

/// All below, level by level. A list that is walked while it grows, so the depth of the resource does not matter.
fn descendants<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let mut found = Vec::new();
    for item in input {
        invocation.engine.children(item, &mut found)?;
    }
    let mut at = 0;
    while let Some(item) = found.get(at).cloned() {
        invocation.engine.children(&item, &mut found)?;
        at += 1;
    }
    Ok(found)
}

/// The time comes from outside, so that an evaluation can be repeated.
fn clock<'a>(invocation: &Invocation<'_, 'a, '_>) -> Outcome<'a> {
    let now = invocation
        .engine
        .context
        .now
        .and_then(Temporal::parse)
        .and_then(|now| now.as_date_time())
        .ok_or(EvalError::NoClock { what: invocation.what })?;
    let value = match invocation.call.function {
        Function::Now => Some(now),
        Function::Today => now.date(),
        _ => now.time_of_day(),
    };
    Ok(value.map(Item::temporal).into_iter().collect())
}
