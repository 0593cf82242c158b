//! What an agent reads about a search that does not ask what it means.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use fhir_definitions::search::{Rewritten, SearchFault, check, check_with, compare_self};

fn pairs(query: &str) -> Vec<(String, String)> {
    query.split('&').map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn ask(query: &str) -> Result<Rewritten, Vec<SearchFault>> {
    let (name, query) = query.split_once('?').unwrap();
    check(name, &pairs(query))
}

fn said(queries: &[&str]) -> String {
    let each = |query: &&str| match ask(query) {
        Ok(out) => {
            let sent: Vec<String> = out.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let mut text = format!("{query}\n  → {}", sent.join("&"));
            out.notes.iter().for_each(|n| text.push_str(&format!("\n  note: {n}")));
            out.hints.iter().for_each(|n| text.push_str(&format!("\n  if nothing is found: {n}")));
            text
        }
        Err(faults) => {
            let lines: Vec<String> = faults.iter().map(|f| format!("  ✗ {f}")).collect();
            format!("{query}\n{}", lines.join("\n"))
        }
    };
    queries.iter().map(each).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_and_modifiers() {
    insta::assert_snapshot!(said(&[
        "Patient?familly=Smith",
        "Patient?birthDate=1961-02-03&bogus=1",
        "Observation?effectiveDateTime=2024-01-15&_text=x",
        "Patient?name:zzz=abc",
        "Patient?name:exact=Smith&gender:not=male&phone:missing=true",
        "Patient?phone:missing=yes",
        "Patient?birthdate:ge=1980-01-01",
        "Observation?subject:Patient=7f&subject:Pateint=7f",
        "Pateint?name=x",
        "Binary?_id=x",
        "Observation?code:in=http://example.org/vs",
    ]));
}

#[test]
fn empty_values() {
    insta::assert_snapshot!(said(&[
        "Patient?name=",
        "Patient?name= ",
        "Patient?name=a,,b",
        "Patient?gender=,",
        "Patient?gender=|",
        "Patient?gender=male,|",
        "Patient?gender=|male",
        "Patient?identifier=http://h|",
        "Patient?name=\\",
        "Patient?name=a,\\",
        "Patient?name:contains=\\",
        "Observation?code:text=\\",
        "Observation?patient.gender=|",
        "Observation?patient.name=\\",
        "Observation?code-value-concept=|$|",
        "Patient?_has:Observation:patient:status=|",
        "Patient?_id=",
        "Patient?bogus=",
        "Patient?_sort=",
        "Patient?organization.name=",
        "Patient?_has:Observation:patient:code="
    ]));
}

#[test]
fn dates() {
    insta::assert_snapshot!(said(&[
        "Observation?date=2025-03-03",
        "Observation?date=le2025-03-03",
        "Observation?date=gt2025-12-31",
        "Observation?date=2025",
        "Observation?date=ge2025-02&date=lt2025-04",
        "Observation?date=2024-02-29T08:30:00Z",
        "Observation?date=ge2024-02-29T08:30+01:00",
        "Observation?date=ne2025-03-03",
        "Observation?date=2025-03-03,2025-03-04",
        "Observation?date=03.02.2025",
        "Observation?date=yesterday",
        "Observation?date=2025-02-30",
        "Patient?birthdate=1961-02-03",
        "Patient?birthdate=ne1961-02-03",
        "Patient?birthdate=1961",
        "Patient?birthdate=gt1961-02",
        "Patient?birthdate=notadate",
        "Patient?_lastUpdated=2025-12-31",
        "Encounter?date=eb2025-03",
        "Encounter?date=eq2025-03-03",
        "Observation?date=2025-03-03T10:00",
        "Observation?date=le2025-12-31T23:59Z",
        "Observation?date=gt2024-02-28T23:59-05:00",
        "Observation?date=ne2025-03-03T10:00Z",
        "Observation?date=2025-03-03T10",
        "Observation?date=2025-03-03T24:00Z",
        "Patient?birthdate=1961-02-03T10:00",
        "Patient?_has:Observation:patient:date=2025-03-03T10:00Z",
    ]));
}

#[test]
fn values() {
    insta::assert_snapshot!(said(&[
        "Observation?value-quantity=gt70",
        "Observation?value-quantity=72kg",
        "Observation?value-quantity=72 kg",
        "Observation?value-quantity=heavy",
        "Observation?value-quantity=5.4|http://unitsofmeasure.org|mg",
        "Observation?value-quantity=5.4||",
        "Observation?value-quantity=7,2",
        "Observation?value-quantity=gt7,25||mmol/L",
        "Observation?value-quantity=7.0,7.2",
        "Observation?value-quantity=7,2,3",
        "Observation?value-quantity=5||mg,6||mg",
        "Observation?patient=Patient/1&value-quantity=7,",
        "RiskAssessment?probability=0.7,0.2",
        "RiskAssessment?probability=ge0.8",
        "RiskAssessment?probability=high",
        "RiskAssessment?probability=0.5,gt0.7",
        "RiskAssessment?probability=gt0.5,0.7",
        "Patient?active=yes",
        "Patient?gender=F",
        "Patient?gender=femal,male",
        "Patient?gender:not=Male",
        "Condition?clinical-status:not=resovled",
        "Condition?clinical-status:not=http://terminology.hl7.org/CodeSystem/condition-clinical|resolved",
        "MedicationRequest?patient.gender:not=femal",
        "Patient?gender=ge2024-01-01",
        "Patient?family=ge2024-01-01",
        "Observation?code=8867-4",
        "Observation?code=http://loinc.org|8867-4",
        "Observation?code=Body weight",
        "Observation?patient=7f",
        "Observation?subject=7f",
        "Observation?patient=Alice Smith",
        "Observation?subject=Practitioner/1",
        "Observation?subject=Pateint/1",
        "Observation?patient=Patient/1,Patient/2",
        "Patient?_id=Patient/7f",
        "Observation?code-value-quantity=8480-6$gt140",
        "Observation?code-value-quantity=8480-6",
        "Observation?code-value-quantity=8480-6$high",
    ]));
}

#[test]
fn chains_and_has() {
    insta::assert_snapshot!(said(&[
        "Observation?patient.identifier=https://example.com/mrn|MRN-0000",
        "Observation?patient.name=Smith&subject:Patient.family:exact=Smith",
        "Observation?patient.familly=Smith",
        "Observation?patient.birthdate=1961",
        "Observation?performer:Practitioner.name=x",
        "Observation?code.name=x",
        "Observation?encounter.date=2025-03-03",
        "Observation?patient.organization.name=x",
        "Patient?_has:Observation:patient:status=final",
        "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/1",
        "Patient?_has:Observation:pateint:status=final",
        "Patient?_has:Observation:patient:stats=final",
        "Patient?_has:Observation=final",
        "Patient?_has:Observation:patient:date=2025-03-03",
        "Patient?_filter=name eq smith",
        "Observation?_compartment=Patient/7f",
    ]));
}

#[test]
fn shape_of_the_answer() {
    insta::assert_snapshot!(said(&[
        "Patient?_count=abc",
        "Patient?_count=-1",
        "Patient?_count=5000",
        "Patient?_offset=20000",
        "Patient?_sort=name:desc",
        "Patient?_sort=-name,_id",
        "Patient?_sort=name,,birthdate",
        "Patient?_sort=name, -birthdate",
        "Patient?_sort=,",
        "Patient?_sort=--name",
        "Patient?_sort=birthDate",
        "Patient?_total=exact",
        "Patient?_elements=name,birthdate",
        "Patient?_elements=name,deceased,id",
        "Observation?_include=Observation:subject",
        "Observation?_include=Observation:subjekt",
        "Observation?_include=subject",
        "Observation?_include=*",
        "Observation?_include=Patient:organization",
        "Observation?_include:iterate=Patient:organization",
        "Patient?_revinclude=Condition:subject",
        "Patient?_revinclude=Slot:schedule",
        "Resource?_type=Patient,Practitioner&_lastUpdated=ge2025-01-01",
        "Resource?_type=Patient,Foo",
    ]));
}

#[test]
fn a_newer_server_may_know_more() {
    let statement = serde_json::json!({"rest": [{"mode": "server", "resource": [
        {"type": "Patient", "searchParam": [{"name": "shoe-size", "type": "number"}]}]}]});
    assert!(check_with("Patient", &pairs("shoe-size=44"), Some(&statement)).is_ok());
    assert!(check_with("Patient", &pairs("shoe-color=red"), Some(&statement)).is_err());
}

#[test]
fn what_the_self_link_shows() {
    let base = "http://medplum.test/fhir/R4/Patient";
    let dropped = |asked: &str, done: &str| {
        let found = compare_self(&pairs(asked), &format!("{base}?{done}"));
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    // What the recordings show as obeyed.
    for (asked, done) in [
        ("_count=2&_total=accurate", "_count=2&_total=accurate"),
        ("_summary=count", "_count=0&_total=accurate"),
        (
            "identifier=https://example.com/mrn|MRN-0000",
            "_count=20&identifier=https%3A%2F%2Fexample.com%2Fmrn%7CMRN-0000",
        ),
        ("gender=female,male", "_count=20&gender=female%2Cmale"),
        ("gender=female&gender=male", "_count=20&gender=female&gender=male"),
        ("date=eq2024-01-01T00:00:00Z", "date=2024-01-01T00%3A00%3A00Z"),
        ("subject:Patient=7f", "_count=20&subject=Patient%2F7f"),
        ("_has:Observation:patient:status=final", "_count=1&_has:Observation:patient:status=final"),
        ("_elements=name,birthDate&_id=7", "_count=20&_fields=name,birthDate&_id=7"),
        ("patient.identifier=a|b&_sort=-date", "_sort=-date&patient.identifier=a%7Cb"),
        ("_type=Patient,Practitioner", "_type=Patient,Practitioner"),
        ("name=a&name=a&_count=5000", "_count=1000&name=a&_offset=20"),
        ("_format=json&_pretty=true&name=a b", "name=a%20b"),
    ] {
        assert_eq!(dropped(asked, done), "", "{asked}");
    }
    insta::assert_snapshot!(
        [
            dropped("name:zzz=abc", "_count=1&name=abc"),
            dropped("name=a&gender=male", "_count=20&name=a"),
            dropped("_sort=name:desc", "_sort=name"),
            dropped("_sort=-name", ""),
            dropped("_type=Patient", "name=a"),
        ]
        .join("\n")
    );
}

/// The links come from Medplum's own code (`generate/self_links.mjs`): the last ones lost a modifier.
#[test]
fn what_medplums_own_code_makes_of_searches() {
    let mut said = Vec::new();
    for line in include_str!("fixtures/self-links.ndjson").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let (asked, link) = (case["asked"].as_str().unwrap(), case["self"].as_str().unwrap());
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let sent: Vec<(String, String)> =
            pairs(asked.split_once('?').unwrap().1).iter().map(|(k, v)| (decode(k), decode(v))).collect();
        let dropped: Vec<String> = compare_self(&sent, link).iter().map(ToString::to_string).collect();
        if !dropped.is_empty() {
            said.push(format!("{asked}: {}", dropped.join(" ")));
        }
    }
    insta::assert_snapshot!(said.join("\n"));
}
