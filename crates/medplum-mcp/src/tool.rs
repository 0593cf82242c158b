//! What a tool is: facts about it, typed arguments, and a run.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::{JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::Answer;
use crate::arguments;
use crate::context::Context;
use crate::failure::Failure;
use crate::schema;
use crate::settings::Limits;

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

type Runner = for<'a> fn(JsonObject, &'a JsonObject, &'a Context<'a>) -> BoxFuture<'a, Result<Answer, Failure>>;

/// A tool as the server holds it.
#[derive(Clone)]
pub struct Tool {
    /// What is known of it.
    pub facts: Facts,
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
        Self { facts: A::FACTS, schema: Arc::new(schema), whole, run: run::<A> }
    }

    /// Whether it is there at all under these limits.
    pub fn is_open(&self, limits: &Limits) -> bool {
        limits.writes || matches!(self.facts.does, Does::Reads | Does::ReadsOrActs)
    }

    /// The tool as `tools/list` shows it.
    pub fn listing(&self, limits: &Limits) -> rmcp::model::Tool {
        rmcp::model::Tool::new(self.facts.name, self.facts.description, Arc::clone(&self.schema))
            .with_title(self.facts.title)
            .with_annotations(self.annotations(limits))
    }

    /// Runs it.
    pub fn run<'a>(&'a self, arguments: JsonObject, cx: &'a Context<'a>) -> BoxFuture<'a, Result<Answer, Failure>> {
        (self.run)(arguments, &self.whole, cx)
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
    schema: &'a JsonObject,
    cx: &'a Context<'a>,
) -> BoxFuture<'a, Result<Answer, Failure>> {
    async move {
        let arguments: A = arguments::read(&A::FACTS, schema, given)?;
        arguments.run(cx).await
    }
    .boxed()
}

/// The arguments of a call, and `on_behalf_of` taken out of them.
pub(crate) fn split_on_behalf_of(facts: &Facts, mut arguments: JsonObject) -> (JsonObject, Option<Value>) {
    let membership = if facts.on_behalf_of { arguments.remove("on_behalf_of") } else { None };
    (arguments, membership.filter(|value| !value.is_null()))
}
