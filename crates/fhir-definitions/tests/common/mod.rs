//! What several tests share.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

use serde_json::Value;

/// Clinical examples of FHIR R4, one a line.
pub(crate) fn examples() -> Vec<Value> {
    include_str!("../fixtures/examples.ndjson").lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// `Patient/example`.
pub(crate) fn name_of(resource: &Value) -> String {
    format!("{}/{}", resource["resourceType"].as_str().unwrap_or(""), resource["id"].as_str().unwrap_or(""))
}
