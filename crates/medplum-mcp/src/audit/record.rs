//! The record of one call: what it asks of Medplum as it asks it, and how it ended.
//!
//! It is the [`Witness`] of the call, behind the gate of the one door: nothing leaves that it does not see, and nothing
//! that acts leaves before its intent is on the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use medplum_client::{Came, Client, Effect, Ended, Error, GraphQl, Interaction, Membership, Passage, Refusal, Witness};
use ring::rand::{SecureRandom, SystemRandom};
use rmcp::model::Implementation;
use serde::Serialize;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::asked::{Asked, kind, name};
use super::log::{AuditLog, Entry};
use super::seen::Seen;
use super::words::Words;

/// Keeps the records of a server's calls: in a log, if there is one.
#[derive(Clone)]
pub struct Recorder(Arc<Desk>);

struct Desk {
    log: Option<Book>,
    /// Held by every call that acts, until its end is known.
    acting: Arc<RwLock<()>>,
}

/// The log, and what stands in each of its lines.
struct Book {
    log: AuditLog,
    /// Of this process, in the ids of its calls.
    process: String,
    calls: AtomicU64,
    /// What this process says of itself before its first line.
    start: Arc<str>,
    words: Words,
    client: Client,
}

/// What a process says of itself.
#[derive(Serialize)]
struct Start<'a> {
    time: String,
    line: &'a str,
    process: &'a str,
    pid: u32,
    version: &'a str,
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_in_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a str>,
    writes: bool,
}

impl Recorder {
    /// Records to a log, for a server over this client.
    ///
    /// # Errors
    /// If the machine has no randomness.
    pub fn to(log: AuditLog, client: &Client, writes: bool) -> std::io::Result<Self> {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| std::io::Error::other("no randomness"))?;
        let process = format!("{:016x}", u64::from_be_bytes(random));
        let config = client.config();
        let start = Start {
            time: written(client.time_of_day()),
            line: "start",
            process: &process,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            server: config.base_url.as_str(),
            signs_in_as: match &config.credentials {
                medplum_client::Credentials::Client { id, .. } => Some(id),
                medplum_client::Credentials::AccessToken(_) => None,
            },
            on_behalf_of: config.on_behalf_of.as_ref().map(Membership::as_str),
            writes,
        };
        let start = members(&start)?.into();
        let calls = AtomicU64::new(0);
        let book = Book { log, process, calls, start, words: Words::default(), client: client.clone() };
        Ok(Self(Arc::new(Desk { log: Some(book), acting: Arc::default() })))
    }

    /// Keeps no log. What acts is still carried to its end.
    pub fn without_log() -> Self {
        Self(Arc::new(Desk { log: None, acting: Arc::default() }))
    }

    /// The record of a call that begins now. `tool` is a name of ours, never one that was given.
    /// Who calls is asked for the log alone.
    pub fn begin(&self, tool: &'static str, host: impl FnOnce() -> Option<Implementation>) -> Record {
        let call = self.0.log.as_ref().map(|book| {
            let number = book.calls.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            format!("{}-{number}", book.process)
        });
        let configured = self.0.log.as_ref().and_then(|book| book.client.config().on_behalf_of.as_ref());
        let about = About {
            call: call.unwrap_or_default(),
            tool,
            host: self
                .0
                .log
                .as_ref()
                .and_then(|_| host())
                .map(|host| Host { name: printable(&host.name), version: printable(&host.version) }),
        };
        let state = State { on_behalf_of: configured.map(|m| m.as_str().to_owned()), ..State::default() };
        Record(Arc::new(Call { desk: Arc::clone(&self.0), about, started: Instant::now(), state: Mutex::new(state) }))
    }

    /// Waits until whatever acts has come to its end, for so long at the most. Nothing that acts begins any more.
    pub async fn settle(&self, patience: Duration) {
        if let Ok(nobody_acts) = tokio::time::timeout(patience, self.0.acting.write()).await {
            // Kept for good.
            std::mem::forget(nobody_acts);
        }
    }
}

/// What is known of a call before it runs.
#[derive(Debug)]
struct About {
    call: String,
    tool: &'static str,
    host: Option<Host>,
}

/// The MCP client, as it calls itself.
#[derive(Debug, Serialize)]
struct Host {
    name: String,
    version: String,
}

/// The record of one call. Clones are of the same call.
///
/// Dropped without an end, it writes that down: no intent is left without one while the process lives.
#[derive(Clone)]
pub struct Record(Arc<Call>);

struct Call {
    desk: Arc<Desk>,
    about: About,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    on_behalf_of: Option<String>,
    /// The client wants no answer any more.
    cancelled: bool,
    /// Something that acts was let out, or is about to be.
    acts: bool,
    acting: Option<OwnedRwLockReadGuard<()>>,
    effect: Option<Effect>,
    asked: Vec<Asked>,
    seen: Seen,
    /// The numbers of the intents in the log.
    intents: Vec<u64>,
    error: Option<&'static str>,
    /// Whether a person said yes to what acts.
    confirmed: Option<Confirmed>,
    /// How it ends without an error, where that is for the person's sake.
    stopped: Option<Ending>,
    ended: bool,
}

impl State {
    /// Whether something that acts was carried out, and something else was not.
    fn is_partial(&self) -> bool {
        let mut acting = self.asked.iter().filter(|asked| asked.acts());
        acting.clone().any(Asked::is_done) && !acting.all(Asked::is_done)
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// With an answer.
    Answered,
    /// This server refused it: its arguments, its limits, or what stands against it in the record.
    Refused,
    /// With a question to the person: the call is made again with the answer.
    Asked,
    /// The person did not want it.
    Declined,
    /// Medplum refused it, or could not be reached.
    Failed,
    /// A part was carried out, and the rest was not, or may not have been: each says so for itself.
    Partial,
    /// Its client cancelled it before it did anything.
    Cancelled,
    /// The server ended, or failed within, before the call did.
    Interrupted,
}

/// Whether a person said yes to what acts, and why not, where nobody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Confirmed {
    /// A person was asked, and said yes; so says the client.
    #[serde(rename = "person")]
    Person,
    /// The operator wants nobody to be asked.
    #[serde(rename = "not asked: never")]
    Never,
    /// The client cannot ask, and need not.
    #[serde(rename = "not asked: client cannot ask")]
    CannotAsk,
    /// One new resource is stored, which nobody is asked about.
    #[serde(rename = "not asked: creation")]
    Creation,
}

/// A line about a call.
#[derive(Serialize)]
struct CallLine<'a> {
    time: String,
    line: &'a str,
    call: &'a str,
    tool: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a Host>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<Confirmed>,
    asked: &'a [Asked],
    #[serde(flatten)]
    end: Option<EndOfCall<'a>>,
}

#[derive(Serialize)]
struct EndOfCall<'a> {
    #[serde(flatten)]
    seen: &'a Seen,
    outcome: Ending,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// Its client did not wait for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
    ms: u64,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    intents: &'a [u64],
}

/// The log could not take a line.
#[derive(Debug)]
pub struct Unwritten {
    /// What the system said.
    pub reason: String,
    /// Whether the call acted. What was done is told all the same; what was only read is not.
    pub acted: bool,
    /// Whether anything was asked of Medplum.
    pub asked: bool,
}

impl Record {
    /// The call's witness, for the client.
    pub fn witness(&self) -> Arc<dyn Witness> {
        Arc::new(self.clone())
    }

    /// The call is made on this membership's behalf.
    pub fn on_behalf_of(&self, membership: &Membership) {
        self.0.state().on_behalf_of = Some(membership.as_str().to_owned());
    }

    /// Why the call has no answer, if the client knows why.
    pub fn failed(&self, error: Option<&Error>) {
        self.0.state().error = error.filter(|e| !matches!(e, Error::Refused(_) | Error::Invalid(_))).map(kind);
    }

    /// What acts was let through by a person, or without one.
    pub(crate) fn confirmed(&self, confirmed: Confirmed) {
        self.0.state().confirmed = Some(confirmed);
    }

    /// The call ends for the person's sake, without an error.
    pub(crate) fn stopped(&self, ending: Ending) {
        self.0.state().stopped = Some(ending);
    }

    /// How a call ended that gave an answer, or an error.
    pub fn ending(&self, answered: bool) -> Ending {
        let state = self.0.state();
        match (answered, state.error) {
            (true, _) => state.stopped.unwrap_or(Ending::Answered),
            (false, _) if state.is_partial() => Ending::Partial,
            (false, None) if state.cancelled => Ending::Cancelled,
            (false, None) => Ending::Refused,
            (false, Some(_)) => Ending::Failed,
        }
    }

    /// The resource that a refused interaction would have written stands in the record too.
    pub(crate) fn refused(&self, interaction: &Interaction) {
        self.0.refused(interaction);
    }

    /// Waits for a call until its client cancels it. A call that acts is carried on then, without an answer; one that
    /// does not is dropped at once.
    pub async fn unless_cancelled<T: Send + 'static>(
        &self,
        cancelled: impl Future<Output = ()>,
        mut call: BoxFuture<'static, T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = cancelled => {}
            answer = &mut call => return Some(answer),
        }
        if self.cancel() {
            tokio::spawn(call);
        } else {
            drop(call);
            if let Err(unwritten) = self.end(Ending::Cancelled).await {
                tracing::error!(reason = unwritten.reason, "the audit log cannot be written");
            }
        }
        None
    }

    /// Nobody waits for the answer any more: nothing else leaves. Says whether something that acts has left.
    fn cancel(&self) -> bool {
        let mut state = self.0.state();
        state.cancelled = true;
        state.acts
    }

    /// Writes how the call ended.
    ///
    /// # Errors
    /// [`Unwritten`] if the log does not take it.
    pub async fn end(&self, ending: Ending) -> Result<(), Unwritten> {
        let Some((entry, intended)) = self.0.last_line(ending) else { return Ok(()) };
        let Some(book) = &self.0.desk.log else { return Ok(()) };
        let at_once = if intended { None } else { book.log.try_append(&entry) };
        let written = match at_once {
            Some(written) => written.map(drop),
            None => {
                let call = Arc::clone(&self.0);
                let blocking = tokio::task::spawn_blocking(move || call.append_last(&entry, intended));
                blocking.await.unwrap_or_else(|_| Err(std::io::Error::other("the writer failed")))
            }
        };
        // Only now is the call at its end, for whoever waits for those that act.
        let (acted, asked) = {
            let mut state = self.0.state();
            state.acting = None;
            (intended, !state.asked.is_empty())
        };
        written.map_err(|error| Unwritten { reason: reason(&error), acted, asked })
    }
}

impl Call {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> Option<&Book> {
        self.desk.log.as_ref()
    }

    /// The last line of the call, once; and whether it ends intents.
    fn last_line(&self, ending: Ending) -> Option<(Entry, bool)> {
        let mut state = self.state();
        if std::mem::replace(&mut state.ended, true) {
            return None;
        }
        state.asked.iter_mut().for_each(Asked::unanswered);
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let end = EndOfCall {
            seen: &state.seen,
            outcome: ending,
            error: state.error,
            cancelled: state.cancelled,
            ms,
            intents: &state.intents,
        };
        let intended = !state.intents.is_empty();
        let line = if intended { "end" } else { "call" };
        let entry = self.entry(line, &state, &state.asked, Some(end))?;
        Some((entry, intended))
    }

    /// A line about this call; none without a log.
    fn entry(&self, line: &str, state: &State, asked: &[Asked], end: Option<EndOfCall<'_>>) -> Option<Entry> {
        let book = self.book()?;
        let says = CallLine {
            time: written(book.client.time_of_day()),
            line,
            call: &self.about.call,
            tool: self.about.tool,
            effect: state.effect.map(name),
            on_behalf_of: state.on_behalf_of.as_deref(),
            client: self.about.host.as_ref(),
            confirmed: state.confirmed,
            asked,
            end,
        };
        Some(Entry { says: members(&says).ok()?, start: Arc::clone(&book.start) })
    }

    /// Blocks.
    fn append_last(&self, entry: &Entry, intended: bool) -> std::io::Result<()> {
        let Some(book) = self.book() else { return Ok(()) };
        let written = book.log.append(entry)?;
        if intended { written.sync() } else { Ok(()) }
    }

    /// Puts the intent of an interaction on the disk. Blocks.
    fn intend(&self, index: usize) -> std::io::Result<()> {
        let Some(book) = self.book() else { return Ok(()) };
        let entry = {
            let state = self.state();
            let asked = state.asked.get(index).map(std::slice::from_ref).unwrap_or_default();
            self.entry("intent", &state, asked, None)
        };
        let entry = entry.ok_or_else(|| std::io::Error::other("the line cannot be written"))?;
        let written = book.log.append(&entry)?;
        // It stands there from now on, and needs its end, whatever the disk says next.
        self.state().intents.push(written.seq);
        written.sync()
    }

    /// An interaction is not sent.
    fn refused(&self, interaction: &Interaction) {
        let Some(book) = self.book() else { return };
        let mut asked = Asked::of(interaction, &book.words);
        asked.refused();
        self.state().asked.push(asked);
    }

    /// Takes note of an interaction that is about to leave; refuses if nobody waits for it.
    fn note(&self, interaction: &Interaction) -> Result<usize, Refusal> {
        let effect = interaction.effect();
        let mut state = self.state();
        if state.cancelled {
            drop(state);
            self.refused(interaction);
            return Err(cancelled());
        }
        state.acts |= !effect.is_read();
        state.effect = state.effect.max(Some(effect));
        if let Some(book) = self.book() {
            state.asked.push(Asked::of(interaction, &book.words));
        }
        Ok(state.asked.len().saturating_sub(1))
    }

    fn hold_back(&self, index: usize) {
        if let Some(asked) = self.state().asked.get_mut(index) {
            asked.refused();
        }
    }
}

/// Dropped without an end: by a panic in the call, or at the end of the server.
impl Drop for Call {
    fn drop(&mut self) {
        if let Some((entry, intended)) = self.last_line(Ending::Interrupted)
            && let Err(error) = self.append_last(&entry, intended)
        {
            tracing::error!(reason = reason(&error), "the audit log cannot be written");
        }
    }
}

impl Witness for Record {
    fn leaves<'a>(&'a self, interaction: &'a Interaction) -> BoxFuture<'a, Result<Box<dyn Passage>, Refusal>> {
        async move {
            let call = &self.0;
            let index = call.note(interaction)?;
            if !interaction.effect().is_read() {
                call.act(index).await?;
            }
            let holds = match interaction {
                _ if call.book().is_none() => Holds::Nothing,
                Interaction::Metadata | Interaction::BoundBot(_) => Holds::Nothing,
                Interaction::GraphQl(document) => Holds::WhatIsAsked(Box::new(document.clone())),
                Interaction::Operation(_) | Interaction::ExecuteBot { .. } | Interaction::Raw(_) => Holds::Anything,
                _ => Holds::Resources,
            };
            let passage = Going { call: Arc::clone(call), index, started: Instant::now(), holds };
            Ok(Box::new(passage) as Box<dyn Passage>)
        }
        .boxed()
    }

    fn refused(&self, interaction: &Interaction) {
        Self::refused(self, interaction);
    }
}

impl Call {
    /// Before something that acts leaves.
    async fn act(self: &Arc<Self>, index: usize) -> Result<(), Refusal> {
        if self.state().acting.is_none() {
            let acting = Arc::clone(&self.desk.acting).read_owned().await;
            self.state().acting = Some(acting);
        }
        let call = Arc::clone(self);
        let intent = async {
            match self.book() {
                Some(_) => {
                    tokio::task::spawn_blocking(move || call.intend(index)).await.map_err(std::io::Error::other)?
                }
                None => Ok(()),
            }
        };
        if let Err(error) = intent.await {
            self.hold_back(index);
            tracing::error!(reason = reason(&error), "the audit log cannot be written: nothing that acts is sent");
            return Err(Refusal::new(format!(
                "The audit log cannot be written ({}), and nothing is changed that is not recorded first. The operator puts the file in MEDPLUM_AUDIT_LOG right; then the same call works. The request was not sent.",
                reason(&error)
            )));
        }
        if self.state().cancelled {
            self.hold_back(index);
            return Err(cancelled());
        }
        Ok(())
    }
}

/// An interaction on its way.
struct Going {
    call: Arc<Call>,
    index: usize,
    started: Instant,
    holds: Holds,
}

/// Where the resources of an answer are.
enum Holds {
    /// It is not looked at.
    Nothing,
    /// It is one, or a bundle of them.
    Resources,
    /// Where the document asks for them.
    WhatIsAsked(Box<GraphQl>),
    /// Anywhere.
    Anything,
}

impl Passage for Going {
    fn again(&mut self) -> Result<(), Refusal> {
        if self.call.state().cancelled { Err(cancelled()) } else { Ok(()) }
    }

    fn ended(self: Box<Self>, end: &Ended<'_>) {
        let mut state = self.call.state();
        match (&self.holds, &end.came) {
            (Holds::Nothing, _) | (_, Err(_)) => {}
            (_, Ok(Came::Page(page))) => state.seen.take_page(page),
            (_, Ok(Came::Resource(resource))) => state.seen.take_unread(resource),
            (holds, Ok(Came::Reply(reply))) => match holds {
                Holds::WhatIsAsked(document) => state.seen.take_graphql(&document.resources_in(reply.json())),
                Holds::Anything => state.seen.take_anywhere(reply.json()),
                _ => state.seen.take(reply.json()),
            },
        }
        if let Some(asked) = state.asked.get_mut(self.index) {
            asked.ended(end, self.started.elapsed());
        }
    }
}

fn cancelled() -> Refusal {
    Refusal::new("The call was cancelled, and nothing more is sent for it.")
}

/// The members of a line, without the braces.
fn members(line: &impl Serialize) -> std::io::Result<String> {
    let text = serde_json::to_string(line)?;
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    inner.map(str::to_owned).ok_or_else(|| std::io::Error::other("not an object"))
}

/// A moment in UTC, to the millisecond.
fn written(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// What the system said, without a path.
fn reason(error: &std::io::Error) -> String {
    error.kind().to_string()
}

/// What a host calls itself, if it is a name.
fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(80).collect()
}
