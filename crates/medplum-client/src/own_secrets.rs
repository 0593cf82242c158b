//! What we sign in with, wherever somebody repeats it.

use std::fmt;

use memchr::memmem::Finder;
use secrecy::{ExposeSecret, SecretString};

/// What stands in place of one.
const LEFT_OUT: &str = "[secret left out]";

/// The secrets that a client has shown to its server, in each way in which that may repeat them: as they are, as in a
/// form, in a URL or in JSON.
#[derive(Clone, Default)]
pub struct OwnSecrets(Vec<Spelling>);

#[derive(Clone)]
struct Spelling {
    secret: SecretString,
    /// What finds it: to make that takes longer than to search a record.
    finder: Finder<'static>,
}

impl OwnSecrets {
    pub(crate) fn of<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut spellings: Vec<String> = secrets.filter(|secret| !secret.is_empty()).flat_map(spellings).collect();
        // What holds another goes first.
        spellings.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        spellings.dedup();
        let finder = |secret: &str| Finder::new(secret.as_bytes()).into_owned();
        let spelling = |secret: String| Spelling { finder: finder(&secret), secret: secret.into() };
        Self(spellings.into_iter().map(spelling).collect())
    }

    /// Whether any is in a text.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|spelling| spelling.finder.find(text.as_bytes()).is_some())
    }

    /// The text with a placeholder for each; none if there is none in it.
    pub fn left_out_of(&self, text: &str) -> Option<String> {
        if !self.are_in(text) {
            return None;
        }
        let secrets = self.0.iter().map(|spelling| spelling.secret.expose_secret());
        Some(secrets.fold(text.to_owned(), |text, secret| text.replace(secret, LEFT_OUT)))
    }
}

impl fmt::Debug for OwnSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnSecrets")
    }
}

fn spellings(text: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let in_url = form.replace('+', "%20");
    let in_json = serde_json::Value::from(text).to_string();
    let in_json = in_json.trim_matches('"').to_owned();
    let small = |encoded: &str| encoded.split('%').enumerate().map(lower_hex).collect::<Vec<_>>().join("%");
    vec![text.to_owned(), small(&form), small(&in_url), form, in_url, in_json]
}

/// `2B…` behind a percent sign as `2b…`.
fn lower_hex((index, part): (usize, &str)) -> String {
    match part.split_at_checked(2).filter(|_| index > 0) {
        Some((hex, rest)) => format!("{}{rest}", hex.to_ascii_lowercase()),
        None => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let own = OwnSecrets::of(["S3CRET/+& \"x", ""].into_iter());
        for said in ["S3CRET/+& \"x", "S3CRET%2F%2B%26+%22x", "S3CRET%2f%2b%26%20%22x", "S3CRET/+& \\\"x"] {
            assert_eq!(own.left_out_of(&format!("a {said} b")).as_deref(), Some("a [secret left out] b"), "{said}");
        }
        assert_eq!(own.left_out_of("S3CRET"), None);
        assert_eq!(OwnSecrets::default().left_out_of("anything"), None);
        assert!(!format!("{own:?}").contains("S3CRET"));
    }

    #[test]
    fn of_two_the_longer_is_left_out_whole() {
        let own = OwnSecrets::of(["token", "token-2"].into_iter());
        assert_eq!(own.left_out_of("token-2, token").as_deref(), Some("[secret left out], [secret left out]"));
    }
}
