//! The Medplum API as FHIR interactions, for any Rust program.
//!
//! ```text
//! Interaction ─▶ Gate ─▶ Client ─▶ Reply
//! ```
//!
//! What is asked of Medplum is an [`Interaction`]: a value that knows its method, path and body, and from which its
//! [`Effect`] is computed. Only a [`Client`] opens connections, and it asks the [`Gate`] before anything leaves:
//! [`Client::send`] and, for answers that come unread, [`Client::page`] and [`Client::resource`] lead through one private
//! way, and [`Client::reach`] sends one fixed read. It signs in for what has passed, and asks nothing else of its own
//! accord. So a limit that the gate holds is held everywhere.
//!
//! Nothing here knows of MCP, tools or agents.

mod base_url;
mod binary;
mod bots;
mod bundle;
mod client;
mod clock;
mod config;
mod effect;
mod error;
mod gate;
mod graphql;
mod halves;
mod interaction;
mod invalid;
mod members;
mod membership;
mod no_connection;
mod operation;
mod outcome;
mod own_secrets;
mod page;
mod parameters;
mod patch;
mod path;
mod proxy;
mod query;
mod raw;
mod recognise;
mod reply;
mod request;
mod retry;
mod searchset;
mod skim;
mod throttle;
mod timer;
mod token;
mod types;
mod unbound;
mod witness;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust-client.md")]
struct RustClient;

pub use base_url::{BaseUrl, FhirPath};
pub use bots::BotReach;
pub use bundle::{Batch, BatchEntry, BatchKind};
pub use client::{Call, Client, Reached};
pub use clock::{Clock, Surroundings};
pub use config::{Config, Credentials};
pub use effect::Effect;
pub use error::{ConfigError, Error, Sent};
pub use fhir_definitions::{NameError, OperationName, ResourceId, ResourceType};
pub use gate::{Asked, Gate, Open, Refusal};
pub use graphql::{FullList, GraphQl, GraphQlField, GraphQlResource, Of, Selected};
pub use interaction::{Interaction, Label, Search};
pub use invalid::InvalidRequest;
pub use members::{Member, Members};
pub use membership::Membership;
pub use no_connection::NoConnection;
pub use operation::{Level, Operation};
pub use outcome::{Issue, Outcome};
pub use own_secrets::OwnSecrets;
pub use page::next_page;
pub use parameters::to_parameters;
pub use patch::JsonPatch;
pub use proxy::Proxy;
pub use query::Query;
pub use raw::Raw;
pub use reply::{Body, Reply};
pub use request::{Method, Request};
pub use searchset::{SearchEntry, Searchset, Unread, is_outcome};
pub use types::{Need, NeedKind};
pub use witness::{Came, Ended, Passage, Witness};
