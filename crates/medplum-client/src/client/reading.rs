//! How an answer that is a success is read, by what was asked.

use bytes::Bytes;
use reqwest::header::{CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderValue, LOCATION};
use serde_json::Value;

use super::another::{ANOTHER, answers_another, holds_another, is_another, matches_of};
use super::http::{Answer, sent_by};
use crate::error::{Error, Sent};
use crate::halves::mended;
use crate::interaction::Interaction;
use crate::reply::{Body, Reply};
use crate::request::FHIR_JSON;
use crate::searchset::{Searchset, Unread};
use crate::witness::Came;

/// What becomes of an answer that is a success.
pub(super) struct Reading<T> {
    /// How it is read; whether an earlier attempt may have been carried out too.
    pub(super) read: fn(&Interaction, Answer, bool) -> Result<T, Error>,
    /// How a witness sees it.
    pub(super) came: for<'a> fn(&'a T) -> Came<'a>,
}

pub(super) const WHOLE: &Reading<Reply> = &Reading { read: reply, came: |reply| Came::Reply(reply) };
pub(super) const UNREAD: &Reading<Unread> = &Reading { read: unread, came: |resource| Came::Resource(resource) };
pub(super) const PAGE: &Reading<Searchset> = &Reading { read: searchset, came: |page| Came::Page(page) };

pub(super) fn reply(interaction: &Interaction, answer: Answer, uncertain: bool) -> Result<Reply, Error> {
    let status = answer.status;
    let text = |name| answer.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let version = text(ETAG)
        .and_then(|etag| etag.trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"'))
        .map(str::to_owned);
    let location = text(LOCATION).or_else(|| text(CONTENT_LOCATION)).map(str::to_owned);
    let content_type = text(CONTENT_TYPE).unwrap_or_default().to_owned();
    let sent = if interaction.effect().is_read() { Sent::No } else { sent_by(status, &answer.headers) };
    let body = body_of(interaction, status, &content_type, answer.body, sent)?;
    let reply = Reply { status, body, content_type, version, location, replayed: uncertain };
    match misses(interaction, &reply) {
        Some(reason) => {
            let sent = if interaction.effect().is_read() { Sent::No } else { Sent::Maybe };
            Err(Error::NotFhir { status, reason, sent })
        }
        None => Ok(reply),
    }
}

/// What an answer that claims success lacks. Medplum answers a write with what it stored; what comes without it may be
/// the word of somebody who never passed the request on.
fn misses(interaction: &Interaction, reply: &Reply) -> Option<&'static str> {
    if !matches!(reply.status, 200..=299) {
        // Medplum says 304 of an update that changes nothing. What is new, gone or run has changed something.
        let changes = match interaction {
            Interaction::Update { .. } | Interaction::Patch { .. } | Interaction::Raw(_) => false,
            Interaction::Batch(_) => true,
            other => !other.effect().is_read(),
        };
        return changes.then_some("it says that nothing has changed");
    }
    if reply.body == Body::Empty {
        let nothing_stored = matches!(reply.status, 202..=299) && !stores(interaction);
        let may_be_empty =
            nothing_stored || matches!(interaction, Interaction::Delete { .. }) || may_be_anything(interaction);
        return (!may_be_empty).then_some("it is empty");
    }
    let text = |name| reply.json().get(name).and_then(Value::as_str).unwrap_or_default();
    if is_another(interaction, text("resourceType"), text("id")) {
        return Some(ANOTHER);
    }
    if let Some(reason) = holds_another(interaction, matches_of(reply.json())) {
        return Some(reason);
    }
    let (of_type, reason) = match interaction {
        Interaction::Create { resource_type, .. } => {
            (resource_type.as_str(), "it is not the resource that was written")
        }
        Interaction::CreateBinary { .. } => ("Binary", "it is not the resource that was written"),
        Interaction::Batch(batch) => return answers_another(batch, reply.json()),
        _ => return None,
    };
    (text("resourceType") != of_type).then_some(reason)
}

/// Whether Medplum answers with what it has stored.
fn stores(interaction: &Interaction) -> bool {
    matches!(
        interaction,
        Interaction::Create { .. }
            | Interaction::Update { .. }
            | Interaction::Patch { .. }
            | Interaction::CreateBinary { .. }
            | Interaction::Batch(_)
    )
}

fn searchset(interaction: &Interaction, answer: Answer, _: bool) -> Result<Searchset, Error> {
    let status = answer.status;
    let page = unread_json(answer, Searchset::read, "it is no Bundle of resources")?;
    let matches = page.entries.iter().filter(|entry| entry.is_match).map(|entry| &entry.resource);
    if let Some(reason) = holds_another(interaction, matches) {
        return Err(Error::NotFhir { status, reason, sent: Sent::No });
    }
    Ok(page)
}

fn unread(interaction: &Interaction, answer: Answer, _: bool) -> Result<Unread, Error> {
    let status = answer.status;
    let resource = unread_json(answer, Unread::look, "its JSON cannot be read")?;
    if is_another(interaction, &resource.resource_type, &resource.id) {
        return Err(Error::NotFhir { status, reason: ANOTHER, sent: Sent::No });
    }
    Ok(resource)
}

fn unread_json<T>(answer: Answer, look: fn(Bytes) -> Option<T>, reason: &'static str) -> Result<T, Error> {
    let not_fhir = |reason| Error::NotFhir { status: answer.status, reason, sent: Sent::No };
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media_type = media_type(content_type);
    if !is_json(&media_type) {
        return Err(not_fhir(not_json(&media_type)));
    }
    look(mended(without_mark(answer.body))).ok_or_else(|| not_fhir(reason))
}

/// A text without the mark that some put in front of UTF-8, which JSON does not have.
fn without_mark(text: Bytes) -> Bytes {
    if text.starts_with(b"\xef\xbb\xbf") { text.slice(3..) } else { text }
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// A login page or a proxy's word in place of FHIR is not an answer.
fn not_json(media_type: &str) -> &'static str {
    if media_type == "text/html" { "it is an HTML page" } else { "it is not JSON" }
}

fn body_of(
    interaction: &Interaction,
    status: u16,
    content_type: &str,
    content: Bytes,
    sent: Sent,
) -> Result<Body, Error> {
    if content.is_empty() {
        return Ok(Body::Empty);
    }
    let media_type = media_type(content_type);
    let anything = may_be_anything(interaction);
    if is_json(&media_type) {
        let content = without_mark(content.clone());
        match serde_json::from_slice(&content) {
            Ok(value) => return Ok(Body::Json(value)),
            // What was stored or what a bot answers need not be what its type says.
            Err(_) if anything && media_type != FHIR_JSON => {}
            // Nearly all are read at once: only what cannot be is looked at again.
            Err(_) => match serde_json::from_slice(&mended(content)) {
                Ok(value) => return Ok(Body::Json(value)),
                Err(_) if anything => {}
                Err(_) => return Err(Error::NotFhir { status, reason: "its JSON cannot be read", sent }),
            },
        }
    }
    if anything {
        return Ok(Body::Other(content));
    }
    Err(Error::NotFhir { status, reason: not_json(&media_type), sent })
}

/// Whether the answer may be of any media type.
fn may_be_anything(interaction: &Interaction) -> bool {
    match interaction {
        Interaction::ExecuteBot { .. } | Interaction::Raw(_) => true,
        Interaction::Operation(operation) => !operation.effect().is_read() || operation.name.as_str() == "csv",
        Interaction::Read { resource_type, .. } => resource_type.as_str() == "Binary",
        _ => false,
    }
}
