//! FHIR's own examples are accepted; expressions and constraints can all be read; what Medplum refuses is refused here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{examples, name_of};
use fhir_definitions::search::check;
use fhir_definitions::validate::{validate, validate_as};
use fhir_definitions::{Definitions, ResourceType};
use serde_json::Value;

/// The examples that are refused, and why. Four refer to a type that FHIR does not allow there; Medplum stores them.
/// The one with white space in its data Medplum refuses itself.
const REFUSED: [(&str, &str); 5] = [
    ("DeviceMetric/example", "parent.reference: leads to DeviceDefinition; only Device may stand here"),
    (
        "DeviceUseStatement/example",
        "reasonReference[0].reference: leads to Procedure; only Condition | DiagnosticReport | DocumentReference | Media | Observation may stand here",
    ),
    ("Media/example", "content.data: has white space in it, which Medplum refuses. Take it out."),
    (
        "MedicationRequest/medrx0301",
        "dispenseRequest.performer.reference: leads to Practitioner; only Organization may stand here",
    ),
    (
        "Observation/clinical-gender",
        "performer[0].reference: leads to Encounter; only CareTeam | Organization | Patient | Practitioner | PractitionerRole | RelatedPerson may stand here",
    ),
];

#[test]
fn examples_are_accepted() {
    let mut refused = Vec::new();
    for resource in examples() {
        let faults: Vec<String> = validate(&resource).faults.iter().map(ToString::to_string).collect();
        if !faults.is_empty() {
            refused.push((name_of(&resource), faults.join("; ")));
        }
    }
    let expected: Vec<(String, String)> = REFUSED.iter().map(|(n, f)| ((*n).to_owned(), (*f).to_owned())).collect();
    assert_eq!(refused, expected);
}

#[test]
fn there_is_an_example_of_nearly_every_type() {
    let mut types: Vec<String> = examples().iter().map(|r| r["resourceType"].as_str().unwrap().to_owned()).collect();
    types.dedup();
    assert!(types.len() > 120, "{}", types.len());
}

#[test]
fn every_search_expression_can_be_read() {
    let mut count = 0;
    for p in Definitions::get().all_search_parameters().iter().filter(|p| !p.expression.is_empty()) {
        if let Err(error) = fhirpath::Expression::parse(p.expression) {
            panic!("{}: {}: {error}", p.code, p.expression);
        }
        count += 1;
    }
    assert!(count > 1_519, "{count}");
}

#[test]
fn every_constraint_can_be_read() {
    for c in Definitions::get().constraints() {
        if let Err(error) = fhirpath::Expression::parse(c.expression) {
            panic!("{}: {}: {error}", c.key, c.expression);
        }
    }
}

/// What is said before anything is sent, beside what Medplum would have said.
#[test]
fn what_medplum_refuses_is_refused_here_first() {
    let recorded: Vec<Value> = serde_json::from_str(include_str!("fixtures/refused-by-medplum.json")).unwrap();
    let mut lines = Vec::new();
    for exchange in &recorded {
        let path = exchange["path"].as_str().unwrap().strip_prefix("fhir/R4/").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let said = if exchange["method"] == "POST" { of_body(path, &exchange["body"]) } else { of_search(path, query) };
        lines.push(format!(
            "{}\n  Medplum {}: {}\n  here: {said}",
            exchange["note"], exchange["status"], exchange["text"]
        ));
        assert!(!said.is_empty(), "{}", exchange["note"]);
    }
    insta::assert_snapshot!(lines.join("\n"));
}

fn of_search(path: &str, query: &str) -> String {
    let pairs: Vec<(String, String)> =
        query.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    if let Err(error) = ResourceType::parse(path) {
        return error.to_string();
    }
    check(path, &pairs).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn of_body(path: &str, body: &Value) -> String {
    if body.is_string() {
        return "(not JSON, or over the limit: the client's business)".to_owned();
    }
    validate_as(path, body).faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ")
}
