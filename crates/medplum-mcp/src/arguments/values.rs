//! A value that is not of the type that its argument has: put right where it can mean one thing only.

use medplum_client::Query;
use serde_json::{Map, Number, Value};

use super::names::{lacking, shown, strangers};
use crate::tool::Facts;
use crate::toolset::Toolset;

/// The arguments whose items hold no comma: a text with commas is a list of them.
const BY_COMMA: &[&str] = &["types", "sections", "elements"];
/// The argument whose items are expressions: a comma outside of brackets and quotes is in none of them.
const EXPRESSIONS: &str = "fields";
/// The list of searches: a name that it does not know could be a filter.
const SEARCHES: &str = "also";

/// How an argument is written.
const EXAMPLES: &[(&str, &str)] = &[
    ("fields", "[\"code.text\",\"status\"]"),
    ("types", "[\"Condition\",\"Observation\"]"),
    ("sections", "[\"problems\",\"allergies\"]"),
    ("elements", "[\"name\",\"contact\"]"),
    ("property", "[\"parent\"]"),
    ("include", "\"Observation:subject\""),
    ("revinclude", "\"Observation:subject\""),
    ("params", "{\"name\":\"…\"}"),
    ("also", "[{\"resource_type\":\"Condition\",\"params\":{\"code\":\"…\"}}]"),
    ("query_params", "[[\"_count\",\"10\"]]"),
    ("operations", "[{\"op\":\"replace\",\"path\":\"/active\",\"value\":true}]"),
    ("bundle", "{\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":\"Patient/<id>\"}}]}"),
    ("resource", "{\"resourceType\":\"Patient\",…}"),
    ("variables", "{\"id\":\"…\"}"),
    ("coding", "{\"system\":\"http://loinc.org\",\"code\":\"8867-4\"}"),
    ("sort", "\"-date\""),
    ("if_none_exist", "\"identifier=http://hospital.example/mrn|4711\""),
    ("body", "{\"resourceType\":\"Patient\",…}"),
];

/// Puts a value right, and what is in it; what cannot be is added to the faults.
pub(super) fn fit(facts: &Facts, name: &str, value: &mut Value, property: &Value, faults: &mut Vec<String>) {
    Fit { facts, argument: name, faults }.value(name, value, property);
}

struct Fit<'a> {
    facts: &'a Facts,
    argument: &'a str,
    faults: &'a mut Vec<String>,
}

impl Fit<'_> {
    fn value(&mut self, place: &str, value: &mut Value, schema: &Value) {
        // Most are this: any text where a text is asked for.
        if value.is_string() && schema.get("type").is_some_and(|of| of == "string") && schema.get("enum").is_none() {
            return;
        }
        let wanted = types(schema);
        let Some(is) = type_of(value) else {
            return;
        };
        let fits = wanted.is_empty() || wanted.contains(&is) || (is == "integer" && wanted.contains(&"number"));
        if !fits {
            let meant = if place == self.argument { self.meant(value, schema) } else { None };
            let Some(meant) = meant.or_else(|| converted(value, &wanted)) else {
                let wanted = wanted.iter().map(|t| article(t)).collect::<Vec<_>>().join(" or ");
                self.fault(format!("{place} must be {wanted}, not {}", article(is)));
                return;
            };
            *value = meant;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array).filter(|all| !all.contains(value)) {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            self.faults.push(format!("{place} must be one of {}.", allowed.join(" | ")));
        }
        if wanted.contains(&"integer") && value.is_u64() && value.as_i64().is_none() {
            self.faults.push(format!("{place} is too large a number."));
        }
        match (value, items(schema), schema.get("properties").and_then(Value::as_object)) {
            (Value::Array(items), Some(schema), _) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.item(&format!("{place}[{index}]"), item, schema);
                }
            }
            (Value::Object(object), _, Some(properties)) if place != self.argument => {
                self.object(place, object, schema, properties);
            }
            _ => {}
        }
    }

    fn item(&mut self, place: &str, item: &mut Value, schema: &Value) {
        let wanted = types(schema);
        match item {
            Value::Null if !wanted.is_empty() => self.fault(format!("{place} is null")),
            item => self.value(place, item, schema),
        }
    }

    fn object(
        &mut self,
        place: &str,
        object: &mut Map<String, Value>,
        schema: &Value,
        properties: &Map<String, Value>,
    ) {
        let lacking = lacking(object, schema);
        if !lacking.is_empty() {
            self.fault(format!("{place} needs {}", lacking.join(" and ")));
        }
        if self.argument == SEARCHES {
            for stranger in strangers(object, properties) {
                let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                self.faults.push(format!("{place} has no \"{}\". It takes: {}.", shown(stranger), known.join(", ")));
            }
        }
        for (name, value) in object {
            if let Some(schema) = properties.get(name) {
                self.value(&format!("{place}.{name}"), value, schema);
            }
        }
    }

    /// What is wrong, and how the argument is written.
    fn fault(&mut self, what: String) {
        let example = EXAMPLES.iter().find(|(name, _)| *name == self.argument);
        self.faults.push(match example {
            Some((name, example)) => format!("{what}: {{\"{name}\":{example}}}."),
            None => format!("{what}."),
        });
    }

    /// What a value of another type means for this argument alone.
    fn meant(&self, value: &Value, schema: &Value) -> Option<Value> {
        let searches = matches!(self.facts.toolset, Toolset::Search | Toolset::Query);
        match (self.argument, value) {
            (_, Value::String(text)) if is_json(text) => None,
            (name, Value::String(text)) if holds_texts(schema) => listed(name, text),
            ("params", Value::String(text)) if searches => parameters(text),
            ("sort", Value::Array(keys)) => joined(keys),
            ("if_none_exist", Value::Object(condition)) => {
                Some(Value::String(pairs(condition)?.into_iter().collect::<Query>().encode()))
            }
            ("query_params", Value::Object(params)) => {
                Some(pairs(params)?.into_iter().map(|(name, value)| Value::from(vec![name, value])).collect())
            }
            _ => None,
        }
    }
}

/// Whether a text is meant as JSON, well formed or not.
fn is_json(text: &str) -> bool {
    text.trim().starts_with(['[', '{'])
}

/// Whether it is a list of texts.
fn holds_texts(schema: &Value) -> bool {
    types(schema) == ["array"] && schema.get("items").is_some_and(|items| types(items) == ["string"])
}

/// One text as a list: of itself, or of its parts where a comma can only stand between them.
fn listed(name: &str, text: &str) -> Option<Value> {
    let items: Vec<&str> = match name {
        EXPRESSIONS => between_expressions(text),
        name if BY_COMMA.contains(&name) => text.split(',').collect(),
        _ => vec![text],
    };
    let items: Vec<&str> = items.into_iter().map(str::trim).collect();
    // An empty list is all there is: a text that is empty does not say that.
    items.iter().all(|item| !item.is_empty()).then(|| Value::from(items))
}

/// The parts of a text between the commas that stand in no bracket and no quote.
fn between_expressions(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quote, mut escaped) = (Vec::new(), 0, 0_usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth = depth.saturating_add(1),
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.extend(text.get(from..at));
                from = at.saturating_add(1);
            }
            _ => {}
        }
    }
    parts.extend(text.get(from..));
    parts
}

/// Search parameters that stand as in a URL. A plus could be a space or itself, and what has no name could be the rest
/// of a value: neither is guessed at.
fn parameters(text: &str) -> Option<Value> {
    let text = text.trim().trim_start_matches('?');
    let named = |part: &str| {
        let name = part.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
    };
    if text.contains('+') || !text.split('&').all(named) {
        return None;
    }
    let mut params = Map::new();
    for (name, value) in Query::parse(text).ok()?.iter() {
        let values = params.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        values.as_array_mut()?.push(value.into());
    }
    Some(Value::Object(params))
}

/// The keys of an order, the first first.
fn joined(keys: &[Value]) -> Option<Value> {
    let keys: Vec<&str> = keys.iter().map(Value::as_str).collect::<Option<_>>()?;
    let all = !keys.is_empty() && keys.iter().all(|key| !key.trim().is_empty());
    all.then(|| Value::String(keys.join(",")))
}

/// Names with their values; a list gives its name again. None where a value is nothing that a URL holds, or empty.
fn pairs(params: &Map<String, Value>) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (name, value) in params {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        if values.is_empty() || name.trim().is_empty() {
            return None;
        }
        for value in values {
            let text = match value {
                Value::String(text) if !text.trim().is_empty() => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => return None,
            };
            pairs.push((name.clone(), text));
        }
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// The types that an argument may have: its own, or those of its branches.
fn types(property: &Value) -> Vec<&str> {
    branches(property).filter_map(|schema| schema.get("type")?.as_str()).collect()
}

/// What its list holds, where it may be one.
fn items(property: &Value) -> Option<&Value> {
    branches(property).find_map(|schema| schema.get("items"))
}

fn branches(property: &Value) -> impl Iterator<Item = &Value> {
    let branches = property.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(property).chain(branches)
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
        Value::Number(number) if wanted.contains(&"string") => Some(Value::String(match whole(number) {
            Some(whole) => whole.to_string(),
            None => number.to_string(),
        })),
        Value::Number(number) if wanted.contains(&"integer") => whole(number).map(Value::from),
        Value::Number(_) | Value::Null | Value::Bool(_) => None,
        Value::Object(_) if wanted == ["array"] => Some(Value::Array(vec![value.clone()])),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number that is whole, however it is written.
fn whole(number: &Number) -> Option<i64> {
    let whole = || number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
    number.as_i64().or_else(|| whole().map(|n| n as i64))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commas_part_expressions_where_they_are_in_none() {
        for (text, parts) in [
            ("code.text", vec!["code.text"]),
            ("id,status", vec!["id", "status"]),
            ("name.given.join(', '), id", vec!["name.given.join(', ')", " id"]),
            ("iif(active, 'a', 'b')", vec!["iif(active, 'a', 'b')"]),
            ("name.where(use = 'a\\',b').text,id", vec!["name.where(use = 'a\\',b').text", "id"]),
        ] {
            assert_eq!(between_expressions(text), parts, "{text}");
        }
    }

    #[test]
    fn one_text_is_a_list_of_one() {
        assert_eq!(listed("property", "a, b"), Some(json!(["a, b"])), "a code may hold a comma");
        assert_eq!(listed("types", "Condition, Observation"), Some(json!(["Condition", "Observation"])));
        for empty in ["", " ", "Condition,", ",Condition", "a,,b"] {
            assert_eq!(listed("types", empty), None, "{empty:?} could drop a filter");
        }
    }

    #[test]
    fn a_query_string_is_taken_where_it_means_one_thing() {
        for (text, params) in [
            ("name=X", json!({"name": ["X"]})),
            ("?name=X&birthdate=ge2000-01-01", json!({"name": ["X"], "birthdate": ["ge2000-01-01"]})),
            ("date=ge2024-01-01&date=lt2025-01-01", json!({"date": ["ge2024-01-01", "lt2025-01-01"]})),
            ("identifier=http://a.example/mrn|47 11", json!({"identifier": ["http://a.example/mrn|47 11"]})),
            ("name:exact=Zo%C3%AB", json!({"name:exact": ["Zoë"]})),
            ("name=", json!({"name": [""]})),
        ] {
            assert_eq!(parameters(text), Some(params), "{text}");
        }
        for text in [
            "",
            "Maria Lindqvist",
            "name=Smith & Sons",
            "name=Smith&Sons",
            "name=Maria+Lindqvist",
            "date=2024-01-01T00:00:00+02:00",
            "Patient?name=X",
            "name=50%",
            "=X",
        ] {
            assert_eq!(parameters(text), None, "{text}");
        }
    }

    #[test]
    fn an_object_is_a_condition_where_every_value_is_one() {
        let of = |value: Value| pairs(value.as_object().unwrap());
        assert_eq!(
            of(json!({"identifier": "a|1", "n": 2, "b": ["x", "y"]})).unwrap().into_iter().collect::<Query>().encode(),
            "identifier=a%7C1&n=2&b=x&b=y"
        );
        for bad in [
            json!({}),
            json!({"a": null}),
            json!({"a": ""}),
            json!({"a": []}),
            json!({"a": {"b": 1}}),
            json!({"a": [["x"]]}),
        ] {
            assert_eq!(of(bad.clone()), None, "{bad}");
        }
    }
}
