//! Objects built from what was given in their place: a name from its text, a reference from an id.

use serde_json::{Value, json};

use super::{article, kind_of, required_names, written};
use crate::did_you_mean::capitalized;
use crate::forms;
use crate::references::Form;
use crate::validate::clipped;
use crate::validate::primitive;
use crate::{Binding, Definitions, Element, ElementType, TypeKind};

/// The type that a reference is most likely meant for: a patient, where one may stand.
fn likely_target<'a>(defs: &'a Definitions, of: &ElementType) -> &'a str {
    let targets = defs.targets(of);
    targets.iter().find(|t| **t == "Patient").or(targets.iter().find(|t| **t != "Resource")).unwrap_or(&"Patient")
}

/// A value that is not an object where an object, or a list of them, belongs.
pub(in crate::validate) fn wrong_shape(
    defs: &Definitions,
    element: &Element,
    of: &ElementType,
    value: &Value,
    in_list: bool,
) -> String {
    let nested = defs.resolve(of).filter(|t| t.kind == TypeKind::Nested);
    let what = nested.map_or_else(|| article(of.name), |t| format!("an object with {}", required_names(defs, t)));
    let built = object_from(defs, element, of, value).and_then(|v| written(&v));
    let (found, open, close) = (kind_of(value), if in_list { "[" } else { "" }, if in_list { "]" } else { "" });
    let what = if in_list { "a list".to_owned() } else { what };
    match (built, forms::example_for(defs, of, element.binding.as_ref())) {
        (Some(form), _) => format!("is {found}; needs {what}: {open}{form}{close}"),
        (None, Some(example)) => format!("is {found}; needs {what}, e.g. {open}{example}{close}"),
        (None, None) => format!("is {found}; needs {what}"),
    }
}

/// The object that was probably meant.
fn object_from(defs: &Definitions, element: &Element, of: &ElementType, value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => from_text(defs, element, of, text.trim()),
        Value::Number(_) if matches!(of.name, "Quantity" | "Age" | "Duration" | "Distance" | "Count" | "Money") => {
            Some(json!({"value": value}))
        }
        Value::Number(_) if of.name == "Identifier" => Some(json!({"value": value.to_string()})),
        _ => None,
    }
}

fn from_text(defs: &Definitions, element: &Element, of: &ElementType, text: &str) -> Option<Value> {
    if text.is_empty() || text.chars().count() > 80 {
        return None;
    }
    Some(match of.name {
        "Reference" => reference_from(defs, of, text),
        "CodeableConcept" => match coding_from(defs, element.binding.as_ref(), text) {
            Some(coding) => json!({"coding": [coding]}),
            None => json!({"text": text}),
        },
        "Coding" => coding_from(defs, element.binding.as_ref(), text).unwrap_or_else(|| json!({"code": text})),
        "HumanName" => name_from(text),
        "Identifier" => match text.rsplit_once('|') {
            Some((system, value)) => json!({"system": system, "value": value}),
            None => json!({"value": text}),
        },
        "Quantity" | "Age" | "Duration" | "Distance" | "Count" => quantity_from(text)?,
        "Period" if primitive::check("dateTime", &json!(text)).is_ok() => json!({"start": text}),
        "ContactPoint" if text.contains('@') => json!({"system": "email", "value": text}),
        "ContactPoint" if text.contains("://") => json!({"system": "url", "value": text}),
        "ContactPoint" => json!({"system": "phone", "value": text}),
        "Annotation" | "Dosage" | "Address" => json!({"text": text}),
        "Attachment" if text.contains("://") => json!({"url": text}),
        "Narrative" => json!({
            "status": "generated",
            "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", escaped(text)),
        }),
        _ => return None,
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `Patient/1` as a reference; a bare id where only one type may stand; else a name to show.
fn reference_from(defs: &Definitions, of: &ElementType, text: &str) -> Value {
    match Form::of(text) {
        Form::Broken => match (defs.targets(of), crate::ResourceId::parse(text)) {
            ([only], Ok(id)) => json!({"reference": format!("{only}/{id}")}),
            _ => {
                let target = likely_target(defs, of);
                json!({"reference": format!("{target}/<id>"), "display": text})
            }
        },
        _ => json!({"reference": text}),
    }
}

/// A coding from a code of the bound set, or from `system|code`.
fn coding_from(defs: &Definitions, binding: Option<&Binding>, text: &str) -> Option<Value> {
    if let Some((system, code)) = text.rsplit_once('|') {
        return Some(json!({"system": system, "code": code}));
    }
    let set = binding.and_then(|b| defs.bound_set(b))?;
    let same = |code: &str| code.eq_ignore_ascii_case(text);
    defs.codes(set)
        .iter()
        .find_map(|list| list.codes().find(|c| same(c)).map(|code| json!({"system": list.system, "code": code})))
}

/// `Alice B. Smith`, or `Smith, Alice B.`.
fn name_from(text: &str) -> Value {
    let (given, family) = match text.split_once(',') {
        Some((family, given)) => (given.trim(), family.trim()),
        None => text.rsplit_once(' ').unwrap_or(("", text)),
    };
    let given: Vec<&str> = given.split_whitespace().collect();
    if given.is_empty() { json!({"text": text}) } else { json!({"family": family, "given": given}) }
}

/// `72.5 kg`.
fn quantity_from(text: &str) -> Option<Value> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let (number, unit) = (text.get(..at)?, text.get(at..)?.trim());
    let number: Value = serde_json::from_str(number).ok().filter(Value::is_number)?;
    Some(if unit.is_empty() { json!({"value": number}) } else { json!({"value": number, "unit": unit}) })
}

/// A reference text that has none of the forms.
pub(in crate::validate) fn reference_text(defs: &Definitions, of: &ElementType, text: &str) -> String {
    let right = match defs.targets(of) {
        _ if text.starts_with('/') && !matches!(Form::of(text.trim_start_matches('/')), Form::Broken) => {
            text.trim_start_matches('/').to_owned()
        }
        _ if !matches!(Form::of(&capitalized(text)), Form::Broken) => capitalized(text),
        [only] if crate::ResourceId::parse(text).is_ok() => format!("{only}/{text}"),
        _ => {
            let given = text.split('/').next().filter(|name| defs.is_resource_type(name));
            format!("{}/<id>", given.unwrap_or(likely_target(defs, of)))
        }
    };
    format!("{} is not a reference. Write {}.", json!(clipped(text)), json!(right))
}
