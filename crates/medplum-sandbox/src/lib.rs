//! A Medplum in memory, behind real HTTP on loopback: for tests, and to try things without credentials.
//!
//! It answers as a Medplum 5.0.10 does, down to its quirks: the exchanges recorded from one, kept under
//! `tests/fixtures/recordings`, are the specification. What it does not do, it says with a 501.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use medplum_sandbox::Sandbox;
//!
//! let sandbox = Sandbox::builder().start().await?;
//! println!("{} {} {}", sandbox.base_url(), sandbox.client_id(), sandbox.client_secret());
//! # Ok(())
//! # }
//! ```
//!
//! The data is synthetic. It is no server for real patients: nothing is kept, and whoever has the secret sees all.

mod admin;
mod auth;
mod binary;
mod body;
mod bots;
mod bundle;
mod call;
mod data;
mod engine;
mod everything;
mod export;
mod extract;
mod faults;
mod fhir;
mod fhir_routes;
mod graphql;
mod index;
mod inflate;
mod metadata;
mod outcome;
mod patch;
mod policy;
mod population;
mod quota;
mod recorder;
mod reply;
mod routes;
mod sandbox;
mod search;
mod server;
mod sign_in;
mod slots;
mod source;
mod sparse;
mod store;
mod terminology;
mod validation;

pub use data::{Data, DataError};
pub use faults::{Fault, FaultRule, Faults};
pub use recorder::RecordedRequest;
pub use sandbox::{Builder, Sandbox};
