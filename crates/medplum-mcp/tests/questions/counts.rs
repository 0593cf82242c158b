//! How many.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::Question;
use crate::project::{CHLOE, MARIA, Project, SAMUEL, has_code, subject, year};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "How many observations are in Maria Lindqvist's chart?",
        calls: &[(
            "search_resources",
            || json!({"resource_type": "Observation", "params": {"patient": MARIA}, "count_only": true}),
        )],
        at: "/total",
        answer: |project| json!(project.chart("Observation", MARIA).count()),
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&_summary=count"],
    },
    Question {
        asked: "How often was Samuel's systolic pressure above 140?",
        calls: &[("search_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": SAMUEL, "code": "8480-6", "value-quantity": "gt140"},
                "count_only": true})
        })],
        at: "/total",
        answer: |project| json!(project.measured_of(SAMUEL, "8480-6").iter().filter(|m| m.value > 140.0).count()),
        raw: &[
            "Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&code=8480-6&value-quantity=gt140&_summary=count",
        ],
    },
    Question {
        asked: "How many patients are women?",
        calls: &[(
            "search_resources",
            || json!({"resource_type": "Patient", "params": {"gender": "female"}, "count_only": true}),
        )],
        at: "/total",
        answer: |project| json!(project.all("Patient").filter(|p| p["gender"] == "female").count()),
        raw: &["Patient?gender=female&_summary=count"],
    },
    Question {
        asked: "How many patients have type 2 diabetes (E11.9)?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Condition", "params": {"code": "E11.9"},
                "sql": "select count(distinct subject) from Condition"})
        })],
        at: "/rows/0/0",
        answer: |project| {
            let diabetes = project.all("Condition").filter(|c| has_code(&c["code"], "E11.9"));
            json!(diabetes.map(subject).collect::<BTreeSet<_>>().len())
        },
        raw: &["Condition?code=E11.9"],
    },
    Question {
        asked: "How many visits did Chloé have in each year?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Encounter", "params": {"patient": CHLOE},
                "sql": "select substr(period_start_utc, 1, 4) year, count(*) from Encounter group by 1 order by 1"})
        })],
        at: "/rows",
        answer: |project: &Project| {
            let mut years: BTreeMap<&str, usize> = BTreeMap::new();
            for visit in project.chart("Encounter", CHLOE) {
                *years.entry(year(visit["period"]["start"].as_str().unwrap())).or_default() += 1;
            }
            json!(years.into_iter().map(|(year, visits)| json!([year, visits])).collect::<Vec<_>>())
        },
        raw: &["Encounter?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203"],
    },
    Question {
        asked: "How many laboratory values are of May 2025?",
        calls: &[("search_resources", || {
            json!({"resource_type": "Observation",
                "params": {"category": "laboratory", "date": ["ge2025-05-01", "lt2025-06-01"]}, "count_only": true})
        })],
        at: "/total",
        answer: |project| {
            let of_may = project.all("Observation").filter(|o| {
                o["category"][0]["coding"][0]["code"] == "laboratory"
                    && o["effectiveDateTime"].as_str().is_some_and(|at| at.starts_with("2025-05"))
            });
            json!(of_may.count())
        },
        raw: &["Observation?category=laboratory&date=ge2025-05-01&date=lt2025-06-01&_summary=count"],
    },
    Question {
        asked: "How many patients were born before 1950?",
        calls: &[(
            "search_resources",
            || json!({"resource_type": "Patient", "params": {"birthdate": "lt1950-01-01"}, "count_only": true}),
        )],
        at: "/total",
        answer: |project| json!(project.all("Patient").filter(|p| p["birthDate"].as_str().unwrap() < "1950").count()),
        raw: &["Patient?birthdate=lt1950-01-01&_summary=count"],
    },
    Question {
        asked: "How many tasks are open, by status?",
        calls: &[(
            "list_codes",
            || json!({"resource_type": "Task", "params": {"status": "requested,in-progress"}, "element": "status"}),
        )],
        at: "/rows",
        answer: |project| {
            let mut by_status: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for task in project.all("Task").filter(|task| task["status"] != "completed") {
                by_status
                    .entry(task["status"].as_str().unwrap())
                    .or_default()
                    .push(task["authoredOn"].as_str().unwrap());
            }
            let row = |(status, mut at): (&str, Vec<&str>)| {
                at.sort_unstable();
                json!([null, status, null, at.len(), at[0], at[at.len() - 1]])
            };
            json!(by_status.into_iter().map(row).collect::<Vec<_>>())
        },
        raw: &["Task?status=requested,in-progress"],
    },
];
