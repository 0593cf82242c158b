//! `_fields`, `_elements` and `_summary`: part of a resource, marked as such so that nobody writes it back.

use fhir_definitions::{Definitions, TypeInfo};
use serde_json::{Value, json};

use super::request::Request;

/// Cuts a resource down to what was asked for.
pub(super) fn apply(definitions: &Definitions, request: &Request, resource: &mut Value) {
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let Some(info) = definitions.resource_type(name) else { return };
    if let Some(fields) = &request.fields {
        cut(resource, |key| is_field(key, fields) || is_mandatory(definitions, info, key));
        return;
    }
    match request.summary.as_deref() {
        Some("data") => cut(resource, |key| key != "text"),
        Some("true") => {
            let fields: Vec<String> = summary(info.name).map(str::to_owned).collect();
            cut(resource, |key| is_field(key, &fields));
        }
        Some("text") => cut(resource, |key| key == "text" || is_mandatory(definitions, info, key)),
        _ => {}
    }
}

/// The elements that FHIR puts into the summary of a type.
fn summary(of_type: &str) -> impl Iterator<Item = &'static str> {
    const ALL: &str = include_str!("../../data/summary.txt");
    let mut lines = ALL.lines().map(|line| line.split('\t'));
    let found = lines.find_map(|mut fields| (fields.next() == Some(of_type)).then_some(fields));
    found.into_iter().flatten()
}

/// Whether a key is one of the fields: itself, its extensions, or a choice in one of its types.
fn is_field(key: &str, fields: &[String]) -> bool {
    let name = key.strip_prefix('_').unwrap_or(key);
    fields.iter().any(|field| {
        let choice = name.strip_prefix(field.as_str());
        choice.is_some_and(|rest| rest.is_empty() || rest.starts_with(|first: char| first.is_ascii_uppercase()))
    })
}

fn is_mandatory(definitions: &Definitions, info: &TypeInfo, key: &str) -> bool {
    definitions.element(info, key).is_some_and(|(element, _)| element.min > 0)
}

fn cut(resource: &mut Value, keep: impl Fn(&str) -> bool) {
    let Some(map) = resource.as_object_mut() else { return };
    map.retain(|key, _| matches!(key.as_str(), "resourceType" | "id" | "meta") || keep(key));
    let meta = map.entry("meta").or_insert_with(|| json!({}));
    let Some(meta) = meta.as_object_mut() else { return };
    let tags = meta.entry("tag").or_insert_with(|| json!([]));
    if let Some(tags) = tags.as_array_mut() {
        tags.push(json!({"system": "http://hl7.org/fhir/v3/ObservationValue", "code": "SUBSETTED"}));
    }
}
