//! Starting a sandbox, and what the program that started it may know of it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::auth::{Client, Tokens};
use crate::data::{Data, DataError};
use crate::engine::{Config, Engine, State};
use crate::faults::Faults;
use crate::population::load::Loader;
use crate::population::{self, ids};
use crate::quota::Quota;
use crate::recorder::{RecordedRequest, Recorder};
use crate::server::{self, Shared};
use crate::source::{ClockFn, RandomFn, Source};
use crate::store::Store;

/// What the recorded server allowed in a minute.
const QUOTA: u64 = 100_000_000;

/// A Medplum in memory, behind real HTTP on loopback. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    serving: Serving,
}

/// Who serves.
#[derive(Debug)]
enum Serving {
    Task(JoinHandle<()>),
    Thread(Option<tokio::sync::oneshot::Sender<()>>),
}

/// How a [`Sandbox`] is to be.
pub struct Builder {
    port: u16,
    patients: usize,
    seed: u64,
    populated: bool,
    record_requests: bool,
    transactions_atomic: bool,
    token_lifetime: Duration,
    quota: u64,
    slow_bot_delay: Duration,
    secret: Option<String>,
    clock: Option<ClockFn>,
    random: Option<RandomFn>,
    data: Vec<Data>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            patients: 0,
            seed: 1,
            populated: true,
            record_requests: false,
            transactions_atomic: true,
            token_lifetime: Duration::from_secs(3600),
            quota: QUOTA,
            slow_bot_delay: Duration::from_secs(2),
            secret: None,
            clock: None,
            random: None,
            data: Vec::new(),
        }
    }
}

impl Builder {
    /// Listens on this port instead of one that is free.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// So many synthetic patients more than those that are always there.
    #[must_use]
    pub fn patients(mut self, patients: usize) -> Self {
        self.patients = patients;
        self
    }

    /// Which patients are made: the same seed makes the same ones.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// No patients at all, only the project itself, its members and its bots.
    #[must_use]
    pub fn unpopulated(mut self) -> Self {
        self.populated = false;
        self
    }

    /// Keeps every request, body and all, for [`Sandbox::requests`].
    #[must_use]
    pub fn record_requests(mut self) -> Self {
        self.record_requests = true;
        self
    }

    /// Whether the project has the feature `transaction-bundles`. Without it a transaction is no more than a batch.
    #[must_use]
    pub fn transactions_atomic(mut self, atomic: bool) -> Self {
        self.transactions_atomic = atomic;
        self
    }

    /// For how long a token is good: an hour, unless told otherwise.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// How many units each client may spend in a minute: a read costs 1, a search 20, a write 100.
    #[must_use]
    pub fn quota(mut self, units: u64) -> Self {
        self.quota = units;
        self
    }

    /// How long the slow bot takes.
    #[must_use]
    pub fn slow_bot_delay(mut self, delay: Duration) -> Self {
        self.slow_bot_delay = delay;
        self
    }

    /// A client secret of the caller's choice instead of a random one.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// The clock to go by, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Where ids and secrets come from, for tests: 16 bytes at a time.
    #[must_use]
    pub fn random(mut self, random: impl FnMut() -> [u8; 16] + Send + 'static) -> Self {
        self.random = Some(Box::new(random));
        self
    }

    /// Resources to begin with, beside the population.
    #[must_use]
    pub fn data(mut self, data: Data) -> Self {
        self.data.push(data);
        self
    }

    /// Resources to begin with, read from a file: NDJSON, a Bundle, or one resource.
    ///
    /// # Errors
    /// If the file cannot be read, or something in it is no resource.
    pub fn data_file(self, path: impl AsRef<std::path::Path>) -> Result<Self, DataError> {
        Ok(self.data(Data::read(path)?))
    }

    /// Starts it on the runtime that this is called on.
    ///
    /// # Errors
    /// If the port cannot be listened on.
    pub async fn start(self) -> io::Result<Sandbox> {
        let (listener, shared) = self.listen().await?;
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Sandbox { shared, serving: Serving::Task(task) })
    }

    /// Starts it on a thread of its own, for programs without a runtime and for those whose runtime must not be kept
    /// busy by it.
    ///
    /// # Errors
    /// If the port cannot be listened on, or no thread can be had.
    pub fn start_on_thread(self) -> io::Result<Sandbox> {
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                match self.listen().await {
                    Err(error) => drop(ready.send(Err(error))),
                    Ok((listener, shared)) => {
                        let _ = ready.send(Ok(Arc::clone(&shared)));
                        tokio::select! {
                            () = server::serve(listener, shared) => {}
                            _ = stopped => {}
                        }
                    }
                }
            });
        };
        std::thread::Builder::new().name("medplum-sandbox".to_owned()).spawn(run)?;
        let shared = started.recv().map_err(|_| io::Error::other("the sandbox did not start"))??;
        Ok(Sandbox { shared, serving: Serving::Thread(Some(stop)) })
    }

    async fn listen(self) -> io::Result<(TcpListener, Arc<Shared>)> {
        let listener = server::listen(self.port).await?;
        let base_url = format!("http://{}/", listener.local_addr()?);
        let (record, shared) = (self.record_requests, self.engine(base_url));
        let shared = Arc::new(Shared { engine: shared, faults: Arc::default(), recorder: Recorder::new(record) });
        Ok((listener, shared))
    }

    fn engine(self, base_url: String) -> Engine {
        let source = Source::new(self.clock, self.random);
        let admin = Client {
            id: ids::CLIENT.to_owned(),
            secret: self.secret.unwrap_or_else(|| source.secret()),
            name: "Sandbox Client".to_owned(),
            membership: ids::CLIENT_MEMBERSHIP.to_owned(),
            admin: true,
            policy: None,
        };
        let reader = Client {
            id: ids::READER.to_owned(),
            secret: source.secret(),
            name: "Sandbox Reader".to_owned(),
            membership: ids::READER_MEMBERSHIP.to_owned(),
            admin: false,
            policy: Some(ids::READER_POLICY.to_owned()),
        };
        let mut store = Store::default();
        let mut loader = Loader::new(&mut store);
        population::project(&mut loader, &[&admin, &reader]);
        if self.populated {
            population::fill(&mut loader, self.patients, self.seed);
        }
        for data in &self.data {
            data.load(&mut loader);
        }
        let config = Config {
            base_url,
            project: ids::PROJECT.to_owned(),
            clients: vec![Arc::new(admin), Arc::new(reader)],
            token_lifetime: self.token_lifetime,
            transactions_atomic: self.transactions_atomic,
            slow_bot_delay: self.slow_bot_delay,
        };
        let state = State {
            store,
            tokens: Tokens::default(),
            quota: Quota::new(self.quota),
            contents: HashMap::new(),
            terminology_loaded: false,
        };
        Engine::new(config, source, state)
    }
}

impl Sandbox {
    /// How it is to be; then [`Builder::start`].
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn secret_of(&self, id: &str) -> &str {
        let clients = &self.shared.engine.config.clients;
        clients.iter().find(|client| client.id == id).map_or("", |client| &client.secret)
    }

    /// Where it is: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.engine.config.base_url
    }

    /// The client that is an administrator of the project.
    #[must_use]
    pub fn client_id(&self) -> &'static str {
        ids::CLIENT
    }

    /// The administrator's secret.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        self.secret_of(ids::CLIENT)
    }

    /// A client that is no administrator, and reads patients, practitioners and observations alone.
    #[must_use]
    pub fn reader_client_id(&self) -> &'static str {
        ids::READER
    }

    /// The reader's secret.
    #[must_use]
    pub fn reader_client_secret(&self) -> &str {
        self.secret_of(ids::READER)
    }

    /// The id of the project.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.shared.engine.config.project
    }

    /// The member on whose behalf the administrator's client may act: `ProjectMembership/<uuid>`. The member works at
    /// the front desk: writes patients, appointments and tasks, reads observations, encounters, practitioners and
    /// organizations, and sees nothing else.
    #[must_use]
    pub fn membership(&self) -> String {
        format!("ProjectMembership/{}", ids::MEMBERSHIP)
    }

    /// The id of that member's Practitioner.
    #[must_use]
    pub fn member_id(&self) -> &'static str {
        ids::MEMBER
    }

    /// A bot that answers with what it was given.
    #[must_use]
    pub fn echo_bot(&self) -> &'static str {
        ids::ECHO_BOT
    }

    /// A bot that fails with a 400.
    #[must_use]
    pub fn failing_bot(&self) -> &'static str {
        ids::FAILING_BOT
    }

    /// A bot that takes its time.
    #[must_use]
    pub fn slow_bot(&self) -> &'static str {
        ids::SLOW_BOT
    }

    /// The name of an operation that the echo bot carries out, without its dollar sign.
    #[must_use]
    pub fn bot_operation(&self) -> &'static str {
        "my-op"
    }

    /// The id of the patient in whose chart a note carries an instruction that nobody should follow.
    #[must_use]
    pub fn injected_patient(&self) -> &'static str {
        ids::INJECTED_PATIENT
    }

    /// The requests so far, if they are kept.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.recorder.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.recorder.clear();
    }

    /// What goes wrong, set from outside.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Every version of every resource of a type, each resource's oldest first: its id, and the resource as it was
    /// given; none where that version is its deletion.
    #[must_use]
    pub fn history(&self, resource_type: &str) -> Vec<(String, Option<serde_json::Value>)> {
        let state = self.shared.engine.state();
        let records = state.store.of_type(resource_type).into_iter().flat_map(|of_type| &of_type.records);
        let versions = records.flat_map(|record| record.versions.iter().map(|v| (record.id.to_string(), v.parse())));
        versions.collect()
    }

    /// How many resources there are that are not deleted.
    #[must_use]
    pub fn resource_count(&self) -> usize {
        let state = self.shared.engine.state();
        let types: Vec<&str> = state.store.types().collect();
        types.iter().filter_map(|of_type| state.store.of_type(of_type)).map(|of_type| of_type.live.len()).sum()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        match &mut self.serving {
            Serving::Task(task) => task.abort(),
            Serving::Thread(stop) => drop(stop.take()),
        }
    }
}
