//! The operator allows some resource types: no way leads to another, not by what is asked, not by what is looked at on
//! the way, not by what comes back. What is left out is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use std::cell::Cell;

use common::attempt::{Attempt, all_pass, all_refused, attempt, line};
use common::host::run;
use common::{LISTED_BOT, PATIENT, Pipe, Says, Stub, VERSION};
use fhir_definitions::{Definitions, ParameterKind, TypeInfo};
use medplum_client::{BaseUrl, Client, Config, Credentials};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Limits, Settings, Values};
use medplum_sandbox::Sandbox;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

const TYPES: (&str, &str) = ("MEDPLUM_ALLOWED_TYPES", "Patient,Observation");
const WRITES: (&str, &str) = ("MEDPLUM_ENABLE_WRITES", "true");

/// What every refusal names.
const LIST: &str = "the operator allows only Observation, Patient (MEDPLUM_ALLOWED_TYPES). Nothing was sent.";

fn get(path: &str) -> Attempt {
    attempt("raw_request", json!({"method": "GET", "path": format!("fhir/R4/{path}")}), LIST)
}

fn search(of: &str, params: Value) -> Attempt {
    attempt("search_resources", json!({"resource_type": of, "params": params}), LIST)
}

#[tokio::test]
async fn a_closed_type_is_asked_for_on_no_way() {
    let one = json!({"resource_type": "Practitioner", "resource_id": "1"});
    let of_type = json!({"resource_type": "Practitioner"});
    let entry = |url: &str| json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}});
    let rows = vec![
        attempt("read_resource", one.clone(), LIST),
        attempt("search_resources", of_type.clone(), LIST),
        attempt("search_one", of_type.clone(), LIST),
        attempt("search_all_resources", of_type.clone(), LIST),
        attempt("query_resources", of_type.clone(), LIST),
        attempt("query_resources", json!({"resource_type": "Patient", "also": [of_type], "sql": "select 1"}), LIST),
        attempt("list_codes", json!({"resource_type": "Practitioner"}), LIST),
        attempt("get_patient_everything", json!({"patient_id": "1", "types": ["Observation", "Practitioner"]}), LIST),
        attempt("execute_batch", entry("Practitioner/1"), "bundle.entry[0]"),
        attempt("execute_batch", entry("Patient?_has:Condition:subject:code=x"), "Condition is closed"),
        attempt(
            "execute_operation",
            json!({"resource_type": "Practitioner", "operation": "csv", "method": "GET"}),
            LIST,
        ),
        attempt(
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": "1", "operation": "summary"}),
            "$summary reaches",
        ),
        attempt(
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": "1", "operation": "graph", "method": "GET"}),
            "GraphDefinition is closed ($graph)",
        ),
        attempt("read_resource", json!({"resource_type": "Binary", "resource_id": "1"}), "Binary is closed"),
        get("Practitioner/1"),
        get("Practitioner/1/_history"),
        get("Practitioner/1/_history/2"),
        get("Practitioner?name=x"),
        get("?_type=Patient,Practitioner"),
        get("Patient?_type=Practitioner"),
        get("job/1/status"),
        get("Patient/1/$everything?_type=Patient&_type=Condition"),
        attempt(
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4/Practitioner/_search", "body": {"name": "x"}}),
            LIST,
        ),
        attempt("raw_request", json!({"method": "GET", "path": "admin/projects/1"}), "Project is closed"),
    ];
    all_refused(&[TYPES], rows).await;
}

#[tokio::test]
async fn a_closed_type_is_looked_at_on_no_way() {
    let rows = vec![
        search("Observation", json!({"performer:Practitioner.name": "x"})),
        search("Observation", json!({"encounter.status": "x"})),
        search("Patient", json!({"_has:Condition:subject:code": "x"})),
        search("Patient", json!({"_has:Observation:patient:_has:AuditEvent:entity:agent": "Practitioner/1"})),
        search("Patient", json!({"general-practitioner:Practitioner.name": "x"})),
        search("Observation", json!({"_filter": "performer:Practitioner.name co \"x\""})),
        search("Observation", json!({"_compartment": "Practitioner/1"})),
        search("Patient", json!({"_revinclude": "Condition:subject"})),
        search("Patient", json!({"_include": "Patient:general-practitioner"})),
        search("Observation", json!({"_include": "Observation:performer:Practitioner"})),
        search("Observation", json!({"_include:iterate": "Encounter:participant"})),
        get("Observation?subject.name=x"),
        get("Observation?_include=*"),
        get("Patient?_revinclude=*"),
        get("Observation?subject:Patient._has:Condition:subject:code=x"),
        get("Observation/$csv?encounter.status=x"),
        get("Patient?_list=1"),
        // How many match would tell as well.
        attempt(
            "search_resources",
            json!({"resource_type": "Patient", "params": {"_has:Condition:subject:code": "x"}, "count_only": true}),
            LIST,
        ),
        attempt("search_resources", json!({"resource_type": "Patient", "revinclude": ["Condition:subject"]}), LIST),
    ];
    all_refused(&[TYPES], rows).await;
}

#[tokio::test]
async fn a_document_reaches_no_closed_type() {
    let graphql = |query: &str| {
        let body = json!({"query": query});
        [
            attempt("execute_graphql", body.clone(), LIST),
            attempt("raw_request", json!({"method": "POST", "path": "fhir/R4/$graphql", "body": body}), LIST),
            attempt("execute_operation", json!({"resource_type": "", "operation": "graphql", "params": body}), LIST),
        ]
    };
    let documents = [
        "{ a: PractitionerList { id } }",
        "{ PatientList { id } Practitioner(id: \"1\") { id } }",
        "{ PractitionerConnection { count } }",
        "{ PatientList { ConditionList(_reference: subject) { id } } }",
        "{ PatientList { generalPractitioner { resource { ... on Practitioner { id } } } } }",
        "{ PatientList { generalPractitioner { resource { ...F } } } } fragment F on Organization { id }",
        "{ PatientList { contained { ... on Practitioner { id } } } }",
        "{ PatientList { contained { ... on Resource { id } } } }",
        "{ PatientList(_filter: \"general-practitioner:Practitioner.name eq x\") { id } }",
        "{ ObservationList(_compartment: \"Practitioner/1\") { id } }",
        "{ NobodyKnowsList { id } }",
    ];
    all_refused(&[TYPES], documents.into_iter().flat_map(graphql).collect()).await;
}

#[tokio::test]
async fn a_closed_type_is_written_on_no_way() {
    let practitioner = json!({"resourceType": "Practitioner", "name": [{"family": "x"}]});
    let inside = json!({"resourceType": "Patient", "contained": [practitioner]});
    let mut known = practitioner.clone();
    known["id"] = "1".into();
    known["meta"] = json!({"versionId": VERSION});
    let entry = |request: Value, resource: &Value| json!({"bundle": {"type": "transaction", "entry": [{"request": request, "resource": resource}]}});
    let post = |of: &str| json!({"method": "POST", "url": of});
    let remove = json!([{"op": "remove", "path": "/active"}]);
    let contained = json!([{"op": "add", "path": "/contained", "value": [practitioner]}]);
    let conditional = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "performer": [{"reference": "Practitioner?name=x"}]});
    let mutation = |query: &str| attempt("execute_graphql", json!({"query": query}), LIST);
    let rows = vec![
        attempt("create_resource", json!({"resource": practitioner}), LIST),
        attempt("create_resource", json!({"resource": inside}), LIST),
        attempt(
            "create_resource",
            json!({"resource": conditional}),
            "Practitioner is closed (a conditional reference)",
        ),
        attempt(
            "create_resource",
            json!({"resource": {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}}),
            LIST,
        ),
        // Terminology is open to reading alone.
        attempt(
            "create_resource",
            json!({"resource": {"resourceType": "ValueSet", "status": "draft"}}),
            "ValueSet is closed",
        ),
        attempt(
            "patch_resource",
            json!({"resource_type": "ValueSet", "resource_id": "1", "operations": remove}),
            "ValueSet is closed",
        ),
        attempt("delete_resource", json!({"resource_type": "ValueSet", "resource_id": "1"}), "ValueSet is closed"),
        attempt("create_resource_if_none_exist", json!({"resource": practitioner, "if_none_exist": "name=x"}), LIST),
        attempt(
            "create_resource_if_none_exist",
            json!({"resource": {"resourceType": "Patient"}, "if_none_exist": "general-practitioner:Practitioner.name=x"}),
            LIST,
        ),
        attempt("update_resource", json!({"resource": known}), LIST),
        attempt(
            "patch_resource",
            json!({"resource_type": "Practitioner", "resource_id": "1", "operations": remove}),
            LIST,
        ),
        attempt(
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": "1", "operations": contained}),
            LIST,
        ),
        attempt("delete_resource", json!({"resource_type": "Practitioner", "resource_id": "1"}), LIST),
        attempt("execute_batch", entry(post("Practitioner"), &practitioner), "bundle.entry[0]"),
        attempt("execute_batch", entry(post("Patient"), &inside), "bundle.entry[0]"),
        attempt("raw_request", json!({"method": "DELETE", "path": "fhir/R4/Practitioner/1"}), LIST),
        attempt(
            "raw_request",
            json!({"method": "PUT", "path": "fhir/R4/Patient?name=x", "body": {"resourceType": "Patient"}}),
            "this path reaches",
        ),
        // What answers come in may be stored too.
        attempt("create_resource", json!({"resource": {"resourceType": "Parameters"}}), "Parameters is closed"),
        attempt("search_resources", json!({"resource_type": "OperationOutcome"}), "OperationOutcome is closed"),
        // Any FHIRPath can be a column.
        attempt(
            "execute_operation",
            json!({"resource_type": "Patient", "operation": "csv", "method": "GET", "params": {"_fields": "id,contained.name.family"}}),
            "plain element names",
        ),
        attempt(
            "raw_request",
            json!({"method": "GET", "path": "fhir/R4/Patient/$csv?_fields=contained"}),
            "plain element names",
        ),
        mutation("mutation { PractitionerCreate(res: {resourceType: \"Practitioner\"}) { id } }"),
        mutation(
            "mutation { PatientUpdate(id: \"1\", res: {resourceType: \"Patient\", contained: [{resourceType: \"Practitioner\"}]}) { id } }",
        ),
        // Bots and what may run one reach anything.
        attempt("execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {}}), "Bot is closed"),
        attempt("execute_operation", json!({"resource_type": "Patient", "operation": "my-op"}), "$my-op reaches"),
        attempt("raw_request", json!({"method": "GET", "path": "fhir/R4/$export"}), "$export reaches"),
    ];
    all_refused(&[TYPES, WRITES], rows).await;
}

#[tokio::test]
async fn what_is_allowed_passes() {
    let raw = |path: &str, target: &str| ("raw_request", json!({"method": "GET", "path": path}), line("GET", target));
    let codes = json!({"code": "x", "system": "y", "valueset_url": "z"});
    let calls = vec![
        raw("fhir/R4/Patient/1/_history", "fhir/R4/Patient/1/_history"),
        raw("fhir/R4/Observation?subject:Patient.name=x", "fhir/R4/Observation?subject:Patient.name=x"),
        raw("fhir/R4/Observation?patient.name=x", "fhir/R4/Observation?patient.name=x"),
        raw("fhir/R4/Patient?_has:Observation:patient:code=x", "fhir/R4/Patient?_has:Observation:patient:code=x"),
        // A reference is an element of the resource that holds it.
        raw("fhir/R4/Observation?performer=Practitioner/1", "fhir/R4/Observation?performer=Practitioner%2F1"),
        // Some of what it may bring is allowed; the rest is left out.
        raw("fhir/R4/Observation?_include=Observation:subject", "fhir/R4/Observation?_include=Observation:subject"),
        raw("auth/me", "auth/me"),
        ("get_resource_schema", json!({"resource_type": "Practitioner"}), vec![]),
        ("validate_code", codes, line("POST", "fhir/R4/ValueSet/$validate-code")),
        (
            "expand_valueset",
            json!({"valueset_id": "1"}),
            vec!["GET /fhir/R4/ValueSet/1".into(), "POST /fhir/R4/ValueSet/$expand".into()],
        ),
        ("lookup_concept", json!({"code": "x", "system": "y"}), line("POST", "fhir/R4/CodeSystem/$lookup")),
        ("translate_concept", json!({"code": "x", "system": "y"}), line("POST", "fhir/R4/ConceptMap/$translate")),
    ];
    all_pass(&[TYPES], calls).await;
}

#[tokio::test]
async fn a_reference_to_a_closed_type_is_not_looked_up() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[TYPES, WRITES]).await;
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": format!("Patient/{PATIENT}")}, "performer": [{"reference": "Practitioner/1"}]});
    let answer = pipe.call("create_resource", json!({"resource": observation})).await;
    assert!(!answer.failed, "{answer:?}");
    let batch = stub.taken().into_iter().find(|asked| asked.line() == "POST /fhir/R4").unwrap().json();
    let urls: Vec<&str> =
        batch["entry"].as_array().unwrap().iter().map(|entry| entry["request"]["url"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), 1);
    assert!(urls[0].starts_with("Patient?_id="), "{urls:?}");
}

#[tokio::test]
async fn who_refers_to_what_is_deleted_is_asked_of_open_types_alone() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[TYPES, WRITES]).await;
    let answer = pipe
        .call(
            "delete_resource",
            json!({"resource_type": "Patient", "resource_id": PATIENT, "confirm_references": true}),
        )
        .await;
    assert!(
        answer.note().contains("Resources of closed types (MEDPLUM_ALLOWED_TYPES) were not looked at"),
        "{answer:?}"
    );
    let batches = stub.taken().into_iter().filter(|asked| asked.line() == "POST /fhir/R4");
    let urls: Vec<String> = batches
        .flat_map(|asked| asked.json()["entry"].as_array().cloned().unwrap())
        .map(|entry| entry["request"]["url"].to_string())
        .collect();
    assert!(
        !urls.is_empty() && urls.iter().all(|url| url.starts_with("\"Patient?") || url.starts_with("\"Observation?")),
        "{urls:?}"
    );
}

#[tokio::test]
async fn what_comes_back_of_others_is_left_out_and_said() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[TYPES]).await;
    let practitioner = |id: &str| json!({"resourceType": "Practitioner", "id": id, "name": [{"family": "Closed"}], "meta": {"versionId": "1"}});
    let included = |id: &str| json!({"resource": practitioner(id), "search": {"mode": "include"}});
    let observation = json!({"resourceType": "Observation", "id": "o", "contained": [{"resourceType": "Device", "id": "d", "status": "active", "note": [{"text": "Closed"}]}]});
    let found = json!({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [
        {"resource": observation, "search": {"mode": "match"}}, included("1"), included("2"), included("1")]});
    let of_type = json!({"resource_type": "Observation", "include": "Observation:subject"});
    stub.say(Says::json(200, &found));
    let answer = pipe.call("search_resources", of_type).await;
    let record = answer.record();
    assert_eq!(record["entry"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(record["entry"][0]["resource"]["contained"], json!([{"resourceType": "Device", "id": "d"}]));
    assert_eq!(answer.note(), "1 Device resource, 2 Practitioner resources left out: MEDPLUM_ALLOWED_TYPES.");

    stub.say(Says::json(200, &json!({"project": {"resourceType": "Project", "id": "p", "name": "Closed"}, "profile": practitioner("1"), "x": 1})));
    let answer = pipe.call("raw_request", json!({"method": "GET", "path": "auth/me"})).await;
    assert_eq!(
        answer.record(),
        json!({"project": {"resourceType": "Project", "id": "p"}, "profile": {"resourceType": "Practitioner", "id": "1"}, "x": 1})
    );
    assert_eq!(answer.note(), "1 Practitioner resource, 1 Project resource left out: MEDPLUM_ALLOWED_TYPES.");

    // A server that answers with another resource than the one that was asked for is not believed.
    stub.say(Says::json(200, &practitioner("1")));
    let answer = pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": "1"})).await;
    assert!(answer.error().contains("another resource than the one that was asked for"), "{answer:?}");

    let other = json!({"resourceType": "Bundle", "type": "searchset", "entry": [included("3")]});
    let responses = json!({"resourceType": "Bundle", "type": "batch-response", "entry": [
        {"response": {"status": "200"}, "resource": found}, {"response": {"status": "200"}, "resource": other}]});
    stub.say(Says::json(200, &responses));
    let get = json!({"request": {"method": "GET", "url": "Observation?_include=Observation:subject"}});
    let bundle = json!({"type": "batch", "entry": [get, get]});
    let answer = pipe.call("execute_batch", json!({"bundle": bundle})).await;
    assert!(!answer.text().contains("Closed"), "{answer:?}");
    assert!(answer.note().contains("3 Practitioner resources left out"), "{answer:?}");

    stub.say(Says::json(200, &found));
    let sql = json!({"resource_type": "Observation", "sql": "select json, (select count(*) from Observation) from Observation"});
    let answer = pipe.call("query_resources", sql).await;
    assert!(!answer.text().contains("Closed") && answer.text().contains("\\\"Device\\\""), "{answer:?}");
}

/// A server under limits, over a sandbox that notes what it is asked.
struct World {
    sandbox: Sandbox,
    server: Server,
}

impl World {
    fn start(types: &str, writes: bool) -> Self {
        let sandbox = Sandbox::builder().record_requests().start_on_thread().unwrap();
        Self { server: server_of(&sandbox, types, writes), sandbox }
    }

    async fn call(&self, tool: &str, arguments: Value) -> (Vec<String>, bool) {
        let result = self.server.call(tool, arguments.as_object().unwrap().clone()).await;
        let texts = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.clone());
        (texts.collect(), result.is_error == Some(true))
    }

    async fn json(&self, tool: &str, arguments: Value) -> (Value, String) {
        let (blocks, failed) = self.call(tool, arguments.clone()).await;
        assert!(!failed, "{tool} {arguments}: {blocks:?}");
        (serde_json::from_str(&blocks[0]).unwrap(), blocks.get(1).cloned().unwrap_or_default())
    }
}

fn server_of(sandbox: &Sandbox, types: &str, writes: bool) -> Server {
    let given = |name: &str| match name {
        "MEDPLUM_ALLOWED_TYPES" => Some(types.to_owned()),
        "MEDPLUM_ENABLE_WRITES" => Some(writes.to_string()),
        _ => None,
    };
    let limits: Limits = Settings::new(&Values::find(|_| None, given)).unwrap().limits;
    let base = BaseUrl::parse(sandbox.base_url(), false).unwrap();
    let secret = sandbox.client_secret().into();
    let config = Config::new(base, Credentials::Client { id: sandbox.client_id().into(), secret });
    Server::new(Client::new(config, Policy::new(limits.clone())), limits).unwrap()
}

/// A patient of the sandbox with ten years of chart.
const LONG: &str = "5a4d0b0c-0000-4000-8000-000000000201";

#[tokio::test]
async fn a_chart_of_some_types() {
    let world = World::start("Patient,Observation,Condition", false);
    let (record, note) =
        world.json("get_patient_everything", json!({"patient_id": LONG, "fields": ["resourceType"]})).await;
    let types: std::collections::BTreeSet<&str> =
        record["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect();
    assert!(types.iter().all(|of| ["Patient", "Observation", "Condition"].contains(of)), "{types:?}");
    assert!(note.contains("Only types that the operator allows (MEDPLUM_ALLOWED_TYPES)."), "{note}");
    assert!(note.contains("Practitioner resource"), "{note}");
    let asked: Vec<String> = world.sandbox.requests().iter().map(|r| r.path_and_query.clone()).collect();
    assert!(
        asked.iter().any(|path| path.contains("$everything?_type=Condition&_type=Observation&_type=Patient")),
        "{asked:?}"
    );

    let (record, note) = world.json("get_patient_summary", json!({"patient_id": LONG})).await;
    assert!(record["latest"]["of"].as_u64().unwrap() > 0);
    assert_eq!(record["encounters"], json!({"shown": 0, "of": null, "rows": []}));
    assert!(note.starts_with("MedicationRequest, MedicationStatement, AllergyIntolerance, Immunization, Encounter, Procedure, Task, Appointment, CareTeam: closed by the operator (MEDPLUM_ALLOWED_TYPES); of is null there."), "{note}");

    let (_, note) = world.json("list_codes", json!({"resource_type": "Condition"})).await;
    assert!(note.contains("complete"), "{note}");
    let (blocks, _) = world.call("get_resource_capabilities", json!({"resource_type": "Task"})).await;
    assert!(
        blocks[1].contains("Task is closed: the operator allows only Condition, Observation, Patient"),
        "{blocks:?}"
    );
}

#[tokio::test]
async fn what_is_closed_inside_of_a_resource_outlives_its_writing() {
    let open = World::start("Patient,Practitioner", true);
    let gp = json!({"resourceType": "Practitioner", "id": "gp", "name": [{"family": "Hidden"}]});
    let patient = json!({"resourceType": "Patient", "contained": [gp], "generalPractitioner": [{"reference": "#gp"}], "active": true});
    let (stored, _) = open.json("create_resource", json!({"resource": patient})).await;
    let id = stored["id"].as_str().unwrap().to_owned();
    let limited = server_of(&open.sandbox, "Patient", true);
    let world = World { sandbox: open.sandbox, server: limited };
    let one = json!({"resource_type": "Patient", "resource_id": id});
    let (mut read, note) = world.json("read_resource", one.clone()).await;
    assert_eq!(read["contained"], json!([{"resourceType": "Practitioner", "id": "gp"}]));
    assert!(note.contains("1 Practitioner resource left out"), "{note}");
    read["active"] = json!(false);
    world.json("update_resource", json!({"resource": read})).await;
    let patch = |operations: Value| json!({"resource_type": "Patient", "resource_id": id, "operations": operations});
    world.json("patch_resource", patch(json!([{"op": "replace", "path": "/active", "value": true}]))).await;
    for operations in [
        json!([{"op": "copy", "from": "/contained/0/name", "path": "/name"}]),
        json!([{"op": "move", "from": "/contained/0/name/0/family", "path": "/language"}]),
        json!([{"op": "test", "path": "/contained/0/name/0/family", "value": "Hidden"}]),
    ] {
        let (blocks, failed) = world.call("patch_resource", patch(operations)).await;
        assert!(failed && blocks[0].contains("left out for you"), "{blocks:?}");
    }
    let (read, _) = world.json("read_resource", one).await;
    let mut more = read.clone();
    more["contained"] =
        json!([{"resourceType": "Practitioner", "id": "gp"}, {"resourceType": "Practitioner", "id": "new"}]);
    let (blocks, failed) = world.call("update_resource", json!({"resource": more})).await;
    assert!(failed && blocks[0].contains("Practitioner is closed (a resource inside)"), "{blocks:?}");
    let mut without = read.clone();
    without["contained"] = json!([]);
    let (blocks, failed) = world.call("update_resource", json!({"resource": without})).await;
    assert!(failed && blocks[0].contains("contained[0] is left out for you"), "{failed} {blocks:?}");
    let stored = world
        .sandbox
        .history("Patient")
        .into_iter()
        .filter_map(|(_, text)| text)
        .rfind(|stored| stored["id"] == id.as_str())
        .unwrap();
    assert_eq!(stored["contained"], json!([gp]), "it is still there");
}

// ---- Random searches: nothing closed is asked, and nothing closed comes back. ----

/// Types among which there is much to be led by.
const SOME: &[&str] = &[
    "Patient",
    "Observation",
    "Condition",
    "Encounter",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "MedicationRequest",
    "Task",
    "Appointment",
    "CareTeam",
    "Location",
    "Provenance",
];

fn references(info: &TypeInfo) -> Vec<&'static str> {
    let definitions = Definitions::get();
    let all =
        definitions.search_parameters(info).filter(|p| p.kind == ParameterKind::Reference && !p.code.starts_with('_'));
    all.map(|p| p.code).collect()
}

fn some_type() -> impl Strategy<Value = &'static str> {
    prop::sample::select(SOME)
}

/// A parameter that looks at the resource itself.
fn plain(of: &'static str) -> BoxedStrategy<(String, String)> {
    let info = Definitions::get().resource_type(of).unwrap();
    let mut choices = vec![("_id".to_owned(), "x".to_owned()), ("_lastUpdated".to_owned(), "gt2000-01-01".to_owned())];
    choices.extend(references(info).into_iter().map(|code| (code.to_owned(), "Practitioner/1,Patient/1".to_owned())));
    prop::sample::select(choices).boxed()
}

/// What leads away from a type: a chain, typed or not, one that turns round, to any depth.
fn chained(of: &'static str, depth: u32) -> BoxedStrategy<(String, String)> {
    if depth == 0 {
        return plain(of);
    }
    let codes = references(Definitions::get().resource_type(of).unwrap());
    if codes.is_empty() {
        return plain(of);
    }
    let step = (prop::sample::select(codes), some_type(), any::<bool>());
    let onward = step.prop_flat_map(move |(code, target, typed)| {
        let step = if typed { format!("{code}:{target}") } else { code.to_owned() };
        chained(target, depth - 1).prop_map(move |(key, value)| (format!("{step}.{key}"), value))
    });
    prop_oneof![1 => plain(of), 3 => onward, 2 => has(depth)].boxed()
}

fn has(depth: u32) -> BoxedStrategy<(String, String)> {
    some_type()
        .prop_flat_map(move |of| {
            let codes = references(Definitions::get().resource_type(of).unwrap());
            let codes = if codes.is_empty() { vec!["subject"] } else { codes };
            (prop::sample::select(codes), chained(of, depth - 1))
                .prop_map(move |(code, (key, value))| (format!("_has:{of}:{code}:{key}"), value))
        })
        .boxed()
}

fn parameter(of: &'static str) -> BoxedStrategy<(String, String)> {
    let include = (
        some_type(),
        prop::sample::select(vec!["_include", "_revinclude", "_include:iterate", "_revinclude:iterate"]),
        some_type(),
        any::<bool>(),
    );
    let include = include.prop_flat_map(move |(from, key, target, named)| {
        let from = if key == "_include" { of } else { from };
        let codes = references(Definitions::get().resource_type(from).unwrap());
        let codes = if codes.is_empty() { vec!["subject"] } else { codes };
        prop::sample::select(codes).prop_map(move |code| {
            let end = if named { format!(":{target}") } else { String::new() };
            (key.to_owned(), format!("{from}:{code}{end}"))
        })
    });
    prop_oneof![
        3 => chained(of, 3),
        2 => has(2),
        4 => include,
        1 => chained(of, 2).prop_map(|(key, _)| ("_filter".to_owned(), format!("{key} eq \"x\" or not (_id eq a)"))),
        1 => some_type().prop_map(|of| ("_compartment".to_owned(), format!("{of}/{LONG}"))),
        1 => (some_type(), some_type()).prop_map(|(a, b)| ("_type".to_owned(), format!("{a},{b}"))),
        1 => prop::sample::select(vec![("_include", "*"), ("_revinclude", "*"), ("_sort", "-_lastUpdated"), ("_total", "accurate"), ("_summary", "count"), ("_list", "x")])
            .prop_map(|(key, value)| (key.to_owned(), value.to_owned())),
    ]
    .boxed()
}

fn asked() -> impl Strategy<Value = (&'static str, Vec<(String, String)>, Vec<&'static str>)> {
    let allowed = prop::sample::subsequence(SOME, 1..=SOME.len());
    (some_type(), allowed)
        .prop_flat_map(|(of, allowed)| (Just(of), prop::collection::vec(parameter(of), 0..3), Just(allowed)))
}

/// The names of types that are words of a text.
fn types_in(text: &str) -> Vec<&'static str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    Definitions::get().resource_types().map(|info| info.name).filter(|name| words.contains(name)).collect()
}

/// The types that an untyped step of a chain could lead to: those of its targets that have what comes next.
fn untyped(from: &str, step: &str, next: &str) -> Vec<&'static str> {
    let definitions = Definitions::get();
    let parameter = definitions.resource_type(from).and_then(|info| definitions.search_parameter(info, step));
    let Some(parameter) = parameter else { return Vec::new() };
    let all = parameter.targets().next().is_none() || parameter.targets().any(|t| t == "Resource");
    let could = definitions.resource_types().filter(|info| all || parameter.targets().any(|t| t == info.name));
    could
        .filter(|info| next == "_has" || definitions.search_parameter(info, next).is_some())
        .map(|info| info.name)
        .collect()
}

/// The closed types that a request which left was about, told apart from the program's own way of telling.
fn closed_in(target: &str, allowed: &[&str]) -> Vec<String> {
    let url = reqwest::Url::parse(&format!("http://x{target}")).unwrap();
    let is_open = |of: &&str| allowed.contains(of) || ["CodeSystem", "ValueSet", "ConceptMap"].contains(of);
    let path = url.path().trim_start_matches("/fhir/R4").trim_start_matches('/').to_owned();
    let of = path.split('/').next().unwrap_or_default().to_owned();
    let mut about: Vec<String> = types_in(&path).into_iter().map(str::to_owned).collect();
    for (key, value) in url.query_pairs() {
        about.extend(types_in(&key).into_iter().map(str::to_owned));
        let name = key.split([':', '.']).next().unwrap_or_default();
        if ["_include", "_revinclude", "_type", "_filter", "_compartment"].contains(&name) {
            about.extend(types_in(&value).into_iter().map(str::to_owned));
        }
        // An untyped step, where the type before it is known.
        let text =
            if name == "_filter" { value.split(' ').next().unwrap_or_default().to_owned() } else { key.to_string() };
        let mut from = of.clone();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            if let Some(has) = rest.strip_prefix("_has:") {
                let mut parts = has.splitn(3, ':');
                from = parts.next().unwrap_or_default().to_owned();
                let _ = parts.next();
                rest = parts.next().unwrap_or_default();
                continue;
            }
            let Some((step, after)) = rest.split_once('.') else { break };
            match step.split_once(':') {
                Some((_, named)) => from = named.to_owned(),
                None => {
                    let could = untyped(&from, step, after.split([':', '.']).next().unwrap_or_default());
                    about.extend(could.iter().map(|of| (*of).to_owned()));
                    from = could.first().map_or_else(String::new, |of| (*of).to_owned());
                }
            }
            rest = after;
        }
    }
    about.retain(|of| !is_open(&of.as_str()));
    about
}

/// A closed resource of which more than its name is shown.
fn closed_shown(value: &Value, allowed: &[&str]) -> Option<String> {
    match value {
        Value::Array(values) => values.iter().find_map(|value| closed_shown(value, allowed)),
        Value::Object(object) => {
            let of = object.get("resourceType").and_then(Value::as_str).unwrap_or("Bundle");
            let open = allowed.contains(&of) || ["Bundle", "OperationOutcome", "Parameters"].contains(&of);
            let named = object.keys().all(|key| ["resourceType", "id"].contains(&key.as_str()));
            if open || named {
                object.values().find_map(|value| closed_shown(value, allowed))
            } else {
                Some(value.to_string())
            }
        }
        _ => None,
    }
}

#[test]
fn no_search_reaches_a_closed_type() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let sandbox = Sandbox::builder().record_requests().start_on_thread().unwrap();
    let cases = if cfg!(debug_assertions) { 250 } else { 2_000 };
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let (left, refused) = (Cell::new(0), Cell::new(0));
    let outcome = runner.run(&asked(), |(of, query, allowed)| {
        let server = server_of(&sandbox, &allowed.join(","), false);
        let pairs: Vec<Vec<&str>> = query.iter().map(|(key, value)| vec![key.as_str(), value.as_str()]).collect();
        let params: serde_json::Map<String, Value> =
            query.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let encoded: Vec<String> =
            query.iter().map(|(key, value)| format!("{key}={}", value.replace('"', "%22"))).collect();
        let url = format!("{of}?{}", encoded.join("&"));
        let calls = [
            ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/{of}"), "query_params": pairs})),
            ("search_resources", json!({"resource_type": of, "params": params, "narrative": true})),
            (
                "execute_batch",
                json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}}),
            ),
        ];
        for (tool, arguments) in calls {
            sandbox.clear_requests();
            let result = runtime.block_on(server.call(tool, arguments.as_object().unwrap().clone()));
            for request in sandbox.requests() {
                let mut targets = vec![request.path_and_query.clone()];
                if let Ok(bundle) = serde_json::from_slice::<Value>(&request.body) {
                    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
                    targets.extend(
                        entries.iter().map(|entry| format!("/fhir/R4/{}", entry["request"]["url"].as_str().unwrap())),
                    );
                }
                for target in
                    targets.iter().filter(|target| !target.contains("oauth2") && !target.ends_with("/metadata"))
                {
                    let closed = closed_in(target, &allowed);
                    // An include whose targets are several may leave, if one of them is allowed.
                    prop_assert!(closed.is_empty(), "{allowed:?}: {closed:?} in {target}");
                    left.set(left.get() + 1);
                }
            }
            let texts: Vec<String> =
                result.content.iter().filter_map(|b| b.as_text()).map(|t| t.text.clone()).collect();
            if result.is_error == Some(true) {
                refused.set(refused.get() + usize::from(texts.concat().contains("MEDPLUM_ALLOWED_TYPES")));
                continue;
            }
            let record = serde_json::from_str(&texts[0]).unwrap_or_default();
            let shown = closed_shown(&record, &allowed);
            prop_assert!(shown.is_none(), "{allowed:?}: {tool} {arguments}: {shown:?}");
        }
        Ok(())
    });
    outcome.unwrap();
    let (left, refused) = (left.get(), refused.get());
    assert!(left > 100 && refused > 100, "{left} left, {refused} refused: both are to be seen");
}

#[test]
fn a_type_that_is_none_is_an_error_at_the_start() {
    let ended = run(&["--sandbox"], &[("MEDPLUM_ALLOWED_TYPES", "Patient,Obsrvation")], "");
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("MEDPLUM_ALLOWED_TYPES has no resource type \"Obsrvation\". Nearest: Observation"),
        "{}",
        ended.stderr
    );
}

/// A bot is run and a file read where their types are on the list, and only there; what they hold is not FHIR, and is
/// looked into for resources alone.
#[tokio::test]
async fn bots_and_files_need_their_types_and_are_looked_into_for_resources_alone() {
    let run = json!({"bot_id": LISTED_BOT, "input_data": {}});
    let file = json!({"resource_type": "Binary", "resource_id": "1"});
    let stub = Stub::start();
    let mut narrow =
        Pipe::open(&stub, &[("MEDPLUM_ALLOWED_TYPES", "Patient"), ("MEDPLUM_ENABLE_WRITES", "true")]).await;
    for (tool, arguments, says) in
        [("execute_bot", &run, "Bot is closed"), ("read_resource", &file, "Binary is closed")]
    {
        let answer = narrow.call(tool, arguments.clone()).await;
        assert!(answer.error().contains(says), "{answer:?}");
    }
    assert_eq!(stub.lines(), [] as [&str; 0]);
    let mut wide =
        Pipe::open(&stub, &[("MEDPLUM_ALLOWED_TYPES", "Patient,Bot,Binary"), ("MEDPLUM_ENABLE_WRITES", "true")]).await;
    let bot = || Says::json(200, &json!({"resourceType": "Bot", "id": LISTED_BOT}));
    let practitioner = json!({"resourceType": "Practitioner", "id": "1", "name": [{"family": "Closedman"}]});
    stub.say(bot());
    stub.say(Says::json(200, &json!({"said": [practitioner]})));
    let answer = wide.call("execute_bot", run.clone()).await;
    assert!(!answer.blocks.concat().contains("Closedman"), "{answer:?}");
    assert!(answer.note().contains("1 Practitioner resource left out: MEDPLUM_ALLOWED_TYPES."), "{answer:?}");
    stub.taken();
    stub.say(bot());
    stub.say(Says::bytes(200, "text/plain", practitioner.to_string()));
    assert!(wide.call("execute_bot", run).await.text().contains("Closedman"));
    stub.taken();
    stub.say(Says::bytes(200, "text/plain", "Dr Closedman writes"));
    assert!(wide.call("read_resource", file).await.text().contains("Closedman"));
}
