//! How to reach Medplum and as whom: read once, validated once.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::base_url::{BaseUrl, FhirPath};
use crate::membership::Membership;

/// As whom the client asks.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A ClientApplication's id and secret: OAuth2 client credentials.
    Client {
        /// The client's id.
        id: String,
        /// The client's secret.
        secret: SecretString,
    },
    /// An access token made elsewhere. It is never refreshed.
    AccessToken(SecretString),
}

/// A secret is longer than a word.
pub(crate) const SHORTEST_SECRET: usize = 8;

impl Credentials {
    /// What is shown to the server to sign in.
    pub(crate) fn secret(&self) -> &SecretString {
        match self {
            Self::Client { secret, .. } => secret,
            Self::AccessToken(token) => token,
        }
    }

    /// Whether the secret is too short to be told from other texts: it is not taken out of what a server repeats then.
    pub fn is_short(&self) -> bool {
        self.secret().expose_secret().len() < SHORTEST_SECRET
    }
}

/// The configuration of a [`Client`](crate::Client).
#[derive(Debug, Clone)]
pub struct Config {
    /// The server.
    pub base_url: BaseUrl,
    /// The FHIR base below it.
    pub fhir_path: FhirPath,
    /// As whom.
    pub credentials: Credentials,
    /// On whose behalf, unless a call says otherwise.
    pub on_behalf_of: Option<Membership>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer to begin, and then for each of its next bytes.
    ///
    /// The whole answer may take [four times as long](Config::longest_answer).
    pub timeout: Duration,
    /// The largest body that is read, in bytes, after decompression.
    pub max_response_bytes: usize,
    /// What this program calls itself.
    pub user_agent: String,
}

/// An answer that drips is waited for so many time-outs.
const TIMEOUTS_OF_AN_ANSWER: u32 = 4;

impl Config {
    /// The configuration with Medplum's usual time-outs: 5 s to connect, 30 s for the rest; bodies up to 64 MB.
    pub fn new(base_url: BaseUrl, credentials: Credentials) -> Self {
        Self {
            base_url,
            fhir_path: FhirPath::default(),
            credentials,
            on_behalf_of: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_response_bytes: 64_000_000,
            user_agent: concat!("medplum-client/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// How long an answer may take, from the request to its last byte: four time-outs, so two minutes unless told
    /// otherwise. An answer that takes longer is given up, and not asked for again.
    pub fn longest_answer(&self) -> Duration {
        self.timeout.saturating_mul(TIMEOUTS_OF_AN_ANSWER)
    }
}
