//! `$expand`, `$validate-code`, `$lookup`, `$translate` over the value sets, code systems and concept maps of HL7 that
//! are shipped, and those of the project.
//!
//! The shipped ones are put into the store when somebody first asks for one.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::fhir_routes::Interaction;
use crate::inflate::inflate;
use crate::outcome::{Outcome, Result};
use crate::population::load::Loader;
use crate::quota::cost;
use crate::source::instant;

/// The types of which resources are shipped.
pub(crate) const SHIPPED_TYPES: [&str; 3] = ["CodeSystem", "ConceptMap", "ValueSet"];
/// How many value sets an expansion goes through.
const DEEPEST: usize = 16;
/// How many codes an expansion shows at most.
const LARGEST: usize = 1000;

/// Puts the shipped resources into the store.
pub(crate) fn load(call: &mut Call<'_>) {
    if std::mem::replace(&mut call.state.terminology_loaded, true) {
        return;
    }
    let text = Bytes::from(inflate(include_bytes!(concat!(env!("OUT_DIR"), "/terminology.deflate"))));
    let mut loader = Loader::new(&mut call.state.store);
    loader.add_lines(&text);
}

/// The parameters of an operation: from a Parameters resource, or from the query.
struct Given {
    all: Vec<(String, Value)>,
}

impl Given {
    fn of(asked: &Interaction) -> Self {
        let mut all: Vec<(String, Value)> =
            asked.query().into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        let listed = asked.body.get("parameter").and_then(Value::as_array);
        for parameter in listed.into_iter().flatten().filter_map(Value::as_object) {
            let name = parameter.get("name").and_then(Value::as_str);
            let value = parameter.iter().find(|(key, _)| key.starts_with("value"));
            if let (Some(name), Some((_, value))) = (name, value) {
                all.push((name.to_owned(), value.clone()));
            }
        }
        Self { all }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.all.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<usize> {
        let value = self.get(name)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        usize::try_from(number).ok()
    }

    /// The code that is asked about, and its system: given apart, or as a Coding or a CodeableConcept.
    fn coding(&self, system_name: &str) -> (Option<String>, Option<String>) {
        let concept = self.get("codeableConcept").and_then(|concept| concept.pointer("/coding/0"));
        if let Some(coding) = self.get("coding").or(concept) {
            let part = |key: &str| coding.get(key).and_then(Value::as_str).map(str::to_owned);
            return (part("code"), part("system"));
        }
        (self.text("code").map(str::to_owned), self.text(system_name).map(str::to_owned))
    }
}

fn parameters(listed: Vec<Value>) -> Answer {
    Answer::ok(json!({"resourceType": "Parameters", "parameter": listed}))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Call<'_> {
    /// The resource of that canonical URL; a version behind `|` is not looked at.
    fn canonical(&mut self, resource_type: &str, url: &str) -> Result<Value> {
        load(self);
        let url = url.split('|').next().unwrap_or(url);
        let encoded: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        let found = self.matching(resource_type, &format!("url={encoded}"))?;
        let of_type = self.state.store.of_type(resource_type);
        let record = found.iter().last().and_then(|slot| of_type?.record(slot));
        record
            .and_then(|record| self.present_current(resource_type, record))
            .ok_or_else(|| Outcome::bad_request(format!("{resource_type} {url} not found")))
    }

    /// By id where the path has one, or else by the URL that was given.
    fn terminology(&mut self, resource_type: &str, id: Option<&str>, url: Option<&str>) -> Result<Value> {
        load(self);
        match (id, url) {
            (Some(id), _) => self.read_one(resource_type, id),
            (None, Some(url)) => self.canonical(resource_type, url),
            (None, None) => Err(Outcome::bad_request(format!("No {resource_type} specified"))),
        }
    }

    /// Every code of a value set.
    fn members(&mut self, value_set: &Value, depth: usize) -> Result<Vec<Member>> {
        if depth > DEEPEST {
            return Err(Outcome::bad_request("ValueSet includes itself"));
        }
        let parts = |key: &str| -> Vec<Value> {
            let parts = value_set.pointer(&format!("/compose/{key}")).and_then(Value::as_array);
            parts.cloned().unwrap_or_default()
        };
        if parts("include").is_empty() {
            return Err(Outcome::not_implemented("expand a ValueSet without compose.include"));
        }
        let mut all: Vec<Member> = Vec::new();
        for include in parts("include") {
            for member in self.part(&include, depth)? {
                if !all.contains(&member) {
                    all.push(member);
                }
            }
        }
        for exclude in parts("exclude") {
            let without = self.part(&exclude, depth)?;
            all.retain(|member| !without.contains(member));
        }
        Ok(all)
    }

    /// The codes of one `include` or `exclude`.
    fn part(&mut self, part: &Value, depth: usize) -> Result<Vec<Member>> {
        let mut found: Option<Vec<Member>> = None;
        for url in part.get("valueSet").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let set = self.canonical("ValueSet", url)?;
            let members = self.members(&set, depth + 1)?;
            found = Some(match found {
                None => members,
                Some(before) => before.into_iter().filter(|member| members.contains(member)).collect(),
            });
        }
        let system = text(part, "system").to_owned();
        if system.is_empty() {
            return Ok(found.unwrap_or_default());
        }
        let own = self.of_system(part, &system)?;
        Ok(match found {
            None => own,
            Some(before) => before.into_iter().filter(|member| own.contains(member)).collect(),
        })
    }

    fn of_system(&mut self, part: &Value, system: &str) -> Result<Vec<Member>> {
        let listed = part.get("concept").and_then(Value::as_array);
        let known = self.canonical("CodeSystem", system).ok();
        let concepts = known.as_ref().map(concepts).unwrap_or_default();
        if let Some(listed) = listed {
            let members = listed.iter().map(|concept| {
                let code = text(concept, "code");
                let display = match text(concept, "display") {
                    "" => concepts.iter().find(|known| known.code == code).map_or("", |known| known.display),
                    display => display,
                };
                Member::new(system, code, display)
            });
            return Ok(members.collect());
        }
        if known.is_none() {
            return Err(Outcome::not_implemented(&format!("know the codes of the code system {system}")));
        }
        let filters = part.get("filter").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut members = Vec::new();
        for concept in &concepts {
            if passes(concept, filters)? {
                members.push(Member::new(system, concept.code, concept.display));
            }
        }
        Ok(members)
    }
}

/// A code of a value set.
#[derive(Debug, Clone)]
struct Member {
    system: String,
    code: String,
    display: String,
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.system == other.system && self.code == other.code
    }
}

impl Member {
    fn new(system: &str, code: &str, display: &str) -> Self {
        Self { system: system.to_owned(), code: code.to_owned(), display: display.to_owned() }
    }

    fn coding(&self) -> Value {
        let mut coding = Map::new();
        coding.insert("system".into(), json!(self.system));
        coding.insert("code".into(), json!(self.code));
        if !self.display.is_empty() {
            coding.insert("display".into(), json!(self.display));
        }
        Value::Object(coding)
    }
}

/// A code of a code system, with the codes that it stands under.
struct Concept<'s> {
    code: &'s str,
    display: &'s str,
    above: Vec<&'s str>,
}

/// All codes of a code system, those above before those below.
fn concepts(system: &Value) -> Vec<Concept<'_>> {
    fn add<'s>(listed: &'s Value, above: &[&'s str], all: &mut Vec<Concept<'s>>) {
        for concept in listed.get("concept").and_then(Value::as_array).into_iter().flatten() {
            let code = text(concept, "code");
            let display = match text(concept, "display") {
                "" => code,
                display => display,
            };
            all.push(Concept { code, display, above: above.to_vec() });
            let mut below = above.to_vec();
            below.push(code);
            add(concept, &below, all);
        }
    }
    let mut all = Vec::new();
    add(system, &[], &mut all);
    all
}

fn passes(concept: &Concept<'_>, filters: &[Value]) -> Result<bool> {
    for filter in filters {
        let (property, op, value) = (text(filter, "property"), text(filter, "op"), text(filter, "value"));
        let passes = match (property, op) {
            ("concept" | "code", "is-a") => concept.code == value || concept.above.contains(&value),
            ("concept" | "code", "descendent-of") => concept.above.contains(&value),
            ("concept" | "code", "is-not-a") => concept.code != value && !concept.above.contains(&value),
            ("concept" | "code", "=") => concept.code == value,
            ("concept" | "code", "in") => value.split(',').any(|code| code.trim() == concept.code),
            _ => return Err(Outcome::not_implemented(&format!("a value set's filter \"{property} {op}\""))),
        };
        if !passes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `ValueSet/$expand`
pub(crate) fn expand(call: &mut Call<'_>, asked: &Interaction) -> Result<Answer> {
    let given = Given::of(asked);
    call.spend(cost::SEARCH)?;
    let url = given.text("url").ok_or_else(|| Outcome::bad_request("Missing url"))?;
    let mut value_set = call.canonical("ValueSet", url)?;
    call.spend(cost::SEARCH)?;
    let mut members = call.members(&value_set, 0)?;
    if let Some(filter) = given.text("filter").map(str::to_lowercase) {
        members
            .retain(|member| member.display.to_lowercase().contains(&filter) || member.code.to_lowercase() == filter);
    }
    let offset = given.number("offset").unwrap_or(0);
    let count = given.number("count").unwrap_or(LARGEST).min(LARGEST);
    let page: Vec<Value> = members.iter().skip(offset).take(count).map(Member::coding).collect();
    let mut expansion = Map::new();
    expansion.insert("total".into(), json!(members.len()));
    expansion.insert("timestamp".into(), json!(instant(call.engine.source.now())));
    if offset > 0 {
        expansion.insert("offset".into(), json!(offset));
    }
    expansion.insert("contains".into(), Value::Array(page));
    if let Some(map) = value_set.as_object_mut() {
        map.insert("expansion".into(), Value::Object(expansion));
    }
    Ok(Answer::ok(value_set))
}

fn validated(found: Option<&str>) -> Answer {
    let mut listed = vec![json!({"name": "result", "valueBoolean": found.is_some()})];
    if let Some(display) = found.filter(|display| !display.is_empty()) {
        listed.push(json!({"name": "display", "valueString": display}));
    }
    parameters(listed)
}

/// `ValueSet/$validate-code`
pub(crate) fn validate_in_set(call: &mut Call<'_>, asked: &Interaction, id: Option<&str>) -> Result<Answer> {
    let given = Given::of(asked);
    call.spend(cost::SEARCH)?;
    let value_set = call.terminology("ValueSet", id, given.text("url"))?;
    call.spend(cost::SEARCH)?;
    let (code, system) = given.coding("system");
    let code = code.ok_or_else(|| Outcome::bad_request("Missing code"))?;
    let members = call.members(&value_set, 0)?;
    let in_system = |member: &&Member| system.as_ref().is_none_or(|system| member.system == *system);
    let found = members.iter().filter(in_system).find(|member| member.code == code);
    let display = given.text("display");
    let found = found.filter(|member| display.is_none_or(|display| member.display == display));
    Ok(validated(found.map(|member| member.display.as_str())))
}

/// `CodeSystem/$validate-code`
pub(crate) fn validate_in_system(call: &mut Call<'_>, asked: &Interaction, id: Option<&str>) -> Result<Answer> {
    let given = Given::of(asked);
    call.spend(cost::SEARCH)?;
    let (code, system) = given.coding("url");
    let code = code.ok_or_else(|| Outcome::bad_request("Missing code"))?;
    let system = call.terminology("CodeSystem", id, system.as_deref())?;
    let all = concepts(&system);
    let found = all.iter().find(|concept| concept.code == code);
    Ok(validated(found.map(|concept| concept.display)))
}

/// `CodeSystem/$lookup`
pub(crate) fn lookup(call: &mut Call<'_>, asked: &Interaction, id: Option<&str>) -> Result<Answer> {
    let given = Given::of(asked);
    call.spend(cost::SEARCH)?;
    let (code, system) = given.coding("system");
    let code = code.ok_or_else(|| Outcome::bad_request("Missing code"))?;
    let system = call.terminology("CodeSystem", id, system.as_deref())?;
    let all = concepts(&system);
    let found = all.iter().find(|concept| concept.code == code).ok_or_else(Outcome::not_found)?;
    let name = match text(&system, "name") {
        "" => text(&system, "title"),
        name => name,
    };
    let mut listed =
        vec![json!({"name": "name", "valueString": name}), json!({"name": "display", "valueString": found.display})];
    let wanted = |name: &str| given.all.iter().any(|(key, value)| key == "property" && value.as_str() == Some(name));
    if wanted("parent")
        && let Some(parent) = found.above.last()
    {
        listed.push(json!({"name": "property", "part": [
            {"name": "code", "valueCode": "parent"},
            {"name": "value", "valueCode": parent}
        ]}));
    }
    Ok(parameters(listed))
}

/// `ConceptMap/$translate`
pub(crate) fn translate(call: &mut Call<'_>, asked: &Interaction, id: Option<&str>) -> Result<Answer> {
    let given = Given::of(asked);
    call.spend(cost::SEARCH)?;
    let map = call.terminology("ConceptMap", id, given.text("url"))?;
    let (code, system) = given.coding("system");
    let code = code.ok_or_else(|| Outcome::bad_request("Missing code"))?;
    let reverse = given.get("reverse").is_some_and(|reverse| *reverse == json!(true) || *reverse == json!("true"));
    let target = given.text("targetSystem").or_else(|| given.text("targetsystem"));
    let groups = map.get("group").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut matches = Vec::new();
    for group in groups {
        let (from, to) = if reverse { ("target", "source") } else { ("source", "target") };
        let from_fits = system.as_ref().is_none_or(|system| text(group, from) == system);
        let to_fits = target.is_none_or(|target| text(group, to) == target);
        if from_fits && to_fits {
            add_matches(group, &code, reverse, &mut matches);
        }
    }
    let mut listed = vec![json!({"name": "result", "valueBoolean": !matches.is_empty()})];
    listed.extend(matches);
    Ok(parameters(listed))
}

fn add_matches(group: &Value, code: &str, reverse: bool, matches: &mut Vec<Value>) {
    for element in group.get("element").and_then(Value::as_array).into_iter().flatten() {
        for target in element.get("target").and_then(Value::as_array).into_iter().flatten() {
            let (from, to, system) = if reverse {
                (target, element, text(group, "source"))
            } else {
                (element, target, text(group, "target"))
            };
            if text(from, "code") != code || text(to, "code").is_empty() {
                continue;
            }
            let equivalence = match text(target, "equivalence") {
                "" => "equivalent",
                equivalence => equivalence,
            };
            let concept = Member::new(system, text(to, "code"), text(to, "display"));
            matches.push(json!({"name": "match", "part": [
                {"name": "equivalence", "valueCode": equivalence},
                {"name": "concept", "valueCoding": concept.coding()}
            ]}));
        }
    }
}
