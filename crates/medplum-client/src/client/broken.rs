//! Why an attempt has no answer, and what is known of it then.

use crate::config::Config;
use crate::error::{Error, Sent};
use crate::invalid::InvalidRequest;
use crate::retry::Failure;

pub(super) const NO_ANSWER: &str = "Medplum did not answer in time";
pub(super) const STOPPED_COMING: &str = "the answer stopped coming";

/// Why an attempt has no answer.
pub(super) enum Broken {
    /// The request could not even be put together.
    Unusable(Error),
    /// Nothing was sent.
    NoConnection(&'static str),
    /// The connection failed, or the answer did not come in time, after sending.
    Lost { reason: &'static str, sent: Sent },
    /// The answer is over the ceiling. Another would not be smaller.
    TooLarge { sent: Sent },
    /// The answer was still coming when its time was over. Another would not be faster.
    TooSlow { sent: Sent },
}

impl Broken {
    pub(super) fn unfit() -> Self {
        Self::Unusable(InvalidRequest::Header("a value of the request cannot stand in a header").into())
    }

    pub(super) fn before_answer(error: &reqwest::Error) -> Self {
        if error.is_builder() {
            return Self::unfit();
        }
        if error.is_connect() {
            return Self::NoConnection(connect_reason(error));
        }
        let reason = if error.is_timeout() { NO_ANSWER } else { "the connection was lost" };
        Self::Lost { reason, sent: Sent::Maybe }
    }

    pub(super) fn within_answer(error: &reqwest::Error, sent: Sent) -> Self {
        let reason = if error.is_timeout() { STOPPED_COMING } else { "the answer broke off" };
        Self::Lost { reason, sent }
    }

    /// What another attempt could mend.
    pub(super) fn retryable(&self) -> Option<Failure> {
        match self {
            Self::NoConnection(_) => Some(Failure::NoConnection),
            Self::Lost { .. } => Some(Failure::Lost),
            Self::Unusable(_) | Self::TooLarge { .. } | Self::TooSlow { .. } => None,
        }
    }

    /// What is known of a write after this.
    pub(super) fn sent(&self) -> Sent {
        match self {
            Self::Unusable(_) | Self::NoConnection(_) => Sent::No,
            Self::Lost { sent, .. } | Self::TooLarge { sent } | Self::TooSlow { sent } => *sent,
        }
    }

    /// The error, where `sent` is what is known of the request by all its attempts.
    pub(super) fn into_error(self, config: &Config, attempts: u32, sent: Sent) -> Error {
        match self {
            Self::Unusable(error) => error,
            Self::NoConnection(reason) if sent == Sent::No => Error::Unreachable { reason, attempts },
            Self::NoConnection(_) => Error::Lost { reason: "the connection was lost and cannot be made again", sent },
            Self::Lost { reason, .. } => Error::Lost { reason, sent },
            Self::TooLarge { .. } => Error::TooLarge { limit: config.max_response_bytes, sent },
            Self::TooSlow { .. } => Error::TooSlow { limit: config.longest_answer(), sent },
        }
    }
}

/// What kind of trouble a failed connection was, without its address.
fn connect_reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "the connection timed out";
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        cause = error.source();
        if error.is::<rustls::Error>() {
            return "the TLS handshake failed";
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return "the connection was refused",
                std::io::ErrorKind::InvalidData => return "the TLS handshake failed",
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => {
                    return "the connection was closed";
                }
                _ => {}
            }
            // The source of an I/O error is that of the error it wraps, not the wrapped error itself.
            if let Some(wrapped) = io.get_ref() {
                cause = Some(wrapped);
            }
        }
        if error.to_string().contains("dns error") {
            return "its name cannot be resolved";
        }
    }
    "no connection"
}
