//! One page on a patient: what is on it, what it costs, and that every number is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(missing_docs, unreachable_pub)]

mod bench;
mod chart;
mod recompute;

use bench::{As, Bench, TODAY};
use chart::{PATIENT, allergy, condition, loinc, observation, of, patient, quantity};
use medplum_sandbox::{Fault, FaultRule, Sandbox};
use serde_json::{Value, json};

/// What a page may cost.
const MOST_TOKENS: usize = 2_000;

/// The patients with long charts.
const LONG: [&str; 3] = [
    "5a4d0b0c-0000-4000-8000-000000000201",
    "5a4d0b0c-0000-4000-8000-000000000202",
    "5a4d0b0c-0000-4000-8000-000000000203",
];

#[tokio::test]
async fn a_long_chart_on_a_page() {
    let bench = Bench::start(Sandbox::builder().record_requests()).await;
    let page = bench.page(LONG[0]).await;
    insta::assert_snapshot!(format!("{}\n{}\n\n{} tokens", page.lines(), page.note, page.tokens()));
    let asked = bench.sandbox.requests();
    // The medications are of two types.
    assert_eq!(
        asked.len(),
        24,
        "a token, 16 searches, a count for each of four sections that are empty, three for the past"
    );
    for patient in LONG {
        let page = bench.page(patient).await;
        assert!(page.tokens() <= MOST_TOKENS / 2 + 200, "{}", page.tokens());
        recompute::check(&bench, patient, &page, 2026).await;
    }
}

#[tokio::test]
async fn no_page_is_over_the_limit_and_every_number_is_right() {
    let bench = Bench::start(Sandbox::builder().patients(200)).await;
    let everyone = bench.raw("Patient", "").await;
    assert!(everyone.len() >= 200);
    // Unoptimised, the sandbox takes its time.
    let step = if cfg!(debug_assertions) { 4 } else { 1 };
    let mut most = 0;
    for person in everyone.iter().step_by(step) {
        let id = person["id"].as_str().unwrap();
        let page = bench.page(id).await;
        most = most.max(page.tokens());
        recompute::check(&bench, id, &page, 2026).await;
    }
    println!("{most} tokens at the most");
    assert!(most <= MOST_TOKENS, "{most}");
}

#[tokio::test]
async fn a_chart_without_end_is_cut_and_says_so() {
    let bench = Bench::with(&chart::endless()).await;
    let page = bench.page(PATIENT).await;
    println!("{} tokens", page.tokens());
    assert!(
        (MOST_TOKENS * 2 / 3..=MOST_TOKENS).contains(&page.tokens()),
        "{}\n{}\n{}",
        page.tokens(),
        page.text,
        page.note
    );
    for (section, of) in [("problems", 80), ("medications", 80), ("immunizations", 80), ("tasks", 80), ("careTeam", 80)]
    {
        let (shown, there) = page.counts(section);
        let shown = shown.as_u64().unwrap();
        assert_eq!((shown, &there), (page.rows(section).len() as u64, &json!(of)), "{section}");
        assert!((1..of).contains(&shown), "{section}: {shown}");
        assert!(page.note.contains(&format!("{} more in {section}: ", of - shown)), "{section}: {}", page.note);
    }
    assert_eq!(page.counts("allergies"), (json!(9), json!(9)), "of the allergies none is left out");
    assert_eq!(page.rows("allergies")[0], json!(["Allergen 8", "rash", "high"]));
    assert_eq!(page.counts("latest").1, Value::Null, "older ones may have other codes");
    assert!(page.note.contains("more in latest: list_codes Observation"), "{}", page.note);
    assert!(page.note.contains("1000 newest of 3000 (since 20"), "{}", page.note);
    assert!(page.note.contains(&format!("with patient=Patient/{PATIENT}")));
    assert!(!page.note.contains("very long name"), "the record is not quoted: {}", page.note);
    let rows = page.record.as_object().unwrap().values().filter_map(|section| section["rows"].as_array()).flatten();
    let cells = rows.flat_map(|row| row.as_array().unwrap()).filter_map(Value::as_str);
    assert!(cells.clone().all(|cell| cell.chars().count() <= 100), "a cell is short");
    assert!(cells.clone().any(|cell| cell.ends_with('…')), "what is cut is seen to be cut");
    let narrowed = bench.page_as(As::Admin, TODAY, json!({"patient_id": PATIENT, "sections": ["problems"]})).await;
    assert!(narrowed.counts("problems").0.as_u64() > page.counts("problems").0.as_u64());
    assert!(narrowed.tokens() <= MOST_TOKENS);
}

#[tokio::test]
async fn what_is_forbidden_is_said() {
    let bench = Bench::start(Sandbox::builder()).await;
    let page = bench.page_as(As::Reader, TODAY, json!({"patient_id": LONG[0]})).await;
    let forbidden = "Condition, MedicationRequest, MedicationStatement, AllergyIntolerance, Immunization, Encounter, Procedure, Task, Appointment, CareTeam: not permitted for this client";
    assert!(page.note.contains(forbidden), "{}", page.note);
    assert_eq!(page.counts("problems"), (json!(0), Value::Null));
    assert_eq!(page.counts("latest"), (json!(9), json!(9)));
    assert_eq!(page.record["patient"]["gp"], "Dr. Greta House");
    let page = bench.page_as(As::Member, TODAY, json!({"patient_id": LONG[0]})).await;
    assert!(page.note.starts_with("Condition, MedicationRequest, MedicationStatement, AllergyIntolerance, Immunization, Procedure, CareTeam: not permitted for the membership"), "{}", page.note);
    assert_eq!(page.counts("encounters").1, 120);
    assert_eq!(page.counts("appointments").1, 2);
}

#[tokio::test]
async fn an_empty_chart() {
    let bench = Bench::with(&[patient()]).await;
    let page = bench.page(PATIENT).await;
    assert_eq!(
        page.record["patient"],
        json!({"id": PATIENT, "name": "Alice Smith", "birthDate": "1961-02-03", "age": 65, "gender": "female"})
    );
    let sections = [
        "problems",
        "medications",
        "allergies",
        "latest",
        "immunizations",
        "encounters",
        "procedures",
        "tasks",
        "appointments",
        "careTeam",
    ];
    assert_eq!(page.record["none"], json!(sections));
    assert_eq!(page.note, "");
    assert!(page.tokens() <= 120, "{}", page.tokens());
}

#[tokio::test]
async fn what_does_not_hold_is_not_there() {
    let drug = |text: &str| json!({"text": text});
    let order = |n, text, status| {
        of(
            "MedicationRequest",
            n,
            json!({"status": status, "intent": "order", "medicationCodeableConcept": drug(text), "authoredOn": "2019-01-07"}),
        )
    };
    let mut abated = condition(7, "abated", "", "");
    abated["abatementDateTime"] = json!("2015");
    let mut never = order(5, "never this", "active");
    never["doNotPerform"] = json!(true);
    let visit = |n, status| {
        of(
            "Encounter",
            n,
            json!({"status": status, "class": {"code": "AMB"}, "period": {"start": "2025-11-02T08:00:00Z"}}),
        )
    };
    let bench = Bench::with(&[
        patient(),
        condition(1, "there", "active", "confirmed"),
        condition(2, "back", "relapse", "confirmed"),
        condition(3, "over", "resolved", "confirmed"),
        condition(4, "mistake", "active", "entered-in-error"),
        condition(5, "not so", "", "refuted"),
        condition(6, "who knows", "", ""),
        abated,
        condition(8, "perhaps", "active", "provisional"),
        order(1, "taken", "active"),
        order(2, "taken", "active"),
        order(3, "paused", "on-hold"),
        order(4, "stopped", "stopped"),
        never,
        of(
            "MedicationStatement",
            1,
            json!({"status": "active", "medicationCodeableConcept": drug("said"), "effectiveDateTime": "2020"}),
        ),
        of("MedicationStatement", 2, json!({"status": "completed", "medicationCodeableConcept": drug("ended")})),
        allergy(1, "pollen", "active", "low"),
        allergy(2, "outgrown", "resolved", "high"),
        of(
            "Immunization",
            1,
            json!({"status": "completed", "vaccineCode": drug("flu"), "occurrenceDateTime": "2023-10-01"}),
        ),
        of(
            "Immunization",
            2,
            json!({"status": "completed", "vaccineCode": drug("flu"), "occurrenceDateTime": "2024-10-01"}),
        ),
        of(
            "Immunization",
            3,
            json!({"status": "not-done", "vaccineCode": drug("refused"), "occurrenceDateTime": "2024-10-01"}),
        ),
        visit(1, "finished"),
        visit(2, "planned"),
        visit(3, "entered-in-error"),
        of("CareTeam", 1, json!({"status": "active", "name": "Diabetes", "participant": [{"member": {"display": "Dr Jones"}, "role": [{"text": "lead"}]}]})),
        of("CareTeam", 2, json!({"name": "No status"})),
        of("CareTeam", 3, json!({"status": "inactive", "name": "Gone"})),
        of("Task", 1, json!({"status": "completed", "intent": "order", "description": "done"})),
        of("Task", 2, json!({"status": "requested", "intent": "order", "priority": "stat", "description": "call"})),
        observation(1, "laboratory", loinc("1-1", "test"), "2025-01-01", quantity(1.0, "g")),
        {
            let mut wrong = observation(2, "laboratory", loinc("1-1", "test"), "2025-02-01", quantity(9.0, "g"));
            wrong["status"] = json!("entered-in-error");
            wrong
        },
    ])
    .await;
    let page = bench.page(PATIENT).await;
    let mut problems = page.rows("problems").to_vec();
    problems.sort_by_key(Value::to_string);
    assert_eq!(
        problems,
        [
            json!(["back", "", "since 2014-05", "relapse"]),
            json!(["perhaps", "", "since 2014-05", "provisional"]),
            json!(["there", "", "since 2014-05"]),
            json!(["who knows", "", "since 2014-05", "status unknown"]),
        ]
    );
    assert_eq!(page.counts("problems"), (json!(4), json!(4)));
    let mut medications = page.rows("medications").to_vec();
    medications.sort_by_key(Value::to_string);
    assert_eq!(
        medications,
        [
            json!(["never this", "", "since 2019-01-07", "DO NOT GIVE"]),
            json!(["paused", "", "since 2019-01-07", "on-hold"]),
            json!(["said", "", "since 2020"]),
            json!(["taken", "", "since 2019-01-07, 2 records"]),
        ]
    );
    assert_eq!(page.counts("medications"), (json!(4), json!(4)), "rows are counted");
    assert_eq!(page.records("medications"), 5, "of five records");
    assert_eq!(page.record["allergies"], json!({"shown": 1, "of": 1, "rows": [["pollen", "rash", "low"]]}));
    assert_eq!(
        page.record["immunizations"],
        json!({"shown": 1, "of": 1, "records": 2, "rows": [["flu", "2024-10-01, 2 records"]]})
    );
    assert_eq!(page.record["encounters"], json!({"shown": 1, "of": 1, "rows": [["2025-11-02", "AMB"]]}));
    assert_eq!(
        page.record["careTeam"],
        json!({"shown": 2, "of": 2, "rows": [["Diabetes", "Dr Jones (lead)"], ["No status"]]})
    );
    assert_eq!(page.record["tasks"], json!({"shown": 1, "of": 1, "rows": [["call", "requested, stat"]]}));
    assert_eq!(
        page.record["latest"],
        json!({
            "shown": 1, "of": 1, "columns": ["what", "code", "value", "unit", "date", "count"],
            "rows": [["test", "1-1", 1, "g", "2025-01-01", 1]],
        })
    );
    assert!(page.note.starts_with("notCurrent counts") && page.note.lines().count() == 1, "{}", page.note);
}

/// What is counted is what is seen: a row that stands for several records is one, and what does not belong is none.
#[tokio::test]
async fn shown_counts_the_rows_that_are_shown() {
    let repeated = |n| condition(n, "asthma", "active", "confirmed");
    let mut ended = condition(90, "ended", "", "");
    ended["abatementDateTime"] = json!("2015");
    let mut all = vec![patient(), condition(91, "gout", "active", "confirmed"), ended];
    all.extend((0..3).map(repeated));
    let page = Bench::with(&all).await.page(PATIENT).await;
    let mut problems = page.record["problems"].clone();
    problems["rows"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    let rows = json!([["asthma", "", "since 2014-05, 3 records"], ["gout", "", "since 2014-05"]]);
    assert_eq!(problems, json!({"shown": 2, "of": 2, "records": 4, "rows": rows}));
    assert_eq!(page.record["notCurrent"], json!({"problems": 1}), "what has an end is over");
    // More of the same than are looked at: how many rows they would be is not known.
    let mut all = vec![patient()];
    all.extend((0..230).map(repeated));
    let page = Bench::with(&all).await.page(PATIENT).await;
    let rows = json!([["asthma", "", "since 2014-05, 200 records"]]);
    assert_eq!(page.record["problems"], json!({"shown": 1, "of": null, "records": 230, "rows": rows}));
    insta::assert_snapshot!(page.note);
}

#[tokio::test]
async fn appointments_from_today_on() {
    let appointment = |n, start: &str, status: &str| {
        let mut appointment = of("Appointment", n, json!({"status": status, "description": format!("number {n}")}));
        appointment["participant"]
            .as_array_mut()
            .unwrap()
            .push(json!({"actor": {"display": "Dr Jones"}, "status": "accepted"}));
        if !start.is_empty() {
            appointment["start"] = json!(start);
        }
        appointment
    };
    let bench = Bench::with(&[
        patient(),
        appointment(1, "2026-11-21T23:00:00Z", "booked"),
        appointment(2, "2026-12-01T09:00:00Z", "booked"),
        appointment(3, "2026-11-22T00:00:00Z", "arrived"),
        appointment(4, "2026-11-30T09:00:00Z", "cancelled"),
        appointment(5, "", "proposed"),
    ])
    .await;
    let page = bench.page(PATIENT).await;
    assert_eq!(
        page.record["appointments"],
        json!({"shown": 3, "of": 3, "rows": [
            ["2026-11-22T00:00Z", "number 3", "arrived", "Dr Jones"],
            ["2026-12-01T09:00Z", "number 2", "booked", "Dr Jones"],
            ["", "number 5", "proposed", "Dr Jones"],
        ]})
    );
}

#[tokio::test]
async fn values_and_trends() {
    let mut all = vec![patient()];
    let mut number = 0;
    let mut add = |category: &str, code: &str, dates_and_values: &[(&str, Value)]| {
        for (date, value) in dates_and_values {
            number += 1;
            all.push(observation(number, category, loinc(code, &format!("test {code}")), date, value.clone()));
        }
    };
    let days = ["2025-01-01", "2025-02-01T10:00:00+02:00", "2025-02-01T10:00:00+01:00"];
    let series = |values: [Value; 3]| -> Vec<(&'static str, Value)> { days.into_iter().zip(values).collect() };
    let grams = |values: [f64; 3]| series(values.map(|value| quantity(value, "g")));
    add("laboratory", "rises", &grams([7.2, 7.4, 7.9]));
    add("laboratory", "falls", &grams([9.0, 8.0, 7.5]));
    add("laboratory", "stays", &grams([5.0, 5.0, 5.0]));
    add("laboratory", "varies", &grams([5.0, 7.0, 6.0]));
    add("laboratory", "two", &grams([1.0, 2.0, 3.0])[1..]);
    add("laboratory", "mixed", &series([quantity(1.0, "g"), quantity(2000.0, "mg"), quantity(3.0, "g")]));
    add(
        "laboratory",
        "below",
        &series([
            quantity(3.0, "g"),
            quantity(2.0, "g"),
            json!({"valueQuantity": {"value": 1, "comparator": "<", "unit": "g", "code": "g"}}),
        ]),
    );
    add(
        "laboratory",
        "words",
        &series([1, 2, 3].map(|n| json!({"valueCodeableConcept": {"text": format!("word {n}")}}))),
    );
    add(
        "laboratory",
        "flagged",
        &[(
            "2020",
            json!({
                "valueQuantity": {"value": 9.5, "unit": "g"}, "interpretation": [{"coding": [{"code": "H"}]}],
                "referenceRange": [{"low": {"value": 4, "unit": "g"}, "high": {"value": 6, "unit": "g"}}],
            }),
        )],
    );
    let part = |code: &str, name: &str, value: u8| json!({"code": loinc(code, name), "valueQuantity": {"value": value, "unit": "mm[Hg]"}});
    add(
        "vital-signs",
        "85354-9",
        &[("2025-03-01", json!({"component": [part("8480-6", "Systolic", 134), part("8462-4", "Diastolic", 85)]}))],
    );
    add("vital-signs", "nothing", &[("2025-03-01", json!({"dataAbsentReason": {"text": "refused"}}))]);
    add("social-history", "smoker", &[("2025-03-01", json!({"valueBoolean": true}))]);
    add("", "uncategorised", &[("2025-03-02", json!({"valueString": "odd\nbut  there"}))]);
    let bench = Bench::with(&all).await;
    let page = bench.page(PATIENT).await;
    assert_eq!(
        page.record["latest"]["columns"],
        json!(["what", "code", "value", "unit", "range", "date", "count", "trend"])
    );
    let rows: Vec<String> = page.rows("latest").iter().map(Value::to_string).collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[tokio::test]
async fn the_age_on_a_leap_day() {
    let mut born = patient();
    born["birthDate"] = json!("2000-02-29");
    let bench = Bench::with(&[born]).await;
    for (day, age) in [("2023-02-28", 22), ("2023-03-01", 23), ("2024-02-28", 23), ("2024-02-29", 24)] {
        let page = bench.page_as(As::Admin, day, json!({"patient_id": PATIENT, "sections": ["tasks"]})).await;
        assert_eq!(page.record["patient"]["age"], age, "{day}");
    }
}

#[tokio::test]
async fn who_it_is() {
    let mut person = patient();
    person.as_object_mut().unwrap().extend(
        json!({
            "active": false, "deceasedDateTime": "2024-02-02T10:00:00Z", "birthDate": "1961",
            "identifier": (0..6).map(|n| json!({"system": "http://hospital.example/mrn", "value": n.to_string()})).collect::<Vec<_>>(),
            "telecom": [{"system": "phone", "value": "555-1212"}, {"system": "email", "value": "old@x.example", "use": "old"}],
            "address": [{"text": "8 Elm St"}],
            "link": [{"other": {"reference": "Patient/other"}, "type": "replaced-by"}],
            "generalPractitioner": [{"reference": "Practitioner/5a4d0b0c-0000-4000-8000-000000000007"}, {"display": "Dr Bob Jones"}, {"reference": "Practitioner/unknown"}],
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let bench = Bench::with(&[person]).await;
    let page = bench
        .page_as(As::Admin, TODAY, json!({"patient_id": format!("Patient/{PATIENT}"), "sections": ["tasks"]}))
        .await;
    assert_eq!(
        page.record["patient"],
        json!({
            "id": PATIENT, "name": "Alice Smith", "active": false, "replacedBy": ["Patient/other"], "birthDate": "1961",
            "deceased": "2024-02-02", "ageAtDeath": "62-63", "gender": "female",
            "identifiers": ["http://hospital.example/mrn|0", "http://hospital.example/mrn|1", "http://hospital.example/mrn|2", "http://hospital.example/mrn|3", "+2"],
            "contact": ["phone 555-1212"], "address": ["8 Elm St"], "gp": "Olivia Obo, Dr Bob Jones, Practitioner/unknown",
        })
    );
}

#[tokio::test]
async fn one_search_that_fails_is_said_and_the_rest_is_there() {
    let bench = Bench::with(&[
        patient(),
        condition(1, "there", "active", "confirmed"),
        of("MedicationStatement", 1, json!({"status": "active", "medicationCodeableConcept": {"text": "said"}})),
    ])
    .await;
    let faults = bench.sandbox.faults();
    faults.add(FaultRule::new(Fault::Status(500)).path_contains("/MedicationRequest?"));
    let page = bench.page(PATIENT).await;
    assert_eq!(page.counts("problems"), (json!(1), json!(1)));
    assert_eq!(page.record["medications"], json!({"shown": 1, "of": null, "rows": [["said"]]}));
    assert!(
        page.note.starts_with("MedicationRequest could not be searched, so it is not known what there is: "),
        "{}",
        page.note
    );
    assert!(page.note.contains("500"), "{}", page.note);
    // The server has a bad moment: the search is tried again by itself.
    faults.clear();
    faults.add(FaultRule::new(Fault::Status(503)).path_contains("/MedicationRequest?").times(1));
    assert_eq!(bench.page(PATIENT).await.note, "");
    // Without the search for the patient there is a read.
    faults.clear();
    faults.add(FaultRule::new(Fault::Status(500)).path_contains("/Patient?"));
    assert_eq!(bench.page(PATIENT).await.record["patient"]["name"], "Alice Smith");
    // Without the patient there is nothing.
    faults.add(FaultRule::new(Fault::Status(500)).path_contains("/Patient/"));
    let error = bench.error(As::Admin, json!({"patient_id": PATIENT})).await;
    assert!(error.contains("500"), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let bench = Bench::with(&[patient()]).await;
    let error = bench.error(As::Admin, json!({"patient_id": "00000000-0000-4000-8000-000000000000"})).await;
    assert!(error.starts_with("Medplum answered 404: \"Not found\". No such id in this project"), "{error}");
    let error = bench.error(As::Admin, json!({"patient_id": "Observation/1"})).await;
    assert!(error.ends_with("Nothing was sent."), "{error}");
    let error = bench.error(As::Admin, json!({"patient_id": PATIENT, "sections": ["labs"]})).await;
    assert!(error.contains("careTeam") && error.contains("latest"), "{error}");
}

#[tokio::test]
async fn some_sections_alone() {
    let bench = Bench::with(&[patient()]).await;
    let page =
        bench.page_as(As::Admin, TODAY, json!({"patient_id": PATIENT, "sections": ["careTeam", "allergies"]})).await;
    let keys: Vec<&String> = page.record.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["patient", "none"]);
    assert_eq!(page.record["none"], json!(["allergies", "careTeam"]));
    assert_eq!(bench.sandbox.requests().len(), 7, "a token, four searches, and a count for each section that is empty");
}

#[tokio::test]
async fn the_definition_is_short() {
    let bench = Bench::with(&[]).await;
    let listing = bench.server(As::Admin, TODAY).listing();
    let tool = listing.iter().find(|tool| tool.name == "get_patient_summary").unwrap();
    let (description, schema) = (tool.description.clone().unwrap(), serde_json::to_string(&tool.input_schema).unwrap());
    let cost = bench::tokens(&description) + bench::tokens(&schema);
    println!("{cost} tokens\n{schema}");
    assert!(cost <= 120, "{cost}: {schema}");
}

/// A cancer in remission is told of beside a cold.
#[tokio::test]
async fn what_is_over_is_counted_beside_what_is_current() {
    let all = [
        patient(),
        condition(1, "cold", "active", "confirmed"),
        condition(2, "cancer", "remission", "confirmed"),
        condition(3, "gout", "resolved", ""),
        condition(4, "typing", "resolved", "entered-in-error"),
        allergy(5, "penicillin", "active", "high"),
    ];
    let bench = Bench::with(&all).await;
    let asked = json!({"patient_id": PATIENT, "sections": ["allergies", "problems"]});
    let page = bench.page_as(As::Admin, "2026-01-01", asked.clone()).await;
    assert_eq!((page.record["problems"]["of"].clone(), page.record["allergies"]["of"].clone()), (1.into(), 1.into()));
    assert_eq!(page.record["notCurrent"], json!({"problems": 2}));
    assert!(page.record.get("none").is_none(), "{}", page.text);
    let told = format!("resolved, stopped, past or not done: search_resources Condition patient=Patient/{PATIENT}.");
    assert!(page.note.contains(&told), "{}", page.note);
    bench.sandbox.faults().add(FaultRule::new(Fault::Status(500)).path_contains("_summary=count"));
    let page = bench.page_as(As::Admin, "2026-01-01", asked).await;
    assert!(page.record.get("notCurrent").is_none() && page.record["problems"]["of"] == 1, "{}", page.text);
}

/// What is over is not what never was.
#[tokio::test]
async fn a_section_without_anything_current_is_not_said_to_be_empty() {
    let all = [
        patient(),
        allergy(1, "penicillin", "resolved", "high"),
        condition(2, "cancer", "remission", "confirmed"),
        condition(3, "gout", "resolved", ""),
        condition(4, "typing", "resolved", "entered-in-error"),
    ];
    let bench = Bench::with(&all).await;
    let page = bench
        .page_as(
            As::Admin,
            "2026-01-01",
            json!({"patient_id": PATIENT, "sections": ["allergies", "problems", "appointments"]}),
        )
        .await;
    assert_eq!(page.record["none"], json!(["appointments"]));
    assert_eq!(page.record["notCurrent"], json!({"allergies": 1, "problems": 2}));
    assert!(
        page.note.contains(&format!(
            "notCurrent counts what is resolved, stopped, past or not done: search_resources Condition or AllergyIntolerance patient=Patient/{PATIENT}."
        )),
        "{}",
        page.note
    );
    // What could not be counted is not said to be none.
    bench.sandbox.faults().add(FaultRule::new(Fault::Status(500)).path_contains("_summary=count"));
    let page = bench.page_as(As::Admin, "2026-01-01", json!({"patient_id": PATIENT, "sections": ["allergies"]})).await;
    assert_eq!(page.record["allergies"], json!({"shown": 0, "of": 0, "rows": []}));
    assert!(page.record.get("none").is_none() && page.record.get("notCurrent").is_none(), "{}", page.text);
}
