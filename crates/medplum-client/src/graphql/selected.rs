//! The fields of a GraphQL document, each with the type that it is a field of: an alias renames a field in the answer,
//! so what is in an answer can be told from the document alone.

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, OperationType, Selection, Value as Literal};
use fhir_definitions::search::asks_for_nothing;
use fhir_definitions::{Definitions, TypeInfo, TypeKind};
use serde_json::Value;

use super::GraphQl;
use super::names::{Holds, named};

/// What a field is a field of.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// The document's root: `Patient`, `PatientList`, `PatientConnection`.
    Query,
    /// The root of a mutation: `PatientCreate`.
    Mutation,
    /// A resource or a data type.
    Type(&'static TypeInfo),
    /// A page of resources of this type: `PatientConnection`.
    Connection(&'static TypeInfo),
    /// An edge of it.
    Edge(&'static TypeInfo),
    /// What a reference leads to: the fragments there say what it is.
    Any,
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

impl Selected<'_> {
    /// The resource type that a field such as `PatientList` leads to; the name itself where there is no such type.
    /// None for an element.
    pub fn leads_to(&self) -> Option<Result<&'static TypeInfo, &str>> {
        named(self.name).map(|named| named.known().ok_or(self.name))
    }

    /// The filters of a search with the names of their parameters, which have underscores in a document. A list is each of
    /// its items; what cannot be told is left out.
    pub fn filters(&self) -> Vec<(String, String)> {
        let is_search = named(self.name).is_some_and(|named| named.is_search());
        let arguments = self.arguments.iter().filter(|_| is_search);
        let values = arguments.flat_map(|(name, value)| {
            let values =
                value.as_ref().map_or(&[][..], |v| v.as_array().map_or(std::slice::from_ref(v), Vec::as_slice));
            values.iter().filter_map(move |value| Some((parameter(name), text(value)?)))
        });
        values.collect()
    }

    /// The first argument of a search that filters and has no value.
    fn empty_filter(&self) -> Option<&str> {
        named(self.name).filter(|named| named.is_search())?;
        let empty = self.arguments.iter().find(|(name, value)| {
            // What starts with an underscore may shape the page: not to give it is no mistake.
            let filters = !name.starts_with('_');
            value.as_ref().map_or(filters, |value| is_nothing(name, value, filters))
        });
        empty.map(|(name, _)| *name)
    }
}

/// `value-quantity` for `value_quantity`, `_id` as it is.
fn parameter(argument: &str) -> String {
    let (start, rest) = argument.split_at_checked(1).unwrap_or((argument, ""));
    format!("{start}{}", rest.replace('_', "-"))
}

/// A value as it stands in a URL.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text that asks for nothing once it is read, a list that holds one, and null where a filter is meant.
fn is_nothing(name: &str, value: &Value, filters: bool) -> bool {
    match value {
        Value::String(text) => asks_for_nothing(name, text).is_some(),
        Value::Array(values) => values.iter().any(|value| is_nothing(name, value, filters)),
        Value::Null => filters,
        _ => false,
    }
}

impl GraphQl {
    /// Every field of the document, at every depth, in fragments too.
    pub fn selected(&self) -> Vec<Selected<'_>> {
        self.walked().fields
    }

    /// The types that its fragments are on, in the schema's names, and what these are.
    pub(crate) fn conditions(&self) -> Vec<(&str, Of)> {
        self.walked().conditions
    }

    /// The first filter of a search (`PatientList`, `PatientConnection`) that has no value, which Medplum takes for none:
    /// the field and the argument. An argument whose variable is not given counts, but for those that shape the page.
    pub fn empty_filter(&self) -> Option<String> {
        self.selected().iter().find_map(|field| Some(format!("{}({})", field.name, field.empty_filter()?)))
    }

    fn walked(&self) -> Walk<'_> {
        let mut walk = Walk { document: self, fields: Vec::new(), conditions: Vec::new() };
        for definition in &self.document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    let root = match operation.operation_type {
                        OperationType::Query => Of::Query,
                        OperationType::Mutation => Of::Mutation,
                        OperationType::Subscription => Of::Unknown,
                    };
                    walk.selections(root, None, &operation.selection_set);
                }
                // A fragment is walked where it is defined.
                Definition::FragmentDefinition(fragment) => {
                    walk.fragment(&fragment.type_condition, None, &fragment.selection_set);
                }
                _ => {}
            }
        }
        walk
    }
}

struct Walk<'d> {
    document: &'d GraphQl,
    fields: Vec<Selected<'d>>,
    conditions: Vec<(&'d str, Of)>,
}

impl<'d> Walk<'d> {
    fn selections(&mut self, of: Of, resource: Option<&'static TypeInfo>, selections: &'d [Selection]) {
        for selection in selections {
            match selection {
                // The schema's own names bring nothing of a record.
                Selection::Field(field) if field.name.starts_with("__") => {}
                Selection::Field(field) => {
                    let value = |value: &Node<Literal>| self.document.value(value);
                    let arguments = field.arguments.iter().map(|a| (a.name.as_str(), value(&a.value))).collect();
                    let key = field.alias.as_ref().unwrap_or(&field.name).as_str();
                    self.fields.push(Selected { of, name: field.name.as_str(), key, resource, arguments });
                    let inside = of.field(&field.name);
                    let around = if matches!(inside, Of::Any) { None } else { resource };
                    self.selections(inside, inside.resource(around), &field.selection_set);
                }
                Selection::InlineFragment(fragment) => match &fragment.type_condition {
                    Some(name) => self.fragment(name, resource, &fragment.selection_set),
                    None => self.selections(of, resource, &fragment.selection_set),
                },
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn fragment(&mut self, condition: &'d str, around: Option<&'static TypeInfo>, selections: &'d [Selection]) {
        let of = Of::condition(condition);
        self.conditions.push((condition, of));
        self.selections(of, of.resource(around), selections);
    }
}

impl Of {
    /// What a fragment's condition names.
    fn condition(name: &str) -> Self {
        let of_page = |end: &str| Definitions::get().resource_type(name.strip_suffix(end)?);
        match name {
            "Query" => Self::Query,
            "Mutation" => Self::Mutation,
            "ResourceList" => Self::Any,
            _ => (schema_type(name).map(Self::Type))
                .or_else(|| of_page("Connection").map(Self::Connection))
                .or_else(|| of_page("Edge").map(Self::Edge))
                .unwrap_or(Self::Unknown),
        }
    }

    /// The resource type here, or the one around.
    fn resource(self, around: Option<&'static TypeInfo>) -> Option<&'static TypeInfo> {
        match self {
            Self::Type(info) if info.kind == TypeKind::Resource => Some(info),
            _ => around,
        }
    }

    /// What the fields inside of one of its fields are fields of.
    fn field(self, name: &str) -> Self {
        match (self, named(name)) {
            (Self::Query | Self::Mutation | Self::Type(_), Some(named)) => match (named.known(), named.holds) {
                (Some(info), Holds::Connection) => Self::Connection(info),
                (Some(info), _) => Self::Type(info),
                (None, _) => Self::Unknown,
            },
            (Self::Connection(info), _) if name == "edges" => Self::Edge(info),
            (Self::Edge(info), _) if name == "resource" => Self::Type(info),
            (Self::Type(info), _) if info.name == "Reference" && name == "resource" => Self::Any,
            (Self::Type(info), None) => Self::element(info, name),
            _ => Self::Unknown,
        }
    }

    fn element(info: &'static TypeInfo, name: &str) -> Self {
        let definitions = Definitions::get();
        let of = definitions.element(info, name).and_then(|(_, of)| of);
        match of.and_then(|of| definitions.resolve(of)) {
            Some(info) if info.kind == TypeKind::Abstract && info.name.ends_with("Resource") => Self::Any,
            Some(info) => Self::Type(info),
            None => Self::Unknown,
        }
    }
}

/// The type of a name of the schema: a nested type goes by its path without dots there, `PatientContact`.
fn schema_type(name: &str) -> Option<&'static TypeInfo> {
    let definitions = Definitions::get();
    let same = |info: &&TypeInfo| {
        let own = info.name.bytes().filter(|byte| *byte != b'.').map(|byte| byte.to_ascii_lowercase());
        own.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
    };
    definitions.type_info(name).or_else(|| definitions.types().filter(|info| info.kind == TypeKind::Nested).find(same))
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
                Of::Connection(info) => format!("{}Connection", info.name),
                Of::Edge(info) => format!("{}Edge", info.name),
                Of::Any | Of::Unknown => "?".to_owned(),
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
                "ObservationConnection.edges() in -",
                "ObservationEdge.resource() in -",
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

    #[test]
    fn filters_go_by_the_names_of_their_parameters() {
        let query = "query($n: String) { ObservationList(value_quantity: 7.5, code: [\"a\", \"b\"], _id: \"1\", date: $n, status: null)
            { id } Patient(id: \"1\") { id } }";
        let document = GraphQl::parse(query, None, None).unwrap();
        let filters: Vec<_> = document.selected().iter().flat_map(Selected::filters).collect();
        let expected = [("value-quantity", "7.5"), ("code", "a"), ("code", "b"), ("_id", "1")];
        assert_eq!(filters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_filter_without_a_value_is_found() {
        let given = |query: &str, variables: Value| {
            GraphQl::parse(query, variables.as_object().cloned(), None).unwrap().empty_filter()
        };
        for (query, variables) in [
            ("{ PatientList(name: \"\") { id } }", json!({})),
            ("{ PatientList(name: \" \") { id } }", json!({})),
            ("{ PatientList(name: null) { id } }", json!({})),
            ("{ PatientList(name: [\"a\", \"\"]) { id } }", json!({})),
            ("{ PatientConnection(name: \"\") { count } }", json!({})),
            ("query($n: String) { PatientList(name: $n) { id } }", json!({"n": ""})),
            ("query($n: String) { PatientList(name: $n) { id } }", json!({"n": null})),
            ("query($n: String) { PatientList(name: $n) { id } }", json!({})),
            ("{ Patient(id: \"1\") { ObservationList(_reference: patient, code: \"\") { id } } }", json!({})),
            ("{ PatientList(_id: \"\") { id } }", json!({})),
            ("{ PatientList(name: \"\\\\\") { id } }", json!({})),
            ("{ PatientList(gender: \"male,|\") { id } }", json!({})),
            ("query($n: String) { PatientList(gender: $n) { id } }", json!({"n": "|"})),
        ] {
            assert!(given(query, variables.clone()).is_some(), "{query} {variables}");
        }
        assert_eq!(given("{ a: PatientList(name: \"\") { id } }", json!({})).as_deref(), Some("PatientList(name)"));
        for (query, variables) in [
            ("{ PatientList(name: \"Smith\", _count: 5) { id } }", json!({})),
            ("{ PatientList { id } }", json!({})),
            ("query($n: String = \"Smith\") { PatientList(name: $n) { id } }", json!({})),
            ("query($n: String, $c: Int) { PatientList(name: $n, _count: $c) { id } }", json!({"n": "Smith"})),
            ("{ PatientList(active: false) { id } }", json!({})),
            ("{ PatientList(gender: \"|male\", identifier: \"http://h|\") { id } }", json!({})),
            ("{ PatientList(identifier: 99999999999999999999) { id } }", json!({})),
            ("mutation { PatientCreate(res: {name: \"\"}) { id } }", json!({})),
        ] {
            assert_eq!(given(query, variables.clone()), None, "{query} {variables}");
        }
    }
}
