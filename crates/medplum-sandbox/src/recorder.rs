//! What was asked of the sandbox, for tests that look at what a client sent.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::engine::Request;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// Its method.
    pub method: Method,
    /// Its path with a leading slash, and its query, as they were encoded.
    pub path_and_query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Keeps requests, if it was asked to.
#[derive(Debug)]
pub(crate) struct Recorder {
    kept: Option<Mutex<Vec<RecordedRequest>>>,
}

impl Recorder {
    pub(crate) fn new(on: bool) -> Self {
        Self { kept: on.then(Mutex::default) }
    }

    pub(crate) fn note(&self, request: &Request) {
        let Some(kept) = &self.kept else { return };
        let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(RecordedRequest {
            method: request.method.clone(),
            path_and_query: format!("/{}{query}", request.path),
            headers: request.headers.clone(),
            body: request.body.clone(),
        });
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        let kept = self.kept.as_ref();
        kept.map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    pub(crate) fn clear(&self) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}
