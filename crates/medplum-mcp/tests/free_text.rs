//! `MEDPLUM_FREE_TEXT=drop`: no free text of a record reaches an agent, on any way, and none is lost by a write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::attempt::{all_refused, attempt};
use common::{LISTED_BOT, PATIENT, Pipe, Says, Stub, VERSION};
use serde_json::{Value, json};

/// It stands in every free text, and in nothing else.
const MARK: &str = "whispered";
const DROP: (&str, &str) = ("MEDPLUM_FREE_TEXT", "drop");
const WRITES: (&str, &str) = ("MEDPLUM_ENABLE_WRITES", "true");

fn resources() -> Vec<Value> {
    let text = format!("{MARK} in confidence");
    let said = json!({"text": text});
    let encoded = "d2hpc3BlcmVkIGluIGNvbmZpZGVuY2U=";
    let each = [
        json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}], "text": text},
            "valueString": text, "note": [{"text": text, "authorString": text}], "interpretation": [said],
            "component": [{"code": said, "valueString": text}], "text": {"status": "additional", "div": format!("<div>{text}</div>")},
            "extension": [{"url": "x", "valueString": text}, {"url": "x", "extension": [{"url": "y", "valueMarkdown": text}]}],
            "_status": {"extension": [{"url": "x", "valueString": text}]},
            "contained": [{"resourceType": "Patient", "id": "p", "contact": [{"relationship": [said]}]}]}),
        json!({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": said, "onsetString": text, "abatementString": text, "note": [said], "evidence": [{"code": [said]}]}),
        json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order", "medicationCodeableConcept": said, "note": [said],
            "dosageInstruction": [{"text": text, "patientInstruction": text, "asNeededCodeableConcept": said}]}),
        json!({"resourceType": "AllergyIntolerance", "code": said, "reaction": [{"description": text, "note": [said], "manifestation": [said]}]}),
        json!({"resourceType": "Communication", "status": "completed", "payload": [{"contentString": text}, {"contentAttachment": {"title": text, "data": encoded}}], "note": [said]}),
        json!({"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"linkId": "1", "text": text, "answer": [{"valueString": text, "item": [{"linkId": "1.1", "text": text}]}]}]}),
        json!({"resourceType": "DocumentReference", "status": "current", "description": text, "content": [{"attachment": {"title": text, "data": encoded}}]}),
        json!({"resourceType": "DiagnosticReport", "status": "final", "code": said, "conclusion": text, "presentedForm": [{"data": encoded, "title": text}]}),
        json!({"resourceType": "Composition", "title": text, "section": [{"title": text, "text": {"status": "generated", "div": text}, "section": [{"text": {"status": "generated", "div": text}}]}]}),
        json!({"resourceType": "Task", "status": text, "intent": "order", "description": text, "note": [said], "input": [{"type": said, "valueString": text}]}),
        json!({"resourceType": "Appointment", "status": "booked", "description": text, "comment": text, "patientInstruction": text, "participant": [{"status": "accepted", "type": [said]}]}),
        json!({"resourceType": "ClinicalImpression", "summary": text, "description": text, "finding": [{"basis": text, "itemCodeableConcept": said}]}),
        json!({"resourceType": "Patient", "gender": text, "birthDate": text, "contact": [{"relationship": [said]}], "bogus": text, text.clone(): 1, "maritalStatus": said}),
        json!({"resourceType": "Nothing", "words": text}),
    ];
    each.into_iter()
        .map(|mut resource| {
            resource["id"] = PATIENT.into();
            resource["meta"] = json!({"versionId": VERSION, "lastUpdated": "2026-01-05T08:00:00.629Z"});
            resource
        })
        .collect()
}

fn bundle(of: &str, resource: &Value) -> Value {
    json!({"resourceType": "Bundle", "type": of, "entry": [{"resource": resource, "response": {"status": "200"}}]})
}

/// Every way on which a resource comes, and what Medplum says there.
fn ways(resource: &Value) -> Vec<(&'static str, Value, Value)> {
    let of = resource["resourceType"].as_str().unwrap();
    let found = bundle("searchset", resource);
    let read = json!({"request": {"method": "GET", "url": format!("{of}/{PATIENT}")}});
    let search = json!({"request": {"method": "GET", "url": format!("{of}?_count=1")}});
    let everything = json!([
        "descendants().ofType(string)",
        "%resource",
        "text.div",
        "note.text",
        "code.text & ''",
        "descendants()"
    ]);
    let raw = |path: String| json!({"method": "GET", "path": path});
    let one = json!({"resource_type": of, "resource_id": PATIENT, "narrative": true});
    vec![
        ("read_resource", one, resource.clone()),
        ("read_resource", json!({"resource_type": of, "resource_id": PATIENT, "fields": everything}), resource.clone()),
        ("search_resources", json!({"resource_type": of, "narrative": true}), found.clone()),
        ("search_resources", json!({"resource_type": of, "fields": everything}), found.clone()),
        ("search_one", json!({"resource_type": of}), found.clone()),
        ("search_all_resources", json!({"resource_type": of}), found.clone()),
        ("query_resources", json!({"resource_type": of, "sql": format!("select json, * from {of}")}), found.clone()),
        ("list_codes", json!({"resource_type": of}), found.clone()),
        ("get_patient_everything", json!({"patient_id": PATIENT}), found.clone()),
        ("execute_batch", json!({"bundle": {"type": "batch", "entry": [read]}}), bundle("batch-response", resource)),
        ("execute_batch", json!({"bundle": {"type": "batch", "entry": [search]}}), bundle("batch-response", &found)),
        ("raw_request", raw(format!("fhir/R4/{of}/{PATIENT}")), resource.clone()),
        ("raw_request", raw(format!("fhir/R4/{of}/{PATIENT}/_history")), bundle("history", resource)),
        ("raw_request", raw(format!("fhir/R4/{of}/{PATIENT}/_history/{VERSION}")), resource.clone()),
        ("raw_request", raw("auth/me".into()), json!({"profile": resource, "x": [[{"said": resource}]]})),
        (
            "execute_bot",
            json!({"bot_id": LISTED_BOT, "input_data": {}}),
            json!({"resource": resource, "said": format!("{MARK} to you")}),
        ),
    ]
}

#[tokio::test]
async fn no_free_text_comes_on_any_way() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP, WRITES]).await;
    pipe.call("get_resource_capabilities", json!({})).await;
    let mut shown = 0;
    for resource in resources() {
        for (tool, arguments, says) in ways(&resource) {
            if tool == "get_patient_everything" {
                stub.say(Says::json(200, &json!({"resourceType": "Patient", "id": PATIENT})));
            }
            if tool == "execute_bot" {
                stub.say(Says::json(200, &json!({"resourceType": "Bot", "id": LISTED_BOT})));
            }
            stub.say(Says::json(200, &says));
            let answer = pipe.call(tool, arguments.clone()).await;
            stub.taken();
            let text = answer.blocks.concat();
            assert!(!text.contains(MARK) && !text.contains("d2hpc3Blc"), "{tool} {arguments}: {text}");
            if !answer.failed && text.contains("free text left out") {
                assert!(answer.note().contains("Free text is left out: MEDPLUM_FREE_TEXT."), "{answer:?}");
                shown += 1;
            }
        }
    }
    assert!(shown > 120, "{shown} answers had something left out");
}

/// What is kept is what a chart is worked with.
#[tokio::test]
async fn names_codes_and_values_stay() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP]).await;
    let patient = json!({"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": VERSION, "lastUpdated": "2026-01-05T08:00:00.629Z"},
        "identifier": [{"system": "http://hospital.example/mrn", "value": "4711"}], "active": true,
        "name": [{"use": "official", "text": "Dr. Alice van der Berg", "family": "van der Berg", "given": ["Alice Ann"], "prefix": ["Dr."]}],
        "telecom": [{"system": "phone", "value": "+49 30 1234"}], "gender": "female", "birthDate": "1961-02-03",
        "address": [{"line": ["1 Main St"], "city": "New York", "postalCode": "10 001"}],
        "maritalStatus": {"coding": [{"system": "http://x.example", "code": "M", "display": "Married or so"}]},
        "generalPractitioner": [{"reference": "Practitioner/1", "display": "Dr Bob Jones"}]});
    stub.say(Says::json(200, &patient));
    let answer = pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).await;
    assert_eq!(answer.record(), patient);
    assert_eq!(answer.note(), "");
    // The words of a terminology are its own.
    stub.taken();
    let found = json!({"resourceType": "Parameters", "parameter": [{"name": "name", "valueString": "LOINC"}, {"name": "display", "valueString": "Heart rate at rest"}]});
    stub.say(Says::json(200, &found));
    let answer = pipe.call("lookup_concept", json!({"code": "8867-4", "system": "http://loinc.org"})).await;
    assert!(answer.text().contains("Heart rate at rest"), "{answer:?}");
}

/// A concept is called by what its code is displayed as.
#[tokio::test]
async fn a_table_names_a_concept_by_its_coding() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP]).await;
    stub.say(Says::json(200, &bundle("searchset", &resources()[0])));
    let sql = "select code_text, value_text from Observation";
    let answer = pipe.call("query_resources", json!({"resource_type": "Observation", "sql": sql})).await;
    assert_eq!(answer.record()["rows"], json!([["Heart rate", null]]), "{answer:?}");
}

#[tokio::test]
async fn content_that_is_no_json_is_left_out() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP, WRITES]).await;
    for (content_type, content) in
        [("text/plain", MARK.as_bytes().to_vec()), ("application/pdf", b"%PDF whispered".to_vec())]
    {
        stub.say(Says::bytes(200, content_type, content));
        let answer = pipe.call("read_resource", json!({"resource_type": "Binary", "resource_id": PATIENT})).await;
        stub.taken();
        assert_eq!(answer.text(), "[free text left out]");
    }
    stub.say(Says::json(200, &json!({"resourceType": "Bot", "id": LISTED_BOT})));
    stub.say(Says::bytes(200, "text/plain", MARK));
    let answer = pipe.call("execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {}})).await;
    assert_eq!(answer.text(), "[free text left out]");
}

#[tokio::test]
async fn what_would_rename_it_is_refused() {
    let mut rows = Vec::new();
    for query in [
        "{ ObservationList { note { x: text } } }",
        "{ ObservationList { code { x: text } } }",
        "{ ObservationList { text { div } } }",
        "{ ObservationList { x: valueString } }",
        "{ ObservationList { extension { x: valueString } } }",
        "{ ObservationList { note { ...F } } } fragment F on Annotation { x: text }",
        "{ TaskConnection { edges { resource { x: description } } } }",
        "{ DocumentReferenceList { content { attachment { x: data } } } }",
        "{ ObservationList { subject { resource { ... on Task { description } } } } }",
        "{ ObservationList { x: nothingKnown } }",
    ] {
        let body = json!({"query": query});
        rows.push(attempt("execute_graphql", body.clone(), "is free text or may hold some"));
        rows.push(attempt(
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4/$graphql", "body": body}),
            "is free text or may hold some",
        ));
        let entry = json!({"request": {"method": "POST", "url": "$graphql"}, "resource": body});
        rows.push(attempt(
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [entry]}}),
            "is free text or may hold some",
        ));
    }
    rows.push(attempt(
        "raw_request",
        json!({"method": "GET", "path": "fhir/R4/Patient/$csv"}),
        "A CSV may hold free text",
    ));
    all_refused(&[DROP], rows).await;
}

#[tokio::test]
async fn a_document_without_free_text_is_answered() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP]).await;
    let data = json!({"data": {"PatientList": [{"id": PATIENT, "name": [{"family": "van der Berg"}], "birthDate": "1961-02-03"}]}});
    stub.say(Says::json(200, &data));
    let query = "{ PatientList { __typename resourceType id name { family } birthDate generalPractitioner { resource { ... on Practitioner { name { given } } } } } }";
    let answer = pipe.call("execute_graphql", json!({"query": query})).await;
    assert!(answer.text().contains("van der Berg"), "{answer:?}");
}

/// A code, a date or an id is one word, whatever a document calls it; a name may be of several.
#[tokio::test]
async fn a_sentence_in_a_code_of_a_document_is_left_out() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP]).await;
    let said = format!("{MARK} in confidence");
    let data = json!({"data": {
        "TaskList": [{"code": said, "intent": "order", "x": [said], "owner": {"display": "Dr Bob Jones"}}],
        "PatientList": [{"name": [{"family": "van der Berg", "given": ["Alice Ann"]}], "x": "one"}]}});
    stub.say(Says::json(200, &data));
    let query = "{ TaskList { code: status intent x: instantiatesUri owner { display } } PatientList { name { family given } x: gender } }";
    let answer = pipe.call("execute_graphql", json!({"query": query})).await;
    let shown = answer.record();
    assert!(!shown.to_string().contains(MARK), "{shown}");
    assert_eq!(shown["data"]["TaskList"][0]["code"], "[free text left out]");
    assert_eq!(shown["data"]["TaskList"][0]["owner"]["display"], "Dr Bob Jones");
    assert_eq!(shown["data"]["PatientList"][0]["name"], json!([{"family": "van der Berg", "given": ["Alice Ann"]}]));
    assert!(answer.note().contains("Free text is left out"), "{answer:?}");
    // What two fields go by, a name and a code, is not told apart: it is left out.
    stub.taken();
    let data = json!({"data": {"PatientList": [{"x": said, "name": [{"x": "van der Berg"}]}]}});
    stub.say(Says::json(200, &data));
    let query = "{ PatientList { x: gender name { x: family } } }";
    let answer = pipe.call("execute_graphql", json!({"query": query})).await;
    assert_eq!(
        answer.record()["data"]["PatientList"][0],
        json!({"x": "[free text left out]", "name": [{"x": "[free text left out]"}]})
    );
}

/// What was not shown is there after a write, and a patch tells nothing of it.
#[tokio::test]
async fn a_write_keeps_what_was_not_shown_and_a_patch_tells_nothing_of_it() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[DROP, WRITES, ("MEDPLUM_CONFIRM_WRITES", "never")]).await;
    let stored = json!({"resourceType": "Patient", "id": PATIENT, "meta": {"versionId": VERSION, "lastUpdated": "2026-01-05T08:00:00.629Z"},
        "active": true, "gender": format!("{MARK} so"), "maritalStatus": {"text": format!("{MARK} so")}, "contact": [{"name": {"family": "A"}, "relationship": [{"text": format!("{MARK} so")}]}]});
    stub.say(Says::json(200, &stored));
    let mut edited =
        pipe.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})).await.record();
    stub.taken();
    assert!(!edited.to_string().contains(MARK), "{edited}");
    edited["active"] = json!(false);
    stub.say(Says::json(200, &stored));
    stub.say(Says::json(200, &stored));
    let answer = pipe.call("update_resource", json!({"resource": edited})).await;
    assert!(!answer.failed && !answer.blocks.concat().contains(MARK), "{answer:?}");
    assert!(answer.note().contains("Wrong already before this change, in Patient: gender."), "{answer:?}");
    let asked = stub.taken();
    let put = asked.iter().find(|asked| asked.line().starts_with("PUT")).unwrap_or_else(|| panic!("{asked:?}"));
    let mut expected = stored.clone();
    expected["active"] = json!(false);
    assert_eq!(put.json(), expected);
    // What holds some and is not passed stays as well, and that is said.
    for left_out in ["maritalStatus", "contact"] {
        let mut part = edited.clone();
        part.as_object_mut().unwrap().remove(left_out);
        stub.say(Says::json(200, &stored));
        stub.say(Says::json(200, &stored));
        let answer = pipe.call("update_resource", json!({"resource": part})).await;
        assert!(answer.note().contains(&format!("left out for you: {left_out}.")), "{answer:?}");
        let asked = stub.taken();
        let put = asked.iter().find(|asked| asked.line().starts_with("PUT")).unwrap_or_else(|| panic!("{asked:?}"));
        assert_eq!(put.json(), expected);
    }
    for operation in [
        json!({"op": "test", "path": "/maritalStatus/text", "value": "a guess"}),
        json!({"op": "copy", "from": "/maritalStatus/text", "path": "/language"}),
        json!({"op": "move", "from": "/contact/0", "path": "/contact/-"}),
    ] {
        stub.say(Says::json(200, &stored));
        let arguments = json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": [operation]});
        let answer = pipe.call("patch_resource", arguments).await;
        assert!(answer.error().contains("left out for you"), "{answer:?}");
        assert!(stub.taken().iter().all(|asked| asked.line().starts_with("GET")), "nothing was sent");
    }
    let placeholder =
        json!({"resource": {"resourceType": "Patient", "maritalStatus": {"text": "[free text left out]"}}});
    let answer = pipe.call("create_resource", placeholder).await;
    assert!(
        answer.error().contains("is a placeholder for free text that was left out, and is never stored"),
        "{answer:?}"
    );
}
