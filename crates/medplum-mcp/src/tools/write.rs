//! One resource, changed.

use medplum_client::{Interaction, JsonPatch, Query, ResourceId, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read::id;
use crate::answer::Answer;
use crate::changes::changes;
use crate::context::{Context, References, resource_type};
use crate::failure::Failure;
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
        let hint = search_for(&resource);
        let given_id = resource.get("id").is_some();
        let references = References::checked(self.check_references);
        let interaction = Interaction::create(resource, None)?;
        let reply = cx.send_with(&interaction, references).await.map_err(|failure| fate(failure, hint))?;
        let note = if given_id { "Medplum gave it an id of its own; the one passed was not used." } else { "" };
        Ok(Answer::json(reply.into_json()).note(note))
    }
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
        let interaction = Interaction::create(resource, Some(Query::parse(condition)?))?;
        let reply = cx.send_with(&interaction, References::checked(self.check_references)).await?;
        let note = match (reply.status, reply.replayed) {
            (200, true) => "It was there, perhaps from an earlier attempt of this very call.",
            (200, false) => "It was there already and is unchanged; nothing was created.",
            _ => "",
        };
        Ok(Answer::json(reply.into_json()).note(note))
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
        if let (None, false) = (&version, overwrite) {
            return Err(no_version(resource_type, id, stored.as_ref()));
        }
        let Some(stored) = stored else {
            // Deleted or unknown: Medplum says which, or brings a deleted one back.
            return finish(cx, &asked, self.check_references).await;
        };
        if let Some(read) = version.as_ref().filter(|_| !overwrite) {
            stale(cx, &asked, read, &stored).await?;
        }
        // Bound to the version that was looked at, so that nobody's change in between is lost.
        let now = version_of(&stored).map(ResourceId::parse).transpose()?;
        finish(cx, &Interaction::update(given, now)?, self.check_references).await
    }
}

async fn finish(cx: &Context<'_>, update: &Interaction, check_references: Option<bool>) -> Result<Answer, Failure> {
    let reply = cx.send_with(update, References::checked(check_references)).await;
    let hint = "Read it to see whether it was.".to_owned();
    Ok(Answer::json(reply.map_err(|failure| fate(failure, hint))?.into_json()))
}

fn version_of(resource: &Value) -> Option<&str> {
    resource.pointer("/meta/versionId").and_then(Value::as_str)
}

fn no_version(resource_type: &ResourceType, id: &ResourceId, stored: Option<&Value>) -> Failure {
    let now = stored.and_then(|stored| {
        let at = stored.pointer("/meta/lastUpdated").and_then(Value::as_str).unwrap_or("an unknown time");
        version_of(stored).map(|version| format!(" Now: {version} of {at}."))
    });
    Failure::teach(format!(
        "Pass meta.versionId of the version that you read, so that nobody's change is lost.{} Read {resource_type}/{id}, apply your change to that, and send it; or overwrite: true to replace whatever is there. Nothing was written.",
        now.unwrap_or_default()
    ))
}

/// Refuses an update of another version than the stored one, and says which elements changed in between.
async fn stale(cx: &Context<'_>, asked: &Interaction, read: &ResourceId, stored: &Value) -> Result<(), Failure> {
    let Interaction::Update { resource_type, id, .. } = asked else { return Ok(()) };
    let Some(now) = version_of(stored).filter(|now| *now != read.as_str()) else { return Ok(()) };
    let version =
        Interaction::VersionRead { resource_type: resource_type.clone(), id: id.clone(), version: read.clone() };
    let changed = match cx.ask(&version).await {
        Ok(reply) => {
            let mut shown = stored.clone();
            crate::cleanse::cleanse(&mut shown);
            let changes = changes(reply.json(), &shown);
            if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) }
        }
        Err(_) => String::new(),
    };
    Err(Failure::teach(format!(
        "{resource_type}/{id} changed after the version that you read ({read} → {now}){changed}. Nothing was written. Read it again and reapply your change."
    )))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct PatchResource {
    /// Such as Patient
    resource_type: String,
    resource_id: String,
    /// JSON Patch: [{"op":"replace","path":"/telecom/0/value","value":"555-3434"}]
    operations: Vec<PatchOp>,
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
        let patch = JsonPatch::parse(self.operations.into_iter().map(PatchOp::into_value).collect())?;
        let hint = format!("Read {resource_type}/{id} to see whether it was.");
        let references = References::checked(self.check_references);
        let interaction = Interaction::Patch { resource_type, id, patch };
        let reply = cx.send_with(&interaction, references).await.map_err(|failure| fate(failure, hint))?;
        Ok(Answer::json(reply.into_json()))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct DeleteResource {
    /// Such as Patient
    resource_type: String,
    resource_id: String,
}

impl Run for DeleteResource {
    const FACTS: Facts = facts(
        "delete_resource",
        "Delete FHIR Resource",
        "Deletes a resource. Its history stays, but reads and searches no longer find it. Only when asked for by name and id.",
        "delete, when asked to",
        Does::Replaces,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type: ResourceType = resource_type(&self.resource_type)?;
        let id = id("resource_id", resource_type.as_str(), &self.resource_id)?;
        let note = format!("{resource_type}/{id} is deleted.");
        let reply = cx.send(&Interaction::Delete { resource_type, id }).await?;
        Ok(Answer::json(reply.into_json()).note(note))
    }
}

/// Says how to find out, where it is not known whether a write was carried out.
fn fate(failure: Failure, hint: String) -> Failure {
    if failure.error().is_some_and(medplum_client::Error::may_have_acted) { failure.hint(hint) } else { failure }
}

/// The search that would find a resource that may have been created.
fn search_for(resource: &Value) -> String {
    let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str);
    let resource_type = text("/resourceType").unwrap_or("resource");
    let start = format!("{resource_type} may have been created. Search before you try again");
    match (text("/identifier/0/system"), text("/identifier/0/value")) {
        (Some(system), Some(value)) => format!("{start}: search_one {resource_type} identifier={system}|{value}"),
        _ => format!("{start}: search_resources {resource_type}, sort -_lastUpdated"),
    }
}
