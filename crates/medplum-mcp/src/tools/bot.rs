//! Bots: Medplum's own functions.

use bytes::Bytes;
use medplum_client::{
    Interaction, Level, Method, Operation, OperationName, Outcome, Query, Reply, ResourceId, ResourceType,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::operation::any_answer;
use super::read::{id, needed};
use crate::answer::Answer;
use crate::context::{Allowed, Context};
use crate::failure::Failure;
use crate::shown;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

/// So much of what Medplum says of a deployment is repeated.
const SAID: usize = 300;

const fn facts(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    when: &'static str,
    does: Does,
) -> Facts {
    Facts { name, toolset: Toolset::Bot, title, description, when, does, may_run: true, on_behalf_of: true }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ExecuteBot {
    bot_id: String,
    /// What the bot is given
    input_data: Input,
    #[serde(default = "application_json")]
    content_type: String,
}

/// JSON, or a text for a bot that takes another content type.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Json(Value),
}

impl JsonSchema for Input {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "object" }, { "type": "string" }] })
    }

    fn inline_schema() -> bool {
        true
    }
}

fn application_json() -> String {
    "application/json".into()
}

impl Run for ExecuteBot {
    const FACTS: Facts = facts(
        "execute_bot",
        "Execute Medplum Bot",
        "Runs a bot with an input and answers with what it returns. A bot can do anything that its own access allows. A string with another content_type, such as text/plain, is passed as it is.",
        "run a bot, when asked to",
        Does::Runs,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let bot = id("bot_id", "Bot", &self.bot_id)?;
        let content_type = self.content_type.trim().to_owned();
        if !content_type.contains('/') || !content_type.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(Failure::teach(
                "content_type must be a media type such as application/json or text/plain. Nothing was sent.",
            ));
        }
        let is_json = content_type.contains("json");
        let input = match self.input_data {
            Input::Text(text) if !is_json => text,
            // JSON in a string is what it holds: hosts and models send both.
            Input::Text(text) => match serde_json::from_str(&text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => value.to_string(),
                _ => Value::String(text).to_string(),
            },
            Input::Json(value) => value.to_string(),
        };
        let reply = cx.send(&Interaction::ExecuteBot { bot, input: Bytes::from(input), content_type }).await?;
        Ok(any_answer(reply, cx))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CreateBot {
    name: String,
    #[serde(default)]
    description: String,
    /// Its source; deploy it with save_and_deploy_bot
    #[serde(default)]
    source_code: String,
    runtime_version: Option<Runtime>,
    /// More elements of the Bot resource
    additional_fields: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Runtime {
    Awslambda,
    Vmcontext,
}

impl Run for CreateBot {
    const FACTS: Facts = facts(
        "create_bot",
        "Create Medplum Bot",
        "Stores a new Bot resource. It runs nothing before it is deployed.",
        "a new bot",
        Does::Adds,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let mut bot = Map::new();
        bot.insert("resourceType".into(), "Bot".into());
        bot.insert("name".into(), needed("name", self.name)?.into());
        let runtime = self.runtime_version.map(|runtime| match runtime {
            Runtime::Awslambda => "awslambda".to_owned(),
            Runtime::Vmcontext => "vmcontext".to_owned(),
        });
        let texts =
            [("description", Some(self.description)), ("code", Some(self.source_code)), ("runtimeVersion", runtime)];
        for (element, text) in texts {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                bot.insert(element.into(), text.into());
            }
        }
        for (element, value) in self.additional_fields.unwrap_or_default() {
            if bot.contains_key(&element) {
                return Err(Failure::teach(format!(
                    "additional_fields.{element}: has an argument of its own. Nothing was sent."
                )));
            }
            bot.insert(element, value);
        }
        let create = Interaction::create(Value::Object(bot), None)?;
        let reply = cx.send_with(&create, Allowed::default().to_create()).await?;
        Ok(Answer::json(reply.into_json()))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct SaveAndDeployBot {
    bot_id: String,
    /// What is kept in the Bot resource
    source_code: String,
    /// What runs: JavaScript
    compiled_code: String,
    #[serde(default = "index_js")]
    filename: String,
}

fn index_js() -> String {
    "index.js".into()
}

impl Run for SaveAndDeployBot {
    const FACTS: Facts = facts(
        "save_and_deploy_bot",
        "Save And Deploy Medplum Bot",
        "Stores a bot's source and deploys its compiled code, which runs from then on wherever the bot is bound.",
        "new code for a bot",
        Does::Changes,
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = ResourceType::parse("Bot")?;
        let bot = id("bot_id", "Bot", &self.bot_id)?;
        // Without it the bot would be deployed, and do nothing.
        let source = needed("source_code", self.source_code)?;
        let code = needed("compiled_code", self.compiled_code)?;
        let filename = needed("filename", self.filename)?;
        if filename.contains(['/', '\\']) {
            return Err(Failure::not_sent("filename is a name without folders, such as index.js"));
        }
        let code = json!({ "code": code, "filename": filename });
        let level = Level::Instance(resource_type.clone(), bot.clone());
        let deploy = Operation {
            level,
            name: OperationName::parse("deploy")?,
            method: Method::Post,
            query: Query::new(),
            body: Some(code),
        };
        let deploy = Interaction::operation(deploy)?;
        // Both steps or none: a bot that may not be deployed is not saved either.
        cx.may_send(&deploy)?;
        let read = Interaction::read(resource_type, bot);
        let mut resource = cx.send(&read).await?.into_json();
        let version = resource.pointer("/meta/versionId").and_then(Value::as_str).map(ResourceId::parse).transpose()?;
        if let Some(object) = resource.as_object_mut() {
            object.insert("code".into(), source.into());
        }
        // One step after the other, and both looked at before the first.
        let mut steps =
            cx.ready(&[Interaction::update(resource, version)?, deploy], Allowed::default()).await?.into_iter();
        let (Some(save), Some(deploy)) = (steps.next(), steps.next()) else {
            return Err(Failure::not_sent("The two steps could not be made ready"));
        };
        let saved = cx.carry_out(save).await;
        let saved =
            saved.map_err(|failure| failure.first("This was about saving the source; nothing was deployed."))?;
        let saved = saved.into_json();
        deployed(cx.carry_out(deploy).await)?;
        Ok(Answer::json(saved).note("Saved and deployed."))
    }
}

/// Whether the code was deployed that belongs to the source which was saved.
fn deployed(reply: Result<Reply, Failure>) -> Result<(), Failure> {
    let reply = reply.map_err(|failure| match failure.may_have_acted() {
        true => failure.hint(
            "The source was saved. Whether the code was deployed is not known; deploying the same code again does no harm.",
        ),
        false => failure.hint("The source was saved; the deployment failed. Deploy again with save_and_deploy_bot."),
    })?;
    let outcome = Outcome::new(reply.status, Some(reply.json()));
    let failed = outcome.issues.iter().find(|issue| ["error", "fatal"].contains(&issue.severity.as_str()));
    match failed.filter(|_| !outcome.is("ok")) {
        Some(issue) => Err(Failure::teach(format!(
            "The source was saved; the deployment failed: {}. Deploy again with save_and_deploy_bot.",
            shown::text(&issue.text, SAID)
        ))),
        None => Ok(()),
    }
}
