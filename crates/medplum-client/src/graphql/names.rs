//! What the name of a GraphQL field says: `PatientList` is a search of Patient.

use fhir_definitions::{Definitions, TypeInfo};

/// What stands in the answer where such a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// The resource.
    Resource,
    /// An array of them.
    List,
    /// A page of them: `count`, and `edges` with a `resource` each.
    Connection,
}

/// How a name goes on behind the resource type: the interaction, and what it is answered with.
const ENDINGS: &[(&str, &str, Holds)] = &[
    ("List", "search", Holds::List),
    ("Connection", "search", Holds::Connection),
    ("Create", "create", Holds::Resource),
    ("Update", "update", Holds::Resource),
    ("Patch", "patch", Holds::Resource),
    ("Delete", "delete", Holds::Resource),
];

/// A name taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) interaction: &'static str,
    /// It need not exist.
    pub(super) resource_type: &'a str,
    pub(super) holds: Holds,
}

/// None for the name of an element, which starts with a small letter.
pub(super) fn named(field: &str) -> Option<Named<'_>> {
    if !field.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let ending = ENDINGS.iter().find_map(|(ending, interaction, holds)| {
        let resource_type = field.strip_suffix(ending).filter(|rest| !rest.is_empty())?;
        Some(Named { interaction, resource_type, holds: *holds })
    });
    Some(ending.unwrap_or(Named { interaction: "read", resource_type: field, holds: Holds::Resource }))
}

impl Named<'_> {
    pub(super) fn is_search(&self) -> bool {
        self.interaction == "search"
    }

    /// The type that it names, if there is one.
    pub(super) fn known(&self) -> Option<&'static TypeInfo> {
        Definitions::get().resource_type(self.resource_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_type_and_what_is_asked_of_it() {
        for (field, interaction, resource_type, holds) in [
            ("Patient", "read", "Patient", Holds::Resource),
            ("PatientList", "search", "Patient", Holds::List),
            ("PatientConnection", "search", "Patient", Holds::Connection),
            ("PatientDelete", "delete", "Patient", Holds::Resource),
            ("List", "read", "List", Holds::Resource),
            ("ListList", "search", "List", Holds::List),
            ("ListCreate", "create", "List", Holds::Resource),
        ] {
            let named = named(field).unwrap();
            assert_eq!((named.interaction, named.resource_type, named.holds), (interaction, resource_type, holds));
            assert_eq!(named.known().unwrap().name, resource_type);
        }
        assert!(named("name").is_none());
        assert!(named("BogusList").unwrap().known().is_none());
    }
}
