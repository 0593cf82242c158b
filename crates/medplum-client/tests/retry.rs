//! When a request is sent again and when it is not: the retry table, under a clock that stands still.
//!
//! Each test says what the server does, counts the requests that reached it, and reads the sleeps off the clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::*;
use medplum_client::{
    Body, Client, Error, FhirPath, GraphQl, Interaction, JsonPatch, Level, Method, NoConnection, Open, Operation,
    Query, Reply, Search, Sent,
};
use serde_json::json;

/// Reads of plain resources, an update of a version that is named, and a create whose condition finds what it created.
fn safe() -> Vec<(&'static str, Interaction)> {
    let patient = || "Patient".parse().unwrap();
    let id = || PATIENT.parse().unwrap();
    vec![
        ("metadata", Interaction::Metadata),
        ("read", read_patient()),
        ("vread", Interaction::VersionRead { resource_type: patient(), id: id(), version: "v1".parse().unwrap() }),
        ("history", Interaction::History { resource_type: patient(), id: id(), query: Query::new() }),
        ("search", search("name=a")),
        ("native read by GET", operation(Level::Type("CodeSystem".parse().unwrap()), "lookup", Method::Get)),
        ("listed raw read", raw(Method::Get, "auth/me", None)),
        ("update", update_patient()),
        ("conditional create", create_patient_unless("identifier=urn:rec|r1")),
    ]
}

/// Everything else. Sent twice, any of these could happen twice, or could run a bot twice.
fn unsafe_to_replay() -> Vec<(&'static str, Interaction)> {
    let patient = || "Patient".parse().unwrap();
    let bot = || BOT.parse().unwrap();
    let patch = json!([{"op": "replace", "path": "/active", "value": true}]);
    let patch = JsonPatch::parse(patch.as_array().unwrap().clone()).unwrap();
    let execute =
        Interaction::ExecuteBot { bot: bot(), input: Bytes::from("{}"), content_type: "application/json".into() };
    let empty_condition = Interaction::Create {
        resource_type: patient(),
        resource: json!({"resourceType": "Patient"}),
        if_none_exist: Some(Query::new()),
    };
    vec![
        ("create", create_patient()),
        ("create with an empty condition, which Medplum ignores", empty_condition),
        ("create whose condition does not find it", create_patient_unless("identifier=urn:rec|typo")),
        ("create whose condition may not find it", create_patient_unless("identifier=urn:rec|r1&active=true")),
        ("create by any of several identifiers", create_patient_unless("identifier=urn:rec|r1,urn:rec|r2")),
        ("create by an identifier of no system", create_patient_unless("identifier=r1")),
        (
            "update of whatever is there",
            Interaction::update(json!({"resourceType": "Patient", "id": PATIENT}), None).unwrap(),
        ),
        ("delete", Interaction::Delete { resource_type: patient(), id: PATIENT.parse().unwrap() }),
        ("Binary", Interaction::CreateBinary { content_type: "text/plain".into(), content: Bytes::from("x") }),
        ("patch", Interaction::Patch { resource_type: patient(), id: PATIENT.parse().unwrap(), patch }),
        (
            "search by POST",
            Interaction::Search(Search { resource_type: Some(patient()), query: Query::new(), by_post: true }),
        ),
        ("$validate", operation(Level::Type(patient()), "validate", Method::Post)),
        ("$execute by POST", execute),
        ("$execute by GET", operation(Level::Instance("Bot".parse().unwrap(), bot()), "execute", Method::Get)),
        ("$execute by identifier", operation(Level::Type("Bot".parse().unwrap()), "execute", Method::Get)),
        ("an operation that may be a bot, by GET", operation(Level::Type(patient()), "my-op", Method::Get)),
        ("$export", operation(Level::System, "export", Method::Get)),
        ("GraphQL query", Interaction::GraphQl(GraphQl::parse("{ PatientList { id } }", None, None).unwrap())),
        ("batch", raw(Method::Post, "fhir/R4", Some(json!({"type": "batch", "entry": []})))),
        ("raw PUT", raw(Method::Put, "fhir/R4/Patient?identifier=x", Some(json!({"resourceType": "Patient"})))),
        ("raw POST", raw(Method::Post, "admin/invite", Some(json!({})))),
    ]
}

fn operation(level: Level, name: &str, method: Method) -> Interaction {
    let query = Query::new().with("code", "x");
    Interaction::operation(Operation { level, name: name.parse().unwrap(), method, query, body: None }).unwrap()
}

fn raw(method: Method, path: &str, body: Option<serde_json::Value>) -> Interaction {
    Interaction::from_path(&FhirPath::default(), method, path, Query::new(), body).unwrap()
}

/// Whether a request is the read that comes before an operation on an instance.
fn is_guard(request: &Received) -> bool {
    request.line() == format!("GET /fhir/R4/Bot/{BOT}")
}

/// A server on which every guard succeeds and every `n`th other request is answered by `answer(n)`.
async fn server(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Server {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Server::new(move |request| {
        if is_guard(request) {
            return Answer::fhir(200, json!({"resourceType": "Bot", "id": BOT}));
        }
        answer(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    })
    .await
}

/// Sends, and gives the outcome with how often it reached the server and how long the client slept between.
async fn send(server: &Server, interaction: &Interaction) -> (Result<Reply, Error>, usize, Vec<u128>) {
    let clock = FakeClock::new();
    let result = server.client_at(&clock).send(&call(), interaction).await;
    let reached = server.requests().iter().filter(|r| !is_guard(r)).count();
    (result, reached, clock.sleeps())
}

// 429: any method, because the request was not carried out.

fn throttled(diagnostics: Option<&str>) -> Answer {
    let mut issue = json!({"severity": "error", "code": "throttled", "details": {"text": "Too Many Requests"}});
    if let Some(text) = diagnostics {
        issue["diagnostics"] = text.into();
    }
    Answer::fhir(429, json!({"resourceType": "OperationOutcome", "id": "too-many-requests", "issue": [issue]}))
}

#[tokio::test]
async fn a_429_is_retried_five_times_whatever_the_method() {
    for (name, interaction) in safe().into_iter().chain(unsafe_to_replay()) {
        let server = server(|_| throttled(None)).await;
        let (result, reached, sleeps) = send(&server, &interaction).await;
        assert_eq!((reached, sleeps), (6, vec![1000; 5]), "{name}");
        let Err(Error::Outcome(outcome)) = result else { panic!("{name}: {result:?}") };
        assert!(outcome.is("too-many-requests"), "{name}");
        assert!(!outcome.uncertain, "{name}: a 429 was not carried out");
        assert_eq!(outcome.retry_after, Some(Duration::from_secs(1)), "{name}");
    }
}

#[tokio::test]
async fn a_429_that_passes_is_not_seen_by_the_caller() {
    for (name, interaction) in [("read", read_patient()), ("create", create_patient())] {
        let server = server(|n| if n < 3 { throttled(None) } else { Answer::patient() }).await;
        let (result, reached, _) = send(&server, &interaction).await;
        assert_eq!((result.unwrap().status, reached), (200, 4), "{name}");
    }
}

#[tokio::test]
async fn a_429_says_how_long_to_wait() {
    let ms = |ms: i64| format!("{{\"_remainingPoints\":0,\"_msBeforeNext\":{ms},\"limit\":300}}");
    type Header = Option<(&'static str, &'static str)>;
    let table: [(&str, Option<String>, Header, u128); 14] = [
        ("Medplum's own figure", Some(ms(5591)), None, 5591),
        ("Medplum's figure goes before the headers", Some(ms(5591)), Some(("Retry-After", "7")), 5591),
        ("Medplum's figure over a minute", Some(ms(3_600_000)), None, 60_000),
        ("Medplum's figure below zero", Some(ms(-3)), None, 0),
        ("diagnostics that are no JSON", Some("slow down".into()), Some(("Retry-After", "7")), 7000),
        ("Retry-After in seconds", None, Some(("Retry-After", "7")), 7000),
        ("Retry-After over a minute", None, Some(("Retry-After", "86400")), 60_000),
        ("Retry-After as a date, 9 s from now", None, Some(("Retry-After", "Sun, 22 Nov 2026 09:19:55 GMT")), 9000),
        ("Retry-After as a date in the past", None, Some(("Retry-After", "Sun, 22 Nov 2026 09:00:00 GMT")), 0),
        ("Retry-After as a date next year", None, Some(("Retry-After", "Mon, 22 Nov 2027 09:19:46 GMT")), 60_000),
        ("Retry-After that is neither", None, Some(("Retry-After", "soon")), 1000),
        ("RateLimit", None, Some(("RateLimit", "\"fhirInteractions\";r=0;t=12")), 12_000),
        ("RateLimit over a minute", None, Some(("RateLimit", "\"fhirInteractions\";r=0;t=600")), 60_000),
        ("nothing", None, None, 1000),
    ];
    for (name, diagnostics, header, expected) in table {
        let server = server(move |n| {
            if n > 0 {
                return Answer::patient();
            }
            let answer = throttled(diagnostics.as_deref());
            header.map_or(throttled(diagnostics.as_deref()), |(name, value)| answer.header(name, value))
        })
        .await;
        let (result, reached, sleeps) = send(&server, &create_patient()).await;
        assert_eq!((result.unwrap().status, reached), (200, 2), "{name}");
        assert_eq!(sleeps.iter().sum::<u128>(), expected, "{name}");
    }
}

// 502, 503, 504: a proxy's word. The request may have been carried out.

#[tokio::test]
async fn an_unavailable_server_is_asked_twice_more_if_that_is_safe() {
    for status in [502, 503, 504] {
        for (name, interaction) in safe() {
            let server = server(move |_| Answer::of(status, "text/html", "<h1>Bad gateway</h1>")).await;
            let (result, reached, sleeps) = send(&server, &interaction).await;
            assert_eq!((reached, sleeps), (3, vec![350, 600]), "{status} {name}");
            let error = result.unwrap_err();
            assert_eq!(error.status(), Some(status), "{name}");
            assert_eq!(error.may_have_acted(), !interaction.effect().is_read(), "{status} {name}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_once_is_asked_once() {
    for answer in [|_| throttled(None), |_| Answer::empty(503), |_| Answer::Reset] {
        for (name, interaction) in safe() {
            let server = server(answer).await;
            let clock = FakeClock::new();
            server.client_at(&clock).send(&call().once(), &interaction).await.unwrap_err();
            assert_eq!((server.requests().len(), clock.sleeps()), (1, vec![]), "{name}");
        }
    }
}

#[tokio::test]
async fn an_unavailable_server_is_not_asked_again_if_that_is_not_safe() {
    for status in [502, 503, 504] {
        for (name, interaction) in unsafe_to_replay() {
            let server = server(move |_| Answer::empty(status)).await;
            let (result, reached, sleeps) = send(&server, &interaction).await;
            assert_eq!((reached, sleeps.len()), (1, 0), "{status} {name}");
            let error = result.unwrap_err();
            assert_eq!(error.status(), Some(status), "{name}");
            assert_eq!(error.may_have_acted(), !interaction.effect().is_read(), "{status} {name}");
            let says_so = error.to_string().contains("may have been carried out");
            assert_eq!(says_so, !interaction.effect().is_read(), "{status} {name}: {error}");
            assert!(!error.to_string().contains("earlier attempt"), "there was none: {error}");
        }
    }
}

#[tokio::test]
async fn the_wait_grows_and_carries_up_to_a_fifth_of_a_second_of_jitter() {
    for (chance, expected) in [(0.0, [250, 500]), (0.5, [350, 600]), (1.0, [450, 700])] {
        let server = server(|_| Answer::empty(503)).await;
        let clock = FakeClock::new();
        clock.set_chance(chance);
        server.client_at(&clock).send(&call(), &read_patient()).await.unwrap_err();
        assert_eq!(clock.sleeps(), expected);
    }
}

// Any other status is an answer.

#[tokio::test]
async fn a_500_and_the_rest_are_never_retried() {
    for status in [400, 403, 404, 408, 409, 410, 412, 422, 425, 431, 500, 501, 505, 507, 599] {
        for (name, interaction) in
            [("read", read_patient()), ("update", update_patient()), ("create", create_patient())]
        {
            let server = server(move |_| Answer::outcome(status, None, "exception", "no")).await;
            let (result, reached, sleeps) = send(&server, &interaction).await;
            assert_eq!((reached, sleeps.len()), (1, 0), "{status} {name}");
            let error = result.unwrap_err();
            assert_eq!(error.status(), Some(status), "{name}");
            // What is not implemented was not carried out.
            let uncertain = status >= 500 && status != 501 && name != "read";
            assert_eq!(error.may_have_acted(), uncertain, "{status} {name}");
        }
    }
}

// No connection: nothing was sent, so any method may be tried again.

#[tokio::test]
async fn a_refused_connection_is_tried_twice_more_whatever_the_method() {
    // A port on which nobody listens: one that was just free.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (name, interaction) in safe().into_iter().chain(unsafe_to_replay()) {
        let clock = FakeClock::new();
        let config = config(&format!("http://{free}/"));
        let config = medplum_client::Config {
            credentials: medplum_client::Credentials::AccessToken("given".to_owned().into()),
            ..config
        };
        let error = Client::with_surroundings(config, Open, clock.surroundings())
            .send(&call(), &interaction)
            .await
            .unwrap_err();
        // Of an operation on an instance, the look at that is what fails.
        let error = match error {
            Error::Guard { error, .. } => *error,
            error => error,
        };
        assert_eq!(clock.sleeps(), [350, 600], "{name}");
        assert_eq!(error, Error::Unreachable { why: NoConnection::Refused, proxy: None, attempts: 3 }, "{name}");
        assert!(!error.may_have_acted(), "{name}");
        assert!(error.to_string().contains("Nothing was sent"), "{name}");
    }
}

// The connection was lost after sending, or no answer came in time.

/// The ways in which an answer can fail to arrive, with what is known of a write then.
fn losses() -> Vec<(&'static str, Making, Sent)> {
    vec![
        ("reset before any byte", || Answer::Reset, Sent::Maybe),
        ("silence until the time-out", || Answer::Silence, Sent::Maybe),
        ("200 and then the body broke off", || Answer::Truncated { status: 200, body: b"{\"res".to_vec() }, Sent::Done),
        ("201 and then the body stopped coming", || Answer::Dribble { status: 201, body: b"{".to_vec() }, Sent::Done),
        ("500 and then the body broke off", || Answer::Truncated { status: 500, body: b"{".to_vec() }, Sent::Maybe),
    ]
}

async fn send_with_short_time_out(server: &Server, interaction: &Interaction) -> (Result<Reply, Error>, Vec<u128>) {
    let clock = FakeClock::new();
    let mut config = server.config();
    config.timeout = Duration::from_millis(80);
    let client = Client::with_surroundings(config, Open, clock.surroundings());
    (client.send(&call(), interaction).await, clock.sleeps())
}

#[tokio::test]
async fn a_lost_request_is_sent_twice_more_if_that_is_safe() {
    for (loss, answer, sent) in losses() {
        for (name, interaction) in safe() {
            let server = server(move |_| answer()).await;
            let (result, sleeps) = send_with_short_time_out(&server, &interaction).await;
            assert_eq!((server.requests().len(), sleeps), (3, vec![350, 600]), "{loss}, {name}");
            let sent = if interaction.effect().is_read() { Sent::No } else { sent };
            let Err(Error::Lost { sent: told, .. }) = result else { panic!("{loss}, {name}: {result:?}") };
            assert_eq!(told, sent, "{loss}, {name}");
        }
    }
}

#[tokio::test]
async fn a_lost_write_is_never_sent_twice() {
    for (loss, answer, sent) in losses() {
        for (name, interaction) in unsafe_to_replay() {
            let server = server(move |_| answer()).await;
            let (result, sleeps) = send_with_short_time_out(&server, &interaction).await;
            let reached = server.requests().iter().filter(|r| !is_guard(r)).count();
            assert_eq!((reached, sleeps.len()), (1, 0), "{loss}, {name}");
            let error = result.unwrap_err();
            let sent = if interaction.effect().is_read() { Sent::No } else { sent };
            assert!(matches!(&error, Error::Lost { sent: told, .. } if *told == sent), "{loss}, {name}: {error:?}");
            let words = match sent {
                Sent::No => "",
                Sent::Maybe => "may have been carried out",
                Sent::Done => "was carried out",
            };
            assert!(error.to_string().contains(words), "{loss}, {name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_replay_that_succeeds_says_that_it_is_one() {
    let cases: [(&str, Interaction, bool); 3] = [
        ("read", read_patient(), false),
        ("update", update_patient(), true),
        ("conditional create", create_patient_unless("identifier=urn:rec|r1"), true),
    ];
    for (name, interaction, replayed) in cases {
        let server = server(|n| if n == 0 { Answer::Reset } else { Answer::patient() }).await;
        let (result, reached, _) = send(&server, &interaction).await;
        let reply = result.unwrap();
        assert_eq!((reply.replayed, reached), (replayed, 2), "{name}");
        let [first, second] = &server.requests()[..] else { panic!("two requests") };
        assert_eq!(
            (first.line(), &first.body, first.header("if-match")),
            (second.line(), &second.body, second.header("if-match"))
        );
        assert_eq!(first.header("if-none-exist"), second.header("if-none-exist"));
    }
}

#[tokio::test]
async fn a_replay_that_is_refused_says_that_an_earlier_attempt_may_have_been_carried_out() {
    // The first PUT was stored and its answer lost: the second finds a newer version than it names.
    let server = server(|n| match n {
        0 => Answer::Reset,
        _ => Answer::outcome(412, Some("precondition-failed"), "processing", "Precondition Failed"),
    })
    .await;
    let (result, reached, _) = send(&server, &update_patient()).await;
    let error = result.unwrap_err();
    assert_eq!((reached, error.status(), error.may_have_acted()), (2, Some(412), true));
    assert!(error.to_string().contains("An earlier attempt may have been carried out"), "{error}");
}

#[tokio::test]
async fn whatever_comes_after_a_lost_attempt_leaves_it_in_doubt() {
    let cases: [(&str, Making); 5] = [
        ("a redirect", || Answer::empty(302).header("location", "https://elsewhere.example/")),
        ("a page", || Answer::of(200, "text/html", "<p>sign in</p>")),
        ("nothing", || Answer::empty(200)),
        ("a refusal", || Answer::outcome(403, Some("forbidden"), "forbidden", "Forbidden")),
        ("too many", || Answer::empty(429)),
    ];
    for (name, then) in cases {
        for interaction in [update_patient(), create_patient_unless("identifier=urn:rec|r1")] {
            let server = server(move |n| if n == 0 { Answer::Reset } else { then() }).await;
            let (result, ..) = send(&server, &interaction).await;
            let error = result.unwrap_err();
            assert!(error.may_have_acted(), "{name}: {error:?}");
            assert!(error.to_string().contains("may have been carried out"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_write_that_was_lost_once_is_not_called_unsent_when_the_server_then_goes_away() {
    // The first attempt reached the server; then nobody listens any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        let mut some = [0; 16];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut some).await.unwrap();
        stream.set_zero_linger().unwrap();
    });
    let mut config = config(&base);
    config.credentials = medplum_client::Credentials::AccessToken("given".to_owned().into());
    let clock = FakeClock::new();
    let client = Client::with_surroundings(config, Open, clock.surroundings());
    let error = client.send(&call(), &update_patient()).await.unwrap_err();
    assert!(error.may_have_acted(), "{error:?}");
    assert!(error.to_string().contains("may have been carried out"), "{error}");
    assert!(!error.to_string().contains("Nothing was sent"), "{error}");
}

#[tokio::test]
async fn there_are_six_attempts_at_most_however_the_failures_are_mixed() {
    let five_hundred_three_first = |n: usize| if n < 2 { Answer::empty(503) } else { throttled(None) };
    let throttled_first = |n: usize| if n < 4 { throttled(None) } else { Answer::empty(503) };
    let unauthorized_first = |n: usize| if n == 0 { Answer::unauthorized() } else { throttled(None) };
    let (a, b, c) =
        (server(five_hundred_three_first).await, server(throttled_first).await, server(unauthorized_first).await);
    for server in [a, b, c] {
        let (result, reached, _) = send(&server, &read_patient()).await;
        assert!(result.is_err());
        assert_eq!(reached, 6);
    }
}

#[tokio::test]
async fn a_guard_that_fails_stops_the_operation_before_it_is_sent() {
    let execute =
        Interaction::ExecuteBot { bot: BOT.parse().unwrap(), input: Bytes::new(), content_type: "text/plain".into() };
    let server = Server::new(|_| Answer::outcome(404, Some("not-found"), "not-found", "Not found")).await;
    let error = server.client().send(&call(), &execute).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(matches!(&error, Error::Guard { of, .. } if *of == format!("Bot/{BOT}")), "{error:?}");
    assert_eq!(server.lines(), [format!("GET /Bot/{BOT}")]);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_costs_nothing() {
    // The first answer ends with a connection that the server closes. The write behind it goes over a new one, once.
    let server = Server::new(|request| match request.nth {
        0 => Answer::ThenClose(Box::new(Answer::patient())),
        _ => Answer::fhir(201, json!({"resourceType": "Patient", "id": PATIENT})),
    })
    .await;
    let client = server.client();
    client.send(&call(), &read_patient()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let reply = client.send(&call(), &create_patient()).await.unwrap();
    assert_eq!((reply.status, reply.replayed), (201, false));
    assert_eq!(server.lines(), [format!("GET /Patient/{PATIENT}"), "POST /Patient".into()]);
}

#[tokio::test]
async fn a_write_that_cannot_be_put_together_is_neither_sent_nor_tried_again() {
    let upload =
        Interaction::CreateBinary { content_type: "text/plain\r\nX-Evil: 1".into(), content: Bytes::from("x") };
    let server = server(|_| Answer::patient()).await;
    let (result, reached, sleeps) = send(&server, &upload).await;
    let error = result.unwrap_err();
    assert_eq!((reached, sleeps.len()), (0, 0));
    assert!(!error.to_string().contains("cannot be reached"), "it is not the network's fault: {error}");
    assert!(!error.may_have_acted());
}

#[tokio::test]
async fn a_body_of_any_kind_comes_back_as_it_was_sent() {
    let server = server(|_| Answer::of(200, "text/plain; charset=utf-8", "hello")).await;
    let execute =
        Interaction::ExecuteBot { bot: BOT.parse().unwrap(), input: Bytes::new(), content_type: "text/plain".into() };
    let (result, ..) = send(&server, &execute).await;
    let reply = result.unwrap();
    assert_eq!((&*reply.content_type, reply.body), ("text/plain; charset=utf-8", Body::Other(Bytes::from("hello"))));
}
