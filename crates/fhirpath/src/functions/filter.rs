//! Filtering, projection and subsetting (FHIRPath §5.2, §5.3).

use super::Invocation;
use crate::compare;
use crate::eval::{Collection, Outcome, single};
use crate::function::Function;
use crate::operators::integer;

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, mut input: Collection<'a>) -> Outcome<'a> {
    match invocation.call.function {
        Function::Where => keep_where(invocation, input),
        Function::Select => select(invocation, &input),
        Function::Repeat => repeat(invocation, input),
        Function::OfType | Function::As => Ok(match &invocation.call.type_name {
            Some(name) => invocation.engine.of_type(input, name),
            None => Vec::new(),
        }),
        Function::Single => {
            single(&input, invocation.what)?;
            Ok(input)
        }
        Function::First => {
            input.truncate(1);
            Ok(input)
        }
        Function::Last => Ok(input.pop().into_iter().collect()),
        Function::Tail => Ok(without_first(input, 1)),
        Function::Skip => {
            let count = integer(&invocation.argument(0)?, invocation.what)?.unwrap_or_default();
            Ok(without_first(input, count))
        }
        _ => {
            let count = integer(&invocation.argument(0)?, invocation.what)?.unwrap_or_default();
            input.truncate(usize::try_from(count).unwrap_or_default());
            Ok(input)
        }
    }
}

fn without_first(mut input: Collection<'_>, count: i64) -> Collection<'_> {
    let count = usize::try_from(count).unwrap_or_default().min(input.len());
    input.drain(..count);
    input
}

fn keep_where<'a>(invocation: &Invocation<'_, 'a, '_>, input: Collection<'a>) -> Outcome<'a> {
    let criterion = invocation.expr(0)?;
    let mut kept = Vec::new();
    for (index, item) in input.into_iter().enumerate() {
        if invocation.holds(criterion, &item, index)? == Some(true) {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn select<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[crate::Item<'a>]) -> Outcome<'a> {
    let projection = invocation.expr(0)?;
    let mut selected = Vec::new();
    for (index, item) in input.iter().enumerate() {
        let values = invocation.engine.eval(projection, &invocation.scope.item(item, index))?;
        invocation.engine.charge(values.len())?;
        selected.extend(values);
    }
    Ok(selected)
}

/// The projection of the input, the projection of that, and so on, each value once (§5.2.3).
fn repeat<'a>(invocation: &Invocation<'_, 'a, '_>, input: Collection<'a>) -> Outcome<'a> {
    let projection = invocation.expr(0)?;
    let mut found: Collection<'a> = Vec::new();
    let mut queue = input;
    while !queue.is_empty() {
        let mut next = Vec::new();
        for (index, item) in queue.iter().enumerate() {
            for value in invocation.engine.eval(projection, &invocation.scope.item(item, index))? {
                invocation.engine.charge(1 + found.len())?;
                if !found.iter().any(|known| compare::same(known, &value)) {
                    found.push(value.clone());
                    next.push(value);
                }
            }
        }
        queue = next;
    }
    Ok(found)
}
