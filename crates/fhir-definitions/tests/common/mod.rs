//! What several tests share.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

use serde_json::Value;

/// Clinical examples of FHIR R4, one a line.
const EXAMPLES: &str = include_str!("../fixtures/examples.ndjson");

/// All of the examples.
pub(crate) fn examples() -> Vec<Value> {
    EXAMPLES.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// One of the examples; numbers go round.
pub(crate) fn example(number: usize) -> Value {
    let line = EXAMPLES.lines().nth(number % EXAMPLES.lines().count()).unwrap();
    serde_json::from_str(line).unwrap()
}

/// `Patient/example`.
pub(crate) fn name_of(resource: &Value) -> String {
    format!("{}/{}", resource["resourceType"].as_str().unwrap_or(""), resource["id"].as_str().unwrap_or(""))
}
