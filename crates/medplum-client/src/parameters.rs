//! Plain arguments as a Parameters resource (<https://hl7.org/fhir/R4/parameters.html>).

use serde_json::{Map, Value, json};

use crate::invalid::InvalidRequest;

/// Wraps the arguments of an operation. A resource is taken as it is.
///
/// The type of a value decides its element: a truth value is `valueBoolean`, a whole number of 32 bits `valueInteger`, another
/// number `valueDecimal`, a text `valueString`, a resource `resource`, an object with `system` and `code`
/// `valueCoding`, one with `reference` `valueReference`, any other the text of its JSON. A list repeats the
/// parameter, and null is left out.
///
/// # Errors
/// [`InvalidRequest::Body`] for a list that is empty or has a list or null in it: no parameter says that.
pub fn to_parameters(arguments: &Map<String, Value>) -> Result<Value, InvalidRequest> {
    if arguments.get("resourceType").is_some_and(Value::is_string) {
        return Ok(Value::Object(arguments.clone()));
    }
    let mut all = Vec::new();
    for (name, value) in arguments {
        let values = match value {
            Value::Null => &[],
            Value::Array(values) => list(name, values)?,
            value => std::slice::from_ref(value),
        };
        all.extend(values.iter().map(|value| parameter(name, value)));
    }
    Ok(json!({ "resourceType": "Parameters", "parameter": all }))
}

fn list<'a>(name: &str, values: &'a [Value]) -> Result<&'a [Value], InvalidRequest> {
    let wrong = |what: &str| Err(InvalidRequest::Body(format!("params: {} is {what}", Value::from(name))));
    if values.is_empty() {
        return wrong("an empty list, which no parameter says: leave it out, or give it a value");
    }
    if values.iter().any(Value::is_array) {
        return wrong("a list of lists. A list repeats the parameter, once a value: [\"x\",\"y\"]");
    }
    if values.iter().any(Value::is_null) {
        return wrong("a list with null in it, which no parameter says: leave the null out");
    }
    Ok(values)
}

fn parameter(name: &str, value: &Value) -> Value {
    let mut parameter = Map::new();
    parameter.insert("name".into(), name.into());
    let (element, value) = element(value);
    parameter.insert(element.into(), value);
    Value::Object(parameter)
}

fn element(value: &Value) -> (&'static str, Value) {
    let element = match value {
        Value::Bool(_) => "valueBoolean",
        // An integer of FHIR has 32 bits.
        Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => "valueInteger",
        Value::Number(_) => "valueDecimal",
        Value::Object(object) if object.contains_key("resourceType") => "resource",
        Value::Object(object) if object.contains_key("system") && object.contains_key("code") => "valueCoding",
        Value::Object(object) if object.contains_key("reference") => "valueReference",
        Value::Object(_) => return ("valueString", Value::String(value.to_string())),
        _ => "valueString",
    };
    (element, value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_arguments_become_parameters() {
        let given = json!({"a": true, "b": 3, "c": 1.5, "k": 1_099_511_627_776_i64, "d": "x", "e": {"resourceType": "Patient"}, "f": {"system": "s", "code": "c"}, "g": {"reference": "Patient/1"}, "h": {"other": 1}, "i": ["x", 2], "j": null});
        let expected = json!({"resourceType": "Parameters", "parameter": [
            {"name": "a", "valueBoolean": true}, {"name": "b", "valueInteger": 3}, {"name": "c", "valueDecimal": 1.5},
            {"name": "k", "valueDecimal": 1_099_511_627_776_i64},
            {"name": "d", "valueString": "x"}, {"name": "e", "resource": {"resourceType": "Patient"}},
            {"name": "f", "valueCoding": {"system": "s", "code": "c"}}, {"name": "g", "valueReference": {"reference": "Patient/1"}},
            {"name": "h", "valueString": "{\"other\":1}"}, {"name": "i", "valueString": "x"}, {"name": "i", "valueInteger": 2}]});
        assert_eq!(to_parameters(given.as_object().unwrap()), Ok(expected));
        let whole = json!({"resourceType": "Parameters", "parameter": []});
        assert_eq!(to_parameters(whole.as_object().unwrap()), Ok(whole));
    }

    #[test]
    fn a_list_that_no_parameter_says_is_refused() {
        for (given, says) in [
            (json!({"a": []}), "params: \"a\" is an empty list"),
            (json!({"b": 1, "a": [["x", "y"]]}), "params: \"a\" is a list of lists"),
            (json!({"a": ["x", []]}), "params: \"a\" is a list of lists"),
            (json!({"a": ["x", null]}), "params: \"a\" is a list with null in it"),
        ] {
            let error = to_parameters(given.as_object().unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
