//! What a write would do, looked at before it leaves: Medplum checks neither codes nor references, does not say who
//! refers to what is deleted, and carries a transaction out in part where its project lacks the feature.
//!
//! It stands behind [`Context::send`](crate::context::Context::send), so that no tool can go around it: a raw request
//! and a bundle's entry are looked at like a create.

use std::collections::{BTreeMap, BTreeSet};

use fhir_definitions::references::{LocalReference, added_references, local_references};
use fhir_definitions::validate::{Fault, FaultKind, Report, list, validate};
use medplum_client::{Batch, Interaction, JsonPatch, Query, ResourceId, ResourceType};
use serde_json::{Value, json};

use crate::context::{Allowed, Context};
use crate::failure::Failure;
use crate::referrers::{self, Referrers};
use crate::search::Search;
use crate::settings::ALLOWED_TYPES;
use crate::transactions;
use crate::unseen::Unseen;
use crate::writeback::{hides, left_out, merge, removed};

/// Medplum takes no larger body.
const LARGEST_RESOURCE: usize = 1_000_000;
/// At most so many ids in one search.
const IDS_PER_SEARCH: usize = 100;

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
    let instead = collect(cx, interaction, None, &mut changes).await?;
    let given = interaction;
    let interaction = instead.unwrap_or_else(|| interaction.clone());
    let missing = if allowed.dangling { BTreeSet::new() } else { missing(cx, &changes).await? };
    let refused: Vec<String> = changes.iter().filter_map(|change| judge(cx, change, &missing)).collect();
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

async fn collect(
    cx: &Context<'_>,
    interaction: &Interaction,
    entry: Option<usize>,
    changes: &mut Vec<Change>,
) -> Result<Option<Interaction>, Failure> {
    match interaction {
        Interaction::Create { resource_type, resource, if_none_exist } => {
            changes.push(Change::new(entry, None, Some(resource.clone())));
            if let Some(condition) = if_none_exist {
                // The condition is a search: a filter that Medplum dropped would find somebody else.
                let search = Search::new(cx, resource_type.clone(), condition.clone()).await;
                let search = search.map_err(|failure| failure.at("if_none_exist"))?;
                return Ok(Some(Interaction::create(resource.clone(), Some(search.query()))?));
            }
        }
        Interaction::Update { resource_type, id, resource, if_match } => {
            let stored = cx.stored(resource_type, id).await?;
            let at = entry.map(|entry| format!("bundle.entry[{entry}]"));
            let resource = put_back(cx, resource.clone(), stored.as_ref(), at)?;
            // Whatever says which version this is about: the caller, the resource, or what was just looked at.
            let version = version_of(&resource).or_else(|| stored.as_ref().and_then(version_of));
            let if_match = if_match.clone().or(version).filter(|_| stored.is_some());
            let gone = stored.as_ref().map(|stored| removed(&resource, &cx.shown(stored))).unwrap_or_default();
            changes.push(Change { gone, ..Change::new(entry, stored, Some(resource.clone())) });
            return Ok(Some(Interaction::Update {
                resource_type: resource_type.clone(),
                id: id.clone(),
                resource,
                if_match,
            }));
        }
        Interaction::Patch { resource_type, id, patch } => {
            let Some(stored) = cx.stored(resource_type, id).await? else {
                return Ok(None);
            };
            let resource = patched(cx, &stored, patch, entry)?;
            let at = entry.map(|entry| format!("bundle.entry[{entry}]"));
            adds_nothing_closed(cx, &resource, &stored).map_err(|failure| match &at {
                Some(at) => failure.at(at),
                None => failure,
            })?;
            let patch = bound_to_version(&stored, patch);
            changes.push(Change::new(entry, Some(stored), Some(resource)));
            return Ok(Some(Interaction::Patch { resource_type: resource_type.clone(), id: id.clone(), patch }));
        }
        Interaction::Delete { resource_type, id } => {
            let stored = cx.stored(resource_type, id).await?;
            changes.push(Change::new(entry, stored, None));
        }
        Interaction::GraphQl(document) if !document.effect().is_read() => {
            let at = entry.map(|entry| format!("bundle.entry[{entry}]: ")).unwrap_or_default();
            return Err(Failure::teach(format!(
                "{at}GraphQL is for reading: what a mutation changes cannot be looked at beforehand. Use create_resource, update_resource, patch_resource or delete_resource; execute_batch for several at once. Nothing was sent."
            )));
        }
        Interaction::Batch(batch) => return collect_batch(cx, batch, changes).await,
        Interaction::Raw(raw) if raw.writes_resources() => {
            let at = entry.map(|entry| format!("bundle.entry[{entry}]: ")).unwrap_or_default();
            return Err(Failure::teach(format!(
                "{at}this form of {} cannot be looked at before it is sent (a condition or query in the URL, a patch that is no JSON Patch, or a path that is no resource's). Find the resource by a search and write it by its id. A new one is created once with create_resource_if_none_exist. Nothing was sent.",
                raw.method().as_str()
            )));
        }
        _ => {}
    }
    Ok(None)
}

/// What replaces a resource says which version was read, on every way.
fn refuse_unversioned(interaction: &Interaction, changes: &[Change]) -> Result<(), Failure> {
    let check = |interaction: &Interaction, entry: Option<usize>| {
        let Interaction::Update { resource_type, id, resource, if_match: None } = interaction else { return Ok(()) };
        let change = changes.iter().find(|change| change.entry == entry);
        if version_of(resource).is_some() || change.is_none_or(|change| change.stored.is_none()) {
            return Ok(());
        }
        let at = entry.map(|entry| format!("bundle.entry[{entry}]: ")).unwrap_or_default();
        Err(Failure::teach(format!(
            "{at}pass meta.versionId of the version of {resource_type}/{id} that you read, so that nobody's change is lost; to replace whatever is there, use update_resource with overwrite: true. Nothing was sent."
        )))
    };
    match interaction {
        Interaction::Batch(batch) => {
            let mut entries = batch.entries().iter().enumerate().filter(|(_, entry)| !entry.has_version());
            entries.try_for_each(|(index, entry)| check(&entry.interaction, Some(index)))
        }
        other => check(other, None),
    }
}

/// An update that passes a part takes the rest away. Where that is most of it, it was hardly meant.
fn tell_what_goes(cx: &Context<'_>, change: &Change, allowed: Allowed) -> Result<(), Failure> {
    let Change { entry, stored: Some(stored), then: Some(then), gone } = change else { return Ok(()) };
    let name = named(then);
    let at = entry.map(|entry| format!("bundle.entry[{entry}]: ")).unwrap_or_default();
    let elements = gone.join(", ");
    // Its type, id and meta it keeps in any case.
    let kept = then.as_object().map_or(0, |then| then.len().saturating_sub(3));
    if gone.len() > kept && !allowed.removing {
        return Err(Failure::teach(format!(
            "{at}this would remove {elements} of {name}: an update replaces the whole resource. Pass them too, or change a part with patch_resource; update_resource with overwrite: true removes them. Nothing was sent."
        )));
    }
    let (for_it, it) = if gone.len() == 1 { ("it was", "it") } else { ("they were", "them") };
    let before = version_of(stored).map(|version| format!(" The version before, {version}, has {it}."));
    let before = before.unwrap_or_default();
    cx.note(format!("{at}Removed from {name}, for {for_it} not passed: {elements}.{before}"));
    Ok(())
}

/// `Patient/7f…`
fn named(resource: &Value) -> String {
    let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("resourceType"), text("id"))
}

/// The version that a resource says it is.
pub(crate) fn version_of(resource: &Value) -> Option<ResourceId> {
    resource.pointer("/meta/versionId").and_then(Value::as_str).and_then(|version| ResourceId::parse(version).ok())
}

/// What the lean view hid from whoever sends this.
fn put_back(cx: &Context<'_>, given: Value, stored: Option<&Value>, at: Option<String>) -> Result<Value, Failure> {
    let stored = stored.unwrap_or(&Value::Null);
    let merged = merge(given, stored, &cx.shown(stored));
    let merged = merged.and_then(|merged| adds_nothing_closed(cx, &merged.resource, stored).map(|()| merged));
    let merged = merged.map_err(|failure| match &at {
        Some(at) => failure.at(at),
        None => failure,
    })?;
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

async fn collect_batch(
    cx: &Context<'_>,
    batch: &Batch,
    changes: &mut Vec<Change>,
) -> Result<Option<Interaction>, Failure> {
    let mut batch = batch.clone();
    for (index, entry) in batch.entries_mut().iter_mut().enumerate() {
        if let Some(instead) = Box::pin(collect(cx, &entry.interaction, Some(index), changes)).await? {
            entry.interaction = instead;
        }
    }
    Ok(Some(Interaction::Batch(batch)))
}

/// The resource as the patch would leave it.
fn patched(cx: &Context<'_>, stored: &Value, patch: &JsonPatch, entry: Option<usize>) -> Result<Value, Failure> {
    let mut resource = stored.clone();
    let mut unseen = Unseen::of(stored, |value| cx.shown(value));
    for (index, operation) in patch.operations().iter().enumerate() {
        let at = entry.map(|entry| format!("bundle.entry[{entry}]: ")).unwrap_or_default();
        let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let refuse = |why: &str| {
            Failure::teach(format!(
                "{at}operations[{index}] ({} {}): {why} Nothing was sent.",
                text("op"),
                text("path")
            ))
        };
        if text("path").is_empty() && text("op") != "test" {
            return Err(refuse("a patch of the whole resource is an update: use update_resource."));
        }
        if text("path").starts_with("/meta/versionId") && text("op") != "test" {
            return Err(refuse("Medplum gives the version itself. Pass the one that was read as version_id."));
        }
        match text("op") {
            "copy" | "move" if is_left_out(cx, &resource, text("from")) => {
                return Err(refuse("it would copy a secret or what is left out for you, which is never done."));
            }
            "test" if is_left_out(cx, &resource, text("path")) => {
                return Err(refuse("it would tell of a secret or of what is left out for you."));
            }
            _ => {}
        }
        let one: json_patch::Patch = serde_json::from_value(json!([operation])).map_err(|_| {
            Failure::teach(format!("{at}operations[{index}] is no JSON Patch operation. Nothing was sent."))
        })?;
        if json_patch::patch(&mut resource, &one).is_err() {
            let why = match text("op") {
                "test" => "the stored value is another. Read the resource again",
                "add" => {
                    "there is nothing to add it to. A list that is not there is added whole, such as {\"op\":\"add\",\"path\":\"/telecom\",\"value\":[…]}"
                }
                _ => "the stored resource has nothing there. Use add for what is new",
            };
            return Err(Failure::teach(format!(
                "{at}operations[{index}] ({} {}) does not fit: {why}. Nothing was sent.",
                text("op"),
                text("path")
            )));
        }
        if text("op") != "test" && unseen.comes_to_light(&one, |value| cx.shown(value)) {
            return Err(refuse(
                "it changes what marks a secret, or what is left out for you, and would show it. Remove the whole element by its path, or leave it as it is.",
            ));
        }
        // Copies of copies double each time.
        if resource.to_string().len() > LARGEST_RESOURCE {
            return Err(refuse("the resource would be larger than the 1 MB that Medplum takes."));
        }
    }
    Ok(resource)
}

/// Whether what stands there is, holds or lies in what the agent cannot see.
fn is_left_out(cx: &Context<'_>, resource: &Value, at: &str) -> bool {
    let shown = cx.shown(resource);
    match (shown.pointer(at), resource.pointer(at)) {
        (Some(shown), Some(stored)) => left_out(shown).is_some() || hides(shown, stored),
        (None, Some(_)) => true,
        _ => false,
    }
}

/// The patch for the version that it was looked at with: Medplum ignores If-Match on a PATCH.
fn bound_to_version(stored: &Value, patch: &JsonPatch) -> JsonPatch {
    // A test among the operations says nothing: one in front of it may have changed what it finds.
    match version_of(stored).filter(|_| patch.version().is_none()) {
        Some(version) => patch.clone().of_version(version),
        None => patch.clone(),
    }
}

/// What is wrong with one resource; what was wrong with it before is only noted.
fn judge(cx: &Context<'_>, change: &Change, missing: &BTreeSet<LocalReference>) -> Option<String> {
    let resource = change.then.as_ref()?;
    let mut report: Report = validate(resource);
    if let Some(stored) = &change.stored {
        report = report.beside_stored(stored);
    }
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or("The resource");
    let at = change.entry.map(|index| format!("bundle.entry[{index}] ")).unwrap_or_default();
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
    let dangling = added(change).into_iter().filter(|reference| missing.iter().any(|m| same(m, reference)));
    report.faults.extend(dangling.map(leads_nowhere));
    if report.is_sound() { None } else { Some(list(&format!("{at}{name} was not sent."), &report.faults)) }
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
async fn missing(cx: &Context<'_>, changes: &[Change]) -> Result<BTreeSet<LocalReference>, Failure> {
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
    let reply = cx.ask(&Interaction::Batch(batch)).await?.into_json();
    let mut absent: BTreeSet<(ResourceType, ResourceId)> = BTreeSet::new();
    for ((t, ids), entry) in searches.iter().zip(crate::search::entries(&reply)) {
        if entry.pointer("/response/status").and_then(Value::as_str).is_some_and(|status| status.starts_with("200")) {
            let found: BTreeSet<&str> = crate::search::entries(entry.get("resource").unwrap_or(&Value::Null))
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
