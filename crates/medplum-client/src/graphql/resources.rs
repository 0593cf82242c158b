//! Which resources a GraphQL document asks for, and which its answer holds.

use apollo_compiler::ast::Field;
use serde_json::{Map, Value};

use super::GraphQl;
use super::answered::{Chosen, Found};
use super::names::{Holds, named};

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

impl GraphQl {
    /// What the fields at the top of every operation ask for, those of the fragments there too.
    pub fn asked_for(&self) -> Vec<GraphQlField> {
        let of = |chosen: Chosen<'_>| -> Vec<_> {
            chosen.fields.iter().flat_map(|asked| &asked.fields).filter_map(|field| self.asked(field)).collect()
        };
        self.operations().flat_map(|operation| of(self.chosen(&[&operation.selection_set]))).collect()
    }

    fn asked(&self, field: &Field) -> Option<GraphQlField> {
        let named = named(&field.name)?;
        let id = field.arguments.iter().find(|argument| argument.name == "id");
        let id = id.and_then(|argument| self.value(&argument.value));
        Some(GraphQlField {
            interaction: named.interaction,
            resource_type: named.resource_type.to_owned(),
            id: id.and_then(|id| id.as_str().map(str::to_owned)),
        })
    }

    /// The resources that an answer to this document holds.
    pub fn resources_in(&self, answer: &Value) -> Vec<GraphQlResource> {
        let mut resources = Vec::new();
        self.along(answer, &mut |found| {
            if let Some(known) = resource_type(found) {
                resources.extend(found.objects().map(|object| resource(found.chosen(), object, known)));
            }
        });
        resources
    }
}

/// The type of the resources that a field holds, as far as its name and what it stands in say it; none if it holds none.
fn resource_type<'d>(found: &Found<'_, 'd>) -> Option<Option<&'d str>> {
    match found.named() {
        Some(named) => (named.holds != Holds::Connection).then_some(Some(named.resource_type)),
        None if found.asked.name == "resource" => {
            let edges = found.inside.filter(|around| around.asked.name == "edges");
            let connection = edges.and_then(|edges| edges.inside).filter(|around| around.holds(Holds::Connection));
            Some(connection.and_then(Found::named).map(|named| named.resource_type))
        }
        None => None,
    }
}

/// A fragment's type counts where it is the only one: several may be there for what is one of them.
fn resource(chosen: &Chosen<'_>, object: &Map<String, Value>, known: Option<&str>) -> GraphQlResource {
    let text = |name: &str| chosen.value(object, name).and_then(Value::as_str);
    let mut conditions = chosen.conditions.iter().copied();
    let first = conditions.next();
    let only = first.filter(|first| conditions.all(|other| other == *first));
    GraphQlResource {
        resource_type: known.or(text("__typename")).or(only).map(str::to_owned),
        id: text("id").map(str::to_owned),
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
        assert_eq!(found, ["Observation/o", "Patient/p", "Encounter/?"]);
        let two = "{ ObservationList { subject { resource { ... on Patient { id } ... on Group { id } } } } }";
        let answer = json!({"ObservationList": [{"subject": {"resource": {"id": "x"}}}]});
        assert_eq!(names(two, json!({}), answer), ["Observation/?", "?/x"]);
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
    fn a_long_chain_of_fragments_is_followed_to_its_end() {
        let mut query = "{ ...F0 }".to_owned();
        for n in 0..1_000 {
            query.push_str(&format!(" fragment F{n} on Query {{ ...F{} }}", n + 1));
        }
        query.push_str(" fragment F1000 on Query { PatientList { id } }");
        let document = GraphQl::parse(&query, None, None).unwrap();
        assert_eq!(document.asked_for().len(), 1);
        assert_eq!(names(&query, json!({}), json!({"PatientList": [{"id": "1"}]})), ["Patient/1"]);
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
