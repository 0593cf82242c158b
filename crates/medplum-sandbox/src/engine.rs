//! The sandbox's inside: what it was set up with, what it holds, and the door through which a request comes in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fhir_definitions::Definitions;
use http::{HeaderMap, Method};

use crate::auth::{Client, Tokens};
use crate::quota::Quota;
use crate::reply::Reply;
use crate::source::Source;
use crate::store::Store;
use crate::validation::Constraints;

/// What was decided before the start and stays so.
#[derive(Debug)]
pub(crate) struct Config {
    /// With a slash at its end.
    pub(crate) base_url: String,
    pub(crate) project: String,
    pub(crate) clients: Vec<Arc<Client>>,
    pub(crate) token_lifetime: Duration,
    pub(crate) transactions_atomic: bool,
    pub(crate) slow_bot_delay: Duration,
}

impl Config {
    pub(crate) fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.clients.iter().find(|client| client.id == id).cloned()
    }

    /// `http://127.0.0.1:4711/fhir/R4/Patient/1`.
    pub(crate) fn full_url(&self, resource_type: &str, id: &str) -> String {
        format!("{}fhir/R4/{resource_type}/{id}", self.base_url)
    }
}

/// The bytes behind a Binary.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    /// What the URL of the storage must carry to be answered.
    pub(crate) signature: String,
}

/// Everything that a request may change.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) tokens: Tokens,
    pub(crate) quota: Quota,
    /// By `id/versionId`.
    pub(crate) contents: HashMap<String, Content>,
    /// Whether the shipped terminology is in the store.
    pub(crate) terminology_loaded: bool,
}

/// One request, whole.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path without its leading slash, still encoded.
    pub(crate) path: String,
    /// What stands behind the question mark, still encoded.
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type of the body, without its parameters.
    pub(crate) fn content_type(&self) -> &str {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }
}

/// The sandbox without its socket.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) source: Source,
    pub(crate) constraints: Constraints,
    state: Mutex<State>,
}

impl Engine {
    pub(crate) fn new(config: Config, source: Source, state: State) -> Self {
        Self { config, source, constraints: Constraints::default(), state: Mutex::new(state) }
    }

    /// FHIR's definitions, read when they are first asked for.
    pub(crate) fn definitions(&self) -> &'static Definitions {
        Definitions::get()
    }

    /// The state, for one request at a time: a request is short, and this way each sees a whole.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        crate::routes::answer(self, request)
    }
}
