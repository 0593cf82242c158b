//! A request to a path that is not a FHIR interaction of ours.

use fhir_definitions::{ResourceId, ResourceType};
use serde_json::Value;

use crate::effect::Effect;
use crate::query::Query;
use crate::request::Method;

/// A request by method and path, under the FHIR base or beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    pub(crate) method: Method,
    /// Whether the segments stand behind the FHIR base, or behind the server's own.
    pub(crate) fhir: bool,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
    pub(crate) body: Option<Value>,
}

/// A segment of a path that only reads.
enum Part {
    Is(&'static str),
    Id,
    /// One or more segments, whatever they are.
    Rest,
}

use Part::{Id, Is, Rest};

/// The reads beside the server's FHIR interface.
const ROOT_READS: &[&[Part]] = &[
    &[Is("auth"), Is("me")],
    &[Is("oauth2"), Is("userinfo")],
    &[Is("healthcheck")],
    &[Is("openapi.json")],
    &[Is(".well-known"), Rest],
    &[Is("admin"), Is("projects"), Id],
    &[Is("admin"), Is("projects"), Id, Is("members"), Id],
];

/// The reads under the FHIR base that are no FHIR interaction.
const FHIR_READS: &[&[Part]] =
    &[&[Is("metadata")], &[Is("$versions")], &[Is(".well-known"), Rest], &[Is("job"), Id, Is("status")]];

impl Raw {
    /// Whether its path lies under the FHIR base.
    pub fn is_fhir(&self) -> bool {
        self.fhir
    }

    /// A read only if its path is on the list and its method is GET. A `$` anywhere else may run a bot.
    pub fn effect(&self) -> Effect {
        let list = if self.fhir { FHIR_READS } else { ROOT_READS };
        let listed = list.iter().any(|parts| matches(parts, &self.segments));
        if listed && self.method == Method::Get && self.body.is_none() {
            Effect::Read
        } else if self.names_operation() || !self.fhir {
            Effect::Run
        } else {
            Effect::Write
        }
    }

    /// Whether it writes resources in a form that is none of the interactions: a conditional update or delete, a
    /// write with a query, a patch that is no JSON Patch.
    pub fn writes_resources(&self) -> bool {
        let of_type = self.segments.first().is_none_or(|first| ResourceType::parse(first).is_ok());
        self.fhir && of_type && self.method != Method::Get && !self.names_operation()
    }

    /// Whether an operation is named in its path, which may be a bot's name.
    pub fn names_operation(&self) -> bool {
        self.segments.iter().any(|segment| segment.contains('$'))
    }

    /// Whether a GET of the same path is a known read: one that may be advised.
    pub fn is_read_by_get(&self) -> bool {
        Self { method: Method::Get, body: None, ..self.clone() }.effect().is_read()
    }

    /// What a known read is of: a resource type, or nothing of a record, as far as its path tells. None for a path that
    /// is not known.
    pub(crate) fn reads_of(&self) -> Option<Option<&'static str>> {
        let parts: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        Some(match (self.fhir, parts.as_slice()) {
            _ if !self.effect().is_read() => return None,
            (true, ["job", ..]) => Some("AsyncJob"),
            (false, ["admin", "projects", _, "members", _]) => Some("ProjectMembership"),
            (false, ["admin", ..]) => Some("Project"),
            _ => None,
        })
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path in its segments, under the FHIR base or beside it.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The parameters in the URL.
    pub fn query(&self) -> &Query {
        &self.query
    }
}

fn matches(parts: &[Part], segments: &[String]) -> bool {
    match (parts.split_first(), segments.split_first()) {
        (None, None) => true,
        (Some((Rest, _)), Some(_)) => segments.iter().all(|s| !s.contains('$')),
        (Some((Is(word), parts)), Some((segment, segments))) => word == segment && matches(parts, segments),
        (Some((Id, parts)), Some((segment, segments))) => {
            ResourceId::parse(segment).is_ok() && matches(parts, segments)
        }
        _ => false,
    }
}
