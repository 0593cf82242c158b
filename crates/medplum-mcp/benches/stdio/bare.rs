//! The measure: the same reads by reqwest alone, on a runtime of one thread, with kept connections.

use std::time::{Duration, Instant};

use tokio::{runtime::Runtime, task::JoinSet};

use crate::stub::{PATIENT, Stub};

pub(crate) struct Bare {
    runtime: Runtime,
    client: reqwest::Client,
    patient: String,
    page: String,
}

impl Bare {
    pub(crate) fn new(stub: &Stub) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            patient: stub.url(&format!("fhir/R4/Patient/{PATIENT}")),
            page: stub.url("fhir/R4/Patient?name=Testpatient&_count=20"),
        }
    }

    /// One read and how long it took.
    pub(crate) fn read(&self) -> Duration {
        self.time(&self.patient)
    }

    /// One page of a search and how long it took.
    pub(crate) fn search(&self) -> Duration {
        self.time(&self.page)
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

async fn get(client: reqwest::Client, url: String) {
    let response = client
        .get(url)
        .bearer_auth("eyJhbGciOiJSUzI1NiJ9.eyJsb2dpbl9pZCI6IjEifQ.c2lnbmF0dXJl")
        .header("accept", "application/fhir+json")
        .send()
        .await
        .expect("an answer");
    let body = response.bytes().await.expect("a body");
    assert!(body.len() > 1000, "a whole patient");
}
