//! What comes from Medplum, without what must not reach an agent: secrets, and characters that cannot be seen.
//!
//! It happens behind [`Context::send`](crate::context::Context::send), to every reply, before any tool looks at it: a
//! projection or a table cannot rename what is no longer there.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
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

/// What a token in a header follows.
const SCHEMES: &[&str] = &["Bearer ", "bearer ", "Basic "];

/// Whether a GraphQL field or an element of this name is never given out.
pub(crate) fn is_secret_name(name: &str) -> bool {
    SECRET_KEYS.contains(&name)
}

/// Whether the text of a JSON value can hold nothing that [`cleanse`] would take out: one pass, and most of the records
/// that there are need no more. It may say no where nothing would be taken out, never the other way.
pub(crate) fn is_clean(json: &str) -> bool {
    let suspect = SUSPECTS.as_ref().is_none_or(|suspects| suspects.is_match(json));
    !suspect && (json.is_ascii() || !json.chars().any(is_hidden))
}

/// What stands in the text of anything that [`cleanse`] takes out. None if it cannot be looked for.
static SUSPECTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    // Escapes by which a name or a character could be written in another way.
    let escapes = ["\\u", "\\/", "\\b", "\\f", "\u{7f}"].map(str::to_owned);
    let quoted = |name: &&str| format!("\"{name}\"");
    let names = SECRET_KEYS.iter().chain(&["header"]).map(quoted);
    let types = SECRET_IN.iter().map(|(of, _)| quoted(of));
    let signatures = URL_SIGNATURES.iter().flat_map(|name| [format!("?{name}="), format!("&{name}=")]);
    let tokens = SCHEMES.iter().copied().chain(["eyJ", "-secret\""]).map(str::to_owned);
    let all = escapes.into_iter().chain(names).chain(types).chain(signatures).chain(tokens);
    // A deterministic automaton is the fastest here, and these patterns make a small one.
    AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(all).ok()
});

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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn cleansed(mut value: Value) -> Value {
        cleanse(&mut value);
        value
    }

    /// Values in which something may have to go, and some in which nothing has.
    fn suspicious() -> impl Strategy<Value = Value> {
        let names: Vec<String> = SECRET_KEYS
            .iter()
            .chain(SECRET_IN.iter().flat_map(|(_, keys)| *keys))
            .chain(&["resourceType", "url", "valueString", "header", "name", "text"])
            .map(|name| (*name).to_owned())
            .collect();
        let url = prop::sample::select(URL_SIGNATURES).prop_map(|name| format!("https://x.example/a?b=c&{name}=0123"));
        let token = prop::sample::select(SCHEMES).prop_map(|scheme| format!("{scheme}abcdefghijklmnop0123"));
        let types: Vec<&str> = SECRET_IN.iter().map(|(of, _)| *of).chain(["Patient"]).collect();
        let text = prop_oneof![
            "[a-z ]{0,6}",
            "\\PC{0,4}",
            any::<char>().prop_map(String::from),
            url,
            token,
            prop::sample::select(types).prop_map(str::to_owned),
            Just("https://x.example/api-secret".to_owned()),
            Just(format!("eyJ{}.{}", "a".repeat(30), "b".repeat(20))),
        ];
        let leaf = prop_oneof![text.prop_map(Value::from), any::<i16>().prop_map(Value::from)];
        leaf.prop_recursive(4, 30, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(names.clone()), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn in_what_is_clean_nothing_is_taken_out(value in suspicious()) {
            if is_clean(&value.to_string()) {
                prop_assert_eq!(cleansed(value.clone()), value);
            }
        }
    }

    #[test]
    fn an_ordinary_record_is_clean() {
        let record = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Zo\u{eb} \u{674e}", "given": ["A\nB"]}],
            "identifier": [{"system": "https://hospital.example/mrn", "value": "4711"}]});
        assert!(is_clean(&record.to_string()));
        assert!(!is_clean(r#"{"s\u0065cret":"x"}"#), "a name that is written in another way");
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
