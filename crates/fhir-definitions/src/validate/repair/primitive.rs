//! Primitives as their types are written, from the other ways in which people write them.

use serde_json::{Value, json};

use super::{article, kind_of, quoted};
use crate::forms;
use crate::systems;
use crate::validate::binding;
use crate::validate::primitive::{self, Wrong};
use crate::{Definitions, Element, Strength};

/// A primitive that is not written as its type is.
pub(in crate::validate) fn primitive(
    defs: &Definitions,
    element: &Element,
    type_name: &str,
    value: &Value,
    wrong: Wrong,
) -> String {
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
    if let Some(local) = local_time(type_name, value) {
        return format!("{found}{needs}. Write \"{local}\" and behind it Z or an offset such as +01:00.");
    }
    if let Some(right) = primitive_from(defs, element, type_name, value) {
        return format!("{found}{needs}. Write {right}.");
    }
    let set = element.binding.filter(|b| b.strength == Strength::Required).and_then(|b| defs.bound_set(&b));
    if let Some(set) = set.filter(|set| set.closed && type_name == "code") {
        return format!("{found}{needs}. One of {}.", binding::listed(defs, set));
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
        ("uri", Value::String(text)) if element.name == "system" && systems::uri_of(text).is_some() => {
            json!(systems::uri_of(text)?)
        }
        // A Reference where a canonical URL belongs; in Medplum, `Questionnaire/<id>` is one too.
        ("canonical" | "uri" | "url", Value::Object(object)) => object.get("reference").or(object.get("url"))?.clone(),
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
    // Midnight of a day is nobody's local time; with a clock, whose it is must be said.
    let zone = match (zone, time.is_empty()) {
        ("", true) => "Z",
        (zone, _) => zone,
    };
    Some(format!("{day}T{clock}{zone}"))
}

/// A time of day without a zone as it is written, but for its zone, which only the caller knows.
fn local_time(type_name: &str, value: &Value) -> Option<String> {
    if !matches!(type_name, "dateTime" | "instant") {
        return None;
    }
    let local = date_from(type_name, value.as_str()?)?;
    primitive::check("instant", &json!(format!("{local}Z"))).is_ok().then_some(local)
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
