//! The codes that a chart or a project uses, so that a search asks for codes that exist.

use std::collections::{BTreeMap, HashMap};

use fhir_definitions::{Definitions, Element, TypeInfo, TypeKind, nearest};
use medplum_client::ResourceType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::query::{counted, most_resources, whole_search};
use crate::answer::Answer;
use crate::context::{Context, resource_type};
use crate::failure::Failure;
use crate::page::Entry;
use crate::search::Search;
use crate::sql::time::utc;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

/// How many resources are looked at unless told.
const RESOURCES: usize = 5_000;
/// How many are looked at to see which of their dates they hold.
const SAMPLE: usize = 50;
/// The most codes of one answer.
const MOST_CODES: usize = 150;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ListCodes {
    resource_type: String,
    /// As in search_resources
    params: Option<Map<String, Value>>,
    /// Another coded element than the main one: category, component.code
    element: Option<String>,
    /// 5000 unless told
    max_resources: Option<i64>,
}

impl Run for ListCodes {
    const FACTS: Facts = Facts {
        name: "list_codes",
        toolset: Toolset::Query,
        title: "List Codes in Use",
        description: "The distinct codes of all matches with display, count, first and last date, the most frequent first. Use it before you search by a code.",
        when: "see which codes a chart or project uses, before a search by code",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let most = most_resources(self.max_resources, RESOURCES)?;
        let of = resource_type(&self.resource_type)?;
        let query = whole_search(self.params)?;
        let search = Search::new(cx, of.clone(), query).await?;
        let places = Places::of(of.as_str(), self.element.as_deref())?;
        let zero = search.zero();
        let walk = search.walk(cx, most).await?;
        let (matched, more) = (walk.matched, walk.more);
        let mut codes = Codes::default();
        let entries = walk.into_entries();
        let sample = entries.iter().take(SAMPLE).map(Entry::resource).collect::<Result<Vec<_>, _>>()?;
        let places = places.dated_by(&sample);
        for entry in entries {
            codes.add(&entry.resource()?, &places);
        }
        let answer = codes.answer(&places, &of, (matched, more));
        if matched > 0 {
            return Ok(answer);
        }
        // To list the codes is what is done here.
        Ok(answer.note(zero.explain(cx).await.replace(" list_codes shows the codes that there are.", "")))
    }
}

/// Where the codes and the dates of a type are.
struct Places {
    /// The element as it is called, behind those that it stands in: `component.code`.
    element: String,
    /// The elements that it stands in, from the outermost.
    within: Vec<String>,
    /// Its JSON names: a choice has several.
    codes: Vec<String>,
    /// The elements that have codes of their own inside, as `component` has `code`.
    inner: Vec<&'static str>,
    /// What else of the type is coded.
    others: Vec<String>,
    /// By which they are in order of time; the first that they hold counts.
    dates: Vec<Date>,
}

/// A date of a type.
struct Date {
    /// The element as it is called.
    element: String,
    /// Where its value stands in the JSON.
    names: Vec<String>,
}

impl Places {
    fn of(resource_type: &str, element: Option<&str>) -> Result<Self, Failure> {
        let defs = Definitions::get();
        let Some(info) = defs.resource_type(resource_type) else {
            return Err(Failure::teach(format!(
                "{resource_type} has no definition here: query_resources reads its json"
            )));
        };
        let coded: Vec<&Element> = defs.elements(info).filter(|e| is_coded(defs, e)).collect();
        let inner = inner_codes(defs, info);
        let main = match element {
            None => main_element(defs, info, &coded).map(|main| (Vec::new(), main)),
            Some(given) => coded_at(defs, info, given.trim()),
        };
        let Some((within, main)) = main else {
            return Err(no_such_element(resource_type, element, &coded, &inner));
        };
        let date = |element: &Element| Date { element: element.full_name(), names: defs.json_names(element) };
        let dates = dates_of(defs, info).into_iter().map(date).collect();
        let others = coded.iter().filter(|other| other.name != main.name).map(|other| other.name.to_owned()).collect();
        // Whoever asks for one element by its name knows of the others.
        let inner = if element.is_none() { inner } else { Vec::new() };
        let element = within.iter().cloned().chain([main.full_name()]).collect::<Vec<_>>().join(".");
        Ok(Self { element, within, codes: defs.json_names(main), inner, others, dates })
    }

    /// The same with the first date that any of these resources holds.
    fn dated_by(mut self, sample: &[Value]) -> Self {
        if let Some(held) = self.dates.iter().position(|date| sample.iter().any(|resource| date.of(resource).is_some()))
        {
            self.dates.drain(..held);
        }
        self
    }

    /// What the elements are in that the codes stand in: the resource itself, or each of its components.
    fn holders<'r>(&self, resource: &'r Value) -> Vec<&'r Value> {
        self.within.iter().fold(vec![resource], |holders, name| {
            let values = holders.into_iter().filter_map(|holder| holder.get(name));
            values.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)).collect()
        })
    }

    fn date(&self) -> &str {
        self.dates.first().map_or("meta.lastUpdated", |date| &date.element)
    }

    fn date_of<'r>(&self, resource: &'r Value) -> Option<&'r str> {
        match self.dates.first() {
            Some(date) => date.of(resource),
            None => resource.pointer("/meta/lastUpdated").and_then(Value::as_str),
        }
    }
}

impl Date {
    fn of<'r>(&self, resource: &'r Value) -> Option<&'r str> {
        self.names.iter().find_map(|name| {
            let value = resource.get(name)?;
            let value = value.get(0).unwrap_or(value);
            value.as_str().or_else(|| value.get("start")?.as_str()).or_else(|| value.get("event")?.get(0)?.as_str())
        })
    }
}

fn no_such_element(of: &str, element: Option<&str>, coded: &[&Element], inner: &[&str]) -> Failure {
    let inner = inner.iter().map(|outer| format!("{outer}.code"));
    let all: Vec<String> = coded.iter().map(|e| e.name.to_owned()).chain(inner).collect();
    let near = element.map(|given| nearest(given, all.iter().map(String::as_str))).unwrap_or_default();
    let near = if near.is_empty() { String::new() } else { format!(" Nearest: {}.", near.join(", ")) };
    let which = element.map_or("main coded element".into(), |given| format!("coded element \"{given}\""));
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    Failure::teach(format!("{of} has no {which}.{near} Those that it has: {all}. Nothing was searched"))
}

/// A coded element by its path, and the elements that it stands in: `component.code`.
fn coded_at<'a>(defs: &'a Definitions, info: &'a TypeInfo, path: &str) -> Option<(Vec<String>, &'a Element)> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if name == info.name {
        return coded_at(defs, info, rest?);
    }
    let name = name.trim_end_matches("[x]");
    let (element, of) = match defs.element(info, name) {
        Some((element, of)) => (element, of),
        None => (defs.elements(info).find(|e| e.name == name)?, None),
    };
    // `code.coding.code` is what `code` is.
    if is_coded(defs, element) {
        return Some((Vec::new(), element));
    }
    let (mut within, found) = coded_at(defs, defs.resolve(of?)?, rest?)?;
    within.insert(0, name.to_owned());
    Some((within, found))
}

/// The elements of a type that have a `code` inside, as a component of an Observation has.
fn inner_codes(defs: &'static Definitions, info: &TypeInfo) -> Vec<&'static str> {
    let has_code = |element: &&Element| {
        let inside = defs.types_of(element).iter().filter_map(|of| defs.resolve(of));
        inside
            .filter(|of| of.kind == TypeKind::Nested)
            .any(|of| defs.own_elements(of).iter().any(|e| e.name == "code" && is_coded(defs, e)))
    };
    defs.own_elements(info).iter().filter(has_code).map(|element| element.name).collect()
}

fn is_coded(defs: &Definitions, element: &Element) -> bool {
    let coded = |name| ["CodeableConcept", "Coding"].contains(&name);
    defs.types_of(element)
        .iter()
        .any(|of| coded(of.name) || of.name == "code" && !element.choice && element.name != "language")
}

/// The element that says what a resource is about: `code`; else what the search parameter `code` looks at; else
/// `type`; else the first concept that is required, that can be searched, that there is.
fn main_element<'a>(defs: &Definitions, info: &TypeInfo, coded: &[&'a Element]) -> Option<&'a Element> {
    let named = |name: &str| coded.iter().copied().find(|e| e.name == name);
    let is_concept = |e: &&Element| defs.types_of(e).iter().any(|of| of.name == "CodeableConcept");
    let concepts = || coded.iter().copied().filter(is_concept);
    let looked_at =
        |e: &&Element| defs.search_parameters(info).any(|p| starts_at(p.expression, info.name).any(|n| n == e.name));
    let by_code = defs.search_parameter(info, "code");
    named("code")
        .or_else(|| starts_at(by_code?.expression, info.name).find_map(named))
        .or_else(|| concepts().find(|e| e.min > 0))
        .or_else(|| named("type"))
        .or_else(|| concepts().find(looked_at))
        .or_else(|| concepts().next())
}

/// The elements by which a type is in order of time, the best first: what the search parameter `date` looks at, then the
/// dates that can be searched, then the others.
fn dates_of<'a>(defs: &'a Definitions, info: &'a TypeInfo) -> Vec<&'a Element> {
    let is_time =
        |e: &&Element| defs.types_of(e).iter().any(|of| ["dateTime", "instant", "date", "Period"].contains(&of.name));
    let looked_at =
        |e: &Element| defs.search_parameters(info).any(|p| starts_at(p.expression, info.name).any(|n| n == e.name));
    let by_date = defs.search_parameter(info, "date");
    let is_main = |e: &Element| by_date.is_some_and(|p| starts_at(p.expression, info.name).any(|name| name == e.name));
    let mut times: Vec<&Element> = defs.own_elements(info).iter().filter(is_time).collect();
    times.sort_by_key(|e| match (is_main(e), looked_at(e)) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    });
    times
}

/// The elements of the type itself at which an expression ends: `(MedicationRequest.medication.ofType(CodeableConcept))`
/// is about `medication`, `Questionnaire.item.code` about none.
fn starts_at<'e>(expression: &'e str, of: &'e str) -> impl Iterator<Item = &'e str> {
    expression.split('|').filter_map(move |path| {
        let path = path.trim().trim_start_matches('(').strip_prefix(of)?.strip_prefix('.')?;
        let end = path.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(path.len());
        let (name, rest) = path.split_at_checked(end)?;
        let rest = rest.trim_end_matches(')');
        (rest.is_empty() || rest.starts_with(".ofType(") || rest.starts_with(" as ")).then_some(name)
    })
}

/// What is known of a code.
#[derive(Debug, Default)]
struct Uses {
    display: Option<String>,
    count: u64,
    first: Option<(String, String)>,
    last: Option<(String, String)>,
}

#[derive(Debug, Default)]
struct Codes {
    uses: HashMap<Key, Uses>,
    without: usize,
    /// How many resources have an element that has codes inside.
    inner: BTreeMap<&'static str, usize>,
}

impl Codes {
    fn add(&mut self, resource: &Value, places: &Places) {
        let date = places.date_of(resource).and_then(|text| Some((utc(text)?, text.to_owned())));
        let mut here: Vec<(Key, Option<String>)> = Vec::new();
        for holder in places.holders(resource) {
            for value in places.codes.iter().filter_map(|name| holder.get(name)) {
                match value {
                    Value::Array(values) => values.iter().for_each(|value| coded(value, &mut here)),
                    value => coded(value, &mut here),
                }
            }
        }
        here.sort_by(|a, b| a.0.cmp(&b.0));
        here.dedup_by(|a, b| a.0 == b.0);
        for name in places.inner.iter().filter(|name| resource.get(name).is_some()) {
            *self.inner.entry(name).or_default() += 1;
        }
        if here.is_empty() {
            self.without = self.without.saturating_add(1);
        }
        for (key, display) in here {
            self.uses.entry(key).or_default().add(display, date.as_ref());
        }
    }

    /// The most frequent, and of how many resources they are.
    fn answer(self, places: &Places, of: &ResourceType, (matched, more): (usize, bool)) -> Answer {
        let columns = ["system", "code", "display", "count", "first", "last"].map(str::to_owned).to_vec();
        let inside =
            self.inner.iter().map(|(name, of)| format!(" {of} hold more codes in {name}: element {name}.code."));
        let inside: String = inside.collect();
        let (without, total, rows) = self.into_rows();
        let answer = Answer::table(columns, rows).most_frequent_of(total);
        if matched == 0 {
            return answer;
        }
        let lack = if without == 0 { String::new() } else { format!(", {without} of them without one") };
        let (first, all) = match more {
            true => (
                format!(
                    "Incomplete: only {matched} were looked at, and more match. Raise max_resources, or narrow params."
                ),
                "",
            ),
            false => (String::new(), " (complete)"),
        };
        let others = match without.saturating_mul(2) > matched && !places.others.is_empty() {
            true => format!(" {of} also codes: {}.", places.others.join(", ")),
            false => String::new(),
        };
        let of = counted(matched, of.as_str());
        let dates = format!("{} in {of}{all}{lack}; dates are of {}.{others}{inside}", places.element, places.date());
        answer.missing(first).note(dates)
    }

    /// How many resources have no code, how many codes there are, and the most frequent of them.
    fn into_rows(self) -> (usize, usize, Vec<Vec<Value>>) {
        let total = self.uses.len();
        let mut uses: Vec<_> = self.uses.into_iter().collect();
        uses.sort_by(|(a, x), (b, y)| y.count.cmp(&x.count).then_with(|| a.cmp(b)));
        uses.truncate(MOST_CODES);
        let rows = uses.into_iter().map(|((system, code, text), uses)| {
            let date = |of: Option<(String, String)>| Value::from(of.map(|(_, recorded)| recorded));
            let display = uses.display.or(text);
            vec![system.into(), code.into(), display.into(), uses.count.into(), date(uses.first), date(uses.last)]
        });
        (self.without, total, rows.collect())
    }
}

/// System, code, and the text of what has neither.
type Key = (Option<String>, Option<String>, Option<String>);

impl Uses {
    fn add(&mut self, display: Option<String>, date: Option<&(String, String)>) {
        self.count = self.count.saturating_add(1);
        if self.display.is_none() {
            self.display = display;
        }
        let Some(date) = date else { return };
        if self.first.as_ref().is_none_or(|first| date < first) {
            self.first = Some(date.clone());
        }
        if self.last.as_ref().is_none_or(|last| date > last) {
            self.last = Some(date.clone());
        }
    }
}

/// The codes of a concept, a coding or a bare code, each with what it is called.
fn coded(value: &Value, into: &mut Vec<(Key, Option<String>)>) {
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let codings: Vec<&Value> = match value {
        Value::String(code) => return into.push(((None, Some(code.clone()), None), None)),
        value if value.get("coding").is_some() => {
            value.get("coding").and_then(Value::as_array).into_iter().flatten().collect()
        }
        value if value.get("code").is_some() => vec![value],
        _ => Vec::new(),
    };
    for coding in &codings {
        let display = text(coding, "display").or_else(|| text(value, "text"));
        into.push(((text(coding, "system"), text(coding, "code"), None), display));
    }
    if codings.is_empty()
        && let Some(words) = text(value, "text")
    {
        into.push(((None, None, Some(words)), None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_the_date_of_every_type() {
        let mut all = String::new();
        for info in Definitions::get().resource_types() {
            let found = Places::of(info.name, None).map(|p| format!("{} by {}", p.element, p.date()));
            all.push_str(&format!("{}: {}\n", info.name, found.unwrap_or_else(|_| "none".into())));
        }
        insta::assert_snapshot!(all);
    }
}
