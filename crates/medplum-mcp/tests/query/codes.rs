//! The codes in use, against the same counted from the raw resources.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{Clinic, LONG};

#[tokio::test]
async fn the_codes_of_a_chart() {
    let clinic = Clinic::open();
    let mut expected: HashMap<(String, String), (u64, String, String)> = HashMap::new();
    for resource in clinic.raw("Observation", &[("patient", LONG)]).await {
        let at = resource["effectiveDateTime"].as_str().unwrap_or_default().to_owned();
        for coding in resource["code"]["coding"].as_array().into_iter().flatten() {
            let key = (coding["system"].as_str().unwrap().to_owned(), coding["code"].as_str().unwrap().to_owned());
            let uses = expected.entry(key).or_insert((0, at.clone(), at.clone()));
            *uses = (uses.0 + 1, at.clone().min(uses.1.clone()), at.clone().max(uses.2.clone()));
        }
    }
    let told = clinic.call("list_codes", json!({"resource_type": "Observation", "params": {"patient": LONG}})).await;
    assert_eq!(told.columns(), ["system", "code", "display", "count", "first", "last"]);
    let rows = told.rows();
    assert_eq!(rows.len(), expected.len());
    let mut before = u64::MAX;
    for row in rows {
        let (count, first, last) = &expected[&(row[0].as_str().unwrap().into(), row[1].as_str().unwrap().into())];
        assert_eq!((&row[3], &row[4], &row[5]), (&json!(count), &json!(first), &json!(last)), "{row:?}");
        assert!(row[2].is_string(), "{row:?}");
        assert!(*count <= before, "the most frequent first");
        before = *count;
    }
    assert!(told.note().contains("(complete)") && told.note().contains("effective[x]"), "{}", told.note());
}

#[tokio::test]
async fn every_form_of_a_code() {
    let resource = |n: u8, more: Value| {
        let mut resource = json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "id": format!("5a4d0b0c-0000-4000-8000-0000000009{n:02}")});
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resource
    };
    let concept = json!({"coding": [{"system": "s", "code": "a", "display": "A"}, {"system": "t", "code": "b"}], "text": "as written"});
    let clinic = Clinic::with(&[
        resource(1, json!({"medicationCodeableConcept": concept, "authoredOn": "2024"})),
        resource(2, json!({"medicationCodeableConcept": concept, "authoredOn": "2023-12-31T23:30:00-05:00"})),
        resource(3, json!({"medicationCodeableConcept": {"text": "something else"}})),
        resource(4, json!({"medicationReference": {"reference": "Medication/1"}, "authoredOn": "2020-01-01"})),
    ]);
    let told = clinic.call("list_codes", json!({"resource_type": "MedicationRequest"})).await;
    let moment = "2023-12-31T23:30:00-05:00";
    assert_eq!(
        told.rows(),
        [
            // Half past eleven at night, five hours west, is the next year already.
            [json!("s"), json!("a"), json!("A"), json!(2), json!("2024"), json!(moment)],
            [json!("t"), json!("b"), json!("as written"), json!(2), json!("2024"), json!(moment)],
            [Value::Null, Value::Null, json!("something else"), json!(1), Value::Null, Value::Null],
        ]
    );
    assert!(told.note().contains("1 of them without one"), "{}", told.note());
    let told = clinic.call("list_codes", json!({"resource_type": "MedicationRequest", "element": "status"})).await;
    assert_eq!(told.rows()[0][1..4], [json!("active"), Value::Null, json!(4)]);
}

#[tokio::test]
async fn what_cannot_be_listed_is_told() {
    let clinic = Clinic::open();
    let told = clinic.call("list_codes", json!({"resource_type": "Observation", "element": "categry"})).await;
    assert!(told.error().contains("Nearest: category"), "{told:?}");
    let told = clinic.call("list_codes", json!({"resource_type": "QuestionnaireResponse"})).await;
    assert!(told.error().contains("status"), "{told:?}");
    let told = clinic
        .call("list_codes", json!({"resource_type": "Observation", "params": {"patient": LONG}, "max_resources": 40}))
        .await;
    assert!(told.note().starts_with("Incomplete: only 40 were looked at"), "{}", told.note());
    let told = clinic.call("list_codes", json!({"resource_type": "Observation", "params": {"code": "0-0"}})).await;
    assert!(told.rows().is_empty() && told.note().contains("No Observation matches code=0-0."), "{told:?}");
}

#[tokio::test]
async fn the_dates_are_those_that_there_are() {
    let task = |n: usize, at: &str| {
        json!({"resourceType": "Task", "id": format!("5a4d0b0c-0000-4000-8000-0000000009{n:02}"),
        "status": "requested", "intent": "order", "code": {"text": "Call"}, "authoredOn": at})
    };
    let clinic = Clinic::with(&[task(1, "2026-02-01"), task(2, "2026-01-01")]);
    let told = clinic.call("list_codes", json!({"resource_type": "Task"})).await;
    assert_eq!(
        told.rows(),
        [[Value::Null, Value::Null, json!("Call"), json!(2), json!("2026-01-01"), json!("2026-02-01")]]
    );
    assert!(told.note().contains("dates are of authoredOn."), "{}", told.note());
}
