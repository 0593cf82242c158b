//! Why there is no connection to a server: what it was, without an address, and whether another attempt can help.

use std::io::ErrorKind;

use thiserror::Error;

/// What kept a connection from being made. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoConnection {
    /// It took too long.
    #[error("the connection timed out")]
    TimedOut,
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// It was closed before anything was asked.
    #[error("the connection was closed")]
    Closed,
    /// No address belongs to the name.
    #[error("its name cannot be resolved")]
    UnknownName,
    /// The certificate's issuer is not trusted on this machine.
    #[error("its certificate is from an issuer that this machine does not trust")]
    UnknownIssuer,
    /// The certificate is for other names.
    #[error("its certificate is for another name")]
    OtherName,
    /// The certificate is over, by this machine's clock.
    #[error("its certificate has expired")]
    Expired,
    /// The certificate's time has not begun, by this machine's clock.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// The certificate is broken, revoked, or not one of a server.
    #[error("its certificate cannot be used")]
    BadCertificate,
    /// What answers speaks something else than TLS.
    #[error("what answers there does not speak TLS")]
    NoTls,
    /// Anything else about TLS.
    #[error("the TLS handshake failed")]
    Tls,
    /// The proxy asks for a user and a password, or for others.
    #[error("it asks for a user name and password")]
    ProxyPassword,
    /// The proxy makes no way to the server.
    #[error("it makes no way to that server")]
    ProxyRefused,
    /// Something else.
    #[error("{0}")]
    Other(&'static str),
}

impl NoConnection {
    /// Whether another attempt would end the same way.
    pub(crate) fn is_final(self) -> bool {
        use NoConnection::*;
        matches!(self, UnknownIssuer | OtherName | Expired | NotYetValid | BadCertificate | NoTls | ProxyPassword)
    }

    /// Whether it is between this machine and the proxy, where there is one: over TLS it is the server who answers.
    pub fn is_of_the_proxy(self) -> bool {
        use NoConnection::*;
        matches!(self, Refused | Closed | UnknownName | ProxyPassword | ProxyRefused)
    }

    /// By the error of a connection and the causes behind it.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            cause = error.source();
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::of_tls(tls);
            }
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                match io.kind() {
                    ErrorKind::ConnectionRefused => return Self::Refused,
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => return Self::Closed,
                    ErrorKind::InvalidData if !io.get_ref().is_some_and(|error| error.is::<rustls::Error>()) => {
                        return Self::Tls;
                    }
                    _ => {}
                }
                // The source of an I/O error is that of the error it wraps, not the wrapped error itself.
                if let Some(wrapped) = io.get_ref() {
                    cause = Some(wrapped);
                }
            }
            // Their types are their crates' own.
            match error.to_string().as_str() {
                "tunnel error: proxy authorization required" => return Self::ProxyPassword,
                "tunnel error: unsuccessful" => return Self::ProxyRefused,
                "tunnel error: unexpected end of file" => return Self::Closed,
                text if text.contains("dns error") => return Self::UnknownName,
                _ => {}
            }
        }
        Self::Other("no connection")
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Bad;
        match error {
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer => Self::UnknownIssuer,
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Self::OtherName,
                Bad::Expired | Bad::ExpiredContext { .. } => Self::Expired,
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => Self::NotYetValid,
                _ => Self::BadCertificate,
            },
            _ => Self::Tls,
        }
    }
}
