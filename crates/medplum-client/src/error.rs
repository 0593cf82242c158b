//! Every failure of the client. No token, secret, URL or query is in any of them, nor in a cause behind them.

use std::time::Duration;

use thiserror::Error;

use crate::gate::Refusal;
use crate::interaction::Interaction;
use crate::invalid::InvalidRequest;
use crate::no_connection::NoConnection;
use crate::outcome::Outcome;
use crate::own_secrets::OwnSecrets;
use crate::proxy::Proxy;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The base URL.
    #[error("the base URL cannot be used: {reason}. An example: https://api.medplum.com/")]
    BaseUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The path of the FHIR base.
    #[error("the FHIR path cannot be used: it is a relative path such as fhir/R4/")]
    FhirPath,
    /// The proxy that the environment names.
    #[error(
        "{variable} cannot be used: {reason}. An example: http://proxy.example:3128. A server that needs no proxy is named in NO_PROXY"
    )]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong with its value.
        reason: &'static str,
    },
    /// The HTTP client could not be built: usually the platform's certificates cannot be read.
    #[error("the HTTPS client cannot be set up: {0}")]
    Http(&'static str),
}

/// What is known of a request that failed on the way. The order is that of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sent {
    /// It never left.
    No,
    /// It left, and Medplum may have carried it out.
    Maybe,
    /// Medplum carried it out; its answer was lost.
    Done,
}

/// Why an interaction has no reply.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is not one that can be sent. Nothing was sent.
    #[error("{0}")]
    Invalid(#[from] InvalidRequest),
    /// The gate refused. Nothing was sent.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The client cannot be set up.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Medplum does not accept the credentials.
    #[error("Medplum refused the credentials{}", detail(.description))]
    Credentials {
        /// Medplum's word for it, such as `Invalid secret`.
        description: Option<String>,
    },
    /// Medplum does not accept a token that was given from outside, which cannot be refreshed.
    #[error("Medplum refused the access token: it is wrong or has expired")]
    AccessToken,
    /// No access token could be had, for a reason that is not the credentials. Nothing else was asked.
    #[error("signing in at oauth2/token failed: {}{}", .0, elsewhere(.0))]
    SignIn(Box<Outcome>),
    /// Medplum answered with a failure.
    #[error("{0}")]
    Outcome(Box<Outcome>),
    /// No connection. Nothing was sent.
    #[error("{}{}. Nothing was sent", no_way(*.why, .proxy.as_deref()), tries(*.attempts))]
    Unreachable {
        /// What failed: the name, the connection, TLS, the proxy.
        why: NoConnection,
        /// The proxy, if the way leads through one.
        proxy: Option<Box<Proxy>>,
        /// How often it was tried.
        attempts: u32,
    },
    /// The connection failed after the request was sent.
    #[error("{reason}{}", fate(*.sent))]
    Lost {
        /// What happened.
        reason: &'static str,
        /// What is known of the request.
        sent: Sent,
    },
    /// The answer is larger than the ceiling.
    #[error("the answer is larger than {} MB{}", .limit / 1_000_000, fate(*.sent))]
    TooLarge {
        /// The ceiling, in bytes.
        limit: usize,
        /// What is known of the request.
        sent: Sent,
    },
    /// The answer was not complete in time, though it did not stop coming.
    #[error("the answer was not complete after {} s{}", .limit.as_secs(), fate(*.sent))]
    TooSlow {
        /// How long an answer may take, from the request to its last byte.
        limit: Duration,
        /// What is known of the request.
        sent: Sent,
    },
    /// The answer is not what a FHIR server sends.
    #[error("the answer (HTTP {status}) is not FHIR: {reason}{}", fate(*.sent))]
    NotFhir {
        /// The HTTP status.
        status: u16,
        /// What it is instead.
        reason: &'static str,
        /// What is known of the request.
        sent: Sent,
    },
    /// What must be looked at before something acts could not be. What acts was not sent.
    #[error("{error}")]
    Guard {
        /// What was looked at: `Bot/1`.
        of: String,
        /// Why it could not be.
        error: Box<Self>,
    },
    /// A redirect, which is never followed: it would carry the token elsewhere.
    #[error("the server answered with a redirect (HTTP {status}), which is not followed{}", fate(*.sent))]
    Redirect {
        /// The HTTP status.
        status: u16,
        /// What is known of the request.
        sent: Sent,
    },
}

impl Error {
    /// The error of a guard, for what it guards: it says what was looked at, where what was to be read is not that itself.
    pub(crate) fn of_guard(self, guard: &Interaction, guarded: &Interaction) -> Self {
        match guard {
            Interaction::Read { resource_type, id, .. } if !guarded.effect().is_read() => {
                Self::Guard { of: format!("{resource_type}/{id}"), error: Box::new(self) }
            }
            Interaction::BoundBot(name) if !matches!(self, Self::Invalid(_) | Self::Refused(_)) => {
                Self::Guard { of: format!("the bots bound to ${name}"), error: Box::new(self) }
            }
            _ => self,
        }
    }

    /// The same error, with nothing of what we sign in with in what the server said.
    pub(crate) fn without(mut self, own: &OwnSecrets) -> Self {
        let hide = |said: &mut String| {
            if let Some(clean) = own.left_out_of(said) {
                *said = clean;
            }
        };
        match &mut self {
            Self::Credentials { description: Some(said) } => hide(said),
            Self::SignIn(outcome) | Self::Outcome(outcome) => outcome.texts().for_each(hide),
            _ => {}
        }
        self
    }

    /// Whether a write may have been carried out all the same.
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Outcome(outcome) => outcome.uncertain,
            other => other.sent() != Sent::No,
        }
    }

    /// Whether it was carried out, and only its answer was lost.
    pub fn was_carried_out(&self) -> bool {
        self.sent() == Sent::Done
    }

    fn sent(&self) -> Sent {
        match self {
            Self::Lost { sent, .. }
            | Self::TooLarge { sent, .. }
            | Self::TooSlow { sent, .. }
            | Self::Redirect { sent, .. }
            | Self::NotFhir { sent, .. } => *sent,
            _ => Sent::No,
        }
    }

    /// The HTTP status, if Medplum answered this request with one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Outcome(outcome) => Some(outcome.status),
            Self::NotFhir { status, .. } | Self::Redirect { status, .. } => Some(*status),
            Self::Guard { error, .. } => error.status(),
            _ => None,
        }
    }

    /// How long Medplum asks to wait, where it was too many requests.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Outcome(outcome) | Self::SignIn(outcome) => outcome.retry_after,
            Self::Guard { error, .. } => error.retry_after(),
            _ => None,
        }
    }
}

fn detail(description: &Option<String>) -> String {
    description.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

/// Who cannot be reached, and why.
fn no_way(why: NoConnection, proxy: Option<&Proxy>) -> String {
    match proxy.map(|proxy| &proxy.host) {
        None => format!("Medplum cannot be reached ({why})"),
        Some(proxy) if why.is_of_the_proxy() => {
            format!("Medplum cannot be reached, for its proxy {proxy} cannot be used ({why})")
        }
        Some(proxy) => format!("Medplum cannot be reached through the proxy {proxy} ({why})"),
    }
}

fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(", after {attempts} attempts") } else { String::new() }
}

/// Where nobody speaks Medplum's words, it may well not be Medplum.
fn elsewhere(outcome: &Outcome) -> &'static str {
    let strange = outcome.issues.is_empty() && (400..500).contains(&outcome.status) && outcome.status != 429;
    if strange { ". Is the base URL that of a Medplum server?" } else { "" }
}

fn fate(sent: Sent) -> &'static str {
    match sent {
        Sent::No => "",
        Sent::Maybe => ". The request may have been carried out",
        Sent::Done => ". The request was carried out; only its answer was lost",
    }
}
