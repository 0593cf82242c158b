//! Which bots a request can run, now or later.

use std::collections::BTreeSet;

use fhir_definitions::ResourceId;
use serde_json::Value;

use crate::bundle::Batch;
use crate::graphql::{GraphQl, Selected};
use crate::interaction::Interaction;
use crate::operation::{Level, Operation};

/// The bots that a request can lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotReach {
    /// These and no others; often none.
    Only(BTreeSet<ResourceId>),
    /// One that cannot be told from the request.
    Any,
}

/// Types through which a stored resource makes a bot run later: on a change, under an operation's name, on a message,
/// by the clock.
const LEADING_TYPES: &[&str] = &["Subscription", "OperationDefinition", "Agent", "Bot"];

impl BotReach {
    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn one(bot: &ResourceId) -> Self {
        Self::Only(BTreeSet::from([bot.clone()]))
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut bots), Self::Only(more)) => {
                bots.extend(more);
                Self::Only(bots)
            }
            _ => Self::Any,
        }
    }
}

impl Interaction {
    /// The bots that this can run, or that what it stores can run later. What cannot be told is [`BotReach::Any`].
    pub fn bots(&self) -> BotReach {
        match self {
            Self::ExecuteBot { bot, .. } => BotReach::one(bot),
            Self::Operation(operation) => of_operation(operation),
            Self::GraphQl(document) => of_graphql(document),
            Self::Batch(batch) => of_batch(batch),
            Self::Raw(raw) if raw.effect().is_read() => BotReach::none(),
            Self::Raw(_) => BotReach::Any,
            Self::Create { resource_type, resource, .. } => of_resource(resource_type.as_str(), None, resource),
            Self::Update { resource_type, id, resource, .. } => of_resource(resource_type.as_str(), Some(id), resource),
            Self::Patch { resource_type, id, patch } => of_patch(resource_type.as_str(), id, patch.operations()),
            Self::Delete { .. } | Self::CreateBinary { .. } => BotReach::none(),
            Self::Metadata
            | Self::Read { .. }
            | Self::VersionRead { .. }
            | Self::History { .. }
            | Self::Search(_)
            | Self::BoundBot(_) => BotReach::none(),
        }
    }
}

fn of_operation(operation: &Operation) -> BotReach {
    if operation.effect().is_read() {
        return BotReach::none();
    }
    match &operation.level {
        Level::Instance(t, id) if t.as_str() == "Bot" && ["execute", "deploy"].contains(&operation.name.as_str()) => {
            BotReach::one(id)
        }
        _ => BotReach::Any,
    }
}

fn of_graphql(document: &GraphQl) -> BotReach {
    let leads = |field: &Selected<'_>| match field.leads_to() {
        Some(Ok(info)) => LEADING_TYPES.contains(&info.name),
        // What nobody knows may be anything.
        Some(Err(_)) => true,
        None => false,
    };
    if document.effect().is_read() || !document.selected().iter().any(leads) { BotReach::none() } else { BotReach::Any }
}

fn of_batch(batch: &Batch) -> BotReach {
    batch.entries().iter().map(|entry| entry.interaction.bots()).fold(BotReach::none(), BotReach::and)
}

fn of_resource(resource_type: &str, id: Option<&ResourceId>, resource: &Value) -> BotReach {
    if !LEADING_TYPES.contains(&resource_type) {
        return BotReach::none();
    }
    if resource_type == "Bot" {
        let scheduled = resource.as_object().is_some_and(|bot| bot.keys().any(|key| exposes(key)));
        return match (scheduled, id) {
            (false, _) => BotReach::none(),
            (true, Some(id)) => BotReach::one(id),
            (true, None) => BotReach::Any,
        };
    }
    let elements = resource.as_object().into_iter().flatten();
    // meta.author may well be a bot that only wrote the resource.
    elements.filter(|(key, _)| *key != "meta").map(|(_, value)| named_in(value)).fold(BotReach::none(), BotReach::and)
}

fn of_patch(resource_type: &str, id: &ResourceId, operations: &[Value]) -> BotReach {
    if !LEADING_TYPES.contains(&resource_type) {
        return BotReach::none();
    }
    let path = |operation: &Value| operation.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
    if resource_type == "Bot" {
        let schedules = operations.iter().any(|o| path(o).is_empty() || exposes(path(o).trim_start_matches('/')));
        return if schedules { BotReach::one(id) } else { BotReach::none() };
    }
    let changes = operations.iter().filter(|o| o.get("op").and_then(Value::as_str) != Some("test"));
    let changes: Vec<&Value> = changes.collect();
    if changes.is_empty() {
        return BotReach::none();
    }
    // What is stored already may name any bot, and a patch of its status or criteria lets it run. Only a patch that
    // says where a Subscription leads says all of it.
    let leads =
        |o: &&Value| resource_type == "Subscription" && path(o) == "/channel/endpoint" && o.get("value").is_some();
    if changes.iter().any(|o| o.get("from").is_some()) || !changes.iter().any(leads) {
        return BotReach::Any;
    }
    changes.iter().filter_map(|o| o.get("value")).map(named_in).fold(BotReach::none(), BotReach::and)
}

/// Whether an element of a Bot makes it run by itself, for anybody, or as somebody else.
fn exposes(element: &str) -> bool {
    let element = element.trim_start_matches('_');
    ["cron", "publicWebhook", "executableCode", "runAsUser"].iter().any(|name| element.starts_with(name))
}

/// The bots that any text of a value names: `Bot/<id>`, relative or absolute. A name that is filled in by the server
/// (`urn:uuid:`, a conditional reference) could be any.
fn named_in(value: &Value) -> BotReach {
    match value {
        Value::String(text) => named_by(text),
        Value::Array(values) => values.iter().map(named_in).fold(BotReach::none(), BotReach::and),
        Value::Object(object) => object.values().map(named_in).fold(BotReach::none(), BotReach::and),
        _ => BotReach::none(),
    }
}

fn named_by(text: &str) -> BotReach {
    let text = text.trim();
    if text.starts_with("urn:uuid:") || text.contains("Bot?") || text.contains('%') && text.contains("Bot") {
        return BotReach::Any;
    }
    let mut steps = text.split(['/', '?', '#']);
    let mut reach = BotReach::none();
    while let Some(step) = steps.next() {
        if step == "Bot"
            && let Some(id) = steps.clone().next()
        {
            reach = reach.and(ResourceId::parse(id).map_or(BotReach::Any, |id| BotReach::one(&id)));
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BOT: &str = "287f13cd-ce73-4f66-bb4b-28542e6acf24";

    fn reach(resource: Value) -> BotReach {
        Interaction::create(resource, None).unwrap().bots()
    }

    fn one() -> BotReach {
        BotReach::one(&BOT.parse().unwrap())
    }

    #[test]
    fn what_is_stored_may_lead_to_a_bot() {
        let endpoint =
            |e: &str| json!({"resourceType": "Subscription", "channel": {"type": "rest-hook", "endpoint": e}});
        assert_eq!(reach(endpoint(&format!("Bot/{BOT}"))), one());
        assert_eq!(reach(endpoint(&format!("https://api.medplum.com/fhir/R4/Bot/{BOT}"))), one());
        assert_eq!(reach(endpoint(&format!("https://h.example/aBot/1/Bot/{BOT}"))), one());
        assert_eq!(
            reach(endpoint(&format!("https://h.example/Bot/{BOT}/Bot/1"))),
            one().and(BotReach::one(&"1".parse().unwrap()))
        );
        assert_eq!(reach(endpoint("Bot/2Bot/1")), BotReach::one(&"2Bot".parse().unwrap()));
        assert_eq!(reach(endpoint("urn:uuid:1")), BotReach::Any);
        assert_eq!(reach(endpoint("Bot?identifier=x")), BotReach::Any);
        assert_eq!(reach(endpoint("https://hooks.example/in")), BotReach::none());
        let operation = json!({"resourceType": "OperationDefinition", "extension": [{"url": "x", "valueReference": {"reference": format!("Bot/{BOT}")}}]});
        assert_eq!(reach(operation), one());
        assert_eq!(reach(json!({"resourceType": "Bot", "name": "x"})), BotReach::none());
        assert_eq!(reach(json!({"resourceType": "Bot", "name": "x", "cronString": "* * * * *"})), BotReach::Any);
        assert_eq!(
            reach(json!({"resourceType": "Patient", "meta": {"author": {"reference": format!("Bot/{BOT}")}}})),
            BotReach::none()
        );
    }

    #[test]
    fn a_patch_may_wake_what_is_stored() {
        let reach = |t: &str, operations: Value| {
            let patch = crate::patch::JsonPatch::parse(operations.as_array().unwrap().clone()).unwrap();
            Interaction::Patch { resource_type: t.parse().unwrap(), id: "1".parse().unwrap(), patch }.bots()
        };
        let replace = |path: &str, value: &str| json!({"op": "replace", "path": path, "value": value});
        let endpoint = |e: &str| replace("/channel/endpoint", e);
        assert_eq!(reach("Subscription", json!([replace("/status", "active")])), BotReach::Any);
        assert_eq!(reach("Subscription", json!([replace("/criteria", "Patient")])), BotReach::Any);
        assert_eq!(reach("Subscription", json!([{"op": "remove", "path": "/end"}])), BotReach::Any);
        assert_eq!(
            reach("Subscription", json!([endpoint(&format!("Bot/{BOT}")), replace("/status", "active")])),
            one()
        );
        assert_eq!(reach("Subscription", json!([endpoint("https://hooks.example/in")])), BotReach::none());
        assert_eq!(reach("Subscription", json!([{"op": "test", "path": "/status", "value": "off"}])), BotReach::none());
        assert_eq!(reach("OperationDefinition", json!([replace("/code", "my-op")])), BotReach::Any);
        assert_eq!(reach("Agent", json!([replace("/status", "active")])), BotReach::Any);
        assert_eq!(reach("Bot", json!([replace("/name", "x")])), BotReach::none());
        assert_eq!(reach("Bot", json!([replace("/cronString", "* * * * *")])), BotReach::one(&"1".parse().unwrap()));
        assert_eq!(reach("Patient", json!([replace("/active", "x")])), BotReach::none());
    }

    #[test]
    fn a_mutation_of_a_leading_type_reaches_any() {
        let reach = |query: &str| GraphQl::parse(query, None, None).map(Interaction::GraphQl).unwrap().bots();
        assert_eq!(reach("mutation { x: SubscriptionCreate(res: $r) { id } }"), BotReach::Any);
        assert_eq!(
            reach("mutation { ...F } fragment F on Mutation { BotUpdate(id: \"1\", res: {}) { id } }"),
            BotReach::Any
        );
        assert_eq!(reach("mutation { BogusCreate(res: $r) { id } }"), BotReach::Any);
        assert_eq!(reach("mutation { PatientCreate(res: $r) { id } }"), BotReach::none());
        assert_eq!(reach("{ BotList { id } }"), BotReach::none());
    }
}
