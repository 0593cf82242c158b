//! Any path of Medplum.

use medplum_client::{Interaction, Method, Query};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operation::any_answer;
use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RawRequest {
    method: Verb,
    /// fhir/R4/Patient/<id>/_history, auth/me, admin/projects/<id>
    path: String,
    body: Option<Payload>,
    /// [["name","value"], …]
    query_params: Option<Vec<Vec<String>>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// An object or a list.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Payload(Value);

impl JsonSchema for Payload {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Payload".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "object" }, { "type": "array", "items": {} }] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Run for RawRequest {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "raw_request",
        toolset: Toolset::Raw,
        title: "Raw Medplum HTTP Request",
        description: "Last resort: a relative path that no other tool covers, answered as it comes. Judged by what it does; read-only: known reads.",
        when: "nothing else fits: history, auth/me, admin paths",
        does: Does::ReadsOrActs,
        may_run: true,
        on_behalf_of: true,
    };

    /// Read-only, GET is all there is to choose; what else is sent is still answered with what opens it.
    fn narrow(schema: &mut JsonObject) {
        if let Some(method) = schema.get_mut("properties").and_then(|p| p.get_mut("method")) {
            method["enum"] = json!(["GET"]);
        }
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.remove("body");
        }
    }

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let method = match self.method {
            Verb::Get => Method::Get,
            Verb::Post => Method::Post,
            Verb::Put => Method::Put,
            Verb::Patch => Method::Patch,
            Verb::Delete => Method::Delete,
        };
        let mut query = Query::new();
        for (index, pair) in self.query_params.unwrap_or_default().into_iter().enumerate() {
            let [name, value] = <[String; 2]>::try_from(pair).map_err(|_| {
                Failure::teach(format!("query_params[{index}] must be a pair: [\"name\",\"value\"]. Nothing was sent."))
            })?;
            let pushed = query.try_push(name, value);
            pushed.map_err(|_| Failure::not_sent(format!("query_params[{index}] holds a control character")))?;
        }
        let interaction =
            Interaction::from_path(cx.fhir_path(), method, &self.path, query, self.body.map(|body| body.0))?;
        let answer = any_answer(cx.send(&interaction).await?, cx).whole();
        Ok(match &interaction {
            Interaction::Read { resource_type, id, .. } if resource_type.as_str() == "Binary" => answer.content_of(id),
            _ => answer,
        })
    }
}
