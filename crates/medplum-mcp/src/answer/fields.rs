//! A table of some fields of resources. Each field is a FHIRPath expression
//! (<https://hl7.org/fhirpath/>).

use fhir_definitions::{Definitions, TypeInfo};
use fhirpath::{Context, Expression};
use serde_json::Value;

use super::paths;
use crate::failure::Failure;

/// At most so many columns.
const MOST: usize = 50;

/// The columns that were asked for.
#[derive(Debug, Clone)]
pub struct Fields(Vec<(String, Expression)>);

impl Fields {
    /// Reads the expressions.
    ///
    /// # Errors
    /// [`Failure`] for one that is none, with the place and what was expected.
    pub fn parse(given: &[String]) -> Result<Self, Failure> {
        if given.len() > MOST {
            return Err(Failure::teach(format!("fields: at most {MOST}. Nothing was sent.")));
        }
        let parse = |(index, text): (usize, &String)| {
            let expression = Expression::parse(text)
                .map_err(|error| Failure::teach(format!("fields[{index}]: {error}. Nothing was sent.")))?;
            Ok((text.trim().to_owned(), expression))
        };
        given.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Self)
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
        let faults = self.0.iter().filter_map(|(text, _)| paths::check(text, &types, &shown).err());
        let faults: Vec<String> = faults.map(|error| error.teach()).collect();
        match faults.as_slice() {
            [] => Ok(()),
            faults => Err(Failure::teach(format!("fields: {} Nothing was sent.", faults.join(" ")))),
        }
    }

    /// What must be known of a table of these fields.
    pub(super) fn note(&self) -> &'static str {
        let resolves = self.0.iter().any(|(text, _)| text.contains("resolve()."));
        if resolves { "resolve() finds contained resources alone: others are not fetched for it." } else { "" }
    }

    /// The elements that these fields need, where that can be told: Medplum is then asked for them alone.
    pub fn elements(&self, resource_type: &str) -> Option<Vec<&str>> {
        let definitions = Definitions::get();
        let info = definitions.resource_type(resource_type)?;
        let mut needed = Vec::new();
        for (text, _) in &self.0 {
            // Anything but a path that starts with an element of one type and stays below it needs the whole resource.
            if text.contains(['%', '|', '=', '(', '&', '+']) {
                return None;
            }
            let head = head_behind(text, resource_type).or_else(|| head(text))?;
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
        self.0.iter().map(|(text, _)| text.clone()).collect()
    }

    /// The row of a resource: null for nothing, a list for several values.
    ///
    /// # Errors
    /// [`Failure`] for an expression that cannot be worked out on this resource.
    pub fn row(&self, resource: &Value) -> Result<Vec<Value>, Failure> {
        let context =
            Context::new().with_resource(resource).with_root_resource(resource).with_model(Definitions::get());
        let cell = |(index, (_, expression)): (usize, &(String, Expression))| {
            let items = expression
                .evaluate(resource, &context)
                .map_err(|error| Failure::teach(format!("fields[{index}]: {error}.")))?;
            let mut values: Vec<Value> = items.iter().map(|item| item.to_json().into_owned()).collect();
            Ok(match values.len() {
                0 => Value::Null,
                1 => values.swap_remove(0),
                _ => Value::Array(values),
            })
        };
        self.0.iter().enumerate().map(cell).collect()
    }
}

/// The element that a path starts with behind the name of its type.
fn head_behind<'a>(text: &'a str, resource_type: &str) -> Option<&'a str> {
    head(text.trim().strip_prefix(resource_type)?.strip_prefix('.')?)
}

/// The element that a path starts with; none where it starts otherwise.
fn head(text: &str) -> Option<&str> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (head, rest) = (text.get(..end)?, text.get(end..)?);
    let is_path =
        head.starts_with(|c: char| c.is_ascii_lowercase()) && (rest.is_empty() || rest.starts_with(['.', '[']));
    is_path.then_some(head)
}
