//! A table of some fields of resources. Each field is a FHIRPath expression
//! (<https://hl7.org/fhirpath/>).

use std::time::SystemTime;

use fhir_definitions::{Definitions, TypeInfo};
use fhirpath::{Context, EvalError, Expression};
use jiff::Timestamp;
use serde_json::Value;

use super::paths;
use crate::failure::Failure;

/// At most so many columns.
const MOST: usize = 50;

/// The columns that were asked for.
#[derive(Debug, Clone)]
pub struct Fields {
    columns: Vec<(String, Expression)>,
    /// The time, for `today()`.
    now: String,
}

/// The column that tells resources of several types apart.
const TYPE: &str = "resourceType";

impl Fields {
    /// Reads the expressions, at a time of day that `now()` and `today()` tell, in UTC.
    ///
    /// # Errors
    /// [`Failure`] for one that is none, with the place and what was expected.
    pub fn parse(given: &[String], now: SystemTime) -> Result<Self, Failure> {
        if given.len() > MOST {
            return Err(Failure::teach(format!("fields: at most {MOST}. Nothing was sent.")));
        }
        let parse = |(index, text): (usize, &String)| {
            let expression = Expression::parse(text)
                .map_err(|error| Failure::teach(format!("fields[{index}]: {error}. Nothing was sent.")))?;
            Ok::<_, Failure>((text.trim().to_owned(), expression))
        };
        let columns = given.iter().enumerate().map(parse).collect::<Result<_, Failure>>()?;
        let now = Timestamp::try_from(now).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Ok(Self { columns, now })
    }

    /// The same for resources of several types: their type stands first, unless it is asked for anyway. Without it, a row of
    /// one type that has none of the fields looks like a row of another that lacks their values.
    ///
    /// # Errors
    /// [`Failure`] if the name of the column were no expression.
    pub fn of_several(mut self) -> Result<Self, Failure> {
        if self.columns.iter().all(|(text, _)| text != TYPE) {
            let expression = Expression::parse(TYPE).map_err(|error| Failure::teach(error.to_string()))?;
            self.columns.insert(0, (TYPE.to_owned(), expression));
        }
        Ok(self)
    }

    /// Refuses a field that leads nowhere on any of these types: it would be null in every row. `Resource` stands for all.
    ///
    /// # Errors
    /// [`Failure`] with the nearest elements.
    pub fn check(&self, resource_types: &[&str]) -> Result<(), Failure> {
        let definitions = Definitions::get();
        let any = resource_types.contains(&"Resource");
        let known: Option<Vec<&TypeInfo>> = match any {
            true => Some(definitions.resource_types().collect()),
            // A newer server may know a type that is not known here.
            false => resource_types.iter().map(|of| definitions.resource_type(of)).collect(),
        };
        let Some(types) = known.filter(|types| !types.is_empty()) else { return Ok(()) };
        let shown = if any { String::new() } else { resource_types.join(" or ") };
        let faults = self.columns.iter().filter_map(|(_, expression)| paths::check(expression, &types, &shown).err());
        let faults: Vec<String> = faults.map(|error| error.teach()).collect();
        match faults.as_slice() {
            [] => Ok(()),
            faults => Err(Failure::teach(format!("fields: {} Nothing was sent.", faults.join(" ")))),
        }
    }

    /// What must be known of a table of these fields.
    pub(super) fn note(&self) -> &'static str {
        let resolves = self.columns.iter().any(|(text, _)| text.contains("resolve()."));
        if resolves { "resolve() finds contained resources alone: others are not fetched for it." } else { "" }
    }

    /// The elements that these fields need, where that can be told: Medplum is then asked for them alone.
    pub fn elements(&self, resource_type: &str) -> Option<Vec<&str>> {
        let definitions = Definitions::get();
        let info = definitions.resource_type(resource_type)?;
        let mut needed = Vec::new();
        for (_, expression) in &self.columns {
            // Anything but a path that starts with an element of one type and stays below it needs the whole resource.
            let path = expression.plain_path()?;
            let head = *path.iter().find(|name| **name != resource_type)?;
            let plain = definitions.elements(info).any(|element| element.name == head && !element.choice);
            if !plain && head != "id" && head != "resourceType" {
                return None;
            }
            if !needed.contains(&head) && head != "resourceType" {
                needed.push(head);
            }
        }
        Some(needed)
    }

    /// The columns' names: the expressions as they were given.
    pub fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|(text, _)| text.clone()).collect()
    }

    /// The row of a resource: null for nothing, a list for several values.
    ///
    /// # Errors
    /// [`Failure`] for an expression that cannot be worked out on this resource.
    pub fn row(&self, resource: &Value) -> Result<Vec<Value>, Failure> {
        let context =
            Context::new().with_resource(resource).with_root_resource(resource).with_model(Definitions::get());
        let context = context.with_now(&self.now);
        let cell = |(index, (_, expression)): (usize, &(String, Expression))| {
            let items = expression
                .evaluate(resource, &context)
                .map_err(|error| Failure::teach(format!("fields[{index}]: {error}.{}", beyond(&error))))?;
            let mut values: Vec<Value> = items.iter().map(|item| item.to_json().into_owned()).collect();
            Ok(match values.len() {
                0 => Value::Null,
                1 => values.swap_remove(0),
                _ => Value::Array(values),
            })
        };
        self.columns.iter().enumerate().map(cell).collect()
    }
}

/// What does what an expression cannot.
fn beyond(error: &EvalError) -> &'static str {
    match error {
        EvalError::DateDifference => {
            " An age as a number: query_resources {\"resource_type\":\"Patient\",\"sql\":\"SELECT id, birth_date, \
             CAST(substr(timediff('now', birth_date), 2, 4) AS INTEGER) AS age FROM Patient\"}"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(fields: &[&str], of: &str) -> Option<Vec<String>> {
        let fields =
            Fields::parse(&fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>(), SystemTime::UNIX_EPOCH)
                .unwrap();
        fields.elements(of).map(|elements| elements.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn medplum_is_asked_for_some_elements_only_where_all_that_are_needed_are_known() {
        for fields in
            [&["id", "period.start", "type[0].coding.code"][..], &["Encounter.id", "Encounter.period", "type.text"]]
        {
            assert_eq!(elements(fields, "Encounter").unwrap(), ["id", "period", "type"], "{fields:?}");
        }
        for field in [
            "period.start < meta.lastUpdated",
            "type.text in reasonCode.text",
            "status and period",
            "type.text | status",
            "type.first()",
            "type[reasonCode.text.length()].text",
            "%resource.id",
            "-length.value",
            "Patient.name",
            "Encounter",
        ] {
            assert_eq!(elements(&["id", field], "Encounter"), None, "{field}");
        }
        assert_eq!(elements(&["value.value"], "Observation"), None, "a choice has several names");
    }
}
