//! `SELECT *`, without what would fill the answer for nothing.

use super::question::Table;
use super::sandboxed::Rows;

/// Leaves out of the columns of a `*` those that hold nothing and those that hold the others again as JSON, and says so.
pub(super) fn thin(rows: &mut Rows, tables: &[Table]) -> Option<String> {
    let starred: Vec<&Table> = tables.iter().filter(|table| is_whole(table, &rows.columns)).collect();
    if starred.is_empty() {
        return None;
    }
    let held: Vec<&str> = starred.iter().flat_map(|table| table.held()).collect();
    let is_json = |name: &str| name == "json" || name.ends_with("_json");
    let own = |name: &str| starred.iter().any(|table| table.layout.names.iter().any(|own| own == name));
    let keep: Vec<bool> =
        rows.columns.iter().map(|name| !own(name) || held.contains(&name.as_str()) && !is_json(name)).collect();
    let left = keep.iter().filter(|keep| !**keep).count();
    retain(&mut rows.columns, &keep);
    rows.rows.iter_mut().for_each(|row| retain(row, &keep));
    (left > 0).then(|| {
        format!("* leaves out {left} columns: those that hold nothing, meta, json and …_json. By name they are there.")
    })
}

/// Whether all columns of a table are among these.
fn is_whole(table: &Table, columns: &[String]) -> bool {
    table.layout.names.iter().all(|name| columns.contains(name))
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().copied().unwrap_or(true));
}
