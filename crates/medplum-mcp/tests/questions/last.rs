//! The last, the latest, the newest.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Question;
use crate::project::{CHLOE, MARIA, Project, SAMUEL};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "What is Maria Lindqvist's latest LDL cholesterol?",
        calls: &[("search_one", || {
            json!({"resource_type": "Observation", "params": {"patient": MARIA, "code": "2089-1"}, "sort": "-date",
                "fields": ["effective", "value.value", "value.unit"]})
        })],
        at: "/rows/0",
        answer: |project| {
            let last = project.measured_of(MARIA, "2089-1").pop().unwrap();
            json!([last.at, last.value, last.unit])
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&code=2089-1&_sort=-date&_count=1"],
    },
    Question {
        asked: "What were Chloé's last three weights?",
        calls: &[("search_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": CHLOE, "code": "29463-7"}, "sort": "-date",
                "count": 3, "fields": ["effective", "value.value", "value.unit"]})
        })],
        at: "/rows",
        answer: |project| {
            let weights = project.measured_of(CHLOE, "29463-7");
            json!(weights.iter().rev().take(3).map(|m| json!([m.at, m.value, m.unit])).collect::<Vec<_>>())
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203&code=29463-7&_sort=-date&_count=3"],
    },
    Question {
        asked: "What is the last value of each laboratory test of Samuel, and when?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": SAMUEL, "category": "laboratory"},
                "sql": "select code_text, value_value, value_unit, max(effective_utc) from Observation group by code_code order by 1"})
        })],
        at: "/rows",
        answer: last_of_each_test,
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&category=laboratory"],
    },
    Question {
        asked: "Which medicines does Maria take now?",
        calls: &[(
            "get_patient_summary",
            || json!({"patient_id": "5a4d0b0c-0000-4000-8000-000000000201", "sections": ["medications"]}),
        )],
        at: "/medications/rows",
        answer: |project| {
            let active = |of| project.chart(of, MARIA).filter(|r| r["status"] == "active");
            let drug = |r: &Value| r["medicationCodeableConcept"]["text"].clone();
            let mut rows: Vec<Value> = active("MedicationRequest")
                .map(|order| {
                    let records = 1 + active("MedicationStatement").filter(|s| drug(s) == drug(order)).count();
                    let since = format!("since {}, {records} records", order["authoredOn"].as_str().unwrap());
                    json!([drug(order), order["dosageInstruction"][0]["text"], since])
                })
                .collect();
            rows.sort_by_key(|row| std::cmp::Reverse(row[2].to_string()));
            json!(rows)
        },
        raw: &[
            "MedicationRequest?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&status=active",
            "MedicationStatement?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&status=active",
        ],
    },
    Question {
        asked: "When was Maria seen last?",
        calls: &[(
            "search_one",
            || json!({"resource_type": "Encounter", "params": {"patient": MARIA}, "sort": "-date", "fields": ["period.start"]}),
        )],
        at: "/rows/0/0",
        answer: |project| json!(project.chart("Encounter", MARIA).filter_map(|e| e["period"]["start"].as_str()).max()),
        raw: &["Encounter?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&_sort=-date&_count=1"],
    },
    Question {
        asked: "When is Chloé's next appointment, and with whom?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Appointment",
                "params": {"patient": CHLOE, "status": "booked", "date": "ge2026-11-22"},
                "also": [{"resource_type": "Practitioner"}],
                "sql": "select a.start, p.name_given, p.name_family from Appointment a, json_each(a.json, '$.participant') w join Practitioner p on w.value ->> '$.actor.reference' = 'Practitioner/' || p.id order by a.start_utc limit 1"})
        })],
        at: "/rows/0",
        answer: |project: &Project| {
            let booked = project.all("Appointment").filter(|a| {
                a["status"] == "booked"
                    && a["start"].as_str().unwrap() >= "2026-11-22"
                    && a["participant"][0]["actor"]["reference"] == CHLOE
            });
            let next = booked.min_by_key(|a| a["start"].as_str()).unwrap();
            let with = project.get(next["participant"][1]["actor"]["reference"].as_str().unwrap());
            json!([next["start"], with["name"][0]["given"][0], with["name"][0]["family"]])
        },
        raw: &[
            "Appointment?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203&status=booked&date=ge2026-11-22&_include=Appointment:practitioner",
        ],
    },
    Question {
        asked: "Which of Samuel's medicines was stopped last, and when?",
        calls: &[("query_resources", || {
            json!({"resource_type": "MedicationRequest", "params": {"patient": SAMUEL, "status": "stopped"},
                "sql": "select medication_text, json_extract(json, '$.dispenseRequest.validityPeriod.end') until from MedicationRequest order by until desc limit 1"})
        })],
        at: "/rows/0",
        answer: |project| {
            let stopped = project.chart("MedicationRequest", SAMUEL).filter(|r| r["status"] == "stopped");
            let end = |r: &Value| r["dispenseRequest"]["validityPeriod"]["end"].as_str().map(str::to_owned);
            let last = stopped.max_by_key(|r| end(r)).unwrap();
            json!([last["medicationCodeableConcept"]["text"], end(last)])
        },
        raw: &["MedicationRequest?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&status=stopped"],
    },
    Question {
        asked: "What was the last blood pressure of the patient with MRN-0000?",
        calls: &[("search_one", || {
            json!({"resource_type": "Observation",
                "params": {"patient.identifier": "https://sandbox.example/mrn|MRN-0000", "code": "85354-9"}, "sort": "-date",
                "fields": ["effective", "component.where(code.coding.code='8480-6').value.value", "component.where(code.coding.code='8462-4').value.value"]})
        })],
        at: "/rows/0",
        answer: |project| {
            let patient = project.all("Patient").find(|p| p["identifier"][0]["value"] == "MRN-0000").unwrap();
            let patient = format!("Patient/{}", patient["id"].as_str().unwrap());
            let panels = project.chart("Observation", &patient).filter(|o| o["code"]["coding"][0]["code"] == "85354-9");
            let last = panels.max_by_key(|o| o["effectiveDateTime"].as_str()).unwrap();
            let part = |code: &str| {
                let parts = last["component"].as_array().unwrap().iter();
                parts
                    .filter(|c| c["code"]["coding"][0]["code"] == code)
                    .map(|c| c["valueQuantity"]["value"].clone())
                    .next()
            };
            json!([last["effectiveDateTime"], part("8480-6"), part("8462-4")])
        },
        raw: &["Observation?patient.identifier=https://sandbox.example/mrn|MRN-0000&code=85354-9&_sort=-date&_count=1"],
    },
];

fn last_of_each_test(project: &Project) -> Value {
    let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut tests: Vec<&Value> = project
        .chart("Observation", SAMUEL)
        .filter(|o| o["category"][0]["coding"][0]["code"] == "laboratory")
        .collect();
    tests.sort_by_key(|o| o["effectiveDateTime"].as_str());
    for test in tests {
        last.insert(test["code"]["text"].as_str().unwrap(), test);
    }
    let row = |(name, test): (&str, &Value)| {
        let value = &test["valueQuantity"];
        // In UTC, without the Z.
        json!([name, value["value"], value["unit"], test["effectiveDateTime"].as_str().unwrap().trim_end_matches('Z')])
    };
    json!(last.into_iter().map(row).collect::<Vec<_>>())
}
