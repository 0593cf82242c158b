//! What only several types together say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::Question;
use crate::project::{MARIA, Project, has_code, mean, rounded, subject};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "How many problems have the men, and how many the women?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Condition", "also": [{"resource_type": "Patient"}],
                "sql": "select p.gender, count(*) from Condition c join Patient p on c.subject = 'Patient/' || p.id group by 1 order by 1"})
        })],
        at: "/rows",
        answer: |project| {
            let mut of: BTreeMap<&str, usize> = BTreeMap::new();
            for condition in project.all("Condition") {
                *of.entry(project.get(subject(condition))["gender"].as_str().unwrap()).or_default() += 1;
            }
            json!(of.into_iter().map(|(gender, n)| json!([gender, n])).collect::<Vec<_>>())
        },
        raw: &["Condition", "Patient"],
    },
    Question {
        asked: "How many patients with diabetes have metformin?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Condition", "params": {"code": "E11.9"},
                "also": [{"resource_type": "MedicationRequest", "params": {"status": "active"}}],
                "sql": "select count(distinct c.subject) from Condition c join MedicationRequest m using (subject) where m.medication_text like '%metformin%'"})
        })],
        at: "/rows/0/0",
        answer: |project| {
            let metformin: BTreeSet<&str> = project
                .all("MedicationRequest")
                .filter(|r| r["status"] == "active")
                .filter(|r| r["medicationCodeableConcept"]["text"].as_str().unwrap().contains("metformin"))
                .map(subject)
                .collect();
            json!(with_problem(project, "E11.9").intersection(&metformin).count())
        },
        raw: &["Condition?code=E11.9", "MedicationRequest?status=active"],
    },
    Question {
        asked: "What was Maria's mean HbA1c while she took glipizide?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": MARIA, "code": "4548-4"},
                "also": [{"resource_type": "MedicationStatement", "params": {"patient": MARIA}}],
                "sql": "select round(avg(o.value_value), 2), count(*) from Observation o join MedicationStatement m on o.effective_utc between m.effective_start_utc and m.effective_end_utc where m.medication_text like '%glipizide%'"})
        })],
        at: "/rows/0",
        answer: |project| {
            let glipizide = |r: &&Value| r["medicationCodeableConcept"]["text"].as_str().unwrap().contains("glipizide");
            let order = project.chart("MedicationRequest", MARIA).find(glipizide).unwrap();
            let period = &order["dispenseRequest"]["validityPeriod"];
            let (from, until) = (period["start"].as_str().unwrap(), period["end"].as_str().unwrap());
            let all = project.measured_of(MARIA, "4548-4");
            let within: Vec<f64> = all.iter().filter(|m| m.at >= from && m.at <= until).map(|m| m.value).collect();
            json!([rounded(mean(within.iter().copied()), 2), within.len()])
        },
        raw: &[
            "Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&code=4548-4",
            "MedicationStatement?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201",
        ],
    },
    Question {
        asked: "Whom did Dr. Okonkwo see in 2024 with a systolic pressure of 150 or more?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Encounter",
                "params": {"participant:Practitioner.name": "Okonkwo", "date": ["ge2024-01-01", "lt2025-01-01"]},
                "also": [{"resource_type": "Observation", "params": {"code": "8480-6", "value-quantity": "ge150", "date": ["ge2024-01-01", "lt2025-01-01"]}}],
                "sql": "select e.subject, o.effective, o.value_value from Encounter e join Observation o on o.encounter = 'Encounter/' || e.id order by 2, 1"})
        })],
        at: "/rows",
        answer: seen_with_high_pressure,
        raw: &[
            "Encounter?participant:Practitioner.name=Okonkwo&date=ge2024-01-01&date=lt2025-01-01",
            "Observation?code=8480-6&value-quantity=ge150&date=ge2024-01-01&date=lt2025-01-01",
        ],
    },
    Question {
        asked: "Which open tasks has each practitioner, and for whom?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Task", "params": {"status": "requested,in-progress"},
                "also": [{"resource_type": "Practitioner"}, {"resource_type": "Patient"}],
                "sql": "select d.name_family doctor, t.code_text, p.name_family patient from Task t join Practitioner d on t.owner = 'Practitioner/' || d.id join Patient p on t.\"for\" = 'Patient/' || p.id order by 1, t.authored_on_utc"})
        })],
        at: "/rows",
        answer: |project| {
            let mut open: Vec<&Value> = project.all("Task").filter(|t| t["status"] != "completed").collect();
            open.sort_by_key(|t| t["authoredOn"].as_str());
            let family = |reference: &Value| project.get(reference.as_str().unwrap())["name"][0]["family"].clone();
            let row = |t: &Value| {
                (family(&t["owner"]["reference"]), t["code"]["text"].clone(), family(&t["for"]["reference"]))
            };
            let mut rows: Vec<_> = open.into_iter().map(row).collect();
            rows.sort_by_key(|(doctor, ..)| doctor.to_string());
            json!(rows)
        },
        raw: &["Task?status=requested,in-progress&_include=Task:owner&_include=Task:patient"],
    },
];

/// The patients with a problem.
pub fn with_problem<'p>(project: &'p Project, code: &str) -> BTreeSet<&'p str> {
    project.all("Condition").filter(|condition| has_code(&condition["code"], code)).map(subject).collect()
}

fn seen_with_high_pressure(project: &Project) -> Value {
    let doctor = project.all("Practitioner").find(|p| p["name"][0]["family"] == "Okonkwo").unwrap();
    let doctor = format!("Practitioner/{}", doctor["id"].as_str().unwrap());
    let visits: BTreeSet<String> = project
        .all("Encounter")
        .filter(|e| e["participant"][0]["individual"]["reference"] == doctor)
        .filter(|e| e["period"]["start"].as_str().unwrap().starts_with("2024"))
        .map(|e| format!("Encounter/{}", e["id"].as_str().unwrap()))
        .collect();
    let mut rows: Vec<(&str, &str, f64)> = project
        .all("Observation")
        .filter(|o| {
            has_code(&o["code"], "8480-6") && o["encounter"]["reference"].as_str().is_some_and(|e| visits.contains(e))
        })
        .map(|o| (o["effectiveDateTime"].as_str().unwrap(), subject(o), o["valueQuantity"]["value"].as_f64().unwrap()))
        .filter(|(.., value)| *value >= 150.0)
        .collect();
    rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    json!(rows.into_iter().map(|(at, patient, value)| json!([patient, at, value])).collect::<Vec<_>>())
}
