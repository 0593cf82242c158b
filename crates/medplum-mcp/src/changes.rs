//! What differs between two versions of a resource, element by element, without the values.

use serde_json::Value;

/// At most so many differences are named.
const MOST: usize = 12;

/// The elements that differ: `telecom[0].value`, `address added`, `active removed`. `meta` and the narrative are left
/// out, for they change by themselves.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ(old, new, "", &mut found);
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn differ(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            let hidden = |key: &str| path.is_empty() && ["meta", "text"].contains(&key);
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).filter(|key| !hidden(key)) {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differ(old, new, &at, found),
                    (Some(_), None) => found.push(format!("{at} removed")),
                    (None, _) => found.push(format!("{at} added")),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (index, pair) in old.iter().zip(new).enumerate() {
                differ(pair.0, pair.1, &format!("{path}[{index}]"), found);
            }
            let (was, is) = (old.len(), new.len());
            found.extend((was..is).map(|index| format!("{path}[{index}] added")));
            found.extend((is..was).map(|index| format!("{path}[{index}] removed")));
        }
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn elements_are_named_and_values_are_not() {
        let old =
            json!({"meta": {"versionId": "1"}, "active": true, "telecom": [{"value": "555-1212"}], "gender": "male"});
        let new = json!({"meta": {"versionId": "2"}, "telecom": [{"value": "555-3434"}, {"value": "x"}], "gender": "male", "address": []});
        assert_eq!(changes(&old, &new), ["active removed", "telecom[0].value", "telecom[1] added", "address added"]);
    }
}
