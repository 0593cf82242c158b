//! A statement and the tables that it is about: what it turns out to be before anything is fetched, and what comes of it.

use std::collections::HashMap;

use rusqlite::Connection;

use super::columns::Layout;
use super::compared;
use super::elements::{self, OffTheList};
use super::program::Program;
use super::sandboxed::{Closed, Rows, Seen, open};
use super::statement::Named;
use super::table::{Fetched, Filled, fill};
use super::trouble::Trouble;
use super::watch::Watch;
use super::{dates, empty_columns, misread, star};
use crate::failure::Failure;

/// What is asked of the tables.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) tables: Vec<Fetched>,
    /// None to see what the first of them looks like.
    pub(crate) sql: Option<String>,
    /// What its plan says that must be looked up among the rows.
    pub(crate) off_the_list: Vec<OffTheList>,
}

/// A table as it was filled.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) layout: Layout,
    pub(crate) filled: Filled,
    pub(crate) complete: bool,
}

impl Table {
    /// The columns that hold something, without the bookkeeping in `meta`.
    pub(crate) fn held(&self) -> impl Iterator<Item = &str> {
        let held = self.layout.names.iter().zip(&self.filled.holds).filter(|(_, holds)| **holds);
        let is_bookkeeping = |name: &str| name.starts_with("meta_") && !name.starts_with("meta_last_updated");
        held.map(|(name, _)| name.as_str()).filter(move |name| !is_bookkeeping(name))
    }

    /// No rows, and the columns that they would have.
    fn empty(&self) -> Rows {
        let columns = self.layout.names.iter().filter(|name| is_shown(name)).cloned().collect();
        Rows { columns, ..Rows::default() }
    }
}

impl Table {
    /// `name_family is the first of several in 3 of 233 rows. All of them: FROM Patient p, json_each(p.json,'$.name').`
    fn first_of_several(&self, seen: &Seen, is_looked_at: &dyn Fn(&String) -> bool) -> Option<String> {
        let table = &self.layout.table;
        let several = self.layout.names.iter().zip(&self.filled.first_of_several);
        let several =
            several.filter(|(name, several)| several.rows > 0 && seen.reads(table, name) && is_looked_at(name));
        let mut paths: Vec<&str> = Vec::new();
        let mut columns: Vec<String> = Vec::new();
        for (name, several) in several {
            columns.push(format!("{name} in {}", several.rows));
            if !paths.contains(&several.path.as_str()) {
                paths.push(&several.path);
            }
        }
        let alias = table.chars().next()?.to_ascii_lowercase();
        let each: Vec<String> = paths.iter().map(|path| format!("json_each({alias}.json,'$.{path}')")).collect();
        (!columns.is_empty()).then(|| {
            format!(
                "The first of several, of {} rows: {}. All of them: FROM {} {alias}, {}.",
                self.filled.rows,
                columns.join(", "),
                quoted_if_word(table),
                each.join(" or ")
            )
        })
    }
}

/// A table's name as it stands in a statement: `Group` is a word of SQL.
fn quoted_if_word(table: &str) -> String {
    if table == "Group" { format!("\"{table}\"") } else { table.to_owned() }
}

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tables: Vec<Table>,
    pub(crate) rows: Rows,
    /// What must be known of the columns that were read.
    pub(crate) notes: Vec<String>,
}

impl Question {
    /// Fills the tables and runs the statement.
    ///
    /// # Errors
    /// [`Failure`] with what is wrong with the statement, and what would work.
    pub(crate) fn ask(self, watch: &Watch) -> Result<Outcome, Failure> {
        let mut tables = Vec::new();
        let sql = self.sql.clone().unwrap_or_default();
        match self.rows(watch, &mut tables) {
            Ok((notes, rows)) => Ok(Outcome { tables, rows, notes }),
            Err(trouble) => Err(trouble.teach(&tables, &sql)),
        }
    }

    fn rows(self, watch: &Watch, tables: &mut Vec<Table>) -> Result<(Vec<String>, Rows), Trouble> {
        let connection = open().map_err(Trouble::running)?;
        for Fetched { layout, resources, complete } in self.tables {
            let filled = fill(&connection, &layout, resources, &|| watch.cancelled())?;
            tables.push(Table { layout, filled, complete });
        }
        let sql = match (self.sql, tables.first()) {
            (Some(sql), _) => sql,
            (None, Some(table)) if table.filled.rows == 0 => return Ok((Vec::new(), table.empty())),
            (None, Some(table)) => preview(table),
            (None, None) => return Ok((Vec::new(), Rows::default())),
        };
        let closed = Closed::new(connection, tables.iter().map(|table| &table.layout), watch)?;
        let (seen, mut rows) = closed.select(&sql)?;
        // The statement has had its time; what must be known of it has its own.
        closed.may_go_on(watch)?;
        let mut notes = misread::of_numbers(&closed, tables, &seen)?;
        for compared in &self.off_the_list {
            notes.extend(compared.told(&closed, tables)?);
        }
        notes.extend(star::thin(&mut rows, tables));
        let named = Named::in_statement(&sql);
        notes.extend(empty_columns::told(&rows, tables, &seen, &named));
        let is_looked_at = |name: &String| named.has(name) || rows.columns.contains(name);
        notes.extend(tables.iter().filter_map(|table| table.first_of_several(&seen, &is_looked_at)));
        Ok((notes, rows))
    }
}

/// What a statement turned out to be before anything is fetched.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The functions of many rows that it uses.
    pub(crate) of_many: Option<String>,
    /// What it would be told of its columns, once it is known which of them hold something.
    pub(crate) wrong_column: bool,
    /// What it compares with texts that are no codes.
    pub(crate) off_the_list: Vec<OffTheList>,
}

/// Prepares a statement over empty tables, so that a slip costs no search.
///
/// # Errors
/// [`Failure`] with what is wrong with it; a wrong column is not an error yet.
pub(crate) fn plan(types: &[String], sql: &str, watch: &Watch) -> Result<Plan, Failure> {
    let tables = types.iter().map(|of| Fetched { layout: Layout::of(of), resources: Vec::new(), complete: true });
    let mut filled = Vec::new();
    let prepared = open().map_err(Trouble::running).and_then(|connection| {
        for Fetched { layout, complete, .. } in tables {
            let empty = fill(&connection, &layout, Vec::new(), &|| false)?;
            filled.push(Table { layout, filled: empty, complete });
        }
        // A join is carried out by comparisons then, and not by an index: those are looked at.
        connection.pragma_update(None, "automatic_index", false).map_err(Trouble::running)?;
        let roots = roots(&connection, &filled).map_err(Trouble::running)?;
        let closed = Closed::new(connection, filled.iter().map(|table| &table.layout), watch)?;
        closed.prepare(sql)?;
        let seen = closed.seen();
        let steps = closed.program(sql)?;
        let program = Program::of(&steps, roots);
        let misread = match misread::never_holds(sql, &filled, &seen) {
            None => dates::told(&closed, &program, &filled, sql)?,
            why => why,
        };
        let misread = misread.or_else(|| elements::told(&program, &filled)).or_else(|| compared::told(&program));
        match misread {
            Some(why) => Err(Trouble::Misread(why)),
            None => Ok((seen.of_many, elements::off_the_list(&program, &filled))),
        }
    });
    match prepared {
        Ok((of_many, off_the_list)) => Ok(Plan { of_many, off_the_list, wrong_column: false }),
        Err(trouble) if trouble.is_wrong_column() => Ok(Plan { wrong_column: true, ..Plan::default() }),
        Err(trouble) => Err(trouble.teach(&filled, sql).hint("Nothing was fetched.")),
    }
}

/// The place of each table by the page at which it begins, as a program of SQLite's names it.
fn roots(connection: &Connection, tables: &[Table]) -> rusqlite::Result<HashMap<i64, usize>> {
    let mut statement = connection.prepare("SELECT rootpage, name FROM sqlite_schema WHERE type = 'table'")?;
    let all = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut roots = HashMap::new();
    for found in all {
        let (page, name) = found?;
        if let Some(place) = tables.iter().position(|table| table.layout.table == name) {
            roots.insert(page, place);
        }
    }
    Ok(roots)
}

/// Three rows of what holds something, for somebody who has not seen the table.
fn preview(table: &Table) -> String {
    let shown: Vec<String> = table.held().filter(|name| is_shown(name)).map(|name| format!("\"{name}\"")).collect();
    format!("SELECT {} FROM \"{}\" LIMIT 3", shown.join(","), table.layout.table)
}

/// Whether a column is in a preview; the others are named only.
pub(crate) fn is_shown(column: &str) -> bool {
    !column.ends_with("_json") && !column.starts_with("meta_")
}
