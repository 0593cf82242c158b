//! JSON Patch (RFC 6902), as Medplum takes it.

use serde_json::Value;

use crate::invalid::InvalidRequest;

/// The operations of a patch: at least one, each of a known form.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPatch(Vec<Value>);

impl JsonPatch {
    /// Takes a list of patch operations.
    ///
    /// # Errors
    /// [`InvalidRequest::Patch`] for an empty list (Medplum answers it with 200 and changes nothing), an unknown
    /// `op`, a path that is no JSON Pointer, and a missing `value` or `from`.
    pub fn parse(operations: Vec<Value>) -> Result<Self, InvalidRequest> {
        if operations.is_empty() {
            let reason = ": empty, so nothing would change. Pass at least one, such as {\"op\":\"replace\",\"path\":\"/active\",\"value\":false}";
            return Err(InvalidRequest::Patch { index: None, reason: reason.trim_start_matches(": ").into() });
        }
        for (index, operation) in operations.iter().enumerate() {
            check(operation).map_err(|reason| InvalidRequest::Patch { index: Some(index), reason })?;
        }
        Ok(Self(operations))
    }

    /// The operations.
    pub fn operations(&self) -> &[Value] {
        &self.0
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::Array(self.0.clone())
    }
}

fn check(operation: &Value) -> Result<(), String> {
    let Some(object) = operation.as_object() else {
        return Err("must be an object with op and path".into());
    };
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let op = text("op").unwrap_or_default();
    let needs = match op {
        "add" | "replace" | "test" => Some("value"),
        "move" | "copy" => Some("from"),
        "remove" => None,
        _ => return Err("op must be one of add | remove | replace | copy | move | test".into()),
    };
    pointer("path", text("path"))?;
    match needs {
        Some("from") => pointer("from", text("from")),
        Some(name) if !object.contains_key(name) => Err(format!("{op} needs a {name}")),
        _ => Ok(()),
    }
}

fn pointer(name: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        Some(path) if path.is_empty() || path.starts_with('/') => Ok(()),
        Some(path) => Err(format!(
            "{name} must be a JSON Pointer that starts with /, such as /{}",
            path.replace(['.', '['], "/").replace(']', "")
        )),
        None => Err(format!("{name} is missing: a JSON Pointer such as /name/0/family")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_named_with_their_place() {
        let table = [
            (json!([]), "operations: empty"),
            (json!(["x"]), "operations[0]: must be an object"),
            (json!([{"op": "change", "path": "/a"}]), "one of add"),
            (
                json!([{"op": "remove", "path": "/a"}, {"op": "replace", "path": "name[0].family", "value": 1}]),
                "operations[1]: path must be a JSON Pointer that starts with /, such as /name/0/family",
            ),
            (json!([{"op": "add", "path": "/a"}]), "add needs a value"),
            (json!([{"op": "move", "path": "/a"}]), "from is missing"),
        ];
        for (operations, expected) in table {
            let error = JsonPatch::parse(operations.as_array().unwrap().clone()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let good = json!([{"op": "add", "path": "/a", "value": null}]);
        assert!(JsonPatch::parse(good.as_array().unwrap().clone()).is_ok());
    }
}
