//! What the person is asked: what will be done, to whom, old → new. Our words and the record's never mix: what comes
//! from the record or from the agent stands in quotes, on a line of its own.

use std::collections::HashMap;

use fhir_definitions::Definitions;
use fhirpath::Expression;
use medplum_client::{Batch, BatchKind, Interaction, Level, ResourceId, ResourceType};
use serde_json::Value;

use crate::changes::differences;
use crate::context::Context;
use crate::failure::Failure;
use crate::preflight::{Change, Looked};
use crate::shown::{change, data, path, text};
use crate::summary::text::{human_name, list, name_of, string};

/// How much of a value is shown where it is one of many, of a name, and of what is sent as a whole.
const VALUE: usize = 80;
const NAME: usize = 80;
const WHOLE: usize = 300;
/// Lines of one step where it stands alone, and where there are several.
const LINES: usize = 24;
const LINES_EACH: usize = 8;
/// Steps that are shown one by one.
const STEPS: usize = 12;
/// What is said of a resource that the client may not see, or that was deleted.
const UNREADABLE: &str = "which cannot be read, or was deleted";
/// People and bots that are read for their names.
const READS: usize = 20;

/// A question that can be answered with yes or no.
pub(super) struct Question {
    title: String,
    lines: Vec<String>,
}

/// One thing that will be done.
pub(super) struct Step<'l> {
    pub(super) interaction: &'l Interaction,
    pub(super) change: Option<&'l Change>,
}

/// What will be done, one by one: the acting entries of a bundle, each with its place, or the one interaction.
pub(super) fn steps(looked: &Looked) -> Vec<(Option<usize>, Step<'_>)> {
    let change = |entry: Option<usize>| looked.changes.iter().find(|change| change.entry == entry);
    match &looked.interaction {
        Interaction::Batch(batch) => {
            let acting = batch.entries().iter().enumerate().filter(|(_, entry)| !entry.interaction.effect().is_read());
            acting
                .map(|(index, entry)| {
                    (Some(index), Step { interaction: &entry.interaction, change: change(Some(index)) })
                })
                .collect()
        }
        interaction => vec![(None, Step { interaction, change: change(None) })],
    }
}

impl Question {
    /// The question about some steps.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be found out whom they are about.
    pub(super) async fn about(cx: &Context<'_>, looked: &[Looked]) -> Result<Self, Failure> {
        let mut writer = Writer { cx, names: HashMap::new() };
        let steps: Vec<(Option<usize>, Step<'_>)> = looked.iter().flat_map(steps).collect();
        let (title, mut lines) = match steps.as_slice() {
            [(None, step)] => {
                let (verb, what) = named(step);
                let mut lines: Vec<String> = id(step.interaction).map(|id| format!("id: {id}")).into_iter().collect();
                lines.extend(writer.details(step, LINES).await?);
                (format!("{verb} {what}?"), lines)
            }
            several => (title_of_several(looked, several.len()), writer.several(several).await?),
        };
        for referrers in looked.iter().flat_map(|looked| &looked.referrers) {
            lines.extend(referrers.by_type().map(|by_type| format!("references that will lead nowhere: {by_type}")));
        }
        lines.extend(cx.on_behalf_of().map(|member| format!("on behalf of: {member}")));
        Ok(Self { title, lines })
    }

    /// As the person reads it.
    pub(super) fn text(&self) -> String {
        let lines: String = self.lines.iter().map(|line| format!("\n  {line}")).collect();
        format!("{}{lines}", self.title)
    }
}

fn title_of_several(looked: &[Looked], steps: usize) -> String {
    let what = if steps == 1 { "this step".to_owned() } else { format!("these {steps} steps") };
    match looked {
        [Looked { interaction: Interaction::Batch(batch), .. }] => {
            let how = match (batch.kind(), steps) {
                (_, 1) => "",
                (BatchKind::Transaction, _) => ", all or none",
                (BatchKind::Batch, _) => ", each for itself",
            };
            format!("Carry out {what}{how}?{}", reads(batch, steps))
        }
        _ => format!("Carry out {what}, one after the other?"),
    }
}

fn reads(batch: &Batch, acting: usize) -> String {
    match batch.entries().len().saturating_sub(acting) {
        0 => String::new(),
        1 => " (And one read.)".to_owned(),
        n => format!(" (And {n} reads.)"),
    }
}

/// What is done, and to what kind of thing: `Change`, `this Patient`.
fn named(step: &Step<'_>) -> (&'static str, String) {
    let this = |t: &ResourceType| format!("this {t}");
    let is_there = step.change.is_none_or(|change| change.stored.is_some());
    match step.interaction {
        Interaction::Create { resource_type, .. } => ("Create", this(resource_type)),
        Interaction::CreateBinary { .. } => ("Create", "this Binary".to_owned()),
        Interaction::Update { resource_type, .. } if !is_there => ("Store", this(resource_type)),
        Interaction::Update { resource_type, .. } | Interaction::Patch { resource_type, .. } => {
            ("Change", this(resource_type))
        }
        Interaction::Delete { resource_type, .. } => ("Delete", this(resource_type)),
        Interaction::ExecuteBot { .. } => ("Run", "this Bot".to_owned()),
        Interaction::Operation(operation) => match &operation.level {
            Level::Instance(t, _) if t.as_str() == "Bot" && operation.name.as_str() == "deploy" => {
                ("Deploy", "code to this Bot".to_owned())
            }
            Level::Instance(t, _) => ("Run", format!("${} on this {t}", operation.name)),
            Level::Type(t) => ("Run", format!("{t}/${}", operation.name)),
            Level::System => ("Run", format!("${}", operation.name)),
        },
        other => ("Send", format!("this {} request", other.to_request().method.as_str())),
    }
}

/// The same in one line among others: `change Patient/1`.
fn short(step: &Step<'_>) -> String {
    let (verb, what) = named(step);
    let this = match id(step.interaction) {
        Some(id) => match what.split_once("this ") {
            Some((before, _)) => format!("{before}{id}"),
            None => what,
        },
        None => what.strip_prefix("this ").unwrap_or(&what).to_owned(),
    };
    format!("{} {this}", verb.to_lowercase())
}

/// What it is about, where that is there already: `Patient/1`.
fn id(interaction: &Interaction) -> Option<String> {
    match interaction {
        Interaction::Update { resource_type, id, .. }
        | Interaction::Patch { resource_type, id, .. }
        | Interaction::Delete { resource_type, id } => Some(format!("{resource_type}/{id}")),
        Interaction::ExecuteBot { bot, .. } => Some(format!("Bot/{bot}")),
        Interaction::Operation(operation) => match &operation.level {
            Level::Instance(resource_type, id) => Some(format!("{resource_type}/{id}")),
            _ => None,
        },
        _ => None,
    }
}

/// Writes the lines of a question, and reads the names that it needs.
struct Writer<'a, 'c> {
    cx: &'a Context<'c>,
    names: HashMap<String, Vec<String>>,
}

impl Writer<'_, '_> {
    /// Several steps, what is there already before what is new: the first ones with their details, of the others each
    /// that is about something by its id and name, and how many are new.
    async fn several(&mut self, steps: &[(Option<usize>, Step<'_>)]) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        let mut steps: Vec<(usize, &Option<usize>, &Step<'_>)> =
            steps.iter().enumerate().map(|(number, (place, step))| (number, place, step)).collect();
        // One after the other is told as it goes; what is carried out as a whole, the weightiest first.
        if steps.len() > STEPS {
            steps.sort_by_key(|(_, _, step)| weight(step.interaction));
        }
        for (number, place, step) in steps.iter().take(STEPS) {
            lines.push(format!("[{}] {}", place.unwrap_or(*number), short(step)));
            lines.extend(self.details(step, LINES_EACH).await?.into_iter().map(|line| format!("    {line}")));
        }
        let mut rest: Vec<(String, usize)> = Vec::new();
        for (number, place, step) in steps.iter().skip(STEPS) {
            if id(step.interaction).is_some() {
                let stored = step.change.and_then(|change| change.stored.as_ref());
                let name = stored.and_then(|stored| own_name(stored, "").into_iter().next());
                let name = name.map(|name| format!(", {name}")).unwrap_or_default();
                lines.push(format!("[{}] {}{name}", place.unwrap_or(*number), short(step)));
                continue;
            }
            let (verb, what) = named(step);
            let kind = format!("{} {}", verb.to_lowercase(), what.strip_prefix("this ").unwrap_or(&what));
            match rest.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => rest.push((kind, 1)),
            }
        }
        if !rest.is_empty() {
            let rest: Vec<String> = rest.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
            lines.push(format!("and, not shown here: {}", rest.join(", ")));
        }
        Ok(lines)
    }

    async fn details(&mut self, step: &Step<'_>, most: usize) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        match (step.interaction, step.change) {
            (Interaction::Delete { .. }, Some(Change { stored: Some(stored), .. })) => {
                lines.extend(self.whom(stored).await?);
                let changed = stored.pointer("/meta/lastUpdated");
                lines.extend(changed.map(|at| format!("last changed: {}", data(at, 40))));
            }
            (_, Some(Change { stored: Some(stored), then: Some(then), .. })) => {
                lines.extend(self.whom(stored).await?);
                lines.extend(changed(&self.cx.open_part(stored), &self.cx.open_part(then), most));
            }
            (Interaction::Patch { patch, .. }, _) => {
                lines.push(UNREADABLE.to_owned());
                lines.push(format!("patch: {}", data(&Value::Array(patch.operations().to_vec()), WHOLE)));
            }
            (interaction, Some(Change { then: Some(then), .. })) => {
                if let Interaction::Update { .. } = interaction {
                    lines.push(UNREADABLE.to_owned());
                }
                lines.extend(self.whom(then).await?);
                lines.push(format!("content: {}", data(&without_type(then), WHOLE)));
            }
            (Interaction::Delete { .. }, _) => lines.push(UNREADABLE.to_owned()),
            (Interaction::ExecuteBot { bot, input, .. }, _) => {
                lines.extend(self.read_own(&ResourceType::parse("Bot")?, bot).await?);
                lines.extend(whole("input", &String::from_utf8_lossy(input)));
            }
            (Interaction::Operation(operation), _) => {
                if let Level::Instance(resource_type, id) = &operation.level {
                    lines.extend(self.read_own(resource_type, id).await?);
                }
                if !operation.query.is_empty() {
                    lines.push(format!("parameters: {}", text(&operation.query.encode(), WHOLE)));
                }
                match operation.body.as_ref().and_then(|body| Some((body, string(body, "/code")?))) {
                    Some((body, code)) if operation.name.as_str() == "deploy" => {
                        lines.extend(string(body, "/filename").map(|name| format!("file: {}", text(name, NAME))));
                        lines.extend(whole("code", code));
                    }
                    _ => lines.extend(operation.body.as_ref().map(|body| format!("content: {}", data(body, WHOLE)))),
                }
            }
            (other, _) => {
                let request = other.to_request();
                lines.push(format!("{} {}", request.method.as_str(), text(&request.relative_url(), WHOLE)));
                let about_secrets = request.relative_url().split(['/', '?']).any(|part| part == "secrets");
                let body = request.body.map(|(_, body)| body);
                let body = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
                lines.extend(body.map(|body| {
                    format!("content: {}", data(&unrevealed(&body, about_secrets), WHOLE.saturating_mul(2)))
                }));
            }
        }
        Ok(lines)
    }

    /// Whom a resource is about: its own name and identifier, and those of its patient.
    async fn whom(&mut self, resource: &Value) -> Result<Vec<String>, Failure> {
        let mut lines = own_name(resource, "");
        if let Some(id) = patient_of(resource) {
            let patient = ResourceType::parse("Patient")?;
            lines.extend(self.read(&patient, &id, "patient ").await?);
        }
        Ok(lines)
    }

    /// The name of what is run, whose id the question has said already.
    async fn read_own(&mut self, resource_type: &ResourceType, id: &ResourceId) -> Result<Vec<String>, Failure> {
        let mut lines = self.read(resource_type, id, "").await?;
        let unreadable = format!("id: {resource_type}/{id}, {UNREADABLE}");
        lines.iter_mut().filter(|line| **line == unreadable).for_each(|line| *line = UNREADABLE.to_owned());
        lines.retain(|line| *line != format!("id: {resource_type}/{id}"));
        Ok(lines)
    }

    /// The name and identifier of another resource, read once.
    async fn read(
        &mut self,
        resource_type: &ResourceType,
        id: &ResourceId,
        whose: &str,
    ) -> Result<Vec<String>, Failure> {
        let reference = format!("{resource_type}/{id}");
        if let Some(known) = self.names.get(&reference) {
            return Ok(known.clone());
        }
        if self.names.len() >= READS {
            return Ok(vec![format!("{whose}id: {reference}")]);
        }
        let known = match self.cx.may_read(resource_type.as_str()) {
            true => self.cx.stored(resource_type, id).await?,
            false => None,
        };
        let lines = match known {
            Some(resource) => own_name(&resource, whose),
            None => vec![format!("{whose}id: {reference}, {UNREADABLE}")],
        };
        self.names.insert(reference, lines.clone());
        Ok(lines)
    }
}

/// What comes first where not all is shown in full.
fn weight(interaction: &Interaction) -> u8 {
    match interaction {
        Interaction::Delete { .. } => 0,
        Interaction::Create { .. } | Interaction::CreateBinary { .. } => 3,
        Interaction::Update { .. } | Interaction::Patch { .. } => 2,
        _ => 1,
    }
}

/// A text that may be long, such as code: its start, and where that is not all of it, its end, its length and by what
/// it can be told from another.
fn whole(label: &str, given: &str) -> Vec<String> {
    let mut lines = vec![format!("{label}: {}", text(given, WHOLE))];
    let length = given.chars().count();
    if length > WHOLE {
        let end: String = given.chars().skip(length.saturating_sub(WHOLE / 2)).collect();
        let hash = ring::digest::digest(&ring::digest::SHA256, given.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("{label} ends: {}", text(&end, WHOLE)));
        lines.push(format!("{label} in all: {length} characters, SHA-256 {hash}"));
    }
    lines
}

/// A body that is no resource, without what it sets as a secret: a password is not shown to be confirmed.
fn unrevealed(body: &Value, about_secrets: bool) -> Value {
    const SOUND: &[&str] = &["password", "secret", "token", "passcode", "private"];
    let hidden = |key: &str| {
        let key = key.to_ascii_lowercase();
        SOUND.iter().any(|sound| key.contains(sound)) || about_secrets && key.starts_with("value")
    };
    match body {
        Value::Object(object) => {
            let shown = |(key, value): (&String, &Value)| match hidden(key) && !value.is_null() {
                true => (key.clone(), Value::from("[not shown]")),
                false => (key.clone(), unrevealed(value, about_secrets)),
            };
            Value::Object(object.iter().map(shown).collect())
        }
        Value::Array(values) => values.iter().map(|value| unrevealed(value, about_secrets)).collect(),
        other => other.clone(),
    }
}

fn without_type(resource: &Value) -> Value {
    let mut content = resource.clone();
    if let Some(object) = content.as_object_mut() {
        object.remove("resourceType");
    }
    content
}

/// The elements that change, old → new.
fn changed(stored: &Value, then: &Value, most: usize) -> Vec<String> {
    let differences = differences(stored, then);
    if differences.is_empty() {
        return vec!["no element changes".to_owned()];
    }
    let line = |difference: &crate::changes::Difference| {
        let path = path(&difference.path);
        match (&difference.old, &difference.new) {
            (Some(old), Some(new)) => format!("{path}: {}", change(old, new, VALUE)),
            (Some(old), None) => format!("{path}: removed {}", data(old, VALUE)),
            (_, new) => format!("{path}: added {}", new.as_ref().map(|new| data(new, VALUE)).unwrap_or_default()),
        }
    };
    let mut lines: Vec<String> = differences.iter().take(most).map(line).collect();
    let more: Vec<String> = differences.iter().skip(most).map(|difference| path(&difference.path)).collect();
    if !more.is_empty() {
        let named = more.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
        lines.push(format!("and {} more elements: {named}{}", more.len(), if more.len() > most { " …" } else { "" }));
    }
    lines
}

/// What a resource calls itself: its name, and the first two identifiers.
fn own_name(resource: &Value, whose: &str) -> Vec<String> {
    let (what, name) = match resource.get("name") {
        Some(Value::Array(names)) => ("name", human_name(names)),
        Some(Value::String(name)) => ("name", Some(name.clone())),
        _ => ("what", name_of(resource).or_else(|| string(resource, "/title").map(str::to_owned))),
    };
    let mut lines: Vec<String> = name.map(|name| format!("{whose}{what}: {}", text(&name, NAME))).into_iter().collect();
    let single = resource.get("identifier").filter(|identifier| identifier.is_object());
    for identifier in list(resource, "/identifier").iter().chain(single).take(2) {
        let Some(value) = string(identifier, "/value") else { continue };
        let system = string(identifier, "/system").map(|system| format!(" of {}", text(system, NAME)));
        lines.push(format!("{whose}identifier: {}{}", text(value, NAME), system.unwrap_or_default()));
    }
    lines
}

/// The patient that a resource is about, by the search parameter that finds it for one.
fn patient_of(resource: &Value) -> Option<ResourceId> {
    let definitions = Definitions::get();
    let info = definitions.resource_type(string(resource, "/resourceType")?)?;
    let parameter = ["patient", "subject"].iter().find_map(|code| definitions.search_parameter(info, code))?;
    let expression = Expression::parse(parameter.expression).ok()?;
    let context = fhirpath::Context::new().with_resource(resource).with_root_resource(resource).with_model(definitions);
    let found = expression.evaluate(resource, &context).ok()?;
    let id = |item: &fhirpath::Item<'_>| {
        let json = item.to_json();
        ResourceId::parse(string(&json, "/reference")?.strip_prefix("Patient/")?).ok()
    };
    found.iter().find_map(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_patient_is_found_wherever_a_type_keeps_it() {
        for (resource, expected) in [
            (json!({"resourceType": "Condition", "subject": {"reference": "Patient/1"}}), Some("1")),
            (json!({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/2"}}), Some("2")),
            (json!({"resourceType": "Task", "for": {"reference": "Patient/3"}}), Some("3")),
            (
                json!({"resourceType": "Appointment", "participant": [{"actor": {"reference": "Practitioner/1"}}, {"actor": {"reference": "Patient/4"}}]}),
                Some("4"),
            ),
            (json!({"resourceType": "Observation", "subject": {"reference": "Group/1"}}), None),
            (json!({"resourceType": "Organization"}), None),
        ] {
            let found = patient_of(&resource);
            assert_eq!(found.as_ref().map(ResourceId::as_str), expected, "{resource}");
        }
    }
}
