//! JSON Patch (RFC 6902), as Medplum takes it.

use fhir_definitions::ResourceId;
use serde_json::{Value, json};

use crate::invalid::InvalidRequest;

/// The operations of a patch: at least one, each of a known form; and the version that they were made for, if it is
/// known.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPatch {
    operations: Vec<Value>,
    version: Option<ResourceId>,
}

impl JsonPatch {
    /// Takes a list of patch operations.
    ///
    /// # Errors
    /// [`InvalidRequest::Patch`] for an empty list (Medplum answers it with 200 and changes nothing), an unknown
    /// `op`, a path that is no JSON Pointer, and a missing `value` or `from`.
    pub fn parse(operations: Vec<Value>) -> Result<Self, InvalidRequest> {
        if operations.is_empty() {
            let reason = "empty, so nothing would change. Pass at least one, such as {\"op\":\"replace\",\"path\":\"/active\",\"value\":false}";
            return Err(InvalidRequest::Patch { index: None, reason: reason.into() });
        }
        for (index, operation) in operations.iter().enumerate() {
            check(operation).map_err(|reason| InvalidRequest::Patch { index: Some(index), reason })?;
        }
        Ok(Self { operations, version: None })
    }

    /// The same patch, for this version alone: a test of it is sent in front, for Medplum ignores If-Match on a PATCH.
    #[must_use]
    pub fn of_version(self, version: ResourceId) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The version that it is for.
    pub fn version(&self) -> Option<&ResourceId> {
        self.version.as_ref()
    }

    /// The operations as they were given, without the test of the version.
    pub fn operations(&self) -> &[Value] {
        &self.operations
    }

    /// The operations as they are sent.
    pub(crate) fn to_value(&self) -> Value {
        let test = |version: &ResourceId| json!({ "op": "test", "path": "/meta/versionId", "value": version.as_str() });
        self.version.iter().map(test).chain(self.operations.iter().cloned()).collect()
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

    #[test]
    fn the_test_of_the_version_goes_first_and_counts_for_no_index() {
        let given = json!([{"op": "remove", "path": "/a"}]);
        let patch = JsonPatch::parse(given.as_array().unwrap().clone()).unwrap().of_version("v1".parse().unwrap());
        assert_eq!(patch.operations(), given.as_array().unwrap());
        let sent = json!([{"op": "test", "path": "/meta/versionId", "value": "v1"}, {"op": "remove", "path": "/a"}]);
        assert_eq!(patch.to_value(), sent);
    }
}
