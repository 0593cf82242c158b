//! The parameters of each method, read into rmcp's types.

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientNotification, ClientRequest, ConstString, Extensions, GetExtensions,
    JsonObject, PingRequest, Request, RequestMetaObject, RequestOptionalParam,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json, value::RawValue};

use super::refusal::Fault;

/// The request of this method. One that rmcp does not know is passed on as it is: the handler says "method not found".
pub(super) fn request(method: &str, params: Option<&RawValue>) -> Result<ClientRequest, Fault> {
    let params = params.filter(|raw| raw.get() != "null");
    Ok(match method {
        "tools/call" => ClientRequest::CallToolRequest(call_tool(params)?),
        "ping" => ClientRequest::PingRequest(ping(params)?),
        "initialize" => ClientRequest::InitializeRequest(required(params)?),
        "server/discover" => ClientRequest::DiscoverRequest(required(params)?),
        "tools/list" => ClientRequest::ListToolsRequest(optional(params)?),
        "resources/list" => ClientRequest::ListResourcesRequest(optional(params)?),
        "resources/templates/list" => ClientRequest::ListResourceTemplatesRequest(optional(params)?),
        "resources/read" => ClientRequest::ReadResourceRequest(required(params)?),
        "resources/subscribe" => ClientRequest::SubscribeRequest(required(params)?),
        "resources/unsubscribe" => ClientRequest::UnsubscribeRequest(required(params)?),
        "subscriptions/listen" => ClientRequest::SubscriptionsListenRequest(required(params)?),
        "prompts/list" => ClientRequest::ListPromptsRequest(optional(params)?),
        "prompts/get" => ClientRequest::GetPromptRequest(required(params)?),
        "completion/complete" => ClientRequest::CompleteRequest(required(params)?),
        "logging/setLevel" => ClientRequest::SetLevelRequest(required(params)?),
        _ => any(method, params)?,
    })
}

/// The notification of this method, if it can be read.
pub(super) fn notification(method: &str, params: Option<&RawValue>) -> Option<ClientNotification> {
    let params = match params {
        Some(raw) => serde_json::from_str(raw.get()).ok()?,
        None => Value::Null,
    };
    serde_json::from_value(message(method, params)).ok()
}

/// The one that matters for speed: read in one go, without a tree in between.
fn call_tool(params: Option<&RawValue>) -> Result<CallToolRequest, Fault> {
    let raw = params.ok_or_else(Fault::no_call)?;
    let mut call: CallToolRequestParams = serde_json::from_str(raw.get()).map_err(|error| Fault::call(raw, &error))?;
    let meta = call.meta.take();
    let mut request = CallToolRequest::new(call);
    insert(&mut request.extensions, meta);
    Ok(request)
}

fn ping(params: Option<&RawValue>) -> Result<PingRequest, Fault> {
    let mut request = PingRequest::default();
    if let Some(raw) = params {
        insert(&mut request.extensions, split(raw)?.1);
    }
    Ok(request)
}

fn required<M, P>(params: Option<&RawValue>) -> Result<Request<M, P>, Fault>
where
    M: ConstString,
    P: DeserializeOwned,
{
    let (members, meta) = params.map(split).transpose()?.unwrap_or_default();
    let typed = serde_json::from_value(Value::Object(members)).map_err(|error| Fault::params(&error))?;
    let mut request = Request::new(typed);
    insert(request.extensions_mut(), meta);
    Ok(request)
}

fn optional<M, P>(params: Option<&RawValue>) -> Result<RequestOptionalParam<M, P>, Fault>
where
    M: ConstString,
    P: DeserializeOwned,
{
    let Some(raw) = params else {
        return Ok(RequestOptionalParam { method: M::default(), params: None, extensions: Extensions::default() });
    };
    let (members, meta) = split(raw)?;
    let typed = serde_json::from_value(Value::Object(members)).map_err(|error| Fault::params(&error))?;
    let mut request = RequestOptionalParam::with_param(typed);
    insert(&mut request.extensions, meta);
    Ok(request)
}

/// Whatever else there is, by rmcp's own reading.
fn any(method: &str, params: Option<&RawValue>) -> Result<ClientRequest, Fault> {
    let params = match params {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|error| Fault::params(&error))?,
        None => Value::Null,
    };
    serde_json::from_value(message(method, params)).map_err(|error| Fault::params(&error))
}

fn message(method: &str, params: Value) -> Value {
    match params {
        Value::Null => json!({ "method": method }),
        params => json!({ "method": method, "params": params }),
    }
}

/// The parameters and their `_meta`, which rmcp keeps apart.
fn split(raw: &RawValue) -> Result<(JsonObject, Option<RequestMetaObject>), Fault> {
    let Value::Object(mut members) = serde_json::from_str(raw.get()).map_err(|error| Fault::params(&error))? else {
        return Err(Fault::params_are_no_object());
    };
    let meta = match members.remove("_meta") {
        None | Some(Value::Null) => None,
        Some(Value::Object(meta)) => Some(RequestMetaObject::from(meta)),
        Some(_) => return Err(Fault::meta()),
    };
    Ok((members, meta))
}

fn insert(extensions: &mut Extensions, meta: Option<RequestMetaObject>) {
    if let Some(meta) = meta {
        extensions.insert(meta);
    }
}
