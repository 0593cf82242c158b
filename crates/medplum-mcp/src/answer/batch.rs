//! What a batch brought, as one table: a row a resource, each with the place of its entry.

use serde_json::Value;

use super::Answer;
use super::fields::Fields;
use crate::answer::notes::Notes;
use crate::failure::{Failure, entry_path};
use crate::search::{entries, found, link, said};

/// The table. A search gives a row for each resource that it found; an entry without a resource gives none.
///
/// # Errors
/// [`Failure`] for a field that cannot be worked out.
pub fn table(reply: &Value, fields: &Fields) -> Result<Answer, Failure> {
    let mut rows = Vec::new();
    let (mut empty, mut notes) = (Vec::new(), Notes::default());
    for (index, entry) in entries(reply).iter().enumerate() {
        let Some(resource) = succeeded(entry).then(|| entry.get("resource")).flatten() else { continue };
        let place = entry_path(index);
        let outcomes = entries(resource).iter().filter(|entry| is_list(resource) && said::is_outcome(entry));
        outcomes.filter_map(|entry| entry.get("resource")).for_each(|outcome| said::note(&place, outcome, &mut notes));
        let before = rows.len();
        for resource in resources(resource) {
            let mut row = vec![Value::from(index)];
            row.extend(fields.row(resource)?);
            rows.push(row);
        }
        if rows.len() == before {
            empty.push(format!("[{index}]"));
        }
    }
    let columns = std::iter::once("entry".to_owned()).chain(fields.columns()).collect();
    let none = if empty.is_empty() { String::new() } else { format!("Nothing matches in {}.", empty.join(", ")) };
    Ok(Answer::table(columns, rows).note(none).notes(notes))
}

/// The searches of which more match than their page holds.
pub fn more_behind(reply: &Value) -> String {
    let cut = entries(reply).iter().enumerate().filter_map(|(index, entry)| {
        let page = entry.get("resource").filter(|page| is_list(page))?;
        link(page, "next").map(|_| format!("[{index}] ({} on its page)", found(page).count()))
    });
    let cut: Vec<String> = cut.collect();
    match cut.as_slice() {
        [] => String::new(),
        cut => format!(
            "More match in {}: raise _count there (at most 1000), or ask for it outside the batch, where a cursor goes on.",
            cut.join(", ")
        ),
    }
}

fn succeeded(entry: &Value) -> bool {
    entry.pointer("/response/status").and_then(Value::as_str).is_some_and(|status| status.starts_with(['2', '3']))
}

/// Whether it is a list of resources that were found, and no resource of its own.
fn is_list(resource: &Value) -> bool {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    text("resourceType") == Some("Bundle") && text("type").is_some_and(|of| ["searchset", "history"].contains(&of))
}

fn resources(resource: &Value) -> Vec<&Value> {
    if is_list(resource) { found(resource).filter_map(|entry| entry.get("resource")).collect() } else { vec![resource] }
}
