//! The fields of a GraphQL document, each with the type that it is a field of: an alias renames a field in the answer,
//! so what is in an answer can be told from the document alone.

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, Document, OperationType, Selection, Value as AstValue};
use fhir_definitions::{Definitions, TypeInfo, TypeKind};
use serde_json::{Map, Number, Value};

use crate::graphql::GraphQl;

/// What a field is a field of.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// The document's root: `Patient`, `PatientList`, `PatientConnection`.
    Query,
    /// The root of a mutation: `PatientCreate`.
    Mutation,
    /// A resource or a data type.
    Type(&'static TypeInfo),
    /// A page of a `…Connection`, or an entry of it.
    Page,
    /// Something that the definitions do not know.
    Unknown,
}

/// A field of a document.
#[derive(Debug, Clone)]
pub struct Selected<'d> {
    /// What it is a field of.
    pub of: Of,
    /// Its name, not its alias.
    pub name: &'d str,
    /// What it is called in the answer: its alias, or its name.
    pub key: &'d str,
    /// The resource type in which it stands, as far as that is known.
    pub resource: Option<&'static TypeInfo>,
    /// Its arguments by name; none for a value that cannot be told.
    pub arguments: Vec<(&'d str, Option<Value>)>,
}

/// A root or nested field that leads to resources of a type: how it ends, and what is in it.
const ENDS: &[&str] = &["List", "Connection", "Create", "Update", "Patch", "Delete", ""];

impl Selected<'_> {
    /// The resource type that a field such as `PatientList` leads to; the name itself where there is no such type.
    /// None for an element.
    pub fn leads_to(&self) -> Option<Result<&'static TypeInfo, &str>> {
        if !self.name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        let definitions = Definitions::get();
        let named = ENDS.iter().filter_map(|end| self.name.strip_suffix(end));
        Some(named.filter_map(|name| definitions.resource_type(name)).next().ok_or(self.name))
    }
}

impl GraphQl {
    /// Every field of the document, at every depth, in fragments too.
    pub fn selected(&self) -> Vec<Selected<'_>> {
        let mut walk = Walk { document: self, found: Vec::new() };
        for definition in &self.document().definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    let root = match operation.operation_type {
                        OperationType::Query => Place::Query,
                        OperationType::Mutation => Place::Mutation,
                        OperationType::Subscription => Place::Unknown,
                    };
                    walk.selections(root, None, &operation.selection_set);
                }
                Definition::FragmentDefinition(fragment) => {
                    let place = condition(Place::Unknown, &fragment.type_condition);
                    walk.selections(place, place.resource(None), &fragment.selection_set);
                }
                _ => {}
            }
        }
        walk.found
    }

    /// The types that its fragments are on, in the schema's names.
    pub fn type_conditions(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for definition in &self.document().definitions {
            match definition {
                Definition::OperationDefinition(operation) => conditions(&operation.selection_set, &mut found),
                Definition::FragmentDefinition(fragment) => {
                    found.push(fragment.type_condition.as_str());
                    conditions(&fragment.selection_set, &mut found);
                }
                _ => {}
            }
        }
        found
    }

    /// An argument's value, its variables filled in; none where that cannot be told.
    pub(crate) fn value(&self, value: &AstValue) -> Option<Value> {
        Some(match value {
            AstValue::Null => Value::Null,
            AstValue::Boolean(flag) => Value::Bool(*flag),
            AstValue::String(text) => Value::String(text.clone()),
            AstValue::Enum(name) => Value::String(name.to_string()),
            AstValue::Int(number) => number.as_str().parse::<i64>().map_or(Value::Null, Value::from),
            AstValue::Float(number) => {
                number.try_to_f64().ok().and_then(Number::from_f64).map_or(Value::Null, Value::from)
            }
            AstValue::List(items) => Value::Array(items.iter().map(|item| self.value(item)).collect::<Option<_>>()?),
            AstValue::Object(fields) => {
                let field = |(name, value): &(_, Node<AstValue>)| Some((ToString::to_string(name), self.value(value)?));
                Value::Object(fields.iter().map(field).collect::<Option<Map<_, _>>>()?)
            }
            AstValue::Variable(name) => {
                if let Some(given) = self.variables().and_then(|variables| variables.get(name.as_str())) {
                    return Some(given.clone());
                }
                let mut defaults = defaults(self.document(), name);
                let first = defaults.next()?;
                return if defaults.all(|other| other == first) { self.value(first) } else { None };
            }
        })
    }
}

fn defaults<'d>(document: &'d Document, variable: &'d str) -> impl Iterator<Item = &'d Node<AstValue>> {
    let operations = document.definitions.iter().filter_map(Definition::as_operation_definition);
    let variables = operations.flat_map(|operation| &operation.variables);
    variables.filter(move |known| known.name == variable).filter_map(|known| known.default_value.as_ref())
}

fn conditions<'d>(selections: &'d [Selection], found: &mut Vec<&'d str>) {
    for selection in selections {
        match selection {
            Selection::Field(field) => conditions(&field.selection_set, found),
            Selection::InlineFragment(fragment) => {
                found.extend(fragment.type_condition.as_ref().map(|name| name.as_str()));
                conditions(&fragment.selection_set, found);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Query,
    Mutation,
    Type(&'static TypeInfo),
    /// `PatientConnection`
    Connection(&'static TypeInfo),
    /// An edge of it.
    Edge(&'static TypeInfo),
    /// What a reference leads to: its fragments say what it is.
    Any,
    Unknown,
}

impl Place {
    fn of(self) -> Of {
        match self {
            Self::Query => Of::Query,
            Self::Mutation => Of::Mutation,
            Self::Type(info) => Of::Type(info),
            Self::Connection(_) | Self::Edge(_) => Of::Page,
            Self::Any | Self::Unknown => Of::Unknown,
        }
    }

    /// The resource type here, or the one around.
    fn resource(self, around: Option<&'static TypeInfo>) -> Option<&'static TypeInfo> {
        match self {
            Self::Type(info) if info.kind == TypeKind::Resource => Some(info),
            _ => around,
        }
    }

    /// Where the fields of one of its fields are.
    fn field(self, name: &str) -> Self {
        let definitions = Definitions::get();
        let of_list = |end: &str| name.strip_suffix(end).and_then(|name| definitions.resource_type(name));
        match self {
            Self::Query | Self::Mutation | Self::Type(_) if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                if let Some(info) = of_list("Connection") {
                    return Self::Connection(info);
                }
                ENDS.iter().find_map(|end| of_list(end)).map_or(Self::Unknown, Self::Type)
            }
            Self::Connection(info) if name == "edges" => Self::Edge(info),
            Self::Edge(info) if name == "resource" => Self::Type(info),
            Self::Type(info) if info.name == "Reference" && name == "resource" => Self::Any,
            Self::Type(info) => match definitions.element(info, name) {
                Some((_, Some(of))) => match definitions.resolve(of) {
                    Some(info) if info.kind == TypeKind::Abstract && info.name.ends_with("Resource") => Self::Any,
                    Some(info) => Self::Type(info),
                    None => Self::Unknown,
                },
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// The type of a name of the schema: a nested type goes by its path without dots there, `PatientContact`.
pub(crate) fn named(name: &str) -> Option<&'static TypeInfo> {
    let definitions = Definitions::get();
    let same = |info: &&TypeInfo| {
        let own = info.name.bytes().filter(|byte| *byte != b'.').map(|byte| byte.to_ascii_lowercase());
        own.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
    };
    definitions.type_info(name).or_else(|| definitions.types().filter(|info| info.kind == TypeKind::Nested).find(same))
}

/// The place that a fragment's condition names.
fn condition(around: Place, name: &str) -> Place {
    let definitions = Definitions::get();
    match (name, around) {
        ("Query" | "Mutation", _) => match name {
            "Query" => Place::Query,
            _ => Place::Mutation,
        },
        ("ResourceList", _) => Place::Any,
        _ => match named(name) {
            Some(info) => Place::Type(info),
            None => ["Connection", "Edge"]
                .iter()
                .find_map(|end| Some((definitions.resource_type(name.strip_suffix(end)?)?, *end)))
                .map_or(Place::Unknown, |(info, end)| match end {
                    "Edge" => Place::Edge(info),
                    _ => Place::Connection(info),
                }),
        },
    }
}

struct Walk<'d> {
    document: &'d GraphQl,
    found: Vec<Selected<'d>>,
}

impl<'d> Walk<'d> {
    fn selections(&mut self, place: Place, resource: Option<&'static TypeInfo>, selections: &'d [Selection]) {
        for selection in selections {
            match selection {
                // The schema's own names bring nothing of a record.
                Selection::Field(field) if field.name.starts_with("__") => {}
                Selection::Field(field) => {
                    let value = |value: &Node<AstValue>| self.document.value(value);
                    let arguments = field.arguments.iter().map(|a| (a.name.as_str(), value(&a.value))).collect();
                    let key = field.alias.as_ref().unwrap_or(&field.name).as_str();
                    self.found.push(Selected { of: place.of(), name: field.name.as_str(), key, resource, arguments });
                    let inside = place.field(&field.name);
                    let around = if matches!(inside, Place::Any) { None } else { resource };
                    self.selections(inside, inside.resource(around), &field.selection_set);
                }
                Selection::InlineFragment(fragment) => {
                    let inside = fragment.type_condition.as_ref().map_or(place, |name| condition(place, name));
                    self.selections(inside, inside.resource(resource), &fragment.selection_set);
                }
                // A fragment is walked where it is defined.
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(query: &str, variables: Value) -> Vec<String> {
        let document = GraphQl::parse(query, variables.as_object().cloned(), None).unwrap();
        let shown = |field: &Selected<'_>| {
            let of = match field.of {
                Of::Query => "Query".to_owned(),
                Of::Mutation => "Mutation".to_owned(),
                Of::Type(info) => info.name.to_owned(),
                Of::Page => "Page".to_owned(),
                Of::Unknown => "?".to_owned(),
            };
            let arguments: Vec<String> = field
                .arguments
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_ref().map_or("?".into(), Value::to_string)))
                .collect();
            let resource = field.resource.map_or("-", |info| info.name);
            format!("{of}.{}({}) in {resource}", field.name, arguments.join(","))
        };
        document.selected().iter().map(shown).collect()
    }

    #[test]
    fn each_field_has_its_type_whatever_its_alias() {
        let query = "query Q($n: String = \"x\", $id: String) {
            a: PatientList(name: $n, _id: $id, _count: 3) { b: name { c: family } ConditionList(_reference: subject) { note { text } }
                generalPractitioner { resource { ... on Practitioner { qualification { code { text } } } ...F } } }
            ObservationConnection { edges { resource { valueQuantity { value } } } }
            __schema { types { name } } nothing { x }
        } fragment F on Organization { contact { name { family } } }";
        assert_eq!(
            fields(query, json!({"id": "1"})),
            [
                "Query.PatientList(name=\"x\",_id=\"1\",_count=3) in -",
                "Patient.name() in Patient",
                "HumanName.family() in Patient",
                "Patient.ConditionList(_reference=\"subject\") in Patient",
                "Condition.note() in Condition",
                "Annotation.text() in Condition",
                "Patient.generalPractitioner() in Patient",
                "Reference.resource() in Patient",
                "Practitioner.qualification() in Practitioner",
                "Practitioner.qualification.code() in Practitioner",
                "CodeableConcept.text() in Practitioner",
                "Query.ObservationConnection() in -",
                "Page.edges() in -",
                "Page.resource() in -",
                "Observation.valueQuantity() in Observation",
                "Quantity.value() in Observation",
                "Query.nothing() in -",
                "?.x() in -",
                "Organization.contact() in Organization",
                "Organization.contact.name() in Organization",
                "HumanName.family() in Organization",
            ]
        );
    }

    #[test]
    fn what_fields_lead_to() {
        let document =
            GraphQl::parse("mutation { PatientCreate(res: {}) { id } BogusList { id } }", None, None).unwrap();
        let leads: Vec<String> = document
            .selected()
            .iter()
            .filter_map(Selected::leads_to)
            .map(|to| to.map_or_else(|unknown| format!("{unknown}?"), |info| info.name.to_owned()))
            .collect();
        assert_eq!(leads, ["Patient", "BogusList?"]);
    }
}
