//! A method, a path and a body taken as the interaction that they are.

use fhir_definitions::{Definitions, OperationName, ResourceId, ResourceType};
use serde_json::Value;

use crate::base_url::FhirPath;
use crate::bundle::Batch;
use crate::interaction::{Interaction, Search, type_of};
use crate::invalid::InvalidRequest;
use crate::operation::{Level, Operation};
use crate::patch::JsonPatch;
use crate::path::RelativePath;
use crate::query::Query;
use crate::raw::Raw;
use crate::request::Method;

impl Interaction {
    /// Takes a path relative to the server, such as `fhir/R4/Patient/1/_history` or `auth/me`, as the interaction
    /// that it is. What is under the FHIR base and is no interaction, and what is beside it, becomes [`Raw`].
    ///
    /// # Errors
    /// [`InvalidRequest`] for a path that could be read in two ways, and for a body that does not fit.
    pub fn from_path(
        fhir_path: &FhirPath,
        method: Method,
        path: &str,
        more: Query,
        body: Option<Value>,
    ) -> Result<Self, InvalidRequest> {
        let mut relative = RelativePath::parse(&without_slash_of_base(path, fhir_path))?;
        relative.query.extend(more.iter());
        let RelativePath { segments, query } = relative;
        match under_base(&segments, fhir_path) {
            Some(rest) => recognise(method, rest, query, body),
            None => match without_base(&segments) {
                Some(rest) => Err(InvalidRequest::NotUnderBase(format!("{}{}", fhir_path.as_str(), without_id(rest)))),
                None => Ok(Self::Raw(Raw { method, fhir: false, segments, query, body })),
            },
        }
    }

    /// Takes the URL of a bundle's entry, which is relative to the FHIR base.
    pub(crate) fn from_entry(method: Method, url: &str, body: Option<Value>) -> Result<Self, InvalidRequest> {
        // A search of several types has no path there.
        if let Some(query) = url.strip_prefix('/').unwrap_or(url).strip_prefix('?') {
            let query = Query::parse(query)?;
            if method == Method::Get && query.get("_type").is_some() {
                return recognise(method, &[], query, body);
            }
        }
        let RelativePath { segments, query } = RelativePath::parse(url)?;
        recognise(method, &segments, query, body)
    }
}

/// The FHIR base itself is the one path that may end in a slash: `fhir/R4/?_type=Patient,Practitioner`.
fn without_slash_of_base(path: &str, fhir_path: &FhirPath) -> String {
    let (before, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    let before = match before.strip_suffix('/') {
        Some(base) if base.trim_start_matches('/') == fhir_path.as_str().trim_end_matches('/') => base,
        _ => before,
    };
    query.map_or_else(|| before.to_owned(), |query| format!("{before}?{query}"))
}

/// What of a path can only be meant under the FHIR base, though it does not start with that as it is written here:
/// `Patient/1`, `fhir/r4/Patient/1`, `$graphql`.
fn without_base(segments: &[String]) -> Option<&[String]> {
    let is_base = |segment: &String| ["fhir", "r4", "r5", "stu3"].contains(&segment.to_ascii_lowercase().as_str());
    let rest = segments.get(segments.iter().take_while(|segment| is_base(segment)).count()..)?;
    let first = rest.first()?;
    let is_fhir = first.starts_with('$') || first == "metadata" || Definitions::get().is_resource_type(first);
    is_fhir.then_some(rest)
}

/// The path as it is written in a text, without the id of anything.
fn without_id(segments: &[String]) -> String {
    let shown = |(index, segment): (usize, &String)| match index {
        0 => segment.clone(),
        _ if segment.starts_with(['$', '_']) || Definitions::get().is_resource_type(segment) => segment.clone(),
        1 => "<id>".to_owned(),
        _ => "<version>".to_owned(),
    };
    segments.iter().take(4).enumerate().map(shown).collect::<Vec<_>>().join("/")
}

/// What of a path is behind the FHIR base; none if it is not under it.
fn under_base<'a>(segments: &'a [String], fhir_path: &FhirPath) -> Option<&'a [String]> {
    fhir_path.segments().try_fold(segments, |rest, expected| {
        let (first, others) = rest.split_first()?;
        (first == expected).then_some(others)
    })
}

fn recognise(
    method: Method,
    segments: &[String],
    query: Query,
    body: Option<Value>,
) -> Result<Interaction, InvalidRequest> {
    if method == Method::Get && body.is_some() {
        return Err(InvalidRequest::Body("a GET has no body: its parameters stand in the URL".into()));
    }
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let known = match parts.as_slice() {
        [] => on_system(method, &query, &body)?,
        ["metadata"] if method == Method::Get && query.is_empty() && body.is_none() => Some(Interaction::Metadata),
        // Routed by Medplum itself, and no operation.
        ["$versions"] if method == Method::Get && body.is_none() => None,
        [name] if name.starts_with('$') => operation(Level::System, name, method, &query, &body)?,
        [t] => match ResourceType::parse(t) {
            Ok(t) => on_type(t, method, &query, &body)?,
            Err(_) => None,
        },
        [t, "_search"] if method == Method::Post => search_by_post(t, &query, &body)?,
        [t, name] if name.starts_with('$') => match ResourceType::parse(t) {
            Ok(t) => operation(Level::Type(t), name, method, &query, &body)?,
            Err(_) => None,
        },
        [t, id, rest @ ..] => match (ResourceType::parse(t), ResourceId::parse(id)) {
            (Ok(t), Ok(id)) => on_instance(t, id, rest, method, &query, &body)?,
            _ => None,
        },
    };
    Ok(known.unwrap_or_else(|| Interaction::Raw(Raw { method, fhir: true, segments: segments.to_vec(), query, body })))
}

type Recognised = Result<Option<Interaction>, InvalidRequest>;

fn on_system(method: Method, query: &Query, body: &Option<Value>) -> Recognised {
    Ok(match (method, body) {
        (Method::Get, None) if query.get("_type").is_some() => {
            Some(Interaction::Search(Search { resource_type: None, query: query.clone(), by_post: false }))
        }
        (Method::Post, Some(bundle)) if query.is_empty() => Some(Interaction::Batch(Batch::parse(bundle)?)),
        _ => None,
    })
}

fn on_type(t: ResourceType, method: Method, query: &Query, body: &Option<Value>) -> Recognised {
    Ok(match (method, body) {
        (Method::Get, None) => Some(Interaction::search(t, query.clone())),
        (Method::Post, Some(resource)) if query.is_empty() => {
            expect_type(&t, resource)?;
            Some(Interaction::create(resource.clone(), None)?)
        }
        (Method::Post, None) => return Err(InvalidRequest::Body(format!("body is missing: the {t} to create"))),
        _ => None,
    })
}

fn on_instance(
    t: ResourceType,
    id: ResourceId,
    rest: &[&str],
    method: Method,
    query: &Query,
    body: &Option<Value>,
) -> Recognised {
    let plain = query.is_empty();
    Ok(match (method, rest, body) {
        (Method::Get, [], None) => Some(Interaction::Read { resource_type: t, id, query: query.clone() }),
        (Method::Get, ["_history"], None) => Some(Interaction::History { resource_type: t, id, query: query.clone() }),
        (Method::Get, ["_history", version], None) if plain => {
            ResourceId::parse(version).ok().map(|version| Interaction::VersionRead { resource_type: t, id, version })
        }
        (Method::Get, ["_history", version], None) if ResourceId::parse(version).is_ok() => {
            return Err(InvalidRequest::Query("a version is read whole, without parameters: leave them out"));
        }
        (Method::Put, [], Some(resource)) if plain => {
            expect_type(&t, resource)?;
            expect_id(&id, resource)?;
            Some(Interaction::Update { resource_type: t, id, resource: resource.clone(), if_match: None })
        }
        (Method::Put, [], None) => return Err(InvalidRequest::Body(format!("body is missing: the {t} to store"))),
        (Method::Patch, [], Some(Value::Array(operations))) if plain => {
            Some(Interaction::Patch { resource_type: t, id, patch: JsonPatch::parse(operations.clone())? })
        }
        (Method::Delete, [], None) if plain => Some(Interaction::Delete { resource_type: t, id }),
        (_, [name], _) if name.starts_with('$') => operation(Level::Instance(t, id), name, method, query, body)?,
        _ => None,
    })
}

/// An operation by GET or POST. Any other method on one is left raw, and so counts as a run.
fn operation(level: Level, name: &str, method: Method, query: &Query, body: &Option<Value>) -> Recognised {
    let Ok(name) = OperationName::parse(name.strip_prefix('$').unwrap_or(name)) else {
        return Ok(None);
    };
    match (method, body) {
        (Method::Get, None) | (Method::Post, _) => {
            Interaction::operation(Operation { level, name, method, query: query.clone(), body: body.clone() })
                .map(Some)
        }
        _ => Ok(None),
    }
}

/// A search whose parameters stand in the body: an object of strings, or lists of them.
fn search_by_post(t: &str, query: &Query, body: &Option<Value>) -> Recognised {
    let Ok(resource_type) = ResourceType::parse(t) else {
        return Ok(None);
    };
    let mut query = query.clone();
    match body {
        None => {}
        Some(Value::Object(form)) if !form.contains_key("resourceType") => {
            for (key, value) in form {
                form_values(key, value, &mut query)?;
            }
        }
        Some(_) => return Err(form_error()),
    }
    Ok(Some(Interaction::Search(Search { resource_type: Some(resource_type), query, by_post: true })))
}

fn form_values(key: &str, value: &Value, query: &mut Query) -> Result<(), InvalidRequest> {
    match value {
        Value::String(text) => query.try_push(key, text)?,
        Value::Number(number) => query.push(key, number.to_string()),
        Value::Bool(flag) => query.push(key, flag.to_string()),
        Value::Array(values) => {
            for value in values {
                if value.is_array() {
                    return Err(form_error());
                }
                form_values(key, value, query)?;
            }
        }
        Value::Object(_) | Value::Null => return Err(form_error()),
    }
    Ok(())
}

fn form_error() -> InvalidRequest {
    InvalidRequest::Body(
        "body: the parameters of a _search are an object, such as {\"name\":\"Smith\",\"_count\":\"10\"}".into(),
    )
}

fn expect_type(t: &ResourceType, resource: &Value) -> Result<(), InvalidRequest> {
    let own = type_of(resource)?;
    if own == *t { Ok(()) } else { Err(InvalidRequest::Body(format!("the path names {t}, the body is a {own}"))) }
}

fn expect_id(id: &ResourceId, resource: &Value) -> Result<(), InvalidRequest> {
    match resource.get("id").and_then(Value::as_str) {
        Some(own) if own == id.as_str() => Ok(()),
        Some(_) => Err(InvalidRequest::Body("the path's id and the body's id differ".into())),
        None => Err(InvalidRequest::Body("body.id is missing: it must be the id in the path".into())),
    }
}
