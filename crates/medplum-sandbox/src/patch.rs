//! JSON Patch (RFC 6902) with the messages of the library that Medplum uses.

use serde_json::Value;

use crate::outcome::{Outcome, Result};

/// Applies the operations one after the other; the first that fails ends it.
pub(crate) fn apply(target: &mut Value, patch: &Value) -> Result<()> {
    let Some(operations) = patch.as_array() else {
        return Err(Outcome::bad_request("Patch body must be an array"));
    };
    for operation in operations {
        apply_one(target, operation)?;
    }
    Ok(())
}

fn apply_one(target: &mut Value, operation: &Value) -> Result<()> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
    let (name, path) = (text("op"), text("path"));
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    match name {
        "test" => test(target, path, &value()),
        "add" => add(target, path, value()),
        "remove" => remove(target, path).map(drop),
        "replace" => replace(target, path, value()),
        "copy" => {
            let found = target.pointer(text("from")).cloned();
            let found = found.ok_or_else(|| missing(text("from")))?;
            add(target, path, found)
        }
        "move" => {
            let moved = remove(target, text("from"))?;
            add(target, path, moved)
        }
        other => Err(Outcome::bad_request(format!("Invalid operation: {other}"))),
    }
}

fn missing(path: &str) -> Outcome {
    Outcome::bad_request(format!("Value required at path: {path}"))
}

fn test(target: &Value, path: &str, expected: &Value) -> Result<()> {
    let actual = target.pointer(path);
    if actual == Some(expected) {
        return Ok(());
    }
    let actual = actual.map_or_else(|| "undefined".to_owned(), as_javascript);
    Err(Outcome::bad_request(format!("Test failed: {actual} != {}", as_javascript(expected))))
}

/// The place that holds `path`, and the last step to it.
fn parent<'v>(target: &'v mut Value, path: &str) -> Result<(&'v mut Value, String)> {
    let Some((parent, last)) = path.rsplit_once('/') else {
        return Err(missing(path));
    };
    let holder = target.pointer_mut(parent).ok_or_else(|| missing(path))?;
    Ok((holder, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<()> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (holder, last) = parent(target, path)?;
    match holder {
        Value::Object(map) => {
            map.insert(last, value);
            Ok(())
        }
        Value::Array(list) => {
            let index = if last == "-" { Some(list.len()) } else { last.parse().ok() };
            match index {
                Some(index) if index <= list.len() => {
                    list.insert(index, value);
                    Ok(())
                }
                _ => Err(missing(path)),
            }
        }
        _ => Err(missing(path)),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value> {
    let (holder, last) = parent(target, path)?;
    match holder {
        Value::Object(map) => map.shift_remove(&last),
        Value::Array(list) => match last.parse::<usize>() {
            Ok(index) if index < list.len() => Some(list.remove(index)),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| missing(path))
}

fn replace(target: &mut Value, path: &str, value: Value) -> Result<()> {
    let place = target.pointer_mut(path).ok_or_else(|| missing(path))?;
    *place = value;
    Ok(())
}

/// A value as JavaScript writes it into a template string.
fn as_javascript(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(as_javascript).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut target: Value, patch: Value) -> std::result::Result<Value, String> {
        apply(&mut target, &patch).map_err(|outcome| outcome.text().to_owned())?;
        Ok(target)
    }

    #[test]
    fn the_six_operations() {
        let target = json!({"a": [1, 2], "b": {"c": "x"}});
        let patch = json!([
            {"op": "add", "path": "/a/1", "value": 9},
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "replace", "path": "/b/c", "value": "y"},
            {"op": "copy", "from": "/b/c", "path": "/d"},
            {"op": "move", "from": "/a/0", "path": "/e"},
            {"op": "test", "path": "/e", "value": 1},
            {"op": "remove", "path": "/b"}
        ]);
        assert_eq!(patched(target, patch).unwrap(), json!({"a": [9, 2, 3], "d": "y", "e": 1}));
    }

    #[test]
    fn failures_say_what_medplum_says() {
        let target = json!({"active": true, "name": [{"family": "x"}]});
        let say = |patch: Value| patched(target.clone(), patch).unwrap_err();
        assert_eq!(say(json!([{"op": "test", "path": "/active", "value": "no"}])), "Test failed: true != no");
        assert_eq!(say(json!([{"op": "test", "path": "/gender", "value": null}])), "Test failed: undefined != null");
        assert_eq!(say(json!([{"op": "test", "path": "/name", "value": 1}])), "Test failed: [object Object] != 1");
        assert_eq!(say(json!([{"op": "replace", "path": "/gender", "value": 1}])), "Value required at path: /gender");
        assert_eq!(say(json!([{"op": "add", "path": "/name/5", "value": 1}])), "Value required at path: /name/5");
        assert_eq!(say(json!([{"op": "zap", "path": "/x"}])), "Invalid operation: zap");
    }
}
