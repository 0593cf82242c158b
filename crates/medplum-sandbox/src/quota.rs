//! How much a caller may ask in a minute.

use std::collections::HashMap;

use serde_json::json;

use crate::outcome::{Outcome, Result};

/// A window lasts this long, and begins with its first request.
const WINDOW_MS: i64 = 60_000;

/// What an interaction costs.
pub(crate) mod cost {
    pub(crate) const READ: u64 = 1;
    pub(crate) const HISTORY: u64 = 10;
    pub(crate) const SEARCH: u64 = 20;
    pub(crate) const WRITE: u64 = 100;
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: i64,
    spent: u64,
}

/// Who has spent what.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(crate) limit: u64,
    windows: HashMap<String, Window>,
}

impl Quota {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, windows: HashMap::new() }
    }

    fn window(&mut self, who: &str, now: i64) -> &mut Window {
        let fresh = Window { began: now, spent: 0 };
        let window = self.windows.entry(who.to_owned()).or_insert(fresh);
        if now - window.began >= WINDOW_MS {
            *window = fresh;
        }
        window
    }

    /// Spends so many units, or says when there will be more.
    pub(crate) fn spend(&mut self, who: &str, now: i64, units: u64) -> Result<()> {
        let limit = self.limit;
        let window = self.window(who, now);
        let first = window.spent == 0;
        window.spent += units;
        if window.spent <= limit {
            return Ok(());
        }
        let diagnostics = json!({
            "_remainingPoints": 0,
            "_msBeforeNext": window.began + WINDOW_MS - now,
            "_consumedPoints": window.spent,
            "_isFirstInDuration": first,
            "limit": limit,
        });
        Err(Outcome::too_many_requests(diagnostics.to_string()))
    }

    /// The `RateLimit` header: what remains, and for how many seconds.
    pub(crate) fn header(&mut self, who: &str, now: i64) -> String {
        let limit = self.limit;
        let window = self.window(who, now);
        let remaining = limit.saturating_sub(window.spent);
        let seconds = (window.began + WINDOW_MS - now + 999) / 1000;
        format!("\"fhirInteractions\";r={remaining};t={seconds}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_after_a_minute() {
        let mut quota = Quota::new(300);
        assert!(quota.spend("a", 0, 200).is_ok());
        assert_eq!(quota.header("a", 4_100), "\"fhirInteractions\";r=100;t=56");
        let refused = quota.spend("a", 4_085, 101).unwrap_err();
        assert_eq!(refused.status, 429);
        assert_eq!(
            refused.issues[0].diagnostics.as_deref(),
            Some(
                r#"{"_remainingPoints":0,"_msBeforeNext":55915,"_consumedPoints":301,"_isFirstInDuration":false,"limit":300}"#
            )
        );
        assert!(quota.spend("b", 4_085, 101).is_ok(), "another caller has a window of its own");
        assert!(quota.spend("a", 60_000, 101).is_ok());
    }
}
