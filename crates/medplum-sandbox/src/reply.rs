//! What goes back over HTTP.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

pub(crate) const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// One answer, before faults are applied to it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// How long the work behind it takes: the slow bot's time.
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), delay: Duration::ZERO }
    }

    pub(crate) fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status).with("content-type", content_type);
        reply.body = body.into();
        reply
    }

    pub(crate) fn json(status: u16, content_type: &str, body: &Value) -> Self {
        Self::bytes(status, content_type, body.to_string())
    }

    /// The same reply with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
