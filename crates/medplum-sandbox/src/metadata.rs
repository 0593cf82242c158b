//! The CapabilityStatement: the real server's own, with this server's address in it.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::inflate::inflate;
use crate::outcome::Outcome;
use crate::reply::{JSON, Reply};
use crate::routes;
use crate::source::instant;

/// The version of the server that was recorded.
pub(crate) const VERSION: &str = "5.0.10-6a4145c";
/// Where the recorded server was.
const RECORDED_BASE: &str = "http://medplum.test/";

/// `GET fhir/R4/metadata`, without a token.
pub(crate) fn answer(engine: &Engine) -> Reply {
    let recorded = inflate(include_bytes!(concat!(env!("OUT_DIR"), "/metadata.deflate")));
    let text = String::from_utf8_lossy(&recorded).replace(RECORDED_BASE, &engine.config.base_url);
    let exchanges: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(mut statement) = exchanges.pointer("/0/response/body").cloned() else {
        return routes::outcome_reply(engine, &Outcome::not_implemented("metadata"));
    };
    if let Some(map) = statement.as_object_mut() {
        map.insert("date".into(), json!(instant(engine.source.now())));
    }
    Reply::json(200, JSON, &statement)
}
