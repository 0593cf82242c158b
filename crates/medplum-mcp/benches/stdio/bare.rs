//! The measure: the same reads by reqwest alone, on a runtime of one thread, with kept connections.

use std::time::{Duration, Instant};

use tokio::{runtime::Runtime, task::JoinSet};

use crate::stub::{PATIENT, Stub};

pub struct Bare {
    runtime: Runtime,
    client: reqwest::Client,
    url: String,
}

impl Bare {
    pub fn new(stub: &Stub) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            url: stub.url(&format!("fhir/R4/Patient/{PATIENT}")),
        }
    }

    /// One read and how long it took.
    pub fn read(&self) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(get(self.client.clone(), self.url.clone()));
        start.elapsed()
    }

    /// `count` reads, `width` of them at a time.
    pub fn fly(&self, width: usize, count: usize) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(async {
            let mut flying = JoinSet::new();
            for _ in 0..count {
                if flying.len() == width {
                    flying.join_next().await;
                }
                flying.spawn(get(self.client.clone(), self.url.clone()));
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
