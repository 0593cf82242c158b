//! One interaction as the log has it: what it is, what it is about, how it ended. No value of it, and of a query its
//! parameters' names alone.

use std::time::Duration;

use medplum_client::{Body, Came, Effect, Ended, Error, GraphQlField, Interaction, Outcome, Query, Reply};
use serde::Serialize;
use serde_json::Value;

use super::words::Words;

/// An interaction, asked of Medplum or refused.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Asked {
    interaction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<String>,
    /// Of a bundle, and of a GraphQL document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<Asked>,
    #[serde(flatten)]
    end: Option<End>,
}

/// How it ended.
#[derive(Debug, Serialize)]
struct End {
    outcome: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// The id by which Medplum's own log knows the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "is_one")]
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    /// Carried out.
    Done,
    /// Not carried out.
    Failed,
    /// Held back: never sent, or after a failure not again.
    Refused,
    /// Sent; whether it was carried out is not known.
    Unknown,
}

fn is_one(attempts: &u32) -> bool {
    *attempts == 1
}

/// The name of an effect.
pub(crate) fn name(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Write => "write",
        Effect::Run => "run",
    }
}

impl Asked {
    /// An interaction as it is about to be sent, or as it was refused.
    pub(crate) fn of(interaction: &Interaction, words: &Words) -> Self {
        let label = interaction.label();
        let asked = Self {
            interaction: label.interaction,
            effect: Some(name(interaction.effect())),
            resource_type: label.resource_type.map(Words::resource_type),
            id: interaction.id().map(|id| Words::id(id.as_str())),
            parameters: parameters(interaction).map(|query| words.parameters(query)).unwrap_or_default(),
            ..Self::default()
        };
        match interaction {
            Interaction::VersionRead { version, .. } | Interaction::Update { if_match: Some(version), .. } => {
                Self { version: Some(Words::id(version.as_str())), ..asked }
            }
            Interaction::Operation(operation) => Self {
                method: Some(operation.method.as_str()),
                operation: Some(Words::operation(operation.name.as_str())),
                ..asked
            },
            Interaction::GraphQl(document) => {
                Self { entries: document.asked_for().into_iter().map(Self::of_field).collect(), ..asked }
            }
            Interaction::Batch(batch) => Self {
                entries: batch.entries().iter().map(|entry| Self::of(&entry.interaction, words)).collect(),
                ..asked
            },
            Interaction::Raw(raw) => {
                Self { method: Some(raw.method().as_str()), path: Some(Words::path(raw.segments())), ..asked }
            }
            _ => asked,
        }
    }

    fn of_field(field: GraphQlField) -> Self {
        Self {
            interaction: field.interaction,
            resource_type: Some(Words::resource_type(&field.resource_type)),
            id: field.id.as_deref().map(Words::id),
            ..Self::default()
        }
    }

    /// Whether it does more than read.
    pub(crate) fn acts(&self) -> bool {
        self.effect.is_some_and(|effect| effect != name(Effect::Read))
    }

    /// Whether it was carried out.
    pub(crate) fn is_done(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.outcome == Fate::Done)
    }

    /// The gate, or the log itself, held it back.
    pub(crate) fn refused(&mut self) {
        self.end =
            Some(End { outcome: Fate::Refused, status: None, error: None, request_id: None, attempts: 1, ms: None });
    }

    /// Nobody waited for its end, or nobody could.
    pub(crate) fn unanswered(&mut self) {
        if self.end.is_none() {
            let error = Some("nobody waited for the answer");
            self.end =
                Some(End { outcome: Fate::Unknown, status: None, error, request_id: None, attempts: 1, ms: None });
        }
    }

    /// How it ended.
    pub(crate) fn ended(&mut self, how: &Ended<'_>, took: Duration) {
        let (outcome, error, request_id) = match how.came {
            Ok(Came::Page(_) | Came::Resource(_)) => (Fate::Done, None, None),
            Ok(Came::Reply(reply)) => {
                self.take_reply(reply);
                let errors = self.interaction == "graphql" && reply.json().get("errors").is_some();
                let unsure = errors && self.effect != Some(name(Effect::Read));
                (if unsure { Fate::Unknown } else { Fate::Done }, None, request_id(reply))
            }
            Err(error) => {
                let request_id = match error {
                    Error::Outcome(outcome) => outcome.request_id.as_deref().map(Words::id),
                    _ => None,
                };
                let told_by_status = matches!(error, Error::Outcome(_));
                (fate(error), Some(kind(error)).filter(|_| !told_by_status), request_id)
            }
        };
        let ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.end = Some(End { outcome, status: how.status, error, request_id, attempts: how.attempts, ms });
    }

    /// The ids that Medplum gave, and how each entry of a bundle ended.
    fn take_reply(&mut self, reply: &Reply) {
        let body = reply.json();
        match self.interaction {
            "create" => self.id = created(body, reply.location.as_deref()).or(self.id.take()),
            "batch" | "transaction" => {
                let entries = body.get("entry").and_then(Value::as_array).into_iter().flatten();
                self.entries.iter_mut().zip(entries).for_each(|(asked, entry)| asked.take_entry(entry));
            }
            _ => {}
        }
    }

    fn take_entry(&mut self, entry: &Value) {
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
        let status = text("/response/status").and_then(|status| status.get(..3)?.parse::<u16>().ok());
        let outcome = match status {
            Some(200..=399) => Fate::Done,
            Some(400..=499) => Fate::Failed,
            _ => Fate::Unknown,
        };
        if self.interaction == "create" {
            let resource = entry.get("resource").unwrap_or(&Value::Null);
            self.id = created(resource, text("/response/location"));
        }
        let request_id = entry.pointer("/response/outcome").and_then(tracing_id);
        self.end = Some(End { outcome, status, error: None, request_id, attempts: 1, ms: None });
    }
}

/// The query of an interaction, of which the names are written down.
fn parameters(interaction: &Interaction) -> Option<&Query> {
    match interaction {
        Interaction::Read { query, .. } | Interaction::History { query, .. } => Some(query),
        Interaction::Search(search) => Some(&search.query),
        Interaction::Create { if_none_exist, .. } => if_none_exist.as_ref(),
        Interaction::Operation(operation) => Some(&operation.query),
        Interaction::Raw(raw) => Some(raw.query()),
        _ => None,
    }
}

/// The id of what was created: Medplum answers with the resource, and names it in the location.
fn created(resource: &Value, location: Option<&str>) -> Option<String> {
    let own = resource.get("id").and_then(Value::as_str);
    let located = || {
        let path = location?.split("/_history").next()?;
        path.rsplit('/').next()
    };
    own.or_else(located).map(Words::id)
}

/// Medplum names its request in its outcomes, of success too.
fn request_id(reply: &Reply) -> Option<String> {
    match &reply.body {
        Body::Json(body) => tracing_id(body),
        _ => None,
    }
}

fn tracing_id(body: &Value) -> Option<String> {
    let outcome = Some(body).filter(|body| body.get("resourceType").is_some_and(|t| t == "OperationOutcome"))?;
    Outcome::new(200, Some(outcome)).request_id.as_deref().map(Words::id)
}

fn fate(error: &Error) -> Fate {
    match error {
        Error::Refused(_) => Fate::Refused,
        error if error.was_carried_out() => Fate::Done,
        error if error.may_have_acted() => Fate::Unknown,
        _ => Fate::Failed,
    }
}

/// What kind of failure it was, in a word or two: its text may hold more than belongs here.
pub(crate) fn kind(error: &Error) -> &'static str {
    match error {
        Error::Invalid(_) => "invalid",
        Error::Refused(_) => "refused",
        Error::Config(_) => "configuration",
        Error::Credentials { .. } | Error::AccessToken => "credentials",
        Error::SignIn(_) => "sign-in",
        Error::Outcome(outcome) if outcome.status < 500 => "refused by Medplum",
        Error::Outcome(_) => "failed in Medplum",
        Error::Unreachable { .. } => "unreachable",
        Error::Lost { .. } => "connection lost",
        Error::TooLarge { .. } => "answer too large",
        Error::TooSlow { .. } => "answer too slow",
        Error::NotFhir { .. } => "answer not FHIR",
        Error::Redirect { .. } => "redirect",
        _ => "failed",
    }
}
