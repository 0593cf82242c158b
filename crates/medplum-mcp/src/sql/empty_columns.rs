//! Columns that hold nothing at all: a comparison with them holds for no row, which is not the same as that none fits.

use serde_json::Value;

use super::question::Table;
use super::sandboxed::{Rows, Seen};
use super::statement::Named;

/// How many are named.
const MOST: usize = 5;

/// `interpretation_code holds nothing in any of the 52 rows of Observation.`, where the result says that there is nothing.
pub(super) fn told(rows: &Rows, tables: &[Table], seen: &Seen, named: &Named) -> Vec<String> {
    tables.iter().filter_map(|table| of_table(rows, table, seen, named)).collect()
}

fn of_table(rows: &Rows, table: &Table, seen: &Seen, named: &Named) -> Option<String> {
    let of = &table.layout.table;
    let columns = table.layout.names.iter().zip(&table.filled.holds);
    let empty = columns.filter(|(name, holds)| !**holds && named.has(name) && seen.reads(of, name));
    let empty: Vec<&str> = empty.map(|(name, _)| name.as_str()).collect();
    if empty.is_empty() || table.filled.rows == 0 || !says_nothing(rows, &empty) {
        return None;
    }
    let hold = if empty.len() == 1 { "holds" } else { "hold" };
    let names: Vec<&str> = empty.iter().take(MOST).copied().collect();
    let more = if empty.len() > MOST { ", …" } else { "" };
    let rows = match table.filled.rows {
        1 => "the 1 row".to_owned(),
        rows => format!("any of the {rows} rows"),
    };
    Some(format!("{}{more} {hold} nothing in {rows} of {of}.", names.join(", ")))
}

/// Whether there is no row, or a column of the result is null or 0 throughout; one that is an empty column itself shows it.
fn says_nothing(rows: &Rows, empty: &[&str]) -> bool {
    let is_nothing = |cell: Option<&Value>| cell.is_none_or(|cell| cell.is_null() || cell.as_f64() == Some(0.0));
    let mut columns = rows.columns.iter().enumerate();
    rows.rows.is_empty()
        || columns
            .any(|(at, name)| !empty.contains(&name.as_str()) && rows.rows.iter().all(|row| is_nothing(row.get(at))))
}
