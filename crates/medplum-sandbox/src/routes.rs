//! Which part of the sandbox answers a path outside FHIR, and how an answer becomes a reply.

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::auth::{self, bearer};
use crate::call::{Answer, Call};
use crate::engine::{Engine, Request};
use crate::outcome::{Outcome, Result};
use crate::reply::{FHIR_JSON, JSON, Reply};
use crate::{admin, binary, fhir_routes, sign_in};

/// The longest request line and headers that Node takes.
const LONGEST_URL: usize = 16 * 1024;
/// The largest body of JSON that is taken.
const LARGEST_JSON: usize = 1024 * 1024;

/// First steps in a path that a Medplum answers and the sandbox does not.
const NOT_DONE: [&str; 14] = [
    "agent",
    "cds-services",
    "dicom",
    "ee",
    "email",
    "fhircast",
    "keyvalue",
    "mcp",
    "oauth2",
    "auth",
    "openapi.json",
    "scim",
    "webhook",
    "ws",
];

/// Cuts a path into its steps, decoded. A slash at the end makes no step.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Vec::new();
    }
    let decode = |step: &str| percent_decode_str(step).decode_utf8_lossy().into_owned();
    path.split('/').map(decode).collect()
}

/// The pairs of a query or a form, in their order.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Answers one request.
pub(crate) fn answer(engine: &Engine, request: &Request) -> Reply {
    let length = request.path.len() + request.query.as_ref().map_or(0, String::len);
    if length > LONGEST_URL {
        return Reply::empty(431);
    }
    if request.method == Method::OPTIONS {
        return Reply::empty(204);
    }
    if let Some(refused) = unreadable_body(engine, request) {
        return refused;
    }
    let path = segments(&request.path);
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    let result = match steps.as_slice() {
        ["fhir", "R4", rest @ ..] => return fhir_routes::answer(engine, request, rest),
        ["storage", id, version] => binary::stored(engine, request, id, version),
        ["admin", "projects", rest @ ..] => admin::answer(engine, request, rest),
        other => sign_in::answer(engine, request, other).unwrap_or_else(|| Err(unknown(other))),
    };
    result.unwrap_or_else(|outcome| outcome_reply(engine, &outcome))
}

fn unknown(steps: &[&str]) -> Outcome {
    match steps.first() {
        Some(first) if NOT_DONE.contains(first) => Outcome::not_implemented(&steps.join("/")),
        _ => Outcome::not_found(),
    }
}

/// Whether the body is of a kind that is read as JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    content_type == "application/json" || content_type.starts_with("application/") && content_type.ends_with("+json")
}

/// The refusal of a body that is too large or no JSON. It comes before anything else is looked at.
fn unreadable_body(engine: &Engine, request: &Request) -> Option<Reply> {
    if !is_json(request.content_type()) || request.body.is_empty() {
        return None;
    }
    let text = if request.body.len() > LARGEST_JSON {
        "File too large"
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(&request.body).is_err() {
        "Content could not be parsed"
    } else {
        return None;
    };
    Some(outcome_reply(engine, &Outcome::bad_request(text)))
}

/// An outcome as a reply of its own.
pub(crate) fn outcome_reply(engine: &Engine, outcome: &Outcome) -> Reply {
    let id = || engine.source.uuid().to_string();
    Reply::json(outcome.status, FHIR_JSON, &outcome.traced_body(&id(), &id()))
}

/// Finds out who asks and does something as that actor; the `RateLimit` header is added if anything was counted.
pub(crate) fn as_actor(
    engine: &Engine,
    request: &Request,
    work: impl FnOnce(&mut Call<'_>) -> Result<Answer>,
) -> Reply {
    let mut state = engine.state();
    let state = &mut *state;
    let now = engine.source.now();
    let actor = auth::actor(&engine.config, &state.store, &state.tokens, &request.headers, now);
    let actor = match actor {
        Ok(actor) => actor,
        Err(outcome) if outcome.status == 401 => return outcome_reply(engine, &outcome),
        // What is wrong with the member is found out before the request gets its trace.
        Err(outcome) => return Reply::json(outcome.status, FHIR_JSON, &outcome.body()),
    };
    let mut call = Call {
        engine,
        state,
        actor: &actor,
        extended: request.header("x-medplum") == Some("extended"),
        counted: false,
    };
    let answer = work(&mut call);
    let counted = call.counted;
    let reply = match answer {
        Ok(answer) => answer_reply(engine, request, answer),
        Err(outcome) => outcome_reply(engine, &outcome),
    };
    if counted {
        let header = state.quota.header(&actor.client.id, now);
        return reply.with("ratelimit", header);
    }
    reply
}

fn answer_reply(engine: &Engine, request: &Request, answer: Answer) -> Reply {
    let (outcome, resource) = match answer {
        Answer::Raw(reply) => return reply,
        Answer::Fhir(outcome, None) => return outcome_reply(engine, &outcome),
        Answer::Fhir(outcome, Some(resource)) => (outcome, resource),
    };
    let mut reply = match outcome.status {
        304 => Reply::empty(304),
        status => Reply::json(status, FHIR_JSON, &resource),
    };
    if request.header("prefer") == Some("return=minimal") {
        reply.body = bytes::Bytes::new();
    }
    for (name, value) in version_headers(&resource) {
        reply = reply.with(name, value);
    }
    if outcome.status == 201 {
        let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default();
        let location = engine.config.full_url(text("resourceType"), text("id"));
        reply = reply.with("location", location);
    }
    reply
}

/// `ETag` and `Last-Modified` of a resource that has a version.
pub(crate) fn version_headers(resource: &Value) -> Vec<(&'static str, String)> {
    let meta = |key: &str| resource.get("meta").and_then(|meta| meta.get(key)?.as_str());
    let mut headers = Vec::new();
    if let Some(version) = meta("versionId") {
        headers.push(("etag", format!("W/\"{version}\"")));
    }
    let updated = meta("lastUpdated").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    if let Some(updated) = updated {
        headers.push(("last-modified", crate::source::http_date(updated.as_millisecond())));
    }
    headers
}

/// Ends the session that the token stands for.
pub(crate) fn log_out(engine: &Engine, request: &Request) -> Reply {
    let mut state = engine.state();
    let now = engine.source.now();
    let known = auth::actor(&engine.config, &state.store, &state.tokens, &request.headers, now);
    if let Err(outcome) = known {
        return outcome_reply(engine, &outcome);
    }
    if let Some(token) = bearer(&request.headers) {
        state.tokens.revoke(token);
    }
    Reply::json(200, JSON, &json!({}))
}
