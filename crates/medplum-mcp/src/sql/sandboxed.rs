//! An SQLite in which a statement can read the tables of one call, and nothing else: not write, not open a file, not
//! run for ever, not fill the memory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use serde_json::Value;

use super::columns::Layout;
use super::functions;
use super::program::{LONGEST_PROGRAM, Step};
use super::trouble::Trouble;
use super::watch::Watch;

/// The longest text that a statement may read or make, in bytes.
pub(crate) const LONGEST_VALUE: usize = 2_000_000;
/// What SQLite may hold at once, in bytes. It holds for the process, so there is one statement at a time.
const MEMORY: i64 = 512 << 20;
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

/// The rows of a result.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// A database in memory, open to us.
pub(super) fn open() -> rusqlite::Result<Connection> {
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
    pub(super) fn new<'t>(
        connection: Connection,
        layouts: impl Iterator<Item = &'t Layout>,
        watch: &Watch,
    ) -> Result<Self, Trouble> {
        let tables: Vec<String> = layouts.map(|layout| layout.table.clone()).collect();
        let seen = Arc::<Mutex<Seen>>::default();
        close(&connection, tables, Arc::clone(&seen), watch).map_err(Trouble::running)?;
        Ok(Self { connection, seen })
    }

    /// Gives the statements from here on a time of their own.
    pub(super) fn may_go_on(&self, watch: &Watch) -> Result<(), Trouble> {
        self.connection.progress_handler(STEPS, Some(watch.over())).map_err(Trouble::running)
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Statement<'_>, Trouble> {
        let statement = self.connection.prepare(sql).map_err(|error| Trouble::preparing(error, self.seen()))?;
        if statement.readonly() && statement.column_count() > 0 { Ok(statement) } else { Err(Trouble::not_a_read()) }
    }

    /// What SQLite makes of a statement; nothing of one that is too long.
    pub(super) fn program(&self, sql: &str) -> Result<Vec<Step>, Trouble> {
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

    pub(super) fn select(&self, sql: &str) -> Result<(Seen, Rows), Trouble> {
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
