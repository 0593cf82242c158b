//! The lines of a question about one thing that will be done: whom it is about, what changes, what is sent.

use medplum_client::{Interaction, JsonPatch, Level, Operation, ResourceId, ResourceType};
use serde_json::Value;

use super::question::Step;
use super::whom::{NAME, Names, UNREADABLE};
use crate::changes::{Difference, differences};
use crate::failure::Failure;
use crate::preflight::Change;
use crate::shown::{change, data, path, text};
use crate::summary::text::string;

/// How much of a value is shown where it is one of many, and of what is sent as a whole.
const VALUE: usize = 80;
const WHOLE: usize = 300;

/// The lines about one step, of which so many changed elements are shown.
///
/// # Errors
/// [`Failure`] if it cannot be found out whom it is about.
pub(super) async fn details(step: &Step<'_>, most: usize, names: &mut Names<'_, '_>) -> Result<Vec<String>, Failure> {
    let (stored, then) = match step.change {
        Some(Change { stored, then, .. }) => (stored.as_ref(), then.as_ref()),
        None => (None, None),
    };
    match (step.interaction, stored, then) {
        (Interaction::Delete { .. }, Some(stored), _) => deleted(stored, names).await,
        (Interaction::Delete { .. }, None, _) => Ok(vec![UNREADABLE.to_owned()]),
        (_, Some(stored), Some(then)) => {
            let mut lines = names.whom(stored).await?;
            lines.extend(changed(&names.cx.open_part(stored), &names.cx.open_part(then), most));
            Ok(lines)
        }
        (Interaction::Patch { patch, .. }, ..) => Ok(unread_patch(patch)),
        (Interaction::Update { .. }, None, Some(then)) => {
            Ok(std::iter::once(UNREADABLE.to_owned()).chain(new(then, names).await?).collect())
        }
        (_, None, Some(then)) => new(then, names).await,
        (Interaction::ExecuteBot { bot, input, .. }, ..) => run(bot, input, names).await,
        (Interaction::Operation(operation), ..) => carried_out(operation, names).await,
        (other, ..) => Ok(sent(other)),
    }
}

async fn deleted(stored: &Value, names: &mut Names<'_, '_>) -> Result<Vec<String>, Failure> {
    let mut lines = names.whom(stored).await?;
    let changed = stored.pointer("/meta/lastUpdated");
    lines.extend(changed.map(|at| format!("last changed: {}", data(at, 40))));
    Ok(lines)
}

async fn new(then: &Value, names: &mut Names<'_, '_>) -> Result<Vec<String>, Failure> {
    let mut lines = names.whom(then).await?;
    lines.push(format!("content: {}", data(&without_type(then), WHOLE)));
    Ok(lines)
}

fn unread_patch(patch: &JsonPatch) -> Vec<String> {
    let operations = Value::Array(patch.operations().to_vec());
    vec![UNREADABLE.to_owned(), format!("patch: {}", data(&operations, WHOLE))]
}

async fn run(bot: &ResourceId, input: &[u8], names: &mut Names<'_, '_>) -> Result<Vec<String>, Failure> {
    let mut lines = names.own(&ResourceType::parse("Bot")?, bot).await?;
    lines.extend(whole("input", &String::from_utf8_lossy(input)));
    Ok(lines)
}

async fn carried_out(operation: &Operation, names: &mut Names<'_, '_>) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    if let Level::Instance(resource_type, id) = &operation.level {
        lines.extend(names.own(resource_type, id).await?);
    }
    if !operation.query.is_empty() {
        lines.push(format!("parameters: {}", text(&operation.query.encode(), WHOLE)));
    }
    let Some(body) = &operation.body else { return Ok(lines) };
    match string(body, "/code").filter(|_| operation.name.as_str() == "deploy") {
        Some(code) => {
            lines.extend(string(body, "/filename").map(|name| format!("file: {}", text(name, NAME))));
            lines.extend(whole("code", code));
        }
        None => lines.push(format!("content: {}", data(body, WHOLE))),
    }
    Ok(lines)
}

/// What is none of all that: the request as it will be sent.
fn sent(interaction: &Interaction) -> Vec<String> {
    let request = interaction.to_request();
    let url = request.relative_url();
    let about_secrets = url.split(['/', '?']).any(|part| part == "secrets");
    let mut lines = vec![format!("{} {}", request.method.as_str(), text(&url, WHOLE))];
    let body = request.body.and_then(|(_, body)| serde_json::from_slice::<Value>(&body).ok());
    let shown = |body: Value| data(&unrevealed(&body, about_secrets), WHOLE.saturating_mul(2));
    lines.extend(body.map(|body| format!("content: {}", shown(body))));
    lines
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
    let line = |difference: &Difference| {
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
