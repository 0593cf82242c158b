//! Binary: the bytes, and the resource that stands for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::engine::{Content, Engine, Request};
use crate::fhir::Conditions;
use crate::outcome::{Outcome, Result};
use crate::reply::Reply;
use crate::routes;

/// For how long a storage URL is said to be good.
const URL_SECONDS: i64 = 3600;

/// What was sent, as content: raw bytes, or the `data` of a Binary in JSON.
fn sent(call: &Call<'_>, request: &Request) -> Content {
    let signature = call.engine.source.secret();
    if let Some((content_type, bytes)) = sent_as_resource(request) {
        return Content { content_type, bytes, signature };
    }
    let given = request.header("content-type").unwrap_or("application/octet-stream");
    Content { content_type: given.to_owned(), bytes: request.body.clone(), signature }
}

fn sent_as_resource(request: &Request) -> Option<(String, Bytes)> {
    if !routes::is_json(request.content_type()) {
        return None;
    }
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    if text("resourceType") != Some("Binary") {
        return None;
    }
    let bytes = STANDARD.decode(text("data").unwrap_or_default()).ok()?;
    Some((text("contentType").unwrap_or("application/octet-stream").to_owned(), bytes.into()))
}

/// `POST Binary`. It is not counted.
pub(crate) fn create(call: &mut Call<'_>, request: &Request) -> Result<Answer> {
    let content = sent(call, request);
    let body = json!({"resourceType": "Binary", "contentType": content.content_type});
    let counted = call.counted;
    let answer = call.create_as("Binary", body, None)?;
    call.counted = counted;
    Ok(with_content(call, answer, content))
}

/// `PUT Binary/{id}`
pub(crate) fn update(call: &mut Call<'_>, request: &Request, id: &str) -> Result<Answer> {
    let content = sent(call, request);
    let body = json!({"resourceType": "Binary", "id": id, "contentType": content.content_type});
    let answer = call.update("Binary", id, body, &Conditions::default())?;
    Ok(with_content(call, answer, content))
}

fn with_content(call: &mut Call<'_>, answer: Answer, content: Content) -> Answer {
    let Answer::Fhir(outcome, Some(mut resource)) = answer else { return answer };
    if let Some(key) = key(&resource) {
        call.state.contents.insert(key, content);
    }
    add_url(call, &mut resource);
    Answer::Fhir(outcome, Some(resource))
}

fn key(resource: &Value) -> Option<String> {
    let id = resource.get("id")?.as_str()?;
    let version = resource.pointer("/meta/versionId")?.as_str()?;
    Some(format!("{id}/{version}"))
}

/// Puts the URL of the storage into a Binary that is about to be sent.
fn add_url(call: &Call<'_>, resource: &mut Value) {
    let Some(key) = key(resource) else { return };
    let Some(content) = call.state.contents.get(&key) else { return };
    let base = &call.engine.config.base_url;
    let expires = call.engine.source.now() / 1000 + URL_SECONDS;
    let url = format!("{base}storage/{key}?Expires={expires}&Signature={}", content.signature);
    if let Some(map) = resource.as_object_mut() {
        map.insert("url".into(), json!(url));
    }
}

/// `GET Binary/{id}`: the bytes, or the resource if FHIR was asked for by name.
pub(crate) fn read(call: &mut Call<'_>, request: &Request, id: &str) -> Result<Answer> {
    let mut resource = call.read_one("Binary", id)?;
    let accept = request.header("accept").unwrap_or_default();
    if accept.starts_with("application/fhir+json") {
        add_url(call, &mut resource);
        return Ok(Answer::ok(resource));
    }
    let content = key(&resource).and_then(|key| call.state.contents.get(&key));
    let content = content.ok_or_else(Outcome::not_found)?;
    let mut reply = content_reply(content);
    for (name, value) in routes::version_headers(&resource) {
        reply = reply.with(name, value);
    }
    Ok(Answer::Raw(reply))
}

fn content_reply(content: &Content) -> Reply {
    let content_type = &content.content_type;
    let bare = content_type.starts_with("text/") && !content_type.contains("charset");
    let charset = if bare { "; charset=utf-8" } else { "" };
    Reply::bytes(200, &format!("{content_type}{charset}"), content.bytes.clone())
}

/// `GET storage/{id}/{version}` with the signature that the resource's URL carries.
pub(crate) fn stored(engine: &Engine, request: &Request, id: &str, version: &str) -> Result<Reply> {
    let state = engine.state();
    let content = state.contents.get(&format!("{id}/{version}")).ok_or_else(Outcome::not_found)?;
    let query = routes::pairs(request.query.as_deref().unwrap_or_default());
    let signed = query.iter().any(|(key, value)| key == "Signature" && *value == content.signature);
    if signed { Ok(content_reply(content)) } else { Err(Outcome::unauthorized()) }
}
