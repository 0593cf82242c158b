//! Faults on demand. They are set by the program that started the sandbox and can never be reached through the API.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use crate::engine::Request;
use crate::outcome::Outcome;
use crate::reply::{FHIR_JSON, Reply};

/// What is to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer comes this much later.
    Latency(Duration),
    /// 429 with `_msBeforeNext`, and the request is not carried out.
    TooManyRequests {
        /// How many milliseconds the caller is asked to wait.
        ms_before_next: u64,
    },
    /// This status with an HTML page, as a gateway sends it, and the request is not carried out.
    Status(u16),
    /// The connection is reset, and the request is not carried out.
    ResetBefore,
    /// The request is carried out, and the connection is reset.
    ResetAfter,
    /// The request is carried out, and half of the answer is sent.
    TruncatedBody,
    /// The request is not carried out, and a page of HTML says 200.
    Html,
    /// Every token that is out becomes stale before the request is looked at.
    TokensExpire,
    /// The answer comes in this many pieces with a pause before each.
    SlowDrip {
        /// How many pieces.
        pieces: usize,
        /// How long before each.
        pause: Duration,
    },
}

/// Which requests a fault is for, and how often.
#[derive(Debug, Clone)]
pub struct FaultRule {
    fault: Fault,
    method: Option<Method>,
    path: Option<String>,
    skip: u64,
    times: u64,
}

impl FaultRule {
    /// For every request, until the faults are cleared.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, method: None, path: None, skip: 0, times: u64::MAX }
    }

    /// For requests of this method alone.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// For requests whose path or query contains this text alone.
    #[must_use]
    pub fn path_contains(mut self, part: impl Into<String>) -> Self {
        self.path = Some(part.into());
        self
    }

    /// Not for the first few requests that it would be for.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// For so many requests, and no more.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    fn applies(&mut self, request: &Request) -> bool {
        if self.times == 0 || self.method.as_ref().is_some_and(|method| *method != request.method) {
            return false;
        }
        let query = request.query.as_deref().unwrap_or_default();
        if self.path.as_ref().is_some_and(|part| !format!("/{}?{query}", request.path).contains(part.as_str())) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.saturating_sub(1);
        true
    }
}

/// The control handle: sets what goes wrong, from outside.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<FaultRule>>,
}

impl Faults {
    /// Adds a fault. The rules are asked in the order in which they were added, and every one that applies is
    /// followed.
    pub fn add(&self, rule: FaultRule) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Adds a fault for the next request alone.
    pub fn once(&self, fault: Fault) {
        self.add(FaultRule::new(fault).times(1));
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn plan(&self, request: &Request) -> Plan {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = rules.iter_mut().filter_map(|rule| rule.applies(request).then_some(rule.fault)).collect();
        rules.retain(|rule| rule.times > 0);
        Plan { faults }
    }
}

/// A connection that is to break.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// What goes wrong with one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
}

impl Plan {
    pub(crate) fn latency(&self) -> Duration {
        let latencies = self.faults.iter().map(|fault| match fault {
            Fault::Latency(latency) => *latency,
            _ => Duration::ZERO,
        });
        latencies.sum()
    }

    pub(crate) fn before(&self) -> Option<Broken> {
        self.faults.contains(&Fault::ResetBefore).then_some(Broken)
    }

    pub(crate) fn after(&self) -> Option<Broken> {
        self.faults.contains(&Fault::ResetAfter).then_some(Broken)
    }

    pub(crate) fn expires_tokens(&self) -> bool {
        self.faults.contains(&Fault::TokensExpire)
    }

    pub(crate) fn truncates(&self) -> bool {
        self.faults.contains(&Fault::TruncatedBody)
    }

    pub(crate) fn drip(&self) -> Option<(usize, Duration)> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::SlowDrip { pieces, pause } => Some(((*pieces).max(1), *pause)),
            _ => None,
        })
    }

    /// An answer in the place of the real one.
    pub(crate) fn instead(&self) -> Option<Reply> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::TooManyRequests { ms_before_next } => Some(too_many(*ms_before_next)),
            Fault::Status(status) => Some(page(*status, "Something between you and the server failed")),
            Fault::Html => Some(page(200, "This is no FHIR server")),
            _ => None,
        })
    }
}

fn page(status: u16, text: &str) -> Reply {
    let body = format!("<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{text}</h1></body></html>");
    Reply::bytes(status, "text/html; charset=utf-8", body)
}

fn too_many(ms_before_next: u64) -> Reply {
    let diagnostics = serde_json::json!({
        "_remainingPoints": 0,
        "_msBeforeNext": ms_before_next,
        "_consumedPoints": 301,
        "_isFirstInDuration": false,
        "limit": 300,
    });
    let outcome = Outcome::too_many_requests(diagnostics.to_string());
    let seconds = ms_before_next.div_ceil(1000);
    Reply::json(429, FHIR_JSON, &outcome.body()).with("ratelimit", format!("\"fhirInteractions\";r=0;t={seconds}"))
}
