//! The manual, by example: the built program over its standard streams, each tool with what it is for and with its main
//! failure. The pages under `snapshots/` are what an agent reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::host::program;
use common::recorded::exchange;
use common::{Answer, Host, NOBODY, Stub, Transcript};
use serde_json::{Value, json};

/// The bots and members that are in every sandbox.
const ECHO_BOT: &str = "5a4d0b0c-0000-4000-8000-00000000000a";
const FAILING_BOT: &str = "5a4d0b0c-0000-4000-8000-00000000000b";
const CLIENT: &str = "5a4d0b0c-0000-4000-8000-000000000002";
const MEMBERSHIP: &str = "5a4d0b0c-0000-4000-8000-000000000008";

const WRITES: &[(&str, &str)] = &[("MEDPLUM_ENABLE_WRITES", "true")];

fn with_writes() -> (Host, Transcript) {
    (Host::sandboxed(WRITES), Transcript::default())
}

fn read_only() -> (Host, Transcript) {
    (Host::sandboxed(&[]), Transcript::default())
}

/// A patient of this test's own, so that nothing depends on who else is in the sandbox.
fn smith(number: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{"system": "http://hospital.example/mrn", "value": number}],
        "name": [{"family": "Testsmith", "given": ["Alice"]}],
        "gender": "female",
        "birthDate": "1961-02-03"
    })
}

/// Stores a patient without showing it, and gives it as stored.
fn admit(host: &mut Host, number: &str) -> Value {
    host.call("create_resource", json!({"resource": smith(number)})).record()
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap()
}

macro_rules! page {
    ($tool:literal, $page:expr) => {
        insta::with_settings!({snapshot_path => "snapshots/manual", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!($tool, $page.page());
        });
    };
}

#[test]
fn get_resource_schema() {
    let (mut host, mut page) = read_only();
    let schema = page.call(&mut host, "get_resource_schema", json!({"resource_type": "HumanName"}));
    assert!(schema.text().contains("family") && schema.text().contains("given"));
    let patient = page.call(&mut host, "get_resource_schema", json!({"resource_type": "Patient"}));
    assert!(patient.text().contains("male | female | other | unknown"));
    let error = page.call(&mut host, "get_resource_schema", json!({"resource_type": "Pateint"}));
    assert!(error.error().contains("Patient"));
    page!("get_resource_schema", page);
}

#[test]
fn get_resource_capabilities() {
    let (mut host, mut page) = read_only();
    let basic = page.call(&mut host, "get_resource_capabilities", json!({"resource_type": "Basic"}));
    assert!(basic.text().contains("author") && basic.text().contains("reference"));
    let types = host.call("get_resource_capabilities", json!({}));
    assert!(types.text().contains("Patient") && types.text().contains("MedicationRequest"));
    let error = page.call(&mut host, "get_resource_capabilities", json!({"resource_type": "Observaton"}));
    assert!(error.error().contains("Observation"));
    page!("get_resource_capabilities", page);
}

#[test]
fn read_resource() {
    let (mut host, mut page) = with_writes();
    let patient = admit(&mut host, "read");
    let read = |id: &str| json!({"resource_type": "Patient", "resource_id": id});
    let answer = page.call(&mut host, "read_resource", read(id(&patient)));
    assert_eq!(answer.record()["birthDate"], "1961-02-03");
    assert_eq!(
        page.call(&mut host, "read_resource", read(&format!("Patient/{}", id(&patient)))).record()["id"],
        patient["id"]
    );
    assert!(page.call(&mut host, "read_resource", read(NOBODY)).error().contains("Not found"));
    host.call("delete_resource", read(id(&patient))).record();
    assert!(page.call(&mut host, "read_resource", read(id(&patient))).error().contains("410"));
    page.call(&mut host, "read_resource", json!({"resource_type": "Patiant", "resource_id": NOBODY}));
    page.call(&mut host, "read_resource", read("Observation/1"));
    page!("read_resource", page);
}

#[test]
fn search_resources() {
    let (mut host, mut page) = with_writes();
    for number in ["1", "2", "3"] {
        admit(&mut host, number);
    }
    let search = |more: Value| {
        let mut arguments = json!({"resource_type": "Patient"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let by_identifier = json!({"params": {"identifier": "http://hospital.example/mrn|2"}});
    let answer = page.call(&mut host, "search_resources", search(by_identifier));
    assert_eq!(answer.record()["entry"].as_array().unwrap().len(), 1);
    let family = || json!({"family": "Testsmith"});
    let answer =
        page.call(&mut host, "search_resources", search(json!({"params": family(), "count": 2, "total": "accurate"})));
    assert!(answer.note().contains("2 of 3"), "{answer:?}");
    let answer = page.call(&mut host, "search_resources", search(json!({"params": family(), "summary": "count"})));
    assert_eq!(answer.record()["total"], 3);
    let none = page.call(
        &mut host,
        "search_resources",
        search(json!({"params": {"identifier": "http://hospital.example/mrn|none"}})),
    );
    assert!(none.record().get("entry").is_none() && !none.note().is_empty());
    let error = page.call(&mut host, "search_resources", search(json!({"params": {"familly": "Testsmith"}})));
    assert!(error.error().contains("familly"), "{error:?}");
    page.call(&mut host, "search_resources", search(json!({"params": {"name:zzz": "Testsmith"}}))).error();
    page!("search_resources", page);
}

#[test]
fn search_one() {
    let (mut host, mut page) = with_writes();
    admit(&mut host, "1");
    admit(&mut host, "2");
    let search = |params: Value| json!({"resource_type": "Patient", "params": params});
    let found = page.call(&mut host, "search_one", search(json!({"identifier": "http://hospital.example/mrn|2"})));
    assert_eq!((found.record()["identifier"][0]["value"].as_str(), found.note()), (Some("2"), ""));
    let several = page.call(&mut host, "search_one", search(json!({"family": "Testsmith"})));
    assert!(several.note().contains("Others match too"), "{several:?}");
    let none = page.call(&mut host, "search_one", search(json!({"identifier": "http://hospital.example/mrn|none"})));
    assert!(none.record().is_null() && !none.note().is_empty());
    page.call(&mut host, "search_one", search(json!({"identifier": null}))).error();
    page!("search_one", page);
}

#[test]
fn search_all_resources() {
    let (mut host, mut page) = with_writes();
    for number in ["1", "2", "3"] {
        admit(&mut host, number);
    }
    let search =
        |most: i64| json!({"resource_type": "Patient", "params": {"family": "Testsmith"}, "max_resources": most});
    let all = page.call(&mut host, "search_all_resources", search(10));
    assert_eq!(all.record()["entry"].as_array().unwrap().len(), 3);
    let some = page.call(&mut host, "search_all_resources", search(2));
    assert_eq!(some.record()["entry"].as_array().unwrap().len(), 2);
    assert!(some.note().contains("more match"), "{some:?}");
    page.call(&mut host, "search_all_resources", search(0)).error();
    page!("search_all_resources", page);
}

#[test]
fn get_patient_everything() {
    let (mut host, mut page) = with_writes();
    let patient = admit(&mut host, "1");
    let of = |id: &str| json!({"patient_id": id});
    let alone = page.call(&mut host, "get_patient_everything", of(id(&patient)));
    assert_eq!(alone.record()["entry"].as_array().unwrap().len(), 1);
    let subject = json!({"reference": format!("Patient/{}", id(&patient))});
    let condition = json!({"resourceType": "Condition", "subject": subject, "code": {"text": "Asthma"}});
    host.call("create_resource", json!({"resource": condition})).record();
    // In no order that could be relied on.
    let chart = host.call("get_patient_everything", of(id(&patient)));
    assert_eq!(chart.record()["entry"].as_array().unwrap().len(), 2);
    assert!(chart.note().contains("Condition 1"), "{chart:?}");
    assert!(page.call(&mut host, "get_patient_everything", of(NOBODY)).error().contains("Not found"));
    page.call(&mut host, "get_patient_everything", of("Alice Smith")).error();
    page!("get_patient_everything", page);
}

#[test]
fn create_resource() {
    let (mut host, mut page) = with_writes();
    let stored = page.call(&mut host, "create_resource", json!({"resource": smith("1")})).record();
    assert!(stored["id"].is_string() && stored["meta"]["versionId"].is_string());
    let faulty = json!({"resourceType": "Observation", "code": "29463-7", "subject": {"reference": format!("Patient/{NOBODY}")}});
    let error = page.call(&mut host, "create_resource", json!({"resource": faulty}));
    assert!(error.error().contains("status") && error.error().contains("code"), "{error:?}");
    page.call(&mut host, "create_resource", json!({"resource": {"resourceType": "Patient", "nmae": []}})).error();
    page.call(&mut host, "create_resource", json!({"resource": {"name": []}})).error();
    page!("create_resource", page);

    let (mut host, mut page) = read_only();
    let closed = page.call(&mut host, "create_resource", json!({"resource": smith("1")}));
    assert!(closed.error().contains("MEDPLUM_ENABLE_WRITES=true"));
    page!("create_resource_read_only", page);
}

#[test]
fn create_resource_if_none_exist() {
    let (mut host, mut page) = with_writes();
    let once = |condition: &str| json!({"resource": smith("1"), "if_none_exist": condition});
    let by_number = "identifier=http://hospital.example/mrn|1";
    let first = page.call(&mut host, "create_resource_if_none_exist", once(by_number));
    let again = page.call(&mut host, "create_resource_if_none_exist", once(by_number));
    assert_eq!(first.record()["id"], again.record()["id"]);
    assert_eq!(first.note(), "");
    assert!(again.note().contains("nothing was created"), "{again:?}");
    admit(&mut host, "1");
    let several = page.call(&mut host, "create_resource_if_none_exist", once(by_number));
    assert!(several.error().contains("2 match: Patient/"), "{several:?}");
    page.call(&mut host, "create_resource_if_none_exist", once("")).error();
    page!("create_resource_if_none_exist", page);
}

#[test]
fn update_resource() {
    let (mut host, mut page) = with_writes();
    let read = admit(&mut host, "1");
    let mut changed = read.clone();
    changed["birthDate"] = "1961-03-02".into();
    let stored = page.call(&mut host, "update_resource", json!({"resource": changed})).record();
    assert_eq!(stored["birthDate"], "1961-03-02");
    assert_ne!(stored["meta"]["versionId"], read["meta"]["versionId"]);
    // The version that was read is no longer the last one.
    let mut stale = read.clone();
    stale["gender"] = "other".into();
    let error = page.call(&mut host, "update_resource", json!({"resource": stale}));
    assert!(error.error().to_lowercase().contains("read it again"), "{error:?}");
    let now = host.call("read_resource", json!({"resource_type": "Patient", "resource_id": id(&read)})).record();
    assert_eq!(now["gender"], "female", "nothing was written");
    let mut unknown = read;
    unknown["id"] = NOBODY.into();
    page.call(&mut host, "update_resource", json!({"resource": unknown})).error();
    page.call(&mut host, "update_resource", json!({"resource": smith("1")})).error();
    page!("update_resource", page);
}

#[test]
fn patch_resource() {
    let (mut host, mut page) = with_writes();
    let patient = admit(&mut host, "1");
    let patch =
        |operations: Value| json!({"resource_type": "Patient", "resource_id": id(&patient), "operations": operations});
    let changed = page.call(
        &mut host,
        "patch_resource",
        patch(json!([{"op": "replace", "path": "/birthDate", "value": "1961-03-02"}])),
    );
    assert_eq!(changed.record()["birthDate"], "1961-03-02");
    let test = json!([{"op": "test", "path": "/gender", "value": "male"}, {"op": "remove", "path": "/gender"}]);
    let error = page.call(&mut host, "patch_resource", patch(test));
    assert!(error.error().to_lowercase().contains("read"), "{error:?}");
    page.call(&mut host, "patch_resource", patch(json!([{"op": "replace", "path": "/telecom/0/value", "value": "x"}])))
        .error();
    page.call(&mut host, "patch_resource", patch(json!([{"op": "replace", "path": "name[0].family", "value": "x"}])))
        .error();
    page.call(&mut host, "patch_resource", patch(json!([]))).error();
    let now = host.call("read_resource", json!({"resource_type": "Patient", "resource_id": id(&patient)})).record();
    assert_eq!((now["gender"].as_str(), now["birthDate"].as_str()), (Some("female"), Some("1961-03-02")));
    page!("patch_resource", page);
}

#[test]
fn delete_resource() {
    let (mut host, mut page) = with_writes();
    let patient = admit(&mut host, "1");
    let of = |id: &str| json!({"resource_type": "Patient", "resource_id": id});
    let gone = page.call(&mut host, "delete_resource", of(id(&patient)));
    assert!(gone.note().contains("is deleted"), "{gone:?}");
    assert!(page.call(&mut host, "read_resource", of(id(&patient))).failed);
    assert!(page.call(&mut host, "delete_resource", of(NOBODY)).error().contains("Not found"));
    page!("delete_resource", page);

    let (mut host, mut page) = read_only();
    assert!(page.call(&mut host, "delete_resource", of(NOBODY)).error().contains("MEDPLUM_ENABLE_WRITES=true"));
    page!("delete_resource_read_only", page);
}

/// A call on what a real Medplum said once to the same question.
fn recorded(
    page: &mut Transcript,
    host: &mut Host,
    stub: &Stub,
    file: &str,
    note: &str,
    tool: &str,
    arguments: Value,
) -> Answer {
    let exchange = exchange(file, note);
    stub.say(exchange.says);
    let answer = page.call(host, tool, arguments);
    let asked = stub.taken();
    let asked = asked.last().expect("it was asked");
    assert_eq!((asked.line(), asked.json()), (exchange.line, exchange.body), "{note}: what was sent");
    answer
}

#[test]
fn validate_code() {
    let (stub, mut page) = (Stub::start(), Transcript::default());
    let mut host = Host::on_stub(&stub, &[]);
    let of = |code: &str| json!({"code": code, "system": "http://hl7.org/fhir/administrative-gender", "valueset_url": "http://hl7.org/fhir/ValueSet/administrative-gender"});
    let member = recorded(
        &mut page,
        &mut host,
        &stub,
        "terminology",
        "ValueSet $validate-code, member",
        "validate_code",
        of("male"),
    );
    assert_eq!(member.note(), "");
    let stranger = recorded(
        &mut page,
        &mut host,
        &stub,
        "terminology",
        "ValueSet $validate-code, not a member",
        "validate_code",
        of("zzz"),
    );
    assert!(stranger.note().contains("Not in that ValueSet"), "a no is an answer: {stranger:?}");
    page.call(
        &mut host,
        "validate_code",
        json!({"code": "male", "system": "http://hl7.org/fhir/administrative-gender"}),
    )
    .error();
    page!("validate_code", page);
}

#[test]
fn validate_codesystem_code() {
    let (stub, mut page) = (Stub::start(), Transcript::default());
    let mut host = Host::on_stub(&stub, &[]);
    let tool = "validate_codesystem_code";
    let by_code = json!({"code": "male", "codesystem_url": "http://hl7.org/fhir/administrative-gender"});
    recorded(&mut page, &mut host, &stub, "terminology", "CodeSystem $validate-code", tool, by_code).record();
    let by_coding = json!({"coding": {"system": "http://hl7.org/fhir/administrative-gender", "code": "zzz"}});
    let stranger =
        recorded(&mut page, &mut host, &stub, "terminology", "CodeSystem $validate-code by coding", tool, by_coding);
    assert!(stranger.note().contains("Not in that CodeSystem"), "{stranger:?}");
    page.call(&mut host, tool, json!({"codesystem_url": "http://loinc.org"})).error();
    page!("validate_codesystem_code", page);
}

#[test]
fn expand_valueset() {
    let (stub, mut page) = (Stub::start(), Transcript::default());
    let mut host = Host::on_stub(&stub, &[]);
    let filtered = json!({"valueset_url": "http://hl7.org/fhir/ValueSet/condition-clinical", "filter": "act"});
    let codes =
        recorded(&mut page, &mut host, &stub, "terminology", "$expand with filter", "expand_valueset", filtered);
    assert!(codes.record()["expansion"]["contains"].is_array());
    let unknown = json!({"valueset_url": "http://nope/vs"});
    recorded(&mut page, &mut host, &stub, "terminology", "$expand unknown", "expand_valueset", unknown).error();
    page.call(&mut host, "expand_valueset", json!({"filter": "act"})).error();
    page!("expand_valueset", page);
}

#[test]
fn lookup_concept() {
    let (stub, mut page) = (Stub::start(), Transcript::default());
    let mut host = Host::on_stub(&stub, &[]);
    let stub_of = |code: &str| json!({"code": code, "system": "http://hl7.org/fhir/administrative-gender"});
    let sent_first = exchange("terminology", "CodeSystem $lookup");
    stub.say(sent_first.says);
    let meaning = page.call(&mut host, "lookup_concept", stub_of("male"));
    assert!(meaning.text().contains("Male"), "{meaning:?}");
    stub.taken();
    stub.say(exchange("terminology", "$lookup unknown code").says);
    let unknown = page.call(&mut host, "lookup_concept", stub_of("zzz"));
    assert!(unknown.error().contains("expand_valueset"), "{unknown:?}");
    page.call(&mut host, "lookup_concept", json!({"code": "male"})).error();
    page!("lookup_concept", page);
}

#[test]
fn translate_concept() {
    let (stub, mut page) = (Stub::start(), Transcript::default());
    let mut host = Host::on_stub(&stub, &[]);
    let found = json!({"resourceType": "Parameters", "parameter": [
        {"name": "result", "valueBoolean": true},
        {"name": "match", "part": [
            {"name": "equivalence", "valueCode": "equivalent"},
            {"name": "concept", "valueCoding": {"system": "http://snomed.info/sct", "code": "44054006"}}
        ]}
    ]});
    stub.say(common::Says::json(200, &found));
    let arguments = json!({"code": "E11.9", "system": "http://hl7.org/fhir/sid/icd-10-cm", "target_system": "http://snomed.info/sct"});
    let answer = page.call(&mut host, "translate_concept", arguments);
    assert_eq!(answer.record(), found);
    stub.taken();
    let unknown = json!({"conceptmap_url": "http://nope/cm", "code": "x", "system": "http://nope"});
    recorded(&mut page, &mut host, &stub, "terminology", "ConceptMap $translate unknown", "translate_concept", unknown)
        .error();
    page!("translate_concept", page);
}

#[test]
fn terminology_and_graphql_on_the_sandbox() {
    let (mut host, mut page) = read_only();
    let gender = "http://hl7.org/fhir/administrative-gender";
    let genders = "http://hl7.org/fhir/ValueSet/administrative-gender";
    let result = |answer: &Answer| answer.record()["parameter"][0]["valueBoolean"].as_bool().unwrap();
    let codes = host.call("expand_valueset", json!({"valueset_url": genders, "filter": "fem"})).record();
    assert_eq!(codes["expansion"]["contains"][0]["code"], "female", "{codes}");
    let nowhere = json!({"valueset_url": "http://nope/vs"});
    assert!(page.call(&mut host, "expand_valueset", nowhere).error().contains("not found"));
    for (code, known) in [("male", true), ("zzz", false)] {
        let of_set = json!({"code": code, "system": gender, "valueset_url": genders});
        assert_eq!(result(&page.call(&mut host, "validate_code", of_set)), known);
        let of_system = json!({"code": code, "codesystem_url": gender});
        assert_eq!(result(&page.call(&mut host, "validate_codesystem_code", of_system)), known);
        let meaning = page.call(&mut host, "lookup_concept", json!({"code": code, "system": gender}));
        assert_eq!(!meaning.failed, known, "{meaning:?}");
        let map = "http://hl7.org/fhir/ConceptMap/cm-contact-point-use-v3";
        let code = if known { "home" } else { code };
        let translate = json!({"code": code, "system": "http://hl7.org/fhir/contact-point-use", "conceptmap_url": map});
        assert_eq!(result(&page.call(&mut host, "translate_concept", translate)), known);
    }
    let unnamed = page.call(&mut host, "translate_concept", json!({"code": "male", "system": gender}));
    assert!(unnamed.error().contains("search_resources ConceptMap"), "{unnamed:?}");
    let patients = host.call("execute_graphql", json!({"query": "{ PatientList(_count: 2) { id } }"})).record();
    assert_eq!(patients["data"]["PatientList"].as_array().unwrap().len(), 2);
    let nobody = json!({"query": format!("{{ Patient(id: \"{NOBODY}\") {{ id }} }}")});
    assert!(page.call(&mut host, "execute_graphql", nobody).error().contains("Not found"));
    page!("terminology_and_graphql", page);
}

#[test]
fn execute_operation() {
    let (mut host, mut page) = read_only();
    let validate =
        |resource: Value| json!({"resource_type": "Observation", "operation": "validate", "params": resource});
    let sound = json!({"resourceType": "Observation", "status": "final", "code": {"text": "Body weight"}});
    page.call(&mut host, "execute_operation", validate(sound)).record();
    let error = page.call(&mut host, "execute_operation", validate(json!({"resourceType": "Observation"})));
    assert!(error.error().contains("Observation.status"), "{error:?}");
    let bot = json!({"resource_type": "Patient", "operation": "my-op"});
    assert!(page.call(&mut host, "execute_operation", bot.clone()).error().contains("is none of Medplum's reads"));
    page.call(&mut host, "execute_operation", json!({"resource_type": "Patient", "operation": "Patient/$everything"}))
        .error();
    page!("execute_operation", page);

    let mut host = Host::sandboxed(WRITES);
    assert_eq!(host.call("execute_operation", bot).record()["ok"], true, "a bot that is bound to the name ran");
}

#[test]
fn execute_graphql() {
    let (stub, mut page) = (Stub::start(), Transcript::default());
    let mut host = Host::on_stub(&stub, &[]);
    stub.say(exchange("graphql", "query").says);
    let query = json!({"query": "{ Patient(id: \"2758b284-b8c2-4a6a-a3cd-373d94953408\") { id name { family } } }"});
    let answer = page.call(&mut host, "execute_graphql", query);
    assert_eq!(answer.record()["data"]["Patient"]["name"][0]["family"], "Ivanov");
    stub.taken();
    stub.say(exchange("graphql", "not found: 200 with errors").says);
    let missing =
        page.call(&mut host, "execute_graphql", json!({"query": format!("{{ Patient(id: \"{NOBODY}\") {{ id }} }}")}));
    assert!(missing.error().contains("\"Not found\" (Patient)"), "{missing:?}");
    stub.taken();
    stub.say(exchange("graphql", "validation error: 400").says);
    let invalid = page.call(&mut host, "execute_graphql", json!({"query": "{ Patient(id: \"x\") { nope } }"}));
    assert!(invalid.error().contains("Did you mean"), "{invalid:?}");
    page.call(&mut host, "execute_graphql", json!({"query": "{ Patient("})).error();
    let mutation = json!({"query": "mutation { PatientCreate(res: {resourceType: \"Patient\"}) { id } }"});
    assert!(page.call(&mut host, "execute_graphql", mutation).error().contains("with writes open too"));
    page!("execute_graphql", page);
}

#[test]
fn execute_batch() {
    let (mut host, mut page) = with_writes();
    let patient = admit(&mut host, "1");
    let get = |id: &str| json!({"request": {"method": "GET", "url": format!("Patient/{id}")}});
    let bundle = |kind: &str, entry: Value| json!({"bundle": {"type": kind, "entry": entry}});
    let answer = page.call(&mut host, "execute_batch", bundle("batch", json!([get(id(&patient)), get(NOBODY)])));
    assert!(answer.note().contains("1 of 2 entries failed: [1] 404"), "{answer:?}");
    let create = json!({"request": {"method": "POST", "url": "Patient"}, "resource": smith("2")});
    let stored = page.call(&mut host, "execute_batch", bundle("transaction", json!([create])));
    assert_eq!((stored.record()["entry"].as_array().unwrap().len(), stored.note()), (1, ""));
    let faulty =
        json!({"request": {"method": "POST", "url": "Observation"}, "resource": {"resourceType": "Observation"}});
    page.call(&mut host, "execute_batch", bundle("transaction", json!([create, faulty]))).error();
    page.call(
        &mut host,
        "execute_batch",
        bundle("batch", json!([{"request": {"method": "GET", "url": "https://api.medplum.com/fhir/R4/Patient"}}])),
    )
    .error();
    page.call(&mut host, "execute_batch", json!({"bundle": {"entry": []}})).error();
    page!("execute_batch", page);

    let (mut host, mut page) = read_only();
    let closed = page.call(&mut host, "execute_batch", bundle("batch", json!([get(NOBODY), create])));
    assert!(closed.error().contains("bundle.entry[1] is not a read"), "{closed:?}");
    page!("execute_batch_read_only", page);
}

#[test]
fn execute_bot() {
    let (mut host, mut page) = with_writes();
    let run = |bot: &str| json!({"bot_id": bot, "input_data": {"patient": "Patient/1"}});
    let said = page.call(&mut host, "execute_bot", run(ECHO_BOT)).record();
    assert_eq!(said, json!({"ok": true, "patient": "Patient/1"}));
    let text = json!({"bot_id": ECHO_BOT, "input_data": "hi", "content_type": "text/plain"});
    page.call(&mut host, "execute_bot", text).text();
    assert!(page.call(&mut host, "execute_bot", run(FAILING_BOT)).error().contains("bot failed on purpose"));
    assert!(page.call(&mut host, "execute_bot", run(NOBODY)).error().contains("Not found"));
    page!("execute_bot", page);

    let mut host = Host::sandboxed(&[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ALLOWED_BOT_IDS", ECHO_BOT)]);
    let mut page = Transcript::default();
    page.call(&mut host, "execute_bot", run(ECHO_BOT)).record();
    assert!(page.call(&mut host, "execute_bot", run(FAILING_BOT)).error().contains("MEDPLUM_ALLOWED_BOT_IDS"));
    page!("execute_bot_allowed", page);
}

#[test]
fn create_bot() {
    let (mut host, mut page) = with_writes();
    let bot = page.call(
        &mut host,
        "create_bot",
        json!({"name": "Greeter", "runtime_version": "vmcontext", "source_code": "export async function handler() {}"}),
    );
    assert_eq!(bot.record()["resourceType"], "Bot");
    page.call(&mut host, "create_bot", json!({"description": "without a name"})).error();
    page.call(&mut host, "create_bot", json!({"name": "Greeter", "runtime_version": "node"})).error();
    page!("create_bot", page);
}

#[test]
fn save_and_deploy_bot() {
    let (mut host, mut page) = with_writes();
    let bot = host.call("create_bot", json!({"name": "Greeter"})).record();
    let code = |bot: &str| json!({"bot_id": bot, "source_code": "export async function handler() { return 1; }", "compiled_code": "exports.handler = async () => 1;"});
    let saved = page.call(&mut host, "save_and_deploy_bot", code(id(&bot)));
    assert!(saved.record()["code"].as_str().unwrap().contains("return 1"));
    assert!(page.call(&mut host, "save_and_deploy_bot", code(NOBODY)).error().contains("Not found"));
    page!("save_and_deploy_bot", page);
}

#[test]
fn raw_request() {
    let (mut host, mut page) = read_only();
    let get = |path: &str| json!({"method": "GET", "path": path});
    page.call(&mut host, "raw_request", get("fhir/R4/$versions")).record();
    let history = page.call(&mut host, "raw_request", get(&format!("fhir/R4/Bot/{ECHO_BOT}/_history")));
    assert_eq!(history.record()["type"], "history");
    let bot = page.call(&mut host, "raw_request", get(&format!("fhir/R4/Bot/{ECHO_BOT}/$execute")));
    assert!(bot.error().contains("$execute runs a bot, by GET too"), "{bot:?}");
    page.call(&mut host, "raw_request", json!({"method": "DELETE", "path": format!("fhir/R4/Bot/{ECHO_BOT}")})).error();
    page.call(&mut host, "raw_request", get("oauth2/logout")).error();
    page.call(&mut host, "raw_request", get("https://api.medplum.com/fhir/R4/Patient")).error();
    page.call(&mut host, "raw_request", get("fhir/R4/../../admin/projects")).error();
    page.call(&mut host, "raw_request", get("fhir/R4/Patient/")).error();
    page!("raw_request", page);
}

#[test]
fn on_behalf_of() {
    let mut host = Host::sandboxed(&[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")]);
    let mut page = Transcript::default();
    let patient = admit(&mut host, "1");
    let read =
        |of: &str, id: &str, member: &str| json!({"resource_type": of, "resource_id": id, "on_behalf_of": member});
    // The front desk sees patients, and no conditions.
    page.call(&mut host, "read_resource", read("Patient", id(&patient), MEMBERSHIP)).record();
    page.call(&mut host, "search_resources", json!({"resource_type": "Condition", "on_behalf_of": MEMBERSHIP})).error();
    page.call(&mut host, "read_resource", read("Patient", id(&patient), NOBODY)).error();
    page.call(&mut host, "read_resource", read("Patient", id(&patient), "Olivia")).error();
    page!("on_behalf_of", page);
}

#[test]
fn the_resources() {
    for (name, variables) in [
        ("read_only", vec![]),
        (
            "open",
            vec![
                ("MEDPLUM_ENABLE_WRITES", "true"),
                ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true"),
                ("MEDPLUM_ALLOWED_BOT_IDS", ECHO_BOT),
            ],
        ),
    ] {
        let mut host = Host::sandboxed(&variables);
        let mut text = String::new();
        for uri in ["medplum://server-info", "medplum://tool-guide", "medplum://common-errors"] {
            text.push_str(&format!("{uri}\n{}\n\n", host.resource(uri)));
        }
        let text = common::redact::redact(&text);
        insta::with_settings!({snapshot_path => "snapshots/manual", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("resources_{name}"), text);
        });
    }
}

#[test]
fn the_definitions() {
    let modes: [(&str, &[(&str, &str)]); 3] = [
        ("read_only", &[]),
        ("writes", WRITES),
        ("writes_on_behalf_of", &[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")]),
    ];
    for (mode, variables) in modes {
        let mut host = Host::sandboxed(variables);
        let tools = host.tools();
        let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        let settings = |name: &str| {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path(format!("snapshots/definitions/{mode}"));
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.set_description(name);
            settings
        };
        settings("the order").bind(|| insta::assert_snapshot!("_all", names.join("\n")));
        for tool in &tools {
            let name = tool["name"].as_str().unwrap();
            settings(name).bind(|| insta::assert_json_snapshot!(name, tool));
        }
    }
}

#[test]
fn every_revision_of_the_protocol_is_served() {
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let mut host = Host::spawn(program(&["--sandbox"], &[]));
        let hello = host.initialize(revision);
        assert_eq!(hello["result"]["protocolVersion"], revision, "{hello}");
        assert_eq!(hello["result"]["serverInfo"]["name"], "medplum-mcp");
        assert!(hello["result"]["instructions"].as_str().unwrap().contains("FHIR R4"));
        assert!(
            hello["result"]["capabilities"]["tools"].is_object()
                && hello["result"]["capabilities"]["resources"].is_object()
        );
        assert!(hello["result"]["capabilities"].get("prompts").is_none(), "what is not there is not declared");
        assert!(host.tools().len() >= 16);
        host.call("search_resources", json!({"resource_type": "Patient", "count": 1})).record();
        assert!(host.resource("medplum://server-info").contains("read-only"));
        assert_eq!(host.end().code, Some(0), "{revision}");
    }
}

#[test]
fn a_host_of_tomorrow_is_offered_what_there_is() {
    let mut host = Host::spawn(program(&["--sandbox"], &[]));
    let hello = host.initialize("2099-01-01");
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25", "{hello}");
    assert!(host.tools().len() >= 16);
}

#[test]
fn templates_are_listed_and_their_types_completed() {
    let mut host = Host::spawn(program(&["--sandbox"], &[]));
    host.initialize("2025-11-25");
    let listed = host.request("resources/templates/list", json!({}));
    let templates: Vec<&str> = listed["result"]["resourceTemplates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["uriTemplate"].as_str().unwrap())
        .collect();
    assert_eq!(templates, ["medplum://fhir/{type}/{id}", "medplum://fhir/{type}/{id}/_history/{version}"]);
    let mut complete = |reference: Value, argument: &str, start: &str| {
        let asked = json!({"ref": reference, "argument": {"name": argument, "value": start}});
        host.request("completion/complete", asked)["result"]["completion"].clone()
    };
    let of = |uri: &str| json!({"type": "ref/resource", "uri": uri});
    let found = complete(of(templates[0]), "type", "imm");
    assert_eq!(
        found["values"],
        json!(["Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation"]),
        "{found}"
    );
    assert_eq!((&found["total"], &found["hasMore"]), (&json!(3), &json!(false)));
    assert_eq!(complete(of(templates[1]), "type", "Pat")["values"], json!(["Patient"]));
    let all = complete(of(templates[0]), "type", "");
    assert_eq!((all["values"].as_array().unwrap().len(), &all["hasMore"]), (100, &json!(true)), "{all}");
    // Of nothing else is there anything to complete.
    assert_eq!(complete(of(templates[0]), "id", "")["values"], json!([]));
    assert_eq!(complete(of("medplum://nope"), "type", "Pat")["values"], json!([]));
    assert_eq!(complete(json!({"type": "ref/prompt", "name": "x"}), "type", "Pat")["values"], json!([]));
}

#[test]
fn the_stateless_revision_needs_no_handshake() {
    let meta = |revision: &str| {
        json!({
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}
        })
    };
    let mut host = Host::spawn(program(&["--sandbox"], &[]));
    let discovered = host.request("server/discover", json!({"_meta": meta("2026-07-28")}));
    assert!(discovered["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    assert!(discovered["result"]["instructions"].as_str().unwrap().contains("FHIR R4"));
    let listed = host.request("tools/list", json!({"_meta": meta("2026-07-28")}));
    assert_eq!(listed["result"]["cacheScope"], "private", "what is listed depends on the operator's settings");
    assert!(listed["result"]["tools"].as_array().unwrap().len() >= 16);
    let call =
        |arguments: Value| json!({"name": "search_resources", "arguments": arguments, "_meta": meta("2026-07-28")});
    let answer = host.request("tools/call", call(json!({"resource_type": "Patient", "count": 1})));
    assert_eq!(Answer::of(&answer).record()["entry"].as_array().unwrap().len(), 1);
    let answer = host.request("tools/call", call(json!({})));
    assert!(Answer::of(&answer).error().contains("needs resource_type"));
    let read = host.request("resources/read", json!({"uri": "medplum://tool-guide", "_meta": meta("2026-07-28")}));
    assert!(read["result"]["contents"][0]["text"].as_str().unwrap().contains("read_resource"));
    let unknown = host.request("tools/list", json!({"_meta": meta("2099-01-01")}));
    assert!(unknown["error"]["message"].is_string(), "{unknown}");
    assert_eq!(host.end().code, Some(0));
}

#[test]
fn no_secret_of_the_project_reaches_an_agent() {
    let sandbox = common::sandbox::Elsewhere::start();
    let variables = [
        ("MEDPLUM_BASE_URL", sandbox.base_url.as_str()),
        ("MEDPLUM_CLIENT_ID", sandbox.client_id),
        ("MEDPLUM_CLIENT_SECRET", sandbox.client_secret.as_str()),
    ];
    let mut host = Host::spawn(program(&[], &variables));
    host.initialize("2025-11-25");
    for (tool, arguments) in [
        ("raw_request", json!({"method": "GET", "path": "auth/me"})),
        ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/ClientApplication/{CLIENT}")})),
        ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/ClientApplication/{CLIENT}/_history")})),
        ("read_resource", json!({"resource_type": "ClientApplication", "resource_id": CLIENT})),
        ("search_resources", json!({"resource_type": "ClientApplication"})),
        ("search_all_resources", json!({"resource_type": "ClientApplication"})),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": format!("ClientApplication/{CLIENT}")}}]}}),
        ),
    ] {
        let answer = host.call(tool, arguments.clone());
        assert!(!answer.failed, "{tool} {arguments}: {answer:?}");
        assert!(!answer.blocks.concat().contains(&sandbox.client_secret), "{tool} {arguments}: {answer:?}");
    }
}
