//! The first, the earliest, the oldest.

use serde_json::{Value, json};

use crate::Question;
use crate::project::{CHLOE, MARIA, Project, SAMUEL, has_code, subject};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "When was the first HbA1c of the patient with MRN-1001, and what was it?",
        calls: &[("search_one", || {
            json!({"resource_type": "Observation",
                "params": {"patient.identifier": "https://sandbox.example/mrn|MRN-1001", "code": "http://loinc.org|4548-4"},
                "sort": "date", "fields": ["effective", "value.value", "value.unit"]})
        })],
        at: "/rows/0",
        answer: |project| {
            let first = project.measured_of(MARIA, "4548-4").remove(0);
            json!([first.at, first.value, first.unit])
        },
        raw: &[
            "Observation?patient.identifier=https://sandbox.example/mrn|MRN-1001&code=http://loinc.org|4548-4&_sort=date&_count=1",
        ],
    },
    Question {
        asked: "Which problem did Samuel Adeyemi have first, and since when?",
        calls: &[
            (
                "search_one",
                || json!({"resource_type": "Patient", "params": {"name": "Samuel Adeyemi"}, "fields": ["id"]}),
            ),
            ("search_one", || {
                json!({"resource_type": "Condition", "params": {"patient": "Patient/{found}"}, "sort": "onset-date",
                    "fields": ["code.text", "onset"]})
            }),
        ],
        at: "/rows/0",
        answer: |project| {
            let first = project.chart("Condition", SAMUEL).min_by_key(|c| c["onsetDateTime"].as_str()).unwrap();
            json!([first["code"]["text"], first["onsetDateTime"]])
        },
        raw: &[
            "Patient?name=Samuel Adeyemi&_count=2",
            "Condition?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202",
        ],
    },
    Question {
        asked: "When did Chloé Marchetti's hemoglobin first fall below 11?",
        calls: &[("search_one", || {
            json!({"resource_type": "Observation", "params": {"patient": CHLOE, "code": "718-7", "value-quantity": "lt11"},
                "sort": "date", "fields": ["effective", "value.value"]})
        })],
        at: "/rows/0",
        answer: |project| {
            let first = project.measured_of(CHLOE, "718-7").into_iter().find(|m| m.value < 11.0).unwrap();
            json!([first.at, first.value])
        },
        raw: &[
            "Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203&code=718-7&value-quantity=lt11&_sort=date&_count=1",
        ],
    },
    Question {
        asked: "When was Maria Lindqvist first given metformin, and at what dose?",
        calls: &[("query_resources", || {
            json!({"resource_type": "MedicationRequest", "params": {"patient": MARIA},
                "sql": "select authored_on, medication_text from MedicationRequest where medication_text like '%metformin%' order by authored_on_utc limit 1"})
        })],
        at: "/rows/0",
        answer: |project| {
            let of = |r: &&Value| r["medicationCodeableConcept"]["text"].as_str().unwrap().contains("metformin");
            let first = project.chart("MedicationRequest", MARIA).filter(of).min_by_key(|r| r["authoredOn"].as_str());
            let first = first.unwrap();
            json!([first["authoredOn"], first["medicationCodeableConcept"]["text"]])
        },
        raw: &["MedicationRequest?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201"],
    },
    Question {
        asked: "When was Samuel's first visit in 2020?",
        calls: &[("search_one", || {
            json!({"resource_type": "Encounter", "params": {"patient": SAMUEL, "date": "ge2020-01-01"}, "sort": "date",
                "fields": ["period.start"]})
        })],
        at: "/rows/0/0",
        answer: |project| {
            let starts = project.chart("Encounter", SAMUEL).map(|e| e["period"]["start"].as_str().unwrap());
            json!(starts.filter(|at| *at >= "2020").min())
        },
        raw: &["Encounter?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&date=ge2020-01-01&_sort=date&_count=1"],
    },
    Question {
        asked: "Who in the practice was diagnosed with asthma first?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Condition", "params": {"code": "J45.909"}, "also": [{"resource_type": "Patient"}],
                "sql": "select p.name_given, p.name_family, c.onset from Condition c join Patient p on c.subject = 'Patient/' || p.id order by c.onset_utc limit 1"})
        })],
        at: "/rows/0",
        answer: |project| {
            let asthma = project.all("Condition").filter(|c| has_code(&c["code"], "J45.909"));
            let first = asthma.min_by_key(|c| c["onsetDateTime"].as_str()).unwrap();
            let name = &project.get(subject(first))["name"][0];
            json!([name["given"][0], name["family"], first["onsetDateTime"]])
        },
        raw: &["Condition?code=J45.909&_include=Condition:patient"],
    },
    Question {
        asked: "Who is the oldest patient?",
        calls: &[(
            "search_one",
            || json!({"resource_type": "Patient", "sort": "birthdate", "fields": ["name.given", "name.family", "birthDate"]}),
        )],
        at: "/rows/0",
        answer: |project: &Project| {
            let oldest = project.all("Patient").min_by_key(|p| p["birthDate"].as_str()).unwrap();
            json!([oldest["name"][0]["given"][0], oldest["name"][0]["family"], oldest["birthDate"]])
        },
        raw: &["Patient?_sort=birthdate&_count=1"],
    },
];
