//! Exchanges that were recorded from a real Medplum 5.0.10.

use serde_json::Value;

use super::Says;

/// What was sent, and what the server said.
pub struct Exchange {
    pub line: String,
    pub body: Value,
    pub says: Says,
}

/// The exchange with this note.
pub fn exchange(file: &str, note: &str) -> Exchange {
    let text = match file {
        "graphql" => include_str!("../fixtures/recordings/graphql.json"),
        "terminology" => include_str!("../fixtures/recordings/terminology.json"),
        other => panic!("no recording {other}"),
    };
    let exchanges: Vec<Value> = serde_json::from_str(text).unwrap();
    let found = exchanges.into_iter().find(|exchange| exchange["note"] == note);
    let found = found.unwrap_or_else(|| panic!("{file} has no {note}"));
    let (request, response) = (&found["request"], &found["response"]);
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    Exchange {
        line: format!("{} /{}", request["method"].as_str().unwrap(), request["path"].as_str().unwrap()),
        body: request["body"].clone(),
        says: Says::json(status, &response["body"]),
    }
}
