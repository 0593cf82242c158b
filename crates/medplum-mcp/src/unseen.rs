//! What of a stored resource an agent cannot see, followed through a patch.
//!
//! A secret is known by what stands around it: the url of its extension, the name of its parameter, the type of the
//! resource that it lies in. A patch of those would bring it to light without touching it. So the patch is tried on a
//! copy in which each hidden value is replaced by a mark, and no mark may be shown afterwards. No value is compared, so
//! that no refusal tells of one.

use serde_json::Value;

use crate::writeback::left_out;

/// What stays of a closed resource in its place, and is seen.
const NAME: &[&str] = &["resourceType", "id"];

/// A resource whose hidden values are marks.
pub(crate) struct Unseen {
    resource: Value,
    marks: usize,
    /// Marks that are seen from the start: what they stand for is hidden for its own look, wherever it stands.
    by_look: Vec<usize>,
}

impl Unseen {
    /// A stored resource, and how one is shown.
    pub(crate) fn of(stored: &Value, shown: impl Fn(&Value) -> Value) -> Self {
        let (mut resource, mut marks) = (stored.clone(), 0);
        mark_hidden(&mut resource, &shown(stored), &mut marks);
        let mut unseen = Self { resource, marks, by_look: Vec::new() };
        if unseen.marks > 0 {
            let seen = shown(&unseen.resource).to_string();
            unseen.by_look = (0..unseen.marks).filter(|n| seen.contains(&mark(*n))).collect();
        }
        unseen
    }

    /// Whether a hidden value is shown after this. A patch that cannot be followed counts as one that shows it.
    pub(crate) fn comes_to_light(&mut self, patch: &json_patch::Patch, shown: impl Fn(&Value) -> Value) -> bool {
        if self.marks == self.by_look.len() {
            return false;
        }
        if json_patch::patch(&mut self.resource, patch).is_err() {
            return true;
        }
        let seen = shown(&self.resource).to_string();
        (0..self.marks).any(|n| !self.by_look.contains(&n) && seen.contains(&mark(n)))
    }
}

fn mark(number: usize) -> String {
    format!("unseen value {number}.")
}

/// Marks each value that is not shown as it is.
fn mark_hidden(value: &mut Value, shown: &Value, marks: &mut usize) {
    match (value, shown) {
        (Value::Object(object), Value::Object(seen)) => {
            let closed = object.keys().any(|key| !seen.contains_key(key));
            for (key, value) in object.iter_mut() {
                match seen.get(key) {
                    Some(seen) if !closed => mark_hidden(value, seen, marks),
                    _ if closed && NAME.contains(&key.as_str()) => {}
                    _ => mark_all(value, marks),
                }
            }
        }
        (Value::Array(values), Value::Array(seen)) => {
            values.iter_mut().zip(seen).for_each(|(value, seen)| mark_hidden(value, seen, marks));
        }
        (value, seen @ Value::String(_)) if left_out(seen).is_some() => mark_all(value, marks),
        _ => {}
    }
}

fn mark_all(value: &mut Value, marks: &mut usize) {
    match value {
        Value::Object(object) => object.values_mut().for_each(|value| mark_all(value, marks)),
        Value::Array(values) => values.iter_mut().for_each(|value| mark_all(value, marks)),
        value => {
            *value = Value::String(mark(*marks));
            *marks = marks.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::allowed_types::AllowedTypes;
    use crate::cleanse::Sieve;
    use crate::settings::Limits;

    fn shows(stored: &Value, operation: Value) -> bool {
        let types = AllowedTypes::parse("Patient,Subscription,Parameters,ClientApplication").unwrap();
        let sieve = Sieve::new(&Limits { types: Some(types), ..Limits::default() });
        let patch = serde_json::from_value(json!([operation])).unwrap();
        Unseen::of(stored, |value| sieve.shown(value)).comes_to_light(&patch, |value| sieve.shown(value))
    }

    fn replace(path: &str, value: &str) -> Value {
        json!({"op": "replace", "path": path, "value": value})
    }

    #[test]
    fn what_marks_a_secret_is_not_patched_away() {
        let secret = "https://www.medplum.com/fhir/StructureDefinition/subscription-secret";
        let subscription = json!({"resourceType": "Subscription", "extension": [{"url": secret, "valueString": "hunter2"}], "status": "active"});
        assert!(shows(&subscription, replace("/extension/0/url", "http://x.example/note")));
        assert!(!shows(&subscription, replace("/status", "off")));
        assert!(!shows(&subscription, json!({"op": "remove", "path": "/extension/0"})));
        // A guess says nothing of what is there.
        assert!(!shows(&subscription, json!({"op": "add", "path": "/reason", "value": "hunter2"})));
        let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "dbPassword", "valueString": "hunter2"}, {"name": "a"}]});
        assert!(shows(&parameters, replace("/parameter/0/name", "note")));
        assert!(!shows(&parameters, replace("/parameter/1/name", "b")));
    }

    #[test]
    fn a_closed_resource_inside_stays_closed() {
        let patient = json!({"resourceType": "Patient", "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "Jones"}]}]});
        assert!(shows(&patient, replace("/contained/0/resourceType", "Patient")));
        assert!(shows(&patient, json!({"op": "remove", "path": "/contained/0/resourceType"})));
        assert!(!shows(&patient, json!({"op": "remove", "path": "/contained/0"})));
        assert!(!shows(&patient, json!({"op": "add", "path": "/active", "value": true})));
    }
}
