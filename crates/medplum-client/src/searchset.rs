//! Resources as they came: their names are read, and what is in them not before somebody looks.
//!
//! A page of a thousand is a megabyte or more, of which an answer shows a fraction. Reading all of it into values costs
//! ten times its size in memory and most of the time of a call.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A Bundle of type searchset (<https://hl7.org/fhir/R4/bundle.html>).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Searchset {
    /// How many match, where the server counted them.
    pub total: Option<u64>,
    /// What the server says that it searched for.
    pub self_link: Option<String>,
    /// Where the page behind this one is.
    pub next_link: Option<String>,
    /// What is on this page, in the server's order.
    pub entries: Vec<SearchEntry>,
}

/// One entry of a [`Searchset`].
#[derive(Debug, Clone, PartialEq)]
pub struct SearchEntry {
    /// Whether it matches; if not, it was included by one that does, or tells of the search itself.
    pub is_match: bool,
    /// Its resource.
    pub resource: Unread,
}

/// A resource as it came, of which no more is read than its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    /// Its type; empty where it does not say.
    pub resource_type: String,
    /// Its id; empty where it does not say.
    pub id: String,
    /// Its `meta.lastUpdated`.
    pub last_updated: Option<String>,
    text: Bytes,
}

impl Unread {
    /// Looks at a resource's JSON; none if it is no object.
    pub fn look(text: Bytes) -> Option<Self> {
        let head: Head<'_> = serde_json::from_slice(&text).ok()?;
        Some(Self {
            resource_type: head.resource_type.unwrap_or_default().into_owned(),
            id: head.id.unwrap_or_default().into_owned(),
            last_updated: head.meta.and_then(|meta| meta.last_updated).map(Cow::into_owned),
            text,
        })
    }

    /// Its JSON as it came.
    pub fn text(&self) -> &str {
        // It was read as JSON, which is UTF-8.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The resource, read.
    ///
    /// # Errors
    /// serde_json's, for JSON that is too deep or holds half a character.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.text)
    }

    /// The compartments that it belongs to, as the server says it: `Patient/<id>`.
    pub fn compartments(&self) -> Vec<String> {
        let head: Option<InCompartments<'_>> = serde_json::from_slice(&self.text).ok();
        let named = head.and_then(|head| head.meta?.compartment).into_iter().flatten();
        named.filter_map(|compartment| compartment.reference.map(Cow::into_owned)).collect()
    }
}

impl Searchset {
    /// Reads a body; none if it is no Bundle.
    pub fn read(body: Bytes) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_slice(&body).ok()?;
        if wire.resource_type != "Bundle" {
            return None;
        }
        let link = |relation: &str| {
            let links = wire.link.iter().flatten();
            links.into_iter().find(|link| link.relation == relation).map(|link| link.url.clone().into_owned())
        };
        let entries = wire.entry.iter().flatten().filter_map(|entry| entry.read(&body)).collect::<Option<_>>()?;
        Some(Self { total: wire.total, self_link: link("self"), next_link: link("next"), entries })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    resource_type: Cow<'a, str>,
    total: Option<u64>,
    #[serde(borrow)]
    link: Option<Vec<WireLink<'a>>>,
    #[serde(borrow)]
    entry: Option<Vec<WireEntry<'a>>>,
}

#[derive(Deserialize)]
struct WireLink<'a> {
    #[serde(borrow)]
    relation: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireEntry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    search: Option<WireSearch<'a>>,
}

#[derive(Deserialize)]
struct WireSearch<'a> {
    #[serde(borrow)]
    mode: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    resource_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    meta: Option<WireMeta<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMeta<'a> {
    #[serde(borrow)]
    last_updated: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct InCompartments<'a> {
    #[serde(borrow)]
    meta: Option<WireCompartments<'a>>,
}

#[derive(Deserialize)]
struct WireCompartments<'a> {
    #[serde(borrow)]
    compartment: Option<Vec<WireReference<'a>>>,
}

#[derive(Deserialize)]
struct WireReference<'a> {
    #[serde(borrow)]
    reference: Option<Cow<'a, str>>,
}

impl WireEntry<'_> {
    /// Nothing for an entry without a resource; nothing in it for one whose resource cannot be read.
    fn read(&self, body: &Bytes) -> Option<Option<SearchEntry>> {
        let text = body.slice_ref(self.resource?.get().as_bytes());
        let mode = self.search.as_ref().and_then(|search| search.mode.as_deref());
        let is_match = mode.is_none_or(|mode| mode == "match");
        Some(Unread::look(text).map(|resource| SearchEntry { is_match, resource }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(bundle: &Value) -> Option<Searchset> {
        Searchset::read(Bytes::from(bundle.to_string()))
    }

    #[test]
    fn a_page_tells_what_is_on_it_before_its_resources_are_read() {
        let patient = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Zo\u{eb}\n"}],
            "meta": {"lastUpdated": "2026-01-05T08:00:00.629Z", "versionId": "v",
                "compartment": [{"reference": "Patient/1"}, {"display": "x"}]}});
        let page = read(&json!({"resourceType": "Bundle", "type": "searchset", "total": 7,
        "link": [{"relation": "self", "url": "s"}, {"relation": "next", "url": "n\u{e9}\""}],
        "entry": [
            {"fullUrl": "f", "search": {"mode": "match"}, "resource": patient},
            {"search": {"mode": "include"}, "resource": {"resourceType": "Practitioner", "id": "2"}},
            {"resource": {"id": "3"}},
            {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome"}},
            {"response": {"status": "200"}},
        ]}))
        .unwrap();
        assert_eq!(
            (page.total, page.self_link.as_deref(), page.next_link.as_deref()),
            (Some(7), Some("s"), Some("n\u{e9}\""))
        );
        let names: Vec<_> = page
            .entries
            .iter()
            .map(|e| (e.is_match, e.resource.resource_type.as_str(), e.resource.id.as_str()))
            .collect();
        assert_eq!(
            names,
            [(true, "Patient", "1"), (false, "Practitioner", "2"), (true, "", "3"), (false, "OperationOutcome", "")]
        );
        let first = &page.entries.first().unwrap().resource;
        assert_eq!(first.last_updated.as_deref(), Some("2026-01-05T08:00:00.629Z"));
        assert_eq!(first.value().unwrap(), patient);
        assert_eq!(first.compartments(), ["Patient/1"]);
        assert!(page.entries[1].resource.compartments().is_empty());
    }

    #[test]
    fn an_empty_page_has_no_entries_and_another_answer_is_none() {
        assert_eq!(read(&json!({"resourceType": "Bundle", "type": "searchset"})), Some(Searchset::default()));
        assert_eq!(read(&json!({"resourceType": "Bundle", "link": null, "entry": null})), Some(Searchset::default()));
        for other in [
            json!({"resourceType": "OperationOutcome"}),
            json!([]),
            json!(null),
            json!({"entry": []}),
            json!({"resourceType": "Bundle", "entry": "x"}),
            json!({"resourceType": "Bundle", "entry": [{"resource": []}]}),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    #[test]
    fn what_is_too_deep_is_an_error_of_its_own_entry() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(
            r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"id":"1","x":{deep}}}}},{{"resource":{{"id":"2"}}}}]}}"#
        );
        let page = Searchset::read(Bytes::from(body)).unwrap();
        let [first, second] = page.entries.as_slice() else { unreachable!("two entries") };
        assert!(first.resource.value().is_err());
        assert_eq!(second.resource.value().unwrap(), json!({"id": "2"}));
    }
}
