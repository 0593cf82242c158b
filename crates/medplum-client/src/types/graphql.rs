//! The types that a GraphQL document reaches: its fields, fragments and arguments.

use fhir_definitions::{TypeInfo, TypeKind};
use serde_json::Value;

use super::search::parameter;
use super::{Needs, inside, references};
use crate::graphql::{GraphQl, Of, Selected};

pub(super) fn document(document: &GraphQl, needs: &mut Needs) {
    for field in document.selected() {
        match (field.leads_to(), field.of) {
            (Some(Ok(info)), Of::Mutation) => needs.write(field.name, info.name),
            (Some(Ok(info)), _) => needs.read(field.name, info.name),
            (Some(Err(_)), _) | (None, Of::Query | Of::Mutation | Of::Any | Of::Unknown) => needs.unclear(field.name),
            (None, _) => {}
        }
        if let Some(Ok(info)) = field.leads_to() {
            arguments(&field, info, needs);
        }
    }
    document.conditions().into_iter().for_each(|(name, of)| condition(name, of, needs));
}

/// A fragment on a resource type reads it; one on a data type or on what may be any reads nothing by itself.
fn condition(name: &str, of: Of, needs: &mut Needs) {
    let by = format!("... on {name}");
    match of {
        Of::Type(info) if matches!(info.kind, TypeKind::Complex | TypeKind::Nested) => {}
        Of::Type(info) if info.kind == TypeKind::Resource => needs.read(&by, info.name),
        Of::Connection(info) | Of::Edge(info) => needs.read(&by, info.name),
        Of::Query | Of::Mutation | Of::Any => {}
        Of::Type(_) | Of::Unknown => needs.unclear(&by),
    }
}

/// The arguments are search parameters, a hyphen written as an underscore; or a resource to write.
fn arguments(field: &Selected<'_>, of: &TypeInfo, needs: &mut Needs) {
    for (name, value) in &field.arguments {
        let Some(value) = value else {
            needs.unclear(name);
            continue;
        };
        if matches!(field.of, Of::Mutation) {
            inside(value, needs);
            references(value, needs);
            continue;
        }
        let code = if name.starts_with('_') { (*name).to_owned() } else { name.replace('_', "-") };
        match code.as_str() {
            // Which parameter of the type leads back to the resource around.
            "_reference" => {}
            _ => texts(value).iter().for_each(|text| parameter(of, &code, text, needs)),
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}
