//! Which codes there are, so that a search asks for one that exists.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Question;
use crate::project::{CHLOE, Project};

pub const QUESTIONS: &[Question] = &[
    Question {
        asked: "Which laboratory tests has Chloé's chart, how often, from when to when?",
        calls: &[(
            "list_codes",
            || json!({"resource_type": "Observation", "params": {"patient": CHLOE, "category": "laboratory"}}),
        )],
        at: "/rows",
        answer: |project| {
            let tests = project.chart("Observation", CHLOE);
            let tests = tests.filter(|o| o["category"][0]["coding"][0]["code"] == "laboratory");
            json!(codes(tests.map(|o| (&o["code"], o["effectiveDateTime"].as_str().unwrap()))))
        },
        raw: &["Observation?patient=Patient/5a4d0b0c-0000-4000-8000-000000000203&category=laboratory"],
    },
    Question {
        asked: "Which problems do the patients of the practice have, and how many have each?",
        calls: &[("list_codes", || json!({"resource_type": "Condition"}))],
        at: "/rows",
        answer: |project| {
            let problems = project.all("Condition");
            json!(codes(problems.map(|c| (&c["code"], c["onsetDateTime"].as_str().unwrap_or_default()))))
        },
        raw: &["Condition"],
    },
    Question {
        asked: "Which medicine is prescribed most?",
        calls: &[("list_codes", || json!({"resource_type": "MedicationRequest"}))],
        at: "/rows/0",
        answer: |project: &Project| {
            let orders = project.all("MedicationRequest");
            codes(orders.map(|r| (&r["medicationCodeableConcept"], r["authoredOn"].as_str().unwrap()))).remove(0)
        },
        raw: &["MedicationRequest"],
    },
];

/// Each code with its display, count, first and last date, the most frequent first.
fn codes<'p>(uses: impl Iterator<Item = (&'p Value, &'p str)>) -> Vec<Value> {
    let mut codes: BTreeMap<(&str, &str), (Value, Vec<&str>)> = BTreeMap::new();
    for (concept, at) in uses {
        let coding = &concept["coding"][0];
        let key = (coding["system"].as_str().unwrap_or_default(), coding["code"].as_str().unwrap_or_default());
        codes.entry(key).or_insert_with(|| (coding["display"].clone(), Vec::new())).1.push(at);
    }
    let mut codes: Vec<_> = codes.into_iter().collect();
    codes.sort_by_key(|(key, (_, at))| (std::cmp::Reverse(at.len()), *key));
    let row = |((system, code), (display, mut at)): ((&str, &str), (Value, Vec<&str>))| {
        let count = at.len();
        at.retain(|at| !at.is_empty());
        at.sort_unstable();
        json!([system, code, display, count, at.first(), at.last()])
    };
    codes.into_iter().map(row).collect()
}
