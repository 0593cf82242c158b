//! Codes against the value sets that bind them. Medplum stores any code; a required one off the list is refused here.

use serde_json::{Value, json};

use super::fault::{FaultKind, clipped};
use super::path::Path;
use super::walk::Walk;
use crate::{Definitions, Element, ElementType, Strength, ValueSet};

/// How many codes a message lists.
const CODES_SHOWN: usize = 20;

/// Looks at the codes of a value that is sound in itself.
pub(super) fn check(walk: &mut Walk<'_>, element: &Element, of: &ElementType, value: &Value, path: &Path<'_>) {
    let Some(binding) = element.binding.filter(|b| b.strength <= Strength::Extensible) else { return };
    let defs = walk.defs;
    let Some(set) = defs.bound_set(&binding).filter(|s| s.closed) else { return };
    let strength = binding.strength;
    let message = match of.name {
        "code" => plain(defs, set, value),
        "Coding" => coding(defs, set, strength, value).map(|m| (String::new(), m)),
        "CodeableConcept" => concept(defs, set, strength, value),
        _ => None,
    };
    let Some((below, message)) = message else { return };
    let here = path.name(&below);
    let here = if below.is_empty() { path } else { &here };
    if strength == Strength::Required {
        walk.fault(here, FaultKind::Code, message);
    } else {
        walk.warn(here, FaultKind::Code, message);
    }
}

/// A `code`: the list alone decides.
fn plain(defs: &Definitions, set: &ValueSet, value: &Value) -> Option<(String, String)> {
    let code = value.as_str()?;
    let there = defs.codes(set).iter().any(|list| list.codes().any(|c| c == code));
    (!there).then(|| (String::new(), off_the_list(defs, set, code)))
}

/// `"Female" is not one of male | female. Write "female".`
fn off_the_list(defs: &Definitions, set: &ValueSet, code: &str) -> String {
    let nearest = defs.nearest_codes(set, code);
    let hint = match nearest.as_slice() {
        [] => String::new(),
        [one] => format!(" Write {}.", json!(one)),
        more => format!(" Nearest: {}.", more.join(", ")),
    };
    format!("{} is not one of {}.{hint}", json!(clipped(code)), listed(defs, set))
}

/// The codes of a set, as many as fit.
pub(super) fn listed(defs: &Definitions, set: &ValueSet) -> String {
    let codes: Vec<&str> = defs.codes(set).iter().flat_map(crate::CodeList::codes).collect();
    let shown = codes.iter().take(CODES_SHOWN).copied().collect::<Vec<_>>().join(" | ");
    match codes.len().checked_sub(CODES_SHOWN) {
        Some(more) if more > 0 => format!("{shown} | … {more} more"),
        _ => shown,
    }
}

/// A `Coding`: system and code together. What an extensible set does not hold may still be right.
fn coding(defs: &Definitions, set: &ValueSet, strength: Strength, value: &Value) -> Option<String> {
    let code = value.get("code").and_then(Value::as_str)?;
    let system = value.get("system").and_then(Value::as_str);
    let lists = defs.codes(set);
    if lists.iter().any(|list| Some(list.system) == system && list.codes().any(|c| c == code)) {
        return None;
    }
    // An extensible set leaves room for codes of other systems.
    let foreign = system.is_some_and(|system| lists.iter().all(|list| list.system != system));
    if foreign && strength != Strength::Required {
        return None;
    }
    // The right code under no system or another one: the system is what is wrong.
    if let Some(list) = lists.iter().find(|list| list.codes().any(|c| c == code)) {
        let right = json!({"system": list.system, "code": code});
        let given = system.map_or("no system".to_owned(), |s| format!("system {}", json!(clipped(s))));
        return Some(format!("code {} has {given}; write {right}.", json!(code)));
    }
    let systems: Vec<&str> = lists.iter().map(|l| l.system).collect();
    let loosely = if strength == Strength::Required { "" } else { " Keep it only if none of them fits." };
    Some(format!("{} Of system {}.{loosely}", off_the_list(defs, set, code), systems.join(", ")))
}

/// A `CodeableConcept`: one of its codings must be in the set. Text alone is left alone, as Medplum leaves it.
fn concept(defs: &Definitions, set: &ValueSet, strength: Strength, value: &Value) -> Option<(String, String)> {
    let codings = value.get("coding").and_then(Value::as_array)?;
    let mut first = None;
    for (index, each) in codings.iter().enumerate() {
        each.get("code")?;
        match coding(defs, set, strength, each) {
            None => return None,
            Some(message) => first = first.or_else(|| Some((format!("coding[{index}]"), message))),
        }
    }
    first
}
