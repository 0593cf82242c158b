//! The program as an operator meets it: how it starts, how it refuses to, what it says on stderr, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::host::{Ended, program, run};
use common::sandbox::Elsewhere;
use common::{Host, PATIENT, SECRET, Says, Stub, TOKEN};
use serde_json::{Value, json};

/// Credentials that are well-formed, and of nobody.
const SIGNED: &[(&str, &str)] = &[("MEDPLUM_CLIENT_ID", "client"), ("MEDPLUM_CLIENT_SECRET", SECRET)];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    SIGNED.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn without_credentials_it_says_what_to_set_and_what_to_try() {
    let ended = run(&[], &[], "");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    for part in ["MEDPLUM_CLIENT_ID", "MEDPLUM_CLIENT_SECRET", "medplum-mcp --sandbox"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    insta::assert_snapshot!("no_credentials", ended.stderr);
    // A call from the shell needs them just as much.
    assert_eq!(run(&["call", "read_resource", "{}"], &[], "").code, Some(2));
}

#[test]
fn every_bad_setting_is_named_with_a_value_that_works() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let (missing, empty) = (directory.path().join("missing"), empty.to_str().unwrap().to_owned());
    let missing = missing.to_str().unwrap().to_owned();
    let table: &[(&str, &[&str])] = &[
        (
            "MEDPLUM_BASE_URL",
            &[
                "medplum",
                "http://api.medplum.com/",
                "http://192.168.1.7:8103/",
                "http://127.0.0.1.evil.example/",
                "https://user:word@medplum.test/",
                "https://medplum.test/?a=b",
                "ftp://medplum.test/",
                "${MEDPLUM_BASE_URL}",
            ],
        ),
        ("MEDPLUM_FHIR_URL_PATH", &["https://medplum.test/fhir/R4", "fhir//R4", "../R4"]),
        ("MEDPLUM_CLIENT_ID", &["${MEDPLUM_CLIENT_ID}"]),
        ("MEDPLUM_CLIENT_SECRET", &["${SECRET:-}"]),
        ("MEDPLUM_ACCESS_TOKEN", &["two words", "a\r\nb"]),
        ("MEDPLUM_ON_BEHALF_OF", &["Practitioner/1", "me", "ProjectMembership/"]),
        ("MEDPLUM_ALLOW_OBO_OVERRIDE", &["perhaps"]),
        ("MEDPLUM_ENABLE_WRITES", &["maybe", "2", "ture"]),
        ("MEDPLUM_ALLOW_INSECURE_HTTP", &["sometimes"]),
        ("MEDPLUM_ALLOWED_BOT_IDS", &["a bot!", "../x", "Patient/1"]),
        ("MEDPLUM_TIMEOUT_SECONDS", &["0", "601", "-1", "1.5", "soon"]),
        ("MEDPLUM_MAX_RESPONSE_MB", &["0", "many"]),
        ("MEDPLUM_LOG", &["loud", "trace"]),
    ];
    for (variable, values) in table {
        for value in *values {
            // A token is one way to sign in, and stands alone.
            let variables = [(*variable, *value)];
            let variables = if *variable == "MEDPLUM_ACCESS_TOKEN" { variables.to_vec() } else { with(&variables) };
            let ended = run(&[], &variables, "");
            assert_eq!(ended.code, Some(2), "{variable}={value}: {ended:?}");
            assert_eq!(ended.stdout, "");
            let starts = ended.stderr.starts_with(&format!("medplum-mcp: {variable} "));
            let example = format!("For example: {variable}=");
            let helps = ended.stderr.contains(&example) || ended.stderr.contains("Or: medplum-mcp install HOST");
            assert!(starts && helps, "{variable}={value}: {}", ended.stderr);
            assert!(!ended.stderr.contains(SECRET));
        }
    }
    for file in [missing, empty] {
        let ended = run(&[], &[("MEDPLUM_CLIENT_ID", "client"), ("MEDPLUM_CLIENT_SECRET_FILE", &file)], "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("MEDPLUM_CLIENT_SECRET_FILE"), "{ended:?}");
    }
    // Half of the credentials.
    let ended = run(&[], &[("MEDPLUM_CLIENT_ID", "client")], "");
    assert!(ended.code == Some(2) && ended.stderr.contains("MEDPLUM_CLIENT_SECRET is missing"), "{ended:?}");
    let ended = run(&[], &[("MEDPLUM_CLIENT_SECRET", SECRET)], "");
    assert!(ended.code == Some(2) && ended.stderr.contains("MEDPLUM_CLIENT_ID is missing"), "{ended:?}");
    assert!(!ended.stderr.contains(SECRET));
}

#[test]
fn a_bad_flag_is_refused_like_a_bad_variable() {
    for (arguments, says) in [
        (&["--timeout-seconds", "0"][..], "MEDPLUM_TIMEOUT_SECONDS must be a whole number"),
        (&["--base-url", "http://api.medplum.com"], "MEDPLUM_BASE_URL cannot be used"),
        (&["--enable-writes=maybe"], "maybe"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["no-such-command"], "no-such-command"),
        (&["call"], "<TOOL>"),
    ] {
        let ended = run(arguments, SIGNED, "");
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn help_names_every_setting_and_shows_no_secret() {
    let help = run(&["--help"], SIGNED, "");
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for setting in medplum_mcp::settings::SETTINGS {
        assert!(help.stdout.contains(setting.variable), "{}", setting.variable);
        assert!(help.stdout.contains(&format!("--{}", setting.flag)), "{}", setting.flag);
    }
    assert!(!help.stdout.contains(SECRET));
    let version = run(&["--version"], &[], "");
    assert_eq!(version.stdout.trim(), format!("medplum-mcp {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn open_writes_are_warned_of_on_stderr_and_nothing_else_is() {
    let mut host = Host::sandboxed(&[("MEDPLUM_ENABLE_WRITES", "true")]);
    host.tools();
    let ended = host.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("writes are open (MEDPLUM_ENABLE_WRITES)"), "{ended:?}");
    assert!(!ended.stderr.contains("patients' records"), "those of the sandbox are nobody's: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");

    let mut host = Host::sandboxed(&[]);
    host.tools();
    assert_eq!(host.end().stderr, "", "read-only there is nothing to say");
}

#[test]
fn http_beyond_this_machine_is_opened_by_the_operator_alone() {
    let variables = with(&[("MEDPLUM_BASE_URL", "http://medplum.test/"), ("MEDPLUM_ALLOW_INSECURE_HTTP", "true")]);
    let ended = run(&[], &variables, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("MEDPLUM_ALLOW_INSECURE_HTTP"), "{ended:?}");
    for loopback in ["http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"] {
        let ended = run(&[], &with(&[("MEDPLUM_BASE_URL", loopback)]), "");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{loopback}");
    }
}

/// A call from the shell is warned of what the server is warned of.
#[test]
fn a_call_is_warned_of_what_is_open() {
    let stub = Stub::start();
    let call = |variables: &[(&str, &str)]| {
        let here = [("MEDPLUM_BASE_URL", stub.url.as_str())];
        let variables = [&with(&here)[..], variables].concat();
        run(&["call", "read_resource", &read(PATIENT)], &variables, "").stderr
    };
    assert_eq!(call(&[]), "");
    assert!(call(&[("MEDPLUM_ENABLE_WRITES", "true")]).starts_with("medplum-mcp: writes are open"));
    assert_eq!(
        call(&[("MEDPLUM_ENABLE_WRITE", "true")]),
        "medplum-mcp: MEDPLUM_ENABLE_WRITE is no setting, so it does nothing: MEDPLUM_ENABLE_WRITES is one.\n"
    );
    let elsewhere = [("MEDPLUM_BASE_URL", "http://medplum.invalid/"), ("MEDPLUM_ALLOW_INSECURE_HTTP", "true")];
    assert!(call(&elsewhere).starts_with("medplum-mcp: http to another machine"));
}

/// It could be any word: to take it out would spoil whatever is said.
#[test]
fn a_short_secret_is_warned_of_and_spoils_no_text() {
    let stub = Stub::start();
    let variables =
        [("MEDPLUM_BASE_URL", stub.url.as_str()), ("MEDPLUM_CLIENT_ID", "client"), ("MEDPLUM_CLIENT_SECRET", "a")];
    let ended = run(&["call", "read_resource", &read(PATIENT)], &variables, "");
    let (warned, said) = ended.stderr.split_once('\n').unwrap();
    assert!(warned.starts_with("medplum-mcp: the client secret or token has fewer than 8 characters"), "{ended:?}");
    assert!(said.starts_with("Medplum refused the credentials: \"Invalid secret\"."), "{ended:?}");
}

#[test]
fn the_secret_may_stand_in_a_file() {
    let stub = Stub::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let file = file.to_str().unwrap();
    let variables = [
        ("MEDPLUM_BASE_URL", stub.url.as_str()),
        ("MEDPLUM_CLIENT_ID", "client"),
        ("MEDPLUM_CLIENT_SECRET_FILE", file),
    ];
    let ended = run(&["call", "read_resource", &read(PATIENT)], &variables, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(PATIENT));
}

/// Nobody could tell as whom it signs in. The sandbox needs neither, and a flag is meant for this very call.
#[test]
fn two_ways_to_sign_in_are_refused_at_the_start() {
    let secret = ("MEDPLUM_CLIENT_SECRET", SECRET);
    let file = ("MEDPLUM_CLIENT_SECRET_FILE", "/run/secrets/medplum");
    let token = ("MEDPLUM_ACCESS_TOKEN", TOKEN);
    for (variables, says) in [
        ([("MEDPLUM_CLIENT_ID", "client"), secret, file], "MEDPLUM_CLIENT_SECRET and MEDPLUM_CLIENT_SECRET_FILE"),
        ([("MEDPLUM_CLIENT_ID", "client"), secret, token], "MEDPLUM_ACCESS_TOKEN and MEDPLUM_CLIENT_ID"),
        ([("MEDPLUM_CLIENT_ID", ""), file, token], "MEDPLUM_ACCESS_TOKEN and MEDPLUM_CLIENT_SECRET_FILE"),
    ] {
        let ended = run(&[], &variables, "");
        let said = format!("medplum-mcp: {says} are two ways to sign in. Unset one of them\n");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), said.as_str()));
        assert_eq!(
            run(&["--sandbox", "call", "list_codes", r#"{"resource_type":"Condition"}"#], &variables, "").code,
            Some(0)
        );
    }
    let stub = Stub::start();
    let arguments = ["--access-token", TOKEN, "--base-url", &stub.url, "call", "read_resource", &read(PATIENT)];
    let ended = run(&arguments, &[("MEDPLUM_CLIENT_ID", "client"), secret], "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn what_a_flag_has_closed_names_the_flag() {
    let variable = [("MEDPLUM_ENABLE_WRITES", "true")];
    let create = r#"{"resource":{"resourceType":"Patient"}}"#;
    let raw = r#"{"method":"DELETE","path":"fhir/R4/Patient/1"}"#;
    let by_flag = "The operator closed writes with the flag --enable-writes=false, which wins over MEDPLUM_ENABLE_WRITES. Nothing was sent.";
    let by_default = "The operator opens writes with MEDPLUM_ENABLE_WRITES=true. Nothing was sent.";
    for (tool, call) in [("create_resource", create), ("raw_request", raw)] {
        for (flags, variables, says) in [
            (&["--sandbox", "--enable-writes=false"][..], &variable[..], by_flag),
            (&["--sandbox", "--enable-writes=false"], &[], by_flag),
            (&["--sandbox"], &[], by_default),
        ] {
            let ended = run(&[flags, &["call", tool, call]].concat(), variables, "");
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.stderr.contains(says), "{tool} {flags:?}: {ended:?}");
        }
    }
}

fn read(id: &str) -> String {
    json!({"resource_type": "Patient", "resource_id": id}).to_string()
}

#[test]
fn an_access_token_needs_no_sign_in_and_is_not_renewed() {
    let stub = Stub::start();
    let variables = [("MEDPLUM_BASE_URL", stub.url.as_str()), ("MEDPLUM_ACCESS_TOKEN", TOKEN)];
    let ended = run(&["call", "read_resource", &read(PATIENT)], &variables, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let asked = stub.taken();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));

    stub.say(Says::outcome(401, Some("unauthorized"), "Unauthorized"));
    let ended = run(&["call", "read_resource", &read(PATIENT)], &variables, "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("MEDPLUM_ACCESS_TOKEN"), "{ended:?}");
    assert!(!ended.stderr.contains(TOKEN), "{ended:?}");
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let stub = Stub::start();
    let mut variables = with(&[]);
    for setting in medplum_mcp::settings::SETTINGS {
        if !setting.variable.starts_with("MEDPLUM_CLIENT_") || setting.variable.ends_with("_FILE") {
            variables.push((setting.variable, if setting.variable.len() % 2 == 0 { "" } else { "  " }));
        }
    }
    let mut command = program(&["tools"], &variables);
    command.env("MEDPLUM_BASE_URL", &stub.url);
    let ended = Host::spawn(command).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("(closed: MEDPLUM_ENABLE_WRITES)"), "{ended:?}");
}

#[test]
fn a_flag_wins_over_its_variable() {
    let open = |arguments: &[&str], variables: &[(&str, &str)]| {
        let ended = run(arguments, &with(variables), "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        !ended.stdout.contains("(closed: ")
    };
    let variable = [("MEDPLUM_ENABLE_WRITES", "true")];
    assert!(open(&["tools"], &variable));
    assert!(!open(&["--enable-writes=false", "tools"], &variable));
    assert!(!open(&["tools", "--enable-writes=false"], &variable));
    assert!(!open(&["tools"], &[]));
    assert!(open(&["--enable-writes", "tools"], &[]));
    assert!(open(&["tools", "--enable-writes=yes"], &[("MEDPLUM_ENABLE_WRITES", "false")]));

    let stub = Stub::start();
    let arguments = ["--base-url", &stub.url, "call", "read_resource", &read(PATIENT)];
    let ended = run(&arguments, &with(&[("MEDPLUM_BASE_URL", "https://elsewhere.test/")]), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_sandbox_is_opened_before_or_after_the_command_and_ignores_other_credentials() {
    let search = r#"{"resource_type":"Patient","summary":"count"}"#;
    let elsewhere = [
        ("MEDPLUM_BASE_URL", "https://elsewhere.test/"),
        ("MEDPLUM_CLIENT_ID", "not this one"),
        ("MEDPLUM_CLIENT_SECRET_FILE", "/nowhere"),
        ("MEDPLUM_ON_BEHALF_OF", "not a membership"),
    ];
    for arguments in
        [["--sandbox", "call", "search_resources", search], ["call", "search_resources", search, "--sandbox"]]
    {
        for variables in [&[][..], &elsewhere] {
            let ended = run(&arguments, variables, "");
            assert_eq!(ended.code, Some(0), "{arguments:?} {variables:?}: {ended:?}");
            let bundle: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert!(bundle["total"].as_u64().unwrap() > 20, "{ended:?}");
        }
    }
    for arguments in [&["--sandbox", "serve"][..], &["serve", "--sandbox"], &["--sandbox"], &["--sandbox=true"]] {
        assert_eq!(run(arguments, &[], "").code, Some(0), "{arguments:?}");
    }
    // A host that fills in a form writes the flag either way.
    assert_eq!(run(&["--sandbox=false"], &[], "").code, Some(2), "without a sandbox there are no credentials");
}

#[test]
fn refused_credentials_name_the_variables_to_set() {
    let sandbox = Elsewhere::start();
    let id = sandbox.client_id;
    for (id, secret, word) in
        [(id, "wrong", "Invalid secret"), ("nobody", sandbox.client_secret.as_str(), "Invalid client")]
    {
        let variables = [
            ("MEDPLUM_BASE_URL", sandbox.base_url.as_str()),
            ("MEDPLUM_CLIENT_ID", id),
            ("MEDPLUM_CLIENT_SECRET", secret),
        ];
        let ended = run(&["call", "read_resource", &read(PATIENT)], &variables, "");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for part in ["MEDPLUM_CLIENT_ID", "MEDPLUM_CLIENT_SECRET", word] {
            assert!(ended.stderr.contains(part), "{part}: {ended:?}");
        }
        assert!(!ended.stderr.contains(secret), "{ended:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let variables = with(&[("MEDPLUM_BASE_URL", "http://127.0.0.1:9/")]);
    let ended = run(&["call", "read_resource", &read(PATIENT)], &variables, "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("MEDPLUM_BASE_URL") && ended.stderr.contains("Nothing was sent"), "{ended:?}");
}

fn hello() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params":
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}})
}

#[test]
fn a_closed_stdin_ends_it_cleanly() {
    assert_eq!(run(&["--sandbox"], &[], "").code, Some(0), "before a word");
    assert_eq!(run(&["--sandbox"], &[], &format!("{}\n", hello())).code, Some(0), "after the first");
    assert_eq!(run(&["--sandbox"], &[], "garbage\n").code, Some(0));
    assert_eq!(run(&["--sandbox"], &[], "{\"jsonrpc\":\"2.0\",\"id\":1,").code, Some(0), "in the middle of a line");
    // What was asked before is answered before it ends.
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params":
        {"name": "search_resources", "arguments": {"resource_type": "Patient", "count": 1}}});
    let opened = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let ended = run(&["--sandbox"], &[], &format!("{}\n{opened}\n{call}\n", hello()));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let answers: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2, "{ended:?}");
    assert!(answers[1]["result"]["content"][0]["text"].as_str().unwrap().contains("searchset"));
}

/// What an error of the protocol says.
fn refused(answer: &Value) -> String {
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_call_before_the_handshake_is_told_of_it() {
    let mut host = Host::spawn(program(&["--sandbox"], &[]));
    for (id, method) in ["tools/list", "tools/call", "prompts/list"].into_iter().enumerate() {
        host.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"name": "read_resource"}}));
        let answer = host.hear();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32602)), "{answer}");
        assert!(refused(&answer).starts_with("nothing was opened: send initialize first"), "{answer}");
    }
    // It is not too late for it.
    assert_eq!(host.initialize("2025-06-18")["result"]["protocolVersion"], "2025-06-18");
    assert!(!host.tools().is_empty());
}

#[test]
fn whatever_a_host_sends_it_gets_an_answer_and_the_server_lives_on() {
    let mut host = Host::sandboxed(&[("MEDPLUM_LOG", "warn")]);
    let call = |id: u64, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    let mut pages = String::new();
    let cases: Vec<(String, &str)> = vec![
        ("garbage".into(), "not JSON"),
        ("{\"jsonrpc\":\"2.0\",\"id\":70".into(), "not JSON"),
        (call(71, json!({"name": "read_resource", "arguments": "Patient/1"})).to_string(), "a string"),
        (call(72, json!({"name": "read_resource", "arguments": [1]})).to_string(), "an array"),
        (call(73, json!({"arguments": {}})).to_string(), "params.name"),
        (call(74, json!({"name": 7})).to_string(), "params.name"),
        (json!({"jsonrpc": "2.0", "id": 75, "method": "tools/destroy"}).to_string(), "tools/destroy"),
        (json!({"jsonrpc": "2.0", "id": 76, "method": "prompts/list"}).to_string(), "No method prompts/list."),
        (
            json!({"jsonrpc": "2.0", "id": 80, "method": "logging/setLevel", "params": {"level": "debug"}}).to_string(),
            "No method logging/setLevel.",
        ),
        (json!({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}).to_string(), "a whole number"),
        (
            json!({"jsonrpc": "2.0", "id": 77, "method": "resources/read", "params": {"uri": "medplum://none"}})
                .to_string(),
            "medplum://server-info",
        ),
        (
            json!({"jsonrpc": "2.0", "id": 78, "method": "resources/read", "params": {"uri": "file:///etc/passwd"}})
                .to_string(),
            "medplum://server-info",
        ),
        (
            call(79, json!({"name": "create_resource", "arguments": {"resource": {"x": "y".repeat(20_000_000)}}}))
                .to_string(),
            "16777216",
        ),
    ];
    for (line, says) in cases {
        host.write(line.as_bytes());
        host.write(b"\n");
        let message = refused(&host.hear());
        let shown: String = line.chars().take(100).collect();
        assert!(message.contains(says), "{shown}: {message}");
        pages.push_str(&format!("{shown}\n  ! {message}\n"));
        host.request("ping", json!({}));
    }
    insta::assert_snapshot!("what_is_no_call", pages);
    // A tool's name or arguments that are wrong are answers of the tool: the agent reads them and can do better.
    let mut page = common::Transcript::default();
    page.call(&mut host, "read_resources", json!({}));
    page.call(&mut host, "read_resource", json!({}));
    page.call(&mut host, "read_resource", json!({"resource_type": "Patient", "resource_id": {"id": 1}}));
    page.call(&mut host, "read_resource", json!({"resource_type": ["Patient"], "resource_id": "1"}));
    page.call(&mut host, "search_resources", json!({"resource_type": "Patient", "count": "many"}));
    page.call(&mut host, "search_resources", json!({"resource_type": "Patient", "params": "name=x"}));
    page.call(&mut host, "search_resources", json!({"resource_type": "Patient", "summary": "some"}));
    page.call(&mut host, "get_resource_schema", json!({"resource_type": "Patient", "include_nested": "perhaps"}));
    insta::assert_snapshot!("what_is_a_wrong_call", page.page());
    assert!(!host.call("search_resources", json!({"resource_type": "Patient", "count": 1})).failed);
    let ended = host.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_call_from_the_shell() {
    let call = |arguments: &[&str], input: &str| {
        let arguments: Vec<&str> = ["--sandbox", "call"].into_iter().chain(arguments.iter().copied()).collect();
        run(&arguments, &[], input)
    };
    let search = r#"{"resource_type":"Patient","count":1}"#;
    for ended in [call(&["search_resources", search], ""), call(&["search_resources", "-"], search)] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let bundle: Value =
            serde_json::from_str(&ended.stdout).expect("stdout is the record alone, so that it can be piped");
        assert_eq!(bundle["entry"].as_array().unwrap().len(), 1);
        assert!(ended.stderr.contains("1 shown"), "the note goes to stderr: {ended:?}");
    }
    let failed = |ended: Ended, code: i32, says: &str| {
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    };
    failed(call(&["read_resource", &read(common::NOBODY)], ""), 1, "Not found");
    failed(call(&["delete_resource", &read(PATIENT)], ""), 1, "MEDPLUM_ENABLE_WRITES=true");
    failed(call(&["search_resource", search], ""), 1, "search_resources");
    failed(call(&["search_resources"], ""), 1, "resource_type");
    failed(call(&["search_resources", "{"], ""), 2, "not JSON (line 1");
    failed(call(&["search_resources", "[1]"], ""), 2, "JSON object");
}

#[test]
fn the_tools_are_listed_for_a_person() {
    let listed = run(&["tools"], &[], "");
    assert_eq!(listed.code, Some(0), "it needs no credentials: {listed:?}");
    let closed = listed.stdout.lines().filter(|line| line.ends_with("(closed: MEDPLUM_ENABLE_WRITES)")).count();
    assert_eq!(closed, 8, "{listed:?}");
    assert!(listed.stdout.lines().count() >= 24);
    let by_flag = run(&["tools", "--enable-writes=false"], &[("MEDPLUM_ENABLE_WRITES", "true")], "").stdout;
    assert_eq!(by_flag.matches("(closed: --enable-writes=false)\n").count(), 8, "{by_flag}");
    assert!(!by_flag.contains("closed: MEDPLUM"), "{by_flag}");
    let open = run(&["tools"], &[("MEDPLUM_ENABLE_WRITES", "true")], "");
    assert!(!open.stdout.contains("closed"), "{open:?}");
}

#[test]
fn nothing_of_a_patient_and_no_secret_is_on_stderr_however_much_is_logged() {
    let stub = Stub::start();
    let marks = ["Zaphodsecret", "1961-02-03", "555-4711", SECRET, TOKEN];
    let patient = json!({"resourceType": "Patient", "id": PATIENT, "name": [{"family": "Zaphodsecret"}], "birthDate": "1961-02-03", "meta": {"versionId": "1"}});
    let variables = [
        ("MEDPLUM_ENABLE_WRITES", "true"),
        ("MEDPLUM_LOG", "debug"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
    ];
    let mut host = Host::on_stub(&stub, &variables);
    let read = || json!({"resource_type": "Patient", "resource_id": PATIENT});
    let mut new = patient.clone();
    new.as_object_mut().unwrap().remove("id");
    let calls: Vec<(&str, Value)> = vec![
        ("read_resource", read()),
        (
            "search_resources",
            json!({"resource_type": "Patient", "params": {"family": "Zaphodsecret", "phone": "555-4711"}}),
        ),
        ("search_one", json!({"resource_type": "Patient", "params": {"birthdate": "1961-02-03"}})),
        ("create_resource", json!({"resource": new})),
        ("create_resource_if_none_exist", json!({"resource": new, "if_none_exist": "family=Zaphodsecret"})),
        ("update_resource", json!({"resource": patient})),
        (
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": [{"op": "add", "path": "/telecom", "value": [{"value": "555-4711"}]}]}),
        ),
        ("execute_graphql", json!({"query": "{ PatientList(name: \"Zaphodsecret\") { id } }"})),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient?name=Zaphodsecret"}}]}}),
        ),
        ("raw_request", json!({"method": "GET", "path": "fhir/R4/Patient?name=Zaphodsecret"})),
        ("execute_bot", json!({"bot_id": common::OTHER_BOT, "input_data": {"name": "Zaphodsecret"}})),
        ("get_patient_everything", json!({"patient_id": PATIENT})),
        ("read_resource", json!({"resource_type": "Zaphodsecret!", "resource_id": "1"})),
        ("Zaphodsecret", json!({"name": "Zaphodsecret"})),
    ];
    for (tool, arguments) in &calls {
        for says in [
            None,
            Some(Says::json(200, &patient)),
            Some(Says::outcome(400, None, "Zaphodsecret is wrong")),
            Some(Says::outcome(500, None, "Zaphodsecret broke it")),
            Some(Says::bytes(200, "text/html", "<b>Zaphodsecret</b>")),
            Some(Says::bytes(302, "text/plain", "").with("location", "https://evil.example/?name=Zaphodsecret")),
            Some(Says::outcome(401, Some("unauthorized"), "Zaphodsecret")),
        ] {
            if let Some(says) = says {
                stub.say(says);
            }
            host.call(tool, arguments.clone());
            stub.taken();
        }
    }
    // Lines that are no messages, with a name in them.
    host.write(b"Zaphodsecret\n{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"Zaphodsecret/x\"}\n");
    let _ = (host.hear(), host.hear());
    let ended = host.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("DEBUG"), "it does log: {ended:?}");
    for mark in marks {
        assert!(!ended.stderr.contains(mark), "{mark} is on stderr: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains(PATIENT), "an id is a patient's too: {}", ended.stderr);
}
