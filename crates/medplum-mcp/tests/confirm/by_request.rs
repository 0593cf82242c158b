//! Up to revision 2025-11-25 the server asks the client while the call waits.

use serde_json::{Value, json};

use crate::common::{Answer, PATIENT, Stub};
use crate::ward::{Ward, on_stub};
use crate::{can_ask, says};

const VARIABLE: &str = "MEDPLUM_CONFIRM_WRITES";

fn deletion(id: &Value) -> Value {
    json!({"resource_type": "Patient", "resource_id": id})
}

#[test]
fn what_was_accepted_is_what_is_sent() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let mut changed = alice.clone();
    changed["gender"] = "other".into();
    ward.acts();
    let stored = ward.call("update_resource", json!({"resource": changed}), "accept").answer.record();
    assert_eq!(stored["gender"], "other");
    let operations = json!([{"op": "replace", "path": "/gender", "value": "male"}]);
    let patch = json!({"resource_type": "Patient", "resource_id": alice["id"], "operations": operations, "version_id": stored["meta"]["versionId"]});
    assert_eq!(ward.call("patch_resource", patch, "accept").answer.record()["gender"], "male");
    let gone = ward.call("delete_resource", deletion(&alice["id"]), "accept").answer;
    assert!(gone.note().contains("is deleted"), "{gone:?}");
    assert_eq!(
        ward.acts(),
        ["PUT /fhir/R4/Patient/<id 1>", "PATCH /fhir/R4/Patient/<id 1>", "DELETE /fhir/R4/Patient/<id 1>"]
    );
}

#[test]
fn a_no_is_an_answer_and_nothing_is_sent() {
    let stub = Stub::start();
    let mut host = on_stub(&stub, &[]);
    host.initialize_as("2025-11-25", can_ask());
    for (action, note) in [
        ("decline", "Nothing was written: the person declined."),
        ("cancel", "Nothing was written: the person closed the question without an answer."),
    ] {
        for (tool, arguments) in [
            (
                "update_resource",
                json!({"resource": {"resourceType": "Patient", "id": PATIENT, "active": true}, "overwrite": true}),
            ),
            (
                "patch_resource",
                json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": [{"op": "add", "path": "/active", "value": true}]}),
            ),
            ("delete_resource", deletion(&PATIENT.into())),
            ("execute_bot", json!({"bot_id": PATIENT, "input_data": {}})),
            ("save_and_deploy_bot", json!({"bot_id": PATIENT, "source_code": "a", "compiled_code": "b"})),
            ("execute_operation", json!({"resource_type": "Patient", "operation": "my-op"})),
            (
                "execute_batch",
                json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient", "active": true}}]}}),
            ),
            ("raw_request", json!({"method": "POST", "path": "oauth2/logout"})),
        ] {
            stub.taken();
            let id = host.ask("tools/call", json!({"name": tool, "arguments": arguments}));
            let asked = host.asked();
            host.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": says(action)}));
            let answer = Answer::of(&host.answer_to(id));
            assert_eq!((answer.record(), answer.note()), (Value::Null, note), "{tool}");
            let left: Vec<String> = stub
                .taken()
                .iter()
                .filter(|asked| {
                    let entries = asked.json()["entry"].as_array().cloned().unwrap_or_default();
                    let looks = !entries.is_empty() && entries.iter().all(|entry| entry["request"]["method"] == "GET");
                    asked.method != "GET" && !looks && asked.target != "/oauth2/token"
                })
                .map(|asked| asked.line())
                .collect();
            assert_eq!(left, [] as [&str; 0], "{tool} {action}");
        }
    }
}

#[test]
fn a_client_that_fails_to_ask_does_not_pass_for_a_yes() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    ward.acts();
    for (reply, says) in [
        (
            json!({"error": {"code": -32601, "message": "no such method"}}),
            "the client answered the question with an error",
        ),
        (json!({"result": {"action": "perhaps"}}), "none of accept, decline and cancel"),
        (json!({"result": {}}), "none of accept, decline and cancel"),
        (json!({"result": {"content": {"confirm": true}}}), "none of accept, decline and cancel"),
    ] {
        let id = ward.host.ask("tools/call", json!({"name": "delete_resource", "arguments": deletion(&alice["id"])}));
        let mut reply = reply;
        reply["jsonrpc"] = "2.0".into();
        reply["id"] = ward.host.asked()["id"].clone();
        ward.host.send(&reply);
        let answer = Answer::of(&ward.host.answer_to(id));
        assert!(answer.error().contains(says) && answer.error().contains("Nothing was written"), "{answer:?}");
    }
    assert_eq!(ward.acts(), [] as [&str; 0]);
}

#[test]
fn a_cancelled_call_takes_its_question_back_and_a_late_yes_does_nothing() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    ward.acts();
    let id = ward.host.ask("tools/call", json!({"name": "delete_resource", "arguments": deletion(&alice["id"])}));
    let asked = ward.host.asked();
    ward.host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    let taken_back = ward.host.asked();
    assert_eq!(
        (&taken_back["method"], &taken_back["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
    ward.host.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": says("accept")}));
    assert_eq!(ward.read(&alice)["id"], alice["id"], "it is still there");
    assert_eq!(ward.acts(), [] as [&str; 0]);
}

#[test]
fn who_changes_it_while_the_person_thinks_is_not_overwritten() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let mut other = Ward::another_host(&ward.sandbox, &[(VARIABLE, "never")]);
    other.initialize("2025-11-25");
    let mut meanwhile = |language: &str| {
        let operations = json!([{"op": "add", "path": "/language", "value": language}]);
        let patch = json!({"resource_type": "Patient", "resource_id": alice["id"], "operations": operations});
        other.call("patch_resource", patch).record();
    };
    let mut changed = alice.clone();
    changed["gender"] = "other".into();
    let patch = json!([{"op": "replace", "path": "/gender", "value": "other"}]);
    for (language, tool, arguments, says) in [
        (
            "de",
            "update_resource",
            json!({"resource": changed, "overwrite": true}),
            "language added. Nothing was written. Read it again",
        ),
        (
            "fr",
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": alice["id"], "operations": patch}),
            "language. Nothing was written. Read it again",
        ),
        (
            "it",
            "delete_resource",
            deletion(&alice["id"]),
            "was changed after it was looked at for this deletion. Nothing was sent",
        ),
    ] {
        let id = ward.host.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let asked = ward.host.asked();
        meanwhile(language);
        ward.host.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": crate::says("accept")}));
        let answer = Answer::of(&ward.host.answer_to(id));
        assert!(answer.error().contains(says), "{tool}: {answer:?}");
    }
    let now = ward.read(&alice);
    assert_eq!((&now["gender"], &now["language"]), (&json!("female"), &json!("it")));
}

#[test]
fn a_client_that_cannot_ask() {
    let mut ward = Ward::unopened(&[]);
    ward.host.initialize_as("2025-11-25", json!({}));
    let alice = ward.alice();
    // auto: its own permission prompt stands.
    assert!(!ward.host.call("delete_resource", deletion(&alice["id"])).failed);

    for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
        let mut ward = Ward::unopened(&[(VARIABLE, "always")]);
        ward.host.initialize_as("2025-11-25", capabilities);
        let alice = ward.alice();
        ward.acts();
        let refused = ward.host.call("delete_resource", deletion(&alice["id"]));
        for said in ["MEDPLUM_CONFIRM_WRITES=always", "elicitation", "Nothing was sent", "MEDPLUM_CONFIRM_WRITES=auto"]
        {
            assert!(refused.error().contains(said), "{refused:?}");
        }
        assert_eq!(ward.acts(), [] as [&str; 0]);
    }
}

#[test]
fn never_asks_nobody() {
    let mut ward = Ward::open(&[(VARIABLE, "never")]);
    let alice = ward.alice();
    assert!(!ward.host.call("delete_resource", deletion(&alice["id"])).failed);
}

#[test]
fn two_steps_are_one_question() {
    let mut ward = Ward::open(&[]);
    let bot = ward.host.call("create_bot", json!({"name": "Greeter"})).record();
    ward.acts();
    let code = json!({"bot_id": bot["id"], "source_code": "fresh();", "compiled_code": "exports.handler = fresh;"});
    let asked = ward.call("save_and_deploy_bot", code, "accept");
    assert!(
        asked.question.contains("change Bot/") && asked.question.contains("deploy code to Bot/"),
        "{}",
        asked.question
    );
    assert_eq!(asked.answer.record()["code"], "fresh();");
    assert_eq!(ward.acts(), ["PUT /fhir/R4/Bot/<id 1>", "POST /fhir/R4/Bot/<id 1>/$deploy"]);
}

#[test]
fn what_the_person_reads_is_in_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let mut ward = Ward::open(&[("MEDPLUM_LOG", "debug"), ("MEDPLUM_AUDIT_LOG", audit.to_str().unwrap())]);
    let alice = ward.alice();
    let operations = json!([{"op": "replace", "path": "/telecom/0/value", "value": "555-3434"}]);
    let patch = json!({"resource_type": "Patient", "resource_id": alice["id"], "operations": operations});
    for action in ["decline", "accept"] {
        let question = ward.call("patch_resource", patch.clone(), action).question;
        assert!(question.contains("Alice Smith") && question.contains("4711"), "{question}");
    }
    let log = ward.host.end().stderr;
    assert!(log.contains("patch"), "{log}");
    for word in ["Smith", "4711", "555-", alice["id"].as_str().unwrap()] {
        assert!(!log.contains(word), "{word} in {log}");
    }
    let audit = std::fs::read_to_string(audit).unwrap();
    assert_eq!(audit.matches("\"outcome\":\"declined\"").count(), 1, "{audit}");
    // The hashes in it may hold any four digits.
    for word in ["Smith", "\"4711", "|4711", "555-3434"] {
        assert!(!audit.contains(word), "{word} in {audit}");
    }
}

#[test]
fn only_so_many_questions_are_open() {
    let mut ward = Ward::open(&[]);
    let alice = ward.alice();
    let call = json!({"name": "delete_resource", "arguments": deletion(&alice["id"])});
    let calls: Vec<(u64, Value)> = (0..8)
        .map(|_| {
            let id = ward.host.ask("tools/call", call.clone());
            (id, ward.host.asked()["id"].clone())
        })
        .collect();
    let ninth = ward.host.request("tools/call", call.clone());
    assert!(Answer::of(&ninth).error().contains("Several questions wait"), "{ninth}");
    // Reads go on.
    ward.read(&alice);
    for (id, question) in calls {
        ward.host.send(&json!({"jsonrpc": "2.0", "id": question, "result": says("decline")}));
        assert!(!Answer::of(&ward.host.answer_to(id)).failed);
    }
}
