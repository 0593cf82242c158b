//! Who refers to a resource that is to be deleted: Medplum deletes it all the same, and leaves their references to lead
//! nowhere.
//!
//! Asked for by each search parameter that can lead to its type, in batches of counts. What no search parameter covers
//! (extensions, addresses in attachments) is not found, and AuditEvents, which only say what was done, do not count.

use std::collections::{BTreeMap, BTreeSet};

use fhir_definitions::{Definitions, ParameterKind, SearchParameter, TypeInfo};
use medplum_client::{Batch, Interaction, Query, ResourceId, ResourceType};
use serde_json::Value;

use crate::context::Context;
use crate::failure::{Failure, WAIT};
use crate::search::{entries, link, obeyed};
use crate::settings::ALLOWED_TYPES;

/// So many searches in one batch.
const SEARCHES_AT_ONCE: usize = 100;
/// So many resources of one type are looked for at once.
const TARGETS_AT_ONCE: usize = 50;
/// So many results are named.
const NAMED: usize = 12;
/// Types that say what was done to others and are not broken by it.
const RECORDS_OF_DEEDS: &[&str] = &["AuditEvent"];

/// Who refers to some resources of one type.
#[derive(Debug)]
pub(crate) struct Referrers {
    targets: Vec<String>,
    found: Vec<Found>,
    /// Types that could not be looked at: not permitted, or not searchable by this server.
    unseen: BTreeSet<String>,
}

#[derive(Debug)]
struct Found {
    resource_type: String,
    parameter: String,
    count: u64,
}

impl Referrers {
    /// `Observation 10 (patient), 2 (performer); Condition 2 (patient)`; none if nothing was found.
    pub(crate) fn by_type(&self) -> Option<String> {
        let mut by_type: Vec<(&str, Vec<String>)> = Vec::new();
        for found in self.found.iter().take(NAMED) {
            let count = format!("{} ({})", found.count, found.parameter);
            match by_type.iter_mut().find(|(name, _)| *name == found.resource_type) {
                Some((_, counts)) => counts.push(count),
                None => by_type.push((&found.resource_type, vec![count])),
            }
        }
        let more = self.found.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!("; and by {more} more parameters") };
        let named: Vec<String> = by_type.iter().map(|(name, counts)| format!("{name} {}", counts.join(", "))).collect();
        (!named.is_empty()).then(|| format!("{}{more}", named.join("; ")))
    }

    /// The searches that list them: `search_resources {"resource_type":"Observation","params":{"patient":"Patient/1"}}`.
    fn search(&self) -> Option<String> {
        let first = self.found.first()?;
        let arguments = serde_json::json!({
            "resource_type": first.resource_type, "params": { &first.parameter: self.targets.join(",") },
        });
        Some(format!("search_resources {arguments}"))
    }

    /// What could not be looked at.
    fn unseen(&self) -> Option<String> {
        let named: Vec<&str> = self.unseen.iter().take(NAMED).map(String::as_str).collect();
        let more = self.unseen.len().saturating_sub(named.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more types") };
        let what = "Whether these refer to it could not be seen (not permitted, or not searchable on this server)";
        (!named.is_empty()).then(|| format!("{what}: {}{more}.", named.join(", ")))
    }
}

/// Looks for those who refer to what an interaction deletes, and are not deleted with it.
///
/// # Errors
/// [`Failure`] with counts and the search that lists them, if there are any and that is not `allowed`; nothing was sent.
pub(crate) async fn of_deleted(
    cx: &Context<'_>,
    interaction: &Interaction,
    allowed: bool,
) -> Result<Vec<Referrers>, Failure> {
    let mut deleted: BTreeMap<ResourceType, BTreeSet<ResourceId>> = BTreeMap::new();
    let entries: &mut dyn Iterator<Item = &Interaction> = match interaction {
        Interaction::Batch(batch) => &mut batch.entries().iter().map(|entry| &entry.interaction),
        one => &mut std::iter::once(one),
    };
    for entry in entries {
        if let Interaction::Delete { resource_type, id } = entry {
            deleted.entry(resource_type.clone()).or_default().insert(id.clone());
        }
    }
    let mut all = Vec::new();
    for (resource_type, ids) in &deleted {
        let ids: Vec<&ResourceId> = ids.iter().collect();
        for ids in ids.chunks(TARGETS_AT_ONCE) {
            all.push(find(cx, resource_type, ids, &deleted, allowed).await?);
        }
    }
    all.retain(|referrers| !referrers.found.is_empty() || !referrers.unseen.is_empty());
    let way_out = match interaction {
        Interaction::Batch(_) => "Change or delete those too, in the same bundle",
        _ => "Change or delete those first",
    };
    for referrers in &all {
        if let (Some(by_type), false) = (referrers.by_type(), allowed) {
            let list = referrers.search().map(|search| format!(" List them: {search}.")).unwrap_or_default();
            return Err(Failure::teach(format!(
                "Others refer to {}: {by_type}.{list} Nothing was deleted. {way_out}, or pass confirm_references: true to delete_resource: their references then lead nowhere.",
                referrers.targets.join(", ")
            )));
        }
        referrers.unseen().into_iter().for_each(|unseen| cx.note(unseen));
    }
    Ok(all)
}

/// One search for those who refer to some resources.
struct Asked {
    resource_type: ResourceType,
    parameter: &'static str,
    query: Query,
}

async fn find(
    cx: &Context<'_>,
    of: &ResourceType,
    ids: &[&ResourceId],
    deleted: &BTreeMap<ResourceType, BTreeSet<ResourceId>>,
    allowed: bool,
) -> Result<Referrers, Failure> {
    let targets: Vec<String> = ids.iter().map(|id| format!("{of}/{id}")).collect();
    let list = targets.join(",");
    let (open, closed): (Vec<_>, Vec<_>) = parameters_to(of.as_str()).into_iter().partition(|(of, _)| cx.may_read(of));
    if !closed.is_empty() {
        cx.note(format!("Resources of closed types ({ALLOWED_TYPES}) were not looked at: they may refer to it."));
    }
    let asked: Vec<Asked> = open
        .into_iter()
        .filter_map(|(name, parameter)| {
            let resource_type = ResourceType::parse(name).ok()?;
            let query = match deleted.get(&resource_type) {
                // Those that are deleted as well do not count, so their names are needed.
                Some(leaving) => Query::new()
                    .with(parameter, list.as_str())
                    .with("_fields", "id")
                    .with("_total", "accurate")
                    .with("_count", leaving.len().saturating_add(1).min(1_000).to_string()),
                None => Query::new().with(parameter, list.as_str()).with("_summary", "count"),
            };
            Some(Asked { resource_type, parameter, query })
        })
        .collect();
    let mut referrers = Referrers { targets, found: Vec::new(), unseen: BTreeSet::new() };
    for asked in asked.chunks(SEARCHES_AT_ONCE) {
        let searches = asked.iter().map(|a| Interaction::search(a.resource_type.clone(), a.query.clone()));
        let reply = cx.ask(&Interaction::Batch(Batch::of(searches))).await;
        let reply = reply.map_err(|failure| {
            failure.of_look(|| format!("the search for what refers to {}", referrers.targets.join(", ")))
        })?;
        let reply = reply.into_json();
        for (index, asked) in asked.iter().enumerate() {
            let entry = entries(&reply).get(index).unwrap_or(&Value::Null);
            referrers.take(asked, entry, deleted, allowed)?;
        }
    }
    referrers.found.sort_by_key(|found| std::cmp::Reverse(found.count));
    Ok(referrers)
}

impl Referrers {
    fn take(
        &mut self,
        asked: &Asked,
        entry: &Value,
        deleted: &BTreeMap<ResourceType, BTreeSet<ResourceId>>,
        allowed: bool,
    ) -> Result<(), Failure> {
        let name = asked.resource_type.to_string();
        let bundle = entry.get("resource").unwrap_or(&Value::Null);
        let status = entry.pointer("/response/status").and_then(Value::as_str).unwrap_or_default();
        let counts = || status.starts_with('2') && obeyed(&asked.query, link(bundle, "self")).is_ok();
        let total = bundle.get("total").and_then(Value::as_u64).filter(|_| counts());
        let Some(total) = total else {
            let lasting = status.starts_with('2') || matches!(status.get(..3), Some("400" | "403" | "404"));
            if lasting || allowed {
                self.unseen.insert(name);
                return Ok(());
            }
            let failure = Failure::teach(format!(
                "Who refers to {} could not be counted ({name}: {}). Nothing was deleted. Make the call again, or pass confirm_references: true to delete_resource.",
                self.targets.join(", "),
                if status.is_empty() { "no answer" } else { status }
            ));
            return Err(if status.starts_with("429") { failure.hint(WAIT) } else { failure });
        };
        let leaving = deleted.get(&asked.resource_type);
        let ids = entries(bundle).iter().filter_map(|e| ResourceId::parse(e.pointer("/resource/id")?.as_str()?).ok());
        let with_it = ids.filter(|id| leaving.is_some_and(|leaving| leaving.contains(id))).count();
        let count = total.saturating_sub(u64::try_from(with_it).unwrap_or(u64::MAX));
        if count > 0 {
            self.found.push(Found { resource_type: name, parameter: asked.parameter.to_owned(), count });
        }
        Ok(())
    }
}

/// The search parameters, by type, that find whatever refers to a resource of this type: each element that can lead to
/// it is looked at once.
fn parameters_to(target: &str) -> Vec<(&'static str, &'static str)> {
    let definitions = Definitions::get();
    let searched =
        definitions.resource_types().filter(|info| info.searchable && !RECORDS_OF_DEEDS.contains(&info.name));
    searched.flat_map(|info| leading(definitions, info, target).into_iter().map(|code| (info.name, code))).collect()
}

/// The fewest parameters of one type that look at every element which can lead to the target.
fn leading(definitions: &'static Definitions, info: &TypeInfo, target: &str) -> Vec<&'static str> {
    let leads = |parameter: &&SearchParameter| {
        parameter.kind == ParameterKind::Reference
            && parameter.element_types().any(|t| t == "Reference")
            && parameter.targets().any(|t| t == target || t == "Resource")
    };
    let mut parameters: Vec<(&'static str, BTreeSet<&'static str>)> =
        definitions.search_parameters(info).filter(leads).map(|p| (p.code, elements(p.expression))).collect();
    // The one that looks at most elements first; of two that look at the same, the one named after the target.
    let named = |code: &str| code.eq_ignore_ascii_case(target);
    parameters.sort_by_key(|(code, elements)| (std::cmp::Reverse(elements.len()), !named(code)));
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    parameters.retain(|(_, elements)| {
        let new = elements.iter().any(|element| !seen.contains(element));
        seen.extend(elements);
        new
    });
    parameters.into_iter().map(|(code, _)| code).collect()
}

/// The elements of an expression, without the types that it narrows them to:
/// `Observation.subject.where(resolve() is Patient)` looks at `Observation.subject`.
fn elements(expression: &'static str) -> BTreeSet<&'static str> {
    let bare = |term: &'static str| {
        let term = term.trim().trim_start_matches('(').trim_end_matches(')');
        let end = [".where(resolve() is", " as ", ".as("].iter().filter_map(|narrowing| term.find(narrowing)).min();
        end.and_then(|end| term.get(..end)).unwrap_or(term).trim()
    };
    expression.split('|').map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_is_looked_at_once() {
        let of_patient = parameters_to("Patient");
        let of = |name: &str| -> Vec<&str> { of_patient.iter().filter(|(t, _)| *t == name).map(|(_, p)| *p).collect() };
        assert_eq!(of("Condition"), ["patient", "asserter", "evidence-detail"]);
        assert_eq!(of("Coverage"), ["patient", "payor", "policy-holder", "subscriber"]);
        assert_eq!(of("AuditEvent"), [] as [&str; 0]);
        assert!(of_patient.len() <= 160, "{}", of_patient.len());
    }

    #[test]
    fn every_element_that_can_lead_to_the_type_is_covered() {
        let definitions = Definitions::get();
        for target in ["Patient", "Practitioner", "Organization", "Observation", "Medication", "Bot"] {
            let chosen = parameters_to(target);
            for info in definitions.resource_types().filter(|info| info.searchable && info.name != "AuditEvent") {
                let looked_at: BTreeSet<&str> = chosen
                    .iter()
                    .filter(|(name, _)| *name == info.name)
                    .filter_map(|(_, code)| definitions.search_parameter(info, code))
                    .flat_map(|parameter| elements(parameter.expression))
                    .collect();
                for parameter in definitions.search_parameters(info) {
                    let leads = parameter.kind == ParameterKind::Reference
                        && parameter.element_types().any(|t| t == "Reference")
                        && parameter.targets().any(|t| t == target);
                    if leads {
                        assert!(
                            elements(parameter.expression).is_subset(&looked_at),
                            "{}.{}",
                            info.name,
                            parameter.code
                        );
                    }
                }
            }
        }
    }
}
