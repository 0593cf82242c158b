//! The references that a write adds, and whether they lead anywhere: Medplum does not look.

use std::collections::{BTreeMap, BTreeSet};

use fhir_definitions::Definitions;
use fhir_definitions::references::{
    ConditionalReference, LocalReference, added_references, conditional_references, local_references,
};
use fhir_definitions::validate::{Fault, FaultKind};
use medplum_client::{Batch, Interaction, Query, ResourceId, ResourceType};
use serde_json::Value;

use super::Change;
use crate::context::Context;
use crate::failure::Failure;
use crate::search::{entries, looked_at};

/// At most so many ids in one search.
const IDS_PER_SEARCH: usize = 100;

/// The references of a write by a search that does not say whom they mean: Medplum drops a modifier that it does not know,
/// and takes an empty value for no filter. A search that would be put right is refused too, for the reference is the
/// caller's.
pub(super) async fn misread(cx: &Context<'_>, change: &Change) -> Vec<Fault> {
    let mut faults = Vec::new();
    let known =
        |reference: &ConditionalReference| Definitions::get().is_resource_type(reference.resource_type.as_str());
    let searched = change.then.as_ref().map(conditional_references).unwrap_or_default();
    for reference in searched.into_iter().filter(known) {
        let message = match Query::parse(&reference.query) {
            Ok(query) => means_another(cx, &reference.resource_type, &query).await,
            Err(error) => Some(error.to_string()),
        };
        let fault = |message| Fault { path: reference.path.clone(), kind: FaultKind::Reference, message };
        faults.extend(message.map(fault));
    }
    faults
}

async fn means_another(cx: &Context<'_>, of: &ResourceType, query: &Query) -> Option<String> {
    match looked_at(cx, of, query).await {
        Ok(looked) => {
            let meant: Query = looked.params.into_iter().collect();
            let written: Vec<String> = meant.iter().map(|(key, value)| format!("{key}={value}")).collect();
            (meant != *query).then(|| format!("means another in these words: write {of}?{}.", written.join("&")))
        }
        Err(faults) => Some(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    }
}

/// The references of a write that lead to what is missing.
pub(super) fn leading_nowhere(change: &Change, missing: &BTreeSet<LocalReference>) -> impl Iterator<Item = Fault> {
    let is_missing = |reference: &LocalReference| missing.iter().any(|missing| same(missing, reference));
    added(change).into_iter().filter(is_missing).map(leads_nowhere)
}

fn leads_nowhere(reference: LocalReference) -> Fault {
    let message = format!(
        "{}/{} does not exist in this project, or is not visible. Find it by identifier first, or pass check_references: false.",
        reference.resource_type, reference.id
    );
    Fault { path: reference.path, kind: FaultKind::Reference, message }
}

fn same(a: &LocalReference, b: &LocalReference) -> bool {
    a.resource_type == b.resource_type && a.id == b.id
}

/// The references that a write adds.
fn added(change: &Change) -> Vec<LocalReference> {
    match (&change.then, &change.stored) {
        (Some(resource), Some(stored)) => added_references(resource, stored),
        (Some(resource), None) => local_references(resource),
        (None, _) => Vec::new(),
    }
}

/// The references that lead nowhere, asked in one request: a search by `_id` a type, in a batch.
///
/// Only a type that answers is trusted: a Binary cannot be searched, and some types are forbidden or closed.
pub(super) async fn missing(cx: &Context<'_>, changes: &[Change]) -> Result<BTreeSet<LocalReference>, Failure> {
    let mut by_type: BTreeMap<ResourceType, BTreeSet<ResourceId>> = BTreeMap::new();
    let wanted: Vec<LocalReference> = changes.iter().flat_map(added).collect();
    for reference in &wanted {
        let of = reference.resource_type.as_str();
        if of != "Binary" && cx.may_read(of) {
            by_type.entry(reference.resource_type.clone()).or_default().insert(reference.id.clone());
        }
    }
    let searches: Vec<(ResourceType, Vec<ResourceId>)> = by_type
        .into_iter()
        .flat_map(|(t, ids)| {
            let ids: Vec<ResourceId> = ids.into_iter().collect();
            ids.chunks(IDS_PER_SEARCH).map(|chunk| (t.clone(), chunk.to_vec())).collect::<Vec<_>>()
        })
        .collect();
    if searches.is_empty() {
        return Ok(BTreeSet::new());
    }
    let batch = Batch::of(searches.iter().map(|(t, ids)| by_ids(t, ids)));
    let reply = cx.ask(&Interaction::Batch(batch)).await;
    let reply = reply.map_err(|failure| failure.of_look(|| "the search for what it refers to".to_owned()))?.into_json();
    let mut absent: BTreeSet<(ResourceType, ResourceId)> = BTreeSet::new();
    for ((t, ids), entry) in searches.iter().zip(entries(&reply)) {
        if entry.pointer("/response/status").and_then(Value::as_str).is_some_and(|status| status.starts_with("200")) {
            let found: BTreeSet<&str> = entries(entry.get("resource").unwrap_or(&Value::Null))
                .iter()
                .filter_map(|e| e.pointer("/resource/id")?.as_str())
                .collect();
            absent.extend(ids.iter().filter(|id| !found.contains(id.as_str())).map(|id| (t.clone(), id.clone())));
        }
    }
    Ok(wanted.into_iter().filter(|r| absent.contains(&(r.resource_type.clone(), r.id.clone()))).collect())
}

fn by_ids(resource_type: &ResourceType, ids: &[ResourceId]) -> Interaction {
    let list = ids.iter().map(ResourceId::as_str).collect::<Vec<_>>().join(",");
    let query = Query::new().with("_id", list).with("_fields", "id").with("_count", ids.len().to_string());
    Interaction::search(resource_type.clone(), query)
}
