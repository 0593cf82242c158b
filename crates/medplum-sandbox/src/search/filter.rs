//! Which resources a condition holds for.

use std::collections::BTreeMap;
use std::ops::Bound;

use fhir_definitions::{Definitions, ParameterKind, SearchParameter};
use serde_json::Value;

use super::date;
use super::request::{Filter, Request, alternatives, condition};
use crate::call::Call;
use crate::index::{Index, Sortable, Values, words};
use crate::outcome::{Outcome, Result};
use crate::routes::pairs;
use crate::slots::{Slot, SlotSet};
use crate::store::TypeStore;

/// The longest chain that is followed.
const LONGEST_CHAIN: usize = 3;

fn unknown(code: &str) -> Outcome {
    Outcome::bad_request(format!("Unknown search parameter: {code}"))
}

/// The search parameter of a type.
pub(crate) fn parameter(
    definitions: &'static Definitions,
    of_type: &str,
    code: &str,
) -> Option<&'static SearchParameter> {
    definitions.search_parameter(definitions.resource_type(of_type)?, code)
}

impl Call<'_> {
    /// The resources that a query's conditions hold for, before any policy.
    pub(crate) fn matching(&mut self, resource_type: &str, query: &str) -> Result<SlotSet> {
        let request = Request::parse(self.engine.definitions(), resource_type, &pairs(query))?;
        self.filtered(resource_type, &request.filters)
    }

    /// The resources of a type that all conditions hold for.
    pub(crate) fn filtered(&mut self, resource_type: &str, filters: &[Filter]) -> Result<SlotSet> {
        let mut all = self.live(resource_type);
        for filter in filters {
            all.keep(&self.holds(resource_type, filter)?);
        }
        Ok(all)
    }

    fn live(&self, resource_type: &str) -> SlotSet {
        self.of_type(resource_type).map(|of_type| of_type.live.clone()).unwrap_or_default()
    }

    fn of_type(&self, resource_type: &str) -> Option<&TypeStore> {
        self.state.store.of_type(resource_type)
    }

    fn parameter(&self, resource_type: &str, code: &str) -> Option<&'static SearchParameter> {
        parameter(self.engine.definitions(), resource_type, code)
    }

    /// The index of a parameter, built if this is the first time that it is asked for. Nothing where there is no
    /// resource of the type.
    pub(crate) fn index(&mut self, resource_type: &str, name: &str, make: impl FnOnce() -> Index) -> Option<&Index> {
        let of_type = self.state.store.of_type_mut(resource_type)?;
        if !of_type.indexes.contains_key(name) {
            let mut index = make();
            for (slot, version) in of_type.each_live() {
                if let Some(text) = &version.text {
                    index.insert_text(slot, text);
                }
            }
            of_type.indexes.insert(name.to_owned(), index);
        }
        of_type.indexes.get(name)
    }

    /// The resources that one condition holds for; some of them may be deleted.
    fn holds(&mut self, resource_type: &str, filter: &Filter) -> Result<SlotSet> {
        if filter.code.starts_with("_has:") || filter.code.contains('.') {
            return self.chain(resource_type, filter);
        }
        match filter.code.as_str() {
            "_id" => Ok(self.negatable(resource_type, filter, |call| call.by_id(resource_type, &filter.value))),
            "_lastUpdated" => self.by_last_updated(resource_type, filter),
            "_compartment" => Ok(self.by_compartment(resource_type, &filter.value)),
            "_project" => Ok(self.by_project(resource_type, filter)),
            "_filter" => {
                let expression = super::expression::parse(&filter.value)?;
                self.expression(resource_type, &expression)
            }
            code => {
                let parameter = self.parameter(resource_type, code).ok_or_else(|| unknown(code))?;
                self.by_parameter(resource_type, parameter, filter)
            }
        }
    }

    fn negatable(&mut self, resource_type: &str, filter: &Filter, find: impl FnOnce(&mut Self) -> SlotSet) -> SlotSet {
        let found = find(self);
        if filter.operator != "not" && filter.operator != "ne" {
            return found;
        }
        let mut rest = self.live(resource_type);
        rest.subtract(&found);
        rest
    }

    fn by_id(&self, resource_type: &str, value: &str) -> SlotSet {
        let Some(of_type) = self.of_type(resource_type) else { return SlotSet::default() };
        let ids = alternatives(value);
        let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
        ids.iter().filter_map(|id| of_type.slot(&last(id))).collect()
    }

    fn by_last_updated(&self, resource_type: &str, filter: &Filter) -> Result<SlotSet> {
        let wanted = instant(&filter.value, false)?;
        let test = comparison(&filter.operator)?;
        let Some(of_type) = self.of_type(resource_type) else { return Ok(SlotSet::default()) };
        let updated = of_type.each_live().filter(|(_, version)| test(version.last_updated.cmp(&wanted)));
        Ok(updated.map(|(slot, _)| slot).collect())
    }

    fn by_project(&self, resource_type: &str, filter: &Filter) -> SlotSet {
        let here = alternatives(&filter.value).iter().any(|id| id.ends_with(&self.engine.config.project));
        if here { self.live(resource_type) } else { SlotSet::default() }
    }

    /// By the patient's compartment, or the project's, which is everything.
    fn by_compartment(&mut self, resource_type: &str, value: &str) -> SlotSet {
        let mut found = SlotSet::default();
        for id in alternatives(value) {
            let id = id.rsplit('/').next().unwrap_or_default().to_owned();
            if id == self.engine.config.project {
                return self.live(resource_type);
            }
            found.add(&self.of_patient(resource_type, &id));
        }
        found
    }

    /// What belongs to a patient's compartment: whatever refers to the patient by one of the compartment's parameters.
    fn of_patient(&mut self, resource_type: &str, id: &str) -> SlotSet {
        if resource_type == "Patient" {
            return self.by_id(resource_type, id);
        }
        let definitions = self.engine.definitions();
        let mut found = SlotSet::default();
        let Some(entry) = definitions.compartment_entry("Patient", resource_type) else { return found };
        let reference = format!("Patient/{id}");
        for code in entry.parameters() {
            let Some(parameter) = self.parameter(resource_type, code) else { continue };
            let index = self.index(resource_type, code, || Index::new(parameter));
            if let Some(Values::Exact(references)) = index.map(|index| &index.values) {
                found.extend(references.get(reference.as_str()).into_iter().flatten().copied());
            }
        }
        found
    }

    fn by_parameter(
        &mut self,
        resource_type: &str,
        parameter: &'static SearchParameter,
        filter: &Filter,
    ) -> Result<SlotSet> {
        let live = self.live(resource_type);
        let by_identifier = filter.operator == "identifier" && parameter.kind == ParameterKind::Reference;
        let index = if by_identifier {
            let name = format!("{}:identifier", parameter.code);
            self.index(resource_type, &name, || Index::of_identifiers(parameter))
        } else {
            self.index(resource_type, parameter.code, || Index::new(parameter))
        };
        let empty = Index::new(parameter);
        let index = index.unwrap_or(&empty);
        if ["missing", "present"].contains(&filter.operator.as_str()) {
            return Ok(by_presence(live, &index.present, filter));
        }
        if is_boolean(parameter) && filter.value != "true" && filter.value != "false" {
            return Err(Outcome::bad_request("Boolean search value must be 'true' or 'false'"));
        }
        let operator = if by_identifier { "eq" } else { filter.operator.as_str() };
        let found = match &index.values {
            Values::Token { codes, texts } => by_token(codes, texts, parameter, operator, &filter.value)?,
            Values::Text { exact, lower, words } => {
                if filter.value.is_empty() && operator == "eq" {
                    return Ok(live);
                }
                by_text(exact, lower, words, operator, &filter.value)?
            }
            Values::Exact(all) => by_whole(all, parameter, &filter.value),
            Values::Date(dates) => {
                let wanted = instant(&filter.value, only_days(parameter))?;
                ordered(dates, operator, wanted)?
            }
            Values::Number(numbers) => by_number(numbers, parameter, operator, &filter.value)?,
        };
        if operator == "not" || operator == "ne" && matches!(index.values, Values::Token { .. } | Values::Exact(_)) {
            let mut rest = live;
            rest.subtract(&found);
            return Ok(rest);
        }
        Ok(found)
    }

    /// `patient.identifier=…`, `_has:Observation:patient:code=…`, and chains of these.
    fn chain(&mut self, resource_type: &str, filter: &Filter) -> Result<SlotSet> {
        let (links, last, last_type) = self.chain_links(resource_type, filter)?;
        if links.len() > LONGEST_CHAIN {
            return Err(Outcome::bad_request("Search chains longer than three links are not currently supported"));
        }
        let mut found = self.filtered(&last_type, std::slice::from_ref(&last))?;
        for link in links.iter().rev() {
            found = if link.reverse { self.referred(link, &found) } else { self.referring(link, &found) };
        }
        Ok(found)
    }

    /// The links of a chain, and the condition at its end with the type that it is about.
    fn chain_links(&self, resource_type: &str, filter: &Filter) -> Result<(Vec<Link>, Filter, String)> {
        let mut here = resource_type.to_owned();
        let mut links = Vec::new();
        let parts = split_chain(&filter.code)?;
        let Some((last, before)) = parts.split_last() else {
            return Err(Outcome::bad_request("Unterminated chained search"));
        };
        for part in before {
            let link = match part.strip_prefix("_has:") {
                Some(rest) => self.reverse_link(&here, rest)?,
                None => self.link(&here, part)?,
            };
            here.clone_from(&link.next);
            links.push(link);
        }
        if last.starts_with("_has:") {
            return Err(Outcome::bad_request("Unterminated chained search"));
        }
        let (code, modifier) = last.split_once(':').unwrap_or((last, ""));
        let parameter = self
            .parameter(&here, code)
            .ok_or_else(|| Outcome::bad_request(format!("Invalid search parameter at end of chain: {here}?{code}")))?;
        Ok((links, condition(parameter, modifier, &filter.value)?, here))
    }

    fn link(&self, here: &str, part: &str) -> Result<Link> {
        let (code, modifier) = part.split_once(':').unwrap_or((part, ""));
        let parameter = self.parameter(here, code).filter(|parameter| parameter.kind == ParameterKind::Reference);
        let parameter = parameter
            .ok_or_else(|| Outcome::bad_request(format!("Invalid search parameter in chain: {here}?{code}")))?;
        let targets: Vec<&str> = parameter.targets().collect();
        let next = match targets.as_slice() {
            [one] => *one,
            many => many.iter().find(|target| **target == modifier).ok_or_else(|| {
                let text = "Unable to identify next resource type for search parameter";
                Outcome::bad_request(format!("{text}: {here}?{code}"))
            })?,
        };
        Ok(Link { origin: here.to_owned(), next: next.to_owned(), parameter, reverse: false })
    }

    fn reverse_link(&self, here: &str, rest: &str) -> Result<Link> {
        let (next, code) = rest.split_once(':').unwrap_or((rest, ""));
        let parameter = self.parameter(next, code).filter(|parameter| parameter.kind == ParameterKind::Reference);
        let parameter = parameter
            .ok_or_else(|| Outcome::bad_request(format!("Invalid search parameter in chain: {next}?{code}")))?;
        if !parameter.targets().any(|target| target == here || target == "Resource") {
            return Err(Outcome::bad_request(format!(
                "Invalid reverse chain link: search parameter {next}?{code} does not refer to {here}"
            )));
        }
        Ok(Link { origin: here.to_owned(), next: next.to_owned(), parameter, reverse: true })
    }

    /// What refers to any of the found.
    fn referring(&mut self, link: &Link, found: &SlotSet) -> SlotSet {
        let references: Vec<String> = self.of_type(&link.next).map_or_else(Vec::new, |of_type| {
            let ids = found.iter().filter_map(|slot| of_type.record(slot));
            ids.map(|record| format!("{}/{}", link.next, record.id)).collect()
        });
        let index = self.index(&link.origin, link.parameter.code, || Index::new(link.parameter));
        let Some(Values::Exact(all)) = index.map(|index| &index.values) else {
            return SlotSet::default();
        };
        let slots = references.iter().filter_map(|reference| all.get(reference.as_str()));
        slots.flatten().copied().collect()
    }

    /// What any of the found refers to.
    fn referred(&mut self, link: &Link, found: &SlotSet) -> SlotSet {
        let index = self.index(&link.next, link.parameter.code, || Index::new(link.parameter));
        let Some(Values::Exact(all)) = index.map(|index| &index.values) else {
            return SlotSet::default();
        };
        let from = format!("{}/", link.origin);
        let of_origin = all.range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded));
        let of_origin = of_origin.take_while(|(reference, _)| reference.starts_with(&from));
        let hit = of_origin.filter(|(_, slots)| slots.iter().any(|slot| found.contains(*slot)));
        let ids: Vec<String> =
            hit.filter_map(|(reference, _)| Some(reference.strip_prefix(&from)?.to_owned())).collect();
        let Some(of_type) = self.of_type(&link.origin) else { return SlotSet::default() };
        ids.iter().filter_map(|id| of_type.slot(id)).collect()
    }

    fn expression(&mut self, resource_type: &str, expression: &super::expression::Expression) -> Result<SlotSet> {
        use super::expression::Expression;
        match expression {
            Expression::Is(filter) => {
                let mut found = self.holds(resource_type, filter)?;
                found.keep(&self.live(resource_type));
                Ok(found)
            }
            Expression::Not(inner) => {
                let mut rest = self.live(resource_type);
                rest.subtract(&self.expression(resource_type, inner)?);
                Ok(rest)
            }
            Expression::And(left, right) => {
                let mut both = self.expression(resource_type, left)?;
                both.keep(&self.expression(resource_type, right)?);
                Ok(both)
            }
            Expression::Or(left, right) => {
                let mut either = self.expression(resource_type, left)?;
                either.add(&self.expression(resource_type, right)?);
                Ok(either)
            }
        }
    }
}

/// One step of a chain.
struct Link {
    /// The type that it starts from.
    origin: String,
    /// The type that it leads to.
    next: String,
    parameter: &'static SearchParameter,
    /// Whether `next` refers to `origin`, and not the other way round.
    reverse: bool,
}

fn split_chain(code: &str) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = code;
    while !rest.is_empty() {
        let part = if let Some(has) = rest.strip_prefix("_has:") {
            let mut colons = has.match_indices(':').map(|(at, _)| at);
            let end = colons.nth(1);
            let end = end.ok_or_else(|| Outcome::bad_request(format!("Invalid search chain: {rest}")))?;
            rest.split_at_checked("_has:".len() + end)
        } else {
            rest.split_at_checked(rest.find('.').unwrap_or(rest.len()))
        };
        let Some((part, behind)) = part else { break };
        parts.push(part);
        rest = behind.get(1..).unwrap_or_default();
    }
    Ok(parts)
}

fn is_boolean(parameter: &SearchParameter) -> bool {
    let mut types = parameter.element_types();
    parameter.kind == ParameterKind::Token && types.next() == Some("boolean") && types.next().is_none()
}

/// Whether the parameter looks at days alone, which the server keeps apart from times.
fn only_days(parameter: &SearchParameter) -> bool {
    let mut types = parameter.element_types().peekable();
    types.peek().is_some() && types.all(|name| name == "date")
}

/// The instant that a date stands for. A year or a month is refused in the database's own words.
fn instant(text: &str, only_days: bool) -> Result<i64> {
    if text.len() < 10 {
        let kind = if only_days { "date" } else { "timestamp with time zone" };
        return Err(Outcome::bad_request(format!("invalid input syntax for type {kind}: \"{text}\"")));
    }
    let day = text.get(..10).unwrap_or(text);
    let found = if only_days { date::millis(day) } else { date::millis(text).or_else(|| date::with_zone(text)) };
    found.ok_or_else(|| Outcome::bad_request(format!("Invalid date value: {text}")))
}

/// What an operator asks of an order.
fn comparison(operator: &str) -> Result<fn(std::cmp::Ordering) -> bool> {
    Ok(match operator {
        "eq" | "exact" => std::cmp::Ordering::is_eq,
        "ne" | "not" => std::cmp::Ordering::is_ne,
        "gt" | "sa" => std::cmp::Ordering::is_gt,
        "ge" => std::cmp::Ordering::is_ge,
        "lt" | "eb" => std::cmp::Ordering::is_lt,
        "le" => std::cmp::Ordering::is_le,
        other => return Err(Outcome::bad_request(format!("Unknown FHIR operator: {other}"))),
    })
}

/// The places of values that stand so to the wanted one.
fn ordered<K: Ord + Copy>(values: &BTreeMap<K, Vec<Slot>>, operator: &str, wanted: K) -> Result<SlotSet> {
    comparison(operator)?;
    let range = match operator {
        "gt" | "sa" => (Bound::Excluded(wanted), Bound::Unbounded),
        "ge" => (Bound::Included(wanted), Bound::Unbounded),
        "lt" | "eb" => (Bound::Unbounded, Bound::Excluded(wanted)),
        "le" => (Bound::Unbounded, Bound::Included(wanted)),
        "ne" | "not" => (Bound::Unbounded, Bound::Unbounded),
        _ => (Bound::Included(wanted), Bound::Included(wanted)),
    };
    let unwanted = operator == "ne" || operator == "not";
    let found = values.range(range).filter(|(key, _)| !unwanted || **key != wanted);
    Ok(found.flat_map(|(_, slots)| slots).copied().collect())
}

fn by_number(
    numbers: &BTreeMap<Sortable, Vec<Slot>>,
    parameter: &SearchParameter,
    operator: &str,
    value: &str,
) -> Result<SlotSet> {
    let quantity = parameter.kind == ParameterKind::Quantity;
    let wanted = if quantity { vec![value.to_owned()] } else { alternatives(value) };
    let mut all = SlotSet::default();
    for wanted in wanted {
        let text = wanted.split('|').next().unwrap_or_default();
        if quantity && text.is_empty() {
            return Err(Outcome::bad_request(format!("Invalid quantity value: {value}")));
        }
        let number: f64 = text
            .parse()
            .map_err(|_| Outcome::bad_request(format!("invalid input syntax for type double precision: \"{text}\"")))?;
        if quantity && operator == "ap" {
            let (low, high) = (Sortable::from(number * 0.9), Sortable::from(number * 1.1));
            let (low, high) = (low.min(high), low.max(high));
            all.extend(numbers.range(low..=high).flat_map(|(_, slots)| slots).copied());
        } else {
            all.add(&ordered(numbers, operator, number.into())?);
        }
    }
    Ok(all)
}

fn by_whole(all: &BTreeMap<Box<str>, Vec<Slot>>, parameter: &SearchParameter, value: &str) -> SlotSet {
    let of_patient = parameter.kind == ParameterKind::Reference && matches!(parameter.code, "subject" | "patient");
    let mut found = SlotSet::default();
    for wanted in alternatives(value) {
        let wanted = if of_patient && !wanted.contains('/') { format!("Patient/{wanted}") } else { wanted };
        found.extend(all.get(wanted.as_str()).into_iter().flatten().copied());
    }
    found
}

type Codes = BTreeMap<(Box<str>, Box<str>), Vec<Slot>>;

/// `:missing`, and its opposite.
fn by_presence(live: SlotSet, present: &SlotSet, filter: &Filter) -> SlotSet {
    let mut found = live;
    if (filter.value == "true") == (filter.operator == "present") {
        found.keep(present);
    } else {
        found.subtract(present);
    }
    found
}

fn by_token(
    codes: &Codes,
    texts: &BTreeMap<Box<str>, Vec<Slot>>,
    parameter: &SearchParameter,
    operator: &str,
    value: &str,
) -> Result<SlotSet> {
    let mut found = SlotSet::default();
    for wanted in alternatives(value) {
        let wanted = wanted.trim();
        match operator {
            "text" | "contains" => {
                let wanted = wanted.to_lowercase();
                let hits = texts.iter().filter(|(text, _)| text.contains(&wanted));
                found.extend(hits.flat_map(|(_, slots)| slots).copied());
            }
            "eq" | "exact" | "not" | "ne" => add_token(codes, wanted, &mut found),
            other => {
                return Err(Outcome::bad_request(format!(
                    "Search filter '{other}' not supported for {}",
                    parameter.code
                )));
            }
        }
    }
    Ok(found)
}

/// `code`, `system|code`, `|code`, `system|`
fn add_token(codes: &Codes, wanted: &str, found: &mut SlotSet) {
    match wanted.split_once('|') {
        Some((system, "")) => {
            let hits = codes.iter().filter(|((_, known), _)| known.as_ref() == system);
            found.extend(hits.flat_map(|(_, slots)| slots).copied());
        }
        Some((system, code)) => {
            let key = (Box::from(code), Box::from(system));
            found.extend(codes.get(&key).into_iter().flatten().copied());
        }
        None => {
            let from = (Box::from(wanted), Box::from(""));
            let hits = codes.range(from..).take_while(|((code, _), _)| code.as_ref() == wanted);
            found.extend(hits.flat_map(|(_, slots)| slots).copied());
        }
    }
}

type Texts = BTreeMap<Box<str>, Vec<Slot>>;

fn starting_with<'t>(texts: &'t Texts, start: &'t str) -> impl Iterator<Item = Slot> + 't {
    let from = texts.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    from.take_while(move |(text, _)| text.starts_with(start)).flat_map(|(_, slots)| slots).copied()
}

fn by_text(exact: &Texts, lower: &Texts, by_word: &Texts, operator: &str, value: &str) -> Result<SlotSet> {
    let mut found = SlotSet::default();
    for wanted in alternatives(value) {
        match operator {
            "exact" => found.extend(exact.get(wanted.as_str()).into_iter().flatten().copied()),
            "contains" => {
                let wanted = wanted.to_lowercase();
                let hits = lower.iter().filter(|(text, _)| text.contains(&wanted));
                found.extend(hits.flat_map(|(_, slots)| slots).copied());
            }
            "eq" | "sw" => found.add(&by_words(lower, by_word, &wanted)),
            other => {
                return Err(Outcome::bad_request(format!("Unsupported string search operator: {other}")));
            }
        }
    }
    Ok(found)
}

/// Each word of the value must begin a word of the text; or the whole text begins with the value.
fn by_words(lower: &Texts, by_word: &Texts, wanted: &str) -> SlotSet {
    let mut all: Option<SlotSet> = None;
    words(wanted, &mut |word| {
        let hits: SlotSet = starting_with(by_word, &word).collect();
        match &mut all {
            None => all = Some(hits),
            Some(all) => all.keep(&hits),
        }
    });
    let mut all = all.unwrap_or_default();
    all.extend(starting_with(lower, &wanted.to_lowercase()));
    all
}

/// The references that a value holds, for `_include`.
pub(crate) fn reference_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("reference")?.as_str())
}
