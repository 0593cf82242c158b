//! What acts is on the disk before it leaves, and comes to its end whatever becomes of its call.

#[cfg(unix)]
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;

#[cfg(unix)]
use crate::common::SECRET;
#[cfg(unix)]
use crate::common::host::program;
use crate::common::{Asked, Host, LISTED_BOT, PATIENT, Says, Stub, VERSION};
use crate::page::lines;
use crate::{AuditFile, verify};

fn host(stub: &Stub, file: &AuditFile) -> Host {
    Host::on_stub(stub, &[("MEDPLUM_AUDIT_LOG", &file.name()), ("MEDPLUM_ENABLE_WRITES", "true")])
}

/// Whether a request does more than read, told by the request alone.
fn acts(asked: &Asked) -> bool {
    let looks_up = asked.json()["entry"]
        .as_array()
        .is_some_and(|entries| entries.iter().all(|entry| entry["request"]["method"] == "GET"));
    asked.method != "GET" && !asked.target.ends_with("/oauth2/token") && !looks_up
}

fn create() -> serde_json::Value {
    json!({"name": "create_resource", "arguments": {"resource": {"resourceType": "Patient", "active": true}}})
}

/// From such a request on nothing is answered.
fn hold_at(stub: &Stub, method: &'static str, end: &'static str) {
    let held = stub.holder();
    stub.look(move |asked| {
        if asked.method == method && asked.target.ends_with(end) {
            held.send_replace(true);
        }
    });
}

#[test]
fn the_intent_of_whatever_acts_is_in_the_file_when_the_api_gets_it() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (path, its_seen) = (file.path(), Arc::clone(&seen));
    stub.look(move |asked| {
        if acts(asked) {
            let lines = lines(&std::fs::read_to_string(&path).unwrap());
            let last = lines.last().unwrap();
            let about = &last["asked"][0];
            its_seen.lock().unwrap().push(format!(
                "{}: {} {}",
                asked.method,
                last["line"].as_str().unwrap(),
                about["interaction"].as_str().unwrap()
            ));
        }
    });
    let mut host = host(&stub, &file);
    let patient = json!({"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": VERSION}, "active": true});
    let patch = json!([{"op": "add", "path": "/active", "value": true}]);
    let entries = json!([{"request": {"method": "DELETE", "url": format!("Patient/{PATIENT}")}}]);
    let calls = [
        ("create_resource", json!({"resource": {"resourceType": "Patient", "active": true}})),
        (
            "create_resource",
            json!({"resource": {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}}),
        ),
        (
            "create_resource_if_none_exist",
            json!({"resource": {"resourceType": "Patient"}, "if_none_exist": "identifier=x|1"}),
        ),
        ("update_resource", json!({"resource": patient})),
        ("patch_resource", json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": patch})),
        ("delete_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})),
        ("execute_batch", json!({"bundle": {"type": "batch", "entry": entries}})),
        ("execute_batch", json!({"bundle": {"type": "transaction", "entry": entries}})),
        ("execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {}})),
        ("create_bot", json!({"name": "b"})),
        ("save_and_deploy_bot", json!({"bot_id": LISTED_BOT, "source_code": "a", "compiled_code": "b"})),
        ("execute_operation", json!({"operation": "my-op", "resource_type": ""})),
        ("raw_request", json!({"method": "DELETE", "path": format!("fhir/R4/Patient/{PATIENT}")})),
        ("raw_request", json!({"method": "POST", "path": format!("fhir/R4/Patient/{PATIENT}/$my-op"), "body": {}})),
        ("raw_request", json!({"method": "POST", "path": "admin/projects/x/invite", "body": {}})),
    ];
    for (tool, arguments) in calls {
        let before = seen.lock().unwrap().len();
        let answer = host.call(tool, arguments);
        assert!(seen.lock().unwrap().len() > before, "{tool} sent nothing: {answer:?}");
    }
    host.end();
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|line| line.contains(": intent ")), "{seen:#?}");
    insta::assert_snapshot!(seen.join("\n"));
    // Each of them an intent, and each call an end.
    assert_eq!(file.of("intent").len(), seen.len());
    assert_eq!(file.of("end").len(), 15);
    assert_eq!(verify(&[&file.name()]).code, Some(0));
}

#[test]
fn a_write_that_was_sent_comes_to_its_end_though_its_call_is_cancelled() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file);
    host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).record();
    stub.hold();
    let id = host.ask("tools/call", create());
    stub.wait_for("POST /fhir/R4/Patient");
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    // The server goes on with other calls, and the write is still awaited.
    host.call("get_resource_schema", json!({"resource_type": "Patient"})).text();
    assert!(file.of("end").is_empty());
    stub.release();
    let end = &file.wait_for("end", 1)[0];
    assert_eq!((&end["outcome"], &end["cancelled"]), (&json!("answered"), &json!(true)), "{end}");
    assert_eq!(end["asked"][0]["outcome"], "done");
    host.end();
    assert_eq!(verify(&[&file.name()]).code, Some(0));
}

#[test]
fn after_a_cancellation_nothing_more_is_sent() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file);
    // The second attempt of a create that was throttled, and the second step of a call with two.
    let throttled = json!({"resourceType": "OperationOutcome", "id": "too-many-requests", "issue": []});
    stub.say(Says::json(429, &throttled).with("retry-after", "1"));
    let first = host.ask("tools/call", create());
    stub.wait_for("POST /fhir/R4/Patient");
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": first}}));
    let end = file.wait_for("end", 1)[0].clone();
    assert_eq!((&end["asked"][0]["outcome"], &end["outcome"]), (&json!("refused"), &json!("cancelled")), "{end}");
    let two = json!({"name": "save_and_deploy_bot", "arguments": {"bot_id": LISTED_BOT, "source_code": "a", "compiled_code": "b"}});
    stub.taken();
    hold_at(&stub, "PUT", "");
    let second = host.ask("tools/call", two);
    stub.wait_for("PUT /fhir/R4/Bot");
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": second}}));
    host.call("get_resource_schema", json!({"resource_type": "Patient"})).text();
    stub.release();
    let end = file.wait_for("end", 2)[1].clone();
    // What was carried out, and what was not any more.
    assert_eq!((&end["outcome"], &end["cancelled"]), (&json!("partial"), &json!(true)), "{end}");
    let fates: Vec<String> =
        end["asked"].as_array().unwrap().iter().map(|a| format!("{} {}", a["interaction"], a["outcome"])).collect();
    let last = ["\"update\" \"done\"", "\"read\" \"refused\"", "\"operation\" \"refused\""];
    assert_eq!(fates.last_chunk().unwrap(), &last, "{end}");
    assert!(stub.lines().iter().all(|line| !line.contains("$deploy")));
    host.end();
    assert_eq!(verify(&[&file.name()]).code, Some(0));
}

#[test]
fn a_read_is_dropped_when_its_call_is_cancelled() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file);
    stub.hold();
    let read = json!({"name": "read_resource", "arguments": {"resource_type": "Patient", "resource_id": PATIENT}});
    let id = host.ask("tools/call", read);
    stub.wait_for("GET /fhir/R4/Patient");
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    // While the API still keeps its answer.
    let call = &file.wait_for("call", 1)[0];
    assert_eq!((&call["outcome"], &call["asked"][0]["outcome"]), (&json!("cancelled"), &json!("unknown")), "{call}");
    assert_eq!(call["asked"][0]["id"], PATIENT);
}

#[cfg(unix)]
#[test]
fn a_write_that_was_sent_is_awaited_though_the_host_ends_the_server() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file);
    stub.hold();
    let id = host.ask("tools/call", create());
    stub.wait_for("POST /fhir/R4/Patient");
    signal(&host, "TERM");
    let answer = host.answer_to(id);
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains("something that acts had left already: that is carried to its end"), "{answer}");
    // A read that comes now is dropped with the server; the write is not.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(host.runs());
    stub.release();
    let ended = host.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(file.of("end")[0]["asked"][0]["outcome"], "done", "{}", file.text());
    assert_eq!(verify(&[&file.name()]).code, Some(0));
}

/// A host that crashes leaves both pipes closed and says nothing.
#[cfg(unix)]
#[test]
fn a_write_that_was_sent_is_awaited_though_the_host_is_gone() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let mut command = program(&[], &[("MEDPLUM_AUDIT_LOG", &name), ("MEDPLUM_ENABLE_WRITES", "true")]);
    command.env("MEDPLUM_BASE_URL", &stub.url).env("MEDPLUM_CLIENT_ID", "client").env("MEDPLUM_CLIENT_SECRET", SECRET);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    stub.hold();
    let mut stdin = child.stdin.take().unwrap();
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": create()}),
    ] {
        writeln!(stdin, "{message}").unwrap();
    }
    stub.wait_for("POST /fhir/R4/Patient");
    drop((stdin, child.stdout.take()));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    stub.release();
    assert!(child.wait().unwrap().success());
    assert_eq!(file.of("end")[0]["asked"][0]["outcome"], "done", "{}", file.text());
    assert_eq!(verify(&[&name]).code, Some(0));
}

#[cfg(unix)]
#[test]
fn told_twice_it_ends_at_once_and_writes_down_that_it_does_not_know() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file);
    stub.hold();
    host.ask("tools/call", create());
    stub.wait_for("POST /fhir/R4/Patient");
    signal(&host, "TERM");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&host, "TERM");
    assert_eq!(host.end().code, Some(0));
    let end = &file.of("end")[0];
    assert_eq!((&end["outcome"], &end["asked"][0]["outcome"]), (&json!("interrupted"), &json!("unknown")), "{end}");
    assert_eq!(verify(&[&file.name()]).code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_write_whose_server_was_killed_has_no_end_and_is_found() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = host(&stub, &file);
    stub.hold();
    let delete = json!({"name": "execute_bot", "arguments": {"bot_id": LISTED_BOT, "input_data": {}}});
    // The bot is read first; that is answered.
    stub.release();
    hold_at(&stub, "POST", "$execute");
    host.ask("tools/call", delete);
    stub.wait_for("POST /fhir/R4/Bot");
    signal(&host, "KILL");
    host.end();
    let found = verify(&[&file.name()]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(
        found.stdout.contains(&format!("line 2: without an end: execute_bot, execute Bot/{LISTED_BOT}")),
        "{found:?}"
    );
    assert!(found.stdout.contains("look in Medplum"), "{found:?}");
}

#[cfg(unix)]
fn signal(host: &Host, name: &str) {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), host.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}
