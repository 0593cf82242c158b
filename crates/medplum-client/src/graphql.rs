//! A GraphQL document, sent as it was judged.

use apollo_compiler::ast::{Argument, Definition, Document, OperationType, Selection, Value as Literal};
use apollo_compiler::parser::Parser;
use serde_json::{Map, Value, json};

use crate::effect::Effect;
use crate::invalid::InvalidRequest;

/// Deep enough for any chart, shallow enough for any stack.
const MAX_DEPTH: usize = 64;
const MAX_TOKENS: usize = 20_000;

/// A parsed document. What is sent is printed from the tree that was judged, not the text that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphQl {
    pub(crate) document: Document,
    pub(crate) variables: Option<Map<String, Value>>,
    operation_name: Option<String>,
}

impl GraphQl {
    /// Parses a document and takes its variables.
    ///
    /// # Errors
    /// [`InvalidRequest::GraphQl`] if it does not parse, holds no operation, or defines types.
    pub fn parse(
        query: &str,
        variables: Option<Map<String, Value>>,
        operation_name: Option<String>,
    ) -> Result<Self, InvalidRequest> {
        let document = Parser::new()
            .recursion_limit(MAX_DEPTH)
            .token_limit(MAX_TOKENS)
            .parse_ast(query, "query")
            .map_err(|invalid| InvalidRequest::GraphQl(first_error(&invalid.errors)))?;
        let mut operations = 0_usize;
        for definition in &document.definitions {
            match definition {
                Definition::OperationDefinition(_) => operations = operations.saturating_add(1),
                Definition::FragmentDefinition(_) => {}
                _ => {
                    return Err(InvalidRequest::GraphQl(
                        "it defines types; only operations and fragments can be sent".into(),
                    ));
                }
            }
        }
        if operations == 0 {
            return Err(InvalidRequest::GraphQl("it has no operation, such as { Patient(id: \"…\") { id } }".into()));
        }
        Ok(Self { document, variables, operation_name })
    }

    /// Takes the JSON body of a `$graphql` request.
    pub(crate) fn from_body(body: &Value) -> Result<Self, InvalidRequest> {
        let object = body.as_object();
        let Some(query) = object.and_then(|o| o.get("query")).and_then(Value::as_str) else {
            return Err(InvalidRequest::GraphQl("the body must be {\"query\": \"…\"}".into()));
        };
        let optional = |name: &str| object.and_then(|o| o.get(name)).filter(|v| !v.is_null());
        let variables = match optional("variables") {
            None => None,
            Some(Value::Object(map)) => Some(map.clone()),
            Some(_) => return Err(InvalidRequest::GraphQl("variables must be an object".into())),
        };
        let operation_name = match optional("operationName") {
            None => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(_) => return Err(InvalidRequest::GraphQl("operationName must be a string".into())),
        };
        Self::parse(query, variables, operation_name)
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    pub(crate) fn variables(&self) -> Option<&Map<String, Value>> {
        self.variables.as_ref()
    }

    /// A read if every operation of the document is a query: a mutation beside a query can be chosen by name.
    pub fn effect(&self) -> Effect {
        let reads = self.document.definitions.iter().all(|definition| match definition {
            Definition::OperationDefinition(operation) => operation.operation_type == OperationType::Query,
            _ => true,
        });
        if reads { Effect::Read } else { Effect::Write }
    }

    /// The names of all fields of the document (not their aliases), at every depth.
    pub fn field_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for definition in &self.document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => collect(&operation.selection_set, &mut names),
                Definition::FragmentDefinition(fragment) => collect(&fragment.selection_set, &mut names),
                _ => {}
            }
        }
        names
    }

    /// The first filter of a search (`PatientList`, `PatientConnection`) that has no value, which Medplum takes for none:
    /// the field and the argument. An argument whose variable is not given counts, but for those that shape the page.
    pub fn empty_filter(&self) -> Option<String> {
        self.document.definitions.iter().find_map(|definition| match definition {
            Definition::OperationDefinition(operation) => self.empty_within(&operation.selection_set),
            Definition::FragmentDefinition(fragment) => self.empty_within(&fragment.selection_set),
            _ => None,
        })
    }

    fn empty_within(&self, selections: &[Selection]) -> Option<String> {
        selections.iter().find_map(|selection| match selection {
            Selection::Field(field) => {
                let searches = ["List", "Connection"].iter().any(|end| field.name.ends_with(end));
                let empty = field.arguments.iter().find(|argument| searches && self.is_empty(argument));
                let named = empty.map(|argument| format!("{}({})", field.name, argument.name));
                named.or_else(|| self.empty_within(&field.selection_set))
            }
            Selection::InlineFragment(fragment) => self.empty_within(&fragment.selection_set),
            Selection::FragmentSpread(_) => None,
        })
    }

    fn is_empty(&self, argument: &Argument) -> bool {
        let filters = !argument.name.starts_with('_');
        match &*argument.value {
            Literal::Variable(name) => match self.variables.as_ref().and_then(|given| given.get(name.as_str())) {
                Some(value) => is_nothing(value, filters),
                None => filters && !self.has_default(name),
            },
            literal => is_empty_literal(literal, filters),
        }
    }

    fn has_default(&self, variable: &str) -> bool {
        let operations = self.document.definitions.iter().filter_map(|definition| match definition {
            Definition::OperationDefinition(operation) => Some(operation),
            _ => None,
        });
        let mut variables = operations.flat_map(|operation| &operation.variables);
        variables.any(|known| {
            known.name == variable && known.default_value.as_ref().is_some_and(|value| !is_empty_literal(value, true))
        })
    }

    pub(crate) fn to_body(&self) -> Value {
        let mut body = json!({ "query": self.document.serialize().no_indent().to_string() });
        if let Some(object) = body.as_object_mut() {
            if let Some(variables) = &self.variables {
                object.insert("variables".into(), Value::Object(variables.clone()));
            }
            if let Some(name) = &self.operation_name {
                object.insert("operationName".into(), Value::String(name.clone()));
            }
        }
        body
    }
}

/// A text without a letter, a list that holds one, and null where a filter is meant.
fn is_nothing(value: &Value, filters: bool) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.iter().any(|value| is_nothing(value, filters)),
        Value::Null => filters,
        _ => false,
    }
}

fn is_empty_literal(value: &Literal, filters: bool) -> bool {
    match value {
        Literal::String(text) => text.trim().is_empty(),
        Literal::List(values) => values.iter().any(|value| is_empty_literal(value, filters)),
        Literal::Null => filters,
        _ => false,
    }
}

fn collect<'a>(selections: &'a [Selection], names: &mut Vec<&'a str>) {
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                names.push(field.name.as_str());
                collect(&field.selection_set, names);
            }
            Selection::InlineFragment(fragment) => collect(&fragment.selection_set, names),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn first_error(errors: &apollo_compiler::validation::DiagnosticList) -> String {
    let Some(error) = errors.iter().next() else {
        return "it does not parse".into();
    };
    let message = error.error.to_string();
    match error.line_column_range() {
        Some(range) => format!("line {} column {}: {message}", range.start.line, range.start.column),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(query: &str) -> Effect {
        GraphQl::parse(query, None, None).unwrap().effect()
    }

    #[test]
    fn a_document_reads_only_if_all_its_operations_do() {
        assert_eq!(effect("{ Patient(id: \"1\") { id } }"), Effect::Read);
        assert_eq!(effect("query A { PatientList { id } } query B { PatientList { id } }"), Effect::Read);
        assert_eq!(
            effect("query A { PatientList { id } } mutation B { PatientDelete(id: \"1\") { id } }"),
            Effect::Write
        );
        assert_eq!(effect("subscription { PatientList { id } }"), Effect::Write);
        assert_eq!(effect("# { \n mutation { PatientDelete(id: \"1\") { id } }"), Effect::Write);
        assert_eq!(effect("{ a: PatientList(name: \"mutation {\") { id } }"), Effect::Read);
    }

    #[test]
    fn what_is_sent_is_the_parsed_tree() {
        let given = "query Q($id: ID!) {\n  # comment\n  Patient(id: $id) { id ... on Patient { name { given } } }\n}";
        let parsed = GraphQl::parse(given, None, Some("Q".into())).unwrap();
        let body = parsed.to_body();
        let printed = body["query"].as_str().unwrap();
        assert!(!printed.contains("comment"));
        let again = GraphQl::parse(printed, None, Some("Q".into())).unwrap();
        assert_eq!(again.to_body(), body);
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
            ("mutation { PatientCreate(res: {name: \"\"}) { id } }", json!({})),
        ] {
            assert_eq!(given(query, variables.clone()), None, "{query} {variables}");
        }
    }

    #[test]
    fn what_does_not_parse_says_where() {
        for bad in ["", "{ Patient(", "type Query { a: Int }", "fragment F on Patient { id }", "{ a \u{0} }"] {
            assert!(GraphQl::parse(bad, None, None).is_err(), "{bad:?}");
        }
        let deep = format!("{}id{}", "{a".repeat(5_000), "}".repeat(5_000));
        assert!(GraphQl::parse(&deep, None, None).is_err());
        let error = GraphQl::parse("{ Patient(", None, None).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
