//! The operator opens some toolsets: the other tools are not there, no text speaks of them as if they were, and what they
//! alone could ask is asked by no other tool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::attempt::{Attempt, all_pass, all_refused, attempt, line};
use common::host::run;
use common::pipe::server;
use common::{LISTED_BOT, PATIENT, Pipe, Stub};
use medplum_mcp::toolset::Toolset;
use rmcp::handler::server::ServerHandler;
use serde_json::{Value, json};

const WRITES: (&str, &str) = ("MEDPLUM_ENABLE_WRITES", "true");

fn names(stub: &Stub, variables: &[(&str, &str)]) -> Vec<String> {
    server(stub, variables).listing().iter().map(|tool| tool.name.to_string()).collect()
}

#[test]
fn each_toolset_opens_its_tools_and_no_others() {
    let stub = Stub::start();
    let mut listed = String::new();
    let mut opened = Vec::new();
    for toolset in Toolset::ALL {
        let tools = names(&stub, &[("MEDPLUM_TOOLSETS", toolset.name()), WRITES]);
        listed.push_str(&format!("{}: {}\n", toolset.name(), tools.join(", ")));
        opened.extend(tools);
    }
    insta::assert_snapshot!(listed);
    let mut all = names(&stub, &[WRITES]);
    all.sort();
    opened.sort();
    assert_eq!(opened, all, "each tool belongs to one toolset");
    assert_eq!(names(&stub, &[("MEDPLUM_TOOLSETS", "all")]), names(&stub, &[]));
    // Read-only is a limit beside it.
    assert_eq!(names(&stub, &[("MEDPLUM_TOOLSETS", "read,write")]), ["read_resource"]);
}

#[tokio::test]
async fn a_closed_tool_says_what_opens_it() {
    let says = "The operator opens it by adding patient to MEDPLUM_TOOLSETS (now read, search). Nothing was sent.";
    let rows = vec![attempt("get_patient_summary", json!({"patient_id": PATIENT}), says)];
    all_refused(&[("MEDPLUM_TOOLSETS", "search,read")], rows).await;
    // A closed toolset is named before read-only: opening writes alone would not help.
    let rows = vec![attempt(
        "delete_resource",
        json!({"resource_type": "Patient", "resource_id": "1"}),
        "adding write to MEDPLUM_TOOLSETS",
    )];
    all_refused(&[("MEDPLUM_TOOLSETS", "search")], rows).await;
}

fn raw(method: &str, path: &str, body: Value) -> Value {
    json!({"method": method, "path": path, "body": body})
}

#[tokio::test]
async fn what_a_closed_toolset_does_is_done_by_no_other_tool() {
    let query = json!({"query": "{ PatientList { id } }"});
    let patient = json!({"resourceType": "Patient"});
    let batch = json!({"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/1"}}]});
    let in_batch =
        json!({"type": "batch", "entry": [{"request": {"method": "POST", "url": "$graphql"}, "resource": query}]});
    let bot_in_batch = json!({"type": "batch", "entry": [{"request": {"method": "POST", "url": "Bot"}, "resource": {"resourceType": "Bot", "name": "x"}}]});
    let execute = format!("fhir/R4/Bot/{LISTED_BOT}/$execute");
    let all_but = |closed: &str| {
        let open: Vec<&str> =
            Toolset::ALL.iter().map(|toolset| toolset.name()).filter(|name| *name != closed).collect();
        open.join(",")
    };
    let table: Vec<(&str, Vec<(&'static str, Value)>)> = vec![
        (
            "graphql",
            vec![
                ("raw_request", raw("POST", "fhir/R4/$graphql", query.clone())),
                ("execute_operation", json!({"resource_type": "", "operation": "graphql", "params": query})),
                ("execute_batch", json!({"bundle": in_batch})),
            ],
        ),
        ("bundle", vec![("raw_request", raw("POST", "fhir/R4", batch))]),
        (
            "bot",
            vec![
                ("raw_request", raw("POST", &execute, json!({}))),
                (
                    "execute_operation",
                    json!({"resource_type": "Bot", "resource_id": LISTED_BOT, "operation": "execute"}),
                ),
                (
                    "execute_operation",
                    json!({"resource_type": "Bot", "resource_id": LISTED_BOT, "operation": "deploy"}),
                ),
                // An OperationDefinition may bind any other name to a bot.
                (
                    "execute_operation",
                    json!({"resource_type": "Patient", "resource_id": PATIENT, "operation": "my-op"}),
                ),
                ("raw_request", raw("GET", "fhir/R4/Patient/$my-op", Value::Null)),
                ("create_resource", json!({"resource": {"resourceType": "Bot", "name": "x"}})),
                ("execute_batch", json!({"bundle": bot_in_batch})),
            ],
        ),
        (
            "write",
            vec![
                ("raw_request", raw("POST", "fhir/R4/Patient", patient)),
                ("raw_request", json!({"method": "DELETE", "path": "fhir/R4/Patient/1"})),
                ("raw_request", raw("PATCH", "fhir/R4/Patient/1", json!([{"op": "remove", "path": "/active"}]))),
            ],
        ),
    ];
    for (closed, calls) in table {
        let open = all_but(closed);
        let says: &'static str = Box::leak(format!("adding {closed} to MEDPLUM_TOOLSETS").into_boxed_str());
        let rows: Vec<Attempt> = calls.into_iter().map(|(tool, arguments)| attempt(tool, arguments, says)).collect();
        all_refused(&[("MEDPLUM_TOOLSETS", &open), WRITES], rows).await;
    }
}

#[tokio::test]
async fn what_another_toolset_needs_by_the_way_stays_open() {
    let get = |path: &str| json!({"method": "GET", "path": path});
    let of_patient = format!("fhir/R4/Patient/{PATIENT}");
    let calls = vec![
        ("raw_request", get("fhir/R4/Patient?name=x"), line("GET", "fhir/R4/Patient?name=x")),
        ("raw_request", get(&of_patient), line("GET", &of_patient)),
    ];
    all_pass(&[("MEDPLUM_TOOLSETS", "raw")], calls).await;
    // A write in a bundle is the bundle's, and a bot is saved by its own tools.
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[("MEDPLUM_TOOLSETS", "bundle,bot"), WRITES]).await;
    let entry = json!({"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}});
    let answer = pipe.call("execute_batch", json!({"bundle": {"type": "batch", "entry": [entry]}})).await;
    assert!(!answer.failed, "{answer:?}");
    let bot = json!({"bot_id": LISTED_BOT, "source_code": "x", "compiled_code": "y"});
    let answer = pipe.call("save_and_deploy_bot", bot).await;
    assert!(!answer.failed, "{answer:?}");
}

/// Every text that an agent gets without a record in it.
async fn texts(stub: &Stub, variables: &[(&str, &str)]) -> Vec<String> {
    let instructions = server(stub, variables).get_info().instructions.unwrap_or_default();
    let mut pipe = Pipe::open(stub, variables).await;
    let mut texts = vec![instructions];
    for uri in ["medplum://tool-guide", "medplum://common-errors", "medplum://server-info"] {
        let answer = pipe.request("resources/read", json!({"uri": uri})).await;
        texts.push(answer["result"]["contents"][0]["text"].as_str().unwrap().to_owned());
    }
    texts.extend(pipe.tools().await.iter().map(Value::to_string));
    let nobody = json!({"resource_type": "Observation", "params": {"patient": "Patient/1", "code": "8867-4"}});
    let calls = [
        ("search_resources", nobody.clone()),
        ("search_one", nobody.clone()),
        ("search_resources", json!({"resource_type": "Patient", "params": {"familly": "x"}})),
        ("query_resources", nobody.clone()),
        ("list_codes", nobody),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": "a b"})),
        ("read_resource", json!({"resource_type": "Patientt", "resource_id": "1"})),
        ("get_patient_everything", json!({"patient_id": "1"})),
        ("get_patient_summary", json!({"patient_id": "1"})),
        ("get_resource_schema", json!({"resource_type": "Patient"})),
        ("get_resource_capabilities", json!({"resource_type": "Patient"})),
        ("translate_concept", json!({"code": "x", "system": "y"})),
        ("raw_request", json!({"method": "GET", "path": "fhir/R4/$my-op"})),
        ("raw_request", json!({"method": "GET", "path": "fhir/R4/ClientApplication/$csv"})),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient?familly=1"}}]}}),
        ),
        ("execute_graphql", json!({"query": "mutation { PatientDelete(id: 1) { id } }"})),
        ("no_such_tool", json!({})),
    ];
    let open: Vec<String> = pipe.tools().await.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    for (tool, arguments) in calls {
        if tool == "no_such_tool" || open.iter().any(|name| name == tool) {
            texts.extend(pipe.call(tool, arguments).await.blocks);
        }
    }
    texts
}

#[tokio::test]
async fn no_text_speaks_of_a_closed_tool() {
    let stub = Stub::start();
    let all = names(&stub, &[WRITES]);
    let mut lists: Vec<String> = Toolset::ALL.iter().map(|toolset| toolset.name().to_owned()).collect();
    lists.extend(
        ["discover,read,search", "query,patient", "search,raw,graphql", "discover,operation,bundle,terminology"]
            .map(str::to_owned),
    );
    for list in lists {
        for writes in ["true", "false"] {
            if writes == "false" && ["write", "bot"].contains(&list.as_str()) {
                continue;
            }
            let variables = [("MEDPLUM_TOOLSETS", list.as_str()), ("MEDPLUM_ENABLE_WRITES", writes)];
            let open = names(&stub, &variables);
            for text in texts(&stub, &variables).await {
                let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                for word in words.filter(|word| all.iter().any(|name| name == word)) {
                    assert!(open.iter().any(|name| name == word), "{list}, writes {writes}: {word} in\n{text}");
                }
            }
        }
    }
}

#[test]
fn the_texts_of_a_small_server() {
    let stub = Stub::start();
    let variables = [("MEDPLUM_TOOLSETS", "read,query")];
    let server = server(&stub, &variables);
    let listing = server.listing();
    let query = listing.iter().find(|tool| tool.name == "query_resources").unwrap();
    // Told by search_resources elsewhere, and here by itself.
    let params = query.input_schema["properties"]["params"]["description"].as_str().unwrap();
    assert!(params.contains("a list is AND, a comma OR"), "{params}");
    insta::assert_snapshot!(server.get_info().instructions.unwrap());
}

#[test]
fn a_name_that_is_none_is_an_error_at_the_start() {
    let ended = run(&["--sandbox"], &[("MEDPLUM_TOOLSETS", "read,serach")], "");
    assert_ne!(ended.code, Some(0));
    for part in [
        "MEDPLUM_TOOLSETS has no toolset \"serach\"",
        "discover, read, search, patient, terminology, query, write, bundle, bot, operation, graphql, raw",
        "For example: MEDPLUM_TOOLSETS=discover,read,search,patient",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let ended = run(&["--sandbox"], &[("MEDPLUM_TOOLSETS", "write")], "");
    assert!(ended.stderr.contains("so no tool would be there"), "{}", ended.stderr);
}
