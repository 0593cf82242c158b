//! The schema of a tool's arguments: flat, and without a word that says nothing. Every character of it is paid for in
//! every conversation.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// The schema of an argument type.
pub(crate) fn of<A: JsonSchema>() -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<A>().to_value();
    tidy(&mut schema);
    let mut object = match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    };
    for noise in ["$schema", "title", "description"] {
        object.remove(noise);
    }
    object.entry("type").or_insert_with(|| "object".into());
    object.entry("properties").or_insert_with(|| json!({}));
    object
}

/// Adds the argument that names another membership.
pub(crate) fn add_on_behalf_of(schema: &mut JsonObject) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(
            "on_behalf_of".into(),
            json!({ "type": "string", "description": "ProjectMembership/<uuid> whose access policy applies" }),
        );
    }
}

/// Adds the argument that asks for a smaller answer.
pub(crate) fn add_budget(schema: &mut JsonObject) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("budget".into(), json!({ "type": "integer" }));
    }
}

/// Optional is said by `required` alone: no `null` in types, no default of null, no format of numbers.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for noise in ["title", "format", "minimum", "additionalProperties"] {
                if object.get(noise).is_some_and(|value| !value.is_object() || noise == "additionalProperties") {
                    object.remove(noise);
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            without_null(object);
            // What a list holds is said at the list.
            if let Some(Value::Object(items)) = object.get_mut("items") {
                items.remove("description");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn without_null(object: &mut JsonObject) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|t| t != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
}
