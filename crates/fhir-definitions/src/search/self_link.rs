//! What a server says that it did, against what it was asked to do.
//!
//! Medplum leaves out what it does not understand and answers for everything else; its bundle's `self` link shows it.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::Definitions;
use crate::validate::clipped;

/// Something that was asked and not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The parameter's name as it was sent.
    pub name: String,
    /// Its value as it was sent.
    pub value: String,
    /// What the server made of it, if it did something else: `name=abc` of `name:zzz=abc`.
    pub became: Option<String>,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = format!("{}={}", clipped(&self.name), clipped(&self.value));
        match &self.became {
            Some(became) => write!(f, "Medplum took \"{asked}\" for \"{}\".", clipped(became)),
            None => write!(f, "Medplum ignored \"{asked}\"."),
        }
    }
}

/// The filters and sort rules that a search was sent with and that its `self` link does not show. Empty if all were
/// obeyed.
///
/// Compared are the decoded filters alone. What Medplum writes differently without a loss is not counted: the prefix
/// `eq` taken away, `subject:Patient=x` as `subject=Patient/x`, repeats, and everything that shapes the page.
#[must_use]
pub fn compare_self(asked: &[(String, String)], self_url: &str) -> Vec<Dropped> {
    let done: Vec<(String, String)> = query_of(self_url);
    let done_filters: Vec<(String, String)> = done.iter().filter(|(k, _)| is_filter(k)).map(normal).collect();
    let mut dropped: Vec<Dropped> = asked
        .iter()
        .filter(|(key, _)| is_filter(key))
        .filter(|pair| !done_filters.contains(&normal(pair)))
        .map(|(key, value)| Dropped { name: key.clone(), value: value.clone(), became: became(key, &done, asked) })
        .collect();
    let (wanted, got) = (sort_of(asked), sort_of(&done));
    if wanted != got {
        dropped.push(Dropped {
            name: "_sort".to_owned(),
            value: wanted,
            became: (!got.is_empty()).then(|| format!("_sort={got}")),
        });
    }
    dropped
}

/// The decoded pairs of a URL's query.
fn query_of(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or(query);
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// Whether a parameter decides which resources are found.
fn is_filter(key: &str) -> bool {
    let name = key.split([':', '.']).next().unwrap_or(key);
    matches!(name, "_has" | "_type") || name != "_" && !Definitions::get().result_parameters().contains(&name)
}

/// A filter in the form in which both sides are compared.
fn normal((key, value): &(String, String)) -> (String, String) {
    let value = match value.strip_prefix("eq") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') => rest,
        _ => value,
    };
    if !key.contains('.')
        && !key.starts_with("_has:")
        && let Some((code, modifier)) = key.split_once(':')
        && Definitions::get().is_resource_type(modifier)
        && !value.contains('/')
    {
        return (code.to_owned(), format!("{modifier}/{value}"));
    }
    (key.clone(), value.to_owned())
}

/// What the server made of a parameter: one of the same name that was not asked for.
fn became(key: &str, done: &[(String, String)], asked: &[(String, String)]) -> Option<String> {
    let name = key.split(':').next().unwrap_or(key);
    let same_name = |(k, _): &&(String, String)| k.split(':').next().unwrap_or(k) == name;
    let not_asked = |pair: &&(String, String)| !asked.iter().any(|a| normal(a) == normal(pair));
    done.iter().filter(same_name).find(not_asked).map(|(k, v)| format!("{k}={v}"))
}

/// All sort rules in a row.
fn sort_of(pairs: &[(String, String)]) -> String {
    let rules: Vec<&str> =
        pairs.iter().filter(|(k, _)| k == "_sort" || k.starts_with("_sort:")).map(|(_, v)| v.as_str()).collect();
    rules.join(",")
}
