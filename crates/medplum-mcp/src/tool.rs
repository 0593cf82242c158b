//! What a tool is: facts about it, typed arguments, and a run.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use medplum_client::Membership;
use rmcp::model::{JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::Answer;
use crate::arguments;
use crate::context::Context;
use crate::failure::Failure;
use crate::schema;
use crate::settings::{Limits, TOOLSETS};
use crate::toolset::{Toolset, without_closed};

/// What a tool does at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// It reads, whatever it is given.
    Reads,
    /// It reads or acts, by what it is given. Read-only, it is there for its reads.
    ReadsOrActs,
    /// It adds something.
    Adds,
    /// It changes what is there; again the same way changes nothing more.
    Replaces,
    /// It changes what is there.
    Changes,
    /// It runs code.
    Runs,
}

/// What is known of a tool before it is called.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Its name, which never changes.
    pub name: &'static str,
    /// The group that it is opened with.
    pub toolset: Toolset,
    /// Its name for a person.
    pub title: &'static str,
    /// What an agent reads to choose it and to call it. Under 1,000 characters.
    pub description: &'static str,
    /// One line for the guide: when to use it.
    pub when: &'static str,
    /// What it does at the most.
    pub does: Does,
    /// Whether it can run code: a bot may reach anywhere.
    pub may_run: bool,
    /// Whether it takes `on_behalf_of`.
    pub on_behalf_of: bool,
}

/// A tool: its arguments are the type that implements this.
pub trait Run: DeserializeOwned + JsonSchema + Send {
    /// What is known of it.
    const FACTS: Facts;

    /// Whether its answers can be large: then its schema shows `budget`.
    const LARGE: bool = false;

    /// What its schema loses where the server is read-only.
    fn narrow(_schema: &mut JsonObject) {}

    /// Turns the arguments into interactions, and their replies into an answer.
    fn run(self, cx: &Context<'_>) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

type Runner = for<'a> fn(JsonObject, arguments::Schema<'a>, &'a Context<'a>) -> BoxFuture<'a, Result<Answer, Failure>>;

/// A tool as the server holds it.
#[derive(Clone)]
pub struct Tool {
    /// What is known of it.
    pub facts: Facts,
    /// What an agent reads to choose it and to call it.
    description: String,
    /// The schema of its arguments, as it is listed under these limits.
    pub schema: Arc<JsonObject>,
    /// The whole schema, by which arguments are checked: what is closed is answered by the gate, with what opens it.
    whole: JsonObject,
    run: Runner,
}

impl Tool {
    /// The tool of an argument type, under the operator's limits.
    pub fn of<A: Run + 'static>(limits: &Limits) -> Self {
        let whole = schema::of::<A>();
        let mut schema = whole.clone();
        if A::FACTS.on_behalf_of && limits.obo_override {
            schema::add_on_behalf_of(&mut schema);
        }
        if A::LARGE {
            schema::add_budget(&mut schema);
        }
        if !limits.writes {
            A::narrow(&mut schema);
        }
        let description = A::FACTS.description.to_owned();
        Self { facts: A::FACTS, description, schema: Arc::new(schema), whole, run: run::<A> }
    }

    /// Whether it is there at all under these limits.
    pub fn is_open(&self, limits: &Limits) -> bool {
        self.closed_by(limits).is_none()
    }

    /// The variable that closes it, if one does.
    pub fn closed_by(&self, limits: &Limits) -> Option<&'static str> {
        if !limits.toolsets.has(self.facts.toolset) {
            return Some(TOOLSETS);
        }
        let reads = matches!(self.facts.does, Does::Reads | Does::ReadsOrActs);
        (!limits.writes && !reads).then(|| limits.closes_writes())
    }

    /// What is said to one who calls it all the same, if it is closed.
    pub fn refusal(&self, limits: &Limits) -> Option<String> {
        let name = self.facts.name;
        Some(match self.closed_by(limits)? {
            TOOLSETS => format!(
                "{name} is closed: this server does without the toolset {}. {}",
                self.facts.toolset.name(),
                limits.toolsets.opened_by(self.facts.toolset)
            ),
            _ => format!("{name} is closed: this server is read-only. {} Nothing was sent.", limits.opens_writes()),
        })
    }

    /// Takes out of its definition what speaks of tools that are closed. Where an argument is told by another tool's,
    /// `others` say what that is.
    pub(crate) fn forget(&mut self, closed: &[&str], others: &[Self]) {
        self.description = without_closed(&self.description, closed);
        let mut schema = JsonObject::clone(&self.schema);
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, property) in properties.iter_mut() {
                let told = |property: &Value| property.get("description").and_then(Value::as_str).map(str::to_owned);
                let Some(description) = told(property) else { continue };
                let elsewhere = description.strip_prefix("As in ").filter(|tool| closed.contains(tool));
                let elsewhere = elsewhere.and_then(|tool| others.iter().find(|other| other.facts.name == tool));
                let elsewhere = elsewhere.and_then(|other| told(other.whole.get("properties")?.get(name)?));
                let description = elsewhere.unwrap_or_else(|| without_closed(&description, closed));
                if let Some(property) = property.as_object_mut() {
                    property.insert("description".into(), description.into());
                }
            }
        }
        self.schema = Arc::new(schema);
    }

    /// Whether one call of it is told from another: its cursors belong to a query, a person's yes to what was asked.
    pub(crate) fn is_told_apart(&self) -> bool {
        let properties = self.whole.get("properties");
        self.facts.does != Does::Reads || properties.is_some_and(|properties| properties.get("cursor").is_some())
    }

    /// The tool as `tools/list` shows it.
    pub fn listing(&self, limits: &Limits) -> rmcp::model::Tool {
        rmcp::model::Tool::new(self.facts.name, self.description.clone(), Arc::clone(&self.schema))
            .with_title(self.facts.title)
            .with_annotations(self.annotations(limits))
    }

    /// Runs it.
    pub fn run<'a>(&'a self, arguments: JsonObject, cx: &'a Context<'a>) -> BoxFuture<'a, Result<Answer, Failure>> {
        let schema = arguments::Schema { whole: &self.whole, listed: &self.schema };
        (self.run)(arguments, schema, cx)
    }

    fn annotations(&self, limits: &Limits) -> ToolAnnotations {
        let reads = match self.facts.does {
            Does::Reads => true,
            Does::ReadsOrActs => !limits.writes,
            _ => false,
        };
        let annotations = ToolAnnotations::new().read_only(reads).open_world(self.facts.may_run && !reads);
        if reads {
            return annotations.destructive(false).idempotent(true);
        }
        annotations.destructive(self.facts.does != Does::Adds).idempotent(self.facts.does == Does::Replaces)
    }
}

fn run<'a, A: Run>(
    given: JsonObject,
    schema: arguments::Schema<'a>,
    cx: &'a Context<'a>,
) -> BoxFuture<'a, Result<Answer, Failure>> {
    async move {
        let arguments: A = arguments::read(&A::FACTS, schema, given)?;
        arguments.run(cx).await
    }
    .boxed()
}

/// The arguments without the membership on whose behalf the call is, and that.
///
/// # Errors
/// A sentence, if it names none.
pub(crate) fn split_on_behalf_of(
    facts: &Facts,
    mut arguments: JsonObject,
) -> Result<(JsonObject, Option<Membership>), String> {
    let given = if facts.on_behalf_of { arguments.remove("on_behalf_of") } else { None };
    let membership = match given {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => {
            Some(Membership::parse(&text).map_err(|error| format!("{error}. Nothing was sent."))?)
        }
        Some(_) => return Err("on_behalf_of must be a string: ProjectMembership/<uuid>. Nothing was sent.".to_owned()),
    };
    Ok((arguments, membership))
}
