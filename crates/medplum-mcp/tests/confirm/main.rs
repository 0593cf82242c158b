//! A person is asked before something is changed or run: what they read, what their answer does, and that nothing is
//! sent before it. The built program over its standard streams, with a host that plays the person.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "../common/mod.rs"]
mod common;

mod by_request;
mod by_result;
mod clock;
mod questions;
mod ward;

use serde_json::{Value, json};

/// What a host says that can ask.
pub fn can_ask() -> Value {
    json!({"elicitation": {}})
}

/// The answer of a person.
pub fn says(action: &str) -> Value {
    match action {
        "accept" => json!({"action": "accept", "content": {}}),
        action => json!({"action": action}),
    }
}
