//! `_has:Observation:patient:code=8867-4`: those that something else refers to.
//! FHIR: <https://hl7.org/fhir/R4/search.html#has>

use super::{date, hint, key, values};
use crate::validate::clipped;
use crate::{Definitions, ParameterKind, TypeInfo};

/// Looks at the key step by step; the value is that of the last parameter.
pub(super) fn check(defs: &Definitions, info: &TypeInfo, key: &str, value: &str) -> Result<(), String> {
    let form = "_has:Observation:patient:code=8867-4";
    if value.trim().is_empty() {
        return Err(format!("{} is empty. Give it a value: {form}", clipped(key)));
    }
    let mut steps = key.splitn(4, ':').skip(1);
    let (Some(name), Some(link), Some(rest)) = (steps.next(), steps.next(), steps.next()) else {
        return Err(format!("\"{}\" needs a type, its reference and its parameter: {form}", clipped(key)));
    };
    let Some(from) = defs.resource_type(name) else {
        return Err(format!(
            "_has: there is no resource type \"{}\".{}",
            clipped(name),
            hint(&defs.nearest_types(name))
        ));
    };
    links(defs, info, from, link)?;
    if rest.starts_with("_has:") {
        return check(defs, from, rest, value);
    }
    let (code, modifier) = key::split_modifier(rest);
    let Some(p) = defs.search_parameter(from, code) else {
        let nearest = hint(&defs.nearest_parameters(from, code));
        return Err(format!("{name} has no search parameter \"{}\".{nearest}", clipped(code)));
    };
    match modifier {
        Some(modifier) => key::check_modifier(defs, code, p.kind, modifier, value),
        None if p.kind == ParameterKind::Date => {
            let only_days = p.element_types().all(|t| t == "date");
            if date::rewrite(code, value, only_days)? == [value] {
                return Ok(());
            }
            // Two of them would be met by two different resources.
            Err(format!(
                "{code}={} means a range, which _has cannot hold. Search {name} by {code} first, or compare with one instant: ge2024-01-15T00:00:00Z",
                clipped(value)
            ))
        }
        None => values::check(defs, from, p, value).map(|_| ()),
    }
}

/// Whether the reference leads to the type that is searched.
fn links(defs: &Definitions, info: &TypeInfo, from: &TypeInfo, link: &str) -> Result<(), String> {
    let to_here = |p: &&crate::SearchParameter| {
        p.kind == ParameterKind::Reference
            && p.targets().any(|t| t == info.name || t == "Resource" || info.name == "Resource")
    };
    match defs.search_parameter(from, link) {
        Some(p) if to_here(&p) => Ok(()),
        _ => {
            let able: Vec<&str> = defs
                .search_parameters(from)
                .filter(|p| to_here(p) && !p.code.starts_with('_'))
                .map(|p| p.code)
                .take(8)
                .collect();
            Err(format!(
                "{}.{} does not lead to {}. Those that do: {}.",
                from.name,
                clipped(link),
                info.name,
                able.join(", ")
            ))
        }
    }
}
