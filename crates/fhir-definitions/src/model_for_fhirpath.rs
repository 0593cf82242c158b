//! The definitions as FHIRPath asks for them.

use fhirpath::{ChildInfo, Model};

use crate::Definitions;

impl Model for Definitions {
    fn child(&self, parent_type: &str, name: &str) -> Option<ChildInfo<'_>> {
        let info = self.type_info(parent_type)?;
        if self.elements(info).find(|e| e.choice && e.name == name).is_some() {
            return Some(ChildInfo { type_name: None, choice: true });
        }
        let (_, of) = self.element(info, name)?;
        Some(ChildInfo { type_name: of.map(|t| t.name), choice: false })
    }

    fn is_subtype(&self, a: &str, b: &str) -> bool {
        a == b || self.type_info(a).is_some_and(|info| self.lineage(info).any(|t| t.name == b))
    }
}
