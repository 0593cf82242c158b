//! A call before the eyes of a witness: it sees all that leaves, before it leaves, and may hold it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::sync::{Arc, Mutex};

use common::{Answer, FakeClock, PATIENT, Server, call, create_patient_unless};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use medplum_client::{
    Asked, Came, Client, Ended, Error, Gate, Interaction, Level, Method, Operation, Passage, Query, Refusal, Sent,
    Witness,
};
use serde_json::json;

/// Notes what it sees, and refuses what it is told to.
#[derive(Clone, Default)]
struct Notebook {
    notes: Arc<Mutex<Vec<String>>>,
    refuses: Option<&'static str>,
    refuses_again: bool,
}

impl Notebook {
    fn note(&self, text: String) {
        self.notes.lock().unwrap().push(text);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap())
    }
}

impl Witness for Notebook {
    fn leaves<'a>(&'a self, interaction: &'a Interaction) -> BoxFuture<'a, Result<Box<dyn Passage>, Refusal>> {
        async move {
            // Whoever writes something down first takes his time.
            tokio::task::yield_now().await;
            let what = interaction.label().interaction;
            if self.refuses == Some(what) {
                return Err(Refusal::new("not recorded"));
            }
            self.note(format!("{what} leaves"));
            Ok(Box::new(Way { of: self.clone(), what }) as Box<dyn Passage>)
        }
        .boxed()
    }

    fn refused(&self, interaction: &Interaction) {
        self.note(format!("{} refused", interaction.label().interaction));
    }
}

struct Way {
    of: Notebook,
    what: &'static str,
}

impl Passage for Way {
    fn again(&mut self) -> Result<(), Refusal> {
        self.of.note(format!("{} again", self.what));
        if self.of.refuses_again { Err(Refusal::new("cancelled")) } else { Ok(()) }
    }

    fn ended(self: Box<Self>, end: &Ended<'_>) {
        let came = match &end.came {
            Ok(Came::Resource(resource)) => format!("a {}", resource.resource_type),
            Ok(Came::Reply(reply)) => format!("a reply of {}", reply.status),
            Ok(Came::Page(page)) => format!("a page of {}", page.entries.len()),
            Err(error) => error.to_string(),
        };
        self.of.note(format!("{} after {}: {came}", self.what, end.attempts));
    }
}

fn read() -> Interaction {
    Interaction::read("Patient".parse().unwrap(), PATIENT.parse().unwrap())
}

fn create() -> Interaction {
    Interaction::create(json!({"resourceType": "Patient"}), None).unwrap()
}

fn watched(by: &Notebook) -> medplum_client::Call {
    call().watched_by(Arc::new(by.clone()))
}

#[tokio::test]
async fn it_sees_all_that_leaves_before_it_does() {
    let notebook = Notebook::default();
    let its = notebook.clone();
    let server = Server::new(move |request| {
        its.note(format!("  {}", request.line()));
        match request.target.contains('?') {
            true => Answer::fhir(
                200,
                json!({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "1"}}]}),
            ),
            false => Answer::patient(),
        }
    })
    .await;
    let client = server.client();
    client.send(&watched(&notebook), &create()).await.unwrap();
    let everything = Operation {
        level: Level::Instance("Patient".parse().unwrap(), PATIENT.parse().unwrap()),
        name: "everything".parse().unwrap(),
        method: Method::Get,
        query: Query::new(),
        body: None,
    };
    client.send(&watched(&notebook), &Interaction::operation(everything).unwrap()).await.unwrap();
    let search = Interaction::search("Patient".parse().unwrap(), Query::new().with("name", "x"));
    client.page(&watched(&notebook), &search).await.unwrap();
    assert_eq!(
        notebook.taken(),
        [
            "create leaves",
            "  POST /fhir/R4/Patient",
            "create after 1: a reply of 200",
            // The guard of an operation on an instance is a request like any other.
            "read leaves",
            &format!("  GET /fhir/R4/Patient/{PATIENT}"),
            "read after 1: a reply of 200",
            // And so is the look for a bot of the operation's name.
            "search leaves",
            "search after 1: a reply of 200",
            "operation leaves",
            &format!("  GET /fhir/R4/Patient/{PATIENT}/$everything"),
            "operation after 1: a reply of 200",
            "search leaves",
            "  GET /fhir/R4/Patient?name=x",
            "search after 1: a page of 1",
        ]
    );
}

#[tokio::test]
async fn what_it_refuses_is_not_sent() {
    let server = Server::new(|_| Answer::patient()).await;
    let notebook = Notebook { refuses: Some("create"), ..Notebook::default() };
    let refused = server.client().send(&watched(&notebook), &create()).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused(refusal) if refusal.to_string() == "not recorded"), "{refused}");
    assert!(server.lines().is_empty());
    server.client().send(&watched(&notebook), &read()).await.unwrap();
    assert_eq!(server.lines(), [format!("GET /Patient/{PATIENT}")]);
}

#[tokio::test]
async fn it_may_end_a_call_between_two_attempts() {
    let clock = FakeClock::new();
    for (status, fate) in [(429, Sent::No), (503, Sent::Maybe)] {
        let server = Server::new(move |_| Answer::empty(status)).await;
        let notebook = Notebook { refuses_again: true, ..Notebook::default() };
        let conditional = create_patient_unless("identifier=urn:rec|r1");
        let error = server.client_at(&clock).send(&watched(&notebook), &conditional).await.unwrap_err();
        assert_eq!(server.lines().len(), 1, "{status}");
        // An attempt that may have been carried out is not forgotten.
        match fate {
            Sent::No => assert!(matches!(error, Error::Refused(_)), "{error}"),
            sent => assert!(matches!(&error, Error::Lost { sent: s, .. } if *s == sent), "{error}"),
        }
        assert_eq!(notebook.taken().len(), 3);
    }
}

/// Lets nothing act unseen.
struct Watchful;

impl Gate for Watchful {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if asked.watched || asked.effect.is_read() { Ok(()) } else { Err(Refusal::new("unseen")) }
    }
}

struct Closed;

impl Gate for Closed {
    fn check(&self, _: &Asked<'_>) -> Result<(), Refusal> {
        Err(Refusal::new("closed"))
    }
}

#[tokio::test]
async fn the_gate_knows_of_it_and_it_of_the_gates_refusals() {
    let server = Server::new(|_| Answer::patient()).await;
    let client: Client = server.gated(Watchful);
    assert!(matches!(client.send(&call(), &create()).await, Err(Error::Refused(_))));
    assert!(server.lines().is_empty());
    client.send(&watched(&Notebook::default()), &create()).await.unwrap();
    client.send(&call(), &read()).await.unwrap();
    assert_eq!(server.lines().len(), 2);
    let notebook = Notebook::default();
    assert!(server.gated(Closed).send(&watched(&notebook), &create()).await.is_err());
    assert_eq!(notebook.taken(), ["create refused"]);
}
