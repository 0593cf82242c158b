//! One request over HTTP, and what came of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use rustls_platform_verifier::BuilderVerifierExt;

use super::broken::{Broken, NO_ANSWER, STOPPED_COMING};
use crate::config::Config;
use crate::error::{ConfigError, Sent};
use crate::membership::Membership;
use crate::proxy::Proxy;
use crate::request::{FHIR_JSON, FORM, JSON, Method, Request};
use crate::timer::{Late, Timers, Watch};

/// No OperationOutcome is larger. What comes with a refusal is read so far and no further.
const LARGEST_REFUSAL: usize = 1_000_000;

const EXTENDED: HeaderName = HeaderName::from_static("x-medplum");
const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-medplum-on-behalf-of");

/// The connections to a server. None is made, and no certificate read, before the first request.
pub(super) struct Http {
    config: Arc<Config>,
    client: OnceLock<reqwest::Client>,
    timers: Timers,
}

/// An answer as it came: any status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Http {
    /// To the configured server.
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self { config, client: OnceLock::new(), timers: Timers::default() }
    }

    /// The same, over connections of which rustls tells this listener.
    pub(super) fn heard(config: Arc<Config>, key_log: Arc<dyn rustls::KeyLog>) -> Result<Self, ConfigError> {
        let client = connections(&config, Some(key_log))?;
        Ok(Self { config, client: OnceLock::from(client), timers: Timers::default() })
    }

    /// Asks with a token, on a membership's behalf, and waits for the whole answer.
    pub(super) async fn ask(
        &self,
        request: &Request,
        bearer: &HeaderValue,
        behalf: Option<&Membership>,
    ) -> Result<Answer, Broken> {
        let mut out = self.unsigned(request)?;
        let headers = out.headers_mut();
        headers.insert(AUTHORIZATION, bearer.clone());
        headers.insert(EXTENDED, HeaderValue::from_static("extended"));
        if let Some(membership) = behalf {
            headers.insert(ON_BEHALF_OF, header_value(membership.as_str())?);
        }
        self.perform(out).await
    }

    /// Asks without a token.
    pub(super) async fn ask_unsigned(&self, request: &Request) -> Result<Answer, Broken> {
        self.perform(self.unsigned(request)?).await
    }

    /// Posts a form to a path behind the server's base, without a token.
    pub(super) async fn post_form(&self, path: &str, form: String) -> Result<Answer, Broken> {
        let mut out = reqwest::Request::new(reqwest::Method::POST, self.config.base_url.below("", path, ""));
        out.headers_mut().insert(ACCEPT, HeaderValue::from_static(JSON));
        out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        *out.body_mut() = Some(form.into());
        self.perform(out).await
    }

    fn unsigned(&self, request: &Request) -> Result<reqwest::Request, Broken> {
        let fhir = if request.fhir { self.config.fhir_path.as_str() } else { "" };
        // Without a path the base is named without its slash, as in `POST fhir/R4`.
        let is_base = request.path.is_empty() && request.query.is_empty();
        let fhir = if is_base { fhir.trim_end_matches('/') } else { fhir };
        let url = self.config.base_url.below(fhir, &request.path, &request.query.encode());
        let mut out = reqwest::Request::new(method(request.method), url);
        let headers = out.headers_mut();
        headers.reserve(6);
        headers.insert(ACCEPT, HeaderValue::from_static(request.accept));
        for (name, value) in &request.headers {
            headers.append(*name, header_value(value)?);
        }
        if let Some((content_type, body)) = &request.body {
            headers.insert(CONTENT_TYPE, header_value(content_type)?);
            *out.body_mut() = Some(body.clone().into());
        }
        Ok(out)
    }

    async fn perform(&self, request: reqwest::Request) -> Result<Answer, Broken> {
        let mut watch = self.timers.watch(self.config.timeout, self.config.longest_answer());
        let response = watch.over(self.client()?.execute(request)).await.map_err(|late| match late {
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
        let most = self.config.max_response_bytes;
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

    fn client(&self) -> Result<&reqwest::Client, Broken> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = connections(&self.config, None).map_err(|error| Broken::Unusable(error.into()))?;
        Ok(self.client.get_or_init(|| made))
    }
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

/// What an answer's head says of a write. A page or a proxy's word with 200 may well come from somebody who never passed
/// the request on: only what speaks FHIR is Medplum.
pub(super) fn sent_by(status: u16, headers: &HeaderMap) -> Sent {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let type_of = |text: &str| text.get(..FHIR_JSON.len()).is_some_and(|start| start.eq_ignore_ascii_case(FHIR_JSON));
    let speaks_fhir = type_of(content_type.trim_start());
    if (200..300).contains(&status) && speaks_fhir { Sent::Done } else { Sent::Maybe }
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

/// One that follows nowhere and sends nothing twice: what is sent again is decided by our own table.
pub(super) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never().max_retries_per_request(0))
}

fn connections(config: &Config, key_log: Option<Arc<dyn rustls::KeyLog>>) -> Result<reqwest::Client, ConfigError> {
    let failed = |reason| move |_| ConfigError::Http(reason);
    let agent = HeaderValue::from_str(&config.user_agent)
        .map_err(|_| ConfigError::Http("the user agent cannot stand in a header"))?;
    // One that cannot be used would be passed over.
    Proxy::to(&config.base_url)?;
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
    let mut builder = builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(config.connect_timeout)
        // Below the minute after which load balancers close what is idle.
        .pool_idle_timeout(Duration::from_secs(50))
        // A connection that died unnoticed, as after a laptop's sleep, is not used again and again.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(5))
        .default_headers(HeaderMap::from_iter([(USER_AGENT, agent)]));
    if config.base_url.is_loopback() {
        builder = builder.no_proxy();
    } else if let Some(url) = Proxy::trimmed(&config.base_url) {
        let proxy = reqwest::Proxy::all(url).map_err(|_| ConfigError::Http("the proxy's URL cannot be used"))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|_| ConfigError::Http("the HTTP client cannot be built"))
}
