//! The searches that are no search tool's: a raw request's, a `$csv`, the entries of a batch, the fields of a GraphQL
//! document. They are looked at before they leave and compared after, like any other.

use std::borrow::Cow;

use fhir_definitions::Definitions;
use fhir_definitions::search::{EmptyPart, Rewritten, asks_for_nothing, fault_of_one};
use medplum_client::{
    BatchEntry, GraphQl, Interaction, Level, Operation, Query, ResourceType, Search as MedplumSearch,
};
use serde_json::Value;

use super::{dropped, entries, link, looked_at, nothing_searched, obeyed, thrown_away};
use crate::context::Context;
use crate::failure::{Failure, entry_path};

/// Names the types of a search of several.
const TYPES: &str = "_type";

/// Looks at the searches of an interaction as at any other, be it a search itself, a `$csv` or a batch with such entries.
/// What was put right is sent so.
///
/// # Errors
/// [`Failure`] with every fault of their parameters; and whatever closes the interaction itself. Nothing was sent of it.
pub(crate) async fn look_at<'a>(
    cx: &Context<'_>,
    interaction: &'a Interaction,
) -> Result<Cow<'a, Interaction>, Failure> {
    match interaction {
        Interaction::Batch(batch) if batch.entries().iter().any(|entry| searched(&entry.interaction).is_some()) => {
            closed(cx, interaction)?;
            let mut batch = batch.clone();
            for (index, entry) in batch.entries_mut().iter_mut().enumerate() {
                let looked = put_right(cx, &entry.interaction).await;
                if let Some(looked) = looked.map_err(|failure| failure.in_entry(Some(index)))? {
                    entry.interaction = looked;
                }
            }
            Ok(Cow::Owned(Interaction::Batch(batch)))
        }
        _ if searched(interaction).is_some() => {
            closed(cx, interaction)?;
            Ok(put_right(cx, interaction).await?.map_or(Cow::Borrowed(interaction), Cow::Owned))
        }
        _ => Ok(Cow::Borrowed(interaction)),
    }
}

/// A search as it is sent, by what its parameters mean for each of its types. None for what is no search, or one of types
/// that are not known here: a newer server may have more, and they are for it to judge.
async fn put_right(cx: &Context<'_>, interaction: &Interaction) -> Result<Option<Interaction>, Failure> {
    let Some((types, query)) = searched(interaction) else { return Ok(None) };
    let mut found: Option<Rewritten> = None;
    for of in types.iter().filter(|of| Definitions::get().is_resource_type(of.as_str())) {
        let looked = looked_at(cx, of, &query).await.map_err(nothing_searched)?;
        match &found {
            Some(found) if found.params != looked.params => {
                return Err(Failure::teach(format!(
                    "{} is not asked in the same words for each of these types. Search them one by one. Nothing was searched.",
                    query.encode()
                )));
            }
            Some(_) => {}
            None => found = Some(looked),
        }
    }
    let Some(found) = found else { return Ok(None) };
    found.notes.into_iter().for_each(|note| cx.note(note));
    Ok(Some(asking(interaction.clone(), found.params.into_iter().collect())))
}

/// What is closed anyway says so, before anything is said of its parameters.
fn closed(cx: &Context<'_>, interaction: &Interaction) -> Result<(), Failure> {
    cx.limits().toolsets.admit(interaction)?;
    cx.may_send(interaction)
}

/// The types that are searched and the parameters: of a search, of one type or of those that `_type` names, and of a `$csv`,
/// which is a search.
fn searched(interaction: &Interaction) -> Option<(Vec<ResourceType>, Query)> {
    match interaction {
        Interaction::Search(MedplumSearch { resource_type: Some(of), query, .. }) => {
            Some((vec![of.clone()], query.clone()))
        }
        Interaction::Search(MedplumSearch { resource_type: None, query, .. }) => {
            let named = query.iter().filter(|(key, _)| *key == TYPES).flat_map(|(_, types)| types.split(','));
            let types = named.filter_map(|of| ResourceType::parse(of.trim()).ok()).collect();
            Some((types, query.clone().without(TYPES)))
        }
        Interaction::Operation(Operation { level: Level::Type(of), name, query, .. }) if name.as_str() == "csv" => {
            Some((vec![of.clone()], query.clone()))
        }
        _ => None,
    }
}

/// The same search with these parameters.
fn asking(mut interaction: Interaction, parameters: Query) -> Interaction {
    match &mut interaction {
        Interaction::Search(search) => {
            let types = search.query.iter().filter(|(key, _)| *key == TYPES && search.resource_type.is_none());
            search.query = types
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .chain(parameters.iter().map(|(key, value)| (key.to_owned(), value.to_owned())))
                .collect();
        }
        Interaction::Operation(operation) => operation.query = parameters,
        _ => {}
    }
    interaction
}

/// The first filter of a document that asks for something else than it means.
fn fault_in(document: &GraphQl) -> Option<Failure> {
    document.selected().iter().find_map(|field| {
        let info = field.leads_to()?.ok()?;
        let fault = field.filters().iter().find_map(|(name, value)| fault_of_one(info, name, value))?;
        Some(Failure::not_sent(format!("{}: {fault}", field.name)))
    })
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
        Interaction::GraphQl(document) => match document.empty_filter() {
            Some(name) => Some((name, None)),
            None => return fault_in(document).map_or(Ok(()), Err),
        },
        Interaction::Batch(batch) => {
            let refuse = |(index, entry): (usize, &BatchEntry)| {
                refuse_empty(&entry.interaction).map_err(|failure| failure.in_entry(Some(index)))
            };
            return batch.entries().iter().enumerate().try_for_each(refuse);
        }
        _ => None,
    };
    match empty {
        Some((name, None | Some(EmptyPart::Whole))) => Err(Failure::teach(format!(
            "{name} has no value: Medplum would answer for everyone. Give it one, or leave it out. Nothing was sent."
        ))),
        Some((name, Some(part))) => Err(Failure::teach(format!("{name} {part}. Nothing was sent."))),
        None => Ok(()),
    }
}

/// The first parameter that asks for nothing.
fn without_value(query: &Query) -> Option<(String, Option<EmptyPart>)> {
    query.iter().find_map(|(key, value)| Some((key.to_owned(), Some(asks_for_nothing(key, value)?))))
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
