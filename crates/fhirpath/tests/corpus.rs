//! Every expression that FHIR R4 and Medplum define is understood, and prints in a form that reads back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use medplum_fhirpath::Expression;

fn check(expressions: &[&str]) {
    let faults: Vec<String> = expressions.iter().filter_map(|text| fault(text)).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), expressions.len(), faults.join("\n"));
}

fn fault(text: &str) -> Option<String> {
    let parsed = match Expression::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => return Some(format!("{error}\n  in {text}")),
    };
    let printed = parsed.to_string();
    match Expression::parse(&printed) {
        Ok(again) if again == parsed && again.to_string() == printed => None,
        Ok(_) => Some(format!("prints as another expression: {printed}\n  for {text}")),
        Err(error) => Some(format!("does not read back: {error}\n  {printed}\n  for {text}")),
    }
}

#[test]
fn every_search_expression() {
    let all: Vec<_> = include_str!("fixtures/search-expressions.txt").lines().collect();
    assert!(all.len() >= 1_450, "{}", all.len());
    check(&all);
}

#[test]
fn every_constraint() {
    let all: Vec<_> =
        include_str!("fixtures/constraints.txt").lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert!(all.len() >= 200, "{}", all.len());
    check(&all);
}

/// Casts as older versions of the definitions wrote them.
#[test]
fn old_style_casts() {
    check(&[
        "(Observation.value as Quantity) | (Observation.value as SampledData)",
        "Observation.value.as(Quantity)",
        "(Condition.abatement as Age).exists()",
        "(ActivityDefinition.useContext.value as CodeableConcept)",
        "Condition.onset.as(dateTime) | Condition.onset.as(Period)",
        "AuditEvent.agent.who.where(resolve() is Patient)",
        "(Observation.value as FHIR.Quantity).value is System.Decimal",
    ]);
}
