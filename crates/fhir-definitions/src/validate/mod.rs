//! Whether a resource may be written: everything that is wrong with it at once, each with its place and the right form.
//!
//! It accepts what Medplum accepts, and is stricter on purpose where Medplum stores what nobody can use: codes of
//! required bindings, target types of references, two types of one choice.

mod binding;
mod constraint;
mod fault;
mod path;
mod primitive;
mod reference;
mod render;
mod repair;
mod stored;
mod walk;

use serde_json::Value;

pub(crate) use fault::clipped;
pub use fault::{Fault, FaultKind};
pub use primitive::is_instant;
pub(crate) use primitive::{day_of, days_in};
pub use render::list;
pub(crate) use repair::day_from as date_from;

/// What came out of looking at a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What must be put right before it is sent.
    pub faults: Vec<Fault>,
    /// What is better put right: codes outside of an extensible value set, times without a zone.
    pub warnings: Vec<Fault>,
    /// Faults that the stored version has already; only [`Report::beside_stored`] fills it.
    pub known: Vec<Fault>,
}

impl Report {
    /// Whether nothing stands against sending it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Looks at a resource as it would be sent. Whether the references in it lead anywhere is not asked here: see
/// [`local_references`](crate::references::local_references).
///
/// ```
/// let report = fhir_definitions::validate::validate(&serde_json::json!({"resourceType": "Patient", "gender": "Female"}));
/// assert_eq!(report.faults[0].to_string(), r#"gender: "Female" is not one of male | female | other | unknown. Write "female"."#);
/// ```
#[must_use]
pub fn validate(resource: &Value) -> Report {
    look(resource, None)
}

/// The same for a resource that is sent as one of a certain type: a `POST` to `Patient` takes nothing but a Patient.
#[must_use]
pub fn validate_as(resource_type: &str, resource: &Value) -> Report {
    look(resource, Some(resource_type))
}

fn look(resource: &Value, sent_as: Option<&str>) -> Report {
    let mut report = walk::Walk::over(resource, sent_as);
    render::tidy(&mut report.faults);
    render::tidy(&mut report.warnings);
    report
}
