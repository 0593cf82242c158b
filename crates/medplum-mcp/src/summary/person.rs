//! Who the patient is.

use serde_json::{Map, Value};

use super::dates::{self, Recorded};
use super::fetch::Names;
use super::text::{cell, clipped, concept, human_name, list, string};

/// How many identifiers, numbers and addresses are shown, each.
const MOST: usize = 4;

/// Name, identifiers, age, sex, contact, general practitioner; and what must not be overlooked: that the record is
/// closed, or that the person died.
pub(super) fn who(patient: &Value, names: &Names, today: &str) -> Map<String, Value> {
    let mut who = Map::new();
    let mut add = |key: &str, value: Value| {
        if !value.is_null() && value != "" && value.as_array().is_none_or(|list| !list.is_empty()) {
            who.insert(key.to_owned(), value);
        }
    };
    add("id", patient.get("id").cloned().unwrap_or_default());
    add("name", cell(human_name(list(patient, "/name"))));
    add("active", patient.get("active").filter(|active| **active == false).cloned().unwrap_or_default());
    add("replacedBy", some(list(patient, "/link"), replaced_by));
    add("birthDate", cell(string(patient, "/birthDate")));
    let died = dates::first(patient, &["deceasedDateTime"]);
    let dead = died.is_some() || patient.get("deceasedBoolean") == Some(&Value::Bool(true));
    let age = age(patient, died.or_else(|| Recorded::parse(today).filter(|_| !dead)));
    match (dead, died) {
        (true, Some(died)) => add("deceased", died.date.into()),
        (true, None) => add("deceased", true.into()),
        (false, _) => {}
    }
    add(if dead { "ageAtDeath" } else { "age" }, age);
    add("gender", cell(string(patient, "/gender")));
    add("identifiers", some(list(patient, "/identifier"), identifier));
    add("contact", some(list(patient, "/telecom"), telecom));
    add("address", some(list(patient, "/address"), address));
    let practitioners: Vec<String> =
        list(patient, "/generalPractitioner").iter().filter_map(|gp| names.of_reference(gp)).collect();
    add("gp", cell(Some(practitioners.join(", "))));
    who
}

fn age(patient: &Value, on: Option<Recorded<'_>>) -> Value {
    let born = dates::first(patient, &["birthDate"]);
    born.zip(on).and_then(|(born, on)| dates::age(&born, &on)).unwrap_or_default()
}

/// The first few, and how many more there are.
fn some(all: &[Value], show: impl Fn(&Value) -> Option<String>) -> Value {
    let mut shown: Vec<String> = all.iter().filter_map(show).collect();
    let more = shown.len().saturating_sub(MOST);
    if more > 0 {
        shown.truncate(MOST);
        shown.push(format!("+{more}"));
    }
    Value::from(shown)
}

/// `http://hospital.example/mrn|4711`. What is old is left out.
fn identifier(identifier: &Value) -> Option<String> {
    let value = string(identifier, "/value").filter(|_| string(identifier, "/use") != Some("old"))?;
    let system = string(identifier, "/system").or_else(|| identifier.get("type").and_then(concept));
    Some(clipped(&system.map_or_else(|| value.to_owned(), |system| format!("{system}|{value}")), 100))
}

/// `phone 555-1212`
fn telecom(point: &Value) -> Option<String> {
    let value = string(point, "/value").filter(|_| string(point, "/use") != Some("old"))?;
    let system = string(point, "/system").map(|system| format!("{system} ")).unwrap_or_default();
    Some(clipped(&format!("{system}{value}"), 60))
}

fn address(address: &Value) -> Option<String> {
    if string(address, "/use") == Some("old") {
        return None;
    }
    if let Some(text) = string(address, "/text") {
        return Some(clipped(text, 90));
    }
    let lines = list(address, "/line").iter().filter_map(Value::as_str);
    let rest = ["/city", "/state", "/postalCode", "/country"].into_iter().filter_map(|part| string(address, part));
    let parts: Vec<&str> = lines.chain(rest).collect();
    (!parts.is_empty()).then(|| clipped(&parts.join(", "), 90))
}

fn replaced_by(link: &Value) -> Option<String> {
    let other = string(link, "/other/reference").filter(|_| string(link, "/type") == Some("replaced-by"))?;
    Some(clipped(other, 80))
}
