//! The same as [`lean`](super::lean::lean), on the text of a resource: what need not be changed is copied.
//!
//! What is not plain is left to the tree: then there is no text.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};
use serde_json::Value;

use super::lean::{Shown, is_empty, lean_meta, lean_within};
use crate::eight::Eight;

/// Where a resource is.
static RESOURCE_TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"resourceType\""));

/// A member of an object, in JSON as it came.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Member<'a> {
    /// Its name, without the quotes.
    name: &'a str,
    value: &'a str,
    /// Whether no white space stands between the parts of the value.
    compact: bool,
    /// Whether the value, or a part of it, may be empty: `""`, `null`, `[]`, `{}`.
    has_empty: bool,
}

/// The members of the object that a sound JSON text is, in one pass. None if it is not plain: white space around
/// members, a name with an escape, two members of one name.
fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut rest = text.strip_prefix('{')?;
    let mut members = Vec::with_capacity(24);
    while let Some(quoted) = rest.strip_prefix('"') {
        let end = memchr(b'"', quoted.as_bytes())?;
        let (name, after) = (quoted.get(..end)?, quoted.get(end.saturating_add(1)..)?);
        if name.as_bytes().contains(&b'\\') || members.iter().any(|member: &Member<'_>| member.name == name) {
            return None;
        }
        let text = after.strip_prefix(':')?;
        let Scan { length, compact, has_empty } = scan(text);
        members.push(Member { name, value: text.get(..length)?, compact, has_empty });
        let after = text.get(length..)?;
        rest = match after.strip_prefix(',') {
            Some(next) if next.starts_with('"') => next,
            _ => return (after == "}").then_some(members),
        };
    }
    (rest == "}").then_some(members)
}

/// What one value at the start of a text is like.
struct Scan {
    length: usize,
    compact: bool,
    has_empty: bool,
}

fn scan(text: &str) -> Scan {
    let (mut depth, mut compact, mut has_empty, mut before) = (0_usize, true, false, 0_u8);
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let here = text.len().saturating_sub(rest.len());
        rest = after;
        match byte {
            b'"' => {
                let string = string_length(after);
                has_empty |= string == 0;
                rest = after.get(string.saturating_add(1)..).unwrap_or_default();
            }
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' | b',' if depth == 0 => return Scan { length: here, compact, has_empty },
            b'}' | b']' => {
                has_empty |= before == b'{' || before == b'[';
                depth = depth.saturating_sub(1);
            }
            b' ' | b'\n' | b'\r' | b'\t' => compact = false,
            // `null`, as no other word begins so.
            b'n' => has_empty = true,
            _ => {}
        }
        before = byte;
    }
    Scan { length: text.len(), compact, has_empty }
}

/// How long the string is whose first quote stands before this.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0_usize;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match mark(rest) {
            Some(found) if rest.get(found) == Some(&b'"') => return at.saturating_add(found),
            // What is escaped is no end.
            Some(found) => at = at.saturating_add(found).saturating_add(2),
            None => return text.len(),
        }
    }
}

/// Where the first quote or backslash is. Most strings are short: a few words of eight bytes tell it sooner than the
/// search that long ones deserve.
fn mark(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 4;
    let mut rest = text;
    for _ in 0..SHORT {
        let Some((word, behind)) = rest.split_first_chunk::<8>() else { break };
        let eight = Eight::of(word);
        if let Some(at) = eight.equal(b'"').or(eight.equal(b'\\')).first() {
            return Some(text.len().saturating_sub(rest.len()).saturating_add(at));
        }
        rest = behind;
    }
    let before = text.len().saturating_sub(rest.len());
    memchr2(b'"', b'\\', rest).map(|at| before.saturating_add(at))
}

/// Whether no white space stands between the parts of a sound JSON text.
pub(crate) fn is_compact(json: &str) -> bool {
    let scan = scan(json);
    scan.compact && scan.length == json.len()
}

/// The text of the lean resource; none where a tree is needed to make it.
pub(crate) fn lean_text(text: &str, shown: Shown) -> Option<String> {
    let members = members(text)?;
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
            "contained" if member.compact => member.value.into(),
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
    Some(members(value)?.iter().any(|member| ["div", "status"].contains(&member.name)))
}

/// `meta` in short. One with a tag, or with anything but texts in it, is rare enough for the tree.
fn meta(value: &str) -> Option<Cow<'_, str>> {
    let members = members(value)?;
    let kept = || members.iter().filter(|member| ["versionId", "lastUpdated"].contains(&member.name));
    let is_plain = members.iter().all(|member| member.name != "tag")
        && kept().all(|member| member.value.starts_with('"') && member.compact && !member.has_empty);
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
    if member.compact && !member.has_empty && !is_inner() {
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
            if let Some(lean) = lean_text(&text, shown) {
                prop_assert_eq!(&lean, &by_tree(&text, shown).to_string());
                prop_assert!(is_compact(&lean));
            }
            let compact = value.to_string();
            prop_assert_eq!(is_compact(&text), text == compact);
        }
    }

    #[test]
    fn most_resources_need_no_tree_and_keep_their_numbers() {
        let text = r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"v","lastUpdated":"t","author":{"reference":"system"}},"text":{"status":"generated","div":"<div>\u00e9</div>"},"note":[],"valueQuantity":{"value":1.10,"unit":"mg"}}"#;
        assert_eq!(
            lean_text(text, Shown::default()).unwrap(),
            r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"v","lastUpdated":"t"},"valueQuantity":{"value":1.10,"unit":"mg"}}"#
        );
        let twice = json!({"resourceType": "Patient"}).to_string().replace('}', r#","resourceType":"Patient"}"#);
        assert_eq!(lean_text(&twice, Shown::default()), None);
    }
}
