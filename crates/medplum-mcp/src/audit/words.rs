//! The words that may stand in the log. An agent chooses what it asks for: a name can stand where a type, an id or a
//! parameter's name belongs. So only what FHIR and Medplum define is written as it is, and ids in the form that Medplum
//! gives them. Anything else is a question mark.

use std::collections::HashSet;
use std::sync::OnceLock;

use fhir_definitions::Definitions;
use medplum_client::Query;

/// Stands for what is not written.
const LEFT_OUT: &str = "?";

/// Parameters that Medplum knows and no definition lists.
const PARAMETERS: &[&str] = &[
    "_compartment",
    "_cursor",
    "_fields",
    "_filter",
    "_has",
    "_offset",
    "_outputFormat",
    "_project",
    "_since",
    "_typeFilter",
    "activeOnly",
    "end",
    "filter",
    "iterate",
    "start",
];

/// The parts of Medplum's own paths, beside the names of types and operations.
const SEGMENTS: &[&str] = &[
    ".well-known",
    "R4",
    "_history",
    "_search",
    "admin",
    "auth",
    "bot",
    "changepassword",
    "client",
    "fhir",
    "healthcheck",
    "invite",
    "job",
    "jwks.json",
    "login",
    "me",
    "members",
    "metadata",
    "oauth-authorization-server",
    "oauth-protected-resource",
    "oauth2",
    "openapi.json",
    "openid-configuration",
    "projects",
    "secrets",
    "sites",
    "status",
    "super",
    "token",
    "userinfo",
];

/// The words, collected when the first of them is looked up.
#[derive(Debug, Default)]
pub(crate) struct Words {
    parameters: OnceLock<HashSet<&'static str>>,
}

impl Words {
    /// A resource type.
    pub(crate) fn resource_type(name: &str) -> String {
        if Definitions::get().is_resource_type(name) { name.to_owned() } else { LEFT_OUT.to_owned() }
    }

    /// An id, or the id of a version. All of Medplum's are UUIDs.
    pub(crate) fn id(id: &str) -> String {
        if is_uuid(id) { id.to_ascii_lowercase() } else { LEFT_OUT.to_owned() }
    }

    /// An operation. A custom one may have any name of letters, digits and hyphens, a patient's among them.
    pub(crate) fn operation(name: &str) -> String {
        if is_operation(name) { name.to_owned() } else { LEFT_OUT.to_owned() }
    }

    /// The names of a query's parameters, each once, without their values.
    pub(crate) fn parameters(&self, query: &Query) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (key, _) in query.iter() {
            let name = if self.is_parameter(key) { key } else { LEFT_OUT };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The segments of a path.
    pub(crate) fn path(segments: &[String]) -> String {
        let segment = |segment: &String| {
            let known = SEGMENTS.contains(&segment.as_str())
                || Definitions::get().is_resource_type(segment)
                || segment.strip_prefix('$').is_some_and(is_operation);
            if known { segment.clone() } else { Self::id(segment) }
        };
        segments.iter().map(segment).collect::<Vec<_>>().join("/")
    }

    /// Every part of `_has:Observation:patient:code`, `subject:Patient.name` or `name:exact` must be known.
    fn is_parameter(&self, key: &str) -> bool {
        let known = self.parameters.get_or_init(collect);
        key.split([':', '.']).all(|part| known.contains(part))
    }
}

/// Whether FHIR or Medplum defines an operation of this name.
fn is_operation(name: &str) -> bool {
    ["execute", "deploy", "graphql", "csv"].contains(&name)
        || Definitions::get().operations().iter().any(|operation| operation.code == name)
}

fn collect() -> HashSet<&'static str> {
    let definitions = Definitions::get();
    let mut known: HashSet<&'static str> = PARAMETERS.iter().copied().collect();
    known.extend(definitions.result_parameters());
    known.extend(definitions.resource_types().map(|info| info.name));
    for parameter in definitions.all_search_parameters() {
        known.insert(parameter.code);
        if let Some(rules) = definitions.rules(parameter.kind) {
            known.extend(rules.modifiers().chain(rules.unadvertised()));
        }
    }
    known
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2758b284-b8c2-4a6a-a3cd-373d94953408";

    #[test]
    fn what_is_defined_stands_and_nothing_else() {
        assert_eq!(Words::resource_type("MedicationRequest"), "MedicationRequest");
        assert_eq!(Words::resource_type("Bot"), "Bot");
        assert_eq!(Words::resource_type("AliceSmith"), "?");
        assert_eq!(Words::id(ID), ID);
        assert_eq!(Words::id("MRN-4711"), "?");
        assert_eq!(Words::id("1961-02-03"), "?");
    }

    #[test]
    fn parameters_go_by_name_alone() {
        let query = Query::parse("name:exact=Alice&birthdate=ge1961&subject:Patient.family=Smith&_has:Observation:patient:code=8867-4&_sort=-date&_count=5&Smith=&_since=2025&phone:x=1&_filter=name+eq+Smith&identifier:missing=true&_include:iterate=Patient:link&_offset=3&_fields=id&_cursor=x&_total=accurate&start=2020&url=u").unwrap();
        let names = Words::default().parameters(&query);
        insta::assert_snapshot!(names.join(" "), @"name:exact birthdate subject:Patient.family _has:Observation:patient:code _sort _count ? _since _filter identifier:missing _include:iterate _offset _fields _cursor _total start url");
    }

    #[test]
    fn a_path_by_its_known_parts() {
        let path = |text: &str| Words::path(&text.split('/').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(path(&format!("admin/projects/{ID}/members/Smith")), format!("admin/projects/{ID}/members/?"));
        assert_eq!(path(&format!("Bot/{ID}/$execute/alice")), format!("Bot/{ID}/$execute/?"));
        assert_eq!(path("$versions"), "$versions");
        assert_eq!(path("$alice"), "?");
    }
}
