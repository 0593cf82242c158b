//! A tool's arguments, read as they were meant: what is plain is put right, what is not is explained.

mod meant;
mod names;
mod values;

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;
use crate::tool::Facts;

/// What is known of a tool's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema<'a> {
    /// All that it takes: what is closed is answered by the gate, with what opens it.
    pub whole: &'a JsonObject,
    /// What it is listed with.
    pub listed: &'a JsonObject,
}

impl<'a> Schema<'a> {
    fn property(self, name: &str) -> Option<&'a Value> {
        self.whole.get("properties")?.get(name)
    }

    fn names(self) -> Vec<&'a str> {
        let properties = self.listed.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    fn required(self) -> impl Iterator<Item = &'a str> {
        self.whole.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

/// Reads arguments against their schema.
///
/// An explicit null is the same as leaving the argument out. JSON in a string is taken where an object or list is
/// asked for, a number in a string where a number is, and one plain text where a list of texts is: hosts and models
/// send all of them.
///
/// # Errors
/// [`Failure`] with all that is wrong: names that the tool does not know (each could be a filter), those that are
/// missing, and values of the wrong type.
pub(crate) fn read<A: DeserializeOwned>(facts: &Facts, schema: Schema<'_>, given: JsonObject) -> Result<A, Failure> {
    let given = put_right(facts, schema, given)?;
    serde_json::from_value(Value::Object(given)).map_err(|_| of_another_form(facts, schema))
}

/// The arguments as they were meant. What is the same for every tool is here, once.
fn put_right(facts: &Facts, schema: Schema<'_>, mut given: JsonObject) -> Result<JsonObject, Failure> {
    given.retain(|_, value| !value.is_null());
    if let Some(apart) = names::taken_apart(facts, schema, &given) {
        return Err(Failure::teach(format!("{apart} Nothing was sent.")));
    }
    let (mut strangers, mut unfit) = (Vec::new(), Vec::new());
    for (name, value) in &mut given {
        match schema.property(name) {
            Some(property) => values::fit(facts, name, value, property, &mut unfit),
            None => strangers.push(name.clone()),
        }
    }
    let mut faults = Vec::new();
    let mut meant = Vec::new();
    for name in &strangers {
        faults.push(names::unknown(facts, schema, name, &given, &mut meant));
    }
    let missing: Vec<&str> =
        schema.required().filter(|name| !given.contains_key(*name) && !meant.contains(name)).collect();
    if !missing.is_empty() {
        faults.push(format!("{} needs {}.", facts.name, missing.join(" and ")));
    }
    let takes = if faults.is_empty() { String::new() } else { format!("It takes: {}. ", schema.names().join(", ")) };
    faults.append(&mut unfit);
    if !faults.is_empty() {
        return Err(Failure::several(faults, " ", format!("{takes}Nothing was sent.")));
    }
    Ok(given)
}

fn of_another_form(facts: &Facts, schema: Schema<'_>) -> Failure {
    let takes = schema.names().join(", ");
    Failure::teach(format!(
        "{}: an argument is not of the form that it has here ({takes}). Nothing was sent.",
        facts.name
    ))
}
