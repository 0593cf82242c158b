//! Batch and transaction.
//!
//! In a project without the feature `transaction-bundles` a transaction is carried out like a batch, entry by entry,
//! and what went well stays.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fhir_definitions::references::reference_to;
use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::fhir::Conditions;
use crate::fhir_routes::{self, Interaction};
use crate::outcome::{Outcome, Result};
use crate::routes::segments;

/// The most updates that a transaction may hold.
const MOST_UPDATES: usize = 50;

/// One entry, ready to be carried out.
struct Entry {
    asked: Interaction,
    /// When its turn comes: deletions first, reads last.
    rank: u8,
    /// The id that a creation gets, decided before any entry is carried out so that the others can refer to it.
    id: Option<String>,
}

/// `POST fhir/R4` with a Bundle.
pub(crate) fn process(call: &mut Call<'_>, bundle: &Value) -> Result<Answer> {
    let text = |key: &str| bundle.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("resourceType") != "Bundle" {
        return Err(Outcome::bad_request("Not a bundle"));
    }
    let kind = text("type").to_owned();
    if kind != "batch" && kind != "transaction" {
        let kind = if kind.is_empty() { "undefined" } else { &kind };
        return Err(Outcome::bad_request(format!("Unrecognized bundle type: {kind}")));
    }
    let entries = bundle.get("entry").and_then(Value::as_array);
    let entries = entries.filter(|list| !list.is_empty());
    let entries = entries.ok_or_else(|| Outcome::bad_request("Missing bundle entries"))?;
    let atomic = kind == "transaction" && call.engine.config.transactions_atomic;
    if !atomic {
        let results = run(call, entries, false)?;
        return Ok(response(&kind, results));
    }
    call.state.store.begin();
    match run(call, entries, true) {
        Ok(results) => {
            call.state.store.commit();
            Ok(response(&kind, results))
        }
        Err(outcome) => {
            call.state.store.roll_back();
            Err(outcome)
        }
    }
}

fn response(kind: &str, results: Vec<Value>) -> Answer {
    Answer::ok(json!({"resourceType": "Bundle", "type": format!("{kind}-response"), "entry": results}))
}

fn entry_response(outcome: &Outcome, resource: Option<Value>) -> Value {
    let mut response = Map::new();
    response.insert("outcome".into(), outcome.body());
    response.insert("status".into(), json!(outcome.status.to_string()));
    let reference = resource.as_ref().and_then(reference_to);
    if let Some(reference) = reference.filter(|_| outcome.is_ok()) {
        response.insert("location".into(), json!(reference));
    }
    let mut entry = Map::new();
    entry.insert("response".into(), Value::Object(response));
    if let Some(resource) = resource {
        entry.insert("resource".into(), resource);
    }
    Value::Object(entry)
}

/// Carries the entries out. With `atomic`, the first failure ends it.
fn run(call: &mut Call<'_>, entries: &[Value], atomic: bool) -> Result<Vec<Value>> {
    let mut names = HashMap::new();
    let mut results: Vec<Option<Value>> = vec![None; entries.len()];
    let mut queue = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        match prepare(call, entry, at, &mut names) {
            Ok(ready) => queue.push((at, ready)),
            Err(outcome) if atomic => return Err(outcome),
            Err(outcome) => set(&mut results, at, entry_response(&outcome, None)),
        }
    }
    let updates = queue.iter().filter(|(_, entry)| entry.asked.method == Method::PUT).count();
    if atomic && updates > MOST_UPDATES {
        return Err(Outcome::bad_request("Transaction contains more update operations than allowed"));
    }
    queue.sort_by_key(|(at, entry)| (entry.rank, *at));
    let mut throttled: Option<Outcome> = None;
    for (at, mut entry) in queue {
        if let Some(outcome) = &throttled {
            set(&mut results, at, entry_response(outcome, None));
            continue;
        }
        rename(&mut entry.asked.body, &names);
        match carry_out(call, entry) {
            Ok((outcome, resource)) if outcome.is_ok() || !atomic => {
                set(&mut results, at, entry_response(&outcome, resource));
            }
            Ok((outcome, _)) => return Err(outcome),
            Err(outcome) if atomic => return Err(outcome),
            Err(outcome) => {
                set(&mut results, at, entry_response(&outcome, None));
                throttled = (outcome.status == 429).then_some(outcome);
            }
        }
    }
    Ok(results.into_iter().flatten().collect())
}

fn set(results: &mut [Option<Value>], at: usize, result: Value) {
    if let Some(place) = results.get_mut(at) {
        *place = Some(result);
    }
}

fn carry_out(call: &mut Call<'_>, entry: Entry) -> Result<(Outcome, Option<Value>)> {
    let Entry { mut asked, id, .. } = entry;
    let of_type = asked.steps.first().cloned().unwrap_or_default();
    let answer = match id {
        Some(id) => call.create_with_id(&of_type, std::mem::take(&mut asked.body), &asked.conditions, Some(id))?,
        None => fhir_routes::dispatch(call, &asked)?,
    };
    match answer {
        Answer::Fhir(outcome, resource) => Ok((outcome, resource)),
        Answer::Raw(reply) => Ok((Outcome::all_ok(), serde_json::from_slice(&reply.body).ok())),
    }
}

/// When the turn of such an interaction comes; nothing for what a bundle cannot ask.
fn rank(method: &Method, steps: &[&str]) -> Option<u8> {
    let operation = steps.last().is_some_and(|last| last.starts_with('$'));
    match (method.as_str(), steps) {
        (_, ["Bot", ..]) if operation => None,
        ("GET" | "POST", [.., _]) if operation && steps.len() <= 3 => Some(4),
        ("DELETE", [_] | [_, _]) => Some(0),
        ("POST", [_]) => Some(1),
        ("PUT", [_] | [_, _]) => Some(2),
        ("PATCH", [_] | [_, _]) => Some(3),
        ("GET", []) => Some(5),
        ("GET", [_]) | ("POST", [_, "_search"]) => Some(6),
        ("GET", [_, _]) => Some(7),
        ("GET", [_, _, "_history", _]) => Some(8),
        ("GET", [_, _, "_history"]) => Some(9),
        _ => None,
    }
}

/// Reads one entry, and decides which resource it will be about.
fn prepare(call: &mut Call<'_>, entry: &Value, at: usize, names: &mut HashMap<String, String>) -> Result<Entry> {
    let text = |key: &str| entry.pointer(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing = |what: &str, field: &str| {
        let text = format!("Missing Bundle entry request {what}");
        Outcome::bad_request_at(text, format!("Bundle.entry[{at}].request.{field}"))
    };
    let method = text("/request/method").ok_or_else(|| missing("method", "method"))?;
    let url = text("/request/url").ok_or_else(|| missing("URL", "url"))?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Outcome::not_found())?;
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (url, None),
    };
    let steps = segments(path.strip_prefix('/').unwrap_or(path));
    let step_names: Vec<&str> = steps.iter().map(String::as_str).collect();
    let rank = rank(&method, &step_names).ok_or_else(Outcome::not_found)?;
    let header = |key: &str| text(key).map(str::to_owned);
    let body = entry.get("resource").cloned().unwrap_or(Value::Null);
    let mut ready = Entry {
        asked: Interaction {
            body: if method == Method::PATCH { patch_of(&body)? } else { body },
            method,
            steps,
            raw_query: query,
            conditions: Conditions {
                if_match: header("/request/ifMatch"),
                if_none_exist: header("/request/ifNoneExist"),
                if_none_match: header("/request/ifNoneMatch"),
            },
        },
        rank,
        id: None,
    };
    let reference = identify(call, &mut ready)?;
    if let (Some(name), Some(reference)) = (text("/fullUrl"), reference) {
        names.insert(name.to_owned(), reference);
    }
    Ok(ready)
}

/// The reference of the resource that an entry is about, where it is one.
fn identify(call: &mut Call<'_>, entry: &mut Entry) -> Result<Option<String>> {
    let asked = &mut entry.asked;
    let Some(of_type) = asked.steps.first().cloned() else { return Ok(None) };
    match (entry.rank, asked.raw_query.clone()) {
        (1, _) => {
            if let Some(query) = asked.conditions.if_none_exist.as_deref().filter(|query| !query.is_empty())
                && let [one] = call.conditional_ids(&of_type, query)?.as_slice()
            {
                return Ok(Some(format!("{of_type}/{one}")));
            }
            let id = call.engine.source.uuid().to_string();
            entry.id = Some(id.clone());
            Ok(Some(format!("{of_type}/{id}")))
        }
        (0 | 2 | 3, Some(query)) if asked.steps.len() == 1 => {
            let [one] = call
                .conditional_ids(&of_type, &query)?
                .try_into()
                .map_err(|found: Vec<String>| {
                    let text = format!("Conditional {} matched multiple resources", asked.method);
                    if found.is_empty() { Outcome::all_ok() } else { Outcome::bad_request(text) }
                })
                .or_else(|outcome: Outcome| {
                    // None was found: the interaction itself says what that means.
                    if outcome.is_ok() { Ok([String::new()]) } else { Err(outcome) }
                })?;
            if one.is_empty() {
                return Ok(None);
            }
            if asked.method == Method::PUT
                && let Some(body) = asked.body.as_object_mut()
            {
                body.insert("id".into(), json!(one));
            }
            asked.steps.push(one.clone());
            asked.raw_query = None;
            Ok(Some(format!("{of_type}/{one}")))
        }
        (0 | 2 | 3, None) => Ok(Some(asked.steps.join("/"))),
        _ => Ok(None),
    }
}

/// The JSON Patch of a PATCH entry: in the `data` of a Binary, or spelled out as Parameters.
fn patch_of(resource: &Value) -> Result<Value> {
    let text = |key: &str| resource.get(key).and_then(Value::as_str);
    let patch = match text("resourceType") {
        Some("Binary") => {
            let data = text("data").ok_or_else(|| Outcome::bad_request("Missing entry.resource.data"))?;
            STANDARD.decode(data).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        }
        Some("Parameters") => {
            let parameters = resource.get("parameter").and_then(Value::as_array);
            let operations =
                parameters.into_iter().flatten().filter(|p| p.get("name").and_then(Value::as_str) == Some("operation"));
            Some(Value::Array(operations.map(patch_operation).collect::<Result<_>>()?))
        }
        _ => {
            let text = "Patch entry must include a Binary or Parameters resource";
            return Err(Outcome::bad_request(text));
        }
    };
    patch.filter(Value::is_array).ok_or_else(|| Outcome::bad_request("Decoded PATCH body must be an array"))
}

fn patch_operation(parameter: &Value) -> Result<Value> {
    let parts = parameter.get("part").and_then(Value::as_array);
    let part = |name: &str, kind: &str| {
        let found = parts?.iter().find(|part| part.get("name").and_then(Value::as_str) == Some(name))?;
        found.get(kind)?.as_str()
    };
    let op = part("op", "valueCode").ok_or_else(|| Outcome::bad_request("PATCH Parameters missing op"))?;
    let mut operation = Map::new();
    operation.insert("op".into(), json!(op));
    for key in ["path", "from"] {
        if let Some(value) = part(key, "valueString") {
            operation.insert(key.into(), json!(value));
        }
    }
    if let Some(value) = part("value", "valueString") {
        operation.insert("value".into(), serde_json::from_str(value).unwrap_or(Value::Null));
    }
    Ok(Value::Object(operation))
}

/// Puts the decided references in the place of the names that the entries were given.
fn rename(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::String(text) if text.contains("urn") => {
            for (name, reference) in names {
                if name.starts_with("urn:uuid:") {
                    let encoded = name.replace(':', "%3A");
                    *text = text.replace(name.as_str(), reference).replace(&encoded, reference);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| rename(value, names)),
        Value::Object(map) => map.values_mut().for_each(|value| rename(value, names)),
        _ => {}
    }
}
