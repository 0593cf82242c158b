//! FHIR R4 and Medplum's own types as data: elements, bindings, search parameters; validation; did-you-mean.
//!
//! Everything here works offline and without I/O. The definitions are generated from Medplum's own package (see
//! `generate/README.md`), compressed into the binary, and inflated when they are first asked for: about 8 ms and
//! 3 MiB, once.
//!
//! | asked | answered by |
//! |---|---|
//! | what a type looks like | [`schema::render`], or [`Definitions`] for a program |
//! | what a server can do | [`capabilities::render`] |
//! | whether a resource may be written | [`validate::validate`] |
//! | which references in it should exist | [`references::local_references`] |
//! | whether a search asks what it means | [`search::check`], and [`search::compare_self`] for its answer |
//! | whether a text may stand in a path | [`ResourceType`], [`ResourceId`], [`OperationName`] |
//!
//! The texts that come out are made for an AI agent: they say what is so, and the form that would have worked.
//!
//! ```
//! use fhir_definitions::search::check;
//!
//! let asked = [("date".to_owned(), "2025-03".to_owned())];
//! let sent = check("Observation", &asked).unwrap().params;
//! assert_eq!(sent[0], ("date".to_owned(), "ge2025-03-01".to_owned()));
//! assert_eq!(sent[1], ("date".to_owned(), "lt2025-04-01".to_owned()));
//!
//! let faults = check("Patient", &[("familly".to_owned(), "Smith".to_owned())]).unwrap_err();
//! assert_eq!(faults[0].to_string(), r#"Patient has no search parameter "familly". Nearest: family."#);
//! ```
//!
//! # Where it is stricter than Medplum, on purpose
//!
//! What Medplum refuses is refused here, but for what only a profile or the server's own state can decide. Besides:
//!
//! - codes off a required value set, and codes of such a set without their system;
//! - references that have no form (`"123"`), or lead to a type that may not stand there; to a contained resource that
//!   is not there;
//! - two types of one choice (`valueString` beside `valueQuantity`);
//! - FHIR's rules inside of data types (a `Period` that ends before it starts, a `ContactPoint` without its system);
//! - JSON of the wrong type where Medplum looks away: a number for a `Coding`, an object for a string, `{}`;
//! - ids that cannot be ids, days that do not exist.
//!
//! Where Medplum leaves something out and stores the rest (`""`, `[]`), and where a time has no zone, a warning says so.
//! `generate/compare_with_medplum.mjs` holds the two validators against each other.

pub mod capabilities;
mod definitions;
mod did_you_mean;
mod forms;
mod load;
pub mod model;
mod model_for_fhirpath;
pub mod names;
pub mod references;
pub mod schema;
pub mod search;
pub mod systems;
pub mod validate;

pub use definitions::Definitions;
pub use did_you_mean::nearest;
pub use model::{
    Binding, CodeList, CompartmentEntry, Constraint, Element, ElementType, KindRules, Operation, ParameterKind,
    SearchParameter, Strength, TypeInfo, TypeKind, ValueSet,
};
pub use names::{NameError, OperationName, ResourceId, ResourceType};
