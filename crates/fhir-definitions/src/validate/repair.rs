//! The right form, built from what was given, for the slips that are usual.

use serde_json::{Value, json};

use super::binding;
use super::fault::clipped;
use super::primitive::{self, Wrong};
use crate::did_you_mean::capitalized;
use crate::forms;
use crate::references::Form;
use crate::{Binding, Definitions, Element, ElementType, Strength, TypeInfo, TypeKind};

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

/// An element that the type does not have.
pub(super) fn unknown_element(defs: &Definitions, info: &TypeInfo, key: &str, value: &Value) -> String {
    let none = format!("{} has no such element.", info.name);
    // The name of a choice without its type.
    if let Some(choice) = defs.elements(info).find(|e| e.choice && (key == e.name || is_choice_like(e, key))) {
        let fitting = fitting_names(defs, choice, value);
        return format!("{none} {}[x] is written with its type: {}", choice.name, fitting.join(" | "));
    }
    let mut nearest = defs.nearest_elements(info, key);
    if nearest.is_empty() {
        nearest = by_search_parameter(defs, info, key);
    }
    if nearest.is_empty() && info.kind == TypeKind::Resource {
        return format!("{none} get_resource_schema shows those that it has; what fits none goes into extension.");
    }
    if nearest.is_empty() {
        let names: Vec<String> = defs.own_elements(info).iter().flat_map(|e| short_names(defs, e)).take(20).collect();
        return format!("{none} It has {}.", names.join(", "));
    }
    format!("{none} Nearest: {}.", nearest.join(", "))
}

/// `valueFoo` for `value[x]`: the choice with a type that it cannot have.
fn is_choice_like(element: &Element, key: &str) -> bool {
    key.strip_prefix(element.name).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn short_names(defs: &Definitions, element: &Element) -> Vec<String> {
    if element.choice { vec![format!("{}[x]", element.name)] } else { defs.json_names(element) }
}

/// Those names of a choice that could hold the value given; all if none could.
fn fitting_names(defs: &Definitions, choice: &Element, value: &Value) -> Vec<String> {
    let fits = |of: &&ElementType| match defs.resolve(of).map(|t| t.kind) {
        Some(TypeKind::Primitive) => primitive::check(of.name, value).is_ok(),
        _ => value.as_object().is_some_and(|object| {
            defs.resolve(of)
                .is_some_and(|t| object.keys().all(|k| defs.element(t, k.trim_start_matches('_')).is_some()))
        }),
    };
    let types = defs.types_of(choice);
    let name = |of: &ElementType| format!("{}{}", choice.name, capitalized(of.name));
    let fitting: Vec<String> = types.iter().filter(fits).map(name).take(6).collect();
    if fitting.is_empty() { types.iter().map(name).take(12).collect() } else { fitting }
}

/// The element that a search parameter of that name looks at: `patient` of an Observation is its `subject`.
fn by_search_parameter(defs: &Definitions, info: &TypeInfo, key: &str) -> Vec<String> {
    let found = defs.search_parameter(info, key).and_then(|p| {
        let rest = p.expression.trim_start_matches('(').strip_prefix(info.name)?.strip_prefix('.')?;
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        (name != key && defs.elements(info).any(|e| e.name == name)).then_some(name)
    });
    found.into_iter().collect()
}

/// The type that a reference is most likely meant for: a patient, where one may stand.
fn likely_target<'a>(defs: &'a Definitions, of: &ElementType) -> &'a str {
    let targets = defs.targets(of);
    targets.iter().find(|t| **t == "Patient").or(targets.iter().find(|t| **t != "Resource")).unwrap_or(&"Patient")
}

/// A value that is not an object where an object, or a list of them, belongs.
pub(super) fn wrong_shape(
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
    match (built, forms::example(of.name)) {
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
pub(super) fn reference_text(defs: &Definitions, of: &ElementType, text: &str) -> String {
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

/// A primitive that is not written as its type is.
pub(super) fn primitive(defs: &Definitions, element: &Element, type_name: &str, value: &Value, wrong: Wrong) -> String {
    if wrong == Wrong::NoSuchDay {
        return format!("{}: there is no such day", quoted(value));
    }
    if type_name == "base64Binary" && value.as_str().is_some_and(|t| t.contains(char::is_whitespace)) {
        return "has white space in it, which Medplum refuses. Take it out.".to_owned();
    }
    let found = if wrong == Wrong::JsonType {
        format!("is {}", kind_of(value))
    } else {
        format!("{} is not {}", quoted(value), article(type_name))
    };
    let needs = if wrong == Wrong::JsonType { format!("; needs {}", article(type_name)) } else { String::new() };
    if let Some(right) = primitive_from(defs, element, type_name, value) {
        return format!("{found}{needs}. Write {right}.");
    }
    match forms::ways(type_name) {
        Some(ways) => format!("{found}{needs}. Write e.g. {ways}."),
        None => format!("{found}{needs}"),
    }
}

/// The primitive that was probably meant, if it would be right.
fn primitive_from(defs: &Definitions, element: &Element, type_name: &str, value: &Value) -> Option<Value> {
    let meant = match (type_name, value) {
        ("boolean", Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" => json!(true),
            "false" | "no" => json!(false),
            _ => return None,
        },
        ("decimal" | "integer" | "positiveInt" | "unsignedInt", Value::String(text)) => {
            serde_json::from_str(text.trim()).ok()?
        }
        ("date" | "dateTime" | "instant", Value::String(text)) => json!(date_from(type_name, text)?),
        (_, Value::Number(_) | Value::Bool(_)) if !matches!(type_name, "boolean" | "decimal" | "instant") => {
            json!(value.to_string())
        }
        // A CodeableConcept or a Coding where a code belongs.
        ("code", Value::Object(object)) => {
            let coding = object.get("coding").and_then(|c| c.get(0)).unwrap_or(value);
            coding.get("code")?.clone()
        }
        ("string" | "markdown", Value::Object(object)) => object.get("text").or(object.get("display"))?.clone(),
        ("code" | "uri" | "url" | "canonical" | "id", Value::String(text)) => json!(text.trim()),
        ("uuid", Value::String(text)) => json!(format!("urn:uuid:{}", text.to_ascii_lowercase())),
        ("oid", Value::String(text)) => json!(format!("urn:oid:{text}")),
        _ => return None,
    };
    let bound = element.binding.filter(|b| b.strength == Strength::Required).and_then(|b| defs.bound_set(&b));
    let on_list = bound
        .filter(|s| s.closed)
        .is_none_or(|set| defs.codes(set).iter().any(|l| meant.as_str().is_some_and(|m| l.codes().any(|c| c == m))));
    (on_list && primitive::check(type_name, &meant).is_ok()).then_some(meant)
}

/// A date from `2024/1/5`, `20240105`, `2024-01-05T…` or `2024-01-05 08:30`. Where day and month could be taken for
/// each other, none.
fn date_from(type_name: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let at = text.find(['T', ' ']).unwrap_or(text.len());
    let (day, time) = (text.get(..at)?, text.get(at..)?.trim_start_matches(['T', ' ']));
    let day = day_from(day)?;
    if type_name == "date" || time.is_empty() && type_name == "dateTime" {
        return Some(day);
    }
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = (time.get(..zone_at)?, time.get(zone_at..)?);
    let clock = match clock.len() {
        0 => "00:00:00".to_owned(),
        5 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    Some(format!("{day}T{clock}{}", if zone.is_empty() { "Z" } else { zone }))
}

/// A date from another way to write it, where there is one way to read it.
pub(crate) fn day_from(day: &str) -> Option<String> {
    if day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("{}-{}-{}", day.get(..4)?, day.get(4..6)?, day.get(6..)?));
    }
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    match parts.as_slice() {
        [y, m, d] if y.len() == 4 => Some(format!("{y}-{m:0>2}-{d:0>2}")),
        [y, m] if y.len() == 4 => Some(format!("{y}-{m:0>2}")),
        // With a dot the day comes first; with a slash it depends on where one lives.
        [d, m, y] if y.len() == 4 && (day.contains('.') || d.parse::<u8>().is_ok_and(|d| d > 12)) => {
            Some(format!("{y}-{m:0>2}-{d:0>2}"))
        }
        _ => None,
    }
}
