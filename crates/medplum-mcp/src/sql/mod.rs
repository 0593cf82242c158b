//! SQL over resources: a table a type in an SQLite in memory, made for one call and gone with it.
//!
//! [`columns`] says by one rule which columns a type has, [`table`] fills them, [`statement`] reads what an agent wrote
//! before anything is fetched, [`misread`] what it takes a column for that it is not, [`program`] what SQLite makes of it
//! ([`opcodes`]), [`compared`], [`dates`] and [`elements`] what it does with values that cannot be meant. [`question`] is
//! all of that for one statement, [`sandboxed`] runs it where it can read and nothing else, for as long as [`watch`] lets
//! it. [`trouble`], [`unknown_name`] and [`dialect`] say what went wrong so that the next statement works, and
//! [`empty_columns`] that nothing was there to be found.

pub(crate) mod columns;
mod compared;
mod dates;
mod dialect;
mod elements;
mod empty_columns;
mod functions;
mod json;
mod misread;
mod opcodes;
mod program;
pub(crate) mod question;
pub(crate) mod sandboxed;
mod star;
pub(crate) mod statement;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod time;
#[cfg(test)]
mod told_tests;
mod trouble;
mod unknown_name;
mod watch;

pub(crate) use question::{Outcome, Question};
pub(crate) use sandboxed::Rows;
pub(crate) use watch::on_sqlite;
