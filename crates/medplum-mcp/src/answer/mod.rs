//! What an agent gets: the record first, pure; then, if there is anything to say, one short block of our own words.

pub mod content;

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

/// The answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    record: Record,
    notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Record {
    /// FHIR, or what else Medplum keeps as JSON.
    Json(Value),
    /// Text as it is: a schema, a CSV, the content of a Binary.
    Text(String),
}

impl Answer {
    /// An answer of JSON, usually a resource.
    pub fn json(value: Value) -> Self {
        Self { record: Record::Json(value), notes: Vec::new() }
    }

    /// A table: `{"columns":[…],"rows":[[…],…]}`.
    pub fn table(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Self {
        Self::json(serde_json::json!({ "columns": columns, "rows": rows }))
    }

    /// An answer of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { record: Record::Text(text.into()), notes: Vec::new() }
    }

    /// The same answer with a sentence of ours behind it. An empty one is left out.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        let note = note.into();
        if !note.is_empty() {
            self.notes.push(note);
        }
        self
    }

    /// The same answer with several more.
    #[must_use]
    pub fn notes(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The content blocks: the record, then the notes.
    pub fn into_result(self) -> CallToolResult {
        let record = match self.record {
            Record::Json(value) => value.to_string(),
            Record::Text(text) => text,
        };
        let mut blocks = vec![ContentBlock::text(record)];
        if !self.notes.is_empty() {
            blocks.push(ContentBlock::text(self.notes.join("\n")));
        }
        let mut result = CallToolResult::success(blocks);
        result.is_error = None;
        result
    }
}
