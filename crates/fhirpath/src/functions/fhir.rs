//! FHIR's additions to FHIRPath (FHIR R4 §2.9.1.5).

use serde_json::Value;

use super::Invocation;
use crate::Item;
use crate::error::EvalError;
use crate::eval::{Collection, Engine, Outcome, single};
use crate::function::Function;
use crate::item::Data;

pub(super) fn call<'a>(invocation: &Invocation<'_, 'a, '_>, input: Collection<'a>) -> Outcome<'a> {
    match invocation.call.function {
        Function::Extension => extension(invocation, &input),
        Function::HasValue => Ok(vec![Item::boolean(matches!(input.as_slice(), [only] if is_value(only)))]),
        Function::GetValue => Ok(match input.as_slice() {
            [only] if is_value(only) => input,
            _ => Vec::new(),
        }),
        Function::Resolve => resolve(invocation, &input),
        _ => html_checks(invocation, &input),
    }
}

/// A primitive that has a value.
fn is_value(item: &Item<'_>) -> bool {
    match item.data {
        Data::Json(json) => !(json.is_null() || json.is_object() || json.is_array()),
        Data::Unresolved(_) => false,
        _ => true,
    }
}

/// `extension(url)`: short for `extension.where(url = …)`.
fn extension<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let argument = invocation.argument(0)?;
    let Some(url) = single(&argument, invocation.what)?.and_then(Item::as_str) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for item in input {
        invocation.engine.charge(1)?;
        let holder = match item.data {
            Data::Json(json @ Value::Object(_)) => Some(json),
            Data::Json(_) => item.sibling(),
            _ => None,
        };
        let extensions = holder.and_then(|holder| holder.get("extension")).and_then(Value::as_array);
        for extension in extensions.into_iter().flatten() {
            invocation.engine.charge(1)?;
            if extension.get("url").and_then(Value::as_str) == Some(url) {
                found.push(Item::new(extension).with_type("Extension"));
            }
        }
    }
    Ok(found)
}

/// The resources behind references, as far as they are at hand; of the others the type alone, which is what search
/// parameters ask for (`resolve() is Patient`).
fn resolve<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    let mut found = Vec::new();
    for item in input {
        invocation.engine.charge(1)?;
        let (reference, told) = match item.data {
            Data::Json(Value::String(text)) => (Some(text.as_str()), None),
            Data::Json(json) => {
                (json.get("reference").and_then(Value::as_str), json.get("type").and_then(Value::as_str))
            }
            _ => (None, None),
        };
        let target = match reference {
            Some(reference) => at_hand(invocation.engine, reference)?,
            None => None,
        };
        if let Some(resource) = target {
            found.push(Item::new(resource));
        } else if let Some(type_name) = reference.and_then(type_of_reference).or(told) {
            found.push(Item::computed(Data::Unresolved(reference.unwrap_or_default())).with_type(type_name));
        }
    }
    Ok(found)
}

/// A resource that is contained, or that the [`Resolver`](crate::Resolver) knows.
fn at_hand<'a>(engine: &Engine<'a, '_>, reference: &str) -> Result<Option<&'a Value>, EvalError> {
    let Some(id) = reference.strip_prefix('#') else {
        return Ok(engine.context.resolver.and_then(|resolver| resolver.resolve(reference)));
    };
    for container in engine.containers() {
        if id.is_empty() {
            return Ok(Some(container));
        }
        let contained = container.get("contained").and_then(Value::as_array);
        for resource in contained.into_iter().flatten() {
            engine.charge(1)?;
            if resource.get("id").and_then(Value::as_str) == Some(id) {
                return Ok(Some(resource));
            }
        }
    }
    Ok(None)
}

/// `Patient` of `Patient/1`, `https://host/fhir/Patient/1/_history/2` and `Patient?identifier=x`.
fn type_of_reference(reference: &str) -> Option<&str> {
    let name = match reference.split_once('?') {
        Some((path, _)) => path.rsplit('/').next()?,
        None => {
            let path = reference.split_once("/_history/").map_or(reference, |(path, _)| path);
            let (before, id) = path.rsplit_once('/')?;
            if id.is_empty() {
                return None;
            }
            before.rsplit('/').next()?
        }
    };
    let is_type = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|letter| letter.is_ascii_alphanumeric());
    is_type.then_some(name)
}

/// Whether a narrative is one: a `div`, without what FHIR forbids in it (§2.4, "Narrative"). The tags and attributes
/// that could do something are looked for, not every rule of XHTML.
fn html_checks<'a>(invocation: &Invocation<'_, 'a, '_>, input: &[Item<'a>]) -> Outcome<'a> {
    const FORBIDDEN: [&str; 13] = [
        "script", "form", "base", "link", "xlink", "iframe", "frame", "frameset", "object", "embed", "applet", "meta",
        "style",
    ];
    let Some(item) = single(input, invocation.what)? else {
        return Ok(Vec::new());
    };
    let Some(html) = item.as_str() else {
        return Ok(Vec::new());
    };
    invocation.engine.charge(html.len() / 16)?;
    let html = html.trim();
    let mut sound = html.starts_with("<div") && (html.ends_with("</div>") || html.ends_with("/>"));
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default().to_ascii_lowercase();
        let name = tag
            .trim_start_matches('/')
            .split(|letter: char| letter.is_whitespace() || letter == '/')
            .next()
            .unwrap_or_default();
        let handles_events =
            tag.split_whitespace().skip(1).any(|attribute| attribute.starts_with("on") && attribute.contains('='));
        sound &= !FORBIDDEN.contains(&name) && !handles_events && !tag.contains("javascript:");
    }
    Ok(vec![Item::boolean(sound)])
}
