//! A resource without what an agent seldom needs: narrative, most of `meta`, empty elements.

use serde_json::{Map, Value};

/// What of a resource is shown beyond its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its narrative (`text`).
    pub narrative: bool,
    /// All of its `meta`, not the version alone.
    pub meta: bool,
}

/// Makes a resource lean, in place, and those in it: a Bundle's entries, `contained`. What is no resource stays as it
/// is: null says something there.
pub fn lean(value: &mut Value, shown: Shown) {
    if value.get("resourceType").is_some_and(Value::is_string) {
        lean_within(value, shown);
    }
}

pub(super) fn lean_within(value: &mut Value, shown: Shown) {
    match value {
        Value::Object(object) => {
            // A document or a collection is data: its entries belong to it as they are.
            if is_data_bundle(object) {
                return;
            }
            if object.contains_key("resourceType") {
                lean_resource(object, shown);
            }
            // What a resource contains has no version of its own to be put back from.
            object.iter_mut().filter(|(key, _)| *key != "contained").for_each(|(_, child)| lean_within(child, shown));
            object.retain(|_, child| !is_empty(child));
        }
        // A list keeps its places: a null beside an extension says something.
        Value::Array(values) => values.iter_mut().for_each(|child| lean_within(child, shown)),
        _ => {}
    }
}

fn lean_resource(resource: &mut Map<String, Value>, shown: Shown) {
    let narrative = |text: &Value| text.get("div").is_some() || text.get("status").is_some();
    if !shown.narrative && resource.get("text").is_some_and(narrative) {
        resource.shift_remove("text");
    }
    if let Some(Value::Object(meta)) = resource.get_mut("meta").filter(|_| !shown.meta) {
        lean_meta(meta);
    }
    if resource.get("resourceType").and_then(Value::as_str) == Some("Bundle") {
        lean_bundle(resource);
    }
}

pub(super) fn lean_meta(meta: &mut Map<String, Value>) {
    if let Some(Value::Array(tags)) = meta.get_mut("tag") {
        tags.retain(is_subsetted);
    }
    meta.retain(|key, _| ["versionId", "lastUpdated", "tag"].contains(&key.as_str()));
}

/// Whether a tag says that elements are missing: it must stay, for such a resource is never written back.
pub fn is_subsetted(tag: &Value) -> bool {
    tag.get("code").and_then(Value::as_str) == Some("SUBSETTED")
}

fn is_data_bundle(object: &Map<String, Value>) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let answers = ["searchset", "history", "batch-response", "transaction-response"];
    text("resourceType") == Some("Bundle") && !text("type").is_some_and(|t| answers.contains(&t))
}

/// Links lead where only this server can go, full URLs repeat type and id, and that all is well says the status.
fn lean_bundle(bundle: &mut Map<String, Value>) {
    bundle.shift_remove("link");
    let Some(Value::Array(entries)) = bundle.get_mut("entry") else { return };
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        let resource = entry.get("resource").is_some_and(|r| r.get("id").is_some());
        if resource {
            entry.shift_remove("fullUrl");
        }
        if let Some(Value::Object(response)) = entry.get_mut("response")
            && response.get("outcome").is_some_and(says_all_is_well)
        {
            response.shift_remove("outcome");
        }
        if entry.get("search").and_then(|s| s.get("mode")).and_then(Value::as_str) == Some("match") {
            entry.shift_remove("search");
        }
    }
}

/// Medplum's "All OK", which comes with every entry of a batch.
fn says_all_is_well(outcome: &Value) -> bool {
    let issues = outcome.get("issue").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |issue: &Value, pointer: &str| issue.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let is_well = |issue: &Value| {
        text(issue, "/severity").as_deref() == Some("information")
            && text(issue, "/details/text").is_some_and(|text| ["All OK", "Created", "Not Modified"].contains(&&*text))
    };
    !issues.is_empty() && issues.iter().all(is_well)
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_entries_of_a_batch_say_what_the_status_does_not() {
        let outcome = |severity: &str, text: &str| json!({"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "informational", "details": {"text": text}}]});
        let entry = |outcome: Value| json!({"response": {"status": "200", "outcome": outcome}});
        let mut reply = json!({"resourceType": "Bundle", "type": "batch-response",
            "entry": [entry(outcome("information", "All OK")), entry(outcome("warning", "Deprecated"))]});
        lean(&mut reply, Shown::default());
        assert_eq!(reply["entry"][0], json!({"response": {"status": "200"}}));
        assert_eq!(reply["entry"][1]["response"]["outcome"]["issue"][0]["details"]["text"], "Deprecated");
    }

    #[test]
    fn a_lean_resource_keeps_its_data() {
        let mut patient = json!({"resourceType": "Patient", "id": "1", "text": {"status": "generated", "div": "<div/>"},
            "meta": {"versionId": "v", "lastUpdated": "t", "author": {"reference": "system"}, "profile": ["p"]},
            "name": [{"text": "Alice", "given": [null, "B"], "family": ""}], "contained": [{"resourceType": "Practitioner", "text": {"status": "generated"}}]});
        lean(&mut patient, Shown::default());
        assert_eq!(
            patient,
            json!({"resourceType": "Patient", "id": "1", "meta": {"versionId": "v", "lastUpdated": "t"},
            "name": [{"text": "Alice", "given": [null, "B"]}], "contained": [{"resourceType": "Practitioner", "text": {"status": "generated"}}]})
        );
    }
}
