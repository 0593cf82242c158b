//! From the bytes of a line to the message that rmcp works on, or to the answer that refuses it.
//!
//! rmcp would try each known shape in turn on a buffered copy of the message. Here the line is skimmed once for its
//! members, and `params` is then read straight into the type that its method asks for. That is several times cheaper, and
//! it is known what was wrong: a request of a known method with wrong parameters is told so, instead of "method not found".

use std::borrow::Cow;

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientResult, ErrorCode, ErrorData, JsonRpcMessage, RequestId,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    params,
    refusal::{Fault, Refusal},
    scan,
};

/// A line that says something, one that may be ignored, or the answers to one that is refused.
pub(super) type Read = Result<Option<ClientJsonRpcMessage>, Vec<Refusal>>;

/// The members of a message. Each is skimmed over and kept as text.
#[derive(Debug, Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// A member that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one line.
pub(super) fn read(line: &[u8]) -> Read {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return Err(vec![Refusal::of_line(line, Fault::not_utf8(&error))]),
    };
    match line.first() {
        None => Ok(None),
        Some(b'{') => object(text),
        Some(b'[') => Err(batch(text)),
        Some(_) => Err(vec![Refusal::of_line(line, Fault::not_an_object(text))]),
    }
}

fn object(text: &str) -> Read {
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| vec![Refusal::of_line(text.as_bytes(), Fault::envelope(&error))])?;
    match (envelope.method, envelope.id, envelope.result, envelope.error) {
        (Some(method), Some(id), None, None) => request(&envelope, method, id).map(Some),
        (Some(method), None, None, None) => notification(&envelope, method),
        (None, Some(id), Some(result), None) => Ok(response(id, result)),
        (None, id, None, Some(error)) => Ok(error_response(id, error)),
        (_, id, ..) => Err(vec![Refusal::new(id.and_then(scan::echoable), Fault::no_message())]),
    }
}

fn request(
    envelope: &Envelope<'_>,
    method: &RawValue,
    raw_id: &RawValue,
) -> Result<ClientJsonRpcMessage, Vec<Refusal>> {
    let typed = || {
        let id = request_id(raw_id).ok_or_else(Fault::id)?;
        if envelope.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return Err(Fault::version());
        }
        let method = string(method).ok_or_else(Fault::method)?;
        let request = params::request(&method, envelope.params)?;
        Ok(JsonRpcMessage::request(request, id))
    };
    typed().map_err(|fault| vec![Refusal::new(scan::echoable(raw_id), fault)])
}

/// Notifications get no answer, whatever is wrong with them.
fn notification(envelope: &Envelope<'_>, method: &RawValue) -> Read {
    let Some(method) = string(method) else {
        return Err(vec![Refusal::new(None, Fault::method())]);
    };
    let notification: Option<ClientNotification> = params::notification(&method, envelope.params);
    Ok(notification.map(JsonRpcMessage::notification))
}

/// An answer to a question of ours. One that cannot be read still ends the waiting.
fn response(id: &RawValue, result: &RawValue) -> Option<ClientJsonRpcMessage> {
    let id = request_id(id)?;
    Some(match serde_json::from_str::<ClientResult>(result.get()) {
        Ok(result) => JsonRpcMessage::response(result, id),
        Err(_) => JsonRpcMessage::error(unreadable("result"), Some(id)),
    })
}

fn error_response(id: Option<&RawValue>, error: &RawValue) -> Option<ClientJsonRpcMessage> {
    let id = id.and_then(request_id)?;
    let error = serde_json::from_str::<ErrorData>(error.get()).unwrap_or_else(|_| unreadable("error"));
    Some(JsonRpcMessage::error(error, Some(id)))
}

fn unreadable(member: &str) -> ErrorData {
    ErrorData::new(ErrorCode::INTERNAL_ERROR, format!("the host's answer has a malformed {member}"), None)
}

/// So many requests of a batch are answered one by one.
const LONGEST_BATCH: usize = 1000;

/// MCP has no batches (only its revision 2025-03-26 had): each request in one is told so.
fn batch(text: &str) -> Vec<Refusal> {
    let fault = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(messages) => {
            let refusals: Vec<Refusal> = messages
                .into_iter()
                .filter_map(|message| scan::IdScanner::find(message.get().as_bytes()))
                .take(LONGEST_BATCH)
                .map(|id| Refusal::new(Some(id), Fault::batch()))
                .collect();
            if !refusals.is_empty() {
                return refusals;
            }
            Fault::batch()
        }
        Err(error) => Fault::envelope(&error),
    };
    vec![Refusal::new(None, fault)]
}

fn request_id(raw: &RawValue) -> Option<RequestId> {
    match raw.get().parse() {
        Ok(number) => Some(RequestId::Number(number)),
        Err(_) => serde_json::from_str(raw.get()).ok(),
    }
}

/// `raw` as a string, without a copy where it has no escapes.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get();
    match quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(quoted).ok().map(Cow::Owned),
    }
}
