//! A model for the tests, read from `fixtures/model.txt`.

use std::collections::HashMap;

use medplum_fhirpath::{ChildInfo, Model};

/// The elements of each type, and what each type is derived from.
pub(crate) struct TestModel {
    types: HashMap<&'static str, (&'static str, HashMap<&'static str, &'static str>)>,
}

impl TestModel {
    /// The types that the golden examples use.
    pub(crate) fn load() -> Self {
        let types = include_str!("../fixtures/model.txt")
            .lines()
            .map(|line| {
                let mut parts = line.split('|');
                let (name, base) = parts.next().unwrap().split_once(':').unwrap();
                (name, (base, parts.map(|element| element.split_once('=').unwrap()).collect()))
            })
            .collect();
        Self { types }
    }

    fn base_of(&self, name: &str) -> Option<&str> {
        match name {
            "code" | "id" | "markdown" => Some("string"),
            "url" | "canonical" | "uuid" | "oid" => Some("uri"),
            "positiveInt" | "unsignedInt" => Some("integer"),
            "DomainResource" => Some("Resource"),
            _ => match self.types.get(name) {
                Some((base, _)) => Some(base).filter(|base| !base.is_empty()).copied(),
                None if name.starts_with(|first: char| first.is_lowercase()) => Some("Element"),
                None => None,
            },
        }
    }
}

impl Model for TestModel {
    fn child(&self, parent_type: &str, name: &str) -> Option<ChildInfo<'_>> {
        let (_, elements) = self.types.get(parent_type)?;
        let type_name = *elements.get(name)?;
        Some(match type_name {
            "?" => ChildInfo { type_name: None, choice: true },
            found => ChildInfo { type_name: Some(found), choice: false },
        })
    }

    fn is_subtype(&self, a: &str, b: &str) -> bool {
        let mut name = Some(a);
        while let Some(at) = name {
            if at == b {
                return true;
            }
            name = self.base_of(at);
        }
        false
    }
}
