//! Resources as they came: their names are read, and what is in them not before somebody looks.
//!
//! A page of a thousand is a megabyte or more, of which an answer shows a fraction. Reading all of it into values costs
//! ten times its size in memory and most of the time of a call.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::members::Members;
use crate::skim::Skim;

/// Whether an entry, by its mode and its resource's type, is the server's word on the search. An OperationOutcome is not
/// stored anywhere, so that no search finds it.
pub fn is_outcome(mode: Option<&str>, resource_type: &str) -> bool {
    mode == Some("outcome") || resource_type == "OperationOutcome"
}

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
    /// What the server says of the search itself (<https://hl7.org/fhir/R4/valueset-search-entry-mode.html>, `outcome`):
    /// OperationOutcomes. They were not found, and are among the entries of no page.
    pub outcomes: Vec<Unread>,
}

/// One entry of a [`Searchset`].
#[derive(Debug, Clone, PartialEq)]
pub struct SearchEntry {
    /// Whether it matches; if not, it was included by one that does.
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
    members: Members,
}

impl Unread {
    /// Looks at a resource's JSON; none if it is no object.
    pub fn look(body: Bytes) -> Option<Self> {
        let mut skim = Skim::of(std::str::from_utf8(&body).ok()?);
        let resource = Self::go_over(&mut skim, &body)?;
        skim.is_at_end().then_some(resource)
    }

    /// Goes over the resource that stands here in a body.
    fn go_over(skim: &mut Skim<'_>, body: &Bytes) -> Option<Self> {
        let (mut resource_type, mut id, mut last_updated, mut has_meta) = (None, None, None, false);
        let mut members = None;
        let text = skim.part(|skim| {
            members = Some(Members::go_over(skim, |skim, name| match name {
                name if name.is("resourceType") => skim.read(&mut resource_type),
                name if name.is("id") => skim.read(&mut id),
                name if name.is("meta") && std::mem::replace(&mut has_meta, true) => None,
                name if name.is("meta") => skim.unless_null(|skim| {
                    skim.object(|skim, name| match name.is("lastUpdated") {
                        true => skim.read(&mut last_updated),
                        false => skim.value(),
                    })
                }),
                _ => skim.value(),
            })?);
            Some(())
        })?;
        let text = body.slice_ref(text.as_bytes());
        let text_of = |member: Option<Option<String>>| member.flatten().unwrap_or_default();
        Some(Self {
            resource_type: text_of(resource_type),
            id: text_of(id),
            last_updated: last_updated.flatten(),
            text,
            members: members?,
        })
    }

    /// Its JSON as it came.
    pub fn text(&self) -> &str {
        // It was gone over as text.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Where its members stand in its text.
    pub fn members(&self) -> &Members {
        &self.members
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
        let mut meta: Option<InCompartments> = None;
        let over = Skim::of(self.text()).object(|skim, name| match name.is("meta") {
            true => skim.read(&mut meta),
            false => skim.value(),
        });
        let named = over.and(meta).and_then(|meta| meta.compartment).into_iter().flatten();
        named.filter_map(|compartment| compartment.reference).collect()
    }
}

impl Searchset {
    /// Reads a body; none if it is no Bundle.
    pub fn read(body: Bytes) -> Option<Self> {
        let (mut resource_type, mut kind, mut total, mut links) = (None, None, None, None);
        let (mut entries, mut outcomes, mut has_entries) = (Vec::new(), Vec::new(), false);
        let mut skim = Skim::of(std::str::from_utf8(&body).ok()?);
        skim.object(|skim, name| match name {
            name if name.is("resourceType") => skim.read(&mut resource_type),
            name if name.is("type") => skim.read(&mut kind),
            name if name.is("total") => skim.read(&mut total),
            name if name.is("link") => skim.read(&mut links),
            name if name.is("entry") && std::mem::replace(&mut has_entries, true) => None,
            name if name.is("entry") => skim.unless_null(|skim| {
                skim.array(|skim| {
                    match Came::go_over(skim, &body)? {
                        Some(Came::Found(entry)) => entries.push(entry),
                        Some(Came::Said(outcome)) => outcomes.push(outcome),
                        None => {}
                    }
                    Some(())
                })
            }),
            _ => skim.value(),
        })?;
        let is_bundle = resource_type.is_some_and(|named: String| named == "Bundle");
        let is_searchset = kind.is_none_or(|kind: String| kind == "searchset");
        if !is_bundle || !is_searchset || !skim.is_at_end() {
            return None;
        }
        let links: Vec<Link> = links.flatten().unwrap_or_default();
        let link = |relation: &str| links.iter().find(|link| link.relation == relation).map(|link| link.url.clone());
        let (self_link, next_link) = (link("self"), link("next"));
        Some(Self { total: total.flatten(), self_link, next_link, entries, outcomes })
    }
}

/// What an entry brings.
enum Came {
    /// A resource that was found.
    Found(SearchEntry),
    /// The server's word on the search.
    Said(Unread),
}

impl Came {
    /// Goes over the entry that stands here in a body: nothing for one without a resource.
    fn go_over(skim: &mut Skim<'_>, body: &Bytes) -> Option<Option<Self>> {
        let (mut resource, mut search) = (None, None);
        skim.object(|skim, name| match name {
            name if name.is("search") => skim.read(&mut search),
            name if name.is("resource") && resource.is_some() => None,
            name if name.is("resource") => skim.unless_null(|skim| {
                resource = Some(Unread::go_over(skim, body)?);
                Some(())
            }),
            _ => skim.value(),
        })?;
        let mode = search.flatten().and_then(|search: Search| search.mode);
        let is_match = mode.as_deref().is_none_or(|mode| mode == "match");
        Some(resource.map(|resource| match is_outcome(mode.as_deref(), &resource.resource_type) {
            true => Self::Said(resource),
            false => Self::Found(SearchEntry { is_match, resource }),
        }))
    }
}

#[derive(Deserialize)]
struct Link {
    relation: String,
    url: String,
}

#[derive(Deserialize)]
struct Search {
    mode: Option<String>,
}

#[derive(Deserialize)]
struct InCompartments {
    compartment: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
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
            {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome", "id": "4"}},
            {"search": {"mode": "include"}, "resource": {"resourceType": "OperationOutcome", "id": "5"}},
            {"resource": {"resourceType": "OperationOutcome", "id": "6"}},
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
        assert_eq!(names, [(true, "Patient", "1"), (false, "Practitioner", "2"), (true, "", "3")]);
        let said: Vec<_> = page.outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
        assert_eq!(said, ["4", "5", "6"]);
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
            json!({"resourceType": "Bundle", "type": "history"}),
            json!({"resourceType": "Bundle", "entry": [{"resource": []}]}),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
        // Of two of one name nobody knows which is meant.
        for twice in [
            r#"{"resourceType":"Bundle","resourceType":"Bundle"}"#,
            r#"{"resourceType":"Bundle","entry":[],"entry":[]}"#,
            r#"{"resourceType":"Bundle","entry":[{"resource":{"id":"1","\u0069d":"2"}}]}"#,
            r#"{"resourceType":"Bundle","entry":[{"resource":{"meta":{},"meta":{}}}]}"#,
            r#"{"resourceType":"Bundle"} x"#,
        ] {
            assert_eq!(Searchset::read(twice.into()), None, "{twice}");
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
