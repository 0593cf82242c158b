//! What comes from Medplum, without what must not reach an agent: secrets, and characters that cannot be seen.
//!
//! It happens behind [`Context::send`](crate::context::Context::send), to every reply, before any tool looks at it: a
//! projection or a table cannot rename what is no longer there.

use serde_json::{Map, Value};

/// What stands in place of a secret. It is never written back.
pub(crate) const REDACTED: &str = "[secret left out]";

/// Elements that hold a secret wherever they stand; no clinical resource has one of these.
const SECRET_KEYS: &[&str] = &[
    "secret",
    "retiringSecret",
    "systemSecret",
    "clientSecret",
    "client_secret",
    "passwordHash",
    "mfaSecret",
    "refreshSecret",
    "accessToken",
    "access_token",
    "refreshToken",
    "refresh_token",
    "idToken",
    "id_token",
    "codeVerifier",
    "codeChallenge",
    "cookie",
    "privateKey",
    "password",
];

/// Elements that are secret in one type only.
const SECRET_IN: &[(&str, &[&str])] = &[
    ("JsonWebKey", &["d", "p", "q", "dp", "dq", "qi", "k"]),
    ("Login", &["code", "launch", "nonce"]),
    ("UserSecurityRequest", &["secret"]),
    ("PasswordChangeRequest", &["secret"]),
];

/// Parameters of a URL that let anybody who has it in.
const URL_SIGNATURES: &[&str] = &[
    "Signature",
    "Policy",
    "Key-Pair-Id",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "sig",
    "access_token",
    "token",
];

/// Whether a GraphQL field or an element of this name is never given out.
pub(crate) fn is_secret_name(name: &str) -> bool {
    SECRET_KEYS.contains(&name)
}

/// Takes secrets and invisible characters out of a value, in place.
pub(crate) fn cleanse(value: &mut Value) {
    match value {
        Value::String(text) => cleanse_text(text),
        Value::Array(values) => values.iter_mut().for_each(cleanse),
        Value::Object(object) => cleanse_object(object),
        _ => {}
    }
}

fn cleanse_object(object: &mut Map<String, Value>) {
    let resource_type = object.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let own: &[&str] = SECRET_IN.iter().find(|(t, _)| *t == resource_type).map_or(&[], |(_, keys)| keys);
    let secret_extension = object.get("url").and_then(Value::as_str).is_some_and(|url| url.ends_with("-secret"));
    for (key, value) in object.iter_mut() {
        if secret_extension && key.starts_with("value") {
            redact(value);
        } else if key == "header" {
            redact_headers(value);
        } else if SECRET_KEYS.contains(&key.as_str()) || own.contains(&key.as_str()) {
            redact(value);
        } else {
            cleanse(value);
        }
    }
}

/// A secret and everything below it, but for the names that a list of secrets goes by.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) => REDACTED.clone_into(text),
        Value::Number(_) => *value = REDACTED.into(),
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(object) => {
            object.iter_mut().filter(|(key, _)| *key != "name").for_each(|(_, value)| redact(value))
        }
        _ => {}
    }
}

/// The values of HTTP headers, which carry keys: `X-Api-Key: …` in a Subscription's channel or an Endpoint.
fn redact_headers(value: &mut Value) {
    match value {
        Value::Array(headers) => headers.iter_mut().for_each(redact_headers),
        Value::String(header) => match header.split_once(':') {
            Some((name, _)) => *header = format!("{name}: {REDACTED}"),
            None => cleanse_text(header),
        },
        other => cleanse(other),
    }
}

/// Types whose content is secret in part: a table or a query that renames what it reads is refused for them.
pub(crate) fn has_secrets(resource_type: &str) -> bool {
    const TYPES: &[&str] = &[
        "ClientApplication",
        "DomainConfiguration",
        "Endpoint",
        "JsonWebKey",
        "Login",
        "Project",
        "SmartAppLaunch",
        "Subscription",
        "User",
        "UserSecurityRequest",
        "PasswordChangeRequest",
    ];
    TYPES.contains(&resource_type)
}

/// Takes secrets and invisible characters out of a text.
pub(crate) fn cleanse_text(text: &mut String) {
    if text.bytes().any(|b| !(0x20..0x7f).contains(&b)) && text.chars().any(is_hidden) {
        text.retain(|c| !is_hidden(c));
    }
    if text.contains("://") && text.contains('?') {
        *text = without_signatures(text);
    }
    redact_tokens(text);
}

/// Characters that a person does not see, or that turn the direction of what they see. Newline and tab stay, and so do
/// the joiners (U+200C, U+200D) and variation selectors that scripts and emoji need.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The values of signing parameters, in every URL of a text.
fn without_signatures(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split_inclusive(['?', '&']).enumerate() {
        let signed = index > 0
            && URL_SIGNATURES.iter().any(|name| part.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
        if !signed {
            out.push_str(part);
            continue;
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let end = value.find(|c: char| c == '&' || c.is_whitespace() || "\"'<>)".contains(c)).unwrap_or(value.len());
        out.push_str(name);
        out.push('=');
        out.push_str(REDACTED);
        out.push_str(value.get(end..).unwrap_or_default());
    }
    out
}

/// `Bearer …`, `Basic …` and JSON web tokens, wherever they stand in a text.
fn redact_tokens(text: &mut String) {
    const SCHEMES: &[&str] = &["Bearer ", "bearer ", "Basic "];
    let is_token =
        |word: &str| word.len() >= 16 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    let is_jwt =
        |word: &str| word.starts_with("eyJ") && word.len() > 40 && word.split('.').count() >= 2 && is_token(word);
    if !text.contains("eyJ") && !SCHEMES.iter().any(|scheme| text.contains(scheme)) {
        return;
    }
    let mut out = String::with_capacity(text.len());
    let mut after_scheme = false;
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "\"',;()<>".contains(c)) {
        let bare = word.trim_end_matches(|c: char| c.is_whitespace() || "\"',;()<>".contains(c));
        if is_jwt(bare) || (after_scheme && is_token(bare)) {
            out.push_str(REDACTED);
            out.push_str(word.get(bare.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
        after_scheme = SCHEMES.iter().any(|scheme| scheme.trim_end() == bare);
    }
    *text = out;
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
