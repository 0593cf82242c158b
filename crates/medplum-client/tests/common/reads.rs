//! A plain reading of a request as it goes onto the wire: its method, URL, headers and body. It knows nothing of how the
//! request was classed, and takes URLs apart with the `url` crate.
#![allow(dead_code)]

use std::borrow::Cow;

use medplum_client::Request;
use serde_json::Value;
use url::Url;

use super::scanner::only_queries;

const SERVER: &str = "http://h.example/";
const FHIR: &str = "http://h.example/fhir/R4";

/// What goes onto the wire.
#[derive(Debug)]
pub struct Wire<'a> {
    pub method: &'a str,
    pub url: String,
    /// The names of the headers that not every request has.
    pub headers: Vec<&'a str>,
    /// The content type and the bytes.
    pub body: Option<(&'a str, Cow<'a, [u8]>)>,
}

impl<'a> Wire<'a> {
    pub fn of(request: &'a Request) -> Self {
        let below = request.relative_url();
        let url = match (request.fhir, below.is_empty()) {
            (true, true) => FHIR.to_owned(),
            (true, false) => format!("{FHIR}/{below}"),
            (false, _) => format!("{SERVER}{below}"),
        };
        let body = request.body.as_ref().map(|(of, bytes)| (of.as_str(), Cow::Borrowed(bytes.as_ref())));
        let headers = request.headers.iter().map(|(name, _)| *name).collect();
        Self { method: request.method.as_str(), url, headers, body }
    }

    /// Whether it only reads, and if not, why.
    pub fn reads(&self) -> Result<(), String> {
        let fail = |why: &str| Err(format!("{why}: {} {}", self.method, self.url));
        let url = Url::parse(&self.url).map_err(|error| error.to_string())?;
        if url.as_str() != self.url {
            return fail(&format!("a URL parser reads it as {url}"));
        }
        if url.host_str() != Some("h.example") || url.fragment().is_some() {
            return fail("another host, or a fragment");
        }
        if url.path().contains(['%', '\\', ';', ':', '@', ' ']) {
            return fail("a character that needs thought");
        }
        if url.query().unwrap_or_default().contains(['/', '$', '+', ' ', '#']) {
            return fail("a slash or dollar sign in the query");
        }
        if !self.headers.is_empty() {
            return fail("a header of its own");
        }
        let all: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let (fhir, segments) = match all.as_slice() {
            // The base itself may stand with its slash.
            ["fhir", "R4", ""] => (true, &[][..]),
            ["fhir", "R4", rest @ ..] => (true, rest),
            other => (false, other),
        };
        if segments.iter().any(|s| s.is_empty() || *s == "." || *s == "..") {
            return fail("a segment that is none");
        }
        let operations = segments.iter().filter(|s| s.contains('$')).count();
        if self.url.matches("/$").count() != operations || operations > 1 {
            return fail("more operations than one");
        }
        let known =
            if fhir { self.reads_fhir(&url, segments)? } else { self.gets() && reads_beside(segments, operations) };
        if known { Ok(()) } else { fail("no read that this file knows") }
    }

    fn gets(&self) -> bool {
        self.method == "GET" && self.body.is_none()
    }

    fn reads_fhir(&self, url: &Url, segments: &[&str]) -> Result<bool, String> {
        let (get, post) = (self.gets(), self.method == "POST");
        Ok(match segments {
            [] if post => return reads_bundle(&self.json()?).map(|()| true),
            ["$graphql"] if post => return reads_graphql(&self.json()?).map(|()| true),
            [] => get && url.query_pairs().any(|(key, _)| key == "_type"),
            ["metadata" | "$versions"] => get,
            [".well-known", rest @ ..] => get && !rest.is_empty() && rest.iter().all(|s| !s.contains('$')),
            ["job", id, "status"] => get && is_id(id),
            [t] => get && is_type(t),
            [t, "_search"] => post && is_type(t) && url.query().is_none() && self.is_form(),
            [t, op] if op.starts_with('$') => is_type(t) && native(self.method, t, false, op),
            [t, id] => get && is_type(t) && is_id(id),
            [t, id, "_history"] => get && is_type(t) && is_id(id),
            [t, id, op] if op.starts_with('$') => is_type(t) && is_id(id) && native(self.method, t, true, op),
            [t, id, "_history", version] => get && is_type(t) && is_id(id) && is_id(version),
            _ => false,
        })
    }

    fn json(&self) -> Result<Value, String> {
        let (content_type, body) = self.body.as_ref().ok_or("no body")?;
        if *content_type != "application/fhir+json" {
            return Err(format!("a body of {content_type}"));
        }
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    fn is_form(&self) -> bool {
        self.body.as_ref().is_some_and(|(content_type, _)| *content_type == "application/x-www-form-urlencoded")
    }
}

/// The reads beside the FHIR interface.
fn reads_beside(segments: &[&str], operations: usize) -> bool {
    match segments {
        ["auth", "me"] | ["oauth2", "userinfo"] | ["healthcheck"] | ["openapi.json"] => true,
        [".well-known", _, ..] => operations == 0,
        ["admin", "projects", id] => is_id(id),
        ["admin", "projects", id, "members", member] => is_id(id) && is_id(member),
        _ => false,
    }
}

fn is_type(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// The operations that Medplum routes itself, written down once more, in the order of its own documentation.
fn native(method: &str, t: &str, on_instance: bool, operation: &str) -> bool {
    let get_or_post = matches!(method, "GET" | "POST");
    match (operation, t) {
        ("$everything" | "$summary", "Patient") => on_instance && get_or_post,
        ("$lookup" | "$validate-code" | "$subsumes", "CodeSystem") => get_or_post,
        ("$validate-code", "ValueSet") | ("$translate", "ConceptMap") => get_or_post,
        ("$expand", "ValueSet") => !on_instance && get_or_post,
        ("$csv", _) => !on_instance && method == "GET",
        ("$graph", _) => on_instance && method == "GET",
        ("$validate", _) => !on_instance && method == "POST",
        _ => false,
    }
}

fn reads_graphql(body: &Value) -> Result<(), String> {
    let known = ["query", "variables", "operationName"];
    let object = body.as_object().ok_or("no object")?;
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("{key} in a GraphQL request"));
    }
    let query = object["query"].as_str().ok_or("no query")?;
    if only_queries(query) { Ok(()) } else { Err(format!("not a query: {query}")) }
}

fn reads_bundle(bundle: &Value) -> Result<(), String> {
    let object = bundle.as_object().ok_or("no object")?;
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    let kind = bundle["type"].as_str().ok_or("no type")?;
    if keys != ["resourceType", "type", "entry"]
        || bundle["resourceType"] != "Bundle"
        || !["batch", "transaction"].contains(&kind)
    {
        return Err(format!("not a bundle of requests: {bundle}"));
    }
    for entry in bundle["entry"].as_array().ok_or("no entries")? {
        let (asked, below) = (&entry["request"], entry["request"]["url"].as_str().ok_or("no url")?);
        let method = asked["method"].as_str().ok_or("no method")?;
        // The URL of an entry, joined to the base as a browser would.
        let joined = Url::parse(&format!("{FHIR}/")).unwrap().join(below).map_err(|error| error.to_string())?;
        let plain = format!("{FHIR}/{below}");
        if joined.as_str() != plain {
            return Err(format!("{below} in a bundle is {joined}"));
        }
        if method == "POST" && below.split('?').next() == Some("") {
            return Err("a bundle in a bundle".to_owned());
        }
        let keys = asked.as_object().into_iter().flat_map(|asked| asked.keys());
        // A condition on a read only spares its answer.
        let headers = keys.map(String::as_str).filter(|key| !["method", "url", "ifNoneMatch"].contains(key)).collect();
        let resource = entry.get("resource").map(ToString::to_string);
        let body = resource.map(|resource| ("application/fhir+json", Cow::Owned(resource.into_bytes())));
        Wire { method, url: plain, headers, body }.reads()?;
    }
    Ok(())
}
