//! The subset of FHIRPath that FHIR's search parameters and constraints need, and that people write to pick fields
//! out of resources.
//!
//! # Why it is written here
//!
//! The libraries on crates.io cost 6 to 16 minutes to build, or need a newer compiler than this workspace. What is
//! needed is small: the 1,519 search parameters of FHIR R4 and Medplum (1,481 expressions, each counted once) use
//! paths, `|`, `ofType`, `is`, `as`, `where`, `resolve`, `exists`, `iif`, indexes, `=`, `!=` and `and`; the
//! constraints of severity error (214 expressions) use 32 functions. The rest is what a reader of FHIRPath would
//! naturally write: strings, arithmetic, dates, aggregates.
//!
//! What is not known is an error when the expression is read, never a silent miss. Not known are `memberOf`,
//! `conformsTo` and `subsumes` (they need a terminology server), `sort`, `type`, `defineVariable`, the boundaries of
//! values, encodings, logarithms and powers, and the conversion between units.
//!
//! # Where it is lenient, on purpose
//!
//! - `valueQuantity`, the key in JSON, works beside `value`, the name of the element.
//! - `as` on several values keeps those of the type, as `ofType` does: FHIR's own constraints rely on it.
//! - `Boolean` without a namespace is also FHIR's `boolean`: likewise.
//! - A string beside a date is read as a date, so `birthDate > '1990'` works, with a model and without.
//! - The functions of strings take numbers and booleans, by their text.
//!
//! # With and without a model
//!
//! Without a [`Model`] the type of an element is known where the JSON tells it: of resources, of choices
//! (`valueQuantity`), of extensions, of primitives by their form. So paths, choices and `ofType` of a choice need no
//! model; `children().ofType(Identifier)` and `status is code` do, and find nothing or say false without one. Which
//! resource types exist is not known here either: see [`Expression::type_names`].
//!
//! # Example
//!
//! ```
//! use medplum_fhirpath::{Context, Expression};
//! use serde_json::json;
//!
//! let expr = Expression::parse("name.where(use = 'official').given.first()")?;
//! let patient = json!({
//!     "resourceType": "Patient",
//!     "name": [{"use": "official", "given": ["Ada", "Augusta"]}],
//! });
//! let found = expr.evaluate(&patient, &Context::new())?;
//! assert_eq!(found.first().and_then(|item| item.as_str()), Some("Ada"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Sections are those of FHIRPath Normative Release 1 (2.0.0), <http://hl7.org/fhirpath/N1/>.

mod ast;
mod compare;
mod context;
mod decimal;
mod error;
mod eval;
mod expression;
mod follow;
mod function;
mod functions;
mod item;
mod lexer;
mod operators;
mod parser;
mod path;
mod print;
mod quantity;
mod regex;
mod temporal;
mod types;

pub use context::{ChildInfo, Context, DEFAULT_STEP_LIMIT, Model, Resolver};
pub use error::{EvalError, ParseError};
pub use expression::Expression;
pub use follow::Guide;
pub use item::Item;
