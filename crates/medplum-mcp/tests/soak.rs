//! A long day: calls of every kind, one after the other, and the memory that the server has at the end beside what it
//! had after the first ten thousand. Ignored by default; CONTRIBUTING.md says how to run it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Instant;

use common::host::program;
use common::{Host, NOBODY};
use serde_json::{Value, json};

/// How many calls, unless `SOAK_CALLS` says otherwise.
const CALLS: u64 = 1_000_000;
/// After so many, whatever is made once has been made.
const WARM: u64 = 10_000;
/// So many are under way at once.
const TOGETHER: u64 = 50;

/// A sandbox in a process of its own, so that what it keeps is not taken for the server's.
struct Sandbox {
    child: Child,
    variables: Vec<(String, String)>,
}

impl Sandbox {
    fn start() -> Self {
        let mut command = program(&["sandbox", "--port", "0", "--patients", "100"], &[]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(3);
        let variables = lines.map(|line| {
            let line = line.unwrap();
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self { variables: variables.collect(), child }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The calls of a day, again and again: mostly reads, some writes, some mistakes.
fn call(nth: u64, patients: &[String]) -> (&'static str, Value) {
    let patient = &patients[usize::try_from(nth).unwrap() % patients.len()];
    let read = || ("read_resource", json!({"resource_type": "Patient", "resource_id": patient}));
    let of_patient = |params: Value| {
        let mut params = params;
        params["patient"] = format!("Patient/{patient}").into();
        params
    };
    match nth % 20 {
        0 => (
            "search_resources",
            json!({"resource_type": "Observation", "params": of_patient(json!({})), "count": 5, "sort": "-date"}),
        ),
        1 => (
            "search_resources",
            json!({"resource_type": "Observation", "params": of_patient(json!({})), "count": 20, "fields": ["code.text", "effectiveDateTime", "valueQuantity.value"]}),
        ),
        2 => (
            "search_resources",
            json!({"resource_type": "Patient", "params": {"name": format!("No{nth}")}, "count": 3}),
        ),
        3 => ("search_one", json!({"resource_type": "Patient", "params": {"_id": patient}})),
        4 => ("search_resources", json!({"resource_type": "Patient", "params": {"familly": "Smith"}})),
        5 => ("read_resource", json!({"resource_type": "Patient", "resource_id": NOBODY})),
        6 => ("create_resource", json!({"resource": {"resourceType": "Patient", "gender": "bogus"}})),
        7 if nth % 200 == 7 => {
            ("create_resource", json!({"resource": {"resourceType": "Basic", "code": {"text": format!("soak {nth}")}}}))
        }
        8 if nth % 200 == 8 => {
            let operations = json!([{"op": "add", "path": "/language", "value": "en"}]);
            ("patch_resource", json!({"resource_type": "Patient", "resource_id": patient, "operations": operations}))
        }
        9 if nth % 100 == 9 => {
            let sql = "select code_text, count(*) n from Observation group by 1 order by n desc limit 5";
            ("query_resources", json!({"resource_type": "Observation", "params": of_patient(json!({})), "sql": sql}))
        }
        10 if nth % 100 == 10 => ("get_patient_summary", json!({"patient_id": patient})),
        11 => ("get_resource_schema", json!({"resource_type": "Observation"})),
        12 if nth % 100 == 12 => {
            let entries = json!([{"request": {"method": "GET", "url": format!("Patient/{patient}")}}, {"request": {"method": "GET", "url": "Patient?_count=2"}}]);
            ("execute_batch", json!({"bundle": {"type": "batch", "entry": entries}}))
        }
        13 if nth % 100 == 13 => ("get_patient_everything", json!({"patient_id": patient, "budget": 5000})),
        14 => ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/Patient/{patient}")})),
        15 => ("no_such_tool", json!({"nth": nth})),
        16 if nth % 100 == 16 => {
            ("execute_graphql", json!({"query": format!("{{ Patient(id: \"{patient}\") {{ id birthDate }} }}")}))
        }
        _ => read(),
    }
}

/// Makes so many calls at once, some of which nobody waits for in the end, and hears the answers.
fn turn(host: &mut Host, first: u64, patients: &[String]) {
    let mut waiting = BTreeSet::new();
    for nth in first..first + TOGETHER {
        let (tool, arguments) = call(nth, patients);
        host.send(&json!({"jsonrpc": "2.0", "id": nth, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}));
        if nth % 50 == 17 {
            host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": nth}}));
        } else {
            waiting.insert(nth);
        }
    }
    if first.is_multiple_of(1_000) {
        host.write(b"half a line {\"jsonrpc\":\n");
    }
    while !waiting.is_empty() {
        if let Some(id) = host.hear()["id"].as_u64() {
            waiting.remove(&id);
        }
    }
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn a_million_calls_need_no_more_memory_than_ten_thousand() {
    let calls = std::env::var("SOAK_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(CALLS);
    let sandbox = Sandbox::start();
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let mut variables: Vec<(&str, &str)> =
        sandbox.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.extend([("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_AUDIT_LOG", audit.to_str().unwrap())]);
    let mut host = Host::spawn(program(&[], &variables));
    host.initialize("2025-11-25");
    let found =
        host.call("search_resources", json!({"resource_type": "Patient", "count": 100, "fields": ["id"]})).record();
    let patients: Vec<String> =
        found["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert!(patients.len() >= 50, "{found}");

    let started = Instant::now();
    let mut warm = 0;
    for first in (0..calls).step_by(usize::try_from(TOGETHER).unwrap()) {
        turn(&mut host, first, &patients);
        let done = first + TOGETHER;
        if done == WARM {
            warm = host.memory_now();
        }
        if done.is_multiple_of((calls / 20).max(WARM)) || done == WARM {
            let rate = done as f64 / started.elapsed().as_secs_f64();
            println!("{done} calls, {} KB, {rate:.0} calls a second", host.memory_now() / 1024);
        }
    }
    let end = host.memory_now();
    println!(
        "{} KB after {WARM} calls, {} KB after {calls}, {} KB at the most",
        warm / 1024,
        end / 1024,
        host.most_memory() / 1024
    );
    assert!(end <= warm + warm / 10, "{end} bytes after {calls} calls, {warm} after {WARM}");
    assert_eq!(host.end().code, Some(0));
}
