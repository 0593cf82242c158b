//! One resource, changed.

use fhir_definitions::validate::is_instant;
use medplum_client::{Interaction, JsonPatch, Query, ResourceId, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read::id;
use crate::answer::Answer;
use crate::changes::changes;
use crate::context::{Allowed, Context, Stored, resource_type};
use crate::doubt;
use crate::failure::Failure;
use crate::page::Entry;
use crate::preflight::{deleted, version_of};
use crate::search::found;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

const fn facts(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    when: &'static str,
    does: Does,
) -> Facts {
    Facts { name, toolset: Toolset::Write, title, description, when, does, may_run: false, on_behalf_of: true }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CreateResource {
    /// With its resourceType and no id: {"resourceType":"Patient","name":[{"family":"Smith","given":["Alice"]}]}
    resource: Map<String, Value>,
    /// false: store references that lead nowhere
    check_references: Option<bool>,
}

impl Run for CreateResource {
    const FACTS: Facts = facts(
        "create_resource",
        "Create FHIR Resource",
        "Stores a new resource and answers with it as stored, with its id. Medplum gives the id. Where it must not be there twice, use create_resource_if_none_exist.",
        "store something new",
        Does::Adds,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource = Value::Object(self.resource);
        let given_id = resource.get("id").is_some();
        let allowed = Allowed::by_check_references(self.check_references).to_create();
        let reply = cx.send_with(&Interaction::create(resource, None)?, allowed).await?;
        let note = if given_id { "Medplum gave it an id of its own; the one passed was not used." } else { "" };
        let stored = reply.into_json();
        let double = double(cx, &stored).await.unwrap_or_default();
        Ok(Answer::json(stored).note(double).note(note))
    }
}

/// What is said where the search for a double has no answer in time.
const NOT_LOOKED: &str = "Whether another Patient has the same identifier was not found out: a search by it tells.";

/// What is said where the client may not search for it.
const MAY_NOT_LOOK: &str =
    "Whether another Patient has the same identifier is not known: this client may not search for it.";

/// Who else has an identifier of a patient that was created. What was asked for is done by then, so this is asked once and
/// not waited for; and two that are created at once are seen by the later look at least.
async fn double(cx: &Context<'_>, stored: &Value) -> Option<String> {
    let patient = ResourceType::parse("Patient").ok().filter(|of| stored["resourceType"] == of.as_str())?;
    let own = format!("{patient}/{}", stored.get("id")?.as_str()?);
    let text = |identifier: &'_ Value, of: &str| identifier.get(of).and_then(Value::as_str).map(str::to_owned);
    let has = |one: &Value| Some(doubt::token(text(one, "system").as_deref(), &text(one, "value")?));
    let tokens: Vec<String> = stored.get("identifier")?.as_array()?.iter().filter_map(has).collect();
    if tokens.is_empty() {
        return None;
    }
    let query = Query::new().with("identifier", tokens.join(",")).with("_fields", "id").with("_count", "5");
    let found = match cx.page_at_once(&Interaction::search(patient, query)).await {
        Some(Ok(found)) => found,
        Some(Err(failure)) if failure.status() == Some(403) => return Some(MAY_NOT_LOOK.to_owned()),
        Some(Err(_)) | None => return Some(NOT_LOOKED.to_owned()),
    };
    let others: Vec<String> = found.matches().map(Entry::name).filter(|name| *name != own).collect();
    let have = match others.as_slice() {
        [] => return None,
        [_] => "has",
        _ => "have",
    };
    Some(format!(
        "{} {have} the same identifier: perhaps the same person. create_resource_if_none_exist stores nobody twice.",
        others.join(", ")
    ))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CreateResourceIfNoneExist {
    /// As in create_resource
    resource: Map<String, Value>,
    /// A search that finds it if it is there: identifier=http://hospital.example/mrn|4711
    if_none_exist: String,
    /// false: store references that lead nowhere
    check_references: Option<bool>,
}

impl Run for CreateResourceIfNoneExist {
    const FACTS: Facts = facts(
        "create_resource_if_none_exist",
        "Create FHIR Resource If None Exist",
        "Stores a new resource unless one matches the search; then it answers with that one, unchanged. Safe to repeat. Fails if several match.",
        "store something new, once",
        Does::Adds,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource = Value::Object(self.resource);
        let condition = self.if_none_exist.trim().trim_start_matches('?');
        // Some write the type before it, as in a URL; Medplum takes that for an unknown parameter.
        let own_type = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        let condition = condition.strip_prefix(own_type).and_then(|rest| rest.strip_prefix('?')).unwrap_or(condition);
        let condition = Query::parse(condition)?;
        let interaction = Interaction::create(resource, Some(condition.clone()))?;
        let allowed = Allowed::by_check_references(self.check_references).to_create();
        let reply = match cx.send_with(&interaction, allowed).await {
            Err(failure) if failure.is_of_several() && !failure.may_have_acted() => {
                return Err(several(cx, &interaction, condition, failure).await);
            }
            reply => reply?,
        };
        let note = match (reply.status, reply.replayed) {
            (200, true) => "It was there, perhaps from an earlier attempt of this very call.",
            (200, false) => "It was there already and is unchanged; nothing was created.",
            _ => "",
        };
        Ok(Answer::json(reply.into_json()).note(note))
    }
}

/// Which resources match a condition that is to match one at the most.
async fn several(cx: &Context<'_>, create: &Interaction, condition: Query, failure: Failure) -> Failure {
    let Some(of) = create.label().resource_type.and_then(|of| ResourceType::parse(of).ok()) else { return failure };
    let query = condition.without("_count").with("_count", "5").with("_total", "accurate").with("_fields", "id");
    let Some(Ok(reply)) = cx.explaining(cx.ask(&Interaction::search(of.clone(), query))).await else { return failure };
    let page = reply.into_json();
    let ids = found(&page).filter_map(|entry| entry.pointer("/resource/id")?.as_str());
    let ids: Vec<String> = ids.map(|id| format!("{of}/{id}")).collect();
    match (page.get("total").and_then(Value::as_u64), ids.as_slice()) {
        (_, []) => failure,
        (total, ids) => {
            let total = total.map(|total| format!("{total} match: ")).unwrap_or_default();
            failure.means(format!(
                "Nothing was created. {total}{}. Use one of them, or add to if_none_exist what tells the one that is meant",
                ids.join(", ")
            ))
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct UpdateResource {
    /// The whole resource as read, with your change; meta.versionId says which version you read
    resource: Map<String, Value>,
    /// true: replace whatever version is there
    overwrite: Option<bool>,
    /// false: store references that lead nowhere
    check_references: Option<bool>,
}

impl Run for UpdateResource {
    const FACTS: Facts = facts(
        "update_resource",
        "Update FHIR Resource",
        "Replaces a resource by the one given; elements left out are removed. Read it, change what you mean to, and pass it back whole, meta.versionId included: if somebody changed it in between, nothing is written. For a small change use patch_resource.",
        "replace a resource, read before",
        Does::Replaces,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let given = Value::Object(self.resource);
        let version = given.pointer("/meta/versionId").and_then(Value::as_str).map(ResourceId::parse).transpose();
        let version =
            version.map_err(|error| Failure::teach(format!("resource.meta.versionId: {error}. Nothing was sent.")))?;
        let asked = Interaction::update(given.clone(), version.clone())?;
        cx.may_send(&asked)?;
        let Interaction::Update { resource_type, id, .. } = &asked else {
            return Err(Failure::teach("Not an update."));
        };
        let stored = cx.stored(resource_type, id).await?;
        let overwrite = self.overwrite == Some(true);
        let allowed = Allowed { overwriting: overwrite, ..Allowed::by_check_references(self.check_references) };
        if let (None, false) = (&version, overwrite) {
            return Err(match &stored {
                Some(_) => no_version(resource_type, id, stored.as_ref()),
                None => not_there(cx, resource_type, id).await,
            });
        }
        let Some(stored) = stored else {
            // Deleted, unknown or not to be read: the look before the write, or Medplum, says which.
            return finish(cx, &asked, allowed).await;
        };
        if let Some(read) = version.as_ref().filter(|_| !overwrite) {
            stale(cx, resource_type, id, read, &stored, SINCE_READ).await?;
        }
        // Bound to the version that was looked at, so that nobody's change in between is lost.
        finish(cx, &Interaction::update(given, version_of(&stored))?, allowed).await
    }
}

async fn finish(cx: &Context<'_>, update: &Interaction, allowed: Allowed) -> Result<Answer, Failure> {
    let reply = cx.send_with(update, allowed).await;
    match (reply, update) {
        (Ok(reply), _) => Ok(Answer::json(reply.into_json())),
        (Err(failure), Interaction::Update { resource_type, id, if_match: Some(looked_at), .. })
            if failure.status() == Some(412) && !failure.may_have_acted() =>
        {
            Err(overtaken(cx, resource_type, id, looked_at, failure).await)
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Somebody was faster, between the look and the write: what they changed, if that can be told.
async fn overtaken(
    cx: &Context<'_>,
    resource_type: &ResourceType,
    id: &ResourceId,
    looked_at: &ResourceId,
    failure: Failure,
) -> Failure {
    let looked = cx.explaining(async {
        match cx.look_up_now(resource_type, id).await {
            Ok(Stored::Deleted) => Some(deleted(resource_type, id, Some(looked_at))),
            Ok(Stored::There(stored)) => stale(cx, resource_type, id, looked_at, &stored, "meanwhile").await.err(),
            _ => None,
        }
    });
    looked.await.flatten().unwrap_or(failure)
}

/// Why what is to be replaced cannot be read: it is unknown, deleted, or not permitted.
async fn not_there(cx: &Context<'_>, resource_type: &ResourceType, id: &ResourceId) -> Failure {
    match cx.ask(&Interaction::read(resource_type.clone(), id.clone())).await {
        Err(failure) => match failure.status() {
            Some(404) => failure.hint("What is new is stored with create_resource, under an id that Medplum gives."),
            Some(410) => failure.hint("With overwrite: true it is stored again, under its id."),
            _ => failure,
        },
        Ok(_) => no_version(resource_type, id, None),
    }
}

fn no_version(resource_type: &ResourceType, id: &ResourceId, stored: Option<&Value>) -> Failure {
    let now = stored.and_then(|stored| {
        let at = changed_at(stored).unwrap_or("an unknown time");
        version_of(stored).map(|version| format!(" Now: {version} of {at}."))
    });
    Failure::teach(format!(
        "Pass meta.versionId of the version that you read, so that nobody's change is lost.{} Read {resource_type}/{id}, apply your change to that, and send it; or overwrite: true to replace whatever is there. Nothing was written.",
        now.unwrap_or_default()
    ))
}

/// Since when somebody else's change counts, where the caller said what was read.
const SINCE_READ: &str = "after the version that you read";

/// Refuses a write for another version than the stored one, and says which elements changed in between.
async fn stale(
    cx: &Context<'_>,
    resource_type: &ResourceType,
    id: &ResourceId,
    read: &ResourceId,
    stored: &Value,
    since: &str,
) -> Result<(), Failure> {
    let Some(now) = version_of(stored).filter(|now| now != read) else { return Ok(()) };
    let version =
        Interaction::VersionRead { resource_type: resource_type.clone(), id: id.clone(), version: read.clone() };
    let changed = match cx.ask(&version).await {
        Ok(reply) => {
            let changes = changes(reply.json(), &cx.shown(stored));
            if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) }
        }
        Err(_) => String::new(),
    };
    Err(Failure::teach(format!(
        "{resource_type}/{id} changed {since} ({read} → {now}){changed}. Nothing was written. Read it again and reapply your change."
    )))
}

/// When a resource was changed: what is no time is not said.
fn changed_at(stored: &Value) -> Option<&str> {
    stored.pointer("/meta/lastUpdated")?.as_str().filter(|at| is_instant(at))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct PatchResource {
    /// Such as Patient
    resource_type: String,
    resource_id: String,
    /// JSON Patch: [{"op":"replace","path":"/telecom/0/value","value":"555-3434"}]
    operations: Vec<PatchOp>,
    /// meta.versionId that you read; another one there: nothing is written
    version_id: Option<String>,
    /// false: store references that lead nowhere
    check_references: Option<bool>,
}

/// One operation of RFC 6902.
#[derive(Debug, Deserialize, JsonSchema)]
struct PatchOp {
    op: Op,
    path: String,
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    from: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Op {
    Add,
    Remove,
    Replace,
    Copy,
    Move,
    Test,
}

/// A value that is there, null among them: JSON Patch tells null from no value.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl PatchOp {
    fn into_value(self) -> Value {
        let op = match self.op {
            Op::Add => "add",
            Op::Remove => "remove",
            Op::Replace => "replace",
            Op::Copy => "copy",
            Op::Move => "move",
            Op::Test => "test",
        };
        let mut object = Map::new();
        object.insert("op".into(), op.into());
        object.insert("path".into(), self.path.into());
        object.extend(self.value.map(|value| ("value".to_owned(), value)));
        object.extend(self.from.map(|from| ("from".to_owned(), from.into())));
        Value::Object(object)
    }
}

impl Run for PatchResource {
    const FACTS: Facts = facts(
        "patch_resource",
        "Patch FHIR Resource",
        "Changes some elements of a resource by JSON Patch (RFC 6902) and answers with the new version. Indexes count from 0; /name/- appends. Put a test before a replace: [{\"op\":\"test\",\"path\":\"/active\",\"value\":true},{\"op\":\"replace\",\"path\":\"/active\",\"value\":false}].",
        "change a few elements",
        Does::Changes,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = resource_type(&self.resource_type)?;
        let id = id("resource_id", resource_type.as_str(), &self.resource_id)?;
        let mut patch = JsonPatch::parse(self.operations.into_iter().map(PatchOp::into_value).collect())?;
        let read = self.version_id.as_deref().map(|version| ResourceId::parse(version.trim())).transpose();
        let read = read.map_err(|error| Failure::not_sent(format!("version_id: {error}")))?;
        if let Some(read) = &read {
            patch = patch.of_version(read.clone());
        }
        let interaction = Interaction::Patch { resource_type: resource_type.clone(), id: id.clone(), patch };
        cx.may_send(&interaction)?;
        let stored = cx.stored(&resource_type, &id).await?;
        if let (Some(read), Some(stored)) = (&read, &stored) {
            stale(cx, &resource_type, &id, read, stored, SINCE_READ).await?;
        }
        let looked_at = stored.as_ref().and_then(version_of);
        match cx.send_with(&interaction, Allowed::by_check_references(self.check_references)).await {
            Ok(reply) => Ok(Answer::json(reply.into_json())),
            Err(failure) => match looked_at.filter(|_| failure.is_failed_test() && !failure.may_have_acted()) {
                Some(looked_at) => Err(overtaken(cx, &resource_type, &id, &looked_at, failure).await),
                None => Err(failure),
            },
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct DeleteResource {
    /// Such as Patient
    resource_type: String,
    resource_id: String,
    /// true: delete it though others refer to it
    confirm_references: Option<bool>,
}

impl Run for DeleteResource {
    const FACTS: Facts = facts(
        "delete_resource",
        "Delete FHIR Resource",
        "Deletes a resource. Its history stays, but reads and searches no longer find it. Refused while others refer to it, with how many. Only when asked for by name and id.",
        "delete, when asked to",
        Does::Replaces,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type: ResourceType = resource_type(&self.resource_type)?;
        let id = id("resource_id", resource_type.as_str(), &self.resource_id)?;
        let delete = Interaction::Delete { resource_type: resource_type.clone(), id: id.clone() };
        cx.may_send(&delete)?;
        let stored = match cx.stored(&resource_type, &id).await? {
            Some(stored) => stored,
            // Deleted, unknown or not permitted: Medplum says which.
            None => match cx.send(&Interaction::read(resource_type.clone(), id.clone())).await?.into_json() {
                // It is what stands in the file.
                _ if resource_type.as_str() == "Binary" => Value::Null,
                stored => stored,
            },
        };
        let at = changed_at(&stored);
        let version = version_of(&stored)
            .map(|version| format!(", version {version}{}", at.map(|at| format!(" of {at}")).unwrap_or_default()));
        let allowed = Allowed { referred: self.confirm_references == Some(true), ..Allowed::default() };
        let reply = cx.send_with(&delete, allowed).await?;
        let note = match reply.status {
            // It is not done yet, and that is said.
            202 => String::new(),
            _ => format!("{resource_type}/{id}{} is deleted; its history stays.", version.unwrap_or_default()),
        };
        Ok(Answer::json(reply.into_json()).note(note))
    }
}
