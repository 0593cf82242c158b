//! Parameters that shape the answer: `_sort`, `_count`, `_include`.

use super::{hint, key};
use crate::validate::clipped;
use crate::{Definitions, ParameterKind, TypeInfo};

/// Medplum gives no more than this for a page, whatever is asked.
const MOST_COUNT: u64 = 1000;
/// Medplum refuses to go further into a list.
const MOST_OFFSET: u64 = 10_000;

/// Looks at one of them; the answer is something to note, if there is.
pub(super) fn check(defs: &Definitions, info: &TypeInfo, key: &str, value: &str) -> Result<Option<String>, String> {
    let (name, modifier) = key::split_modifier(key);
    if value.trim_matches([',', ' ']).is_empty() {
        return Err(format!("{} is empty. Give it a value, or leave it out.", clipped(key)));
    }
    if let Some(modifier) = modifier
        && !(modifier == "iterate" && matches!(name, "_include" | "_revinclude"))
    {
        return Err(format!("{name} has no modifier \":{}\".", clipped(modifier)));
    }
    match name {
        "_count" => count(value),
        "_offset" => offset(value).map(|()| None),
        "_sort" => sort(defs, info, value).map(|()| None),
        "_total" => one_of(name, value, &["none", "estimate", "accurate"]).map(|()| None),
        "_summary" => one_of(name, value, &["true", "false", "text", "data", "count"]).map(|()| None),
        "_elements" | "_fields" => elements(defs, info, name, value).map(|()| None),
        "_include" => include(defs, info, value, modifier.is_some()).map(|()| None),
        "_revinclude" => revinclude(defs, info, value, modifier.is_some()).map(|()| None),
        "_type" => types(defs, value).map(|()| None),
        _ => Ok(None),
    }
}

fn count(value: &str) -> Result<Option<String>, String> {
    match value.parse::<u64>() {
        Ok(n) if n > MOST_COUNT => Ok(Some(format!("_count is {MOST_COUNT} at most; follow the next page for more."))),
        Ok(_) => Ok(None),
        Err(_) => Err(format!("_count is a whole number from 0 to {MOST_COUNT}, not \"{}\".", clipped(value))),
    }
}

fn offset(value: &str) -> Result<(), String> {
    match value.parse::<u64>() {
        Ok(n) if n <= MOST_OFFSET => Ok(()),
        _ => Err(format!(
            "_offset is a whole number up to {MOST_OFFSET}, not \"{}\". To go further, sort by _lastUpdated and filter with _lastUpdated=gt… of the last one.",
            clipped(value)
        )),
    }
}

fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is one of {}, not \"{}\".", allowed.join(" | "), clipped(value)))
}

/// `-date,_id`. Medplum takes `date:desc` for `date` and says nothing.
fn sort(defs: &Definitions, info: &TypeInfo, value: &str) -> Result<(), String> {
    let parts = value.split(',').map(str::trim);
    let meant: Vec<&str> = parts.clone().filter(|rule| !rule.is_empty()).collect();
    if meant.len() < parts.count() {
        return Err(format!("_sort: \"{}\" has an empty part. Write _sort={}", clipped(value), meant.join(",")));
    }
    for rule in meant {
        let code = rule.trim_start_matches(['-', '+']);
        if rule.starts_with("--") {
            return Err(format!("_sort takes one minus for descending: _sort=-{}", clipped(code)));
        }
        if let Some((code, direction)) = code.split_once([':', ' ']) {
            let minus = if direction.eq_ignore_ascii_case("desc") { "-" } else { "" };
            return Err(format!("_sort takes a minus for descending: _sort={minus}{}", clipped(code)));
        }
        if rule.starts_with('+') {
            return Err(format!("_sort has no plus; ascending is _sort={}", clipped(code)));
        }
        let known =
            defs.search_parameter(info, code).is_some() || defs.own_parameters(info).iter().any(|p| p.code == code);
        if !known {
            let nearest = hint(&defs.nearest_parameters(info, code));
            return Err(format!("_sort: {} has no search parameter \"{}\".{nearest}", info.name, clipped(code)));
        }
    }
    Ok(())
}

/// Top-level elements; a path is looked at by its first step.
fn elements(defs: &Definitions, info: &TypeInfo, name: &str, value: &str) -> Result<(), String> {
    if info.name == "Resource" {
        return Ok(());
    }
    for path in value.split(',').map(str::trim) {
        let first = path.split(['.', '[']).next().unwrap_or(path);
        let known = first == "resourceType"
            || defs.element(info, first).is_some()
            || defs.elements(info).any(|e| e.choice && e.name == first);
        if !known {
            let nearest = hint(&defs.nearest_elements(info, first));
            return Err(format!("{name}: {} has no element \"{}\".{nearest}", info.name, clipped(first)));
        }
    }
    Ok(())
}

/// `Observation:subject`, `Observation:subject:Patient`.
fn parts<'v>(name: &str, value: &'v str) -> Result<(&'v str, &'v str, Option<&'v str>), String> {
    let form = format!("{name}=Observation:subject");
    if value.contains('*') {
        return Err(format!("{name} has no wildcard. Name the reference: {form}"));
    }
    let mut steps = value.split(':');
    match (steps.next(), steps.next(), steps.next(), steps.next()) {
        (Some(of), Some(code), target, None) => Ok((of, code, target)),
        _ => Err(format!("{name}={} needs a type and its reference: {form}", clipped(value))),
    }
}

/// The type in front, and that it has the reference.
fn reference_of<'d>(
    defs: &'d Definitions,
    name: &str,
    of: &str,
    code: &str,
) -> Result<&'d crate::SearchParameter, String> {
    let Some(info) = defs.resource_type(of) else {
        return Err(format!("{name}: there is no resource type \"{}\".{}", clipped(of), hint(&defs.nearest_types(of))));
    };
    match defs.search_parameter(info, code) {
        Some(p) if matches!(p.kind, ParameterKind::Reference | ParameterKind::Uri) => Ok(p),
        Some(p) => Err(format!("{name}: {of}:{code} is a {}, not a reference.", p.kind)),
        None => {
            let able: Vec<&str> =
                defs.search_parameters(info).filter(|p| p.kind == ParameterKind::Reference).map(|p| p.code).collect();
            let nearest = crate::nearest(code, able.iter().copied());
            let shown = if nearest.is_empty() { able.iter().take(12).copied().collect() } else { nearest };
            Err(format!("{name}: {of} has no reference \"{}\". It has {}.", clipped(code), shown.join(", ")))
        }
    }
}

fn include(defs: &Definitions, info: &TypeInfo, value: &str, iterate: bool) -> Result<(), String> {
    let (of, code, target) = parts("_include", value)?;
    if !iterate && of != info.name && info.name != "Resource" && defs.is_resource_type(of) {
        return Err(format!(
            "_include starts from the type that is searched: _include={}:{}",
            info.name,
            clipped(code)
        ));
    }
    reference_of(defs, "_include", of, code)?;
    known_target(defs, "_include", target)
}

fn revinclude(defs: &Definitions, info: &TypeInfo, value: &str, iterate: bool) -> Result<(), String> {
    let (of, code, target) = parts("_revinclude", value)?;
    let p = reference_of(defs, "_revinclude", of, code)?;
    let leads_here = p.targets().next().is_none() || p.targets().any(|t| t == info.name || t == "Resource");
    if !leads_here && !iterate && info.name != "Resource" {
        let targets: Vec<&str> = p.targets().collect();
        return Err(format!("_revinclude: {of}:{code} leads to {}, not to {}.", targets.join(" | "), info.name));
    }
    known_target(defs, "_revinclude", target)
}

fn known_target(defs: &Definitions, name: &str, target: Option<&str>) -> Result<(), String> {
    match target {
        Some(target) if !defs.is_resource_type(target) => Err(format!(
            "{name}: there is no resource type \"{}\".{}",
            clipped(target),
            hint(&defs.nearest_types(target))
        )),
        _ => Ok(()),
    }
}

fn types(defs: &Definitions, value: &str) -> Result<(), String> {
    for name in value.split(',') {
        if !defs.is_resource_type(name) {
            return Err(format!(
                "_type: there is no resource type \"{}\".{}",
                clipped(name),
                hint(&defs.nearest_types(name))
            ));
        }
    }
    Ok(())
}
