//! The host that goes away, that changes its mind, that asks for too much at once.

use std::collections::BTreeSet;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::common::Host;
use super::common::host::{PATIENCE, program};
use super::hostile::{Answer, PATIENT, Received, Server};

/// The variables of a program on this server. It waits for ten minutes, so that nothing but what is tested ends a call.
pub fn variables(server: &Server) -> Vec<(&'static str, String)> {
    vec![
        ("MEDPLUM_BASE_URL", server.base.clone()),
        ("MEDPLUM_CLIENT_ID", "client".to_owned()),
        ("MEDPLUM_CLIENT_SECRET", "hunter2-the-secret".to_owned()),
        ("MEDPLUM_TIMEOUT_SECONDS", "600".to_owned()),
        ("MEDPLUM_ENABLE_WRITES", "true".to_owned()),
        ("MEDPLUM_LOG", "debug".to_owned()),
    ]
}

/// The program on this server, in a conversation that was opened.
pub fn open(server: &Server, more: &[(&'static str, &str)]) -> Host {
    let mut variables = variables(server);
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut host = Host::spawn(program(&[], &variables));
    host.initialize("2025-11-25");
    host
}

/// A server on a thread of its own, for tests that block while they speak to the program. Dropping it stops it.
pub struct Elsewhere {
    pub server: Arc<Server>,
    stop: watch::Sender<bool>,
}

impl Elsewhere {
    pub fn new(
        token: impl Fn(&Received) -> Answer + Send + Sync + 'static,
        api: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, mut stopped) = watch::channel(false);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tell.send(Arc::new(Server::with_tokens(token, api).await)).unwrap();
                let _ = stopped.wait_for(|stop| *stop).await;
            });
        });
        Self { server: told.recv_timeout(PATIENCE).unwrap(), stop }
    }

    /// Waits until the program has asked for so many tokens and so much else.
    fn received(&self, tokens: usize, requests: usize) {
        let asked = || self.server.token_requests().len() >= tokens && self.server.requests().len() >= requests;
        wait_until(asked, "it was not asked");
    }

    /// Waits until the program has let so many connections go that it was owed an answer on.
    fn abandoned(&self, count: usize) {
        wait_until(|| self.server.abandoned_so_far() >= count, "it does not let go");
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn wait_until(reached: impl Fn() -> bool, otherwise: &str) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < PATIENCE, "{otherwise}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn token(_: &Received) -> Answer {
    Answer::token("stub-access-token", 3600)
}

fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params})
}

fn read(id: impl Into<Value>) -> Value {
    call(id, "read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}))
}

fn create(id: impl Into<Value>) -> Value {
    call(id, "create_resource", json!({"resource": {"resourceType": "Patient", "active": true}}))
}

/// The ends of a program's standard streams, to be closed one by one.
struct Ends {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
}

impl Ends {
    fn open(server: &Server) -> Self {
        let variables = variables(server);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut child = program(&[], &variables).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut ends = Self { child, stdin, stdout };
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        ends.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}));
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(ends.stdout.as_mut().unwrap());
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        assert!(line.contains("serverInfo"), "{line}");
        ends.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        ends
    }

    fn say(&mut self, message: &Value) {
        std::io::Write::write_all(self.stdin.as_mut().unwrap(), format!("{message}\n").as_bytes()).unwrap();
    }

    /// Waits for its end, and gives what it left on stderr.
    fn ended(mut self) -> (Option<i32>, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut stderr).unwrap();
        (status.code(), stderr)
    }
}

/// The places at which Medplum can fall silent while a call is under way.
fn silences() -> Vec<(&'static str, Elsewhere, (usize, usize))> {
    let silent = |_: &Received| Answer::Silence;
    let dribble = |_: &Received| Answer::Dribble { status: 200, body: b"{\"resourceType\":".to_vec() };
    let throttled = |_: &Received| Answer::empty(429).header("retry-after", "60");
    vec![
        ("signing in", Elsewhere::new(silent, silent), (1, 0)),
        ("before the answer", Elsewhere::new(token, silent), (1, 1)),
        ("within the answer", Elsewhere::new(token, dribble), (1, 1)),
        ("waiting for a pause to end", Elsewhere::new(token, throttled), (1, 1)),
    ]
}

#[test]
fn a_host_that_goes_away_in_the_middle_of_a_call_ends_the_process() {
    type Leaves = fn(&mut Ends);
    let both: Leaves = |ends| drop((ends.stdin.take(), ends.stdout.take()));
    let mut ways: Vec<(&str, Leaves)> = vec![("both streams", both)];
    if cfg!(unix) {
        ways.push(("standard output alone", |ends| drop(ends.stdout.take())));
    }
    for (way, leave) in ways {
        for (place, medplum, (tokens, requests)) in silences() {
            let mut ends = Ends::open(&medplum.server);
            ends.say(&read(1));
            medplum.received(tokens, requests);
            leave(&mut ends);
            let (code, stderr) = ends.ended();
            assert_eq!(code, Some(0), "{way}, {place}: {stderr}");
            for mark in ["hunter2", "stub-access-token", PATIENT, "panicked", "failed inside"] {
                assert!(!stderr.contains(mark), "{way}, {place}: {stderr}");
            }
        }
    }
}

#[test]
fn a_host_that_closes_its_end_is_answered_what_medplum_still_says() {
    let (go, wait) = watch::channel(false);
    let medplum = Elsewhere::new(token, move |_| Answer::Once(wait.clone(), Box::new(Answer::patient())));
    let mut host = open(&medplum.server, &[]);
    host.send(&read(7));
    medplum.received(1, 1);
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        go.send(true).unwrap();
    });
    let ended = host.end();
    later.join().unwrap();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("\"id\":7") && ended.stdout.contains(PATIENT), "{ended:?}");
}

#[test]
fn a_call_can_be_cancelled_wherever_it_is() {
    for (place, medplum, (tokens, requests)) in silences() {
        let mut host = open(&medplum.server, &[]);
        host.send(&read("first"));
        medplum.received(tokens, requests);
        host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "first"}}));
        if place != "waiting for a pause to end" {
            medplum.abandoned(1);
        }
        // Whatever is asked afterwards is answered, and nothing comes for what nobody wants any more.
        let pong = host.request("ping", json!({}));
        assert_eq!(pong["result"], json!({}), "{place}: {pong}");
        assert!(!host.tools().is_empty());
        let ended = host.end();
        assert_eq!(ended.code, Some(0), "{place}: {ended:?}");
        assert!(!ended.stdout.contains("\"first\""), "{place}: {ended:?}");
    }
}

#[test]
fn calls_that_wait_for_others_can_be_cancelled_too() {
    let medplum = Elsewhere::new(token, |_| Answer::Silence);
    let mut host = open(&medplum.server, &[]);
    // More than run at once, and more than are let in at once.
    for id in 0..400 {
        host.send(&read(id));
    }
    medplum.received(1, 64);
    for id in 0..400 {
        host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    }
    medplum.abandoned(64);
    assert_eq!(host.request("ping", json!({}))["result"], json!({}));
    let ended = host.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let answered = ended.stdout.lines().filter(|line| line.contains("\"result\"") && line.contains("content")).count();
    assert_eq!(answered, 0, "{}", ended.stdout);
}

#[test]
fn five_thousand_things_at_once_are_each_answered_once() {
    let medplum = Elsewhere::new(token, |request| match request.method.as_str() {
        "POST" => Answer::fhir(201, json!({"resourceType": "Patient", "id": PATIENT})),
        _ => Answer::patient(),
    });
    let mut host = open(&medplum.server, &[]);
    let mut expected = BTreeSet::new();
    let mut lines = String::new();
    for id in 0..5_000_u64 {
        let message = match id % 10 {
            0 => json!({"jsonrpc": "2.0", "id": id, "method": "ping"}),
            1 => json!({"jsonrpc": "2.0", "id": id, "method": "patients/destroy", "params": {"x": [1]}}),
            2 => json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": 5}}),
            3 => call(id, "no_such_tool", json!({})),
            4 => create(id),
            5 => call(id, "read_resource", json!({"resource_type": "Patient", "resource_id": "../../admin"})),
            _ => read(id),
        };
        expected.insert(id);
        lines.push_str(&format!("{message}\n"));
        if id % 100 == 0 {
            lines.push_str("half a line {\"jsonrpc\":\n\n\u{feff}\n");
        }
    }
    // The lines and their answers pass each other: whoever writes all before reading would wait for ever.
    let (mut answered, mut nameless) = (BTreeSet::new(), 0);
    let total = expected.len() + 50;
    host.write_aside(lines.into_bytes());
    for _ in 0..total {
        let message = host.hear();
        match message["id"].as_u64() {
            Some(id) => assert!(answered.insert(id), "answered twice: {message}"),
            None => nameless += 1,
        }
    }
    assert_eq!((answered, nameless), (expected, 50));
    let ended = host.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    let creations = medplum.server.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(creations, 500);
}
