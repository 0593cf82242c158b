//! The searches that are no search tool's: a raw request's, a `$csv`, the entries of a batch, the fields of a GraphQL
//! document. They are looked at before they leave and compared after, like any other.

use std::borrow::Cow;

use fhir_definitions::Definitions;
use medplum_client::{BatchEntry, Interaction, Level, Operation, Query, ResourceType};
use serde_json::Value;

use super::{Search, dropped, entries, link, obeyed, thrown_away};
use crate::context::Context;
use crate::failure::{Failure, entry_path};

/// Looks at the searches of an interaction as at any other, be it a search itself, a `$csv` or a batch with such entries.
/// What was put right is sent so.
///
/// # Errors
/// As [`Search::new`]; and whatever closes the interaction itself. Nothing was sent of it.
pub(crate) async fn look_at<'a>(
    cx: &Context<'_>,
    interaction: &'a Interaction,
) -> Result<Cow<'a, Interaction>, Failure> {
    if let Some((of, query)) = searched(interaction) {
        closed(cx, interaction)?;
        // A newer server may have more types, and a path that it alone knows is for it to judge.
        if !Definitions::get().is_resource_type(of.as_str()) {
            return Ok(Cow::Borrowed(interaction));
        }
        let search = Search::new(cx, of.clone(), query.clone()).await?;
        return Ok(Cow::Owned(asking(interaction.clone(), search.query)));
    }
    match interaction {
        Interaction::Batch(batch) if batch.entries().iter().any(|entry| searched(&entry.interaction).is_some()) => {
            closed(cx, interaction)?;
            let mut batch = batch.clone();
            for (index, entry) in batch.entries_mut().iter_mut().enumerate() {
                let Some((of, query)) = searched(&entry.interaction) else { continue };
                let search = Search::new(cx, of.clone(), query.clone()).await;
                let search = search.map_err(|failure| failure.in_entry(Some(index)))?;
                entry.interaction = asking(entry.interaction.clone(), search.query);
            }
            Ok(Cow::Owned(Interaction::Batch(batch)))
        }
        _ => Ok(Cow::Borrowed(interaction)),
    }
}

/// What is closed anyway says so, before anything is said of its parameters.
fn closed(cx: &Context<'_>, interaction: &Interaction) -> Result<(), Failure> {
    cx.limits().toolsets.admit(interaction)?;
    cx.may_send(interaction)
}

/// The type that is searched and the parameters: of a search of one type, and of a `$csv`, which is one.
fn searched(interaction: &Interaction) -> Option<(&ResourceType, &Query)> {
    match interaction {
        Interaction::Search(search) => Some((search.resource_type.as_ref()?, &search.query)),
        Interaction::Operation(Operation { level: Level::Type(of), name, query, .. }) if name.as_str() == "csv" => {
            Some((of, query))
        }
        _ => None,
    }
}

/// The same search with these parameters.
fn asking(mut interaction: Interaction, parameters: Query) -> Interaction {
    match &mut interaction {
        Interaction::Search(search) => search.query = parameters,
        Interaction::Operation(operation) => operation.query = parameters,
        _ => {}
    }
    interaction
}

/// Refuses a search, be it a `$csv`, an entry of a batch or a field of a GraphQL document, one of whose filters has no value:
/// Medplum would take it for no filter, and answer for everyone.
///
/// # Errors
/// [`Failure`] that names it.
pub(crate) fn refuse_empty(interaction: &Interaction) -> Result<(), Failure> {
    let empty = match interaction {
        Interaction::Search(search) => without_value(&search.query),
        Interaction::Operation(operation) if operation.name.as_str() == "csv" => without_value(&operation.query),
        Interaction::GraphQl(document) => document.empty_filter(),
        Interaction::Batch(batch) => {
            let refuse = |(index, entry): (usize, &BatchEntry)| {
                refuse_empty(&entry.interaction).map_err(|failure| failure.in_entry(Some(index)))
            };
            return batch.entries().iter().enumerate().try_for_each(refuse);
        }
        _ => None,
    };
    match empty {
        Some(name) => Err(Failure::teach(format!(
            "{name} has no value: Medplum would answer for everyone. Give it one, or leave it out. Nothing was sent."
        ))),
        None => Ok(()),
    }
}

fn without_value(query: &Query) -> Option<String> {
    query.iter().find(|(_, value)| value.trim().is_empty()).map(|(key, _)| key.to_owned())
}

/// Compares the searches of an interaction, alone or in a batch, with what the server says that it did.
///
/// # Errors
/// [`Failure`] if one was carried out as another: that is no answer. Where something was written beside it, it is said
/// instead.
pub(crate) fn compare(cx: &Context<'_>, interaction: &Interaction, reply: &Value) -> Result<(), Failure> {
    match interaction {
        Interaction::Search(search) => obeyed(&search.query, link(reply, "self")),
        Interaction::Batch(batch) => {
            let acts = !interaction.effect().is_read();
            for (index, (entry, answer)) in batch.entries().iter().zip(entries(reply)).enumerate() {
                let (Interaction::Search(search), Some(page)) = (&entry.interaction, answer.get("resource")) else {
                    continue;
                };
                let Some(dropped) = dropped(&search.query, link(page, "self")) else { continue };
                if !acts {
                    return Err(thrown_away(&dropped).in_entry(Some(index)));
                }
                cx.missing(format!("{}: {dropped} Its result answers another question.", entry_path(index)));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
