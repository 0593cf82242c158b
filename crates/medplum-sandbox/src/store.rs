//! The resources themselves, version by version, as compact JSON text.
//!
//! A resource is kept as the bytes that it came as, without what the server writes into `meta`: a parsed tree would
//! cost ten times as much. It is parsed when it is asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::index::Index;
use crate::slots::{Slot, SlotSet};
use crate::source::instant;

/// One version of a resource.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: Uuid,
    /// Milliseconds since 1970.
    pub(crate) last_updated: i64,
    /// The reference that goes into `meta.author`.
    pub(crate) author: Arc<Value>,
    /// The reference that goes into `meta.onBehalfOf`.
    pub(crate) on_behalf_of: Option<Arc<Value>>,
    /// The JSON text; nothing where this version is the deletion.
    pub(crate) text: Option<Bytes>,
}

impl Version {
    /// The resource as it was given, without the server's part of `meta`.
    pub(crate) fn parse(&self) -> Option<Value> {
        serde_json::from_slice(self.text.as_ref()?).ok()
    }

    pub(crate) fn etag(&self) -> String {
        format!("W/\"{}\"", self.id)
    }
}

/// One resource with all its versions, the newest last.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: Box<str>,
    pub(crate) versions: Vec<Version>,
}

impl Record {
    pub(crate) fn current(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The current version, unless it is deleted.
    pub(crate) fn live(&self) -> Option<&Version> {
        self.current().filter(|version| version.text.is_some())
    }
}

/// All resources of one type.
#[derive(Debug, Default)]
pub(crate) struct TypeStore {
    pub(crate) records: Vec<Record>,
    by_id: HashMap<Box<str>, Slot>,
    /// The places of what is not deleted.
    pub(crate) live: SlotSet,
    /// The indexes that a search has asked for so far.
    pub(crate) indexes: HashMap<String, Index>,
}

impl TypeStore {
    pub(crate) fn slot(&self, id: &str) -> Option<Slot> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn record(&self, slot: Slot) -> Option<&Record> {
        self.records.get(slot as usize)
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Record> {
        self.record(self.slot(id)?)
    }

    /// Each resource that is there, with its place.
    pub(crate) fn each_live(&self) -> impl Iterator<Item = (Slot, &Version)> {
        self.live.iter().filter_map(|slot| Some((slot, self.record(slot)?.live()?)))
    }

    fn reindex(&mut self, slot: Slot, old: Option<&Version>, new: Option<&Version>) {
        if new.is_some_and(|version| version.text.is_some()) {
            self.live.insert(slot);
        } else {
            self.live.remove(slot);
        }
        if self.indexes.is_empty() {
            return;
        }
        if let Some(old) = old.and_then(Version::parse) {
            for index in self.indexes.values_mut() {
                index.remove(slot, &old);
            }
        }
        if let Some(new) = new.and_then(Version::parse) {
            for index in self.indexes.values_mut() {
                index.insert(slot, &new);
            }
        }
    }

    /// Adds a version to the resource of that id, which may be new.
    fn push(&mut self, id: &str, version: Version) {
        let slot = self.slot(id).unwrap_or_else(|| {
            let slot = Slot::try_from(self.records.len()).unwrap_or(Slot::MAX);
            self.by_id.insert(id.into(), slot);
            self.records.push(Record { id: id.into(), versions: Vec::with_capacity(1) });
            slot
        });
        let old = self.record(slot).and_then(Record::current).cloned();
        self.reindex(slot, old.as_ref(), Some(&version));
        if let Some(record) = self.records.get_mut(slot as usize) {
            record.versions.push(version);
        }
    }

    /// Takes the newest version of that resource back.
    fn pop(&mut self, id: &str) {
        let Some(slot) = self.slot(id) else { return };
        let Some(record) = self.records.get_mut(slot as usize) else { return };
        let undone = record.versions.pop();
        let before = record.versions.last().cloned();
        self.reindex(slot, undone.as_ref(), before.as_ref());
        let is_last = self.records.len() == slot as usize + 1;
        if before.is_none() && is_last {
            self.records.pop();
            self.by_id.remove(id);
        }
    }
}

/// All resources of the project.
#[derive(Debug, Default)]
pub(crate) struct Store {
    types: BTreeMap<String, TypeStore>,
    /// What has been written since [`Store::begin`], to be taken back by [`Store::roll_back`].
    journal: Option<Vec<(String, String)>>,
}

impl Store {
    pub(crate) fn of_type(&self, resource_type: &str) -> Option<&TypeStore> {
        self.types.get(resource_type)
    }

    pub(crate) fn of_type_mut(&mut self, resource_type: &str) -> Option<&mut TypeStore> {
        self.types.get_mut(resource_type)
    }

    pub(crate) fn find(&self, resource_type: &str, id: &str) -> Option<&Record> {
        self.of_type(resource_type)?.find(id)
    }

    /// The types of which there is or was a resource.
    pub(crate) fn types(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// Adds a version to a resource, or a new resource.
    pub(crate) fn push(&mut self, resource_type: &str, id: &str, version: Version) {
        if let Some(journal) = &mut self.journal {
            journal.push((resource_type.to_owned(), id.to_owned()));
        }
        if !self.types.contains_key(resource_type) {
            self.types.insert(resource_type.to_owned(), TypeStore::default());
        }
        if let Some(of_type) = self.types.get_mut(resource_type) {
            of_type.push(id, version);
        }
    }

    /// Takes the newest version of one resource back.
    pub(crate) fn take_back(&mut self, resource_type: &str, id: &str) {
        if let Some(journal) = &mut self.journal {
            journal.pop();
        }
        if let Some(of_type) = self.types.get_mut(resource_type) {
            of_type.pop(id);
        }
    }

    /// From here on everything that is written can be taken back.
    pub(crate) fn begin(&mut self) {
        self.journal = Some(Vec::new());
    }

    pub(crate) fn commit(&mut self) {
        self.journal = None;
    }

    /// Takes back what has been written since [`Store::begin`].
    pub(crate) fn roll_back(&mut self) {
        for (resource_type, id) in self.journal.take().unwrap_or_default().iter().rev() {
            if let Some(of_type) = self.types.get_mut(resource_type) {
                of_type.pop(id);
            }
        }
    }
}

/// What the server alone writes into `meta`.
pub(crate) const SERVER_META: [&str; 6] =
    ["versionId", "lastUpdated", "author", "onBehalfOf", "project", "compartment"];

/// Takes the server's part of `meta` out of a resource, and the whole `meta` if nothing else is in it.
pub(crate) fn without_server_meta(resource: &mut Map<String, Value>) {
    let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) else {
        return;
    };
    for field in SERVER_META {
        meta.shift_remove(field);
    }
    if meta.is_empty() {
        resource.shift_remove("meta");
    }
}

/// Writes the server's part of `meta` into a resource. `compartment` is given where the caller asked for
/// `X-Medplum: extended`.
pub(crate) fn with_server_meta(resource: &mut Value, version: &Version, extended: Option<(&str, Value)>) {
    let Some(map) = resource.as_object_mut() else { return };
    let meta = map.entry("meta").or_insert_with(|| json!({}));
    let Some(meta) = meta.as_object_mut() else { return };
    meta.insert("versionId".into(), json!(version.id.to_string()));
    meta.insert("lastUpdated".into(), json!(instant(version.last_updated)));
    if let Some((project, compartment)) = extended {
        meta.insert("author".into(), version.author.as_ref().clone());
        if let Some(member) = &version.on_behalf_of {
            meta.insert("onBehalfOf".into(), member.as_ref().clone());
        }
        meta.insert("project".into(), json!(project));
        meta.insert("compartment".into(), compartment);
    }
}
