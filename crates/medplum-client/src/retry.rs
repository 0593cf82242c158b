//! When a request is sent again, and after how long.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 429: the request was not carried out, and the server says how long to wait.
    Throttled(Duration),
    /// 502, 503, 504: a proxy's word. The request may have been carried out.
    Unavailable,
    /// No connection: nothing was sent.
    NoConnection,
    /// The connection was lost, or the answer did not come in time, after sending.
    Lost,
}

/// The retries of one request: at most five for throttling and two for everything else.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    throttled: u32,
    failed: u32,
}

/// However the failures are mixed, and with the attempt that a 401 answered.
pub(crate) const MAX_ATTEMPTS: u32 = 6;
const MAX_THROTTLED: u32 = 5;
const MAX_FAILED: u32 = 2;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Retries {
    /// The wait before the next attempt, after so many; none if there is to be no other.
    pub(crate) fn next(
        &mut self,
        failure: Failure,
        safe_to_replay: bool,
        attempts: u32,
        chance: f64,
    ) -> Option<Duration> {
        if attempts >= MAX_ATTEMPTS {
            return None;
        }
        match failure {
            Failure::Throttled(wait) => {
                self.throttled = self.throttled.saturating_add(1);
                (self.throttled <= MAX_THROTTLED).then_some(wait)
            }
            Failure::Unavailable | Failure::Lost if !safe_to_replay => None,
            Failure::Unavailable | Failure::Lost | Failure::NoConnection => {
                let wait = backoff(self.failed, chance);
                self.failed = self.failed.saturating_add(1);
                (self.failed <= MAX_FAILED).then_some(wait)
            }
        }
    }
}

/// min(0.25 · 2ⁿ, 2) s and up to 0.2 s of jitter.
fn backoff(failed: u32, chance: f64) -> Duration {
    let base = Duration::from_millis(250)
        .saturating_mul(1_u32.checked_shl(failed).unwrap_or(u32::MAX))
        .min(Duration::from_secs(2));
    base + Duration::from_millis(200).mul_f64(chance.clamp(0.0, 1.0))
}

/// How long a 429 asks to wait: Medplum's own figure, else the standard headers, else a second; at most a minute.
pub(crate) fn throttle_wait(headers: &HeaderMap, body: Option<&Value>, now: SystemTime) -> Duration {
    let wait =
        body.and_then(ms_before_next).or_else(|| retry_after(headers, now)).or_else(|| rate_limit_reset(headers));
    wait.unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT)
}

fn ms_before_next(outcome: &Value) -> Option<Duration> {
    let issues = outcome.get("issue")?.as_array()?;
    let diagnostics = issues.iter().filter_map(|issue| issue.get("diagnostics")?.as_str());
    let figures = diagnostics.filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let ms = figures.filter_map(|figures| figures.get("_msBeforeNext")?.as_f64()).next()?;
    Some(Duration::from_millis(ms.clamp(0.0, 1e9) as u64))
}

fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// `RateLimit: "fhirInteractions";r=0;t=60`: nothing remains, and the window ends in 60 s.
fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("ratelimit")?.to_str().ok()?;
    let seconds = text.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn waits(failures: &[Failure], safe: bool) -> Vec<Option<u128>> {
        let mut retries = Retries::default();
        let wait = |(f, attempts): (&Failure, u32)| retries.next(*f, safe, attempts, 0.5).map(|d| d.as_millis());
        failures.iter().zip(1..).map(wait).collect()
    }

    #[test]
    fn the_table() {
        let second = Failure::Throttled(Duration::from_secs(1));
        let five = vec![Some(1000); 5];
        assert_eq!(waits(&[second; 6], false), [five, vec![None]].concat());
        for failure in [Failure::Unavailable, Failure::Lost] {
            assert_eq!(waits(&[failure; 3], true), [Some(350), Some(600), None]);
            assert_eq!(waits(&[failure], false), [None]);
        }
        assert_eq!(waits(&[Failure::NoConnection; 3], false), [Some(350), Some(600), None]);
    }

    #[test]
    fn six_attempts_at_the_most() {
        let second = Failure::Throttled(Duration::from_secs(1));
        let mixed = [Failure::Unavailable, second, second, second, second, second];
        assert_eq!(waits(&mixed, true).iter().flatten().count(), 5);
    }

    #[test]
    fn a_429_says_how_long() {
        let now = SystemTime::UNIX_EPOCH;
        let body = json!({"issue": [{"diagnostics": "{\"_remainingPoints\":0,\"_msBeforeNext\":5591,\"limit\":300}"}]});
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static(name),
                reqwest::header::HeaderValue::from_static(value),
            )])
        };
        let none = HeaderMap::new();
        assert_eq!(throttle_wait(&none, Some(&body), now), Duration::from_millis(5591));
        assert_eq!(throttle_wait(&headers("retry-after", "7"), None, now), Duration::from_secs(7));
        assert_eq!(
            throttle_wait(&headers("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT"), None, now),
            Duration::from_secs(9)
        );
        assert_eq!(
            throttle_wait(&headers("ratelimit", "\"fhirInteractions\";r=0;t=12"), None, now),
            Duration::from_secs(12)
        );
        assert_eq!(throttle_wait(&none, None, now), Duration::from_secs(1));
        assert_eq!(throttle_wait(&headers("retry-after", "86400"), None, now), Duration::from_secs(60));
        let absurd = json!({"issue": [{"diagnostics": "{\"_msBeforeNext\":-5}"}, {"diagnostics": "not json"}]});
        assert_eq!(throttle_wait(&none, Some(&absurd), now), Duration::ZERO);
    }
}
