//! An SQLite in which a statement can read the tables of one call, and nothing else: not write, not open a file, not
//! run for ever, not fill the memory.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::columns::Layout;
use super::compared;
use super::elements::{self, OffTheList};
use super::program::{LONGEST_PROGRAM, Program, Step};
use super::statement::Named;
use super::table::{Fetched, Filled, fill};
use super::trouble::Trouble;
use super::{dates, empty_columns, functions, misread, star};
use crate::failure::Failure;

/// The longest text that a statement may read or make, in bytes.
pub(crate) const LONGEST_VALUE: usize = 2_000_000;
/// What SQLite may hold at once, in bytes. It holds for the process, so there is one statement at a time.
const MEMORY: i64 = 512 << 20;
/// How long a statement may run.
const TIME: Duration = Duration::from_secs(5);
/// How many of SQLite's steps go by between two looks at the clock.
const STEPS: i32 = 1_000;
/// The most rows of a result.
pub(crate) const MOST_ROWS: usize = 5_000;
/// The most of a result, in bytes.
const MOST_BYTES: usize = 2_000_000;

/// What SQLite's own limits are lowered to.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE as i32),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 0),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// One at a time, so that a greedy statement meets the ceiling of memory alone.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Does work on SQLite beside the runtime, which goes on. A call that is cancelled ends it.
///
/// # Errors
/// [`Failure`] if the work ended in a panic.
pub(crate) async fn on_sqlite<T: Send + 'static>(
    work: impl FnOnce(&Watch) -> T + Send + 'static,
) -> Result<T, Failure> {
    let turn = ONE_AT_A_TIME.acquire().await;
    let watch = Watch::default();
    let _ends_it = Cancels(Arc::clone(&watch.cancelled));
    // The turn goes with the work: one that was cancelled still has the memory until it ends.
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&watch)
    });
    work.await.map_err(|_| Failure::teach("The statement could not be run. The server goes on; try another one"))
}

struct Cancels(Arc<AtomicBool>);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What ends a statement: its time, or that nobody waits for it any more.
pub(crate) struct Watch {
    pub(super) cancelled: Arc<AtomicBool>,
    /// The clock; tests bring their own.
    pub(super) now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { cancelled: Arc::default(), now: Arc::new(Instant::now) }
    }
}

impl Watch {
    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether it is over, for a statement that starts now.
    fn over(&self) -> impl Fn() -> bool + Send + 'static {
        let (cancelled, now) = (Arc::clone(&self.cancelled), Arc::clone(&self.now));
        let end = now().checked_add(TIME);
        move || cancelled.load(Ordering::Relaxed) || end.is_none_or(|end| now() >= end)
    }
}

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

/// The rows of a result.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there are more.
    pub(crate) more: bool,
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
        closed.connection.progress_handler(STEPS, Some(watch.over())).map_err(Trouble::running)?;
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

/// A database in memory, open to us.
fn open() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    // Nothing of a patient goes to a temporary file.
    connection.execute_batch(&format!(
        "PRAGMA hard_heap_limit={MEMORY}; PRAGMA temp_store=MEMORY; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN"
    ))?;
    Ok(connection)
}

/// A database that can only be read.
pub(super) struct Closed {
    connection: Connection,
    seen: Arc<Mutex<Seen>>,
}

/// What the authorizer has seen of a statement.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// The function of many rows that it uses.
    pub(super) of_many: Option<String>,
    /// The columns that it reads, each with its table.
    read: HashSet<(String, String)>,
    /// What it was denied.
    pub(super) denied: Option<Denied>,
}

impl Seen {
    pub(super) fn reads(&self, table: &str, column: &str) -> bool {
        self.read.iter().any(|(its, own)| its == table && own == column)
    }
}

/// What a statement may not do.
#[derive(Debug, Clone)]
pub(super) enum Denied {
    Function(String),
    Table(String),
    Anything,
}

impl Closed {
    fn new<'t>(
        connection: Connection,
        layouts: impl Iterator<Item = &'t Layout>,
        watch: &Watch,
    ) -> Result<Self, Trouble> {
        let tables: Vec<String> = layouts.map(|layout| layout.table.clone()).collect();
        let seen = Arc::<Mutex<Seen>>::default();
        close(&connection, tables, Arc::clone(&seen), watch).map_err(Trouble::running)?;
        Ok(Self { connection, seen })
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, Trouble> {
        let statement = self.connection.prepare(sql).map_err(|error| Trouble::preparing(error, self.seen()))?;
        if statement.readonly() && statement.column_count() > 0 { Ok(statement) } else { Err(Trouble::not_a_read()) }
    }

    /// What SQLite makes of a statement; nothing of one that is too long.
    fn program(&self, sql: &str) -> Result<Vec<Step>, Trouble> {
        let explained = format!("EXPLAIN {sql}");
        let mut statement =
            self.connection.prepare(&explained).map_err(|error| Trouble::preparing(error, self.seen()))?;
        let step = |row: &rusqlite::Row<'_>| {
            Ok(Step {
                code: row.get("opcode")?,
                p1: row.get("p1")?,
                p2: row.get("p2")?,
                p3: row.get("p3")?,
                p4: row.get::<_, Option<String>>("p4")?.unwrap_or_default(),
                p5: row.get("p5")?,
            })
        };
        let steps = statement.query_map([], step).map_err(Trouble::running)?.take(LONGEST_PROGRAM + 1);
        let steps: Vec<Step> = steps.collect::<Result<_, _>>().map_err(Trouble::running)?;
        Ok(if steps.len() > LONGEST_PROGRAM { Vec::new() } else { steps })
    }

    /// Numbers that our own statements count.
    pub(super) fn count(&self, what: &[&str]) -> Result<Vec<i64>, Trouble> {
        let sql = format!("SELECT {}", what.join(","));
        let mut statement = self.connection.prepare(&sql).map_err(Trouble::running)?;
        let mut rows = statement.raw_query();
        let Some(row) = rows.next().map_err(Trouble::running)? else { return Ok(Vec::new()) };
        let number = |index| row.get::<_, Option<i64>>(index).map(Option::unwrap_or_default);
        (0..what.len()).map(number).collect::<Result<_, _>>().map_err(Trouble::running)
    }

    fn select(&self, sql: &str) -> Result<(Seen, Rows), Trouble> {
        let mut statement = self.prepare(sql)?;
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut found = Rows { columns, ..Rows::default() };
        let mut bytes = 0_usize;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(Trouble::running)? {
            if found.rows.len() >= MOST_ROWS || bytes >= MOST_BYTES {
                found.more = true;
                break;
            }
            let mut values = Vec::with_capacity(found.columns.len());
            for index in 0..found.columns.len() {
                let value = row.get_ref(index).map_err(Trouble::running)?;
                bytes = bytes.saturating_add(size(value));
                values.push(json(value));
            }
            found.rows.push(values);
        }
        drop(rows);
        drop(statement);
        Ok((self.seen(), found))
    }
}

/// Takes everything away but reading these tables.
fn close(connection: &Connection, tables: Vec<String>, seen: Arc<Mutex<Seen>>, watch: &Watch) -> rusqlite::Result<()> {
    functions::define(connection)?;
    // A misspelt name in double quotes is an error then, and not a text that equals nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    for (limit, most) in LIMITS {
        connection.set_limit(limit, most)?;
    }
    connection.authorizer(Some(move |cx: AuthContext<'_>| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let AuthAction::Read { table_name, column_name } = cx.action {
            seen.read.insert((table_name.to_owned(), column_name.to_owned()));
        }
        match judged(cx.action, &tables) {
            Ok(of_many) => {
                if of_many.is_some() {
                    seen.of_many = of_many;
                }
                Authorization::Allow
            }
            Err(denied) => {
                seen.denied.get_or_insert(denied);
                Authorization::Deny
            }
        }
    }))?;
    connection.progress_handler(STEPS, Some(watch.over()))
}

/// Whether something may be done; if it is a function of many rows, its name.
fn judged(action: AuthAction<'_>, tables: &[String]) -> Result<Option<String>, Denied> {
    match action {
        AuthAction::Select | AuthAction::Recursive => Ok(None),
        AuthAction::Function { function_name } if functions::may_use(function_name) => {
            Ok(functions::of_many(function_name).map(str::to_owned))
        }
        AuthAction::Function { function_name } => Err(Denied::Function(function_name.to_owned())),
        AuthAction::Read { table_name, column_name } => {
            let known = tables.iter().any(|table| table.eq_ignore_ascii_case(table_name));
            let of_json = ["json_each", "json_tree"].iter().any(|name| name.eq_ignore_ascii_case(table_name));
            // A common table expression of which no column is read: `SELECT count(*) FROM c`.
            let is_made_here = column_name.is_empty() && !is_sqlites_own(table_name);
            if known || of_json || is_made_here { Ok(None) } else { Err(Denied::Table(table_name.to_owned())) }
        }
        _ => Err(Denied::Anything),
    }
}

fn is_sqlites_own(table: &str) -> bool {
    let table = table.to_ascii_lowercase();
    ["sqlite_", "pragma_", "dbstat", "fts", "rtree"].iter().any(|start| table.starts_with(start))
}

/// Up to here a whole number has one form.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len().saturating_add(3),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => Value::from(whole),
        // A whole number is shown as one: its column holds 72 as 72.0.
        ValueRef::Real(real) if real.fract() == 0.0 && real.abs() < EXACT => Value::from(real as i64),
        ValueRef::Real(real) => Value::from(real),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::from(String::from_utf8_lossy(bytes)),
    }
}
