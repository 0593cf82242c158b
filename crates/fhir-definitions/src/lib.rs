//! FHIR R4 and Medplum's own types as data.
mod definitions {
    //! To be filled.
    /// The definitions.
    #[derive(Debug)]
    pub struct Definitions {}
}
pub mod names;

pub use definitions::Definitions;
pub use names::{NameError, OperationName, ResourceId, ResourceType};
