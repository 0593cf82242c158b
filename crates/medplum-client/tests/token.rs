//! The life of an access token: how often it is fetched, and when it is refreshed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::*;
use medplum_client::{Client, Config, Credentials, Error, Membership, Open, Sent};
use serde_json::json;
use tokio::sync::watch;

const CALLERS: usize = 64;

/// So many callers at once; their results.
async fn all_at_once(client: &Client) -> Vec<Result<medplum_client::Reply, Error>> {
    let calls = (0..CALLERS).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.send(&call(), &read_patient()).await })
    });
    let mut results = Vec::new();
    for task in calls.collect::<Vec<_>>() {
        results.push(task.await.unwrap());
    }
    results
}

/// Lets every task run until it waits for something.
async fn settle() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

// Asking for a token.

#[tokio::test]
async fn a_token_is_asked_for_in_a_form_and_on_nobodys_behalf() {
    let server = Server::new(|_| Answer::patient()).await;
    let config = Config { on_behalf_of: Some(Membership::parse(MEMBER).unwrap()), ..server.config() };
    Client::new(config, Open).send(&call(), &read_patient()).await.unwrap();

    let [asked] = &server.token_requests()[..] else { panic!("one token request") };
    assert_eq!(asked.line(), "POST /oauth2/token");
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.header("x-medplum-on-behalf-of"), None);
    let expected = [("grant_type", "client_credentials"), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    assert_eq!(pairs(&asked.text()), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));

    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.token(), "token-0");
    assert_eq!(request.header("x-medplum-on-behalf-of"), Some(&*format!("ProjectMembership/{MEMBER}")));
}

#[tokio::test]
async fn nothing_is_asked_before_the_first_call() {
    let server = Server::new(|_| Answer::patient()).await;
    let client = server.client();
    settle().await;
    assert_eq!((client.config().timeout, server.connections()), (Duration::from_secs(30), 0));
}

#[tokio::test]
async fn callers_at_once_share_one_token_request() {
    let (go, wait) = watch::channel(false);
    let server = Server::with_tokens(
        move |_| Answer::Once(wait.clone(), Box::new(Answer::token("shared", 3600))),
        |_| Answer::patient(),
    )
    .await;
    let client = server.client();
    let calls = tokio::spawn(async move { all_at_once(&client).await });
    settle().await;
    assert_eq!((server.token_requests().len(), server.requests().len()), (1, 0));

    go.send(true).unwrap();
    assert!(calls.await.unwrap().iter().all(Result::is_ok));
    assert_eq!((server.token_requests().len(), server.requests().len()), (1, CALLERS));
    assert!(server.requests().iter().all(|r| r.token() == "shared"));
}

#[tokio::test]
async fn a_caller_who_leaves_while_it_fetches_does_not_leave_the_others_without() {
    let (go, wait) = watch::channel(false);
    let server = Server::with_tokens(
        move |request| match request.nth {
            0 => Answer::Silence,
            n => Answer::Once(wait.clone(), Box::new(Answer::token(&format!("token-{n}"), 3600))),
        },
        |_| Answer::patient(),
    )
    .await;
    let client = server.client();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(&call(), &read_patient()).await }
    });
    while server.token_requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let others = tokio::spawn(async move { all_at_once(&client).await });
    settle().await;
    assert_eq!(server.token_requests().len(), 1);

    first.abort();
    server.abandoned(1).await;
    go.send(true).unwrap();
    assert!(others.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(server.token_requests().len(), 2);
    assert!(server.requests().iter().all(|r| r.token() == "token-1"));
}

// Refreshing it before it runs out.

#[tokio::test]
async fn a_token_is_refreshed_when_thirty_seconds_or_less_remain() {
    let server = Server::new(|_| Answer::patient()).await;
    let clock = FakeClock::new();
    let client = server.client_at(&clock);
    let ask = async || {
        client.send(&call(), &read_patient()).await.unwrap();
        server.requests().last().unwrap().token().to_owned()
    };
    assert_eq!(ask().await, "token-0");
    clock.advance(Duration::from_secs(3600 - 31));
    assert_eq!(ask().await, "token-0", "31 s remain");
    clock.advance(Duration::from_secs(1));
    assert_eq!(ask().await, "token-1", "30 s remain");
    clock.advance(Duration::from_secs(3600 - 31));
    assert_eq!(ask().await, "token-1", "the new one has an hour of its own");
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test]
async fn a_token_whose_whole_life_is_short_is_still_shared() {
    // With 30 s of life or less it would be refreshed before each of its uses.
    let server = Server::with_tokens(|r| Answer::token(&format!("token-{}", r.nth), 20), |_| Answer::patient()).await;
    let clock = FakeClock::new();
    let client = server.client_at(&clock);
    assert!(all_at_once(&client).await.iter().all(Result::is_ok));
    assert_eq!(server.token_requests().len(), 1);
    clock.advance(Duration::from_secs(10));
    client.send(&call(), &read_patient()).await.unwrap();
    assert_eq!(server.token_requests().len(), 2, "half of its life is over");
}

#[tokio::test]
async fn a_token_that_runs_out_while_a_throttled_call_waits_is_refreshed_first() {
    let throttled = || {
        Answer::outcome(429, Some("too-many-requests"), "throttled", "Too Many Requests").header("retry-after", "60")
    };
    let server = Server::with_tokens(
        |r| Answer::token(&format!("token-{}", r.nth), 80),
        move |r| if r.nth == 0 { throttled() } else { Answer::patient() },
    )
    .await;
    server.client_at(&FakeClock::new()).send(&call(), &create_patient()).await.unwrap();
    let tokens: Vec<String> = server.requests().iter().map(|r| r.token().to_owned()).collect();
    assert_eq!(tokens, ["token-0", "token-1"]);
}

#[tokio::test]
async fn what_medplum_leaves_unsaid_of_a_tokens_life_is_taken_as_an_hour() {
    let server =
        Server::with_tokens(|_| Answer::of(200, "application/json", r#"{"access_token":"t"}"#), |_| Answer::patient())
            .await;
    let clock = FakeClock::new();
    let client = server.client_at(&clock);
    client.send(&call(), &read_patient()).await.unwrap();
    clock.advance(Duration::from_secs(3000));
    client.send(&call(), &read_patient()).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
}

// After a 401.

#[tokio::test]
async fn a_401_is_answered_with_one_refresh_and_one_replay() {
    for interaction in [read_patient(), create_patient(), update_patient()] {
        let server = Server::new(|r| if r.nth == 0 { Answer::unauthorized() } else { Answer::patient() }).await;
        let reply = server.client().send(&call(), &interaction).await.unwrap();
        assert_eq!((reply.status, reply.replayed), (200, false), "a 401 was not carried out");
        let [first, second] = &server.requests()[..] else { panic!("two requests") };
        assert_eq!((first.token(), second.token()), ("token-0", "token-1"));
        assert_eq!((first.line(), &first.body), (second.line(), &second.body));
        assert_eq!(server.token_requests().len(), 2);
    }
}

#[tokio::test]
async fn a_second_401_is_the_answer() {
    let server = Server::new(|_| Answer::unauthorized()).await;
    let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
    let Error::Outcome(outcome) = &error else { panic!("{error:?}") };
    assert!(outcome.is("unauthorized") && outcome.status == 401);
    assert_eq!((server.requests().len(), server.token_requests().len()), (2, 2));
}

#[tokio::test]
async fn callers_with_the_same_refused_token_share_one_refresh() {
    let (go, wait) = watch::channel(false);
    let server = Server::with_tokens(
        move |request| match request.nth {
            0 => Answer::token("revoked", 3600),
            n => Answer::Once(wait.clone(), Box::new(Answer::token(&format!("token-{n}"), 3600))),
        },
        |request| if request.token() == "revoked" { Answer::unauthorized() } else { Answer::patient() },
    )
    .await;
    let client = server.client();
    let calls = tokio::spawn(async move { all_at_once(&client).await });
    // All of them have been refused before the new token comes.
    server.received(CALLERS).await;
    go.send(true).unwrap();
    assert!(calls.await.unwrap().iter().all(Result::is_ok));
    assert_eq!((server.token_requests().len(), server.requests().len()), (2, 2 * CALLERS));
    assert_eq!(server.requests().iter().filter(|r| r.token() == "token-1").count(), CALLERS);
}

#[tokio::test]
async fn a_token_given_from_outside_is_never_refreshed() {
    let server = Server::new(|_| Answer::unauthorized()).await;
    let config = Config { credentials: Credentials::AccessToken("given".to_owned().into()), ..server.config() };
    let clock = FakeClock::new();
    let client = Client::with_surroundings(config, Open, clock.surroundings());
    for day in 0..3 {
        clock.advance(Duration::from_secs(day * 86_400));
        let error = client.send(&call(), &read_patient()).await.unwrap_err();
        assert_eq!(error, Error::AccessToken);
    }
    assert!(server.requests().iter().all(|r| r.token() == "given"));
    assert_eq!((server.requests().len(), server.token_requests().len()), (3, 0));
}

#[tokio::test]
async fn an_access_token_that_no_header_can_hold_is_named_as_the_trouble() {
    let server = Server::new(|_| Answer::patient()).await;
    let config =
        Config { credentials: Credentials::AccessToken("given\nby hand".to_owned().into()), ..server.config() };
    let error = Client::new(config, Open).send(&call(), &read_patient()).await.unwrap_err();
    assert!(error.to_string().contains("the access token cannot stand in a header"), "{error}");
    assert_eq!(server.connections(), 0);
}

// When no token is to be had.

#[tokio::test]
async fn wrong_credentials_are_told_in_medplums_words() {
    for description in ["Invalid secret", "Invalid client"] {
        let body = json!({"error": "invalid_request", "error_description": description});
        let server = Server::with_tokens(
            move |_| Answer::of(400, "application/json; charset=utf-8", body.to_string()),
            |_| Answer::patient(),
        )
        .await;
        let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
        assert_eq!(error, Error::Credentials { description: Some(description.into()) });
        assert_eq!(error.to_string(), format!("Medplum refused the credentials: {description}"));
        assert_eq!((server.token_requests().len(), server.requests().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_short_secret_is_in_no_error_either() {
    let body = json!({"error": "invalid_request", "error_description": "Invalid secret pw12"});
    let server =
        Server::with_tokens(move |_| Answer::of(400, "application/json", body.to_string()), |_| Answer::patient())
            .await;
    let credentials = Credentials::Client { id: "c".into(), secret: "pw12".to_owned().into() };
    let client = Client::new(Config { credentials, ..server.config() }, Open);
    let error = client.send(&call(), &read_patient()).await.unwrap_err();
    assert_eq!(error.to_string(), "Medplum refused the credentials: Invalid secret [secret left out]");
}

/// What refuses without OAuth's word for it may be a proxy, or a rule about something else than the credentials.
#[tokio::test]
async fn another_refusal_is_not_one_of_the_credentials() {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden", "details": {"text": "IP address not allowed"}}]});
    for status in [400, 401, 403] {
        for (content_type, body, says) in [
            ("text/html", "<html>blocked</html>".to_owned(), "may be a proxy that answered"),
            ("text/plain", "Unsupported content type".to_owned(), "may be a proxy that answered"),
            ("application/fhir+json", outcome.to_string(), "IP address not allowed"),
        ] {
            let server =
                Server::with_tokens(move |_| Answer::of(status, content_type, body.clone()), |_| Answer::patient())
                    .await;
            let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
            assert!(matches!(error, Error::SignIn(_)), "{status}: {error}");
            assert!(error.to_string().contains(says), "{status}: {error}");
            assert_eq!(server.requests().len(), 0);
        }
    }
}

#[tokio::test]
async fn a_failed_fetch_is_not_repeated_for_a_second() {
    let server = Server::with_tokens(
        |request| match request.nth {
            0 => Answer::of(400, "application/json", r#"{"error_description":"Invalid secret"}"#),
            n => Answer::token(&format!("token-{n}"), 3600),
        },
        |_| Answer::patient(),
    )
    .await;
    let clock = FakeClock::new();
    let client = server.client_at(&clock);
    assert!(all_at_once(&client).await.iter().all(|r| matches!(r, Err(Error::Credentials { .. }))));
    clock.advance(Duration::from_millis(999));
    assert!(client.send(&call(), &read_patient()).await.is_err());
    assert_eq!(server.token_requests().len(), 1, "{CALLERS} callers and one more within the second");
    clock.advance(Duration::from_millis(1));
    client.send(&call(), &read_patient()).await.unwrap();
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test]
async fn a_failed_refresh_after_a_401_leaves_room_for_the_next() {
    let server = Server::with_tokens(
        |request| match request.nth {
            0 => Answer::token("revoked", 3600),
            1 => Answer::of(400, "application/json", r#"{"error_description":"Invalid client"}"#),
            n => Answer::token(&format!("token-{n}"), 3600),
        },
        |request| if request.token() == "revoked" { Answer::unauthorized() } else { Answer::patient() },
    )
    .await;
    let clock = FakeClock::new();
    let client = server.client_at(&clock);
    assert!(matches!(client.send(&call(), &read_patient()).await, Err(Error::Credentials { .. })));
    clock.advance(Duration::from_secs(1));
    assert_eq!(client.send(&call(), &read_patient()).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_token_endpoint_is_asked_again_as_any_safe_request_is() {
    let cases: [(&str, Making); 3] = [
        ("503", || Answer::empty(503)),
        ("a reset", || Answer::Reset),
        ("429", || Answer::empty(429).header("retry-after", "2")),
    ];
    for (name, trouble) in cases {
        let server = Server::with_tokens(
            move |request| if request.nth < 2 { trouble() } else { Answer::token("third", 3600) },
            |_| Answer::patient(),
        )
        .await;
        let client = server.client_at(&FakeClock::new());
        client.send(&call(), &create_patient()).await.unwrap();
        assert_eq!((server.token_requests().len(), server.requests().len()), (3, 1), "{name}");
    }
}

#[tokio::test]
async fn trouble_with_signing_in_is_not_taken_for_an_answer_about_the_record() {
    // A base URL that leads elsewhere: a 404 of its own must not read as "no such patient".
    let table: [(&str, Answer, &str); 6] = [
        ("404", Answer::of(404, "text/html", "<h1>Not here</h1>"), "sign"),
        ("500", Answer::of(500, "text/plain", "oops"), "sign"),
        ("429", Answer::empty(429), "sign"),
        ("redirect", Answer::empty(302).header("location", "https://elsewhere.example/"), "redirect"),
        ("HTML with 200", Answer::of(200, "text/html", "<h1>Welcome</h1>"), "sign-in"),
        ("JSON without a token", Answer::of(200, "application/json", "{}"), "sign-in"),
    ];
    for (name, answer, expected) in table {
        let answer = Mutex::new(Some(answer));
        let server = Server::with_tokens(
            move |_| answer.lock().unwrap().take().unwrap_or_else(|| Answer::empty(429)),
            |_| Answer::patient(),
        )
        .await;
        let error = server.client_at(&FakeClock::new()).send(&call(), &create_patient()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(!error.may_have_acted(), "{name}: nothing but a token was asked for");
        assert!(!matches!(&error, Error::Outcome(outcome) if outcome.is("not-found")), "{name}");
        assert_eq!(server.requests().len(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_write_in_doubt_stays_in_doubt_when_signing_in_fails_behind_it() {
    // The first PUT is lost, the second finds the token revoked, and no other token is to be had.
    let server = Server::with_tokens(
        |r| if r.nth == 0 { Answer::token("t", 3600) } else { Answer::of(400, "application/json", "{}") },
        |r| if r.nth == 0 { Answer::Reset } else { Answer::unauthorized() },
    )
    .await;
    let error = server.client_at(&FakeClock::new()).send(&call(), &update_patient()).await.unwrap_err();
    assert!(matches!(error, Error::Lost { sent: Sent::Maybe, .. }), "{error:?}");
}
