//! A Medplum that answers as it is told and remembers what it was asked, and a clock that stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(missing_docs, dead_code, unreachable_pub)]

pub mod reads;
pub mod scanner;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use medplum_client::{BaseUrl, Call, Client, Clock, Config, Credentials, Gate, Interaction, Open, Query, Surroundings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub const PATIENT: &str = "2758b284-b8c2-4a6a-a3cd-373d94953408";
pub const BOT: &str = "287f13cd-ce73-4f66-bb4b-28542e6acf24";
pub const MEMBER: &str = "3d7612cc-0089-428a-963b-3b2fdf4d54b9";
pub const CLIENT_ID: &str = "b2fbc58b-9d47-408a-bc6d-d8575ab5c4f5";
pub const CLIENT_SECRET: &str = "the-secret&of=this+client";

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Received {
    /// The how-manieth of its kind (token requests and others are counted apart), from 0.
    pub nth: usize,
    pub method: String,
    /// Path and query, byte by byte as they were sent.
    pub target: String,
    /// Header names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// The how-manieth connection it came over, from 0.
    pub connection: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// `GET /fhir/R4/Patient`
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The query's parameters, decoded by the `url` crate.
    pub fn query(&self) -> Vec<(String, String)> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    pub fn token(&self) -> &str {
        self.header("authorization").and_then(|text| text.strip_prefix("Bearer ")).expect("no bearer token")
    }
}

/// A query or form, decoded by the `url` crate rather than by ours.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// What the server does with a request.
pub enum Answer {
    Send {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// A head that promises more bytes than follow; then the connection is closed.
    Truncated {
        status: u16,
        body: Vec<u8>,
    },
    /// A head and some bytes, and then silence.
    Dribble {
        status: u16,
        body: Vec<u8>,
    },
    /// A head and then zeros without end, until the client goes away.
    Flood {
        headers: Vec<(String, String)>,
    },
    /// The connection is reset before a byte of the answer.
    Reset,
    /// Silence, until the client goes away.
    Silence,
    /// The answer, once the sender says true.
    Once(watch::Receiver<bool>, Box<Answer>),
    /// The answer, and then the server closes the connection without having said so.
    ThenClose(Box<Answer>),
    /// These bytes, whatever they are.
    Raw(Vec<u8>, Then),
}

/// What follows bytes that are no proper answer.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// The end of the connection.
    Close,
    /// The next request on the same connection, as if nothing were wrong.
    GoOn,
    /// The last so many of the bytes over and over, until the client goes away.
    Again(usize),
    /// Zeros, one at a time, with so long between two.
    Zeros(Duration),
    /// Nothing at once: the bytes themselves come one at a time, and then zeros, with so long between two.
    Drip(Duration),
}

/// How to make an answer, for tables of them.
pub type Making = fn() -> Answer;

impl Answer {
    pub fn fhir(status: u16, body: Value) -> Self {
        Self::of(status, "application/fhir+json; charset=utf-8", body.to_string())
    }

    pub fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Send { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    pub fn empty(status: u16) -> Self {
        Self::Send { status, headers: Vec::new(), body: Vec::new() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Send { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// A head in these words, and a body.
    pub fn raw(head: &str, body: impl AsRef<[u8]>, then: Then) -> Self {
        Self::Raw([head.as_bytes(), b"\r\n\r\n", body.as_ref()].concat(), then)
    }

    pub fn patient() -> Self {
        Self::fhir(200, json!({"resourceType": "Patient", "id": PATIENT}))
    }

    /// The resource that a path names.
    pub fn named_by(request: &Received) -> Self {
        let mut names = request.path().trim_start_matches("/fhir/R4/").split('/');
        let (of_type, id) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        Self::fhir(200, json!({"resourceType": of_type, "id": id}))
    }

    pub fn token(value: &str, expires_in: u64) -> Self {
        let body = json!({"token_type": "Bearer", "expires_in": expires_in, "access_token": value});
        Self::of(200, "application/json", body.to_string())
    }

    pub fn outcome(status: u16, id: Option<&str>, code: &str, text: &str) -> Self {
        let mut body = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "details": {"text": text}}]});
        if let Some(id) = id {
            body["id"] = id.into();
        }
        Self::fhir(status, body)
    }

    pub fn unauthorized() -> Self {
        Self::outcome(401, Some("unauthorized"), "login", "Unauthorized")
    }
}

#[derive(Default)]
struct Seen {
    api: Mutex<Vec<Received>>,
    token: Mutex<Vec<Received>>,
    looks: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    /// Connections that the client left while it was owed an answer.
    abandoned: watch::Sender<usize>,
}

/// A server on this machine that speaks just enough HTTP/1.1, so that a test sees every byte and every socket.
pub struct Server {
    pub base: String,
    seen: Arc<Seen>,
}

type Script = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

impl Server {
    /// A server whose token endpoint issues `token-0`, `token-1` … for an hour each.
    pub async fn new(api: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_tokens(|request| Answer::token(&format!("token-{}", request.nth), 3600), api).await
    }

    pub async fn with_tokens(
        token: impl Fn(&Received) -> Answer + Send + Sync + 'static,
        api: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let no_bot = |_: &Received| Answer::fhir(200, json!({"resourceType": "Bundle", "type": "searchset"}));
        Self::scripted([Arc::new(token), Arc::new(no_bot), Arc::new(api)]).await
    }

    /// A server that answers like this where it is asked whether a bot is bound to an operation's name.
    pub async fn with_looks(
        looks: impl Fn(&Received) -> Answer + Send + Sync + 'static,
        api: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let token = |request: &Received| Answer::token(&format!("token-{}", request.nth), 3600);
        Self::scripted([Arc::new(token), Arc::new(looks), Arc::new(api)]).await
    }

    async fn scripted(scripts: [Script; 3]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, connection, Arc::clone(&shared), scripts.clone()));
            }
        });
        Self { base, seen }
    }

    /// What was asked of it, without the token requests and the looks for bots.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.api.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|r| r.line().replacen("/fhir/R4", "", 1)).collect()
    }

    pub fn token_requests(&self) -> Vec<Received> {
        self.seen.token.lock().unwrap().clone()
    }

    /// The operations whose names it was asked about: whether a bot is bound to them.
    pub fn looks(&self) -> Vec<String> {
        let looks = self.seen.looks.lock().unwrap();
        looks.iter().map(|look| look.query()[0].1.clone()).collect()
    }

    /// How many sockets it accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many connections were left by the client while it was owed an answer.
    pub async fn abandoned(&self, count: usize) {
        self.seen.abandoned.subscribe().wait_for(|n| *n >= count).await.unwrap();
    }

    /// How many connections the client has left so far while it was owed an answer.
    pub fn abandoned_so_far(&self) -> usize {
        *self.seen.abandoned.borrow()
    }

    /// Waits until so many requests have come, so that what follows finds them under way.
    pub async fn received(&self, count: usize) {
        while self.requests().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn config(&self) -> Config {
        config(&self.base)
    }

    pub fn client(&self) -> Client {
        Client::new(self.config(), Open)
    }

    pub fn gated(&self, gate: impl Gate + 'static) -> Client {
        Client::new(self.config(), gate)
    }

    pub fn client_at(&self, clock: &FakeClock) -> Client {
        Client::with_surroundings(self.config(), Open, clock.surroundings())
    }
}

pub fn config(base: &str) -> Config {
    let credentials = Credentials::Client { id: CLIENT_ID.into(), secret: CLIENT_SECRET.into() };
    Config::new(BaseUrl::parse(base, true).unwrap(), credentials)
}

async fn serve(mut stream: TcpStream, connection: usize, seen: Arc<Seen>, [token, looks, api]: [Script; 3]) {
    let mut buffer = Vec::new();
    while let Some(mut request) = read_request(&mut stream, &mut buffer, connection).await {
        let (log, script) = match &request.target {
            target if target.ends_with("/oauth2/token") => (&seen.token, &token),
            target if target.contains("/OperationDefinition?code=") => (&seen.looks, &looks),
            _ => (&seen.api, &api),
        };
        {
            let mut log = log.lock().unwrap();
            request.nth = log.len();
            log.push(request.clone());
        }
        let mut answer = script(&request);
        let mut close = false;
        loop {
            answer = match answer {
                Answer::Once(mut when, then) => {
                    if when.wait_for(|go| *go).await.is_err() {
                        return;
                    }
                    *then
                }
                Answer::ThenClose(then) => {
                    close = true;
                    *then
                }
                other => {
                    answer = other;
                    break;
                }
            };
        }
        match answer {
            Answer::Send { status, headers, body } => {
                let head = head(status, &headers, Some(body.len()));
                let whole = [head.into_bytes(), body].concat();
                if stream.write_all(&whole).await.is_err() {
                    seen.abandoned.send_modify(|n| *n += 1);
                    return;
                }
                if close {
                    return;
                }
            }
            Answer::Truncated { status, body } => {
                let head = head(status, &json_type(), Some(body.len() + 1000));
                let _ = stream.write_all(&[head.into_bytes(), body].concat()).await;
                return;
            }
            Answer::Dribble { status, body } => {
                let head = head(status, &json_type(), Some(body.len() + 1000));
                let _ = stream.write_all(&[head.into_bytes(), body].concat()).await;
                gone(&mut stream, &seen).await;
                return;
            }
            Answer::Flood { headers } => {
                let mut chunk = head(200, &headers, None).into_bytes();
                while stream.write_all(&chunk).await.is_ok() {
                    chunk = vec![b'0'; 64 * 1024];
                }
                seen.abandoned.send_modify(|n| *n += 1);
                return;
            }
            Answer::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Answer::Silence => {
                gone(&mut stream, &seen).await;
                return;
            }
            Answer::Raw(bytes, then) => {
                if !raw(&mut stream, &bytes, then).await {
                    seen.abandoned.send_modify(|n| *n += 1);
                    return;
                }
                if !matches!(then, Then::GoOn) {
                    return;
                }
            }
            Answer::Once(..) | Answer::ThenClose(_) => unreachable!(),
        }
    }
}

/// Writes what it is told to; whether the client was still there in the end.
async fn raw(stream: &mut TcpStream, bytes: &[u8], then: Then) -> bool {
    let (at_once, then_slowly) = match then {
        Then::Drip(pause) => (0, Some(pause)),
        Then::Zeros(pause) => (bytes.len(), Some(pause)),
        _ => (bytes.len(), None),
    };
    if stream.write_all(&bytes[..at_once]).await.is_err() {
        return false;
    }
    if let Some(pause) = then_slowly {
        let mut bytes = bytes[at_once..].iter().copied().chain(std::iter::repeat(b'0'));
        while stream.write_all(&[bytes.next().unwrap()]).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
        return false;
    }
    if let Then::Again(last) = then {
        let again = &bytes[bytes.len().saturating_sub(last)..];
        let again = again.repeat((64 * 1024 / again.len()).max(1));
        while stream.write_all(&again).await.is_ok() {}
        return false;
    }
    true
}

/// Reads until the client closes its side.
async fn gone(stream: &mut TcpStream, seen: &Seen) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
    seen.abandoned.send_modify(|n| *n += 1);
}

fn json_type() -> Vec<(String, String)> {
    vec![("content-type".into(), "application/fhir+json".into())]
}

fn head(status: u16, headers: &[(String, String)], length: Option<usize>) -> String {
    let mut head = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length.filter(|_| status != 304 && status != 204) {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head + "\r\n"
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Received> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
    assert!(!headers.contains_key("transfer-encoding"), "a body of known length is sent with its length");
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    let body = buffer.drain(..length).collect();
    Some(Received { nth: 0, method, target, headers, body, connection })
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 8192];
    match stream.read(&mut chunk).await {
        Ok(n) if n > 0 => {
            buffer.extend_from_slice(&chunk[..n]);
            Some(())
        }
        _ => None,
    }
}

/// A clock that moves only when somebody sleeps by it or a test moves it, and that keeps count of the sleeps.
#[derive(Clone)]
pub struct FakeClock(Arc<ClockState>);

struct ClockState {
    start: Instant,
    passed: Mutex<Duration>,
    sleeps: Mutex<Vec<Duration>>,
    chance: Mutex<f64>,
}

impl FakeClock {
    pub fn new() -> Self {
        let state = ClockState {
            start: Instant::now(),
            passed: Mutex::default(),
            sleeps: Mutex::default(),
            chance: Mutex::new(0.5),
        };
        Self(Arc::new(state))
    }

    pub fn advance(&self, by: Duration) {
        *self.0.passed.lock().unwrap() += by;
    }

    pub fn set_chance(&self, chance: f64) {
        *self.0.chance.lock().unwrap() = chance;
    }

    /// The sleeps so far, in milliseconds.
    pub fn sleeps(&self) -> Vec<u128> {
        self.0.sleeps.lock().unwrap().iter().map(Duration::as_millis).collect()
    }

    pub fn surroundings(&self) -> Surroundings {
        Surroundings { clock: Arc::new(self.clone()) }
    }
}

impl Clock for FakeClock {
    fn monotonic(&self) -> Instant {
        self.0.start + *self.0.passed.lock().unwrap()
    }

    fn now(&self) -> SystemTime {
        // Sunday, 22 November 2026, 09:19:46 GMT
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_339_186) + *self.0.passed.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleeps.lock().unwrap().push(duration);
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }

    fn chance(&self) -> f64 {
        *self.0.chance.lock().unwrap()
    }
}

/// A clock that stands until a test moves it: who sleeps by it waits for that.
#[derive(Clone)]
pub struct HandClock(Arc<HandState>);

struct HandState {
    start: Instant,
    passed: watch::Sender<Duration>,
    /// How far the time of day is ahead of or behind what passed, in seconds.
    wall: Mutex<i64>,
    sleepers: AtomicUsize,
}

impl HandClock {
    pub fn new() -> Self {
        let passed = watch::Sender::new(Duration::ZERO);
        Self(Arc::new(HandState { start: Instant::now(), passed, wall: Mutex::new(0), sleepers: AtomicUsize::new(0) }))
    }

    /// Time passes for everyone; who has slept enough wakes up.
    pub async fn advance(&self, by: Duration) {
        self.0.passed.send_modify(|passed| *passed += by);
        settle().await;
    }

    /// Somebody sets the machine's clock; no time passes.
    pub fn set_wall(&self, seconds: i64) {
        *self.0.wall.lock().unwrap() = seconds;
    }

    /// How many sleep by it now.
    pub fn sleepers(&self) -> usize {
        self.0.sleepers.load(Ordering::SeqCst)
    }

    pub fn surroundings(&self) -> Surroundings {
        Surroundings { clock: Arc::new(self.clone()) }
    }
}

/// One who sleeps, counted for as long as it does.
struct Sleeper(Arc<HandState>);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn monotonic(&self) -> Instant {
        self.0.start + *self.0.passed.borrow()
    }

    fn now(&self) -> SystemTime {
        let passed = i64::try_from(self.0.passed.borrow().as_secs()).unwrap();
        let seconds = 1_795_339_186 + passed + *self.0.wall.lock().unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = *self.0.passed.borrow() + duration;
        let mut passed = self.0.passed.subscribe();
        self.0.sleepers.fetch_add(1, Ordering::SeqCst);
        let sleeper = Sleeper(Arc::clone(&self.0));
        Box::pin(async move {
            let _sleeper = sleeper;
            passed.wait_for(|passed| *passed >= until).await.unwrap();
        })
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

/// Lets every task run until it waits for something, the network of this machine among it.
pub async fn settle() {
    for _ in 0..15 {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        // Nobody has anything to do: the runtime looks at its sockets.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub fn call() -> Call {
    Call::default()
}

pub fn read_patient() -> Interaction {
    Interaction::read("Patient".parse().unwrap(), PATIENT.parse().unwrap())
}

pub fn search(query: &str) -> Interaction {
    Interaction::search("Patient".parse().unwrap(), Query::parse(query).unwrap())
}

pub fn create_patient() -> Interaction {
    Interaction::create(json!({"resourceType": "Patient"}), None).unwrap()
}

pub fn create_patient_unless(condition: &str) -> Interaction {
    let patient =
        json!({"resourceType": "Patient", "active": true, "identifier": [{"system": "urn:rec", "value": "r1"}]});
    Interaction::create(patient, Some(Query::parse(condition).unwrap())).unwrap()
}

pub fn update_patient() -> Interaction {
    Interaction::update(json!({"resourceType": "Patient", "id": PATIENT}), Some("v1".parse().unwrap())).unwrap()
}

/// An entry of a bundle.
pub fn entry(method: &str, url: &str) -> Value {
    json!({"request": {"method": method, "url": url}})
}

/// A value with one more member.
pub fn with(mut entry: Value, key: &str, value: Value) -> Value {
    entry[key] = value;
    entry
}
