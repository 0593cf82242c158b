//! One pause for all: after a 429 nobody asks through this client until its time is over, and then one asks first.
//!
//! Medplum counts what a client application asks within a minute. Callers that waited each for themselves would ask on
//! and be refused again, each one five times; and if all of them woke at once, their requests would be the next storm.
//! So a 429 closes the gate for everyone. When the pause is over it opens step by step: one request goes ahead, each
//! answer lets two more in, and so does each second without a refusal, so that one slow answer holds nobody up for long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::outcome::Outcome;

/// A caller that has waited through so many pauses is told what Medplum said.
const MAX_PAUSES: u64 = 5;
/// Where so many may be under way at once, the gate is open.
const OPEN: u64 = 64;
/// After so long without a refusal, twice as many are let in.
const STEP: Duration = Duration::from_secs(1);

/// The gate. Everyone passes it before each attempt.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// How many pauses there were so far.
    pauses: u64,
    /// What Medplum said last.
    said: Option<Outcome>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    #[default]
    Open,
    Paused {
        until: Instant,
    },
    Opening {
        since: Instant,
        room: u64,
        under_way: u64,
    },
}

/// How long a caller has waited already.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    since_pause: Option<u64>,
}

/// The leave to make one attempt. Dropped unanswered, it makes room for another and says nothing of the server.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    throttle: &'a Throttle,
    /// The pause after which it was counted; none where nobody was counted.
    counted: Option<u64>,
}

/// What a look at the gate says.
enum Look<'a> {
    Go(Pass<'a>),
    Sleep(Duration),
    /// Others go first.
    Turn,
}

impl Throttle {
    /// Waits until an attempt may be made.
    ///
    /// # Errors
    /// What Medplum said, after as many pauses as a caller waits for.
    pub(crate) async fn enter(&self, clock: &dyn Clock, patience: &mut Patience) -> Result<Pass<'_>, Outcome> {
        // Nearly always it is open, and there is nothing to listen to.
        if let Look::Go(pass) = self.look(clock.monotonic(), patience)? {
            return Ok(pass);
        }
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listening before looking, so that no change falls in between.
            changed.as_mut().enable();
            match self.look(clock.monotonic(), patience)? {
                Look::Go(pass) => return Ok(pass),
                Look::Sleep(wait) => clock.sleep(wait).await,
                Look::Turn => {
                    tokio::select! {
                        () = changed => {}
                        () = clock.sleep(STEP) => {}
                    }
                }
            }
        }
    }

    fn look(&self, now: Instant, patience: &mut Patience) -> Result<Look<'_>, Outcome> {
        let mut state = self.state();
        let first = *patience.since_pause.get_or_insert(state.pauses);
        if let Phase::Paused { until } = state.phase {
            let wait = until.saturating_duration_since(now);
            if !wait.is_zero() {
                let tired = state.pauses.saturating_sub(first) > MAX_PAUSES;
                return match &state.said {
                    Some(said) if tired => Err(Outcome { retry_after: Some(wait), ..said.clone() }),
                    _ => Ok(Look::Sleep(wait)),
                };
            }
            state.phase = Phase::Opening { since: now, room: 1, under_way: 0 };
        }
        let Phase::Opening { since, room, under_way } = &mut state.phase else {
            return Ok(Look::Go(Pass { throttle: self, counted: None }));
        };
        let steps = now.saturating_duration_since(*since).as_secs() / STEP.as_secs().max(1);
        let room = room.saturating_mul(1 << steps.min(6));
        if *under_way >= room {
            return Ok(Look::Turn);
        }
        *under_way += 1;
        if room >= OPEN {
            state.phase = Phase::Open;
        }
        Ok(Look::Go(Pass { throttle: self, counted: Some(state.pauses) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The attempt was answered, with anything but a 429.
    pub(crate) fn answered(self) {
        let mut state = self.throttle.state();
        let pauses = state.pauses;
        if let Phase::Opening { room, .. } = &mut state.phase
            && self.counted == Some(pauses)
        {
            *room = room.saturating_add(1);
        }
        // What it held is given back when it is dropped, which wakes the others.
    }

    /// The attempt was answered with a 429: a pause for everyone, until then at least.
    pub(crate) fn throttled(self, until: Instant, said: Outcome) {
        let mut state = self.throttle.state();
        let until = match state.phase {
            // Sent before the pause began: the same pause.
            Phase::Paused { until: already } => already.max(until),
            _ => {
                state.pauses += 1;
                until
            }
        };
        state.phase = Phase::Paused { until };
        state.said = Some(said);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.throttle.state();
        let pauses = state.pauses;
        if let Phase::Opening { under_way, .. } = &mut state.phase
            && self.counted == Some(pauses)
        {
            *under_way = under_way.saturating_sub(1);
        }
        drop(state);
        self.throttle.changed.notify_waiters();
    }
}
