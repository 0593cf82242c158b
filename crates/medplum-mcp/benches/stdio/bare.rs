//! The measure: the same reads by reqwest alone, on a runtime of one thread, with kept connections.

use std::time::{Duration, Instant};

use tokio::{runtime::Runtime, task::JoinSet};

use crate::stub::{PATIENT, Stub};

pub(crate) struct Bare {
    runtime: Runtime,
    client: reqwest::Client,
    patient: String,
}

impl Bare {
    pub(crate) fn new(stub: &Stub) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            patient: stub.url(&format!("fhir/R4/Patient/{PATIENT}")),
        }
    }

    /// One read and how long it took.
    pub(crate) fn read(&self) -> Duration {
        self.time(&self.patient)
    }

    /// These pages, one after the other, and how long they took.
    pub(crate) fn pages(&self, urls: &[String]) -> Duration {
        let start = Instant::now();
        for url in urls {
            self.runtime.block_on(get(self.client.clone(), url.clone()));
        }
        start.elapsed()
    }

    /// The same, and reads what came into values, which is the least that anybody does with it.
    pub(crate) fn pages_as_json(&self, urls: &[String]) -> Duration {
        let start = Instant::now();
        for url in urls {
            let body = self.runtime.block_on(get(self.client.clone(), url.clone()));
            let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert!(value["entry"].is_array());
        }
        start.elapsed()
    }

    fn time(&self, url: &str) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(get(self.client.clone(), url.to_owned()));
        start.elapsed()
    }

    /// `count` reads, `width` of them at a time.
    pub(crate) fn fly(&self, width: usize, count: usize) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(async {
            let mut flying = JoinSet::new();
            for _ in 0..count {
                if flying.len() == width {
                    flying.join_next().await;
                }
                flying.spawn(get(self.client.clone(), self.patient.clone()));
            }
            flying.join_all().await;
        });
        start.elapsed()
    }
}

async fn get(client: reqwest::Client, url: String) -> bytes::Bytes {
    let response = client
        .get(url)
        .bearer_auth("eyJhbGciOiJSUzI1NiJ9.eyJsb2dpbl9pZCI6IjEifQ.c2lnbmF0dXJl")
        .header("accept", "application/fhir+json")
        .send()
        .await
        .expect("an answer");
    let body = response.bytes().await.expect("a body");
    assert!(body.len() > 1000, "a whole patient");
    body
}
