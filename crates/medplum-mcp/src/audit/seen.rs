//! What came back in a call: types and ids, and whose records they are.

use std::collections::{BTreeMap, BTreeSet};

use medplum_client::{GraphQlResource, Searchset, Unread};
use serde::Serialize;
use serde_json::Value;

use super::words::Words;

/// So many ids of one type stand in a line; the rest are counted.
const MOST_IDS: usize = 10_000;
/// How deep an answer of any shape is looked into.
const DEPTH: usize = 12;

/// The resources of a call's answers.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Seen {
    #[serde(rename = "returned", skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<String, OfType>,
    /// The patients to whose compartments they belong, by id.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    patients: BTreeSet<String>,
}

/// Those of one type. A count above the number of ids says that some have none here.
#[derive(Debug, Default, Serialize)]
struct OfType {
    count: usize,
    ids: BTreeSet<String>,
}

impl Seen {
    /// Takes a resource, or the resources of a bundle.
    pub(crate) fn take(&mut self, value: &Value) {
        match type_of(value) {
            Some("Bundle") => {
                let entries = value.get("entry").and_then(Value::as_array);
                entries.into_iter().flatten().filter_map(|entry| entry.get("resource")).for_each(|r| self.take(r));
            }
            Some("OperationOutcome") | None => {}
            Some(resource_type) => self.resource(resource_type, value),
        }
    }

    /// Takes a page.
    pub(crate) fn take_page(&mut self, page: &Searchset) {
        page.entries.iter().for_each(|entry| self.take_unread(&entry.resource));
    }

    /// Takes a resource that nobody has read so far.
    pub(crate) fn take_unread(&mut self, resource: &Unread) {
        if resource.resource_type == "OperationOutcome" {
            return;
        }
        self.count(&resource.resource_type, Some(&resource.id));
        resource.compartments().iter().for_each(|reference| self.belongs_to(reference));
    }

    /// Takes every resource that stands anywhere in an answer of any shape.
    pub(crate) fn take_anywhere(&mut self, value: &Value) {
        self.search(value, DEPTH);
    }

    fn search(&mut self, value: &Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.search(value, depth)),
            Value::Object(object) => match type_of(value) {
                Some("Bundle") => self.take(value),
                Some(resource_type) if object.contains_key("id") && resource_type != "OperationOutcome" => {
                    self.resource(resource_type, value);
                }
                _ => object.values().for_each(|value| self.search(value, depth)),
            },
            _ => {}
        }
    }

    /// Takes what a GraphQL answer holds.
    pub(crate) fn take_graphql(&mut self, found: &[GraphQlResource]) {
        for resource in found {
            self.count(resource.resource_type.as_deref().unwrap_or_default(), resource.id.as_deref());
        }
    }

    fn resource(&mut self, resource_type: &str, resource: &Value) {
        self.count(resource_type, resource.get("id").and_then(Value::as_str));
        // Medplum says itself to which patients a resource belongs.
        let compartments = resource.pointer("/meta/compartment").and_then(Value::as_array).into_iter().flatten();
        for reference in compartments.filter_map(|compartment| compartment.get("reference")?.as_str()) {
            self.belongs_to(reference);
        }
    }

    fn count(&mut self, resource_type: &str, id: Option<&str>) {
        let of_type = self.types.entry(Words::resource_type(resource_type)).or_default();
        let id = id.map(Words::id).filter(|id| id != "?");
        if resource_type == "Patient"
            && let Some(id) = &id
        {
            self.patients.insert(id.clone());
        }
        match id {
            Some(id) if of_type.ids.contains(&id) => return,
            Some(id) if of_type.ids.len() < MOST_IDS => {
                of_type.ids.insert(id);
            }
            _ => {}
        }
        of_type.count = of_type.count.saturating_add(1);
    }

    fn belongs_to(&mut self, compartment: &str) {
        let id = compartment.strip_prefix("Patient/").map(Words::id);
        self.patients.extend(id.filter(|id| id != "?" && self.patients.len() < MOST_IDS));
    }
}

fn type_of(value: &Value) -> Option<&str> {
    value.get("resourceType").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ALICE: &str = "2758b284-b8c2-4a6a-a3cd-373d94953408";
    const PULSE: &str = "7da40f0b-ab67-4aae-9b69-bb39c41e1b29";

    #[test]
    fn types_ids_and_whose_they_are() {
        let mut seen = Seen::default();
        seen.take(&json!({"resourceType": "Bundle", "entry": [
            {"resource": {"resourceType": "Observation", "id": PULSE, "code": {"text": "Heart rate"},
                "meta": {"compartment": [{"reference": "Project/1"}, {"reference": format!("Patient/{ALICE}")}]}}},
            {"resource": {"resourceType": "Observation", "id": PULSE}},
            {"resource": {"resourceType": "Observation", "id": "Alice"}},
            {"resource": {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Alice", "id": "x"}}]}},
            {"response": {"outcome": {"resourceType": "OperationOutcome", "id": "ok"}}}]}));
        insta::assert_snapshot!(serde_json::to_string(&seen).unwrap(), @r#"{"returned":{"?":{"count":1,"ids":[]},"Observation":{"count":2,"ids":["7da40f0b-ab67-4aae-9b69-bb39c41e1b29"]}},"patients":["2758b284-b8c2-4a6a-a3cd-373d94953408"]}"#);
    }

    #[test]
    fn an_answer_of_any_shape() {
        let mut seen = Seen::default();
        seen.take_anywhere(
            &json!({"profile": {"resourceType": "Patient", "id": ALICE}, "list": [{"a": [{"id": "x"}]}]}),
        );
        insta::assert_snapshot!(serde_json::to_string(&seen).unwrap(), @r#"{"returned":{"Patient":{"count":1,"ids":["2758b284-b8c2-4a6a-a3cd-373d94953408"]}},"patients":["2758b284-b8c2-4a6a-a3cd-373d94953408"]}"#);
    }
}
