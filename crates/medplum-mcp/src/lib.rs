//! An MCP server for Medplum, as a library: the program is a thin shell around it, and so are the tests.
//!
//! ```text
//! tools/call ─▶ tool ─▶ Interaction ─▶ Gate ─▶ Client ─▶ Reply ─▶ Answer ─▶ content blocks
//! ```

pub mod allowed_types;
pub mod answer;
mod arguments;
pub mod audit;
mod changes;
pub mod cleanse;
pub mod cli;
pub mod confirm;
pub mod context;
mod doubt;
mod eight;
pub mod failure;
mod file_trouble;
mod flags;
mod graphql_lists;
pub mod metadata;
mod no_connection;
mod operations;
pub mod page;
mod pages;
pub mod policy;
mod preflight;
pub mod progress;
mod referrers;
mod resources;
mod schema;
mod search;
pub mod server;
pub mod settings;
mod shown;
mod sql;
mod summary;
pub mod tokens;
pub mod tool;
pub mod tools;
pub mod toolset;
pub mod transactions;
pub mod transport;
mod unseen;
mod walk;
mod whole_reads;
mod writeback;
