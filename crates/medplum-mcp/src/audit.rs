//! The audit log: who asked what, of which resources, with which outcome, and nothing else of a patient.
//!
//! ```text
//! call ─▶ Record ─▶ the client's door asks it before anything leaves ─▶ a line
//! ```
//!
//! * [`leaving`] learns of everything that leaves for a call, and lets nothing that acts leave before its intent is on the
//!   disk; [`record`] keeps what it learnt until the call ends.
//! * [`says`] is what a line says; [`asked`], [`seen`] and [`words`] what may stand in it.
//! * [`log`] writes lines, [`line`] binds each to the one before it, [`verify`](mod@verify) looks for what was changed.
//!
//! What cannot be recorded is not done: what acts is not sent, and what was read is not given out.

mod asked;
mod leaving;
mod line;
mod log;
mod record;
mod says;
mod seen;
mod verify;
mod words;

pub use line::Hash;
pub use log::AuditLog;
pub use record::{Confirmed, Ending, Record, Recorder, Unwritten};
pub use verify::{Finding, Verification, verify};
