//! What a tool has at hand while it runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fhir_definitions::Definitions;
use medplum_client::{Call, Client, Clock, Error, Interaction, Membership, Reply, ResourceId, ResourceType};
use serde_json::Value;

use crate::answer::cursor::{CursorKey, Position};
use crate::answer::notes::Notes;
use crate::audit::Record;
use crate::cleanse::{Sieve, cleanse_text};
use crate::confirm::{self, Confirmations, Way};
use crate::doubt;
use crate::failure::{Failure, nearest_types};
use crate::graphql_lists;
use crate::metadata::MetadataCache;
use crate::operations;
use crate::page::{Entry, Found};
use crate::preflight;
use crate::progress::Progress;
use crate::search::{compare, look_at, refuse_empty, said};
use crate::settings::Limits;
use crate::transactions::Transactions;
use crate::whole_reads;

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
    /// An update takes away most of what is there.
    pub removing: bool,
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

    /// Sends an interaction. What it would do is looked at first, and the person is asked, whichever tool it comes from.
    ///
    /// # Errors
    /// [`Failure`] with what is wrong with the resource, the person's no, or the client's error.
    pub async fn send(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.send_with(interaction, Allowed::default()).await
    }

    /// The same, saying what is allowed.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub async fn send_with(&self, interaction: &Interaction, allowed: Allowed) -> Result<Reply, Failure> {
        refuse_empty(interaction)?;
        let looked = look_at(self, interaction).await?;
        let interaction = looked.as_ref();
        let reply = if interaction.effect().is_read() {
            self.limits.toolsets.admit(interaction)?;
            self.ask(interaction).await?
        } else {
            let ready = self.ready(std::slice::from_ref(interaction), allowed).await?;
            let mut last = Err(Failure::teach("Nothing was sent."));
            for one in ready {
                last = self.carry_out(one).await;
            }
            last?
        };
        compare(self, interaction, reply.json())?;
        self.missing(graphql_lists::note(interaction, reply.json()));
        self.note(whole_reads::note(interaction, reply.json()));
        Ok(reply)
    }

    /// Looks at several steps that belong together, and asks the person once for all of them, before the first leaves.
    ///
    /// # Errors
    /// As [`Context::send`]; nothing was sent.
    pub async fn ready(&self, steps: &[Interaction], allowed: Allowed) -> Result<Vec<Ready>, Failure> {
        for step in steps {
            self.limits.toolsets.admit(step)?;
            self.may_send(step)?;
        }
        let mut looked = Vec::new();
        for step in steps {
            looked.push(preflight::look(self, step, allowed).await.inspect_err(|_| self.call.refused(step))?);
        }
        let confirmed = confirm::confirm(self, &looked, allowed).await;
        let confirmed = confirmed.inspect_err(|_| steps.iter().for_each(|step| self.call.refused(step)))?;
        self.caller.record.confirmed(confirmed);
        Ok(looked.into_iter().map(|looked| Ready(looked.interaction)).collect())
    }

    /// Sends what is ready.
    ///
    /// # Errors
    /// [`Failure`] with the client's error.
    pub async fn carry_out(&self, Ready(interaction): Ready) -> Result<Reply, Failure> {
        let acted_before = self.acted.swap(true, Ordering::Relaxed);
        let reply = self.deliver(&interaction).await.map_err(|failure| doubt::explained(failure, &interaction));
        if reply.as_ref().is_err_and(Failure::is_of_a_look) {
            self.acted.store(acted_before, Ordering::Relaxed);
        }
        // Whatever was stored before is not any more.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clear();
        reply
    }

    /// Sends a read as it is. Secrets and invisible characters are gone from what comes back; a misspelt resource type
    /// comes back with the nearest ones.
    pub(crate) async fn ask(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.only_reads(interaction)?;
        self.deliver(interaction).await
    }

    /// Whatever acts goes through [`Context::ready`]. What is closed says what opens it.
    fn only_reads(&self, interaction: &Interaction) -> Result<(), Failure> {
        if interaction.effect().is_read() {
            return Ok(());
        }
        self.may_send(interaction)?;
        Err(Failure::teach("This acts, and was not looked at. Nothing was sent."))
    }

    async fn deliver(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        self.sieve.refuse(interaction)?;
        let mut reply = self.ask_uncleansed(interaction).await?;
        self.sieve().sift_answer(interaction, &mut reply.body);
        Ok(reply)
    }

    async fn ask_uncleansed(&self, interaction: &Interaction) -> Result<Reply, Failure> {
        let reply = self.client.send(&self.call, interaction).await;
        reply.map_err(|error| {
            let failure = self.with_nearest_type(interaction, error);
            match interaction {
                Interaction::Read { resource_type, id, .. } | Interaction::VersionRead { resource_type, id, .. } => {
                    failure.of_look(|| format!("the look at {resource_type}/{id}"))
                }
                _ => failure,
            }
        })
    }

    /// Asks for a page of resources; where the page behind it is, if it can be followed: a link to another server is not.
    /// Each resource is cleansed when it is read.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub(crate) async fn page(&self, interaction: &Interaction) -> Result<(Found, Option<Interaction>), Failure> {
        self.only_reads(interaction)?;
        let page = self.client.page(&self.call, interaction).await;
        let page = page.map_err(|error| self.with_nearest_type(interaction, error))?;
        let next = self.client.next_page(&page).ok().flatten();
        let found = Found::new(page, &self.sieve());
        for outcome in &found.said {
            let outcome = outcome.resource()?;
            said::note(&said::asked(interaction), &outcome, &mut self.notes());
        }
        Ok((found, next))
    }

    /// Reads a resource, which is cleansed when it is looked at.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub(crate) async fn resource(&self, interaction: &Interaction) -> Result<Entry, Failure> {
        self.only_reads(interaction)?;
        let unread = self.client.resource(&self.call, interaction).await;
        unread
            .map(|unread| Entry::new(unread, &self.sieve()))
            .map_err(|error| self.with_nearest_type(interaction, error))
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
        self.stored_now(resource_type, id).await
    }

    /// The same as it is now, whatever was read before.
    ///
    /// # Errors
    /// As [`Context::stored`].
    pub(crate) async fn stored_now(
        &self,
        resource_type: &ResourceType,
        id: &ResourceId,
    ) -> Result<Option<Value>, Failure> {
        let name = format!("{resource_type}/{id}");
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

    fn with_nearest_type(&self, interaction: &Interaction, error: Error) -> Failure {
        if let Error::Guard { of, error } = error {
            return Failure::from(cleansed(*error)).of_look(|| format!("the look at {of}"));
        }
        let unknown = matches!(&error, Error::Outcome(outcome) if outcome.issues.iter().any(|issue| issue.text == "Unknown resource type"));
        match interaction.label().resource_type {
            Some(given)
                if unknown
                    && matches!(interaction, Interaction::Operation(_))
                    && Definitions::get().is_resource_type(given) =>
            {
                Failure::teach(format!(
                    "Medplum found no resource in the body. Pass the resource itself, such as {{\"resourceType\":\"{given}\", …}}."
                ))
            }
            Some(given) if unknown => Failure::teach(format!(
                "Medplum has no resource type \"{given}\".{} get_resource_capabilities lists them all.",
                nearest_types(given)
            )),
            _ => match no_such_path(interaction, &error, self.fhir_path().as_str()) {
                Some(means) => Failure::from(cleansed(error)).means(means),
                None => cleansed(error).into(),
            },
        }
    }
}

/// What a 404 means that is about the path or a version, and not about an id alone.
fn no_such_path(interaction: &Interaction, error: &Error, fhir_path: &str) -> Option<String> {
    if error.status() != Some(404) {
        return None;
    }
    match interaction {
        Interaction::VersionRead { resource_type, id, version } => Some(format!(
            "{resource_type}/{id} has no version {version}, or there is no {resource_type}/{id} that may be read here. Its versions: raw_request GET {fhir_path}{resource_type}/{id}/_history"
        )),
        Interaction::Operation(operation) => operations::not_found(operation),
        Interaction::Raw(raw) if !raw.is_fhir() => {
            Some("There is nothing at that path, or what it names is unknown or not visible to this client".to_owned())
        }
        Interaction::Raw(_) => Some(format!(
            "There is nothing at that path. Under {fhir_path} there are <Type>, <Type>/<id>, <Type>/<id>/_history and operations; a search of what refers to an id is <Type>?<parameter>=<Type>/<id>"
        )),
        _ => None,
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
