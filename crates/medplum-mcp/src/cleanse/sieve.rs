//! All that is taken out of what comes from Medplum, in one place: what never reaches an agent, and what the operator
//! has closed.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::{clean, cleanse, closed};
use crate::allowed_types::AllowedTypes;
use crate::settings::{ALLOWED_TYPES, Limits};

/// What one call's answers pass through. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sieve {
    types: Option<AllowedTypes>,
    left_out: Arc<LeftOut>,
}

/// What was left out of the answers to a call.
#[derive(Debug, Default)]
struct LeftOut {
    /// The resources, by type. One that comes again is not counted again.
    resources: Mutex<BTreeMap<String, HashSet<u64>>>,
}

impl Sieve {
    /// A sieve under these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { types: limits.types.clone(), left_out: Arc::default() }
    }

    /// Takes out of a value what must not be shown.
    pub(crate) fn sift(&self, value: &mut Value) {
        if let Some(types) = &self.types {
            closed::leave_out(value, types, &mut |of, resource| self.left_out(of, &name_of(resource)));
        }
        cleanse(value);
    }

    /// A stored resource as it is shown. Nothing is counted.
    pub(crate) fn shown(&self, stored: &Value) -> Value {
        let mut shown = stored.clone();
        if let Some(types) = &self.types {
            closed::leave_out(&mut shown, types, &mut |_, _| {});
        }
        cleanse(&mut shown);
        shown
    }

    /// The type of a closed resource inside of one that is to be stored, which was not there before.
    pub(crate) fn adds_closed(&self, resource: &Value, stored: &Value) -> Option<String> {
        let types = self.types.as_ref()?;
        let mut before = Vec::new();
        closed::leave_out(&mut stored.clone(), types, &mut |_, resource| before.push(resource.clone()));
        let mut added = None;
        closed::leave_out(&mut resource.clone(), types, &mut |of, resource| {
            if !before.contains(resource) {
                added.get_or_insert_with(|| of.to_owned());
            }
        });
        added
    }

    /// Whether a resource of this type, alone or found by a search, comes through.
    pub(crate) fn admits(&self, of: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.may_read(of) || AllowedTypes::is_envelope(of))
    }

    /// Counts a resource that was left out.
    pub(crate) fn left_out(&self, of: &str, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let mut resources = self.left_out.resources.lock().unwrap_or_else(PoisonError::into_inner);
        resources.entry(of.to_owned()).or_default().insert(hasher.finish());
    }

    /// Whether nothing need be taken out of a resource, told from its JSON as it came. It may say no where that is so,
    /// never yes where it is not.
    pub(crate) fn is_clean(&self, of: &str, json: &str) -> bool {
        let alone = || self.admits(of) && json.matches("\"resourceType\"").count() < 2;
        (self.types.is_none() || alone()) && clean::is_clean(json)
    }

    /// What was left out, for the notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        let resources = self.left_out.resources.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = resources.iter().map(|(of, names)| match names.len() {
            1 => format!("1 {of} resource"),
            n => format!("{n} {of} resources"),
        });
        let counted: Vec<String> = counted.collect();
        if counted.is_empty() { Vec::new() } else { vec![format!("{} left out: {ALLOWED_TYPES}.", counted.join(", "))] }
    }
}

/// A resource by its type and id; by itself where it is part of another, whose parts go by names of their own.
fn name_of(resource: &Value) -> String {
    match (resource.get("resourceType").and_then(Value::as_str), resource.get("id").and_then(Value::as_str)) {
        (Some(of), Some(id)) if resource.get("meta").is_some() => format!("{of}/{id}"),
        _ => resource.to_string(),
    }
}
