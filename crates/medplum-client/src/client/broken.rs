//! Why an attempt has no answer, and what is known of it then.

use crate::config::Config;
use crate::error::{Error, Sent};
use crate::invalid::InvalidRequest;
use crate::no_connection::NoConnection;
use crate::proxy::Proxy;
use crate::retry::Failure;

pub(super) const NO_ANSWER: &str = "Medplum did not answer in time";
pub(super) const STOPPED_COMING: &str = "the answer stopped coming";

/// Why an attempt has no answer.
pub(super) enum Broken {
    /// The request could not even be put together.
    Unusable(Error),
    /// Nothing was sent, or the server says that it left what was sent alone.
    NoConnection(NoConnection),
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
            return Self::NoConnection(NoConnection::of(error));
        }
        if is_untouched(error) {
            let untaken = "the server closed the connection before it took the request";
            return Self::NoConnection(NoConnection::Other(untaken));
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
            Self::NoConnection(why) => (!why.is_final()).then_some(Failure::NoConnection),
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
            Self::NoConnection(why) if sent == Sent::No => unreachable(config, why, attempts),
            Self::NoConnection(_) => Error::Lost { reason: "the connection was lost and cannot be made again", sent },
            Self::Lost { reason, .. } => Error::Lost { reason, sent },
            Self::TooLarge { .. } => Error::TooLarge { limit: config.max_response_bytes, sent },
            Self::TooSlow { .. } => Error::TooSlow { limit: config.longest_answer(), sent },
        }
    }
}

/// Whether the server says of a request over HTTP/2 that it did nothing with it
/// (<https://www.rfc-editor.org/rfc/rfc9113.html#section-8.7>).
fn is_untouched(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let mut of_http2 = causes.filter_map(|error| error.downcast_ref::<h2::Error>());
    of_http2.any(|error| {
        let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let is_over = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_remote() && (is_refused || is_over)
    })
}

/// No connection, with the proxy that it would have led through.
pub(super) fn unreachable(config: &Config, why: NoConnection, attempts: u32) -> Error {
    let proxy = Proxy::to(&config.base_url).ok().flatten();
    Error::Unreachable { why, proxy: proxy.map(Box::new), attempts }
}

#[cfg(test)]
mod tests {
    use h2::Reason;
    use h2::server::Connection;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What a client hears whose request a server over HTTP/2 ends so.
    async fn heard(end: impl AsyncFn(&mut Connection<TcpStream, bytes::Bytes>)) -> reqwest::Error {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = super::super::http::builder().http2_prior_knowledge().no_proxy().build().unwrap();
        let serve = async {
            let mut connection = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
            end(&mut connection).await;
            while connection.accept().await.is_some() {}
        };
        // Its connection ends with it, and so does the server.
        let ask = async move { client.post(url).body("x").send().await };
        let (heard, ()) = tokio::join!(ask, serve);
        heard.unwrap_err()
    }

    async fn reset(reason: Reason) -> reqwest::Error {
        heard(async |connection| {
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_reset(reason);
        })
        .await
    }

    #[tokio::test]
    async fn what_the_server_left_alone_was_not_sent() {
        let refused = reset(Reason::REFUSED_STREAM).await;
        let over = heard(async |connection| connection.abrupt_shutdown(Reason::NO_ERROR)).await;
        for error in [refused, over] {
            let broken = Broken::before_answer(&error);
            assert!(broken.sent() == Sent::No && broken.retryable() == Some(Failure::NoConnection), "{error:?}");
        }
    }

    #[tokio::test]
    async fn what_the_server_broke_off_may_have_been_carried_out() {
        for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
            let error = reset(reason).await;
            assert_eq!(Broken::before_answer(&error).sent(), Sent::Maybe, "{error:?}");
        }
    }
}
