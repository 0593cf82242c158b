//! A practice of 233 patients, the server over it, and what is asked of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use medplum_client::{Client, Clock, FhirPath, Interaction, Method, Open, Query, Surroundings};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Settings, Values};
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::Question;
use crate::project::Project;

/// The day of the questions, in seconds since 1970: 2026-11-22 at noon.
const TODAY: u64 = 1_795_348_800;

/// A clock that stands still.
struct Stopped;

impl Clock for Stopped {
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(TODAY)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }

    fn chance(&self) -> f64 {
        0.0
    }
}

pub struct Clinic {
    sandbox: Sandbox,
    server: Server,
    plain: Client,
    counted: Mutex<HashMap<&'static str, usize>>,
}

/// What was answered.
pub struct Asked {
    pub record: Value,
    pub note: String,
    pub tokens: usize,
}

impl Clinic {
    /// The same every time, to the last character.
    pub async fn open() -> Self {
        let mut drawn = 0_u128;
        let next = move || {
            drawn += 1;
            // Spread, so that ids look and cost like ids.
            drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
        };
        let sandbox = Sandbox::builder()
            .patients(200)
            .clock(|| SystemTime::UNIX_EPOCH + Duration::from_secs(TODAY))
            .random(next)
            .client_secret("questions")
            .start_on_thread()
            .unwrap();
        let mut settings = Settings::new(&Values::find(|_| None, |_| None)).unwrap();
        settings.use_sandbox(&sandbox).unwrap();
        let surroundings = || Surroundings { clock: Arc::new(Stopped) };
        let config = || settings.config().unwrap();
        let client = Client::with_surroundings(config(), Policy::new(settings.limits.clone()), surroundings());
        let server = Server::new(client, settings.limits.clone()).unwrap();
        let plain = Client::with_surroundings(config(), Open, surroundings());
        Self { sandbox, server, plain, counted: Mutex::default() }
    }

    /// The resources as the sandbox holds them.
    pub fn project(&self) -> Project {
        Project::of(&self.sandbox)
    }

    /// Asks as an agent does.
    pub async fn ask(&self, question: &Question) -> Asked {
        let mut asked = Asked { record: Value::Null, note: String::new(), tokens: 0 };
        let mut found = String::new();
        for (tool, arguments) in question.calls {
            let arguments = arguments().to_string().replace("{found}", &found);
            asked.tokens += tokens(tool) + tokens(&arguments);
            let result = self.server.call(tool, serde_json::from_str(&arguments).unwrap()).await;
            let blocks: Vec<&str> =
                result.content.iter().filter_map(|block| block.as_text()).map(|block| block.text.as_str()).collect();
            asked.tokens += blocks.iter().map(|block| tokens(&with_one_cursor(block))).sum::<usize>();
            asked.record = serde_json::from_str(blocks[0]).unwrap_or_else(|_| blocks[0].into());
            asked.note = blocks.get(1).copied().unwrap_or_default().to_owned();
            asked.record.pointer("/rows/0/0").and_then(Value::as_str).unwrap_or_default().clone_into(&mut found);
        }
        asked
    }

    /// What the pages of plain searches cost, as Medplum answers them.
    pub async fn raw_tokens(&self, searches: &[&'static str]) -> usize {
        let mut sum = 0;
        for search in searches {
            let known = self.counted.lock().unwrap().get(search).copied();
            sum += match known {
                Some(known) => known,
                None => {
                    let cost = self.pages(search).await;
                    self.counted.lock().unwrap().insert(search, cost);
                    cost
                }
            };
        }
        sum
    }

    async fn pages(&self, search: &str) -> usize {
        let mut sum = 0;
        for page in 0.. {
            let own = if search.contains("_count") || search.contains("_summary") {
                json!({})
            } else {
                json!({"_count": "1000", "_offset": (page * 1000).to_string()})
            };
            let query: Query =
                own.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
            let path = format!("fhir/R4/{search}");
            let read = Interaction::from_path(&FhirPath::default(), Method::Get, &path, query, None).unwrap();
            let bundle = self.plain.send(&Default::default(), &read).await.unwrap().into_json();
            // The sandbox has another port every time.
            sum += tokens(&bundle.to_string().replace(self.sandbox.base_url(), "https://api.medplum.com/"));
            let links = bundle["link"].as_array().cloned().unwrap_or_default();
            if own == json!({}) || links.iter().all(|link| link["relation"] != "next") {
                break;
            }
        }
        sum
    }
}

/// What an agent pays.
fn tokens(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len()
}

/// The text with the same cursor every time: each server signs with a key of its own.
fn with_one_cursor(text: &str) -> String {
    let Some((before, rest)) = text.split_once("next: c.") else { return text.to_owned() };
    let (cursor, after) = rest.split_once(' ').unwrap();
    let same: String = "q7Rk2ZtWv9XbL4mNs1Yd8GcH".chars().cycle().take(cursor.len()).collect();
    format!("{before}next: c.{same} {after}")
}
