//! The values of arguments and variables.

use apollo_compiler::ast::{Field, OperationDefinition, Type, Value as AstValue};
use serde_json::{Map, Value, json};

use super::Variables;

/// A value with its variables put in.
pub(super) fn value(given: &AstValue, variables: &Variables) -> Value {
    match given {
        AstValue::Null => Value::Null,
        AstValue::Enum(name) => json!(name.as_str()),
        AstValue::Variable(name) => variables.get(name.as_str()).cloned().unwrap_or(Value::Null),
        AstValue::String(text) => json!(text.as_str()),
        AstValue::Float(number) => number.try_to_f64().map_or(Value::Null, |number| json!(number)),
        AstValue::Int(number) => number.as_str().parse::<i64>().map_or(Value::Null, |number| json!(number)),
        AstValue::Boolean(truth) => json!(truth),
        AstValue::List(list) => list.iter().map(|item| value(item, variables)).collect(),
        AstValue::Object(fields) => {
            let fields = fields.iter().map(|(name, item)| (name.as_str().to_owned(), value(item, variables)));
            Value::Object(fields.collect())
        }
    }
}

/// The arguments of a field; what is null is as if it were not there.
pub(super) fn arguments(field: &Field, variables: &Variables) -> Map<String, Value> {
    let all = field.arguments.iter();
    let all = all.map(|argument| (argument.name.as_str().to_owned(), value(&argument.value, variables)));
    all.filter(|(_, value)| !value.is_null()).collect()
}

/// A value as the text of a search.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The variables that an operation declares: as they were given, or their defaults.
pub(super) fn variables(operation: &OperationDefinition, given: &Map<String, Value>) -> Result<Variables, String> {
    let mut all = Variables::new();
    for declared in &operation.variables {
        let name = declared.name.as_str();
        let found = match (given.get(name), &declared.default_value) {
            (Some(found), _) => found.clone(),
            (None, Some(default)) => value(default, &Variables::new()),
            (None, None) => Value::Null,
        };
        let required = matches!(*declared.ty, Type::NonNullNamed(_) | Type::NonNullList(_));
        if required && found.is_null() {
            return Err(format!("Variable \"${name}\" of required type \"{}\" was not provided.", declared.ty));
        }
        all.insert(name.to_owned(), found);
    }
    Ok(all)
}
