//! The recordings of a real Medplum, asked for once more: what the client sends is what was sent then, and what came
//! back then is what it makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use common::*;
use medplum_client::{
    Batch, Body, Call, Client, Config, Credentials, Error, FhirPath, GraphQl, Interaction, JsonPatch, Level,
    Membership, Method, Open, Operation, Query, Search,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, Deserialize)]
struct Exchange {
    note: String,
    request: Recorded,
    response: Response,
}

#[derive(Debug, Clone, Deserialize)]
struct Recorded {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Value,
}

#[derive(Debug, Clone, Deserialize)]
struct Response {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// Every exchange with the name of its file.
fn recordings() -> Vec<(String, Exchange)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../medplum-sandbox/tests/fixtures/recordings");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let exchanges = |file: &Path| -> Vec<Exchange> { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().flat_map(|file| exchanges(file).into_iter().map(|e| (name(file), e))).collect()
}

/// Exchanges that the client cannot have, and why. What it refuses by itself is shown further down.
const NOT_ASKED: &[(&str, &str, &str)] = &[
    ("auth", "token", "a token request: see tokens_are_asked_for_as_recorded"),
    ("auth", "wrong secret", "a token request"),
    ("auth", "unknown client", "a token request"),
    ("auth", "JSON instead of a form", "a token is asked for by a form alone"),
    ("auth", "unknown grant", "a token is asked for by client credentials alone"),
    ("auth", "no token", "every request carries a token"),
    ("auth", "bad token", "a token given from outside: see a_refused_token_from_outside"),
    ("bundles", "batch with an absolute URL and a bot", "refused before it is sent: an absolute URL"),
    ("errors", "bad JSON", "a body is made of a value, so it is always JSON"),
    ("graphql", "syntax error", "refused before it is sent: it does not parse"),
    ("lifecycle", "read, not modified", "no read is conditional"),
    ("lifecycle", "patch, empty", "refused before it is sent: nothing would change"),
    ("lifecycle", "patch, stale If-Match is ignored", "Medplum ignores it, so it is never sent on a PATCH"),
    ("lifecycle", "conditional create, empty header creates", "refused before it is sent: it would create a duplicate"),
    ("on-behalf-of", "garbage", "refused before it is sent: not a membership"),
];

fn method(text: &str) -> Method {
    Method::parse(text).unwrap()
}

/// The interaction that an exchange is, put together by the types rather than recognised from its path.
fn interaction(exchange: &Exchange) -> Interaction {
    let Recorded { method: m, path, headers, body } = &exchange.request;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query: Query = pairs(&query.replace('+', "%2B")).into_iter().collect();
    let Some(below) = path.strip_prefix("fhir/R4") else {
        return Interaction::from_path(&FhirPath::default(), method(m), path, query, None).unwrap();
    };
    let segments: Vec<&str> = below.split('/').filter(|segment| !segment.is_empty()).collect();
    let resource = || body.clone();
    let operation = |level, name: &str| {
        let name = name.trim_start_matches('$').parse().unwrap();
        let body = Some(body.clone()).filter(|body| !body.is_null());
        Interaction::operation(Operation { level, name, method: method(m), query: query.clone(), body }).unwrap()
    };
    match (m.as_str(), &segments[..]) {
        ("GET", ["metadata"]) => Interaction::Metadata,
        ("GET", []) => Interaction::Search(Search { resource_type: None, query, by_post: false }),
        ("POST", []) => Interaction::Batch(Batch::parse(body).unwrap()),
        ("POST", ["$graphql"]) => {
            let variables = body.get("variables").and_then(Value::as_object).cloned();
            Interaction::GraphQl(GraphQl::parse(body["query"].as_str().unwrap(), variables, None).unwrap())
        }
        ("POST", [t, "_search"]) => {
            let query = body.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
            Interaction::Search(Search { resource_type: Some(t.parse().unwrap()), query, by_post: true })
        }
        ("POST", ["Bot", bot, "$execute"]) => Interaction::ExecuteBot {
            bot: bot.parse().unwrap(),
            input: body.as_str().map_or_else(|| body.to_string().into(), |text| Bytes::from(text.to_owned())),
            content_type: headers["Content-Type"].clone(),
        },
        (_, [t, name]) if name.starts_with('$') => operation(Level::Type(t.parse().unwrap()), name),
        (_, [t, id, name]) if name.starts_with('$') => {
            operation(Level::Instance(t.parse().unwrap(), id.parse().unwrap()), name)
        }
        ("POST", ["Binary"]) => Interaction::CreateBinary {
            content_type: headers["Content-Type"].clone(),
            content: Bytes::from(body.as_str().unwrap().to_owned()),
        },
        ("POST", [t]) => {
            let if_none_exist = headers.get("If-None-Exist").map(|text| pairs(text).into_iter().collect());
            Interaction::Create { resource_type: t.parse().unwrap(), resource: resource(), if_none_exist }
        }
        ("PUT", [t, id]) => {
            let version = |text: &String| text.trim_matches(['W', '/', '"']).parse().unwrap();
            let if_match = headers.get("If-Match").map(version);
            Interaction::Update {
                resource_type: t.parse().unwrap(),
                id: id.parse().unwrap(),
                resource: resource(),
                if_match,
            }
        }
        ("PATCH", [t, id]) => Interaction::Patch {
            resource_type: t.parse().unwrap(),
            id: id.parse().unwrap(),
            patch: JsonPatch::parse(body.as_array().unwrap().clone()).unwrap(),
        },
        ("DELETE", [t, id]) => Interaction::Delete { resource_type: t.parse().unwrap(), id: id.parse().unwrap() },
        ("GET", [t]) if t.starts_with(char::is_uppercase) => Interaction::search(t.parse().unwrap(), query),
        ("GET", [t, id]) if t.starts_with(char::is_uppercase) => {
            Interaction::Read { resource_type: t.parse().unwrap(), id: id.parse().unwrap(), query }
        }
        ("GET", [t, id, "_history"]) => {
            Interaction::History { resource_type: t.parse().unwrap(), id: id.parse().unwrap(), query }
        }
        ("GET", [t, id, "_history", version]) => Interaction::VersionRead {
            resource_type: t.parse().unwrap(),
            id: id.parse().unwrap(),
            version: version.parse().unwrap(),
        },
        _ => Interaction::from_path(&FhirPath::default(), method(m), path, query, None).unwrap(),
    }
}

fn call_of(exchange: &Exchange) -> Call {
    let member = exchange.request.headers.get("X-Medplum-On-Behalf-Of");
    Call::on_behalf_of(member.map(|member| Membership::parse(member).unwrap()))
}

/// A recorded body as the client would be given it. That of more than a megabyte is recorded by its size alone.
fn whole(mut exchange: Exchange) -> Exchange {
    if exchange.request.body == "<a Patient of 1.2 MB>" {
        exchange.request.body = json!({"resourceType": "Patient", "name": [{"family": "x".repeat(1_200_000)}]});
    }
    exchange
}

fn answer(response: &Response) -> Answer {
    let body = match &response.body {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let headers = response.headers.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    Answer::Send { status: response.status, headers, body: body.into() }
}

/// What is sent is what was sent then.
fn assert_sent(what: &str, recorded: &Recorded, interaction: &Interaction, sent: &Received) {
    let path = |target: &str| target.split('?').next().unwrap().trim_start_matches('/').to_owned();
    assert_eq!((&sent.method, path(&sent.target)), (&recorded.method, path(&recorded.path)), "{what}");
    let query = recorded.path.split_once('?').map_or("", |(_, query)| query);
    assert_eq!(sent.query(), pairs(&query.replace('+', "%2B")), "{what}");
    assert!(
        !sent.target.split_once('?').is_some_and(|(_, query)| query.contains(['/', '$'])),
        "{what}: {}",
        sent.target
    );

    let recorded_header = |name: &str| recorded.headers.get(name).map(String::as_str);
    // What a bot answers may be of any type.
    let accept =
        if matches!(interaction, Interaction::ExecuteBot { .. }) { Some("*/*") } else { recorded_header("Accept") };
    assert_eq!(sent.header("accept"), accept, "{what}");
    assert_eq!(sent.header("x-medplum"), Some("extended"), "{what}");
    assert_eq!(sent.header("authorization"), Some("Bearer token-0"), "{what}");
    for name in ["Content-Type", "If-Match", "X-Medplum-On-Behalf-Of"] {
        assert_eq!(sent.header(&name.to_ascii_lowercase()), recorded_header(name), "{what}: {name}");
    }
    let condition = |text: Option<&str>| text.map(pairs);
    assert_eq!(condition(sent.header("if-none-exist")), condition(recorded_header("If-None-Exist")), "{what}");

    match (&recorded.body, recorded_header("Content-Type")) {
        (Value::Null, _) => assert!(sent.body.is_empty(), "{what}"),
        (body, Some("application/x-www-form-urlencoded")) => {
            let form = body.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()));
            assert_eq!(pairs(&sent.text()), form.collect::<Vec<_>>(), "{what}");
        }
        (Value::String(text), _) => assert_eq!(&sent.text(), text, "{what}"),
        (body, _) if matches!(interaction, Interaction::GraphQl(_)) => {
            // The document is printed from its tree: the same words, spaced in another way.
            let words = |body: &Value| body["query"].as_str().unwrap().replace([' ', '\n', ','], "");
            let sent = sent.json();
            assert_eq!(words(&sent).trim_start_matches("query"), words(body), "{what}");
            assert_eq!(sent.get("variables"), body.get("variables"), "{what}");
        }
        (body, _) => assert_eq!(&sent.json(), body, "{what}"),
    }
}

/// What came back is told in full.
fn assert_told(what: &str, response: &Response, result: Result<medplum_client::Reply, Error>) {
    if response.status < 400 {
        let reply = result.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((reply.status, reply.replayed), (response.status, false), "{what}");
        let header = |name: &str| response.headers.get(name).map(String::as_str);
        let version = header("etag").map(|etag| etag.trim_matches(['W', '/', '"']));
        assert_eq!((reply.version.as_deref(), reply.location.as_deref()), (version, header("location")), "{what}");
        match reply.body {
            Body::Json(body) => assert_eq!(body, response.body, "{what}"),
            Body::Other(content) => {
                assert_eq!(Some(&*reply.content_type), header("content-type"), "{what}");
                let text = String::from_utf8(content.to_vec()).unwrap();
                let expected = response.body.as_str().map_or_else(|| response.body.to_string(), str::to_owned);
                assert_eq!(text, expected, "{what}");
            }
            Body::Empty => assert_eq!(response.body, "", "{what}"),
        }
        return;
    }
    let error = match result.unwrap_err() {
        Error::Guard { error, .. } => *error,
        error => error,
    };
    let Error::Outcome(outcome) = &error else { panic!("{what}: {error:?}") };
    assert_eq!((outcome.status, error.status()), (response.status, Some(response.status)), "{what}");
    assert_eq!(outcome.id.as_deref(), response.body["id"].as_str(), "{what}");
    let issues = response.body["issue"].as_array().unwrap();
    assert_eq!(outcome.issues.len(), issues.len(), "{what}");
    for (told, issue) in outcome.issues.iter().zip(issues) {
        assert_eq!(Some(&*told.code), issue["code"].as_str(), "{what}");
        assert_eq!(Some(&*told.text), issue["details"]["text"].as_str(), "{what}");
        assert_eq!(json!(told.expression), issue.get("expression").cloned().unwrap_or(json!([])), "{what}");
        // An agent reads it all in the error's text.
        assert!(error.to_string().contains(&told.text), "{what}: {error}");
        assert!(told.expression.iter().all(|path| error.to_string().contains(path)), "{what}: {error}");
    }
    let request_id = response.body.pointer("/extension/0/extension/0/valueId").and_then(Value::as_str);
    assert_eq!(outcome.request_id.as_deref(), request_id, "{what}");
    assert!(!error.may_have_acted(), "{what}");
}

#[tokio::test]
async fn every_recorded_exchange_is_had_again() {
    let all = recordings();
    assert_eq!(all.len(), 132);
    let is_asked = |file: &str, note: &str| !NOT_ASKED.iter().any(|(f, n, _)| (*f, *n) == (file, note));
    let asked: Vec<_> = all.into_iter().filter(|(file, exchange)| is_asked(file, &exchange.note)).collect();
    assert_eq!(asked.len(), 132 - NOT_ASKED.len());

    for (file, exchange) in asked {
        let exchange = whole(exchange);
        let what = format!("{file}: {}", exchange.note);
        let interaction = interaction(&exchange);
        let guards = interaction.guards().unwrap();
        let reads = guards.iter().filter(|guard| matches!(guard, Interaction::Read { .. }));
        let guards: Vec<String> = reads.map(|guard| guard.to_request().relative_url()).collect();
        // Before an operation on an instance the instance is read. Where it is not there, the operation never leaves.
        let (behind, response) = (guards.len(), exchange.response.clone());
        let lost = response.status == 404 && exchange.note == "execute unknown";
        let server = Server::new(move |request| match request.nth < behind {
            true if !lost => Answer::named_by(request),
            _ => answer(&response),
        })
        .await;
        let result = server.client_at(&FakeClock::new()).send(&call_of(&exchange), &interaction).await;

        let sent = server.requests();
        let before: Vec<String> = sent.iter().take(behind).map(Received::line).collect();
        assert_eq!(before, guards.iter().map(|url| format!("GET /fhir/R4/{url}")).collect::<Vec<_>>(), "{what}");
        let own = &sent[behind..];
        let times = if lost {
            0
        } else if exchange.response.status == 429 {
            6
        } else {
            1
        };
        assert_eq!(own.len(), times, "{what}");
        for sent in own {
            assert_sent(&what, &exchange.request, &interaction, sent);
        }
        assert_told(&what, &exchange.response, result);
    }
}

/// The same path, given as text, asks for the same.
#[test]
fn a_recorded_path_is_recognised_as_what_it_is() {
    for (file, exchange) in recordings() {
        let Recorded { method: m, path, body, .. } = &exchange.request;
        if NOT_ASKED.iter().any(|(f, n, _)| (*f, *n) == (&*file, &*exchange.note)) {
            continue;
        }
        let body = Some(body.clone()).filter(|body| !body.is_null());
        let path = path.replace('+', "%2B");
        match Interaction::from_path(&FhirPath::default(), method(m), &path, Query::new(), body) {
            Ok(recognised) => {
                let (raw, typed) = (recognised.to_request(), interaction(&exchange).to_request());
                let form = recognised.label().interaction == "search" && m == "POST";
                assert_eq!(
                    (raw.method, raw.path, raw.query),
                    (typed.method, typed.path, typed.query),
                    "{}",
                    exchange.note
                );
                assert!(!form || raw.body == typed.body, "{}", exchange.note);
            }
            // What does not fit its path is refused before Medplum has to.
            Err(error) => assert!(exchange.response.status == 400 || file == "binary", "{}: {error}", exchange.note),
        }
    }
}

#[tokio::test]
async fn what_medplum_throttled_is_asked_again_after_the_time_it_named() {
    let (_, exchange) = recordings().into_iter().find(|(_, e)| e.response.status == 429).unwrap();
    let response = exchange.response.clone();
    let server = Server::new(move |_| answer(&response)).await;
    let clock = FakeClock::new();
    let error = server.client_at(&clock).send(&call(), &interaction(&exchange)).await.unwrap_err();
    assert_eq!(clock.sleeps(), [55_915; 5]);
    assert_eq!(error.retry_after().unwrap().as_millis(), 55_915);
    assert_eq!(error.to_string(), "Medplum answered 429: Too Many Requests");
}

#[tokio::test]
async fn tokens_are_asked_for_as_recorded() {
    for (_, exchange) in recordings().into_iter().filter(|(_, e)| e.request.path == "oauth2/token") {
        let text = |name: &str| exchange.request.body[name].as_str().unwrap_or_default().to_owned();
        if !["token", "wrong secret", "unknown client"].contains(&exchange.note.as_str()) {
            continue;
        }
        let response = exchange.response.clone();
        let server = Server::with_tokens(move |_| answer(&response), |_| Answer::patient()).await;
        let credentials = Credentials::Client { id: text("client_id"), secret: text("client_secret").into() };
        let config = Config { credentials, ..server.config() };
        let result = Client::new(config, Open).send(&call(), &read_patient()).await;

        let [asked] = &server.token_requests()[..] else { panic!("one token request") };
        assert_eq!(asked.line(), "POST /oauth2/token");
        assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
        let form = exchange.request.body.as_object().unwrap();
        let form: Vec<_> = form.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
        assert_eq!(pairs(&asked.text()), form);
        match exchange.response.body["error_description"].as_str() {
            None => assert_eq!((result.unwrap().status, server.requests()[0].token()), (200, "TOKEN")),
            Some(text) => assert_eq!(result.unwrap_err(), Error::Credentials { description: Some(text.into()) }),
        }
    }
}

#[tokio::test]
async fn a_refused_token_from_outside() {
    let (_, exchange) = recordings().into_iter().find(|(_, e)| e.note == "bad token").unwrap();
    let response = exchange.response.clone();
    let server = Server::new(move |_| answer(&response)).await;
    let config = Config { credentials: Credentials::AccessToken("garbage".to_owned().into()), ..server.config() };
    let error = Client::new(config, Open).send(&call(), &interaction(&exchange)).await.unwrap_err();
    assert_eq!(error, Error::AccessToken);
    assert_eq!(server.requests()[0].header("authorization"), Some(&*exchange.request.headers["Authorization"]));
    assert_eq!(server.requests().len(), 1);
}

/// What the recordings show to go wrong on the server is refused here, in words that say what to do instead.
#[test]
fn what_medplum_takes_amiss_is_refused_here() {
    let find = |note: &str| recordings().into_iter().find(|(_, e)| e.note == note).unwrap().1.request;
    let said = |result: Result<(), String>, expected: &str| {
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    let batch = find("batch with an absolute URL and a bot").body;
    said(
        Batch::parse(&batch).map(|_| ()).map_err(|e| e.to_string()),
        "bundle.entry[0].request.url: it is an absolute URL",
    );
    let query = find("syntax error").body;
    let parsed = GraphQl::parse(query["query"].as_str().unwrap(), None, None);
    said(parsed.map(|_| ()).map_err(|e| e.to_string()), "line 1 column");
    let patch = find("patch, empty").body;
    said(
        JsonPatch::parse(patch.as_array().unwrap().clone()).map(|_| ()).map_err(|e| e.to_string()),
        "nothing would change",
    );
    let condition = Query::parse(&find("conditional create, empty header creates").headers["If-None-Exist"]).unwrap();
    let create = Interaction::create(json!({"resourceType": "Patient"}), Some(condition));
    said(create.map(|_| ()).map_err(|e| e.to_string()), "would then create a duplicate");
    let member = find("garbage").headers["X-Medplum-On-Behalf-Of"].clone();
    said(Membership::parse(&member).map(|_| ()).map_err(|e| e.to_string()), "ProjectMembership/<uuid>");
}
