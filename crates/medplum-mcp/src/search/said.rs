//! What a server says of a search beside what it found: an OperationOutcome in an entry of its own
//! (<https://hl7.org/fhir/R4/valueset-search-entry-mode.html>, `outcome`). It is said in the notes, in the server's words,
//! and is no match.

use medplum_client::{Interaction, Issue, Outcome};
use serde_json::Value;

use crate::answer::notes::Notes;
use crate::{flags, shown};

/// So much of one issue's text is repeated.
const MOST_TEXT: usize = 300;
/// So many issues of one outcome are.
const MOST_ISSUES: usize = 5;
/// What is no reason to doubt what was found.
const NEWS: &str = "information";

/// Whether an entry of a searchset is the server's word on the search.
pub(crate) fn is_outcome(entry: &Value) -> bool {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    medplum_client::is_outcome(text("/search/mode"), text("/resource/resourceType").unwrap_or_default())
}

/// What an answer to this is called.
pub(crate) fn asked(interaction: &Interaction) -> String {
    match (interaction, interaction.label().resource_type) {
        (Interaction::Search(_), Some(of)) => format!("the search of {of}"),
        (Interaction::Search(_), None) => "the search".to_owned(),
        _ => "this answer".to_owned(),
    }
}

/// Notes what the server says of what was asked. An outcome that says nothing is said too: it came, and is not shown.
pub(crate) fn note(asked: &str, outcome: &Value, notes: &mut Notes) {
    let issues = Outcome::new(200, Some(outcome)).issues;
    if issues.is_empty() {
        notes.add(format!("Medplum sent an outcome of {asked} with no issue in it."));
        return;
    }
    let said: Vec<String> = issues.iter().take(MOST_ISSUES).map(worded).collect();
    let more = match issues.len().saturating_sub(said.len()) {
        0 => String::new(),
        1 => "; and 1 more".to_owned(),
        n => format!("; and {n} more"),
    };
    let texts: Vec<&str> = issues.iter().map(|issue| issue.text.as_str()).collect();
    let flag = flags::note_of_error(&texts).map(|flag| format!(" {flag}")).unwrap_or_default();
    let note = format!("Medplum says of {asked}: {}{more}.{flag}", said.join("; "));
    match issues.iter().all(|issue| issue.severity == NEWS) {
        true => notes.add(note),
        // It may have found less, or something else, than was asked for.
        false => notes.missing(note),
    }
}

/// `warning, not-supported: "the text" (the elements)`
fn worded(issue: &Issue) -> String {
    let mut said = format!("{}, {}", shown::path(&issue.severity), shown::path(&issue.code));
    if !issue.text.is_empty() {
        said.push_str(&format!(": {}", shown::text(&issue.text, MOST_TEXT)));
    }
    if !issue.expression.is_empty() {
        let paths: Vec<String> = issue.expression.iter().take(MOST_ISSUES).map(|path| shown::path(path)).collect();
        said.push_str(&format!(" ({})", paths.join(", ")));
    }
    said
}
