//! The element that was probably meant.

use serde_json::Value;

use crate::did_you_mean::capitalized;
use crate::validate::primitive;
use crate::{Definitions, Element, ElementType, TypeInfo, TypeKind};

/// An element that the type does not have.
pub(in crate::validate) fn unknown_element(defs: &Definitions, info: &TypeInfo, key: &str, value: &Value) -> String {
    let none = format!("{} has no such element.", info.name);
    // The name of a choice without its type.
    if let Some(choice) = defs.elements(info).find(|e| e.choice && (key == e.name || is_choice_like(e, key))) {
        if let Some(form) = codeable_reference(defs, choice, value) {
            return format!("{none} R4 writes it as {form}.");
        }
        let fitting = fitting_names(defs, choice, value);
        return format!("{none} {}[x] is written with its type: {}", choice.name, fitting.join(" | "));
    }
    let mut nearest = defs.nearest_elements(info, key);
    if nearest.is_empty() {
        nearest = by_search_parameter(defs, info, key);
    }
    if nearest.is_empty() && info.kind == TypeKind::Resource {
        return format!("{none} get_resource_schema shows those that it has; what fits none goes into extension.");
    }
    if nearest.is_empty() {
        let names: Vec<String> = defs.own_elements(info).iter().flat_map(|e| short_names(defs, e)).take(20).collect();
        return format!("{none} It has {}.", names.join(", "));
    }
    format!("{none} Nearest: {}.", nearest.join(", "))
}

/// R5 has one type for what in R4 is a choice of a concept and a reference: `{"concept":{…}}`.
fn codeable_reference(defs: &Definitions, choice: &Element, value: &Value) -> Option<String> {
    let has = |name: &str| defs.types_of(choice).iter().any(|of| of.name == name);
    let (of, inner) = match (value.get("concept"), value.get("reference")) {
        (Some(concept), _) => ("CodeableConcept", concept),
        (None, Some(reference)) if reference.is_object() => ("Reference", reference),
        _ => return None,
    };
    let written = super::written(inner)?;
    has(of).then(|| format!("\"{}{of}\":{written}", choice.name))
}

/// `valueFoo` for `value[x]`: the choice with a type that it cannot have.
fn is_choice_like(element: &Element, key: &str) -> bool {
    key.strip_prefix(element.name).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn short_names(defs: &Definitions, element: &Element) -> Vec<String> {
    if element.choice { vec![element.full_name()] } else { defs.json_names(element) }
}

/// Those names of a choice that could hold the value given; all if none could.
fn fitting_names(defs: &Definitions, choice: &Element, value: &Value) -> Vec<String> {
    let fits = |of: &&ElementType| match defs.resolve(of).map(|t| t.kind) {
        Some(TypeKind::Primitive) => primitive::check(of.name, value).is_ok(),
        _ => value.as_object().is_some_and(|object| {
            defs.resolve(of)
                .is_some_and(|t| object.keys().all(|k| defs.element(t, k.trim_start_matches('_')).is_some()))
        }),
    };
    let types = defs.types_of(choice);
    let name = |of: &ElementType| format!("{}{}", choice.name, capitalized(of.name));
    let fitting: Vec<String> = types.iter().filter(fits).map(name).take(6).collect();
    if fitting.is_empty() { types.iter().map(name).take(12).collect() } else { fitting }
}

/// The element that a search parameter of that name looks at: `patient` of an Observation is its `subject`.
fn by_search_parameter(defs: &Definitions, info: &TypeInfo, key: &str) -> Vec<String> {
    let found = defs.search_parameter(info, key).and_then(|p| {
        let rest = p.expression.trim_start_matches('(').strip_prefix(info.name)?.strip_prefix('.')?;
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        (name != key && defs.elements(info).any(|e| e.name == name)).then_some(name)
    });
    found.into_iter().collect()
}
