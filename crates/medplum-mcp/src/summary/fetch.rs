//! Asking for what the page is made of.

use std::collections::HashMap;

use fhir_definitions::references::reference_to;
use medplum_client::{Interaction, Query, ResourceType};
use serde_json::Value;

use super::rules::Rule;
use super::text;
use crate::context::Context;
use crate::failure::Failure;
use crate::page::Found;
use crate::search::Search;
use crate::search::zeros::how_many;

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) resources: Vec<Value>,
    included: Vec<Value>,
    /// How many there are, as the server counted them, but for what was entered in error; none if it did not say.
    pub(super) total: Option<usize>,
}

impl Rule {
    /// The search.
    pub(super) fn query(&self, patient: &str, today: &str) -> Query {
        let named = if self.patient == "_id" { patient.to_owned() } else { format!("Patient/{patient}") };
        let mut query = Query::new().with(self.patient, named);
        query.extend(self.filters.iter().map(|(key, value)| (*key, value.replace("{today}", today))));
        let shape = [("_sort", self.sort), ("_fields", self.fields), ("_include", self.include)];
        query.extend(shape.into_iter().filter(|(_, value)| !value.is_empty()));
        query.with("_count", self.count.to_string()).with("_total", "accurate")
    }

    /// Asks for it.
    pub(super) async fn ask(&self, cx: &Context<'_>, patient: &str, today: &str) -> Result<Page, Failure> {
        let resource_type = ResourceType::parse(self.resource_type)?;
        let mut query = self.query(patient, today);
        let whole = Interaction::search(resource_type.clone(), query.clone());
        if !self.include.is_empty() && cx.may_send(&whole).is_err() {
            // Names can be done without: a reference stands for them.
            query = query.without("_include");
        }
        let search = Search::new(cx, resource_type, query).await?;
        Page::of(&search.page(cx).await?)
    }

    /// How many of them there are on record, current or not; none if that cannot be found out.
    pub(super) async fn on_record(&self, cx: &Context<'_>, patient: &str, no_mistake: (&str, &str)) -> Option<usize> {
        let of = ResourceType::parse(self.resource_type).ok()?;
        let (key, value) = no_mistake;
        let query = Query::new().with(self.patient, format!("Patient/{patient}")).with(key, value);
        usize::try_from(how_many(cx, &of, query).await?).ok()
    }

    /// The search for an agent to repeat, but for the patient.
    pub(super) fn shown(&self, today: &str) -> String {
        let filters = self.filters.iter().map(|(key, value)| format!(" {key}={}", value.replace("{today}", today)));
        format!("{}{}", self.resource_type, filters.collect::<String>())
    }
}

impl Page {
    fn of(found: &Found) -> Result<Self, Failure> {
        let total = found.total.and_then(|total| usize::try_from(total).ok());
        let total = total.or_else(|| (!found.has_next).then(|| found.matches().count()));
        let mut page = Self::default();
        let mut wrong = 0_usize;
        for entry in &found.entries {
            let resource = entry.resource()?;
            if !entry.is_match() {
                page.included.push(resource);
            } else if text::is_entered_in_error(&resource) {
                wrong = wrong.saturating_add(1);
            } else {
                page.resources.push(resource);
            }
        }
        page.total = total.map(|total| total.saturating_sub(wrong));
        Ok(page)
    }

    /// A page of one resource that was read.
    pub(super) fn of_one(resource: Value) -> Self {
        Self { resources: vec![resource], included: Vec::new(), total: Some(1) }
    }
}

/// The names of what was included, by its reference.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    pub(super) fn of<'p>(pages: impl IntoIterator<Item = &'p Page>) -> Self {
        let included = pages.into_iter().flat_map(|page| &page.included);
        Self(included.filter_map(|resource| Some((reference_to(resource)?, text::name_of(resource)?))).collect())
    }

    /// What a reference is called: by its display, by the name of what it leads to, or by itself.
    pub(super) fn of_reference(&self, reference: &Value) -> Option<String> {
        if let Some(display) = text::string(reference, "/display") {
            return Some(display.to_owned());
        }
        let to = text::string(reference, "/reference");
        let known = to.and_then(|to| self.0.get(to)).cloned();
        known
            .or_else(|| to.map(str::to_owned))
            .or_else(|| text::string(reference, "/identifier/value").map(str::to_owned))
    }
}
