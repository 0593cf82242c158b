//! What there is: the elements of a type, and what the server can do with it.

use fhir_definitions::{capabilities, schema};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::settings::ALLOWED_TYPES;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetResourceSchema {
    /// Also a data type, such as HumanName
    resource_type: String,
    #[serde(default)]
    include_nested: bool,
    verbose: Option<bool>,
    elements: Option<Vec<String>>,
}

impl Run for GetResourceSchema {
    const FACTS: Facts = Facts {
        name: "get_resource_schema",
        toolset: Toolset::Discover,
        title: "Get FHIR Resource Schema",
        description: "The elements of a FHIR type, one a line, with cardinality, codes and reference targets. Read it before you write one.",
        when: "before writing a resource",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: false,
    };

    async fn run(self, _: &Context<'_>) -> Result<Answer, Failure> {
        let options = schema::Options {
            include_nested: self.include_nested,
            verbose: self.verbose == Some(true),
            elements: self.elements.unwrap_or_default(),
        };
        let schema =
            schema::render(self.resource_type.trim(), &options).map_err(|error| Failure::teach(error.to_string()))?;
        Ok(Answer::ours(schema.block).note(schema.notes.unwrap_or_default()))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetResourceCapabilities {
    resource_type: Option<String>,
}

impl Run for GetResourceCapabilities {
    const FACTS: Facts = Facts {
        name: "get_resource_capabilities",
        toolset: Toolset::Discover,
        title: "Get FHIR Capabilities",
        description: "A type's search parameters with the form of their values, its interactions and operations. Without a type: the list of types. Read it before you first search a type.",
        when: "before searching a type",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: false,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = self.resource_type.as_deref().map(str::trim).filter(|t| !t.is_empty());
        let statement = cx.metadata().await;
        let known = capabilities::render(resource_type, statement.as_deref().ok());
        let known = known.map_err(|error| Failure::teach(error.to_string()))?;
        let offline = if statement.is_err() {
            "The server did not say what it can do; these are the definitions of FHIR R4 and Medplum alone."
        } else {
            ""
        };
        let closed = match (&cx.limits().types, resource_type) {
            (Some(types), Some(of)) if !types.may_read(of) => {
                format!("{of} is closed: the operator allows only {types} ({ALLOWED_TYPES}).")
            }
            (Some(types), None) => format!("Open here: {types} ({ALLOWED_TYPES})."),
            _ => String::new(),
        };
        Ok(Answer::ours(known.block).note(known.notes.unwrap_or_default()).note(offline).note(closed))
    }
}
