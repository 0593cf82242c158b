//! Putting resources into the store as they are: unchecked, under their own ids.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::store::{self, Store, Version};

/// When the first resource of the population was written, in milliseconds since 1970: 2026-01-05T08:00:00Z.
const FIRST_WRITTEN: i64 = 1_767_600_000_000;
/// How long after it the next one was written.
const STEP: i64 = 37;

/// Writes resources one after the other.
pub(crate) struct Loader<'s> {
    store: &'s mut Store,
    author: Arc<Value>,
    next: i64,
    loaded: usize,
}

/// What must be known of a resource to keep it.
#[derive(Deserialize)]
struct Head<'t> {
    #[serde(rename = "resourceType")]
    resource_type: &'t str,
    id: Option<&'t str>,
    meta: Option<Value>,
}

impl<'s> Loader<'s> {
    pub(crate) fn new(store: &'s mut Store) -> Self {
        Self { store, author: Arc::new(json!({"reference": "system"})), next: FIRST_WRITTEN, loaded: 0 }
    }

    /// Writes a resource that was just made: it has an id, and no `meta`.
    pub(crate) fn add(&mut self, resource: &Value) {
        let part = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default();
        let version = Version {
            id: self.made_up(),
            last_updated: self.next,
            author: Arc::clone(&self.author),
            on_behalf_of: None,
            text: Some(Bytes::from(resource.to_string())),
        };
        self.push(part("resourceType"), part("id"), version);
    }

    fn push(&mut self, resource_type: &str, id: &str, version: Version) {
        self.next += STEP;
        self.loaded += 1;
        self.store.push(resource_type, id, version);
    }

    /// Writes resources given as text, one a line. Their bytes are shared, not copied.
    pub(crate) fn add_lines(&mut self, text: &Bytes) {
        let mut rest = text.clone();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let line = rest.split_to(end);
            if !line.is_empty() {
                self.add_text(line);
            }
            let _ = rest.try_get_u8();
        }
    }

    /// Writes a resource given as text. What has no type is left out; what has no id gets one.
    pub(crate) fn add_text(&mut self, text: Bytes) -> bool {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(&text) else { return false };
        let given = head.meta.as_ref();
        let meta = |key: &str| given.and_then(|meta| meta.get(key)?.as_str());
        let last_updated = meta("lastUpdated").and_then(crate::search::date::millis);
        let by_server = given.is_some_and(|meta| store::SERVER_META.iter().any(|field| meta.get(field).is_some()));
        let (resource_type, id) = (head.resource_type.to_owned(), head.id.map(str::to_owned));
        let version_id = meta("versionId").and_then(|text| text.parse().ok());
        let id = id.unwrap_or_else(|| self.made_up().to_string());
        let version = Version {
            id: version_id.unwrap_or_else(|| self.made_up()),
            last_updated: last_updated.unwrap_or(self.next),
            author: given
                .and_then(|meta| meta.get("author"))
                .map_or_else(|| Arc::clone(&self.author), |a| Arc::new(a.clone())),
            on_behalf_of: given.and_then(|meta| meta.get("onBehalfOf")).map(|member| Arc::new(member.clone())),
            text: Some(if by_server || head.id.is_none() { cleaned(&text, &id) } else { text.clone() }),
        };
        self.push(&resource_type, &id, version);
        true
    }

    /// An id that is the same in every sandbox that is filled the same way.
    fn made_up(&self) -> Uuid {
        let mut random = super::random::Random::new(0x6d65_6470_6c75_6d00 ^ self.loaded as u64);
        random.uuid()
    }
}

/// The text of a resource without what the server writes into it itself.
fn cleaned(text: &[u8], id: &str) -> Bytes {
    let Ok(mut resource) = serde_json::from_slice::<Value>(text) else {
        return Bytes::copy_from_slice(text);
    };
    if let Some(map) = resource.as_object_mut() {
        store::without_server_meta(map);
        map.insert("id".into(), json!(id));
    }
    Bytes::from(resource.to_string())
}
