//! The numbers of a page once more, from the raw resources, by other means.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bench::{Bench, Page};

pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Compares every number of a page with what the chart holds.
pub async fn check(bench: &Bench, patient: &str, page: &Page, year: i32) {
    let of = format!("patient=Patient/{patient}");
    let conditions = bench.raw("Condition", &of).await;
    let active = conditions.iter().filter(|c| {
        let status = text(c, "/clinicalStatus/coding/0/code");
        ["active", "recurrence", "relapse"].contains(&status)
    });
    assert_eq!(page.records("problems"), active.count(), "problems of {patient}");

    let mut ordered = bench.raw("MedicationRequest", &of).await;
    ordered.retain(|m| ["active", "on-hold"].contains(&text(m, "/status")));
    let mut taken = bench.raw("MedicationStatement", &of).await;
    taken.retain(|m| text(m, "/status") == "active");
    assert_eq!(page.records("medications"), ordered.len() + taken.len(), "medications of {patient}");

    let encounters = bench.raw("Encounter", &of).await;
    assert_eq!(page.counts("encounters").1, encounters.len(), "encounters of {patient}");
    let mut days: Vec<&str> = encounters.iter().map(|e| &text(e, "/period/start")[..10]).collect();
    days.sort_unstable_by(|a, b| b.cmp(a));
    let shown: Vec<&str> = page.rows("encounters").iter().map(|row| text(row, "/0")).collect();
    assert_eq!(shown, days[..shown.len()], "encounters of {patient}");

    let person = &bench.raw("Patient", &format!("_id={patient}")).await[0];
    let born: i32 = text(person, "/birthDate")[..4].parse().unwrap();
    let age = i32::try_from(page.record["patient"]["age"].as_i64().unwrap()).unwrap();
    assert!([year - born - 1, year - born].contains(&age), "age of {patient}");

    check_latest(bench, patient, page).await;
}

async fn check_latest(bench: &Bench, patient: &str, page: &Page) {
    let observations = bench.raw("Observation", &format!("patient=Patient/{patient}")).await;
    let mut by_code: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for observation in &observations {
        if observation.get("valueQuantity").is_some() || observation.get("component").is_some() {
            by_code.entry(text(observation, "/code/coding/0/code")).or_default().push(observation);
        }
    }
    assert_eq!(page.counts("latest").1, by_code.len(), "codes of {patient}");
    let columns: Vec<&str> =
        page.record["latest"]["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    for row in page.rows("latest") {
        let cell = |name: &str| columns.iter().position(|column| *column == name).map(|at| &row[at]);
        let code = cell("code").unwrap().as_str().unwrap();
        let mut all = by_code[code].clone();
        all.sort_by_key(|o| text(o, "/effectiveDateTime"));
        let last = all.last().unwrap();
        assert_eq!(*cell("count").unwrap(), all.len(), "{code}");
        assert_eq!(cell("date").unwrap(), &text(last, "/effectiveDateTime")[..10], "{code}");
        let Some(value) = last.pointer("/valueQuantity/value") else { continue };
        assert_eq!(cell("value").unwrap().as_f64(), value.as_f64(), "{code}");
        let trend = cell("trend").and_then(Value::as_str).unwrap_or_default();
        let values: Vec<f64> =
            all.iter().rev().take(3).rev().map(|o| o["valueQuantity"]["value"].as_f64().unwrap()).collect();
        let word = match values[..] {
            [a, b, c] if a < b && b < c => "rising",
            [a, b, c] if a > b && b > c => "falling",
            [a, b, c] if a == b && b == c => "steady",
            [_, _, _] => "varying",
            _ => "",
        };
        let shown: Vec<String> = values.iter().map(f64::to_string).collect();
        let expected =
            if ["", "steady"].contains(&word) { word.to_owned() } else { format!("{word}: {}", shown.join(", ")) };
        assert_eq!(trend, expected, "{code}");
    }
}
