//! A patient's whole chart.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fhir_definitions::Definitions;
use medplum_client::{Interaction, Level, Method, Operation, OperationName, Query, ResourceId, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::id;
use super::search::view;
use crate::answer::cursor::Position;
use crate::answer::{Answer, Page};
use crate::context::{Context, resource_type};
use crate::failure::{Failure, nearest_types};
use crate::page::{Entry, Found};
use crate::search::{LARGEST_PAGE, LAST_OFFSET};
use crate::settings::ALLOWED_TYPES;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetPatientEverything {
    patient_id: String,
    types: Option<Vec<String>>,
    since: Option<String>,
    start: Option<String>,
    end: Option<String>,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
    cursor: Option<String>,
}

impl Run for GetPatientEverything {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "get_patient_everything",
        toolset: Toolset::Patient,
        title: "Get Patient Everything",
        description: "The patient's whole chart ($everything), counted by type. Charts are large: get_patient_summary is one page.",
        when: "a whole chart is needed",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let id = id("patient_id", "Patient", &self.patient_id)?;
        let view = view("Resource", self.fields, self.narrative)?;
        let first = match cx.open(self.cursor.as_deref())? {
            Some(Position::Offset(offset)) => offset,
            _ => 0,
        };
        let mut narrowing = Query::new();
        let types = self.types.filter(|types| !types.is_empty());
        let mut only = String::new();
        let types = types.unwrap_or_else(|| {
            let allowed = allowed_types(cx);
            if !allowed.is_empty() {
                only = format!("Only types that the operator allows ({ALLOWED_TYPES}).");
            }
            allowed
        });
        narrow_types(&types, &mut narrowing)?;
        for (name, value) in [("_since", self.since), ("start", self.start), ("end", self.end)] {
            narrowing.extend(value.map(|value| (name, value)));
        }
        let mut chart = Chart { room: cx.limits().budget, before: first, ..Chart::default() };
        let mut offset = first;
        loop {
            let (page, _) = cx.page(&everything(&id, &narrowing, offset)?).await?;
            // Its next link is another search, which loses what the chart refers to: only that it is there counts.
            chart.more = page.has_next;
            chart.take(page);
            offset = offset.saturating_add(LARGEST_PAGE);
            // The first call counts the whole chart; those behind it take what fits.
            if !chart.more || offset > LAST_OFFSET || (first > 0 && chart.is_full()) {
                break;
            }
        }
        let note = if first == 0 { chart.by_type() } else { String::new() };
        Ok(Answer::page(chart.into_page()).view(view).note(note).note(only))
    }
}

/// What a chart is narrowed to where the operator allows some types alone: what is closed is not even fetched.
fn allowed_types(cx: &Context<'_>) -> Vec<String> {
    let allowed = cx.limits().types.iter().flat_map(|types| types.iter());
    let of_chart = |of: &&str| *of == "Patient" || Definitions::get().compartment_entry("Patient", of).is_some();
    allowed.filter(of_chart).map(str::to_owned).collect()
}

/// Medplum fails on a single `_type` and on a list with commas: each is named for itself, and at least twice.
fn narrow_types(types: &[String], query: &mut Query) -> Result<(), Failure> {
    let types = types.iter().map(|t| resource_type(t)).collect::<Result<Vec<_>, _>>()?;
    if let Some(unknown) = types.iter().find(|t| !Definitions::get().is_resource_type(t.as_str())) {
        return Err(Failure::teach(format!(
            "types: there is no resource type \"{unknown}\".{} Nothing was sent.",
            nearest_types(unknown.as_str())
        )));
    }
    query.extend(types.iter().map(|t| ("_type", t.as_str())));
    if let [only] = types.as_slice() {
        query.push("_type", only.as_str());
    }
    Ok(())
}

fn everything(id: &ResourceId, narrowing: &Query, offset: usize) -> Result<Interaction, Failure> {
    let mut query = narrowing.clone();
    query.push("_count", LARGEST_PAGE.to_string());
    query.push("_offset", offset.to_string());
    let level = Level::Instance(ResourceType::parse("Patient")?, id.clone());
    let operation =
        Operation { level, name: OperationName::parse("everything")?, method: Method::Get, query, body: None };
    Ok(Interaction::operation(operation)?)
}

/// A chart as it comes in: counted whole, kept as far as it can be shown.
#[derive(Default)]
struct Chart {
    room: usize,
    before: usize,
    entries: Vec<Entry>,
    seen: HashSet<String>,
    types: BTreeMap<String, usize>,
    kept: usize,
    matched: usize,
    more: bool,
}

impl Chart {
    fn take(&mut self, page: Found) {
        for entry in page.entries {
            if !self.seen.insert(entry.name()) {
                continue;
            }
            let name = entry.resource_type().map_or("other".to_owned(), |name| name.to_string());
            *self.types.entry(name).or_default() += 1;
            self.matched = self.matched.saturating_add(usize::from(entry.is_match()));
            if !self.is_full() {
                self.kept = self.kept.saturating_add(entry.size());
                self.entries.push(entry);
            }
        }
    }

    /// What does not fit is not kept: a chart can be far larger than an answer. Four times the room, because what is shown
    /// is leaner than what came.
    fn is_full(&self) -> bool {
        self.kept > self.room.saturating_mul(4)
    }

    /// How much there is of what.
    fn by_type(&self) -> String {
        let mut types: Vec<_> = self.types.iter().collect();
        types.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
        let listed: Vec<String> = types.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let cut = if self.more { " Medplum gives no page beyond this: search by type for the rest." } else { "" };
        let all: usize = self.types.values().sum();
        format!("{all} resources. By type: {}.{cut} Narrower: types, since, start, end.", listed.join(", "))
    }

    fn into_page(self) -> Page {
        let (before, matched, more) = (self.before, self.matched, self.more);
        let entries = Arc::<[Entry]>::from(self.entries);
        let all = Arc::clone(&entries);
        let after = move |shown: usize| {
            let shown = all.iter().take(shown).filter(|entry| entry.is_match()).count();
            (more || shown < matched).then(|| Position::Offset(before.saturating_add(shown)))
        };
        let total = (before == 0 && !more).then_some(matched as u64);
        Page { entries, total, before, after: Box::new(after) }
    }
}
