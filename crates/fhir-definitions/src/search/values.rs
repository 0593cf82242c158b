//! Values by the kind of their parameter.

use super::{date, empty_part};
use crate::systems;
use crate::validate::clipped;
use crate::{Definitions, ParameterKind, ResourceId, ResourceType, SearchParameter, TypeInfo};

/// What came out of looking at a value that may be sent.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// The value to send instead.
    pub(super) value: Option<String>,
    /// What to think of if nothing is found.
    pub(super) hint: Option<String>,
    /// What is true of it whatever is found.
    pub(super) note: Option<String>,
}

/// Looks at the value of a parameter that has no modifier and is no date.
pub(super) fn check(defs: &Definitions, info: &TypeInfo, p: &SearchParameter, value: &str) -> Result<Checked, String> {
    if let Some(empty) = empty_part(value).filter(|_| p.kind != ParameterKind::Special) {
        return Err(format!("{}: \"{}\" {empty}.", p.code, clipped(value)));
    }
    match p.kind {
        ParameterKind::Number => numbers(p.code, value).map(|()| Checked::default()),
        ParameterKind::Quantity => quantity(p.code, value),
        ParameterKind::Token => token(defs, p, value),
        ParameterKind::Reference => reference(defs, info, p, value),
        ParameterKind::String => no_prefix(p, value).map(|()| Checked::default()),
        ParameterKind::Uri if value.contains(char::is_whitespace) => {
            Err(format!("{}: \"{}\" is not a URI: it has a space.", p.code, clipped(value)))
        }
        ParameterKind::Composite => composite(defs, info, p, value).map(|()| Checked::default()),
        ParameterKind::Uri | ParameterKind::Special | ParameterKind::Date => Ok(Checked::default()),
    }
}

/// The parts of a value; a backslash takes the separator's meaning away.
pub(super) fn split(value: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in value.char_indices() {
        if c == separator && !escaped {
            parts.extend(value.get(start..at));
            start = at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    parts.extend(value.get(start..));
    parts
}

fn each(value: &str, mut check: impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    split(value, ',').into_iter().try_for_each(&mut check)
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Medplum takes the prefix of the first number for that of all, and one of a later number for a part of it.
fn numbers(code: &str, value: &str) -> Result<(), String> {
    let parts = split(value, ',');
    if parts.len() > 1 && parts.iter().any(|part| date::has_prefix(part)) {
        return Err(format!(
            "{code}: \"{}\" has a prefix in a list, which Medplum does not take. Search them one by one: {code}={}. For a range repeat it: {code}=ge5 and {code}=lt8.",
            clipped(value),
            clipped(parts.first().copied().unwrap_or_default())
        ));
    }
    parts.into_iter().try_for_each(|part| number(code, part))
}

fn number(code: &str, part: &str) -> Result<(), String> {
    let (_, rest) = date::prefix_of(part);
    if is_number(rest) {
        return Ok(());
    }
    Err(format!("{code}: \"{}\" is not a number. Write {code}=5 or {code}=ge5.", clipped(part)))
}

/// `gt7.0`, `5.4|http://unitsofmeasure.org|mg`, `5.4||mg`.
fn quantity(code: &str, value: &str) -> Result<Checked, String> {
    one_quantity(code, value)?;
    let (prefix, rest) = date::prefix_of(value);
    let fields: Vec<&str> = rest.split('|').collect();
    let number = fields.first().copied().unwrap_or_default();
    if is_number(number) && matches!(fields.len(), 1 | 3) {
        let unit = fields.get(1..).unwrap_or_default().iter().any(|unit| !unit.is_empty());
        let note = unit.then(|| {
            format!("Medplum compares the number of {code} and does not look at its unit: what comes may have another.")
        });
        return Ok(Checked { note, ..Checked::default() });
    }
    let prefix = if prefix == "eq" { "" } else { prefix };
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(rest.len());
    let (amount, unit) = (rest.get(..digits).unwrap_or_default(), rest.get(digits..).unwrap_or_default());
    if is_number(amount) {
        let unit = unit.trim_matches(['|', ' ']);
        return Err(format!(
            "{code}: \"{}\" is not a quantity. Write {code}={prefix}{amount}||{}",
            clipped(value),
            clipped(unit)
        ));
    }
    Err(format!(
        "{code}: \"{}\" is not a quantity. Write {code}=gt7.0 or {code}=5.4|http://unitsofmeasure.org|mg.",
        clipped(value)
    ))
}

/// Medplum takes no comma in a quantity for "or": it looks for a number with a comma in it, which the database refuses, or
/// for the first of several alone.
fn one_quantity(code: &str, value: &str) -> Result<(), String> {
    let parts = split(value, ',');
    let Some(first) = parts.first().filter(|_| parts.len() > 1) else { return Ok(()) };
    let point = value.replacen(',', ".", 1);
    let (_, rest) = date::prefix_of(&point);
    let is_decimal = parts.len() == 2 && is_number(rest.split('|').next().unwrap_or_default()) && !first.contains('|');
    let instead = match is_decimal {
        true => {
            format!("A number has a point: {code}={}. Several quantities are searched one by one.", clipped(&point))
        }
        false => format!(
            "Search them one by one: {code}={}. For a range repeat it: {code}=ge5 and {code}=lt8.",
            clipped(first)
        ),
    };
    Err(format!(
        "{code}: \"{}\" has a comma, which means \"or\" and which Medplum does not take in a quantity. {instead}",
        clipped(value)
    ))
}

/// A comparison where nothing can be compared: `status=ge2024-01-01`.
fn no_prefix(p: &SearchParameter, value: &str) -> Result<(), String> {
    let (_, rest) = date::prefix_of(value);
    let dated = rest.len() >= 7 && rest.as_bytes().get(4) == Some(&b'-') && date::has_prefix(value);
    let counted = date::has_prefix(value)
        && p.element_types().all(|t| matches!(t, "code" | "boolean"))
        && p.element_types().next().is_some();
    if dated || counted {
        return Err(format!(
            "{} is a {}: it cannot be compared with \"{}\". Prefixes are for dates, numbers and quantities.",
            p.code,
            p.kind,
            clipped(value)
        ));
    }
    Ok(())
}

fn token(defs: &Definitions, p: &SearchParameter, value: &str) -> Result<Checked, String> {
    no_prefix(p, value)?;
    let types: Vec<&str> = p.element_types().collect();
    if types == ["boolean"] && !split(value, ',').iter().all(|v| matches!(*v, "true" | "false")) {
        return Err(format!("{} is true or false, not \"{}\".", p.code, clipped(value)));
    }
    if p.code == "_id" {
        return ids(value);
    }
    let parts = || split(value, ',').into_iter();
    let note = no_such_code_in(defs, p, value);
    let hint = parts().find_map(|part| code_hint(defs, p, &types, part));
    Ok(Checked { value: None, hint, note })
}

/// Looks at the value of a token behind `:not`: a code that there is not leaves nothing out, and what was to be left out
/// comes along.
pub(super) fn left_out(defs: &Definitions, p: &SearchParameter, value: &str) -> Result<(), String> {
    each(value, |part| match no_such_code(defs, p, part) {
        Some(said) => Err(format!("{said} Behind :not it leaves nothing out.")),
        None => Ok(()),
    })
}

fn ids(value: &str) -> Result<Checked, String> {
    for part in value.split(',') {
        if ResourceId::parse(part).is_err() {
            return Err(format!("_id: {}", ResourceId::parse(part).err().map(|e| e.to_string()).unwrap_or_default()));
        }
    }
    Ok(Checked::default())
}

/// What is said of the first code of a value that a set does not have.
pub(super) fn no_such_code_in(defs: &Definitions, p: &SearchParameter, value: &str) -> Option<String> {
    split(value, ',').into_iter().find_map(|part| no_such_code(defs, p, part))
}

/// What is said of a code that a set does not have from which all codes must be.
fn no_such_code(defs: &Definitions, p: &SearchParameter, part: &str) -> Option<String> {
    let code = part.rsplit_once('|').map_or(part, |(_, code)| code);
    let set = p.binding.as_ref().and_then(|b| defs.bound_set(b)).filter(|s| s.closed && !code.is_empty())?;
    let lists = defs.codes(set);
    if lists.iter().any(|list| list.codes().any(|known| known == code)) {
        return None;
    }
    let nearest = defs.nearest_codes(set, code);
    let codes: Vec<&str> = lists.iter().flat_map(crate::CodeList::codes).take(12).collect();
    let hint = super::hint(&nearest);
    Some(format!("{}: \"{}\" is not one of {}.{hint}", p.code, clipped(code), codes.join(" | ")))
}

/// What may be the reason if a code finds nothing: it is rather a word, or its system is a name.
fn code_hint(defs: &Definitions, p: &SearchParameter, types: &[&str], part: &str) -> Option<String> {
    let is_closed = p.binding.as_ref().and_then(|b| defs.bound_set(b)).is_some_and(|s| s.closed);
    let coded = types.iter().any(|t| matches!(*t, "CodeableConcept" | "Coding"));
    if is_closed || !coded {
        return None;
    }
    if let Some((system, _)) = part.rsplit_once('|') {
        let wrong = Some(system).filter(|system| !system.is_empty()).and_then(systems::misnamed)?;
        return Some(format!("{}: \"{}\" {wrong}.", p.code, clipped(system)));
    }
    is_word(part).then(|| format!("{} takes codes; words are found with {}:text={}.", p.code, p.code, clipped(part)))
}

/// Whether it is rather a word of a person's than a code of a coding system: `diabetes`, `blood pressure`, not `8480-6`.
fn is_word(code: &str) -> bool {
    const SHORTEST: usize = 4;
    let letters = |c: char| c.is_alphabetic() || " '-".contains(c);
    let small = code.chars().skip(1).any(char::is_lowercase);
    code.contains(' ') || (code.chars().count() >= SHORTEST && small && code.chars().all(letters))
}

/// `Patient/123`; a bare id is completed where only one type may be meant.
fn reference(defs: &Definitions, info: &TypeInfo, p: &SearchParameter, value: &str) -> Result<Checked, String> {
    let mut parts = Vec::new();
    for part in split(value, ',') {
        parts.push(one_reference(defs, p, part)?);
    }
    let joined = parts.join(",");
    let hint = split(value, ',').into_iter().find_map(|part| word_hint(defs, info, p, part));
    Ok(Checked { value: (joined != value).then_some(joined), hint, ..Checked::default() })
}

/// A word where an id belongs: what finds it by its name, or by the words of its code.
fn word_hint(defs: &Definitions, info: &TypeInfo, p: &SearchParameter, part: &str) -> Option<String> {
    if part.contains(|c: char| c.is_ascii_digit() || "/:|".contains(c)) {
        return None;
    }
    let targets: Vec<&str> = p.targets().collect();
    let by_name = ways_by_name(defs, p, &targets);
    let code = defs.search_parameter(info, "code").filter(|code| code.kind == ParameterKind::Token);
    match (by_name.as_str(), code) {
        ("", Some(_)) => Some(format!("{} takes an id; words are found with code:text={}.", p.code, clipped(part))),
        ("", None) => None,
        (by_name, _) => {
            Some(format!("{} takes an id; by name: {}.", p.code, by_name.replace('…', clipped(part).as_ref())))
        }
    }
}

fn one_reference(defs: &Definitions, p: &SearchParameter, part: &str) -> Result<String, String> {
    let targets: Vec<&str> = p.targets().collect();
    if part.contains("://") || part.starts_with("urn:") {
        return Ok(part.to_owned());
    }
    if let Some((name, id)) = part.split_once('/') {
        return typed_reference(defs, p, name, id).map(|()| part.to_owned());
    }
    if ResourceId::parse(part).is_err() {
        return Err(not_a_reference(defs, p, &targets, part));
    }
    // A parameter named after a type means that type, whatever else it may lead to.
    let named = targets.iter().find(|t| t.eq_ignore_ascii_case(p.code));
    match (targets.as_slice(), named) {
        _ if p.code.starts_with('_') => Ok(part.to_owned()),
        ([only], _) => Ok(format!("{only}/{part}")),
        (_, Some(name)) => Ok(format!("{name}/{part}")),
        // Ids have digits in them; a word is somebody's name.
        _ if !part.contains(|c: char| c.is_ascii_digit()) => Err(not_a_reference(defs, p, &targets, part)),
        _ => {
            let shown: Vec<String> =
                targets.iter().filter(|t| **t != "Resource").take(6).map(|t| format!("{t}/{part}")).collect();
            let shown = if shown.is_empty() { format!("Patient/{part}") } else { shown.join(" or ") };
            Err(format!("{}: \"{}\" does not say its type. Write {shown}.", p.code, clipped(part)))
        }
    }
}

/// `Patient/123`, and one of its versions.
fn typed_reference(defs: &Definitions, p: &SearchParameter, name: &str, behind: &str) -> Result<(), String> {
    let targets: Vec<&str> = p.targets().collect();
    let mut rest = behind.split('/');
    let (id, behind_id) = (rest.next().unwrap_or(behind), rest.next());
    let part = || format!("{name}/{behind}");
    if let (true, Some(id)) = (id == name, behind_id) {
        return Err(format!("{}: \"{}\" says its type twice. Write {name}/{}.", p.code, clipped(&part()), clipped(id)));
    }
    let is_version = behind_id.is_none_or(|behind| behind == "_history");
    if ResourceType::parse(name).is_err() || ResourceId::parse(id).is_err() || !is_version {
        return Err(not_a_reference(defs, p, &targets, &part()));
    }
    if !defs.is_resource_type(name) {
        let nearest = super::hint(&defs.nearest_types(name));
        return Err(format!("{}: there is no resource type \"{}\".{nearest}", p.code, clipped(name)));
    }
    let any = targets.is_empty() || targets.contains(&"Resource");
    if !any && !targets.contains(&name) {
        return Err(format!("{} leads to {}, not to {name}.", p.code, targets.join(" | ")));
    }
    Ok(())
}

fn not_a_reference(defs: &Definitions, p: &SearchParameter, targets: &[&str], part: &str) -> String {
    let target =
        targets.iter().find(|t| **t == "Patient").or(targets.iter().find(|t| **t != "Resource")).unwrap_or(&"Patient");
    let by_name = ways_by_name(defs, p, targets);
    let by_name = if by_name.is_empty() { String::new() } else { format!("; to find by name, chain: {by_name}") };
    format!("{}: \"{}\" is not a reference. Write {}={target}/<id>{by_name}", p.code, clipped(part), p.code)
}

/// `performer:Practitioner.name=… or performer:Patient.name=…`: through each type that may stand there and has a name.
fn ways_by_name(defs: &Definitions, p: &SearchParameter, targets: &[&str]) -> String {
    let any = targets.is_empty() || targets.contains(&"Resource");
    let targets = if any { &["Patient"] } else { targets };
    let named =
        |target: &&&str| defs.resource_type(target).is_some_and(|info| defs.search_parameter(info, "name").is_some());
    // Whose names people say: those of people, then the others.
    let order = |target: &&str| match *target {
        "Patient" => 0,
        "Practitioner" => 1,
        "Organization" => 2,
        _ => 3,
    };
    let mut named: Vec<&str> = targets.iter().filter(named).copied().collect();
    named.sort_by_key(order);
    let ways = named.iter().take(3).map(|target| format!("{}:{target}.name=…", p.code));
    ways.collect::<Vec<_>>().join(" or ")
}

/// `8480-6$gt140`: as many parts as the composite has, each right for its own parameter.
fn composite(defs: &Definitions, info: &TypeInfo, p: &SearchParameter, value: &str) -> Result<(), String> {
    let components: Vec<(&str, &str)> = p.components().collect();
    for each in split(value, ',') {
        let parts = split(each, '$');
        if parts.len() != components.len() {
            let form: Vec<&str> = components.iter().map(|(code, _)| *code).collect();
            return Err(format!(
                "{} takes {} parts joined by $: {}={}",
                p.code,
                components.len(),
                p.code,
                form.join("$")
            ));
        }
        for (part, (code, _)) in parts.iter().zip(&components) {
            match defs.search_parameter(info, code) {
                Some(of) if of.kind == ParameterKind::Date => {
                    date::rewrite(code, part, true)?;
                }
                Some(of) if of.kind != ParameterKind::Composite => {
                    check(defs, info, of, part)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
