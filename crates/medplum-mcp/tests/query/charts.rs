//! What is asked of a chart, against the same worked out from the raw resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Clinic, LONG};

/// The measurements of a chart: code, moment, value.
async fn measurements(clinic: &Clinic) -> Vec<(String, String, f64)> {
    let raw = clinic.raw("Observation", &[("patient", LONG)]).await;
    assert!(raw.len() >= 700, "{}", raw.len());
    let measured = raw.iter().filter_map(|resource| {
        let code = resource["code"]["coding"][0]["code"].as_str()?;
        let at = resource["effectiveDateTime"].as_str()?;
        Some((code.to_owned(), at.to_owned(), resource["valueQuantity"]["value"].as_f64()?))
    });
    measured.collect()
}

fn close(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-6)
}

#[tokio::test]
async fn count_first_last_least_most_and_mean_of_every_code() {
    let clinic = Clinic::open();
    let mut expected: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for (code, at, value) in measurements(&clinic).await {
        expected.entry(code).or_default().push((at, value));
    }
    let sql = "select code_code, count(*), min(effective_utc), max(effective_utc), min(value_value), max(value_value),
        avg(value_value), sum(value_value) from Observation where value_value is not null group by 1 order by 1";
    let told = clinic
        .call("query_resources", json!({"resource_type": "Observation", "params": {"patient": LONG}, "sql": sql}))
        .await;
    assert!(told.note().starts_with("Over all ") && told.note().contains("that match (complete)."), "{}", told.note());
    let rows = told.rows();
    assert_eq!(rows.len(), expected.len());
    for (row, (code, mut measured)) in rows.iter().zip(expected) {
        measured.sort_by(|a, b| a.0.cmp(&b.0));
        let values: Vec<f64> = measured.iter().map(|(_, value)| *value).collect();
        let sum: f64 = values.iter().sum();
        assert_eq!(row[0], code);
        assert_eq!(row[1], measured.len());
        assert_eq!(format!("{}Z", row[2].as_str().unwrap()), measured[0].0);
        assert_eq!(format!("{}Z", row[3].as_str().unwrap()), measured[measured.len() - 1].0);
        assert!(close(&row[4], values.iter().copied().fold(f64::INFINITY, f64::min)), "{row:?}");
        assert!(close(&row[5], values.iter().copied().fold(f64::NEG_INFINITY, f64::max)), "{row:?}");
        assert!(close(&row[6], sum / values.len() as f64) && close(&row[7], sum), "{row:?}");
    }
}

#[tokio::test]
async fn the_last_value_and_the_trend() {
    let clinic = Clinic::open();
    let mut a1c: Vec<(String, f64)> = measurements(&clinic)
        .await
        .into_iter()
        .filter(|(code, ..)| code == "4548-4")
        .map(|(_, at, value)| (at, value))
        .collect();
    a1c.sort_by(|a, b| a.0.cmp(&b.0));
    let params = json!({"patient": LONG, "code": "4548-4"});
    let last = "select effective, value_value from Observation order by effective_utc desc limit 1";
    let (at, value) = a1c.last().unwrap();
    assert_eq!(clinic.rows("Observation", params.clone(), last).await, [[json!(at), json!(value)]]);

    let yearly =
        "select substr(effective_utc, 1, 4) year, round(avg(value_value), 3) from Observation group by 1 order by 1";
    let mut by_year: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (at, value) in &a1c {
        by_year.entry(&at[..4]).or_default().push(*value);
    }
    let rows = clinic.rows("Observation", params.clone(), yearly).await;
    assert_eq!(rows.len(), by_year.len());
    for (row, (year, values)) in rows.iter().zip(by_year) {
        assert_eq!(row[0], year);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((row[1].as_f64().unwrap() - mean).abs() < 1e-3, "{row:?} {mean}");
    }

    let change =
        "with ordered as (select value_value v, lag(value_value) over (order by effective_utc) before from Observation)
        select round(sum(v - before), 6), max(abs(v - before)) from ordered";
    let row = &clinic.rows("Observation", params, change).await[0];
    assert!(close(&row[0], a1c[a1c.len() - 1].1 - a1c[0].1), "{row:?}");
    let largest = a1c.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs()).fold(0.0, f64::max);
    assert!((row[1].as_f64().unwrap() - largest).abs() < 1e-9, "{row:?}");
}

#[tokio::test]
async fn two_types_joined() {
    let clinic = Clinic::open();
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let patients = clinic.raw("Patient", &[]).await;
    for condition in clinic.raw("Condition", &[]).await {
        let subject = condition["subject"]["reference"].as_str().unwrap_or_default();
        let patient = patients.iter().find(|p| subject == format!("Patient/{}", p["id"].as_str().unwrap()));
        if let Some(patient) = patient {
            *expected.entry(patient["gender"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let sql = "select p.gender, count(*) from Condition c join Patient p on c.subject = 'Patient/' || p.id group by 1 order by 1";
    let told = clinic
        .call(
            "query_resources",
            json!({"resource_type": "Condition", "also": [{"resource_type": "Patient"}], "sql": sql}),
        )
        .await;
    let expected: Vec<Vec<Value>> = expected.into_iter().map(|(gender, n)| vec![json!(gender), json!(n)]).collect();
    assert_eq!(told.rows(), expected);
    assert!(told.note().contains("Conditions and ") && told.note().contains("Patients that match"), "{}", told.note());
}

#[tokio::test]
async fn two_searches_of_one_type_are_one_table() {
    let clinic = Clinic::open();
    let search = |code: &str| json!({"patient": LONG, "code": code});
    let one = clinic.rows("Observation", search("4548-4"), "select count(*) from Observation").await[0][0].as_u64();
    let told = clinic
        .call(
            "query_resources",
            json!({"resource_type": "Observation", "params": search("4548-4"),
                "also": [{"resource_type": "Observation", "params": search("2160-0")},
                    {"resource_type": "Observation", "params": search("4548-4")}],
                "sql": "select code_code, count(*) from Observation group by 1 order by 1"}),
        )
        .await;
    let rows = told.rows();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1][1].as_u64(), one, "the same search twice adds nothing");
}

#[tokio::test]
async fn a_table_is_shown_before_it_is_asked() {
    let clinic = Clinic::open();
    let told = clinic
        .call("query_resources", json!({"resource_type": "Observation", "params": {"patient": LONG, "code": "4548-4"}}))
        .await;
    assert_eq!(told.rows().len(), 3);
    let columns = told.columns();
    for column in
        ["id", "status", "code_code", "subject", "effective", "effective_utc", "value_value", "value_unit", "json"]
    {
        assert!(columns.iter().any(|known| known == column), "{columns:?}");
    }
    assert!(!columns.iter().any(|column| column == "body_site_code"), "it holds nothing: {columns:?}");
    assert!(told.note().starts_with("Table Observation, "), "{}", told.note());
    assert!(told.note().contains(" rows (complete), 3 shown"), "{}", told.note());
    let size: usize = told.blocks.iter().map(|block| block.chars().count()).sum();
    assert!(size < 4_000, "{size}");
}

#[tokio::test]
async fn what_is_incomplete_is_said_first_and_not_summed_up() {
    let clinic = Clinic::open();
    let ask = |sql: &str, allow: bool| {
        let arguments = json!({"resource_type": "Observation", "params": {"patient": LONG}, "max_resources": 50,
            "sql": sql, "allow_partial": allow});
        clinic.call("query_resources", arguments)
    };
    for sql in [
        "select count(*) from Observation",
        "select max(value_value) from Observation",
        "select distinct code_text from Observation",
        "select code_text from Observation group by 1",
        "select effective from Observation order by effective_utc limit 1",
        "select row_number() over (partition by code_code) from Observation",
        "select id from Observation where value_value = (select value_value from Observation)",
        "select status from Observation union select code_text from Observation",
    ] {
        let told = ask(sql, false).await;
        assert!(
            told.error().contains("allow_partial: true") && told.error().contains("max_resources (now 50"),
            "{told:?}"
        );
    }
    let told = ask("select count(*) from Observation", true).await;
    assert_eq!(told.rows(), [[json!(50)]]);
    assert!(told.note().starts_with("Incomplete: only 50 Observations were fetched"), "{}", told.note());
    let told = ask("select id from Observation where status = 'final'", false).await;
    assert!(told.note().starts_with("Incomplete: "), "{}", told.note());
    assert!(!told.note().contains("(complete)"), "{}", told.note());
}

#[tokio::test]
async fn exactly_as_many_as_asked_for_is_complete() {
    let observations: Vec<Value> = (0..30)
        .map(|n| json!({"resourceType": "Observation", "id": format!("5a4d0b0c-0000-4000-8000-0000000009{n:02}"), "status": "final", "code": {"text": "x"}}))
        .collect();
    let clinic = Clinic::with(&observations);
    let ask = |most: usize| {
        let arguments =
            json!({"resource_type": "Observation", "max_resources": most, "sql": "select count(*) from Observation"});
        clinic.call("query_resources", arguments)
    };
    assert_eq!(ask(30).await.rows(), [[json!(30)]]);
    assert!(ask(29).await.failed);
}

#[tokio::test]
async fn the_first_of_several_is_said_to_be_that() {
    let coding = |code: &str| json!({"system": "http://loinc.org", "code": code});
    let clinic = Clinic::with(&[json!({"resourceType": "Observation", "id": "5a4d0b0c-0000-4000-8000-000000000901",
        "status": "final", "code": {"coding": [coding("a"), coding("b")]}})]);
    let ask = |sql: &str| clinic.call("query_resources", json!({"resource_type": "Observation", "sql": sql}));
    let told = ask("select code_code, status from Observation").await;
    let note = told.note();
    assert!(note.contains("The first of several, of 1 rows: code_code in 1. All of them: FROM Observation o, json_each(o.json,'$.code.coding')."), "{note}");
    assert!(!ask("select status from Observation").await.note().contains("several"));
    let all = "select c.value ->> '$.code' from Observation, json_each(Observation.json, '$.code.coding') c";
    assert_eq!(ask(all).await.rows(), [[json!("a")], [json!("b")]]);
}

#[tokio::test]
async fn several_of_another_element_are_where_they_are() {
    let clinic = Clinic::with(&[json!({"resourceType": "Patient", "id": "5a4d0b0c-0000-4000-8000-000000000901",
        "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}]})]);
    let ask = |sql: &str| clinic.call("query_resources", json!({"resource_type": "Patient", "sql": sql}));
    let told = ask("select name_family, name_given from Patient").await;
    assert!(
        told.note()
            .contains("name_family in 1, name_given in 1. All of them: FROM Patient p, json_each(p.json,'$.name')."),
        "{}",
        told.note()
    );
    let all = "select n.value ->> '$.family' from Patient p, json_each(p.json,'$.name') n";
    assert_eq!(ask(all).await.rows(), [[json!("A")], [json!("D")]]);
}

#[tokio::test]
async fn a_search_without_a_match_still_shows_its_columns() {
    let clinic = Clinic::open();
    let ask = |sql: Option<&str>| {
        clinic
            .call("query_resources", json!({"resource_type": "Observation", "params": {"code": "nothing"}, "sql": sql}))
    };
    let told = ask(None).await;
    assert!(told.rows().is_empty());
    assert!(told.columns().iter().any(|column| column == "value_value"), "{told:?}");
    assert!(
        told.note().contains("Table Observation, 0 rows (complete).") && told.note().contains("No Observation"),
        "{}",
        told.note()
    );
    let told = ask(Some("select statuss from Observation")).await;
    assert!(
        told.error().contains("Nearest: status") && told.error().contains("\nObservation (no rows): id, "),
        "{told:?}"
    );
}

#[tokio::test]
async fn slips_are_told_before_anything_is_fetched() {
    let clinic = Clinic::with(&[]);
    let searches = || clinic.sandbox.requests().iter().filter(|r| r.path_and_query.contains("Observation")).count();
    for (arguments, says) in [
        (json!({"sql": "select 1; select 2"}), "exactly one statement"),
        (json!({"sql": "delete from Observation"}), "must be one SELECT"),
        (json!({"sql": "select * from Patient"}), "Tables: Observation"),
        (json!({"sql": "select medain(value_value) from Observation"}), "Nearest: median"),
        (json!({"sql": "select from Observation"}), "syntax error"),
        (json!({"sql": ""}), "sql is empty"),
        (json!({"max_resources": 0}), "from 1 to 50000"),
        (json!({"max_resources": 50_001}), "from 1 to 50000"),
        (json!({"params": {"_count": 5}}), "max_resources"),
        (json!({"params": {"_include": "Observation:subject"}}), "no place here"),
        (json!({"params": {"_revinclude:iterate": "Provenance:target"}}), "no place here"),
        (json!({"params": {"_elements": "id"}}), "no place here"),
        (json!({"params": {"_sort": "-date"}}), "ORDER BY"),
        (json!({"sql": "select id from Observation where value > '7'"}), "value_value"),
        (json!({"also": [{"resource_type": "Foo"}], "sql": "select 1 from Patient"}), "Foo is no resource type"),
        (json!({"params": {"kode": "x"}}), "Nearest: "),
        (json!({"also": [{"resource_type": "Patiant"}]}), "Nearest: Patient"),
    ] {
        let mut whole = arguments.clone();
        whole["resource_type"] = json!("Observation");
        let told = clinic.call("query_resources", whole).await;
        assert!(told.error().contains(says), "{arguments}: {told:?}");
    }
    assert_eq!(searches(), 0);
}

#[tokio::test]
async fn a_wrong_column_is_told_with_those_that_there_are() {
    let clinic = Clinic::open();
    let arguments = json!({"resource_type": "Observation", "params": {"patient": LONG}, "sql": "select avg(valueQuantity) from Observation"});
    let told = clinic.call("query_resources", arguments).await;
    assert!(told.error().starts_with("No column valueQuantity. Nearest: "), "{told:?}");
    assert!(told.error().contains("value_value, value_unit"), "{told:?}");
}

#[tokio::test]
async fn nothing_found_is_no_rows_and_what_to_try() {
    let clinic = Clinic::open();
    let arguments = json!({"resource_type": "Observation", "params": {"code": "0-0"}, "sql": "select count(*), max(value_value) from Observation"});
    let told = clinic.call("query_resources", arguments).await;
    assert_eq!(told.rows(), [[json!(0), Value::Null]]);
    assert!(told.note().contains("No Observation matches code=0-0."), "{}", told.note());
}

#[tokio::test]
async fn the_server_goes_on_while_a_statement_runs_and_a_call_that_is_dropped_ends_it() {
    let clinic = Clinic::with(&[]);
    let endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c";
    let slow = clinic.call("query_resources", json!({"resource_type": "Observation", "sql": endless}));
    let read = clinic.call("search_resources", json!({"resource_type": "Patient"}));
    // On the one thread of this runtime the read comes first, and dropping the other call lets the next one in.
    tokio::select! {
        biased;
        told = slow => panic!("{told:?}"),
        told = async { tokio::task::yield_now().await; read.await } => assert!(!told.failed, "{told:?}"),
    }
    let next = clinic.call("query_resources", json!({"resource_type": "Observation", "sql": "select 1 one"})).await;
    assert_eq!(next.rows(), [[json!(1)]]);
}

#[tokio::test]
async fn an_answer_costs_few_tokens() {
    let tokens = |text: &str| tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len();
    let clinic = Clinic::open();
    let all_codes = "select code_text, count(*) n, min(effective_utc) first, max(effective_utc) last,
        round(avg(value_value),1) mean, value_unit from Observation where value_value is not null group by 1, 6 order by n desc";
    for (what, tool, arguments) in [
        ("every code of a chart", "query_resources", json!({"params": {"patient": LONG}, "sql": all_codes})),
        ("the table", "query_resources", json!({"params": {"patient": LONG}})),
        ("a wrong column", "query_resources", json!({"params": {"patient": LONG}, "sql": "select x from Observation"})),
        ("the codes of a chart", "list_codes", json!({"params": {"patient": LONG}})),
    ] {
        let mut arguments = arguments;
        arguments["resource_type"] = json!("Observation");
        let told = clinic.call(tool, arguments).await;
        let cost: usize = told.blocks.iter().map(|block| tokens(block)).sum();
        println!("{what}: {cost} tokens");
        assert!(cost <= 2_000, "{what}: {cost}");
    }
    for tool in clinic.server.listing() {
        if ["query_resources", "list_codes"].contains(&&*tool.name) {
            let cost = tokens(&serde_json::to_string(&tool.description).unwrap())
                + tokens(&serde_json::to_string(&tool.input_schema).unwrap());
            println!("{}: {cost} tokens of description and schema", tool.name);
            assert!(cost <= 220, "{}: {cost}", tool.name);
        }
    }
}

/// What other databases take is not carried out as something else, and a word that is no code is told with the codes.
#[tokio::test]
async fn dates_references_and_codes_are_as_they_are_written_here() {
    let clinic = Clinic::open();
    let told =
        async |of: &str, sql: &str| clinic.call("query_resources", json!({"resource_type": of, "sql": sql})).await;
    let patients = told("Patient", "select count(*) from Patient where gender = 'F'").await;
    assert_eq!(patients.rows(), [[json!(0)]]);
    assert!(patients.note().contains("its codes are male | female | other | unknown."), "{patients:?}");
    let seen = told("Observation", "select count(*) from Observation where effective_utc > CURRENT_DATE - 365").await;
    assert!(seen.error().contains("date('now','-1 year')"), "{seen:?}");
    let problems = told("Condition", "select count(*) from Condition where subject = 'a1'").await;
    assert!(problems.error().contains("subject = 'Patient/a1'"), "{problems:?}");
}
