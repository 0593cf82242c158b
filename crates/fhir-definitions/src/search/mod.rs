//! Whether a search asks what it means to ask. Medplum drops a modifier that it does not know and answers for
//! everyone, takes an empty value for no filter at all, and a day for its midnight; here that is refused or put right
//! before anything is sent.
//!
//! FHIR: <https://hl7.org/fhir/R4/search.html>

mod date;
mod empty;
mod has;
mod key;
mod self_link;
mod shaping;
mod values;

use std::fmt;

use serde_json::Value;

use crate::capabilities::Statement;
use crate::validate::clipped;
use crate::{Definitions, ParameterKind, SearchParameter, TypeInfo};
pub use empty::{EmptyPart, asks_for_nothing, empty_part, shapes_page};
pub use self_link::{Dropped, compare_self};

/// A search that may be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// The parameters to send, in the order given. A date may have become two.
    pub params: Vec<(String, String)>,
    /// What was changed.
    pub notes: Vec<String>,
    /// What to think of if nothing is found: a code off its list, a code without its system.
    pub hints: Vec<String>,
}

/// A parameter that must not be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchFault {
    /// The parameter's name as it was given.
    pub parameter: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for SearchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Looks at the parameters of a search of one type, by the definitions alone. `Resource` stands for a search of
/// several types with `_type`.
///
/// # Errors
/// Every [`SearchFault`] that is found, not only the first.
pub fn check(resource_type: &str, params: &[(String, String)]) -> Result<Rewritten, Vec<SearchFault>> {
    check_with(resource_type, params, None)
}

/// The same, and also lets through the parameters that the server's own CapabilityStatement lists: a newer server may
/// know more than the definitions.
///
/// # Errors
/// Every [`SearchFault`] that is found, not only the first.
pub fn check_with(
    resource_type: &str,
    params: &[(String, String)],
    statement: Option<&Value>,
) -> Result<Rewritten, Vec<SearchFault>> {
    let defs = Definitions::get();
    let info = searched_type(defs, resource_type).map_err(|fault| vec![fault])?;
    let mut checker = Checker { defs, info, statement: statement.and_then(Statement::of), out: Rewritten::default() };
    let mut faults = Vec::new();
    for (key, value) in params {
        if let Err(message) = checker.parameter(key, value) {
            faults.push(SearchFault { parameter: key.clone(), message });
        }
    }
    faults.dedup();
    if faults.is_empty() { Ok(checker.out) } else { Err(faults) }
}

/// What is said of the codes in a filter that the set does not have from which they must be: such a filter finds nothing, or
/// less than was meant. None where all may be there.
pub fn no_such_code(info: &TypeInfo, parameter: &str, value: &str) -> Option<String> {
    let defs = Definitions::get();
    let parameter = defs.search_parameter(info, parameter).filter(|p| p.kind == ParameterKind::Token)?;
    values::no_such_code_in(defs, parameter, value)
}

/// What is wrong with the value of a filter of a GraphQL document, where an argument stands once; none for a parameter that
/// is not known here. A date that means a range is two.
pub fn fault_of_one(info: &TypeInfo, parameter: &str, value: &str) -> Option<String> {
    let defs = Definitions::get();
    let kind = defs.search_parameter(info, parameter)?.kind;
    let quoted = |value: &str| Value::from(value).to_string();
    let argument = |value: &str| format!("{}: {}", parameter.replace('-', "_"), quoted(value));
    let given = argument(&clipped(value));
    if let (ParameterKind::Date, Some((first, _))) = (kind, value.split_once(',')) {
        return Some(format!(
            "{given} lists several dates, which Medplum refuses, and an argument stands once. search_resources asks for a range; here each is asked in a field of its own, with an alias, such as a: …({}).",
            argument(&clipped(first.trim()))
        ));
    }
    let mut checker = Checker { defs, info, statement: None, out: Rewritten::default() };
    if let Err(fault) = checker.filter(info, parameter, value, "", true) {
        return Some(fault);
    }
    let meant: Vec<&str> = checker.out.params.iter().map(|(_, value)| value.as_str()).collect();
    match meant.as_slice() {
        _ if kind != ParameterKind::Date || meant == [value] => None,
        [only] => Some(format!("{given} would be compared with its first instant. Write {}", argument(only))),
        several => Some(format!(
            "{given} means {}, and only one of them can be asked here. search_resources asks for both.",
            several.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(" and ")
        )),
    }
}

fn searched_type<'a>(defs: &'a Definitions, name: &str) -> Result<&'a TypeInfo, SearchFault> {
    let fault = |message| Err(SearchFault { parameter: String::new(), message });
    match defs.type_info(name) {
        Some(info) if info.searchable || name == "Resource" => Ok(info),
        Some(info) if defs.is_resource_type(name) => {
            fault(format!("{} cannot be searched: read it by its id.", info.name))
        }
        _ => {
            let nearest = hint(&defs.nearest_types(name));
            fault(format!("There is no resource type \"{}\".{nearest}", clipped(name)))
        }
    }
}

/// ` Nearest: family, name.`
fn hint<S: AsRef<str>>(nearest: &[S]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = nearest.iter().map(AsRef::as_ref).collect();
    format!(" Nearest: {}.", names.join(", "))
}

/// The look at one search. Each step answers with the text of a fault.
struct Checker<'a> {
    defs: &'static Definitions,
    info: &'a TypeInfo,
    statement: Option<Statement<'a>>,
    out: Rewritten,
}

/// What a parameter's name leads to.
enum Found<'d> {
    /// A parameter of the definitions.
    Known(&'d SearchParameter),
    /// A parameter that only the server knows.
    Served(ParameterKind),
}

impl Checker<'_> {
    fn parameter(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (name, _) = key::split_modifier(key);
        if name == "_has" {
            has::check(self.defs, self.info, key, value)?;
            return self.keep(key, value);
        }
        if self.defs.result_parameters().contains(&name) {
            let note = shaping::check(self.defs, self.info, key, value)?;
            self.out.notes.extend(note);
            // Medplum takes a space for a part of the name.
            let parts = value.split(',').map(str::trim).collect::<Vec<_>>().join(",");
            return self.keep(key, if name == "_sort" { &parts } else { value });
        }
        if value.trim().is_empty() {
            return Err(self.empty(key, name));
        }
        if name.starts_with('_') && name.contains('.') || !name.contains('.') && !key.contains('.') {
            return self.filter(self.info, key, value, "", true);
        }
        self.chain(key, value)
    }

    /// An empty value matches everyone.
    fn empty(&self, key: &str, name: &str) -> String {
        let known = !name.contains('.') && self.defs.search_parameter(self.info, name).is_none();
        if known && name != "_has" {
            return self.unknown(self.info, name);
        }
        let missing = if name.starts_with('_') || key.contains('.') {
            String::new()
        } else {
            format!("; {name}:missing=true finds those without")
        };
        format!(
            "{} is empty, and would match every {}. Give it a value, or leave it out{missing}.",
            clipped(key),
            self.info.name
        )
    }

    fn keep(&mut self, key: &str, value: &str) -> Result<(), String> {
        self.out.params.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    fn find(&self, info: &TypeInfo, code: &str) -> Result<Found<'static>, String> {
        if let Some(p) = self.defs.search_parameter(info, code) {
            return Ok(Found::Known(p));
        }
        if info.name == "Resource"
            && let Some(p) = self.defs.own_parameters(info).iter().find(|p| p.code == code)
        {
            return Ok(Found::Known(p));
        }
        let served = self.statement.and_then(|s| s.parameters(info.name).find(|(name, _)| *name == code));
        match served {
            Some((_, kind)) => Ok(Found::Served(ParameterKind::parse(kind))),
            None => Err(self.unknown(info, code)),
        }
    }

    fn unknown(&self, info: &TypeInfo, code: &str) -> String {
        let mut nearest: Vec<String> =
            self.defs.nearest_parameters(info, code).into_iter().map(str::to_owned).collect();
        if nearest.is_empty() {
            nearest = self.defs.nearest_elements(info, code);
            nearest.retain(|n| self.defs.search_parameter(info, n).is_some());
        }
        let more = if nearest.is_empty() {
            " get_resource_capabilities lists those that it has.".to_owned()
        } else {
            hint(&nearest)
        };
        format!("{} has no search parameter \"{}\".{more}", info.name, clipped(code))
    }

    /// A filter on the type itself, or on the last type of a chain; `before` is the chain that leads there.
    fn filter(&mut self, info: &TypeInfo, key: &str, value: &str, before: &str, may_split: bool) -> Result<(), String> {
        let (code, modifier) = key::split_modifier(key);
        let found = self.find(info, code)?;
        let kind = match &found {
            Found::Known(p) => p.kind,
            Found::Served(kind) => *kind,
        };
        if let Some(modifier) = modifier {
            if kind == ParameterKind::Reference && self.defs.is_resource_type(modifier) {
                let value = key::typed_reference(code, modifier, value)?;
                return self.filter(info, code, &value, before, may_split);
            }
            key::check_modifier(self.defs, code, kind, modifier, value)?;
            if let (Found::Known(p), "not") = (&found, modifier) {
                values::left_out(self.defs, p, value)?;
            }
            return self.keep(&format!("{before}{key}"), value);
        }
        let name = format!("{before}{code}");
        match (&found, kind) {
            (_, ParameterKind::Date) => {
                let only_days = matches!(&found, Found::Known(p) if p.element_types().all(|t| t == "date"));
                self.date(&name, value, only_days, may_split)
            }
            (Found::Known(p), _) => {
                let checked = values::check(self.defs, info, p, value)?;
                self.out.hints.extend(checked.hint);
                self.out.notes.extend(checked.note);
                self.keep(&name, checked.value.as_deref().unwrap_or(value))
            }
            (Found::Served(_), _) => match empty_part(value) {
                Some(empty) => Err(format!("{name}: \"{}\" {empty}.", clipped(value))),
                None => self.keep(&name, value),
            },
        }
    }

    fn date(&mut self, name: &str, value: &str, only_days: bool, may_split: bool) -> Result<(), String> {
        let rewritten = date::rewrite(name, value, only_days)?;
        if rewritten.len() > 1 && !may_split {
            return Err(format!(
                "{name}={} means a range, which this chain cannot hold together. Search the other type by its date first.",
                clipped(value)
            ));
        }
        if rewritten != [value] {
            let shown: Vec<String> = rewritten.iter().map(|v| format!("{name}={v}")).collect();
            self.out.notes.push(format!("{name}={value} was sent as {}.", shown.join("&")));
        }
        for value in &rewritten {
            self.keep(name, value)?;
        }
        Ok(())
    }

    /// `patient.name`, `subject:Patient.organization.name`: each step is a reference, the last a filter.
    fn chain(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (mut info, mut before, mut single) = (self.info, String::new(), true);
        let mut rest = key;
        while let Some((step, after)) = rest.split_once('.') {
            let (code, modifier) = key::split_modifier(step);
            let Found::Known(p) = self.find(info, code)? else {
                return self.keep(key, value);
            };
            if p.kind != ParameterKind::Reference {
                return Err(format!("{code} is a {}; only a reference can be chained: {key}", p.kind));
            }
            single = single && self.is_single(info, p);
            before.push_str(step);
            before.push('.');
            let (last, _) = key::split_modifier(after);
            info = self.chained_type(p, modifier, last.split('.').next().unwrap_or(last))?;
            rest = after;
        }
        self.filter(info, rest, value, &before, single)
    }

    /// Where a chain goes on: the type that it names, or the one target that has the next parameter.
    fn chained_type(
        &self,
        p: &SearchParameter,
        modifier: Option<&str>,
        next: &str,
    ) -> Result<&'static TypeInfo, String> {
        if let Some(name) = modifier {
            return self.defs.resource_type(name).ok_or_else(|| {
                format!("{}:{} names no resource type.{}", p.code, clipped(name), hint(&self.defs.nearest_types(name)))
            });
        }
        let targets: Vec<&TypeInfo> = if p.targets().any(|t| t == "Resource") || p.targets().next().is_none() {
            self.defs.resource_types().collect()
        } else {
            p.targets().filter_map(|t| self.defs.resource_type(t)).collect()
        };
        let mut having = targets.iter().filter(|t| self.defs.search_parameter(t, next).is_some());
        let first = having.next();
        if let (Some(first), true) = (first, targets.len() > 1) {
            // Medplum does not choose among several.
            let ways: Vec<String> =
                std::iter::once(first).chain(having).take(4).map(|t| format!("{}:{}.{next}", p.code, t.name)).collect();
            return Err(format!("{} may lead to several types. Write {}.", p.code, ways.join(" or ")));
        }
        first.copied().ok_or_else(|| {
            let mut nearest: Vec<String> = Vec::new();
            for target in targets.iter().take(8) {
                let here = self.defs.nearest_parameters(target, next);
                nearest.extend(here.iter().map(|n| format!("{}.{n} ({})", p.code, target.name)));
            }
            nearest.truncate(4);
            let names: Vec<&str> = targets.iter().take(8).map(|t| t.name).collect();
            format!(
                "{}.{}: {} has no such search parameter.{}",
                p.code,
                clipped(next),
                names.join(" | "),
                hint(&nearest)
            )
        })
    }

    /// Whether a reference parameter looks at one reference only, so that two filters behind it speak of the same.
    fn is_single(&self, info: &TypeInfo, p: &SearchParameter) -> bool {
        let Some(path) = p.expression.strip_prefix(info.name).and_then(|e| e.strip_prefix('.')) else { return false };
        let name: String = path.chars().take_while(char::is_ascii_alphanumeric).collect();
        let plain = path == name || path.get(name.len()..).is_some_and(|rest| rest.starts_with(".where(resolve()"));
        plain && self.defs.elements(info).any(|e| e.name == name && !e.array)
    }
}
