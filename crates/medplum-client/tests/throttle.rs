//! A 429 is everybody's: one pause for all callers of a client, and no storm when it ends. Under a clock that a test
//! moves by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use medplum_client::{Client, Error, Interaction, Open, Reply};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CALLERS: usize = 64;

type Call = JoinHandle<Result<Reply, Error>>;

fn too_many(ms: u64) -> Answer {
    let diagnostics = json!({"_remainingPoints": 0, "_msBeforeNext": ms}).to_string();
    let issue = json!([{"severity": "error", "code": "throttled", "details": {"text": "Too Many Requests"}, "diagnostics": diagnostics}]);
    Answer::fhir(429, json!({"resourceType": "OperationOutcome", "id": "too-many-requests", "issue": issue}))
}

/// Answers that wait until they are let go, one after the other.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<watch::Sender<bool>>>>);

impl Held {
    fn hold(&self, answer: Answer) -> Answer {
        let (go, wait) = watch::channel(false);
        self.0.lock().unwrap().push(go);
        Answer::Once(wait, Box::new(answer))
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Lets so many of those that wait go.
    async fn release(&self, count: usize) {
        for go in self.0.lock().unwrap().drain(..count) {
            go.send(true).unwrap();
        }
        settle().await;
    }
}

fn client(server: &Server, clock: &HandClock) -> Client {
    Client::with_surroundings(server.config(), Open, clock.surroundings())
}

fn ask(client: &Client, interaction: Interaction) -> Call {
    let client = client.clone();
    tokio::spawn(async move { client.send(&call(), &interaction).await })
}

fn ask_often(client: &Client, count: usize) -> Vec<Call> {
    (0..count).map(|n| ask(client, if n % 2 == 0 { read_patient() } else { create_patient() })).collect()
}

async fn all_succeed(calls: Vec<Call>) {
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status, 200);
    }
}

#[tokio::test]
async fn one_429_holds_everybody_back_and_they_come_back_one_after_the_other() {
    let held = Held::default();
    let holding = held.clone();
    let server = Server::new(move |r| if r.nth == 0 { too_many(5591) } else { holding.hold(Answer::patient()) }).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let mut calls = vec![ask(&client, create_patient())];
    server.received(1).await;
    settle().await;
    calls.extend(ask_often(&client, CALLERS - 1));
    settle().await;
    assert_eq!((server.requests().len(), clock.sleepers()), (1, CALLERS), "all wait, and nobody asks");
    clock.advance(Duration::from_millis(5590)).await;
    assert_eq!(server.requests().len(), 1);

    clock.advance(Duration::from_millis(1)).await;
    assert_eq!(held.count(), 1, "one goes first");
    let mut at_once = Vec::new();
    while held.count() > 0 {
        at_once.push(held.count());
        held.release(1).await;
    }
    assert!(at_once[..10].iter().zip(1..).all(|(under_way, nth)| *under_way == nth), "{at_once:?}");
    all_succeed(calls).await;
    assert_eq!(server.requests().len(), CALLERS + 1, "each was sent once, and one twice");
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test]
async fn many_429s_at_once_are_one_pause_and_the_longest() {
    let held = Held::default();
    let holding = held.clone();
    let server =
        Server::new(
            move |r| {
                if r.nth < CALLERS { holding.hold(too_many(1000 + 10 * r.nth as u64)) } else { Answer::patient() }
            },
        )
        .await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let calls = ask_often(&client, CALLERS);
    server.received(CALLERS).await;
    held.release(CALLERS).await;
    assert_eq!(clock.sleepers(), CALLERS);
    clock.advance(Duration::from_millis(1629)).await;
    assert_eq!(server.requests().len(), CALLERS);
    clock.advance(Duration::from_millis(1)).await;
    all_succeed(calls).await;
    assert_eq!(server.requests().len(), 2 * CALLERS);
}

#[tokio::test]
async fn a_server_that_goes_on_refusing_is_asked_seven_times_by_all_of_them_together() {
    let server = Server::new(|_| too_many(60_000)).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let mut calls = vec![ask(&client, read_patient())];
    server.received(1).await;
    settle().await;
    calls.extend(ask_often(&client, CALLERS - 1));
    settle().await;
    for pause in 1..=6 {
        assert_eq!(server.requests().len(), pause);
        clock.advance(Duration::from_secs(60)).await;
    }
    assert_eq!(server.requests().len(), 7);
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.status(), error.retry_after()), (Some(429), Some(Duration::from_secs(60))), "{error}");
        assert!(!error.may_have_acted(), "{error}");
    }
    assert_eq!(server.requests().len(), 7, "nobody tries its luck behind the others");
}

#[tokio::test]
async fn a_429_on_the_way_back_is_a_new_pause_for_all() {
    let server = Server::new(|r| if r.nth == 0 || r.nth == 4 { too_many(1000) } else { Answer::patient() }).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let calls = ask_often(&client, 1);
    server.received(1).await;
    settle().await;
    let calls = calls.into_iter().chain(ask_often(&client, CALLERS - 1)).collect();
    clock.advance(Duration::from_secs(1)).await;
    let before = server.requests().len();
    assert!((5..=8).contains(&before), "{before}: what was under way beside the refused one, and no more");
    clock.advance(Duration::from_millis(999)).await;
    assert_eq!(server.requests().len(), before);
    clock.advance(Duration::from_millis(1)).await;
    all_succeed(calls).await;
    assert_eq!(server.requests().len(), CALLERS + 2);
}

#[tokio::test]
async fn whoever_goes_first_and_leaves_makes_room() {
    let server = Server::new(|r| match r.nth {
        0 => too_many(1000),
        1 => Answer::Silence,
        _ => Answer::patient(),
    })
    .await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let first = ask(&client, read_patient());
    server.received(1).await;
    settle().await;
    clock.advance(Duration::from_secs(1)).await;
    let others = ask_often(&client, 8);
    settle().await;
    assert_eq!(server.requests().len(), 2, "the first has its turn, and the others wait for theirs");
    first.abort();
    all_succeed(others).await;
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn whoever_leaves_during_the_pause_is_not_missed() {
    let server = Server::new(|r| if r.nth == 0 { too_many(1000) } else { Answer::patient() }).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let first = ask(&client, read_patient());
    server.received(1).await;
    settle().await;
    let others = ask_often(&client, 8);
    settle().await;
    first.abort();
    clock.advance(Duration::from_secs(1)).await;
    all_succeed(others).await;
    assert_eq!(server.requests().len(), 9);
}

#[tokio::test]
async fn a_slow_answer_holds_the_others_up_for_no_more_than_a_second() {
    let held = Held::default();
    let holding = held.clone();
    let server = Server::new(move |r| if r.nth == 0 { too_many(1000) } else { holding.hold(Answer::patient()) }).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    let first = ask(&client, read_patient());
    server.received(1).await;
    settle().await;
    let calls: Vec<Call> = std::iter::once(first).chain(ask_often(&client, CALLERS - 1)).collect();
    settle().await;
    for under_way in [1, 2, 4, 8, 16, 32, CALLERS] {
        clock.advance(Duration::from_secs(1)).await;
        assert_eq!(held.count(), under_way);
    }
    held.release(CALLERS).await;
    all_succeed(calls).await;
}

#[tokio::test]
async fn once_open_it_is_open() {
    let server = Server::new(|r| if r.nth == 0 { too_many(0) } else { Answer::patient() }).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    for _ in 0..CALLERS + 1 {
        client.send(&call(), &read_patient()).await.unwrap();
    }
    all_succeed(ask_often(&client, 4 * CALLERS)).await;
    assert_eq!(clock.sleepers(), 0);
}

// Clocks that jump.

#[tokio::test]
async fn a_pause_and_a_token_go_by_the_time_that_passes_and_not_by_the_time_of_day() {
    let server = Server::new(|r| if r.nth == 1 { too_many(5000) } else { Answer::patient() }).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    client.send(&call(), &read_patient()).await.unwrap();
    let waiting = ask(&client, create_patient());
    server.received(2).await;
    settle().await;
    for jump in [86_400, -86_400, 0] {
        clock.set_wall(jump);
        settle().await;
        assert_eq!((server.requests().len(), clock.sleepers()), (2, 1), "{jump}");
    }
    clock.advance(Duration::from_secs(5)).await;
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
    for jump in [10 * 86_400, -10 * 86_400] {
        clock.set_wall(jump);
        client.send(&call(), &read_patient()).await.unwrap();
    }
    assert_eq!(server.token_requests().len(), 1, "the token is as old as before");
}

#[tokio::test]
async fn a_date_that_a_jump_has_put_out_of_reach_is_waited_for_a_minute() {
    for (jump, wait) in [(0, 20), (-86_400, 60), (86_400, 0)] {
        let server = Server::new(|r| match r.nth {
            0 => Answer::empty(429).header("retry-after", "Sun, 22 Nov 2026 09:20:06 GMT"),
            _ => Answer::patient(),
        })
        .await;
        let clock = HandClock::new();
        clock.set_wall(jump);
        let waiting = ask(&client(&server, &clock), read_patient());
        server.received(1).await;
        settle().await;
        for second in 0..wait {
            assert!(!waiting.is_finished(), "{jump}: after {second} s");
            clock.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(waiting.await.unwrap().unwrap().status, 200, "{jump}");
    }
}

#[tokio::test]
async fn a_machine_that_slept_for_a_day_signs_in_anew_once() {
    let server = Server::new(|_| Answer::patient()).await;
    let clock = HandClock::new();
    let client = client(&server, &clock);
    client.send(&call(), &read_patient()).await.unwrap();
    clock.advance(Duration::from_secs(86_400)).await;
    all_succeed(ask_often(&client, CALLERS)).await;
    assert_eq!(server.token_requests().len(), 2);
}
