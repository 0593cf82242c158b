//! A resource, as JSON.

use fhir_definitions::references::local_references;
use fhir_definitions::validate::{list, validate, validate_as};

use super::json;

/// See the module.
pub fn run(data: &[u8]) {
    let Some(resource) = json(data) else { return };
    let report = validate(&resource);
    assert_eq!(report, validate(&resource), "the same resource has the same faults");
    let text = list("Not sent.", &report.faults);
    assert!(text.starts_with("Not sent."), "{text}");
    for fault in report.faults.iter().chain(&report.warnings) {
        assert!(!fault.message.is_empty());
    }
    let _ = (local_references(&resource), validate_as("Patient", &resource));
    // What was wrong before stands in nobody's way.
    let beside = report.clone().beside_stored(&resource);
    assert!(beside.is_sound(), "{:?}\n{resource}", beside.faults);
    assert_eq!(beside.known.len(), report.faults.len());
}
