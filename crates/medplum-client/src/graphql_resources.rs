//! Which resources a GraphQL document asks for, and which its answer holds.
//!
//! The answer's keys are the document's own (`a: Patient(id: "…") { b: id }`), so it is read along the document.

use apollo_compiler::ast::{Argument, Definition, Field, Selection, Value as Given};
use serde_json::{Map, Value};

use crate::graphql::GraphQl;

/// No honest document comes near: fragments that spread fragments can make a small one endless.
const MOST_STEPS: usize = 200_000;
const MAX_DEPTH: usize = 64;

/// What a field at the top of a document asks for, such as `PatientList` or `PatientDelete(id: "…")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphQlField {
    /// `read`, `search`, `create`, `update`, `patch`, `delete`.
    pub interaction: &'static str,
    /// The type that the field is named after. It need not exist.
    pub resource_type: String,
    /// The id that it is given.
    pub id: Option<String>,
}

/// A resource in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphQlResource {
    /// Its type, where the document says it. It need not exist.
    pub resource_type: Option<String>,
    /// Its id, where the document asks for it.
    pub id: Option<String>,
}

/// What a field's name says: `PatientList` is a search of Patient.
struct Named<'a> {
    interaction: &'static str,
    resource_type: &'a str,
    connection: bool,
}

const ENDINGS: &[(&str, &str)] = &[
    ("List", "search"),
    ("Connection", "search"),
    ("Create", "create"),
    ("Update", "update"),
    ("Patch", "patch"),
    ("Delete", "delete"),
];

fn named(field: &str) -> Option<Named<'_>> {
    if !field.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let ending = ENDINGS.iter().find_map(|(ending, interaction)| {
        let resource_type = field.strip_suffix(ending).filter(|rest| !rest.is_empty())?;
        Some(Named { interaction, resource_type, connection: *ending == "Connection" })
    });
    Some(ending.unwrap_or(Named { interaction: "read", resource_type: field, connection: false }))
}

impl GraphQl {
    /// What the fields at the top of every operation ask for, those of the fragments there too.
    pub fn asked_for(&self) -> Vec<GraphQlField> {
        let mut fields = Vec::new();
        for definition in &self.document.definitions {
            if let Definition::OperationDefinition(operation) = definition {
                self.at_the_top(&operation.selection_set, &mut Vec::new(), &mut fields);
            }
        }
        fields
    }

    /// A fragment is looked into once for an operation, however often it is spread.
    fn at_the_top<'d>(&'d self, selections: &'d [Selection], seen: &mut Vec<&'d str>, found: &mut Vec<GraphQlField>) {
        for selection in selections {
            match selection {
                Selection::Field(field) => found.extend(self.field(field)),
                Selection::InlineFragment(fragment) => self.at_the_top(&fragment.selection_set, seen, found),
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name.as_str();
                    if seen.contains(&name) {
                        continue;
                    }
                    seen.push(name);
                    if let Some((_, selections)) = self.fragment(name) {
                        self.at_the_top(selections, seen, found);
                    }
                }
            }
        }
    }

    fn field(&self, field: &Field) -> Option<GraphQlField> {
        let named = named(field.name.as_str())?;
        let id = field.arguments.iter().find(|argument| argument.name.as_str() == "id");
        Some(GraphQlField {
            interaction: named.interaction,
            resource_type: named.resource_type.to_owned(),
            id: id.and_then(|argument| self.text(argument)),
        })
    }

    fn text(&self, argument: &Argument) -> Option<String> {
        match &*argument.value {
            Given::String(text) => Some(text.clone()),
            Given::Variable(name) => self.variables.as_ref()?.get(name.as_str())?.as_str().map(str::to_owned),
            _ => None,
        }
    }

    /// The resources that an answer to this document holds.
    pub fn resources_in(&self, answer: &Value) -> Vec<GraphQlResource> {
        let mut walk = Walk { of: self, found: Vec::new(), steps: 0 };
        let data = answer.get("data").unwrap_or(&Value::Null);
        for definition in &self.document.definitions {
            if let Definition::OperationDefinition(operation) = definition {
                walk.value(&operation.selection_set, data, Place::Elsewhere, 0);
            }
        }
        walk.found
    }

    pub(crate) fn fragment(&self, name: &str) -> Option<(&str, &[Selection])> {
        self.document.definitions.iter().find_map(|definition| match definition {
            Definition::FragmentDefinition(fragment) if fragment.name.as_str() == name => {
                Some((fragment.type_condition.as_str(), fragment.selection_set.as_slice()))
            }
            _ => None,
        })
    }
}

/// Where in the answer the walk is.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// A resource of this type; of one that only a fragment says.
    Resource(Option<&'a str>),
    /// A connection to resources of this type, or one of its edges.
    Connection(&'a str),
    /// Anything else.
    Elsewhere,
}

struct Walk<'a> {
    of: &'a GraphQl,
    found: Vec<GraphQlResource>,
    steps: usize,
}

/// What the selections of one object say of the resource that it is.
#[derive(Default)]
struct Said<'a> {
    types: Vec<&'a str>,
    id: Option<String>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, selections: &'a [Selection], value: &Value, place: Place<'a>, depth: usize) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.value(selections, value, place, depth)),
            Value::Object(object) => {
                let mut said = Said::default();
                self.object(selections, object, place, depth, &mut said);
                if let Place::Resource(known) = place {
                    let typename = object.get("__typename").and_then(Value::as_str);
                    let only = match said.types.as_slice() {
                        [one] => Some(*one),
                        _ => None,
                    };
                    let resource_type = known.or(typename).or(only).map(str::to_owned);
                    self.found.push(GraphQlResource { resource_type, id: said.id });
                }
            }
            _ => {}
        }
    }

    fn object(
        &mut self,
        selections: &'a [Selection],
        object: &Map<String, Value>,
        place: Place<'a>,
        depth: usize,
        said: &mut Said<'a>,
    ) {
        self.steps = self.steps.saturating_add(1);
        if depth > MAX_DEPTH || self.steps > MOST_STEPS {
            return;
        }
        let deeper = depth.saturating_add(1);
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name);
                    let Some(value) = object.get(key.as_str()) else { continue };
                    if let (Place::Resource(_), "id", Some(id)) = (place, field.name.as_str(), value.as_str()) {
                        said.id = Some(id.to_owned());
                    }
                    self.value(&field.selection_set, value, inside(place, field.name.as_str()), deeper);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.type_condition.as_ref().map(|name| name.as_str());
                    said.types.extend(condition.filter(|name| !said.types.contains(name)));
                    self.object(&fragment.selection_set, object, place, deeper, said);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some((condition, selections)) = self.of.fragment(spread.fragment_name.as_str()) {
                        said.types.extend(Some(condition).filter(|name| !said.types.contains(name)));
                        self.object(selections, object, place, deeper, said);
                    }
                }
            }
        }
    }
}

/// What a field leads to.
fn inside<'a>(place: Place<'a>, field: &'a str) -> Place<'a> {
    match (place, field, named(field)) {
        (_, _, Some(Named { resource_type, connection: true, .. })) => Place::Connection(resource_type),
        (_, _, Some(Named { resource_type, .. })) => Place::Resource(Some(resource_type)),
        (Place::Connection(resource_type), "edges", None) => Place::Connection(resource_type),
        (Place::Connection(resource_type), "resource", None) => Place::Resource(Some(resource_type)),
        (_, "resource", None) => Place::Resource(None),
        _ => Place::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(query: &str, variables: Value, answer: Value) -> Vec<String> {
        let variables = variables.as_object().cloned();
        let document = GraphQl::parse(query, variables, None).unwrap();
        let name = |found: &GraphQlResource| {
            format!("{}/{}", found.resource_type.as_deref().unwrap_or("?"), found.id.as_deref().unwrap_or("?"))
        };
        document.resources_in(&json!({ "data": answer })).iter().map(name).collect()
    }

    #[test]
    fn the_answer_is_read_along_the_document() {
        let found = names(
            "{ a: Patient(id: \"1\") { b: id id2: birthDate name { id } } PatientList { id } }",
            json!({}),
            json!({"a": {"b": "1", "id2": "1970-01-01", "name": [{"id": "n"}]}, "PatientList": [{"id": "2"}, {"id": "3"}]}),
        );
        assert_eq!(found, ["Patient/1", "Patient/2", "Patient/3"]);
    }

    #[test]
    fn references_connections_and_fragments() {
        let found = names(
            "query { ObservationConnection { edges { resource { id subject { resource { ... on Patient { id ...F } } } } } } }
             fragment F on Patient { EncounterList(_reference: patient) { status } }",
            json!({}),
            json!({"ObservationConnection": {"edges": [{"resource": {"id": "o", "subject": {"resource":
                {"id": "p", "EncounterList": [{"status": "finished"}]}}}}]}}),
        );
        assert_eq!(found, ["Encounter/?", "Patient/p", "Observation/o"]);
        let two = "{ ObservationList { subject { resource { ... on Patient { id } ... on Group { id } } } } }";
        let answer = json!({"ObservationList": [{"subject": {"resource": {"id": "x"}}}]});
        assert_eq!(names(two, json!({}), answer), ["?/x", "Observation/?"]);
    }

    #[test]
    fn an_alias_is_no_id() {
        let found =
            names("{ PatientList { id: birthDate } }", json!({}), json!({"PatientList": [{"id": "1970-01-01"}]}));
        assert_eq!(found, ["Patient/?"]);
    }

    #[test]
    fn fragments_without_end_come_to_one() {
        let mut query = "{ PatientList { ...F0 } }".to_owned();
        for n in 0..40 {
            query.push_str(&format!(" fragment F{n} on Patient {{ ...F{m} ...F{m} }}", m = (n + 1) % 40));
        }
        assert_eq!(names(&query, json!({}), json!({"PatientList": [{}]})), ["Patient/?"]);
    }

    #[test]
    fn what_the_fields_ask_for() {
        let query = "mutation M($id: ID!) { PatientDelete(id: $id) { id } x: PatientCreate(res: {}) { id } } query Q { Patient(id: \"7\") { id } }";
        let document = GraphQl::parse(query, json!({"id": "9"}).as_object().cloned(), None).unwrap();
        let asked: Vec<String> = document
            .asked_for()
            .iter()
            .map(|f| format!("{} {} {}", f.interaction, f.resource_type, f.id.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(asked, ["delete Patient 9", "create Patient -", "read Patient 7"]);
        let query = "mutation { ...A ...A } query Q { ... on Query { Patient(id: \"7\") { id } ...B } }
            fragment A on Mutation { PatientDelete(id: \"1\") { id } ...A } fragment B on Query { ...B ConditionList { id } }";
        let document = GraphQl::parse(query, None, None).unwrap();
        let asked: Vec<String> =
            document.asked_for().iter().map(|f| format!("{} {}", f.interaction, f.resource_type)).collect();
        assert_eq!(asked, ["delete Patient", "read Patient", "search Condition"]);
    }
}
