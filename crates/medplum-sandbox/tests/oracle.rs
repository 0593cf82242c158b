//! Searches by index, checked against the plainest way to search: look at every resource, again for every search.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::Running;
use medplum_sandbox::{Data, Sandbox};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const CODES: [(&str, &str); 4] =
    [("http://loinc.org", "1-1"), ("http://loinc.org", "2-2"), ("urn:x", "1-1"), ("", "3-3")];
const STATUSES: [&str; 3] = ["final", "preliminary", "amended"];
const NAMES: [&str; 6] = ["Ana Silva", "Anders", "silva", "O'Brien", "Zoë van Dyk", "Bo"];

/// What one Observation is made of, by the numbers in the lists above.
#[derive(Debug, Clone)]
struct Spec {
    code: usize,
    status: usize,
    patient: usize,
    /// Days after the beginning of 2025; none has no date.
    day: Option<u8>,
    value: Option<i16>,
    deleted: bool,
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let one = (0..CODES.len(), 0..STATUSES.len(), 0..NAMES.len(), proptest::option::of(0..60_u8), any::<Option<i16>>());
    let one = (one, proptest::bool::weighted(0.1)).prop_map(|((code, status, patient, day, value), deleted)| Spec {
        code,
        status,
        patient,
        day,
        value,
        deleted,
    });
    proptest::collection::vec(one, 1..40)
}

fn date(day: u8) -> String {
    let (month, day) = if day < 31 { (1, day + 1) } else { (2, day - 30) };
    format!("2025-{month:02}-{:02}", day.min(28))
}

fn id(at: usize) -> String {
    format!("00000000-0000-4000-8000-{at:012}")
}

fn patient_id(at: usize) -> String {
    format!("00000000-0000-4000-9000-{at:012}")
}

fn observation(at: usize, spec: &Spec) -> Value {
    let (system, code) = CODES[spec.code];
    let mut coding = json!({"code": code});
    if !system.is_empty() {
        coding["system"] = json!(system);
    }
    let mut resource = json!({
        "resourceType": "Observation",
        "id": id(at),
        "status": STATUSES[spec.status],
        "code": {"coding": [coding]},
        "subject": {"reference": format!("Patient/{}", patient_id(spec.patient))},
    });
    if let Some(day) = spec.day {
        resource["effectiveDateTime"] = json!(date(day));
    }
    if let Some(value) = spec.value {
        resource["valueQuantity"] = json!({"value": value});
    }
    resource
}

fn patients() -> Vec<Value> {
    let patient = |(at, name): (usize, &&str)| {
        let mut parts: Vec<&str> = name.split(' ').collect();
        let family = parts.pop().unwrap();
        json!({"resourceType": "Patient", "id": patient_id(at), "name": [{"given": parts, "family": family}]})
    };
    NAMES.iter().enumerate().map(patient).collect()
}

/// A question, and how to answer it by looking at one Observation.
#[derive(Debug, Clone)]
enum Question {
    Code(usize, bool),
    System(usize),
    Status(usize),
    NotStatus(usize),
    Either(usize, usize),
    Patient(usize),
    Date(&'static str, u8),
    Value(&'static str, i16),
    Missing(bool),
    Name(&'static str),
    Exact(&'static str),
}

fn prefixes() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"])
}

fn question() -> impl Strategy<Value = Question> {
    prop_oneof![
        (0..CODES.len(), any::<bool>()).prop_map(|(code, system)| Question::Code(code, system)),
        (0..CODES.len()).prop_map(Question::System),
        (0..STATUSES.len()).prop_map(Question::Status),
        (0..STATUSES.len()).prop_map(Question::NotStatus),
        (0..STATUSES.len(), 0..STATUSES.len()).prop_map(|(a, b)| Question::Either(a, b)),
        (0..NAMES.len()).prop_map(Question::Patient),
        (prefixes(), 0..60_u8).prop_map(|(prefix, day)| Question::Date(prefix, day)),
        (prefixes(), any::<i16>()).prop_map(|(prefix, value)| Question::Value(prefix, value)),
        any::<bool>().prop_map(Question::Missing),
        proptest::sample::select(vec!["an", "SIL", "brien", "zoë", "van d", "x", "Dyk Zo"]).prop_map(Question::Name),
        proptest::sample::select(vec!["Silva", "silva", "Anders", "Bo"]).prop_map(Question::Exact),
    ]
}

fn compares(prefix: &str, order: std::cmp::Ordering) -> bool {
    match prefix {
        "" | "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "gt" | "sa" => order.is_gt(),
        "ge" => order.is_ge(),
        "lt" | "eb" => order.is_lt(),
        _ => order.is_le(),
    }
}

impl Question {
    fn query(&self) -> String {
        match self {
            Self::Code(code, true) => format!("code={}%7C{}", CODES[*code].0, CODES[*code].1),
            Self::Code(code, false) => format!("code={}", CODES[*code].1),
            Self::System(code) => format!("code={}%7C", CODES[*code].0),
            Self::Status(status) => format!("status={}", STATUSES[*status]),
            Self::NotStatus(status) => format!("status:not={}", STATUSES[*status]),
            Self::Either(a, b) => format!("status={},{}", STATUSES[*a], STATUSES[*b]),
            Self::Patient(patient) => format!("patient=Patient/{}", patient_id(*patient)),
            Self::Date(prefix, day) => format!("date={prefix}{}", date(*day)),
            Self::Value(prefix, value) => format!("value-quantity={prefix}{value}"),
            Self::Missing(missing) => format!("value-quantity:missing={missing}"),
            Self::Name(name) => format!("patient.name={}", name.replace(' ', "%20").replace('ë', "%C3%AB")),
            Self::Exact(name) => format!("patient.family:exact={name}"),
        }
    }

    fn holds(&self, spec: &Spec) -> bool {
        let name = NAMES[spec.patient];
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(str::to_lowercase).collect()
        };
        match self {
            Self::Code(code, true) => CODES[spec.code] == CODES[*code],
            Self::Code(code, false) => CODES[spec.code].1 == CODES[*code].1,
            Self::System(code) => CODES[spec.code].0 == CODES[*code].0,
            Self::Status(status) => spec.status == *status,
            Self::NotStatus(status) => spec.status != *status,
            Self::Either(a, b) => spec.status == *a || spec.status == *b,
            Self::Patient(patient) => spec.patient == *patient,
            Self::Date(prefix, day) => spec.day.is_some_and(|own| compares(prefix, date(own).cmp(&date(*day)))),
            Self::Value(prefix, value) => spec.value.is_some_and(|own| compares(prefix, own.cmp(value))),
            Self::Missing(missing) => spec.value.is_none() == *missing,
            Self::Name(wanted) => {
                let all = |wanted: &str| {
                    words(wanted).iter().all(|wanted| words(name).iter().any(|word| word.starts_with(wanted)))
                };
                all(wanted)
            }
            Self::Exact(wanted) => name.rsplit(' ').next() == Some(wanted),
        }
    }
}

fn found(running: &Running, query: &str) -> BTreeSet<String> {
    let reply = running.get(&format!("fhir/R4/Observation?{query}&_count=1000"));
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    let bundle = reply.json();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

fn check(specs: &[Spec], changed: &[Spec], questions: &[Question]) -> Result<(), TestCaseError> {
    let mut lines: Vec<String> = patients().iter().map(Value::to_string).collect();
    lines.extend(specs.iter().enumerate().map(|(at, spec)| observation(at, spec).to_string()));
    let data = Data::parse(&lines.join("\n")).unwrap();
    let running = Running::start(Sandbox::builder().unpopulated().data(data));
    let query = questions.iter().map(Question::query).collect::<Vec<_>>().join("&");
    // Once before anything changes, so that the indexes are there and every write must keep them true.
    found(&running, &query);
    let mut now = specs.to_vec();
    for (at, spec) in changed.iter().enumerate().take(specs.len()) {
        let path = format!("fhir/R4/Observation/{}", id(at));
        let authorization = running.authorized();
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/fhir+json")];
        let body = observation(at, spec).to_string();
        let (method, body) = if spec.deleted { ("DELETE", "") } else { ("PUT", body.as_str()) };
        let reply = running.send(method, &path, &headers, body.as_bytes());
        prop_assert_eq!(reply.status, 200, "{}", reply.text());
        now[at] = spec.clone();
    }
    let deleted = |at: usize| at < changed.len() && now[at].deleted;
    let all = now.iter().enumerate().filter(|(at, spec)| !deleted(*at) && questions.iter().all(|q| q.holds(spec)));
    let expected: BTreeSet<String> = all.map(|(at, _)| id(at)).collect();
    prop_assert_eq!(found(&running, &query), expected, "{}", query);
    Ok(())
}

#[test]
fn indexes_find_what_looking_at_everything_finds() {
    let cases = (specs(), proptest::collection::vec(question(), 1..4), specs());
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    runner.run(&cases, |(specs, questions, changed)| check(&specs, &changed, &questions)).unwrap();
}

#[test]
fn pages_show_everything_once() {
    let lines: Vec<String> = (0..57)
        .map(|at| json!({"resourceType": "Patient", "id": patient_id(at), "birthDate": date(u8::try_from(at % 9).unwrap())}))
        .map(|patient| patient.to_string())
        .collect();
    let data = Data::parse(&lines.join("\n")).unwrap();
    let running = Running::start(Sandbox::builder().unpopulated().data(data));
    for start in
        ["_count=20&_sort=_lastUpdated", "_count=7", "_count=5&_sort=-birthdate", "_count=20&_sort=birthdate,_id"]
    {
        let mut next = Some(format!("fhir/R4/Patient?{start}"));
        let mut seen = Vec::new();
        while let Some(path) = next.take() {
            let bundle = running.get(&path).json();
            seen.extend(bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["id"].clone()));
            let links = bundle["link"].as_array().unwrap();
            let link = links.iter().find(|link| link["relation"] == "next");
            next = link.map(|link| link["url"].as_str().unwrap().replace(running.sandbox.base_url(), ""));
        }
        let all: BTreeSet<String> = seen.iter().map(Value::to_string).collect();
        assert_eq!((seen.len(), all.len()), (57, 57), "{start}");
    }
}
