//! A name that the tool does not know: it may be another's word for one of its arguments, or a search parameter.

use fhir_definitions::{Definitions, TypeInfo, nearest};
use rmcp::model::JsonObject;
use serde_json::Value;

use super::Schema;
use super::meant::{meant, shapes};
use crate::tool::Facts;
use crate::toolset::Toolset;

/// What is said of it. An argument that is advised is added to `advised`.
pub(super) fn unknown<'a>(
    facts: &Facts,
    schema: Schema<'a>,
    name: &str,
    given: &JsonObject,
    advised: &mut Vec<&'a str>,
) -> String {
    let what = format!("{} has no argument \"{}\".", facts.name, shown(name));
    // What is there already is not what was meant.
    let free: Vec<&str> = schema.names().into_iter().filter(|known| !given.contains_key(*known)).collect();
    if let Some(argument) = meant(name, &free) {
        advised.push(argument);
        return format!("{what} Nearest: {argument}.");
    }
    let into_params =
        |name: &str| format!("{what} {} goes into params: {{\"params\":{{\"{}\":\"…\"}}}}.", kind(facts), shown(name));
    let type_searched = searched(facts, given);
    if type_searched.is_some_and(|info| is_parameter(info, name)) {
        return into_params(name);
    }
    if let Some(near) = nearest(name, free.iter().copied()).first() {
        advised.push(near);
        return format!("{what} Nearest: {near}.");
    }
    if let Some(near) = type_searched.filter(|_| !shapes(name)).and_then(|info| nearest_parameter(info, name)) {
        return into_params(near);
    }
    if facts.toolset == Toolset::Operation { into_params(name) } else { what }
}

/// Arguments that are one object, an element that only that object has, and how they are written.
const WHOLE: &[(&str, &str, &str)] = &[
    ("resource", "resourceType", "{\"resource\":{\"resourceType\":\"Patient\",…}}"),
    ("bundle", "entry", "{\"bundle\":{\"type\":\"batch\",\"entry\":[…]}}"),
];

/// What is said where the elements of an object were passed as the arguments, instead of the object as one.
pub(super) fn taken_apart(facts: &Facts, schema: Schema<'_>, given: &JsonObject) -> Option<String> {
    let apart = WHOLE.iter().find(|(argument, element, _)| {
        // It is rarely given, and asked for on every call.
        given.contains_key(*element)
            && !given.contains_key(*argument)
            && schema.property(argument).is_some()
            && schema.property(element).is_none()
    });
    apart.map(|(argument, _, example)| format!("{} takes it as one argument, {argument}: {example}.", facts.name))
}

fn kind(facts: &Facts) -> &'static str {
    if facts.toolset == Toolset::Operation { "An operation's parameter" } else { "A search parameter" }
}

/// The type that is searched, where that is what the tool does.
fn searched(facts: &Facts, given: &JsonObject) -> Option<&'static TypeInfo> {
    if !matches!(facts.toolset, Toolset::Search | Toolset::Query) {
        return None;
    }
    Definitions::get().resource_type(given.get("resource_type")?.as_str()?.trim())
}

fn is_parameter(info: &TypeInfo, name: &str) -> bool {
    let code = name.split([':', '.']).next().unwrap_or(name);
    code == "_has" || Definitions::get().search_parameter(info, code).is_some()
}

fn nearest_parameter(info: &TypeInfo, name: &str) -> Option<&'static str> {
    Definitions::get().nearest_parameters(info, name).first().copied()
}

/// A name that somebody made up, short enough to repeat.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// The names in a list's item that it does not have.
pub(super) fn strangers<'a>(item: &'a JsonObject, properties: &JsonObject) -> Vec<&'a str> {
    item.keys().map(String::as_str).filter(|name| !properties.contains_key(*name)).collect()
}

/// What an item needs and does not have.
pub(super) fn lacking<'a>(item: &JsonObject, schema: &'a Value) -> Vec<&'a str> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    required.filter(|name| item.get(*name).is_none_or(Value::is_null)).collect()
}
