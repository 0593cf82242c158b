//! Whether an answer is to somebody else's question, as from a cache or a proxy: a record of another patient is worse than
//! none.

use serde_json::Value;

use crate::bundle::Batch;
use crate::interaction::{Interaction, Search};
use crate::operation::{Level, Operation};
use crate::searchset::{Unread, is_outcome};

/// Why such an answer is none.
pub(super) const ANOTHER: &str = "it is another resource than the one that was asked for";
const ANOTHER_TYPE: &str = "it holds matches of another type than the one that was searched";
/// The place of an entry is all that ties it to its request: where one does not fit, none can be trusted.
const ANOTHER_ENTRY: &str = "an entry of it is another resource than the one that was asked for or written";
const ANOTHER_PATIENT: &str = "it is the record of another patient than the one that was asked for";
/// The operations that answer with a patient's record.
const CHARTS: [&str; 2] = ["everything", "summary"];

/// A resource as it came, as far as it can be told from another.
pub(super) trait Told {
    /// Its type; empty where it does not say.
    fn of_type(&self) -> &str;
    /// Its id; empty where it does not say.
    fn id(&self) -> &str;
    /// Whether this is anywhere in it.
    fn says(&self, text: &str) -> bool;
}

impl Told for Unread {
    fn of_type(&self) -> &str {
        &self.resource_type
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn says(&self, text: &str) -> bool {
        self.text().contains(text)
    }
}

impl Told for Value {
    fn of_type(&self) -> &str {
        text(self, "resourceType")
    }

    fn id(&self) -> &str {
        text(self, "id")
    }

    fn says(&self, text: &str) -> bool {
        match self {
            Self::String(said) => said.contains(text),
            Self::Array(values) => values.iter().any(|value| value.says(text)),
            Self::Object(object) => object.values().any(|value| value.says(text)),
            _ => false,
        }
    }
}

/// Whether a resource of this type and id is another than the one that was asked for.
pub(super) fn is_another(interaction: &Interaction, of_type: &str, its_id: &str) -> bool {
    match interaction {
        // What is stored in a Binary comes instead of it, and may be any resource itself.
        Interaction::Read { resource_type, .. } if resource_type.as_str() == "Binary" => false,
        Interaction::Read { resource_type, id, .. }
        | Interaction::VersionRead { resource_type, id, .. }
        | Interaction::Update { resource_type, id, .. }
        | Interaction::Patch { resource_type, id, .. } => {
            // Medplum takes an id in letters of either case, and answers with its own.
            resource_type.as_str() != of_type || !id.as_str().eq_ignore_ascii_case(its_id)
        }
        _ => false,
    }
}

/// What is wrong with what was found, if any of it cannot belong there.
pub(super) fn holds_another<'a, R: Told + 'a>(
    interaction: &Interaction,
    matches: impl Iterator<Item = &'a R>,
) -> Option<&'static str> {
    match interaction {
        Interaction::Search(search) => not_searched(search, matches),
        Interaction::Operation(Operation { level: Level::Instance(of, id), name, .. })
            if of.as_str() == "Patient" && CHARTS.contains(&name.as_str()) =>
        {
            is_chart_of_another(id.as_str(), matches).then_some(ANOTHER_PATIENT)
        }
        _ => None,
    }
}

/// What is wrong with the answer to a bundle, if it is none, or if what an entry brings cannot belong in its place.
pub(super) fn answers_another(batch: &Batch, answer: &Value) -> Option<&'static str> {
    if text(answer, "resourceType") != "Bundle" {
        return Some("it is no Bundle");
    }
    if !["batch-response", "transaction-response"].contains(&text(answer, "type")) {
        return Some("it is no answer to a batch or transaction");
    }
    let answers = answer.get("entry").and_then(Value::as_array).into_iter().flatten();
    let mut pairs = batch.entries().iter().map(|entry| &entry.interaction).zip(answers);
    pairs.any(|(asked, entry)| brings_another(asked, entry)).then_some(ANOTHER_ENTRY)
}

fn brings_another(asked: &Interaction, entry: &Value) -> bool {
    let Some(brought) = entry.get("resource").filter(|brought| !brought.is_null()) else { return false };
    let done = entry.pointer("/response/status").and_then(Value::as_str).is_some_and(|status| status.starts_with('2'));
    if !done && brought.of_type() == "OperationOutcome" {
        return false;
    }
    let of_type = match asked {
        Interaction::Create { resource_type, .. } => Some(resource_type.as_str()),
        Interaction::Search(_) | Interaction::History { .. } => Some("Bundle"),
        _ => None,
    };
    of_type.is_some_and(|of_type| of_type != brought.of_type())
        || is_another(asked, brought.of_type(), brought.id())
        || holds_another(asked, matches_of(brought)).is_some()
}

/// A search of a type finds that type, and one by id nothing but those ids.
fn not_searched<'a, R: Told + 'a>(search: &Search, matches: impl Iterator<Item = &'a R>) -> Option<&'static str> {
    let ids = || search.query.iter().filter(|(key, _)| *key == "_id").map(|(_, ids)| ids);
    // Medplum takes an id in letters of either case.
    let is_in = |id: &str, ids: &str| ids.split(',').any(|asked| of_reference(asked).eq_ignore_ascii_case(id));
    let is_other = |id: &str| !id.is_empty() && ids().any(|ids| !is_in(id, ids));
    for found in matches {
        if search.resource_type.as_ref().is_some_and(|of| of.as_str() != found.of_type()) {
            return Some(ANOTHER_TYPE);
        }
        if is_other(found.id()) {
            return Some(ANOTHER);
        }
    }
    None
}

/// The id in a reference, or the id that it is.
fn of_reference(text: &str) -> &str {
    text.trim().rsplit('/').next().unwrap_or_default()
}

/// A page of a chart need not hold its own patient: Medplum has them in the order of their ids. Another patient is there
/// for a link to that one, and says so.
fn is_chart_of_another<'a, R: Told + 'a>(asked: &str, matches: impl Iterator<Item = &'a R>) -> bool {
    let patients: Vec<&R> = matches.filter(|found| found.of_type() == "Patient").collect();
    let is_there = patients.iter().any(|patient| patient.id().eq_ignore_ascii_case(asked));
    !is_there && patients.iter().any(|patient| !patient.says(asked))
}

/// The resources of a bundle that were found: not what they include, and not what the server says of the search.
pub(super) fn matches_of(bundle: &Value) -> impl Iterator<Item = &Value> {
    let is_bundle = text(bundle, "resourceType") == "Bundle";
    let entries = bundle.get("entry").and_then(Value::as_array).filter(|_| is_bundle).into_iter().flatten();
    let is_match = |entry: &&Value| entry.pointer("/search/mode").is_none_or(|mode| mode == "match");
    let found = entries.filter(is_match).filter_map(|entry| entry.get("resource"));
    found.filter(|resource| !is_outcome(None, text(resource, "resourceType")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
