//! What a tool answered, as an agent gets it.

use serde_json::Value;

/// The content blocks of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub failed: bool,
    pub blocks: Vec<String>,
}

impl Answer {
    /// From the JSON-RPC answer to `tools/call`.
    pub fn of(message: &Value) -> Self {
        assert!(message.get("error").is_none(), "a tool's trouble is an answer, not a protocol error: {message}");
        let result = &message["result"];
        assert!(result.get("structuredContent").is_none(), "the record is sent once: {message}");
        let blocks = result["content"].as_array().expect("content").iter();
        let text = |block: &Value| {
            assert_eq!(block["type"], "text", "{block}");
            block["text"].as_str().expect("a text").to_owned()
        };
        Self { failed: result["isError"] == true, blocks: blocks.map(text).collect() }
    }

    /// The record: block 0 of a success, which is JSON and nothing else.
    #[track_caller]
    pub fn record(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Block 0 of a success, as it is.
    #[track_caller]
    pub fn text(&self) -> &str {
        assert!(!self.failed, "failed: {self:?}");
        assert!((1..=2).contains(&self.blocks.len()), "{self:?}");
        &self.blocks[0]
    }

    /// The server's own words behind the record; empty where it has nothing to say.
    #[track_caller]
    pub fn note(&self) -> &str {
        assert!(!self.failed, "failed: {self:?}");
        self.blocks.get(1).map_or("", String::as_str)
    }

    /// What a failed call says.
    #[track_caller]
    pub fn error(&self) -> &str {
        assert!(self.failed, "did not fail: {self:?}");
        assert_eq!(self.blocks.len(), 1, "an error is one block: {self:?}");
        &self.blocks[0]
    }
}
