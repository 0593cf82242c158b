//! Signing in: the token that a request shows, and what is known of those that were shown.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Client;
use super::broken::{Broken, unreachable};
use super::exchange::{outcome_of, said};
use super::http::Answer;
use crate::config::{Credentials, SHORTEST_SECRET};
use crate::error::{ConfigError, Error, Sent};
use crate::no_connection::NoConnection;
use crate::own_secrets::OwnSecrets;
use crate::retry::{Failure, Retries};
use crate::token::{Issued, Token};

/// A shorter one would be taken out of the middle of words. An error may lose more of its words than a record.
const SHORTEST_IN_ERRORS: usize = 4;

impl Client {
    pub(super) async fn token(&self) -> Result<Token, Error> {
        self.inner.tokens.get(|| self.now(), || self.fetch_token()).await
    }

    /// Another token after a 401; one that was given from outside is never replaced.
    pub(super) async fn renew(&self, refused: &Token) -> Result<Token, Error> {
        match &self.inner.config.credentials {
            Credentials::AccessToken(_) => Err(Error::AccessToken),
            Credentials::Client { .. } => {
                self.inner.tokens.replace(refused, || self.now(), || self.fetch_token()).await
            }
        }
    }

    async fn fetch_token(&self) -> Result<Issued, Error> {
        let (id, secret) = match &self.inner.config.credentials {
            Credentials::AccessToken(value) => {
                return Ok(Issued { bearer: bearer(value)?, lifetime: Duration::from_secs(u32::MAX.into()) });
            }
            Credentials::Client { id, secret } => (id, secret),
        };
        let mut retries = Retries::default();
        let mut attempts = 0_u32;
        loop {
            let answer = self.ask_for_token(id, secret).await;
            attempts = attempts.saturating_add(1);
            let failure = match &answer {
                Ok(answer) => self.failure_of(answer),
                Err(broken) => broken.retryable(),
            };
            let chance = self.inner.surroundings.clock.chance();
            // A token request changes nothing, so it may always be sent again.
            if let Some(wait) = failure.and_then(|failure| retries.next(failure, true, attempts, chance)) {
                self.inner.surroundings.clock.sleep(wait).await;
                continue;
            }
            return match answer {
                Ok(answer) => issued(&answer, failure),
                // A connection that was lost while signing in is no different from none.
                Err(Broken::Lost { reason, .. }) => {
                    Err(unreachable(&self.inner.config, NoConnection::Other(reason), attempts))
                }
                Err(broken) => Err(broken.into_error(&self.inner.config, attempts, Sent::No)),
            };
        }
    }

    async fn ask_for_token(&self, id: &str, secret: &SecretString) -> Result<Answer, Broken> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", id)
            .append_pair("client_secret", secret.expose_secret())
            .finish();
        self.inner.http.post_form("oauth2/token", form).await
    }

    /// A server may repeat what it was sent: nothing that we sign in with is in a text of its.
    pub(super) fn without_our_secrets(&self, error: Error) -> Error {
        error.without(&self.secrets_of(SHORTEST_IN_ERRORS))
    }

    /// What we sign in with, and the tokens shown so far: what a server may repeat in an answer too. A text so short that
    /// it may stand in any record is not among them.
    pub fn own_secrets(&self) -> Arc<OwnSecrets> {
        let tokens = self.inner.tokens.generation();
        let mut known = self.inner.own_secrets.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((of, own)) if *of == tokens => Arc::clone(own),
            _ => {
                let own = Arc::new(self.secrets_of(SHORTEST_SECRET));
                *known = Some((tokens, Arc::clone(&own)));
                own
            }
        }
    }

    /// What was shown to the server, but for what has fewer characters.
    fn secrets_of(&self, shortest: usize) -> OwnSecrets {
        let shown = self.shown();
        OwnSecrets::of(shown.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= shortest))
    }

    fn shown(&self) -> Vec<SecretString> {
        let configured = self.inner.config.credentials.secret();
        let shown = self.inner.tokens.shown();
        let tokens = shown.iter().filter_map(|shown| {
            let header = shown.to_str().ok()?;
            Some(SecretString::from(header.strip_prefix("Bearer ").unwrap_or(header)))
        });
        std::iter::once(configured.clone()).chain(tokens).collect()
    }
}

fn issued(answer: &Answer, failure: Option<Failure>) -> Result<Issued, Error> {
    let status = answer.status;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    match status {
        200..=299 => {}
        // What is no OAuth error (RFC 6749, section 5.2) is somebody else's refusal, or one for another reason.
        400 | 401 | 403 if ["error", "error_description"].iter().any(|name| body.get(name).is_some()) => {
            let description = body.get("error_description").and_then(Value::as_str).map(str::to_owned);
            return Err(Error::Credentials { description });
        }
        300..=399 => return Err(Error::Redirect { status, sent: Sent::No }),
        _ => {
            let outcome = match failure {
                Some(Failure::Throttled(wait)) => said(answer, wait),
                _ => outcome_of(answer),
            };
            return Err(Error::SignIn(Box::new(outcome)));
        }
    }
    let Some(value) = body.get("access_token").and_then(Value::as_str) else {
        return Err(Error::NotFhir { status, reason: "its sign-in gave no access token", sent: Sent::No });
    };
    let seconds = body.get("expires_in").and_then(Value::as_f64).unwrap_or(3600.0).clamp(0.0, 1e9);
    Ok(Issued { bearer: bearer(&SecretString::from(value))?, lifetime: Duration::from_secs_f64(seconds) })
}

/// The header that shows a token, made once in its life.
fn bearer(token: &SecretString) -> Result<HeaderValue, Error> {
    let text = SecretString::from(format!("Bearer {}", token.expose_secret()));
    let mut bearer = HeaderValue::from_str(text.expose_secret())
        .map_err(|_| ConfigError::Http("the access token cannot stand in a header"))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}
