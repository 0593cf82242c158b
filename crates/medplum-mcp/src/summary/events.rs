//! What has happened: immunizations, encounters, procedures.

use serde_json::Value;

use super::merge::{Dated, Entry, merged, row};
use super::text::{cell, concept, concepts, string};
use super::{Row, Rows, Sources, dates};

/// Each vaccine with the last time that it was given.
pub(super) fn immunizations(sources: &Sources<'_>) -> Rows {
    let entries = sources.resources().map(|given| Entry {
        says: vec![cell(given.get("vaccineCode").and_then(concept).or(Some("(no code)")))],
        date: dates::first(given, &["occurrenceDateTime"]),
        status: string(given, "/occurrenceString").map(str::to_owned).into_iter().collect(),
    });
    merged(entries, Dated::Last)
}

/// The last encounters: when, where, why.
pub(super) fn encounters(sources: &Sources<'_>) -> Rows {
    let rows = sources.resources().map(|encounter| {
        let class = encounter.get("class").and_then(concept);
        let why = concepts(encounter, "/reasonCode").or_else(|| concepts(encounter, "/type"));
        let why = why.or_else(|| encounter.get("serviceType").and_then(concept).map(str::to_owned));
        event(encounter, &["period"], &["finished"], vec![cell(class), cell(why)])
    });
    Rows { rows: rows.collect(), ..Rows::default() }
}

/// The last procedures.
pub(super) fn procedures(sources: &Sources<'_>) -> Rows {
    let rows = sources.resources().map(|procedure| {
        let what = procedure.get("code").and_then(concept).or(Some("(no code)"));
        event(procedure, &["performedDateTime", "performedPeriod"], &["completed"], vec![cell(what)])
    });
    Rows { rows: rows.collect(), ..Rows::default() }
}

/// The date, what it was, and its status where that is not the usual one.
fn event(resource: &Value, dated_by: &[&str], usual: &[&str], what: Vec<Value>) -> Row {
    let mut cells = vec![cell(dates::first(resource, dated_by).map(|date| date.date))];
    cells.extend(what);
    cells.push(cell(string(resource, "/status").filter(|status| !usual.contains(status))));
    row(cells)
}
