//! The resource types that an operator allows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use fhir_definitions::Definitions;

use crate::failure::nearest_types;

/// Terminology is always open to reading: it holds no patient, and every record refers to it.
const TERMINOLOGY: &[&str] = &["CodeSystem", "ConceptMap", "ValueSet"];

/// What answers and failures come in. A Bundle is none: only one that is an answer to a search, a batch or a history.
const ENVELOPES: &[&str] = &["CapabilityStatement", "OperationOutcome", "Parameters"];

/// So many are named where the list is repeated.
const NAMED: usize = 12;

/// The types that may be read and written. Clones share the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTypes(Arc<BTreeSet<String>>);

impl AllowedTypes {
    /// The types of a list of names.
    ///
    /// # Errors
    /// What is wrong with the list, behind the name of the variable that holds it.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut types = BTreeSet::new();
        for name in list.split([',', ' ']).filter(|name| !name.is_empty()) {
            if !Definitions::get().is_resource_type(name) {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                let near = nearest_types(name);
                return Err(format!("has no resource type \"{shown}\".{}", near.trim_end_matches('.')));
            }
            types.insert(name.to_owned());
        }
        if types.is_empty() { Err("names no resource type".into()) } else { Ok(Self(Arc::new(types))) }
    }

    /// Whether resources of this type may be read.
    pub fn may_read(&self, of: &str) -> bool {
        self.0.contains(of) || TERMINOLOGY.contains(&of)
    }

    /// Whether resources of this type may be written.
    pub fn may_write(&self, of: &str) -> bool {
        self.0.contains(of)
    }

    /// Whether it is what answers come in, and no record itself.
    pub fn is_envelope(of: &str) -> bool {
        ENVELOPES.contains(&of)
    }

    /// The types, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for AllowedTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.iter().take(NAMED).collect();
        f.write_str(&named.join(", "))?;
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_types() {
        let types = AllowedTypes::parse("Patient, Observation,").unwrap();
        assert_eq!(types.to_string(), "Observation, Patient");
        assert!(types.may_read("Patient") && types.may_read("ValueSet") && !types.may_read("Practitioner"));
        assert!(types.may_write("Patient") && !types.may_write("ValueSet"));
        assert_eq!(AllowedTypes::parse("Patint").unwrap_err(), "has no resource type \"Patint\". Nearest: Patient");
        assert!(AllowedTypes::parse(",").is_err());
    }
}
