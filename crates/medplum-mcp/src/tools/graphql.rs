//! GraphQL.

use medplum_client::{GraphQl, Interaction};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;
use crate::{flags, shown};

/// So much of what the server says of an error is repeated.
const SAID: usize = 300;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ExecuteGraphql {
    query: String,
    variables: Option<Map<String, Value>>,
}

impl Run for ExecuteGraphql {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "execute_graphql",
        toolset: Toolset::Graphql,
        title: "Execute GraphQL Query",
        description: "Several resources and what they refer to, only the fields asked for: { Patient(id:\"…\") { name { family } } }, { ObservationList(patient:\"Patient/…\",_count:100) { subject { resource { ... on Patient { id } } } } }. Without _count a list ends at 20. Keep lists in lists small. Read-only: queries alone.",
        when: "related resources in one call, only some fields",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let document = GraphQl::parse(&self.query, self.variables, None)?;
        let reply = cx.send(&Interaction::GraphQl(document)).await?.into_json();
        let errors = messages(&reply);
        if errors.is_empty() {
            return Ok(Answer::json(reply));
        }
        let errors = errors.join("; ");
        if reply.get("data").is_none_or(holds_nothing) {
            let said: Vec<&str> = errors_of(&reply).filter_map(|error| error.get("message")?.as_str()).collect();
            let failure = Failure::teach(format!("GraphQL gave no data: {errors}."));
            return Err(match flags::note_of_error(&said) {
                Some(flag) => failure.hint(flag),
                None => failure,
            });
        }
        Ok(Answer::json(reply).missing(format!("Incomplete: {errors}.")))
    }
}

/// Medplum's own words in quotes, for they may repeat what somebody stored; each with where it was.
fn messages(reply: &Value) -> Vec<String> {
    let message = |error: &Value| {
        let text = shown::text(error.get("message").and_then(Value::as_str).unwrap_or("unknown"), SAID);
        let path = error.get("path").and_then(Value::as_array).into_iter().flatten();
        let path: Vec<String> =
            path.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
        if path.is_empty() { text } else { format!("{text} ({})", shown::path(&path.join("."))) }
    };
    errors_of(reply).map(message).collect()
}

fn errors_of(reply: &Value) -> impl Iterator<Item = &Value> {
    reply.get("errors").and_then(Value::as_array).into_iter().flatten()
}

/// Null, or an object whose every value is.
fn holds_nothing(data: &Value) -> bool {
    match data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(Value::is_null),
        _ => false,
    }
}
