//! Who is asking: clients, their tokens, and the members on whose behalf they may act.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::engine::Config;
use crate::outcome::{Outcome, Result};
use crate::policy::Policy;
use crate::source::Source;
use crate::store::Store;

/// One client application that may ask for tokens.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) name: String,
    /// The ProjectMembership that makes it a member of the project.
    pub(crate) membership: String,
    /// Whether that membership is an administrator's.
    pub(crate) admin: bool,
    /// The AccessPolicy of that membership, if it has one.
    pub(crate) policy: Option<String>,
}

impl Client {
    /// The reference that goes into `meta.author`.
    pub(crate) fn reference(&self) -> Value {
        json!({"reference": format!("ClientApplication/{}", self.id), "display": self.name})
    }
}

/// On whose authority a request is carried out.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) client: Arc<Client>,
    pub(crate) author: Arc<Value>,
    pub(crate) on_behalf_of: Option<Arc<Value>>,
    pub(crate) policy: Policy,
}

#[derive(Debug, Clone)]
struct Token {
    client: String,
    expires: i64,
}

/// The tokens that are out.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_text: HashMap<String, Token>,
}

impl Tokens {
    /// Makes a token. It looks like a JWT, for clients read the claims; its signature is random.
    pub(crate) fn issue(&mut self, config: &Config, source: &Source, client: &Client, scope: &str) -> String {
        let now = source.now();
        let lifetime = i64::try_from(config.token_lifetime.as_millis()).unwrap_or(i64::MAX);
        let expires = now.saturating_add(lifetime);
        let claims = json!({
            "client_id": client.id,
            "login_id": source.uuid().to_string(),
            "sub": client.id,
            "username": client.id,
            "scope": scope,
            "profile": format!("ClientApplication/{}", client.id),
            "iat": now / 1000,
            "iss": config.base_url,
            "aud": client.id,
            "exp": expires / 1000,
        });
        let header = json!({"alg": "ES256", "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}.{}", part(&header), part(&claims), source.secret());
        let token = Token { client: client.id.clone(), expires };
        self.by_text.insert(text.clone(), token);
        text
    }

    fn client_of(&self, text: &str, now: i64) -> Option<&str> {
        let token = self.by_text.get(text)?;
        (now < token.expires).then_some(token.client.as_str())
    }

    pub(crate) fn revoke(&mut self, text: &str) {
        self.by_text.remove(text);
    }

    /// Makes every token that is out a stale one.
    pub(crate) fn revoke_all(&mut self) {
        self.by_text.clear();
    }
}

/// The token in an `Authorization` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get("authorization")?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn calling_client(config: &Config, tokens: &Tokens, headers: &HeaderMap, now: i64) -> Option<Arc<Client>> {
    if let Some((id, secret)) = basic(headers) {
        return config.client(&id).filter(|client| client.secret == secret);
    }
    config.client(tokens.client_of(bearer(headers)?, now)?)
}

/// Finds out who asks.
pub(crate) fn actor(config: &Config, store: &Store, tokens: &Tokens, headers: &HeaderMap, now: i64) -> Result<Actor> {
    let client = calling_client(config, tokens, headers, now).ok_or_else(Outcome::unauthorized)?;
    let author = Arc::new(client.reference());
    let Some(member) = headers.get("x-medplum-on-behalf-of") else {
        let policy = Policy::of_client(store, &client);
        return Ok(Actor { client, author, on_behalf_of: None, policy });
    };
    if !client.admin {
        return Err(Outcome::forbidden());
    }
    let member = member.to_str().unwrap_or_default();
    let membership = membership(store, member)?;
    Ok(Actor {
        client,
        author,
        on_behalf_of: Some(Arc::new(membership.get("profile").cloned().unwrap_or(Value::Null))),
        policy: Policy::of_membership(store, &membership),
    })
}

/// The membership that the header names: 403 for what is no such reference, 404 for one that is not there.
fn membership(store: &Store, reference: &str) -> Result<Value> {
    let Some(id) = reference.strip_prefix("ProjectMembership/") else {
        return Err(Outcome::forbidden());
    };
    store.find("ProjectMembership", id).and_then(|record| record.live()?.parse()).ok_or_else(Outcome::not_found)
}
