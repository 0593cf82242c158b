//! A record's own words, short.

use serde_json::Value;

use crate::cleanse::FREE_TEXT;

/// How long a cell may be, in characters.
pub(super) const CELL: usize = 72;

/// The text at a JSON pointer, if it is one and not empty. What was left out is none.
pub(crate) fn string<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty() && *text != FREE_TEXT)
}

/// The list at a JSON pointer; empty if there is none.
pub(crate) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The beginning of a text, with … where something is missing.
pub(super) fn clipped(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    let start: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

/// A cell of a text; empty where there is none.
pub(super) fn cell(text: Option<impl AsRef<str>>) -> Value {
    Value::from(text.map(|text| clipped(text.as_ref(), CELL)).unwrap_or_default())
}

/// What a CodeableConcept or Coding says.
pub(super) fn concept(concept: &Value) -> Option<&str> {
    let own = string(concept, "/text").or_else(|| string(concept, "/display"));
    own.or_else(|| list(concept, "/coding").iter().find_map(|coding| string(coding, "/display")))
        .or_else(|| code(concept))
}

/// The first code of a CodeableConcept, or that of a Coding.
pub(super) fn code(concept: &Value) -> Option<&str> {
    string(concept, "/code").or_else(|| list(concept, "/coding").iter().find_map(|coding| string(coding, "/code")))
}

/// What the CodeableConcepts at a pointer say.
pub(super) fn concepts(value: &Value, pointer: &str) -> Option<String> {
    let all: Vec<&str> = list(value, pointer).iter().filter_map(concept).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whether a resource says of itself that it was entered in error.
pub(super) fn is_entered_in_error(resource: &Value) -> bool {
    let verification = resource.get("verificationStatus").and_then(code);
    string(resource, "/status") == Some("entered-in-error") || verification == Some("entered-in-error")
}

/// What a resource is called: a person, an organization, a medication.
pub(crate) fn name_of(resource: &Value) -> Option<String> {
    match resource.get("name") {
        Some(Value::Array(names)) => human_name(names),
        Some(Value::String(name)) => Some(name.clone()),
        _ => resource
            .get("code")
            .and_then(concept)
            .or_else(|| string(resource, "/practitioner/display"))
            .map(str::to_owned),
    }
}

/// The name that a person goes by: the official one, then the usual one, then the first.
pub(crate) fn human_name(names: &[Value]) -> Option<String> {
    let used = |wanted: &str| names.iter().find(|name| string(name, "/use") == Some(wanted));
    let name = used("official").or_else(|| used("usual")).or_else(|| names.first())?;
    if let Some(text) = string(name, "/text") {
        return Some(text.to_owned());
    }
    let parts = |pointer| list(name, pointer).iter().filter_map(Value::as_str);
    let words: Vec<&str> =
        parts("/prefix").chain(parts("/given")).chain(string(name, "/family")).chain(parts("/suffix")).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// `500 mg`
pub(super) fn quantity(quantity: &Value) -> Option<String> {
    let value = quantity.get("value")?;
    let comparator = string(quantity, "/comparator").unwrap_or_default();
    let unit = unit(quantity).map(|unit| format!(" {unit}")).unwrap_or_default();
    Some(format!("{comparator}{value}{unit}"))
}

/// The unit of a quantity, as it is written, or its code.
pub(super) fn unit(quantity: &Value) -> Option<&str> {
    string(quantity, "/unit").or_else(|| string(quantity, "/code"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clipping_says_so_and_never_splits_a_character() {
        assert_eq!(clipped("short", 5), "short");
        assert_eq!(clipped("too long", 5), "too…");
        assert_eq!(clipped("ééééé", 4), "ééé…");
        assert_eq!(clipped("two\n  lines", 20), "two lines");
    }

    #[test]
    fn names() {
        let names = json!([{"use": "old", "family": "Old"}, {"use": "official", "family": "Jones", "given": ["Bob", "T"], "prefix": ["Dr"]}]);
        assert_eq!(human_name(names.as_array().unwrap()).as_deref(), Some("Dr Bob T Jones"));
        assert_eq!(human_name(&[]), None);
        assert_eq!(name_of(&json!({"name": "Clinic"})).as_deref(), Some("Clinic"));
    }

    #[test]
    fn concepts_by_text_then_display_then_code() {
        assert_eq!(concept(&json!({"text": "a", "coding": [{"code": "b"}]})), Some("a"));
        assert_eq!(concept(&json!({"coding": [{"code": "b"}, {"display": "c"}]})), Some("c"));
        assert_eq!(concept(&json!({"coding": [{"code": "b"}]})), Some("b"));
        assert_eq!(concept(&json!({"text": " "})), None);
    }
}
