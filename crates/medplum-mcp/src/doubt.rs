//! A write whose answer was lost: the call that shows whether it was carried out.

use medplum_client::{Effect, Error, Interaction, Level, ResourceId, ResourceType};
use serde_json::{Value, json};

use crate::failure::Failure;

/// At most so many entries of a bundle are named.
const NAMED: usize = 20;

/// The failure, with how to find out what became of what acts, where that is not known.
pub(crate) fn explained(failure: Failure, interaction: &Interaction) -> Failure {
    let Some(error) = failure.error().filter(|error| error.may_have_acted()) else { return failure };
    // What a newer version says of it is said by the failure itself.
    if error.status() == Some(412) {
        return failure;
    }
    let hint = match (error.was_carried_out(), look(interaction)) {
        (true, Some(call)) => format!("Do not send it again. What came of it: {call}."),
        (true, None) => "Do not send it again.".to_owned(),
        (false, Some(call)) => format!("Look before you try again: {call}."),
        (false, None) => {
            let what = if may_have_run(interaction) { "whether it ran" } else { "for sure" };
            format!("No call tells {what}: look at what it would have changed before you try again.")
        }
    };
    failure.hint(hint)
}

/// What is said of a write that Medplum has accepted and need not have carried out: 202.
pub(crate) fn accepted(interaction: &Interaction) -> String {
    match look(interaction).filter(|_| interaction.effect() == Effect::Write) {
        Some(call) => {
            format!("Medplum has accepted this and may not have carried it out yet (202). What came of it: {call}.")
        }
        None => String::new(),
    }
}

fn may_have_run(interaction: &Interaction) -> bool {
    match interaction {
        Interaction::ExecuteBot { .. } | Interaction::Operation(_) => true,
        Interaction::Raw(raw) => raw.names_operation(),
        _ => false,
    }
}

/// What is said of what acts and was not sent.
pub(crate) fn undone(interaction: &Interaction) -> &'static str {
    match interaction {
        Interaction::Create { .. } | Interaction::CreateBinary { .. } => "Nothing was created",
        Interaction::Update { .. } | Interaction::Patch { .. } => "Nothing was changed",
        Interaction::Delete { .. } => "Nothing was deleted",
        Interaction::ExecuteBot { .. } => "The bot was not run",
        Interaction::Batch(_) => "Nothing was written",
        _ => "Nothing was carried out",
    }
}

/// The call that shows whether an interaction was carried out, and what to look for in its answer; none where there is
/// no such call.
pub(crate) fn look(interaction: &Interaction) -> Option<String> {
    match interaction {
        Interaction::Create { resource, .. } => search_for(resource),
        Interaction::Update { resource_type, id, if_match, .. } => Some(read(resource_type, id, if_match.as_ref())),
        Interaction::Patch { resource_type, id, patch } => Some(read(resource_type, id, patch.version())),
        Interaction::Delete { resource_type, id } => {
            Some(format!("{}; 410 says that it is deleted", read(resource_type, id, None)))
        }
        Interaction::ExecuteBot { bot, .. } => Some(runs_of(bot)),
        Interaction::Operation(operation) => match (&operation.level, operation.name.as_str()) {
            (Level::Instance(of, id), "execute") if of.as_str() == "Bot" => Some(runs_of(id)),
            (Level::Instance(of, id), _) => Some(read(of, id, None)),
            _ => None,
        },
        Interaction::Batch(batch) => {
            let entries = batch.entries().iter().enumerate();
            let acting = entries.filter(|(_, entry)| !entry.interaction.effect().is_read());
            let named = acting.map(|(index, entry)| {
                let call = look(&entry.interaction).unwrap_or_else(|| "no call shows it".to_owned());
                format!("[{index}] {call}")
            });
            Some(listed(named.collect()))
        }
        // A GET of another path may run what was just run.
        Interaction::Raw(raw) if !raw.is_fhir() && raw.is_read_by_get() => {
            Some(format!("raw_request {}", json!({"method": "GET", "path": raw.segments().join("/")})))
        }
        _ => None,
    }
}

/// The first few of a list, and how many more there are.
pub(crate) fn listed(all: Vec<String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{more}", all.into_iter().take(NAMED).collect::<Vec<_>>().join("; "))
}

/// What was stored under an id, and by which version it is told from what was there.
fn read(resource_type: &ResourceType, id: &ResourceId, before: Option<&ResourceId>) -> String {
    let call =
        format!("read_resource {}", json!({"resource_type": resource_type.as_str(), "resource_id": id.as_str()}));
    match before {
        Some(version) => format!("{call}, where meta.versionId is still {version} if it was not carried out"),
        None => call,
    }
}

/// Medplum keeps an AuditEvent of each run, where the bot and the server are set to.
fn runs_of(bot: &ResourceId) -> String {
    let params = json!({"entity": format!("Bot/{bot}")});
    format!(
        "search_resources {}, which lists its runs, if Medplum keeps AuditEvents",
        json!({"resource_type": "AuditEvent", "params": params, "sort": "-_lastUpdated", "count": 3})
    )
}

/// A token as a search writes it: a bare comma would be "or".
pub(crate) fn token(system: Option<&str>, value: &str) -> String {
    let escaped = |part: &str| part.replace('\\', "\\\\").replace(',', "\\,");
    match system {
        Some(system) => format!("{}|{}", escaped(system), escaped(value)),
        None => escaped(value),
    }
}

/// The search that would find a resource that may have been created: by its identifier, or among the newest.
fn search_for(resource: &Value) -> Option<String> {
    let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str);
    let resource_type = text("/resourceType")?;
    Some(match (text("/identifier/0/system"), text("/identifier/0/value")) {
        (Some(system), Some(value)) => {
            let params = json!({"identifier": token(Some(system), value)});
            format!("search_one {}", json!({"resource_type": resource_type, "params": params}))
        }
        _ => format!(
            "search_resources {}, which shows the newest",
            json!({"resource_type": resource_type, "sort": "-_lastUpdated", "count": 3})
        ),
    })
}

impl Failure {
    /// Whether what acts may have been carried out all the same.
    pub(crate) fn may_have_acted(&self) -> bool {
        self.error().is_some_and(Error::may_have_acted)
    }
}
