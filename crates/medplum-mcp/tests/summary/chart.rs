//! Charts written by hand.

use serde_json::{Value, json};

/// The patient of most tests.
pub const PATIENT: &str = "11111111-1111-4111-8111-111111111111";

pub fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": PATIENT, "birthDate": "1961-02-03", "gender": "female",
        "name": [{"family": "Smith", "given": ["Alice"]}],
    })
}

/// A resource of the patient: these elements and those that every one has.
pub fn of(resource_type: &str, number: usize, elements: Value) -> Value {
    let mut resource = json!({
        "resourceType": resource_type,
        "id": format!("{number:08x}-0000-4000-8000-{:012x}", resource_type.len() * 1000 + usize::from(resource_type.as_bytes()[0])),
    });
    let reference = json!({"reference": format!("Patient/{PATIENT}")});
    match resource_type {
        "AllergyIntolerance" | "Immunization" => resource["patient"] = reference,
        "Task" => resource["for"] = reference,
        "Appointment" => resource["participant"] = json!([{"actor": reference, "status": "accepted"}]),
        _ => resource["subject"] = reference,
    }
    resource.as_object_mut().unwrap().extend(elements.as_object().unwrap().clone());
    resource
}

pub fn concept(system: &str, code: &str, text: &str) -> Value {
    json!({"coding": [{"system": system, "code": code}], "text": text})
}

pub fn loinc(code: &str, text: &str) -> Value {
    concept("http://loinc.org", code, text)
}

fn status_concept(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code}]})
}

/// A condition; a status that is empty is left out.
pub fn condition(number: usize, text: &str, clinical: &str, verification: &str) -> Value {
    let mut condition = of("Condition", number, json!({"code": {"text": text}, "onsetDateTime": "2014-05"}));
    if !clinical.is_empty() {
        condition["clinicalStatus"] = status_concept("condition-clinical", clinical);
    }
    if !verification.is_empty() {
        condition["verificationStatus"] = status_concept("condition-ver-status", verification);
    }
    condition
}

pub fn allergy(number: usize, text: &str, clinical: &str, criticality: &str) -> Value {
    of(
        "AllergyIntolerance",
        number,
        json!({
            "code": {"text": text}, "criticality": criticality,
            "clinicalStatus": status_concept("allergyintolerance-clinical", clinical),
            "reaction": [{"manifestation": [{"text": "rash"}]}],
        }),
    )
}

/// An observation in a category, on a date, with a `value[x]`.
pub fn observation(number: usize, category: &str, code: Value, date: &str, value: Value) -> Value {
    let mut observation =
        of("Observation", number, json!({"status": "final", "code": code, "effectiveDateTime": date}));
    if !category.is_empty() {
        observation["category"] = json!([status_concept("observation-category", category)]);
    }
    observation.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    observation
}

pub fn quantity(value: f64, unit: &str) -> Value {
    json!({"valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}})
}

/// A chart that is longer than any: everything that fits on no page.
pub fn endless() -> Vec<Value> {
    let mut all = vec![patient()];
    let long = "a very long name of something that somebody has typed without thinking of those who read it ";
    for n in 0..80 {
        all.push(condition(n, &format!("Problem {n} {long}"), "active", "confirmed"));
        all.push(of("MedicationRequest", n, json!({
            "status": "active", "intent": "order", "medicationCodeableConcept": {"text": format!("Medication {n} {long}")},
            "dosageInstruction": [{"text": format!("{n} tablets {long}")}], "authoredOn": "2020-01-01",
        })));
        all.push(of("Immunization", n, json!({
            "status": "completed", "vaccineCode": {"text": format!("Vaccine {n} {long}")}, "occurrenceDateTime": "2020-01-01",
        })));
        all.push(of(
            "Task",
            n,
            json!({"status": "requested", "intent": "order", "description": format!("Task {n} {long}")}),
        ));
        all.push(of("Procedure", n, json!({
            "status": "completed", "code": {"text": format!("Procedure {n} {long}")}, "performedDateTime": "2020-01-01",
        })));
        all.push(of("CareTeam", n, json!({
            "status": "active", "name": format!("Team {n}"),
            "participant": (0..9).map(|m| json!({"member": {"display": format!("Member {m} {long}")}})).collect::<Vec<_>>(),
        })));
    }
    all.extend((0..9).map(|n| allergy(n, &format!("Allergen {n}"), "active", if n == 8 { "high" } else { "low" })));
    for n in 0..3_000 {
        let code = loinc(&format!("{}-1", 1000 + n % 120), &format!("Laboratory test {} {long}", n % 120));
        let date = format!("20{:02}-{:02}-01T08:00:00Z", 10 + n / 200, 1 + n % 12);
        all.push(observation(
            n,
            "laboratory",
            code,
            &date,
            quantity(f64::from(u16::try_from(n).unwrap()) / 7.0, "mmol/L"),
        ));
    }
    all
}
