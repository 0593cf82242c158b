//! The audit log: who asked what, of which resources, with which outcome, and nothing else of a patient.
//!
//! ```text
//! call ─▶ Record ─▶ the client's door asks it before anything leaves ─▶ a line
//! ```
//!
//! * [`record`] learns of everything that leaves for a call, and lets nothing that acts leave before its intent is on
//!   the disk.
//! * [`asked`], [`seen`] and [`words`] say what may stand in a line.
//! * [`log`] writes lines, [`line`] binds each to the one before it, [`verify`](mod@verify) looks for what was changed.
//!
//! What cannot be recorded is not done: what acts is not sent, and what was read is not given out.

mod asked;
mod line;
mod log;
mod record;
mod seen;
mod verify;
mod words;

pub use line::Hash;
pub use log::AuditLog;
pub use record::{Confirmed, Ending, Record, Recorder, Unwritten};
pub use verify::{Finding, Verification, verify};
