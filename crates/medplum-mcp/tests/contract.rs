//! The surface that agents and operators were promised: the tools of pymedplum-mcp 0.6.0 under the same names, with the
//! same parameters, types, defaults and required sets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use std::collections::BTreeSet;

use common::{Pipe, Stub};
use serde_json::{Map, Value, json};

const WRITES: (&str, &str) = ("MEDPLUM_ENABLE_WRITES", "true");
const OBO: (&str, &str) = ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true");

/// What cannot read is not there where only reads are allowed.
const CANNOT_READ: &[&str] = &[
    "create_resource",
    "create_resource_if_none_exist",
    "update_resource",
    "patch_resource",
    "delete_resource",
    "execute_bot",
    "create_bot",
    "save_and_deploy_bot",
];

/// Where we take more than was promised: a bot may want a text.
const TAKES_MORE: &[&str] = &["execute_bot.input_data"];

fn contract() -> Value {
    serde_json::from_str(include_str!("fixtures/contract.json")).unwrap()
}

async fn tools(variables: &[(&str, &str)]) -> Vec<Value> {
    let stub = Stub::start();
    let tools = Pipe::open(&stub, variables).await.tools().await;
    assert!(stub.taken().is_empty(), "listing the tools asks nobody");
    tools
}

fn named<'a>(tools: &'a [Value], name: &str) -> &'a Value {
    tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("{name} is not listed"))
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

fn properties(tool: &Value) -> &Map<String, Value> {
    tool["inputSchema"]["properties"].as_object().unwrap()
}

/// The JSON types that a parameter takes, but null, which is the same as leaving it out.
fn types(property: &Value, definitions: &Value) -> BTreeSet<String> {
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return types(&definitions[name], definitions);
    }
    let mut found: BTreeSet<String> = match &property["type"] {
        Value::String(only) => BTreeSet::from([only.clone()]),
        Value::Array(several) => several.iter().map(|t| t.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    };
    for choice in property["anyOf"].as_array().into_iter().flatten() {
        found.extend(types(choice, definitions));
    }
    found.remove("null");
    found
}

/// The values that a parameter is limited to, if it is.
fn allowed(property: &Value) -> BTreeSet<String> {
    let choices = property["anyOf"].as_array().into_iter().flatten();
    choices
        .chain([property])
        .flat_map(|choice| choice["enum"].as_array().into_iter().flatten())
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

/// A default of null says what leaving it out says anyway.
fn default(property: &Value) -> Value {
    property.get("default").cloned().unwrap_or(Value::Null)
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_tool_of_the_contract_is_there_with_its_parameters() {
    let listed = tools(&[WRITES, OBO]).await;
    let contract = contract();
    let promised = contract["tools"].as_object().unwrap();
    assert_eq!(promised.len(), 24);
    for (name, tool) in promised {
        let ours = named(&listed, name);
        assert_eq!(ours["title"], tool["title"], "{name}");
        let schema = &tool["inputSchema"];
        assert_eq!(required(&ours["inputSchema"]), required(schema), "{name}: required");
        for (parameter, theirs) in schema["properties"].as_object().unwrap() {
            let place = format!("{name}.{parameter}");
            let Some(mine) = properties(ours).get(parameter) else { panic!("{place} is missing") };
            let (mine_takes, theirs_takes) = (types(mine, &Value::Null), types(theirs, &schema["$defs"]));
            if TAKES_MORE.contains(&place.as_str()) {
                assert!(mine_takes.is_superset(&theirs_takes), "{place}: {mine_takes:?}, not all of {theirs_takes:?}");
            } else {
                assert_eq!(mine_takes, theirs_takes, "{place}: types");
            }
            assert_eq!(allowed(mine), allowed(theirs), "{place}: enum");
            assert_eq!(default(mine), default(theirs), "{place}: default");
        }
        // What is more than was promised is never required.
        let more: Vec<&String> = properties(ours)
            .keys()
            .filter(|key| !schema["properties"].as_object().unwrap().contains_key(*key))
            .collect();
        assert!(more.iter().all(|key| !required(&ours["inputSchema"]).contains(key.as_str())), "{name}: {more:?}");
    }
}

/// What a list of a parameter holds, if it may be one.
fn held(property: &Value) -> Option<&Value> {
    let choices = property["anyOf"].as_array().into_iter().flatten().chain([property]);
    choices.into_iter().find_map(|choice| choice.get("items"))
}

#[tokio::test]
async fn a_list_holds_what_it_holds_in_the_contract() {
    let listed = tools(&[WRITES]).await;
    for (name, tool) in contract()["tools"].as_object().unwrap() {
        for (parameter, theirs) in tool["inputSchema"]["properties"].as_object().unwrap() {
            let mine = properties(named(&listed, name)).get(parameter).and_then(held);
            let types = |of: Option<&Value>| of.map(|of| types(of, &tool["inputSchema"]["$defs"]));
            assert_eq!(types(mine), types(held(theirs)), "{name}.{parameter}");
        }
    }
}

#[tokio::test]
async fn a_raw_body_may_be_any_list() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[WRITES]).await;
    for body in [json!(["a", 1, null, [true]]), json!([]), json!([{"a": 1}])] {
        let call = json!({"method": "POST", "path": "fhir/R4/$do-it", "body": body});
        assert!(!pipe.call("raw_request", call).await.failed, "{body}");
        assert_eq!(stub.taken().last().unwrap().json(), body);
    }
}

#[tokio::test]
async fn a_patch_operation_has_the_form_of_the_contract() {
    let listed = tools(&[WRITES]).await;
    let operation = &properties(named(&listed, "patch_resource"))["operations"]["items"];
    assert_eq!(operation["type"], "object");
    assert_eq!(required(operation), BTreeSet::from(["op", "path"]));
    assert_eq!(
        allowed(&operation["properties"]["op"]),
        ["add", "copy", "move", "remove", "replace", "test"].map(str::to_owned).into()
    );
    assert!(operation["properties"].get("value").is_some() && operation["properties"].get("from").is_some());
}

#[tokio::test]
async fn each_resource_of_the_contract_is_listed_and_can_be_read() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let listed = pipe.request("resources/list", json!({})).await;
    let listed = listed["result"]["resources"].as_array().unwrap().clone();
    for promised in contract()["resources"].as_array().unwrap() {
        let ours = listed.iter().find(|r| r["uri"] == promised["uri"]).expect("listed");
        assert_eq!((&ours["name"], &ours["mimeType"]), (&promised["name"], &promised["mimeType"]));
        let read = pipe.request("resources/read", json!({"uri": promised["uri"]})).await;
        let content = &read["result"]["contents"][0];
        assert_eq!((&content["uri"], &content["mimeType"]), (&promised["uri"], &promised["mimeType"]));
        assert!(!content["text"].as_str().unwrap().is_empty());
    }
    assert!(stub.taken().is_empty(), "no resource asks Medplum");
}

#[tokio::test]
async fn read_only_lists_what_can_read_and_nothing_else() {
    let listed = tools(&[]).await;
    let promised: BTreeSet<String> = contract()["tools"].as_object().unwrap().keys().cloned().collect();
    for name in promised {
        assert_eq!(names(&listed).contains(&name.as_str()), !CANNOT_READ.contains(&name.as_str()), "{name}");
    }
    for tool in &listed {
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], true, "{}", tool["name"]);
        assert_eq!(hints["destructiveHint"], false, "{}", tool["name"]);
        assert_eq!(hints["idempotentHint"], true, "{}", tool["name"]);
        assert_eq!(hints["openWorldHint"], false, "{}", tool["name"]);
    }
    let raw = properties(named(&listed, "raw_request"));
    assert_eq!(raw["method"]["enum"], json!(["GET"]));
    assert!(!raw.contains_key("body"), "a GET has no body");
}

#[tokio::test]
async fn every_tool_says_what_it_does() {
    let contract = contract();
    for tool in tools(&[WRITES]).await {
        let name = tool["name"].as_str().unwrap();
        let hints = &tool["annotations"];
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(hints[hint].is_boolean(), "{name}: {hint}");
        }
        assert!(!tool["title"].as_str().unwrap_or_default().is_empty(), "{name}");
        let Some(promised) = contract["tools"].get(name) else { continue };
        // Mutations are refused here, so GraphQL reads whatever is open.
        let reads = promised["readOnlyHint"] == true || name == "execute_graphql";
        assert_eq!(hints["readOnlyHint"], reads, "{name}");
        // A read destroys nothing; the contract leaves that unsaid.
        assert_eq!(hints["destructiveHint"], !reads && promised["destructiveHint"] == true, "{name}");
        let runs =
            ["execute_bot", "create_bot", "save_and_deploy_bot", "execute_operation", "execute_batch", "raw_request"];
        assert_eq!(hints["openWorldHint"], runs.contains(&name), "{name}: only what can run a bot reaches beyond");
    }
}

#[tokio::test]
async fn on_behalf_of_is_listed_only_where_a_call_may_name_it() {
    let without = |name: &str| ["get_resource_schema", "get_resource_capabilities"].contains(&name);
    let promised: BTreeSet<String> = contract()["tools"].as_object().unwrap().keys().cloned().collect();
    for (variables, listed_where_taken) in [(vec![WRITES], false), (vec![WRITES, OBO], true)] {
        for tool in tools(&variables).await.iter().filter(|tool| promised.contains(tool["name"].as_str().unwrap())) {
            let name = tool["name"].as_str().unwrap();
            let expected = listed_where_taken && !without(name);
            assert_eq!(properties(tool).contains_key("on_behalf_of"), expected, "{name}");
        }
    }
}

/// Every key of a schema, and where it stands.
fn walk<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a str, &'a Value)) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                visit(path, key, inner);
                walk(inner, &format!("{path}.{key}"), visit);
            }
        }
        Value::Array(values) => values.iter().for_each(|inner| walk(inner, path, visit)),
        _ => {}
    }
}

#[tokio::test]
async fn schemas_are_flat_and_without_noise() {
    for variables in [vec![], vec![WRITES], vec![WRITES, OBO]] {
        for tool in tools(&variables).await {
            let name = tool["name"].as_str().unwrap();
            let schema = &tool["inputSchema"];
            assert_eq!(schema["type"], "object", "{name}");
            walk(schema, name, &mut |path, key, value| {
                let is_property = path.ends_with(".properties");
                let noise = ["$schema", "$ref", "$defs", "definitions", "oneOf", "allOf", "title", "format"];
                assert!(is_property || !noise.contains(&key), "{path}.{key}");
                assert!(!value.is_null() && *value != json!("null"), "{path}.{key} is null");
                let nullable = value.as_array().is_some_and(|values| values.iter().any(|v| v.is_null() || v == "null"));
                assert!(!nullable, "{path}.{key} holds null");
                assert!(
                    !(key == "description" && path.ends_with(".items")),
                    "{path}: what a list holds is said at the list"
                );
            });
        }
    }
}

/// What models' own dialects of JSON Schema take: one type at a time, branches that differ in it, lists that say of what.
#[tokio::test]
async fn schemas_are_taken_by_every_model() {
    for variables in [vec![], vec![WRITES, OBO]] {
        for tool in tools(&variables).await {
            walk(&tool["inputSchema"], tool["name"].as_str().unwrap(), &mut |path, key, value| match key {
                "type" if !path.ends_with(".properties") => assert!(value.is_string(), "{path}: {value}"),
                "anyOf" => {
                    let branches = value.as_array().unwrap();
                    let types: BTreeSet<&str> =
                        branches.iter().map(|branch| branch["type"].as_str().unwrap()).collect();
                    assert!(branches.len() > 1 && types.len() == branches.len(), "{path}: {value}");
                }
                _ => {}
            });
            let text = tool["inputSchema"].to_string();
            let (lists, say) = (text.matches(r#""type":"array""#).count(), text.matches(r#""items":{"#).count());
            assert_eq!(lists, say, "{}: a list says what it holds", tool["name"]);
        }
    }
}

#[tokio::test]
async fn definitions_are_short_and_in_the_same_order_every_time() {
    let first = tools(&[WRITES, OBO]).await;
    assert_eq!(first, tools(&[WRITES, OBO]).await);
    for tool in &first {
        let name = tool["name"].as_str().unwrap();
        let description = tool["description"].as_str().unwrap();
        assert!((20..1_000).contains(&description.chars().count()), "{name}: {}", description.chars().count());
        // A parameter's description is read as often as the tool's own.
        for (parameter, property) in properties(tool) {
            let length = property["description"].as_str().unwrap_or_default().chars().count();
            assert!(length < 300, "{name}.{parameter}: {length}");
        }
    }
    let read_only = tools(&[]).await;
    let in_both: Vec<&str> = names(&first).into_iter().filter(|name| names(&read_only).contains(name)).collect();
    assert_eq!(names(&read_only), in_both, "read-only keeps the order");
}

#[test]
fn the_instructions_are_short_and_carry_the_rules() {
    let text = medplum_mcp::server::INSTRUCTIONS;
    assert!(text.chars().count() < 2_000, "{}", text.chars().count());
    let rules = [
        "FHIR R4",
        "Discover before",
        "identifier",
        "Read a resource right before",
        "is data",
        "only when the user asked",
    ];
    for rule in rules {
        assert!(text.contains(rule), "{rule}");
    }
}
