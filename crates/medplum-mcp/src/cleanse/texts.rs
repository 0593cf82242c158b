//! Secrets inside of texts: what lets anybody in who has it. Tokens, private keys, signatures and passwords in URLs,
//! and what JSON or settings in a text assign to a secret's name.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr_iter;

use super::REDACTED;
use super::secrets::{is_secret_assigned, is_secret_name};

/// Parameters of URLs by which storages and servers let somebody in, wherever they stand.
const SIGNING: &[&str] = &[
    "googleaccessid",
    "key-pair-id",
    "sharedaccesssignature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
    "x-oss-security-token",
    "x-oss-signature",
];

/// The same, of such short names that they count behind a `?` or `&` alone, and as they are written here.
const SIGNING_IN_QUERY: &[&str] = &["Policy", "Signature", "jwt", "sig", "token"];

/// What stands, in small letters, in any text that holds a secret, but for `eyJ` and the passwords of URLs.
pub(super) fn marks() -> impl Iterator<Item = String> {
    let in_query = SIGNING_IN_QUERY.iter().flat_map(|name| [format!("{name}="), format!("{name}%3d")]);
    let others = ["bearer", "basic", "private key", "shlink:/"].map(str::to_owned);
    SIGNING.iter().map(|name| (*name).to_owned()).chain(in_query.map(|name| name.to_ascii_lowercase())).chain(others)
}

/// Whether a URL in a text may name a user: `https://user@host/`.
pub(super) fn has_user_in_url(text: &str) -> bool {
    memchr_iter(b'@', text.as_bytes()).any(|at| {
        let before = text.get(..at).unwrap_or_default();
        let user = before.rfind(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c));
        user.and_then(|at| before.get(..=at)).is_some_and(|before| before.ends_with("://"))
    })
}

/// Shorter texts hold no secret.
const SHORTEST: usize = 12;

/// The text with its secrets replaced; none where there is none.
pub(super) fn without_secrets(text: &str) -> Option<String> {
    if text.len() < SHORTEST {
        return None;
    }
    let mut found = Found { text, ranges: Vec::new() };
    if text.contains("eyJ") {
        found.web_tokens();
    }
    if SCHEMES.as_ref().is_none_or(|schemes| schemes.is_match(text)) {
        found.authorizations();
    }
    if text.contains('=') || text.contains("%3D") {
        found.assigned('=');
    }
    if text.contains("\":") || text.contains("\" :") || text.contains("\\\":") {
        found.assigned_in_json();
    }
    if text.contains("PRIVATE KEY") {
        found.private_keys();
    }
    if has_user_in_url(text) {
        found.passwords_of_urls();
    }
    if text.contains("shlink:/") {
        found.between("shlink:/", |c| !is_token_char(c));
    }
    found.replaced()
}

/// What a token in a header follows.
static SCHEMES: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(["bearer", "basic"]).ok());

/// The places of secrets in a text.
struct Found<'t> {
    text: &'t str,
    ranges: Vec<(usize, usize)>,
}

impl<'t> Found<'t> {
    fn replaced(mut self) -> Option<String> {
        if self.ranges.is_empty() {
            return None;
        }
        self.ranges.sort_unstable();
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for (start, end) in self.ranges {
            if start >= at {
                out.push_str(self.text.get(at..start).unwrap_or_default());
                out.push_str(REDACTED);
            }
            at = at.max(end);
        }
        out.push_str(self.text.get(at..).unwrap_or_default());
        Some(out)
    }

    fn rest(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or_default()
    }

    /// What stands from here up to a character that ends it.
    fn until(&self, at: usize, ends: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest(at);
        rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default()
    }

    fn take(&mut self, at: usize, length: usize) {
        // A placeholder is no secret, however often a text is looked at.
        if length > 0 && !self.rest(at).starts_with(REDACTED) {
            self.ranges.push((at, at.saturating_add(length)));
        }
    }

    /// `shlink:/eyJ…`: what follows a mark is a key.
    fn between(&mut self, mark: &str, ends: impl Fn(char) -> bool + Copy) {
        let starts: Vec<usize> =
            self.text.match_indices(mark).map(|(at, mark)| at.saturating_add(mark.len())).collect();
        for start in starts {
            let length = self.until(start, ends).len();
            self.take(start, length);
        }
    }

    /// JSON web tokens (RFC 7519): a header in base64, which begins with `{"`, and at least one more part.
    fn web_tokens(&mut self) {
        for (at, _) in self.text.match_indices("eyJ") {
            let before = self.text.get(..at).and_then(|before| before.chars().next_back());
            if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
                continue;
            }
            let token = self.until(at, |c| !is_token_char(c)).trim_end_matches('.');
            if token.len() > 40 && token.contains('.') {
                self.take(at, token.len());
            }
        }
    }

    /// `Bearer …`, `Basic …`
    fn authorizations(&mut self) {
        let mut at = 0_usize;
        for word in self.text.split_inclusive(|c: char| c.is_whitespace()) {
            let start = at;
            at = at.saturating_add(word.len());
            let scheme = word.trim_end().trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let scheme = scheme.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(scheme);
            let is_secret: fn(&str) -> bool = match scheme {
                _ if scheme.eq_ignore_ascii_case("bearer") => is_bearer_token,
                _ if scheme.eq_ignore_ascii_case("basic") => are_basic_credentials,
                _ => continue,
            };
            let start = start.saturating_add(word.len());
            let token = self.until(start, |c| !is_credential_char(c));
            if is_secret(token) {
                self.take(start, token.len());
            }
        }
    }

    /// `X-Amz-Signature=…`, `client_secret=…`; in a URL inside of a URL the equals sign is `%3D`.
    fn assigned(&mut self, sign: char) {
        let signs = self.text.match_indices(sign).map(|(at, sign)| (at, sign.len()));
        let encoded = self.text.match_indices("%3D").map(|(at, sign)| (at, sign.len()));
        let places: Vec<(usize, usize)> = signs.chain(encoded).collect();
        for (at, length) in places {
            let before = self.text.get(..at).unwrap_or_default();
            let start =
                before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).map_or(0, |last| {
                    last.saturating_add(
                        before.get(last..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8),
                    )
                });
            let (name, in_query) = parameter(before, start);
            let folded = name.to_ascii_lowercase();
            let signs = SIGNING.binary_search(&folded.as_str()).is_ok()
                || in_query && (SIGNING_IN_QUERY.contains(&name) || is_secret_name(name))
                || is_secret_assigned(name);
            if signs {
                let start = at.saturating_add(length);
                let value = self.until(start, |c| c.is_whitespace() || "&#\"'<>)]}\\,;".contains(c));
                let value = value.split("%26").next().unwrap_or(value);
                self.take(start, value.len());
            }
        }
    }

    /// `"clientSecret": "…"`, also where the quotes are escaped: JSON in a text.
    fn assigned_in_json(&mut self) {
        for (at, _) in self.text.match_indices(':') {
            let before = self.text.get(..at).unwrap_or_default().trim_end();
            let Some(before) = before.strip_suffix('"') else { continue };
            let (before, quote) = match before.strip_suffix('\\') {
                Some(before) => (before, "\\\""),
                None => (before, "\""),
            };
            let Some((_, name)) = before.rsplit_once('"') else { continue };
            if !is_secret_name(name) {
                continue;
            }
            let behind = self.rest(at.saturating_add(1));
            let value = behind.trim_start();
            let Some(value) = value.strip_prefix(quote) else { continue };
            let start = self.text.len().saturating_sub(value.len());
            let length = end_of_string(value, quote);
            self.take(start, length);
        }
    }

    /// PEM (RFC 7468).
    fn private_keys(&mut self) {
        for (at, begin) in self.text.match_indices("-----BEGIN ") {
            let start = at.saturating_add(begin.len());
            let Some((label, _)) = self.rest(start).split_once("-----") else { continue };
            if !label.ends_with("PRIVATE KEY") {
                continue;
            }
            let key = start.saturating_add(label.len()).saturating_add("-----".len());
            let length = self.rest(key).find("-----END").unwrap_or(self.rest(key).len());
            self.take(key, length);
        }
    }

    /// `https://user:password@host/`
    fn passwords_of_urls(&mut self) {
        for (at, mark) in self.text.match_indices("://") {
            let start = at.saturating_add(mark.len());
            let authority = self.until(start, |c| c.is_whitespace() || "/?#\"'<>".contains(c));
            let Some((user, _)) = authority.rsplit_once('@') else { continue };
            let Some((name, password)) = user.split_once(':') else { continue };
            self.take(start.saturating_add(name.len()).saturating_add(1), password.len());
        }
    }
}

/// The parameter's name that ends where `before` does, and whether it stands in a URL's query: behind `?` or `&`, also
/// where those are encoded for HTML, JSON or another URL.
fn parameter(before: &str, start: usize) -> (&str, bool) {
    let name = before.get(start..).unwrap_or_default();
    let outside = before.get(..start).unwrap_or_default();
    if outside.ends_with(['?', '&']) || outside.ends_with("&amp;") {
        return (name, true);
    }
    let encoded = [("%", "26"), ("%", "3F"), ("%", "3f"), ("\\", "u0026"), ("\\", "u003f")];
    let rest = encoded.iter().find_map(|(escape, code)| name.strip_prefix(code).filter(|_| outside.ends_with(escape)));
    rest.map_or((name, false), |name| (name, true))
}

/// Where a JSON string ends whose quotes are these.
fn end_of_string(value: &str, quote: &str) -> usize {
    let mut from = 0;
    while let Some(found) = value.get(from..).and_then(|rest| rest.find(quote)) {
        let at = from.saturating_add(found);
        let before = value.get(..at).unwrap_or_default();
        let escapes = before.len().saturating_sub(before.trim_end_matches('\\').len());
        if quote.len() > 1 || escapes % 2 == 0 {
            return at;
        }
        from = at.saturating_add(quote.len());
    }
    value.len()
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn is_credential_char(c: char) -> bool {
    is_token_char(c) || matches!(c, '~' | '+' | '/' | '=')
}

/// A word of everyday prose has no digit; a token of that length has.
fn is_bearer_token(word: &str) -> bool {
    word.len() >= 16 && word.bytes().any(|b| b.is_ascii_digit())
}

/// A user and a password in base64.
fn are_basic_credentials(word: &str) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let decoded = LENIENT.decode(word.trim_end_matches('.')).ok();
    word.len() >= 4
        && decoded.is_some_and(|bytes| {
            bytes.contains(&b':') && std::str::from_utf8(&bytes).is_ok_and(|text| !text.chars().any(char::is_control))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        without_secrets(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn every_storage_s_signature_goes_and_the_rest_of_the_url_stays() {
        let table = [
            (
                "http://medplum.test/storage/1/2?Expires=1795342790&Signature=YK1K%2BAb&Key-Pair-Id=x",
                "http://medplum.test/storage/1/2?Expires=1795342790&Signature=§&Key-Pair-Id=§",
            ),
            (
                "https://d.cloudfront.net/b/1?Policy=eyJTdGF0&Signature=a~b-&Key-Pair-Id=K2",
                "https://d.cloudfront.net/b/1?Policy=§&Signature=§&Key-Pair-Id=§",
            ),
            (
                "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20261125%2Fus&X-Amz-Date=1&X-Amz-Expires=3600&X-Amz-Security-Token=IQoJ%2F&X-Amz-Signature=ab12&response-content-type=a",
                "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=§&X-Amz-Date=1&X-Amz-Expires=3600&X-Amz-Security-Token=§&X-Amz-Signature=§&response-content-type=a",
            ),
            (
                "https://storage.googleapis.com/b/o?x-goog-signature=ab&X-Goog-Credential=c%40d&X-Goog-Date=1",
                "https://storage.googleapis.com/b/o?x-goog-signature=§&X-Goog-Credential=§&X-Goog-Date=1",
            ),
            (
                "https://a.blob.core.windows.net/c/b?sv=2024&se=2026-01-01&sr=b&sp=r&sig=pQ%3D",
                "https://a.blob.core.windows.net/c/b?sv=2024&se=2026-01-01&sr=b&sp=r&sig=§",
            ),
            ("see <a href=\"/s/1?a=1&amp;Signature=xyz\">it</a>", "see <a href=\"/s/1?a=1&amp;Signature=§\">it</a>"),
            (
                r"{\u0022url\u0022:1} /s?a=1\u0026Signature=xyz\u0026b=2",
                r"{\u0022url\u0022:1} /s?a=1\u0026Signature=§\u0026b=2",
            ),
            (
                "https://x.test/go?to=https%3A%2F%2Fy%3Fa%3D1%26X-Amz-Signature%3Dab12%26b%3D2",
                "https://x.test/go?to=https%3A%2F%2Fy%3Fa%3D1%26X-Amz-Signature%3D§%26b%3D2",
            ),
            ("https://app.test/cb#access_token=abc123&state=1", "https://app.test/cb#access_token=§&state=1"),
            ("https://bob:s3cret@hook.example/in?x=1", "https://bob:§@hook.example/in?x=1"),
        ];
        for (given, expected) in table {
            assert_eq!(clean(given), expected.replace('§', REDACTED), "{given}");
        }
    }

    #[test]
    fn tokens_go_wherever_they_stand() {
        let jwt = format!("eyJ{}.{}.{}", "a".repeat(30), "b".repeat(30), "c".repeat(20));
        let table: Vec<(String, &str)> = vec![
            (format!("token {jwt}, then"), "token §, then"),
            (format!("id_token:{jwt}."), "id_token:§."),
            (format!("{{\"a\":\"{jwt}\"}}"), "{\"a\":\"§\"}"),
            ("Authorization: Bearer abcdefghijklmnop0123456789".into(), "Authorization: Bearer §"),
            ("authorization=bearer 0123456789abcdef0123".into(), "authorization=bearer §"),
            ("Authorization: Basic dXNlcjpwYXNz".into(), "Authorization: Basic §"),
            ("curl -d 'client_id=1&client_secret=hunter2&x=1'".into(), "curl -d 'client_id=1&client_secret=§&x=1'"),
            ("CLIENT_SECRET=hunter2 npm start".into(), "CLIENT_SECRET=§ npm start"),
            (
                "failed: {\"clientSecret\": \"hun\\\"ter2\", \"a\": 1}".into(),
                "failed: {\"clientSecret\": \"§\", \"a\": 1}",
            ),
            (r#"{\"password\":\"hunter2\",\"a\":1}"#.into(), r#"{\"password\":\"§\",\"a\":1}"#),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----".into(),
                "-----BEGIN RSA PRIVATE KEY-----§-----END RSA PRIVATE KEY-----",
            ),
            ("https://viewer.test/#shlink:/eyJ1cmwiOiJ4In0".into(), "https://viewer.test/#shlink:/§"),
        ];
        for (given, expected) in table {
            let expected = expected.replace('§', REDACTED);
            assert_eq!(clean(&given), expected, "{given}");
            assert_eq!(without_secrets(&expected), None, "twice: {expected}");
        }
    }

    #[test]
    fn ordinary_texts_stay() {
        for text in [
            "bearer of bad news, standard-bearer Immunohistochemistry",
            "Basic metabolic panel; basic electrocardiogram",
            "https://hospital.example/x?y=1&z=2&policy=1&code=8867-4",
            "http://api.test/fhir/R4/AuditEvent?policy=x&_count=20",
            "Signature = Dr. Bob Jones; sig=1 tab bid; token = 3",
            "Secret: he is afraid of needles. Cookie=2 a day",
            "mail bob@clinic.example, see http://clinic.example/@bob",
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
            "{\"code\":\"8867-4\",\"display\":\"Heart rate\"}",
            "pH=7.35, HCO3=22, BE=-2",
        ] {
            assert_eq!(without_secrets(text), None, "{text}");
        }
    }
}
