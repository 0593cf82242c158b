//! What an agent is told of a statement that does not do what was meant.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::question::{Outcome, Question, plan};
use super::tests::{ONE_AT_A_TIME, ask, some_observations, table};
use super::watch::Watch;

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
        let told = planned(sql).expect_err(sql);
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

#[test]
fn what_cannot_be_done_with_a_date_is_refused_with_what_can() {
    for (sql, says) in [
        ("select id from Observation where effective_utc > CURRENT_DATE - 365", "CURRENT_DATE is a text"),
        ("select id from Observation where effective_utc > date('now') - 365", "a year ago is date('now','-1 year')"),
        ("select id from Observation where effective_utc > CURRENT_TIMESTAMP - 365", "CURRENT_TIMESTAMP is a text"),
        ("select avg(period_end - period_start) from Encounter", "julianday(a) - julianday(b)"),
        (
            "select avg(e.period_end_utc - e.period_start_utc) m from Encounter e group by e.status having m > 1",
            "_utc is",
        ),
        ("select id from Patient where CURRENT_DATE - birth_date > 65", "birth_date <= date('now','-65 years')"),
        ("select (strftime('%Y-%m-%d', 'now') - birth_date) / 365 from Patient", "is a text"),
        ("select max(effective_utc) - min(effective_utc) from Observation group by subject", "effective_utc is a text"),
        ("select julianday('now') - birth_date from Patient", "birth_date is a text"),
        ("with d as (select effective_utc at from Observation) select at + 30 from d", "effective_utc is a text"),
        (
            "select p.id from Patient p join Observation o on o.subject = 'Patient/' || p.id where o.effective_utc - p.birth_date > 65",
            "is a text, and arithmetic takes its year alone",
        ),
        ("select id from Observation where effective_utc >= 2025-11-25", "2025-11-25 without quotes is a subtraction"),
        ("select id from Observation where effective_utc >= 20251125", "20251125 is a number"),
        ("select id from Observation where effective_utc between 1700000000 and 1800000000", "is a number"),
        (
            "select id from Observation where effective_utc >= '11/25/2025'",
            "'11/25/2025' is no date as effective_utc holds",
        ),
        ("select id from Observation where effective_utc >= '2025/11/25'", "write 'YYYY-MM-DD'"),
        ("select id from Observation where '20251125' < effective_utc", "is no date"),
        ("select id from Patient where birth_date in ('1.2.1950', '2.2.1950', '3.2.1950')", "'1.2.1950' is no date"),
        ("select id from Patient where birth_date < '1-Jan-1950'", "is no date"),
        ("select subject from Observation group by 1 having max(effective_utc) < '25-11-2025'", "is no date"),
        ("select id from Observation where effective_utc > 'now'", "today is date('now')"),
        ("select id from Observation where effective_utc > date('now','1 year ago')", "'1 year ago' moves no date"),
        ("select id from Observation where effective_utc > datetime('now', '-1 yr')", "'-1 yr' moves no date"),
        ("select date(effective_utc, 'start of quarter') from Observation", "'start of quarter' moves no date"),
        ("select julianday('11/25/2025') - julianday(effective_utc) from Observation", "'11/25/2025' is no date"),
        ("select strftime('%B %Y', effective_utc) from Observation", "'%B %Y' holds what strftime does not know"),
        ("select strftime(effective_utc, '%Y') from Observation", "the form comes first"),
    ] {
        let told = planned(sql).expect_err(sql);
        assert!(told.contains(says) && told.contains("Nothing was fetched"), "{sql}: {told}");
    }
}

#[test]
fn of_what_is_done_rightly_with_a_date_nothing_is_said() {
    nothing_is_said(&[
        "select id from Observation where effective_utc > date('now','-1 year')",
        "select id from Observation where effective_utc > datetime('now', '-1 year', '+1 day')",
        "select id from Observation where effective_utc >= '2025-11-25'",
        "select id from Observation where effective_utc >= '2025-11'",
        "select id from Observation where effective_utc >= '2025'",
        "select id from Observation where effective_utc >= 2025",
        "select id from Observation where effective_utc >= '2025-11-25T10:00:00'",
        "select id from Observation where effective_utc >= '2025-11-25T10:00'",
        "select id from Observation where effective_utc >= '2025-11-25 10:00:00.5'",
        "select id from Observation where effective >= '2025-11-25T10:00:00+02:00'",
        "select id from Observation where effective = '2025-11-25T10:00:00.000Z'",
        "select id from Observation where effective >= '2025-11-25T10:00Z'",
        "select id from Observation where effective_utc < '2025-11-31'",
        "select id from Observation where effective_utc < '2025-11~'",
        "select id from Observation where effective_utc between '2024-01-01' and '2024-12-31'",
        "select id from Observation where effective_utc <> ''",
        "select id from Observation where effective_utc > 0",
        "select id from Observation where effective_utc like '2025-11%' or effective_utc glob '2025*'",
        "select id from Observation where date(effective_utc) = date('now')",
        "select id from Observation where date(effective_utc) in ('2025-11-25', '2025-11-26', '2025-11-27')",
        "select id from Observation where effective_utc in ('2025-11-25', '2025-11-26', '2025-11-27')",
        "select id from Observation where julianday('now') - julianday(effective_utc) < 365",
        "select id from Observation where julianday(effective_utc) > julianday('now') - 365",
        "select id from Observation where unixepoch(effective_utc) > unixepoch('now') - 86400",
        "select id from Observation where unixepoch(effective_utc) > 1700000000",
        "select id from Observation where effective_utc > date('now', '-' || 365 || ' days')",
        "select id from Observation where effective_utc > date(1700000000, 'unixepoch')",
        "select id from Observation where effective_utc > date('now', 'start of month', '-1 month')",
        "select id from Observation where effective_utc > date('now', 'weekday 0', '-7 days')",
        "select id from Patient where birth_date <= date('now','-65 years')",
        "select id from Patient where birth_date < 1950 and birth_date > strftime('%Y', 'now') - 90",
        "select id from Patient where birth_date < 2025 - 65",
    ]);
}

#[test]
fn of_what_is_worked_out_rightly_from_a_date_nothing_is_said() {
    nothing_is_said(&[
        "select (julianday('now') - julianday(birth_date)) / 365.25 age from Patient where age > 65",
        "select cast(strftime('%Y', 'now') as integer) - cast(substr(birth_date, 1, 4) as integer) age from Patient",
        "select strftime('%Y', 'now') - strftime('%Y', birth_date) - (strftime('%m-%d', 'now') < strftime('%m-%d', birth_date)) age from Patient",
        "select (strftime('%Y%m%d', 'now') - strftime('%Y%m%d', birth_date)) / 10000 age from Patient",
        "select strftime('%Y.%m%d', 'now') - strftime('%Y.%m%d', birth_date) age from Patient",
        "select cast(substr(timediff('now', birth_date), 2, 4) as integer) age from Patient",
        "select (julianday(period_end_utc) - julianday(period_start_utc)) * 24 * 60 minutes from Encounter",
        "select round((unixepoch(period_end) - unixepoch(period_start)) / 60.0) minutes from Encounter",
        "select strftime('%Y-%m', effective_utc) month, count(*) from Observation group by 1 order by 1",
        "select strftime('%Y-W%W', effective_utc) week, avg(value_value) from Observation group by 1",
        "select strftime('%H:%M', effective_utc) from Observation where strftime('%w', effective_utc) in ('0', '6')",
        "select date(effective_utc, 'start of month') from Observation",
        "select max(effective_utc), min(effective_utc), julianday(max(effective_utc)) - julianday(min(effective_utc)) from Observation",
        "select subject from Observation group by 1 having max(effective_utc) < date('now', '-1 year')",
        "select id, value_value - lag(value_value) over (partition by code_code order by effective_utc) from Observation",
        "select id, avg(value_value) over (order by effective_utc rows between 2 preceding and current row) from Observation",
        "select id, avg(value_value) over (order by julianday(effective_utc) range between 30 preceding and current row) from Observation",
        "select a.id from Observation a join Observation b on a.subject = b.subject and a.effective_utc < b.effective_utc",
        "select p.id, o.effective_utc from Patient p left join Observation o on o.subject = 'Patient/' || p.id and o.effective_utc >= date('now', '-1 year') where o.id is null",
        "select coalesce(period_end_utc, datetime('now')) from Encounter where coalesce(period_end_utc, '9999') > '2025'",
        "select case when birth_date < '1960-01-01' then 'old' else 'young' end, count(*) from Patient group by 1",
        "select value_value - 1, value_value * 2 from Observation where value_value / 3 > 2",
        "select value from Observation where value > '11/25/2025' or code_text = '11/25/2025'",
        "with recursive m(d) as (select '2025-01-01' union all select date(d, '+1 month') from m where d < '2025-12-01') select d from m",
        "select 2025 - 11, 120 - 80 - 20 from Observation",
    ]);
}

fn nothing_is_said(statements: &[&str]) {
    for sql in statements {
        assert_eq!(planned(sql), Ok(()), "{sql}");
    }
}

#[test]
fn a_reference_that_is_compared_with_an_id_alone_is_refused() {
    for (sql, says) in [
        ("select 1 from Condition c join Patient p on c.subject = p.id", "subject = 'Patient/' || Patient.id"),
        (
            "select 1 from Patient p left join Condition c on p.id = c.subject where c.id is null",
            "subject holds Type/<id>",
        ),
        ("select id from Patient where id not in (select subject from Condition)", "subject holds Type/<id>"),
        ("select id from Condition where subject in (select id from Patient)", "subject holds Type/<id>"),
        ("select id from Immunization where patient = '5a4d0b0c-0000'", "patient = 'Patient/5a4d0b0c-0000'"),
        ("select id from Observation where subject in ('a', 'b', 'c')", "subject = 'Patient/a'"),
        (
            "select 1 from Observation o join Encounter e on o.encounter = e.id",
            "encounter = 'Encounter/' || Encounter.id",
        ),
    ] {
        let told = planned(sql).expect_err(sql);
        assert!(told.contains(says) && told.contains("Nothing was fetched"), "{sql}: {told}");
    }
    for sql in [
        "select 1 from Condition c join Patient p on c.subject = 'Patient/' || p.id",
        "select 1 from Condition c join Patient p on substr(c.subject, 9) = p.id",
        "select 1 from Condition c join Patient p on replace(c.subject, 'Patient/', '') = p.id",
        "select id from Condition where subject = 'Patient/a' and id = 'a' and subject <> ''",
        "select id from Condition where subject in ('Patient/a', 'Patient/b', 'Patient/c')",
        "select a.id from Observation a join Observation b on a.subject = b.subject and a.id < b.id",
        "select id from Patient where 'Patient/' || id not in (select subject from Condition where subject is not null)",
        "select id from Condition where subject_display = 'Maria' or subject like '%a'",
    ] {
        assert_eq!(planned(sql), Ok(()), "{sql}");
    }
}

/// What is said of codes once the rows are there.
#[track_caller]
fn of_codes(of: &str, resources: Vec<Value>, sql: &str) -> String {
    let off_the_list = {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        plan(&[of.to_owned()], sql, &Watch::default()).unwrap().off_the_list
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let question = Question { tables: vec![table(of, resources)], sql: Some(sql.to_owned()), off_the_list };
    let notes = question.ask(&Watch::default()).unwrap().notes;
    notes.into_iter().filter(|note| note.starts_with("No row")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_text_that_is_no_code_is_told_with_the_codes() {
    let encounter = |status: &str| json!({"resourceType": "Encounter", "id": status, "status": status});
    let condition = json!({"resourceType": "Condition", "id": "a", "clinicalStatus": {"coding": [{"code": "active"}]}});
    assert_eq!(
        of_codes("Patient", patients(), "select count(*) from Patient where gender = 'F'"),
        "No row of Patient has the gender 'F': its codes are male | female | other | unknown."
    );
    let told =
        of_codes("Encounter", vec![encounter("finished")], "select id from Encounter e where e.status = 'completed'");
    assert!(
        told.starts_with("No row of Encounter has the status 'completed': its codes are planned | arrived"),
        "{told}"
    );
    let told = of_codes(
        "Condition",
        vec![condition.clone()],
        "select id from Condition where 'Active' = clinical_status_code",
    );
    assert!(told.contains("clinical_status_code 'Active': its codes are active | recurrence"), "{told}");
    let told = of_codes("Patient", patients(), "select sum(gender in ('F', 'f', 'w')) from Patient");
    assert!(told.contains("gender 'F'"), "{told}");
    // Quoted as SQL has it, and not cut off by it.
    let told = of_codes("Patient", patients(), "select id from Patient where gender = 'it''s'");
    assert!(told.contains("gender 'it's'"), "{told}");
    for (of, resources, quiet) in [
        ("Patient", patients(), "select id from Patient where gender = 'male' or gender = 'm'"),
        ("Patient", patients(), "select id from Patient where gender in ('male', 'M', 'm') or gender = ''"),
        ("Patient", patients(), "select id from Patient where name_family = 'F' or lower(gender) = 'MALE'"),
        ("Patient", Vec::new(), "select id from Patient where gender = 'F'"),
        ("Encounter", vec![encounter("completed")], "select id from Encounter where status = 'completed'"),
        ("Condition", vec![condition], "select id from Condition where code_code = 'E11' or severity_code = 'bad'"),
    ] {
        assert_eq!(of_codes(of, resources, quiet), "", "{quiet}");
    }
}
