//! The record of one call: what it asks of Medplum as it asks it, and how it ended.
//!
//! It is the [`Witness`] of the call, behind the gate of the one door ([`leaving`](super::leaving)): nothing leaves that it
//! does not see, and nothing that acts leaves before its intent is on the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use medplum_client::{Client, Effect, Error, Interaction, Membership, Refusal, Witness};
use ring::rand::{SecureRandom, SystemRandom};
use rmcp::model::Implementation;
use serde::Serialize;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::asked::{Asked, kind, name};
use super::leaving::cancelled;
use super::log::{AuditLog, Entry};
use super::says::{CallLine, EndOfCall, Start, members, printable, reason, written};
use super::seen::Seen;
use super::words::Words;

/// Keeps the records of a server's calls: in a log, if there is one.
#[derive(Clone)]
pub struct Recorder(Arc<Desk>);

pub(super) struct Desk {
    log: Option<Book>,
    /// Held by every call that acts, until its end is known.
    pub(super) acting: Arc<RwLock<()>>,
}

/// The log, and what stands in each of its lines.
pub(super) struct Book {
    log: AuditLog,
    /// Of this process, in the ids of its calls.
    process: String,
    calls: AtomicU64,
    /// What this process says of itself before its first line.
    start: Arc<str>,
    words: Words,
    client: Client,
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
pub(super) struct Host {
    name: String,
    version: String,
}

/// The record of one call. Clones are of the same call.
///
/// Dropped without an end, it writes that down: no intent is left without one while the process lives.
#[derive(Clone)]
pub struct Record(pub(super) Arc<Call>);

pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    about: About,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    on_behalf_of: Option<String>,
    /// The client wants no answer any more.
    pub(super) cancelled: bool,
    /// Something that acts was let out, or is about to be.
    acts: bool,
    pub(super) acting: Option<OwnedRwLockReadGuard<()>>,
    effect: Option<Effect>,
    pub(super) asked: Vec<Asked>,
    pub(super) seen: Seen,
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

    /// Whether something that acts has left.
    pub(crate) fn acts(&self) -> bool {
        self.0.state().acts
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
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn book(&self) -> Option<&Book> {
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
    pub(super) fn intend(&self, index: usize) -> std::io::Result<()> {
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
    pub(super) fn note(&self, interaction: &Interaction) -> Result<usize, Refusal> {
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

    pub(super) fn hold_back(&self, index: usize) {
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
