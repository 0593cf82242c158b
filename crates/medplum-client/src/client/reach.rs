//! How far away a server is, and what the way to it is like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::DATE;
use rustls::KeyLog;
use serde_json::Value;

use super::http::Http;
use super::reading::reply;
use super::{Call, Client};
use crate::error::{Error, Sent};
use crate::interaction::Interaction;

/// What a first request told, over a connection of its own and without a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// From the first byte of the connection to the last of the answer.
    pub took: Duration,
    /// The TLS version that was agreed on; none over http.
    pub tls: Option<&'static str>,
    /// How far this machine's clock is ahead of the server's, in seconds and as exact as a `Date` header allows: to
    /// about one second.
    pub clock_ahead: Option<f64>,
    /// What the server says that it can do.
    pub statement: Value,
}

impl Client {
    /// Asks the server what it can do, once, over a new connection and without a token: how far away it is, and
    /// whether it is a Medplum at all.
    ///
    /// # Errors
    /// [`Error`]: refused, unreachable, or what came instead of a CapabilityStatement.
    pub async fn reach(&self) -> Result<Reached, Error> {
        let interaction = Interaction::Metadata;
        self.ask_gate(&Call::default(), &interaction)?;
        let tls = Arc::new(TlsVersion::default());
        let http = Http::heard(Arc::clone(&self.inner.config), Arc::clone(&tls) as _)?;
        let (before, started) = (self.time_of_day(), self.now());
        let answer = http.ask_unsigned(&interaction.to_request()).await;
        let took = self.now().saturating_duration_since(started);
        let answer = answer.map_err(|broken| broken.into_error(&self.inner.config, 1, Sent::No))?;
        let date = answer.headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let clock_ahead = date.map(|date| clock_ahead(before, took, date));
        let statement = reply(&interaction, self.accepted(&interaction, answer, false)?, false)?.into_json();
        Ok(Reached { took, tls: tls.heard(), clock_ahead, statement })
    }
}

/// How far ahead a clock was that read `before` when a request left, which was answered after `took` with `date`.
fn clock_ahead(before: SystemTime, took: Duration, date: SystemTime) -> f64 {
    let here = before + took / 2;
    // A Date header is cut to the second, so it stands for the middle of it.
    let there = date + Duration::from_millis(500);
    match here.duration_since(there) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    }
}

/// Hears which TLS version was agreed on: rustls asks whether secrets are to be logged, and the names of a version's
/// secrets are its own. The answer is always no, and what is offered all the same is not looked at.
#[derive(Debug, Default)]
struct TlsVersion {
    is_1_2: AtomicBool,
    is_1_3: AtomicBool,
}

impl TlsVersion {
    fn heard(self: &Arc<Self>) -> Option<&'static str> {
        if self.is_1_3.load(Ordering::Relaxed) {
            Some("TLS 1.3")
        } else if self.is_1_2.load(Ordering::Relaxed) {
            Some("TLS 1.2")
        } else {
            None
        }
    }

    fn hear(&self, label: &str) {
        let version = if label == "CLIENT_RANDOM" { &self.is_1_2 } else { &self.is_1_3 };
        version.store(true, Ordering::Relaxed);
    }
}

impl KeyLog for TlsVersion {
    fn log(&self, label: &str, _: &[u8], _: &[u8]) {
        self.hear(label);
    }

    fn will_log(&self, label: &str) -> bool {
        self.hear(label);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_exchange() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let ahead = |before, took, date| clock_ahead(before, Duration::from_millis(took), date);
        assert!(ahead(noon, 1_000, noon).abs() < 1e-6);
        assert!((ahead(noon + Duration::from_secs(60), 0, noon) - 59.5).abs() < 1e-6);
        assert!((ahead(noon, 1_000, noon + Duration::from_secs(90)) + 90.0).abs() < 1e-6);
    }

    #[test]
    fn the_names_of_the_secrets_tell_the_version() {
        let version = Arc::new(TlsVersion::default());
        assert_eq!(version.heard(), None);
        version.log("CLIENT_RANDOM", b"", b"");
        assert_eq!(version.heard(), Some("TLS 1.2"));
        assert!(!version.will_log("CLIENT_HANDSHAKE_TRAFFIC_SECRET"));
        assert_eq!(version.heard(), Some("TLS 1.3"));
    }
}
