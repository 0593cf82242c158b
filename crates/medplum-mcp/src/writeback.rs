//! A resource that was read lean, changed, and is written back: what the lean view hid is put in again.

use serde_json::{Map, Value};

use crate::answer::lean::is_subsetted;
use crate::cleanse::{FREE_TEXT, REDACTED};
use crate::failure::Failure;
use crate::settings::ALLOWED_TYPES;

/// The resource to store, and what an agent should know of it.
pub(crate) struct WriteBack {
    pub(crate) resource: Value,
    pub(crate) notes: Vec<String>,
}

/// Puts back what the agent was not shown: narrative, `meta`, secrets, characters that were stripped, and what the
/// operator has closed. `shown` is the stored resource as the agent may see it.
///
/// # Errors
/// [`Failure`] for a resource that was read in part, for a redacted secret that is not the stored one's, and for one
/// that would lose what the agent cannot see.
pub(crate) fn merge(mut given: Value, stored: &Value, shown: &Value) -> Result<WriteBack, Failure> {
    let tags = given.pointer("/meta/tag").and_then(Value::as_array);
    if tags.into_iter().flatten().any(is_subsetted) {
        return Err(Failure::teach(
            "This resource was read in part (SUBSETTED), and writing it would remove the rest. Read it whole with read_resource and change that, or use patch_resource. Nothing was sent.",
        ));
    }
    if let Some(path) = ambiguous(&given, shown, stored, "") {
        return Err(Failure::teach(format!(
            "{path}: items that look alike, for their free text was left out for you, are fewer than there were, and which of them is to go cannot be told. Remove it by its place with patch_resource. Nothing was sent."
        )));
    }
    restore(&mut given, shown, stored);
    if let Some((path, what)) = left_out(&given) {
        let instead = match what {
            FREE_TEXT_SAID => {
                "Keep the items of a list in their places, or change one by its place with patch_resource"
            }
            _ => "Leave the element out, or change others with patch_resource",
        };
        return Err(Failure::teach(format!(
            "{path} holds a placeholder for {what} that was left out, and is not the stored one's. {instead}. Nothing was sent."
        )));
    }
    let mut notes: Vec<String> = keep_texts(&mut given, shown, stored).into_iter().collect();
    if let (Some(resource), Some(stored)) = (given.as_object_mut(), stored.as_object()) {
        notes.extend(merge_meta(resource, stored));
        notes.extend(merge_narrative(resource, stored));
    }
    if let Some(path) = lost(&given, shown, stored) {
        return Err(Failure::teach(format!(
            "{path} is left out for you ({ALLOWED_TYPES}), and would be lost. Pass it back as it was shown, or remove it by name with patch_resource. Nothing was sent."
        )));
    }
    Ok(WriteBack { resource: given, notes })
}

/// The elements that a resource loses by an update, of those that the agent was shown: whoever leaves one out may think
/// that it stays.
pub(crate) fn removed(given: &Value, shown: &Value) -> Vec<String> {
    let Some(shown) = shown.as_object() else { return Vec::new() };
    let of_its_own = |key: &str| ["id", "meta", "text", "resourceType"].contains(&key);
    let goes = |key: &str| !of_its_own(key) && given.get(key).is_none_or(Value::is_null);
    shown.keys().filter(|key| goes(key)).cloned().collect()
}

/// What stands for free text in a sentence.
const FREE_TEXT_SAID: &str = "free text";

/// Puts back the elements of the resource that are missing and hold free text, which the agent did not see; the narrative
/// has rules of its own.
fn keep_texts(given: &mut Value, shown: &Value, stored: &Value) -> Option<String> {
    let (Some(given), Some(shown)) = (given.as_object_mut(), shown.as_object()) else { return None };
    let mut kept = Vec::new();
    for (key, shown) in shown {
        if key == "text" || given.contains_key(key) || placeholder(shown, "", FREE_TEXT).is_none() {
            continue;
        }
        if let Some(stored) = stored.get(key) {
            given.insert(key.clone(), stored.clone());
            kept.push(key.as_str());
        }
    }
    let kept = (!kept.is_empty()).then(|| kept.join(", "))?;
    Some(format!("Kept, for it holds text that was left out for you: {kept}. patch_resource removes it."))
}

/// What equals the stored as it was shown becomes the stored. An element that is missing and holds what cannot be seen
/// is put back.
fn restore(given: &mut Value, shown: &Value, stored: &Value) {
    if given == shown {
        given.clone_from(stored);
        return;
    }
    match (given, shown, stored) {
        (Value::Object(given), Value::Object(shown), Value::Object(stored)) => {
            for (key, value) in given.iter_mut() {
                if let (Some(shown), Some(stored)) = (shown.get(key), stored.get(key)) {
                    restore(value, shown, stored);
                }
            }
            for (key, stored) in stored {
                if !given.contains_key(key) && shown.get(key).is_some_and(|shown| hides(shown, stored)) {
                    given.insert(key.clone(), stored.clone());
                }
            }
        }
        (Value::Array(given), Value::Array(shown), Value::Array(stored)) => {
            let in_place = is_in_place(given, shown);
            for (index, value) in given.iter_mut().enumerate() {
                // An item may have moved: the one that was shown like it is its own, else the one in its place.
                let at = place_of(value, shown, index, in_place);
                if let (Some(shown), Some(stored)) = (shown.get(at), stored.get(at)) {
                    restore(value, shown, stored);
                }
            }
        }
        _ => {}
    }
}

/// Whether something of the stored value is closed to the agent, in what is shown of it.
pub(crate) fn hides(shown: &Value, stored: &Value) -> bool {
    let mut found = false;
    hidden(shown, stored, &mut Vec::new(), &mut |_, _| found = true);
    found
}

/// A step to a value: a key, or a place in a list.
enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

/// Tells of each value that is closed to the agent, and where it stands.
fn hidden<'v>(
    shown: &Value,
    stored: &'v Value,
    path: &mut Vec<Step<'v>>,
    tell: &mut dyn FnMut(&[Step<'v>], &'v Value),
) {
    match (shown, stored) {
        // Of a resource that is closed, no more is shown than its name.
        (Value::Object(was), Value::Object(is)) if is.keys().any(|key| !was.contains_key(key)) => tell(path, stored),
        (Value::Object(was), Value::Object(is)) => {
            for (key, stored) in is {
                if let Some(shown) = was.get(key) {
                    path.push(Step::Key(key));
                    hidden(shown, stored, path, tell);
                    path.pop();
                }
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            for (index, (shown, stored)) in was.iter().zip(is).enumerate() {
                path.push(Step::Index(index));
                hidden(shown, stored, path, tell);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Where something is that the agent cannot see, and that is not there any more.
fn lost(given: &Value, shown: &Value, stored: &Value) -> Option<String> {
    let mut found: Option<String> = None;
    let mut kept: Vec<&Value> = Vec::new();
    hidden(shown, stored, &mut Vec::new(), &mut |path, value| {
        let keys: Vec<&str> =
            path.iter().filter_map(|step| if let Step::Key(key) = step { Some(*key) } else { None }).collect();
        let mut there = Vec::new();
        at(given, &keys, &mut there);
        // Each stands for one: what was there twice must still be there twice.
        let same = |list: &[&Value]| list.iter().filter(|other| **other == value).count();
        if same(&there) > same(&kept) {
            kept.push(value);
        } else {
            found.get_or_insert_with(|| written(path));
        }
    });
    found
}

/// The values to which keys lead, through every item of the lists on the way.
fn at<'v>(value: &'v Value, keys: &[&str], found: &mut Vec<&'v Value>) {
    match (value, keys.split_first()) {
        (Value::Array(values), _) => values.iter().for_each(|value| at(value, keys, found)),
        (value, None) => found.push(value),
        (Value::Object(object), Some((key, rest))) => {
            if let Some(value) = object.get(*key) {
                at(value, rest, found);
            }
        }
        _ => {}
    }
}

/// `contained[0]`
fn written(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The stored item that an item was. A secret is never given to another name than its own.
fn place_of(value: &Value, shown: &[Value], index: usize, in_place: bool) -> usize {
    if shown.get(index) == Some(value) {
        return index;
    }
    let same = || shown.iter().position(|item| item == value);
    if placeholder(value, "", REDACTED).is_none() {
        // A text is given to no other item than its own either.
        let is_told = in_place || placeholder(value, "", FREE_TEXT).is_none();
        return same().unwrap_or(if is_told { index } else { usize::MAX });
    }
    let named = || value.get("name").and_then(|name| shown.iter().position(|item| item.get("name") == Some(name)));
    same().or_else(named).unwrap_or(usize::MAX)
}

/// Whether no item of a list has moved: whatever differs from what was shown was changed in its place.
fn is_in_place(given: &[Value], shown: &[Value]) -> bool {
    let stayed = |(index, value): (usize, &Value)| shown.get(index) == Some(value) || !shown.contains(value);
    given.len() == shown.len() && given.iter().enumerate().all(stayed)
}

/// The list of which items that look alike, and are not, are fewer than there were.
fn ambiguous(given: &Value, shown: &Value, stored: &Value, path: &str) -> Option<String> {
    match (given, shown, stored) {
        _ if given == shown => None,
        (Value::Object(given), Value::Object(shown), Value::Object(stored)) => given.iter().find_map(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            ambiguous(value, shown.get(key)?, stored.get(key)?, &path)
        }),
        (Value::Array(given), Value::Array(shown), Value::Array(stored)) => {
            let count = |list: &[Value], item: &Value| list.iter().filter(|other| *other == item).count();
            let twins = shown.iter().zip(stored).any(|(item, is)| {
                let alike = shown.iter().zip(stored).any(|(other, its)| other == item && its != is);
                alike
                    && (1..count(shown, item)).contains(&count(given, item))
                    && placeholder(item, "", FREE_TEXT).is_some()
            });
            let inside = || {
                given.iter().enumerate().find_map(|(index, value)| {
                    let at = place_of(value, shown, index, is_in_place(given, shown));
                    ambiguous(value, shown.get(at)?, stored.get(at)?, &format!("{path}[{index}]"))
                })
            };
            if twins && given.len() < shown.len() { Some(path.to_owned()) } else { inside() }
        }
        _ => None,
    }
}

/// Where a placeholder of ours stands, and for what.
pub(crate) fn left_out(value: &Value) -> Option<(String, &'static str)> {
    let secret = placeholder(value, "", REDACTED).map(|path| (path, "a secret"));
    secret.or_else(|| placeholder(value, "", FREE_TEXT).map(|path| (path, FREE_TEXT_SAID)))
}

fn placeholder(value: &Value, path: &str, mark: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains(mark).then(|| path.to_owned()),
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(index, value)| placeholder(value, &format!("{path}[{index}]"), mark))
        }
        Value::Object(object) => object.iter().find_map(|(key, value)| {
            placeholder(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, mark)
        }),
        _ => None,
    }
}

/// Tags, security labels and profiles stay, unless others are given: a list of none may be all that was shown of them.
fn merge_meta(given: &mut Map<String, Value>, stored: &Map<String, Value>) -> Option<String> {
    let Some(Value::Object(kept)) = stored.get("meta") else { return None };
    if given.get("meta").is_some_and(Value::is_null) {
        given.shift_remove("meta");
    }
    let meta = given.entry("meta").or_insert_with(|| Value::Object(Map::new()));
    let meta = meta.as_object_mut()?;
    let mut stayed = Vec::new();
    for (key, value) in kept {
        let is_none = |given: &Value| given.as_array().is_some_and(Vec::is_empty);
        if meta.get(key).is_some_and(is_none) && !is_none(value) {
            stayed.push(format!("meta.{key}"));
            meta.shift_remove(key);
        }
        meta.entry(key.as_str()).or_insert_with(|| value.clone());
    }
    let stayed = (!stayed.is_empty()).then(|| stayed.join(", "))?;
    Some(format!("{stayed}: [] was taken as not given, and what is stored stays. patch_resource removes it."))
}

/// The narrative, unless another is given: one that was generated from data that changed is dropped, another is kept.
fn merge_narrative(given: &mut Map<String, Value>, stored: &Map<String, Value>) -> Option<String> {
    let text = stored.get("text")?;
    if given.get("text").is_some_and(|own| own != text) {
        return None;
    }
    let data = |resource: &Map<String, Value>| {
        let kept = resource.iter().filter(|(key, _)| !["text", "meta"].contains(&key.as_str()));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>()
    };
    let changed = data(given) != data(stored);
    let generated = text.get("status").and_then(Value::as_str) == Some("generated");
    if changed && generated {
        given.shift_remove("text");
        return Some("The narrative was generated from the data before this change, and was dropped.".into());
    }
    given.insert("text".into(), text.clone());
    changed.then(|| "The narrative (text) was kept, and may not fit the change: read it with narrative: true.".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cleanse::Sieve;
    use crate::settings::Limits;

    fn merge(given: Value, stored: &Value) -> Result<WriteBack, Failure> {
        super::merge(given, stored, &Sieve::default().shown(stored))
    }

    fn lean_of(stored: &Value) -> Value {
        let mut lean = Sieve::default().shown(stored);
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
        // Read with it, and sent back as it was.
        let mut edited = stored.clone();
        edited["active"] = json!(false);
        let written = merge(edited.clone(), &stored).unwrap();
        assert!(written.resource.get("text").is_none() && written.notes.len() == 1);
        edited["text"]["div"] = json!("<div>new</div>");
        assert_eq!(merge(edited.clone(), &stored).unwrap().resource["text"], edited["text"]);
    }

    #[test]
    fn a_meta_of_nothing_loses_no_label() {
        let stored =
            json!({"resourceType": "Patient", "id": "1", "meta": {"versionId": "v", "security": [{"code": "R"}]}});
        let given = json!({"resourceType": "Patient", "id": "1", "meta": null});
        assert_eq!(merge(given, &stored).unwrap().resource["meta"]["security"], json!([{"code": "R"}]));
    }

    #[test]
    fn a_list_of_no_tags_removes_none() {
        let meta = json!({"versionId": "v", "tag": [{"code": "x"}], "security": [{"code": "R"}]});
        let stored = json!({"resourceType": "Patient", "id": "1", "meta": meta});
        let given = json!({"resourceType": "Patient", "id": "1", "meta": {"tag": [], "security": [{"code": "N"}]}});
        let written = merge(given, &stored).unwrap();
        assert_eq!(written.resource["meta"]["tag"], json!([{"code": "x"}]));
        assert_eq!(written.resource["meta"]["security"], json!([{"code": "N"}]));
        assert_eq!(
            written.notes,
            ["meta.tag: [] was taken as not given, and what is stored stays. patch_resource removes it."]
        );
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

    /// The stored resource, and as it is shown without free text.
    fn without_text(stored: &Value) -> (Value, impl Fn(Value) -> Result<WriteBack, Failure>) {
        let sieve = Sieve::new(&Limits { free_text: crate::settings::FreeText::Drop, ..Limits::default() });
        let (shown, stored) = (sieve.shown(stored), stored.clone());
        (shown.clone(), move |given| super::merge(given, &stored, &shown))
    }

    #[test]
    fn free_text_comes_back_wherever_it_belongs() {
        let note = |text: &str, time: &str| json!({"text": text, "time": time});
        let component = |code: &str, text: &str, value: i32| json!({"code": {"coding": [{"code": code}], "text": text}, "valueInteger": value});
        let stored = json!({"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "Blood pressure"},
            "note": [note("first", "2026-01-01"), note("second", "2026-01-02")], "text": {"status": "additional", "div": "<div>by hand</div>"},
            "component": [component("8480-6", "systolic", 120), component("8462-4", "diastolic", 80)]});
        let (shown, merge) = without_text(&stored);
        for text in ["first", "second", "Blood", "systolic", "by hand"] {
            assert!(!shown.to_string().contains(text), "{shown}");
        }
        // Changed in its place.
        let mut edited = shown.clone();
        edited["component"][1]["valueInteger"] = json!(82);
        let mut expected = stored.clone();
        expected["component"][1]["valueInteger"] = json!(82);
        assert_eq!(merge(edited).unwrap().resource, expected);
        // One removed, and one added.
        let mut edited = shown.clone();
        edited["note"] = json!([shown["note"][1], {"text": "third"}]);
        let written = merge(edited).unwrap().resource;
        assert_eq!(written["note"], json!([stored["note"][1], {"text": "third"}]));
        // Left out as a whole.
        let mut edited = shown.clone();
        edited.as_object_mut().unwrap().retain(|key, _| key != "note" && key != "text");
        let written = merge(edited).unwrap();
        assert_eq!((&written.resource["note"], &written.resource["text"]), (&stored["note"], &stored["text"]));
        assert!(
            written.notes[0].starts_with("Kept, for it holds text that was left out for you: note."),
            "{:?}",
            written.notes
        );
        // Moved and changed at once: whose text it is cannot be told.
        let mut edited = shown.clone();
        edited["component"].as_array_mut().unwrap().reverse();
        edited["component"][0]["valueInteger"] = json!(1);
        let Err(failure) = merge(edited) else { panic!("it was taken") };
        assert!(
            format!("{failure:?}").contains("component[0].code.text holds a placeholder for free text"),
            "{failure:?}"
        );
        // Elsewhere.
        let mut edited = shown.clone();
        edited["method"] = json!({"text": FREE_TEXT});
        assert!(merge(edited).is_err());
    }

    #[test]
    fn of_texts_that_look_alike_none_is_lost() {
        let stored = json!({"resourceType": "Observation", "id": "1", "note": [{"text": "first"}, {"text": "second"}]});
        let (shown, merge) = without_text(&stored);
        let mut edited = shown.clone();
        edited["note"] = json!([shown["note"][0]]);
        let Err(failure) = merge(edited.clone()) else { panic!("one was lost") };
        assert!(format!("{failure:?}").contains("note: items that look alike"), "{failure:?}");
        edited["note"] = json!([shown["note"][0], shown["note"][1], {"text": "third"}]);
        assert_eq!(merge(edited.clone()).unwrap().resource["note"][1]["text"], "second");
        edited["note"] = json!([]);
        assert_eq!(merge(edited).unwrap().resource["note"], json!([]));
    }

    #[test]
    fn a_part_is_never_written() {
        let part = json!({"resourceType": "Patient", "id": "1", "meta": {"tag": [{"code": "SUBSETTED"}]}});
        assert!(merge(part, &json!({})).is_err());
    }

    #[test]
    fn what_is_closed_comes_back_and_is_never_lost() {
        let types = crate::allowed_types::AllowedTypes::parse("Patient").unwrap();
        let sieve = Sieve::new(&Limits { types: Some(types), ..Limits::default() });
        let gp = json!({"resourceType": "Practitioner", "id": "gp", "name": [{"family": "Jones"}]});
        let stored = json!({"resourceType": "Patient", "id": "1", "active": true, "contained": [gp, {"resourceType": "Patient", "id": "p"}],
            "generalPractitioner": [{"reference": "#gp"}]});
        let shown = sieve.shown(&stored);
        assert_eq!(shown["contained"][0], json!({"resourceType": "Practitioner", "id": "gp"}));
        let written = |given: Value| super::merge(given, &stored, &shown);
        let mut edited = shown.clone();
        edited["active"] = json!(false);
        let mut expected = stored.clone();
        expected["active"] = json!(false);
        assert_eq!(written(edited.clone()).unwrap().resource, expected);
        // Elsewhere in the list, and not there at all.
        edited["contained"].as_array_mut().unwrap().reverse();
        assert_eq!(written(edited.clone()).unwrap().resource["contained"][1], gp);
        edited.as_object_mut().unwrap().remove("contained");
        assert_eq!(written(edited.clone()).unwrap().resource["contained"], stored["contained"]);
        // Taken out, changed, or replaced by another of its name.
        for contained in [
            json!([]),
            json!([{"resourceType": "Practitioner", "id": "gp", "active": true}]),
            json!([{"resourceType": "Patient", "id": "p"}]),
        ] {
            edited["contained"] = contained;
            let Err(failure) = written(edited.clone()) else { panic!("it was lost: {edited}") };
            assert!(format!("{failure:?}").contains("contained[0] is left out for you"), "{failure:?}");
        }
    }
}
