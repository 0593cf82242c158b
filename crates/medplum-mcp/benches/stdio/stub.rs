//! As much of Medplum as the benchmark asks for, from memory, on a thread of its own.

use std::{collections::HashMap, net::SocketAddr, sync::mpsc, thread};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::header,
    response::IntoResponse,
    routing::{get, post},
    serve::ListenerExt,
};

/// How many observations there are, and how many of them stand on a page.
pub(crate) const OBSERVATIONS: usize = 5_000;
const A_PAGE: usize = 1_000;

/// The patient that everybody reads.
pub(crate) const PATIENT: &str = "3f2b4c1e-8d6a-4f0b-9c7e-1a2b3c4d5e6f";

pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
}

impl Stub {
    pub(crate) fn start() -> Self {
        let (sender, address) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                sender.send(listener.local_addr().expect("an address")).expect("a listener");
                let base = format!("http://{}/fhir/R4/", listener.local_addr().expect("an address"));
                let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("no delay"));
                axum::serve(listener, routes(&base)).await.expect("to serve");
            });
        });
        Self { address: address.recv().expect("an address") }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

fn routes(base: &str) -> Router {
    Router::new()
        .route("/oauth2/token", post(token))
        .route("/fhir/R4/Patient/{id}", get(patient))
        .route("/fhir/R4/Patient", get(page))
        .route("/fhir/R4/Observation", get(observations))
        .route("/fhir/R4/Patient/{id}/$everything", get(everything))
        .route("/fhir/R4/OperationDefinition", get(no_bot))
        .with_state(Pages::new(base))
}

/// Everything that is sent was written before: what is measured is not the stub.
#[derive(Clone)]
struct Pages {
    patients: Vec<Bytes>,
    observations: Vec<Bytes>,
    chart: Bytes,
}

impl Pages {
    fn new(base: &str) -> Self {
        let patients = [20, 100].map(|count| {
            searchset(
                &format!("{base}Patient?_count={count}&_sort=_lastUpdated&name=Testpatient"),
                None,
                (0..count).map(|n| ("Patient", record(&id(n)))),
            )
        });
        let pages = OBSERVATIONS / A_PAGE;
        let observations = (0..pages).map(|page| {
            let link = |page: usize| format!("{base}Observation?_count={A_PAGE}&_sort=_lastUpdated&code=http%3A%2F%2Floinc.org%7C4548-4&_cursor=2-{page}");
            let entries = (page * A_PAGE..(page + 1) * A_PAGE).map(|n| ("Observation", observation(n)));
            searchset(&link(page), (page + 1 < pages).then(|| link(page + 1)), entries)
        });
        let narrative = "x".repeat(15_500);
        let document = |n: usize| {
            format!(
                r#"{{"resourceType":"DocumentReference","id":"{}","status":"current","description":"{narrative}"}}"#,
                id(n)
            )
        };
        let chart = searchset(&format!("{base}Patient"), None, (0..850).map(|n| ("DocumentReference", document(n))));
        Self { patients: patients.into(), observations: observations.collect(), chart }
    }
}

fn id(n: usize) -> String {
    format!("00000000-0000-4000-8000-00000000{n:04}")
}

fn searchset(link: &str, next: Option<String>, entries: impl Iterator<Item = (&'static str, String)>) -> Bytes {
    let entries: Vec<String> = entries
        .enumerate()
        .map(|(n, (of, resource))| {
            format!(
                r#"{{"fullUrl":"http://localhost/fhir/R4/{of}/{n}","search":{{"mode":"match"}},"resource":{resource}}}"#
            )
        })
        .collect();
    let next = next.map(|url| format!(r#",{{"relation":"next","url":"{url}"}}"#)).unwrap_or_default();
    format!(
        r#"{{"resourceType":"Bundle","type":"searchset","link":[{{"relation":"self","url":"{link}"}}{next}],"entry":[{}]}}"#,
        entries.join(",")
    )
    .into()
}

async fn token() -> impl IntoResponse {
    let token = r#"{"token_type":"Bearer","expires_in":3600,"scope":"openid",
        "access_token":"eyJhbGciOiJSUzI1NiJ9.eyJsb2dpbl9pZCI6IjEifQ.c2lnbmF0dXJl"}"#;
    ([(header::CONTENT_TYPE, "application/json")], token)
}

async fn patient(Path(id): Path<String>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/fhir+json; charset=utf-8"),
        (header::ETAG, r#"W/"7b0c5a54-9f0e-4c41-8d0b-6c1f4f0e2a11""#),
        (header::LAST_MODIFIED, "Tue, 03 Mar 2026 10:15:30 GMT"),
    ];
    (headers, record(&id))
}

type Asked = Query<HashMap<String, String>>;

fn fhir(body: Option<&Bytes>) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/fhir+json; charset=utf-8")], body.cloned().expect("such a page"))
}

/// A page of patients.
async fn page(State(pages): State<Pages>, asked: Asked) -> impl IntoResponse {
    let large = asked.get("_count").is_some_and(|count| count == "100");
    fhir(pages.patients.get(usize::from(large)))
}

/// A page of a thousand observations, and where the next one is.
async fn observations(State(pages): State<Pages>, asked: Asked) -> impl IntoResponse {
    let page = asked.get("_cursor").and_then(|cursor| cursor.strip_prefix("2-")?.parse().ok()).unwrap_or(0_usize);
    fhir(pages.observations.get(page))
}

/// No bot is bound to an operation's name.
async fn no_bot() -> impl IntoResponse {
    fhir(Some(&Bytes::from_static(br#"{"resourceType":"Bundle","type":"searchset"}"#)))
}

/// A chart of 13 MB.
async fn everything(State(pages): State<Pages>) -> impl IntoResponse {
    fhir(Some(&pages.chart))
}

/// A laboratory value of a usual size.
fn observation(n: usize) -> String {
    let value = 5.0 + (n % 40) as f64 / 10.0;
    let (year, month, day) = (2015 + n % 10, 1 + n % 12, 1 + n % 28);
    let id = id(n);
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","meta":{{"versionId":"7b0c5a54-9f0e-4c41-8d0b-6c1f4f0e2a11","lastUpdated":"2026-03-03T10:{:02}:{:02}.{:03}Z","author":{{"reference":"Practitioner/0c9d8e7f-1111-4222-8333-444455556666"}},"project":"11111111-2222-4333-8444-555566667777","compartment":[{{"reference":"Patient/{PATIENT}"}}]}},"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"4548-4","display":"Hemoglobin A1c"}}],"text":"HbA1c"}},"subject":{{"reference":"Patient/{PATIENT}"}},"effectiveDateTime":"{year}-{month:02}-{day:02}T08:00:00Z","valueQuantity":{{"value":{value},"unit":"%","system":"http://unitsofmeasure.org","code":"%"}},"referenceRange":[{{"low":{{"value":4,"unit":"%"}},"high":{{"value":5.6,"unit":"%"}}}}]}}"#,
        n / 60_000 % 60,
        n / 1_000 % 60,
        n % 1_000,
    )
}

/// A patient of a usual size, a good kilobyte.
fn record(id: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","meta":{{"versionId":"7b0c5a54-9f0e-4c41-8d0b-6c1f4f0e2a11","lastUpdated":"2026-03-03T10:15:30.123Z","author":{{"reference":"Practitioner/0c9d8e7f-1111-4222-8333-444455556666","display":"Dr. Alice Smith"}},"project":"11111111-2222-4333-8444-555566667777","compartment":[{{"reference":"Project/11111111-2222-4333-8444-555566667777"}},{{"reference":"Patient/{id}"}}]}},"identifier":[{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}}]}},"system":"https://hospital.example/mrn","value":"MRN-0012345"}},{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-00-0000"}}],"active":true,"name":[{{"use":"official","family":"Testpatient","given":["Homer","Jay"],"prefix":["Mr."]}},{{"use":"nickname","given":["Max"]}}],"telecom":[{{"system":"phone","value":"+1-555-0100","use":"home","rank":1}},{{"system":"email","value":"homer@example.com"}}],"gender":"male","birthDate":"1956-05-12","address":[{{"use":"home","line":["742 Evergreen Terrace"],"city":"Springfield","state":"OR","postalCode":"97403","country":"US","period":{{"start":"1989-12-17"}}}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}}]}},"contact":[{{"relationship":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0131","code":"N"}}]}}],"name":{{"family":"Testpatient","given":["Marge"]}},"telecom":[{{"system":"phone","value":"+1-555-0101"}}]}}],"generalPractitioner":[{{"reference":"Practitioner/0c9d8e7f-1111-4222-8333-444455556666"}}]}}"#
    )
}
