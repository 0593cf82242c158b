//! Groups of patients.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::Question;
use crate::joins::with_problem;
use crate::project::{Measured, Project, mean, rounded, subject};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "How many patients have a last HbA1c above 8 %?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"code": "4548-4"},
                "sql": "select count(*) from (select value_value, max(effective_utc) from Observation group by subject) where value_value > 8"})
        })],
        at: "/rows/0/0",
        answer: |project| {
            let mut last: BTreeMap<&str, Measured<'_>> = BTreeMap::new();
            let all = project.measured("4548-4");
            last.extend(all.into_iter().map(|measured| (measured.patient, measured)));
            json!(last.into_values().filter(|measured| measured.value > 8.0).count())
        },
        raw: &["Observation?code=4548-4"],
    },
    Question {
        asked: "What is the mean HbA1c of the patients with diabetes, and of how many values?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"code": "4548-4"},
                "also": [{"resource_type": "Condition", "params": {"code": "E11.9"}}],
                "sql": "select round(avg(value_value), 2), count(*) from Observation where subject in (select subject from Condition)"})
        })],
        at: "/rows/0",
        answer: |project| {
            let diabetes = with_problem(project, "E11.9");
            let all = project.measured("4548-4");
            let theirs: Vec<f64> = all.iter().filter(|m| diabetes.contains(m.patient)).map(|m| m.value).collect();
            json!([rounded(mean(theirs.iter().copied()), 2), theirs.len()])
        },
        raw: &["Observation?code=4548-4", "Condition?code=E11.9"],
    },
    Question {
        asked: "How many patients with hypertension (I10) were born before 1960?",
        calls: &[("search_resources", || {
            json!({"resource_type": "Patient", "params": {"_has:Condition:patient:code": "I10", "birthdate": "lt1960-01-01"},
                "count_only": true})
        })],
        at: "/total",
        answer: |project| {
            let old = |p: &&&str| project.get(p)["birthDate"].as_str().unwrap() < "1960";
            json!(with_problem(project, "I10").iter().filter(old).count())
        },
        raw: &["Patient?_has:Condition:patient:code=I10&birthdate=lt1960-01-01&_summary=count"],
    },
    Question {
        asked: "Which patients with diabetes have no HbA1c at all?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Condition", "params": {"code": "E11.9"},
                "also": [{"resource_type": "Observation", "params": {"code": "4548-4"}}],
                "sql": "select distinct subject from Condition where subject not in (select subject from Observation) order by 1"})
        })],
        at: "/rows",
        answer: |project| {
            let measured: BTreeSet<&str> = project.measured("4548-4").iter().map(|m| m.patient).collect();
            let without = with_problem(project, "E11.9").difference(&measured).map(|p| json!([p])).collect::<Vec<_>>();
            json!(without)
        },
        raw: &["Condition?code=E11.9", "Observation?code=4548-4"],
    },
    Question {
        asked: "How many patients live in each city?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Patient",
                "sql": "select address_city, count(*) n from Patient group by 1 order by n desc, 1"})
        })],
        at: "/rows",
        answer: |project: &Project| {
            let mut cities: BTreeMap<Option<&str>, usize> = BTreeMap::new();
            for patient in project.all("Patient") {
                *cities.entry(patient["address"][0]["city"].as_str()).or_default() += 1;
            }
            let mut rows: Vec<_> = cities.into_iter().collect();
            rows.sort_by_key(|(city, n)| (std::cmp::Reverse(*n), *city));
            json!(rows)
        },
        raw: &["Patient"],
    },
    Question {
        asked: "Who is allergic to penicillin?",
        calls: &[("query_resources", || {
            json!({"resource_type": "AllergyIntolerance", "also": [{"resource_type": "Patient"}],
                "sql": "select p.name_given, p.name_family, a.code_text, a.criticality from AllergyIntolerance a join Patient p on a.patient = 'Patient/' || p.id where a.code_text like '%penicillin%' order by 2, 1"})
        })],
        at: "/rows",
        answer: |project| {
            let mut rows: Vec<(String, String, Value)> = project
                .all("AllergyIntolerance")
                .filter(|a| a["code"]["text"].as_str().unwrap().to_lowercase().contains("penicillin"))
                .map(|a| {
                    let name = &project.get(subject(a))["name"][0];
                    let (given, family) = (name["given"][0].as_str().unwrap(), name["family"].as_str().unwrap());
                    (family.to_owned(), given.to_owned(), json!([given, family, a["code"]["text"], a["criticality"]]))
                })
                .collect();
            rows.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
            json!(rows.into_iter().map(|(.., row)| row).collect::<Vec<_>>())
        },
        raw: &["AllergyIntolerance?_include=AllergyIntolerance:patient"],
    },
];
