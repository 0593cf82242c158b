//! What a question is known by when its answer comes with another call: `requestState`. It is signed, bound to the call
//! and to what the person was shown, good once and for a while, and holds nothing of a patient.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use crate::answer::cursor::CursorKey;
use crate::failure::Failure;

/// How long a question may stay unanswered.
const GOOD_FOR: Duration = Duration::from_secs(600);
/// Questions that may be open at the same time, where each holds up its call.
const OPEN_AT_ONCE: usize = 8;
const TAG: usize = 32;
const NONCE: usize = 16;
const PURPOSE: &str = "confirmation";

/// A digest of a call, or of what was shown.
pub(super) type Digest = [u8; 16];
type Nonce = [u8; NONCE];

/// The questions of this process.
#[derive(Debug)]
pub struct Confirmations {
    started: Instant,
    /// Answered questions, until they would have lapsed.
    spent: Mutex<HashMap<Nonce, u64>>,
    pub(super) open: Semaphore,
}

/// A question whose answer came.
pub(super) struct Opened {
    nonce: Nonce,
    expires: u64,
    /// What the person was shown.
    pub(super) shown: Digest,
}

impl Confirmations {
    /// No question so far.
    pub fn new(now: Instant) -> Self {
        Self { started: now, spent: Mutex::default(), open: Semaphore::new(OPEN_AT_ONCE) }
    }

    fn since_start(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }

    /// The state of a new question.
    pub(super) fn seal(&self, key: &CursorKey, call: &str, shown: Digest, now: Instant) -> Result<String, Failure> {
        let mut bytes = vec![0; NONCE];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Failure::not_sent("This machine has no randomness for a question to the person"))?;
        bytes.extend_from_slice(&self.since_start(now).saturating_add(GOOD_FOR.as_secs()).to_be_bytes());
        bytes.extend_from_slice(&shown);
        let tag = key.tag(PURPOSE, &[&bytes, call.as_bytes()]);
        bytes.extend_from_slice(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The question that a state stands for, if it is one of this process' own, of this call, and not too old.
    pub(super) fn open(&self, key: &CursorKey, call: &str, state: &str, now: Instant) -> Result<Opened, Failure> {
        let opened = || {
            let bytes = URL_SAFE_NO_PAD.decode(state).ok()?;
            let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
            if !key.is_tag(tag, PURPOSE, &[body, call.as_bytes()]) {
                return None;
            }
            let (nonce, rest) = body.split_first_chunk::<NONCE>()?;
            let (expires, shown) = rest.split_first_chunk::<8>()?;
            let expires = u64::from_be_bytes(*expires);
            let shown: Digest = shown.try_into().ok()?;
            (self.since_start(now) <= expires).then_some(Opened { nonce: *nonce, expires, shown })
        };
        opened().ok_or_else(refused)
    }

    /// Takes a question as answered; a second answer to it is refused.
    pub(super) fn spend(&self, opened: &Opened, now: Instant) -> Result<(), Failure> {
        let now = self.since_start(now);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, expires| *expires >= now);
        match spent.insert(opened.nonce, opened.expires) {
            None => Ok(()),
            Some(_) => Err(refused()),
        }
    }
}

fn refused() -> Failure {
    Failure::teach(
        "requestState: this answer of the person belongs to another call, was used already, or is older than 10 minutes. Nothing was written. Make the call again without requestState; the person is asked again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_good_for_its_call_once_and_for_a_while() {
        let (key, now) = (CursorKey::new([7; 32]), Instant::now());
        let questions = Confirmations::new(now);
        let state = questions.seal(&key, "update a", [9; 16], now).unwrap();
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(questions.open(&key, "update b", &state, now).is_err(), "another call");
        assert!(questions.open(&CursorKey::new([8; 32]), "update a", &state, now).is_err(), "another process");
        assert!(questions.open(&key, "update a", &state, later(601)).is_err(), "too old");
        for at in 0..state.len() {
            let mut altered = state.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(questions.open(&key, "update a", &altered, now).is_err() || altered == state, "altered at {at}");
        }
        for bad in ["", "x", "AAAA", state.get(..20).unwrap(), &format!("{state}AAAA")] {
            assert!(questions.open(&key, "update a", bad, now).is_err(), "{bad}");
        }
        let opened = questions.open(&key, "update a", &state, later(600)).unwrap();
        assert_eq!(opened.shown, [9; 16]);
        assert!(questions.spend(&opened, later(600)).is_ok());
        let again = questions.open(&key, "update a", &state, later(600)).unwrap();
        assert!(questions.spend(&again, later(600)).is_err(), "used already");
    }

    #[test]
    fn what_was_answered_is_forgotten_when_it_has_lapsed() {
        let (key, now) = (CursorKey::new([7; 32]), Instant::now());
        let questions = Confirmations::new(now);
        for n in 0..50_u64 {
            let then = now + Duration::from_secs(n * 300);
            let state = questions.seal(&key, "x", [0; 16], then).unwrap();
            let opened = questions.open(&key, "x", &state, then).unwrap();
            questions.spend(&opened, then).unwrap();
        }
        assert!(questions.spent.lock().unwrap().len() <= 3);
    }
}
