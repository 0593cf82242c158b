//! What cannot be recorded is not done.

use serde_json::json;

use crate::common::host::run;
use crate::common::{Host, PATIENT, SECRET, Stub};
use crate::{AuditFile, verify};

fn written(stub: &Stub) -> Vec<String> {
    stub.lines().into_iter().filter(|line| !line.starts_with("GET ")).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_nothing_is_changed_and_nothing_is_given_out() {
    let stub = Stub::start();
    let variables = [("MEDPLUM_AUDIT_LOG", "/dev/full"), ("MEDPLUM_ENABLE_WRITES", "true")];
    let mut host = Host::on_stub(&stub, &variables);
    let write = host.call("create_resource", json!({"resource": {"resourceType": "Patient", "active": true}}));
    let read = host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}));
    insta::assert_snapshot!(format!("{}\n{}", write.error(), read.error()));
    assert_eq!(written(&stub), Vec::<String>::new());
    // What asks nothing of Medplum goes on, and so do refusals in their own words.
    assert!(host.call("get_resource_schema", json!({"resource_type": "Patient"})).text().contains("birthDate"));
    assert!(host.call("read_resource", json!({"resource_type": "Patient"})).error().contains("resource_id"));
    assert!(
        host.request("resources/read", json!({"uri": format!("medplum://fhir/Patient/{PATIENT}")}))
            .get("error")
            .is_some()
    );
    // The operator's side.
    let ended = host.end();
    assert!(ended.stderr.contains("the audit log cannot be written"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(PATIENT), "{}", ended.stderr);
}

#[test]
fn a_file_that_cannot_be_written_any_more_is_tried_again_with_each_call() {
    let stub = Stub::start();
    let file = AuditFile::new();
    let folder = file.at("logs");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("audit.jsonl");
    let name = path.to_str().unwrap();
    let mut host = Host::on_stub(&stub, &[("MEDPLUM_AUDIT_LOG", name), ("MEDPLUM_ENABLE_WRITES", "true")]);
    let create = || json!({"resource": {"resourceType": "Patient", "active": true}});
    host.call("create_resource", create()).record();
    let away = file.at("away");
    std::fs::rename(&folder, &away).unwrap();
    stub.taken();
    assert!(host.call("create_resource", create()).error().ends_with("The request was not sent."));
    assert!(host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).failed);
    assert_eq!(written(&stub), Vec::<String>::new());
    std::fs::rename(&away, &folder).unwrap();
    host.call("create_resource", create()).record();
    host.end();
    assert_eq!(verify(&[name]).code, Some(0));
}

#[test]
fn a_file_that_cannot_be_used_ends_the_start() {
    let file = AuditFile::new();
    let notes = file.at("notes.txt");
    std::fs::write(&notes, "Things to do:\n").unwrap();
    let folder = file.at("");
    let missing = file.at("no/such/folder/audit.jsonl");
    for (path, why) in [(&notes, "it is a file, but no audit log"), (&folder, ""), (&missing, "there is no folder")] {
        let path = path.to_str().unwrap();
        let variables =
            [("MEDPLUM_AUDIT_LOG", path), ("MEDPLUM_CLIENT_ID", "client"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
        let ended = run(&[], &variables, "");
        assert_eq!(ended.code, Some(2), "{path}: {ended:?}");
        assert!(ended.stderr.starts_with("medplum-mcp: MEDPLUM_AUDIT_LOG: "), "{path}: {}", ended.stderr);
        assert!(ended.stderr.contains(why), "{path}: {}", ended.stderr);
        assert!(ended.stderr.contains("Name a file that this user can write to"), "{path}: {}", ended.stderr);
    }
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "Things to do:\n");
}
