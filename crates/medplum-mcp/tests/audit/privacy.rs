//! Nothing of a patient but types and ids, in the log and on stderr.

use serde_json::{Value, json};

use crate::AuditFile;
use crate::common::Host;
use crate::common::host::program;
use crate::common::leaks;
use crate::common::sandbox::Elsewhere;

#[test]
#[should_panic(expected = "stderr holds")]
fn a_log_with_a_name_in_it_fails_whichever_test_wrote_it() {
    leaks::assert_none("stderr", &format!("DEBUG medplum: {} is here\n", leaks::people()[0]));
}

#[test]
fn a_whole_session_leaves_no_name_no_birth_date_no_identifier_and_no_secret() {
    let sandbox = Elsewhere::start();
    let file = AuditFile::new();
    let name = file.name();
    let variables = [
        ("MEDPLUM_BASE_URL", sandbox.base_url.as_str()),
        ("MEDPLUM_CLIENT_ID", sandbox.client_id),
        ("MEDPLUM_CLIENT_SECRET", sandbox.client_secret.as_str()),
        ("MEDPLUM_ENABLE_WRITES", "true"),
    ];
    let mut looker = Host::spawn(program(&[], &variables));
    looker.initialize("2025-11-25");
    let people = looker.call("search_resources", json!({"resource_type": "Patient", "count": 5})).record();
    let person = people["entry"][0]["resource"].clone();
    let id = person["id"].as_str().unwrap();
    let family = person["name"][0]["family"].as_str().unwrap();
    let birth = person["birthDate"].as_str().unwrap();
    let number = person["identifier"][0]["value"].as_str().unwrap();

    let recorded = [&variables[..], &[("MEDPLUM_AUDIT_LOG", name.as_str()), ("MEDPLUM_LOG", "debug")]].concat();
    let mut host = Host::spawn(program(&[], &recorded));
    host.initialize("2025-11-25");
    let search = |params: Value| json!({"resource_type": "Patient", "params": params});
    let smith = json!({"resourceType": "Patient", "name": [{"family": family}], "birthDate": birth, "identifier": [{"value": number}]});
    let put = json!({"resourceType": "Patient", "id": id, "meta": {"versionId": family}, "name": [{"family": family}]});
    // As an agent would, and with values where names belong.
    let calls = [
        ("search_resources", search(json!({"name": family, "birthdate": birth}))),
        ("search_resources", search(json!({"identifier": number}))),
        ("search_resources", search(json!({family: "x"}))),
        ("search_resources", json!({"resource_type": family, "params": {}})),
        ("search_one", search(json!({"name:exact": family}))),
        (
            "search_all_resources",
            json!({"resource_type": "Observation", "params": {"patient": format!("Patient/{id}")}}),
        ),
        (
            "query_resources",
            json!({"resource_type": "Patient", "sql": format!("select * from Patient where json like '%{family}%'")}),
        ),
        ("list_codes", json!({"resource_type": "Observation"})),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": id})),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": family})),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": number})),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": birth})),
        ("get_patient_summary", json!({"patient_id": id})),
        ("get_patient_everything", json!({"patient_id": id})),
        ("create_resource", json!({"resource": smith})),
        ("create_resource_if_none_exist", json!({"resource": smith, "if_none_exist": format!("identifier={number}")})),
        ("update_resource", json!({"resource": put, "overwrite": true})),
        (
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": id, "operations": [{"op": "test", "path": "/birthDate", "value": family}]}),
        ),
        (
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": id, "operations": [{"op": "replace", "path": "/name/0/family", "value": family}]}),
        ),
        ("delete_resource", json!({"resource_type": "Patient", "resource_id": family})),
        (
            "execute_operation",
            json!({"operation": "everything", "resource_type": "Patient", "resource_id": id, "method": "GET", "params": {family: number}}),
        ),
        (
            "execute_graphql",
            json!({"query": format!("{{ {family}: PatientList(name: \"{family}\") {{ id name {{ family }} }} }}")}),
        ),
        ("execute_graphql", json!({"query": format!("{{ {family} {{ id }} }}")})),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [
            {"request": {"method": "GET", "url": format!("Patient?name={family}")}},
            {"request": {"method": "GET", "url": format!("Patient/{family}")}},
            {"request": {"method": "POST", "url": "Patient"}, "resource": smith}]}}),
        ),
        ("execute_bot", json!({"bot_id": "5a4d0b0c-0000-4000-8000-00000000000a", "input_data": smith})),
        ("execute_bot", json!({"bot_id": "5a4d0b0c-0000-4000-8000-00000000000b", "input_data": smith})),
        ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/Patient?{family}={number}")})),
        ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/{family}/{number}")})),
        ("raw_request", json!({"method": "GET", "path": "auth/me"})),
        ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/ClientApplication/{}", sandbox.client_id)})),
        (family, json!({})),
    ];
    let count = calls.len();
    let mut answers = String::new();
    for (tool, arguments) in calls {
        answers.push_str(&host.call(tool, arguments).blocks.concat());
    }
    assert!(answers.contains(family) && answers.contains(birth), "the agent did get to see them");
    host.request("resources/read", json!({"uri": format!("medplum://fhir/Patient/{id}")}));
    host.request("resources/read", json!({"uri": format!("medplum://fhir/Patient/{family}")}));
    let stderr = host.end().stderr;
    let log = file.text();
    assert_eq!(
        log.lines().filter(|line| line.contains("\"outcome\":\"") && !line.contains("\"line\":\"intent\"")).count(),
        count + 2
    );
    assert!(log.contains(id), "the log names whose record it was");
    assert!(stderr.contains("medplum"), "the debug log is on: {stderr}");
    let mut seen = Vec::new();
    for (place, text) in [("log", log.to_lowercase()), ("stderr", stderr.to_lowercase())] {
        let secrets =
            leaks::people().iter().map(String::as_str).chain([sandbox.client_secret.as_str(), "bearer", "eyj"]);
        seen.extend(
            secrets.filter(|secret| text.contains(&secret.to_lowercase())).map(|secret| format!("{place}: {secret}")),
        );
    }
    assert_eq!(seen, Vec::<String>::new());
}
