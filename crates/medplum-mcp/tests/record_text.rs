//! The record's own text on its way to an agent: no secret, and nothing that cannot be seen, on any way to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::attempt::{all_refused, attempt};
use common::pipe::server;
use common::{Answer, Pipe, SECRET, Says, Stub, TOKEN, VERSION};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// It stands in every secret, and in nothing else.
const MARK: &str = "hunter2";

/// A resource of each type that holds secrets, with all of them.
fn keepers_of_secrets() -> Vec<Value> {
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{MARK}{}.{MARK}", "a".repeat(30));
    let provider = json!({"clientId": "c", "clientSecret": MARK, "userInfoApiKey": MARK});
    let setting = json!([{"name": "API_KEY", "valueString": MARK}, {"name": "PIN", "valueInteger": 1}]);
    let signed = format!(
        "https://s.test/b?X-Amz-Signature={MARK}&X-Amz-Credential={MARK}&X-Amz-Security-Token={MARK}&Signature={MARK}&Policy={MARK}&Key-Pair-Id={MARK}&sig={MARK}&X-Goog-Signature={MARK}&x=1"
    );
    vec![
        json!({"resourceType": "ClientApplication", "secret": MARK, "retiringSecret": MARK, "identityProvider": provider}),
        json!({"resourceType": "Project", "secret": setting, "systemSecret": setting,
            "setting": [{"name": "smtpPassword", "valueString": MARK}],
            "site": [{"name": "s", "domain": ["d"], "googleClientSecret": MARK, "recaptchaSecretKey": MARK}]}),
        json!({"resourceType": "User", "passwordHash": MARK, "mfaSecret": MARK, "email": "a@b.c"}),
        json!({"resourceType": "Login", "code": MARK, "cookie": MARK, "refreshSecret": MARK, "previousRefreshSecret": MARK,
            "nonce": MARK, "codeChallenge": MARK, "preAuthorizedCodeHash": MARK, "emailMfa": {"codeHash": MARK}}),
        json!({"resourceType": "JsonWebKey", "kty": "RSA", "n": "public", "d": MARK, "p": MARK, "q": MARK, "dp": MARK, "dq": MARK, "qi": MARK}),
        json!({"resourceType": "UserSecurityRequest", "secret": MARK}),
        json!({"resourceType": "DomainConfiguration", "domain": "d", "identityProvider": provider}),
        json!({"resourceType": "SmartHealthLink", "url": format!("https://v.test/#shlink:/{MARK}"), "passcodeHash": MARK}),
        json!({"resourceType": "Subscription", "channel": {"type": "rest-hook", "header": [format!("X-Api-Key: {MARK}")],
            "endpoint": format!("https://u:{MARK}@h.test/in?token={MARK}")},
            "extension": [{"url": "https://www.medplum.com/fhir/StructureDefinition/subscription-secret", "valueString": MARK}]}),
        json!({"resourceType": "Endpoint", "header": [format!("Authorization: {MARK}")]}),
        json!({"resourceType": "DocumentReference", "description": format!("token {jwt}"),
            "content": [{"attachment": {"url": signed}}]}),
        json!({"resourceType": "AuditEvent", "outcomeDesc": format!("{{\"client_secret\":\"{MARK}\"}} Bearer {MARK}0123456789abcdef"),
            "extension": [{"url": "x", "valueString": format!("-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----")}]}),
        json!({"resourceType": "Basic", "identifier": [{"value": "j"}], "jwk": {"kty": "oct", "k": MARK}, "se\u{200b}cret": MARK}),
    ]
}

fn stored(mut resource: Value) -> Value {
    resource["id"] = "1".into();
    resource["meta"] = json!({"versionId": "1", "lastUpdated": "2026-01-05T08:00:00.629Z"});
    resource
}

fn searchset(resource: &Value) -> Value {
    json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource, "search": {"mode": "match"}}]})
}

/// Every way on which a resource comes, and what Medplum says there.
fn ways(resource: &Value) -> Vec<(&'static str, Value, Value)> {
    let of_type = resource["resourceType"].as_str().unwrap();
    let path = |path: &str| json!({"method": "GET", "path": format!("fhir/R4/{of_type}/{path}")});
    let entry = json!({"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {"status": "200"}, "resource": resource}]});
    let read = json!({"request": {"method": "GET", "url": format!("{of_type}/1")}});
    let everything = json!(["descendants().ofType(string)", "%resource", "secret", "children()"]);
    let history = json!({"resourceType": "Bundle", "type": "history", "entry": [{"resource": resource}]});
    let select = format!("select json, * from {of_type}");
    vec![
        ("read_resource", json!({"resource_type": of_type, "resource_id": "1"}), resource.clone()),
        (
            "read_resource",
            json!({"resource_type": of_type, "resource_id": "1", "fields": ["%resource", "descendants()"]}),
            resource.clone(),
        ),
        ("search_resources", json!({"resource_type": of_type, "narrative": true}), searchset(resource)),
        ("search_resources", json!({"resource_type": of_type, "fields": everything}), searchset(resource)),
        ("search_one", json!({"resource_type": of_type}), searchset(resource)),
        ("search_all_resources", json!({"resource_type": of_type}), searchset(resource)),
        ("query_resources", json!({"resource_type": of_type, "sql": select}), searchset(resource)),
        ("query_resources", json!({"resource_type": of_type}), searchset(resource)),
        ("get_patient_everything", json!({"patient_id": "1"}), searchset(resource)),
        ("execute_batch", json!({"bundle": {"type": "batch", "entry": [read]}}), entry),
        ("raw_request", path("1"), resource.clone()),
        ("raw_request", path("1/_history"), history),
        ("raw_request", path("1/_history/1"), resource.clone()),
        (
            "raw_request",
            json!({"method": "GET", "path": "auth/me"}),
            json!({"project": resource, "profile": [resource]}),
        ),
        ("execute_graphql", json!({"query": "{ PatientList { id } }"}), json!({"data": {"x": resource}})),
    ]
}

/// The answer to a call that Medplum answers like this.
async fn answered(pipe: &mut Pipe, stub: &Stub, tool: &str, arguments: &Value, says: Says) -> Answer {
    // An operation on a resource reads it first.
    if tool == "get_patient_everything" {
        stub.say(Says::json(200, &json!({"resourceType": "Patient", "id": "1"})));
    }
    stub.say(says);
    let answer = pipe.call(tool, arguments.clone()).await;
    stub.taken();
    answer
}

#[tokio::test]
async fn no_secret_comes_on_any_way() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    // Asked for once, so that it is not asked for between.
    pipe.call("get_resource_capabilities", json!({})).await;
    let mut shown = 0;
    for resource in keepers_of_secrets().into_iter().map(stored) {
        for (tool, arguments, says) in ways(&resource) {
            let answer = answered(&mut pipe, &stub, tool, &arguments, Says::json(200, &says)).await;
            let text = answer.blocks.concat();
            assert!(!text.contains(MARK), "{tool} {arguments}: {text}");
            assert!(!answer.failed || !text.contains("not FHIR"), "{tool} {arguments}: {text}");
            shown += usize::from(!answer.failed && text.contains("secret left out"));
        }
    }
    assert!(shown > 100, "{shown} answers had something left out");
}

#[tokio::test]
async fn a_text_that_is_no_json_loses_its_secrets_too() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[("MEDPLUM_ENABLE_WRITES", "true")]).await;
    let text = format!("client_secret={MARK}&x=1 \u{202e}Authorization: Bearer {MARK}0123456789abcdef\nnext");
    let bot = json!({"bot_id": common::LISTED_BOT, "input_data": {}});
    let binary = json!({"resource_type": "Binary", "resource_id": "1"});
    for (tool, arguments) in [("execute_bot", bot), ("read_resource", binary)] {
        if tool == "execute_bot" {
            stub.say(Says::json(200, &json!({"resourceType": "Bot", "id": common::LISTED_BOT})));
        }
        let answer = answered(&mut pipe, &stub, tool, &arguments, Says::bytes(200, "text/plain", text.clone())).await;
        assert_eq!(answer.text(), "client_secret=[secret left out]&x=1 Authorization: Bearer [secret left out]\nnext");
    }
}

/// Whatever the bytes of an image look like, they are not ours to change.
#[tokio::test]
async fn bytes_come_as_they_are_whatever_they_spell() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let binary = json!({"resource_type": "Binary", "resource_id": "1"});
    let raw = json!({"method": "GET", "path": "fhir/R4/Binary/1"});
    let content = format!("\0\0\u{202e}\u{7}client_secret={MARK}");
    for kind in ["image/bmp", "application/octet-stream", "application/dicom"] {
        let says = || Says::bytes(200, kind, content.clone());
        let read = answered(&mut pipe, &stub, "read_resource", &binary, says()).await;
        assert_eq!(read.record()["data"], STANDARD.encode(&content));
        assert_eq!(answered(&mut pipe, &stub, "raw_request", &raw, says()).await.text(), STANDARD.encode(&content));
        // But for what the server was sent to sign in with.
        let says = Says::bytes(200, kind, format!("\u{7}{SECRET}"));
        let read = answered(&mut pipe, &stub, "read_resource", &binary, says).await;
        assert_eq!(read.record()["data"], STANDARD.encode("\u{7}[secret left out]"));
    }
    for kind in
        ["text/csv", "application/json", "application/ndjson", "application/fhir+xml", "x-application/hl7-v2+er7"]
    {
        let read = answered(&mut pipe, &stub, "read_resource", &binary, Says::bytes(200, kind, content.clone())).await;
        assert_eq!(read.text(), "client_secret=[secret left out]", "{kind}");
    }
}

#[tokio::test]
async fn an_alias_gets_no_secret_on_any_way() {
    let documents = [
        "{ ClientApplicationList { x: secret } }",
        "{ ProjectMembershipList { user { resource { ... on User { x: passwordHash } } } } }",
        "{ LoginList { x: code } }",
        "{ AuditEventList { entity { what { resource { ... on Login { x: nonce } } } } } }",
        "{ AuditEventList { entity { what { resource { ...F } } } } } fragment F on JsonWebKey { x: d }",
        "{ DomainConfigurationList { identityProvider { x: clientSecret y: userInfoApiKey } } }",
        "{ ProjectList { secret { x: valueString } } }",
        "{ SubscriptionList { extension { x: valueString } } }",
        "{ SubscriptionList { channel { x: header } } }",
        "{ EndpointConnection { edges { resource { x: header } } } }",
        "{ SmartHealthLinkList { x: url } }",
    ];
    let mut rows = Vec::new();
    for query in documents {
        let body = json!({"query": query});
        rows.push(attempt("execute_graphql", body.clone(), "is a secret"));
        rows.push(attempt(
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4/$graphql", "body": body}),
            "is a secret",
        ));
        rows.push(attempt(
            "execute_operation",
            json!({"resource_type": "", "operation": "graphql", "params": body}),
            "is a secret",
        ));
        let entry = json!({"request": {"method": "POST", "url": "$graphql"}, "resource": body});
        rows.push(attempt("execute_batch", json!({"bundle": {"type": "batch", "entry": [entry]}}), "is a secret"));
    }
    for of_type in ["ClientApplication", "Endpoint", "SmartHealthLink", "PasswordChangeRequest"] {
        rows.push(attempt(
            "raw_request",
            json!({"method": "GET", "path": format!("fhir/R4/{of_type}/$csv")}),
            "holds secrets",
        ));
    }
    all_refused(&[], rows).await;
}

#[tokio::test]
async fn what_is_said_of_a_failure_holds_no_secret_and_nothing_unseen() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let said = format!("no\u{202e} value \u{e0041}for access_token={MARK}");
    stub.say(Says::outcome(400, None, &said));
    let answer = pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": "1"})).await;
    assert!(answer.error().contains("no value for access_token=[secret left out]"), "{answer:?}");
    // What the caller wrote is repeated without it as well.
    let answer = pipe.call("search_resources", json!({"resource_type": "Pa\u{200b}tient\u{202e}"})).await;
    assert!(!answer.error().chars().any(hidden), "{answer:?}");
}

/// Written down a second time, apart from the program's own list.
fn hidden(c: char) -> bool {
    let n = u32::from(c);
    c.is_control() && !matches!(c, '\n' | '\t' | '\r')
        || matches!(n, 0xad | 0x61c | 0x200b | 0x200e..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe0fff)
}

fn any_hidden(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().any(hidden),
        Value::Array(values) => values.iter().any(any_hidden),
        Value::Object(object) => object.iter().any(|(key, value)| key.chars().any(hidden) || any_hidden(value)),
        _ => false,
    }
}

/// Texts of letters, and of what must not come through.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Zäé李 \n\t.]{1,6}",
        "[\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{7f}-\u{9f}]",
        "[\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{ad}\u{61c}]",
        "[\u{e0000}-\u{e01ef}\u{fe00}-\u{fe0f}]",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

#[test]
fn no_answer_holds_a_character_of_the_stripped_classes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let stub = Stub::start();
    let server = server(&stub, &[]);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(texts(), texts(), texts()), |(text, key, name)| {
        let resource = stored(json!({
            "resourceType": "Observation", "status": "final", "note": [{"text": text}], "code": {"text": name},
            format!("x{key}"): {"y": [text, {"z": name}]}
        }));
        let mut calls = ways(&resource);
        let literal = json!({"resource_type": "Observation", "resource_id": "1", "fields": ["'a\\u202eb\\u200bc'"]});
        calls.push(("read_resource", literal, resource.clone()));
        let made = json!({"resource_type": "Observation", "sql": "select char(8238) || char(7) as \"a\u{202e}\", id from Observation"});
        calls.push(("query_resources", made, searchset(&resource)));
        for (tool, arguments, says) in calls {
            if tool == "get_patient_everything" {
                stub.say(Says::json(200, &json!({"resourceType": "Patient", "id": "1"})));
            }
            stub.say(Says::json(200, &says));
            let result = runtime.block_on(server.call(tool, arguments.as_object().unwrap().clone()));
            stub.taken();
            for block in result.content.iter().filter_map(|block| block.as_text()) {
                prop_assert!(!block.text.chars().any(hidden), "{tool} {arguments}: {:?}", block.text);
                let record = serde_json::from_str(&block.text).unwrap_or_default();
                prop_assert!(!any_hidden(&record), "{tool} {arguments}: {:?}", block.text);
            }
        }
        Ok(())
    });
    outcome.unwrap();
}

/// A CSV of any rows: the sandbox has none, so a stub says it.
#[test]
fn a_csv_is_whole_or_cut_within_its_budget_and_said_to_be_cut() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let stub = Stub::start();
    let server = server(&stub, &[]);
    let rows = prop::collection::vec(("[a-zäß0-9]{1,12}", "[ -~é\n]{0,60}"), 0..120);
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(rows, 1_000_usize..4_000), |(rows, budget)| {
        let row = |(id, text): &(String, String)| format!("{id},\"{}\"\n", text.replace('"', "\"\""));
        let csv = format!("id,text\n{}", rows.iter().map(row).collect::<String>());
        stub.say(Says::bytes(200, "text/csv; charset=utf-8", csv.clone()));
        let call = json!({"resource_type": "Observation", "operation": "csv", "method": "GET", "budget": budget});
        let result = runtime.block_on(server.call("execute_operation", call.as_object().unwrap().clone()));
        stub.taken();
        prop_assert_ne!(result.is_error, Some(true), "{:?}", result);
        let blocks: Vec<&str> =
            result.content.iter().filter_map(|block| block.as_text()).map(|block| block.text.as_str()).collect();
        let size: usize = blocks.iter().map(|block| block.chars().count()).sum();
        prop_assert!(size <= budget, "{size} characters in {budget}");
        prop_assert!(csv.starts_with(blocks[0]), "{:?}", blocks[0]);
        let notes = blocks.get(1..).unwrap_or_default().join("\n");
        prop_assert_eq!(blocks[0] == csv, !notes.contains("characters"), "{}", notes);
        prop_assert!(blocks[0] == csv || blocks[0].chars().count() > budget / 2, "{} of {}", blocks[0].len(), budget);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn what_we_sign_in_with_is_in_no_answer_and_is_kept_by_a_write() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[("MEDPLUM_ENABLE_WRITES", "true")]).await;
    let said = format!("you sent {TOKEN} for {SECRET}");
    let patient = json!({"resourceType": "Patient", "id": "1", "meta": {"versionId": VERSION},
        "name": [{"text": said}], "telecom": [{"value": SECRET}]});
    let left_out = "for [secret left out]";
    let read = json!({"resource_type": "Patient", "resource_id": "1"});
    let graphql = json!({"query": "{ Patient(id: \"1\") { telecom { value } } }"});
    let page = json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": patient}]});
    for (says, tool, arguments) in [
        (Says::bytes(200, "text/plain", said.clone()), "raw_request", json!({"method": "GET", "path": "healthcheck"})),
        (
            Says::json(200, &json!({"x": said, SECRET: said})),
            "raw_request",
            json!({"method": "GET", "path": "auth/me"}),
        ),
        (Says::json(200, &patient), "read_resource", read.clone()),
        (Says::json(200, &page), "search_resources", json!({"resource_type": "Patient"})),
        (Says::json(200, &page), "query_resources", json!({"resource_type": "Patient"})),
        (Says::json(200, &json!({"data": {"Patient": {"telecom": [{"value": said}]}}})), "execute_graphql", graphql),
    ] {
        stub.say(says);
        let answer = pipe.call(tool, arguments).await;
        let all = answer.blocks.join("\n");
        assert!(!answer.failed && all.contains("[secret left out]"), "{tool}: {answer:?}");
        assert!(!all.contains(TOKEN) && !all.contains(SECRET), "{tool}: {answer:?}");
        stub.taken();
    }

    // What was left out of what was read is put back when that is written.
    let mut shown: Value = patient.clone();
    shown["name"][0]["text"] = json!(format!("you sent [secret left out] {left_out}"));
    shown["telecom"][0]["value"] = json!("[secret left out]");
    shown["active"] = json!(true);
    stub.say(Says::json(200, &patient));
    let answer = pipe.call("update_resource", json!({"resource": shown})).await;
    assert!(!answer.failed, "{answer:?}");
    let sent = stub.taken().into_iter().find(|asked| asked.method == "PUT").unwrap().json();
    assert_eq!((&sent["name"], &sent["telecom"]), (&patient["name"], &patient["telecom"]));
}
