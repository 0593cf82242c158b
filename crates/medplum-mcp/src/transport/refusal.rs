//! Why a line is refused, in words that help whoever wrote it, and the answer that says so.

use rmcp::model::ErrorCode;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::scan::IdScanner;

/// What every text that needs one shows as a sound message.
const EXAMPLE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// How much of another's words an error repeats.
const LONGEST_TEXT: usize = 400;

/// What is said of a method that is not served.
pub(crate) fn no_method(name: &str) -> String {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(60).collect();
    format!(
        "No method {name}. This server has tools/list, tools/call, resources/list, resources/templates/list, \
         resources/read, completion/complete and ping"
    )
}

/// The answer to a line that is no request that can be worked on.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    jsonrpc: &'static str,
    /// As the host wrote it. Left out where none could be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Box<RawValue>>,
    error: Fault,
}

impl Refusal {
    pub(super) fn new(id: Option<Box<RawValue>>, error: Fault) -> Self {
        Self { jsonrpc: "2.0", id, error }
    }

    /// The answer to a line that could not be taken apart: its id is searched for.
    pub(super) fn of_line(line: &[u8], error: Fault) -> Self {
        Self::new(IdScanner::find(line), error)
    }
}

/// What was wrong.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    code: ErrorCode,
    message: String,
}

impl Fault {
    fn parse(message: String) -> Self {
        Self { code: ErrorCode::PARSE_ERROR, message }
    }

    fn request(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::INVALID_REQUEST, message: message.into() }
    }

    fn arguments(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::INVALID_PARAMS, message: message.into() }
    }

    pub(super) fn too_long(length: usize, longest: usize) -> Self {
        Self::request(format!(
            "the message is {length} bytes long, the limit is {longest}: send less at once, for example a smaller bundle"
        ))
    }

    pub(super) fn not_utf8(error: &std::str::Utf8Error) -> Self {
        Self::parse(format!(
            "the line is not UTF-8: byte {} does not fit; MCP over stdio is UTF-8, one message a line",
            error.valid_up_to() + 1
        ))
    }

    pub(super) fn not_an_object(text: &str) -> Self {
        if text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("content-length:")) {
            return Self::parse(format!(
                "MCP over stdio has no Content-Length headers: send each message as one line, such as {EXAMPLE}"
            ));
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Self::request(format!("a message is a JSON object, such as {EXAMPLE}")),
            Err(error) => Self::parse(format!(
                "the line is not JSON ({}); send one message a line, such as {EXAMPLE}",
                cut(&error.to_string())
            )),
        }
    }

    pub(super) fn batch() -> Self {
        Self::request("batches are not served: send each message as a line of its own")
    }

    /// The line as a whole could not be read.
    pub(super) fn envelope(error: &serde_json::Error) -> Self {
        if error.is_data() {
            return Self::request(format!("the message is malformed: {}", cut(&error.to_string())));
        }
        unreadable(error, "message")
    }

    pub(super) fn no_message() -> Self {
        Self::request(format!(
            "neither a request (method and id), a notification (method) nor a response (id and result or error); \
             a request looks like {EXAMPLE}"
        ))
    }

    pub(super) fn id() -> Self {
        Self::request("the id of a request is a string or a whole number from -2^63 to 2^63 - 1, and not null")
    }

    pub(super) fn version() -> Self {
        Self::request(r#"a request carries "jsonrpc":"2.0""#)
    }

    pub(super) fn method() -> Self {
        Self::request(format!("method is a string, such as in {EXAMPLE}"))
    }

    pub(super) fn params_are_no_object() -> Self {
        Self::arguments(r#"params is an object of named parameters, such as {"cursor":"…"}"#)
    }

    /// A request before the conversation is opened, by a host of any revision.
    pub(super) fn not_opened() -> Self {
        Self::arguments(
            "nothing was opened: send initialize first; or, from revision 2026-07-28 on, say in the _meta of each request \
             what you speak, as io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities",
        )
    }

    pub(super) fn meta() -> Self {
        Self::arguments("params._meta is an object")
    }

    /// The parameters of a known method do not fit it.
    pub(super) fn params(error: &serde_json::Error) -> Self {
        if error.is_data() {
            return Self::arguments(format!("params do not fit the method: {}", without_place(error)));
        }
        unreadable(error, "params")
    }

    pub(super) fn no_call() -> Self {
        Self::arguments(r#"tools/call needs params: {"name":"<tool>","arguments":{…}}"#)
    }

    /// The parameters of a tools/call do not fit it. Only here, once it has failed, is it worth looking closer.
    pub(super) fn call(raw: &RawValue, error: &serde_json::Error) -> Self {
        let Ok(params) = serde_json::from_str::<Value>(raw.get()) else {
            return unreadable(error, "params");
        };
        let Some(members) = params.as_object() else {
            return Self::no_call();
        };
        match (members.get("name"), members.get("arguments")) {
            (None, _) => Self::arguments("tools/call needs the tool's name in params.name; tools/list names them"),
            (Some(name), _) if !name.is_string() => Self::arguments("params.name is a string: the tool's name"),
            (Some(Value::String(name)), Some(Value::String(text))) => Self::arguments(string_arguments(name, text)),
            (Some(Value::String(name)), Some(arguments)) if !arguments.is_object() && !arguments.is_null() => {
                Self::arguments(format!(
                    "arguments of {} is {}; it must be an object of named arguments, such as {{\"resource_type\":\"Patient\"}}",
                    cut(name),
                    kind(arguments)
                ))
            }
            _ if members.get("_meta").is_some_and(|meta| !meta.is_object()) => Self::meta(),
            _ => Self::params(error),
        }
    }
}

/// Arguments that are text: mostly an object that was serialised once too often.
fn string_arguments(name: &str, text: &str) -> String {
    let name = cut(name);
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => {
            format!("arguments of {name} is an object written as a string; send the object itself, without the quotes")
        }
        _ => format!(
            "arguments of {name} is a string; it must be an object of named arguments, such as {{\"resource_type\":\"Patient\"}}"
        ),
    }
}

/// JSON that its grammar or a limit does not allow.
fn unreadable(error: &serde_json::Error, what: &str) -> Fault {
    let text = without_place(error);
    if text.contains("recursion limit") {
        return Fault::parse(format!("{what}: nested deeper than 128 levels; flatten it"));
    }
    if text.contains("surrogate") || text.contains("hex escape") {
        return Fault::parse(format!(
            "{what}: half a character, that is a \\uD800 to \\uDFFF escape without its other half"
        ));
    }
    Fault::parse(format!("{what}: not JSON ({}); send one whole message a line", cut(&error.to_string())))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// serde's words without "at line 1 column 7", which counts from where a part of the line began.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    cut(text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what))
}

/// No more of `text` than an error should repeat.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
