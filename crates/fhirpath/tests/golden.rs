//! The answers of an independent engine to thousands of expressions over real resources, see `fixtures/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use medplum_fhirpath::{Context, EvalError, Expression, Model};
use serde_json::{Value, json};
use support::TestModel;

/// What the engine answers, or "error".
fn answer(expression: &str, resource: &Value, model: Option<&dyn Model>) -> Value {
    let Ok(parsed) = Expression::parse(expression) else {
        return json!("error");
    };
    let mut context = Context::new();
    if let Some(model) = model {
        context = context.with_model(model);
    }
    let found: Result<Vec<_>, EvalError> = parsed.evaluate(resource, &context);
    match found {
        // The other engine does not show primitives that have only extensions.
        Ok(items) => items.iter().filter(|item| item.has_value()).map(|item| item.to_json().into_owned()).collect(),
        Err(_) => json!("error"),
    }
}

/// JavaScript has one kind of number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => (left.as_f64().unwrap() - right.as_f64().unwrap()).abs() < 1e-9,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

/// Calls back with each expression, its resource and the golden answer.
fn each_case(mut check: impl FnMut(&str, &str, &Value, &Value)) -> usize {
    let golden: Value = serde_json::from_str(include_str!("fixtures/golden.json")).unwrap();
    let mut pairs = 0;
    for (file, cases) in golden["cases"].as_object().unwrap() {
        let resource = &golden["resources"][file];
        let found = cases["found"].as_object().unwrap().iter().map(|(text, values)| (text.as_str(), values.clone()));
        let listed = |key: &str, value: Value| {
            let texts: Vec<_> = cases[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            texts.into_iter().map(move |text| (text, value.clone()))
        };
        for (text, expected) in found.chain(listed("empty", json!([]))).chain(listed("error", json!("error"))) {
            pairs += 1;
            check(file, text, resource, &expected);
        }
    }
    pairs
}

/// Where we answer otherwise on purpose, and why.
const ON_PURPOSE: [(&str, &str); 3] = [
    ("(1 | 2) ~ (2 | 1)", "equivalence does not depend on the order (§6.1.2)"),
    ("@2020-01-01T23:00:00Z + 2 hours", "Z stays Z; the other engine prints -00:00"),
    ("($this is Citation or ", "whether a resource type exists is for the model to say; the other engine refuses it"),
];

fn is_on_purpose(expression: &str) -> bool {
    ON_PURPOSE.iter().any(|(start, _)| expression.starts_with(start))
}

/// The cases in which our answer is another, one a line.
fn differences(model: Option<&dyn Model>) -> (usize, Vec<String>) {
    let mut differences = Vec::new();
    let pairs = each_case(|file, text, resource, expected| {
        let ours = answer(text, resource, model);
        if !is_on_purpose(text) && !same(&ours, expected) {
            differences.push(format!("{file}: {text}\n    ours   {ours}\n    theirs {expected}"));
        }
    });
    (pairs, differences)
}

#[test]
fn with_a_model() {
    let model = TestModel::load();
    let (pairs, differences) = differences(Some(&model));
    assert!(pairs >= 3_000, "{pairs}");
    assert!(differences.is_empty(), "{} of {pairs} differ:\n{}", differences.len(), differences.join("\n"));
}

/// What needs the definitions: the types of elements that are no choice.
const NEED_A_MODEL: [&str; 7] = [
    "descendants().ofType(",
    "children().ofType(",
    "%resource.descendants().ofType(",
    "birthDate is date",
    "gender is code",
    "status is code",
    "subject is Reference",
];

/// Without a model nothing else is lost.
#[test]
fn without_a_model() {
    let (pairs, mut differences) = differences(None);
    differences.retain(|difference| {
        let (_, expression) = difference.split_once(": ").unwrap();
        !NEED_A_MODEL.iter().any(|start| expression.starts_with(start))
    });
    assert!(differences.is_empty(), "{} of {pairs} differ:\n{}", differences.len(), differences.join("\n"));
}
