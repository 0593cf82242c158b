//! What is wrong with a document, in the words of the library that Medplum uses.

use std::collections::HashSet;

use apollo_compiler::ast::{Definition, Document, Field as AstField, FragmentDefinition, OperationType, Selection};
use fhir_definitions::Definitions;

use super::schema::{Means, Place, parameter_name, required_arguments};
use crate::outcome::{Outcome, Result};

/// The deepest that fields may be nested.
const MAX_DEPTH: usize = 12;

/// Looks at a whole document.
pub(super) fn faults(definitions: &'static Definitions, document: &Document) -> Result<Vec<String>> {
    let mut check = Check { definitions, document, faults: Vec::new(), open: HashSet::new() };
    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let place = match operation.operation_type {
                    OperationType::Query => Place::Query,
                    OperationType::Mutation => Place::Mutation,
                    OperationType::Subscription => {
                        return Err(Outcome::bad_request(
                            "Schema is not configured to execute subscription operation.",
                        ));
                    }
                };
                check.selections(place, &operation.selection_set, 0)?;
            }
            Definition::FragmentDefinition(_) => {}
            _ => {
                let text = "The definition is not executable.";
                return Err(Outcome::bad_request(text));
            }
        }
    }
    Ok(check.faults)
}

/// The fragment of that name.
pub(super) fn fragment<'d>(document: &'d Document, name: &str) -> Option<&'d FragmentDefinition> {
    document.definitions.iter().find_map(|definition| match definition {
        Definition::FragmentDefinition(fragment) if fragment.name == name => Some(&**fragment),
        _ => None,
    })
}

struct Check<'d> {
    definitions: &'static Definitions,
    document: &'d Document,
    faults: Vec<String>,
    /// Fragments that are being looked at, so that none is looked at inside itself.
    open: HashSet<String>,
}

impl Check<'_> {
    fn selections(&mut self, place: Place, selections: &[Selection], depth: usize) -> Result<()> {
        for selection in selections {
            match selection {
                Selection::Field(field) => self.field(place, field, depth)?,
                Selection::InlineFragment(inline) => {
                    let inner = match &inline.type_condition {
                        Some(name) => self.condition(place, name),
                        None => Some(place),
                    };
                    if let Some(inner) = inner {
                        self.selections(inner, &inline.selection_set, depth)?;
                    }
                }
                Selection::FragmentSpread(spread) => self.spread(place, &spread.fragment_name, depth)?,
            }
        }
        Ok(())
    }

    fn spread(&mut self, place: Place, name: &str, depth: usize) -> Result<()> {
        let Some(fragment) = fragment(self.document, name) else {
            self.faults.push(format!("Unknown fragment \"{name}\"."));
            return Ok(());
        };
        if !self.open.insert(name.to_owned()) {
            self.faults.push(format!("Cannot spread fragment \"{name}\" within itself."));
            return Ok(());
        }
        if let Some(inner) = self.condition(place, &fragment.type_condition) {
            self.selections(inner, &fragment.selection_set, depth)?;
        }
        self.open.remove(name);
        Ok(())
    }

    /// The place that `... on Patient` makes of a place.
    fn condition(&mut self, place: Place, name: &str) -> Option<Place> {
        let fits = match place {
            Place::Resource => self.definitions.resource_type(name).map(Place::Object),
            place => (place.name() == name).then_some(place),
        };
        if fits.is_none() {
            let known = self.definitions.type_info(name).is_some();
            self.faults.push(if known {
                format!(
                    "Fragment cannot be spread here as objects of type \"{}\" can never be of type \"{name}\".",
                    place.name()
                )
            } else {
                format!("Unknown type \"{name}\".")
            });
        }
        fits
    }

    fn field(&mut self, place: Place, field: &AstField, depth: usize) -> Result<()> {
        let name = field.name.as_str();
        if name == "__typename" {
            return Ok(());
        }
        if name.starts_with("__") {
            return Err(Outcome::not_implemented("introspection of the GraphQL schema"));
        }
        if depth >= MAX_DEPTH {
            let text = format!("Field \"{name}\" exceeds max depth (depth={}, max={MAX_DEPTH})", depth + 1);
            self.faults.push(text);
            return Ok(());
        }
        let Some(known) = place.field(self.definitions, name) else {
            self.faults.push(self.unknown_field(place, name));
            return Ok(());
        };
        self.arguments(place, field, known.means, known.place);
        let nested = !matches!(known.place, Place::Scalar);
        match (nested, field.selection_set.is_empty()) {
            (true, true) => {
                let of_type = known.place.name();
                let of_type = if known.list { format!("[{of_type}]") } else { of_type };
                self.faults.push(format!(
                    "Field \"{name}\" of type \"{of_type}\" must have a selection of subfields. Did you mean \"{name} {{ ... }}\"?"
                ));
            }
            (false, false) => self
                .faults
                .push(format!("Field \"{name}\" must not have a selection since type \"String\" has no subfields.")),
            (true, false) => self.selections(known.place, &field.selection_set, depth + 1)?,
            (false, true) => {}
        }
        Ok(())
    }

    fn arguments(&mut self, place: Place, field: &AstField, means: Means, inner: Place) {
        let name = &field.name;
        for (argument, of_type) in required_arguments(means) {
            if !field.arguments.iter().any(|given| given.name == *argument) {
                let of_type = if of_type.is_empty() { format!("{name}!") } else { (*of_type).to_owned() };
                self.faults.push(format!(
                    "Field \"{name}\" argument \"{argument}\" of type \"{of_type}\" is required, but it was not provided."
                ));
            }
        }
        for argument in &field.arguments {
            let given = argument.name.as_str();
            let known = match (means, inner) {
                (Means::List, Place::Object(info)) => {
                    given == "_reference" || parameter_name(self.definitions, info, given).is_some()
                }
                (Means::Connection, Place::Connection(info)) => parameter_name(self.definitions, info, given).is_some(),
                (Means::Element, inner) => {
                    matches!(given, "_count" | "_offset" | "fhirpath") || inner.field(self.definitions, given).is_some()
                }
                (Means::Resolve, _) => false,
                (means, _) => required_arguments(means).iter().any(|(required, _)| *required == given),
            };
            if !known {
                self.faults.push(format!("Unknown argument \"{given}\" on field \"{}.{name}\".", place.name()));
            }
        }
    }

    fn unknown_field(&self, place: Place, name: &str) -> String {
        let mut text = format!("Cannot query field \"{name}\" on type \"{}\".", place.name());
        let near = nearest(name, place.field_names(self.definitions));
        let quoted: Vec<String> = near.iter().map(|name| format!("\"{name}\"")).collect();
        match quoted.as_slice() {
            [] => {}
            [one] => text.push_str(&format!(" Did you mean {one}?")),
            [one, two] => text.push_str(&format!(" Did you mean {one} or {two}?")),
            [many @ .., last] => text.push_str(&format!(" Did you mean {}, or {last}?", many.join(", "))),
        }
        text
    }
}

/// The five names that are nearest, if they are near at all.
fn nearest(given: &str, names: Vec<String>) -> Vec<String> {
    let most = given.len() * 4 / 10 + 1;
    let mut near: Vec<(usize, String)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = distance(&given.to_lowercase(), &name.to_lowercase());
            (distance <= most).then_some((distance, name))
        })
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(5).map(|(_, name)| name).collect()
}

/// How many letters must be changed, added or dropped.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (place, other) in row.iter_mut().skip(1).zip(&to) {
            let above = *place;
            let changed = diagonal + usize::from(letter != *other);
            left = changed.min(above + 1).min(left + 1);
            diagonal = above;
            *place = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("nope", "name"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
