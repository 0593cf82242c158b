//! The least, the most, the mean, the whole.

use serde_json::json;

use crate::Question;
use crate::project::{CHLOE, MARIA, Measured, Project, SAMUEL, mean, rounded, year};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "What was Maria's highest HbA1c, and when?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": MARIA, "code": "4548-4"},
                "sql": "select value_value, effective from Observation order by 1 desc, effective_utc limit 1"})
        })],
        at: "/rows/0",
        answer: |project| {
            let all = project.measured_of(MARIA, "4548-4");
            let most = all.iter().map(|m| m.value).fold(f64::MIN, f64::max);
            json!([most, all.iter().find(|m| m.value == most).unwrap().at])
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&code=4548-4"],
    },
    Question {
        asked: "What was Chloé's lowest ferritin, and when?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": CHLOE, "code": "2276-4"},
                "sql": "select min(value_value), effective from Observation"})
        })],
        at: "/rows/0",
        answer: |project| {
            let all = project.measured_of(CHLOE, "2276-4");
            let least = all.iter().min_by(|a, b| a.value.total_cmp(&b.value)).unwrap();
            json!([least.value, least.at])
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203&code=2276-4"],
    },
    Question {
        asked: "What was Samuel's mean systolic pressure in 2017, and in 2024?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": SAMUEL, "code": "8480-6"},
                "sql": "select substr(effective_utc, 1, 4) year, round(avg(value_value), 1) from Observation where year in ('2017', '2024') group by 1 order by 1"})
        })],
        at: "/rows",
        answer: |project| {
            let all = project.measured_of(SAMUEL, "8480-6");
            let of = |y: &str| json!([y, rounded(mean(all.iter().filter(|m| year(m.at) == y).map(|m| m.value)), 1)]);
            json!([of("2017"), of("2024")])
        },
        raw: &[
            "Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&code=8480-6&date=ge2017-01-01&date=lt2025-01-01",
        ],
    },
    Question {
        asked: "How many LDL values are there in the practice, and what are the least, the mean and the most?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"code": "2089-1"},
                "sql": "select count(*), min(value_value), round(avg(value_value), 2), max(value_value), value_unit from Observation group by value_unit"})
        })],
        at: "/rows",
        answer: |project| {
            let values: Vec<f64> = project.measured("2089-1").iter().map(|m| m.value).collect();
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            json!([[values.len(), least, rounded(mean(values.iter().copied()), 2), most, "mg/dL"]])
        },
        raw: &["Observation?code=2089-1"],
    },
    Question {
        asked: "What is the median eGFR of Samuel since 2022?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": SAMUEL, "code": "98979-8", "date": "ge2022-01-01"},
                "sql": "select median(value_value) from Observation"})
        })],
        at: "/rows/0/0",
        answer: |project| {
            let all = project.measured_of(SAMUEL, "98979-8");
            let mut values: Vec<f64> = all.iter().filter(|m| m.at >= "2022").map(|m| m.value).collect();
            values.sort_by(f64::total_cmp);
            let half = values.len() / 2;
            json!(if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 })
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&code=98979-8&date=ge2022-01-01"],
    },
    Question {
        asked: "How many minutes did Maria's visits take in all?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Encounter", "params": {"patient": MARIA},
                "sql": "select round(sum(julianday(period_end_utc) - julianday(period_start_utc)) * 1440) from Encounter"})
        })],
        at: "/rows/0/0",
        // Each begins at a full hour and ends within it.
        answer: |project| {
            let visits = project.chart("Encounter", MARIA);
            json!(visits.map(|e| e["period"]["end"].as_str().unwrap()[14..16].parse::<u64>().unwrap()).sum::<u64>())
        },
        raw: &["Encounter?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201"],
    },
    Question {
        asked: "How much weight did Maria lose from her highest to her last?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": MARIA, "code": "29463-7"},
                "sql": "select max(value_value) - (select value_value from Observation order by effective_utc desc limit 1), value_unit from Observation"})
        })],
        at: "/rows/0",
        answer: |project: &Project| {
            let all: Vec<Measured<'_>> = project.measured_of(MARIA, "29463-7");
            let most = all.iter().map(|m| m.value).fold(f64::MIN, f64::max);
            json!([most - all[all.len() - 1].value, "kg"])
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&code=29463-7"],
    },
];
