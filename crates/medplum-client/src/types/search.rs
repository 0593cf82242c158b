//! The types that a search looks at: chains, `_has`, includes, `_filter`.
//! FHIR: <https://hl7.org/fhir/R4/search.html>

use fhir_definitions::{Definitions, ParameterKind, ResourceType, SearchParameter, TypeInfo};

use super::{NeedKind, Needs, filter};
use crate::interaction::Search;
use crate::query::Query;

/// Parameters that look at nothing but the resources that are searched.
const OF_ITS_OWN: &[&str] =
    &["_count", "_cursor", "_elements", "_fields", "_format", "_offset", "_pretty", "_summary", "_total"];

/// A chain that could go on in more types than these must name the one that it means.
const MOST_TARGETS: usize = 12;

pub(super) fn search(asked: &Search, needs: &mut Needs) {
    let mut types: Vec<&str> = asked.resource_type.iter().map(ResourceType::as_str).collect();
    types.iter().for_each(|of| needs.read("", *of));
    for (key, value) in asked.query.iter().filter(|(key, _)| base(key) == "_type") {
        for of in value.split(',').map(str::trim) {
            needs.read(key, of);
            types.push(of);
        }
    }
    if types.is_empty() {
        needs.unclear("a search of no type");
    }
    types.into_iter().for_each(|of| parameters(of, &asked.query, needs));
}

/// The parameters of a search of one type.
pub(super) fn parameters(of: &str, query: &Query, needs: &mut Needs) {
    let Some(info) = Definitions::get().resource_type(of) else {
        // The type itself was asked for, and is judged by its name; what its parameters look at cannot be told.
        return query.iter().filter(|(key, _)| !OF_ITS_OWN.contains(key)).for_each(|(key, _)| needs.unclear(key));
    };
    query.iter().for_each(|(key, value)| parameter(info, key, value, needs));
}

/// The name of a parameter without its modifier and chain.
fn base(key: &str) -> &str {
    key.split([':', '.']).next().unwrap_or(key)
}

/// One parameter of a search of this type.
pub(super) fn parameter(of: &TypeInfo, key: &str, value: &str, needs: &mut Needs) {
    match base(key) {
        name if OF_ITS_OWN.contains(&name) => {}
        "_type" => value.split(',').for_each(|of| needs.read(key, of.trim())),
        // It sorts by a parameter of its own; by another type's it would tell of that.
        "_sort" if !value.contains(['.', ':']) => {}
        "_has" => has(key, value, needs),
        "_filter" => filter::expression(of, value, needs),
        "_compartment" => compartment(key, value, needs),
        "_include" => include(key, value, needs),
        "_revinclude" => revinclude(key, value, needs),
        name if key.contains('.') && !name.starts_with('_') => chain(of, key, key, value, needs),
        name if !name.starts_with('_') => {}
        // Another parameter looks at the resource itself, whatever it is called; these may look anywhere.
        name if key.contains('.') || Definitions::get().search_parameter(of, name).is_none() => needs.unclear(key),
        _ => {}
    }
}

/// `subject:Patient.name`: each step leads to another type.
fn chain(of: &TypeInfo, rest: &str, whole: &str, value: &str, needs: &mut Needs) {
    let Some((step, after)) = rest.split_once('.') else { return };
    let definitions = Definitions::get();
    let (code, modifier) = step.split_once(':').map_or((step, None), |(code, modifier)| (code, Some(modifier)));
    let next = base(after);
    let targets: Vec<&TypeInfo> = match modifier {
        Some(name) => definitions.resource_type(name).into_iter().collect(),
        None => match definitions.search_parameter(of, code) {
            Some(parameter) if parameter.kind == ParameterKind::Reference => {
                let has_next = |info: &&TypeInfo| next == "_has" || definitions.search_parameter(info, next).is_some();
                targets(parameter).into_iter().filter(has_next).collect()
            }
            _ => Vec::new(),
        },
    };
    if targets.is_empty() || targets.len() > MOST_TARGETS {
        return needs.unclear(whole);
    }
    for target in targets {
        needs.read(whole, target.name);
        if next == "_has" {
            has(after, value, needs);
        } else {
            chain(target, after, whole, value, needs);
        }
    }
}

/// The types that a reference may lead to.
fn targets(parameter: &SearchParameter) -> Vec<&'static TypeInfo> {
    let definitions = Definitions::get();
    let named: Vec<&str> = parameter.targets().collect();
    if named.is_empty() || named.contains(&"Resource") {
        return definitions.resource_types().collect();
    }
    named.into_iter().filter_map(|name| definitions.resource_type(name)).collect()
}

/// `_has:Observation:patient:code`, which may hold another one, or a chain.
fn has(key: &str, value: &str, needs: &mut Needs) {
    let parts: Vec<&str> = key.splitn(4, ':').collect();
    let [_, of, _, rest] = parts.as_slice() else {
        return needs.unclear(key);
    };
    needs.read(key, *of);
    match Definitions::get().resource_type(of) {
        Some(info) => parameter(info, rest, value, needs),
        None => needs.unclear(key),
    }
}

fn compartment(key: &str, value: &str, needs: &mut Needs) {
    for part in value.split(',') {
        match part.trim().split_once('/') {
            Some((of, _)) => needs.read(key, of),
            None => needs.unclear(key),
        }
    }
}

/// `Observation:subject`, `Observation:subject:Patient`.
fn included(key: &str, value: &str, needs: &mut Needs) -> Option<(&'static TypeInfo, Vec<String>)> {
    let steps: Vec<&str> = value.split(':').map(str::trim).collect();
    let (of, code, target) = match steps.as_slice() {
        [of, code] => (*of, *code, None),
        [of, code, target] => (*of, *code, Some(*target)),
        _ => {
            needs.unclear(key);
            return None;
        }
    };
    let definitions = Definitions::get();
    let info = definitions.resource_type(of);
    let parameter = info.and_then(|info| definitions.search_parameter(info, code));
    let (Some(info), Some(parameter), false) = (info, parameter, value.contains(['*', ','])) else {
        needs.unclear(key);
        return None;
    };
    Some((
        info,
        target.map_or_else(|| parameter.targets().map(str::to_owned).collect(), |target| vec![target.to_owned()]),
    ))
}

/// It starts from a type, and brings what its reference leads to.
fn include(key: &str, value: &str, needs: &mut Needs) {
    let Some((from, targets)) = included(key, value, needs) else { return };
    needs.read(key, from.name);
    if !targets.is_empty() && !targets.iter().any(|target| target == "Resource") {
        needs.push(key, NeedKind::ReadAny(targets));
    }
}

/// It brings resources of a type that refer to what is found.
fn revinclude(key: &str, value: &str, needs: &mut Needs) {
    let Some((from, targets)) = included(key, value, needs) else { return };
    needs.read(key, from.name);
    if value.split(':').count() == 3 {
        targets.into_iter().for_each(|target| needs.read(key, target));
    }
}
