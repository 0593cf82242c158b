//! How the client goes about HTTP: what it follows, what it decodes, how much it takes, what it lets go of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use medplum_client::{
    BaseUrl, Batch, Body, Client, Config, Credentials, Error, FhirPath, GraphQl, Interaction, Level, Membership,
    Method, NoConnection, Open, Operation, Query, Sent,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn given(value: &str) -> Credentials {
    Credentials::AccessToken(value.to_owned().into())
}

// Where it goes.

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::new(|_| Answer::patient()).await;
        let there = format!("{}fhir/R4/Patient/{PATIENT}", elsewhere.base);
        let server = Server::new(move |_| Answer::empty(status).header("location", &there)).await;
        for (interaction, sent) in [(read_patient(), Sent::No), (create_patient(), Sent::Maybe)] {
            let error = server.client().send(&call(), &interaction).await.unwrap_err();
            assert_eq!(error, Error::Redirect { status, sent });
            assert!(error.to_string().contains("redirect"), "{error}");
        }
        assert_eq!((server.requests().len(), elsewhere.connections()), (2, 0), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_of_the_sign_in_is_not_followed_and_the_secret_stays() {
    let elsewhere = Server::new(|_| Answer::patient()).await;
    let there = format!("{}oauth2/token", elsewhere.base);
    let server =
        Server::with_tokens(move |_| Answer::empty(307).header("location", &there), |_| Answer::patient()).await;
    let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
    assert_eq!(error, Error::Redirect { status: 307, sent: Sent::No });
    assert_eq!((elsewhere.connections(), server.requests().len()), (0, 0));
}

#[tokio::test]
async fn pages_are_followed_on_the_same_origin_alone() {
    let server = Server::new(|request| {
        let base = format!("http://{}/fhir/R4/Patient", request.header("host").unwrap());
        let next = match request.query().iter().find(|(key, _)| key == "_offset").map(|(_, value)| value.as_str()) {
            None => format!("{base}?_count=2&name=Zo%C3%AB%20/%24x&_offset=2"),
            _ => "https://evil.example/fhir/R4/Patient?_offset=4".to_owned(),
        };
        Answer::fhir(200, json!({"resourceType": "Bundle", "link": [{"relation": "next", "url": next}]}))
    })
    .await;
    let client = server.client();
    let first = client.page(&call(), &search("_count=2")).await.unwrap();
    let page = client.next_page(&first).unwrap().unwrap();
    let second = client.page(&call(), &page).await.unwrap();
    let error = client.next_page(&second).unwrap_err();
    assert!(error.to_string().contains("another server"), "{error}");
    assert_eq!(
        server.lines(),
        ["GET /Patient?_count=2", "GET /Patient?_count=2&name=Zo%C3%AB%20%2F%24x&_offset=2"],
        "a slash and a dollar sign stay hidden on the way back"
    );
}

#[test]
fn a_next_link_is_a_search_below_the_base_or_nothing() {
    let base = BaseUrl::parse("https://h.example/medplum/", false).unwrap();
    let next = |url: &str| medplum_client::next_page(Some(url), &base, &FhirPath::default());
    assert!(next("https://h.example/medplum/fhir/R4/Patient?_offset=2").unwrap().is_some());
    assert!(next("https://H.EXAMPLE:443/medplum/fhir/R4/?_type=Patient,Practitioner&_offset=2").unwrap().is_some());
    for bad in [
        "https://h.example/fhir/R4/Patient?_offset=2",
        "https://h.example/medplum/../fhir/R4/Patient",
        "https://h.example/medplum/%2e%2e/fhir/R4/Patient",
        "https://h.example/medplum/fhir/R4/Patient/1/$everything",
        "https://h.example/medplum/fhir/R4/$export",
        "https://h.example/medplum/oauth2/logout",
        "https://h.example/medplum/fhir/R4/Patient/1",
        "https://h.example:8443/medplum/fhir/R4/Patient",
        "http://h.example/medplum/fhir/R4/Patient",
        "https://h.example.evil.example/medplum/fhir/R4/Patient",
        "https://h.example@evil.example/medplum/fhir/R4/Patient",
        "https://user@h.example/medplum/fhir/R4/Patient",
        "//evil.example/medplum/fhir/R4/Patient",
        "fhir/R4/Patient?_offset=2",
        "data:text/plain,x",
        "",
    ] {
        assert!(next(bad).is_err(), "{bad} was followed");
    }
    assert_eq!(medplum_client::next_page(None, &base, &FhirPath::default()), Ok(None));
}

#[test]
fn without_encryption_it_speaks_to_this_machine_alone() {
    for here in [
        "http://localhost:8103/",
        "http://127.0.0.1/",
        "http://127.8.9.1/",
        "http://[::1]:8103/",
        "http://medplum.localhost/",
    ] {
        assert!(!BaseUrl::parse(here, false).unwrap().is_insecure(), "{here}");
    }
    for beyond in [
        "http://api.medplum.com/",
        "http://10.0.0.1/",
        "http://192.168.1.2/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://127.0.0.1.nip.io/",
    ] {
        let error = BaseUrl::parse(beyond, false).unwrap_err().to_string();
        assert!(error.contains("https") || error.contains("user name"), "{beyond}: {error}");
    }
    assert!(BaseUrl::parse("http://10.0.0.1/", true).unwrap().is_insecure(), "where the operator says so");
}

#[tokio::test]
async fn the_base_and_the_fhir_path_stand_before_every_path() {
    let server = Server::new(|_| Answer::patient()).await;
    let mut config = config(&format!("{}medplum", server.base));
    config.fhir_path = FhirPath::parse("/fhir/R5/").unwrap();
    let client = Client::new(config, Open);
    client.send(&call(), &read_patient()).await.unwrap();
    let me = Interaction::from_path(&client.config().fhir_path, Method::Get, "auth/me", Query::new(), None).unwrap();
    client.send(&call(), &me).await.unwrap();
    let lines: Vec<String> = server.requests().iter().map(Received::line).collect();
    assert_eq!(lines, [format!("GET /medplum/fhir/R5/Patient/{PATIENT}"), "GET /medplum/auth/me".into()]);
    assert_eq!(server.token_requests()[0].line(), "POST /medplum/oauth2/token");
}

#[tokio::test]
async fn every_request_says_what_it_is_and_on_whose_behalf() {
    let server = Server::new(|_| Answer::patient()).await;
    let other = "00000000-0000-4000-8000-000000000001";
    let config = Config { on_behalf_of: Some(Membership::parse(MEMBER).unwrap()), ..server.config() };
    let client = Client::new(config, Open);
    client.send(&call(), &read_patient()).await.unwrap();
    let mut instead = call();
    instead.on_behalf_of = Some(Membership::parse(other).unwrap());
    client.send(&instead, &create_patient()).await.unwrap();

    let [configured, own] = &server.requests()[..] else { panic!("two requests") };
    for request in [configured, own] {
        assert_eq!(request.header("accept"), Some("application/fhir+json"));
        assert_eq!(request.header("x-medplum"), Some("extended"));
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert_eq!(request.token(), "token-0");
        assert!(request.header("user-agent").unwrap().starts_with("medplum-client/"));
        assert_eq!(request.header("cookie"), None);
    }
    assert_eq!((configured.header("content-type"), own.header("content-type")), (None, Some("application/fhir+json")));
    assert_eq!(configured.header("x-medplum-on-behalf-of"), Some(&*format!("ProjectMembership/{MEMBER}")));
    assert_eq!(own.header("x-medplum-on-behalf-of"), Some(&*format!("ProjectMembership/{other}")));
}

// What it takes.

#[tokio::test]
async fn a_compressed_answer_is_decoded() {
    let patient = json!({"resourceType": "Patient", "id": PATIENT});
    let body = gzip(patient.to_string().as_bytes());
    let server =
        Server::new(move |_| Answer::of(200, "application/fhir+json", body.clone()).header("content-encoding", "gzip"))
            .await;
    assert_eq!(server.client().send(&call(), &read_patient()).await.unwrap().json(), &patient);
}

#[tokio::test]
async fn an_answer_over_the_ceiling_is_refused_and_let_go() {
    let length = |n: u64| {
        vec![("content-type".to_owned(), "application/json".to_owned()), ("content-length".to_owned(), n.to_string())]
    };
    let without_length = vec![("content-type".to_owned(), "application/json".to_owned())];
    for headers in [length(1 << 40), without_length] {
        let server = Server::new(move |_| Answer::Flood { headers: headers.clone() }).await;
        let config = Config { max_response_bytes: 1_000_000, ..server.config() };
        let client = Client::new(config, Open);
        let error = client.send(&call(), &read_patient()).await.unwrap_err();
        assert_eq!(error, Error::TooLarge { limit: 1_000_000, sent: Sent::No });
        assert!(error.to_string().contains("larger than 1 MB"), "{error}");
        // An answer without end: the server sees the client leave.
        server.abandoned(1).await;
        assert_eq!(server.requests().len(), 1, "another answer would not be smaller");
    }
}

#[tokio::test]
async fn an_answer_as_large_as_the_ceiling_is_taken() {
    let body = json!({"resourceType": "Patient", "id": PATIENT}).to_string();
    let (length, sent) = (body.len(), body.clone());
    let server = Server::new(move |_| Answer::of(200, "application/json", sent.clone())).await;
    for (ceiling, taken) in [(length, true), (length - 1, false)] {
        let client = Client::new(Config { max_response_bytes: ceiling, ..server.config() }, Open);
        // The token's answer is longer, and is under the same ceiling: it is given from outside here.
        let config = Config { credentials: given("t"), ..client.config().clone() };
        assert_eq!(Client::new(config, Open).send(&call(), &read_patient()).await.is_ok(), taken, "{ceiling}");
    }
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_huge_one_is_refused() {
    let bomb = gzip(&vec![b' '; 100_000_000]);
    assert!(bomb.len() < 200_000);
    let server =
        Server::new(move |_| Answer::of(200, "application/fhir+json", bomb.clone()).header("content-encoding", "gzip"))
            .await;
    let client = Client::new(Config { max_response_bytes: 1_000_000, ..server.config() }, Open);
    let error = client.send(&call(), &create_patient()).await.unwrap_err();
    assert_eq!(error, Error::TooLarge { limit: 1_000_000, sent: Sent::Done });
    assert!(error.to_string().contains("was carried out"), "{error}");
}

#[tokio::test]
async fn what_is_not_fhir_is_not_an_answer() {
    let native = Operation {
        level: Level::Type("ValueSet".parse().unwrap()),
        name: "expand".parse().unwrap(),
        method: Method::Get,
        query: Query::new(),
        body: None,
    };
    let interactions = [read_patient(), search("name=a"), create_patient(), Interaction::operation(native).unwrap()];
    let deep: &'static str = "[".repeat(1_000_000).leak();
    let answers: [(&str, &str, &str, &str); 5] = [
        ("a login page", "text/html; charset=utf-8", "<html>Please sign in</html>", "HTML"),
        ("a proxy's word", "text/plain", "captive portal", "not JSON"),
        ("no type at all", "", "hello", "not JSON"),
        ("broken JSON", "application/fhir+json", "{\"resourceType\":", "JSON cannot be read"),
        ("JSON deep enough to overflow a stack", "application/json", deep, "JSON cannot be read"),
    ];
    for (name, content_type, body, expected) in answers {
        let server = Server::new(move |_| Answer::of(200, content_type, body)).await;
        for interaction in &interactions {
            let error = server.client().send(&call(), interaction).await.unwrap_err();
            let writes = !interaction.effect().is_read();
            // Only what says that it is FHIR comes from Medplum; a page with 200 may be a proxy's.
            let sent = match (writes, content_type) {
                (false, _) => Sent::No,
                (true, "application/fhir+json") => Sent::Done,
                (true, _) => Sent::Maybe,
            };
            assert!(matches!(&error, Error::NotFhir { status: 200, sent: s, .. } if *s == sent), "{name}: {error:?}");
            assert!(error.to_string().contains(expected), "{name}: {error}");
            assert_eq!(error.to_string().contains("carried out"), writes, "{name}: {error}");
        }
    }
}

/// Whoever answers with another patient's record, a cache or a proxy, is not believed.
#[tokio::test]
async fn another_resource_than_the_one_that_was_asked_for_is_no_answer() {
    let others = [
        json!({"resourceType": "Patient", "id": BOT}),
        json!({"resourceType": "Observation", "id": PATIENT}),
        json!({"resourceType": "Patient"}),
        json!({"resourceType": "OperationOutcome", "id": "ok", "issue": []}),
    ];
    for other in others {
        let answer = other.clone();
        let server = Server::new(move |_| Answer::fhir(200, answer.clone())).await;
        let client = server.client();
        let error = client.send(&call(), &read_patient()).await.unwrap_err();
        assert!(matches!(error, Error::NotFhir { .. }) && !error.may_have_acted(), "{other}: {error:?}");
        let error = client.resource(&call(), &read_patient()).await.unwrap_err();
        assert!(matches!(error, Error::NotFhir { .. }), "{other}: {error:?}");
        let error = client.send(&call(), &update_patient()).await.unwrap_err();
        assert!(matches!(error, Error::NotFhir { .. }) && error.may_have_acted(), "{other}: {error:?}");
    }
}

#[tokio::test]
async fn a_page_of_another_type_than_was_searched_is_no_answer() {
    let entry = |of: &str, mode: &str| json!({"search": {"mode": mode}, "resource": {"resourceType": of, "id": "1"}});
    let page = |kind: &str, entries: Vec<Value>| json!({"resourceType": "Bundle", "type": kind, "entry": entries});
    let search = Interaction::search("Patient".parse().unwrap(), Query::new());
    for (page, is_one) in [
        (page("searchset", vec![entry("Patient", "match"), entry("Practitioner", "include")]), true),
        (page("searchset", vec![entry("Patient", "match"), entry("OperationOutcome", "outcome")]), true),
        (page("searchset", vec![]), true),
        (page("searchset", vec![entry("Patient", "match"), entry("Observation", "match")]), false),
        // It was not found, whatever it says of itself.
        (page("searchset", vec![entry("OperationOutcome", "match")]), true),
        (page("history", vec![entry("Patient", "match")]), false),
    ] {
        let answer = page.clone();
        let server = Server::new(move |_| Answer::fhir(200, answer.clone())).await;
        let found = server.client().page(&call(), &search).await;
        assert_eq!(found.is_ok(), is_one, "{page}: {found:?}");
        if page["type"] == "searchset" {
            let found = server.client().send(&call(), &search).await;
            assert_eq!(found.is_ok(), is_one, "{page}: {found:?}");
        }
    }
}

/// A chart has its own patient on one of its pages, and others where they are linked to that one.
/// Somebody cut a text within a character, and JavaScript wrote half of it.
#[tokio::test]
async fn half_a_character_closes_neither_its_record_nor_the_page_that_it_is_on() {
    let cut = |id: &str| format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"Cut \ud83d"}}]}}"#);
    let page = format!(r#"{{"resourceType":"Bundle","type":"searchset","entry":[{{"resource":{}}}]}}"#, cut(PATIENT));
    let server = Server::new(move |request| {
        let body = if request.target.contains('?') { page.clone() } else { cut(PATIENT) };
        Answer::of(200, "application/fhir+json", body)
    })
    .await;
    let client = server.client();
    let read = client.resource(&call(), &read_patient()).await.unwrap().value().unwrap();
    let searched = Interaction::search("Patient".parse().unwrap(), Query::new().with("name", "cut"));
    let searched = client.page(&call(), &searched).await.unwrap().entries.remove(0).resource.value().unwrap();
    let sent = client.send(&call(), &read_patient()).await.unwrap().json().clone();
    for record in [read, searched, sent] {
        assert_eq!(record.pointer("/name/0/family").unwrap(), "Cut \u{fffd}");
    }
}

#[tokio::test]
async fn the_record_of_another_patient_is_no_answer() {
    let patient = |id: &str| json!({"resource": {"resourceType": "Patient", "id": id}, "search": {"mode": "match"}});
    let linked = json!({"resource": {"resourceType": "Patient", "id": BOT,
        "link": [{"other": {"reference": format!("Patient/{PATIENT}")}, "type": "seealso"}]}});
    let included = json!({"resource": {"resourceType": "Patient", "id": BOT}, "search": {"mode": "include"}});
    let observation = json!({"resource": {"resourceType": "Observation", "id": "o"}, "search": {"mode": "match"}});
    let chart = |name: &str| {
        let level = Level::Instance("Patient".parse().unwrap(), PATIENT.parse().unwrap());
        let name = name.parse().unwrap();
        Interaction::operation(Operation { level, name, method: Method::Get, query: Query::new(), body: None }).unwrap()
    };
    let by_id = |ids: &str| Interaction::search("Patient".parse().unwrap(), Query::new().with("_id", ids.to_owned()));
    for (asked, entries, is_one) in [
        (chart("everything"), vec![patient(PATIENT), observation.clone()], true),
        (chart("everything"), vec![patient(PATIENT), patient(BOT)], true),
        (chart("everything"), vec![observation.clone()], true),
        (chart("everything"), vec![], true),
        (chart("everything"), vec![linked.clone(), observation.clone()], true),
        (chart("everything"), vec![observation.clone(), included.clone()], true),
        (chart("everything"), vec![observation.clone(), patient(BOT)], false),
        (chart("everything"), vec![linked, patient(BOT)], false),
        (chart("summary"), vec![patient(PATIENT)], true),
        (chart("summary"), vec![patient(BOT)], false),
        (by_id(PATIENT), vec![patient(PATIENT), included], true),
        (by_id(&PATIENT.to_uppercase()), vec![patient(PATIENT)], true),
        (by_id(&format!("x,{PATIENT}")), vec![patient(PATIENT)], true),
        (by_id(PATIENT), vec![], true),
        (by_id(PATIENT), vec![patient(BOT)], false),
        (by_id(PATIENT), vec![patient(PATIENT), patient(BOT)], false),
    ] {
        let page = json!({"resourceType": "Bundle", "type": "searchset", "entry": entries});
        let server = Server::new(move |asked| match asked.path() {
            path if path.ends_with(PATIENT) => Answer::fhir(200, json!({"resourceType": "Patient", "id": PATIENT})),
            _ => Answer::fhir(200, page.clone()),
        })
        .await;
        let found = server.client().send(&call(), &asked).await;
        assert_eq!(found.is_ok(), is_one, "{asked:?} {entries:?}: {found:?}");
        let found = server.client().page(&call(), &asked).await;
        assert_eq!(found.is_ok(), is_one, "{asked:?} {entries:?}: {found:?}");
    }
}

/// Some put the mark of UTF-8 in front of their JSON.
#[tokio::test]
async fn json_with_a_mark_is_json() {
    let patient = format!("\u{feff}{{\"resourceType\":\"Patient\",\"id\":\"{PATIENT}\"}}");
    let server = Server::new(move |_| Answer::of(200, "application/fhir+json", patient.clone())).await;
    assert_eq!(server.client().send(&call(), &read_patient()).await.unwrap().json()["id"], PATIENT);
    assert!(server.client().resource(&call(), &read_patient()).await.is_ok());
}

#[tokio::test]
async fn what_may_be_anything_is_taken_as_it_is() {
    let bot = || BOT.parse().unwrap();
    let read = |t: &str| Interaction::read(t.parse().unwrap(), PATIENT.parse().unwrap());
    let csv = Operation {
        level: Level::Type("Patient".parse().unwrap()),
        name: "csv".parse().unwrap(),
        method: Method::Get,
        query: Query::new(),
        body: None,
    };
    let execute =
        Interaction::ExecuteBot { bot: bot(), input: Bytes::new(), content_type: "x-application/hl7-v2+er7".into() };
    let table: [(Interaction, &str, &str); 5] = [
        (read("Binary"), "application/pdf", "%PDF-1.7"),
        (read("Binary"), "text/html", "<p>a letter</p>"),
        (read("Binary"), "application/json", "{not json, but what was stored"),
        (Interaction::operation(csv).unwrap(), "text/csv", "id,name\n1,A"),
        (execute, "text/plain; charset=utf-8", "MSH|^~\\&|"),
    ];
    for (interaction, content_type, body) in table {
        let server = Server::new(move |request| match request.path().ends_with(BOT) {
            true => Answer::named_by(request),
            false => Answer::of(200, content_type, body),
        })
        .await;
        let reply = server.client().send(&call(), &interaction).await.unwrap();
        assert_eq!((&*reply.content_type, reply.body), (content_type, Body::Other(Bytes::from(body))));
        let accept = server.requests().last().unwrap().header("accept").unwrap().to_owned();
        assert_eq!(accept == "*/*", !matches!(interaction, Interaction::Operation(_)));
    }
}

#[tokio::test]
async fn an_empty_answer_is_empty_where_there_is_nothing_to_say() {
    let delete = Interaction::Delete { resource_type: "Patient".parse().unwrap(), id: PATIENT.parse().unwrap() };
    for (status, interaction) in [(202, read_patient()), (204, read_patient()), (304, read_patient()), (200, delete)] {
        let server = Server::new(move |_| Answer::empty(status)).await;
        let reply = server.client().send(&call(), &interaction).await.unwrap();
        assert_eq!((reply.status, &reply.body, reply.json()), (status, &Body::Empty, &Value::Null));
    }
}

/// Medplum says it of an update that changes nothing, and of nothing else that writes.
#[tokio::test]
async fn what_is_new_or_gone_is_not_unchanged() {
    let batch = json!({"type": "batch", "entry": [{"request": {"method": "DELETE", "url": "Patient/1"}}]});
    let delete = Interaction::Delete { resource_type: "Patient".parse().unwrap(), id: PATIENT.parse().unwrap() };
    let execute =
        Interaction::ExecuteBot { bot: BOT.parse().unwrap(), input: Bytes::new(), content_type: "text/plain".into() };
    for interaction in [create_patient(), delete, Interaction::Batch(Batch::parse(&batch).unwrap()), execute] {
        let server = Server::new(|request| match request.method.as_str() {
            "GET" => Answer::named_by(request),
            _ => Answer::empty(304),
        })
        .await;
        let error = server.client().send(&call(), &interaction).await.unwrap_err();
        assert!(matches!(error, Error::NotFhir { status: 304, .. }) && error.may_have_acted(), "{error:?}");
        assert_eq!(server.requests().iter().filter(|request| request.method != "GET").count(), 1, "{error}");
    }
}

#[tokio::test]
async fn an_empty_answer_is_none_where_a_record_was_asked_for() {
    let batch = json!({"type": "batch", "entry": [{"request": {"method": "DELETE", "url": "Patient/1"}}]});
    let graphql = GraphQl::parse("mutation { PatientDelete(id: \"1\") { id } }", None, None).unwrap();
    let writes = [Interaction::Batch(Batch::parse(&batch).unwrap()), Interaction::GraphQl(graphql), create_patient()];
    for interaction in [read_patient(), search("name=a"), Interaction::Metadata].iter().chain(&writes) {
        let server = Server::new(|_| Answer::empty(200)).await;
        let error = server.client().send(&call(), interaction).await.unwrap_err();
        assert!(matches!(error, Error::NotFhir { status: 200, reason: "it is empty", .. }), "{error:?}");
        assert_eq!(error.may_have_acted(), !interaction.effect().is_read(), "{error}");
    }
}

#[tokio::test]
async fn the_version_and_the_place_of_what_was_stored_come_with_the_reply() {
    type Headers = &'static [(&'static str, &'static str)];
    let table: [(Headers, Option<&str>, Option<&str>); 6] = [
        (&[("etag", "W/\"v1\"")], Some("v1"), None),
        (&[("etag", "\"v1\"")], Some("v1"), None),
        (&[("etag", "v1")], None, None),
        (&[("etag", "W/\"")], None, None),
        (&[("location", "http://medplum.test/fhir/R4/Patient/1")], None, Some("http://medplum.test/fhir/R4/Patient/1")),
        (
            &[("content-location", "http://medplum.test/fhir/R4/job/1/status")],
            None,
            Some("http://medplum.test/fhir/R4/job/1/status"),
        ),
    ];
    for (headers, version, location) in table {
        let server =
            Server::new(move |_| headers.iter().fold(Answer::patient(), |answer, (k, v)| answer.header(k, v))).await;
        let reply = server.client().send(&call(), &create_patient()).await.unwrap();
        assert_eq!((reply.version.as_deref(), reply.location.as_deref()), (version, location), "{headers:?}");
    }
}

// What it lets go of, and what it keeps.

#[tokio::test]
async fn a_call_that_is_dropped_drops_its_request() {
    let cases: [(&str, Making); 2] = [
        ("before the answer", || Answer::Silence),
        ("within the answer", || Answer::Dribble { status: 200, body: b"{".to_vec() }),
    ];
    for (name, answer) in cases {
        let server = Server::new(move |_| answer()).await;
        let client = server.client();
        let calls: Vec<_> = [read_patient(), create_patient()]
            .into_iter()
            .map(|interaction| {
                let client = client.clone();
                tokio::spawn(async move { client.send(&call(), &interaction).await })
            })
            .collect();
        server.received(2).await;
        for call in &calls {
            call.abort();
        }
        server.abandoned(2).await;
        assert_eq!(server.requests().len(), 2, "{name}: nothing is sent again");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_sends_nothing_more() {
    let server = Server::new(|_| Answer::empty(429).header("retry-after", "60")).await;
    let client = server.client();
    let waiting = tokio::spawn(async move { client.send(&call(), &create_patient()).await });
    server.received(1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_connection_serves_one_call_after_another() {
    let server = Server::new(|request| match request.nth % 3 {
        0 => Answer::patient(),
        1 => Answer::outcome(404, Some("not-found"), "not-found", "Not found"),
        _ => Answer::empty(200),
    })
    .await;
    let client = server.client();
    for _ in 0..12 {
        let _ = client.clone().send(&call(), &read_patient()).await;
    }
    assert_eq!((server.requests().len(), server.connections()), (12, 1), "the sign-in and twelve calls");
}

#[tokio::test]
async fn one_call_in_trouble_is_not_the_others() {
    let server = Server::new(|request| match request.path().ends_with(PATIENT) {
        true => Answer::Silence,
        false => Answer::fhir(200, json!({"resourceType": "Bundle"})),
    })
    .await;
    let client = server.client();
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.send(&call(), &read_patient()).await }
    });
    server.received(1).await;
    for _ in 0..5 {
        client.send(&call(), &search("name=a")).await.unwrap();
    }
    assert!(!stuck.is_finished());
    stuck.abort();
}

// TLS.

#[tokio::test]
async fn a_server_that_speaks_no_tls_gets_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 1];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    let config = Config { credentials: given("t"), ..config(&base) };
    let client = Client::with_surroundings(config, Open, FakeClock::new().surroundings());
    let error = client.send(&call(), &create_patient()).await.unwrap_err();
    assert_eq!(
        error,
        Error::Unreachable { why: NoConnection::NoTls, proxy: None, attempts: 1 },
        "another attempt is no better"
    );
    assert!(!error.may_have_acted());
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_has_sent_nothing() {
    // The server accepts and never answers the handshake.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}/", listener.local_addr().unwrap());
    let config = Config { credentials: given("t"), connect_timeout: Duration::from_millis(50), ..config(&base) };
    let client = Client::with_surroundings(config, Open, FakeClock::new().surroundings());
    let error = client.send(&call(), &create_patient()).await.unwrap_err();
    assert_eq!(error, Error::Unreachable { why: NoConnection::TimedOut, proxy: None, attempts: 3 });
    drop(listener);
}

// Proxies. They are read from the environment, which only a process of its own can set for itself.

/// Not a test of its own: what the child process does, for the two tests below.
#[tokio::test]
#[ignore = "run by the tests of the proxies, as a process of its own"]
async fn read_a_patient_as_a_child() {
    let Ok(base) = std::env::var("TEST_BASE_URL") else {
        return;
    };
    let client = Client::new(Config { credentials: given("t"), ..config(&base) }, Open);
    assert_eq!(client.send(&call(), &read_patient()).await.unwrap().status, 200);
}

async fn child_reads_a_patient(base: &str, proxy: &str) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "read_a_patient_as_a_child", "--ignored"]).env("TEST_BASE_URL", base);
    for name in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        child.env_remove(name);
    }
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, proxy);
    }
    tokio::task::spawn_blocking(move || child.output().unwrap().status.success()).await.unwrap()
}

#[tokio::test]
async fn the_environments_proxy_is_used_for_a_server_elsewhere() {
    let proxy = Server::new(|_| Answer::patient()).await;
    assert!(child_reads_a_patient("http://medplum.invalid/", &proxy.base).await);
    let [asked] = &proxy.requests()[..] else { panic!("one request") };
    assert_eq!(asked.line(), format!("GET http://medplum.invalid/fhir/R4/Patient/{PATIENT}"));
}

#[tokio::test]
async fn no_proxy_stands_between_the_client_and_this_machine() {
    let proxy = Server::new(|_| Answer::empty(502)).await;
    let server = Server::new(|_| Answer::patient()).await;
    assert!(child_reads_a_patient(&server.base, &proxy.base).await);
    assert_eq!((server.requests().len(), proxy.connections()), (1, 0));
}

#[tokio::test]
async fn what_a_server_repeats_of_our_secrets_is_left_out() {
    let repeats = |said: &str| Answer::outcome(400, None, "invalid", said);
    let server = Server::with_tokens(
        |_| Answer::token("TOKEN-ITSELF", 3600),
        move |_| repeats(&format!("your secret is {CLIENT_SECRET}, your token TOKEN-ITSELF")),
    )
    .await;
    let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Medplum answered 400: your secret is [secret left out], your token [secret left out]"
    );
    let refuses = |_: &Received| {
        Answer::of(
            400,
            "application/json",
            json!({"error": "invalid_request", "error_description": format!("no client with {CLIENT_SECRET}")})
                .to_string(),
        )
    };
    let server = Server::with_tokens(refuses, |_| Answer::patient()).await;
    let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
    assert_eq!(error.to_string(), "Medplum refused the credentials: no client with [secret left out]");
}

#[tokio::test]
async fn a_token_at_the_end_of_its_life_is_left_out_too() {
    // The first is refused, the second lives no longer than its request.
    let issued = AtomicUsize::new(0);
    let issues = move |_: &Received| {
        let n = issued.fetch_add(1, Ordering::SeqCst) + 1;
        Answer::token(&format!("TOKEN-NO-{n}"), if n == 1 { 3600 } else { 0 })
    };
    let repeats = |request: &Received| {
        let shown = request.header("authorization").unwrap_or_default().to_owned();
        Answer::outcome(
            if shown.ends_with("TOKEN-NO-1") { 401 } else { 400 },
            None,
            "invalid",
            &format!("{shown}, not TOKEN-NO-1"),
        )
    };
    let server = Server::with_tokens(issues, repeats).await;
    let error = server.client().send(&call(), &read_patient()).await.unwrap_err();
    assert_eq!(error.to_string(), "Medplum answered 400: Bearer [secret left out], not [secret left out]");
}

#[tokio::test]
async fn a_secret_is_left_out_however_it_is_spelled() {
    let form: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
    for spelled in [form.clone(), form.replace('+', "%20"), form.replace("%3D", "%3d").replace("%2B", "%2b")] {
        let said = format!("grant_type=client_credentials&client_secret={spelled}");
        let refuses = move |_: &Received| {
            Answer::of(
                400,
                "application/json",
                json!({"error": "invalid_request", "error_description": said}).to_string(),
            )
        };
        let server = Server::with_tokens(refuses, |_| Answer::patient()).await;
        let error = server.client().send(&call(), &read_patient()).await.unwrap_err().to_string();
        let said = "Medplum refused the credentials: grant_type=client_credentials&client_secret=";
        assert!(error.starts_with(said) && !error.contains("client%") && !error.contains("of%"), "{error}");
    }
}

#[tokio::test]
async fn a_write_that_is_answered_by_nothing_or_by_a_redirect_may_have_been_carried_out() {
    for (status, said) in [
        (204, "the answer (HTTP 204) is not FHIR: it is empty"),
        (302, "the server answered with a redirect (HTTP 302), which is not followed"),
    ] {
        let server = Server::new(move |_| Answer::empty(status)).await;
        let create = Interaction::create(json!({"resourceType": "Patient"}), None).unwrap();
        let error = server.client().send(&call(), &create).await.unwrap_err();
        assert!(error.may_have_acted(), "{error:?}");
        assert_eq!(error.to_string(), format!("{said}. The request may have been carried out"));
    }
}
