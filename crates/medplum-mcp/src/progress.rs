//! How far a call has come, told to a client that asked to hear it: counts, and nothing of what is counted.

use std::sync::{Mutex, PoisonError};

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};

/// The progress of one call.
#[derive(Debug, Default)]
pub struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    so_far: Mutex<SoFar>,
}

/// What all walks of a call have fetched.
#[derive(Debug, Default)]
struct SoFar {
    walks: usize,
    fetched: u64,
}

impl Progress {
    /// Told to the client of this request, if it sent a token for it.
    pub fn of(request: &RequestContext<RoleServer>) -> Self {
        let to = request.meta.get_progress_token().map(|token| (request.peer.clone(), token));
        Self { to, so_far: Mutex::default() }
    }

    /// A walk over pages begins.
    pub(crate) fn begin(&self) {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        so_far.walks = so_far.walks.saturating_add(1);
    }

    /// A walk has fetched so many more, of so many that it will fetch if that is known; there are more to come.
    pub(crate) async fn fetched(&self, more: usize, of: Option<u64>) {
        let Some((peer, token)) = &self.to else { return };
        let (walks, fetched) = {
            let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
            so_far.fetched = so_far.fetched.saturating_add(more as u64);
            (so_far.walks, so_far.fetched)
        };
        if more == 0 {
            return;
        }
        // What one of several walks has before it says little of the whole.
        let of = of.filter(|of| walks == 1 && *of >= fetched);
        let mut told = ProgressNotificationParam::new(token.clone(), fetched as f64).with_message(said(fetched, of));
        if let Some(of) = of {
            told = told.with_total(of as f64);
        }
        // A client that is gone needs no progress; that it is gone is noticed elsewhere.
        let _ = peer.notify_progress(told).await;
    }
}

fn said(fetched: u64, of: Option<u64>) -> String {
    let of = of.map(|of| format!(" of {}", grouped(of))).unwrap_or_default();
    format!("{}{of} fetched", grouped(fetched))
}

/// `12,345`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_a_total_is_said_where_it_is_known() {
        assert_eq!(said(1_000, Some(5_000)), "1,000 of 5,000 fetched");
        assert_eq!(said(12_345_678, None), "12,345,678 fetched");
        assert_eq!(said(20, None), "20 fetched");
    }
}
