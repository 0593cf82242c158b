//! What a tool has at hand while it runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use medplum_client::{Body, Call, Client, Error, Interaction, Reply, ResourceId, ResourceType};
use serde_json::Value;

use crate::answer::cursor::{CursorKey, Position};
use crate::answer::notes::Notes;
use crate::cleanse::{cleanse, cleanse_text, refuse_renamed};
use crate::failure::{Failure, nearest_types};
use crate::metadata::MetadataCache;
use crate::page::{Entry, Found};
use crate::preflight;
use crate::settings::Limits;

/// One call's way to Medplum.
pub struct Context<'a> {
    client: &'a Client,
    limits: &'a Limits,
    metadata: &'a MetadataCache,
    call: Call,
    cursors: Cursors<'a>,
    notes: Mutex<Notes>,
    stored: Mutex<HashMap<String, Value>>,
}

/// The cursors of one query.
#[derive(Debug, Clone)]
pub struct Cursors<'a> {
    /// The process' key.
    pub key: &'a CursorKey,
    /// Everything that decides what the pages of this call hold.
    pub query: String,
}

impl Cursors<'_> {
    /// The cursor for a place in this query's answer.
    pub fn seal(&self, position: &Position) -> String {
        self.key.seal(position, &self.query)
    }
}

impl<'a> Context<'a> {
    /// A context for one call.
    pub fn new(
        client: &'a Client,
        limits: &'a Limits,
        metadata: &'a MetadataCache,
        call: Call,
        cursors: Cursors<'a>,
    ) -> Self {
        Self { client, limits, metadata, call, cursors, notes: Mutex::default(), stored: Mutex::default() }
    }

    /// Sends an interaction. What it would store is looked at first, whichever tool it comes from.
    ///
    /// # Errors
    /// [`Failure`] with what is wrong with the resource, or the client's error.
    pub async fn send(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.send_with(interaction, References::Exist).await
    }

    /// The same, saying whether references must lead somewhere.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn send_with(&self, interaction: &Interaction, references: References) -> Result<Reply, Failure> {
        self.limits.toolsets.admit(interaction)?;
        if interaction.effect().is_read() {
            return self.ask(interaction).await;
        }
        self.may_send(interaction)?;
        let prepared = preflight::look(self, interaction, references).await;
        let prepared = prepared.inspect_err(|_| self.call.refused(interaction))?;
        let reply = self.ask(prepared.as_ref().unwrap_or(interaction)).await;
        // Whatever was stored before is not any more.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clear();
        reply
    }

    /// Sends an interaction as it is. Secrets and invisible characters are gone from what comes back; a misspelt
    /// resource type comes back with the nearest ones.
    pub(crate) async fn ask(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        refuse_renamed(interaction)?;
        let mut reply = self.ask_uncleansed(interaction).await?;
        match &mut reply.body {
            Body::Json(value) => cleanse(value),
            Body::Other { content, .. } => {
                if let Ok(text) = std::str::from_utf8(content) {
                    let mut text = text.to_owned();
                    cleanse_text(&mut text);
                    *content = text.into();
                }
            }
            Body::Empty => {}
        }
        Ok(reply)
    }

    async fn ask_uncleansed(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        let reply = self.client.send(&self.call, interaction).await;
        reply.map_err(|error| self.with_nearest_type(interaction, error))
    }

    /// Asks for a page of resources; where the page behind it is. Each resource is cleansed when it is read.
    ///
    /// # Errors
    /// As [`Context::send`]; [`Failure`] if the link to the next page leads to another server.
    pub(crate) async fn page(&self, interaction: &Interaction) -> Result<(Found, Option<Interaction>), Failure> {
        let page = self.client.page(&self.call, interaction).await;
        let page = page.map_err(|error| self.with_nearest_type(interaction, error))?;
        let next = self.client.next_page(&page)?;
        Ok((page.into(), next))
    }

    /// Reads a resource, which is cleansed when it is looked at.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub(crate) async fn resource(&self, interaction: &Interaction) -> Result<Entry, Failure> {
        let unread = self.client.resource(&self.call, interaction).await;
        unread.map(Entry::from).map_err(|error| self.with_nearest_type(interaction, error))
    }

    /// A resource as it is stored, secrets and all: to be compared with and written back, never to be shown. None if
    /// there is none that can be read.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be found out.
    pub(crate) async fn stored(&self, resource_type: &ResourceType, id: &ResourceId) -> Result<Option<Value>, Failure> {
        let name = format!("{resource_type}/{id}");
        if let Some(kept) = self.stored.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Some(kept.clone()));
        }
        let read = Interaction::read(resource_type.clone(), id.clone());
        let stored = match self.ask_uncleansed(&read).await {
            Ok(reply) => reply.into_json(),
            Err(failure) if matches!(failure.status(), Some(403 | 404 | 410)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        if !stored.is_object() {
            return Ok(None);
        }
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(name, stored.clone());
        Ok(Some(stored))
    }

    /// The place that a cursor of this query stands for.
    ///
    /// # Errors
    /// [`Failure`] for a cursor of another query.
    pub fn open(&self, cursor: Option<&str>) -> Result<Option<Position>, Failure> {
        cursor.map(|cursor| self.cursors.key.open(cursor, &self.cursors.query)).transpose()
    }

    /// The cursors of this query.
    pub fn cursors(&self) -> &Cursors<'a> {
        &self.cursors
    }

    /// Leaves a sentence for the last block of the answer.
    pub fn note(&self, note: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).add(note);
    }

    /// The same for what is missing from the answer, which is said first.
    pub fn missing(&self, note: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).missing(note);
    }

    /// The sentences left so far.
    pub fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the gate whether an interaction could be sent, and sends nothing: before the first of several steps.
    ///
    /// # Errors
    /// [`Failure`] with the gate's reason.
    pub fn may_send(&self, interaction: &Interaction) -> Result<(), Failure> {
        Ok(self.client.may_send(&self.call, interaction)?)
    }

    /// The server's statement, if it was asked for before.
    pub fn kept_metadata(&self) -> Option<Arc<Value>> {
        self.metadata.get()
    }

    /// What the server says that it can do: asked once an hour at the most.
    ///
    /// # Errors
    /// [`Failure`] if it does not say.
    pub async fn metadata(&self) -> Result<Arc<Value>, Failure> {
        if let Some(kept) = self.metadata.get() {
            return Ok(kept);
        }
        let statement = self.ask(&Interaction::Metadata).await?.into_json();
        Ok(self.metadata.keep(statement))
    }

    /// The time of day, from outside.
    pub fn time_of_day(&self) -> std::time::SystemTime {
        self.client.time_of_day()
    }

    /// Where Medplum is.
    pub fn base_url(&self) -> &str {
        self.client.config().base_url.as_str()
    }

    /// The path of the FHIR base.
    pub fn fhir_path(&self) -> &medplum_client::FhirPath {
        &self.client.config().fhir_path
    }

    /// The operator's limits.
    pub fn limits(&self) -> &Limits {
        self.limits
    }

    /// Whether a membership's access policy applies to this call.
    pub fn acts_on_behalf(&self) -> bool {
        self.call.on_behalf_of.is_some() || self.client.config().on_behalf_of.is_some()
    }

    fn with_nearest_type(&self, interaction: &Interaction, error: Error) -> Failure {
        let unknown = matches!(&error, Error::Outcome(outcome) if outcome.issues.iter().any(|issue| issue.text == "Unknown resource type"));
        match interaction.label().resource_type {
            Some(given) if unknown => Failure::teach(format!(
                "Medplum has no resource type \"{given}\".{} get_resource_capabilities lists them all.",
                nearest_types(given)
            )),
            _ => cleansed(error).into(),
        }
    }
}

/// Medplum's own words may repeat what somebody stored or sent.
fn cleansed(mut error: Error) -> Error {
    match &mut error {
        Error::Outcome(outcome) | Error::SignIn(outcome) => {
            for issue in &mut outcome.issues {
                cleanse_text(&mut issue.text);
                cleanse_text(&mut issue.code);
                issue.expression.iter_mut().for_each(cleanse_text);
            }
        }
        Error::Credentials { description: Some(text) } => cleanse_text(text),
        _ => {}
    }
    error
}

/// Whether the references that a write adds must lead to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum References {
    /// They are looked up, and one that leads nowhere is refused.
    Exist,
    /// They are left alone.
    MayDangle,
}

impl References {
    /// By the argument `check_references`, which is true where it is left out.
    pub fn checked(check: Option<bool>) -> Self {
        if check == Some(false) { Self::MayDangle } else { Self::Exist }
    }
}

/// A resource type as an agent gave it.
///
/// # Errors
/// [`Failure`] with the form, and the nearest types where there are any.
pub fn resource_type(given: &str) -> Result<ResourceType, Failure> {
    ResourceType::parse(given.trim()).map_err(|error| {
        let form = error.to_string();
        Failure::not_sent(format!("resource_type: {}.{}", form.trim_end_matches('.'), nearest_types(given)))
    })
}
