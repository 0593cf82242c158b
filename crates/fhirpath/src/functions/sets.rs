//! Collections as sets (FHIRPath §5.1.9 to 5.1.12, §5.3.8 to 5.4).

use std::collections::HashSet;

use super::Invocation;
use crate::Item;
use crate::compare::same;
use crate::error::EvalError;
use crate::eval::{Collection, Engine, Outcome};
use crate::function::Function;

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, mut input: Collection<'a>) -> Outcome<'a> {
    let engine = invocation.engine;
    let other = invocation.argument(0)?;
    let answer = |value| Ok(vec![Item::boolean(value)]);
    match invocation.call.function {
        Function::Distinct => distinct(engine, input),
        Function::IsDistinct => {
            let count = input.len();
            answer(distinct(engine, input)?.len() == count)
        }
        Function::Union => {
            engine.charge(other.len())?;
            input.extend(other);
            distinct(engine, input)
        }
        Function::Combine => {
            engine.charge(input.len() + other.len())?;
            input.extend(other);
            Ok(input)
        }
        Function::Intersect => {
            let mut both = Vec::new();
            for item in distinct(engine, input)? {
                if contains(engine, &other, &item)? {
                    both.push(item);
                }
            }
            Ok(both)
        }
        Function::Exclude => {
            let mut rest = Vec::new();
            for item in input {
                if !contains(engine, &other, &item)? {
                    rest.push(item);
                }
            }
            Ok(rest)
        }
        Function::SubsetOf => answer(is_subset(engine, &input, &other)?),
        _ => answer(is_subset(engine, &other, &input)?),
    }
}

fn contains<'a>(engine: &Engine<'a, '_>, list: &[Item<'a>], wanted: &Item<'a>) -> Result<bool, EvalError> {
    engine.charge(list.len())?;
    Ok(list.iter().any(|item| same(item, wanted)))
}

fn is_subset<'a>(engine: &Engine<'a, '_>, part: &[Item<'a>], whole: &[Item<'a>]) -> Result<bool, EvalError> {
    for item in part {
        if !contains(engine, whole, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Each value once, in the order of their first places.
pub(crate) fn distinct<'a>(engine: &Engine<'a, '_>, mut values: Collection<'a>) -> Outcome<'a> {
    if values.len() < 2 {
        return Ok(values);
    }
    engine.charge(values.len())?;
    if values.len() > 8 && values.iter().all(|item| item.as_str().is_some() && !is_temporal(item)) {
        keep_first_strings(&mut values);
        return Ok(values);
    }
    let mut kept: Collection<'a> = Vec::with_capacity(values.len());
    for item in values {
        if !contains(engine, &kept, &item)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

/// Two dates may be one in two spellings, so they are not compared as strings.
fn is_temporal(item: &Item<'_>) -> bool {
    item.declared.is_some_and(crate::types::is_temporal)
}

/// Many strings, as the ids of a large resource, in linear time.
fn keep_first_strings(values: &mut Collection<'_>) {
    let keep: Vec<bool> = {
        let mut seen = HashSet::with_capacity(values.len());
        values.iter().map(|item| seen.insert(item.as_str())).collect()
    };
    let mut keep = keep.into_iter();
    values.retain(|_| keep.next().unwrap_or(true));
}
