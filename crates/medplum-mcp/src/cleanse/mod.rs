//! What comes from Medplum, without what must not reach an agent: secrets, and characters that cannot be seen.
//!
//! It happens behind [`Context::send`](crate::context::Context::send), to every reply, before any tool looks at it: a
//! projection or a table cannot rename what is no longer there.

mod clean;
mod closed;
mod free_text;
mod hidden;
mod secrets;
mod sieve;
mod texts;

use serde_json::{Map, Value};

pub use clean::is_clean;
pub(crate) use sieve::Sieve;

/// What stands in place of a secret. It is never written back.
pub(crate) const REDACTED: &str = "[secret left out]";

/// What stands in place of free text, where the operator drops it. It is never written back either.
pub(crate) const FREE_TEXT: &str = "[free text left out]";

/// Takes secrets and invisible characters out of a value, in place.
pub fn cleanse(value: &mut Value) {
    match value {
        Value::String(text) => cleanse_text(text),
        Value::Array(values) => values.iter_mut().for_each(cleanse),
        Value::Object(object) => cleanse_object(object),
        _ => {}
    }
}

/// Takes secrets and invisible characters out of a text.
pub(crate) fn cleanse_text(text: &mut String) {
    strip(text);
    if let Some(clean) = texts::without_secrets(text) {
        *text = clean;
    }
}

/// Takes invisible characters out of a text.
pub(crate) fn strip(text: &mut String) {
    if let Some(seen) = hidden::without_hidden(text) {
        *text = seen;
    }
}

/// Takes invisible characters out of a value that was worked out here: an expression of the caller's can make any.
pub(crate) fn strip_value(value: &mut Value) {
    match value {
        Value::String(text) => strip(text),
        Value::Array(values) => values.iter_mut().for_each(strip_value),
        Value::Object(object) => object.values_mut().for_each(strip_value),
        _ => {}
    }
}

fn strip_own(value: &mut Value) {
    if let Value::String(text) = value {
        strip(text);
    }
}

fn cleanse_object(object: &mut Map<String, Value>) {
    rename(object);
    // What a text names is told by what is seen of it.
    object.values_mut().for_each(strip_own);
    let own = secrets::of_object(object);
    let names_a_secret = |key: &str| object.get(key).and_then(Value::as_str).is_some_and(secrets::names_a_secret);
    let url = object.get("url").and_then(Value::as_str);
    let in_extension = url.and_then(|url| url.rsplit(['/', '-']).next()).is_some_and(secrets::is_secret_name);
    let is_named = in_extension || names_a_secret("name");
    for (key, value) in object.iter_mut() {
        if is_named && key.starts_with("value") && !value.is_boolean() {
            redact(value);
        } else if secrets::is_header(key) {
            redact_headers(value);
        } else if !value.is_boolean() && (secrets::is_secret_name(key) || own.contains(&key.as_str())) {
            redact(value);
        } else {
            cleanse(value);
        }
    }
}

/// Keys without what cannot be seen. Two that look the same stay two.
fn rename(object: &mut Map<String, Value>) {
    if object.keys().all(|key| hidden::without_hidden(key).is_none()) {
        return;
    }
    for (mut key, value) in std::mem::take(object) {
        strip(&mut key);
        while object.contains_key(&key) {
            key.push('\'');
        }
        object.insert(key, value);
    }
}

/// A secret and everything below it, but for the names that a list of secrets goes by.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) => REDACTED.clone_into(text),
        Value::Number(_) => *value = REDACTED.into(),
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(object) => {
            rename(object);
            for (key, value) in object.iter_mut() {
                if key == "name" { cleanse(value) } else { redact(value) }
            }
        }
        _ => {}
    }
}

/// The values of HTTP headers, which carry keys: `X-Api-Key: …` in a Subscription's channel or an Endpoint.
fn redact_headers(value: &mut Value) {
    match value {
        Value::Array(headers) => headers.iter_mut().for_each(redact_headers),
        Value::String(header) => match header.split_once(':') {
            Some((name, _)) => {
                let mut name = name.to_owned();
                cleanse_text(&mut name);
                *header = format!("{name}: {REDACTED}");
            }
            None => cleanse_text(header),
        },
        other => cleanse(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cleansed(mut value: Value) -> Value {
        cleanse(&mut value);
        value
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        let given = json!({"profile": {"resourceType": "ClientApplication", "name": "x", "secret": "hunter2", "retiringSecret": "old"},
            "project": {"resourceType": "Project", "secret": [{"name": "API_KEY", "valueString": "k"}]},
            "user": {"resourceType": "User", "passwordHash": "h", "email": "a@example.com"},
            "key": {"resourceType": "JsonWebKey", "kty": "RSA", "n": "pub", "d": "priv"}});
        let text = cleansed(given).to_string();
        for secret in ["hunter2", "\"old\"", "\"k\"", "\"h\"", "priv"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("API_KEY") && text.contains("a@example.com") && text.contains("\"pub\""));
    }

    #[test]
    fn urls_lose_their_signatures_and_texts_their_tokens() {
        let url = "http://medplum.test/storage/1/2?Expires=1795342790&Signature=YK1K%2BAb&Key-Pair-Id=x";
        assert_eq!(
            cleansed(json!(url)),
            json!(format!(
                "http://medplum.test/storage/1/2?Expires=1795342790&Signature={REDACTED}&Key-Pair-Id={REDACTED}"
            ))
        );
        let header = "Authorization: Bearer abcdefghijklmnop0123456789";
        assert_eq!(cleansed(json!(header)), json!(format!("Authorization: Bearer {REDACTED}")));
        let jwt = format!("token eyJ{}.{}.{}, then", "a".repeat(30), "b".repeat(30), "c".repeat(20));
        assert_eq!(cleansed(json!(jwt)), json!(format!("token {REDACTED}, then")));
    }

    #[test]
    fn what_is_no_resource_is_told_by_its_names() {
        let given = json!({"client_secret": "hunter2", "nested": [{"X-API-Key": "hunter2"}, {"name": "Authorization", "value": "hunter2"}],
            "headers": {"Set-Cookie": "hunter2", "accept": "a"}, "se\u{200b}cret": "hunter2", "jwk": {"kty": "oct", "k": "hunter2"},
            "parameter": [{"name": "dbPassword", "valueString": "hunter2"}, {"name": "display", "valueString": "kept"}],
            "key": {"resourceType": "\u{200b}JsonWebKey", "d": "hunter2"}, "header": {"name": "Author\u{ad}ization", "value": "hunter2"},
            "mfaSecret": true, "accessTokenLifetime": "1h"});
        let clean = cleansed(given);
        assert!(!clean.to_string().contains("hunter2"), "{clean}");
        assert_eq!(clean["mfaSecret"], true);
        assert_eq!(clean["accessTokenLifetime"], "1h");
        assert_eq!(clean["parameter"][1]["valueString"], "kept");
    }

    #[test]
    fn keys_that_look_the_same_stay_apart() {
        assert_eq!(cleansed(json!({"a": 1, "a\u{200b}": 2, "b\u{202e}": 3})), json!({"a": 1, "a'": 2, "b": 3}));
    }

    #[test]
    fn what_cannot_be_seen_is_stripped_and_what_scripts_need_stays() {
        assert_eq!(cleansed(json!("a\u{202e}b\u{200b}c\u{e0041}d\u{0}e\u{feff}")), json!("abcde"));
        for stays in [
            "line\nline\ttab\r\n",
            "👩\u{200d}⚕\u{fe0f}",
            "می\u{200c}خواهم",
            "Zoë Müller 李雷",
            "https://hospital.example/x?y=1&z=2",
            "bearer of bad news",
        ] {
            assert_eq!(cleansed(json!(stays)), json!(stays));
        }
    }
}
