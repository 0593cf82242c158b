//! The same as [`lean`](super::lean::lean), on the text of a resource: what need not be changed is copied.
//!
//! What is not plain is left to the tree: then there is no text.

use std::borrow::Cow;
use std::sync::LazyLock;

use medplum_client::{Member, Members};
use memchr::memmem::Finder;
use serde_json::Value;

use super::lean::{Shown, is_empty, lean_meta, lean_within};

/// Where a resource is.
static RESOURCE_TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"resourceType\""));

/// The text of the lean resource; none where a tree is needed to make it.
pub(crate) fn lean_text(text: &str, members: &Members, shown: Shown) -> Option<String> {
    let members = members.plain(text)?;
    let resource_type = members.iter().find(|member| member.name == "resourceType")?.value;
    if !resource_type.starts_with('"') || resource_type == "\"Bundle\"" || resource_type.contains('\\') {
        return None;
    }
    // Nearly none has others inside of it.
    let has_inner = RESOURCE_TYPE.find_iter(text.as_bytes()).nth(1).is_some();
    let mut out = Object::with_capacity(text.len());
    for member in &members {
        let value = match member.name {
            "text" if !shown.narrative && is_narrative(member.value)? => continue,
            "meta" if !shown.meta && member.value.starts_with('{') => meta(member.value)?,
            "contained" if member.is_compact => member.value.into(),
            "contained" => return None,
            _ => child(member, shown, has_inner)?,
        };
        if !matches!(value.as_ref(), "null" | "\"\"" | "[]" | "{}") {
            out.push(member.name, &value);
        }
    }
    Some(out.end())
}

/// An object's JSON, as it grows.
struct Object(String);

impl Object {
    fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    fn push(&mut self, name: &str, value: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
    }

    fn end(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

fn is_narrative(value: &str) -> Option<bool> {
    if !value.starts_with('{') {
        return Some(false);
    }
    Some(Members::of(value)?.plain(value)?.iter().any(|member| ["div", "status"].contains(&member.name)))
}

/// `meta` in short. One with a tag, or with anything but texts in it, is rare enough for the tree.
fn meta(value: &str) -> Option<Cow<'_, str>> {
    let members = Members::of(value)?.plain(value)?;
    let kept = || members.iter().filter(|member| ["versionId", "lastUpdated"].contains(&member.name));
    let is_plain = members.iter().all(|member| member.name != "tag")
        && kept().all(|member| member.value.starts_with('"') && member.is_compact && !member.has_empty);
    if is_plain {
        let mut out = Object::with_capacity(value.len());
        kept().for_each(|member| out.push(member.name, member.value));
        return Some(out.end().into());
    }
    let Ok(Value::Object(mut meta)) = serde_json::from_str(value) else { return None };
    lean_meta(&mut meta);
    let mut meta = Value::Object(meta);
    lean_within(&mut meta, Shown::default());
    Some(meta.to_string().into())
}

/// A member: as it is, if nothing in it is to go.
fn child<'a>(member: &Member<'a>, shown: Shown, has_inner: bool) -> Option<Cow<'a, str>> {
    let is_inner = || has_inner && RESOURCE_TYPE.find(member.value.as_bytes()).is_some();
    if member.is_compact && !member.has_empty && !is_inner() {
        return Some(member.value.into());
    }
    let mut value: Value = serde_json::from_str(member.value).ok()?;
    lean_within(&mut value, shown);
    Some(if is_empty(&value) { "null".into() } else { value.to_string().into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::lean::lean;
    use super::*;

    fn by_text(text: &str, shown: Shown) -> Option<String> {
        lean_text(text, &Members::of(text)?, shown)
    }

    fn by_tree(text: &str, shown: Shown) -> Value {
        let mut value: Value = serde_json::from_str(text).unwrap();
        lean(&mut value, shown);
        value
    }

    fn json_values() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "resourceType",
            "id",
            "text",
            "meta",
            "div",
            "status",
            "tag",
            "versionId",
            "lastUpdated",
            "profile",
            "contained",
            "name",
            "extension",
            "code",
            "type",
            "entry",
            "a\"b",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            prop::sample::select(vec!["", "x", "Patient", "Bundle", "SUBSETTED", "\"\"", "{}", "a b\n\\", "[] null"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..6).prop_map(|pairs| pairs
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_the_tree(mut value in json_values(), named in any::<bool>(), pretty in any::<bool>(), narrative in any::<bool>(), meta in any::<bool>()) {
            if let (true, Some(object)) = (named, value.as_object_mut()) {
                object.insert("resourceType".into(), "Patient".into());
            }
            let shown = Shown { narrative, meta };
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            if let Some(lean) = by_text(&text, shown) {
                prop_assert_eq!(&lean, &by_tree(&text, shown).to_string());
                prop_assert!(Members::of(&lean).unwrap().are_compact());
            }
            let compact = value.to_string();
            if let Some(members) = Members::of(&text) {
                prop_assert_eq!(members.are_compact(), text == compact);
            }
        }
    }

    #[test]
    fn most_resources_need_no_tree_and_keep_their_numbers() {
        let text = r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"v","lastUpdated":"t","author":{"reference":"system"}},"text":{"status":"generated","div":"<div>\u00e9</div>"},"note":[],"valueQuantity":{"value":1.10,"unit":"mg"}}"#;
        assert_eq!(
            by_text(text, Shown::default()).unwrap(),
            r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"v","lastUpdated":"t"},"valueQuantity":{"value":1.10,"unit":"mg"}}"#
        );
        let twice = json!({"resourceType": "Patient"}).to_string().replace('}', r#","resourceType":"Patient"}"#);
        assert_eq!(by_text(&twice, Shown::default()), None);
    }
}
