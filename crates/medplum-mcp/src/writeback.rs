//! A resource that was read lean, changed, and is written back: what the lean view hid is put in again.

use serde_json::{Map, Value};

use crate::answer::lean::is_subsetted;
use crate::cleanse::{REDACTED, cleanse};
use crate::failure::Failure;

/// The resource to store, and what an agent should know of it.
pub(crate) struct WriteBack {
    pub(crate) resource: Value,
    pub(crate) notes: Vec<String>,
}

/// Puts back what the agent was not shown: narrative, `meta`, secrets, and characters that were stripped.
///
/// # Errors
/// [`Failure`] for a resource that was read in part, and for a redacted secret that is not the stored one's.
pub(crate) fn merge(mut given: Value, stored: &Value) -> Result<WriteBack, Failure> {
    let tags = given.pointer("/meta/tag").and_then(Value::as_array);
    if tags.into_iter().flatten().any(is_subsetted) {
        return Err(Failure::teach(
            "This resource was read in part (SUBSETTED), and writing it would remove the rest. Read it whole with read_resource and change that, or use patch_resource. Nothing was sent.",
        ));
    }
    let mut shown = stored.clone();
    cleanse(&mut shown);
    restore(&mut given, &shown, stored);
    if let Some(path) = redacted(&given, "") {
        return Err(Failure::teach(format!(
            "{path} holds a placeholder for a secret that was left out, and is not the stored one's. Leave the element out, or change others with patch_resource. Nothing was sent."
        )));
    }
    let mut notes = Vec::new();
    if let (Some(resource), Some(stored)) = (given.as_object_mut(), stored.as_object()) {
        merge_meta(resource, stored);
        notes.extend(merge_narrative(resource, stored));
    }
    Ok(WriteBack { resource: given, notes })
}

/// A text that equals the stored one as it was shown becomes the stored one.
fn restore(given: &mut Value, shown: &Value, stored: &Value) {
    match (given, shown, stored) {
        (Value::String(text), Value::String(was), Value::String(is)) if text == was => text.clone_from(is),
        (Value::Object(given), Value::Object(shown), Value::Object(stored)) => {
            for (key, value) in given {
                if let (Some(shown), Some(stored)) = (shown.get(key), stored.get(key)) {
                    restore(value, shown, stored);
                }
            }
        }
        (Value::Array(given), Value::Array(shown), Value::Array(stored)) => {
            for (index, value) in given.iter_mut().enumerate() {
                // An item may have moved: the one that was shown like it is its own, else the one in its place.
                let at = place_of(value, shown, index);
                if let (Some(shown), Some(stored)) = (shown.get(at), stored.get(at)) {
                    restore(value, shown, stored);
                }
            }
        }
        _ => {}
    }
}

/// The stored item that an item was. A secret is never given to another name than its own.
fn place_of(value: &Value, shown: &[Value], index: usize) -> usize {
    if shown.get(index) == Some(value) {
        return index;
    }
    let same = || shown.iter().position(|item| item == value);
    if redacted(value, "").is_none() {
        return same().unwrap_or(index);
    }
    let named = || value.get("name").and_then(|name| shown.iter().position(|item| item.get("name") == Some(name)));
    same().or_else(named).unwrap_or(usize::MAX)
}

/// Where a placeholder of ours stands.
pub(crate) fn redacted(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains(REDACTED).then(|| path.to_owned()),
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(index, value)| redacted(value, &format!("{path}[{index}]")))
        }
        Value::Object(object) => object.iter().find_map(|(key, value)| {
            redacted(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") })
        }),
        _ => None,
    }
}

/// Tags, security labels and profiles stay, unless others are given.
fn merge_meta(given: &mut Map<String, Value>, stored: &Map<String, Value>) {
    let Some(Value::Object(kept)) = stored.get("meta") else { return };
    let meta = given.entry("meta").or_insert_with(|| Value::Object(Map::new()));
    if let Some(meta) = meta.as_object_mut() {
        for (key, value) in kept {
            meta.entry(key.as_str()).or_insert_with(|| value.clone());
        }
    }
}

/// The narrative that was not shown: one that was generated from data that changed is dropped, another is kept.
fn merge_narrative(given: &mut Map<String, Value>, stored: &Map<String, Value>) -> Option<String> {
    let text = stored.get("text").filter(|_| !given.contains_key("text"))?;
    let data = |resource: &Map<String, Value>| {
        let kept = resource.iter().filter(|(key, _)| !["text", "meta"].contains(&key.as_str()));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>()
    };
    let changed = data(given) != data(stored);
    let generated = text.get("status").and_then(Value::as_str) == Some("generated");
    if changed && generated {
        return Some("The narrative was generated from the data before this change, and was dropped.".into());
    }
    given.insert("text".into(), text.clone());
    changed.then(|| "The narrative (text) was kept, and may not fit the change: read it with narrative: true.".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lean_of(stored: &Value) -> Value {
        let mut lean = stored.clone();
        cleanse(&mut lean);
        crate::answer::lean::lean(&mut lean, crate::answer::lean::Shown::default());
        lean
    }

    #[test]
    fn what_was_hidden_is_put_back() {
        let stored = json!({"resourceType": "Patient", "id": "1", "meta": {"versionId": "v", "lastUpdated": "t", "tag": [{"code": "x"}], "profile": ["p"]},
            "text": {"status": "additional", "div": "<div>by hand</div>"}, "name": [{"family": "A\u{200b}b"}, {"family": "C"}]});
        let mut edited = lean_of(&stored);
        edited["active"] = json!(true);
        let written = merge(edited, &stored).unwrap();
        let mut expected = stored.clone();
        expected["active"] = json!(true);
        assert_eq!(written.resource, expected);
        assert_eq!(written.notes.len(), 1);
    }

    #[test]
    fn a_generated_narrative_goes_when_the_data_changes() {
        let stored = json!({"resourceType": "Patient", "id": "1", "text": {"status": "generated", "div": "<div/>"}, "active": true});
        let unchanged = merge(lean_of(&stored), &stored).unwrap();
        assert_eq!(unchanged.resource, stored);
        let mut edited = lean_of(&stored);
        edited["active"] = json!(false);
        assert!(merge(edited, &stored).unwrap().resource.get("text").is_none());
    }

    #[test]
    fn a_secret_comes_back_and_a_placeholder_is_never_sent() {
        let stored = json!({"resourceType": "ClientApplication", "id": "1", "name": "x", "secret": "hunter2"});
        let mut edited = lean_of(&stored);
        assert_eq!(edited["secret"], REDACTED);
        edited["name"] = json!("y");
        assert_eq!(merge(edited.clone(), &stored).unwrap().resource["secret"], "hunter2");
        edited["description"] = json!(REDACTED);
        assert!(merge(edited, &stored).is_err());
    }

    #[test]
    fn a_part_is_never_written() {
        let part = json!({"resourceType": "Patient", "id": "1", "meta": {"tag": [{"code": "SUBSETTED"}]}});
        assert!(merge(part, &json!({})).is_err());
    }
}
