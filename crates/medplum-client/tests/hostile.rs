//! What a hostile or broken server can send, or what stands between it and the client: each a clear error, in bounded
//! time and memory, and a write that may have been carried out is called that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use common::Then::{Again, Close, Drip, GoOn, Zeros};
use common::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use medplum_client::{Batch, Client, Config, Error, Interaction, Open, Reply};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Long enough for any machine; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const DRIP: Duration = Duration::from_millis(20);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json";

/// An answer goes wrong, and the error says so in these words.
type Case = (&'static str, Making, &'static str);

/// A client that waits 150 ms for the next bytes, and 600 ms for a whole answer.
const HASTY: Duration = Duration::from_millis(150);

async fn send(server: &Server, interaction: &Interaction) -> Result<Reply, Error> {
    send_within(HASTY, server, interaction).await
}

async fn send_within(step: Duration, server: &Server, interaction: &Interaction) -> Result<Reply, Error> {
    let config = Config { timeout: step, ..server.config() };
    let client = Client::with_surroundings(config, Open, FakeClock::new().surroundings());
    timeout(PATIENCE, client.send(&call(), interaction)).await.expect("an end, whatever comes")
}

/// Asks each such server for a record and then for a write: both fail in these words, and the write is in doubt.
async fn all_fail(cases: &[Case]) {
    all_fail_within(HASTY, cases).await;
}

async fn all_fail_within(step: Duration, cases: &[Case]) {
    for (name, answer, says) in cases {
        let answer = *answer;
        let server = Server::new(move |_| answer()).await;
        let error = send_within(step, &server, &read_patient()).await.expect_err(name);
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(!error.may_have_acted(), "{name}: {error:?}");
        let read = server.requests().len();
        assert!(read <= 3, "{name}: {read} attempts");

        let error = send_within(step, &server, &create_patient()).await.expect_err(name);
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(error.may_have_acted(), "{name}: {error:?}");
        assert!(error.to_string().contains("carried out"), "{name}: {error}");
        assert_eq!(server.requests().len(), read + 1, "{name}: a write is sent once");
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// 100 MB of nothing, in less than half of one.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b' '; 100_000_000]));

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    let cases: &[Case] = &[
        ("another protocol", || Answer::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), Close), "connection was lost"),
        ("nothing but an end", || Answer::Raw(Vec::new(), Close), "connection was lost"),
        ("half a head", || Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec(), Close), "connection was lost"),
        ("a status of two digits", || Answer::raw("HTTP/1.1 20 OK", "", Close), "connection was lost"),
        ("a head without end", || Answer::Raw(b"HTTP/1.1 200 OK\r\nx: a".to_vec(), Again(1)), "connection was lost"),
        (
            "headers without end",
            || Answer::Raw(b"HTTP/1.1 200 OK\r\na: b\r\n".to_vec(), Again(6)),
            "connection was lost",
        ),
        ("a head that drips", || Answer::raw(OK, "{}", Drip(Duration::from_millis(10))), "did not answer in time"),
        ("silence", || Answer::Silence, "did not answer in time"),
        (
            "another protocol is offered",
            || Answer::raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x", "", Close),
            "no HTTP answer",
        ),
    ];
    all_fail(cases).await;
}

#[tokio::test]
async fn answers_before_the_answer_come_to_an_end() {
    let cases: &[Case] = &[
        ("100 without end", || Answer::Raw(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), Again(usize::MAX)), "in time"),
        (
            "103 with links",
            || Answer::Raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec(), Again(usize::MAX)),
            "in time",
        ),
        (
            "199 that drips",
            || Answer::Raw(b"HTTP/1.1 199 X\r\n\r\n".to_vec(), Drip(Duration::from_millis(5))),
            "connection was lost",
        ),
    ];
    all_fail(cases).await;
    // A few of them are as good as none.
    let server = Server::new(|_| {
        let body = json!({"resourceType": "Patient", "id": PATIENT}).to_string();
        let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
        Answer::raw(&format!("{hints}{OK}\r\ncontent-length: {}", body.len()), body, GoOn)
    })
    .await;
    assert_eq!(send(&server, &read_patient()).await.unwrap().json()["id"], PATIENT);
}

#[tokio::test]
async fn lengths_that_are_wrong_are_no_answer() {
    let cases: &[Case] = &[
        ("longer than what comes", || Answer::raw(&format!("{OK}\r\ncontent-length: 9"), "{}", Close), "broke off"),
        ("below zero", || Answer::raw(&format!("{OK}\r\ncontent-length: -2"), "{}", Close), "connection was lost"),
        ("no number", || Answer::raw(&format!("{OK}\r\ncontent-length: two"), "{}", Close), "connection was lost"),
        (
            "two of them",
            || Answer::raw(&format!("{OK}\r\ncontent-length: 2\r\ncontent-length: 3"), "{}", Close),
            "connection was lost",
        ),
        (
            "beyond all numbers",
            || Answer::raw(&format!("{OK}\r\ncontent-length: 99999999999999999999"), "{}", Close),
            "connection was lost",
        ),
        (
            "an exabyte",
            || Answer::raw(&format!("{OK}\r\ncontent-length: 1152921504606846976"), "{}", Close),
            "larger than 64 MB",
        ),
        (
            "a chunk of no length",
            || Answer::raw(&format!("{OK}\r\ntransfer-encoding: chunked"), "zz\r\n{}\r\n", Close),
            "broke off",
        ),
        (
            "a chunk beyond all numbers",
            || Answer::raw(&format!("{OK}\r\ntransfer-encoding: chunked"), "fffffffffffffffff\r\n{}", Close),
            "broke off",
        ),
        (
            "chunks without an end",
            || Answer::raw(&format!("{OK}\r\ntransfer-encoding: chunked"), "2\r\n{}\r\n", Close),
            "broke off",
        ),
    ];
    all_fail(cases).await;
}

#[tokio::test]
async fn what_stands_behind_an_answer_is_not_the_next_answer() {
    // The first answer is shorter than what comes: the rest reads like an answer to a request that nobody has made.
    let server = Server::new(|request| {
        let patient = |which: &str| json!({"resourceType": "Patient", "id": PATIENT, "language": which}).to_string();
        let answer =
            |which: &str| format!("{OK}\r\ncontent-length: {}\r\n\r\n{}", patient(which).len(), patient(which));
        match request.nth {
            0 => Answer::Raw(format!("{}{}", answer("first"), answer("smuggled")).into_bytes(), GoOn),
            _ => Answer::Raw(answer("second").into_bytes(), GoOn),
        }
    })
    .await;
    let client = server.client();
    assert_eq!(client.send(&call(), &read_patient()).await.unwrap().json()["language"], "first");
    settle().await;
    assert_eq!(client.send(&call(), &read_patient()).await.unwrap().json()["language"], "second");
}

#[tokio::test]
async fn an_answer_that_drips_or_never_ends_is_given_up() {
    let cases: &[(&str, Making)] = &[
        ("one that would be long", || Answer::raw(&format!("{OK}\r\ncontent-length: 1000000"), "{", Zeros(DRIP))),
        ("one without an end", || Answer::raw(OK, "{", Zeros(DRIP))),
        ("a refusal", || Answer::raw("HTTP/1.1 403 X", "{", Zeros(DRIP))),
    ];
    for (name, answer) in cases {
        let answer = *answer;
        for interaction in [read_patient(), create_patient()] {
            let server = Server::new(move |_| answer()).await;
            let error = send(&server, &interaction).await.unwrap_err();
            let limit = Duration::from_millis(600);
            assert!(matches!(&error, Error::TooSlow { limit: l, .. } if *l == limit), "{name}: {error:?}");
            assert_eq!(error.may_have_acted(), !interaction.effect().is_read(), "{name}");
            server.abandoned(1).await;
            assert_eq!(server.requests().len(), 1, "{name}: another answer would not be faster");
        }
    }
    let server = Server::new(|_| Answer::Dribble { status: 200, body: b"{".to_vec() }).await;
    let error = send(&server, &create_patient()).await.unwrap_err();
    assert!(error.to_string().contains("stopped coming"), "{error}");
}

#[tokio::test]
async fn three_hundred_megabytes_are_not_read() {
    let in_chunks = || {
        let chunk = format!("{:x}\r\n{}\r\n", 65_536, "x".repeat(65_536));
        let length = chunk.len();
        Answer::raw(&format!("{OK}\r\ntransfer-encoding: chunked"), chunk, Again(length))
    };
    let answers: [(&str, Making); 3] = [
        ("of known length", || Answer::raw(&format!("{OK}\r\ncontent-length: 300000000"), "x", Again(1))),
        ("in chunks", in_chunks),
        ("to the end", || Answer::raw(OK, "x", Again(1))),
    ];
    for (name, answer) in answers {
        let server = Server::new(move |_| answer()).await;
        let error = timeout(PATIENCE, server.client().send(&call(), &create_patient())).await.unwrap().unwrap_err();
        let too_large = matches!(error, Error::TooLarge { limit: 64_000_000, .. });
        assert!(too_large && error.may_have_acted(), "{name}: {error:?}");
        server.abandoned(1).await;
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_compressed_answer_that_is_broken_or_a_bomb_is_refused() {
    const GZIP: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\ncontent-encoding: gzip";
    let cases: &[Case] = &[
        ("not compressed", || Answer::raw(GZIP, "{\"resourceType\":\"Patient\"}", Close), "broke off"),
        ("cut off", || Answer::raw(GZIP, &gzip(&[b'x'; 100_000])[..60], Close), "broke off"),
        ("a bomb", || Answer::raw(GZIP, &*BOMB, Close), "larger than 64 MB"),
        ("a bomb in a bomb", || Answer::raw(&format!("{GZIP}, gzip"), gzip(&BOMB), Close), ""),
        (
            "a coding that was not asked for",
            || Answer::raw(&GZIP.replace("gzip", "br"), "\u{1}\u{2}", Close),
            "cannot be read",
        ),
    ];
    assert!(BOMB.len() < 500_000);
    // To blow up 64 MB takes its time on a busy machine, and here it is the size that must end it.
    all_fail_within(Duration::from_secs(10), cases).await;
}

#[tokio::test]
async fn json_that_is_none_is_no_record() {
    let of = |body: &'static [u8]| move || Answer::of(200, "application/fhir+json", body);
    let deep = |open: &str| -> &'static [u8] { open.repeat(10_000).leak().as_bytes() };
    // It is the record that was asked for, but for what is wrong.
    let record = |rest: &[u8]| -> &'static [u8] {
        [format!(r#"{{"resourceType":"Patient","id":"{PATIENT}""#).as_bytes(), rest].concat().leak()
    };
    let whole = format!(",\"x\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: Vec<(&str, &'static [u8])> = vec![
        ("not UTF-8", record(b",\"name\":[{\"family\":\"\xff\xfe\"}]}")),
        ("ten thousand arrays", deep("[")),
        ("ten thousand objects", deep("{\"a\":")),
        ("ten thousand arrays, whole", record(whole.as_bytes())),
        ("two records", record(b"}{\"resourceType\":\"Patient\"}")),
        ("a number that is none", record(b",\"multipleBirthInteger\":1e999}")),
        ("a control character in a text", record(b",\"language\":\"\x00\"}")),
        ("a page that says it is FHIR", b"<html></html>"),
    ];
    for (name, body) in cases {
        let answer = of(body);
        let server = Server::new(move |_| answer()).await;
        for interaction in [read_patient(), create_patient()] {
            let error = send(&server, &interaction).await.unwrap_err();
            assert!(matches!(error, Error::NotFhir { .. }), "{name}: {error:?}");
            assert_eq!(error.may_have_acted(), !interaction.effect().is_read(), "{name}: {error}");
        }
        assert_eq!(server.requests().len(), 2, "{name}: what is answered is not asked again");
    }
}

#[tokio::test]
async fn of_two_elements_of_one_name_one_is_taken_and_it_is_the_last() {
    let body =
        format!(r#"{{"resourceType":"Patient","id":"a","id":"{PATIENT}","name":[{{"family":"x","family":"y"}}]}}"#);
    let server = Server::new(move |_| Answer::of(200, "application/fhir+json", body.clone())).await;
    let reply = send(&server, &read_patient()).await.unwrap();
    assert_eq!(reply.json(), &json!({"resourceType": "Patient", "id": PATIENT, "name": [{"family": "y"}]}));
}

#[tokio::test]
async fn a_refusal_is_told_by_its_status_whatever_comes_with_it() {
    type Bodies = Vec<(&'static str, Making)>;
    let bodies: Bodies = vec![
        ("a page without end", || Answer::raw("HTTP/1.1 403 X\r\ncontent-type: text/html", "<p>", Again(3))),
        ("300 MB", || Answer::raw("HTTP/1.1 403 X\r\ncontent-length: 300000000", "x", Again(1))),
        ("deep JSON", || Answer::of(403, "application/fhir+json", "[".repeat(10_000))),
        ("not UTF-8", || Answer::of(403, "application/fhir+json", b"{\"issue\":\"\xff\"}".to_vec())),
        ("an outcome of another form", || {
            Answer::of(
                403,
                "application/fhir+json",
                r#"{"resourceType":"OperationOutcome","issue":{"a":[1]},"extension":7}"#,
            )
        }),
        ("nothing", || Answer::empty(403)),
    ];
    for (name, answer) in bodies {
        let server = Server::new(move |_| answer()).await;
        for interaction in [read_patient(), create_patient()] {
            let error = send(&server, &interaction).await.unwrap_err();
            assert_eq!((error.status(), error.may_have_acted()), (Some(403), false), "{name}: {error:?}");
        }
        assert_eq!(server.requests().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_write_is_answered_with_what_was_written_or_it_is_in_doubt() {
    let cases: [(&str, Making); 5] = [
        ("a gateway's word", || Answer::of(200, "application/json", r#"{"status":"maintenance"}"#)),
        ("a gateway's page", || Answer::of(200, "text/html", "<p>maintenance</p>")),
        ("null", || Answer::of(200, "application/fhir+json", "null")),
        ("another resource", || Answer::fhir(200, json!({"resourceType": "Observation", "id": PATIENT}))),
        ("nothing", || Answer::empty(200)),
    ];
    for (name, answer) in cases {
        let server = Server::new(move |_| answer()).await;
        for interaction in [create_patient(), update_patient(), create_patient_unless("identifier=urn:rec|r1")] {
            let error = send(&server, &interaction).await.expect_err(name);
            assert!(error.may_have_acted(), "{name}: {error:?}");
            assert!(error.to_string().contains("may have been carried out"), "{name}: {error}");
        }
        assert_eq!(server.requests().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn an_entry_is_answered_with_what_it_asked_for_or_the_whole_is_no_answer() {
    let patient = |id: &str| json!({"response": {"status": "200"}, "resource": {"resourceType": "Patient", "id": id}});
    let batch = |kind: &str, entries: Vec<Value>| json!({"resourceType": "Bundle", "type": kind, "entry": entries});
    let created = || patient("new");
    let read = || patient(PATIENT);
    let refused = json!({"response": {"status": "404"}, "resource": {"resourceType": "OperationOutcome"}});
    let yes = json!({"response": {"status": "200"}, "resource": {"resourceType": "OperationOutcome"}});
    let other_type = json!({"response": {"status": "201"}, "resource": {"resourceType": "Observation", "id": "new"}});
    let found = |of_type: &str| {
        json!({"response": {"status": "200"}, "resource": {"resourceType": "Bundle", "type": "searchset",
        "entry": [{"resource": {"resourceType": of_type, "id": "1"}}]}})
    };
    let asked = json!({"type": "batch", "entry": [
        {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}},
        entry("GET", &format!("Patient/{PATIENT}")),
        entry("GET", "Observation?status=final"),
    ]});
    let asked = Interaction::Batch(Batch::parse(&asked).unwrap());
    let observations = || found("Observation");
    for (name, body, says) in [
        ("all as asked", batch("batch-response", vec![created(), read(), observations()]), None),
        ("of a transaction", batch("transaction-response", vec![created(), read(), observations()]), None),
        ("refused, with the outcome", batch("batch-response", vec![created(), refused.clone(), observations()]), None),
        ("the id in capitals", batch("batch-response", vec![created(), patient(&PATIENT.to_uppercase())]), None),
        ("without what was stored", batch("batch-response", vec![json!({"response": {"status": "201"}})]), None),
        ("another patient", batch("batch-response", vec![created(), patient("other")]), Some("another resource")),
        ("swapped", batch("batch-response", vec![read(), created()]), Some("another resource")),
        ("created of another type", batch("batch-response", vec![other_type, read()]), Some("another resource")),
        ("an outcome for a record", batch("batch-response", vec![created(), yes]), Some("another resource")),
        (
            "found of another type",
            batch("batch-response", vec![created(), read(), found("Patient")]),
            Some("another resource"),
        ),
        ("a resource for a search", batch("batch-response", vec![created(), read(), read()]), Some("another resource")),
        ("what a search finds", batch("searchset", vec![created(), read()]), Some("no answer to a batch")),
        ("nothing of a kind", json!({"resourceType": "Bundle"}), Some("no answer to a batch")),
        ("a Patient", json!({"resourceType": "Patient", "id": "1"}), Some("no Bundle")),
    ] {
        let server = Server::new(move |_| Answer::fhir(200, body.clone())).await;
        let reply = send(&server, &asked).await;
        match (reply, says) {
            (Ok(_), None) => {}
            (Err(error), Some(says)) => {
                assert!(error.to_string().contains(says) && error.may_have_acted(), "{name}: {error}");
            }
            (reply, _) => panic!("{name}: {reply:?}"),
        }
    }
}

// Signing in.

#[tokio::test]
async fn a_token_endpoint_that_misbehaves_is_named_and_nothing_else_is_asked() {
    let cases: &[(&str, Making, &str)] = &[
        ("silence", || Answer::Silence, "did not answer in time"),
        (
            "a drip",
            || Answer::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json", "{", Zeros(DRIP)),
            "not complete after",
        ),
        (
            "a flood",
            || Answer::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json", "[", Again(1)),
            // Whichever comes first.
            "larger than 64 MB or not complete after",
        ),
        ("a reset", || Answer::Reset, "connection was lost"),
        ("garbage", || Answer::of(200, "application/json", "%%%"), "no access token"),
        ("deep JSON", || Answer::of(200, "application/json", "[".repeat(10_000)), "no access token"),
        (
            "a token that is none",
            || Answer::of(200, "application/json", r#"{"access_token":{"a":1}}"#),
            "no access token",
        ),
        (
            "a token with a line of its own",
            || Answer::of(200, "application/json", "{\"access_token\":\"a\\r\\nx: y\"}"),
            "cannot stand in a header",
        ),
    ];
    for (name, answer, says) in cases {
        let answer = *answer;
        let server = Server::with_tokens(move |_| answer(), |_| Answer::patient()).await;
        let error = send(&server, &create_patient()).await.expect_err(name);
        assert!(says.split(" or ").any(|says| error.to_string().contains(says)), "{name}: {error}");
        assert!(!error.may_have_acted(), "{name}: only a token was asked for: {error:?}");
        assert_eq!(server.requests().len(), 0, "{name}");
    }
}
