//! What a tool has at hand while it runs.

use std::sync::Arc;

use medplum_client::{Call, Client, Error, Interaction, Reply, ResourceType};
use serde_json::Value;

use crate::failure::{Failure, nearest_types};
use crate::metadata::MetadataCache;
use crate::settings::Limits;

/// One call's way to Medplum.
pub struct Context<'a> {
    client: &'a Client,
    limits: &'a Limits,
    metadata: &'a MetadataCache,
    call: Call,
}

impl<'a> Context<'a> {
    /// A context for one call.
    pub fn new(client: &'a Client, limits: &'a Limits, metadata: &'a MetadataCache, call: Call) -> Self {
        Self { client, limits, metadata, call }
    }

    /// Sends an interaction.
    ///
    /// # Errors
    /// [`Failure`] with the client's error; a misspelt resource type comes with the nearest ones.
    pub async fn send(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        let reply = self.client.send(&self.call, interaction).await;
        reply.map_err(|error| self.with_nearest_type(interaction, error))
    }

    /// Asks the gate whether an interaction could be sent, and sends nothing: before the first of several steps.
    ///
    /// # Errors
    /// [`Failure`] with the gate's reason.
    pub fn may_send(&self, interaction: &Interaction) -> Result<(), Failure> {
        Ok(self.client.may_send(&self.call, interaction)?)
    }

    /// What the server says that it can do: asked once an hour at the most.
    ///
    /// # Errors
    /// [`Failure`] if it does not say.
    pub async fn metadata(&self) -> Result<Arc<Value>, Failure> {
        if let Some(kept) = self.metadata.get() {
            return Ok(kept);
        }
        let statement = self.send(&Interaction::Metadata).await?.into_json();
        Ok(self.metadata.keep(statement))
    }

    /// The search for the page behind a bundle; none if it is the last.
    ///
    /// # Errors
    /// [`Failure`] if its link leads to another server.
    pub fn next_page(&self, bundle: &serde_json::Value) -> Result<Option<Interaction>, Failure> {
        Ok(self.client.next_page(bundle)?)
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
            _ => error.into(),
        }
    }
}

/// A resource type as an agent gave it.
///
/// # Errors
/// [`Failure`] with the form, and the nearest types where there are any.
pub fn resource_type(given: &str) -> Result<ResourceType, Failure> {
    ResourceType::parse(given.trim())
        .map_err(|error| Failure::teach(format!("resource_type: {error}.{} Nothing was sent.", nearest_types(given))))
}
