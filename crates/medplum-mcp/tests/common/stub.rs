//! A stand-in for Medplum's API on loopback. It notes every request that reaches it, and answers as it was told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::{SECRET, TOKEN, VERSION};

/// A request as it reached the stub.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// The path with its query, as it was encoded.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    /// `GET /fhir/R4/Patient/1`
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What the stub says.
#[derive(Debug, Clone)]
pub struct Says {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Says {
    pub fn json(status: u16, body: &Value) -> Self {
        Self { content_type: "application/fhir+json; charset=utf-8", ..Self::bytes(status, "", body.to_string()) }
    }

    pub fn bytes(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    pub fn outcome(status: u16, id: Option<&str>, text: &str) -> Self {
        let issue = json!([{"severity": "error", "code": "invalid", "details": {"text": text}}]);
        let mut outcome = json!({"resourceType": "OperationOutcome", "issue": issue});
        if let Some(id) = id {
            outcome["id"] = id.into();
        }
        Self::json(status, &outcome)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Look = Box<dyn Fn(&Asked) + Send>;

#[derive(Default)]
struct Desk {
    asked: Mutex<Vec<Asked>>,
    /// What is said next, before anything usual.
    next: Mutex<VecDeque<Says>>,
    /// What is said to requests that begin like this.
    given: Mutex<Vec<(String, Says)>>,
    /// What the answer that is lost is to.
    lost: Mutex<Option<String>>,
    /// What is said where somebody asks whether a bot is bound to an operation's name; none is, usually.
    bots: Mutex<Option<Says>>,
    /// Who looks at each request before it is answered.
    look: Mutex<Option<Look>>,
    /// Whether answers are kept back.
    held: watch::Sender<bool>,
}

/// The stub. Dropping it stops it.
pub struct Stub {
    pub url: String,
    desk: Arc<Desk>,
    stop: Option<oneshot::Sender<()>>,
}

impl Stub {
    pub fn start() -> Self {
        let desk = Arc::new(Desk::default());
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let (its_desk, its_url) = (Arc::clone(&desk), url.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let app = axum::Router::new().fallback(answer).with_state((its_desk, its_url));
                tokio::select! {
                    _ = stopped => {}
                    served = async { axum::serve(listener, app).await } => served.unwrap(),
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        Self { url, desk, stop: Some(stop) }
    }

    /// What is said to the next request that is not for a token.
    pub fn say(&self, says: Says) {
        self.desk.next.lock().unwrap().push_back(says);
    }

    /// What is said from now on to requests that begin like this: `POST /fhir/R4/Patient`.
    pub fn say_to(&self, start: &str, says: Says) {
        self.desk.given.lock().unwrap().push((start.to_owned(), says));
    }

    /// The answers to requests that begin like this are lost at a gateway, until [`Stub::taken`].
    pub fn lose(&self, start: &str) {
        *self.desk.lost.lock().unwrap() = Some(start.to_owned());
    }

    /// What is said from now on where somebody asks whether a bot is bound to an operation's name.
    pub fn say_of_bots(&self, says: Says) {
        *self.desk.bots.lock().unwrap() = Some(says);
    }

    /// Looks at each request as it comes, before it is answered.
    pub fn look(&self, look: impl Fn(&Asked) + Send + 'static) {
        *self.desk.look.lock().unwrap() = Some(Box::new(look));
    }

    /// Answers nothing but sign-ins until [`Stub::release`].
    pub fn hold(&self) {
        self.desk.held.send_replace(true);
    }

    /// What holds and releases, for who looks at requests.
    pub fn holder(&self) -> watch::Sender<bool> {
        self.desk.held.clone()
    }

    pub fn release(&self) {
        self.desk.held.send_replace(false);
    }

    /// Waits for a request that begins like this: `POST /fhir/R4/Patient`.
    #[track_caller]
    pub fn wait_for(&self, start: &str) {
        let started = std::time::Instant::now();
        while !self.desk.asked.lock().unwrap().iter().any(|asked| asked.line().starts_with(start)) {
            assert!(started.elapsed() < super::host::PATIENCE, "{start} does not come");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Everything that reached the stub so far, and forgets it.
    pub fn taken(&self) -> Vec<Asked> {
        self.desk.next.lock().unwrap().clear();
        *self.desk.lost.lock().unwrap() = None;
        std::mem::take(&mut *self.desk.asked.lock().unwrap())
    }

    /// Every request line so far, and forgets them.
    pub fn lines_of_all(&self) -> Vec<String> {
        self.taken().iter().map(Asked::line).collect()
    }

    /// The request lines so far, but those of signing in, of the capability statement and of the look for a bot before an
    /// operation; and forgets them.
    pub fn lines(&self) -> Vec<String> {
        let around = |asked: &Asked| {
            ["/oauth2/token", "/fhir/R4/metadata"].contains(&asked.target.as_str()) || is_look(&asked.target)
        };
        self.taken().iter().filter(|asked| !around(asked)).map(Asked::line).collect()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

async fn answer(State((desk, url)): State<(Arc<Desk>, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec(),
    };
    desk.asked.lock().unwrap().push(asked.clone());
    if let Some(look) = &*desk.look.lock().unwrap() {
        look(&asked);
    }
    if asked.target != "/oauth2/token" {
        let _ = desk.held.subscribe().wait_for(|held| !held).await;
    }
    let given = |desk: &Desk| {
        let given = desk.given.lock().unwrap();
        given.iter().rfind(|(start, _)| asked.line().starts_with(start)).map(|(_, says)| says.clone())
    };
    let told = || given(&desk).or_else(|| desk.next.lock().unwrap().pop_front());
    let says = match asked.target.as_str() {
        "/oauth2/token" => token(&asked),
        _ if is_lost(&desk, &asked) => Says::bytes(503, "text/html", "<h1>Service Unavailable</h1>"),
        target if is_look(target) => desk.bots.lock().unwrap().clone().unwrap_or_else(|| usual(&asked, &url)),
        _ => told().unwrap_or_else(|| usual(&asked, &url)),
    };
    let mut response = Response::new(Body::from(says.body));
    *response.status_mut() = StatusCode::from_u16(says.status).unwrap();
    response.headers_mut().insert("content-type", says.content_type.parse().unwrap());
    for (name, value) in says.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn is_lost(desk: &Desk, asked: &Asked) -> bool {
    desk.lost.lock().unwrap().as_ref().is_some_and(|start| asked.line().starts_with(start.as_str()))
}

fn is_look(target: &str) -> bool {
    target.starts_with("/fhir/R4/OperationDefinition?code=")
}

fn token(asked: &Asked) -> Says {
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    if form.contains(&format!("client_secret={SECRET}")) {
        Says::json(200, &json!({"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN}))
    } else {
        Says::json(400, &json!({"error": "invalid_request", "error_description": "Invalid secret"}))
    }
}

fn parameters(one: Value) -> Value {
    json!({"resourceType": "Parameters", "parameter": [one]})
}

/// Something plausible for whatever is asked: everything exists, and every write is carried out.
fn usual(asked: &Asked, url: &str) -> Says {
    let path = asked.target.split('?').next().unwrap_or_default();
    let Some(rest) = path.strip_prefix("/fhir/R4") else {
        return Says::json(200, &json!({"asked": path}));
    };
    let steps: Vec<&str> = rest.split('/').filter(|step| !step.is_empty()).collect();
    // As Medplum does, a search by POST is shown as the URL that it stands for.
    let target = match asked.target.strip_suffix("/_search") {
        Some(searched) => format!("{searched}?{}", String::from_utf8_lossy(&asked.body)),
        None => asked.target.clone(),
    };
    let link = json!([{"relation": "self", "url": format!("{}{target}", url.trim_end_matches('/'))}]);
    let searchset = || json!({"resourceType": "Bundle", "type": "searchset", "total": 0, "link": link});
    let versioned = |says: Says| says.with("etag", format!("W/\"{VERSION}\""));
    match (asked.method.as_str(), steps.as_slice()) {
        ("GET", ["metadata"]) => Says::json(200, &json!({"resourceType": "CapabilityStatement", "rest": []})),
        ("POST", []) => {
            let bundle = asked.json();
            let entries: Vec<Value> = bundle["entry"].as_array().into_iter().flatten().map(entry_answer).collect();
            Says::json(200, &json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries}))
        }
        ("POST", ["$graphql"]) => Says::json(200, &json!({"data": {"Patient": {"id": "1"}}})),
        (_, [.., "$everything"]) => Says::json(200, &searchset()),
        (_, [.., "$expand"]) => Says::json(200, &json!({"resourceType": "ValueSet", "expansion": {"contains": []}})),
        (_, [.., "$lookup"]) => Says::json(200, &parameters(json!({"name": "display", "valueString": "A code"}))),
        (_, [.., "$validate-code" | "$translate"]) => {
            Says::json(200, &parameters(json!({"name": "result", "valueBoolean": true})))
        }
        (_, [.., last]) if last.starts_with('$') => {
            let parameter = json!([{"name": "result", "valueBoolean": true}]);
            Says::json(200, &json!({"resourceType": "Parameters", "parameter": parameter}))
        }
        ("POST", [_, "_search"]) | ("GET", [_] | []) => Says::json(200, &searchset()),
        ("GET", [_, _, "_history"]) => Says::json(200, &json!({"resourceType": "Bundle", "type": "history"})),
        ("GET", [of_type, id, ..]) => versioned(Says::json(200, &resource(of_type, id))),
        ("POST" | "PUT", [_, ..]) => {
            let mut stored = asked.json();
            if stored.is_object() {
                stored["id"] = stored.get("id").cloned().unwrap_or_else(|| "1".into());
                stored["meta"] = json!({"versionId": VERSION});
            }
            versioned(Says::json(if asked.method == "POST" { 201 } else { 200 }, &stored))
        }
        ("PATCH", [of_type, id]) => versioned(Says::json(200, &resource(of_type, id))),
        ("DELETE", _) => Says::outcome(200, Some("ok"), "All OK"),
        _ => Says::outcome(404, Some("not-found"), "Not found"),
    }
}

/// An entry's answer: a search by ids finds them all, and nobody refers to anything.
fn entry_answer(entry: &Value) -> Value {
    let text = |name: &str| entry["request"][name].as_str().unwrap_or_default();
    let url = text("url");
    let (of_type, query) = url.split_once('?').unwrap_or((url, ""));
    let named = of_type.split_once('/').filter(|(_, id)| !id.contains(['$', '/']));
    let brought = match (text("method"), named) {
        ("GET" | "PUT" | "PATCH", Some((of_type, id))) => Some(resource(of_type, id)),
        ("POST", None) if !of_type.contains('$') => Some(resource(of_type, "1")),
        ("DELETE", _) => return json!({"response": {"status": "200"}}),
        _ => None,
    };
    if let Some(brought) = brought {
        return json!({"response": {"status": "200"}, "resource": brought});
    }
    let ids = query.split('&').find_map(|pair| pair.strip_prefix("_id=")).unwrap_or_default();
    let found = ids.split(',').filter(|id| !id.is_empty()).map(|id| json!({"resource": resource(of_type, id)}));
    let mut found = json!({"resourceType": "Bundle", "type": "searchset", "entry": found.collect::<Vec<_>>()});
    if query.contains("_summary=count") || query.contains("_total=accurate") {
        found["total"] = 0.into();
    }
    json!({"response": {"status": "200"}, "resource": found})
}

fn resource(of_type: &str, id: &str) -> Value {
    let mut resource = json!({"resourceType": of_type, "id": id, "meta": {"versionId": VERSION}});
    if ["CodeSystem", "ConceptMap", "ValueSet"].contains(&of_type) {
        resource["url"] = format!("http://example.com/{of_type}/{id}").into();
    }
    resource
}
