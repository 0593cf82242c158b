//! What Medplum answered.

use bytes::Bytes;
use serde_json::Value;

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status: 200, 201, 202, 204, 304.
    pub status: u16,
    /// The body.
    pub body: Body,
    /// What it is by its header, such as `text/plain; charset=utf-8`; empty where none was sent.
    pub content_type: String,
    /// The version that the answer carries, from its ETag.
    pub version: Option<String>,
    /// Where the thing created is, or where to ask how a job goes on.
    pub location: Option<String>,
    /// Whether an earlier attempt of the same request failed on its way, so that this answers a replay.
    pub replayed: bool,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// No body.
    Empty,
    /// JSON, usually a FHIR resource.
    Json(Value),
    /// The bytes of anything else.
    Other(Bytes),
}

impl Reply {
    /// The JSON body; null where there is none.
    pub fn json(&self) -> &Value {
        match &self.body {
            Body::Json(value) => value,
            _ => &Value::Null,
        }
    }

    /// The JSON body, taken; null where there is none.
    pub fn into_json(self) -> Value {
        match self.body {
            Body::Json(value) => value,
            _ => Value::Null,
        }
    }
}
