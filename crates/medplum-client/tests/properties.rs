//! What counts as a read, by property: paths, bundles and documents that nobody would come up with, each taken apart
//! again by a plain parser of this file's own, which knows nothing of how it was classed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(missing_docs)]

mod common;

use common::reads::Wire;
use common::scanner::{definitions, only_queries};
use common::{PATIENT, entry, with};
use medplum_client::Effect::Read;
use medplum_client::Method::{Delete, Get, Patch, Post, Put};
use medplum_client::{Batch, FhirPath, GraphQl, Interaction, Method, Query, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn the_scanner_tells_documents_apart() {
    assert_eq!(definitions("query A { a(x: \"}\") } mutation B { b }"), ["query", "mutation"]);
    assert_eq!(
        definitions("{ a(x: \"\"\"} \\\"\"\" mutation { \"\"\") } fragment F on Q { c }"),
        ["query", "fragment"]
    );
    assert_eq!(definitions("# mutation {\nquery { a }"), ["query"]);
}

/// Whether a request only reads, by a plain reading of what goes onto the wire.
fn reads(request: &Request) -> Result<(), String> {
    Wire::of(request).reads()
}

/// Pieces of paths: what means something to Medplum, to Express, or to a URL parser.
fn piece() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let words = [
        "fhir", "R4", "FHIR", "r4", "Patient", "Bot", "ValueSet", "CodeSystem", "1", PATIENT, "_history", "_search",
        "metadata", "$everything", "$execute", "$lookup", "$expand", "$validate", "$csv", "$graph", "$graphql",
        "$versions", "$export", "$my-op", "%24execute", "%2Fx", "%2e%2e", "%252e", "%5c", "%00", "%", "%41", "..",
        ".", "", "/", "//", "\\", "?", "#", ";a=b", "@", ":", "https://evil.example", "auth", "me", "admin",
        "projects", "members", "job", "status", ".well-known", "oauth2", "userinfo", "healthcheck", "openapi.json",
        "_type=Patient", "name=/$my-op", "x=%2F%24y", "&", "=", "+", "é", "\u{feff}", "\u{202e}", " ",
    ];
    prop_oneof![8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

/// Paths of the right shape, so that much of what is made up is nearly a read.
#[rustfmt::skip]
fn shaped() -> impl Strategy<Value = String> {
    let types = ["Patient", "Bot", "ValueSet", "CodeSystem", "ConceptMap", "Observation", "PATIENT", ".well-known", "job", "$versions"];
    let tails = [
        "$everything", "$summary", "$lookup", "$validate-code", "$subsumes", "$expand", "$translate", "$csv", "$graph", "$validate",
        "$execute", "$deploy", "$export", "$upgrade", "$match", "$Everything", "%24csv", "_history", "_history/2", "_search", "status", "1",
    ];
    let some = |of: &[&'static str]| prop::sample::select(of.to_vec());
    let id = prop::option::of(some(&["1", "a-b", PATIENT]));
    let query = prop::option::of(some(&["a=1", "x=/$my-op", "_type=Patient", "/$x"]));
    let noise = prop_oneof![6 => Just(String::new()), 1 => piece().prop_map(|piece| format!("/{piece}"))];
    (some(&types), id, prop::option::of(some(&tails)), noise, query).prop_map(|(t, id, tail, noise, query)| {
        let parts: Vec<&str> = [Some(t), id, tail].into_iter().flatten().collect();
        format!("fhir/R4/{}{noise}{}", parts.join("/"), query.map(|q| format!("?{q}")).unwrap_or_default())
    })
}

fn path() -> impl Strategy<Value = String> {
    let joined =
        |separator: &'static str| prop::collection::vec(piece(), 0..6).prop_map(move |pieces| pieces.join(separator));
    let below = joined("/").prop_map(|rest| format!("fhir/R4/{rest}"));
    let queried = (joined("/"), joined("&")).prop_map(|(path, query)| format!("fhir/R4/{path}?{query}"));
    prop_oneof![8 => shaped(), 4 => below, 4 => queried, 2 => joined("/"), 1 => joined(""), 1 => any::<String>()]
}

fn a_method() -> impl Strategy<Value = Method> {
    prop_oneof![5 => Just(Get), 3 => Just(Post), 1 => Just(Put), 1 => Just(Patch), 1 => Just(Delete)]
}

fn document() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let tokens = [
        "query", "mutation", "subscription", "fragment", "F", "on", "Query", "Mutation", "{", "}", "(", ")", "a",
        "id", ":", "$v", "\"x\"", "\"}\"", "\"\\\"\"", "\"\"\"", "\"\"\" } mutation { \"\"\"", "@include(if: true)",
        "...", "...F", ",", "#", "\n", "\r", "!", "[", "]", "{ a }", "query A { a }", "mutation B { b }",
        "fragment F on Query { a }", "{ a(x: \"\\\\\") }", "{ a(x: \"\u{2028}\\n\\\"\\\"\\\"\") }",
    ];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..12).prop_map(|tokens| tokens.join(" "))
}

fn an_entry() -> impl Strategy<Value = Value> {
    let methods =
        prop_oneof![6 => Just("GET"), 3 => Just("POST"), 1 => Just("PUT"), 1 => Just("DELETE"), 1 => Just("HEAD")];
    let url = prop_oneof![3 => path().prop_map(|path| path.trim_start_matches("fhir/R4/").to_owned()), 1 => Just("$graphql".to_owned())];
    (methods, url, prop::option::of(small_body())).prop_map(|(method, url, resource)| {
        let entry = entry(method, &url);
        resource.map_or(entry.clone(), |resource| with(entry, "resource", resource))
    })
}

fn small_body() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"resourceType": "Patient", "id": "1"})),
        Just(json!({"resourceType": "Parameters", "parameter": []})),
        Just(json!({"name": "/$x", "_count": 1})),
        Just(json!([{"op": "remove", "path": "/a"}])),
        document().prop_map(|query| json!({"query": query})),
    ]
}

fn a_body() -> impl Strategy<Value = Option<Value>> {
    let bundle = prop::collection::vec(an_entry(), 0..3).prop_map(|entries| json!({"type": "batch", "entry": entries}));
    prop_oneof![4 => Just(None), 2 => small_body().prop_map(Some), 1 => bundle.prop_map(Some)]
}

fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((any::<String>(), prop_oneof![any::<String>(), piece()]), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is classed as a read is one, by a reading that knows nothing of how it was classed.
    #[test]
    fn what_is_classed_as_a_read_reads(path in path(), method in a_method(), body in a_body(), more in parameters()) {
        let more: Query = more.into_iter().collect();
        if let Ok(interaction) = Interaction::from_path(&FhirPath::default(), method, &path, more, body)
            && interaction.effect() == Read
        {
            prop_assert_eq!(reads(&interaction.to_request()), Ok(()));
            for guard in interaction.guards().unwrap() {
                prop_assert_eq!(reads(&guard.to_request()), Ok(()));
            }
        }
    }

    #[test]
    fn bundles_that_are_classed_as_reads_read(entries in prop::collection::vec(an_entry(), 1..4)) {
        let bundle = json!({"type": "transaction", "entry": entries});
        if let Ok(batch) = Batch::parse(&bundle) && batch.effect() == Read {
            prop_assert_eq!(reads(&Interaction::Batch(batch).to_request()), Ok(()));
        }
    }

    /// What is recognised is sent as such: it means the same when it is read once more.
    #[test]
    fn what_is_sent_is_what_was_judged(path in path(), method in a_method(), body in a_body()) {
        if let Ok(interaction) = Interaction::from_path(&FhirPath::default(), method, &path, Query::new(), body) {
            let request = interaction.to_request();
            let base = if request.fhir { "fhir/R4/" } else { "" };
            if request.body.is_none() {
                let url = format!("{base}{}", request.relative_url());
                let again = Interaction::from_path(&FhirPath::default(), request.method, &url, Query::new(), None);
                prop_assert_eq!(again, Ok(interaction));
            }
        }
    }

    #[test]
    fn documents_that_are_classed_as_reads_read(document in document()) {
        if let Ok(parsed) = GraphQl::parse(&document, None, None) {
            let effect = parsed.effect();
            let request = Interaction::GraphQl(parsed).to_request();
            let sent: Value = serde_json::from_slice(&request.body.unwrap().1).unwrap();
            let queries = only_queries(sent["query"].as_str().unwrap());
            prop_assert_eq!(effect == Read, queries);
        }
    }

    /// No text can get out of its quotes.
    #[test]
    fn a_text_in_a_document_stays_a_text(text in any::<String>(), block in any::<bool>()) {
        let quoted = if block { format!("\"\"\"{}\"\"\"", text.replace("\"\"\"", "\\\"\"\"")) } else { json!(text).to_string() };
        if let Ok(parsed) = GraphQl::parse(&format!("{{ a(x: {quoted}) {{ id }} }}"), None, None) {
            let request = Interaction::GraphQl(parsed).to_request();
            let sent: Value = serde_json::from_slice(&request.body.unwrap().1).unwrap();
            let sent = sent["query"].as_str().unwrap();
            prop_assert!(only_queries(sent), "{}", sent);
            prop_assert_eq!(definitions(sent).len(), 1);
            if !block {
                let printed = &sent[sent.find('"').unwrap()..=sent.rfind('"').unwrap()];
                prop_assert_eq!(serde_json::from_str::<String>(printed).unwrap(), text, "{}", sent);
            }
        }
    }

    #[test]
    fn a_query_that_is_encoded_and_parsed_is_the_same(pairs in prop::collection::vec(("[^\\p{Cc}]{0,12}", "[^\\p{Cc}]{0,12}"), 0..6)) {
        let query: Query = pairs.clone().into_iter().collect();
        let encoded = query.encode();
        prop_assert!(!encoded.contains(['/', '$', '+', ' ', '#', '?', '"', '<', '\\']), "{}", encoded);
        prop_assert_eq!(Query::parse(&encoded), Ok(query));
        prop_assert_eq!(common::pairs(&encoded), pairs);
    }

    #[test]
    fn a_query_is_read_as_others_read_it(raw in prop_oneof![any::<String>(), "[a-c=&+%/$?#;0-9A-F ]{0,16}"]) {
        if let Ok(query) = Query::parse(&raw) {
            let ours: Vec<(String, String)> = query.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(&ours, &common::pairs(&raw));
            prop_assert_eq!(Query::parse(&query.encode()), Ok(query));
        }
    }
}
