//! What time does to a question: on a clock that a test owns.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use medplum_client::{Client, Clock, Config, Credentials, Surroundings};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::Limits;
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::common::{Answer, Pipe};
use crate::{can_ask, says};

/// A clock that is put forward by hand. Who waits for a person waits until it is; all others wait as always.
#[derive(Clone)]
struct Hand {
    now: Arc<Mutex<Instant>>,
    moved: Arc<Notify>,
}

impl Hand {
    fn new() -> Self {
        Self { now: Arc::new(Mutex::new(Instant::now())), moved: Arc::default() }
    }

    fn forward(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
        self.moved.notify_one();
    }
}

impl Clock for Hand {
    fn monotonic(&self) -> Instant {
        *self.now.lock().unwrap()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let moved = Arc::clone(&self.moved);
        if duration < Duration::from_secs(300) {
            return Box::pin(tokio::time::sleep(duration));
        }
        Box::pin(async move { moved.notified().await })
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

struct Room {
    sandbox: Sandbox,
    server: Server,
    clock: Hand,
}

impl Room {
    fn open(sandbox: Sandbox) -> Self {
        let clock = Hand::new();
        let limits = Limits { writes: true, ..Limits::default() };
        let base = medplum_client::BaseUrl::parse(sandbox.base_url(), false).unwrap();
        let secret = sandbox.client_secret().into();
        let config = Config::new(base, Credentials::Client { id: sandbox.client_id().into(), secret });
        let surroundings = Surroundings { clock: Arc::new(clock.clone()) };
        let client = Client::with_surroundings(config, Policy::new(limits.clone()), surroundings);
        Self { server: Server::new(client, limits).unwrap(), sandbox, clock }
    }
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_the_call_and_is_taken_back() {
    let room = Room::open(Sandbox::builder().record_requests().start_on_thread().unwrap());
    let mut pipe = Pipe::with(room.server.clone(), can_ask()).await;
    let patient = json!({"resource": {"resourceType": "Patient", "active": true}});
    let patient = pipe.call("create_resource", patient).await.record();
    room.sandbox.clear_requests();
    let delete = json!({"resource_type": "Patient", "resource_id": patient["id"]});
    let id = pipe.ask("tools/call", json!({"name": "delete_resource", "arguments": delete})).await;
    let asked = pipe.hear().await;
    assert_eq!(asked["method"], "elicitation/create");
    room.clock.forward(Duration::from_secs(300));
    let taken_back = pipe.hear().await;
    assert_eq!(
        (&taken_back["method"], &taken_back["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
    let answer = pipe.hear().await;
    assert_eq!(answer["id"], id);
    let answer = Answer::of(&answer);
    assert!(answer.error().contains("nobody answered within 5 minutes. Nothing was written"), "{answer:?}");
    assert!(room.sandbox.requests().iter().all(|request| request.method != "DELETE"));
}

#[tokio::test]
async fn an_answer_comes_too_late_after_ten_minutes() {
    let room = Room::open(Sandbox::builder().start_on_thread().unwrap());
    let mut pipe = Pipe::unopened(room.server.clone()).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": can_ask()
    });
    let call = |tool: &str, arguments: Value, state: Option<&str>| {
        let mut call = json!({"name": tool, "arguments": arguments, "_meta": meta});
        if let Some(state) = state {
            call["requestState"] = state.into();
            call["inputResponses"] = json!({"confirm": says("accept")});
        }
        call
    };
    let create = call("create_resource", json!({"resource": {"resourceType": "Patient", "active": true}}), None);
    let patient = Answer::of(&pipe.request("tools/call", create).await).record();
    let delete = json!({"resource_type": "Patient", "resource_id": patient["id"]});
    let mut state = String::new();
    for (seconds, late) in [(601, true), (600, false)] {
        let asked = pipe.request("tools/call", call("delete_resource", delete.clone(), None)).await;
        state = asked["result"]["requestState"].as_str().unwrap().to_owned();
        room.clock.forward(Duration::from_secs(seconds));
        let answer =
            Answer::of(&pipe.request("tools/call", call("delete_resource", delete.clone(), Some(&state))).await);
        assert_eq!(answer.failed, late, "{answer:?}");
        assert!(!late || answer.error().contains("older than 10 minutes"), "{answer:?}");
    }
    assert!(!state.is_empty());
}

#[tokio::test]
async fn whether_transactions_are_atomic_is_asked_once_an_hour() {
    let room = Room::open(Sandbox::builder().record_requests().start_on_thread().unwrap());
    let basic = json!({"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": "x"}}});
    let bundle = json!({"bundle": {"type": "transaction", "entry": [basic, basic]}});
    let asked = async || {
        room.sandbox.clear_requests();
        let result = room.server.call("execute_batch", bundle.as_object().unwrap().clone()).await;
        assert_ne!(result.is_error, Some(true), "{result:?}");
        let probes = room.sandbox.requests();
        probes
            .iter()
            .filter(|r| String::from_utf8_lossy(&r.body).contains("00000000-0000-4000-8000-000000000000"))
            .count()
    };
    assert_eq!(asked().await, 1);
    assert_eq!(asked().await, 0);
    room.clock.forward(Duration::from_secs(3_601));
    assert_eq!(asked().await, 1);
}
