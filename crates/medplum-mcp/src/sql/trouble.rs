//! What went wrong with a statement, said so that the next one works. Of the record nothing is repeated: once rows are
//! read, a message of SQLite's may hold some of it, and only its beginning is passed on.

use fhir_definitions::nearest;
use rusqlite::{Error, ErrorCode, ffi};

use super::question::Table;
use super::sandboxed::{Denied, Seen};
use super::{dialect, functions, unknown_name};
use crate::failure::Failure;

/// Why a statement has no result.
#[derive(Debug)]
pub(in crate::sql) enum Trouble {
    /// What SQLite says of the statement itself.
    Wrong(String),
    /// What it may not do.
    Denied(Denied),
    /// What it takes a column for that it is not.
    Misread(String),
    /// What SQLite says once rows are read.
    Failed(String),
    OutOfTime,
    OutOfMemory,
    TooLong,
    /// A resource that the server sent is no JSON that can be read.
    Unreadable,
}

impl Trouble {
    /// From an error before any row is read.
    pub(super) fn preparing(error: Error, seen: Seen) -> Self {
        if let Some(denied) = seen.denied {
            return Self::Denied(denied);
        }
        match error {
            Error::MultipleStatement => Self::Wrong("sql must be exactly one statement".into()),
            Error::SqlInputError { error, msg, .. } => Self::by_code(error).unwrap_or(Self::Wrong(msg)),
            Error::SqliteFailure(error, message) => {
                Self::by_code(error).unwrap_or(Self::Wrong(message.unwrap_or_else(|| "it cannot be read".into())))
            }
            _ => Self::Wrong("it cannot be read".into()),
        }
    }

    /// From an error while rows are read or written.
    pub(super) fn running(error: Error) -> Self {
        let (code, message) = match error {
            Error::SqliteFailure(code, message) => (Some(code), message),
            Error::SqlInputError { error, msg, .. } => (Some(error), Some(msg)),
            _ => (None, None),
        };
        if let Some(trouble) = code.and_then(Self::by_code) {
            return trouble;
        }
        let message = message.unwrap_or_default();
        let start = message.split([':', '"', '\'']).next().unwrap_or_default().trim();
        Self::Failed(if start.is_empty() { "it failed on a row".into() } else { start.to_owned() })
    }

    pub(super) fn not_a_read() -> Self {
        Self::Denied(Denied::Anything)
    }

    /// Whether only a column is wrong: what is there is best said once it is known what holds something.
    pub(super) fn is_wrong_column(&self) -> bool {
        matches!(self, Self::Wrong(message) if message.starts_with(NO_COLUMN))
    }

    fn by_code(error: ffi::Error) -> Option<Self> {
        match error.code {
            ErrorCode::OperationInterrupted => Some(Self::OutOfTime),
            ErrorCode::OutOfMemory => Some(Self::OutOfMemory),
            ErrorCode::TooBig => Some(Self::TooLong),
            _ => None,
        }
    }

    /// What the agent reads.
    pub(super) fn teach(&self, tables: &[Table], sql: &str) -> Failure {
        Failure::teach(match self {
            Self::Wrong(message) => wrong(message, tables, sql),
            Self::Denied(Denied::Function(name)) => no_function(name),
            Self::Denied(Denied::Table(name)) => unknown_name::table(name, tables),
            Self::Denied(Denied::Anything) => {
                "sql must be one SELECT, or WITH … SELECT: the tables can only be read".into()
            }
            Self::Misread(why) => why.clone(),
            Self::Failed(message) => format!("SQLite, while it read the rows: {message}"),
            Self::OutOfTime => "The statement ran for 5 s and was stopped. Join on an equality (Observation.subject = 'Patient/' || Patient.id), end a recursion, or aggregate in one pass".into(),
            Self::OutOfMemory => "The statement, or its tables, would take more than 512 MB. Narrow params, lower max_resources, or aggregate before you sort".into(),
            Self::Unreadable => "A resource that Medplum sent cannot be read: its JSON is too deep or broken. Narrow params to leave it out".into(),
            Self::TooLong => "A text in the statement, or one that it makes, is longer than 2 MB. Aggregate less into one value, or read it with a search".into(),
        })
    }
}

const NO_COLUMN: &str = "no such column: ";

fn wrong(message: &str, tables: &[Table], sql: &str) -> String {
    if let Some(name) = message.strip_prefix(NO_COLUMN) {
        return unknown_name::column(name, tables, sql);
    }
    if let Some(name) = message.strip_prefix("no such table: ") {
        return unknown_name::table(name, tables);
    }
    if let Some(name) = message.strip_prefix("no such function: ") {
        return no_function(name);
    }
    if let Some(name) = message.strip_prefix("ambiguous column name: ") {
        let table = tables.first().map_or("Observation", |table| table.layout.table.as_str());
        return format!("Several tables have {name}: say which, {table}.{name}");
    }
    let is_syntax = message.starts_with("near \"") || message.starts_with("unrecognized token");
    if let Some(instead) = is_syntax.then(|| dialect::instead_of_syntax(sql)).flatten() {
        return format!("SQLite: {message}. Here {instead}");
    }
    let near = message.strip_prefix("near \"").and_then(|rest| rest.split_once('"')).map(|(word, _)| word);
    if let Some(word) = near.filter(|word| is_name(word, tables)) {
        return format!("SQLite: {message}. {word} is a word of SQL; as a name it goes in double quotes: \"{word}\"");
    }
    format!("SQLite: {message}")
}

fn is_name(word: &str, tables: &[Table]) -> bool {
    tables.iter().any(|table| {
        table.layout.table.eq_ignore_ascii_case(word)
            || table.layout.names.iter().any(|name| name.eq_ignore_ascii_case(word))
    })
}

fn no_function(given: &str) -> String {
    if let Some(instead) = dialect::instead_of_function(given) {
        return format!("No function {given} here: {instead}");
    }
    let near = nearest(given, functions::all());
    if !near.is_empty() {
        return format!("No function {given} here. Nearest: {}", near.join(", "));
    }
    let mut all: Vec<&str> = functions::all().filter(|name| !name.starts_with('-')).collect();
    all.sort_unstable();
    format!("No function {given} here. There are {}", all.join(", "))
}
