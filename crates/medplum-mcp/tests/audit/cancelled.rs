//! A write that is cancelled at each point of its way, one after the other: before the token, before what it would change
//! is read, before its intent is on the disk, once it is sent, before its answer, between two steps. Whatever the point,
//! the log says what the record shows.

use std::future::Future;
use std::io::BufReader;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use medplum_client::{BaseUrl, Call, Client, Config, Credentials, Interaction, Open};
use medplum_mcp::audit::{AuditLog, Recorder};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::Limits;
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::AuditFile;
use crate::common::host::PATIENCE;

/// Comes when the call has gone on for so many times: each point at which it waits is one.
struct After(usize);

impl Future for After {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

/// A resource is stored, and the call that is about it.
type Prepare = fn(&Value) -> Value;

const CALLS: &[(&str, &str, Prepare)] = &[
    ("create_resource", "Basic", |_| json!({"resource": {"resourceType": "Basic", "code": {"text": "new"}}})),
    (
        "create_resource_if_none_exist",
        "Basic",
        |stored| json!({"resource": {"resourceType": "Basic", "code": {"text": "new"}, "identifier": [{"system": "x", "value": stored["id"]}]}, "if_none_exist": format!("identifier=x|{}", stored["id"].as_str().unwrap())}),
    ),
    ("update_resource", "Basic", |stored| {
        let mut changed = stored.clone();
        changed["code"]["text"] = "changed".into();
        json!({"resource": changed})
    }),
    (
        "patch_resource",
        "Basic",
        |stored| json!({"resource_type": "Basic", "resource_id": stored["id"], "operations": [{"op": "replace", "path": "/code/text", "value": "changed"}]}),
    ),
    ("delete_resource", "Basic", |stored| json!({"resource_type": "Basic", "resource_id": stored["id"]})),
    ("execute_batch", "Basic", |stored| {
        json!({"bundle": {"type": "transaction", "entry": [
            {"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": "new"}}},
            {"request": {"method": "DELETE", "url": format!("Basic/{}", stored["id"].as_str().unwrap())}}]}})
    }),
    (
        "save_and_deploy_bot",
        "Bot",
        |stored| json!({"bot_id": stored["id"], "source_code": "new", "compiled_code": "new"}),
    ),
];

struct World {
    sandbox: Sandbox,
    config: Config,
    direct: Client,
    file: AuditFile,
    ended: usize,
}

impl World {
    async fn new() -> Self {
        let sandbox =
            Sandbox::builder().unpopulated().transactions_atomic(true).record_requests().start().await.unwrap();
        let secret = sandbox.client_secret().to_owned().into();
        let credentials = Credentials::Client { id: sandbox.client_id().to_owned(), secret };
        let config = Config::new(BaseUrl::parse(sandbox.base_url(), false).unwrap(), credentials);
        let direct = Client::new(config.clone(), Open);
        Self { sandbox, config, direct, file: AuditFile::new(), ended: 0 }
    }

    async fn store(&self, of: &str) -> Value {
        let resource = match of {
            "Bot" => json!({"resourceType": "Bot", "name": "old", "code": "old"}),
            of => json!({"resourceType": of, "code": {"text": "old"}}),
        };
        self.direct.send(&Call::default(), &Interaction::create(resource, None).unwrap()).await.unwrap().into_json()
    }

    /// What was carried out so far: versions that were stored, and deployments.
    fn carried_out(&self) -> usize {
        let versions: usize = ["Basic", "Bot"].iter().map(|of| self.sandbox.history(of).len()).sum();
        let deployed = self.sandbox.requests().iter().filter(|asked| asked.path_and_query.ends_with("$deploy")).count();
        versions + deployed
    }

    /// The last line of a call, once it is there.
    async fn end_of_call(&mut self) -> Value {
        let started = Instant::now();
        loop {
            let ends = |line: &Value| line["line"] == "end" || line["line"] == "call";
            let lines: Vec<Value> = self.file.lines().into_iter().filter(ends).collect();
            if lines.len() > self.ended {
                assert_eq!(lines.len(), self.ended + 1, "one line ends a call");
                self.ended = lines.len();
                return lines.last().unwrap().clone();
            }
            assert!(started.elapsed() < PATIENCE, "the call does not end: {}", self.file.text());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// How what acts ended, one by one: of a bundle its entries, where their answers were heard.
fn fates(end: &Value) -> Vec<String> {
    let mut fates = Vec::new();
    for asked in end["asked"].as_array().unwrap().iter().filter(|asked| asked["effect"] != "read") {
        let whole = asked["outcome"].as_str().unwrap();
        let entries = asked["entries"].as_array().cloned().unwrap_or_default();
        let acting = entries.iter().filter(|entry| entry["effect"] != "read");
        let each: Vec<String> = acting.map(|entry| entry["outcome"].as_str().unwrap_or(whole).to_owned()).collect();
        if each.is_empty() { fates.push(whole.to_owned()) } else { fates.extend(each) }
    }
    fates
}

#[tokio::test]
async fn a_write_that_is_cancelled_anywhere_is_in_the_log_as_it_is_in_the_record() {
    let mut world = World::new().await;
    let limits = Limits { writes: true, ..Limits::default() };
    for (tool, of, prepare) in CALLS {
        let (mut nothing, mut all, mut part) = (0, 0, 0);
        for point in 0.. {
            assert!(point < 1_000, "{tool} does not come to its end");
            let arguments = prepare(&world.store(of).await);
            // Without a token, and with nothing known of the server.
            let client = Client::new(world.config.clone(), Policy::new(limits.clone()).recording());
            let recorder = Recorder::to(AuditLog::open(&world.file.path()).unwrap(), &client, true).unwrap();
            let server = Server::recorded_by(recorder, client, limits.clone()).unwrap();
            let before = world.carried_out();
            let answer = server.call_until(After(point), tool, arguments.as_object().unwrap().clone()).await;
            let end = world.end_of_call().await;
            let fates = fates(&end);
            let done = fates.iter().filter(|fate| *fate == "done").count();
            assert_eq!(world.carried_out() - before, done, "{tool} at {point}: {end}");
            assert!(fates.iter().all(|fate| fate == "done" || fate == "refused"), "{tool} at {point}: {end}");
            let expected = match (done, fates.len() - done) {
                (0, _) => "cancelled",
                (_, 0) => "answered",
                _ => "partial",
            };
            assert_eq!(end["outcome"], expected, "{tool} at {point}: {end}");
            if let Some(answer) = answer {
                assert!(answer.is_error.is_none() && expected == "answered", "{tool}: {answer:?}");
                break;
            }
            // Once its last line is made, it is too late to be cancelled.
            assert!(end["cancelled"] == true || expected == "answered", "{tool} at {point}: {end}");
            match expected {
                "cancelled" => nothing += 1,
                "answered" => all += 1,
                _ => part += 1,
            }
        }
        println!("{tool}: cancelled before it acted {nothing} times, carried to its end {all}, in part {part}");
        assert!(nothing > 3 && all > 0, "{tool}: {nothing} {all}");
        assert_eq!(part > 0, *tool == "save_and_deploy_bot", "{tool}: {part}");
    }
    let file = BufReader::new(std::fs::File::open(world.file.path()).unwrap());
    let verified = medplum_mcp::audit::verify([file], None).unwrap();
    assert!(verified.findings.is_empty(), "{:?}", verified.findings);
}
