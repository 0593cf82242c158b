//! What the real server finds wrong with a resource, in its words and its order.
//!
//! It is laxer than FHIR: codes of required bindings and targets of references are not looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fhir_definitions::{Constraint, Definitions, Element, ElementType, TypeInfo, TypeKind};
use fhirpath::{Context, Expression, Item};
use serde_json::{Map, Value};

use crate::outcome::Issue;
use crate::search::date;

/// Constraints that the real server skips.
const SKIPPED: [&str; 4] = ["ele-1", "dom-3", "org-1", "sdf-19"];

/// Constraints that were read once.
#[derive(Debug, Default)]
pub(crate) struct Constraints {
    read: Mutex<HashMap<&'static str, Option<Arc<Expression>>>>,
}

impl Constraints {
    fn expression(&self, text: &'static str) -> Option<Arc<Expression>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let parsed = read.entry(text).or_insert_with(|| Expression::parse(text).ok().map(Arc::new));
        parsed.clone()
    }
}

/// Looks at a resource.
pub(crate) fn issues(definitions: &Definitions, constraints: &Constraints, resource: &Value) -> Vec<Issue> {
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let Some(info) = definitions.resource_type(name) else {
        return vec![Issue::error("structure", "Unknown resource type")];
    };
    let mut check = Check { definitions, constraints, root: resource, issues: Vec::new() };
    check.constraints_hold(definitions.type_constraints(info), resource, info.name, name);
    check.object(resource, info, name);
    check.issues
}

struct Check<'c> {
    definitions: &'c Definitions,
    constraints: &'c Constraints,
    root: &'c Value,
    issues: Vec<Issue>,
}

/// `value` and `Quantity` as `valueQuantity`.
fn choice_key(name: &str, of_type: &str) -> String {
    let mut letters = of_type.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    name.chars().chain(first).chain(letters).collect()
}

impl<'c> Check<'c> {
    fn structure(&mut self, path: &str, text: impl Into<String>) {
        self.issues.push(Issue::error("structure", text).at(path));
    }

    fn object(&mut self, value: &Value, info: &TypeInfo, path: &str) {
        let map = value.as_object();
        for element in self.definitions.elements(info) {
            let at = format!("{path}.{}", element.name);
            let found = map.and_then(|map| self.find(map, element));
            match found {
                Some((value, of_type)) => self.element(value, element, of_type, &at),
                None if element.min > 0 && !has_extension(map, element) => {
                    let at = if element.choice { format!("{at}[x]") } else { at };
                    self.structure(&at, "Missing required property");
                }
                None => {}
            }
        }
        self.additional(value, info, path);
    }

    /// The value of an element, and which of its types it has.
    fn find<'v>(&self, map: &'v Map<String, Value>, element: &Element) -> Option<(&'v Value, &'c ElementType)> {
        let definitions: &'c Definitions = self.definitions;
        let types = definitions.types_of(element);
        if !element.choice {
            return Some((map.get(element.name)?, types.first()?));
        }
        types.iter().find_map(|of_type| Some((map.get(&choice_key(element.name, of_type.name))?, of_type)))
    }

    fn element(&mut self, value: &Value, element: &Element, of_type: &ElementType, path: &str) {
        let many = value.as_array();
        if element.array && many.is_none() {
            self.structure(path, "Expected array of values for property");
        }
        if !element.array && many.is_some() {
            self.structure(path, "Expected single value for property");
            return;
        }
        let count = many.map_or(1, Vec::len);
        if element.array && (count < element.min as usize || count > element.max as usize) {
            let most = if element.max == u32::MAX { "*".to_owned() } else { element.max.to_string() };
            let text = format!("Invalid number of values: expected {}..{most}, but found {count}", element.min);
            self.structure(path, text);
        }
        match many {
            Some(values) => {
                for (at, value) in values.iter().enumerate() {
                    self.value(value, element, of_type, &format!("{path}[{at}]"));
                }
            }
            None => self.value(value, element, of_type, path),
        }
    }

    fn value(&mut self, value: &Value, element: &Element, of_type: &ElementType, path: &str) {
        if value.is_null() {
            return;
        }
        // Elsewhere `resourceType` is an element like others: an AccessPolicy names types with it.
        let info = match self.definitions.resolve(of_type) {
            Some(info) if matches!(info.kind, TypeKind::Abstract | TypeKind::Resource) => {
                let name = value.get("resourceType").and_then(Value::as_str).unwrap_or_default();
                self.definitions.resource_type(name)
            }
            info => info,
        };
        let Some(info) = info else { return };
        self.constraints_hold(self.definitions.element_constraints(element), value, of_type.name, path);
        if info.kind == TypeKind::Primitive {
            self.primitive(value, info.name, path);
        } else {
            self.constraints_hold(self.definitions.type_constraints(info), value, info.name, path);
            self.object(value, info, path);
        }
    }

    /// Names that the type does not know. A text in the place of an object has its letters' numbers as names.
    fn additional(&mut self, value: &Value, info: &TypeInfo, path: &str) {
        match value {
            Value::Object(map) => {
                for key in map.keys() {
                    let name = key.strip_prefix('_').unwrap_or(key);
                    let known = key == "resourceType" || self.definitions.element(info, name).is_some();
                    if !known {
                        self.structure(&format!("{path}.{key}"), format!("Invalid additional property \"{key}\""));
                    }
                }
            }
            Value::String(text) => {
                for at in 0..text.chars().count() {
                    self.structure(&format!("{path}.{at}"), format!("Invalid additional property \"{at}\""));
                }
            }
            _ => {}
        }
    }

    fn constraints_hold(&mut self, constraints: &'c [Constraint], value: &Value, of_type: &str, path: &str) {
        for constraint in constraints.iter().filter(|constraint| !SKIPPED.contains(&constraint.key)) {
            let Some(expression) = self.constraints.expression(constraint.expression) else { continue };
            let context = Context::new().with_resource(self.root).with_root_resource(self.root);
            let item = Item::new(value).with_type(of_type);
            if matches!(expression.holds(item, &context), Ok(Some(false))) {
                let text = format!("Constraint {} not met: {}", constraint.key, constraint.human);
                self.issues.push(Issue::error("invariant", text).at(path));
            }
        }
    }

    fn primitive(&mut self, value: &Value, of_type: &str, path: &str) {
        let expected = match of_type {
            "boolean" => "boolean",
            "decimal" | "integer" | "positiveInt" | "unsignedInt" => "number",
            _ => "string",
        };
        let got = match value {
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            _ => "object",
        };
        if got != expected {
            self.structure(path, format!("Invalid JSON type: expected {expected}, but got {got}"));
            return;
        }
        if let Some(fault) = primitive_fault(value, of_type) {
            self.structure(path, fault);
        }
    }
}

fn has_extension(map: Option<&Map<String, Value>>, element: &Element) -> bool {
    map.is_some_and(|map| map.contains_key(&format!("_{}", element.name)))
}

/// What is wrong with a value of the right JSON type.
fn primitive_fault(value: &Value, of_type: &str) -> Option<String> {
    if let Value::Number(number) = value {
        let whole = number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.fract() == 0.0);
        let number = number.as_f64().unwrap_or_default();
        return match of_type {
            "integer" | "positiveInt" | "unsignedInt" if !whole => Some("Expected number to be an integer".to_owned()),
            "positiveInt" if number <= 0.0 => Some("Expected number to be positive".to_owned()),
            "unsignedInt" if number < 0.0 => Some("Expected number to be non-negative".to_owned()),
            _ => None,
        };
    }
    let text = value.as_str()?;
    if text.trim().is_empty() {
        return Some("String must contain non-whitespace content".to_owned());
    }
    (!has_format(text, of_type)).then(|| format!("Invalid {of_type} format"))
}

/// Whether a text has the form that its type asks for.
fn has_format(text: &str, of_type: &str) -> bool {
    let space = |letter: char| letter.is_whitespace();
    let date_form = || text.len() <= 10 && date::millis(text).is_some();
    match of_type {
        "date" => date_form(),
        "dateTime" => date_form() || date::is_date_time(text) && text.len() > 10,
        "instant" => text.len() > 10 && date::millis(text).is_some(),
        "time" => text.parse::<jiff::civil::Time>().is_ok(),
        "canonical" | "uri" | "url" => !text.contains(space),
        "code" => !text.starts_with(space) && !text.ends_with(space) && !text.contains("  "),
        "id" => text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'),
        "base64Binary" => {
            text.len().is_multiple_of(4) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        }
        "oid" => text.starts_with("urn:oid:"),
        "uuid" => text.strip_prefix("urn:uuid:").is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()),
        _ => true,
    }
}
