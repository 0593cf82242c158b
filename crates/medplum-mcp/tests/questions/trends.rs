//! Where a value goes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Question;
use crate::project::{CHLOE, MARIA, Measured, SAMUEL, mean, rounded, year};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "How did Samuel's eGFR go from year to year?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": SAMUEL, "code": "98979-8"},
                "sql": "select substr(effective_utc, 1, 4) year, round(avg(value_value), 3) from Observation group by 1 order by 1"})
        })],
        at: "/rows",
        answer: |project| by_year(&project.measured_of(SAMUEL, "98979-8")),
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&code=98979-8"],
    },
    Question {
        asked: "What was the largest fall of Maria's HbA1c between two tests, and at which?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": MARIA, "code": "4548-4"},
                "sql": "select round(lag(value_value) over w - value_value, 1) fall, effective from Observation window w as (order by effective_utc) order by 1 desc, 2 limit 1"})
        })],
        at: "/rows/0",
        answer: |project| {
            let all = project.measured_of(MARIA, "4548-4");
            let falls: Vec<(f64, &str)> =
                all.windows(2).map(|pair| (rounded(pair[0].value - pair[1].value, 1), pair[1].at)).collect();
            let most = falls.iter().map(|(fall, _)| *fall).fold(f64::MIN, f64::max);
            json!(falls.into_iter().find(|(fall, _)| *fall == most).unwrap())
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000201&code=4548-4"],
    },
    Question {
        asked: "What were Samuel's last five creatinine values?",
        calls: &[("search_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": SAMUEL, "code": "2160-0"}, "sort": "-date",
                "count": 5, "fields": ["effective", "value.value"]})
        })],
        at: "/rows",
        answer: |project| {
            let all = project.measured_of(SAMUEL, "2160-0");
            json!(all.iter().rev().take(5).map(|m| json!([m.at, m.value])).collect::<Vec<_>>())
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000202&code=2160-0&_sort=-date&_count=5"],
    },
    Question {
        asked: "In which years was Chloé anemic (a mean hemoglobin under 12)?",
        calls: &[("query_resources", || {
            json!({"resource_type": "Observation", "params": {"patient": CHLOE, "code": "718-7"},
                "sql": "select substr(effective_utc, 1, 4) year from Observation group by 1 having avg(value_value) < 12 order by 1"})
        })],
        at: "/rows",
        answer: |project| {
            let all = project.measured_of(CHLOE, "718-7");
            let years: Vec<Value> =
                years(&all).into_iter().filter(|(_, mean)| *mean < 12.0).map(|(y, _)| json!([y])).collect();
            json!(years)
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203&code=718-7"],
    },
];

fn years<'m>(all: &[Measured<'m>]) -> BTreeMap<&'m str, f64> {
    let mut years: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for measured in all {
        years.entry(year(measured.at)).or_default().push(measured.value);
    }
    years.into_iter().map(|(year, values)| (year, mean(values))).collect()
}

fn by_year(all: &[Measured<'_>]) -> Value {
    json!(years(all).into_iter().map(|(year, mean)| json!([year, rounded(mean, 3)])).collect::<Vec<_>>())
}
