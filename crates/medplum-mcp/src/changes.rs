//! What differs between two versions of a resource, element by element.

use serde_json::Value;

use crate::cleanse::cleanse;

/// At most so many differences are named.
const MOST: usize = 12;

/// What Medplum writes into `meta` by itself.
const BY_ITSELF: &[&str] =
    &["meta.versionId", "meta.lastUpdated", "meta.author", "meta.project", "meta.compartment", "meta.onBehalfOf"];

/// An element that differs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    /// `telecom[0].value`
    pub(crate) path: String,
    /// What was there, without secrets.
    pub(crate) old: Option<Value>,
    /// What is there, without secrets.
    pub(crate) new: Option<Value>,
}

/// The elements that differ: `telecom[0].value`, `address added`, `active removed`. `meta` and the narrative are left
/// out, for they change by themselves.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ(Both::of(old), Both::of(new), "", &mut found);
    found.retain(|difference| !["meta", "text"].contains(&head(&difference.path)));
    let named = found.iter().take(MOST).map(|difference| match (&difference.old, &difference.new) {
        (Some(_), None) => format!("{} removed", difference.path),
        (None, _) => format!("{} added", difference.path),
        (Some(_), Some(_)) => difference.path.clone(),
    });
    let mut named: Vec<String> = named.collect();
    let more = found.len().saturating_sub(MOST);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named
}

/// Every element that differs, with its values as they may be shown: a secret that changes has the same placeholder
/// before and after.
pub(crate) fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let shown = |value: &Value| {
        let mut shown = value.clone();
        cleanse(&mut shown);
        shown
    };
    let (old_shown, new_shown) = (shown(old), shown(new));
    let mut found = Vec::new();
    differ(Both { is: old, shown: &old_shown }, Both { is: new, shown: &new_shown }, "", &mut found);
    found.retain(|difference| !BY_ITSELF.contains(&difference.path.as_str()));
    found
}

/// The element that a path starts with.
fn head(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// A value as it is, and as it may be shown.
#[derive(Clone, Copy)]
struct Both<'v> {
    is: &'v Value,
    shown: &'v Value,
}

impl<'v> Both<'v> {
    fn of(value: &'v Value) -> Self {
        Self { is: value, shown: value }
    }

    fn get(self, key: &str) -> Option<Self> {
        self.is.get(key).map(|is| Self { is, shown: self.shown.get(key).unwrap_or(&Value::Null) })
    }

    fn at(self, index: usize) -> Option<Self> {
        self.is.get(index).map(|is| Self { is, shown: self.shown.get(index).unwrap_or(&Value::Null) })
    }
}

fn differ(old: Both<'_>, new: Both<'_>, path: &str, found: &mut Vec<Difference>) {
    let mut one = |path: String, old: Option<Both<'_>>, new: Option<Both<'_>>| match (old, new) {
        (Some(old), Some(new)) => differ(old, new, &path, found),
        (old, new) => {
            found.push(Difference { path, old: old.map(|o| o.shown.clone()), new: new.map(|n| n.shown.clone()) });
        }
    };
    match (old.is, new.is) {
        (a, b) if a == b => {}
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                one(at, old.get(key), new.get(key));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                one(format!("{path}[{index}]"), old.at(index), new.at(index));
            }
        }
        _ => {
            found.push(Difference { path: path.to_owned(), old: Some(old.shown.clone()), new: Some(new.shown.clone()) })
        }
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

    #[test]
    fn differences_tell_that_a_secret_changed_and_not_which_it_is() {
        let old = json!({"resourceType": "ClientApplication", "secret": "hunter2", "name": "a", "meta": {"versionId": "1", "tag": []}});
        let new =
            json!({"resourceType": "ClientApplication", "secret": "hunter3", "name": "b", "meta": {"versionId": "2"}});
        let found = differences(&old, &new);
        assert!(!format!("{found:?}").contains("hunter"), "{found:?}");
        let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(paths, ["secret", "name", "meta.tag"]);
        assert_eq!(found[0].old, found[0].new);
    }
}
