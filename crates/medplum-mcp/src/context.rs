//! What a tool has at hand while it runs.

mod sending;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use medplum_client::{Call, Client, Clock, Interaction, Membership, Proxy, ResourceType};
use serde_json::Value;

use crate::answer::cursor::{CursorKey, Position};
use crate::answer::notes::Notes;
use crate::audit::Record;
use crate::cleanse::Sieve;
use crate::confirm::{Confirmations, Way};
use crate::doubt;
use crate::failure::{Failure, nearest_types};
use crate::metadata::MetadataCache;
use crate::progress::Progress;
use crate::settings::Limits;
use crate::transactions::Transactions;

/// One call's way to Medplum.
pub struct Context<'a> {
    client: &'a Client,
    limits: &'a Limits,
    sieve: Sieve,
    kept: &'a Kept,
    call: Call,
    cursors: Cursors<'a>,
    caller: Caller,
    budget: usize,
    notes: Mutex<Notes>,
    stored: Mutex<HashMap<String, Value>>,
    /// Whether this call has sent something that acts.
    acted: AtomicBool,
    /// What is said of it as long as it has not.
    undone: OnceLock<&'static str>,
}

/// What is kept from call to call.
#[derive(Debug)]
pub struct Kept {
    /// The server's statement.
    pub metadata: MetadataCache,
    /// Whether transactions are carried out as one.
    pub transactions: Transactions,
    /// Questions to the person.
    pub confirmations: Confirmations,
}

impl Kept {
    /// Nothing so far, on this clock.
    pub fn new(clock: &dyn Clock) -> Self {
        Self {
            metadata: MetadataCache::default(),
            transactions: Transactions::default(),
            confirmations: Confirmations::new(clock.monotonic()),
        }
    }
}

/// Who called: how they are asked, told how far the call has come, and written down.
pub struct Caller {
    /// How the person is asked.
    pub way: Way,
    /// How the client is told.
    pub progress: Progress,
    /// What is written down of the call.
    pub record: Record,
}

impl Caller {
    /// One that can neither be asked nor told.
    pub fn nobody(record: Record) -> Self {
        Self { way: Way::Nobody, progress: Progress::default(), record }
    }

    /// One that only reads. Hosts read by themselves, and ask nobody.
    pub fn reader(record: Record) -> Self {
        Self { way: Way::Reads, progress: Progress::default(), record }
    }
}

/// An interaction that was looked at and, if it acts, let through by the person: it may leave.
#[derive(Debug)]
pub struct Ready(Interaction);

/// What a call allows that is otherwise refused, or asked about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// References that lead nowhere are stored.
    pub dangling: bool,
    /// What others refer to is deleted.
    pub referred: bool,
    /// A transaction is sent where it may be carried out in part.
    pub partial: bool,
    /// An update replaces whatever is there: it takes most of it away, or stores a deleted resource again.
    pub overwriting: bool,
    /// One new resource is stored without a person's yes, unless it gives access or makes something run. Only the tools
    /// say so that do nothing else.
    pub unasked: bool,
}

impl Allowed {
    /// By the argument `check_references`, which is true where it is left out.
    pub fn by_check_references(check: Option<bool>) -> Self {
        Self { dangling: check == Some(false), ..Self::default() }
    }

    /// The same for a tool that does nothing but store one new resource.
    #[must_use]
    pub fn to_create(self) -> Self {
        Self { unasked: true, ..self }
    }
}

/// What a look at a resource found.
#[derive(Debug)]
pub(crate) enum Stored {
    /// It is there, secrets and all.
    There(Value),
    /// It may not be read, or is no resource as it comes (a Binary's content).
    Unreadable,
    /// There is none.
    Unknown,
    /// It was deleted.
    Deleted,
}

impl Stored {
    /// The resource, if it is there to be seen.
    pub(crate) fn there(self) -> Option<Value> {
        match self {
            Self::There(resource) => Some(resource),
            Self::Unreadable | Self::Unknown | Self::Deleted => None,
        }
    }
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
        kept: &'a Kept,
        call: Call,
        cursors: Cursors<'a>,
        caller: Caller,
        budget: usize,
    ) -> Self {
        Self {
            client,
            limits,
            sieve: Sieve::new(limits),
            kept,
            call,
            cursors,
            caller,
            budget,
            notes: Mutex::default(),
            stored: Mutex::default(),
            acted: AtomicBool::new(false),
            undone: OnceLock::new(),
        }
    }

    /// What answers pass through: nothing of what the client has shown so far comes through either.
    fn sieve(&self) -> Sieve {
        self.sieve.hiding(self.client.own_secrets())
    }

    /// A stored resource as this call shows it.
    pub(crate) fn shown(&self, stored: &Value) -> Value {
        self.sieve().shown(stored)
    }

    /// A resource without what is in closed ones inside of it: the operator shows them to nobody here.
    pub(crate) fn open_part(&self, resource: &Value) -> Value {
        self.sieve.open_part(resource)
    }

    /// The type of a closed resource that a write would add inside of another.
    pub(crate) fn adds_closed(&self, resource: &Value, stored: &Value) -> Option<String> {
        self.sieve.adds_closed(resource, stored)
    }

    /// Whether the operator lets resources of this type be read.
    pub(crate) fn may_read(&self, of: &str) -> bool {
        self.limits.types.as_ref().is_none_or(|types| types.may_read(of))
    }

    /// What was left out of what came, for the notes.
    pub(crate) fn left_out(&self) -> Vec<String> {
        self.sieve.notes()
    }

    /// How many characters this call's answer may have.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// How far this call has come.
    pub(crate) fn progress(&self) -> &Progress {
        &self.caller.progress
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
        self.notes().add(note);
    }

    /// The same for what is missing from the answer, which is said first.
    pub fn missing(&self, note: impl Into<String>) {
        self.notes().missing(note);
    }

    /// The sentences left so far.
    pub fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the gate whether an interaction could be sent, and sends nothing: before the first of several steps.
    ///
    /// # Errors
    /// [`Failure`] with the gate's reason.
    pub fn may_send(&self, interaction: &Interaction) -> Result<(), Failure> {
        if !interaction.effect().is_read() {
            self.undone.get_or_init(|| doubt::undone(interaction));
        }
        Ok(self.client.may_send(&self.call, interaction)?)
    }

    /// What is said of what this call was to do, if it acts and nothing of it has left.
    pub(crate) fn undone(&self) -> Option<&'static str> {
        self.undone.get().copied().filter(|_| !self.has_acted())
    }

    /// Whether this call is to do something that acts.
    pub(crate) fn is_to_act(&self) -> bool {
        self.undone.get().is_some()
    }

    /// What is kept from call to call.
    pub(crate) fn kept(&self) -> &Kept {
        self.kept
    }

    /// How the person can be asked.
    pub(crate) fn way(&self) -> &Way {
        &self.caller.way
    }

    /// Whether this call has sent something that acts.
    pub(crate) fn has_acted(&self) -> bool {
        self.acted.load(Ordering::Relaxed)
    }

    /// Time, from outside.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.client.clock()
    }

    /// On whose behalf this call is made.
    pub(crate) fn on_behalf_of(&self) -> Option<Membership> {
        self.call.on_behalf_of.clone().or_else(|| self.client.config().on_behalf_of.clone())
    }

    /// The server's statement, if it was asked for before.
    pub fn kept_metadata(&self) -> Option<Arc<Value>> {
        self.kept.metadata.get()
    }

    /// What the server says that it can do: asked once an hour at the most.
    ///
    /// # Errors
    /// [`Failure`] if it does not say.
    pub async fn metadata(&self) -> Result<Arc<Value>, Failure> {
        if let Some(kept) = self.kept.metadata.get() {
            return Ok(kept);
        }
        let statement = self.ask(&Interaction::Metadata).await?.into_json();
        Ok(self.kept.metadata.keep(statement))
    }

    /// The time of day, from outside.
    pub fn time_of_day(&self) -> std::time::SystemTime {
        self.client.time_of_day()
    }

    /// Where Medplum is.
    pub fn base_url(&self) -> &str {
        self.client.config().base_url.as_str()
    }

    /// The proxy on the way to it.
    pub(crate) fn proxy(&self) -> Option<Proxy> {
        Proxy::to(&self.client.config().base_url).ok().flatten()
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
        self.on_behalf_of().is_some()
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
