//! The name of a parameter and its modifier: `name:exact`.

use super::empty_part;
use crate::validate::clipped;
use crate::{Definitions, ParameterKind, ResourceId};

/// The name, and what stands behind its colon.
pub(super) fn split_modifier(key: &str) -> (&str, Option<&str>) {
    match key.split_once(':') {
        // The dots of a chain may hold colons of their own: `subject:Patient.name`.
        Some((name, modifier)) => (name, Some(modifier)),
        None => (key, None),
    }
}

/// Whether the modifier is one for this kind; Medplum would drop it without a word.
pub(super) fn check_modifier(
    defs: &Definitions,
    code: &str,
    kind: ParameterKind,
    modifier: &str,
    value: &str,
) -> Result<(), String> {
    let rules = defs.rules(kind);
    let known = rules.into_iter().any(|r| r.modifiers().chain(r.unadvertised()).any(|m| m == modifier));
    if modifier == "missing" && known && !matches!(value, "true" | "false") {
        return Err(format!("{code}:missing is true or false, not \"{}\".", clipped(value)));
    }
    if let Some(empty) = empty_part(value).filter(|_| known && modifier != "missing") {
        return Err(format!("{code}:{modifier}: \"{}\" {empty}.", clipped(value)));
    }
    if known {
        return Ok(());
    }
    let prefix = rules.into_iter().flat_map(|r| r.prefixes()).find(|p| *p == modifier);
    if let Some(prefix) = prefix {
        return Err(format!("{prefix} stands before the value: {code}={prefix}{}", clipped(value)));
    }
    let all: Vec<String> = rules.into_iter().flat_map(|r| r.modifiers()).map(|m| format!(":{m}")).collect();
    let list = if all.is_empty() { String::new() } else { format!(" Modifiers of {code}: {}.", all.join(", ")) };
    let types = if kind == ParameterKind::Reference { " A resource type may stand there too: :Patient." } else { "" };
    Err(format!("{code} has no modifier \":{}\"; Medplum would drop it silently.{list}{types}", clipped(modifier)))
}

/// `subject:Patient=123` as `subject=Patient/123`, which says the same and is understood everywhere.
pub(super) fn typed_reference(code: &str, name: &str, value: &str) -> Result<String, String> {
    let mut parts = Vec::new();
    for part in value.split(',') {
        let id = part.strip_prefix(name).and_then(|p| p.strip_prefix('/')).unwrap_or(part);
        if ResourceId::parse(id).is_err() {
            return Err(format!("{code}:{name} takes an id, not \"{}\": {code}={name}/<id>", clipped(part)));
        }
        parts.push(format!("{name}/{id}"));
    }
    Ok(parts.join(","))
}
