//! What must hold of whatever an agent, a model or a server sends. Each module has one function, `run`, that takes any
//! bytes and panics if it does not hold: cargo-fuzz calls it with what it finds, and the server's own tests call it with
//! the corpus and with mutations of it (`crates/medplum-mcp/tests/fuzz_targets.rs`).
//!
//! Inputs are text, so that a corpus can be read: a first line, and JSON or more text behind it.

pub mod bundle;
pub mod cleanse;
pub mod cursor;
pub mod fhirpath;
mod gate;
pub mod graphql;
pub mod json_patch;
pub mod raw_path;
#[path = "../../crates/medplum-client/tests/common/reads.rs"]
mod reads;
#[path = "../../crates/medplum-client/tests/common/scanner.rs"]
mod scanner;
pub mod validate;

/// The input as text: its first line and the rest. Nothing, if it is no text.
fn lines(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}

/// The input as JSON. Nothing, if it is none.
fn json(data: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(data).ok()
}
