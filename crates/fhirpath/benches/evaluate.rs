//! How long reading and evaluating take: `cargo bench -p medplum-fhirpath`.
//!
//! A plain program, so that it needs no library: each figure is the best of twenty rounds, on one thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use medplum_fhirpath::{Context, Expression};
use serde_json::{Value, json};

/// What a search index computes of an Observation.
const INDEX: [&str; 10] = [
    "AllergyIntolerance.code | Condition.code | DeviceRequest.code.ofType(CodeableConcept) | Observation.code | Procedure.code",
    "AllergyIntolerance.patient | Condition.subject.where(resolve() is Patient) | Observation.subject.where(resolve() is Patient)",
    "Observation.subject",
    "AllergyIntolerance.recordedDate | CarePlan.period | Observation.effective | Procedure.performed",
    "Observation.status",
    "Observation.category",
    "Observation.value.ofType(Quantity) | Observation.value.ofType(SampledData)",
    "Observation.component.value.ofType(Quantity)",
    "Observation.encounter | Condition.encounter",
    "Observation.identifier",
];

/// What an agent picks of it.
const FIELDS: [&str; 4] = ["id", "code.coding.code", "valueQuantity.value", "effective"];

const CONSTRAINTS: [&str; 4] = [
    "dataAbsentReason.empty() or value.empty()",
    "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()",
    "contained.contained.empty()",
    "contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()",
];

fn observation(number: usize) -> Value {
    json!({
        "resourceType": "Observation",
        "id": format!("{number:08}"),
        "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}], "text": "Weight"},
        "subject": {"reference": format!("Patient/{}", number % 100)},
        "encounter": {"reference": format!("Encounter/{number}")},
        "effectiveDateTime": "2026-01-01T10:00:00Z",
        "valueQuantity": {"value": 70.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    })
}

/// The best of twenty rounds.
fn best(mut round: impl FnMut()) -> Duration {
    (0..20)
        .map(|_| {
            let started = Instant::now();
            round();
            started.elapsed()
        })
        .min()
        .unwrap()
}

fn report(what: &str, time: Duration, count: usize, of: &str) {
    let each = time.as_secs_f64() * 1e9 / f64::from(u32::try_from(count).unwrap());
    println!("{what:<58} {:>9.2} ms  {each:>8.0} ns a {of}", time.as_secs_f64() * 1e3);
}

fn evaluate_all(expressions: &[Expression], resources: &[Value]) -> usize {
    let context = Context::new();
    let mut found = 0;
    for resource in resources {
        for expression in expressions {
            found += expression.evaluate(resource, &context).unwrap().len();
        }
    }
    found
}

fn main() {
    let parse =
        |texts: &[&str]| -> Vec<Expression> { texts.iter().map(|text| Expression::parse(text).unwrap()).collect() };
    let resources: Vec<Value> = (0..5_000).map(observation).collect();

    let search: Vec<_> = include_str!("../tests/fixtures/search-expressions.txt").lines().collect();
    let time = best(|| drop(black_box(parse(&search))));
    report("read all search expressions", time, search.len(), "expression");

    for (what, texts) in [
        ("10 search expressions over 5,000 Observations", &INDEX[..]),
        ("4 fields over 5,000 Observations", &FIELDS[..]),
        ("4 constraints over 5,000 Observations", &CONSTRAINTS[..]),
        ("code.coding.where(system='…').code over 5,000", &["code.coding.where(system = 'http://loinc.org').code"][..]),
        ("descendants().count() over 5,000", &["descendants().count()"][..]),
    ] {
        let expressions = parse(texts);
        let time = best(|| {
            black_box(evaluate_all(&expressions, &resources));
        });
        report(what, time, resources.len() * texts.len(), "evaluation");
    }
}
