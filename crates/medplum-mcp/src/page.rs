//! A page of resources on its way to an answer: what is on it is known, what is in it is read when it is shown.

use medplum_client::{Error, ResourceType, SearchEntry, Searchset, Sent};
use serde_json::Value;

use crate::cleanse::cleanse;
use crate::failure::Failure;

/// A searchset as Medplum sent it.
#[derive(Debug, Clone)]
pub struct Found {
    /// How many match, where the server counted them.
    pub total: Option<u64>,
    /// What the server says that it searched for.
    pub self_link: Option<String>,
    /// Whether there is a page behind this one.
    pub has_next: bool,
    /// What is on it.
    pub entries: Vec<Entry>,
}

impl From<Searchset> for Found {
    fn from(page: Searchset) -> Self {
        Self {
            total: page.total,
            self_link: page.self_link,
            has_next: page.next_link.is_some(),
            entries: page.entries.into_iter().map(Entry).collect(),
        }
    }
}

impl Found {
    /// The entries that match, without what was included.
    pub fn matches(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_match())
    }
}

/// A resource on a page. The only way to what is in it leads past [`cleanse`].
#[derive(Debug, Clone)]
pub struct Entry(SearchEntry);

impl Entry {
    /// Whether it matches; if not, it was included.
    pub fn is_match(&self) -> bool {
        self.0.is_match
    }

    /// Its type, if it names one.
    pub fn resource_type(&self) -> Option<ResourceType> {
        ResourceType::parse(&self.0.resource_type).ok()
    }

    /// Its name: `Patient/1`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.0.resource_type, self.0.id)
    }

    /// Its `meta.lastUpdated`.
    pub fn last_updated(&self) -> Option<&str> {
        self.0.last_updated.as_deref()
    }

    /// How large it is, in bytes.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// The resource, without secrets and invisible characters.
    ///
    /// # Errors
    /// [`Failure`] for JSON that cannot be read, such as one that is too deep.
    pub fn resource(&self) -> Result<Value, Failure> {
        let unreadable = Error::NotFhir { status: 200, reason: "a resource in it cannot be read", sent: Sent::No };
        let mut resource = self.0.resource().map_err(|_| unreadable)?;
        cleanse(&mut resource);
        Ok(resource)
    }
}

#[cfg(test)]
impl Entry {
    /// The resources, as if they had been found.
    pub(crate) fn all_of(resources: &[Value]) -> Vec<Self> {
        let entries: Vec<Value> =
            resources.iter().map(|resource| serde_json::json!({ "resource": resource })).collect();
        let body = serde_json::json!({ "resourceType": "Bundle", "entry": entries }).to_string();
        Found::from(Searchset::read(&body.into()).unwrap()).entries
    }
}
