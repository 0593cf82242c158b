//! Resources on their way to an answer: what there is is known, what is in it is read when it is shown.

use std::borrow::Cow;
use std::collections::HashMap;

use medplum_client::{Error, ResourceType, Searchset, Sent, Unread};
use serde_json::Value;

use crate::answer::lean::{Shown, lean};
use crate::answer::lean_text::lean_text;
use crate::cleanse::Sieve;
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
    /// What the server says of the search itself.
    pub said: Vec<Entry>,
}

impl Found {
    /// A page as it may be shown: what the operator has closed is not on it.
    pub(crate) fn new(page: Searchset, sieve: &Sieve) -> Self {
        let entry = |entry: medplum_client::SearchEntry| {
            let of = &entry.resource.resource_type;
            if of.is_empty() || sieve.admits(of) {
                return Some(Entry { is_match: entry.is_match, ..Entry::new(entry.resource, sieve) });
            }
            sieve.left_out(of, &format!("{of}/{}", entry.resource.id));
            None
        };
        Self {
            total: page.total,
            self_link: page.self_link,
            has_next: page.next_link.is_some(),
            said: page.outcomes.into_iter().map(|outcome| Entry::new(outcome, sieve)).collect(),
            entries: beside(page.entries.into_iter().filter_map(entry).collect()),
        }
    }

    /// The entries that match, without what was included.
    pub fn matches(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_match())
    }
}

/// Puts what was included behind the first match that it belongs to: Medplum sends it behind all of them, where it would be
/// the first to be cut. What belongs to none that can be told stands behind the first.
fn beside(entries: Vec<Entry>) -> Vec<Entry> {
    if entries.iter().all(Entry::is_match) {
        return entries;
    }
    let (matches, mut included): (Vec<_>, Vec<_>) = entries.into_iter().partition(Entry::is_match);
    let own: HashMap<String, usize> = matches.iter().enumerate().map(|(at, entry)| (entry.name(), at)).collect();
    // By which match a resource is referred to.
    let mut of: HashMap<String, usize> = HashMap::new();
    for (at, entry) in matches.iter().enumerate() {
        for name in entry.references() {
            of.entry(name.to_owned()).or_insert(at);
        }
    }
    let mut placed: Vec<(usize, Entry)> = Vec::new();
    loop {
        let before = included.len();
        for entry in std::mem::take(&mut included) {
            let refers = |to: &HashMap<String, usize>| entry.references().find_map(|name| to.get(name).copied());
            let place = of.get(&entry.name()).copied().or_else(|| refers(&own)).or_else(|| refers(&of));
            let Some(place) = place else {
                included.push(entry);
                continue;
            };
            for name in entry.references() {
                of.entry(name.to_owned()).or_insert(place);
            }
            placed.push((place, entry));
        }
        if included.is_empty() || included.len() == before {
            break;
        }
    }
    placed.extend(included.into_iter().map(|entry| (0, entry)));
    placed.sort_by_key(|(place, _)| *place);
    let mut placed = placed.into_iter().peekable();
    let mut ordered = Vec::new();
    for (at, entry) in matches.into_iter().enumerate() {
        ordered.push(entry);
        while let Some((_, entry)) = placed.next_if(|(place, _)| *place == at) {
            ordered.push(entry);
        }
    }
    ordered.extend(placed.map(|(_, entry)| entry));
    ordered
}

/// A resource, on a page or alone. The only way to what is in it leads through the [`Sieve`].
#[derive(Debug, Clone)]
pub struct Entry {
    is_match: bool,
    unread: Unread,
    sieve: Sieve,
}

impl Entry {
    /// A resource that was read.
    pub(crate) fn new(unread: Unread, sieve: &Sieve) -> Self {
        Self { is_match: true, unread, sieve: sieve.clone() }
    }

    /// Whether it matches; if not, it was included.
    pub fn is_match(&self) -> bool {
        self.is_match
    }

    /// Its type, if it names one.
    pub fn resource_type(&self) -> Option<ResourceType> {
        ResourceType::parse(&self.unread.resource_type).ok()
    }

    /// Its name: `Patient/1`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.unread.resource_type, self.unread.id)
    }

    /// Its `meta.lastUpdated`.
    pub fn last_updated(&self) -> Option<&str> {
        self.unread.last_updated.as_deref()
    }

    /// The names of what it refers to: `Patient/1`.
    fn references(&self) -> impl Iterator<Item = &str> {
        self.unread.text().split("\"reference\"").skip(1).filter_map(|rest| {
            let name = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next()?;
            Some(name.split("/_history/").next().unwrap_or(name))
        })
    }

    /// How large it is, in bytes.
    pub fn size(&self) -> usize {
        self.unread.text().len()
    }

    /// The resource, without secrets and invisible characters.
    ///
    /// # Errors
    /// [`Failure`] for JSON that cannot be read, such as one that is too deep.
    pub fn resource(&self) -> Result<Value, Failure> {
        self.value(self.is_clean(self.unread.text()))
    }

    fn value(&self, is_clean: bool) -> Result<Value, Failure> {
        let unreadable = Error::NotFhir { status: 200, reason: "a resource in it cannot be read", sent: Sent::No };
        let mut resource = self.unread.value().map_err(|_| unreadable)?;
        if !is_clean {
            self.sieve.sift(&mut resource);
        }
        Ok(resource)
    }

    fn is_clean(&self, text: &str) -> bool {
        self.sieve.is_clean(&self.unread.resource_type, text)
    }

    /// The JSON of the lean resource.
    ///
    /// Most resources hold nothing that must be taken out: they are shown without a tree of values in between.
    ///
    /// # Errors
    /// As [`Entry::resource`].
    pub fn lean(&self, shown: Shown) -> Result<String, Failure> {
        let text = self.unread.text();
        let is_clean = self.is_clean(text);
        if is_clean && let Some(lean) = lean_text(text, self.unread.members(), shown) {
            return Ok(lean);
        }
        let mut resource = self.value(is_clean)?;
        lean(&mut resource, shown);
        Ok(resource.to_string())
    }

    /// The JSON of the resource, compact, without secrets and invisible characters.
    ///
    /// # Errors
    /// As [`Entry::resource`].
    pub(crate) fn text(&self) -> Result<Cow<'_, str>, Failure> {
        let text = self.unread.text();
        let is_clean = self.is_clean(text);
        if is_clean && self.unread.members().are_compact() {
            return Ok(text.into());
        }
        Ok(self.value(is_clean)?.to_string().into())
    }
}

#[cfg(test)]
impl Entry {
    /// The resources, as if they had been found.
    pub(crate) fn all_of(resources: &[Value]) -> Vec<Self> {
        let unread = |resource: &Value| {
            Unread::look(resource.to_string().into()).map(|unread| Self::new(unread, &Sieve::default()))
        };
        resources.iter().filter_map(unread).collect()
    }
}
