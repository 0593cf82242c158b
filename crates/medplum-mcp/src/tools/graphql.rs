//! GraphQL.

use std::collections::BTreeSet;

use fhir_definitions::search::no_such_code;
use medplum_client::{GraphQl, Interaction, Selected};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::context::Context;
use crate::failure::{Failure, WAIT};
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
        description: "Several resources and what they refer to, only the fields asked for: { Patient(id:\"…\") { name { family } } }, { ObservationList(patient:\"Patient/…\",_count:100) { subject { resource { ... on Patient { id } } } } }. Without _count a list ends at 20. Keep lists in lists small. Queries alone.",
        when: "related resources in one call, only some fields",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let document = GraphQl::parse(&self.query, self.variables, None)?;
        codes_that_are_none(&document).into_iter().for_each(|said| cx.note(said));
        let reply = cx.send(&Interaction::GraphQl(document)).await?.into_json();
        let errors = messages(&reply);
        if errors.is_empty() {
            return match reply.get("data") {
                Some(Value::Object(_)) => Ok(Answer::json(reply)),
                _ => Err(Failure::teach(
                    "The server's answer has neither data nor errors, so it is none to a GraphQL query. The call can be repeated.",
                )),
            };
        }
        let wait = if errors.iter().any(|error| error.contains("Too Many Requests")) {
            format!(" {WAIT}")
        } else {
            String::new()
        };
        let errors = shown::some_of(&errors, "; ", cx.budget() / 2);
        if reply.get("data").is_none_or(holds_nothing) {
            let said: Vec<&str> = errors_of(&reply).filter_map(|error| error.get("message")?.as_str()).collect();
            let failure = Failure::teach(format!("GraphQL gave no data: {errors}.{wait}"));
            return Err(match flags::note_of_error(&said) {
                Some(flag) => failure.hint(flag),
                None => failure,
            });
        }
        Ok(Answer::json(reply).missing(format!("Incomplete: {errors}.{wait}")))
    }
}

/// What is said of filters by codes that there are not: a list that is empty for that reads as if there were none.
fn codes_that_are_none(document: &GraphQl) -> BTreeSet<String> {
    let of_field = |field: &Selected<'_>| -> Vec<String> {
        let Some(Ok(info)) = field.leads_to() else { return Vec::new() };
        field.filters().iter().filter_map(|(name, value)| no_such_code(info, name, value)).collect()
    };
    document.selected().iter().flat_map(of_field).collect()
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

/// The errors; what stands in their place and is no list is one of them.
fn errors_of(reply: &Value) -> impl Iterator<Item = &Value> {
    let errors = reply.get("errors").filter(|errors| !errors.is_null());
    errors.map(|errors| errors.as_array().map_or(std::slice::from_ref(errors), Vec::as_slice)).into_iter().flatten()
}

/// Null, and whatever holds nothing else. A list that is empty says that there are none.
fn holds_nothing(data: &Value) -> bool {
    match data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(holds_nothing),
        Value::Array(items) => !items.is_empty() && items.iter().all(holds_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_by_a_code_that_there_is_not_is_told() {
        let said = |query: &str| codes_that_are_none(&GraphQl::parse(query, None, None).unwrap());
        let told =
            said("{ Patient(id: \"1\") { ConditionList(_reference: patient, clinical_status: \"activ\") { id } } }");
        assert_eq!(told.len(), 1);
        assert!(
            told.iter().all(|text| text.starts_with("clinical-status: \"activ\" is not one of active | ")),
            "{told:?}"
        );
        for fine in [
            "{ ConditionList(clinical_status: \"active,resolved\") { id } }",
            "{ Patient(id: \"final\") { id name { use } } }",
            "{ ObservationList(code: \"activ\", _count: 3) { id } }",
        ] {
            assert!(said(fine).is_empty(), "{fine}");
        }
    }

    #[test]
    fn nothing_but_nulls_is_no_data_however_deep_they_are() {
        for nothing in [json!(null), json!({}), json!({"a": {"b": null, "c": [null, [null]]}})] {
            assert!(holds_nothing(&nothing), "{nothing}");
        }
        for something in [json!({"PatientList": []}), json!({"a": [null, {"id": "1"}]}), json!({"count": 0})] {
            assert!(!holds_nothing(&something), "{something}");
        }
    }

    #[test]
    fn what_is_no_list_of_errors_is_an_error() {
        let said = |errors: Value| messages(&json!({"data": {"a": 1}, "errors": errors}));
        assert_eq!(said(json!("x")), ["\"unknown\""]);
        assert_eq!(said(json!([{"message": "denied", "path": ["PatientList", 1]}])), ["\"denied\" (PatientList.1)"]);
        assert!(said(json!([])).is_empty() && said(json!(null)).is_empty());
    }
}
