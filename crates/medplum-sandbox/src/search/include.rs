//! `_include` and `_revinclude`: what the found refers to, and what refers to it.

use std::collections::HashSet;

use fhir_definitions::references::reference_to;
use serde_json::Value;

use super::filter::{parameter, reference_of};
use super::request::{Filter, Include, Request};
use crate::call::Call;
use crate::extract::Extractor;
use crate::outcome::{Outcome, Result};
use crate::policy::Interaction;

/// How often `:iterate` goes on.
const DEEPEST: usize = 5;
/// The most entries that a bundle may come to hold.
const MOST: usize = 1000;

impl Call<'_> {
    /// Adds to the entries what was asked to be included.
    pub(super) fn add_included(&mut self, request: &Request, entries: &mut Vec<Value>) -> Result<()> {
        let resources = |entries: &[Value]| -> Vec<Value> {
            entries.iter().filter_map(|entry| entry.get("resource").cloned()).collect()
        };
        let mut base = resources(entries);
        let mut seen: HashSet<String> = base.iter().filter_map(reference_to).collect();
        let mut depth = 0;
        while !base.is_empty() {
            if depth >= DEEPEST || entries.len() > MOST {
                return Err(Outcome::bad_request(format!(
                    "Search with _(rev)include reached query scope limit: depth={depth}, results={}",
                    entries.len()
                )));
            }
            let wanted = |include: &&Include| depth == 0 || include.iterate;
            let mut added = Vec::new();
            for include in request.include.iter().filter(wanted) {
                added.extend(self.included(include, &base)?);
            }
            for include in request.revinclude.iter().filter(wanted) {
                added.extend(self.referring_to(include, &base)?);
            }
            base = resources(&added);
            for entry in added {
                if entry.get("resource").and_then(reference_to).is_some_and(|reference| seen.insert(reference)) {
                    entries.push(entry);
                }
            }
            depth += 1;
        }
        Ok(())
    }

    fn included(&mut self, include: &Include, base: &[Value]) -> Result<Vec<Value>> {
        let parameter = parameter(self.engine.definitions(), &include.resource_type, &include.code);
        let parameter = parameter.ok_or_else(|| invalid(include))?;
        let extractor = Extractor::new(parameter.expression);
        let mut references: Vec<String> = Vec::new();
        for resource in base {
            if resource.get("resourceType").and_then(Value::as_str) != Some(include.resource_type.as_str()) {
                continue;
            }
            for value in extractor.values(resource) {
                references.extend(reference_of(&value).map(str::to_owned));
            }
        }
        references.sort();
        references.dedup();
        let mut entries = Vec::new();
        for reference in references {
            let Some((of_type, id)) = reference.split_once('/') else { continue };
            entries.extend(self.included_entry(of_type, id));
        }
        Ok(entries)
    }

    fn included_entry(&mut self, of_type: &str, id: &str) -> Option<Value> {
        self.check_permitted(of_type, id, Interaction::Read).ok()?;
        let record = self.state.store.find(of_type, id)?;
        self.entry(of_type, record, "include")
    }

    fn referring_to(&mut self, include: &Include, base: &[Value]) -> Result<Vec<Value>> {
        let of_type = include.resource_type.as_str();
        parameter(self.engine.definitions(), of_type, &include.code).ok_or_else(|| invalid(include))?;
        self.check_allowed(of_type, Interaction::Search)?;
        let references: Vec<String> = base.iter().filter_map(reference_to).collect();
        let filter = Filter { code: include.code.clone(), operator: "eq".to_owned(), value: references.join(",") };
        let mut found = self.filtered(of_type, &[filter])?;
        if let Some(permitted) = self.permitted(of_type, Interaction::Search)? {
            found.keep(&permitted);
        }
        let Some(store) = self.state.store.of_type(of_type) else { return Ok(Vec::new()) };
        let records = found.iter().take(MOST).filter_map(|slot| store.record(slot));
        Ok(records.filter_map(|record| self.entry(of_type, record, "include")).collect())
    }
}

fn invalid(include: &Include) -> Outcome {
    Outcome::bad_request(format!("Invalid include parameter: {}:{}", include.resource_type, include.code))
}
