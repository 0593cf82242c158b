//! The only door to Medplum.

mod another;
mod broken;
mod exchange;
mod http;
mod reach;
mod reading;
mod sign_in;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use fhir_definitions::OperationName;

use self::http::Http;
use self::reading::{PAGE, Reading, UNREAD, WHOLE};
use crate::clock::{Clock, Surroundings};
use crate::config::Config;
use crate::error::Error;
use crate::gate::{Asked, Gate};
use crate::interaction::Interaction;
use crate::membership::Membership;
use crate::own_secrets::OwnSecrets;
use crate::reply::Reply;
use crate::searchset::{Searchset, Unread};
use crate::throttle::Throttle;
use crate::token::TokenStore;
use crate::unbound::{Unbound, proven_by};
use crate::witness::{Watched, Witness};

pub use reach::Reached;

/// What belongs to one call rather than to the client.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// On whose behalf, instead of the configured membership.
    pub on_behalf_of: Option<Membership>,
    watched: Watched,
    once: bool,
}

impl Call {
    /// A call on this membership's behalf; on that of the configured one, or nobody's, without.
    pub fn on_behalf_of(membership: Option<Membership>) -> Self {
        Self { on_behalf_of: membership, ..Self::default() }
    }

    /// The same call, before the eyes of a witness.
    #[must_use]
    pub fn watched_by(self, witness: Arc<dyn Witness>) -> Self {
        Self { watched: Watched::by(witness), ..self }
    }

    /// The same call, whose requests are not sent again after a failure: nobody waits for that.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Tells the witness that an interaction is not sent after all, because whoever calls refuses it.
    pub fn refused(&self, interaction: &Interaction) {
        self.watched.refused(interaction);
    }
}

/// A Medplum server, as one client application. Clones share their connections and token.
///
/// Dropping the future of [`Client::send`] drops its request.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    gate: Box<dyn Gate>,
    surroundings: Surroundings,
    tokens: TokenStore,
    throttle: Throttle,
    unbound: Unbound,
    /// What is not to be repeated, as of the last token.
    own_secrets: Mutex<Option<(u64, Arc<OwnSecrets>)>>,
    http: Http,
}

impl Client {
    /// A client that asks this gate. Nothing is sent, and no certificate is read, before the first call.
    pub fn new(config: Config, gate: impl Gate + 'static) -> Self {
        Self::with_surroundings(config, gate, Surroundings::default())
    }

    /// A client with its own time and chance.
    pub fn with_surroundings(config: Config, gate: impl Gate + 'static, surroundings: Surroundings) -> Self {
        let config = Arc::new(config);
        let inner = Inner {
            http: Http::new(Arc::clone(&config)),
            config,
            gate: Box::new(gate),
            surroundings,
            tokens: TokenStore::default(),
            throttle: Throttle::default(),
            unbound: Unbound::default(),
            own_secrets: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The time of day, as the client's surroundings have it.
    pub fn time_of_day(&self) -> SystemTime {
        self.inner.surroundings.clock.now()
    }

    /// Time as the client's surroundings have it.
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.surroundings.clock
    }

    /// Sends an interaction and waits for its answer.
    ///
    /// The gate is asked first. Before an operation on an instance, the instance is read, and before one that is a read
    /// it is asked whether a bot is bound to its name, once in five minutes: where an operation finds nothing, Medplum
    /// looks for such a bot and runs it.
    ///
    /// # Errors
    /// [`Error`]: refused, unreachable, lost, or what Medplum answered.
    pub async fn send(&self, call: &Call, interaction: &Interaction) -> Result<Reply, Error> {
        self.pass(call, interaction, WHOLE).await
    }

    /// The same for a search, whose page comes with its resources unread: see [`Searchset`].
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::NotFhir`] for an answer that is no Bundle.
    pub async fn page(&self, call: &Call, interaction: &Interaction) -> Result<Searchset, Error> {
        self.pass(call, interaction, PAGE).await
    }

    /// The same for a resource, which comes unread: see [`Unread`].
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::NotFhir`] for an answer that is no resource.
    pub async fn resource(&self, call: &Call, interaction: &Interaction) -> Result<Unread, Error> {
        self.pass(call, interaction, UNREAD).await
    }

    /// The way of every request: gate, guards, exchange.
    async fn pass<T>(&self, call: &Call, interaction: &Interaction, read: &Reading<T>) -> Result<T, Error> {
        self.ask_gate(call, interaction)?;
        for guard in interaction.guards()? {
            self.ask_gate(call, &guard)?;
            let guarded = match &guard {
                Interaction::BoundBot(name) => self.is_unbound(call, &guard, name).await,
                _ => self.exchange(call, &guard, WHOLE).await.map(drop),
            };
            // What it guards is not sent then.
            guarded
                .inspect_err(|_| call.watched.refused(interaction))
                .map_err(|error| error.of_guard(&guard, interaction))?;
        }
        let came = self.exchange(call, interaction, read).await;
        if !interaction.effect().is_read() {
            self.inner.unbound.forget();
        }
        came
    }

    /// On whose behalf a call is: its own membership, or the configured one.
    fn behalf<'a>(&'a self, call: &'a Call) -> Option<&'a Membership> {
        call.on_behalf_of.as_ref().or(self.inner.config.on_behalf_of.as_ref())
    }

    /// Makes sure that no bot is bound to the name of an operation.
    async fn is_unbound(&self, call: &Call, look: &Interaction, name: &OperationName) -> Result<(), Error> {
        let key = (self.behalf(call).cloned(), name.clone());
        let Err(before) = self.inner.unbound.knows(&key, self.now()) else { return Ok(()) };
        match self.exchange(call, look, WHOLE).await {
            Ok(page) => proven_by(page.json(), name)?,
            // Medplum would look for the bot on the same behalf, which may not.
            Err(Error::Outcome(outcome)) if outcome.status == 403 => {}
            Err(error) => return Err(error),
        }
        self.inner.unbound.keep(key, self.now(), before);
        Ok(())
    }

    /// Asks the gate whether an interaction may leave, and sends nothing: before the first of several steps.
    ///
    /// # Errors
    /// [`Error::Refused`] with the gate's reason.
    pub fn may_send(&self, call: &Call, interaction: &Interaction) -> Result<(), Error> {
        self.ask_gate(call, interaction)
    }

    /// The search for the page behind this one; none if it is the last. See [`next_page`](crate::next_page).
    ///
    /// # Errors
    /// [`Error::Invalid`] if its link leads elsewhere.
    pub fn next_page(&self, page: &Searchset) -> Result<Option<Interaction>, Error> {
        crate::page::next_page(page.next_link.as_deref(), &self.inner.config.base_url, &self.inner.config.fhir_path)
    }

    fn ask_gate(&self, call: &Call, interaction: &Interaction) -> Result<(), Error> {
        let asked = Asked {
            interaction,
            effect: interaction.effect(),
            on_behalf_of: call.on_behalf_of.as_ref(),
            watched: call.watched.is_watched(),
        };
        let passed = self.inner.gate.check(&asked);
        if passed.is_err() {
            call.watched.refused(interaction);
        }
        Ok(passed?)
    }

    fn now(&self) -> Instant {
        self.inner.surroundings.clock.monotonic()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.inner.config.base_url.as_str()).finish_non_exhaustive()
    }
}
