//! Problems and allergies: what is the matter, since when, and how sure that is.

use serde_json::Value;

use super::merge::{Dated, Entry, merged, row};
use super::text::{cell, code, concept, list, string};
use super::{Rows, Sources, dates};

/// Conditions that are active, or of which nobody says that they are not.
pub(super) fn problems(sources: &Sources<'_>) -> Rows {
    let (over, there): (Vec<&Value>, Vec<&Value>) = sources.resources().partition(|condition| is_over(condition));
    let entries = there.into_iter().map(|condition| {
        let what = condition.get("code");
        Entry {
            says: vec![
                cell(what.and_then(concept).or(Some("(no code)"))),
                cell(what.and_then(code).filter(|code| Some(*code) != what.and_then(concept))),
            ],
            date: dates::first(condition, &["onsetDateTime", "onsetPeriod", "recordedDate"]),
            status: status(condition),
        }
    });
    Rows { left_out: over.len(), ..merged(entries, Dated::Since) }
}

/// A condition without a clinical status that has an end is over.
fn is_over(condition: &Value) -> bool {
    let ended = |key: &str| key.starts_with("abatement") && condition.get(key) != Some(&Value::Bool(false));
    condition.get("clinicalStatus").and_then(code).is_none()
        && condition.as_object().is_some_and(|map| map.keys().any(|key| ended(key)))
}

/// Nothing for what is active and confirmed; else what it is, and how sure.
fn status(resource: &Value) -> Vec<String> {
    let clinical = resource.get("clinicalStatus").and_then(code).unwrap_or("status unknown");
    let verified = resource.get("verificationStatus").and_then(code).unwrap_or("confirmed");
    let unusual = [(clinical, "active"), (verified, "confirmed")].into_iter().filter(|(is, usual)| is != usual);
    unusual.map(|(is, _)| is.to_owned()).collect()
}

/// Allergies and intolerances, those of high criticality first.
pub(super) fn allergies(sources: &Sources<'_>) -> Rows {
    let mut all: Vec<&Value> = sources.resources().collect();
    all.sort_by_key(|allergy| string(allergy, "/criticality") != Some("high"));
    let rows = all.into_iter().map(|allergy| {
        let mut says = vec![
            cell(allergy.get("code").and_then(concept).or(Some("(no code)"))),
            cell(reactions(allergy)),
            cell(string(allergy, "/criticality")),
        ];
        says.push(status(allergy).join(", ").into());
        row(says)
    });
    Rows { rows: rows.collect(), ..Rows::default() }
}

fn reactions(allergy: &Value) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for reaction in list(allergy, "/reaction") {
        let named = list(reaction, "/manifestation").iter().filter_map(concept);
        all.extend(named.filter(|name| !all.contains(name)).collect::<Vec<_>>());
    }
    (!all.is_empty()).then(|| all.join(", "))
}
