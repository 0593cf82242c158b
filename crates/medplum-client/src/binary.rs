//! A Binary between FHIR's JSON form and the bytes that Medplum stores.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::interaction::Interaction;
use crate::invalid::InvalidRequest;

/// The upload that a Binary with `data` stands for; none for a Binary without.
pub(crate) fn binary_content(resource: &Value) -> Result<Option<Interaction>, InvalidRequest> {
    let Some(data) = resource.get("data") else {
        return Ok(None);
    };
    let content = data.as_str().and_then(|text| STANDARD.decode(text.trim()).ok());
    let Some(content) = content else {
        return Err(InvalidRequest::Body("Binary.data: must be base64".into()));
    };
    refuse_what_would_be_lost(resource)?;
    let Some(content_type) = resource.get("contentType").and_then(Value::as_str) else {
        return Err(InvalidRequest::Body("Binary.contentType: required, such as text/plain or application/pdf".into()));
    };
    Ok(Some(Interaction::CreateBinary { content_type: header_value(content_type)?, content: Bytes::from(content) }))
}

/// An upload carries the content and its type alone.
fn refuse_what_would_be_lost(resource: &Value) -> Result<(), InvalidRequest> {
    const CARRIED: &[&str] = &["resourceType", "id", "meta", "contentType", "data"];
    let lost = resource.as_object().into_iter().flatten().find(|(key, _)| !CARRIED.contains(&key.as_str()));
    match lost {
        Some((key, _)) => {
            Err(InvalidRequest::Body(format!("Binary.{key}: cannot be stored together with data. Leave it out")))
        }
        None => Ok(()),
    }
}

/// A media type that can stand in a header.
pub(crate) fn header_value(text: &str) -> Result<String, InvalidRequest> {
    let plain = !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if plain && text.contains('/') {
        Ok(text.to_owned())
    } else {
        Err(InvalidRequest::Header("a content type looks like application/json or text/plain"))
    }
}
