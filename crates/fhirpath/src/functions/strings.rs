//! Strings (FHIRPath §5.6). Places and lengths are counted in characters.

use std::borrow::Cow;
use std::sync::Arc;

use super::Invocation;
use crate::Item;
use crate::error::EvalError;
use crate::eval::{Outcome, single};
use crate::function::Function;
use crate::operators::{integer, made_string};
use crate::regex::{Compiled, compile};

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let what = invocation.what;
    if invocation.call.function == Function::Join {
        return join(invocation, input);
    }
    let Some(text) = text(input, what)? else {
        return Ok(Vec::new());
    };
    invocation.engine.charge(text.len() / 64)?;
    let text = text.as_ref();
    match invocation.call.function {
        Function::Upper => made_string(invocation.engine, text.to_uppercase(), what),
        Function::Lower => made_string(invocation.engine, text.to_lowercase(), what),
        Function::Trim => made_string(invocation.engine, text.trim().to_owned(), what),
        Function::Length => Ok(vec![Item::count(text.chars().count())]),
        Function::ToChars => {
            invocation.engine.charge(text.len())?;
            Ok(text.chars().map(|letter| Item::string(letter.to_string())).collect())
        }
        Function::Substring => substring(invocation, text),
        Function::Replace => replace(invocation, text),
        Function::Matches | Function::MatchesFull => matches(invocation, text),
        Function::ReplaceMatches => replace_matches(invocation, text),
        _ => with_argument(invocation, text),
    }
}

/// The only value, as text; empty where there is none.
fn text<'s>(values: &'s [Item<'_>], what: &'static str) -> Result<Option<Cow<'s, str>>, EvalError> {
    let Some(item) = single(values, what)? else {
        return Ok(None);
    };
    if !item.has_value() {
        return Ok(None);
    }
    match item.as_str() {
        Some(text) => Ok(Some(Cow::Borrowed(text))),
        None => match super::convert::to_text(item) {
            Some(text) => Ok(Some(Cow::Owned(text))),
            None => Err(EvalError::WrongType { what, needs: "a string" }),
        },
    }
}

/// The functions of a string and another.
fn with_argument<'a>(invocation: &Invocation<'_, 'a, '_>, input: &str) -> Outcome<'a> {
    let argument = invocation.argument(0)?;
    let Some(other) = text(&argument, invocation.what)? else {
        return Ok(Vec::new());
    };
    let other = other.as_ref();
    let place = |at: Option<usize>| match at.and_then(|at| input.get(..at)) {
        Some(before) => Item::count(before.chars().count()),
        None => Item::integer(-1),
    };
    Ok(vec![match invocation.call.function {
        Function::StartsWith => Item::boolean(input.starts_with(other)),
        Function::EndsWith => Item::boolean(input.ends_with(other)),
        Function::Contains => Item::boolean(input.contains(other)),
        Function::IndexOf => place(input.find(other)),
        Function::LastIndexOf => place(input.rfind(other)),
        _ => {
            invocation.engine.charge(input.len())?;
            let parts = input.split(other).filter(|part| !other.is_empty() || !part.is_empty());
            return Ok(parts.map(|part| Item::string(part.to_owned())).collect());
        }
    }])
}

fn substring<'a>(invocation: &Invocation<'_, 'a, '_>, input: &str) -> Outcome<'a> {
    let start = integer(&invocation.argument(0)?, invocation.what)?;
    let length = integer(&invocation.argument(1)?, invocation.what)?;
    let Some(start) = start.and_then(|start| usize::try_from(start).ok()) else {
        return Ok(Vec::new());
    };
    let rest: String = input.chars().skip(start).collect();
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let part = match length {
        Some(length) => rest.chars().take(usize::try_from(length).unwrap_or_default()).collect(),
        None => rest,
    };
    made_string(invocation.engine, part, invocation.what)
}

fn replace<'a>(invocation: &Invocation<'_, 'a, '_>, input: &str) -> Outcome<'a> {
    let (pattern, by) = (invocation.argument(0)?, invocation.argument(1)?);
    let (Some(pattern), Some(by)) = (text(&pattern, invocation.what)?, text(&by, invocation.what)?) else {
        return Ok(Vec::new());
    };
    pay_for_growth(invocation, input, &by)?;
    made_string(invocation.engine, input.replace(pattern.as_ref(), &by), invocation.what)
}

/// The longest that replacing could make of it, refused before it is made.
fn pay_for_growth(invocation: &Invocation<'_, '_, '_>, input: &str, by: &str) -> Result<(), EvalError> {
    invocation.engine.charge((input.len() + 1).saturating_mul(by.len()) / 64)
}

fn matches<'a>(invocation: &Invocation<'_, 'a, '_>, input: &str) -> Outcome<'a> {
    let Some(pattern) = pattern(invocation)? else {
        return Ok(Vec::new());
    };
    invocation.engine.charge(pattern.cost(input))?;
    Ok(vec![Item::boolean(pattern.regex.is_match(input))])
}

fn replace_matches<'a>(invocation: &Invocation<'_, 'a, '_>, input: &str) -> Outcome<'a> {
    let by = invocation.argument(1)?;
    let (Some(pattern), Some(by)) = (pattern(invocation)?, text(&by, invocation.what)?) else {
        return Ok(Vec::new());
    };
    invocation.engine.charge(pattern.cost(input))?;
    // A replacement may name groups, each as long as the input.
    let groups = by.matches('$').count();
    pay_for_growth(invocation, input, &by)?;
    invocation.engine.charge(input.len().saturating_mul(groups).saturating_mul(input.len()) / 64)?;
    made_string(invocation.engine, pattern.regex.replace_all(input, by.as_ref()).into_owned(), invocation.what)
}

/// The regular expression: compiled when parsing if it was a literal.
fn pattern(invocation: &Invocation<'_, '_, '_>) -> Result<Option<Arc<Compiled>>, EvalError> {
    if let Some(compiled) = &invocation.call.pattern.0 {
        return Ok(Some(Arc::clone(compiled)));
    }
    let argument = invocation.argument(0)?;
    let Some(text) = text(&argument, invocation.what)? else {
        return Ok(None);
    };
    // Compiling costs far more than a step, and repetition more than its text tells.
    invocation.engine.charge(5_000 + text.len())?;
    let full = invocation.call.function == Function::MatchesFull;
    match compile(&text, full) {
        Ok(pattern) => Ok(Some(Arc::new(pattern))),
        Err(reason) => Err(EvalError::BadPattern { what: invocation.what, reason }),
    }
}

/// All strings as one (§5.6.14, trial use).
fn join<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let separator = invocation.argument(0)?;
    let separator = text(&separator, invocation.what)?.unwrap_or_default();
    let mut joined = String::new();
    let mut first = true;
    for item in input.iter().filter(|item| item.has_value()) {
        if !first {
            joined.push_str(&separator);
        }
        first = false;
        let part = text(std::slice::from_ref(item), invocation.what)?.unwrap_or_default();
        invocation.engine.charge((part.len() + separator.len()) / 8)?;
        joined.push_str(&part);
    }
    if first {
        return Ok(Vec::new());
    }
    made_string(invocation.engine, joined, invocation.what)
}
