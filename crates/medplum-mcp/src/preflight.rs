//! What a write would do, looked at before it leaves: Medplum checks neither codes nor references, does not say who
//! refers to what is deleted, and carries a transaction out in part where its project lacks the feature.
//!
//! It stands behind [`Context::send`](crate::context::Context::send), so that no tool can go around it: a raw request
//! and a bundle's entry are looked at like a create.

mod patch;
mod references;

use std::collections::BTreeSet;

use fhir_definitions::references::reference_to;
use fhir_definitions::validate::{Fault, FaultKind, Report, list, validate};
use futures_util::{StreamExt, TryStreamExt, stream};
use medplum_client::{Batch, Interaction, Query, ResourceId, ResourceType};
use serde_json::Value;

use self::patch::{bound_to_version, patched};
use crate::context::{Allowed, Context, Stored};
use crate::failure::{Failure, entry_path};
use crate::referrers::{self, Referrers};
use crate::search::Search;
use crate::settings::ALLOWED_TYPES;
use crate::transactions;
use crate::writeback::{left_out, merge, removed};

/// What was found out about an interaction before it leaves.
pub(crate) struct Looked {
    /// What is to be sent: a patch bound to the version that it was looked at with, an update with what the lean view
    /// hid put back.
    pub(crate) interaction: Interaction,
    /// What it changes of what is stored.
    pub(crate) changes: Vec<Change>,
    /// Who refers to what it deletes.
    pub(crate) referrers: Vec<Referrers>,
}

/// What a write does to one resource.
pub(crate) struct Change {
    /// Where it stands in a bundle.
    pub(crate) entry: Option<usize>,
    /// The resource as it is stored; none if it is new, or cannot be read.
    pub(crate) stored: Option<Value>,
    /// The resource as it will be; none if it is deleted.
    pub(crate) then: Option<Value>,
    /// The elements that go because an update does not pass them.
    pub(crate) gone: Vec<String>,
}

impl Change {
    fn new(entry: Option<usize>, stored: Option<Value>, then: Option<Value>) -> Self {
        Self { entry, stored, then, gone: Vec::new() }
    }
}

/// Looks at everything that an interaction would store or delete.
///
/// # Errors
/// [`Failure`] that lists every fault, and nothing was sent.
pub(crate) async fn look(cx: &Context<'_>, interaction: &Interaction, allowed: Allowed) -> Result<Looked, Failure> {
    let mut changes = Vec::new();
    let instead = collect(cx, interaction, None, allowed, &mut changes).await?;
    let given = interaction;
    let interaction = instead.unwrap_or_else(|| interaction.clone());
    let missing = if allowed.dangling { BTreeSet::new() } else { references::missing(cx, &changes).await? };
    let mut refused = Vec::new();
    for change in &changes {
        let mut faults = references::misread(cx, change).await;
        faults.extend(references::leading_nowhere(change, &missing));
        refused.extend(judge(cx, change, faults));
    }
    if !refused.is_empty() {
        return Err(Failure::teach(format!("{}\nNothing was sent.", refused.join("\n"))));
    }
    refuse_unversioned(given, &changes)?;
    for change in changes.iter().filter(|change| !change.gone.is_empty()) {
        tell_what_goes(cx, change, allowed)?;
    }
    if let Interaction::Batch(batch) = &interaction
        && !allowed.partial
    {
        transactions::all_or_none(cx, batch).await?;
    }
    let referrers = referrers::of_deleted(cx, &interaction, allowed.referred).await?;
    Ok(Looked { interaction, changes, referrers })
}

/// Medplum heeds no version on a DELETE: what was looked at is compared with what is there once more, right before it goes.
///
/// # Errors
/// [`Failure`] if somebody changed or deleted it in between, or if that cannot be found out; nothing was sent.
pub(crate) async fn still_as_looked_at(cx: &Context<'_>, looked: &[Looked]) -> Result<(), Failure> {
    let deleted: Vec<_> = looked.iter().flat_map(deletions).map(|deletion| unchanged(cx, deletion)).collect();
    stream::iter(deleted).buffered(AT_ONCE).try_collect().await
}

/// So many resources are looked at once more at a time.
const AT_ONCE: usize = 8;

type Deletion<'a> = (Option<usize>, &'a ResourceType, &'a ResourceId, &'a Value);

/// What is deleted of what was looked at, and where in a bundle.
fn deletions(looked: &Looked) -> impl Iterator<Item = Deletion<'_>> {
    looked.changes.iter().filter_map(|change| {
        let interaction = match (&looked.interaction, change.entry) {
            (Interaction::Batch(batch), Some(index)) => &batch.entries().get(index)?.interaction,
            (one, _) => one,
        };
        match interaction {
            Interaction::Delete { resource_type, id } => {
                Some((change.entry, resource_type, id, change.stored.as_ref()?))
            }
            _ => None,
        }
    })
}

async fn unchanged(cx: &Context<'_>, (entry, resource_type, id, stored): Deletion<'_>) -> Result<(), Failure> {
    let became = match cx.look_up_now(resource_type, id).await? {
        Stored::There(now) if version_of(&now) == version_of(stored) => return Ok(()),
        Stored::There(_) => "was changed",
        Stored::Unreadable => "cannot be read any more",
        Stored::Unknown | Stored::Deleted => "was deleted",
    };
    let failure = Failure::teach(format!(
        "{resource_type}/{id} {became} after it was looked at for this deletion. Nothing was sent. Read it again before you delete it."
    ));
    Err(failure.in_entry(entry))
}

/// Takes down what an interaction changes; what is sent in its place, if it is not sent as it is.
async fn collect(
    cx: &Context<'_>,
    interaction: &Interaction,
    entry: Option<usize>,
    allowed: Allowed,
    changes: &mut Vec<Change>,
) -> Result<Option<Interaction>, Failure> {
    match interaction {
        Interaction::Create { resource_type, resource, if_none_exist } => {
            changes.push(Change::new(entry, None, Some(resource.clone())));
            match if_none_exist {
                Some(condition) => created_once(cx, resource_type, resource, condition).await.map(Some),
                None => Ok(None),
            }
        }
        Interaction::Update { resource_type, id, resource, if_match } => {
            let (change, if_match) = updated(cx, (resource_type, id), resource, if_match.as_ref(), allowed).await?;
            let resource = change.then.clone().unwrap_or_default();
            changes.push(Change { entry, ..change });
            Ok(Some(Interaction::Update { resource_type: resource_type.clone(), id: id.clone(), resource, if_match }))
        }
        Interaction::Patch { resource_type, id, patch } => {
            let Some(stored) = to_be_patched(cx, resource_type, id).await? else { return Ok(None) };
            let resource = patched(cx, &stored, patch)?;
            adds_nothing_closed(cx, &resource, &stored)?;
            let patch = bound_to_version(&stored, patch);
            changes.push(Change::new(entry, Some(stored), Some(resource)));
            Ok(Some(Interaction::Patch { resource_type: resource_type.clone(), id: id.clone(), patch }))
        }
        Interaction::Delete { resource_type, id } => {
            let stored = cx.stored(resource_type, id).await?;
            changes.push(Change::new(entry, stored, None));
            Ok(None)
        }
        Interaction::Batch(batch) => collect_batch(cx, batch, allowed, changes).await.map(Some),
        other => cannot_be_looked_at(other).map_or(Ok(None), |why| Err(Failure::teach(why))),
    }
}

/// What an update changes, and the version that it is bound to.
async fn updated(
    cx: &Context<'_>,
    (resource_type, id): (&ResourceType, &ResourceId),
    given: &Value,
    if_match: Option<&ResourceId>,
    allowed: Allowed,
) -> Result<(Change, Option<ResourceId>), Failure> {
    let found = cx.look_up(resource_type, id).await?;
    let again = matches!(found, Stored::Deleted);
    let stored = found.there();
    let resource = put_back(cx, given.clone(), stored.as_ref())?;
    // Whatever says which version this is about: the caller, the resource, or what was just looked at. It is Medplum's to
    // compare where that could not be looked at.
    let version = if_match.cloned().or_else(|| version_of(&resource));
    let if_match = match again {
        false => version.or_else(|| stored.as_ref().and_then(version_of)),
        true if allowed.overwriting => {
            cx.note(format!("{resource_type}/{id} was deleted; it is stored again."));
            None
        }
        true => return Err(deleted(resource_type, id, version.as_ref())),
    };
    let gone = stored.as_ref().map(|stored| removed(&resource, &cx.shown(stored))).unwrap_or_default();
    Ok((Change { gone, ..Change::new(None, stored, Some(resource)) }, if_match))
}

/// The resource that a patch changes; none where there is none, which Medplum says.
async fn to_be_patched(
    cx: &Context<'_>,
    resource_type: &ResourceType,
    id: &ResourceId,
) -> Result<Option<Value>, Failure> {
    match cx.look_up(resource_type, id).await? {
        Stored::There(stored) => Ok(Some(stored)),
        Stored::Unknown | Stored::Deleted => Ok(None),
        Stored::Unreadable => Err(Failure::teach(format!(
            "{resource_type}/{id} cannot be read here, so what a patch would make of it cannot be looked at before it is sent. Nothing was sent."
        ))),
    }
}

async fn collect_batch(
    cx: &Context<'_>,
    batch: &Batch,
    allowed: Allowed,
    changes: &mut Vec<Change>,
) -> Result<Interaction, Failure> {
    let mut batch = batch.clone();
    for (index, entry) in batch.entries_mut().iter_mut().enumerate() {
        let instead = Box::pin(collect(cx, &entry.interaction, Some(index), allowed, changes)).await;
        if let Some(instead) = instead.map_err(|failure| failure.in_entry(Some(index)))? {
            entry.interaction = instead;
        }
    }
    Ok(Interaction::Batch(batch))
}

/// A condition is a search: a filter that Medplum dropped would find somebody else.
async fn created_once(
    cx: &Context<'_>,
    resource_type: &ResourceType,
    resource: &Value,
    condition: &Query,
) -> Result<Interaction, Failure> {
    let search = Search::new(cx, resource_type.clone(), condition.clone()).await;
    let search = search.map_err(|failure| failure.at("if_none_exist"))?;
    Ok(Interaction::create(resource.clone(), Some(search.query()))?)
}

/// Why something that acts is not sent at all.
fn cannot_be_looked_at(interaction: &Interaction) -> Option<String> {
    match interaction {
        Interaction::GraphQl(document) if !document.effect().is_read() => Some(
            "GraphQL is for reading: what a mutation changes cannot be looked at beforehand. Use create_resource, update_resource, patch_resource or delete_resource; execute_batch for several at once. Nothing was sent.".to_owned(),
        ),
        Interaction::Raw(raw) if raw.writes_resources() => Some(format!(
            "this form of {} cannot be looked at before it is sent (a condition or query in the URL, a patch that is no JSON Patch, or a path that is no resource's). Find the resource by a search and write it by its id. A new one is created once with create_resource_if_none_exist. Nothing was sent.",
            raw.method().as_str()
        )),
        _ => None,
    }
}

/// What replaces a resource says which version was read, on every way.
fn refuse_unversioned(interaction: &Interaction, changes: &[Change]) -> Result<(), Failure> {
    let check = |interaction: &Interaction, entry: Option<usize>| {
        let Interaction::Update { resource_type, id, resource, if_match: None } = interaction else { return Ok(()) };
        let change = changes.iter().find(|change| change.entry == entry);
        if version_of(resource).is_some() || change.is_none_or(|change| change.stored.is_none()) {
            return Ok(());
        }
        let failure = Failure::teach(format!(
            "pass meta.versionId of the version of {resource_type}/{id} that you read, so that nobody's change is lost; to replace whatever is there, use update_resource with overwrite: true. Nothing was sent."
        ));
        Err(failure.in_entry(entry))
    };
    match interaction {
        Interaction::Batch(batch) => {
            let mut entries = batch.entries().iter().enumerate().filter(|(_, entry)| !entry.has_version());
            entries.try_for_each(|(index, entry)| check(&entry.interaction, Some(index)))
        }
        other => check(other, None),
    }
}

/// Why what was deleted is not updated: that would bring it back.
pub(crate) fn deleted(resource_type: &ResourceType, id: &ResourceId, read: Option<&ResourceId>) -> Failure {
    let after = read.map(|version| format!(" after the version that you read ({version})")).unwrap_or_default();
    Failure::teach(format!(
        "{resource_type}/{id} was deleted{after}. Nothing was written. update_resource with overwrite: true stores it again, under its id."
    ))
}

/// An update that passes a part takes the rest away. Where that is most of it, it was hardly meant.
fn tell_what_goes(cx: &Context<'_>, change: &Change, allowed: Allowed) -> Result<(), Failure> {
    let Change { entry, stored: Some(stored), then: Some(then), gone } = change else { return Ok(()) };
    let name = reference_to(then).unwrap_or_default();
    let elements = gone.join(", ");
    // Its type, id and meta it keeps in any case.
    let kept = then.as_object().map_or(0, |then| then.len().saturating_sub(3));
    if gone.len() > kept && !allowed.overwriting {
        let failure = Failure::teach(format!(
            "this would remove {elements} of {name}: an update replaces the whole resource. Pass them too, or change a part with patch_resource; update_resource with overwrite: true removes them. Nothing was sent."
        ));
        return Err(failure.in_entry(*entry));
    }
    let (for_it, it) = if gone.len() == 1 { ("it was", "it") } else { ("they were", "them") };
    let before = version_of(stored).map(|version| format!(" The version before, {version}, has {it}."));
    let before = before.unwrap_or_default();
    let at = entry.map(|index| format!("{}: ", entry_path(index))).unwrap_or_default();
    cx.note(format!("{at}Removed from {name}, for {for_it} not passed: {elements}.{before}"));
    Ok(())
}

/// The version that a resource says it is.
pub(crate) fn version_of(resource: &Value) -> Option<ResourceId> {
    resource.pointer("/meta/versionId").and_then(Value::as_str).and_then(|version| ResourceId::parse(version).ok())
}

/// What the lean view hid from whoever sends this.
fn put_back(cx: &Context<'_>, given: Value, stored: Option<&Value>) -> Result<Value, Failure> {
    let stored = stored.unwrap_or(&Value::Null);
    let merged = merge(given, stored, &cx.shown(stored))?;
    adds_nothing_closed(cx, &merged.resource, stored)?;
    merged.notes.into_iter().for_each(|note| cx.note(note));
    Ok(merged.resource)
}

/// No resource of a closed type comes to stand inside of another.
fn adds_nothing_closed(cx: &Context<'_>, resource: &Value, stored: &Value) -> Result<(), Failure> {
    match cx.adds_closed(resource, stored) {
        Some(of) => Err(Failure::teach(format!(
            "{of} is closed (a resource inside): the operator does not allow it ({ALLOWED_TYPES}). Nothing was sent."
        ))),
        None => Ok(()),
    }
}

/// What is wrong with one resource; what was wrong with it before is only noted.
fn judge(cx: &Context<'_>, change: &Change, of_references: Vec<Fault>) -> Option<String> {
    let resource = change.then.as_ref()?;
    let mut report: Report = validate(resource);
    if let Some(stored) = &change.stored {
        report = report.beside_stored(stored);
    }
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or("The resource");
    let at = change.entry.map(|index| format!("{} ", entry_path(index))).unwrap_or_default();
    if !report.warnings.is_empty() {
        let warnings: Vec<String> = report.warnings.iter().take(10).map(Fault::to_string).collect();
        cx.note(format!("Better put right, in {at}{name}: {}", warnings.join(" ")));
    }
    if !report.known.is_empty() {
        // What is stored was written by somebody else: it is named, and not repeated.
        let paths: Vec<&str> = report.known.iter().take(10).map(|fault| fault.path.as_str()).collect();
        cx.note(format!("Wrong already before this change, in {at}{name}: {}.", paths.join(", ")));
    }
    report.faults.extend(left_out(resource).map(|(path, what)| Fault {
        path,
        kind: FaultKind::Format,
        message: format!("is a placeholder for {what} that was left out, and is never stored."),
    }));
    report.faults.extend(of_references);
    if report.is_sound() { None } else { Some(list(&format!("{at}{name} was not sent."), &report.faults)) }
}
