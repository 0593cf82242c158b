//! That nobody but Medplum sees a secret, a token, or a word of a record: not in errors, not in logs.
//!
//! Alone in its file, for what a process logs is decided once in a process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::*;
use medplum_client::{Client, Config, Credentials, Error, Open};
use serde_json::json;

/// What a program's log would hold at its most talkative.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_no_token_and_no_record_is_in_any_error_or_log() {
    let secrets = [CLIENT_SECRET, "the-secret%26of", "TOKEN-ITSELF", "Smithson", PATIENT, "name=", "oauth2/token?"];
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _quiet_again = tracing::subscriber::set_default(subscriber);

    let token = |_: &Received| Answer::token("TOKEN-ITSELF", 3600);
    let record =
        || Answer::fhir(200, json!({"resourceType": "Patient", "id": PATIENT, "name": [{"family": "Smithson"}]}));
    let mut errors: Vec<(&str, Error)> = Vec::new();
    let cases: Vec<(&str, Making)> = vec![
        ("reset", || Answer::Reset),
        ("truncated", || Answer::Truncated { status: 200, body: b"{\"name\":\"Smithson".to_vec() }),
        ("HTML", || Answer::of(200, "text/html", "<p>Smithson</p>")),
        ("bad JSON", || Answer::of(200, "application/json", "{\"Smithson")),
        ("unauthorized", Answer::unauthorized),
        ("redirect", || Answer::empty(302).header("location", "https://elsewhere.example/?name=Smithson")),
        ("HTML 404", || Answer::of(404, "text/html", "<p>Smithson</p>")),
        ("503", || Answer::of(503, "text/html", "<p>Smithson</p>")),
    ];
    for (name, answer) in cases {
        let server = Server::with_tokens(token, move |_| answer()).await;
        let client = server.client_at(&FakeClock::new());
        errors.push((name, client.send(&call(), &search("name=Smithson")).await.unwrap_err()));
        errors.push((name, client.send(&call(), &update_patient()).await.unwrap_err()));
        assert!(!format!("{client:?} {:?}", client.config()).contains(CLIENT_SECRET));
    }
    let server = Server::with_tokens(token, move |_| record()).await;
    server.client().send(&call(), &search("name=Smithson")).await.unwrap();
    let refused = Server::with_tokens(|_| Answer::of(400, "application/json", "{}"), |_| Answer::patient()).await;
    errors.push(("credentials", refused.client().send(&call(), &read_patient()).await.unwrap_err()));
    let given = Config { credentials: Credentials::AccessToken("TOKEN-ITSELF\n".to_owned().into()), ..server.config() };
    errors.push(("bad token", Client::new(given.clone(), Open).send(&call(), &read_patient()).await.unwrap_err()));
    assert!(!format!("{given:?}").contains("TOKEN-ITSELF"));
    let nobody = Config {
        credentials: Credentials::AccessToken("TOKEN-ITSELF".to_owned().into()),
        ..config("http://127.0.0.1:9/")
    };
    let nobody = Client::with_surroundings(nobody, Open, FakeClock::new().surroundings());
    errors.push(("refused", nobody.send(&call(), &search("name=Smithson")).await.unwrap_err()));

    for (name, error) in &errors {
        let mut texts = vec![format!("{error}"), format!("{error:?}"), format!("{error:#?}")];
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            texts.push(format!("{error} {error:?}"));
            cause = error.source();
        }
        for secret in secrets {
            assert!(!texts.iter().any(|text| text.contains(secret)), "{name}: {secret} in {texts:?}");
        }
    }
    let log = log.text();
    assert!(log.contains("interaction=\"search\""), "something was logged: {log}");
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} in the log: {log}");
    }
}
