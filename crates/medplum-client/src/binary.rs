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
    // What the server sets by itself comes with a Binary that was read.
    const SET_BY_THE_SERVER: &[&str] = &["versionId", "lastUpdated", "project", "author", "compartment"];
    let meta = resource.get("meta").and_then(Value::as_object).into_iter().flatten();
    let labels = meta.map(|(key, _)| key).find(|key| !SET_BY_THE_SERVER.contains(&key.as_str()));
    let lost = lost.map(|(key, _)| key.clone()).or_else(|| labels.map(|key| format!("meta.{key}")));
    match lost {
        Some(path) => {
            Err(InvalidRequest::Body(format!("Binary.{path}: cannot be stored together with data. Leave it out")))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_upload_does_not_carry_is_refused() {
        let upload = |meta: Value| {
            binary_content(
                &json!({"resourceType": "Binary", "contentType": "text/plain", "data": "aGk=", "meta": meta}),
            )
        };
        for (meta, path) in [
            (json!({"tag": [{"code": "x"}]}), "Binary.meta.tag"),
            (json!({"versionId": "1", "security": [{"code": "R"}]}), "Binary.meta.security"),
            (json!({"accounts": [{"reference": "Organization/1"}]}), "Binary.meta.accounts"),
        ] {
            let error = upload(meta).unwrap_err().to_string();
            assert!(error.contains(&format!("{path}: cannot be stored together with data")), "{error}");
        }
        assert!(upload(json!({"versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z"})).unwrap().is_some());
    }
}
