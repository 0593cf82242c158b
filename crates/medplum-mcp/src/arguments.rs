//! A tool's arguments, read as they were meant: what is plain is put right, what is not is explained.

use fhir_definitions::nearest;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;
use crate::tool::Facts;

/// Reads arguments against their schema.
///
/// An explicit null is the same as leaving the argument out. JSON in a string is taken where an object or list is
/// asked for, and a number in a string where a number is: hosts and models send both.
///
/// # Errors
/// [`Failure`] for a name that the tool does not know (it could be a filter), for one that is missing, and for a value
/// of the wrong type.
pub(crate) fn read<A: DeserializeOwned>(
    facts: &Facts,
    schema: &JsonObject,
    mut given: JsonObject,
) -> Result<A, Failure> {
    given.retain(|_, value| !value.is_null());
    let properties = schema.get("properties").and_then(Value::as_object);
    let known: Vec<&str> = properties.into_iter().flat_map(|p| p.keys().map(String::as_str)).collect();
    if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::teach(unknown(facts, name, &known)));
    }
    let required = schema.get("required").and_then(Value::as_array);
    let missing: Vec<&str> =
        required.into_iter().flatten().filter_map(Value::as_str).filter(|name| !given.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(Failure::teach(format!(
            "{} needs {}. It takes: {}.",
            facts.name,
            missing.join(" and "),
            known.join(", ")
        )));
    }
    for (name, value) in &mut given {
        if let Some(property) = properties.and_then(|p| p.get(name)) {
            put_right(name, value, property)?;
        }
    }
    serde_json::from_value(Value::Object(given))
        .map_err(|error| Failure::teach(format!("{}: {error}. Nothing was sent.", facts.name)))
}

fn unknown(facts: &Facts, name: &str, known: &[&str]) -> String {
    let mut text = format!("{} has no argument \"{}\". It takes: {}.", facts.name, shown(name), known.join(", "));
    if known.contains(&"params") {
        text.push_str(&format!(" A search parameter goes into params: {{\"params\":{{\"{}\":\"…\"}}}}.", shown(name)));
    } else if let Some(near) = nearest(name, known.iter().copied()).first() {
        text.push_str(&format!(" Nearest: {near}."));
    }
    text.push_str(" Nothing was sent.");
    text
}

/// A name that somebody made up, short enough to repeat.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn put_right(name: &str, value: &mut Value, property: &Value) -> Result<(), Failure> {
    let wanted = types(property);
    let Some(is) = type_of(value) else {
        return Ok(());
    };
    let fits = wanted.is_empty() || wanted.contains(&is) || (is == "integer" && wanted.contains(&"number"));
    if !fits {
        let Some(meant) = converted(value, &wanted) else {
            return Err(Failure::teach(format!(
                "{name} must be {}, not {}. Nothing was sent.",
                wanted.iter().map(|t| article(t)).collect::<Vec<_>>().join(" or "),
                article(is)
            )));
        };
        *value = meant;
    }
    one_of(name, value, property)
}

/// The types that an argument may have: its own, or those of its branches.
fn types(property: &Value) -> Vec<&str> {
    let branches = property.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(property).chain(branches).filter_map(|schema| schema.get("type")?.as_str()).collect()
}

fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn converted(value: &Value, wanted: &[&str]) -> Option<Value> {
    match value {
        Value::String(text) => {
            let parsed: Value = serde_json::from_str(text.trim()).ok()?;
            let is = type_of(&parsed)?;
            wanted.contains(&is).then_some(parsed)
        }
        Value::Number(number) if wanted.contains(&"string") => Some(Value::String(number.to_string())),
        Value::Number(number) if wanted.contains(&"integer") => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15)?;
            Some(Value::from(whole as i64))
        }
        Value::Number(_) | Value::Null | Value::Bool(_) => None,
        Value::Object(_) if wanted == ["array"] => Some(Value::Array(vec![value.clone()])),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn one_of(name: &str, value: &Value, property: &Value) -> Result<(), Failure> {
    let Some(allowed) = property.get("enum").and_then(Value::as_array) else {
        return Ok(());
    };
    if allowed.contains(value) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
    Err(Failure::teach(format!("{name} must be one of {}. Nothing was sent.", allowed.join(" | "))))
}

fn article(json_type: &str) -> &str {
    match json_type {
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "an object",
    }
}
