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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::{GetMeta, ServerJsonRpcMessage};
    use serde_json::{Value, json};

    use super::*;

    /// A sound message of every kind.
    fn messages() -> Vec<Value> {
        let request =
            |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let meta = json!({"progressToken": "p", "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
        vec![
            request(
                "initialize",
                json!({"protocolVersion": "2025-06-18", "capabilities": {"elicitation": {}},
                    "clientInfo": {"name": "n", "version": "v", "title": "t"}, "_meta": {"a": 1}}),
            ),
            request("server/discover", json!({"_meta": meta})),
            request("ping", json!({"_meta": {"a": 1}})),
            json!({"method": "ping", "id": "text", "jsonrpc": "2.0"}),
            request("tools/list", json!({"cursor": "c", "_meta": meta})),
            request("tools/list", json!({})),
            json!({"jsonrpc": "2.0", "id": -3, "method": "tools/list"}),
            request("tools/call", json!({"name": "t", "arguments": {"a": [1, 2.5, null, "ü\n"]}, "_meta": meta})),
            request(
                "tools/call",
                json!({"name": "t", "inputResponses": {"x": {"action": "accept"}}, "requestState": "s"}),
            ),
            request("resources/list", json!({"cursor": "c"})),
            request("resources/templates/list", json!({"cursor": "c"})),
            request("resources/read", json!({"uri": "medplum://server-info"})),
            request("resources/subscribe", json!({"uri": "u"})),
            request("resources/unsubscribe", json!({"uri": "u"})),
            request("prompts/list", json!({})),
            request("prompts/get", json!({"name": "p", "arguments": {"a": "b"}})),
            request(
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "v"}}),
            ),
            request("logging/setLevel", json!({"level": "info"})),
            request("tasks/get", json!({"taskId": "t"})),
            request("x/unheard-of", json!({"a": 1, "_meta": {"b": 2}})),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7, "reason": "r"}}),
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}}),
            json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}),
            json!({"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": 1}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"action": "accept", "content": {"confirm": true}}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
            json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "m", "data": {"a": 1}}}),
        ]
    }

    #[test]
    fn a_sound_message_is_read_as_rmcp_reads_it() {
        for message in messages() {
            let line = message.to_string();
            let ours = read(line.as_bytes()).unwrap().unwrap();
            let theirs: ClientJsonRpcMessage = serde_json::from_str(&line).unwrap();
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{line}");
            if let (JsonRpcMessage::Request(ours), JsonRpcMessage::Request(theirs)) = (ours, theirs) {
                assert_eq!(ours.request.get_meta(), theirs.request.get_meta(), "{line}");
            }
        }
    }

    fn assert_answerable(line: &[u8]) {
        for refusal in read(line).err().into_iter().flatten() {
            let answer = serde_json::to_string(&refusal).unwrap();
            assert!(!answer.contains('\n'));
            let answer: ServerJsonRpcMessage = serde_json::from_str(&answer).unwrap();
            assert!(answer.into_error().is_some());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            assert_answerable(&line);
        }

        #[test]
        fn a_message_that_was_damaged_is_read_or_refused(
            which in 0..28_usize,
            at in any::<prop::sample::Index>(),
            cut in any::<bool>(),
            junk in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u0d8 \x00\xff".as_slice()), 0..4),
        ) {
            let mut line = messages()[which].to_string().into_bytes();
            let at = at.index(line.len());
            let rest = line.split_off(at);
            line.extend(junk);
            if !cut {
                line.extend(rest.get(1..).unwrap_or_default());
            }
            assert_answerable(&line);
        }
    }
}
