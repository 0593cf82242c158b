//! The life of an access token: one fetch in flight however many wait, a refresh before it runs out, a short pause
//! after a failure.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;

use crate::error::Error;

/// A token with so little life left is refreshed first; one that lives but briefly, at half of its life.
const MARGIN: Duration = Duration::from_secs(30);
/// For so long after a failed fetch, the failure is answered without another.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// A request shows no more tokens than this and the one in use: it is tried so many times at the most.
const KEPT: usize = 4;

/// A token, and which of its kind it is: so that of many callers with a refused token only the first fetches another.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// As it stands in a header.
    pub(crate) bearer: HeaderValue,
    generation: u64,
    refresh_at: Instant,
}

/// A token as the server issued it.
pub(crate) struct Issued {
    /// As it stands in a header, marked as sensitive.
    pub(crate) bearer: HeaderValue,
    pub(crate) lifetime: Duration,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// Those before, which requests under way may still show: the last few.
    before: VecDeque<HeaderValue>,
    failed: Option<(Instant, Error)>,
    generation: u64,
}

#[derive(Debug, Default)]
pub(crate) struct TokenStore {
    state: Mutex<State>,
    in_flight: tokio::sync::Mutex<()>,
}

impl TokenStore {
    /// The token, fetched if there is none that lives long enough.
    pub(crate) async fn get<F>(&self, now: impl Fn() -> Instant, fetch: impl FnOnce() -> F) -> Result<Token, Error>
    where
        F: Future<Output = Result<Issued, Error>>,
    {
        if let Some(token) = self.current(now()) {
            return Ok(token);
        }
        self.fetch_unless(&now, fetch, |token| now() < token.refresh_at).await
    }

    /// Another token than the one that was refused.
    pub(crate) async fn replace<F>(
        &self,
        refused: &Token,
        now: impl Fn() -> Instant,
        fetch: impl FnOnce() -> F,
    ) -> Result<Token, Error>
    where
        F: Future<Output = Result<Issued, Error>>,
    {
        self.fetch_unless(&now, fetch, |token| token.generation != refused.generation && now() < token.refresh_at).await
    }

    pub(crate) fn current(&self, now: Instant) -> Option<Token> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.token.clone().filter(|token| now < token.refresh_at)
    }

    /// The headers that requests of these days have shown, whatever life is left in them.
    pub(crate) fn shown(&self) -> Vec<HeaderValue> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.token.iter().map(|token| &token.bearer).chain(&state.before).cloned().collect()
    }

    /// Which token is the last that was issued.
    pub(crate) fn generation(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).generation
    }

    async fn fetch_unless<F>(
        &self,
        now: &impl Fn() -> Instant,
        fetch: impl FnOnce() -> F,
        good: impl Fn(&Token) -> bool,
    ) -> Result<Token, Error>
    where
        F: Future<Output = Result<Issued, Error>>,
    {
        let _one_at_a_time = self.in_flight.lock().await;
        {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(token) = state.token.as_ref().filter(|token| good(token)) {
                return Ok(token.clone());
            }
            if let Some((when, error)) = &state.failed
                && now().saturating_duration_since(*when) < COOL_DOWN
            {
                return Err(error.clone());
            }
        }
        let fetched = fetch().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(issued) => {
                state.generation = state.generation.wrapping_add(1);
                let kept = issued.lifetime.saturating_sub(MARGIN.min(issued.lifetime / 2));
                let refresh_at = now() + kept;
                let token = Token { bearer: issued.bearer, generation: state.generation, refresh_at };
                state.failed = None;
                let before = state.token.replace(token.clone());
                state.before.extend(before.map(|token| token.bearer));
                if state.before.len() > KEPT {
                    state.before.pop_front();
                }
                Ok(token)
            }
            Err(error) => {
                state.failed = Some((now(), error.clone()));
                Err(error)
            }
        }
    }
}
