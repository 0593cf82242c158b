//! The only door to Medplum.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use fhir_definitions::{Definitions, OperationName};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::clock::{Clock, Surroundings};
use crate::config::{Config, Credentials};
use crate::error::{ConfigError, Error, Sent};
use crate::gate::{Asked, Gate};
use crate::interaction::Interaction;
use crate::invalid::InvalidRequest;
use crate::membership::Membership;
use crate::outcome::Outcome;
use crate::reach::{Reached, TlsVersion, clock_ahead};
use crate::reply::{Body, Reply};
use crate::request::{FHIR_JSON, FORM, Method, Request};
use crate::retry::{Failure, MAX_ATTEMPTS, Retries, throttle_wait};
use crate::searchset::{Searchset, Unread};
use crate::throttle::{Pass, Patience, Throttle};
use crate::timer::{Late, Timers, Watch};
use crate::token::{Issued, Token, TokenStore};
use crate::unbound::{Unbound, proven_by};
use crate::witness::{Came, Ended, Watched, Way, Witness};

/// No OperationOutcome is larger. What comes with a refusal is read so far and no further.
const LARGEST_REFUSAL: usize = 1_000_000;

const EXTENDED: HeaderName = HeaderName::from_static("x-medplum");
const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-medplum-on-behalf-of");

const NO_ANSWER: &str = "Medplum did not answer in time";
const STOPPED_COMING: &str = "the answer stopped coming";

/// What belongs to one call rather than to the client.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// On whose behalf, instead of the configured membership.
    pub on_behalf_of: Option<Membership>,
    watched: Watched,
}

impl Call {
    /// A call on this membership's behalf; on that of the configured one, or nobody's, without.
    pub fn on_behalf_of(membership: Option<Membership>) -> Self {
        Self { on_behalf_of: membership, watched: Watched::default() }
    }

    /// The same call, before the eyes of a witness.
    #[must_use]
    pub fn watched_by(self, witness: Arc<dyn Witness>) -> Self {
        Self { watched: Watched::by(witness), ..self }
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
    config: Config,
    gate: Box<dyn Gate>,
    surroundings: Surroundings,
    tokens: TokenStore,
    throttle: Throttle,
    timers: Timers,
    unbound: Unbound,
    http: OnceLock<reqwest::Client>,
}

/// An answer as it came: any status.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// Why an attempt has no answer.
enum Broken {
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

/// What has come of a body. Most come in one piece, which is not copied.
#[derive(Default)]
struct Received {
    first: Bytes,
    whole: BytesMut,
}

impl Received {
    fn len(&self) -> usize {
        self.first.len().max(self.whole.len())
    }

    fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.whole.is_empty() {
            self.whole.extend_from_slice(&self.first);
        }
        self.whole.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.whole.is_empty() { self.first } else { self.whole.freeze() }
    }
}

/// How far an exchange has come.
struct Progress {
    attempts: u32,
    /// What is known of a write by the attempts so far.
    fate: Sent,
    /// The status of the last answer.
    status: Option<u16>,
}

/// What becomes of an answer that is a success.
struct Reading<T> {
    /// How it is read; whether an earlier attempt may have been carried out too.
    read: fn(&Interaction, Answer, bool) -> Result<T, Error>,
    /// How a witness sees it.
    came: for<'a> fn(&'a T) -> Came<'a>,
}

const WHOLE: &Reading<Reply> = &Reading { read: reply, came: |reply| Came::Reply(reply) };
const UNREAD: &Reading<Unread> = &Reading { read: unread, came: |resource| Came::Resource(resource) };
const PAGE: &Reading<Searchset> = &Reading { read: searchset, came: |page| Came::Page(page) };

impl Client {
    /// A client that asks this gate. Nothing is sent, and no certificate is read, before the first call.
    pub fn new(config: Config, gate: impl Gate + 'static) -> Self {
        Self::with_surroundings(config, gate, Surroundings::default())
    }

    /// A client with its own time and chance.
    pub fn with_surroundings(config: Config, gate: impl Gate + 'static, surroundings: Surroundings) -> Self {
        let inner = Inner {
            config,
            gate: Box::new(gate),
            surroundings,
            tokens: TokenStore::default(),
            throttle: Throttle::default(),
            timers: Timers::default(),
            unbound: Unbound::default(),
            http: OnceLock::new(),
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
            guarded.inspect_err(|_| call.watched.refused(interaction))?;
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
        if self.inner.unbound.knows(&key, self.now()) {
            return Ok(());
        }
        match self.exchange(call, look, WHOLE).await {
            Ok(page) => proven_by(page.json(), name)?,
            // Medplum would look for the bot on the same behalf, which may not.
            Err(Error::Outcome(outcome)) if outcome.status == 403 => {}
            Err(error) => return Err(error),
        }
        self.inner.unbound.keep(key, self.now());
        Ok(())
    }

    /// Asks the gate whether an interaction may leave, and sends nothing: before the first of several steps.
    ///
    /// # Errors
    /// [`Error::Refused`] with the gate's reason.
    pub fn may_send(&self, call: &Call, interaction: &Interaction) -> Result<(), Error> {
        self.ask_gate(call, interaction)
    }

    /// Asks the server what it can do, once, over a new connection and without a token: how far away it is, and
    /// whether it is a Medplum at all.
    ///
    /// # Errors
    /// [`Error`]: refused, unreachable, or what came instead of a CapabilityStatement.
    pub async fn reach(&self) -> Result<Reached, Error> {
        let config = &self.inner.config;
        let interaction = Interaction::Metadata;
        self.ask_gate(&Call::default(), &interaction)?;
        let tls = Arc::new(TlsVersion::default());
        let http = build_http(config, Some(Arc::clone(&tls) as _))?;
        let url = format!("{}{}metadata", config.base_url.as_str(), config.fhir_path.as_str());
        let (before, started) = (self.time_of_day(), self.now());
        let answer = self.perform(&http, http.get(url).header(ACCEPT, FHIR_JSON).build()).await;
        let took = self.now().saturating_duration_since(started);
        let answer = answer.map_err(|broken| broken.into_error(config, 1, Sent::No))?;
        let date = answer.headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let clock_ahead = date.map(|date| clock_ahead(before, took, date));
        let statement = reply(&interaction, self.accepted(&interaction, answer, false)?, false)?.into_json();
        Ok(Reached { took, tls: tls.heard(), clock_ahead, statement })
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

    async fn exchange<T>(&self, call: &Call, interaction: &Interaction, read: &Reading<T>) -> Result<T, Error> {
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

    /// A server may repeat what it was sent: nothing that we sign in with is in a text of its.
    fn without_our_secrets(&self, error: Error) -> Error {
        let configured = match &self.inner.config.credentials {
            Credentials::Client { secret, .. } => secret,
            Credentials::AccessToken(token) => token,
        };
        let tokens: Vec<SecretString> = self
            .inner
            .tokens
            .shown()
            .iter()
            .filter_map(|shown| {
                let header = shown.to_str().ok()?;
                Some(SecretString::from(header.strip_prefix("Bearer ").unwrap_or(header)))
            })
            .collect();
        let secrets = std::iter::once(configured).chain(&tokens).map(|secret| secret.expose_secret());
        secrets.filter(|secret| !secret.is_empty()).fold(error, |error, secret| error.without(secret))
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
            let attempt = self.attempt(&request, &token, call).await;
            so_far.attempts = so_far.attempts.saturating_add(1);
            so_far.status = attempt.as_ref().map(|answer| answer.status).ok();
            let failure = match &attempt {
                Ok(answer) => self.failure_of(answer),
                Err(broken) => broken.retryable(),
            };
            self.leave(pass, &attempt, failure);
            if attempt.as_ref().is_ok_and(|answer| answer.status == 401) && !renewed && so_far.attempts < MAX_ATTEMPTS {
                renewed = true;
                self.renew(&token).await.map_err(|error| after(so_far.fate, error))?;
                continue;
            }
            if !reads {
                so_far.fate = so_far.fate.max(match (&attempt, failure) {
                    (Err(broken), _) => broken.sent(),
                    (Ok(_), Some(Failure::Unavailable)) => Sent::Maybe,
                    (Ok(_), _) => Sent::No,
                });
            }
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
    fn failure_of(&self, answer: &Answer) -> Option<Failure> {
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

    async fn attempt(&self, request: &Request, token: &Token, call: &Call) -> Result<Answer, Broken> {
        self.perform(self.http()?, Ok(self.signed(request, token, self.behalf(call))?)).await
    }

    fn signed(
        &self,
        request: &Request,
        token: &Token,
        membership: Option<&Membership>,
    ) -> Result<reqwest::Request, Broken> {
        let config = &self.inner.config;
        let fhir = if request.fhir { config.fhir_path.as_str() } else { "" };
        // Without a path the base is named without its slash, as in `POST fhir/R4`.
        let is_base = request.path.is_empty() && request.query.is_empty();
        let fhir = if is_base { fhir.trim_end_matches('/') } else { fhir };
        let url = config.base_url.below(fhir, &request.path, &request.query.encode());
        let mut out = reqwest::Request::new(method(request.method), url);
        let headers = out.headers_mut();
        headers.reserve(6);
        headers.insert(ACCEPT, HeaderValue::from_static(request.accept));
        for (name, value) in &request.headers {
            headers.append(*name, header_value(value)?);
        }
        headers.insert(AUTHORIZATION, token.bearer.clone());
        headers.insert(EXTENDED, HeaderValue::from_static("extended"));
        if let Some(membership) = membership {
            headers.insert(ON_BEHALF_OF, header_value(membership.as_str())?);
        }
        if let Some((content_type, body)) = &request.body {
            headers.insert(CONTENT_TYPE, header_value(content_type)?);
            *out.body_mut() = Some(body.clone().into());
        }
        Ok(out)
    }

    async fn perform(
        &self,
        http: &reqwest::Client,
        request: reqwest::Result<reqwest::Request>,
    ) -> Result<Answer, Broken> {
        let config = &self.inner.config;
        let request = request.map_err(|error| Broken::before_answer(&error))?;
        let mut watch = self.inner.timers.watch(config.timeout, config.longest_answer());
        let response = watch.over(http.execute(request)).await.map_err(|late| match late {
            Late::Step => Broken::Lost { reason: NO_ANSWER, sent: Sent::Maybe },
            Late::End => Broken::TooSlow { sent: Sent::Maybe },
        })?;
        let mut response = response.map_err(|error| Broken::before_answer(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let sent = sent_by(status, &headers);
        let body = self.body(&mut response, &mut watch, status, sent).await?;
        Ok(Answer { status, headers, body })
    }

    async fn body(
        &self,
        response: &mut reqwest::Response,
        watch: &mut Watch<'_>,
        status: u16,
        sent: Sent,
    ) -> Result<Bytes, Broken> {
        let refused = status >= 400;
        let most = self.inner.config.max_response_bytes;
        let limit = if refused { most.min(LARGEST_REFUSAL) } else { most };
        // What refused is told by its status alone, if its page is too long to be an outcome.
        let over = || if refused { Ok(Bytes::new()) } else { Err(Broken::TooLarge { sent }) };
        if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limit)) {
            return over();
        }
        let mut body = Received::default();
        loop {
            let chunk = watch.over(response.chunk()).await.map_err(|late| match late {
                Late::Step => Broken::Lost { reason: STOPPED_COMING, sent },
                Late::End => Broken::TooSlow { sent },
            })?;
            match chunk {
                Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limit => return over(),
                Ok(Some(chunk)) => body.push(chunk),
                Ok(None) => return Ok(body.into_bytes()),
                Err(error) => return Err(Broken::within_answer(&error, sent)),
            }
        }
    }

    /// An answer that is a success.
    fn accepted(&self, interaction: &Interaction, answer: Answer, uncertain: bool) -> Result<Answer, Error> {
        let reads = interaction.effect().is_read();
        let status = answer.status;
        match status {
            200..=299 | 304 => Ok(answer),
            401 if matches!(self.inner.config.credentials, Credentials::AccessToken(_)) => Err(Error::AccessToken),
            300..=399 if uncertain => Err(Error::Lost {
                reason: "an attempt failed, and another was answered with a redirect",
                sent: Sent::Maybe,
            }),
            300..=399 => Err(Error::Redirect { status, sent: if reads { Sent::No } else { Sent::Maybe } }),
            ..=199 => {
                let sent = if reads { Sent::No } else { Sent::Maybe };
                Err(Error::NotFhir { status, reason: "it is no HTTP answer to a request", sent })
            }
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

    async fn token(&self) -> Result<Token, Error> {
        self.inner.tokens.get(|| self.now(), || self.fetch_token()).await
    }

    /// Another token after a 401; one that was given from outside is never replaced.
    async fn renew(&self, refused: &Token) -> Result<Token, Error> {
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
        let url = format!("{}oauth2/token", self.inner.config.base_url.as_str());
        let http = self.http()?;
        let request = http.post(url).header(ACCEPT, "application/json").header(CONTENT_TYPE, FORM).body(form);
        self.perform(http, request.build()).await
    }

    fn http(&self) -> Result<&reqwest::Client, Broken> {
        if let Some(http) = self.inner.http.get() {
            return Ok(http);
        }
        let built = build_http(&self.inner.config, None).map_err(|error| Broken::Unusable(error.into()))?;
        Ok(self.inner.http.get_or_init(|| built))
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

impl Broken {
    fn unfit() -> Self {
        Self::Unusable(InvalidRequest::Header("a value of the request cannot stand in a header").into())
    }

    fn before_answer(error: &reqwest::Error) -> Self {
        if error.is_builder() {
            return Self::unfit();
        }
        if error.is_connect() {
            return Self::NoConnection(connect_reason(error));
        }
        let reason = if error.is_timeout() { NO_ANSWER } else { "the connection was lost" };
        Self::Lost { reason, sent: Sent::Maybe }
    }

    fn within_answer(error: &reqwest::Error, sent: Sent) -> Self {
        let reason = if error.is_timeout() { STOPPED_COMING } else { "the answer broke off" };
        Self::Lost { reason, sent }
    }

    /// What another attempt could mend.
    fn retryable(&self) -> Option<Failure> {
        match self {
            Self::NoConnection(_) => Some(Failure::NoConnection),
            Self::Lost { .. } => Some(Failure::Lost),
            Self::Unusable(_) | Self::TooLarge { .. } | Self::TooSlow { .. } => None,
        }
    }

    /// What is known of a write after this.
    fn sent(&self) -> Sent {
        match self {
            Self::Unusable(_) | Self::NoConnection(_) => Sent::No,
            Self::Lost { sent, .. } | Self::TooLarge { sent } | Self::TooSlow { sent } => *sent,
        }
    }

    /// The error, where `sent` is what is known of the request by all its attempts.
    fn into_error(self, config: &Config, attempts: u32, sent: Sent) -> Error {
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

/// What an answer's head says of a write. A page or a proxy's word with 200 may well come from somebody who never passed
/// the request on: only what speaks FHIR is Medplum.
fn sent_by(status: u16, headers: &HeaderMap) -> Sent {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let speaks_fhir = content_type.trim_start().to_ascii_lowercase().starts_with(FHIR_JSON);
    if (200..300).contains(&status) && speaks_fhir { Sent::Done } else { Sent::Maybe }
}

fn outcome_of(answer: &Answer) -> Outcome {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    Outcome::new(answer.status, body.as_ref())
}

/// What a 429 said.
fn said(answer: &Answer, wait: Duration) -> Outcome {
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

/// What others wrote, such as an ETag, need not be fit for a header.
fn header_value(text: &str) -> Result<HeaderValue, Broken> {
    HeaderValue::from_str(text).map_err(|_| Broken::unfit())
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

fn build_http(config: &Config, key_log: Option<Arc<dyn rustls::KeyLog>>) -> Result<reqwest::Client, ConfigError> {
    let failed = |reason| move |_| ConfigError::Http(reason);
    let agent = HeaderValue::from_str(&config.user_agent)
        .map_err(|_| ConfigError::Http("the user agent cannot stand in a header"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed("no TLS version is usable"))?;
    // Reading the platform's certificates takes longer than starting: where no https is spoken they are left alone.
    let mut tls = if config.base_url.is_https() {
        tls.with_platform_verifier()
            .map_err(failed("the platform's certificates cannot be read"))?
            .with_no_client_auth()
    } else {
        tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    };
    if let Some(key_log) = key_log {
        tls.key_log = key_log;
    }
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        // Below the minute after which load balancers close what is idle.
        .pool_idle_timeout(Duration::from_secs(50))
        // A connection that died unnoticed, as after a laptop's sleep, is not used again and again.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(5))
        .default_headers(HeaderMap::from_iter([(USER_AGENT, agent)]));
    if config.base_url.is_loopback() {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|_| ConfigError::Http("the HTTP client cannot be built"))
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

fn reply(interaction: &Interaction, answer: Answer, uncertain: bool) -> Result<Reply, Error> {
    let status = answer.status;
    let text = |name| answer.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let version = text(ETAG)
        .and_then(|etag| etag.trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"'))
        .map(str::to_owned);
    let location = text(LOCATION).or_else(|| text(reqwest::header::CONTENT_LOCATION)).map(str::to_owned);
    let content_type = text(CONTENT_TYPE).unwrap_or_default().to_owned();
    let sent = if interaction.effect().is_read() { Sent::No } else { sent_by(status, &answer.headers) };
    let body = body_of(interaction, status, &content_type, answer.body, sent)?;
    let reply = Reply { status, body, version, location, replayed: uncertain };
    match misses(interaction, &reply) {
        Some(reason) => {
            let sent = if interaction.effect().is_read() { Sent::No } else { Sent::Maybe };
            Err(Error::NotFhir { status, reason, sent })
        }
        None => Ok(reply),
    }
}

/// What an answer that claims success lacks. Medplum answers a write with what it stored; what comes without it may be
/// the word of somebody who never passed the request on.
fn misses(interaction: &Interaction, reply: &Reply) -> Option<&'static str> {
    if !matches!(reply.status, 200..=299) {
        return None;
    }
    if reply.body == Body::Empty {
        let nothing_stored = matches!(reply.status, 202..=299) && !stores(interaction);
        let may_be_empty =
            nothing_stored || matches!(interaction, Interaction::Delete { .. }) || may_be_anything(interaction);
        return (!may_be_empty).then_some("it is empty");
    }
    let (of_type, reason) = match interaction {
        Interaction::Create { resource_type, .. }
        | Interaction::Update { resource_type, .. }
        | Interaction::Patch { resource_type, .. } => {
            (resource_type.as_str(), "it is not the resource that was written")
        }
        Interaction::CreateBinary { .. } => ("Binary", "it is not the resource that was written"),
        Interaction::Batch(_) => ("Bundle", "it is no Bundle"),
        _ => return None,
    };
    let named = reply.json().get("resourceType").and_then(Value::as_str);
    (named != Some(of_type)).then_some(reason)
}

/// Whether Medplum answers with what it has stored.
fn stores(interaction: &Interaction) -> bool {
    matches!(
        interaction,
        Interaction::Create { .. }
            | Interaction::Update { .. }
            | Interaction::Patch { .. }
            | Interaction::CreateBinary { .. }
            | Interaction::Batch(_)
    )
}

fn searchset(_: &Interaction, answer: Answer, _: bool) -> Result<Searchset, Error> {
    unread_json(answer, Searchset::read, "it is no Bundle of resources")
}

fn unread(_: &Interaction, answer: Answer, _: bool) -> Result<Unread, Error> {
    unread_json(answer, Unread::look, "its JSON cannot be read")
}

fn unread_json<T>(answer: Answer, look: fn(Bytes) -> Option<T>, reason: &'static str) -> Result<T, Error> {
    let not_fhir = |reason| Error::NotFhir { status: answer.status, reason, sent: Sent::No };
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media_type = media_type(content_type);
    if !is_json(&media_type) {
        return Err(not_fhir(not_json(&media_type)));
    }
    look(answer.body).ok_or_else(|| not_fhir(reason))
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// A login page or a proxy's word in place of FHIR is not an answer.
fn not_json(media_type: &str) -> &'static str {
    if media_type == "text/html" { "it is an HTML page" } else { "it is not JSON" }
}

fn body_of(
    interaction: &Interaction,
    status: u16,
    content_type: &str,
    content: Bytes,
    sent: Sent,
) -> Result<Body, Error> {
    if content.is_empty() {
        return Ok(Body::Empty);
    }
    let media_type = media_type(content_type);
    let anything = may_be_anything(interaction);
    if is_json(&media_type) {
        match serde_json::from_slice(&content) {
            Ok(value) => return Ok(Body::Json(value)),
            // What was stored or what a bot answers need not be what its type says.
            Err(_) if anything => {}
            Err(_) => return Err(Error::NotFhir { status, reason: "its JSON cannot be read", sent }),
        }
    }
    if anything {
        return Ok(Body::Other { content_type: content_type.to_owned(), content });
    }
    Err(Error::NotFhir { status, reason: not_json(&media_type), sent })
}

/// Whether the answer may be of any media type.
fn may_be_anything(interaction: &Interaction) -> bool {
    match interaction {
        Interaction::ExecuteBot { .. } | Interaction::Raw(_) => true,
        Interaction::Operation(operation) => !operation.effect().is_read() || operation.name.as_str() == "csv",
        Interaction::Read { resource_type, .. } => resource_type.as_str() == "Binary",
        _ => false,
    }
}

fn issued(answer: &Answer, failure: Option<Failure>) -> Result<Issued, Error> {
    let status = answer.status;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    match status {
        200..=299 => {}
        400 | 401 | 403 => {
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
