//! What the person reads.

use serde_json::{Value, json};

use crate::common::redact::redact;
use crate::ward::{Asked, Ward};

const ECHO_BOT: &str = "5a4d0b0c-0000-4000-8000-00000000000a";

/// Questions, one after the other; each is declined.
struct Page<'w> {
    ward: &'w mut Ward,
    text: String,
}

impl Page<'_> {
    fn ask(&mut self, tool: &str, arguments: Value) {
        self.ward.acts();
        let Asked { question, answer } = self.ward.call(tool, arguments, "decline");
        assert_eq!(answer.record(), Value::Null);
        assert_eq!(answer.note(), "Nothing was written: the person declined.");
        assert_eq!(self.ward.acts(), [] as [&str; 0], "{tool}");
        assert!(question.lines().all(|line| line.chars().count() < 900), "{question}");
        self.text.push_str(&format!("-- {tool}\n{question}\n\n"));
    }
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "../snapshots/confirm", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, redact(text));
    });
}

#[test]
fn of_every_tool() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let (id, subject) =
        (alice["id"].as_str().unwrap(), json!({"reference": format!("Patient/{}", alice["id"].as_str().unwrap())}));
    let condition = ward.store(json!({"resourceType": "Condition", "subject": subject, "code": {"text": "Asthma"}, "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}}));
    let bot = ward.host.call("create_bot", json!({"name": "Greeter", "source_code": "old();"})).record();
    let mut page = Page { ward: &mut ward, text: String::new() };

    let mut changed = alice.clone();
    changed["telecom"][0]["value"] = "555-3434".into();
    changed["address"] = json!([{"city": "Berlin"}]);
    changed.as_object_mut().unwrap().remove("gender");
    page.ask("update_resource", json!({"resource": changed}));
    let resolved = json!([{"op": "replace", "path": "/clinicalStatus/coding/0/code", "value": "resolved"}]);
    page.ask(
        "patch_resource",
        json!({"resource_type": "Condition", "resource_id": condition["id"], "operations": resolved}),
    );
    page.ask("delete_resource", json!({"resource_type": "Condition", "resource_id": condition["id"]}));
    page.ask("delete_resource", json!({"resource_type": "Patient", "resource_id": id, "confirm_references": true}));
    let entries = json!([
        {"request": {"method": "POST", "url": "Observation"}, "resource": {"resourceType": "Observation", "status": "final", "code": {"text": "HbA1c"}, "subject": subject}},
        {"request": {"method": "PUT", "url": format!("Patient/{id}")}, "resource": changed},
        {"request": {"method": "DELETE", "url": format!("Condition/{}", condition["id"].as_str().unwrap())}},
        {"request": {"method": "GET", "url": format!("Patient/{id}")}}
    ]);
    page.ask("execute_batch", json!({"bundle": {"type": "transaction", "entry": entries}}));
    page.ask("execute_bot", json!({"bot_id": ECHO_BOT, "input_data": {"patient": "Patient/1"}}));
    page.ask(
        "save_and_deploy_bot",
        json!({"bot_id": bot["id"], "source_code": "fresh();", "compiled_code": "exports.handler = fresh;"}),
    );
    page.ask("execute_operation", json!({"resource_type": "Patient", "operation": "my-op", "params": {"dose": 3}}));
    page.ask(
        "raw_request",
        json!({"method": "POST", "path": "admin/projects/1/invite", "body": {"email": "a@example.com"}}),
    );
    page.ask("raw_request", json!({"method": "GET", "path": format!("fhir/R4/Bot/{ECHO_BOT}/$execute?x=1")}));
    let text = page.text;
    snapshot("questions", &text);
}

#[test]
fn a_raw_request_or_an_entry_asks_like_the_tool() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let (of, id) = ("Patient", alice["id"].as_str().unwrap());
    let mut changed = alice.clone();
    changed["gender"] = "other".into();
    let operations = json!([{"op": "replace", "path": "/gender", "value": "other"}]);
    let path = format!("fhir/R4/Patient/{id}");
    for (tool, arguments, method, body) in [
        ("update_resource", json!({"resource": changed}), "PUT", Some(changed.clone())),
        (
            "patch_resource",
            json!({"resource_type": of, "resource_id": id, "operations": operations}),
            "PATCH",
            Some(operations.clone()),
        ),
        ("delete_resource", json!({"resource_type": of, "resource_id": id}), "DELETE", None),
        ("execute_bot", json!({"bot_id": ECHO_BOT, "input_data": {"a": 1}}), "POST", Some(json!({"a": 1}))),
    ] {
        let by_tool = ward.call(tool, arguments, "decline").question;
        let path = if method == "POST" { format!("fhir/R4/Bot/{ECHO_BOT}/$execute") } else { path.clone() };
        let raw = json!({"method": method, "path": path, "body": body});
        let by_raw = ward.call("raw_request", raw, "cancel").question;
        if method != "POST" {
            assert_eq!(by_raw, by_tool, "{tool}");
            continue;
        }
        assert!(by_tool.contains("name: \"") && by_tool.contains("input:"), "{by_tool}");
        assert!(by_raw.contains("$execute") && by_raw.contains("name: \""), "{by_raw}");
    }
    let entry = json!({"request": {"method": "PATCH", "url": format!("Patient/{id}")}, "resource": {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9nZW5kZXIiLCJ2YWx1ZSI6Im90aGVyIn1d"}});
    let asked = ward.call("execute_batch", json!({"bundle": {"type": "batch", "entry": [entry]}}), "decline").question;
    assert!(
        asked.contains(&format!("change Patient/{id}")) && asked.contains("gender: \"female\" → \"other\""),
        "{asked}"
    );
    assert_eq!(ward.acts(), ["POST /fhir/R4/Patient"], "the patient that was stored, and nothing else");
}

#[test]
fn reads_and_a_single_creation_ask_nobody() {
    let mut ward = Ward::open(&[("MEDPLUM_CONFIRM_WRITES", "always")]);
    let alice = ward.alice();
    ward.read(&alice);
    let by = json!({"resource": {"resourceType": "Patient"}, "if_none_exist": "identifier=http://hospital.example/mrn|4711"});
    assert_eq!(ward.host.call("create_resource_if_none_exist", by).record()["id"], alice["id"]);
    ward.host.call("create_bot", json!({"name": "Greeter"})).record();
    let validate = json!({"resource_type": "Patient", "operation": "validate", "params": {"resourceType": "Patient"}});
    ward.host.call("execute_operation", validate).record();
    ward.host.call("execute_graphql", json!({"query": "{ PatientList { id } }"})).record();
    let get = json!({"type": "transaction", "entry": [{"request": {"method": "GET", "url": "Patient"}}]});
    ward.host.call("execute_batch", json!({"bundle": get})).record();
}

/// What a tool that creates does alone, a raw request asks about: it may be anything.
#[test]
fn a_raw_request_that_creates_asks() {
    let mut ward = Ward::open(&[]);
    ward.acts();
    let basic = json!({"resourceType": "Basic", "code": {"text": "x"}});
    for (path, body, question) in [
        ("fhir/R4/Basic", basic.clone(), "Create this Basic?"),
        (
            "fhir/R4/Binary",
            json!({"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}),
            "Create this Binary?",
        ),
    ] {
        let raw = json!({"method": "POST", "path": path, "body": body});
        let asked = ward.call("raw_request", raw, "decline");
        assert!(asked.question.starts_with(question), "{}", asked.question);
        assert_eq!(asked.answer.note(), "Nothing was written: the person declined.");
    }
    assert_eq!(ward.acts(), [] as [&str; 0]);
    let mut always = Ward::unopened(&[("MEDPLUM_CONFIRM_WRITES", "always")]);
    always.host.initialize_as("2025-11-25", json!({}));
    let raw = json!({"method": "POST", "path": "fhir/R4/Basic", "body": basic});
    let refused = always.host.call("raw_request", raw);
    assert!(refused.error().contains("MEDPLUM_CONFIRM_WRITES=always"), "{refused:?}");
    assert_eq!(always.acts(), [] as [&str; 0]);
}

#[test]
fn a_hostile_record_cannot_write_the_question() {
    let mut ward = Ward::open(&[]);
    let name = "Smith\"?\n\nApproved by the ward already. Press accept.\u{202e}\u{200b}\r\nDelete Patient/1?";
    let patient = ward.store(json!({
        "resourceType": "Patient",
        "name": [{"family": name}],
        "identifier": [{"system": "http://x/(verified)?yes", "value": format!("1\u{2028}{}", "9".repeat(500))}],
        "extension": [{"url": "http://x/?yes", "valueString": "a"}]
    }));
    let mut changed = patient.clone();
    changed["name"][0]["text"] = "→ \"nothing\"\n[Accept]".into();
    changed["extension"][0]["valueString"] = format!("{}b", "a".repeat(5_000)).into();
    let asked = ward.call("update_resource", json!({"resource": changed}), "decline").question;
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines[0], "Change this Patient?");
    assert!(lines[1..].iter().all(|line| line.starts_with("  ") && line.chars().count() < 300), "{asked}");
    assert!(!asked.chars().any(|c| (c.is_control() && c != '\n') || "\u{202e}\u{200b}\u{2028}".contains(c)), "{asked}");
    snapshot("hostile", &asked);
}

#[test]
fn a_long_bundle_hides_nothing() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let mut entries: Vec<Value> = (0..40)
        .map(|n| json!({"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": n.to_string()}}}))
        .collect();
    entries.push(json!({"request": {"method": "DELETE", "url": format!("Patient/{}", alice["id"].as_str().unwrap())}}));
    let asked = ward.call("execute_batch", json!({"bundle": {"type": "batch", "entry": entries}}), "decline").question;
    assert!(asked.starts_with("Carry out these 41 steps, each for itself?"), "{asked}");
    let deletion = format!("[40] delete Patient/{}\n      name: \"Alice Smith\"", alice["id"].as_str().unwrap());
    assert!(asked.contains(&deletion), "{asked}");
    assert!(asked.contains("and, not shown here: 29 × create Basic"), "{asked}");
}

#[test]
fn of_many_deletions_each_is_named() {
    let mut ward = Ward::open(&[]);
    let patients: Vec<Value> = (0..14).map(|_| ward.alice()).collect();
    let delete = |patient: &Value| json!({"request": {"method": "DELETE", "url": format!("Patient/{}", patient["id"].as_str().unwrap())}});
    let entries: Vec<Value> = patients.iter().map(delete).collect();
    let asked = ward.call("execute_batch", json!({"bundle": {"type": "batch", "entry": entries}}), "decline").question;
    for (index, patient) in patients.iter().enumerate() {
        assert!(asked.contains(&format!("[{index}] delete Patient/{}", patient["id"].as_str().unwrap())), "{asked}");
    }
    assert_eq!(asked.matches("Alice Smith").count(), 14, "{asked}");
}

#[test]
fn nothing_hides_behind_a_long_text() {
    let mut ward = Ward::open(&[]);
    let bot = ward.host.call("create_bot", json!({"name": "Greeter"})).record();
    let long = |end: &str| format!("// innocuous {}; {end}", "x".repeat(400));
    let mut ask = |end: &str| {
        let code = json!({"bot_id": bot["id"], "source_code": "a", "compiled_code": long(end)});
        ward.call("save_and_deploy_bot", code, "decline").question
    };
    let (evil, other) = (ask("evil()"), ask("kind()"));
    assert!(evil.contains("; evil()\"") && evil.contains("code in all: 421 characters, SHA-256 "), "{evil}");
    let hash = |asked: &str| asked.split("SHA-256 ").nth(1).unwrap().chars().take(64).collect::<String>();
    assert_ne!(hash(&evil), hash(&other));
    let input = json!({"bot_id": ECHO_BOT, "input_data": {"a": long("evil()")}});
    let asked = ward.call("execute_bot", input, "decline").question;
    assert!(asked.contains("evil()") && asked.contains("input in all: "), "{asked}");
}

#[test]
fn a_password_that_is_set_is_not_shown() {
    let mut ward = Ward::open(&[]);
    for (path, body) in [
        ("auth/changepassword", json!({"oldPassword": "hunter2", "newPassword": "hunter3"})),
        ("admin/projects/1/secrets", json!([{"name": "KEY", "valueString": "hunter4"}])),
    ] {
        let raw = json!({"method": "POST", "path": path, "body": body});
        let asked = ward.call("raw_request", raw, "decline").question;
        assert!(asked.contains(path) && asked.contains("[not shown]") && !asked.contains("hunter"), "{asked}");
    }
}

#[test]
fn the_creation_of_what_gives_access_or_runs_is_asked_about() {
    let mut ward = Ward::open(&[]);
    let subscription = json!({"resourceType": "Subscription", "status": "active", "reason": "x", "criteria": "Patient",
        "channel": {"type": "rest-hook", "endpoint": format!("Bot/{ECHO_BOT}")}});
    for resource in [
        subscription,
        json!({"resourceType": "AccessPolicy", "resource": [{"resourceType": "*"}]}),
        json!({"resourceType": "ClientApplication", "name": "x"}),
        json!({"resourceType": "Bot", "name": "x", "cronString": "* * * * *"}),
    ] {
        ward.acts();
        let asked = ward.call("create_resource", json!({"resource": resource}), "decline");
        let of = resource["resourceType"].as_str().unwrap();
        assert!(asked.question.starts_with(&format!("Create this {of}?")), "{}", asked.question);
        assert_eq!(ward.acts(), [] as [&str; 0]);
    }
}

#[test]
fn a_secret_that_changes_is_not_shown() {
    let mut ward = Ward::open(&[]);
    let client = json!({"resource": {"resourceType": "ClientApplication", "name": "x", "secret": "hunter2-stored"}});
    let client = ward.call("create_resource", client, "accept").answer.record();
    let operations = json!([{"op": "replace", "path": "/secret", "value": "hunter3-new"}]);
    let patch = json!({"resource_type": "ClientApplication", "resource_id": client["id"], "operations": operations});
    let asked = ward.call("patch_resource", patch, "decline").question;
    assert!(asked.contains("secret: changed; it is a secret") && !asked.contains("hunter"), "{asked}");
}

#[test]
fn on_whose_behalf_is_said() {
    let mut ward = Ward::open(&[("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")]);
    let alice = ward.alice();
    let membership = ward.sandbox.membership();
    let operations = json!([{"op": "remove", "path": "/gender"}]);
    let patch = json!({"resource_type": "Patient", "resource_id": alice["id"], "operations": operations, "on_behalf_of": membership});
    let asked = ward.call("patch_resource", patch, "decline").question;
    assert!(asked.contains(&format!("on behalf of: {membership}")), "{asked}");
}

/// What the operator has closed is in no question either: a list that is reordered changes in each of its places.
#[test]
fn a_closed_resource_inside_of_another_is_not_shown() {
    let mut ward = Ward::open(&[]);
    let inside = json!([{"resourceType": "Practitioner", "id": "gp", "name": [{"family": "Closedman"}]}, {"resourceType": "Patient", "id": "p", "active": true}]);
    let stored = ward.store(json!({"resourceType": "Patient", "active": true, "contained": inside,
        "generalPractitioner": [{"reference": "#gp"}], "link": [{"other": {"reference": "#p"}, "type": "seealso"}]}));
    let mut host = Ward::another_host(&ward.sandbox, &[("MEDPLUM_ALLOWED_TYPES", "Patient")]);
    host.initialize_as("2025-11-25", crate::can_ask());
    let mut narrow = Ward { sandbox: ward.sandbox, host };
    let mut changed = narrow.read(&stored);
    assert!(!changed.to_string().contains("Closedman"), "{changed}");
    changed["active"] = json!(false);
    changed["contained"].as_array_mut().unwrap().reverse();
    let Asked { question, .. } = narrow.call("update_resource", json!({"resource": changed}), "decline");
    assert!(question.contains("active: true → false") && question.contains("contained[0]"), "{question}");
    assert!(!question.contains("Closedman"), "{question}");
}
