//! The interactions with one resource: create, read, update, patch, delete, history.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::outcome::{Issue, Outcome, Result};
use crate::patch;
use crate::policy::Interaction;
use crate::quota::cost;
use crate::store::{self, Version};

/// How a change was asked for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_exist: Option<String>,
    pub(crate) if_none_match: Option<String>,
}

impl Conditions {
    /// The version that an update insists on. Only a quoted value counts.
    fn wanted_version(&self) -> Option<&str> {
        let (_, rest) = self.if_match.as_deref()?.split_once('"')?;
        let (version, _) = rest.split_once('"')?;
        (!version.is_empty()).then_some(version)
    }
}

/// Takes out what says nothing: empty texts, empty objects, nulls. Lists keep their places.
fn without_empties(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !is_empty(value));
            map.values_mut().for_each(without_empties);
        }
        Value::Array(list) => list.iter_mut().for_each(without_empties),
        _ => {}
    }
}

fn type_of(body: &Value) -> &str {
    body.get("resourceType").and_then(Value::as_str).unwrap_or_default()
}

impl Call<'_> {
    fn next_version(&mut self, text: Option<Bytes>) -> Version {
        Version {
            id: self.engine.source.uuid(),
            last_updated: self.engine.source.now(),
            author: Arc::clone(&self.actor.author),
            on_behalf_of: self.actor.on_behalf_of.clone(),
            text,
        }
    }

    /// What is wrong with a resource, as Medplum says it.
    pub(crate) fn validate(&self, resource: &Value) -> Result<()> {
        let issues: Vec<Issue> =
            crate::validation::issues(self.engine.definitions(), &self.engine.constraints, resource);
        if issues.is_empty() { Ok(()) } else { Err(Outcome::of_issues(issues)) }
    }

    /// Brings a resource into the form in which it is kept.
    fn normal_form(mut resource: Value, id: &str) -> Value {
        without_empties(&mut resource);
        if let Value::Object(map) = &mut resource {
            store::without_server_meta(map);
            if map.get("id").and_then(Value::as_str) != Some(id) {
                map.shift_remove("id");
                map.insert("id".into(), json!(id));
            }
        }
        resource
    }

    /// Writes a version and checks that the actor's policy lets it be there.
    fn write(&mut self, resource_type: &str, id: &str, resource: &Value, interaction: Interaction) -> Result<()> {
        let version = self.next_version(Some(Bytes::from(resource.to_string())));
        self.state.store.push(resource_type, id, version);
        if let Err(outcome) = self.check_permitted(resource_type, id, interaction) {
            self.state.store.take_back(resource_type, id);
            return Err(outcome);
        }
        Ok(())
    }

    fn shown(&self, resource_type: &str, id: &str) -> Option<Value> {
        self.present_current(resource_type, self.state.store.find(resource_type, id)?)
    }

    /// Creates a resource under a given id, or one of the server's own.
    pub(crate) fn create_as(&mut self, resource_type: &str, body: Value, id: Option<String>) -> Result<Answer> {
        self.spend(cost::WRITE)?;
        self.check_type(resource_type)?;
        self.check_allowed(resource_type, Interaction::Create)?;
        let id = id.unwrap_or_else(|| self.engine.source.uuid().to_string());
        let resource = Self::normal_form(body, &id);
        self.validate(&resource)?;
        self.write(resource_type, &id, &resource, Interaction::Create)?;
        Ok(Answer::Fhir(Outcome::created(), self.shown(resource_type, &id)))
    }

    /// That the body is of the type in the URL.
    fn check_body_type(resource_type: &str, body: &Value) -> Result<()> {
        let found = type_of(body);
        if found == resource_type {
            return Ok(());
        }
        let found = if found.is_empty() { "<EMPTY>" } else { found };
        Err(Outcome::bad_request(format!("Incorrect resource type: expected {resource_type}, but found {found}")))
    }

    pub(crate) fn create(&mut self, resource_type: &str, body: Value, conditions: &Conditions) -> Result<Answer> {
        self.create_with_id(resource_type, body, conditions, None)
    }

    /// As [`Call::create`], with an id that was decided before: a bundle's entries refer to each other.
    pub(crate) fn create_with_id(
        &mut self,
        resource_type: &str,
        body: Value,
        conditions: &Conditions,
        id: Option<String>,
    ) -> Result<Answer> {
        Self::check_body_type(resource_type, &body)?;
        if let Some(query) = conditions.if_none_exist.as_deref().filter(|query| !query.is_empty()) {
            match self.conditional_ids(resource_type, query)?.as_slice() {
                [] => {}
                [one] => return Ok(Answer::Fhir(Outcome::all_ok(), self.shown(resource_type, one))),
                _ => return Err(Outcome::multiple_matches()),
            }
        }
        self.create_as(resource_type, body, id)
    }

    pub(crate) fn read(&mut self, resource_type: &str, id: &str, conditions: &Conditions) -> Result<Answer> {
        self.spend(cost::READ)?;
        let resource = self.read_one(resource_type, id)?;
        let record = self.state.store.find(resource_type, id);
        let etag = record.and_then(|record| record.live()).map(Version::etag);
        if etag.is_some() && conditions.if_none_match == etag {
            return Ok(Answer::Fhir(Outcome::not_modified(), Some(resource)));
        }
        Ok(Answer::ok(resource))
    }

    /// The resource as it is now; 410 if it was deleted, 404 if it never was.
    pub(crate) fn read_one(&mut self, resource_type: &str, id: &str) -> Result<Value> {
        self.check_type(resource_type)?;
        self.check_allowed(resource_type, Interaction::Read)?;
        let record = self.state.store.find(resource_type, id).ok_or_else(Outcome::not_found)?;
        let resource = self.present_current(resource_type, record).ok_or_else(Outcome::gone)?;
        self.check_permitted(resource_type, id, Interaction::Read)?;
        Ok(resource)
    }

    pub(crate) fn read_version(&mut self, resource_type: &str, id: &str, version: &str) -> Result<Answer> {
        self.spend(cost::READ)?;
        self.check_type(resource_type)?;
        self.check_permitted(resource_type, id, Interaction::VersionRead)?;
        let record = self.state.store.find(resource_type, id).ok_or_else(Outcome::not_found)?;
        let mut versions = record.versions.iter();
        let found = versions.find(|known| known.id.to_string() == version);
        let found = found.ok_or_else(Outcome::not_found)?;
        let resource = self.present(resource_type, id, found).ok_or_else(Outcome::gone)?;
        Ok(Answer::ok(resource))
    }

    pub(crate) fn history(&mut self, resource_type: &str, id: &str, query: &[(String, String)]) -> Result<Answer> {
        self.spend(cost::HISTORY)?;
        self.check_type(resource_type)?;
        self.check_permitted(resource_type, id, Interaction::History)?;
        let record = self.state.store.find(resource_type, id).ok_or_else(Outcome::not_found)?;
        let number = |name: &str| -> Option<usize> {
            let (_, value) = query.iter().find(|(key, _)| key == name)?;
            value.parse().ok()
        };
        let (count, offset) = (number("_count").unwrap_or(100), number("_offset").unwrap_or(0));
        let page = record.versions.iter().rev().skip(offset).take(count);
        let entries: Vec<Value> = page.map(|version| self.history_entry(resource_type, id, version)).collect();
        Ok(Answer::ok(json!({
            "resourceType": "Bundle",
            "type": "history",
            "entry": entries,
            "total": record.versions.len(),
        })))
    }

    fn history_entry(&self, resource_type: &str, id: &str, version: &Version) -> Value {
        let resource = self.present(resource_type, id, version);
        let outcome = if resource.is_some() { Outcome::all_ok() } else { Outcome::gone() };
        let mut entry = Map::new();
        entry.insert("fullUrl".into(), json!(self.engine.config.full_url(resource_type, id)));
        let url = format!("{resource_type}/{id}/_history/{}", version.id);
        entry.insert("request".into(), json!({"method": "GET", "url": url}));
        let response = json!({"status": outcome.status.to_string(), "outcome": outcome.body()});
        entry.insert("response".into(), response);
        if let Some(resource) = resource {
            entry.insert("resource".into(), resource);
        }
        Value::Object(entry)
    }

    pub(crate) fn update(
        &mut self,
        resource_type: &str,
        id: &str,
        body: Value,
        conditions: &Conditions,
    ) -> Result<Answer> {
        if type_of(&body) != resource_type {
            return Err(Outcome::bad_request("Incorrect resource type"));
        }
        if body.get("id").and_then(Value::as_str) != Some(id) {
            return Err(Outcome::bad_request("Incorrect resource ID"));
        }
        self.spend(cost::WRITE)?;
        self.put(resource_type, id, body, conditions)
    }

    /// The update itself, already counted.
    fn put(&mut self, resource_type: &str, id: &str, body: Value, conditions: &Conditions) -> Result<Answer> {
        self.check_type(resource_type)?;
        self.check_allowed(resource_type, Interaction::Update)?;
        let resource = Self::normal_form(body, id);
        self.validate(&resource)?;
        let record = self.state.store.find(resource_type, id).ok_or_else(Outcome::not_found)?;
        let current = record.current().ok_or_else(Outcome::not_found)?;
        let wanted = conditions.wanted_version();
        if wanted.is_some_and(|wanted| wanted != current.id.to_string()) {
            return Err(Outcome::precondition_failed());
        }
        if current.parse().as_ref() == Some(&resource) {
            return Ok(Answer::Fhir(Outcome::all_ok(), self.shown(resource_type, id)));
        }
        if record.live().is_some() {
            self.check_permitted(resource_type, id, Interaction::Update)?;
        }
        self.write(resource_type, id, &resource, Interaction::Update)?;
        Ok(Answer::Fhir(Outcome::all_ok(), self.shown(resource_type, id)))
    }

    /// JSON Patch. Whatever `If-Match` says is not looked at.
    pub(crate) fn patch(&mut self, resource_type: &str, id: &str, operations: &Value) -> Result<Answer> {
        self.spend(cost::WRITE)?;
        self.check_type(resource_type)?;
        self.check_allowed(resource_type, Interaction::Update)?;
        let record = self.state.store.find(resource_type, id).ok_or_else(Outcome::not_found)?;
        let current = record.live().ok_or_else(Outcome::gone)?;
        let mut resource = current.parse().ok_or_else(Outcome::gone)?;
        store::with_server_meta(&mut resource, current, None);
        patch::apply(&mut resource, operations)?;
        Self::check_body_type(resource_type, &resource)?;
        self.put(resource_type, id, resource, &Conditions::default())
    }

    /// Deletes. Twice is no error, and `If-Match` is not looked at.
    pub(crate) fn delete(&mut self, resource_type: &str, id: &str) -> Result<Answer> {
        self.spend(cost::WRITE)?;
        self.check_type(resource_type)?;
        self.check_allowed(resource_type, Interaction::Delete)?;
        let record = self.state.store.find(resource_type, id).ok_or_else(Outcome::not_found)?;
        if record.live().is_some() {
            self.check_permitted(resource_type, id, Interaction::Delete)?;
            let version = self.next_version(None);
            self.state.store.push(resource_type, id, version);
        }
        Ok(Answer::outcome(Outcome::all_ok()))
    }

    /// `PUT Patient?identifier=…`
    pub(crate) fn conditional_update(
        &mut self,
        resource_type: &str,
        query: &str,
        mut body: Value,
        conditions: &Conditions,
    ) -> Result<Answer> {
        Self::check_body_type(resource_type, &body)?;
        let found = self.conditional_ids(resource_type, query)?;
        match found.as_slice() {
            [] if body.get("id").is_some() => {
                Err(Outcome::bad_request("Cannot perform create as update with client-assigned ID"))
            }
            [] => self.create_as(resource_type, body, None),
            [one] => {
                if body.get("id").and_then(Value::as_str).is_some_and(|id| id != one) {
                    let text = "Resource ID did not match resolved ID";
                    return Err(Outcome::bad_request_at(text, format!("{resource_type}.id")));
                }
                if let Some(map) = body.as_object_mut() {
                    map.insert("id".into(), json!(one));
                }
                self.spend(cost::WRITE)?;
                self.put(resource_type, one, body, conditions)
            }
            _ => Err(Outcome::multiple_matches()),
        }
    }

    /// `PATCH Patient?identifier=…`
    pub(crate) fn conditional_patch(&mut self, resource_type: &str, query: &str, operations: &Value) -> Result<Answer> {
        match self.conditional_ids(resource_type, query)?.as_slice() {
            [] => Err(Outcome::not_found()),
            [one] => self.patch(resource_type, one, operations),
            _ => Err(Outcome::multiple_matches()),
        }
    }

    /// `DELETE Patient?identifier=…`
    pub(crate) fn conditional_delete(&mut self, resource_type: &str, query: &str) -> Result<Answer> {
        match self.conditional_ids(resource_type, query)?.as_slice() {
            [] => Ok(Answer::outcome(Outcome::all_ok())),
            [one] => self.delete(resource_type, one),
            _ => Err(Outcome::multiple_matches()),
        }
    }

    /// The ids of the first two resources that a condition finds.
    pub(crate) fn conditional_ids(&mut self, resource_type: &str, query: &str) -> Result<Vec<String>> {
        let query = query.split('?').next().unwrap_or_default();
        self.spend(cost::SEARCH)?;
        self.check_type(resource_type)?;
        let mut found = self.matching(resource_type, query)?;
        if let Some(permitted) = self.permitted(resource_type, Interaction::Search)? {
            found.keep(&permitted);
        }
        let Some(of_type) = self.state.store.of_type(resource_type) else {
            return Ok(Vec::new());
        };
        let ids = found.iter().filter_map(|slot| Some(of_type.record(slot)?.id.to_string()));
        Ok(ids.take(2).collect())
    }
}
