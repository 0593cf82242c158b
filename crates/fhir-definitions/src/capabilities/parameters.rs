//! The search parameters of a type, one in a line, and what values of each kind look like.

use serde_json::Value;

use super::statement;
use crate::{CodeList, Definitions, ParameterKind, SearchParameter, TypeInfo, TypeKind};

/// How wide the column of names is.
const NAME_COLUMN: usize = 14;
/// How many codes stand in a line.
const CODES_SHOWN: usize = 10;
/// How many resource types stand in a line.
const TARGETS_SHOWN: usize = 10;

/// The kinds in the order in which their forms are explained.
const KINDS: [ParameterKind; 8] = [
    ParameterKind::Token,
    ParameterKind::String,
    ParameterKind::Date,
    ParameterKind::Reference,
    ParameterKind::Quantity,
    ParameterKind::Number,
    ParameterKind::Uri,
    ParameterKind::Composite,
];

/// The lines for a type: its own parameters, then what the kinds mean, then what every type has.
pub(super) fn lines(defs: &Definitions, info: &TypeInfo, listed: Option<&Value>) -> Vec<String> {
    if !info.searchable {
        return vec!["It cannot be searched: read it by its id.".to_owned()];
    }
    let served: Vec<(&str, &str)> = listed.into_iter().flat_map(statement::parameters).collect();
    let known = |code: &str| defs.search_parameter(info, code);
    let mut lines = Vec::new();
    let mut kinds = Vec::new();
    if served.is_empty() {
        for p in defs.search_parameters(info).filter(|p| !p.code.starts_with('_')) {
            lines.push(line(defs, p));
            kinds.push(p.kind);
        }
    } else {
        for (code, kind) in served.into_iter().filter(|(code, _)| !code.starts_with('_')) {
            kinds.push(ParameterKind::parse(kind));
            lines.push(known(code).map_or_else(|| format!("{code:NAME_COLUMN$} {kind}"), |p| line(defs, p)));
        }
    }
    lines.push("Values and modifiers:".to_owned());
    lines.extend(KINDS.into_iter().filter(|k| kinds.contains(k)).map(|k| legend(defs, k)));
    lines.push(everywhere(defs));
    lines
}

/// `gender         token male | female | other | unknown`.
fn line(defs: &Definitions, p: &SearchParameter) -> String {
    format!("{:NAME_COLUMN$} {} {}", p.code, p.kind, values(defs, p)).trim_end().to_owned()
}

/// What is special about this parameter's values; empty where its kind says it all.
fn values(defs: &Definitions, p: &SearchParameter) -> String {
    match p.kind {
        ParameterKind::Reference => targets(p),
        ParameterKind::Token => tokens(defs, p),
        ParameterKind::Composite => p.components().map(|(code, _)| code).collect::<Vec<_>>().join("$"),
        _ => String::new(),
    }
}

fn targets(p: &SearchParameter) -> String {
    let all: Vec<&str> = p.targets().collect();
    if all.is_empty() || all.contains(&"Resource") {
        return "any type".to_owned();
    }
    let shown = all.iter().take(TARGETS_SHOWN).copied().collect::<Vec<_>>().join(" | ");
    match all.len().checked_sub(TARGETS_SHOWN) {
        Some(more) if more > 0 => format!("{shown} | … {more} more"),
        _ => shown,
    }
}

/// The codes of the value set, or the shape of an identifier or a boolean.
fn tokens(defs: &Definitions, p: &SearchParameter) -> String {
    let types: Vec<&str> = p.element_types().collect();
    if let Some(set) = p.binding.as_ref().and_then(|b| defs.bound_set(b)).filter(|s| s.closed) {
        let lists = defs.codes(set);
        let codes: Vec<&str> = lists.iter().flat_map(CodeList::codes).take(CODES_SHOWN + 1).collect();
        let shown = codes.iter().take(CODES_SHOWN).copied().collect::<Vec<_>>().join(" | ");
        let more = if codes.len() > CODES_SHOWN { " | …" } else { "" };
        return match lists.first() {
            Some(list) if !types.contains(&"code") => {
                format!("{}|… with {shown}{more}", list.system)
            }
            _ => format!("{shown}{more}"),
        };
    }
    match types.as_slice() {
        ["boolean"] => "true | false".to_owned(),
        ["Identifier"] => "<system>|<value>".to_owned(),
        _ => String::new(),
    }
}

/// What the values of a kind look like, and its modifiers.
fn legend(defs: &Definitions, kind: ParameterKind) -> String {
    let form = match kind {
        ParameterKind::Token => "code, or system|code; a comma is or",
        ParameterKind::String => "the beginning of a word, case ignored",
        ParameterKind::Date => {
            "2024-01-15 (that day), 2024-01, 2024, ge2024-01-01, lt2024-02-01 (repeat the parameter for a range)"
        }
        ParameterKind::Reference => "Type/<id>; chain with a dot: patient.name=Smith",
        ParameterKind::Quantity => "gt7.0, 5.4|http://unitsofmeasure.org|mg",
        ParameterKind::Number => "5, ge5",
        ParameterKind::Uri => "the whole URI",
        ParameterKind::Composite => "the parts joined by $: 8480-6$gt140",
        ParameterKind::Special => "",
    };
    let modifiers: Vec<String> =
        defs.rules(kind).into_iter().flat_map(|r| r.modifiers()).map(|m| format!(":{m}")).collect();
    format!("{kind}: {form}   {}", modifiers.join(" "))
}

/// The parameters of every type, and those that shape the answer.
pub(super) fn everywhere(defs: &Definitions) -> String {
    let common = defs.types().filter(|t| t.kind == TypeKind::Abstract).flat_map(|t| defs.own_parameters(t));
    let common: Vec<&str> = common.map(|p| p.code).collect();
    let shaping: Vec<String> = defs
        .result_parameters()
        .iter()
        .filter(|p| !matches!(**p, "_offset" | "_cursor" | "_format" | "_pretty" | "_fields" | "_type"))
        .map(|p| if *p == "_count" { "_count ≤ 1000".to_owned() } else { (*p).to_owned() })
        .collect();
    format!("every type: {}; {}", common.join(", "), shaping.join(", "))
}
