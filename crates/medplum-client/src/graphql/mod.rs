//! A GraphQL document, sent as it was judged.

mod answered;
mod lists;
mod names;
mod resources;
mod selected;

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, Document, FragmentDefinition, OperationDefinition, OperationType, Value as Literal,
};
use apollo_compiler::parser::Parser;
use serde_json::{Map, Number, Value, json};

pub use self::lists::FullList;
pub use self::resources::{GraphQlField, GraphQlResource};
pub use self::selected::{Of, Selected};
use crate::effect::Effect;
use crate::invalid::InvalidRequest;

/// Deep enough for any chart, shallow enough for any stack.
const MAX_DEPTH: usize = 64;
const MAX_TOKENS: usize = 20_000;

/// A parsed document. What is sent is printed from the tree that was judged, not the text that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphQl {
    document: Document,
    variables: Option<Map<String, Value>>,
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

    fn operations(&self) -> impl Iterator<Item = &Node<OperationDefinition>> {
        self.document.definitions.iter().filter_map(Definition::as_operation_definition)
    }

    /// Whether an operation is the one that is carried out. Without a name there is only one, or the server refuses.
    fn runs(&self, operation: &OperationDefinition) -> bool {
        self.operation_name.as_ref().is_none_or(|name| operation.name.as_ref().is_some_and(|own| own == name.as_str()))
    }

    fn fragment(&self, name: &str) -> Option<&FragmentDefinition> {
        let fragments = self.document.definitions.iter().filter_map(Definition::as_fragment_definition);
        fragments.map(|fragment| &**fragment).find(|fragment| fragment.name == name)
    }

    /// A read if every operation of the document is a query: a mutation beside a query can be chosen by name.
    pub fn effect(&self) -> Effect {
        let reads = self.operations().all(|operation| operation.operation_type == OperationType::Query);
        if reads { Effect::Read } else { Effect::Write }
    }

    /// An argument's value, its variables filled in; none where that cannot be told.
    fn value(&self, value: &Literal) -> Option<Value> {
        Some(match value {
            Literal::Null => Value::Null,
            Literal::Boolean(flag) => Value::Bool(*flag),
            Literal::String(text) => Value::String(text.clone()),
            Literal::Enum(name) => Value::String(name.to_string()),
            Literal::Int(number) => {
                number.as_str().parse::<i64>().map_or_else(|_| Value::String(number.to_string()), Value::from)
            }
            Literal::Float(number) => {
                let finite = number.try_to_f64().ok().and_then(Number::from_f64);
                finite.map_or_else(|| Value::String(number.to_string()), Value::from)
            }
            Literal::List(items) => Value::Array(items.iter().map(|item| self.value(item)).collect::<Option<_>>()?),
            Literal::Object(fields) => {
                let field = |(name, value): &(_, Node<Literal>)| Some((ToString::to_string(name), self.value(value)?));
                Value::Object(fields.iter().map(field).collect::<Option<Map<_, _>>>()?)
            }
            Literal::Variable(name) => {
                if let Some(given) = self.variables.as_ref().and_then(|variables| variables.get(name.as_str())) {
                    return Some(given.clone());
                }
                let mut defaults = self.defaults(name);
                let first = defaults.next()?;
                return if defaults.all(|other| other == first) { self.value(first) } else { None };
            }
        })
    }

    fn defaults(&self, variable: &str) -> impl Iterator<Item = &Node<Literal>> {
        let operations = self.operations().filter(|operation| self.runs(operation));
        let variables = operations.flat_map(|operation| &operation.variables);
        variables.filter(move |known| known.name == variable).filter_map(|known| known.default_value.as_ref())
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
