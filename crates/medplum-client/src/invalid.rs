//! Why something cannot be asked of Medplum at all. Found before anything is sent.

use fhir_definitions::NameError;
use thiserror::Error;

/// A request that was refused for its form. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// A resource type, id or operation name of the wrong form.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A raw path that cannot be taken as one.
    #[error("path: {0}. It is relative to the Medplum server")]
    Path(&'static str),
    /// A FHIR path that does not start with the FHIR base; how it is written.
    #[error("path: FHIR paths start with the FHIR base: {0}")]
    NotUnderBase(String),
    /// A query that cannot be decoded.
    #[error("query: {0}")]
    Query(&'static str),
    /// A body that does not fit the request.
    #[error("{0}")]
    Body(String),
    /// A GraphQL document that does not parse or cannot be executed.
    #[error("query: {0}")]
    GraphQl(String),
    /// An entry of a bundle.
    #[error("bundle.entry[{index}]{at}: {reason}")]
    Entry {
        /// Its place in the bundle, from 0.
        index: usize,
        /// The element of the entry.
        at: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A bundle as a whole.
    #[error("bundle: {0}")]
    Bundle(String),
    /// A JSON Patch.
    #[error("operations{}: {reason}", at(.index))]
    Patch {
        /// Which operation, from 0; none for the list as a whole.
        index: Option<usize>,
        /// What is wrong with it.
        reason: String,
    },
    /// The condition of a conditional create.
    #[error("if_none_exist: {0}")]
    Condition(&'static str),
    /// A membership to act on behalf of.
    #[error(
        "on_behalf_of: not a membership. Pass ProjectMembership/<uuid> or the UUID alone, such as ProjectMembership/00000000-0000-0000-0000-000000000000"
    )]
    Membership,
    /// A header value that cannot be sent.
    #[error("{0}")]
    Header(&'static str),
}

fn at(index: &Option<usize>) -> String {
    index.map(|i| format!("[{i}]")).unwrap_or_default()
}
