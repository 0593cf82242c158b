//! What may stand in no log, no audit line and nothing else that is written beside the answers, whichever test wrote it:
//! everything of the sandbox's people, the secrets and the tokens.

use std::sync::OnceLock;

use medplum_sandbox::Sandbox;
use serde_json::Value;

use super::{SECRET, TOKEN};

/// Fails if a text that is no answer holds something of a patient, a secret or a token.
#[track_caller]
pub fn assert_none(of: &str, text: &str) {
    // A test that failed already says why.
    if text.is_empty() || std::thread::panicking() {
        return;
    }
    if let Some(found) =
        [SECRET, TOKEN].into_iter().chain(people().iter().map(String::as_str)).find(|one| text.contains(one))
    {
        panic!("{of} holds {found:?}: {text}");
    }
}

/// The names, dates of birth, identifiers, addresses and numbers of the sandbox's people.
pub fn people() -> &'static [String] {
    static PEOPLE: OnceLock<Vec<String>> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        let sandbox = Sandbox::builder().start_on_thread().expect("a sandbox");
        let of = |of| sandbox.history(of).into_iter().filter_map(|(_, resource)| resource);
        let everybody = ["Patient", "Practitioner", "RelatedPerson"].into_iter().flat_map(of);
        let mut all: Vec<String> = everybody.flat_map(|resource| of_one(&resource)).collect();
        all.sort();
        all.dedup();
        assert!(all.len() > 50, "{all:?}");
        all
    })
}

fn of_one(resource: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    for element in ["name", "telecom", "address", "identifier", "birthDate"] {
        strings(&resource[element], "", &mut texts);
    }
    // The sandbox makes some identifiers of the id itself, which may be seen. Short words are anybody's, and a postal code
    // is a part of many times.
    let id = resource["id"].as_str().unwrap_or_default();
    let is_short = |text: &str| text.len() < if text.bytes().all(|byte| byte.is_ascii_digit()) { 7 } else { 4 };
    texts.retain(|text| !is_short(text) && !id.contains(&text.to_lowercase()));
    texts
}

/// The texts of an element, but for those that are no secret: systems, uses, countries.
fn strings(value: &Value, key: &str, all: &mut Vec<String>) {
    match value {
        Value::String(text) if !["system", "use", "type", "code", "country", "reference"].contains(&key) => {
            all.push(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, key, all)),
        Value::Object(object) => object.iter().for_each(|(key, value)| strings(value, key, all)),
        _ => {}
    }
}
