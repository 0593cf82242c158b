//! `Patient/{id}/$everything`, with its quirks.

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::fhir_routes::Interaction;
use crate::outcome::{Outcome, Result};
use crate::policy;
use crate::quota::cost;
use crate::search::Request;

/// Types that another resource leads to and that come along, beyond the page's count.
const BROUGHT_ALONG: [&str; 2] = ["Organization", "Practitioner"];

/// FHIR types that never tell of a patient's care. The last came after the version that was recorded.
const NOT_CARE: [&str; 3] = ["Binary", "Parameters", "SubscriptionStatus"];

/// The parameters, from the query or from the Parameters resource of a POST.
fn parameters(asked: &Interaction) -> Vec<(String, String)> {
    let mut all = asked.query();
    let posted = asked.body.get("parameter").and_then(Value::as_array);
    for parameter in posted.into_iter().flatten().filter_map(Value::as_object) {
        let name = parameter.get("name").and_then(Value::as_str);
        let value = parameter.iter().find(|(key, _)| key.starts_with("value")).map(|(_, value)| value);
        if let (Some(name), Some(value)) = (name, value) {
            all.push((name.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
    all
}

/// The search that it is on the real server: over the compartment, by id.
fn as_search(call: &Call<'_>, id: &str, asked: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let all = |name: &str| -> Vec<&str> {
        let named = asked.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).collect()
    };
    let one = |name: &str| all(name).first().map(|value| (*value).to_owned());
    let types = match all("_type").as_slice() {
        [] => {
            let definitions = call.engine.definitions();
            let mut types: Vec<&str> = definitions
                .resource_types()
                .filter(|info| !info.medplum && info.searchable && !NOT_CARE.contains(&info.name))
                .map(|info| info.name)
                .collect();
            types.push("Patient");
            types
        }
        // It is a text where the server expects a list.
        [_] => return Err(Outcome::bad_request("types.push is not a function")),
        several => several.iter().copied().chain(["Patient"]).collect(),
    };
    let mut types = types;
    types.sort_unstable();
    let mut query = vec![
        ("_compartment".to_owned(), format!("Patient/{id}")),
        ("_count".to_owned(), one("_count").unwrap_or_else(|| "1000".to_owned())),
        ("_sort".to_owned(), "_id".to_owned()),
        ("_type".to_owned(), types.join(",")),
    ];
    if let Some(offset) = one("_offset") {
        query.push(("_offset".to_owned(), offset));
    }
    if let Some(since) = one("_since") {
        query.push(("_lastUpdated".to_owned(), format!("ge{since}")));
    }
    Ok(query)
}

/// Answers it.
pub(crate) fn answer(call: &mut Call<'_>, id: &str, asked: &Interaction) -> Result<Answer> {
    call.spend(cost::READ)?;
    call.read_one("Patient", id)?;
    let asked = parameters(asked);
    let query = as_search(call, id, &asked)?;
    call.spend(cost::SEARCH)?;
    let mut request = Request::parse(call.engine.definitions(), "Patient", &query)?;
    if let Some(types) = &mut request.types {
        types.retain(|of_type| call.actor.policy.allows(of_type, policy::Interaction::Search));
    }
    let mut bundle = call.search_bundle(request)?;
    within(&mut bundle, &asked);
    add_referenced(call, &mut bundle)?;
    Ok(Answer::ok(bundle))
}

/// Drops what was not between `start` and `end`. Only this page is looked at, and the links forget it.
fn within(bundle: &mut Value, asked: &[(String, String)]) {
    let bound = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (start, end) = (bound("start"), bound("end"));
    if start.is_none() && end.is_none() {
        return;
    }
    if let Some(entries) = bundle.get_mut("entry").and_then(Value::as_array_mut) {
        entries.retain(|entry| {
            let Some(care) = entry.get("resource").and_then(care_date) else { return true };
            start.is_none_or(|start| care >= start) && end.is_none_or(|end| care <= end || care.starts_with(end))
        });
    }
}

/// When the care that a resource tells of took place.
fn care_date(resource: &Value) -> Option<&str> {
    let at = |path: &str| resource.pointer(path).and_then(Value::as_str);
    [
        "/effectiveDateTime",
        "/effectivePeriod/start",
        "/period/start",
        "/onsetDateTime",
        "/authoredOn",
        "/date",
        "/performedDateTime",
        "/performedPeriod/start",
        "/occurrenceDateTime",
        "/recordedDate",
        "/issued",
        "/start",
    ]
    .into_iter()
    .find_map(at)
}

/// Adds the practitioners and organizations that the page's resources refer to. They have no `fullUrl`.
fn add_referenced(call: &mut Call<'_>, bundle: &mut Value) -> Result<()> {
    let Some(entries) = bundle.get_mut("entry").and_then(Value::as_array_mut) else { return Ok(()) };
    let mut references = Vec::new();
    for entry in entries.iter() {
        collect(entry.get("resource").unwrap_or(&Value::Null), &mut references);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(reference) = references.get(at).cloned() {
        at += 1;
        let known = seen.contains(&reference);
        let Some((of_type, id)) = reference.split_once('/') else { continue };
        if known || !BROUGHT_ALONG.contains(&of_type) {
            continue;
        }
        if let Ok(resource) = call.read_one(of_type, id) {
            call.spend(cost::READ)?;
            collect(&resource, &mut references);
            entries.push(json!({"resource": resource, "search": {"mode": "include"}}));
        }
        seen.push(reference);
    }
    Ok(())
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("reference") {
                references.push(reference.clone());
            }
            for (key, value) in map {
                if key != "meta" {
                    collect(value, references);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
