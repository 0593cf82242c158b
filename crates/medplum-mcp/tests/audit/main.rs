//! The audit log, as the built program writes it and as `audit verify` reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod cancelled;
#[path = "../common/mod.rs"]
mod common;
mod intent;
mod lines;
mod page;
mod privacy;
mod several;
mod tamper;
mod unwritable;

pub(crate) use page::{AuditFile, verify};
