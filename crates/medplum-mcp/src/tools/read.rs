//! A resource by its id.

use medplum_client::{Body, Interaction, Reply, ResourceId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::search::view;
use crate::answer::{Answer, View, content};
use crate::context::{Context, resource_type};
use crate::failure::Failure;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ReadResource {
    resource_type: String,
    resource_id: String,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
}

impl Run for ReadResource {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "read_resource",
        toolset: Toolset::Read,
        title: "Read FHIR Resource",
        description: "One resource, whole. Read it right before you change it.",
        when: "the id is known",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = resource_type(&self.resource_type)?;
        let (of, version) = match split_at(&self.resource_id, "/_history/") {
            Some((of, version)) => (of, Some(id("resource_id", "", version)?)),
            None => (self.resource_id.as_str(), None),
        };
        let id = id("resource_id", resource_type.as_str(), of)?;
        let view = view(cx, resource_type.as_str(), self.fields, self.narrative)?;
        let binary = resource_type.as_str() == "Binary";
        let read = match version {
            Some(version) => Interaction::VersionRead { resource_type, id: id.clone(), version },
            None => Interaction::read(resource_type, id.clone()),
        };
        if binary {
            return Ok(binary_answer(&id, cx.send(&read).await?, view));
        }
        Ok(Answer::resource(cx.resource(&read).await?).view(view))
    }
}

/// What stands before and behind a part of a path. Most ids are no path, and that is seen sooner.
fn split_at<'a>(given: &'a str, part: &str) -> Option<(&'a str, &'a str)> {
    if given.contains('/') { given.split_once(part) } else { None }
}

/// An id as an agent gave it: alone, or as a reference to a resource of the right type.
pub(super) fn id(argument: &str, resource_type: &str, given: &str) -> Result<ResourceId, Failure> {
    let given = given.trim();
    let alone = given.strip_prefix(resource_type).and_then(|rest| rest.strip_prefix('/')).unwrap_or(given);
    if let Some((of, _)) = split_at(alone, "/_history") {
        return Err(Failure::not_sent(format!(
            "{argument}: that is a path to versions. Pass {of}; read_resource takes one version as <id>/_history/<version>"
        )));
    }
    ResourceId::parse(alone).map_err(|error| {
        let find = if given.contains(' ') { ". Find its id with search_resources" } else { "" };
        Failure::not_sent(format!("{argument}: {error}{find}"))
    })
}

/// A text that must say something.
pub(super) fn needed(argument: &str, value: String) -> Result<String, Failure> {
    if value.trim().is_empty() {
        return Err(Failure::not_sent(format!("{argument} is blank: give it a value")));
    }
    Ok(value)
}

/// Medplum answers a Binary with its bytes. Text is shown as it is; anything else, and whatever `fields` ask for, as the
/// resource that it stands for. There text stands in `data` as it is, which an agent can read part by part.
fn binary_answer(id: &ResourceId, reply: Reply, view: View) -> Answer {
    let resource = |more: Value| {
        let mut binary = json!({ "resourceType": "Binary", "id": id.as_str() });
        if let (Value::Object(binary), Value::Object(more)) = (&mut binary, more) {
            binary.extend(more);
        }
        Answer::json(binary)
    };
    let kind = content::media_type(&reply.content_type);
    let text = match reply.body {
        Body::Other(content) => match content::text(&kind, &content) {
            Some(text) => text,
            None => {
                return resource(json!({ "contentType": kind, "data": content::base64(&content) })).view(view);
            }
        },
        Body::Json(value) => value.to_string(),
        Body::Empty => return resource(Value::Null).view(view).note("This Binary has no content."),
    };
    let is_text = format!("The content of this Binary: {kind}");
    if view.fields.is_none() {
        return Answer::text(text).view(view).content_of(id).note(format!("{is_text}."));
    }
    let binary = resource(json!({ "contentType": kind, "data": text }));
    binary.view(view).note(format!("{is_text}; data is the text itself, not base64."))
}
