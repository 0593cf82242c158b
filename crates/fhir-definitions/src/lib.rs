//! FHIR R4 and Medplum's own types as data: elements, bindings, search parameters; validation; did-you-mean.
//!
//! Everything here works offline and without I/O. The definitions are generated from Medplum's own package (see
//! `generate/README.md`), compressed into the binary, and inflated when they are first asked for.

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
pub mod validate;

pub use definitions::Definitions;
pub use did_you_mean::nearest;
pub use model::{
    Binding, CodeList, CompartmentEntry, Constraint, Element, ElementType, KindRules, Operation, ParameterKind,
    SearchParameter, Strength, TypeInfo, TypeKind, ValueSet,
};
pub use names::{NameError, OperationName, ResourceId, ResourceType};
