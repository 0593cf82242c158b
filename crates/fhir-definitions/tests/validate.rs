//! What an agent reads about the slips that agents make.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use fhir_definitions::validate::{list, validate};
use serde_json::{Value, json};

/// What is said of each resource, one after the other.
fn said(resources: &[Value]) -> String {
    let each = |resource: &Value| {
        let report = validate(resource);
        let name = resource["resourceType"].as_str().unwrap_or("It");
        let mut text = format!("{resource}\n");
        if report.is_sound() {
            text.push_str("sound\n");
        } else {
            text.push_str(&list(&format!("{name} was not sent."), &report.faults));
            text.push('\n');
        }
        for warning in &report.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text
    };
    resources.iter().map(each).collect::<Vec<_>>().join("\n")
}

fn observation(more: Value) -> Value {
    let mut base = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

fn patient(more: Value) -> Value {
    let mut base = json!({"resourceType": "Patient"});
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

#[test]
fn strings_for_objects() {
    insta::assert_snapshot!(said(&[
        patient(json!({"name": "Alice B. Smith"})),
        patient(
            json!({"name": ["Smith, Alice"], "telecom": ["+49 89 1234", "a@b.example"], "address": ["1 High Street, Oxford"]})
        ),
        patient(json!({"name": {"family": "Smith"}, "identifier": "http://hospital.example/mrn|4711"})),
        patient(
            json!({"generalPractitioner": ["Practitioner/12"], "managingOrganization": "12", "maritalStatus": "M"})
        ),
        observation(
            json!({"code": "Body weight", "subject": "Patient/1", "valueQuantity": "72.5 kg", "category": ["laboratory"]})
        ),
        observation(json!({"subject": "Alice Smith", "valueQuantity": 72.5, "effectivePeriod": "2024-01-15"})),
        json!({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "clinicalStatus": "active", "note": "seen"}),
    ]));
}

#[test]
fn names_of_elements() {
    insta::assert_snapshot!(said(&[
        patient(json!({"birthdate": "1961-02-03", "familyName": "Smith", "foo": 1})),
        observation(
            json!({"value": {"value": 1, "unit": "kg"}, "patient": {"reference": "Patient/1"}, "effective": "2024-01-15"})
        ),
        observation(json!({"value": "positive", "valueReference": {"reference": "Patient/1"}})),
        observation(json!({"valueString": "a", "valueQuantity": {"value": 1}, "component": [{"value": 3}]})),
        patient(
            json!({"contact": [{"relation": "mother", "phone": "1"}], "_gender": {"extension": [{"url": "x", "valueCode": "y"}]}, "_name": {}})
        ),
    ]));
}

#[test]
fn cardinality() {
    insta::assert_snapshot!(said(&[
        json!({"resourceType": "Observation"}),
        json!({"resourceType": "MedicationRequest"}),
        patient(
            json!({"gender": ["female"], "birthDate": ["1961-02-03", "1961-02-04"], "communication": [{}], "link": [{"other": {"reference": "Patient/2"}}]})
        ),
        patient(json!({"name": [], "telecom": [[{"value": "1"}]], "active": null, "address": [null], "photo": [{}]})),
        patient(
            json!({"name": [{"given": ["A", null], "_given": [null, {"extension": [{"url": "x", "valueString": "y"}]}]}]})
        ),
    ]));
}

#[test]
fn primitives() {
    insta::assert_snapshot!(said(&[
        patient(json!({"active": "true", "multipleBirthInteger": "2", "birthDate": "03.02.1961"})),
        patient(json!({"birthDate": "1961-02-03T00:00:00Z", "deceasedDateTime": "2024-01-15 08:30"})),
        patient(json!({"birthDate": "02/03/1961", "deceasedDateTime": "yesterday"})),
        patient(json!({"birthDate": "2023-02-29", "deceasedDateTime": "2024-01-15T08:30:00"})),
        patient(json!({"birthDate": 1961, "gender": " female", "language": ""})),
        observation(json!({"issued": "2024-01-15", "valueInteger": 1.5, "valueString": 5})),
        observation(json!({"valueQuantity": {"value": "72.5", "unit": 5}})),
        observation(
            json!({"status": {"coding": [{"code": "final"}]}, "valueSampledData": {"period": 1, "dimensions": 0, "origin": {}}})
        ),
    ]));
}

#[test]
fn codes() {
    insta::assert_snapshot!(said(&[
        patient(json!({"gender": "Female"})),
        patient(json!({"gender": "bogus", "name": [{"use": "legal"}, {"use": "legal"}]})),
        observation(json!({"status": "completed"})),
        json!({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "clinicalStatus": {"coding": [{"code": "active"}]}, "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "sure"}]}}),
        patient(
            json!({"maritalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "married"}]}})
        ),
        json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}),
    ]));
}

#[test]
fn references() {
    let contained = json!([{"resourceType": "Practitioner", "id": "p1"}]);
    insta::assert_snapshot!(said(&[
        observation(
            json!({"subject": {"reference": "123"}, "encounter": {"reference": "9f3"}, "performer": [{"reference": "practitioner/1"}, {"reference": "/Practitioner/1"}]})
        ),
        observation(
            json!({"subject": {"reference": "Practitioner/1"}, "encounter": {"reference": "Foo/1"}, "device": {"reference": "Patient/"}})
        ),
        observation(
            json!({"contained": contained, "performer": [{"reference": "#p1"}, {"reference": "#p2"}, {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}, {"reference": "https://a.example/Practitioner/1"}, {"reference": "Practitioner?identifier=a|b"}, {"display": "Dr X"}]})
        ),
    ]));
}

#[test]
fn rules_between_elements() {
    insta::assert_snapshot!(said(&[
        patient(json!({"contact": [{"gender": "male"}]})),
        observation(
            json!({"dataAbsentReason": {"text": "x"}, "valueString": "y", "referenceRange": [{"appliesTo": [{"text": "z"}]}]})
        ),
        patient(
            json!({"extension": [{"url": "http://a.example"}, {"valueString": "x"}, {"url": "http://a.example", "valueString": "x", "extension": [{"url": "b", "valueCode": "c"}]}]})
        ),
        observation(json!({"effectivePeriod": {"start": "2024-02-01", "end": "2024-01-01"}})),
        patient(
            json!({"contained": [{"resourceType": "Patient", "meta": {"versionId": "1"}, "contained": [{"resourceType": "Patient", "id": "x"}]}]})
        ),
    ]));
}

#[test]
fn not_a_resource() {
    insta::assert_snapshot!(said(&[
        json!({}),
        json!([]),
        json!("Patient"),
        json!({"resourceType": "Pateint"}),
        json!({"resourceType": "DomainResource"}),
        json!({"resourceType": "HumanName"}),
        json!({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Patient", "gender": "x"}, "request": {"method": "POST", "url": "Patient"}}]}),
        json!({"resourceType": "Bot", "name": "x", "runtimeVersion": "lambda"}),
        json!({"resourceType": "Patient", "meta": {"author": {"reference": "system"}, "project": "1", "compartment": [{"reference": "Project/1"}]}}),
    ]));
}

#[test]
fn what_agents_get_wrong_most() {
    let report = validate(&json!({"resourceType": "Observation", "code": "Body weight"}));
    insta::assert_snapshot!(list("Observation was not sent.", &report.faults));
}

#[test]
fn a_fault_of_the_stored_version_is_known() {
    let stored = patient(json!({"gender": "bogus", "name": [{"use": "legal"}]}));
    let same = patient(json!({"gender": "bogus", "name": [{"family": "New"}, {"use": "legal"}]}));
    let report = validate(&same).beside_stored(&stored);
    assert!(report.is_sound());
    assert_eq!(report.known.len(), 2);
    let worse = patient(json!({"gender": "bogus", "name": [{"use": "legal"}, {"use": "legal"}], "foo": 1}));
    let report = validate(&worse).beside_stored(&stored);
    assert_eq!((report.faults.len(), report.known.len()), (2, 2));
    let other = patient(json!({"gender": "other bogus"}));
    assert_eq!(validate(&other).beside_stored(&stored).faults.len(), 1);
}

#[test]
fn a_hostile_resource_is_left_early() {
    let many: serde_json::Map<String, Value> = (0..20_000).map(|i| (format!("noSuchElement{i}"), json!(1))).collect();
    let mut resource = Value::Object(many);
    resource["resourceType"] = json!("Patient");
    let long = json!({"resourceType": "Patient", "name": vec![json!("x"); 20_000]});
    for hostile in [resource, long] {
        let report = validate(&hostile);
        assert_eq!(report.faults.len(), 500);
        assert!(list("Patient was not sent.", &report.faults).len() < 8_000);
    }
}
