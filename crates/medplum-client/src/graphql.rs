//! A GraphQL document, sent as it was judged.

use apollo_compiler::ast::{Definition, Document, OperationType, Selection};
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
