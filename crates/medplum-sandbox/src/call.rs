//! One FHIR interaction under way: who asks, in which state, and what the interactions have in common.

use serde_json::{Value, json};

use crate::auth::Actor;
use crate::engine::{Engine, State};
use crate::outcome::{Outcome, Result};
use crate::policy::Interaction;
use crate::reply::Reply;
use crate::slots::SlotSet;
use crate::store::{self, Record, Version};
use crate::terminology;

/// What an interaction answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An outcome and the resource that goes with it, if any.
    Fhir(Outcome, Option<Value>),
    /// Something that is no FHIR at all: the bytes of a Binary, what a bot said.
    Raw(Reply),
}

impl Answer {
    pub(crate) fn ok(resource: Value) -> Self {
        Self::Fhir(Outcome::all_ok(), Some(resource))
    }

    pub(crate) fn outcome(outcome: Outcome) -> Self {
        Self::Fhir(outcome, None)
    }
}

/// One interaction under way.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) state: &'a mut State,
    pub(crate) actor: &'a Actor,
    /// Whether `X-Medplum: extended` was asked for.
    pub(crate) extended: bool,
    /// Whether anything was counted, so that the answer carries a `RateLimit` header.
    pub(crate) counted: bool,
}

impl Call<'_> {
    /// Counts units against the caller's quota.
    pub(crate) fn spend(&mut self, units: u64) -> Result<()> {
        self.counted = true;
        let now = self.engine.source.now();
        self.state.quota.spend(&self.actor.client.id, now, units)
    }

    /// That there is such a type. What is shipped of it is there from here on.
    pub(crate) fn check_type(&mut self, resource_type: &str) -> Result<()> {
        if terminology::SHIPPED_TYPES.contains(&resource_type) {
            terminology::load(self);
        }
        if self.engine.definitions().is_resource_type(resource_type) { Ok(()) } else { Err(Outcome::unknown_type()) }
    }

    /// That the actor may do this with that type at all.
    pub(crate) fn check_allowed(&self, resource_type: &str, interaction: Interaction) -> Result<()> {
        if self.actor.policy.allows(resource_type, interaction) { Ok(()) } else { Err(Outcome::forbidden()) }
    }

    /// The places of what the actor may do this with, where a policy names criteria; nothing where all is allowed.
    pub(crate) fn permitted(&mut self, resource_type: &str, interaction: Interaction) -> Result<Option<SlotSet>> {
        self.check_allowed(resource_type, interaction)?;
        if !self.actor.policy.is_restricted() {
            return Ok(None);
        }
        let actor = self.actor;
        let mut all = SlotSet::default();
        for rule in actor.policy.rules_for(resource_type, interaction) {
            let Some(criteria) = &rule.criteria else { return Ok(None) };
            all.add(&self.matching(resource_type, criteria)?);
        }
        Ok(Some(all))
    }

    /// That the actor may do this with that one resource.
    pub(crate) fn check_permitted(&mut self, resource_type: &str, id: &str, interaction: Interaction) -> Result<()> {
        let Some(permitted) = self.permitted(resource_type, interaction)? else {
            return Ok(());
        };
        let slot = self.state.store.of_type(resource_type).and_then(|of_type| of_type.slot(id));
        match slot {
            Some(slot) if permitted.contains(slot) => Ok(()),
            _ if interaction.writes() => Err(Outcome::forbidden()),
            _ => Err(Outcome::not_found()),
        }
    }

    /// A version as the caller gets to see it; nothing for a deletion.
    pub(crate) fn present(&self, resource_type: &str, id: &str, version: &Version) -> Option<Value> {
        let mut resource = version.parse()?;
        let extended = self.extended.then(|| {
            let compartment = self.compartment(resource_type, id, &resource);
            (self.engine.config.project.as_str(), compartment)
        });
        store::with_server_meta(&mut resource, version, extended);
        self.hide_fields(resource_type, &mut resource);
        Some(resource)
    }

    /// The resource of that record as it is now.
    pub(crate) fn present_current(&self, resource_type: &str, record: &Record) -> Option<Value> {
        self.present(resource_type, &record.id, record.current()?)
    }

    fn hide_fields(&self, resource_type: &str, resource: &mut Value) {
        let Some(map) = resource.as_object_mut() else { return };
        for rule in self.actor.policy.rules_for(resource_type, Interaction::Read) {
            for field in &rule.hidden_fields {
                map.shift_remove(field);
            }
        }
    }

    /// The compartments that a resource is in: the project's, and each patient's that it belongs to.
    fn compartment(&self, resource_type: &str, id: &str, resource: &Value) -> Value {
        let mut all = vec![json!({"reference": format!("Project/{}", self.engine.config.project)})];
        for patient in crate::index::patients(self.engine.definitions(), resource_type, id, resource) {
            all.push(json!({"reference": patient}));
        }
        Value::Array(all)
    }
}
