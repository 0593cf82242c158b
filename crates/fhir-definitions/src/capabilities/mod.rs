//! What a server can do, joined with the definitions: interactions, operations, and each search parameter with what
//! its values look like.
//!
//! FHIR: CapabilityStatement. <https://hl7.org/fhir/R4/capabilitystatement.html>

mod parameters;
mod statement;

use serde_json::Value;

use crate::schema::SchemaError;
use crate::{Definitions, TypeInfo};
pub use statement::Statement;

/// Capabilities as an agent reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// What can be done.
    pub block: String,
    /// Where it comes from, and what to ask next.
    pub notes: Option<String>,
}

/// The capabilities for one type, or the list of types. Without a statement the definitions speak alone, and the notes
/// say so.
///
/// # Errors
/// [`SchemaError::UnknownType`] if neither the definitions nor the statement know the type.
pub fn render(resource_type: Option<&str>, statement: Option<&Value>) -> Result<Capabilities, SchemaError> {
    let defs = Definitions::get();
    let statement = statement.and_then(Statement::of);
    match resource_type {
        None => Ok(all_types(defs, statement.as_ref())),
        Some(name) => one_type(defs, name, statement.as_ref()),
    }
}

fn one_type(defs: &Definitions, name: &str, statement: Option<&Statement<'_>>) -> Result<Capabilities, SchemaError> {
    let Some(info) = defs.resource_type(name) else {
        return Err(SchemaError::UnknownType {
            given: name.to_owned(),
            nearest: defs.nearest_types(name).into_iter().map(str::to_owned).collect(),
        });
    };
    let listed = statement.and_then(|s| s.resource(name));
    let mut lines = vec![format!("{name}: {}. {}", interactions(listed), operations(defs, name, listed))];
    lines.extend(parameters::lines(defs, info, listed));
    let notes = match (statement, listed) {
        (None, _) => Some(offline(defs)),
        (Some(_), None) => Some(unlisted(info)),
        (Some(s), Some(_)) => s.software().map(|v| format!("As the server says: {v}.")),
    };
    Ok(Capabilities { block: lines.join("\n"), notes })
}

/// `read, vread, history, search, …`, in the words that agents know.
fn interactions(listed: Option<&Value>) -> String {
    let codes: Vec<&str> = listed.into_iter().flat_map(|r| statement::strings(r, "interaction", "code")).collect();
    if codes.is_empty() {
        return "read, search, create, update, patch, delete, history as the server permits".to_owned();
    }
    let order = ["read", "vread", "history-instance", "search-type", "create", "update", "patch", "delete"];
    let mut sorted: Vec<&str> = order.into_iter().filter(|c| codes.contains(c)).collect();
    sorted.extend(codes.iter().filter(|c| !order.contains(c)));
    sorted
        .iter()
        .map(|c| c.strip_suffix("-instance").or(c.strip_suffix("-type")).unwrap_or(c))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The operations that the server answers itself; any other name may be a bot.
fn operations(defs: &Definitions, name: &str, listed: Option<&Value>) -> String {
    let mut codes: Vec<&str> = defs.routed_operations(name).map(|o| o.code).collect();
    codes.extend(listed.into_iter().flat_map(|r| statement::strings(r, "operation", "name")));
    codes.sort_unstable();
    codes.dedup();
    let names: Vec<String> = codes.iter().map(|c| format!("${}", c.trim_start_matches('$'))).collect();
    format!("Operations: {}.", names.join(", "))
}

fn offline(defs: &Definitions) -> String {
    format!("The server was not asked: these are the definitions of Medplum {}.", defs.version())
}

fn unlisted(info: &TypeInfo) -> String {
    if info.medplum {
        format!(
            "{} is Medplum's own; the server's statement does not list such types. From the definitions.",
            info.name
        )
    } else {
        format!("The server's statement does not list {}. From the definitions.", info.name)
    }
}

/// Every type, HL7's and Medplum's own.
fn all_types(defs: &Definitions, statement: Option<&Statement<'_>>) -> Capabilities {
    let own: Vec<&str> = defs.resource_types().filter(|t| t.medplum).map(|t| t.name).collect();
    let hl7: Vec<&str> = match statement {
        Some(s) => s.types().filter(|t| !own.contains(t)).collect(),
        None => defs.resource_types().filter(|t| !t.medplum).map(|t| t.name).collect(),
    };
    let mut lines =
        vec![format!("FHIR R4, {} types: {}", hl7.len(), hl7.join(", ")), format!("Medplum's own: {}", own.join(", "))];
    if let Some(s) = statement {
        let system: Vec<&str> = s.system_interactions().collect();
        if !system.is_empty() {
            lines.push(format!("System: {}", system.join(", ")));
        }
    }
    lines.push(parameters::everywhere(defs));
    let whose = statement.map_or_else(|| offline(defs), |s| s.software().map_or_else(String::new, |v| format!("{v}.")));
    let next = "Ask with resource_type for a type's search parameters, interactions and operations.";
    Capabilities { block: lines.join("\n"), notes: Some(format!("{whose} {next}").trim().to_owned()) }
}
