//! `doctor` wherever a person may be: what it says, what it advises, how it ends. It only reads, and shows no secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::host::{Ended, program, run};
use common::redact::redact;
use common::sandbox::Elsewhere;
use common::{Host, NOBODY, SECRET, Says, Stub, TOKEN};
use serde_json::{Value, json};

/// The page with what differs from run to run replaced.
fn page(ended: &Ended) -> String {
    let stable = |line: &str| match line.split_once("reach         ") {
        Some((start, facts)) if facts.contains(" ms, ") => {
            let (_, rest) = facts.split_once(' ').unwrap();
            format!("{start}reach         <n> {rest}")
        }
        _ => line.to_owned(),
    };
    let lines: Vec<String> = ended.stdout.lines().map(stable).collect();
    let guess = |line: &str| {
        let Some((start, rest)) = line.split_once("tools         ") else { return line.to_owned() };
        let words =
            rest.split(' ').map(|word| if word.starts_with(|c: char| c.is_ascii_digit()) { "<n>" } else { word });
        format!("{start}tools         {}", words.collect::<Vec<_>>().join(" "))
    };
    redact(&lines.iter().map(|line| guess(line)).collect::<Vec<_>>().join("\n"))
}

/// A run that ended like this, without a word on stderr.
#[track_caller]
fn doctor(code: i32, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let ended = run(&[&["doctor"], arguments].concat(), variables, "");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""), "{ended:?}");
    for (name, value) in variables {
        let secret = name.ends_with("_SECRET") || name.ends_with("_TOKEN");
        assert!(!secret || !ended.stdout.contains(value), "{ended:?}");
    }
    ended
}

fn as_admin(sandbox: &Elsewhere) -> Vec<(&str, &str)> {
    vec![
        ("MEDPLUM_BASE_URL", &sandbox.base_url),
        ("MEDPLUM_CLIENT_ID", sandbox.client_id),
        ("MEDPLUM_CLIENT_SECRET", &sandbox.client_secret),
    ]
}

fn as_reader(sandbox: &Elsewhere) -> Vec<(&str, &str)> {
    vec![
        ("MEDPLUM_BASE_URL", &sandbox.base_url),
        ("MEDPLUM_CLIENT_ID", sandbox.reader_id),
        ("MEDPLUM_CLIENT_SECRET", &sandbox.reader_secret),
    ]
}

fn with<'a>(mut variables: Vec<(&'a str, &'a str)>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    variables.extend_from_slice(more);
    variables
}

#[test]
fn on_a_medplum() {
    let sandbox = Elsewhere::start();
    insta::assert_snapshot!("as_an_admin", page(&doctor(0, &[], &as_admin(&sandbox))));
    let writes = with(as_admin(&sandbox), &[("MEDPLUM_ENABLE_WRITES", "true")]);
    insta::assert_snapshot!("with_writes_open", page(&doctor(0, &[], &writes)));
    insta::assert_snapshot!("as_a_reader", page(&doctor(0, &[], &as_reader(&sandbox))));
    let writes = with(as_reader(&sandbox), &[("MEDPLUM_ENABLE_WRITES", "true")]);
    let useless = doctor(0, &[], &writes);
    assert!(useless.stdout.contains("each of them will be refused"), "{useless:?}");
    insta::assert_snapshot!(
        "in_the_sandbox",
        page(&doctor(0, &["--sandbox"], &[("MEDPLUM_BASE_URL", "https://elsewhere.test/")]))
    );
}

#[test]
fn on_behalf_of_a_member() {
    let sandbox = Elsewhere::start();
    let on_behalf = |variables, membership| doctor_code(&with(variables, &[("MEDPLUM_ON_BEHALF_OF", membership)]));
    insta::assert_snapshot!("on_behalf_of_a_member", on_behalf(as_admin(&sandbox), &sandbox.membership));
    insta::assert_snapshot!("on_behalf_of_nobody", on_behalf(as_admin(&sandbox), NOBODY));
    insta::assert_snapshot!(
        "on_behalf_of_a_member_without_being_an_admin",
        on_behalf(as_reader(&sandbox), &sandbox.membership)
    );
    let bad = doctor(1, &[], &with(as_admin(&sandbox), &[("MEDPLUM_ON_BEHALF_OF", "Practitioner/1")]));
    assert!(bad.stdout.starts_with("fail  settings      MEDPLUM_ON_BEHALF_OF is not a membership"), "{bad:?}");
}

fn doctor_code(variables: &[(&str, &str)]) -> String {
    let ended = run(&["doctor"], variables, "");
    format!("{}\nexit status {}", page(&ended), ended.code.unwrap())
}

#[test]
fn where_nothing_or_something_wrong_is_set() {
    insta::assert_snapshot!("nothing_is_set", page(&doctor(1, &[], &[])));
    let http = doctor(1, &[], &[("MEDPLUM_BASE_URL", "http://medplum.test/")]);
    insta::assert_snapshot!("http_without_permission", page(&http));
    let half = doctor(1, &[], &[("MEDPLUM_CLIENT_ID", "client")]);
    assert!(half.stdout.starts_with("fail  settings      MEDPLUM_CLIENT_SECRET is missing"), "{half:?}");
    let flag = doctor(1, &["--client-secret", SECRET, "--client-id", "x", "--base-url", "http://127.0.0.1:9/"], &[]);
    assert!(
        flag.stdout.contains("where others on this machine can see it") && !flag.stdout.contains(SECRET),
        "{flag:?}"
    );
}

/// A flag is for this very call: what it names is looked at, whatever is exported.
#[test]
fn a_flag_wins_over_what_is_exported() {
    let sandbox = Elsewhere::start();
    let ended = doctor(1, &["--client-secret-file", "/no/such/file"], &as_admin(&sandbox));
    assert!(ended.stdout.starts_with("fail  settings      MEDPLUM_CLIENT_SECRET_FILE"), "{ended:?}");
    let token = with(vec![("MEDPLUM_ACCESS_TOKEN", "a-stale-token")], &as_admin(&sandbox)[..1]);
    let id_and_secret = ["--client-id", sandbox.client_id, "--client-secret", &sandbox.client_secret];
    let ended = doctor(0, &id_and_secret, &token);
    assert!(ended.stdout.contains("ok    credentials"), "{ended:?}");
}

/// What stops the server is found here too.
#[test]
fn where_the_audit_log_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, there) = (folder.path().join("nope/x.jsonl"), folder.path().join("x.jsonl"));
    let log = |path: &std::path::Path| path.display().to_string();
    let ended = doctor(1, &["--sandbox"], &[("MEDPLUM_AUDIT_LOG", &log(&missing))]);
    assert!(ended.stdout.contains("fail  audit log     MEDPLUM_AUDIT_LOG"), "{ended:?}");
    let ended = doctor(0, &["--sandbox"], &[("MEDPLUM_AUDIT_LOG", &log(&there))]);
    assert!(ended.stdout.contains("ok    audit log"), "{ended:?}");
    std::fs::write(&there, "something else\n").unwrap();
    let ended = doctor(1, &["--sandbox"], &[("MEDPLUM_AUDIT_LOG", &log(&there))]);
    assert!(ended.stdout.contains("fail  audit log"), "{ended:?}");
}

/// A variable that is nearly a setting is one that was meant.
#[test]
fn where_a_variable_is_misspelt() {
    let misspelt = [("MEDPLUM_CLIENTID", "x"), ("MEDPLUM_ALLOWED_TYPE", "Patient"), ("MEDPLUM_HOME", "/opt")];
    let ended = doctor(0, &["--sandbox"], &misspelt);
    assert!(
        ended.stdout.contains("warn  settings      MEDPLUM_ALLOWED_TYPE is no setting, so it does nothing")
            && ended.stdout.contains("→ MEDPLUM_ALLOWED_TYPES")
            && ended.stdout.contains("→ MEDPLUM_CLIENT_ID")
            && !ended.stdout.contains("MEDPLUM_HOME"),
        "{ended:?}"
    );
    let ended = run(&["--sandbox"], &misspelt, "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("MEDPLUM_ALLOWED_TYPE is no setting, so it does nothing: MEDPLUM_ALLOWED_TYPES is one")
            && !ended.stderr.contains("MEDPLUM_HOME"),
        "{ended:?}"
    );
}

#[test]
fn where_the_credentials_are_refused() {
    let sandbox = Elsewhere::start();
    for (id, secret, said) in
        [(sandbox.client_id, "wrong-one", "Invalid secret"), ("nobody", "wrong-one", "Invalid client")]
    {
        let variables = [
            ("MEDPLUM_BASE_URL", sandbox.base_url.as_str()),
            ("MEDPLUM_CLIENT_ID", id),
            ("MEDPLUM_CLIENT_SECRET", secret),
        ];
        let ended = doctor(1, &[], &variables);
        let line = format!("fail  credentials   Medplum refused them: {said}");
        assert!(ended.stdout.contains(&line) && ended.stdout.contains("ok    reach"), "{ended:?}");
    }
    let token = [("MEDPLUM_BASE_URL", sandbox.base_url.as_str()), ("MEDPLUM_ACCESS_TOKEN", "a-stale-token")];
    let ended = doctor(1, &[], &token);
    assert!(ended.stdout.contains("Set MEDPLUM_ACCESS_TOKEN anew"), "{ended:?}");
}

/// What is listed and told is what an agent pays for: closed toolsets cost nothing, in the instructions either.
#[test]
fn the_tools_cost_what_a_host_hears() {
    let cost = |toolsets: &str| {
        let page = doctor(0, &["--sandbox"], &[("MEDPLUM_TOOLSETS", toolsets)]).stdout;
        let line = page.lines().find(|line| line.starts_with("ok    tools")).unwrap().replace(',', "");
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let mut host = Host::sandboxed(&[("MEDPLUM_TOOLSETS", toolsets)]);
        let tools = host.tools();
        assert_eq!(numbers[0], tools.len(), "{line}");
        let listed = medplum_mcp::tokens::about(&serde_json::to_string(&tools).unwrap());
        assert!(numbers[1].abs_diff(listed) * 50 < listed, "{line} {listed}");
        let told = Host::spawn(program(&["--sandbox"], &[("MEDPLUM_TOOLSETS", toolsets)])).initialize("2025-11-25");
        let told = medplum_mcp::tokens::about(told["result"]["instructions"].as_str().unwrap());
        assert_eq!(numbers[2], told, "{line}");
        numbers
    };
    let (all, some) = (cost("all"), cost("read,search"));
    assert!(all[1] > 2 * some[1] && all[2] > some[2], "{all:?} {some:?}");
}

fn signed(stub: &Stub) -> Vec<(&str, &str)> {
    vec![("MEDPLUM_BASE_URL", &stub.url), ("MEDPLUM_CLIENT_ID", "client"), ("MEDPLUM_CLIENT_SECRET", SECRET)]
}

fn statement() -> Value {
    json!({"resourceType": "CapabilityStatement", "software": {"name": "medplum", "version": "5.0.10"}})
}

#[test]
fn where_something_else_answers_or_nothing() {
    let refused =
        [("MEDPLUM_BASE_URL", "http://127.0.0.1:9/"), ("MEDPLUM_CLIENT_ID", "c"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
    let nothing = doctor(1, &[], &refused);
    assert!(nothing.stdout.contains("cannot be reached: the connection was refused"), "{nothing:?}");
    assert!(nothing.stdout.contains("→ Nothing listens there"), "{nothing:?}");
    let stub = Stub::start();
    for (says, what) in [
        (
            Says::bytes(200, "text/html", "<!doctype html><title>Medplum</title>"),
            "no Medplum: the answer (HTTP 200) is not FHIR: it is an HTML page",
        ),
        (Says::bytes(404, "text/html", "<h1>Not Found</h1>"), "no Medplum: HTTP 404"),
        (Says::bytes(302, "text/html", "").with("location", "https://elsewhere.test/"), "a redirect (HTTP 302)"),
        (
            Says::json(
                200,
                &json!({"resourceType": "CapabilityStatement", "software": {"name": "HAPI\u{1b}[31m FHIR"}}),
            ),
            "is \"HAPI",
        ),
        (Says::json(200, &json!({"hello": "world"})), "is no Medplum"),
        (Says::bytes(503, "text/html", "<h1>Busy</h1>"), "is out of order: HTTP 503"),
    ] {
        stub.say(says);
        let ended = doctor(1, &[], &signed(&stub));
        assert!(ended.stdout.contains("fail  reach") && ended.stdout.contains(what), "{what}: {ended:?}");
        assert!(ended.stdout.contains("→ ") && !ended.stdout.contains('\u{1b}'), "{ended:?}");
        let asked = stub.lines_of_all();
        assert_eq!(asked, ["GET /fhir/R4/metadata"], "no secret goes to what is no Medplum");
    }
}

/// What could not be looked at is said, not left out.
#[test]
fn what_is_not_tried_is_said() {
    let stub = Stub::start();
    stub.say(Says::bytes(404, "text/html", "<h1>Not Found</h1>"));
    let ended = doctor(1, &[], &with(signed(&stub), &[("MEDPLUM_FHIR_URL_PATH", "wrong/R4/")]));
    assert!(
        ended.stdout.contains(&format!("what answers at {}wrong/R4/metadata is no Medplum", stub.url)),
        "{ended:?}"
    );
    for name in ["credentials", "policy", "reads", "features"] {
        let line = format!("skip  {name:<13} not tried: there is no Medplum to ask\n");
        assert!(ended.stdout.contains(&line), "{name}: {ended:?}");
    }
}

#[test]
fn where_the_clocks_differ() {
    let stub = Stub::start();
    for (date, says) in [
        ("Sat, 01 Jan 2000 00:00:00 GMT", "days ahead of the server's"),
        ("Sun, 01 Jan 2090 00:00:00 GMT", "days behind the server's"),
    ] {
        stub.say(Says::json(200, &statement()).with("date", date));
        let ended = doctor(0, &[], &signed(&stub));
        assert!(ended.stdout.contains("warn  clock") && ended.stdout.contains(says), "{ended:?}");
        stub.taken();
    }
}

/// Whatever is open, everything that is asked is a read.
#[test]
fn it_only_reads() {
    let stub = Stub::start();
    for more in [&[][..], &[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ON_BEHALF_OF", NOBODY)]] {
        stub.say(Says::json(200, &statement()));
        doctor(0, &[], &with(signed(&stub), more));
        let asked = stub.taken();
        assert!(asked.len() > 4, "{asked:?}");
        for asked in asked {
            match asked.line().as_str() {
                "POST /oauth2/token" => {}
                "POST /fhir/R4" => {
                    let bundle = asked.json();
                    let methods: Vec<&Value> =
                        bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["request"]["method"]).collect();
                    assert!(methods.iter().all(|method| *method == "GET"), "{bundle}");
                }
                line => assert!(line.starts_with("GET ") && !line.contains('$'), "{line}"),
            }
        }
    }
}

#[test]
fn for_a_program() {
    let sandbox = Elsewhere::start();
    let ended = doctor(0, &["--json"], &as_admin(&sandbox));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["status"], "warn", "{report}");
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, ["settings", "reach", "credentials", "policy", "reads", "features", "tools"]);
    for check in checks {
        let remedy = check["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty());
        assert_eq!(check["status"] != "ok", remedy, "{check}");
    }
    let report: Value = serde_json::from_str(&doctor(1, &["--json"], &[]).stdout).unwrap();
    assert_eq!(report["status"], "fail");
}

/// A patient who signs in is not named, and no record is shown.
#[test]
fn nothing_of_a_patient_is_shown() {
    let stub = Stub::start();
    let profile = json!({"reference": "Patient/1", "display": "Zaphod Beeblebrox"});
    stub.say(Says::json(200, &statement()));
    stub.say(Says::json(
        200,
        &json!({
            "project": {"resourceType": "Project", "id": "1", "name": "Clinic", "secret": SECRET},
            "membership": {"resourceType": "ProjectMembership", "profile": profile},
            "profile": {"resourceType": "Patient", "name": [{"family": "Beeblebrox"}]},
        }),
    ));
    let ended = doctor(0, &[], &[("MEDPLUM_BASE_URL", stub.url.as_str()), ("MEDPLUM_ACCESS_TOKEN", TOKEN)]);
    assert!(
        ended.stdout.contains("a Patient in project \"Clinic\"") && !ended.stdout.contains("Beeblebrox"),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains(SECRET));
}
