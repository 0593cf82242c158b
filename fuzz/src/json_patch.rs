//! A JSON Patch of a Subscription, which is how a patch can lead to a bot.

use medplum_client::{BotReach, Interaction, JsonPatch};
use serde_json::{Value, json};

use super::{gate, json};

const STORED: &str = "40a58028-6dd7-4b89-a029-9a5c43e60c64";

/// See the module.
pub fn run(data: &[u8]) {
    let Some(Value::Array(operations)) = json(data) else { return };
    let Ok(patch) = JsonPatch::parse(operations) else { return };
    let operations = patch.operations().to_vec();
    let of_type = "Subscription".parse().expect("a type");
    let interaction = Interaction::Patch { resource_type: of_type, id: "1".parse().expect("an id"), patch };
    gate::holds(&interaction);
    let (_, body) = interaction.to_request().body.expect("a patch is a body");
    let sent: Value = serde_json::from_slice(&body).expect("the body is JSON");
    assert_eq!(sent, Value::Array(operations.clone()), "what was judged is what is sent");

    let stored = json!({
        "resourceType": "Subscription",
        "status": "off",
        "criteria": "Patient",
        "channel": {"type": "rest-hook", "endpoint": format!("Bot/{STORED}")}
    });
    let Some(patched) = apply(stored.clone(), &operations) else { return };
    // A patch that says that it leads to these bots alone leads to no other, whatever is stored.
    if let (BotReach::Only(bots), true) = (interaction.bots(), patched != stored) {
        let bots: Vec<&str> = bots.iter().map(|id| id.as_str()).collect();
        let endpoint = patched.pointer("/channel/endpoint").and_then(Value::as_str).unwrap_or_default();
        for (at, word) in endpoint.match_indices("Bot/").filter(|(at, _)| *at == 0 || endpoint[..*at].ends_with('/')) {
            let id = endpoint[at + word.len()..].split(['/', '?', '#']).next().unwrap_or_default();
            assert!(bots.contains(&id), "{endpoint} beside {bots:?}");
        }
    }
}

/// The document as the patch leaves it, by a plain reading of RFC 6902 that has nothing to do with the library that the
/// server looks ahead with; where both can, they agree.
fn apply(document: Value, operations: &[Value]) -> Option<Value> {
    let mut plain = document.clone();
    let applied = operations.iter().all(|operation| step(&mut plain, operation).is_some());
    let mut library = document;
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(operations.to_vec())).ok()?;
    let taken = json_patch::patch(&mut library, &patch).is_ok();
    assert_eq!(taken, applied, "{operations:?}");
    if applied {
        assert_eq!(library, plain, "{operations:?}");
    }
    applied.then_some(plain)
}

fn step(document: &mut Value, operation: &Value) -> Option<()> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let (op, path) = (text("op")?, text("path")?);
    // Copies of copies double each time; the server refuses what grows too large.
    if document.to_string().len() > 1_000_000 {
        return None;
    }
    match op {
        "test" => (find(document, path)? == operation.get("value")?).then_some(()),
        "add" => add(document, path, operation.get("value")?.clone()),
        "remove" => remove(document, path).map(drop),
        "replace" => {
            find(document, path)?;
            *document.pointer_mut(path)? = operation.get("value")?.clone();
            Some(())
        }
        "copy" => {
            let value = find(document, text("from")?)?.clone();
            add(document, path, value)
        }
        "move" => {
            let from = text("from")?;
            // Nothing can be moved into itself.
            if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                return None;
            }
            let value = remove(document, from)?;
            add(document, path, value)
        }
        _ => None,
    }
}

fn find<'v>(document: &'v Value, path: &str) -> Option<&'v Value> {
    document.pointer(path)
}

/// The holder of a place, and its last step.
fn holder<'v>(document: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((document.pointer_mut(parent)?, last.replace("~1", "/").replace("~0", "~")))
}

fn index(text: &str, most: usize) -> Option<usize> {
    let plain = text == "0" || text.starts_with(|c: char| ('1'..='9').contains(&c));
    text.parse().ok().filter(|index| plain && text.bytes().all(|b| b.is_ascii_digit()) && *index <= most)
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *document = value;
        return Some(());
    }
    match holder(document, path)? {
        (Value::Object(map), last) => drop(map.insert(last, value)),
        (Value::Array(list), last) => {
            let at = if last == "-" { list.len() } else { index(&last, list.len())? };
            list.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    match holder(document, path)? {
        (Value::Object(map), last) => map.shift_remove(&last),
        (Value::Array(list), last) => {
            let at = index(&last, list.len().checked_sub(1)?)?;
            Some(list.remove(at))
        }
        _ => None,
    }
}
