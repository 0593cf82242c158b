//! How arguments are read: what is plain is put right, what is not is explained, and what leaves is what was meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::attempt::{Attempt, all_pass, all_refused, attempt, line};
use common::{Asked, LISTED_BOT, MEMBERSHIP, NOBODY, PATIENT, Pipe, Says, Stub, VERSION};
use serde_json::{Value, json};

const WRITES: &[(&str, &str)] = &[("MEDPLUM_ENABLE_WRITES", "true")];

fn search(arguments: Value, target: &str) -> (&'static str, Value, Vec<String>) {
    // A page goes by Medplum's own order of time, unless the caller has another, or a place of their own.
    let ordered = match target {
        placed if placed.contains("_offset=") => placed.to_owned(),
        some if some.contains('?') => format!("{some}&_sort=_lastUpdated"),
        none => format!("{none}?_sort=_lastUpdated"),
    };
    ("search_resources", arguments, line("GET", &format!("fhir/R4/{ordered}")))
}

#[tokio::test]
async fn an_unknown_argument_is_refused_with_where_it_belongs() {
    let patient = |more: (&str, Value)| {
        let mut arguments = json!({"resource_type": "Patient"});
        arguments[more.0] = more.1;
        arguments
    };
    let rows = vec![
        attempt("search_resources", patient(("family", json!("Smith"))), "{\"params\":{\"family\":\"…\"}}"),
        attempt("search_resources", patient(("_count", json!(3))), "no argument \"_count\""),
        attempt("search_one", patient(("identifier", json!("a|b"))), "{\"params\":{\"identifier\":\"…\"}}"),
        attempt("search_all_resources", patient(("max", json!(3))), "no argument \"max\""),
        attempt("read_resource", json!({"resource_type": "Patient", "resource_ids": "1"}), "Nearest: resource_id"),
        attempt("read_resource", json!({"resourceType": "Patient", "id": "1"}), "It takes: resource_type, resource_id"),
        attempt("get_resource_schema", patient(("nested", json!(true))), "It takes: resource_type, include_nested"),
        attempt("raw_request", json!({"method": "GET", "url": "auth/me"}), "It takes: method, path"),
        attempt(
            "read_resource",
            json!({"resource_type": "Patient", "resource_id": "1", "x\u{0}\n": 1}),
            "no argument \"x\"",
        ),
    ];
    all_refused(&[], rows).await;
}

#[tokio::test]
async fn a_missing_argument_is_named_with_what_there_is() {
    let rows = vec![
        attempt("read_resource", json!({}), "read_resource needs resource_type and resource_id"),
        attempt("read_resource", json!({"resource_type": "Patient"}), "read_resource needs resource_id"),
        attempt(
            "read_resource",
            json!({"resource_type": "Patient", "resource_id": null}),
            "read_resource needs resource_id",
        ),
        attempt("search_resources", json!({"params": {"name": "x"}}), "search_resources needs resource_type"),
        attempt("validate_code", json!({"valueset_url": "x"}), "validate_code needs code and system"),
        attempt("execute_graphql", json!({"variables": {}}), "execute_graphql needs query"),
        attempt("execute_batch", json!({}), "execute_batch needs bundle"),
    ];
    all_refused(&[], rows).await;
}

#[tokio::test]
async fn null_is_the_same_as_leaving_out() {
    let nulls = json!({
        "resource_type": "Patient", "params": null, "count": null, "offset": null, "sort": null, "include": null,
        "revinclude": null, "summary": null, "total": null, "on_behalf_of": null
    });
    let calls = vec![
        search(nulls, "Patient"),
        (
            "execute_operation",
            json!({"resource_type": "Observation", "operation": "csv", "resource_id": null, "params": null, "method": "GET"}),
            line("GET", "fhir/R4/Observation/$csv"),
        ),
        (
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": "1", "operation": "everything", "method": "GET", "params": {"_count": 5, "_since": null}}),
            vec!["GET /fhir/R4/Patient/1".into(), "GET /fhir/R4/Patient/1/$everything?_count=5".into()],
        ),
        // The default of method is POST, and null is no other.
        (
            "execute_operation",
            json!({"resource_type": "CodeSystem", "operation": "lookup", "method": null}),
            line("POST", "fhir/R4/CodeSystem/$lookup"),
        ),
        ("execute_graphql", json!({"query": "{ a }", "variables": null}), line("POST", "fhir/R4/$graphql")),
        (
            "raw_request",
            json!({"method": "GET", "path": "auth/me", "body": null, "query_params": null}),
            line("GET", "auth/me"),
        ),
        ("get_resource_schema", json!({"resource_type": "Patient", "include_nested": null}), vec![]),
        ("get_resource_capabilities", json!({"resource_type": null}), vec![]),
    ];
    all_pass(&[], calls).await;
}

#[tokio::test]
async fn what_came_as_a_string_is_taken_for_what_it_is() {
    let calls = vec![
        search(json!({"resource_type": "Patient", "params": "{\"family\":\"Smith\"}"}), "Patient?family=Smith"),
        search(json!({"resource_type": "Patient", "params": " {\"family\":\"Smith\"} "}), "Patient?family=Smith"),
        search(json!({"resource_type": "Patient", "params": "family=Smith"}), "Patient?family=Smith"),
        search(json!({"resource_type": "Patient", "count": "3", "offset": " 6 "}), "Patient?_count=3&_offset=6"),
        search(json!({"resource_type": "Patient", "count": 3.0}), "Patient?_count=3"),
        ("read_resource", json!({"resource_type": "Patient", "resource_id": 7}), line("GET", "fhir/R4/Patient/7")),
        ("get_resource_schema", json!({"resource_type": "Patient", "include_nested": "true"}), vec![]),
        (
            "execute_batch",
            json!({"bundle": "{\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":\"Patient/1\"}}]}"}),
            line("POST", "fhir/R4"),
        ),
        (
            "raw_request",
            json!({"method": "GET", "path": "fhir/R4/Patient", "query_params": "[[\"family\",\"Smith\"]]"}),
            line("GET", "fhir/R4/Patient?family=Smith"),
        ),
        ("execute_graphql", json!({"query": "{ a }", "variables": "{\"id\":\"1\"}"}), line("POST", "fhir/R4/$graphql")),
    ];
    all_pass(&[], calls).await;
}

#[tokio::test]
async fn what_is_of_the_wrong_type_is_refused_with_the_right_one() {
    let of_patients = |name: &str, value: Value, says| {
        let mut arguments = json!({"resource_type": "Patient"});
        arguments[name] = value;
        attempt("search_resources", arguments, says)
    };
    let rows: Vec<Attempt> = vec![
        of_patients("params", json!("Maria Smith"), "params must be an object, not a string"),
        of_patients("params", json!(["family", "Smith"]), "params must be an object, not a list"),
        of_patients("count", json!("many"), "count must be a whole number, not a string"),
        of_patients("count", json!(2.5), "count must be a whole number"),
        of_patients("count", json!(-1), "count must be from 0 to 1000"),
        of_patients("count", json!(1_001), "count must be from 0 to 1000"),
        of_patients("offset", json!(10_001), "offset must be from 0 to 10000"),
        of_patients("sort", json!({"by": "date"}), "sort must be a string, not an object"),
        of_patients("include", json!(true), "include must be a string or a list"),
        of_patients("include", json!([{"by": 1}]), "include[0] must be a string, not an object"),
        of_patients("summary", json!("some"), "summary must be one of true | text | data | count | false"),
        of_patients("total", json!("exact"), "total must be one of none | estimate | accurate"),
        attempt(
            "search_all_resources",
            json!({"resource_type": "Patient", "max_resources": 0}),
            "max_resources must be from 1 to",
        ),
        attempt(
            "search_all_resources",
            json!({"resource_type": "Patient", "max_resources": 1_000_000}),
            "max_resources must be from 1 to",
        ),
        attempt(
            "read_resource",
            json!({"resource_type": "Patient", "resource_id": {"id": "1"}}),
            "resource_id must be a string, not an object",
        ),
        attempt(
            "read_resource",
            json!({"resource_type": true, "resource_id": "1"}),
            "resource_type must be a string, not true or false",
        ),
        attempt(
            "get_resource_schema",
            json!({"resource_type": "Patient", "include_nested": "maybe"}),
            "include_nested must be true or false",
        ),
        attempt("execute_batch", json!({"bundle": "x"}), "bundle must be an object, not a string"),
        attempt(
            "read_resource",
            json!({"resource_type": "Patient", "resource_id": "1", "on_behalf_of": 7}),
            "on_behalf_of must be a string",
        ),
    ];
    all_refused(&[], rows).await;
}

#[tokio::test]
async fn search_parameters_keep_their_meaning() {
    let calls = vec![
        // A list repeats the key: AND. A comma is OR.
        search(
            json!({"resource_type": "Observation", "params": {"date": ["ge2024-01-01", "lt2025-01-01"], "code": "a,b"}}),
            "Observation?date=ge2024-01-01&date=lt2025-01-01&code=a,b",
        ),
        search(
            json!({"resource_type": "Patient", "params": {"active": true, "_count": 3}}),
            "Patient?active=true&_count=3",
        ),
        search(
            json!({"resource_type": "Patient", "params": {"identifier": "http://hospital.example/mrn|4711"}}),
            "Patient?identifier=http:%2F%2Fhospital.example%2Fmrn%7C4711",
        ),
        search(
            json!({"resource_type": "Patient", "params": {"family:exact": "Zoë & Söhne"}}),
            "Patient?family:exact=Zo%C3%AB%20%26%20S%C3%B6hne",
        ),
    ];
    all_pass(&[], calls).await;
}

#[tokio::test]
async fn a_filter_is_never_left_out_silently() {
    let params =
        |params: Value, says| attempt("search_resources", json!({"resource_type": "Patient", "params": params}), says);
    let mut rows = vec![
        params(json!({"family": null}), "\"family\" is null"),
        params(json!({"family": {"exact": "x"}}), "\"family\" is an object"),
        params(json!({"family": []}), "\"family\" is an empty list"),
        params(json!({"family": [["x"]]}), "\"family\" is a list of lists"),
        params(json!({"family": "a\u{0}b"}), "\"family\" is a text with a control character"),
        params(json!({"family": ["x", "a\nb"]}), "\"family\" is a text with a control character"),
        params(json!({"family": ["x", null]}), "\"family\" is null"),
    ];
    for (argument, value, key, other) in [
        ("count", json!(3), "_count", json!(4)),
        ("offset", json!(3), "_offset", json!(4)),
        ("sort", json!("family"), "_sort", json!("given")),
        ("total", json!("accurate"), "_total", json!("none")),
        ("summary", json!("count"), "_summary", json!("true")),
    ] {
        let mut arguments = json!({"resource_type": "Patient", "params": {key: other}});
        arguments[argument] = value;
        rows.push(attempt("search_resources", arguments, "say the same thing: pass one of them"));
    }
    for tool in ["search_one", "search_all_resources"] {
        rows.push(attempt(tool, json!({"resource_type": "Patient", "params": {"identifier": null}}), "is null"));
    }
    rows.push(attempt(
        "execute_operation",
        json!({"resource_type": "Observation", "operation": "csv", "method": "GET", "params": {"code": null}}),
        "is null",
    ));
    all_refused(&[], rows).await;
}

/// A document asks for what it means, as a search does.
#[tokio::test]
async fn a_filter_of_a_document_is_looked_at_like_any_other() {
    let rows = [
        (
            "value_quantity: \"72kg\"",
            "ObservationList: value-quantity: \"72kg\" is not a quantity. Write value-quantity=72||kg",
        ),
        ("value_quantity: \"7.0,7.2\"", "which Medplum does not take in a quantity"),
        ("date: \"yesterday\"", "is not a date"),
        (
            "date: \"2025-03-03\"",
            "date: \"2025-03-03\" means \"ge2025-03-03\" and \"lt2025-03-04\", and only one of them can be asked here",
        ),
        ("date: \"le2025-03-03\"", "Write date: \"lt2025-03-04\". Nothing was sent."),
        ("date: \"2025-03-03T10:00Z\"", "means \"ge2025-03-03T10:00:00Z\" and \"lt2025-03-03T10:01:00Z\""),
        (
            "value_date: \"ge2025-01-01,le2025-02-01\"",
            "ObservationList: value_date: \"ge2025-01-01,le2025-02-01\" lists several dates, which Medplum refuses, and an argument stands once. search_resources asks for a range; here each is asked in a field of its own, with an alias, such as a: …(value_date: \"ge2025-01-01\"). Nothing was sent.",
        ),
        ("subject: \"Pateint/1\"", "Nearest: Patient"),
    ];
    let documents = rows.into_iter().flat_map(|(filter, says)| {
        let query = format!("{{ Patient(id: \"1\") {{ ObservationList(_reference: patient, {filter}) {{ id }} }} }}");
        let raw = json!({"method": "POST", "path": "fhir/R4/$graphql", "body": {"query": query}});
        [attempt("execute_graphql", json!({"query": query}), says), attempt("raw_request", raw, says)]
    });
    all_refused(&[], documents.collect()).await;
    let fine = [
        "{ ObservationList(value_quantity: 72, date: \"ge2025-03-03\", code: \"a\", bogus: \"x\") { id } }",
        "{ ObservationList(value_quantity: \"gt7.0\", patient: \"1\", _lastUpdated: \"gt2025-03-03T10:00:00Z\") { id } }",
        "{ RiskAssessmentConnection(probability: 0.5) { count } }",
    ];
    let calls = fine.map(|query| ("execute_graphql", json!({"query": query}), line("POST", "fhir/R4/$graphql")));
    all_pass(&[], calls.into()).await;
}

/// What the server has is asked first: it may know more.
#[tokio::test]
async fn an_order_is_refused_in_the_words_that_were_given() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    for (sort, says) in [
        ("", "_sort is empty. Give it a value, or leave it out.\nNothing"),
        (" ", "_sort is empty"),
        ("name,,birthdate", "_sort: \"name,,birthdate\" has an empty part. Write _sort=name,birthdate\nNothing"),
        ("--name", "_sort takes one minus for descending: _sort=-name\nNothing"),
    ] {
        for tool in ["search_resources", "search_one", "search_all_resources"] {
            let answer = pipe.call(tool, json!({"resource_type": "Patient", "sort": sort})).await;
            assert!(answer.error().contains(says), "{tool} {sort:?}: {answer:?}");
        }
    }
    assert!(stub.taken().iter().all(|asked| !asked.target.contains("Patient")));
}

#[tokio::test]
async fn a_space_between_the_parts_of_an_order_says_nothing() {
    let given = json!({"resource_type": "Patient", "sort": "-birthdate, name"});
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    stub.say(Says::json(200, &json!({"resourceType": "Bundle", "type": "searchset"})));
    pipe.call("search_resources", given).await.record();
    let asked = last(&stub).target.replace("%2C", ",");
    assert!(asked.contains("_sort=-birthdate,name,_id"), "{asked}");
}

/// What is accepted is neither done nor refused.
#[tokio::test]
async fn what_is_accepted_has_not_failed() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let create = json!({"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": "x"}}});
    let bundle = |entries: Value| json!({"bundle": {"type": "batch", "entry": entries}});
    let entry = |status: &str| json!({"response": {"status": status}});
    stub.say(Says::json(200, &json!({"resourceType": "Bundle", "type": "batch-response", "entry": [entry("202")]})));
    let answer = pipe.call("execute_batch", bundle(json!([create]))).await;
    assert!(answer.note().starts_with("Accepted, to be carried out later: [0] 202: search_resources"), "{answer:?}");
    let both = json!([entry("202"), entry("400")]);
    stub.say(Says::json(200, &json!({"resourceType": "Bundle", "type": "batch-response", "entry": both})));
    let answer = pipe.call("execute_batch", bundle(json!([create, create]))).await;
    let said = "1 of 2 entries failed. Refused: [1] 400. Accepted, to be carried out later: [0] 202: search_resources";
    assert!(answer.note().starts_with(said) && !answer.note().contains("None was"), "{answer:?}");
    // The whole of it.
    stub.say(Says::json(202, &json!({"resourceType": "OperationOutcome", "id": "accepted", "issue": [{"severity": "information", "code": "informational", "details": {"text": "Accepted"}}]})));
    let answer = pipe.call("execute_batch", bundle(json!([create]))).await;
    let said = "It was accepted (HTTP 202), to be carried out later, and the answer does not say what became of it: it is no Bundle";
    assert!(answer.error().contains(said) && !answer.error().contains("MEDPLUM_BASE_URL"), "{answer:?}");
    assert!(answer.error().contains("Look before you try again: [0] search_resources"), "{answer:?}");
}

#[tokio::test]
async fn bytes_of_no_named_type_are_said_to_be_so() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    stub.say(Says::bytes(200, "", [0, 159, 146, 150, 255]));
    let answer = pipe.call("raw_request", json!({"method": "GET", "path": "fhir/R4/Binary/1"})).await;
    assert_eq!(answer.note(), "5 bytes without a Content-Type, as base64.");
}

#[tokio::test]
async fn a_parameter_of_an_operation_is_never_left_out_silently() {
    let rows = ["GET", "POST"].into_iter().flat_map(|method| {
        let lookup = move |params: Value, says| {
            let call =
                json!({"resource_type": "CodeSystem", "operation": "lookup", "method": method, "params": params});
            attempt("execute_operation", call, says)
        };
        [
            lookup(json!({"code": "x", "property": []}), "params: \"property\" is an empty list"),
            lookup(json!({"property": [["display", "parent"]]}), "params: \"property\" is a list of lists"),
            lookup(json!({"property": ["display", []]}), "params: \"property\" is a"),
            lookup(json!({"property": ["display", null]}), "params: \"property\" is"),
        ]
    });
    all_refused(&[], rows.collect()).await;
}

/// The last thing that reached the stub.
fn last(stub: &Stub) -> Asked {
    stub.taken().pop().expect("something was asked")
}

#[tokio::test]
async fn an_operations_name_loses_one_dollar_and_its_params_become_parameters() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    for name in ["lookup", "$lookup", " lookup "] {
        let arguments = json!({"resource_type": "CodeSystem", "operation": name, "params": {"code": "a", "date": ["x", "y"], "n": 3, "b": true, "none": null}});
        pipe.call("execute_operation", arguments).await.record();
        let asked = last(&stub);
        assert_eq!(asked.line(), "POST /fhir/R4/CodeSystem/$lookup", "{name}");
        let expected = json!({"resourceType": "Parameters", "parameter": [
            {"name": "code", "valueString": "a"}, {"name": "date", "valueString": "x"}, {"name": "date", "valueString": "y"},
            {"name": "n", "valueInteger": 3}, {"name": "b", "valueBoolean": true}
        ]});
        assert_eq!(asked.json(), expected);
    }
    let whole = json!({"resourceType": "Parameters", "parameter": [{"name": "code", "valueCode": "a"}]});
    pipe.call("execute_operation", json!({"resource_type": "CodeSystem", "operation": "lookup", "params": whole}))
        .await
        .record();
    assert_eq!(last(&stub).json(), whole, "a Parameters resource goes as it is");
    // $validate takes the resource itself.
    let resource = json!({"resourceType": "Observation", "status": "final"});
    for params in [resource.clone(), json!({"resource": resource})] {
        let arguments = json!({"resource_type": "Observation", "operation": "validate", "params": params});
        pipe.call("execute_operation", arguments).await.record();
        assert_eq!(last(&stub).json(), resource);
    }
}

/// "Not in that ValueSet" has to be the server's word.
#[tokio::test]
async fn an_answer_without_a_result_says_nothing_of_a_code() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let code = |more: Value| {
        let mut arguments = json!({"code": "a", "system": "b"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let outcome = json!({"resourceType": "OperationOutcome", "id": "ok", "issue": []});
    let empty = json!({"resourceType": "Parameters", "parameter": []});
    for (tool, arguments) in [
        ("validate_code", code(json!({"valueset_url": "c"}))),
        ("validate_codesystem_code", json!({"code": "a", "codesystem_url": "c"})),
        ("lookup_concept", code(json!({}))),
        ("translate_concept", code(json!({"conceptmap_url": "c"}))),
        ("expand_valueset", json!({"valueset_url": "c"})),
    ] {
        for says in [&outcome, &empty, &json!({})] {
            stub.say(Says::json(200, says));
            let answer = pipe.call(tool, arguments.clone()).await;
            assert!(answer.error().contains("says nothing of the code"), "{tool} {says}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn terminology_asks_for_one_way_to_name_a_thing() {
    let both = "not both";
    let rows = vec![
        attempt(
            "validate_code",
            json!({"code": "a", "system": "b"}),
            "Pass valueset_url (its canonical URL) or valueset_id",
        ),
        attempt("validate_code", json!({"code": "a", "system": "b", "valueset_url": "c", "valueset_id": "1"}), both),
        attempt("validate_codesystem_code", json!({}), "Pass code, or coding"),
        attempt("validate_codesystem_code", json!({"code": "a", "coding": {"code": "a"}}), both),
        attempt("validate_codesystem_code", json!({"code": "a"}), "codesystem_url"),
        attempt(
            "validate_codesystem_code",
            json!({"coding": {"system": "a", "code": "b"}, "codesystem_url": "a", "codesystem_id": "1"}),
            both,
        ),
        attempt("expand_valueset", json!({}), "Pass valueset_url (its canonical URL) or valueset_id"),
        attempt(
            "expand_valueset",
            json!({"valueset_url": " "}),
            "Pass valueset_url (its canonical URL) or valueset_id",
        ),
        attempt("expand_valueset", json!({"valueset_url": "a", "count": -5}), "count must be 0 or more"),
        attempt("expand_valueset", json!({"valueset_url": "a", "offset": -1}), "offset must be 0 or more"),
        attempt("lookup_concept", json!({"code": "", "system": "a"}), "code is blank"),
        attempt("validate_code", json!({"code": "a", "system": " ", "valueset_url": "c"}), "system is blank"),
        attempt("translate_concept", json!({"code": " ", "system": "a"}), "code is blank"),
        attempt("validate_codesystem_code", json!({"code": "", "codesystem_url": "a"}), "Pass code, or coding as"),
        attempt("expand_valueset", json!({"valueset_url": "a", "valueset_id": "1"}), both),
        attempt("lookup_concept", json!({"code": "a"}), "Pass system"),
        attempt("lookup_concept", json!({"code": "a", "system": "b", "codesystem_id": "1"}), both),
        attempt(
            "translate_concept",
            json!({"code": "a", "system": "b", "conceptmap_url": "c", "conceptmap_id": "1"}),
            both,
        ),
    ];
    all_refused(&[], rows).await;
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let arguments = json!({"code": "a", "system": "b", "property": ["x", "y"], "display_language": "de"});
    pipe.call("lookup_concept", arguments).await.record();
    let parameter = &last(&stub).json()["parameter"];
    assert_eq!(
        parameter,
        &json!([
            {"name": "code", "valueCode": "a"}, {"name": "system", "valueUri": "b"}, {"name": "displayLanguage", "valueCode": "de"},
            {"name": "property", "valueCode": "x"}, {"name": "property", "valueCode": "y"}
        ])
    );
}

#[tokio::test]
async fn a_membership_may_be_its_bare_id() {
    let stub = Stub::start();
    let configured = format!("ProjectMembership/{MEMBERSHIP}");
    for variable in [MEMBERSHIP, &configured] {
        let mut pipe = Pipe::open(&stub, &[("MEDPLUM_ON_BEHALF_OF", variable)]).await;
        pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).await.record();
        assert_eq!(last(&stub).header("x-medplum-on-behalf-of"), Some(configured.as_str()));
    }
    // A call's own wins over the configured one, where the operator lets it.
    let variables = [("MEDPLUM_ON_BEHALF_OF", MEMBERSHIP), ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")];
    let mut pipe = Pipe::open(&stub, &variables).await;
    let arguments = json!({"resource_type": "Patient", "resource_id": PATIENT, "on_behalf_of": NOBODY});
    pipe.call("read_resource", arguments).await.record();
    assert_eq!(last(&stub).header("x-medplum-on-behalf-of"), Some(format!("ProjectMembership/{NOBODY}").as_str()));
    // What Medplum forbids a member is said as that.
    stub.say(Says::outcome(403, Some("forbidden"), "Forbidden"));
    let answer = pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).await;
    assert!(answer.error().contains("membership on whose behalf"), "{answer:?}");
}

#[tokio::test]
async fn graphql_without_data_is_an_error_and_with_some_a_note() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let query = || json!({"query": "{ Patient(id: \"1\") { id } }"});
    let errors = json!([{"message": "Not found", "path": ["Patient", 0, "name"]}, {"message": "Too slow"}]);
    for nothing in [
        json!({"errors": errors}),
        json!({"errors": errors, "data": null}),
        json!({"errors": errors, "data": {"Patient": null}}),
        json!({"errors": errors, "data": {"Patient": {"id": null, "name": [null, null]}}}),
    ] {
        stub.say(Says::json(200, &nothing));
        let answer = pipe.call("execute_graphql", query()).await;
        assert!(answer.error().contains("\"Not found\" (Patient.0.name); \"Too slow\""), "{answer:?}");
    }
    let partial = json!({"errors": errors, "data": {"Patient": {"id": "1"}, "Other": null}});
    stub.say(Says::json(200, &partial));
    let answer = pipe.call("execute_graphql", query()).await;
    assert_eq!(answer.record()["data"], partial["data"]);
    assert!(answer.note().contains("\"Not found\" (Patient.0.name)"), "{answer:?}");
    for neither in [json!({}), json!([]), json!({"data": null}), json!({"errors": []})] {
        stub.say(Says::json(200, &neither));
        let answer = pipe.call("execute_graphql", query()).await;
        assert!(answer.error().contains("neither data nor errors"), "{neither}: {answer:?}");
    }
}

#[tokio::test]
async fn a_bundle_needs_no_type_of_its_own_and_its_failures_are_reported() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let bundle = || json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/1"}}, {"request": {"method": "GET", "url": "Patient/2"}}]}});
    let answer = pipe.call("execute_batch", bundle()).await;
    assert_eq!(answer.note(), "", "where all went well there is nothing to say");
    assert_eq!(last(&stub).json()["resourceType"], "Bundle");
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"details": {"text": "Not found"}, "expression": ["Patient.id"]}]});
    let mixed = json!({"resourceType": "Bundle", "type": "batch-response", "entry": [
        {"response": {"status": "200"}, "resource": {"resourceType": "Patient", "id": "1"}},
        {"response": {"status": "404", "outcome": outcome}}
    ]});
    stub.say(Says::json(200, &mixed));
    let answer = pipe.call("execute_batch", bundle()).await;
    assert_eq!(answer.record()["entry"][1]["response"]["status"], "404");
    assert!(answer.note().contains("1 of 2 entries failed: [1] 404 \"Not found\" (Patient.id)"), "{answer:?}");
}

#[tokio::test]
async fn an_entry_that_is_another_record_is_no_answer() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let other = json!({"response": {"status": "200"}, "resource": {"resourceType": "Patient", "id": "2", "name": [{"family": "Other"}]}});
    let answer_of = |entries: Value| {
        Says::json(200, &json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries}))
    };
    let get = json!({"request": {"method": "GET", "url": "Patient/1"}});
    let create = json!({"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": "x"}}});
    let another = "an entry of it is another resource than the one that was asked for or written";
    stub.say(answer_of(json!([other])));
    let answer = pipe.call("execute_batch", json!({"bundle": {"type": "batch", "entry": [get]}})).await;
    assert!(answer.error().contains(another) && !answer.error().contains("carried out"), "{answer:?}");
    assert!(!answer.error().contains("Other"), "{answer:?}");
    stub.say(answer_of(json!([{"response": {"status": "201"}}, other])));
    let body = json!({"resourceType": "Bundle", "type": "batch", "entry": [create, get]});
    let answer = pipe.call("raw_request", json!({"method": "POST", "path": "fhir/R4", "body": body})).await;
    for said in [another, "may have been carried out", "Look before you try again: [0] search_resources"] {
        assert!(answer.error().contains(said), "{answer:?}");
    }
}

/// As single calls are: a read brings a record, and what is new or gone has changed something.
#[tokio::test]
async fn an_entry_that_brings_nothing_is_not_done() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let get = || json!({"request": {"method": "GET", "url": "Patient/1"}});
    let get_new = json!({"request": {"method": "GET", "url": "Patient/1", "ifNoneMatch": "W/\"1\""}});
    let create = json!({"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": "x"}}});
    for (asked, status, says) in [
        (get(), "200", "1 of 1 entries failed: [0] 200 without a resource."),
        (get(), "304", "1 of 1 entries failed: [0] 304."),
        (get_new, "304", ""),
        (create, "304", "1 of 1 entries failed. Unknown, each may have been carried out: [0] 304: search_resources"),
    ] {
        let answer =
            json!({"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {"status": status}}]});
        stub.say(Says::json(200, &answer));
        let answer = pipe.call("execute_batch", json!({"bundle": {"type": "batch", "entry": [asked]}})).await;
        assert!(answer.note().starts_with(says) && answer.note().is_empty() == says.is_empty(), "{status}: {answer:?}");
    }
}

/// Medplum's quota shows as a part of an answer whose status is 200.
#[tokio::test]
async fn a_part_that_was_one_of_too_many_requests_says_to_wait() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"details": {"text": "Too Many Requests"}}]});
    let refused = json!({"response": {"status": "429", "outcome": outcome}});
    let create = json!({"request": {"method": "POST", "url": "Basic"}, "resource": {"resourceType": "Basic", "code": {"text": "x"}}});
    let wait = " These were too many requests: wait 60 s before the next call.";
    for (asked, note) in [
        (
            json!({"request": {"method": "GET", "url": "Patient/1"}}),
            "1 of 1 entries failed: [0] 429 \"Too Many Requests\".",
        ),
        (create, "1 of 1 entries failed. Refused: [0] 429 \"Too Many Requests\". None was carried out."),
    ] {
        stub.say(Says::json(200, &json!({"resourceType": "Bundle", "type": "batch-response", "entry": [refused]})));
        let answer = pipe.call("execute_batch", json!({"bundle": {"type": "batch", "entry": [asked]}})).await;
        assert_eq!(answer.note(), format!("{note}{wait}"));
    }
    let errors = json!([{"message": "Too Many Requests", "path": ["PatientList"]}]);
    let query = || json!({"query": "{ PatientList { id } ObservationList { id } }"});
    stub.say(Says::json(200, &json!({"data": {"PatientList": null}, "errors": errors})));
    assert!(pipe.call("execute_graphql", query()).await.error().contains(wait));
    stub.say(Says::json(200, &json!({"data": {"PatientList": null, "ObservationList": []}, "errors": errors})));
    assert!(pipe.call("execute_graphql", query()).await.note().contains(wait));
}

#[tokio::test]
async fn what_was_not_deployed_is_not_told_as_deployed() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let code = || json!({"bot_id": "1", "source_code": "a", "compiled_code": "b"});
    for (says, said) in [
        (
            Says::outcome(200, None, "No such runtime"),
            "The source was saved; the deployment failed: \"No such runtime\". Deploy again",
        ),
        (Says::bytes(304, "application/fhir+json", ""), "Whether the code was deployed is not known"),
    ] {
        stub.say_to("POST /fhir/R4/Bot/1/$deploy", says);
        let answer = pipe.call("save_and_deploy_bot", code()).await;
        assert!(answer.error().contains(said), "{answer:?}");
    }
    let ok = json!({"resourceType": "OperationOutcome", "id": "ok", "issue": [{"severity": "information", "code": "informational"}]});
    stub.say_to("POST /fhir/R4/Bot/1/$deploy", Says::json(200, &ok));
    assert_eq!(pipe.call("save_and_deploy_bot", code()).await.note(), "Saved and deployed.");
}

#[tokio::test]
async fn the_search_for_what_may_have_been_created_finds_that_identifier_alone() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    stub.lose("POST /fhir/R4/Patient");
    let identifier = json!([{"system": "http://h", "value": "A,B\\C"}]);
    let create = json!({"resource": {"resourceType": "Patient", "identifier": identifier}});
    let answer = pipe.call("create_resource", create).await;
    let search = json!({"resource_type": "Patient", "params": {"identifier": "http://h|A\\,B\\\\C"}});
    assert!(answer.error().ends_with(&format!("search_one {search}.")), "{answer:?}");
}

/// What may have been done is not said to have been done by none.
#[tokio::test]
async fn an_entry_without_an_answer_is_in_doubt_and_nothing_else_is_said() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let basic = json!({"resourceType": "Basic", "code": {"text": "x"}});
    let bundle = json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "POST", "url": "Basic"}, "resource": basic}]}});
    stub.say(Says::json(200, &json!({"resourceType": "Bundle", "type": "batch-response", "entry": [{}]})));
    let answer = pipe.call("execute_batch", bundle).await;
    let note = answer.note();
    assert!(note.contains("Unknown, each may have been carried out: [0] no answer"), "{note}");
    assert!(!note.contains("None was carried out"), "{note}");
}

#[tokio::test]
async fn a_bot_has_a_name_and_code() {
    let save = |of: &str, value: &str| {
        let mut arguments = json!({"bot_id": "1", "source_code": "a", "compiled_code": "b"});
        arguments[of] = value.into();
        arguments
    };
    let rows = vec![
        attempt("create_bot", json!({"name": " "}), "name is blank"),
        attempt("save_and_deploy_bot", save("source_code", ""), "source_code is blank"),
        attempt("save_and_deploy_bot", save("compiled_code", "\n"), "compiled_code is blank"),
        attempt("save_and_deploy_bot", save("filename", ""), "filename is blank"),
        attempt("save_and_deploy_bot", save("filename", "../../x.js"), "a name without folders"),
    ];
    all_refused(WRITES, rows).await;
}

#[tokio::test]
async fn several_that_match_are_told_by_the_issues_code_as_by_the_outcomes_id() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let issue = json!([{"severity": "error", "code": "multiple-matches", "details": {"text": "Multiple"}}]);
    stub.say(Says::json(412, &json!({"resourceType": "OperationOutcome", "issue": issue})));
    let arguments = json!({"resource": {"resourceType": "Patient"}, "if_none_exist": "identifier=a|b"});
    let answer = pipe.call("create_resource_if_none_exist", arguments).await;
    assert!(answer.error().contains("nothing was created") && !answer.error().contains("Read it again"), "{answer:?}");
}

#[tokio::test]
async fn a_transaction_that_fails_says_what_became_of_it() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let create = json!({"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient", "name": [{"family": "Smith"}]}});
    let bundle = json!({"bundle": {"type": "transaction", "entry": [create]}});
    stub.say(Says::outcome(400, None, "Missing required property"));
    let answer = pipe.call("execute_batch", bundle.clone()).await;
    assert!(answer.error().contains("Nothing of the transaction was stored"), "{answer:?}");
    // A project without the feature carries it out as a batch.
    let mixed = json!({"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "201"}}, {"response": {"status": "400"}}]});
    stub.say(Says::json(200, &mixed));
    let bundle = json!({"bundle": {"type": "transaction", "entry": [create, create]}, "allow_partial": true});
    let answer = pipe.call("execute_batch", bundle).await;
    assert_eq!(
        answer.note(),
        "1 of 2 entries failed. Refused: [1] 400. Done: [0]. This project does not carry transactions out as one: what is done stays."
    );
}

#[tokio::test]
async fn a_conditional_create_looks_for_something() {
    let once = |condition: &str, says| {
        let resource = json!({"resourceType": "Patient", "name": [{"family": "Smith"}]});
        attempt("create_resource_if_none_exist", json!({"resource": resource, "if_none_exist": condition}), says)
    };
    let rows = vec![
        once("", "if_none_exist: it is empty"),
        once("  ", "if_none_exist: it is empty"),
        once("?", "if_none_exist: it is empty"),
        once("Patient?", "if_none_exist: it is empty"),
        once("_count=1", "if_none_exist: it is empty"),
        once("identifier=", "if_none_exist: a parameter has no value"),
        once("identifier", "if_none_exist: a parameter has no value"),
        once("identifier=a|b&name=", "if_none_exist: a parameter has no value"),
        once("identifier=%zz", "%"),
    ];
    all_refused(WRITES, rows).await;
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    for condition in [
        "identifier=http://a|1",
        "?identifier=http://a|1",
        "Patient?identifier=http://a|1",
        " identifier=http%3A%2F%2Fa%7C1 ",
    ] {
        let resource = json!({"resourceType": "Patient", "name": [{"family": "Smith"}]});
        let answer =
            pipe.call("create_resource_if_none_exist", json!({"resource": resource, "if_none_exist": condition})).await;
        assert_eq!(answer.note(), "", "{condition}");
        assert_eq!(last(&stub).header("if-none-exist"), Some("identifier=http:%2F%2Fa%7C1"), "{condition}");
    }
    let found = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Smith"}]});
    stub.say(Says::json(200, &found));
    let resource = json!({"resourceType": "Patient", "name": [{"family": "Smith"}]});
    let answer = pipe
        .call("create_resource_if_none_exist", json!({"resource": resource, "if_none_exist": "identifier=a|1"}))
        .await;
    assert!(answer.note().contains("nothing was created"), "{answer:?}");
}

#[tokio::test]
async fn a_write_that_says_nothing_is_refused() {
    let patch = |operations: Value, says| {
        attempt(
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": operations}),
            says,
        )
    };
    let rows = vec![
        patch(json!([]), "operations: empty"),
        patch(
            json!([{"op": "replace", "path": "active", "value": true}]),
            "must be a JSON Pointer that starts with /, such as /active",
        ),
        patch(json!([{"op": "add", "path": "/active"}]), "add needs a value"),
        patch(json!([{"op": "move", "path": "/a"}]), "operations[0]: from is missing"),
        patch(json!([{"op": "change", "path": "/a"}]), "Nothing was sent"),
        patch(json!([{"path": "/a"}]), "Nothing was sent"),
        patch(json!("remove name"), "operations must be a list"),
        attempt(
            "create_resource",
            json!({"resource": {"name": [{"family": "Smith"}]}}),
            "resource.resourceType is missing",
        ),
        attempt("create_resource", json!({"resource": {"resourceType": "patient"}}), "not a resource type"),
        attempt("create_resource", json!({"resource": "Patient"}), "resource must be an object"),
        attempt("update_resource", json!({"resource": {"resourceType": "Patient"}}), "resource.id is missing"),
        attempt(
            "update_resource",
            json!({"resource": {"resourceType": "Patient", "id": "../x", "meta": {"versionId": VERSION}}}),
            "not a resource id",
        ),
        attempt(
            "update_resource",
            json!({"resource": {"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": "a b"}}}),
            "resource.meta.versionId",
        ),
        attempt(
            "execute_bot",
            json!({"bot_id": LISTED_BOT, "input_data": {}, "content_type": "text"}),
            "content_type must be a media type",
        ),
        attempt(
            "execute_bot",
            json!({"bot_id": LISTED_BOT, "input_data": {}, "content_type": "text/plain\r\nX-Evil: 1"}),
            "content_type must be a media type",
        ),
        attempt(
            "create_bot",
            json!({"name": "x", "additional_fields": {"name": "y"}}),
            "additional_fields.name: has an argument of its own",
        ),
        attempt(
            "create_bot",
            json!({"name": "x", "runtime_version": "node"}),
            "runtime_version must be one of awslambda | vmcontext",
        ),
        attempt(
            "raw_request",
            json!({"method": "PUT", "path": "fhir/R4/Patient/1"}),
            "body is missing: the Patient to store",
        ),
        attempt(
            "raw_request",
            json!({"method": "PUT", "path": "fhir/R4/Patient/1", "body": {"resourceType": "Observation", "id": "1"}}),
            "the path names Patient",
        ),
        attempt(
            "raw_request",
            json!({"method": "PUT", "path": "fhir/R4/Patient/1", "body": {"resourceType": "Patient", "id": "2"}}),
            "id",
        ),
        attempt(
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4/Patient"}),
            "body is missing: the Patient to create",
        ),
    ];
    all_refused(WRITES, rows).await;
}

#[tokio::test]
async fn a_bot_gets_what_it_was_meant_to_get() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    for (input, content_type, sent, body) in [
        (json!({"a": 1}), None, "application/json", "{\"a\":1}"),
        (json!("{\"a\":1}"), None, "application/json", "{\"a\":1}"),
        (json!("MSH|^~\\&|"), Some("x-application/hl7-v2+er7"), "x-application/hl7-v2+er7", "MSH|^~\\&|"),
        (json!("plain"), Some("text/plain"), "text/plain", "plain"),
        (json!("{\"a\":1}"), Some("text/plain"), "text/plain", "{\"a\":1}"),
    ] {
        let arguments = json!({"bot_id": LISTED_BOT, "input_data": input, "content_type": content_type});
        pipe.call("execute_bot", arguments).await.record();
        let asked = last(&stub);
        assert_eq!(asked.header("content-type"), Some(sent), "{input}");
        assert_eq!(String::from_utf8(asked.body).unwrap(), body, "{input}");
    }
    stub.say(Says::json(200, &json!({"resourceType": "Bot", "id": LISTED_BOT})));
    stub.say(Says::bytes(200, "text/csv; charset=utf-8", "a,b\n1,2\n"));
    let answer = pipe.call("execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {}})).await;
    assert_eq!(answer.text(), "a,b\n1,2\n");
    assert!(answer.note().contains("text/csv"), "{answer:?}");
}

#[tokio::test]
async fn a_write_whose_fate_is_unknown_says_how_to_find_out() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let resource =
        json!({"resourceType": "Patient", "identifier": [{"system": "http://hospital.example/mrn", "value": "4711"}]});
    stub.say(Says::bytes(503, "text/html", "<h1>Service Unavailable</h1>"));
    let answer = pipe.call("create_resource", json!({"resource": resource})).await;
    assert!(answer.error().contains("may have been carried out"), "{answer:?}");
    assert!(answer.error().contains("search_one {\"resource_type\":\"Patient\",\"params\":{\"identifier\":\"http://hospital.example/mrn|4711\"}}"), "{answer:?}");
    assert_eq!(stub.lines(), ["POST /fhir/R4/Patient"], "it is not sent again");
    // A read is, and nobody needs to know.
    stub.say(Says::bytes(503, "text/html", "<h1>Service Unavailable</h1>"));
    pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).await.record();
}

/// Every way to act, and the call that shows whether it was carried out where there is one.
#[tokio::test]
async fn whatever_acts_says_which_call_shows_its_fate() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let read = |of: &str, rest: &str| {
        format!(
            "Look before you try again: read_resource {{\"resource_type\":\"{of}\",\"resource_id\":\"{PATIENT}\"}}{rest}"
        )
    };
    let still = format!(", where meta.versionId is still {} if it was not carried out.", common::VERSION);
    let newest = |of: &str| {
        format!(
            "Look before you try again: search_resources {{\"resource_type\":\"{of}\",\"sort\":\"-_lastUpdated\",\"count\":3}}, which shows the newest."
        )
    };
    let runs = format!(
        "Look before you try again: search_resources {{\"resource_type\":\"AuditEvent\",\"params\":{{\"entity\":\"Bot/{PATIENT}\"}},\"sort\":\"-_lastUpdated\",\"count\":3}}, which lists its runs, if Medplum keeps AuditEvents."
    );
    let none = "No call tells whether it ran: look at what it would have changed before you try again.".to_owned();
    let patient =
        json!({"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": common::VERSION}, "active": true});
    let patch = json!([{"op": "add", "path": "/active", "value": true}]);
    let raw = |method: &str, path: String, body: Value| json!({"method": method, "path": path, "body": body});
    for (tool, arguments, acts, expected) in [
        (
            "create_resource",
            json!({"resource": {"resourceType": "Patient"}}),
            "POST /fhir/R4/Patient",
            newest("Patient"),
        ),
        ("create_bot", json!({"name": "b"}), "POST /fhir/R4/Bot", newest("Bot")),
        (
            "raw_request",
            raw("POST", "fhir/R4/Basic".into(), json!({"resourceType": "Basic", "code": {"text": "x"}})),
            "POST /fhir/R4/Basic",
            newest("Basic"),
        ),
        ("update_resource", json!({"resource": patient}), "PUT", read("Patient", &still)),
        (
            "patch_resource",
            json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": patch}),
            "PATCH",
            read("Patient", &still),
        ),
        (
            "delete_resource",
            json!({"resource_type": "Patient", "resource_id": PATIENT}),
            "DELETE",
            read("Patient", "; 410 says that it is deleted."),
        ),
        (
            "save_and_deploy_bot",
            json!({"bot_id": PATIENT, "source_code": "a", "compiled_code": "b"}),
            "PUT",
            format!("This was about saving the source; nothing was deployed. {}", read("Bot", &still)),
        ),
        ("execute_bot", json!({"bot_id": PATIENT, "input_data": {}}), "POST /fhir/R4/Bot", runs),
        (
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": PATIENT, "operation": "my-op"}),
            "POST /fhir/R4/Patient",
            read("Patient", "."),
        ),
        (
            "execute_operation",
            json!({"resource_type": "Patient", "operation": "my-op"}),
            "POST /fhir/R4/Patient",
            none.clone(),
        ),
        (
            "raw_request",
            raw("PUT", "admin/projects/1".into(), json!({})),
            "PUT /admin",
            "Look before you try again: raw_request {\"method\":\"GET\",\"path\":\"admin/projects/1\"}.".into(),
        ),
        // A GET of it is no read that is known, and of a bot's name it runs the bot once more.
        (
            "raw_request",
            raw("PUT", "admin/projects/1/settings".into(), json!({})),
            "PUT /admin",
            "carried out. No call tells for sure: look at what it would have changed before you try again.".into(),
        ),
        ("raw_request", raw("PUT", "fhir/R4/Patient/1/$my-op".into(), json!({})), "PUT /fhir/R4/Patient", none.clone()),
        ("raw_request", json!({"method": "DELETE", "path": "fhir/R4/$my-op"}), "DELETE /fhir/R4", none.clone()),
        (
            "raw_request",
            raw("POST", "admin/projects/1/invite".into(), json!({})),
            "POST /admin",
            "No call tells for sure: look at what it would have changed before you try again.".into(),
        ),
    ] {
        // It is carried out, and a gateway loses the answer.
        stub.lose(acts);
        let answer = pipe.call(tool, arguments.clone()).await;
        assert!(answer.error().contains(&expected), "{tool} {arguments}: expected {expected}\n{answer:?}");
        stub.taken();
    }
}

#[tokio::test]
async fn what_medplum_says_comes_through_with_what_to_do() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let mut page = common::Transcript::default();
    let read = || json!({"resource_type": "Patient", "resource_id": PATIENT});
    for (says, part) in [
        (Says::outcome(404, Some("not-found"), "Not found"), "Ids come from a search"),
        (Says::outcome(410, Some("gone"), "Deleted"), "_history"),
        (Says::outcome(403, Some("forbidden"), "Forbidden"), "access policy"),
        (Says::bytes(403, "text/html", "<h1>Forbidden</h1>"), "a firewall"),
        (Says::bytes(431, "text/plain", ""), "one resource type at a time"),
        (Says::outcome(400, None, "Something odd"), "Something odd"),
        (Says::outcome(400, None, "Unknown resource type"), "get_resource_capabilities"),
        (Says::outcome(500, None, "Internal server error"), "Internal server error"),
        (Says::bytes(200, "text/html", "<html>login</html>"), "MEDPLUM_BASE_URL"),
        (Says::bytes(302, "text/plain", "").with("location", "https://login.example/"), "redirect"),
    ] {
        stub.say(says);
        let answer = pipe.call("read_resource", read()).await;
        assert!(answer.error().contains(part), "{part}: {answer:?}");
        assert!(!answer.error().contains("login.example"), "{answer:?}");
        page.note("read_resource", &read(), &answer);
        stub.taken();
    }
    insta::assert_snapshot!("what_medplum_says", page.page());
}

#[tokio::test]
async fn a_look_that_fails_before_a_write_says_that_nothing_was_written() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, WRITES).await;
    let mut page = common::Transcript::default();
    let patient = json!({"resource_type": "Patient", "resource_id": "1"});
    let with = |more: Value| {
        let mut arguments = patient.clone();
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let operations = json!([{"op": "add", "path": "/active", "value": true}]);
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/1"}});
    let stored = json!({"resourceType": "Patient", "id": "1", "meta": {"versionId": VERSION}});
    let entry = |id: u8| json!({"request": {"method": "DELETE", "url": format!("Patient/{id}")}});
    let transaction = json!({"bundle": {"type": "transaction", "entry": [entry(1), entry(2)]}});
    let bad = || Says::outcome(500, None, "Internal server error");
    let read = || Says::json(200, &stored);
    for (says, tool, arguments, part) in [
        (vec![bad()], "delete_resource", patient.clone(), "the look at Patient/1 beforehand. Nothing was deleted"),
        (vec![bad()], "update_resource", json!({"resource": stored}), "Patient/1 beforehand. Nothing was changed"),
        (vec![bad()], "patch_resource", with(json!({"operations": operations})), "Nothing was changed"),
        (
            vec![bad()],
            "create_resource",
            json!({"resource": observation}),
            "what it refers to beforehand. Nothing was created",
        ),
        (vec![bad()], "execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {}}), "The bot was not run"),
        (
            vec![bad()],
            "save_and_deploy_bot",
            json!({"bot_id": LISTED_BOT, "source_code": "a", "compiled_code": "b"}),
            "Nothing was carried out",
        ),
        (
            vec![read(), bad()],
            "delete_resource",
            patient.clone(),
            "the search for what refers to Patient/1 beforehand. Nothing was deleted",
        ),
        (vec![read(), read(), bad()], "execute_batch", transaction, "Nothing was written"),
        (
            vec![Says::outcome(404, Some("not-found"), "Not found")],
            "execute_bot",
            json!({"bot_id": LISTED_BOT, "input_data": {}}),
            "The bot was not run.",
        ),
        (
            vec![Says::outcome(404, Some("not-found"), "Not found"); 2],
            "delete_resource",
            patient.clone(),
            "Nothing was deleted.",
        ),
        (vec![bad()], "raw_request", json!({"method": "DELETE", "path": "fhir/R4/Patient/1"}), "Nothing was deleted"),
    ] {
        says.into_iter().for_each(|says| stub.say(says));
        let answer = pipe.call(tool, arguments.clone()).await;
        assert!(answer.error().contains(part), "{tool} {part}: {answer:?}");
        assert!(!answer.error().contains("A read can be repeated"), "{answer:?}");
        let acts =
            |asked: &&Asked| asked.method != "GET" && asked.target != "/oauth2/token" && asked.target != "/fhir/R4";
        assert_eq!(stub.taken().iter().filter(acts).count(), 0, "{tool}");
        page.note(tool, &arguments, &answer);
    }
    insta::assert_snapshot!("looks_that_fail", page.page());
}

#[tokio::test]
async fn a_plus_that_was_not_encoded_in_a_path_stays_a_plus_where_a_time_has_one() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let instant = "2025-01-01T10:00:00%2B01:00";
    for (path, leaves) in [
        ("Observation?date=ge2025-01-01T10:00:00+01:00", format!("Observation?date=ge{instant}")),
        ("Observation?date=ge2025-01-01T10:00:00%2B01:00", format!("Observation?date=ge{instant}")),
        ("Patient/$csv?_lastUpdated=gt2025-01-01T10:00:00+01:00", format!("Patient/$csv?_lastUpdated=gt{instant}")),
        ("Patient/1/$everything?_since=2025-01-01T10:00:00+01:00", format!("Patient/1/$everything?_since={instant}")),
        (
            "Patient/1/_history?_since=2025-01-01T10:00:00.5+01:00",
            "Patient/1/_history?_since=2025-01-01T10:00:00.5%2B01:00".to_owned(),
        ),
        ("Patient?name=van+Gogh", "Patient?name=van%20Gogh".to_owned()),
    ] {
        let answer = pipe.call("raw_request", json!({"method": "GET", "path": format!("fhir/R4/{path}")})).await;
        assert!(!answer.failed, "{path}: {answer:?}");
        assert_eq!(stub.lines().last().unwrap(), &format!("GET /fhir/R4/{leaves}"), "{path}");
    }
}
