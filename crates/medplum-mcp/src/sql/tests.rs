//! Statements over made-up resources, without a server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::columns::Layout;
use super::question::{Outcome, Question, plan};
use super::sandboxed::Rows;
use super::table::Fetched;
use super::watch::Watch;
use crate::page::Entry;

pub(super) fn table(of: &str, resources: Vec<Value>) -> Fetched {
    Fetched { layout: Layout::of(of), resources: Entry::all_of(&resources), complete: true }
}

/// One at a time, as `on_sqlite` does it: what SQLite may hold is counted for the whole process.
pub(super) static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(super) fn ask(tables: Vec<Fetched>, sql: &str, watch: &Watch) -> Result<Outcome, String> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    Question { tables, sql: Some(sql.to_owned()), off_the_list: Vec::new() }
        .ask(watch)
        .map_err(|failure| format!("{failure:?}"))
}

#[track_caller]
fn rows(tables: Vec<Fetched>, sql: &str) -> Vec<Vec<Value>> {
    ask(tables, sql, &Watch::default()).unwrap().rows.rows
}

/// A clock on which a second goes by at every look.
fn hurried() -> Watch {
    let (start, looks) = (Instant::now(), AtomicU64::new(0));
    let now = move || start + Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed));
    Watch { now: Arc::new(now), ..Watch::default() }
}

pub(super) fn some_observations() -> Vec<Value> {
    let concept = json!({"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]});
    vec![
        json!({"resourceType": "Observation", "id": "a", "status": "final", "code": concept,
            "subject": {"reference": "Patient/1", "display": "A"}, "effectiveDateTime": "2024-01-15T08:30:00+02:00",
            "valueQuantity": {"value": 72, "unit": "/min", "code": "/min"},
            "component": [{"code": concept, "valueQuantity": {"value": 1.5}}, {"code": concept}],
            "referenceRange": [{"low": {"value": 50}, "high": {"value": 100}}]}),
        json!({"resourceType": "Observation", "id": "b", "status": "final", "code": {"text": "Mood"},
            "effectivePeriod": {"start": "2024-01-15", "end": "2024-01-17"}, "valueString": "good",
            "category": [{"coding": [{"code": "survey"}]}, {"text": "other"}]}),
        json!({"resourceType": "Observation", "id": "c", "status": "final", "code": {"text": "Smoker"},
            "effectiveInstant": "2024-01-14T23:00:00.250Z", "valueBoolean": true}),
        json!({"resourceType": "Observation", "id": "d", "status": "final", "code": {"text": "Count"},
            "valueInteger": 3}),
        json!({"resourceType": "Observation", "id": "e", "status": "final", "code": {"text": "Colour"},
            "valueCodeableConcept": {"coding": [{"system": "s", "code": "red", "display": "Red"}]}}),
        json!({"resourceType": "Observation", "id": "a", "status": "a second time"}),
    ]
}

#[test]
fn what_is_in_the_columns() {
    let sql = "select id, code_code, code_text, subject, subject_display, effective, effective_utc, effective_end,
        value, value_value, value_unit, value_text, value_code, category_code, category_json, component_value_value,
        reference_range_low_value, json_array_length(component_json) components from Observation";
    let rows = rows(vec![table("Observation", some_observations())], sql);
    insta::assert_snapshot!(rows.iter().map(|row| json!(row).to_string()).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_column_is_compared_as_what_it_holds() {
    let patient = |id: &str, born: &str, number: &str, active: bool| json!({"resourceType": "Patient", "id": id, "birthDate": born, "active": active, "identifier": [{"value": number}]});
    let patients = || vec![patient("a", "1949-12-31", "0042", true), patient("b", "1950-01-01", "42", false)];
    let of = |sql: &str| rows(vec![table("Patient", patients()), table("Observation", some_observations())], sql);
    for (sql, expected) in [
        ("select id from Patient where birth_date < 1950", json!([["a"]])),
        ("select id from Patient where birth_date < '1950'", json!([["a"]])),
        ("select id from Patient where identifier_value = 42", json!([["b"]])),
        ("select id from Patient where active", json!([["a"]])),
        ("select id from Patient where active = false", json!([["b"]])),
        ("select id from Patient where active = '1'", json!([["a"]])),
        ("select id from Observation where value_value > '7'", json!([["a"]])),
        ("select id from Observation where value_value in ('3', '4')", json!([["d"]])),
        // 72 and 3 were recorded as whole numbers.
        ("select value_value / 5 from Observation where value_value is not null", json!([[14.4], [0.6]])),
        ("select sum(value_value) / count(value_value) from Observation", json!([[37.5]])),
        ("select value_value, value from Observation where value_value > 70", json!([[72, 72]])),
    ] {
        assert_eq!(json!(of(sql)), expected, "{sql}");
    }
}

#[test]
fn a_comparison_that_can_never_hold_is_refused_before_anything_is_fetched() {
    let types = ["Observation".to_owned(), "Patient".to_owned()];
    let told = |sql: &str| {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        plan(&types, sql, &Watch::default()).map_err(|failure| format!("{failure:?}"))
    };
    for (sql, says) in [
        ("select id from Patient where active = 'true'", "active = true, without quotes"),
        ("select p.id from Patient p where p.active IS NOT 'False'", "active = false, without quotes"),
        ("select id from Patient where \"deceased\" in ('true')", "deceased = true, without quotes"),
        ("select id from Observation where value > '7'", "value_value 7 for numbers"),
    ] {
        let told = told(sql).unwrap_err();
        assert!(told.contains(says) && told.contains("Nothing was fetched"), "{sql}: {told}");
    }
    for sql in [
        "select case when active then 'true' else 'false' end from Patient",
        "select id from Patient where active = true and gender = 'male'",
        "select id from Patient where deceased > '2020'",
        "select id from Observation where value = 'good' or value > 7 or value_value > '7'",
        "select c.value from Observation o, json_each(o.json, '$.code.coding') c where c.value = '7'",
        "with v as (select value_value as value from Observation) select * from v where value > '7'",
    ] {
        assert!(told(sql).is_ok(), "{sql}");
    }
}

/// A measurement with its code.
fn measured(id: usize, code: &str, quantity: Value) -> Value {
    json!({"resourceType": "Observation", "id": id.to_string(), "code": {"coding": [{"code": code}], "text": code},
        "valueQuantity": quantity})
}

#[test]
fn what_must_be_known_of_numbers_is_said() {
    let notes = |resources: &[Value], sql: &str| {
        let outcome = ask(vec![table("Observation", resources.to_vec())], sql, &Watch::default()).unwrap();
        outcome.notes.join("\n")
    };
    let mixed = [
        measured(1, "hb", json!({"value": 13.5, "unit": "g/dL"})),
        measured(2, "hb", json!({"value": 135, "unit": "g/L"})),
        measured(3, "weight", json!({"value": 80, "unit": "kg"})),
        measured(4, "weight", json!({"comparator": "<", "value": 90, "unit": "kg"})),
        json!({"resourceType": "Observation", "id": "5", "valueString": "not done"}),
    ];
    insta::assert_snapshot!(notes(&mixed, "select avg(value_value) from Observation"), @r"
    value_value is a bound, less or more than it says, in 1 of the rows fetched: value_comparator.
    value_value is in 3 units: group by value_unit, or filter by it.
    ");
    insta::assert_snapshot!(notes(&mixed, "select code_code, max(value_value), max(value_comparator) from Observation group by 1"), @"value_value is in 2 units for the same code_code: group by value_unit too, or filter by it.");
    insta::assert_snapshot!(notes(&mixed, "select max(value) from Observation"), @"value is a number in 4 rows and a text in 1: numbers alone are in value_value, texts in value_text.");
    for quiet in [
        "select count(*) from Observation",
        "select value_unit, avg(value_value), max(value_comparator) from Observation group by 1",
        "select code_text from Observation where value_unit = 'kg'",
    ] {
        assert_eq!(notes(&mixed, quiet), "", "{quiet}");
    }
    // One code, one unit.
    assert_eq!(notes(&mixed[..1], "select avg(value_value), max(value) from Observation"), "");
}

#[test]
fn a_star_brings_what_holds_something() {
    let outcome =
        ask(vec![table("Observation", some_observations())], "select *, 1 one from Observation", &Watch::default());
    let Outcome { rows, notes, .. } = outcome.unwrap();
    assert!(rows.columns.len() < 50, "{:?}", rows.columns);
    for (column, there) in
        [("id", true), ("value_value", true), ("one", true), ("json", false), ("body_site_code", false)]
    {
        assert_eq!(rows.columns.iter().any(|known| known == column), there, "{column}");
    }
    assert!(rows.rows.iter().all(|row| row.len() == rows.columns.len()));
    assert!(notes.iter().any(|note| note.starts_with("* leaves out ")), "{notes:?}");
    let named = rows_of_columns("select id, body_site_code, json from Observation");
    assert_eq!(named, ["id", "body_site_code", "json"]);
}

fn rows_of_columns(sql: &str) -> Vec<String> {
    ask(vec![table("Observation", some_observations())], sql, &Watch::default()).unwrap().rows.columns
}

#[test]
fn the_functions_that_are_ours_do_as_sqlites() {
    let one = |sql: &str| rows(vec![table("Observation", Vec::new())], sql).remove(0).remove(0);
    for (sql, expected) in [
        ("select instr('größe', 'ß')", json!(4)),
        ("select instr('abc', 'x')", json!(0)),
        ("select instr(null, 'x')", json!(null)),
        ("select instr(12345, 34)", json!(3)),
        ("select replace('banana', 'an', 'x')", json!("bxxa")),
        ("select replace('banana', '', 'x')", json!("banana")),
        ("select replace(null, 'a', 'b')", json!(null)),
        ("select trim('  a ')", json!("a")),
        ("select ltrim('xxaxx', 'x')", json!("axx")),
        ("select rtrim('xxaxx', 'x')", json!("xxa")),
        ("select trim('xyayx', 'xy')", json!("a")),
        ("select median(column1) from (values (3), (1), (2))", json!(2)),
        ("select median(column1) from (values (3), (1), (2), (null), (10))", json!(2.5)),
        ("select median(column1) from (values (null))", json!(null)),
        ("select round(sqrt(2), 3)", json!(1.414)),
        ("select sqrt(-1)", json!(null)),
        ("select power(2, 10)", json!(1024)),
        ("select floor(1.7) || ceil(1.2)", json!("1.02.0")),
    ] {
        assert_eq!(one(sql), expected, "{sql}");
    }
}

#[test]
fn a_statement_without_an_end_is_ended() {
    for sql in [
        "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c",
        "with recursive c(n) as (values (1) union select n + 1 from c) select max(n) from c",
        "select count(*) from Observation a, Observation b, Observation c, Observation d, Observation e, Observation f,
         Observation g, Observation h, Observation i, Observation j, Observation k",
        "with recursive c(n) as (select 1 union all select n + 1 from c) select * from c order by n limit 1",
        "select 1 from json_tree((select json_group_array(json) from Observation)) a, json_tree(a.json) b, json_tree(b.json) c,
         json_tree(c.json) d, Observation e, Observation f, Observation g, Observation h where a.key = 'no'",
    ] {
        let many = (0..50).map(|n| json!({"resourceType": "Observation", "id": n.to_string(), "status": "final"}));
        let told = ask(vec![table("Observation", many.collect())], sql, &hurried()).unwrap_err();
        assert!(told.contains("was stopped"), "{sql}: {told}");
    }
}

#[test]
fn a_statement_that_cannot_be_planned_in_time_is_ended() {
    let mut sql = String::from("with c0 as (select 1 x)");
    for n in 1..24 {
        sql.push_str(&format!(", c{n} as (select a.x from c{0} a, c{0} b)", n - 1));
    }
    sql.push_str(" select count(*) from c23");
    let told = ask(vec![table("Observation", Vec::new())], &sql, &hurried()).unwrap_err();
    assert!(told.contains("was stopped") || told.contains("512 MB") || told.contains("SQLite"), "{told}");
}

#[test]
fn a_call_that_is_cancelled_ends_its_statement() {
    let watch = Watch::default();
    watch.cancelled.store(true, Ordering::Relaxed);
    let sql = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c";
    assert!(ask(vec![table("Observation", Vec::new())], sql, &watch).is_err());
}

#[test]
fn results_end_somewhere() {
    let endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select n from c";
    let Rows { rows, more, .. } = ask(vec![table("Observation", Vec::new())], endless, &Watch::default()).unwrap().rows;
    assert!(more);
    assert_eq!(rows.len(), super::sandboxed::MOST_ROWS);
    let wide = "with recursive c(n) as (select 1 union all select n + 1 from c) select printf('%500000s', n) from c";
    let Rows { rows, more, .. } = ask(vec![table("Observation", Vec::new())], wide, &Watch::default()).unwrap().rows;
    assert!(more);
    assert!(rows.len() <= 5);
}

/// What is said of a statement over observations and patients.
fn told(sql: &str) -> Result<(), String> {
    let types = ["Observation".to_owned(), "Patient".to_owned()];
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    plan(&types, sql, &Watch::default()).map(|_| ()).map_err(|failure| format!("{failure:?}"))
}

fn all_refused(cases: &[(&str, &str)]) {
    for (sql, says) in cases {
        let told = told(sql).unwrap_err();
        assert!(told.contains(says) && told.contains("Nothing was fetched"), "{sql}: {told}");
    }
}

#[test]
fn a_year_that_is_a_text_and_is_compared_with_a_number_is_refused() {
    all_refused(&[
        ("select id from Patient where substr(birth_date,1,4) < 1950", "CAST(substr(…) AS INTEGER)"),
        ("select id from Patient where 1950 >= substr(birth_date,1,4) and gender = 'female'", "'1950' is a text"),
        ("select id from Patient where strftime('%Y', birth_date) < 1950", "CAST(strftime(…) AS INTEGER)"),
        ("select id from Patient where strftime('%Y', birth_date) = 1950.5", "1950.5 a number"),
        ("select count(*) from Patient where strftime('%m', birth_date) between 1 and 3", "strftime(…) is a text and"),
        (
            "select id from Observation where strftime('%Y', effective_utc) in (2023, 2024, 2025)",
            "strftime(…) is a text and",
        ),
        ("select id from Observation where substr(effective_utc,1,4) not in (2023, 2024)", "substr(…) is a text and"),
        (
            "select case strftime('%Y', effective_utc) when 2024 then 'a' else 'b' end from Observation",
            "and 2024 a number",
        ),
        (
            "select substr(effective_utc,1,4) y, avg(value_value) from Observation group by y having y >= 2020",
            "and 2020 a number",
        ),
        ("select * from (select substr(effective_utc,1,4) y from Observation) where y > 2020", "and 2020 a number"),
        (
            "with y as (select substr(effective_utc,1,4) y, avg(value_value) a from Observation group by 1) select * from y where y > 2020",
            "and 2020 a number",
        ),
        (
            "with y as (select distinct substr(effective_utc,1,4) y from Observation order by 1 limit 9) select y from y where y > 2020",
            "and 2020 a number",
        ),
        ("select sum(substr(effective_utc,1,4) = 2024) from Observation", "and 2024 a number"),
    ]);
}

#[test]
fn a_text_that_is_compared_with_a_number_is_refused() {
    all_refused(&[
        (
            "select max(case when strftime('%H', effective_utc) < 12 then value_value end) from Observation",
            "and 12 a number",
        ),
        ("select id from Patient where length(name_family) > '5'", "'5' is a text and length(…) a number"),
        ("select code_code from Observation group by 1 having count(*) > '3'", "'3' is a text and count(*) a number"),
        (
            "select code_code, avg(value_value) a from Observation group by 1 having a > '7' order by a",
            "avg(…) a number",
        ),
        (
            "select id from Patient where julianday('now') - julianday(birth_date) > '3650'",
            "Without quotes, 3650 is a number",
        ),
        ("select id from Patient where lower(name_family) = 5", "lower(…) is a text"),
        ("select id from Patient where name_family || birth_date > 5", "… || … is a text"),
        (
            "select p.id from Patient p join Observation o on strftime('%Y', o.effective_utc) = length(p.id)",
            "is a text and length(…)",
        ),
        (
            "select id from Patient p where exists (select 1 from Observation o where substr(o.effective_utc, 1, 4) > 2020)",
            "and 2020 a number",
        ),
        ("select id from Observation where effective_utc > julianday('now') - 30", "compared as texts"),
        ("select id from Observation where unixepoch('now') >= effective_utc", "unixepoch(…) on both sides"),
        ("select id from Observation o where json_extract(json, '$.status') -> '$' = 5", "… -> … is a text"),
    ]);
}

#[test]
fn what_may_be_compared_is() {
    for sql in [
        "select id from Patient where substr(birth_date,1,4) < '1950'",
        "select id from Patient where cast(substr(birth_date,1,4) as integer) < 1950",
        "select id from Patient where birth_date < 1950 and birth_date > strftime('%Y', 'now') - 90",
        "select id from Patient where substr(birth_date,1,4) + 0 < 1950",
        "select id from Patient where strftime('%Y', birth_date) in ('1950', '1951', '1952')",
        "select id from Patient where cast(strftime('%Y', birth_date) as integer) in (1950, 1951, 1952)",
        "select id from Patient where substr(birth_date,1,4) between '1940' and '1950'",
        "select id from Observation where value_value > '7' and value_value > 7",
        "select id from Observation where substr(value_text, 1, 3) < value_value",
        "select id from Observation where value = 7 or json_extract(json,'$.x') = 7 or json ->> '$.x' > 7",
        "select id from Observation where coalesce(substr(value_text, 1, 2), 0) < 5",
        "select id from Observation where iif(value_value, 'a', 5) = 5",
        "select id from Observation where id = 5 and code_code = 1234 and status in (1, 2, 3)",
        "select strftime('%Y', effective_utc) y, count(*) n from Observation group by 1 having n > 3 order by n desc limit 5",
        "select c.value from Observation o, json_each(o.json, '$.code.coding') c where c.key = 0 and c.value > 7",
        "with recursive c(n) as (select 1 union all select n + 1 from c where n < 10) select n from c where n > 3",
        "select id, sum(value_value) over (order by julianday(effective_utc) range between 30 preceding and current row) from Observation",
        "select id, lag(value_value, 1) over (partition by code_code order by effective_utc) x from Observation",
        "select max(substr(effective_utc,1,4)) m from Observation having m > '2020'",
        "select upper(name_family) u, length(name_family) l from Patient where u = 'SMITH' and l > 3 and gender = 'male' order by l, u",
        "select id from Patient where lower(name_family) like 'sm%' and instr(name_family, 'x') > 0",
        "select a.id from Observation a left join Observation b on a.subject = b.subject and a.effective_utc < b.effective_utc where b.id is null",
        "select code_text, round(avg(value_value), 1) m from Observation where julianday(effective_utc) > julianday('now') - 30 group by 1 having m > 5",
        "select p.id from Patient p join Observation o on o.subject = 'Patient/' || p.id where o.value_value >= 8 order by o.effective_utc desc limit 3",
        "select distinct substr(effective_utc,1,4) from Observation union select 2024",
    ] {
        assert!(told(sql).is_ok(), "{sql}: {:?}", told(sql));
    }
}

/// An expression of any sort, over the columns of an Observation.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "id",
        "effective",
        "code_text",
        "value",
        "value_value",
        "value_text",
        "json ->> '$.valueString'",
        "5",
        "5.5",
        "-1",
        "'5'",
        "'x'",
        "null",
        "date('now')",
        "julianday('now')",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        let shape = prop::sample::select(vec![
            "substr(A, 1, 2)",
            "length(A)",
            "lower(A)",
            "coalesce(A, B)",
            "iif(A, B, C)",
            "(A || B)",
            "(A + B)",
            "(A - B)",
            "cast(A as integer)",
            "cast(A as text)",
            "max(A, B)",
            "case when A then B else C end",
            "(select A)",
            "(select max(x) from (select A x union all select B))",
            "(select x from (select A x) where B limit 1)",
            "abs(A)",
            "replace(A, B, C)",
            "strftime('%Y', A)",
            "(json -> '$.id')",
            "typeof(A)",
            "json_extract(json, '$.valueQuantity.value')",
        ]);
        (shape, inner.clone(), inner.clone(), inner).prop_map(|(shape, a, b, c)| {
            shape.replace('A', "\u{1}").replace('B', "\u{2}").replace('C', &c).replace('\u{1}', &a).replace('\u{2}', &b)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// No false alarm: what is refused has one result, whatever the rows hold.
    #[test]
    fn a_comparison_that_is_refused_says_the_same_of_every_row(
        a in expression(),
        b in expression(),
        shape in prop::sample::select(vec!["A < B", "A <= B", "A = B", "A <> B", "A > B", "A >= B", "A in (B, B)", "A in (B, B, B)", "case A when B then 1 else 0 end"]),
    ) {
        let compared = shape.replace('B', "\u{1}").replace('A', &a).replace('\u{1}', &b);
        let sql = format!("select ({compared}) from Observation");
        let mut resources = some_observations();
        resources.extend((2..9).map(|n| measured(n, &n.to_string(), json!({"value": n, "unit": "kg"}))));
        resources.push(json!({"resourceType": "Observation", "id": "99", "valueString": "7", "effectiveDateTime": "1999"}));
        let refused = {
            let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            plan(&["Observation".to_owned()], &sql, &Watch::default()).map_err(|failure| format!("{failure:?}"))
        };
        if let Err(told) = refused && told.contains("always the greater") {
            // Some expressions fail on some rows: 'x' is no JSON.
            let Ok(outcome) = ask(vec![table("Observation", resources)], &sql, &Watch::default()) else { return Ok(()) };
            let mut results: Vec<Value> = outcome.rows.rows.into_iter().flatten().filter(|result| !result.is_null()).collect();
            results.dedup();
            prop_assert!(results.len() <= 1, "{sql}: {told}: {results:?}");
        }
    }
}

#[test]
fn a_statement_is_looked_at_before_anything_is_fetched() {
    let types = ["Observation".to_owned(), "Group".to_owned()];
    let told = |sql: &str| {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        plan(&types, sql, &Watch::default()).map_err(|failure| format!("{failure:?}"))
    };
    assert_eq!(told("select max(value_value) from Observation").unwrap().of_many.as_deref(), Some("max"));
    assert!(told("select id from Observation").unwrap().of_many.is_none());
    assert!(told("select statuss from Observation").unwrap().wrong_column);
    for (sql, says) in [
        ("select id from Patient", "Tables: Observation, Group."),
        ("select * from Group", "goes in double quotes"),
        ("select id from Observation, \"Group\"", "Observation.id"),
        ("select medain(1)", "Nearest: median"),
        ("select load_extension('x')", "No function load_extension"),
        ("select 1 from", "SQLite: incomplete input"),
        ("with a as (select 1) delete from Observation", "can only be read"),
    ] {
        let told = told(sql).unwrap_err();
        assert!(told.contains(says), "{sql}: {told}");
    }
}

#[test]
fn a_wrong_column_is_told_with_those_that_hold_something() {
    let told = |sql| ask(vec![table("Observation", some_observations())], sql, &Watch::default()).unwrap_err();
    for sql in [
        "select statuss from Observation",
        "select o.statuss from Observation o",
        "select \"statuss\" from Observation",
    ] {
        let told = told(sql);
        assert!(told.contains("Nearest: status"), "{told}");
        assert!(told.contains("effective_utc") && !told.contains("body_site"), "{told}");
    }
    let told = told("select id from Observation where status = \"final\"");
    assert!(told.contains("single quotes: 'final'"), "{told}");
}

#[test]
fn nothing_of_the_record_is_in_a_message() {
    let secret = json!({"resourceType": "Observation", "id": "a", "code": {"text": "secret: 'diagnosis'"}});
    for sql in [
        "select json_extract(json, code_text) from Observation",
        "select json_extract(code_text, '$') from Observation",
        "select json(code_text) from Observation",
        "select json_object(code_text, cast('x' as blob)) from Observation",
        "select 1 from Observation where 'a' like 'b' escape code_text",
    ] {
        let told = ask(vec![table("Observation", vec![secret.clone()])], sql, &Watch::default()).unwrap_err();
        assert!(!told.contains("secret") && !told.contains("diagnosis"), "{sql}: {told}");
    }
}

/// A value that was recorded, in one of the forms that FHIR has for it.
fn observation() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        (-1_000_i64..1_000).prop_map(|n| json!({"valueQuantity": {"value": n as f64 / 8.0, "unit": "kg"}})),
        (-1_000_i64..1_000).prop_map(|n| json!({"valueInteger": n})),
        "[a-z ]{0,6}".prop_map(|text| json!({"valueString": text})),
        any::<bool>().prop_map(|flag| json!({"valueBoolean": flag})),
        Just(json!({})),
    ];
    let when = prop_oneof![
        (2000_u16..2030, 1_u8..13, 1_u8..29)
            .prop_map(|(y, m, d)| json!({"effectiveDateTime": format!("{y}-{m:02}-{d:02}")})),
        (2000_u16..2030, 1_u8..13, 1_u8..29, 0_u8..24, -11_i8..12).prop_map(|(y, m, d, h, zone)| {
            let sign = if zone < 0 { '-' } else { '+' };
            json!({"effectiveDateTime": format!("{y}-{m:02}-{d:02}T{h:02}:00:00{sign}{:02}:00", zone.unsigned_abs())})
        }),
        Just(json!({})),
    ];
    (value, when, prop_oneof!["[a-d]", Just("it's; \"quoted\"".to_owned())]).prop_map(|(value, when, code)| {
        let mut resource = json!({"resourceType": "Observation", "code": {"coding": [{"code": code}], "text": code}});
        for part in [value, when] {
            for (key, part) in part.as_object().unwrap() {
                resource[key] = part.clone();
            }
        }
        resource
    })
}

fn numbers(resource: &Value) -> Option<f64> {
    resource["valueQuantity"]["value"].as_f64().or(resource["valueInteger"].as_f64())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sql_over_the_table_equals_the_same_over_json(mut resources in prop::collection::vec(observation(), 0..40)) {
        for (n, resource) in resources.iter_mut().enumerate() {
            resource["id"] = json!(format!("o{n}"));
        }
        let sql = "select code_code, count(*), sum(value_value), min(value_value), max(value_value), min(effective_utc),
            max(effective_utc), count(value_text) from Observation group by code_code order by code_code";
        let found = rows(vec![table("Observation", resources.clone())], sql);
        let mut codes: Vec<&str> = resources.iter().map(|r| r["code"]["text"].as_str().unwrap()).collect();
        codes.sort_unstable();
        codes.dedup();
        prop_assert_eq!(found.len(), codes.len());
        for (code, row) in codes.into_iter().zip(found) {
            let of_code: Vec<&Value> = resources.iter().filter(|r| r["code"]["text"] == code).collect();
            let values: Vec<f64> = of_code.iter().filter_map(|r| numbers(r)).collect();
            let mut dates: Vec<String> =
                of_code.iter().filter_map(|r| super::time::utc(r["effectiveDateTime"].as_str()?)).collect();
            dates.sort();
            let texts = of_code.iter().filter(|r| r.get("valueString").is_some()).count();
            prop_assert_eq!(&row[0], code);
            prop_assert_eq!(&row[1], of_code.len());
            prop_assert_eq!(row[2].as_f64(), (!values.is_empty()).then(|| values.iter().sum()));
            prop_assert_eq!(row[3].as_f64(), values.iter().copied().reduce(f64::min));
            prop_assert_eq!(row[4].as_f64(), values.iter().copied().reduce(f64::max));
            prop_assert_eq!(row[5].as_str(), dates.first().map(String::as_str));
            prop_assert_eq!(row[6].as_str(), dates.last().map(String::as_str));
            prop_assert_eq!(&row[7], texts);
        }
        // A number is compared as a number and a date as a date, however the other side is written.
        for (condition, expected) in [
            ("value_value > '3'", resources.iter().filter(|r| numbers(r).is_some_and(|n| n > 3.0)).count()),
            ("effective_utc < 2015", resources.iter().filter(|r| r["effectiveDateTime"].as_str()
                .and_then(super::time::utc).is_some_and(|at| at.as_str() < "2015")).count()),
            ("value_value / 2 > 0.6", resources.iter().filter(|r| numbers(r).is_some_and(|n| n / 2.0 > 0.6)).count()),
        ] {
            let sql = format!("select count(*) from Observation where {condition}");
            prop_assert_eq!(&rows(vec![table("Observation", resources.clone())], &sql)[0][0], expected, "{}", sql);
        }
        // The whole resource is there, and what is in the columns is what SQLite finds in it.
        let back = rows(vec![table("Observation", resources.clone())], "select json from Observation");
        let back: Vec<Value> = back.iter().map(|row| serde_json::from_str(row[0].as_str().unwrap()).unwrap()).collect();
        prop_assert_eq!(back, resources.clone());
        let differ = "select count(*) from Observation where code_text is not json_extract(json, '$.code.text')
            or value_unit is not json_extract(json, '$.valueQuantity.unit')
            or effective is not json_extract(json, '$.effectiveDateTime')";
        prop_assert_eq!(&rows(vec![table("Observation", resources)], differ)[0][0], 0);
    }

    /// Whatever is written, the answer is rows or a refusal.
    #[test]
    fn no_statement_does_harm(sql in "(select|with|values|SELECT) [ -~]{0,60}") {
        let _ = super::statement::look(&sql);
        let _ = ask(vec![table("Observation", some_observations())], &sql, &hurried());
    }
}
