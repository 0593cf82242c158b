//! What a call leaves in the log.

use medplum_client::{BaseUrl, Call, Client, Config, Credentials, Error, Interaction};
use medplum_mcp::policy::Policy;
use medplum_mcp::settings::Limits;
use serde_json::{Value, json};

use crate::AuditFile;
use crate::common::{Host, MEMBERSHIP, PATIENT, SECRET, Stub, VERSION};
use crate::page::redacted;

const WRITES: (&str, &str) = ("MEDPLUM_ENABLE_WRITES", "true");

#[test]
fn a_read_a_refusal_and_a_write() {
    let file = AuditFile::new();
    let mut host = Host::sandboxed(&[("MEDPLUM_AUDIT_LOG", &file.name()), WRITES]);
    host.call("search_resources", json!({"resource_type": "Patient", "params": {"name": "Hart"}, "count": 2})).record();
    host.call("search_resources", json!({"resource_type": "Patient", "params": {"naem": "Hart"}})).error();
    let stored = host.call("create_resource", json!({"resource": {"resourceType": "Basic", "code": {"text": "x"}}}));
    let id = stored.record()["id"].as_str().unwrap().to_owned();
    host.resource(&format!("medplum://fhir/Basic/{id}"));
    host.call("no_such_tool_as_Alice", json!({})).error();
    host.call("delete_resource", json!({"resource_type": "Basic", "resource_id": id})).record();
    host.end();
    insta::assert_snapshot!(redacted(&file.lines()));
}

/// Each tool, in the words of the log.
#[test]
fn every_tool_says_what_it_asked_for() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let variables = [("MEDPLUM_AUDIT_LOG", name.as_str()), WRITES, ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")];
    let mut host = Host::on_stub(&stub, &variables);
    let patient = json!({"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": VERSION}, "active": true});
    let patch = json!([{"op": "add", "path": "/active", "value": true}]);
    let writes = json!({"type": "batch", "entry": [
        {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient", "active": true}},
        {"request": {"method": "DELETE", "url": format!("Observation/{PATIENT}")}},
        {"request": {"method": "GET", "url": "Patient?family=Smith"}}]});
    let calls = [
        ("get_resource_schema", json!({"resource_type": "Patient"})),
        ("get_resource_capabilities", json!({"resource_type": "Patient"})),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT, "on_behalf_of": MEMBERSHIP})),
        ("read_resource", json!({"resource_type": "Alice", "resource_id": "Smith"})),
        ("search_resources", json!({"resource_type": "Observation", "params": {"subject:Patient.name": "Smith"}})),
        ("get_patient_everything", json!({"patient_id": PATIENT, "start": "1961-02-03"})),
        (
            "create_resource_if_none_exist",
            json!({"resource": {"resourceType": "Patient"}, "if_none_exist": "identifier=x|4711"}),
        ),
        ("update_resource", json!({"resource": patient})),
        ("patch_resource", json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": patch})),
        (
            "validate_code",
            json!({"code": "female", "system": "http://hl7.org/fhir/administrative-gender", "valueset_url": "http://hl7.org/fhir/ValueSet/administrative-gender"}),
        ),
        (
            "execute_operation",
            json!({"operation": "my-op", "resource_type": "Patient", "resource_id": PATIENT, "method": "GET", "params": {"alice": "Smith", "start": "1961-02-03"}}),
        ),
        (
            "execute_graphql",
            json!({"query": format!("{{ Patient(id: \"{PATIENT}\") {{ id }} Smith: PatientList(name: \"Smith\") {{ id }} }}")}),
        ),
        ("execute_graphql", json!({"query": format!("mutation {{ PatientDelete(id: \"{PATIENT}\") {{ id }} }}")})),
        ("execute_batch", json!({"bundle": writes})),
        ("execute_bot", json!({"bot_id": PATIENT, "input_data": {"name": "Smith"}})),
        ("save_and_deploy_bot", json!({"bot_id": PATIENT, "source_code": "a", "compiled_code": "b"})),
        (
            "raw_request",
            json!({"method": "GET", "path": format!("admin/projects/{PATIENT}/members/Smith?Smith=1&name=2")}),
        ),
        ("raw_request", json!({"method": "POST", "path": "fhir/R4/Patient/_search", "body": {"name": "Smith"}})),
    ];
    for (tool, arguments) in calls {
        host.call(tool, arguments);
    }
    host.end();
    let mut page = String::new();
    for line in file.lines().iter().skip(1) {
        page.push_str(&told(line));
    }
    insta::assert_snapshot!(crate::common::redact::redact(&page));
    // With its dash: four digits alone may stand in a hash.
    assert!(!file.text().contains("Smith") && !file.text().contains("lice") && !file.text().contains("1961-02"));
}

/// `call read_resource read on behalf of … → answered`, and a line for each interaction.
fn told(line: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let behalf = line.get("on_behalf_of").map(|of| format!(" on behalf of {}", text(of))).unwrap_or_default();
    let outcome = line.get("outcome").map(|outcome| format!(" → {}", text(outcome))).unwrap_or_default();
    let error = line.get("error").map(|error| format!(" ({})", text(error))).unwrap_or_default();
    let mut out =
        format!("{} {} {}{behalf}{outcome}{error}\n", text(&line["line"]), text(&line["tool"]), text(&line["effect"]));
    for asked in line["asked"].as_array().into_iter().flatten() {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().shift_remove("ms");
        out.push_str(&format!("    {asked}\n"));
    }
    for member in ["returned", "patients"] {
        if let Some(value) = line.get(member) {
            out.push_str(&format!("    {member} {value}\n"));
        }
    }
    out
}

/// What this server refuses is in the log too: what it was, and that it was not sent.
#[test]
fn what_is_refused_says_what_it_would_have_been() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let name = file.name();
    let mut page = String::new();
    let calls = [
        ("delete_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})),
        ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/Bot/{PATIENT}/$execute")})),
        (
            "update_resource",
            json!({"resource": {"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": VERSION}, "gender": "bogus"}}),
        ),
    ];
    for writes in ["false", "true"] {
        let variables = [
            ("MEDPLUM_AUDIT_LOG", name.as_str()),
            ("MEDPLUM_ENABLE_WRITES", writes),
            ("MEDPLUM_ALLOWED_BOT_IDS", VERSION),
        ];
        let mut host = Host::on_stub(&stub, &variables);
        let from = file.lines().len();
        for (tool, arguments) in &calls[usize::from(writes == "true")..] {
            host.call(tool, arguments.clone()).error();
        }
        host.end();
        page.push_str(&format!("writes {writes}\n"));
        file.lines().iter().skip(from + 1).for_each(|line| page.push_str(&told(line)));
    }
    insta::assert_snapshot!(crate::common::redact::redact(&page));
    assert!(stub.lines().iter().all(|line| line.starts_with("GET /fhir/R4/Patient/")));
}

/// A way around the record would be a client without a witness: the gate stands in it.
#[tokio::test]
async fn nothing_acts_without_a_record() {
    let stub = Stub::start();
    let limits = Limits { writes: true, ..Limits::default() };
    let config = || {
        let credentials = Credentials::Client { id: "client".into(), secret: SECRET.into() };
        Config::new(BaseUrl::parse(&stub.url, true).unwrap(), credentials)
    };
    let create = Interaction::create(json!({"resourceType": "Patient"}), None).unwrap();
    let read = Interaction::read("Patient".parse().unwrap(), PATIENT.parse().unwrap());
    let without_log = Client::new(config(), Policy::new(limits.clone()));
    let with_log = Client::new(config(), Policy::new(limits).recording());
    for (client, interaction) in [(&without_log, &create), (&with_log, &create), (&with_log, &read)] {
        assert!(matches!(client.send(&Call::default(), interaction).await, Err(Error::Refused(_))));
    }
    assert_eq!(stub.lines_of_all(), Vec::<String>::new());
    without_log.send(&Call::default(), &read).await.unwrap();
}

#[test]
fn the_client_is_named_by_what_it_says_of_itself() {
    let file = AuditFile::new();
    let name = file.name();
    let stub = Stub::start();
    let mut host = Host::on_stub(&stub, &[("MEDPLUM_AUDIT_LOG", &name)]);
    host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}));
    assert_eq!(file.of("call")[0]["client"], json!({"name": "test", "version": "1"}));
    // 2026-07-28 says it with each request.
    let mut host = Host::spawn_on(&stub, &[("MEDPLUM_AUDIT_LOG", &name)]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern\u{202e}", "version": "2"},
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let arguments = json!({"resource_type": "Patient", "resource_id": PATIENT});
    host.request("tools/call", json!({"name": "read_resource", "arguments": arguments, "_meta": meta}));
    assert_eq!(file.of("call")[1]["client"], json!({"name": "modern", "version": "2"}));
}

#[test]
fn without_the_setting_nothing_is_written() {
    let file = AuditFile::new();
    let mut host = Host::sandboxed(&[("MEDPLUM_AUDIT_LOG", "")]);
    host.call("search_resources", json!({"resource_type": "Patient", "count": 1})).record();
    assert!(!file.path().exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_on_the_machine_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let file = AuditFile::new();
    Host::sandboxed(&[("MEDPLUM_AUDIT_LOG", &file.name())]).end();
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

/// What a document asks for inside of fragments is in the log as well, refused or not.
#[test]
fn a_document_with_fragments_says_its_types() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let mut host = Host::on_stub(&stub, &[("MEDPLUM_AUDIT_LOG", &file.name()), WRITES]);
    for (query, interaction, of) in [
        ("{ ...F } fragment F on Query { ConditionList { id } }", "search", "Condition"),
        ("mutation { ... on Mutation { PatientDelete(id: \"1\") { id } } }", "delete", "Patient"),
    ] {
        host.call("execute_graphql", json!({"query": query}));
        let line = file.lines().last().unwrap().clone();
        let entry = &line["asked"][0]["entries"][0];
        assert_eq!((&entry["interaction"], &entry["type"]), (&json!(interaction), &json!(of)), "{line}");
    }
    host.end();
}

/// Whether a person said yes stands in the intent and in the end, and why not, where nobody was asked.
#[test]
fn a_write_says_whether_a_person_confirmed_it() {
    let create = ("create_resource", json!({"resource": {"resourceType": "Patient"}}));
    let delete = ("delete_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}));
    let can = json!({"elicitation": {}});
    for (setting, capabilities, (tool, arguments), confirmed) in [
        ("auto", can.clone(), &delete, "person"),
        ("always", can.clone(), &delete, "person"),
        ("never", can.clone(), &delete, "not asked: never"),
        ("auto", json!({}), &delete, "not asked: client cannot ask"),
        ("auto", can.clone(), &create, "not asked: creation"),
    ] {
        let stub = Stub::start();
        let file = AuditFile::new();
        let name = file.name();
        let mut host =
            Host::spawn_on(&stub, &[("MEDPLUM_AUDIT_LOG", &name), WRITES, ("MEDPLUM_CONFIRM_WRITES", setting)]);
        host.initialize_as("2025-11-25", capabilities);
        let id = host.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        if confirmed == "person" {
            let asked = host.asked();
            host.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}));
        }
        host.answer_to(id);
        host.end();
        let said: Vec<Value> = ["intent", "end"].iter().map(|kind| file.of(kind)[0]["confirmed"].clone()).collect();
        assert_eq!(said, [confirmed, confirmed], "{setting}: {}", file.text());
        assert_eq!(crate::verify(&[&name]).code, Some(0));
    }
    // A read is not asked about, and says nothing of it.
    let (stub, file) = (Stub::start(), AuditFile::new());
    let mut host = Host::on_stub(&stub, &[("MEDPLUM_AUDIT_LOG", &file.name())]);
    host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}));
    host.end();
    assert!(!file.text().contains("confirmed"), "{}", file.text());
}
