//! The right form, built from what was given, for the slips that are usual.

mod object;
mod primitive;
mod unknown;

use serde_json::{Value, json};

use super::binding;
use super::fault::clipped;
use crate::did_you_mean::capitalized;
use crate::forms;
use crate::{Definitions, Element, Strength, TypeInfo, TypeKind};
pub(super) use object::{reference_text, wrong_shape};
pub(crate) use primitive::day_from;
pub(super) use primitive::primitive;
pub(super) use unknown::unknown_element;

/// Longer forms are not written out.
const LONGEST_FORM: usize = 300;

/// What a JSON value is, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value as it was given, short.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => json!(clipped(text)).to_string(),
        other => clipped(&other.to_string()),
    }
}

fn written(value: &Value) -> Option<String> {
    let text = value.to_string();
    (text.len() <= LONGEST_FORM).then_some(text)
}

/// `a CodeableConcept`, `an Identifier`.
fn article(name: &str) -> String {
    let vowel = name.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// `1`, `1 or more`, `at most 5`.
pub(super) fn how_many(element: &Element) -> String {
    match (element.min, element.max) {
        (0, max) => format!("at most {max}"),
        (min, u32::MAX) => format!("{min} or more"),
        (min, max) if min == max => format!("{min}"),
        (min, max) => format!("{min} to {max}"),
    }
}

/// A list where one value belongs.
pub(super) fn single(items: &[Value]) -> String {
    match items {
        [one] => match written(one) {
            Some(form) => format!("is a list; needs one value: {form}"),
            None => "is a list; needs one value. Take the brackets away.".to_owned(),
        },
        _ => format!("is a list of {}; needs one value", items.len()),
    }
}

/// One value where a list belongs.
pub(super) fn list(one: &Value) -> String {
    match written(one) {
        Some(form) => format!("is {}; needs a list: [{form}]", kind_of(one)),
        None => format!("is {}; needs a list. Put it into brackets: [ … ]", kind_of(one)),
    }
}

/// What a required element must be.
pub(super) fn required(defs: &Definitions, element: &Element) -> String {
    let types = defs.types_of(element);
    let Some(of) = types.first() else { return "required.".to_owned() };
    let bound = element.binding.filter(|b| b.strength == Strength::Required).and_then(|b| defs.bound_set(&b).copied());
    if let Some(set) = bound.filter(|s| s.closed && of.name == "code") {
        return format!("required. One of {}", binding::listed(defs, &set));
    }
    let example = forms::example_for(defs, of, element.binding.as_ref());
    if element.choice {
        let names: Vec<String> = defs.json_names(element);
        let example = example
            .map_or_else(String::new, |e| format!(", e.g. \"{}\":{e}", names.first().map_or("", String::as_str)));
        return format!("required. One of {}{example}", names.join(" | "));
    }
    let nested = defs.resolve(of).filter(|t| t.kind == TypeKind::Nested);
    let what = nested.map_or_else(|| article(of.name), |t| format!("an object with {}", required_names(defs, t)));
    let (open, close) = if element.array { ("[", "]") } else { ("", "") };
    let example = example.map_or_else(String::new, |e| format!(", e.g. {open}{e}{close}"));
    let many = if element.array { "A list: " } else { "" };
    format!("required. {many}{}{example}", if many.is_empty() { capitalized(&what) } else { what })
}

/// The elements that an object of this type must have; all if none must be there.
fn required_names(defs: &Definitions, info: &TypeInfo) -> String {
    let own = defs.own_elements(info);
    let must: Vec<&str> = own.iter().filter(|e| e.min > 0).map(|e| e.name).collect();
    if must.is_empty() { own.iter().map(|e| e.name).collect::<Vec<_>>().join(", ") } else { must.join(", ") }
}
