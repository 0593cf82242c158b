//! As much of Medplum as the benchmark asks for, from memory, on a thread of its own.

use std::{net::SocketAddr, sync::mpsc, thread};

use axum::{
    Router,
    extract::Path,
    http::header,
    response::IntoResponse,
    routing::{get, post},
    serve::ListenerExt,
};

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
                let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("no delay"));
                axum::serve(listener, routes()).await.expect("to serve");
            });
        });
        Self { address: address.recv().expect("an address") }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

fn routes() -> Router {
    Router::new()
        .route("/oauth2/token", post(token))
        .route("/fhir/R4/Patient/{id}", get(patient))
        .route("/fhir/R4/Patient", get(page))
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

/// A page of twenty patients.
async fn page() -> impl IntoResponse {
    let entries: Vec<String> = (0..20)
        .map(|n| {
            let id = format!("00000000-0000-4000-8000-0000000000{n:02}");
            format!(
                r#"{{"fullUrl":"http://localhost/fhir/R4/Patient/{id}","search":{{"mode":"match"}},"resource":{}}}"#,
                record(&id)
            )
        })
        .collect();
    let page = format!(
        r#"{{"resourceType":"Bundle","type":"searchset","link":[{{"relation":"self","url":"http://localhost/fhir/R4/Patient?_count=20"}}],"entry":[{}]}}"#,
        entries.join(",")
    );
    let headers = [(header::CONTENT_TYPE, "application/fhir+json; charset=utf-8")];
    (headers, page)
}

/// A patient of a usual size, a good kilobyte.
fn record(id: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","meta":{{"versionId":"7b0c5a54-9f0e-4c41-8d0b-6c1f4f0e2a11","lastUpdated":"2026-03-03T10:15:30.123Z","author":{{"reference":"Practitioner/0c9d8e7f-1111-4222-8333-444455556666","display":"Dr. Alice Smith"}},"project":"11111111-2222-4333-8444-555566667777","compartment":[{{"reference":"Project/11111111-2222-4333-8444-555566667777"}},{{"reference":"Patient/{id}"}}]}},"identifier":[{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}}]}},"system":"https://hospital.example/mrn","value":"MRN-0012345"}},{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-00-0000"}}],"active":true,"name":[{{"use":"official","family":"Testpatient","given":["Homer","Jay"],"prefix":["Mr."]}},{{"use":"nickname","given":["Max"]}}],"telecom":[{{"system":"phone","value":"+1-555-0100","use":"home","rank":1}},{{"system":"email","value":"homer@example.com"}}],"gender":"male","birthDate":"1956-05-12","address":[{{"use":"home","line":["742 Evergreen Terrace"],"city":"Springfield","state":"OR","postalCode":"97403","country":"US","period":{{"start":"1989-12-17"}}}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}}]}},"contact":[{{"relationship":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0131","code":"N"}}]}}],"name":{{"family":"Testpatient","given":["Marge"]}},"telecom":[{{"system":"phone","value":"+1-555-0101"}}]}}],"generalPractitioner":[{{"reference":"Practitioner/0c9d8e7f-1111-4222-8333-444455556666"}}]}}"#
    )
}
