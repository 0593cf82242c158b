//! What an agent is told of a statement that does not do what was meant.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::sandboxed::{Outcome, Watch, plan};
use super::tests::{ONE_AT_A_TIME, ask, some_observations, table};

/// What is said of a statement before anything is fetched.
#[track_caller]
fn planned(sql: &str) -> Result<(), String> {
    let types = ["Observation", "Patient", "Encounter", "Condition", "Immunization", "Task"].map(str::to_owned);
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    plan(&types, sql, &Watch::default()).map(|_| ()).map_err(|failure| as_read(&format!("{failure:?}")))
}

/// Without the escapes of a debug output.
fn as_read(told: &str) -> String {
    told.replace("\\\"", "\"").replace("\\n", "\n")
}

fn notes(of: &str, resources: Vec<Value>, sql: &str) -> String {
    let Outcome { notes, .. } = ask(vec![table(of, resources)], sql, &Watch::default()).unwrap();
    notes.join("\n")
}

#[test]
fn a_function_of_another_dialect_is_told_with_what_does_it_here() {
    for (expression, says) in [
        ("date_trunc('month', effective_utc)", "No function date_trunc here: a month is strftime('%Y-%m', x)"),
        ("TO_CHAR(effective_utc, 'YYYY-MM')", "strftime('%Y-%m', x)"),
        ("now()", "date('now')"),
        ("stddev(value_value)", "sqrt((sum(a * a)"),
        ("age(effective_utc)", "timediff('now', x)"),
        ("year(effective_utc)", "CAST(strftime('%Y', x) AS INTEGER)"),
        ("datediff('day', effective_utc, issued)", "julianday(x) - julianday(y)"),
        ("date_add(effective_utc, 5)", "date(x, '+30 days')"),
        ("left(code_text, 3)", "substr(x, 1, 4)"),
        ("greatest(1, 2)", "max(a, b)"),
        ("array_agg(code_text)", "json_group_array(x)"),
        ("count_if(value_value > 7)", "FILTER (WHERE a > 7)"),
        ("code_text REGEXP 'a'", "x LIKE '%part%'"),
        ("log(value_value)", "ln(a)"),
        ("medain(value_value)", "Nearest: median"),
    ] {
        let told = planned(&format!("select {expression} from Observation")).unwrap_err();
        assert!(told.contains(says), "{expression}: {told}");
        assert!(!told.contains('`'), "{told}");
    }
    for here in ["string_agg(code_text, ', ')", "concat(code_text, ', ')", "date('now')", "ceil(value_value)"] {
        assert_eq!(planned(&format!("select {here} from Observation")), Ok(()), "{here}");
    }
}

#[test]
fn syntax_of_another_dialect_is_told_with_what_does_it_here() {
    for (sql, says) in [
        ("select id from Patient where name_family ILIKE 'lind%'", "LIKE is blind to capitals"),
        ("select id from Observation where effective_utc > current_date - interval '1 year'", "date('now', '-1 year')"),
        ("select id from Observation where effective_utc > current_date - INTERVAL 1 YEAR", "date('now', '-1 year')"),
        ("select effective_utc::date from Observation", "CAST(x AS REAL)"),
        ("select distinct on (subject) id from Observation", "row_number() OVER"),
        ("select extract(year from effective_utc) from Observation", "CAST(strftime('%Y', x) AS INTEGER)"),
        ("select top 5 id from Observation", "LIMIT 5"),
        ("select id from Observation fetch first 5 rows only", "LIMIT 5"),
        ("select id from Patient where birth_date < date '1950-01-01'", "dates are texts"),
        ("select percentile_cont(0.5) within group (order by value_value) from Observation", "median(a)"),
        ("select id from Patient where name_family ~ '^L'", "x GLOB"),
        ("select id from Observation where effective_utc > ", "SQLite: incomplete input"),
    ] {
        let told = planned(sql).unwrap_err();
        assert!(told.contains(says) && told.contains("Nothing was fetched"), "{sql}: {told}");
    }
}

#[test]
fn a_table_that_is_not_there_is_told_with_how_it_is_brought() {
    let told = planned("select 1 from Observation o join AllergyIntolerance a on a.patient = o.subject").unwrap_err();
    assert!(told.contains("also brings it: {\"resource_type\":\"AllergyIntolerance\"}"), "{told}");
    let told = planned("select 1 from allergyintolerance").unwrap_err();
    assert!(told.contains("{\"resource_type\":\"AllergyIntolerance\"}"), "{told}");
    let told = planned("select 1 from Patients").unwrap_err();
    assert!(told.contains("Nearest: Patient") && !told.contains("resource_type\":\"Patient"), "{told}");
}

fn patients() -> Vec<Value> {
    vec![
        json!({"resourceType": "Patient", "id": "a", "gender": "male", "birthDate": "1950-01-01",
            "name": [{"family": "F", "given": ["G"]}], "identifier": [{"value": "1"}]}),
        json!({"resourceType": "Patient", "id": "b", "gender": "female"}),
    ]
}

#[test]
fn the_nearest_columns_are_such_as_hold_something() {
    let tables = || vec![table("Patient", patients()), table("Immunization", Vec::new())];
    let told = |sql: &str| as_read(&ask(tables(), sql, &Watch::default()).unwrap_err());
    for (sql, says) in [
        ("select p.name from Patient p", "No column p.name. Nearest: name_family, name_given."),
        ("select p.first_name from Patient p", "Nearest: name_given."),
        ("select Patient.mrn from Patient", "Nearest: identifier_value."),
        ("select i.subject from Patient p join Immunization as i on 1", "Nearest: patient."),
        ("select p.birthDate from Patient p", "Nearest: birth_date"),
    ] {
        let told = told(sql);
        assert!(told.contains(says), "{sql}: {told}");
    }
    let empty = told("select i.subject from Immunization i");
    assert!(empty.contains("Immunization (no rows): id, ") && !empty.contains("Patient: "), "{empty}");
    assert!(!empty.contains("Those hold something") && empty.len() < 1_500, "{} {empty}", empty.len());
    let both = told("select subject from Immunization, Patient");
    assert!(both.contains("Immunization (no rows)") && both.contains("\nPatient: "), "{both}");
}

#[test]
fn columns_that_hold_nothing_are_named_where_nothing_comes() {
    let told = |sql: &str| {
        let notes = notes("Observation", some_observations(), sql);
        notes.lines().filter(|note| note.contains("nothing in")).collect::<Vec<_>>().join("\n")
    };
    let nothing = "interpretation_code holds nothing in any of the 5 rows of Observation.";
    for sql in [
        "select id from Observation where interpretation_code in ('H', 'L')",
        "select * from Observation where interpretation_code = 'H'",
        "select count(*) from Observation where \"interpretation_code\" = 'H'",
        "select max(value_value) from Observation where interpretation_code = 'H'",
        "select sum(interpretation_code = 'H') abnormal, count(*) n from Observation",
        "with a as (select * from Observation) select id from a where INTERPRETATION_CODE = 'H'",
    ] {
        assert_eq!(told(sql), nothing, "{sql}");
    }
    assert_eq!(
        told("select id from Observation where issued > '2020' or interpretation_code = 'H'"),
        "issued, interpretation_code hold nothing in any of the 5 rows of Observation."
    );
    for quiet in [
        "select id from Observation where status = 'cancelled'",
        "select * from Observation where status = 'cancelled'",
        "select id, interpretation_code from Observation",
        "select count(*) from Observation where interpretation_code is null",
        "select id from Observation where code_text = 'interpretation_code'",
    ] {
        assert_eq!(told(quiet), "", "{quiet}");
    }
}

#[test]
fn of_a_star_nothing_is_said_that_it_leaves_out() {
    let many = json!({"resourceType": "Observation", "id": "a", "category": [{"text": "a"}, {"text": "b"}],
        "meta": {"compartment": [{"reference": "Patient/1"}, {"reference": "Patient/2"}]}});
    let told = notes("Observation", vec![many.clone()], "select * from Observation");
    assert!(told.contains("category_text in 1") && !told.contains("compartment"), "{told}");
    let told = notes("Observation", vec![many], "select meta_compartment from Observation");
    assert!(told.contains("meta_compartment in 1"), "{told}");
}
