//! Several interactions in one request.

use std::collections::BTreeSet;

use medplum_client::{Batch, BatchEntry, BatchKind, Interaction, ResourceId, ResourceType};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::search::{ask_for_fields, includes};
use crate::answer::fields::Fields;
use crate::answer::{Answer, batch};
use crate::context::{Allowed, Context};
use crate::doubt::{self, listed};
use crate::failure::{Failure, WAIT, entry_path};
use crate::search::entries;
use crate::shown;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

/// So much of what Medplum says of an entry is repeated.
const SAID: usize = 300;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ExecuteBatch {
    bundle: Map<String, Value>,
    /// false: store references that lead nowhere
    check_references: Option<bool>,
    /// One table over all entries
    fields: Option<Vec<String>>,
    /// true: send a transaction even where a part of it may stay
    allow_partial: Option<bool>,
}

impl Run for ExecuteBatch {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "execute_batch",
        toolset: Toolset::Bundle,
        title: "Execute FHIR Batch or Transaction",
        description: "Requests in one: type batch, or transaction (all or none, where the project has that): {\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":\"Patient/<id>\"}}]}; a write has its resource beside request, fullUrl urn:uuid:… to refer to it. Says which failed. Read-only: reads alone.",
        when: "many reads at once, or writes that belong together",
        does: Does::ReadsOrActs,
        may_run: true,
        on_behalf_of: true,
    };

    /// Read-only, there is nothing that these arguments could be about.
    fn narrow(schema: &mut JsonObject) {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| name != "check_references" && name != "allow_partial");
        }
    }

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let mut batch = Batch::parse(&Value::Object(self.bundle))?;
        if batch.entries().is_empty() {
            return Err(Failure::teach("bundle.entry is empty. Nothing was sent."));
        }
        let fields = fields_of(cx, &batch, self.fields)?;
        bring_fields(&mut batch, fields.as_ref());
        let kind = batch.kind();
        let asked: Vec<Asked> = batch.entries().iter().map(Asked::of).collect();
        let targets = targets(&batch);
        let partial = self.allow_partial == Some(true);
        let allowed = Allowed { partial, ..Allowed::by_check_references(self.check_references) };
        let sent = cx.send_with(&Interaction::Batch(batch), allowed).await;
        let reply = match sent {
            Ok(reply) => reply.into_json(),
            Err(failure) => {
                let missing = match kind {
                    BatchKind::Transaction => cx.explaining(missing(cx, &failure, &targets)).await.flatten(),
                    BatchKind::Batch => None,
                };
                return Err(explain(failure, kind, missing));
            }
        };
        let note = report(&asked, &reply, kind);
        let more = batch::more_behind(&reply);
        let answer = match &fields {
            Some(fields) => batch::table(&reply, fields)?,
            None => Answer::json(reply),
        };
        Ok(answer.missing(note).missing(more))
    }
}

/// The columns that were asked for, some of which only some of the entries' types may have.
fn fields_of(cx: &Context<'_>, batch: &Batch, given: Option<Vec<String>>) -> Result<Option<Fields>, Failure> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    let fields = Fields::parse(&given, cx.time_of_day())?;
    // What an operation or a document brings can be of any type, and so can what a search includes.
    let of = |interaction: &'_ Interaction| match interaction {
        Interaction::Operation(_) | Interaction::GraphQl(_) | Interaction::Raw(_) => None,
        Interaction::Search(search) if search.query.iter().any(|(key, _)| includes(key)) => None,
        other => other.label().resource_type.map(str::to_owned),
    };
    let types: Option<BTreeSet<String>> = batch.entries().iter().map(|entry| of(&entry.interaction)).collect();
    match types {
        Some(types) => fields.check(&types.iter().map(String::as_str).collect::<Vec<_>>())?,
        None => fields.check(&["Resource"])?,
    }
    Ok(Some(fields))
}

/// An entry, as far as what became of it must be told.
struct Asked {
    acts: bool,
    /// Whether it is answered with a resource wherever it goes well.
    brings: bool,
    may_be_unchanged: bool,
    /// How to see whether it was carried out.
    look: String,
}

impl Asked {
    fn of(entry: &BatchEntry) -> Self {
        let look = doubt::look(&entry.interaction).unwrap_or_else(|| {
            let request = entry.interaction.to_request();
            format!("{} {}, which no call shows", request.method.as_str(), request.path)
        });
        let acts = !entry.interaction.effect().is_read();
        // An operation, such as $validate, may have nothing to bring.
        let brings = matches!(
            &entry.interaction,
            Interaction::Read { .. }
                | Interaction::VersionRead { .. }
                | Interaction::History { .. }
                | Interaction::Search(_)
                | Interaction::GraphQl(_)
        );
        Self { acts, brings, may_be_unchanged: entry.may_be_unchanged(), look }
    }
}

/// What became of an entry that was not simply carried out.
enum Fate {
    Done,
    /// Medplum refused it, or a read failed: nothing came of it.
    Refused(String),
    /// Medplum took it on, and need not have done it yet.
    Accepted(String),
    /// It may have been carried out.
    Unknown(String),
}

/// The searches among the entries bring no more than the fields that are shown.
fn bring_fields(batch: &mut Batch, fields: Option<&Fields>) {
    for entry in batch.entries_mut() {
        if let Interaction::Search(search) = &mut entry.interaction
            && let Some(resource_type) = &search.resource_type
        {
            ask_for_fields(resource_type.as_str(), fields, &mut search.query);
        }
    }
}

/// The entries that are about a resource by its id, with their places.
fn targets(batch: &Batch) -> Vec<(usize, ResourceType, ResourceId)> {
    let entries = batch.entries().iter().map(|entry| &entry.interaction).enumerate();
    let target = |(index, entry): (usize, &Interaction)| match entry {
        Interaction::Read { resource_type, id, .. }
        | Interaction::Update { resource_type, id, .. }
        | Interaction::Patch { resource_type, id, .. }
        | Interaction::Delete { resource_type, id } => Some((index, resource_type.clone(), id.clone())),
        _ => None,
    };
    entries.filter_map(target).collect()
}

/// The entries of a transaction whose resource is not there: Medplum says that one is not, and not which.
async fn missing(cx: &Context<'_>, failure: &Failure, targets: &[(usize, ResourceType, ResourceId)]) -> Option<String> {
    const MOST: usize = 20;
    if failure.status() != Some(404) {
        return None;
    }
    let mut missing = Vec::new();
    for (index, of, id) in targets.iter().take(MOST) {
        if cx.look_up_now(of, id).await.is_ok_and(|stored| stored.there().is_none()) {
            missing
                .push(format!("{}: there is no {of}/{id}, or it is not visible to this client.", entry_path(*index)));
        }
    }
    (!missing.is_empty()).then(|| missing.join(" "))
}

/// A transaction that Medplum refuses as a whole has stored nothing.
fn explain(failure: Failure, kind: BatchKind, missing: Option<String>) -> Failure {
    let refused = !failure.may_have_acted() && failure.status().is_some_and(|status| (400..500).contains(&status));
    if refused && kind == BatchKind::Transaction {
        match missing {
            Some(missing) => failure.means(missing).hint("Nothing of the transaction was stored."),
            None => failure.hint("Nothing of the transaction was stored."),
        }
    } else {
        failure
    }
}

/// What became of each entry: nothing to say where all were carried out.
fn report(asked: &[Asked], reply: &Value, kind: BatchKind) -> String {
    let fates: Vec<Fate> =
        asked.iter().enumerate().map(|(index, asked)| fate(index, asked, entries(reply).get(index))).collect();
    let (mut done, mut refused, mut accepted, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, fate) in fates.into_iter().enumerate() {
        match fate {
            Fate::Done => done.push(format!("[{index}]")),
            Fate::Refused(why) => refused.push(why),
            Fate::Accepted(why) => accepted.push(why),
            Fate::Unknown(why) => unknown.push(why),
        }
    }
    if refused.is_empty() && accepted.is_empty() && unknown.is_empty() {
        return String::new();
    }
    let throttled = entries(reply).iter().any(|entry| status_of(entry).starts_with("429"));
    let open = !unknown.is_empty() || !accepted.is_empty();
    let failed = refused.len().saturating_add(unknown.len());
    let head = format!("{failed} of {} entries failed", asked.len());
    if !asked.iter().any(|asked| asked.acts) {
        return format!("{head}: {}.{}", listed(refused), if throttled { format!(" {WAIT}") } else { String::new() });
    }
    let mut said = if failed > 0 { vec![head] } else { Vec::new() };
    if !refused.is_empty() {
        said.push(format!("Refused: {}", listed(refused)));
    }
    if !unknown.is_empty() {
        said.push(format!("Unknown, each may have been carried out: {}", listed(unknown)));
    }
    if !accepted.is_empty() {
        said.push(format!("Accepted, to be carried out later: {}", listed(accepted)));
    }
    let kept = !done.is_empty() && kind == BatchKind::Transaction;
    if !done.is_empty() {
        said.push(format!("Done: {}", listed(done)));
    } else if !open {
        said.push("None was carried out".to_owned());
    }
    if kept {
        said.push("This project does not carry transactions out as one: what is done stays".to_owned());
    }
    let mut said: Vec<String> = said.iter().map(|sentence| format!("{sentence}.")).collect();
    said.extend(throttled.then(|| WAIT.to_owned()));
    said.join(" ")
}

fn status_of(entry: &Value) -> &str {
    entry.pointer("/response/status").and_then(Value::as_str).unwrap_or("no answer")
}

/// Medplum's word on one entry, with its place.
fn fate(index: usize, asked: &Asked, entry: Option<&Value>) -> Fate {
    let text = |pointer: &str| entry.and_then(|entry| entry.pointer(pointer)).and_then(Value::as_str);
    let status = entry.map_or("no answer", status_of);
    let done = match (status.get(..3), asked.acts) {
        (Some("304"), _) => asked.may_be_unchanged,
        (Some("202"), true) => false,
        (_, true) => status.starts_with('2'),
        (_, false) => {
            status.starts_with('2') && (!asked.brings || entry.is_some_and(|entry| entry.get("resource").is_some()))
        }
    };
    if done {
        return Fate::Done;
    }
    // In quotes: it may repeat what somebody stored.
    let said = text("/response/outcome/issue/0/details/text").map(|said| format!(" {}", shown::text(said, SAID)));
    let at = text("/response/outcome/issue/0/expression/0").map(|at| format!(" ({})", shown::path(at)));
    let empty = if status.starts_with('2') && !asked.acts { " without a resource" } else { "" };
    let (said, at) = (said.unwrap_or_default(), at.unwrap_or_default());
    let word = format!("[{index}] {}{empty}{said}{at}", shown::status(status));
    if asked.acts && status.starts_with("202") {
        Fate::Accepted(format!("{word}: {}", asked.look))
    } else if asked.acts && !status.starts_with('4') {
        Fate::Unknown(format!("{word}: {}", asked.look))
    } else {
        Fate::Refused(word)
    }
}
