//! Codes: whether one belongs to a set, what it means, what it is elsewhere.

use fhir_definitions::systems;
use medplum_client::{Interaction, Level, Method, Operation, OperationName, Query, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::read::{id, needed};
use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

const fn facts(name: &'static str, title: &'static str, description: &'static str, when: &'static str) -> Facts {
    Facts {
        name,
        toolset: Toolset::Terminology,
        title,
        description,
        when,
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    }
}

/// A Parameters resource, a parameter at a time.
#[derive(Default)]
struct Parameters(Vec<Value>);

impl Parameters {
    fn with(mut self, name: &str, element: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            let mut parameter = Map::new();
            parameter.insert("name".into(), name.into());
            parameter.insert(element.into(), value.into());
            self.0.push(Value::Object(parameter));
        }
        self
    }

    async fn ask(
        self,
        cx: &Context<'_>,
        resource_type: &str,
        instance: Option<&str>,
        operation: &str,
        argument: &str,
    ) -> Result<Value, Failure> {
        let resource_type = ResourceType::parse(resource_type)?;
        let kind = resource_type.clone();
        let level = match instance {
            Some(given) => Level::Instance(resource_type.clone(), id(argument, resource_type.as_str(), given)?),
            None => Level::Type(resource_type),
        };
        let body = json!({ "resourceType": "Parameters", "parameter": &self.0 });
        let operation = Operation {
            level,
            name: OperationName::parse(operation)?,
            method: Method::Post,
            query: Query::new(),
            body: Some(body),
        };
        // It answers with the set itself.
        let expected = if operation.name.as_str() == "expand" { "ValueSet" } else { "Parameters" };
        let named = self.text("url").or_else(|| self.text("system")).unwrap_or_default().to_owned();
        let reply = cx.send(&Interaction::operation(operation)?).await;
        let reply = reply.map_err(|failure| match failure.is_unknown_canonical() {
            true => failure.hint(unknown(kind.as_str(), &named)),
            false => failure,
        });
        let reply = reply?.into_json();
        if reply.get("resourceType").and_then(Value::as_str) != Some(expected) {
            return Err(no_answer(expected));
        }
        Ok(reply)
    }

    /// A parameter of one value.
    fn text(&self, name: &str) -> Option<&str> {
        let parameter = self.0.iter().find(|p| p.get("name").and_then(Value::as_str) == Some(name))?;
        parameter.as_object()?.iter().find(|(key, _)| key.starts_with("value"))?.1.as_str()
    }
}

/// What to do where Medplum has none of that URL.
fn unknown(kind: &str, named: &str) -> String {
    let system = systems::uri_of(named);
    if let Some(url) = system.filter(|_| kind == "CodeSystem") {
        return format!("It is named by its URL: {url}.");
    }
    let is_system = kind == "ValueSet" && (system.is_some() || systems::is_known(named));
    let other = if is_system { "That names a code system: lookup_concept takes it as system. " } else { "" };
    format!(
        "{other}Those of this project: search_resources {kind}, fields [\"url\",\"name\"], name:contains for a word."
    )
}

/// What was said of an argument that need not be there: a blank one is left out.
fn said(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.trim().is_empty())
}

/// How many, or from where on.
fn not_negative(argument: &str, value: Option<i64>) -> Result<Option<i64>, Failure> {
    match value {
        Some(number) if number < 0 => Err(Failure::not_sent(format!("{argument} must be 0 or more"))),
        value => Ok(value),
    }
}

/// Exactly one of two ways to name the same thing.
fn one_of(url_name: &str, url: Option<&String>, id_name: &str, id: Option<&String>) -> Result<(), Failure> {
    match (url, id) {
        (Some(_), Some(_)) => Err(Failure::teach(format!("Pass {url_name} or {id_name}, not both. Nothing was sent."))),
        (None, None) => {
            Err(Failure::teach(format!("Pass {url_name} (its canonical URL) or {id_name}. Nothing was sent.")))
        }
        _ => Ok(()),
    }
}

/// What is said of an answer that is none: nothing is known by it, of a code least of all.
fn no_answer(expected: &str) -> Failure {
    Failure::teach(format!("The server's answer is no {expected} with a result, so it says nothing of the code."))
}

/// The parameters of this name in an answer.
fn named<'a>(parameters: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = parameters.get("parameter").and_then(Value::as_array).into_iter().flatten();
    all.filter(move |parameter| parameter.get("name").and_then(Value::as_str) == Some(name))
}

/// What was answered by `result`, said so that a miss is not taken for a fault.
fn verdict(parameters: Value, place: &str) -> Result<Answer, Failure> {
    let result = named(&parameters, "result").find_map(|p| p.get("valueBoolean").and_then(Value::as_bool));
    let note = match result {
        Some(true) => String::new(),
        Some(false) => format!("Not in that {place}."),
        None => return Err(no_answer("Parameters")),
    };
    Ok(Answer::json(parameters).note(note))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ValidateCode {
    code: String,
    system: String,
    valueset_url: Option<String>,
    valueset_id: Option<String>,
    display: Option<String>,
}

impl Run for ValidateCode {
    const FACTS: Facts = facts(
        "validate_code",
        "Validate Code in ValueSet",
        "Whether a code is in a ValueSet, named by URL or id.",
        "is this code in that value set",
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let (url, id) = (said(self.valueset_url), said(self.valueset_id));
        one_of("valueset_url", url.as_ref(), "valueset_id", id.as_ref())?;
        let parameters = Parameters::default()
            .with("url", "valueUri", url)
            .with("code", "valueCode", Some(needed("code", self.code)?))
            .with("system", "valueUri", Some(needed("system", self.system)?))
            .with("display", "valueString", said(self.display));
        let answer = parameters.ask(cx, "ValueSet", id.as_deref(), "validate-code", "valueset_id").await?;
        verdict(answer, "ValueSet")
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ValidateCodesystemCode {
    code: Option<String>,
    codesystem_url: Option<String>,
    codesystem_id: Option<String>,
    coding: Option<Map<String, Value>>,
    version: Option<String>,
}

impl Run for ValidateCodesystemCode {
    const FACTS: Facts = facts(
        "validate_codesystem_code",
        "Validate Code in CodeSystem",
        "Whether a code, or a coding {\"system\":…,\"code\":…}, exists in a CodeSystem, named by URL or id.",
        "does this code exist",
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let (url, id, code) = (said(self.codesystem_url), said(self.codesystem_id), said(self.code));
        match (&code, &self.coding) {
            (Some(_), Some(_)) => return Err(Failure::teach("Pass code or coding, not both. Nothing was sent.")),
            (None, None) => {
                return Err(Failure::teach(
                    "Pass code, or coding as {\"system\":\"http://loinc.org\",\"code\":\"8867-4\"}. Nothing was sent.",
                ));
            }
            // A coding names its system itself.
            (None, Some(_)) if url.is_none() && id.is_none() => {}
            _ => one_of("codesystem_url", url.as_ref(), "codesystem_id", id.as_ref())?,
        }
        let parameters = Parameters::default()
            .with("url", "valueUri", url)
            .with("version", "valueString", said(self.version))
            .with("code", "valueCode", code)
            .with("coding", "valueCoding", self.coding.map(Value::Object));
        let answer = parameters.ask(cx, "CodeSystem", id.as_deref(), "validate-code", "codesystem_id").await?;
        verdict(answer, "CodeSystem")
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ExpandValueset {
    valueset_url: Option<String>,
    valueset_id: Option<String>,
    filter: Option<String>,
    count: Option<i64>,
    offset: Option<i64>,
    active_only: Option<bool>,
}

impl Run for ExpandValueset {
    const FACTS: Facts = facts(
        "expand_valueset",
        "Expand ValueSet",
        "The codes of a ValueSet, named by URL or id. filter finds the code for a word.",
        "which codes are in a value set, or the code for a word",
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let (url, id) = (said(self.valueset_url), said(self.valueset_id));
        one_of("valueset_url", url.as_ref(), "valueset_id", id.as_ref())?;
        let (offset, count) = (not_negative("offset", self.offset)?, not_negative("count", self.count)?);
        let url = match &id {
            Some(given) => url_of(cx, given).await?,
            None => url.unwrap_or_default(),
        };
        let parameters = Parameters::default()
            .with("url", "valueUri", Some(url))
            .with("filter", "valueString", said(self.filter))
            .with("offset", "valueInteger", offset)
            .with("count", "valueInteger", count)
            .with("activeOnly", "valueBoolean", self.active_only);
        let value_set = parameters.ask(cx, "ValueSet", None, "expand", "valueset_id").await?;
        let shown = value_set.pointer("/expansion/contains").and_then(Value::as_array).map_or(0, Vec::len);
        let note = if shown == 0 { "No code matches.".to_owned() } else { String::new() };
        Ok(Answer::json(value_set).note(note))
    }
}

/// Medplum expands by URL alone.
async fn url_of(cx: &Context<'_>, given: &str) -> Result<String, Failure> {
    let resource_type = ResourceType::parse("ValueSet")?;
    let id = id("valueset_id", "ValueSet", given)?;
    let value_set = cx.send(&Interaction::read(resource_type, id)).await?.into_json();
    let url = value_set.get("url").and_then(Value::as_str);
    url.map(str::to_owned).ok_or_else(|| Failure::teach("That ValueSet has no url, and Medplum expands by url alone."))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct LookupConcept {
    code: String,
    system: Option<String>,
    codesystem_id: Option<String>,
    display_language: Option<String>,
    property: Option<Vec<String>>,
}

impl Run for LookupConcept {
    const FACTS: Facts = facts(
        "lookup_concept",
        "Lookup Code in CodeSystem",
        "What a code means. Name the CodeSystem by system or id.",
        "what does this code mean",
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let (system, id) = (said(self.system), said(self.codesystem_id));
        one_of("system", system.as_ref(), "codesystem_id", id.as_ref())?;
        let mut parameters = Parameters::default()
            .with("code", "valueCode", Some(needed("code", self.code)?))
            .with("system", "valueUri", system)
            .with("displayLanguage", "valueCode", said(self.display_language));
        for property in self.property.unwrap_or_default() {
            parameters = parameters.with("property", "valueCode", said(Some(property)));
        }
        let answer = parameters.ask(cx, "CodeSystem", id.as_deref(), "lookup", "codesystem_id").await;
        let unknown = |failure: Failure| {
            if failure.says_not_found() {
                Failure::teach(
                    "That code is not in that CodeSystem, or the CodeSystem is not in this project. expand_valueset with filter finds codes by word.",
                )
            } else {
                failure
            }
        };
        let answer = answer.map_err(unknown)?;
        if named(&answer, "display").chain(named(&answer, "name")).next().is_none() {
            return Err(no_answer("Parameters"));
        }
        Ok(Answer::json(answer))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct TranslateConcept {
    code: String,
    system: String,
    target_system: Option<String>,
    conceptmap_url: Option<String>,
    conceptmap_id: Option<String>,
    reverse: Option<bool>,
}

impl Run for TranslateConcept {
    const FACTS: Facts = facts(
        "translate_concept",
        "Translate Code Between Systems",
        "What a code is in another system, by a ConceptMap of this project.",
        "this code in another system",
    );

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let (url, id) = (said(self.conceptmap_url), said(self.conceptmap_id));
        if url.is_some() && id.is_some() {
            return Err(Failure::teach("Pass conceptmap_url or conceptmap_id, not both. Nothing was sent."));
        }
        let named = url.is_some() || id.is_some();
        let parameters = Parameters::default()
            .with("url", "valueUri", url)
            .with("code", "valueCode", Some(needed("code", self.code)?))
            .with("system", "valueUri", Some(needed("system", self.system)?))
            .with("targetSystem", "valueUri", said(self.target_system))
            .with("reverse", "valueBoolean", self.reverse);
        let answer = parameters.ask(cx, "ConceptMap", id.as_deref(), "translate", "conceptmap_id").await;
        let unnamed = |failure: Failure| {
            if failure.status() == Some(400) && !named {
                failure.hint("Pass conceptmap_url. Those of this project: search_resources ConceptMap, fields [\"url\",\"title\"].")
            } else {
                failure
            }
        };
        verdict(answer.map_err(unnamed)?, "ConceptMap")
    }
}
