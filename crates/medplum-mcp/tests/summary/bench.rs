//! The server over a sandbox, on a day that the test owns.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use medplum_client::{
    BaseUrl, Client, Clock, Config, Credentials, Interaction, Open, Query, ResourceType, Surroundings,
};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Settings, Values};
use medplum_sandbox::{Builder, Data, Sandbox};
use serde_json::{Value, json};

/// The day of most tests.
pub const TODAY: &str = "2026-11-22";

/// A clock that stands still on a day, and does not wait.
struct Stopped(SystemTime);

impl Clock for Stopped {
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn now(&self) -> SystemTime {
        self.0
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }

    fn chance(&self) -> f64 {
        0.0
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum As {
    Admin,
    Reader,
    Member,
}

pub struct Bench {
    pub sandbox: Sandbox,
}

/// What the tool answered.
#[derive(Debug)]
pub struct Page {
    pub text: String,
    pub record: Value,
    pub note: String,
}

impl Bench {
    pub async fn start(builder: Builder) -> Self {
        Self { sandbox: builder.start().await.unwrap() }
    }

    /// A sandbox with nothing but these.
    pub async fn with(resources: &[Value]) -> Self {
        let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
        let data = Data::parse(&lines.join("\n")).unwrap();
        Self::start(Sandbox::builder().unpopulated().record_requests().data(data)).await
    }

    fn config(&self, who: As) -> Config {
        let (id, secret) = match who {
            As::Admin | As::Member => (self.sandbox.client_id(), self.sandbox.client_secret()),
            As::Reader => (self.sandbox.reader_client_id(), self.sandbox.reader_client_secret()),
        };
        let credentials = Credentials::Client { id: id.to_owned(), secret: secret.to_owned().into() };
        let mut config = Config::new(BaseUrl::parse(self.sandbox.base_url(), true).unwrap(), credentials);
        if matches!(who, As::Member) {
            config.on_behalf_of = Some(medplum_client::Membership::parse(&self.sandbox.membership()).unwrap());
        }
        config
    }

    pub fn server(&self, who: As, day: &str) -> Server {
        let settings = Settings::new(&Values::find(|_| None, |_| None)).unwrap();
        let midday: jiff::Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
        let surroundings = Surroundings { clock: Arc::new(Stopped(midday.into())) };
        let client = Client::with_surroundings(self.config(who), Policy::new(settings.limits.clone()), surroundings);
        Server::new(client, settings.limits).unwrap()
    }

    /// The page of a patient.
    pub async fn page(&self, patient: &str) -> Page {
        self.page_as(As::Admin, TODAY, json!({"patient_id": patient})).await
    }

    pub async fn page_as(&self, who: As, day: &str, arguments: Value) -> Page {
        let (failed, blocks) = call(&self.server(who, day), arguments).await;
        assert!(!failed, "{blocks:?}");
        let text = blocks[0].clone();
        let record = serde_json::from_str(&text).unwrap();
        Page { text, record, note: blocks.get(1).cloned().unwrap_or_default() }
    }

    pub async fn error(&self, who: As, arguments: Value) -> String {
        let (failed, blocks) = call(&self.server(who, TODAY), arguments).await;
        assert!(failed, "{blocks:?}");
        blocks[0].clone()
    }

    /// Every resource that a query finds, asked for without any of the tool's own code.
    pub async fn raw(&self, resource_type: &str, query: &str) -> Vec<Value> {
        let client = Client::new(self.config(As::Admin), Open);
        let query = Query::parse(query).unwrap().with("_count", "1000");
        let search = Interaction::search(ResourceType::parse(resource_type).unwrap(), query);
        let bundle = client.send(&Default::default(), &search).await.unwrap().into_json();
        let links = bundle["link"].as_array().unwrap();
        assert!(links.iter().all(|link| link["relation"] != "next"), "more than a page");
        bundle["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone()).collect()
    }
}

pub async fn call(server: &Server, arguments: Value) -> (bool, Vec<String>) {
    let result = server.call("get_patient_summary", arguments.as_object().unwrap().clone()).await;
    let result = serde_json::to_value(result).unwrap();
    let blocks = result["content"].as_array().unwrap().iter().map(|block| block["text"].as_str().unwrap().to_owned());
    (result["isError"] == true, blocks.collect())
}

/// What an agent pays.
pub fn tokens(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len()
}

impl Page {
    pub fn tokens(&self) -> usize {
        tokens(&self.text) + tokens(&self.note)
    }

    #[track_caller]
    pub fn rows(&self, section: &str) -> &[Value] {
        self.record[section]["rows"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The record with a row a line, for people.
    pub fn lines(&self) -> String {
        let line = |(key, value): (&String, &Value)| match value["rows"].as_array() {
            None => format!("{key} {value}\n"),
            Some(rows) => {
                let rows: String = rows.iter().map(|row| format!("  {row}\n")).collect();
                let columns = value.get("columns").map(|columns| format!(" {columns}")).unwrap_or_default();
                format!("{key} {} of {}{columns}\n{rows}", value["shown"], value["of"])
            }
        };
        self.record.as_object().unwrap().iter().map(line).collect()
    }

    /// How many records a section is made of: several may be one row.
    pub fn records(&self, section: &str) -> Value {
        self.record[section].get("records").cloned().unwrap_or_else(|| self.counts(section).1)
    }

    /// `shown` and `of`.
    #[track_caller]
    pub fn counts(&self, section: &str) -> (Value, Value) {
        for (key, value) in self.record.as_object().unwrap() {
            let rows = value.get("rows").and_then(Value::as_array);
            assert!(rows.is_none_or(|rows| value["shown"] == rows.len()), "{key}: {value}");
        }
        let none = self.record["none"].as_array().is_some_and(|none| none.contains(&section.into()));
        let only_past = self.record["notCurrent"].get(section).is_some() && self.record.get(section).is_none();
        if none || (only_past && self.record["notShown"].get(section).is_none()) {
            return (0.into(), 0.into());
        }
        match &self.record["notShown"][section] {
            Value::Null => (self.record[section]["shown"].clone(), self.record[section]["of"].clone()),
            of => (0.into(), of.clone()),
        }
    }
}
