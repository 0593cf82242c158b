//! Questions over many resources, answered by SQL and by lists of codes: exact, complete or said not to be, and out of
//! reach of statements that mean harm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

mod charts;
mod codes;
mod hostile_sql;

use medplum_client::{Client, Interaction, Query, ResourceType};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Settings, Values};
use medplum_sandbox::{Data, Sandbox};
use serde_json::{Value, json};

/// A patient with ten years of chart.
pub(crate) const LONG: &str = "Patient/5a4d0b0c-0000-4000-8000-000000000201";

/// A server over a sandbox of its own.
pub(crate) struct Clinic {
    pub(crate) server: Server,
    client: Client,
    pub(crate) sandbox: Sandbox,
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) failed: bool,
    pub(crate) blocks: Vec<String>,
}

impl Clinic {
    /// The sandbox as it always is.
    pub(crate) fn open() -> Self {
        Self::of(Sandbox::builder().start_on_thread().unwrap())
    }

    /// A sandbox with these resources alone.
    pub(crate) fn with(resources: &[Value]) -> Self {
        let lines: Vec<String> = resources.iter().map(ToString::to_string).collect();
        let data = Data::parse(&lines.join("\n")).unwrap();
        Self::of(Sandbox::builder().unpopulated().data(data).record_requests().start_on_thread().unwrap())
    }

    fn of(sandbox: Sandbox) -> Self {
        let mut settings = Settings::new(&Values::find(|_| None, |_| None)).unwrap();
        settings.use_sandbox(&sandbox).unwrap();
        let client = || Client::new(settings.config().unwrap(), Policy::new(settings.limits.clone()));
        Self { server: Server::new(client(), settings.limits.clone()).unwrap(), client: client(), sandbox }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Told {
        let result = self.server.call(tool, arguments.as_object().unwrap().clone()).await;
        let result = serde_json::to_value(result).unwrap();
        let blocks = result["content"].as_array().unwrap().iter();
        Told {
            failed: result["isError"] == true,
            blocks: blocks.map(|block| block["text"].as_str().unwrap().to_owned()).collect(),
        }
    }

    /// The rows of a statement over a search.
    pub(crate) async fn rows(&self, of: &str, params: Value, sql: &str) -> Vec<Vec<Value>> {
        self.call("query_resources", json!({"resource_type": of, "params": params, "sql": sql})).await.rows()
    }

    /// The resources themselves, as the server keeps them.
    pub(crate) async fn raw(&self, of: &str, params: &[(&str, &str)]) -> Vec<Value> {
        let query: Query = params.iter().copied().chain([("_count", "1000"), ("_sort", "_lastUpdated")]).collect();
        let mut page = Interaction::search(ResourceType::parse(of).unwrap(), query);
        let mut found: Vec<Value> = Vec::new();
        loop {
            let bundle = self.client.page(&Default::default(), &page).await.unwrap();
            found.extend(bundle.entries.iter().map(|entry| entry.resource.value().unwrap()));
            match self.client.next_page(&bundle).unwrap() {
                Some(next) => page = next,
                None => break,
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|resource| seen.insert(resource["id"].to_string()));
        found
    }
}

impl Told {
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        assert!(!self.failed, "{self:?}");
        let table: Value = serde_json::from_str(&self.blocks[0]).unwrap();
        serde_json::from_value(table["rows"].clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn columns(&self) -> Vec<String> {
        assert!(!self.failed, "{self:?}");
        let table: Value = serde_json::from_str(&self.blocks[0]).unwrap();
        serde_json::from_value(table["columns"].clone()).unwrap()
    }

    /// The server's own words.
    #[track_caller]
    pub(crate) fn note(&self) -> &str {
        assert!(!self.failed, "{self:?}");
        self.blocks.get(1).map_or("", String::as_str)
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert!(self.failed, "{self:?}");
        &self.blocks[0]
    }
}
