//! The references in a resource, and which of them can be looked up on the server that it is sent to.

use serde_json::Value;

use crate::names::{ResourceId, ResourceType};

/// The reference to a resource: `Patient/123`. None for one without a type or id.
pub fn reference_to(resource: &Value) -> Option<String> {
    let text = |key: &str| resource.get(key).and_then(Value::as_str);
    Some(format!("{}/{}", text("resourceType")?, text("id")?))
}

/// What a reference's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// `Patient/123`, with or without `/_history/4`.
    Local { resource_type: &'a str, id: &'a str },
    /// `Patient?identifier=…`.
    Conditional { resource_type: &'a str },
    /// `#p1`; `#` alone is the resource around.
    Contained { id: &'a str },
    /// An absolute URL or a URN: not ours to judge.
    Elsewhere,
    /// None of these.
    Broken,
}

impl<'a> Form<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        if let Some(id) = text.strip_prefix('#') {
            return Self::Contained { id };
        }
        // Medplum writes it as the author of what it did by itself.
        if text == "system" {
            return Self::Elsewhere;
        }
        let name = text.split(['/', '?']).next().unwrap_or_default();
        if let Some((scheme, _)) = text.split_once(':')
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        {
            return Self::Elsewhere;
        }
        if ResourceType::parse(name).is_err() {
            return Self::Broken;
        }
        if text.get(name.len()..).is_some_and(|rest| rest.starts_with('?') && rest.len() > 1) {
            return Self::Conditional { resource_type: name };
        }
        let steps: Vec<&str> = text.split('/').skip(1).collect();
        match steps.as_slice() {
            [id] | [id, "_history", _] if ResourceId::parse(id).is_ok() => Self::Local { resource_type: name, id },
            _ => Self::Broken,
        }
    }
}

/// A reference to a resource on the same server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalReference {
    /// The type that it leads to.
    pub resource_type: ResourceType,
    /// The id that it leads to.
    pub id: ResourceId,
    /// Where it stands: `subject`, `performer[0]`.
    pub path: String,
}

/// A reference to whatever a search finds: `Patient?identifier=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionalReference {
    /// The type that is searched.
    pub resource_type: ResourceType,
    /// The search's parameters, as they stand in the reference.
    pub query: String,
    /// Where it stands.
    pub path: String,
}

/// The references in a resource whose targets should exist on the server.
///
/// `#contained`, `urn:uuid:…`, conditional (`Patient?…`) and absolute references are left out, and so is everything
/// in `meta`, which Medplum writes itself. In a bundle, references to the entries' own full URLs are such URNs.
#[must_use]
pub fn local_references(resource: &Value) -> Vec<LocalReference> {
    let mut found = Vec::new();
    each(resource, &mut String::new(), &mut |text, path| found.extend(local(text, path)));
    found
}

/// The references in a resource that the server is to search for when it is stored.
#[must_use]
pub fn conditional_references(resource: &Value) -> Vec<ConditionalReference> {
    let mut found = Vec::new();
    each(resource, &mut String::new(), &mut |text, path| found.extend(conditional(text, path)));
    found
}

/// The references of `new` that `old` does not have, wherever they stand: those that a write adds.
#[must_use]
pub fn added_references(new: &Value, old: &Value) -> Vec<LocalReference> {
    let old = local_references(old);
    let same = |a: &LocalReference, b: &LocalReference| a.resource_type == b.resource_type && a.id == b.id;
    local_references(new).into_iter().filter(|n| !old.iter().any(|o| same(n, o))).collect()
}

/// Tells of the text of each reference, and where it stands.
fn each(value: &Value, path: &mut String, tell: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Object(object) => {
            let is_resource = object.contains_key("resourceType");
            if !is_resource && let Some(text) = object.get("reference").and_then(Value::as_str) {
                tell(text, path);
            }
            for (key, child) in object {
                if is_resource && key == "meta" {
                    continue;
                }
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                each(child, path, tell);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                each(child, path, tell);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn local(text: &str, path: &str) -> Option<LocalReference> {
    let Form::Local { resource_type, id } = Form::of(text) else { return None };
    Some(LocalReference {
        resource_type: ResourceType::parse(resource_type).ok()?,
        id: ResourceId::parse(id).ok()?,
        path: path.to_owned(),
    })
}

fn conditional(text: &str, path: &str) -> Option<ConditionalReference> {
    let Form::Conditional { resource_type } = Form::of(text) else { return None };
    let (_, query) = text.split_once('?')?;
    Some(ConditionalReference {
        resource_type: ResourceType::parse(resource_type).ok()?,
        query: query.to_owned(),
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms() {
        assert_eq!(Form::of("Patient/123"), Form::Local { resource_type: "Patient", id: "123" });
        assert_eq!(Form::of("Patient/123/_history/4"), Form::Local { resource_type: "Patient", id: "123" });
        assert_eq!(Form::of("Patient?identifier=a|b"), Form::Conditional { resource_type: "Patient" });
        assert_eq!(Form::of("Patient?identifier=http://x|b"), Form::Conditional { resource_type: "Patient" });
        assert_eq!(Form::of("#p1"), Form::Contained { id: "p1" });
        assert_eq!(Form::of("#"), Form::Contained { id: "" });
        for elsewhere in ["http://a.b/Patient/1", "https://a.b/c", "urn:uuid:c757873d", "urn:oid:1.2"] {
            assert_eq!(Form::of(elsewhere), Form::Elsewhere, "{elsewhere}");
        }
        for broken in ["123", "patient/123", "Patient", "Patient/", "Patient/1/2", "/Patient/1", "Patient/a b", ""] {
            assert_eq!(Form::of(broken), Form::Broken, "{broken}");
        }
    }

    #[test]
    fn only_what_can_be_looked_up() {
        let resource = json!({
            "resourceType": "Observation",
            "meta": {"author": {"reference": "Practitioner/author"}},
            "subject": {"reference": "Patient/1"},
            "performer": [{"reference": "#p"}, {"reference": "Practitioner/2"}, {"reference": "urn:uuid:x"}, {"display": "x"}],
            "encounter": {"reference": "Encounter?identifier=x"},
            "device": {"reference": "https://elsewhere.example/Device/1"},
            "extension": [{"url": "u", "valueReference": {"reference": "Organization/3"}}],
        });
        let found: Vec<String> =
            local_references(&resource).iter().map(|r| format!("{}: {}/{}", r.path, r.resource_type, r.id)).collect();
        assert_eq!(
            found,
            ["subject: Patient/1", "performer[1]: Practitioner/2", "extension[0].valueReference: Organization/3"]
        );
        let searched = conditional_references(&resource);
        assert_eq!(searched.len(), 1);
        assert_eq!((searched[0].path.as_str(), searched[0].query.as_str()), ("encounter", "identifier=x"));
        let old = json!({"resourceType": "Observation", "performer": [{"reference": "Patient/1"}]});
        assert_eq!(added_references(&resource, &old).len(), 2);
    }
}
