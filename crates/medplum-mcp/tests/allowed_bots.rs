//! Writes are open, and the operator has said which bots may be run: no way leads to any other, now or later, and every
//! way leads to those that are listed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::attempt::{Attempt, all_pass, all_refused, attempt};
use common::{LISTED_BOT, OTHER_BOT, PATIENT, VERSION};
use serde_json::{Value, json};

const VARIABLES: &[(&str, &str)] = &[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ALLOWED_BOT_IDS", LISTED_BOT)];

/// Every refusal names the list.
const LIST: &str = "MEDPLUM_ALLOWED_BOT_IDS";

fn subscription(endpoint: &str) -> Value {
    json!({"resourceType": "Subscription", "status": "active", "reason": "test", "criteria": "Patient", "channel": {"type": "rest-hook", "endpoint": endpoint}})
}

fn operation_definition(bot: &str) -> Value {
    json!({
        "resourceType": "OperationDefinition", "name": "MyOp", "status": "active", "kind": "operation", "code": "my-op",
        "system": true, "type": true, "instance": true,
        "extension": [{
            "url": "https://medplum.com/fhir/StructureDefinition/operationDefinition-implementation",
            "valueReference": {"reference": format!("Bot/{bot}")}
        }]
    })
}

fn agent(bot: &str) -> Value {
    json!({"resourceType": "Agent", "name": "a", "status": "active", "channel": [
        {"name": "c", "endpoint": {"reference": "Endpoint/1"}, "targetReference": {"reference": format!("Bot/{bot}")}}
    ]})
}

fn with_id(mut resource: Value, id: &str) -> Value {
    resource["id"] = id.into();
    resource["meta"] = json!({"versionId": VERSION});
    resource
}

fn raw(method: &str, path: String) -> Attempt {
    attempt("raw_request", json!({"method": method, "path": path}), LIST)
}

fn raw_with(method: &str, path: &str, body: Value) -> Attempt {
    attempt("raw_request", json!({"method": method, "path": path, "body": body}), LIST)
}

fn operation(resource_type: &str, name: &str, id: Option<&str>, method: &str) -> Attempt {
    let mut arguments = json!({"resource_type": resource_type, "operation": name, "method": method});
    if let Some(id) = id {
        arguments["resource_id"] = id.into();
    }
    attempt("execute_operation", arguments, LIST)
}

fn entries(entries: Value) -> Attempt {
    attempt("execute_batch", json!({"bundle": {"type": "batch", "entry": entries}}), LIST)
}

fn graphql(query: &str) -> Attempt {
    attempt("execute_graphql", json!({"query": query}), LIST)
}

#[tokio::test]
async fn a_bot_that_is_not_listed_is_run_by_no_tool() {
    let other = Some(OTHER_BOT);
    let mut rows = vec![
        attempt("execute_bot", json!({"bot_id": OTHER_BOT, "input_data": {}}), LIST),
        attempt("execute_bot", json!({"bot_id": format!("Bot/{OTHER_BOT}"), "input_data": {}}), LIST),
        attempt("save_and_deploy_bot", json!({"bot_id": OTHER_BOT, "source_code": "x", "compiled_code": "x"}), LIST),
        operation("Bot", "execute", other, "POST"),
        operation("Bot", "execute", other, "GET"),
        operation("Bot", "$execute", other, "GET"),
        operation("Bot", "execute", None, "POST"),
        operation("Bot", "deploy", other, "POST"),
        operation("Patient", "my-op", Some(PATIENT), "POST"),
        operation("Patient", "my-op", None, "GET"),
        operation("", "my-op", None, "POST"),
        operation("Patient", "match", None, "POST"),
        operation("Agent", "push", Some(PATIENT), "POST"),
    ];
    for id in ["../x", "1/$execute", ""] {
        rows.push(attempt("execute_bot", json!({"bot_id": id, "input_data": {}}), "bot_id:"));
    }
    all_refused(VARIABLES, rows).await;
}

#[tokio::test]
async fn a_bot_that_is_not_listed_is_run_by_no_path() {
    let mut rows = Vec::new();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        rows.push(raw(method, format!("fhir/R4/Bot/{OTHER_BOT}/$execute")));
        rows.push(raw(method, format!("fhir/R4/Bot/{OTHER_BOT}/%24execute")));
        rows.push(raw(method, "fhir/R4/Patient/1/$my-op".into()));
        rows.push(raw(method, format!("webhook/{OTHER_BOT}")));
    }
    for path in [
        format!("fhir/R4/Bot/{OTHER_BOT}/$execute/any/path"),
        format!("fhir/R4/Bot/{OTHER_BOT}/%24%65xecute"),
        // Behind it anything can stand; which bot it is cannot be told from more than the plain form.
        format!("fhir/R4/Bot/{LISTED_BOT}/$execute/any/path"),
        "fhir/R4/Bot/$execute?identifier=a|b".into(),
        "fhir/R4/$my-op".into(),
        "fhir/R4/Patient/$my-op".into(),
        "fhir/R4/$export".into(),
        "fhir/R4/Agent/1/$upgrade".into(),
        "cds-services".into(),
        "cds-services/1".into(),
        "keyvalue/v1/x".into(),
        "oauth2/logout".into(),
        "admin/projects/1/bot".into(),
        "mcp/stream".into(),
        "fhir/R4/Patient/1/Observation".into(),
    ] {
        rows.push(raw("GET", path.clone()));
        rows.push(raw("POST", path));
    }
    // GET of a plain search or a path of FHIR leads to no bot.
    all_refused(VARIABLES, rows).await;
}

#[tokio::test]
async fn a_bot_that_is_not_listed_is_run_by_no_bundle_and_no_document() {
    let request = |method: &str, url: &str| json!({"method": method, "url": url});
    let create = |resource: Value| json!({"request": request("POST", resource["resourceType"].as_str().unwrap()), "resource": resource});
    let other = |operation: &str| format!("Bot/{OTHER_BOT}/{operation}");
    let listed = json!({"request": request("POST", &format!("Bot/{LISTED_BOT}/$execute"))});
    // [{"op":"add","path":"/cronString","value":"* * * * *"}]
    let schedule = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2Nyb25TdHJpbmciLCJ2YWx1ZSI6IiogKiAqICogKiJ9XQ=="});
    let rows = vec![
        entries(json!([{"request": request("GET", &other("$execute"))}])),
        entries(json!([{"request": request("POST", &other("$execute"))}])),
        entries(json!([{"request": request("POST", &other("%24execute"))}])),
        entries(json!([{"request": request("POST", &other("$deploy"))}])),
        entries(json!([listed, {"request": request("POST", &other("$execute"))}])),
        entries(json!([{"request": request("GET", "Patient/1/$my-op")}])),
        entries(json!([create(subscription(&format!("Bot/{OTHER_BOT}")))])),
        entries(json!([create(operation_definition(OTHER_BOT))])),
        entries(json!([{"request": request("PATCH", &format!("Bot/{OTHER_BOT}")), "resource": schedule}])),
        entries(
            json!([{"request": request("POST", "$graphql"), "resource": {"query": "mutation { SubscriptionCreate(res: {}) { id } }"}}]),
        ),
        graphql("mutation { SubscriptionCreate(res: {}) { id } }"),
        graphql("mutation { SubscriptionUpdate(id: \"1\", res: {}) { id } }"),
        graphql("mutation { SubscriptionPatch(id: \"1\", res: []) { id } }"),
        graphql("mutation { OperationDefinitionCreate(res: {}) { id } }"),
        graphql("mutation { AgentCreate(res: {}) { id } }"),
        graphql("mutation { BotCreate(res: {}) { id } }"),
        graphql("mutation { BotUpdate(id: \"1\", res: {}) { id } }"),
        graphql("mutation { BotPatch(id: \"1\", res: []) { id } }"),
        graphql("mutation { PatientCreate: BotUpdate(id: \"1\", res: {}) { id } }"),
        graphql("mutation { ...F } fragment F on Mutation { BotUpdate(id: \"1\", res: {}) { id } }"),
        graphql(
            "query Q { PatientList { id } } mutation M { a: PatientDelete(id: \"1\") { id } b: BotUpdate(id: \"1\", res: {}) { id } }",
        ),
        attempt(
            "execute_operation",
            json!({"resource_type": "", "operation": "graphql", "params": {"query": "mutation { BotUpdate(id: \"1\", res: {}) { id } }"}}),
            LIST,
        ),
        raw_with("POST", "fhir/R4/$graphql", json!({"query": "mutation { BotUpdate(id: \"1\", res: {}) { id } }"})),
        raw_with(
            "POST",
            "fhir/R4",
            json!({"type": "batch", "entry": [{"request": request("POST", &other("$execute"))}]}),
        ),
    ];
    all_refused(VARIABLES, rows).await;
}

#[tokio::test]
async fn nothing_is_stored_that_would_run_a_bot_that_is_not_listed() {
    let create = |resource: Value| attempt("create_resource", json!({"resource": resource}), LIST);
    let once = |resource: Value| {
        attempt("create_resource_if_none_exist", json!({"resource": resource, "if_none_exist": "identifier=a|b"}), LIST)
    };
    let update = |resource: Value| attempt("update_resource", json!({"resource": resource}), LIST);
    let patch = |resource_type: &str, operations: Value| {
        attempt(
            "patch_resource",
            json!({"resource_type": resource_type, "resource_id": OTHER_BOT, "operations": operations}),
            LIST,
        )
    };
    let bot = |extra: (&str, Value)| {
        let mut bot = json!({"resourceType": "Bot", "name": "x"});
        bot[extra.0] = extra.1;
        bot
    };
    let every_minute = || ("cronString", json!("* * * * *"));
    let rows = vec![
        create(subscription(&format!("Bot/{OTHER_BOT}"))),
        create(subscription(&format!("https://api.medplum.com/fhir/R4/Bot/{OTHER_BOT}"))),
        create(subscription("urn:uuid:11111111-1111-4111-8111-111111111111")),
        create(subscription("Bot?identifier=a|b")),
        create(subscription(" Bot/%34")),
        create(operation_definition(OTHER_BOT)),
        create(agent(OTHER_BOT)),
        create(bot(every_minute())),
        create(bot(("cronTiming", json!({"repeat": {"period": 1, "periodUnit": "d"}})))),
        once(subscription(&format!("Bot/{OTHER_BOT}"))),
        once(bot(every_minute())),
        update(with_id(subscription(&format!("Bot/{OTHER_BOT}")), PATIENT)),
        update(with_id(operation_definition(OTHER_BOT), PATIENT)),
        update(with_id(bot(every_minute()), OTHER_BOT)),
        attempt("create_bot", json!({"name": "x", "additional_fields": {"cronString": "* * * * *"}}), LIST),
        attempt(
            "create_bot",
            json!({"name": "x", "additional_fields": {"cronTiming": {"repeat": {"period": 1, "periodUnit": "d"}}}}),
            LIST,
        ),
        patch(
            "Subscription",
            json!([{"op": "replace", "path": "/channel/endpoint", "value": format!("Bot/{OTHER_BOT}")}]),
        ),
        patch(
            "Subscription",
            json!([{"op": "add", "path": "/channel", "value": {"type": "rest-hook", "endpoint": format!("Bot/{OTHER_BOT}")}}]),
        ),
        patch("Subscription", json!([{"op": "copy", "path": "/channel/endpoint", "from": "/reason"}])),
        patch("Subscription", json!([{"op": "move", "path": "/channel/endpoint", "from": "/reason"}])),
        patch(
            "OperationDefinition",
            json!([{"op": "replace", "path": "/extension/0/valueReference/reference", "value": format!("Bot/{OTHER_BOT}")}]),
        ),
        patch(
            "Agent",
            json!([{"op": "add", "path": "/channel/0/targetReference", "value": {"reference": format!("Bot/{OTHER_BOT}")}}]),
        ),
        patch("Bot", json!([{"op": "add", "path": "/cronString", "value": "* * * * *"}])),
        patch("Bot", json!([{"op": "replace", "path": "/cronTiming/repeat/period", "value": 1}])),
        patch("Bot", json!([{"op": "replace", "path": "", "value": {"resourceType": "Bot"}}])),
        raw_with("POST", "fhir/R4/Subscription", subscription(&format!("Bot/{OTHER_BOT}"))),
        raw_with(
            "PUT",
            &format!("fhir/R4/Subscription/{PATIENT}"),
            with_id(subscription(&format!("Bot/{OTHER_BOT}")), PATIENT),
        ),
        raw_with("PUT", "fhir/R4/Subscription?url=x", subscription(&format!("Bot/{LISTED_BOT}"))),
        raw_with(
            "PATCH",
            &format!("fhir/R4/Bot/{OTHER_BOT}"),
            json!([{"op": "add", "path": "/cronString", "value": "* * * * *"}]),
        ),
        raw_with("PATCH", &format!("fhir/R4/Bot/{OTHER_BOT}"), json!({"resourceType": "Parameters"})),
        raw_with("PATCH", "fhir/R4/Bot?name=x", json!([{"op": "add", "path": "/cronString", "value": "* * * * *"}])),
    ];
    all_refused(VARIABLES, rows).await;
}

#[tokio::test]
async fn a_bot_that_is_listed_runs_on_every_way() {
    let bot = format!("/fhir/R4/Bot/{LISTED_BOT}");
    let run = |method: &str| vec![format!("GET {bot}"), format!("{method} {bot}/$execute")];
    let arguments = |method: &str| json!({"resource_type": "Bot", "resource_id": LISTED_BOT, "operation": "execute", "method": method});
    let path = format!("fhir/R4/Bot/{LISTED_BOT}/$execute");
    let calls = vec![
        ("execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {"a": 1}}), run("POST")),
        ("execute_operation", arguments("POST"), run("POST")),
        ("execute_operation", arguments("GET"), run("GET")),
        ("raw_request", json!({"method": "GET", "path": path}), run("GET")),
        ("raw_request", json!({"method": "POST", "path": path, "body": {}}), run("POST")),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "POST", "url": format!("Bot/{LISTED_BOT}/$execute")}}]}}),
            vec![format!("GET {bot}"), "POST /fhir/R4".into()],
        ),
    ];
    all_pass(VARIABLES, calls).await;
}

/// How often these lines are in what left: a server may read before it writes.
async fn lets(calls: Vec<(&'static str, Value, String)>) {
    let stub = common::Stub::start();
    let mut pipe = common::Pipe::open(&stub, VARIABLES).await;
    for (tool, arguments, line) in calls {
        let answer = pipe.call(tool, arguments.clone()).await;
        let left = stub.lines();
        assert!(!answer.failed && left.contains(&line), "{tool} {arguments}: {answer:?} {left:?}");
    }
}

#[tokio::test]
async fn what_leads_to_a_listed_bot_or_to_none_is_stored() {
    let create = |resource: Value| {
        let line = format!("POST /fhir/R4/{}", resource["resourceType"].as_str().unwrap());
        ("create_resource", json!({"resource": resource}), line)
    };
    let scheduled = with_id(json!({"resourceType": "Bot", "name": "x", "cronString": "* * * * *"}), LISTED_BOT);
    let schedule = json!([{"op": "add", "path": "/cronString", "value": "* * * * *"}]);
    let rename = json!([{"op": "add", "path": "/name", "value": "y"}]);
    let patch = |id: &str, operations: Value| {
        let arguments = json!({"resource_type": "Bot", "resource_id": id, "operations": operations});
        ("patch_resource", arguments, format!("PATCH /fhir/R4/Bot/{id}"))
    };
    lets(vec![
        create(subscription(&format!("Bot/{LISTED_BOT}"))),
        create(subscription("https://hooks.example/in")),
        create(operation_definition(LISTED_BOT)),
        create(json!({"resourceType": "Bot", "name": "x"})),
        create(json!({"resourceType": "Patient", "name": [{"family": "Smith"}]})),
        ("create_bot", json!({"name": "x"}), "POST /fhir/R4/Bot".into()),
        ("update_resource", json!({"resource": scheduled}), format!("PUT /fhir/R4/Bot/{LISTED_BOT}")),
        patch(LISTED_BOT, schedule),
        patch(OTHER_BOT, rename),
        (
            "save_and_deploy_bot",
            json!({"bot_id": LISTED_BOT, "source_code": "a", "compiled_code": "b"}),
            format!("POST /fhir/R4/Bot/{LISTED_BOT}/$deploy"),
        ),
        (
            "delete_resource",
            json!({"resource_type": "Bot", "resource_id": OTHER_BOT}),
            format!("DELETE /fhir/R4/Bot/{OTHER_BOT}"),
        ),
        ("execute_graphql", json!({"query": "{ BotList { id } }"}), "POST /fhir/R4/$graphql".into()),
        ("raw_request", json!({"method": "GET", "path": "auth/me"}), "GET /auth/me".into()),
    ])
    .await;
}

#[tokio::test]
async fn saving_and_deploying_is_both_or_neither() {
    let stub = common::Stub::start();
    let mut pipe = common::Pipe::open(&stub, VARIABLES).await;
    let arguments = json!({"bot_id": LISTED_BOT, "source_code": "source", "compiled_code": "compiled"});
    let answer = pipe.call("save_and_deploy_bot", arguments).await;
    assert_eq!(answer.record()["code"], "source");
    assert_eq!(answer.note(), "Saved and deployed.");
    let asked = stub.taken();
    let asked =
        |method: &str, end: &str| asked.iter().find(|a| a.method == method && a.target.ends_with(end)).unwrap().clone();
    let saved = asked("PUT", LISTED_BOT);
    assert_eq!(saved.header("if-match"), Some(format!("W/\"{VERSION}\"").as_str()), "nobody's change is lost");
    assert_eq!(asked("POST", "$deploy").json(), json!({"code": "compiled", "filename": "index.js"}));
}
