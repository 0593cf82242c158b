//! FHIR operations (<https://hl7.org/fhir/R4/operations.html>): on the system, on a type, on an instance.

use fhir_definitions::{OperationName, ResourceId, ResourceType};
use serde_json::Value;

use crate::effect::Effect;
use crate::query::Query;
use crate::request::Method;

/// What an operation is called on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// `$name`
    System,
    /// `Type/$name`
    Type(ResourceType),
    /// `Type/id/$name`
    Instance(ResourceType, ResourceId),
}

/// One call of an operation, by GET with a query or by POST with a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What it is called on.
    pub level: Level,
    /// Its name, without the dollar sign.
    pub name: OperationName,
    /// GET or POST; other methods are no operation.
    pub method: Method,
    /// The parameters in the URL.
    pub query: Query,
    /// The body of a POST: usually a Parameters resource.
    pub body: Option<Value>,
}

/// An operation that Medplum routes itself and that only reads. Any other name may be bound to a bot
/// by an OperationDefinition, whatever its method.
struct NativeRead {
    resource_type: &'static str,
    name: &'static str,
    on_type: bool,
    on_instance: bool,
    get: bool,
    post: bool,
}

const fn native(
    resource_type: &'static str,
    name: &'static str,
    on_type: bool,
    on_instance: bool,
    get: bool,
    post: bool,
) -> NativeRead {
    NativeRead { resource_type, name, on_type, on_instance, get, post }
}

/// As routed by Medplum 5.0.10. `*` is every type.
const NATIVE_READS: &[NativeRead] = &[
    native("Patient", "everything", false, true, true, true),
    native("Patient", "summary", false, true, true, true),
    native("CodeSystem", "lookup", true, true, true, true),
    native("CodeSystem", "validate-code", true, true, true, true),
    native("CodeSystem", "subsumes", true, true, true, true),
    native("ValueSet", "validate-code", true, true, true, true),
    native("ValueSet", "expand", true, false, true, true),
    native("ConceptMap", "translate", true, true, true, true),
    native("*", "csv", true, false, true, false),
    native("*", "graph", false, true, true, false),
    native("*", "validate", true, false, false, true),
];

impl Operation {
    /// A read if Medplum routes it itself and it only reads; anything else may run a bot.
    pub fn effect(&self) -> Effect {
        let (resource_type, instance) = match &self.level {
            Level::System => return Effect::Run,
            Level::Type(t) => (t, false),
            Level::Instance(t, _) => (t, true),
        };
        let reads = NATIVE_READS.iter().any(|native| {
            native.name == self.name.as_str()
                && (native.resource_type == "*" || native.resource_type == resource_type.as_str())
                && if instance { native.on_instance } else { native.on_type }
                && match self.method {
                    Method::Get => native.get,
                    Method::Post => native.post,
                    _ => false,
                }
        });
        if reads { Effect::Read } else { Effect::Run }
    }

    /// The operations that are reads, as `Patient/<id>/$everything`, for the texts that name them.
    pub fn reads() -> impl Iterator<Item = String> {
        NATIVE_READS.iter().map(|native| {
            let of = if native.resource_type == "*" { "<Type>" } else { native.resource_type };
            let id = if native.on_type { "" } else { "<id>/" };
            format!("{of}/{id}${}", native.name)
        })
    }

    /// Those of one type, with their methods: `GET or POST Patient/<id>/$everything`.
    pub fn reads_of(resource_type: &str) -> impl Iterator<Item = String> {
        let of = NATIVE_READS.iter().filter(move |native| ["*", resource_type].contains(&native.resource_type));
        of.map(move |native| {
            let methods = match (native.get, native.post) {
                (true, true) => "GET or POST",
                (true, false) => "GET",
                _ => "POST",
            };
            let id = if native.on_type { "" } else { "<id>/" };
            format!("{methods} {resource_type}/{id}${}", native.name)
        })
    }

    /// The type that it is called on; none for the system.
    pub fn resource_type(&self) -> Option<&ResourceType> {
        match &self.level {
            Level::System => None,
            Level::Type(of) | Level::Instance(of, _) => Some(of),
        }
    }

    pub(crate) fn path(&self) -> String {
        match &self.level {
            Level::System => format!("${}", self.name),
            Level::Type(t) => format!("{t}/${}", self.name),
            Level::Instance(t, id) => format!("{t}/{id}/${}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(method: Method, level: &str, name: &str) -> Effect {
        let level = match level.split_once('/') {
            _ if level.is_empty() => Level::System,
            None => Level::Type(level.parse().unwrap()),
            Some((t, id)) => Level::Instance(t.parse().unwrap(), id.parse().unwrap()),
        };
        let name = name.parse().unwrap();
        Operation { level, name, method, query: Query::new(), body: None }.effect()
    }

    #[test]
    fn only_what_medplum_routes_itself_is_a_read() {
        use Effect::{Read, Run};
        let table = [
            (Method::Get, "Patient/1", "everything", Read),
            (Method::Post, "Patient/1", "everything", Read),
            (Method::Get, "Patient", "everything", Run),
            (Method::Get, "Practitioner/1", "everything", Run),
            (Method::Post, "ValueSet", "expand", Read),
            (Method::Get, "ValueSet/1", "expand", Run),
            (Method::Get, "Observation", "csv", Read),
            (Method::Post, "Observation", "csv", Run),
            (Method::Post, "Observation", "validate", Read),
            (Method::Get, "Observation", "validate", Run),
            (Method::Post, "Observation/1", "validate", Run),
            (Method::Get, "Bot/1", "execute", Run),
            (Method::Get, "", "export", Run),
            (Method::Get, "Patient", "match", Run),
            (Method::Get, "Composition/1", "document", Run),
            (Method::Get, "Agent/1", "upgrade", Run),
        ];
        for (method, level, name, expected) in table {
            assert_eq!(effect(method, level, name), expected, "{method:?} {level}/${name}");
        }
    }
}
