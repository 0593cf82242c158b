//! One exchange: attempts until one has an answer that is a success, and what is known where none has.

use std::time::Duration;

use fhir_definitions::Definitions;
use serde_json::Value;

use super::broken::Broken;
use super::http::Answer;
use super::reading::Reading;
use super::{Call, Client};
use crate::config::Credentials;
use crate::error::{Error, Sent};
use crate::interaction::Interaction;
use crate::outcome::Outcome;
use crate::retry::{Failure, MAX_ATTEMPTS, Retries, throttle_wait};
use crate::throttle::{Pass, Patience};
use crate::witness::{Ended, Way};

/// How far an exchange has come.
struct Progress {
    attempts: u32,
    /// What is known of a write by the attempts so far.
    fate: Sent,
    /// The status of the last answer.
    status: Option<u16>,
}

impl Progress {
    /// Another attempt was made, and tells this much of a write.
    fn goes_on(&mut self, attempt: &Result<Answer, Broken>, fate: Sent) {
        self.attempts = self.attempts.saturating_add(1);
        self.status = attempt.as_ref().map(|answer| answer.status).ok();
        self.fate = self.fate.max(fate);
    }
}

impl Client {
    pub(super) async fn exchange<T>(
        &self,
        call: &Call,
        interaction: &Interaction,
        read: &Reading<T>,
    ) -> Result<T, Error> {
        let started = self.now();
        let mut progress = Progress { attempts: 0, fate: Sent::No, status: None };
        let mut way = Way::of(&call.watched, interaction);
        let answer = self.attempts(call, interaction, &mut way, &mut progress).await;
        log(interaction, &progress, self.now().saturating_duration_since(started));
        let came = answer.and_then(|answer| (read.read)(interaction, answer, progress.fate != Sent::No));
        let came = came.map_err(|error| self.without_our_secrets(error));
        way.ended(&Ended { came: came.as_ref().map(read.came), status: progress.status, attempts: progress.attempts });
        came
    }

    /// Attempts until one has an answer that is a success.
    async fn attempts(
        &self,
        call: &Call,
        interaction: &Interaction,
        way: &mut Way<'_>,
        so_far: &mut Progress,
    ) -> Result<Answer, Error> {
        let clock = &*self.inner.surroundings.clock;
        let request = interaction.to_request();
        let reads = interaction.effect().is_read();
        let safe = interaction.is_safe_to_replay();
        let mut retries = Retries::default();
        let mut patience = Patience::default();
        let mut renewed = false;
        loop {
            let pass = self.inner.throttle.enter(clock, &mut patience).await;
            let pass = pass.map_err(|said| throttled(said, so_far.fate))?;
            // After the wait, which may have outlived a token.
            let token = self.token().await.map_err(|error| after(so_far.fate, error))?;
            way.goes().await.map_err(|refusal| after(so_far.fate, refusal.into()))?;
            let attempt = self.inner.http.ask(&request, &token.bearer, self.behalf(call)).await;
            let failure = match &attempt {
                Ok(answer) => self.failure_of(answer),
                Err(broken) => broken.retryable(),
            };
            self.leave(pass, &attempt, failure);
            so_far.goes_on(&attempt, if reads { Sent::No } else { fate_of(&attempt, failure) });
            if so_far.status == Some(401) && !renewed && so_far.attempts < MAX_ATTEMPTS {
                renewed = true;
                self.renew(&token).await.map_err(|error| after(so_far.fate, error))?;
                continue;
            }
            let failure = failure.filter(|_| !call.once);
            if let Some(wait) = failure.and_then(|f| retries.next(f, safe, so_far.attempts, clock.chance())) {
                // A 429 is waited for at the gate, by everyone.
                if !matches!(failure, Some(Failure::Throttled(_))) {
                    clock.sleep(wait).await;
                }
                continue;
            }
            return match attempt {
                Ok(answer) => self.accepted(interaction, answer, so_far.fate != Sent::No),
                Err(broken) => Err(broken.into_error(&self.inner.config, so_far.attempts, so_far.fate)),
            };
        }
    }

    /// Tells the gate how an attempt ended.
    fn leave(&self, pass: Pass<'_>, attempt: &Result<Answer, Broken>, failure: Option<Failure>) {
        match (attempt, failure) {
            (Ok(answer), Some(Failure::Throttled(wait))) => pass.throttled(self.now() + wait, said(answer, wait)),
            (Ok(_), _) => pass.answered(),
            (Err(_), _) => {}
        }
    }

    /// What in an answer is worth another attempt.
    pub(super) fn failure_of(&self, answer: &Answer) -> Option<Failure> {
        match answer.status {
            429 => {
                let body = serde_json::from_slice(&answer.body).ok();
                Some(Failure::Throttled(throttle_wait(
                    &answer.headers,
                    body.as_ref(),
                    self.inner.surroundings.clock.now(),
                )))
            }
            502..=504 => Some(Failure::Unavailable),
            _ => None,
        }
    }

    /// An answer that is a success.
    pub(super) fn accepted(&self, interaction: &Interaction, answer: Answer, uncertain: bool) -> Result<Answer, Error> {
        let reads = interaction.effect().is_read();
        let status = answer.status;
        // Of a write, whatever an odd answer says.
        let sent = if reads { Sent::No } else { Sent::Maybe };
        match status {
            200..=299 | 304 => Ok(answer),
            401 if matches!(self.inner.config.credentials, Credentials::AccessToken(_)) => Err(Error::AccessToken),
            300..=399 if uncertain => Err(Error::Lost {
                reason: "an attempt failed, and another was answered with a redirect",
                sent: Sent::Maybe,
            }),
            300..=399 => Err(Error::Redirect { status, sent }),
            ..=199 => Err(Error::NotFhir { status, reason: "it is no HTTP answer to a request", sent }),
            _ => {
                let mut outcome = match self.failure_of(&answer) {
                    Some(Failure::Throttled(wait)) => said(&answer, wait),
                    _ => outcome_of(&answer),
                };
                // What is not implemented was not carried out.
                outcome.uncertain = uncertain || (!reads && status >= 500 && status != 501);
                Err(Error::Outcome(Box::new(outcome)))
            }
        }
    }
}

/// What an attempt tells of a write.
fn fate_of(attempt: &Result<Answer, Broken>, failure: Option<Failure>) -> Sent {
    match (attempt, failure) {
        (Err(broken), _) => broken.sent(),
        (Ok(_), Some(Failure::Unavailable)) => Sent::Maybe,
        (Ok(_), _) => Sent::No,
    }
}

pub(super) fn outcome_of(answer: &Answer) -> Outcome {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    Outcome::new(answer.status, body.as_ref())
}

/// What a 429 said.
pub(super) fn said(answer: &Answer, wait: Duration) -> Outcome {
    Outcome { retry_after: Some(wait), ..outcome_of(answer) }
}

/// A pause that outlasted a caller's patience, in the words of the request that met it.
fn throttled(said: Outcome, fate: Sent) -> Error {
    Error::Outcome(Box::new(Outcome { uncertain: fate != Sent::No, request_id: None, ..said }))
}

/// What kept another attempt from being made hides nothing of what an earlier one may have done.
fn after(fate: Sent, error: Error) -> Error {
    match (fate, error) {
        (Sent::No, error) => error,
        (sent, Error::Refused(_)) => Error::Lost { reason: "an attempt failed, and no other was made", sent },
        (sent, _) => Error::Lost { reason: "an attempt failed, and signing in for another failed too", sent },
    }
}

/// One line an exchange, of what kind it was and how it ended: no path, no id, no value.
fn log(interaction: &Interaction, progress: &Progress, took: Duration) {
    let label = interaction.label();
    let Progress { attempts, status, .. } = *progress;
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        interaction = label.interaction,
        // Whoever asks may have put a name where a type belongs.
        resource_type = label.resource_type.filter(|name| Definitions::get().is_resource_type(name)),
        status,
        attempts,
        ms,
        "medplum"
    );
}
