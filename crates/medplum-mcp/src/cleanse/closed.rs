//! Resources of types that the operator does not allow, taken out of what comes back.
//!
//! What a search or a history found of them is gone. Elsewhere, inside of another resource, their name stays in their
//! place, so that what refers to it still does, and so that it is put back when the resource is written.

use serde_json::{Map, Value};

use crate::allowed_types::AllowedTypes;

/// What of a closed resource stays in its place.
const NAME: &[&str] = &["resourceType", "id"];

/// Takes closed resources out of a value, and tells of each.
pub(super) fn leave_out(value: &mut Value, allowed: &AllowedTypes, tell: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| leave_out(value, allowed, tell)),
        Value::Object(object) => {
            if let Some(of) = closed(object, allowed) {
                let of = of.to_owned();
                tell(&of, value);
                if let Value::Object(object) = value {
                    object.retain(|key, _| NAME.contains(&key.as_str()));
                }
                return;
            }
            if is_found(object)
                && let Some(Value::Array(entries)) = object.get_mut("entry")
            {
                entries.retain(|entry| match entry.get("resource") {
                    Some(resource @ Value::Object(found)) => match closed(found, allowed) {
                        Some(of) => {
                            tell(of, resource);
                            false
                        }
                        None => true,
                    },
                    _ => true,
                });
            }
            object.values_mut().for_each(|value| leave_out(value, allowed, tell));
        }
        _ => {}
    }
}

/// The type of an object that is a resource of a closed type.
fn closed<'o>(object: &'o Map<String, Value>, allowed: &AllowedTypes) -> Option<&'o str> {
    let of = object.get("resourceType").and_then(Value::as_str)?;
    let comes = allowed.may_read(of) || AllowedTypes::is_envelope(of) || of == "Bundle" && is_answer(object);
    (!comes).then_some(of)
}

/// Whether a Bundle is an answer, and no document or collection that somebody stored.
fn is_answer(bundle: &Map<String, Value>) -> bool {
    let of = bundle.get("type").and_then(Value::as_str);
    of.is_none_or(|of| ["searchset", "history", "batch-response", "transaction-response"].contains(&of))
}

/// Whether a Bundle's entries are what was found, and not answers to what was asked, each in its place.
fn is_found(object: &Map<String, Value>) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    text("resourceType") == Some("Bundle") && matches!(text("type"), Some("searchset" | "history"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn left(mut value: Value) -> (Value, Vec<String>) {
        let mut told = Vec::new();
        let allowed = AllowedTypes::parse("Patient,Observation").unwrap();
        leave_out(&mut value, &allowed, &mut |of, _| told.push(of.to_owned()));
        (value, told)
    }

    #[test]
    fn what_was_found_goes_and_what_is_inside_leaves_its_name() {
        let patient = json!({"resourceType": "Patient", "id": "1", "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "x"}]}]});
        let found = json!({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [
            {"resource": patient}, {"resource": {"resourceType": "Organization", "id": "o", "name": "x"}, "search": {"mode": "include"}},
            {"resource": {"resourceType": "OperationOutcome", "issue": []}}]});
        let (value, told) = left(found);
        assert_eq!(told, ["Organization", "Practitioner"]);
        assert_eq!(value["entry"].as_array().unwrap().len(), 2);
        assert_eq!(value["entry"][0]["resource"]["contained"], json!([{"resourceType": "Practitioner", "id": "p"}]));
    }

    #[test]
    fn answers_keep_their_places_and_other_json_is_looked_through() {
        let answers = json!({"resourceType": "Bundle", "type": "batch-response", "entry": [
            {"response": {"status": "200"}, "resource": {"resourceType": "Device", "id": "d", "status": "active"}},
            {"response": {"status": "200"}, "resource": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {"resourceType": "Device", "id": "d"}}]}},
            {"response": {"status": "200"}, "resource": {"resourceType": "Bundle", "type": "document", "id": "b", "entry": []}}]});
        let (value, told) = left(answers);
        assert_eq!(told, ["Device", "Device", "Bundle"]);
        assert_eq!(value["entry"][0]["resource"], json!({"resourceType": "Device", "id": "d"}));
        assert_eq!(value["entry"][1]["resource"]["entry"], json!([]));
        assert_eq!(value["entry"][2]["resource"], json!({"resourceType": "Bundle", "id": "b"}));
        let (value, told) = left(
            json!({"profile": {"resourceType": "Practitioner", "id": "p", "name": []}, "x": [[{"resourceType": "Task", "id": "t", "a": 1}]]}),
        );
        assert_eq!(told, ["Practitioner", "Task"]);
        assert_eq!(value["profile"], json!({"resourceType": "Practitioner", "id": "p"}));
        assert_eq!(value["x"], json!([[{"resourceType": "Task", "id": "t"}]]));
    }
}
