//! `$graphql`: queries over the definitions, and the four mutations of each type.

mod arguments;
mod check;
mod run;
mod schema;

use apollo_compiler::ast::{Definition, Document, OperationDefinition};
use apollo_compiler::parser::Parser;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::outcome::{Issue, Outcome, Result};
use crate::reply::{JSON, Reply};

/// Deeper nesting is not even parsed.
const DEEPEST: usize = 64;
const MOST_TOKENS: usize = 50_000;

/// Answers it. What is wrong with the document is a 400; what goes wrong while it is carried out is told in `errors`.
pub(crate) fn answer(call: &mut Call<'_>, body: &Value) -> Result<Answer> {
    let query = body.get("query").and_then(Value::as_str).filter(|query| !query.is_empty());
    let query = query.ok_or_else(|| Outcome::bad_request("Must provide query."))?;
    let mut parser = Parser::new().recursion_limit(DEEPEST).token_limit(MOST_TOKENS);
    let document = parser.parse_ast(query, "query").map_err(|_| Outcome::bad_request("GraphQL syntax error."))?;
    let faults = check::faults(call.engine.definitions(), &document)?;
    if !faults.is_empty() {
        let issues = faults.into_iter().map(|fault| Issue::error("invalid", fault)).collect();
        return Err(Outcome::of_issues(issues));
    }
    let name = body.get("operationName").and_then(Value::as_str);
    let given = body.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
    let prepared =
        operation(&document, name).and_then(|operation| Ok((operation, arguments::variables(operation, &given)?)));
    let result = match prepared {
        Ok((operation, variables)) => run::run(call, &document, operation, &variables),
        Err(message) => json!({"errors": [{"message": message}]}),
    };
    Ok(Answer::Raw(Reply::json(200, JSON, &result)))
}

/// The operation that is to be carried out.
fn operation<'d>(document: &'d Document, name: Option<&str>) -> std::result::Result<&'d OperationDefinition, String> {
    let mut operations = document.definitions.iter().filter_map(|definition| match definition {
        Definition::OperationDefinition(operation) => Some(&**operation),
        _ => None,
    });
    if let Some(name) = name {
        let named = |operation: &&OperationDefinition| operation.name.as_ref().is_some_and(|known| known == name);
        return operations.find(named).ok_or_else(|| format!("Unknown operation named \"{name}\"."));
    }
    match (operations.next(), operations.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err("Must provide an operation.".to_owned()),
        _ => Err("Must provide operation name if query contains multiple operations.".to_owned()),
    }
}

/// The variables of a request, complete.
type Variables = Map<String, Value>;
