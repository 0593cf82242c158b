//! What is said of parameters that Medplum does not look at where it reads one resource: it answers with all of it, whatever
//! was asked for.

use medplum_client::{Interaction, Query, ResourceId, ResourceType};
use serde_json::{Value, json};

use crate::answer::lean::is_subsetted;
use crate::failure::entry_path;
use crate::search::entries;
use crate::shown;

/// Parameters that say what of a resource comes.
const SHAPES: [&str; 3] = ["_elements", "_fields", "_summary"];
/// Parameters that change nothing here: JSON is all that is asked for.
const FORMS: [&str; 2] = ["_format", "_pretty"];
/// The longest list of elements that is repeated.
const MOST_ELEMENTS: usize = 200;

/// A sentence on each parameter of a read, alone or in a batch, that was not looked at; empty where there is none.
pub(crate) fn note(interaction: &Interaction, reply: &Value) -> String {
    match interaction {
        Interaction::Read { resource_type, .. } if resource_type.as_str() == "Binary" => String::new(),
        Interaction::Read { resource_type, id, query } => {
            let read = Read { of: resource_type, id, query };
            let notes = [read.shape(reply), read.filters()];
            notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(" ")
        }
        Interaction::History { query, .. } => match names(query, |name| SHAPES.contains(&name)).as_str() {
            "" => String::new(),
            names => format!(
                "Medplum does not look at {names} in a history: every version is here whole. Parts of one: read_resource with <id>/_history/<version> and fields."
            ),
        },
        Interaction::Batch(batch) => {
            let answers = batch.entries().iter().zip(entries(reply)).enumerate();
            let notes = answers.filter_map(|(index, (entry, answer))| {
                let note = note(&entry.interaction, answer.get("resource")?);
                (!note.is_empty()).then(|| format!("{}: {note}", entry_path(index)))
            });
            notes.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A read of one resource.
struct Read<'a> {
    of: &'a ResourceType,
    id: &'a ResourceId,
    query: &'a Query,
}

impl Read<'_> {
    /// What was to leave something out of it, and did not.
    fn shape(&self, resource: &Value) -> String {
        let names = names(self.query, |name| SHAPES.contains(&name));
        let tags = resource.pointer("/meta/tag").and_then(Value::as_array);
        // A server that looks at them says so.
        if names.is_empty() || tags.is_some_and(|tags| tags.iter().any(is_subsetted)) {
            return String::new();
        }
        let listed = ["_fields", "_elements"].iter().find_map(|name| self.query.get(name));
        let fields: Vec<&str> = match listed.filter(|listed| listed.len() <= MOST_ELEMENTS) {
            Some(listed) => listed.split(',').map(str::trim).collect(),
            None => vec!["…"],
        };
        let call = json!({"resource_type": self.of.as_str(), "resource_id": self.id.as_str(), "fields": fields});
        format!(
            "Medplum does not look at {names} in a read: the resource is here whole. Parts of it: read_resource {call}"
        )
    }

    /// What was to decide whether it is there at all, and did not.
    fn filters(&self) -> String {
        match names(self.query, |name| !SHAPES.contains(&name) && !FORMS.contains(&name)).as_str() {
            "" => String::new(),
            names => format!(
                "Medplum does not look at {names} in a read: the resource is here whatever it says. A search does: {}?_id={}&…",
                self.of, self.id
            ),
        }
    }
}

/// The names of the parameters that are meant.
fn names(query: &Query, meant: impl Fn(&str) -> bool) -> String {
    let names = query.iter().map(|(name, _)| name).filter(|name| meant(name));
    names.take(5).map(shown::path).collect::<Vec<_>>().join(", ")
}
