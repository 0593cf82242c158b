//! Several interactions in one request.

use std::collections::BTreeSet;

use medplum_client::{Batch, BatchKind, Interaction};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::search::ask_for_fields;
use crate::answer::fields::Fields;
use crate::answer::{Answer, batch};
use crate::context::{Context, References};
use crate::failure::Failure;
use crate::search::{Search, entries, link};
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ExecuteBatch {
    bundle: Map<String, Value>,
    /// false: store references that lead nowhere
    check_references: Option<bool>,
    /// One table over all entries
    fields: Option<Vec<String>>,
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

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let mut batch = Batch::parse(&Value::Object(self.bundle))?;
        if batch.entries().is_empty() {
            return Err(Failure::teach("bundle.entry is empty. Nothing was sent."));
        }
        let fields = fields_of(&batch, self.fields)?;
        let searches = look_at_searches(cx, &mut batch, fields.as_ref()).await?;
        let (asked, kind, acts) = (batch.entries().len(), batch.kind(), !batch.effect().is_read());
        let references = References::checked(self.check_references);
        let sent = cx.send_with(&Interaction::Batch(batch), references).await;
        let reply = sent.map_err(|failure| explain_rollback(failure, kind))?.into_json();
        disobeyed(cx, &searches, &reply, acts)?;
        let failed = failures(&reply);
        let note = if failed.is_empty() { String::new() } else { report(&failed, asked, kind, acts) };
        let more = batch::more_behind(&reply);
        let answer = match &fields {
            Some(fields) => batch::table(&reply, fields)?,
            None => Answer::json(reply),
        };
        Ok(answer.missing(note).missing(more))
    }
}

/// The columns that were asked for, some of which only some of the entries' types may have.
fn fields_of(batch: &Batch, given: Option<Vec<String>>) -> Result<Option<Fields>, Failure> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    let fields = Fields::parse(&given)?;
    // What an operation or a document brings can be of any type.
    let of = |interaction: &'_ Interaction| match interaction {
        Interaction::Operation(_) | Interaction::GraphQl(_) | Interaction::Raw(_) => None,
        other => other.label().resource_type.map(str::to_owned),
    };
    let types: Option<BTreeSet<String>> = batch.entries().iter().map(|entry| of(&entry.interaction)).collect();
    if let Some(types) = types {
        fields.check(&types.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(Some(fields))
}

/// The searches among the entries, looked at like any other, each with its place.
async fn look_at_searches(
    cx: &Context<'_>,
    batch: &mut Batch,
    fields: Option<&Fields>,
) -> Result<Vec<(usize, Search)>, Failure> {
    let mut searches = Vec::new();
    for (index, entry) in batch.entries_mut().iter_mut().enumerate() {
        let Interaction::Search(asked) = &entry.interaction else { continue };
        let Some(resource_type) = asked.resource_type.clone() else { continue };
        let mut query = asked.query.clone();
        ask_for_fields(resource_type.as_str(), fields, &mut query);
        let search = Search::new(cx, resource_type, query).await;
        let search = search.map_err(|failure| failure.at(&format!("bundle.entry[{index}]")))?;
        entry.interaction = search.interaction();
        searches.push((index, search));
    }
    Ok(searches)
}

/// A search that Medplum carried out as another is no answer. Where nothing was written the whole is thrown away;
/// else it is said.
fn disobeyed(cx: &Context<'_>, searches: &[(usize, Search)], reply: &Value, acts: bool) -> Result<(), Failure> {
    for (index, search) in searches {
        let result = entries(reply).get(*index).and_then(|entry| entry.get("resource"));
        let Some(Err(failure)) = result.map(|bundle| search.obeyed(link(bundle, "self"))) else { continue };
        let failure = failure.at(&format!("bundle.entry[{index}]"));
        if !acts {
            return Err(failure);
        }
        cx.note(failure.explain(cx));
    }
    Ok(())
}

/// A transaction that Medplum refuses as a whole has stored nothing.
fn explain_rollback(failure: Failure, kind: BatchKind) -> Failure {
    let refused = failure.status().is_some_and(|status| (400..500).contains(&status));
    if refused && kind == BatchKind::Transaction {
        failure.hint("Nothing of the transaction was stored.")
    } else {
        failure
    }
}

/// The entries that did not succeed: their place, status and Medplum's word.
fn failures(reply: &Value) -> Vec<String> {
    let failure = |(index, entry): (usize, &Value)| {
        let status = entry.pointer("/response/status").and_then(Value::as_str).unwrap_or("no status");
        let ok = status.starts_with('2') || status.starts_with('3');
        let outcome = entry.pointer("/response/outcome/issue/0");
        let text = outcome.and_then(|issue| issue.pointer("/details/text")).and_then(Value::as_str).unwrap_or_default();
        let at = outcome
            .and_then(|issue| issue.pointer("/expression/0"))
            .and_then(Value::as_str)
            .map(|at| format!(" ({at})"))
            .unwrap_or_default();
        (!ok).then(|| format!("[{index}] {status} {text}{at}"))
    };
    entries(reply).iter().enumerate().filter_map(failure).collect()
}

fn report(failed: &[String], asked: usize, kind: BatchKind, acts: bool) -> String {
    let most = 20;
    let named = failed.iter().take(most).cloned().collect::<Vec<_>>().join("; ");
    let rest = failed.len().saturating_sub(most);
    let rest = if rest == 0 { String::new() } else { format!("; and {rest} more") };
    let kept = match (acts, kind) {
        (false, _) => "",
        (true, BatchKind::Batch) => " The other entries were carried out.",
        (true, BatchKind::Transaction) => {
            " This project does not carry transactions out as one: the other entries were carried out and stay."
        }
    };
    format!("{} of {asked} entries failed: {named}{rest}.{kept}", failed.len())
}
