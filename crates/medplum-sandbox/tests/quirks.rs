//! What the wire notes tell and the recordings do not show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::time::Duration;

use common::{Reply, Running, send};
use medplum_sandbox::{Fault, FaultRule, Sandbox};
use serde_json::{Value, json};

fn small() -> Running {
    Running::start(Sandbox::builder().unpopulated().slow_bot_delay(Duration::from_millis(150)))
}

fn text(reply: &Reply) -> String {
    reply.json()["issue"][0]["details"]["text"].as_str().unwrap_or_default().to_owned()
}

fn total(running: &Running, query: &str) -> u64 {
    let reply = running.get(&format!("fhir/R4/{query}&_total=accurate"));
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    reply.json()["total"].as_u64().unwrap()
}

fn create(running: &Running, resource: &Value) -> String {
    let of_type = resource["resourceType"].as_str().unwrap();
    let reply = running.post(&format!("fhir/R4/{of_type}"), resource);
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn observation(patient: &str, at: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": at,
    })
}

#[test]
fn a_day_is_the_instant_of_its_midnight() {
    let running = small();
    let patient = create(&running, &json!({"resourceType": "Patient", "birthDate": "1980-05-04"}));
    create(&running, &observation(&patient, "2025-03-03T10:00:00Z"));
    for (query, expected) in [
        ("date=2025-03-03", 0),
        ("date=le2025-03-03", 0),
        ("date=ge2025-03-03", 1),
        ("date=ge2025-03-03&date=lt2025-03-04", 1),
        ("date=2025-03-03T10:00:00Z", 1),
    ] {
        assert_eq!(total(&running, &format!("Observation?{query}")), expected, "{query}");
    }
    for value in ["2025", "2025-03"] {
        assert_eq!(running.get(&format!("fhir/R4/Observation?date={value}")).status, 400, "{value}");
    }
    assert_eq!(total(&running, "Patient?birthdate=1980-05-04"), 1);
}

#[test]
fn self_tells_what_was_done() {
    let running = small();
    create(&running, &json!({"resourceType": "Patient", "name": [{"family": "Silva"}]}));
    let own = |query: &str| {
        let bundle = running.get(&format!("fhir/R4/Patient?{query}")).json();
        let url = bundle["link"][0]["url"].as_str().unwrap().to_owned();
        (url.split_once('?').unwrap().1.to_owned(), bundle["entry"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(own("name:zzz=sil"), ("_count=20&name=sil".into(), 1));
    assert_eq!(own("name="), ("_count=20&name=".into(), 1));
    assert_eq!(own("_count=5000"), ("_count=1000".into(), 1));
    assert_eq!(own("_count=-1"), ("_count=-1".into(), 0));
    assert_eq!(own("_cursor=garbage").1, 1);
    assert_eq!(own("_sort=name:desc"), ("_count=20&_sort=name".into(), 1));
    assert_eq!(text(&running.get("fhir/R4/Patient?_text=x")), "Unknown search parameter: _text");
    assert_eq!(text(&running.get("fhir/R4/Patient?_content=x")), "Unknown search parameter: _content");
    let summary = running.get("fhir/R4/Patient?_summary=true").json()["entry"][0]["resource"].clone();
    assert_eq!(summary["name"][0]["family"], "Silva");
    assert_eq!(summary["meta"]["tag"][0]["code"], "SUBSETTED");
    assert_eq!(running.get("fhir/R4/Binary").status, 400);
    assert_eq!(running.get("fhir/R4/Observation?code:in=x").status, 400);
}

#[test]
fn filters_chains_and_includes() {
    let running = small();
    let patient = create(
        &running,
        &json!({
            "resourceType": "Patient",
            "gender": "female",
            "name": [{"family": "Silva", "given": ["Ana"]}],
            "identifier": [{"system": "urn:mrn", "value": "7"}],
        }),
    );
    let other = create(&running, &json!({"resourceType": "Patient", "gender": "male"}));
    create(&running, &observation(&patient, "2025-03-03T10:00:00Z"));
    create(&running, &observation(&other, "2024-03-03T10:00:00Z"));
    for (query, expected) in [
        ("Observation?patient.identifier=urn:mrn%7C7", 1),
        ("Observation?subject:Patient.name=sil", 1),
        ("Observation?code:text=heart", 2),
        ("Observation?code=http://loinc.org%7C", 2),
        ("Patient?_has:Observation:patient:date=gt2025-01-01", 1),
        ("Patient?_has:Observation:patient:code=8867-4", 2),
        ("Patient?_filter=gender%20eq%20female%20or%20gender%20eq%20male", 2),
        ("Patient?_filter=not(gender%20eq%20male)%20and%20name%20sw%20sil", 1),
        ("Patient?gender:not=male", 1),
        ("Patient?name:missing=true", 1),
        ("Patient?name:contains=ilv", 1),
        ("Patient?family:exact=silva", 0),
        ("Patient?identifier=%7C7", 0),
        ("Patient?gender=female&gender=male", 0),
        ("Patient?gender=female,male", 2),
        ("?_type=Patient,Observation", 4),
    ] {
        assert_eq!(total(&running, query), expected, "{query}");
    }
    let bundle = running.get("fhir/R4/Observation?date=gt2025-01-01&_include=Observation:subject").json();
    assert_eq!(bundle["entry"][1]["search"]["mode"], "include");
    let bundle = running.get("fhir/R4/Patient?_revinclude=Observation:subject").json();
    assert_eq!(bundle["entry"].as_array().unwrap().len(), 4);
    let subset = running.get("fhir/R4/Patient?_elements=gender&_count=1").json()["entry"][0]["resource"].clone();
    assert_eq!(subset["meta"]["tag"][0]["code"], "SUBSETTED");
    assert!(subset.get("name").is_none());
}

#[test]
fn ways_to_run_a_bot() {
    let running = small();
    let echo = running.sandbox.echo_bot();
    let unknown = "00000000-0000-4000-8000-000000000000";
    for path in [
        format!("fhir/R4/Bot/{echo}/$execute?x=1"),
        format!("fhir/R4/Bot/{echo}/%24execute?x=1"),
        format!("fhir/R4/Bot/{echo}/$execute/any/path?x=1"),
        "fhir/R4/Bot/$execute?x=1&identifier=echo".to_owned(),
        format!("fhir/R4/Patient/{unknown}/$my-op"),
        format!("fhir/R4/Patient/{unknown}?x=/$my-op"),
        format!("fhir/R4/Patient/{unknown}/_history?x=/$my-op"),
        "fhir/R4/$my-op".to_owned(),
    ] {
        let reply = running.get(&path);
        assert_eq!((reply.status, reply.json()["ok"] == true), (200, true), "{path}: {}", reply.text());
    }
    let authorization = running.authorized();
    let headers = [("authorization", authorization.as_str())];
    let reply = running.send("DELETE", &format!("fhir/R4/Patient/{unknown}?x=/$my-op"), &headers, b"");
    assert_eq!(reply.json()["ok"], true);
    let head = running.send("HEAD", &format!("fhir/R4/Bot/{echo}/$execute"), &headers, b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for safe in
        [format!("fhir/R4/Patient/{unknown}?x=%2F%24my-op"), format!("fhir/R4/Patient/{unknown}?x=/%24my-op%20")]
    {
        assert_eq!(running.get(&safe).status, 404, "{safe}");
    }
}

#[test]
fn other_bots_are_not_run() {
    let running = small();
    let id = create(&running, &json!({"resourceType": "Bot", "name": "mine", "runtimeVersion": "vmcontext"}));
    let code = json!({"code": "exports.handler = async () => ({done: true})", "filename": "index.js"});
    assert_eq!(running.post(&format!("fhir/R4/Bot/{id}/$deploy"), &code).status, 200);
    let reply = running.post(&format!("fhir/R4/Bot/{id}/$execute"), &json!({}));
    assert_eq!(reply.status, 501);
    assert!(text(&reply).contains("mine"), "{}", reply.text());
    let begun = std::time::Instant::now();
    let slow = running.post(&format!("fhir/R4/Bot/{}/$execute", running.sandbox.slow_bot()), &json!({"a": 1}));
    assert_eq!(slow.json()["a"], 1);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_member_sees_what_the_policy_allows() {
    let running = small();
    let patient = create(&running, &json!({"resourceType": "Patient"}));
    create(&running, &observation(&patient, "2025-03-03T10:00:00Z"));
    let membership = running.sandbox.membership();
    let authorization = running.authorized();
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-medplum-on-behalf-of", membership.as_str()),
        ("content-type", "application/fhir+json"),
        ("x-medplum", "extended"),
    ];
    let ask =
        |method: &str, path: &str, body: &Value| running.send(method, path, &headers, body.to_string().as_bytes());
    assert_eq!(ask("GET", "fhir/R4/Observation", &Value::Null).status, 200);
    assert_eq!(ask("POST", "fhir/R4/Observation", &observation(&patient, "2025-01-01")).status, 403);
    assert_eq!(ask("GET", "fhir/R4/Condition", &Value::Null).status, 403);
    assert_eq!(ask("GET", &format!("fhir/R4/Project/{}", running.sandbox.project_id()), &Value::Null).status, 403);
    let made = ask("POST", "fhir/R4/Patient", &json!({"resourceType": "Patient"}));
    assert_eq!(made.json()["meta"]["onBehalfOf"]["display"], "Olivia Obo");
}

#[test]
fn writes_and_their_guards() {
    let running = small();
    let id = create(&running, &json!({"resourceType": "Patient", "active": true}));
    let path = format!("fhir/R4/Patient/{id}");
    let authorization = running.authorized();
    let put = |if_match: &str, body: &Value| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/fhir+json"),
            ("if-match", if_match),
        ];
        running.send("PUT", &path, &headers, body.to_string().as_bytes())
    };
    let body = json!({"resourceType": "Patient", "id": id, "active": false});
    assert_eq!(put("W/\"no\"", &body).status, 412);
    for ignored in ["no", "*"] {
        assert_eq!(put(ignored, &body).status, 200, "{ignored}");
    }
    let first = put("", &body);
    assert_eq!(first.header("etag"), put("", &body).header("etag"), "the same content keeps its version");
    let conditional = |query: &str| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/fhir+json"),
            ("if-none-exist", query),
        ];
        running.send("POST", "fhir/R4/Patient", &headers, json!({"resourceType": "Patient"}).to_string().as_bytes())
    };
    assert_eq!(conditional("Patient?active=false").status, 400);
    assert_eq!(conditional("active=false").status, 200);
    assert_eq!(conditional("active=true").status, 201);
    let dangling = json!({"resourceType": "Condition", "subject": {"reference": "Patient/none"}, "clinicalStatus": {"coding": [{"code": "x"}]}});
    assert_eq!(running.post("fhir/R4/Condition", &dangling).status, 201);
}

#[test]
fn transactions_are_whole_or_nothing() {
    let running = small();
    let before = total(&running, "Patient?_count=0");
    let entry = |method: &str, url: &str| json!({"request": {"method": method, "url": url}});
    let mut good = entry("POST", "Patient");
    good["resource"] = json!({"resourceType": "Patient"});
    let bundle = |kind: &str| {
        let missing = entry("GET", "Patient/00000000-0000-4000-8000-000000000000");
        json!({"resourceType": "Bundle", "type": kind, "entry": [good.clone(), missing]})
    };
    assert_eq!(running.post("fhir/R4", &bundle("transaction")).status, 404);
    assert_eq!(total(&running, "Patient?_count=0"), before);
    let batch = running.post("fhir/R4", &bundle("batch")).json();
    assert_eq!(batch["entry"][1]["response"]["status"], "404");
    assert_eq!(total(&running, "Patient?_count=0"), before + 1);
}

#[test]
fn what_is_not_done_says_so() {
    let running = small();
    let id = create(&running, &json!({"resourceType": "Patient"}));
    for path in [format!("fhir/R4/Patient/{id}/$summary"), "fhir/R4/Patient/$csv".to_owned(), "openapi.json".to_owned()]
    {
        let reply = running.get(&path);
        assert_eq!(reply.status, 501, "{path}: {}", reply.text());
        assert!(text(&reply).starts_with("The sandbox does not do this"), "{path}");
    }
    let export = running.get("fhir/R4/$export");
    assert_eq!(export.status, 202);
    let job = export.header("content-location").unwrap().replace(running.sandbox.base_url(), "");
    assert_eq!(running.get(&job).json()["status"], "error");
    assert_eq!(running.get("fhir/R4/Patient/$match").status, 404);
    assert_eq!(running.get(&format!("fhir/R4/Patient/{id}/Observation")).status, 404);
    assert_eq!(running.get(&format!("fhir/R4/Patient?name={}", "x".repeat(17_000))).status, 431);
}

#[test]
fn tokens_end() {
    let running = Running::start(Sandbox::builder().unpopulated().token_lifetime(Duration::from_millis(300)));
    assert_eq!(running.get("fhir/R4/Patient").status, 200);
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(running.get("fhir/R4/Patient").status, 401);
    let running = small();
    assert_eq!(running.get("oauth2/logout").status, 200);
    assert_eq!(running.get("fhir/R4/Patient").status, 401);
}

#[test]
fn faults_on_demand() {
    let running = small();
    let faults = running.sandbox.faults();
    let authorization = running.authorized();
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/fhir+json")];
    let patient = json!({"resourceType": "Patient"}).to_string();
    let post = || send(&running.sandbox, "POST", "fhir/R4/Patient", &headers, patient.as_bytes());

    faults.once(Fault::ResetBefore);
    assert!(post().is_err());
    assert_eq!(total(&running, "Patient?_count=0"), 0);
    faults.once(Fault::ResetAfter);
    assert!(post().is_err());
    assert_eq!(total(&running, "Patient?_count=0"), 1);
    faults.once(Fault::TruncatedBody);
    assert!(post().is_err());
    faults.once(Fault::TooManyRequests { ms_before_next: 1_500 });
    let reply = post().unwrap();
    let told: Value = serde_json::from_str(reply.json()["issue"][0]["diagnostics"].as_str().unwrap()).unwrap();
    assert_eq!((reply.status, &told["_msBeforeNext"]), (429, &json!(1_500)));
    faults.add(FaultRule::new(Fault::Status(503)).path_contains("Patient").after(1).times(1));
    assert_eq!([running.get("fhir/R4/Patient").status, running.get("fhir/R4/Patient").status], [200, 503]);
    faults.once(Fault::Html);
    assert!(running.get("fhir/R4/Patient").text().starts_with("<!DOCTYPE html>"));
    faults.once(Fault::SlowDrip { pieces: 4, pause: Duration::from_millis(30) });
    let begun = std::time::Instant::now();
    assert_eq!(running.get("fhir/R4/Patient").json()["resourceType"], "Bundle");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    faults.once(Fault::Latency(Duration::from_millis(60)));
    let begun = std::time::Instant::now();
    assert_eq!(running.get("fhir/R4/Patient").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(60));
    faults.once(Fault::TokensExpire);
    assert_eq!(running.get("fhir/R4/Patient").status, 401);
}

#[test]
fn requests_are_kept_when_asked_for() {
    let running = Running::start(Sandbox::builder().unpopulated().record_requests());
    running.sandbox.clear_requests();
    running.get("fhir/R4/Patient?name=Zo%C3%AB");
    let kept = running.sandbox.requests();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].path_and_query, "/fhir/R4/Patient?name=Zo%C3%AB");
    assert_eq!(small().sandbox.requests().len(), 0);
}

#[test]
fn graphql_follows_references_and_lists() {
    let running = small();
    let patient =
        create(&running, &json!({"resourceType": "Patient", "name": [{"family": "Silva", "use": "official"}]}));
    create(&running, &observation(&patient, "2025-03-03T10:00:00Z"));
    let ask = |query: &str, variables: Value| {
        running.post("fhir/R4/$graphql", &json!({"query": query, "variables": variables})).json()
    };
    let query = "query Q($n: String) { PatientList(name: $n) { family: name(use: \"official\") { family } \
        ObservationList(_reference: subject) { code { coding { code } } subject { resource { ...P } } } } } \
        fragment P on Patient { id __typename }";
    let data = ask(query, json!({"n": "sil"}));
    assert_eq!(data["data"]["PatientList"][0]["family"][0]["family"], "Silva", "{data}");
    let seen = &data["data"]["PatientList"][0]["ObservationList"][0];
    assert_eq!(seen["subject"]["resource"], json!({"id": patient, "__typename": "Patient"}));
    let connection = ask("{ ObservationConnection(_count: 1) { count edges { resource { id } } } }", Value::Null);
    assert_eq!(connection["data"]["ObservationConnection"]["count"], 1);
    let gone = ask(&format!("mutation {{ PatientDelete(id: \"{patient}\") {{ id }} }}"), Value::Null);
    assert!(gone["errors"].is_null(), "{gone}");
    assert_eq!(running.get(&format!("fhir/R4/Patient/{patient}")).status, 410);
    let deep = "{ PatientList ".to_owned()
        + &"{ ObservationList { subject { resource { ... on Patient ".repeat(5)
        + "{ id }"
        + &"} } } }".repeat(5)
        + " }";
    assert_eq!(running.post("fhir/R4/$graphql", &json!({"query": deep})).status, 400);
}

#[test]
fn everything_that_comes_with_it_is_sound() {
    let running = Running::start(Sandbox::builder());
    let patients = running.get("fhir/R4/Patient?_count=1000").json();
    let ids: Vec<String> = patients["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 34);
    let mut longest = 0;
    for id in ids {
        let chart = running.get(&format!("fhir/R4/Patient/{id}/$everything")).json();
        let entries = chart["entry"].as_array().unwrap();
        longest = longest.max(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let resource = &entry["resource"];
            let of_type = resource["resourceType"].as_str().unwrap();
            assert!(!resource.to_string().to_lowercase().contains("snomed"));
            // They are made alike; to look at every one would take half a minute.
            if matches!(of_type, "Observation" | "Encounter") && at % 40 != 0 {
                continue;
            }
            let reply = running.post(&format!("fhir/R4/{of_type}/$validate"), resource);
            assert_eq!(reply.status, 200, "{resource}: {}", reply.text());
        }
    }
    assert!(longest >= 880, "{longest}");
    let injected = running.get(&format!("fhir/R4/Observation?patient={}", running.sandbox.injected_patient())).text();
    assert!(injected.contains("ignore all previous instructions"));
}

#[test]
fn the_same_seed_makes_the_same_patients() {
    let names = |seed: u64| {
        let running = Running::start(Sandbox::builder().unpopulated().patients(0).seed(seed));
        drop(running);
        let running = Running::start(Sandbox::builder().patients(5).seed(seed));
        running.get("fhir/R4/Patient?identifier=https://sandbox.example/mrn%7CMRN-S00004").json()["entry"][0]["resource"].clone()
    };
    assert_eq!(names(7), names(7));
    assert_ne!(names(7), names(8));
}

/// Pieces that a hostile or a broken client might put together.
const PIECES: [&str; 44] = [
    "Patient",
    "Observation",
    "Bot",
    "_history",
    "$execute",
    "$everything",
    "$graphql",
    "$export",
    "$",
    "/",
    "//",
    "?",
    "&",
    "=",
    ":",
    ".",
    ",",
    "|",
    "_has:",
    "_has:Observation:patient:",
    "_filter",
    "((((",
    "not ",
    "_sort",
    "-",
    "_count",
    "99999999999999999999",
    "-1",
    "_offset",
    "_cursor",
    "2-1-",
    "_include",
    "_type",
    "*",
    "%",
    "%ff",
    "%00",
    "date",
    "ge",
    "1e999",
    "\u{feff}",
    "code",
    "_fields",
    "_compartment",
];

#[test]
fn nothing_that_is_asked_breaks_it() {
    use proptest::prelude::*;
    let running = small();
    create(&running, &json!({"resourceType": "Patient", "birthDate": "1980-05-04", "name": [{"family": "a"}]}));
    let authorization = running.authorized();
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/fhir+json")];
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 1..8);
    let method = proptest::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]);
    let bodies = vec![
        "",
        "{}",
        "[]",
        "null",
        "{\"resourceType\":\"Patient\"}",
        "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{},1]}",
        "{\"query\":\"{ PatientList(_count: -1, _offset: 99) { id } }\"}",
        "[{\"op\":\"add\",\"path\":\"\"}]",
        "{\"parameter\":[{}]}",
    ];
    let body = proptest::sample::select(bodies);
    let config = proptest::test_runner::Config { cases: 600, failure_persistence: None, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ask = |(method, pieces, body): (&str, Vec<&str>, &str)| {
        let path = format!("fhir/R4/{}", pieces.concat().replace(' ', "%20").replace('\u{feff}', "%EF%BB%BF"));
        let reply = send(&running.sandbox, method, &path, &headers, body.as_bytes());
        let status = reply.map_or(0, |reply| reply.status);
        prop_assert!((200..500).contains(&status) || status == 501, "{method} {path} {body}: {status}");
        Ok(())
    };
    runner.run(&(method, pieces, body), ask).unwrap();
}

#[test]
fn a_quota_is_told_within_a_query_too() {
    let running = Running::start(Sandbox::builder().unpopulated().quota(25));
    assert_eq!(running.get("fhir/R4/Patient").status, 200);
    assert_eq!(running.get("fhir/R4/Patient").status, 429);
    let reply = running.post("fhir/R4/$graphql", &json!({"query": "{ PatientList { id } }"}));
    let message = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(reply.status, 200);
    assert!(message.starts_with("Too Many Requests") && message.contains("_msBeforeNext"), "{message}");
}

#[test]
fn a_policy_may_look_at_single_resources_and_fields() {
    let running = small();
    let policy = create(
        &running,
        &json!({
            "resourceType": "AccessPolicy",
            "name": "Women, without their telephones",
            "resource": [{"resourceType": "Patient", "criteria": "Patient?gender=female", "hiddenFields": ["telecom"]}],
        }),
    );
    let membership = create(
        &running,
        &json!({
            "resourceType": "ProjectMembership",
            "project": {"reference": format!("Project/{}", running.sandbox.project_id())},
            "user": {"reference": "User/1"},
            "profile": {"reference": format!("Practitioner/{}", running.sandbox.member_id())},
            "accessPolicy": {"reference": format!("AccessPolicy/{policy}")},
        }),
    );
    let telecom = json!([{"system": "phone", "value": "555"}]);
    let woman = create(&running, &json!({"resourceType": "Patient", "gender": "female", "telecom": telecom}));
    let man = create(&running, &json!({"resourceType": "Patient", "gender": "male"}));
    let (authorization, member) = (running.authorized(), format!("ProjectMembership/{membership}"));
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-medplum-on-behalf-of", member.as_str()),
        ("content-type", "application/fhir+json"),
    ];
    let ask = |method: &str, path: &str, body: &str| running.send(method, path, &headers, body.as_bytes());
    let seen = ask("GET", &format!("fhir/R4/Patient/{woman}"), "").json();
    assert_eq!((seen["gender"].as_str(), seen.get("telecom")), (Some("female"), None));
    assert_eq!(ask("GET", &format!("fhir/R4/Patient/{man}"), "").status, 404);
    assert_eq!(ask("GET", &format!("fhir/R4/Patient/{man}/_history"), "").status, 404);
    assert_eq!(ask("DELETE", &format!("fhir/R4/Patient/{man}"), "").status, 403);
    let all = ask("GET", "fhir/R4/Patient?_total=accurate", "").json();
    assert_eq!((&all["total"], &all["entry"][0]["resource"]["id"]), (&json!(1), &json!(woman)));
    assert_eq!(ask("POST", "fhir/R4/Patient", r#"{"resourceType":"Patient","gender":"male"}"#).status, 403);
    assert_eq!(ask("POST", "fhir/R4/Patient", r#"{"resourceType":"Patient","gender":"female"}"#).status, 201);
    assert_eq!(total(&running, "Patient?_count=0"), 3, "what was refused was not kept");
}
