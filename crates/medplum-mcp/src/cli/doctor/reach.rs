//! Whether the server can be reached, and whether it is a Medplum.

use medplum_client::{ConfigError, Error, Proxy, Reached};
use serde_json::Value;

use super::report::{Report, name};
use crate::no_connection::remedy;
use crate::settings::Settings;

/// Whether what answers is a Medplum.
pub(super) fn check_reach(report: &mut Report, settings: &Settings, reached: Result<Reached, Error>) -> bool {
    let url = asked(settings);
    let reached = match reached {
        Ok(reached) => reached,
        Err(error) => {
            let (text, remedy) = unreached(&error, settings);
            report.fail("reach", text, remedy);
            return false;
        }
    };
    let text = |pointer: &str| reached.statement.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let software = text("/software/name");
    if text("/resourceType") != "CapabilityStatement" || !software.eq_ignore_ascii_case("medplum") {
        let what = if software.is_empty() { "no Medplum".to_owned() } else { format!("\"{}\"", name(software)) };
        report.fail("reach", format!("what answers at {url} is {what}"), where_it_is());
        return false;
    }
    let tls = reached.tls.unwrap_or("http");
    let mut facts = vec![format!("{} ms", reached.took.as_millis()), tls.to_owned()];
    facts.push(format!("Medplum {}", name(text("/software/version"))));
    let ahead = reached.clock_ahead;
    facts.extend(ahead.filter(|ahead| ahead.abs() < SKEW).map(|ahead| match ahead.abs() {
        ..2.0 => "the clocks agree".to_owned(),
        _ => format!("clock {ahead:+.0} s"),
    }));
    let proxy = Proxy::to(&settings.base_url).ok().flatten();
    facts.extend(proxy.map(|proxy| format!("through the proxy {} ({})", proxy.host, proxy.named_by)));
    report.ok("reach", facts.join(", "));
    if let Some(ahead) = ahead.filter(|ahead| ahead.abs() >= SKEW) {
        let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
        report.warn(
            "clock",
            format!("this machine's clock is {} {direction} the server's", duration(ahead.abs())),
            "Set the clock: what is new, what is due and whether a certificate is valid go by it",
        );
    }
    true
}

/// Seconds by which clocks may differ before somebody notices.
const SKEW: f64 = 30.0;

fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// Where the first question goes: both settings are in it.
fn asked(settings: &Settings) -> String {
    format!("{}{}metadata", settings.base_url, settings.fhir_path.as_str())
}

fn where_it_is() -> &'static str {
    "MEDPLUM_BASE_URL is the URL of the API, such as https://api.medplum.com/, not that of the web app; MEDPLUM_FHIR_URL_PATH is fhir/R4/ unless somebody changed it"
}

fn unreached(error: &Error, settings: &Settings) -> (String, String) {
    let url = &settings.base_url;
    match error {
        Error::Unreachable { why, proxy, .. } => {
            let proxy = proxy.as_deref();
            let what = match proxy.map(|proxy| &proxy.host) {
                None => format!("{url} cannot be reached: {why}"),
                Some(proxy) if why.is_of_the_proxy() => format!("the proxy {proxy} cannot be used: {why}"),
                Some(proxy) => format!("{url} cannot be reached through the proxy {proxy}: {why}"),
            };
            (what, remedy(*why, proxy))
        }
        Error::Lost { reason, .. } => (
            format!("{url} took the request, but {reason}"),
            "Try again; a longer wait is MEDPLUM_TIMEOUT_SECONDS".into(),
        ),
        Error::Outcome(outcome) if outcome.status >= 500 => (
            format!("{url} answers, but is out of order: HTTP {}", outcome.status),
            "Ask its operator, or try later".into(),
        ),
        Error::Outcome(outcome) => (
            format!("what answers at {} is no Medplum: HTTP {}", asked(settings), outcome.status),
            where_it_is().into(),
        ),
        Error::Config(ConfigError::Proxy { variable, reason }) => (
            format!("{variable} cannot be used: {reason}"),
            format!("{variable}=http://proxy.example:3128, or name the server's host in NO_PROXY"),
        ),
        Error::Config(_) => {
            (error.to_string(), "Install this machine's CA certificates (Debian: ca-certificates)".into())
        }
        other => (format!("what answers at {} is no Medplum: {other}", asked(settings)), where_it_is().into()),
    }
}
