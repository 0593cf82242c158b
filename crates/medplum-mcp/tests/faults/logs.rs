//! Whatever goes wrong, nothing of a patient and no secret is on standard error or in what the agent is told of a
//! failure, however much is logged.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::host::{Elsewhere, open};
use super::hostile::{Answer, Making, PATIENT, Received, Then};

/// What is in the records and secrets here, and nowhere else.
const MARKS: [&str; 6] = ["Zaphodsecret", "1961-02-03", "555-4711", "hunter2", "TOKEN-ITSELF", "panicked"];
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json";

fn record() -> String {
    json!({"resourceType": "Patient", "id": PATIENT, "birthDate": "1961-02-03", "name": [{"family": "Zaphodsecret"}], "telecom": [{"value": "555-4711"}]}).to_string()
}

fn garbled() -> Vec<(&'static str, Making)> {
    vec![
        ("cut off", || Answer::Truncated { status: 200, body: record().into_bytes() }),
        ("a wrong length", || Answer::raw(&format!("{OK}\r\ncontent-length: x"), record(), Then::Close)),
        ("no head", || Answer::Raw(record().into_bytes(), Then::Close)),
        ("a head with a name in it", || {
            Answer::raw(&format!("HTTP/1.1 200 Zaphodsecret\r\n{}: x", "Zaphodsecret ".repeat(40)), "", Then::Close)
        }),
        ("not UTF-8", || Answer::of(200, "application/fhir+json", [record().as_bytes(), b"\xff"].concat())),
        ("too deep", || Answer::of(200, "application/fhir+json", format!("{{\"Zaphodsecret\":{}", "[".repeat(10_000)))),
        ("a page", || Answer::of(200, "text/html", format!("<p>{}</p>", record()))),
        ("not compressed", || Answer::of(200, "application/fhir+json", record()).header("content-encoding", "gzip")),
        ("a redirect", || {
            Answer::empty(302).header("location", "https://elsewhere.example/?name=Zaphodsecret&birthdate=1961-02-03")
        }),
        ("a page that refuses", || Answer::of(403, "text/html", record())),
        ("a gateway", || Answer::of(502, "text/html", record())),
        ("too many", || Answer::of(429, "text/plain", record()).header("retry-after", "0")),
        ("hints", || {
            Answer::raw(
                "HTTP/1.1 103 Early Hints\r\nlink: </Zaphodsecret>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 0",
                "",
                Then::Close,
            )
        }),
        ("a reset", || Answer::Reset),
        ("drips", || Answer::raw(OK, record(), Then::Zeros(std::time::Duration::from_millis(100)))),
        ("too large", || Answer::raw(OK, record(), Then::Again(1))),
    ]
}

fn calls() -> Vec<(&'static str, Value)> {
    let patient: Value = serde_json::from_str(&record()).unwrap();
    let person = json!({"resourceType": "Patient", "name": [{"family": "Zaphodsecret"}], "birthDate": "1961-02-03"});
    vec![
        ("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})),
        (
            "search_resources",
            json!({"resource_type": "Patient", "params": {"family": "Zaphodsecret", "phone": "555-4711"}}),
        ),
        ("create_resource", json!({"resource": person})),
        ("update_resource", json!({"resource": patient, "overwrite": true})),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "POST", "url": "Patient"}, "resource": person}]}}),
        ),
        ("execute_graphql", json!({"query": "{ PatientList(name: \"Zaphodsecret\") { id } }"})),
    ]
}

#[test]
fn no_garbled_answer_and_no_failed_call_leaves_a_trace_of_a_patient() {
    // Which answer is next is said from here.
    static NEXT: Mutex<Option<Making>> = Mutex::new(None);
    let api = |_: &Received| NEXT.lock().unwrap().map_or_else(Answer::patient, |making| making());
    let medplum = Elsewhere::new(|_| Answer::token("TOKEN-ITSELF", 3600), api);
    let more = [("MEDPLUM_TIMEOUT_SECONDS", "1"), ("MEDPLUM_MAX_RESPONSE_MB", "1"), ("RUST_LOG", "trace")];
    let mut host = open(&medplum.server, &more);
    for (name, answer) in garbled() {
        *NEXT.lock().unwrap() = Some(answer);
        // All at once: some of these take their time.
        for (id, (tool, arguments)) in calls().into_iter().enumerate() {
            let params = json!({"name": tool, "arguments": arguments});
            host.send(&json!({"jsonrpc": "2.0", "id": 1000 + id, "method": "tools/call", "params": params}));
        }
        for _ in calls() {
            let answer = super::common::Answer::of(&host.hear());
            assert!(answer.failed, "{name}: {answer:?}");
            for mark in MARKS {
                assert!(!answer.blocks.concat().contains(mark), "{name}: {answer:?}");
            }
        }
    }
    let ended = host.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("DEBUG"), "it does log: {}", ended.stderr);
    for mark in MARKS.iter().chain(&[PATIENT]) {
        assert!(!ended.stderr.contains(mark), "{mark} is on stderr: {}", ended.stderr);
    }
}

#[test]
fn no_garbled_sign_in_leaves_a_trace_of_a_secret() {
    let garbled: Vec<(&str, Making)> = vec![
        ("a token cut off", || Answer::Truncated { status: 200, body: b"{\"access_token\":\"TOKEN-ITSELF".to_vec() }),
        ("a token that no header holds", || {
            Answer::of(200, "application/json", r#"{"access_token":"TOKEN-ITSELF\n"}"#)
        }),
        ("a token in a page", || Answer::of(200, "text/html", "<p>TOKEN-ITSELF</p>")),
        ("a token and too many", || {
            Answer::of(429, "application/json", r#"{"access_token":"TOKEN-ITSELF"}"#).header("retry-after", "0")
        }),
        ("the secret said back", || Answer::of(500, "text/html", "client_secret=hunter2-the-secret")),
        ("the secret in a refusal", || {
            let said = r#"{"error":"invalid_client","error_description":"it is not hunter2-the-secret"}"#;
            Answer::of(400, "application/json", said)
        }),
        ("the secret in an outcome", || {
            let said = r#"{"resourceType":"OperationOutcome","issue":[{"details":{"text":"not hunter2-the-secret"}}]}"#;
            Answer::of(403, "application/fhir+json", said)
        }),
        ("a redirect with the secret", || {
            Answer::empty(302).header("location", "https://elsewhere.example/?client_secret=hunter2-the-secret")
        }),
    ];
    for (name, answer) in garbled {
        let medplum = Elsewhere::new(move |_| answer(), |_| Answer::patient());
        let mut host = open(&medplum.server, &[("MEDPLUM_TIMEOUT_SECONDS", "1")]);
        let answer = host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}));
        let ended = host.end();
        assert!(answer.failed && ended.code == Some(0), "{name}: {answer:?} {ended:?}");
        for mark in MARKS.iter().chain(&[PATIENT]) {
            assert!(
                !ended.stderr.contains(mark) && !answer.blocks.concat().contains(mark),
                "{name}: {answer:?} {ended:?}"
            );
        }
        assert_eq!(medplum.server.requests().len(), 0, "{name}");
    }
}
