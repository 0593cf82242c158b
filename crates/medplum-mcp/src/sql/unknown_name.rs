//! A column or a table that does not exist: what there is in its place.

use fhir_definitions::{Definitions, nearest};

use super::columns::snake;
use super::question::{Table, is_shown};
use super::statement::{Tokens, text_of};
use crate::failure::nearest_types;

/// How many columns are named in place of one.
const MOST: usize = 3;

/// Columns by the words that others have for them.
const OTHER_WORDS: &[(&str, &[&str])] = &[
    ("subject", &["patient"]),
    ("patient", &["subject"]),
    ("patient_id", &["patient", "subject"]),
    ("subject_id", &["subject", "patient"]),
    ("patient_reference", &["patient", "subject"]),
    ("subject_reference", &["subject", "patient"]),
    ("encounter_id", &["encounter"]),
    ("encounter_reference", &["encounter"]),
    ("first_name", &["name_given"]),
    ("given_name", &["name_given"]),
    ("last_name", &["name_family"]),
    ("family_name", &["name_family"]),
    ("surname", &["name_family"]),
    ("dob", &["birth_date"]),
    ("date_of_birth", &["birth_date"]),
    ("birthday", &["birth_date"]),
    ("sex", &["gender"]),
    ("mrn", &["identifier_value"]),
    ("phone", &["telecom_value"]),
    ("email", &["telecom_value"]),
    ("city", &["address_city"]),
    ("zip", &["address_postal_code"]),
    ("postal_code", &["address_postal_code"]),
    ("date", DATES),
    ("datetime", DATES),
    ("timestamp", DATES),
    ("start", &["period_start_utc"]),
    ("start_date", &["period_start_utc", "start_utc", "onset_utc"]),
    ("end", &["period_end_utc"]),
    ("end_date", &["period_end_utc", "end_utc", "abatement_utc"]),
    ("created_at", &["meta_last_updated_utc"]),
    ("updated_at", &["meta_last_updated_utc"]),
    ("last_updated", &["meta_last_updated_utc"]),
    ("display", &["code_text"]),
    ("description", &["code_text"]),
    ("loinc", &["code_code"]),
    ("snomed", &["code_code"]),
    ("icd10", &["code_code"]),
    ("unit", &["value_unit"]),
    ("result", &["value"]),
    ("drug", &["medication_text"]),
    ("medication_name", &["medication_text"]),
    ("vaccine", &["vaccine_code_text"]),
    ("resource", &["json"]),
];

const DATES: &[&str] = &[
    "effective_utc",
    "period_start_utc",
    "onset_utc",
    "performed_utc",
    "occurrence_utc",
    "authored_on_utc",
    "start_utc",
    "issued_utc",
    "recorded_date_utc",
    "date_utc",
];

/// What is there in place of a column: `o.statuss`, or `"final" - should this be a string literal in single-quotes?`
pub(super) fn column(given: &str, tables: &[Table], sql: &str) -> String {
    let (given, in_quotes) = match given.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((inside, _)) => (inside, true),
        None => (given, false),
    };
    let (alias, name) = given.rsplit_once('.').map_or((None, given), |(alias, name)| (Some(alias), name));
    let meant = alias.and_then(|alias| behind(alias, tables, sql));
    let tables: Vec<&Table> = tables.iter().filter(|table| meant.is_none_or(|meant| is(table, meant))).collect();
    let near = near(name, &tables);
    let mut text = format!("No column {given}.");
    if in_quotes {
        text.push_str(&format!(" If it is a text, it goes in single quotes: '{given}'."));
    }
    if !near.is_empty() {
        text.push_str(&format!(" Nearest: {}.", near.join(", ")));
    }
    let (empty, filled): (Vec<&Table>, Vec<&Table>) = tables.iter().partition(|table| table.filled.rows == 0);
    for table in &filled {
        text.push_str(&format!("\n{}: {}", table.layout.table, listed(table).join(", ")));
    }
    if !filled.is_empty() {
        text.push_str("\nThose hold something; what has no column is in json: json_extract(json,'$.note[0].text').");
    }
    for table in empty {
        text.push_str(&format!("\n{} (no rows): {}", table.layout.table, listed(table).join(", ")));
    }
    text
}

/// The columns that hold something; of an empty table those of its own elements.
fn listed(table: &Table) -> Vec<&str> {
    if table.filled.rows > 0 {
        return table.held().collect();
    }
    let own = table.layout.own_columns();
    let names = table.layout.names.iter().enumerate().filter(|(at, name)| own.contains(at) && is_shown(name));
    let is_detail = |name: &str| ["_system", "_display", "_comparator"].iter().any(|end| name.ends_with(end));
    names.map(|(_, name)| name.as_str()).filter(|name| !is_detail(name)).collect()
}

/// What holds something comes first: to name a column that is empty leads to an empty answer.
fn near<'t>(name: &str, tables: &[&'t Table]) -> Vec<&'t str> {
    let name = snake(name);
    let all = || tables.iter().flat_map(|table| table.layout.names.iter().map(String::as_str));
    let held: Vec<&str> = tables.iter().flat_map(|table| listed(table)).filter(|name| is_shown(name)).collect();
    let by_other_words = OTHER_WORDS.iter().filter(|(word, _)| *word == name).flat_map(|(_, columns)| columns.iter());
    let by_other_words = by_other_words.filter_map(|column| held.iter().find(|held| *held == column));
    let inside = held.iter().filter(|held| held.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('_')));
    let alike = nearest(&name, held.iter().copied());
    let mut near: Vec<&str> = Vec::new();
    for column in by_other_words.chain(inside).copied().chain(alike) {
        if !near.contains(&column) && near.len() < MOST {
            near.push(column);
        }
    }
    if near.is_empty() { nearest(&name, all()) } else { near }
}

/// The table for which an alias stands: `FROM Immunization AS i`.
fn behind<'t>(alias: &str, tables: &'t [Table], sql: &str) -> Option<&'t str> {
    let names = || tables.iter().map(|table| table.layout.table.as_str());
    if let Some(name) = names().find(|name| name.eq_ignore_ascii_case(alias)) {
        return Some(name);
    }
    let tokens: Vec<&str> = Tokens::of(sql).map(text_of).filter(|token| !token.eq_ignore_ascii_case("AS")).collect();
    let mut meant = tokens.windows(2).filter_map(|pair| match pair {
        [table, its] if its.eq_ignore_ascii_case(alias) => {
            let table = table.trim_matches('"');
            names().find(|name| name.eq_ignore_ascii_case(table))
        }
        _ => None,
    });
    let first = meant.next()?;
    meant.all(|other| other == first).then_some(first)
}

fn is(table: &Table, name: &str) -> bool {
    table.layout.table == name
}

/// What is there in place of a table, and how another is brought.
pub(super) fn table(given: &str, tables: &[Table]) -> String {
    let names: Vec<&str> = tables.iter().map(|table| table.layout.table.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| Definitions::get().resource_type(name).is_none()) {
        return format!("{unknown} is no resource type that is known here.{}", nearest_types(unknown));
    }
    let names = names.join(", ");
    let types = Definitions::get().resource_types();
    let found = types.map(|info| info.name).find(|name| name.eq_ignore_ascii_case(given));
    match found {
        Some(name) => format!("No table {given}. Tables: {names}. also brings it: {{\"resource_type\":\"{name}\"}}"),
        None => format!(
            "No table {given}. Tables: {names}; they are named like the types, and also brings more.{}",
            nearest_types(given)
        ),
    }
}
