//! What must hold whatever is given.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::example;
use fhir_definitions::references::local_references;
use fhir_definitions::schema::{Options, render};
use fhir_definitions::search::{check, compare_self};
use fhir_definitions::validate::{list, validate};
use fhir_definitions::{Definitions, nearest};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Names that mean something to the definitions, and some that do not.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "resourceType",
            "id",
            "meta",
            "name",
            "family",
            "given",
            "_given",
            "subject",
            "reference",
            "contained",
            "extension",
            "url",
            "valueString",
            "valueQuantity",
            "value",
            "status",
            "code",
            "coding",
            "system",
            "text",
            "entry",
            "resource",
            "component",
            "birthDate",
            "_birthDate",
            "active",
            "period",
            "start",
            "end",
            "link",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "Patient",
            "Observation",
            "Bundle",
            "Patient/1",
            "#x",
            "2024-01-15",
            "2024-02-30",
            "final",
            "http://a.example",
            "",
            " ",
            "system|code",
            "72.5 kg",
            "Smith, Alice",
        ])
        .prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn query() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = prop::sample::select(vec![
        "name",
        "family",
        "birthdate",
        "gender",
        "identifier",
        "organization",
        "general-practitioner",
        "_id",
        "_lastUpdated",
        "_sort",
        "_count",
        "_include",
        "_has:Observation:patient:code",
        "organization.name",
        "death-date",
        "name:exact",
        "phone:missing",
        "link:Patient",
        "_elements",
        "_tag",
        "active",
    ]);
    let values = prop_oneof![
        prop::sample::select(vec![
            "Smith",
            "1961",
            "1961-02",
            "1961-02-03",
            "ge1961",
            "lt1961-02-03",
            "true",
            "female",
            "Organization/1",
            "1",
            "a|b",
            "-name,_id",
            "Patient:organization",
            "2024-02-29T08:30Z",
            "a,b",
            "sa2024-12-31",
            "name",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    vec((prop_oneof![4 => names.prop_map(str::to_owned), 1 => "\\PC{0,10}"], values), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn anything_can_be_validated(value in json_value()) {
        let report = validate(&value);
        let text = list("Refused.", &report.faults);
        let hidden = text.contains(['\u{202e}', '\u{200b}', '\u{0}']);
        prop_assert!(!hidden);
        prop_assert!(local_references(&value).len() < 1_000);
    }

    /// What is put into an example changes only what is said about its own place.
    #[test]
    fn a_new_element_never_hides_a_fault(value in json_value(), number in 0_usize..150) {
        let mut resource = example(number);
        resource["noSuchElement"] = value;
        let faults = validate(&resource).faults;
        prop_assert!(faults.iter().any(|f| f.path == "noSuchElement"));
    }

    #[test]
    fn a_sound_resource_has_no_new_faults_beside_itself(value in json_value()) {
        let report = validate(&value).beside_stored(&value);
        prop_assert!(report.is_sound(), "{:?}", report.faults);
    }

    /// What was rewritten is sent as it is: a second look changes nothing.
    #[test]
    fn rewriting_is_done_once(query in query()) {
        if let Ok(once) = check("Patient", &query) {
            let twice = check("Patient", &once.params);
            let twice = twice.unwrap();
            for (key, value) in &once.params {
                prop_assert!(!value.trim().is_empty(), "{key}");
            }
            prop_assert_eq!(once.params, twice.params);
        }
    }

    /// A server that does what it is asked is never accused.
    #[test]
    fn an_obedient_server_drops_nothing(query in query()) {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let pairs: Vec<String> = query.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        let link = format!("https://example.org/fhir/R4/Patient?{}", pairs.join("&"));
        let sorted = query.iter().filter(|(k, _)| k == "_sort").count();
        prop_assume!(sorted <= 1);
        prop_assert_eq!(compare_self(&query, &link), vec![]);
        // And one that drops a filter is.
        let filters: Vec<(String, String)> = query.into_iter().filter(|(k, _)| !k.starts_with('_') && !k.is_empty()).collect();
        prop_assert_eq!(compare_self(&filters, "https://example.org/fhir/R4/Patient").len(), filters.len());
    }

    #[test]
    fn any_name_can_be_asked_for(name in "\\PC{0,30}", element in "\\PC{0,30}") {
        render(&name, &Options::default()).ok();
        render("Patient", &Options { elements: vec![element.clone()], ..Options::default() }).ok();
        let defs = Definitions::get();
        prop_assert!(nearest(&name, defs.resource_types().map(|t| t.name)).len() <= 3);
    }
}

#[test]
fn references_of_the_examples_are_found() {
    let resource = json!({"resourceType": "Patient", "contained": [{"resourceType": "Practitioner", "id": "p"}], "generalPractitioner": [{"reference": "#p"}, {"reference": "Practitioner/1"}]});
    assert_eq!(local_references(&resource).len(), 1);
}
