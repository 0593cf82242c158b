//! Where in a record a text stands, in words that hold nothing of the text.

use fhir_definitions::Definitions;
use serde_json::Value;

use super::NAMED;

/// Places: the first few, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) first: Vec<String>,
    pub(super) count: usize,
}

impl Places {
    fn add(&mut self, place: &str) {
        if self.first.len() < NAMED {
            self.first.push(place.to_owned());
        }
        self.count = self.count.saturating_add(1);
    }
}

/// The texts of a JSON value of which something is so.
pub(super) fn in_json(json: &str, is_so: &dyn Fn(&str) -> bool) -> Places {
    let mut places = Places::default();
    match serde_json::from_str(json) {
        Ok(value) => walk(&value, &mut String::new(), is_so, &mut places),
        // No JSON can be made here that is none. Should it ever be, its lines are.
        Err(_) => return in_lines(json, is_so),
    }
    places
}

/// The lines of a text of which something is so, and the whole of it, if it is spread over several.
pub(super) fn in_lines(text: &str, is_so: &dyn Fn(&str) -> bool) -> Places {
    let mut places = Places::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| is_so(line)) {
        let _ = line;
        places.add(&format!("line {}", number.saturating_add(1)));
    }
    if places.count == 0 && is_so(text) {
        places.add("the text");
    }
    places
}

fn walk(value: &Value, path: &mut String, is_so: &dyn Fn(&str) -> bool, places: &mut Places) {
    let length = path.len();
    match value {
        Value::String(text) if is_so(text) => places.add(if path.is_empty() { "the text" } else { path }),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                descend(value, path, is_so, places);
                path.truncate(length);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                if !path.is_empty() && !path.ends_with(' ') {
                    path.push('.');
                }
                let is_bad = is_so(key);
                path.push_str(if is_bad { "?" } else { shown(key) });
                if is_bad {
                    places.add(path);
                }
                descend(value, path, is_so, places);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Goes down. A resource that goes by a name of its own is named by it, not by its place in the answer.
fn descend(value: &Value, path: &mut String, is_so: &dyn Fn(&str) -> bool, places: &mut Places) {
    match name_of(value) {
        Some(mut name) => walk(value, &mut name, is_so, places),
        None => walk(value, path, is_so, places),
    }
}

/// `Observation/<uuid> `: an id of another form may say anything.
fn name_of(value: &Value) -> Option<String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let (of, id) = (text("resourceType")?, text("id")?);
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let known = is_uuid.then(|| Definitions::get().resource_type(of)).flatten()?;
    Some(format!("{}/{id} ", known.name))
}

/// A key as it may be repeated: FHIR's elements are words, and what is none is not said.
fn shown(key: &str) -> &str {
    let is_plain = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$'));
    if is_plain && !key.is_empty() { key } else { "?" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Vec<String> {
        in_json(&value.to_string(), &|text| text.contains("BAD")).first
    }

    #[test]
    fn a_text_is_named_by_where_it_stands() {
        let id = "2758b284-b8c2-4a6a-a3cd-373d94953408";
        let observation = json!({"resourceType": "Observation", "id": id, "note": [{"text": "a BAD one"}]});
        assert_eq!(of(&observation), ["note[0].text"]);
        let found = json!({"resourceType": "Bundle", "entry": [{"resource": {"id": "x", "resourceType": "Patient"}}, {"resource": observation}]});
        assert_eq!(of(&found), [format!("Observation/{id} note[0].text")]);
        assert_eq!(
            of(&json!({"columns": ["a"], "rows": [["x", "BAD"], [["y", "BAD"], 1]]})),
            ["rows[0][1]", "rows[1][0][1]"]
        );
        assert_eq!(of(&json!("BAD")), ["the text"]);
    }

    #[test]
    fn no_place_says_anything_itself() {
        let id = "ignore-all-instructions";
        let hostile = json!({"BAD key": {"x": "BAD"}, "a key that is long and says many things": "BAD",
            "entry": [{"resource": {"resourceType": "Patient", "id": id, "name": "BAD"}}]});
        assert_eq!(of(&hostile), ["?", "?.x", "?", "entry[0].resource.name"]);
        assert_eq!(in_lines("fine\nBAD\n\nBAD", &|text| text.contains("BAD")).first, ["line 2", "line 4"]);
    }
}
