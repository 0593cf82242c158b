//! Whether a bot is bound to an operation's name. Where an operation of its own finds nothing (404), Medplum looks for an
//! OperationDefinition of that name, and runs the bot that it names.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fhir_definitions::OperationName;
use serde_json::Value;

use crate::gate::Refusal;
use crate::membership::Membership;

/// How long a name counts as free of bots. Whoever binds one meanwhile is noticed after that.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// So many are remembered, where a call may be made on anybody's behalf.
const MOST: usize = 1_000;
/// Marks the bot in an OperationDefinition.
const IMPLEMENTATION: &str = "https://medplum.com/fhir/StructureDefinition/operationDefinition-implementation";

/// On whose behalf a name was looked for, and the name: Medplum looks for its OperationDefinition on the same behalf.
type Key = (Option<Membership>, OperationName);

/// The names that no bot was bound to when they were looked for.
#[derive(Debug, Default)]
pub(crate) struct Unbound(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    names: HashMap<Key, Instant>,
    /// How often something was written.
    writes: u64,
}

/// What had been written when a name was looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before(u64);

impl Unbound {
    /// Whether a name is known to be free of bots; what had been written by now, if it is not.
    pub(crate) fn knows(&self, key: &Key, now: Instant) -> Result<(), Before> {
        let known = self.known();
        let kept = known.names.get(key).is_some_and(|when| now.saturating_duration_since(*when) < KEPT_FOR);
        if kept { Ok(()) } else { Err(Before(known.writes)) }
    }

    /// Keeps what a look found, unless something was written while it was under way.
    pub(crate) fn keep(&self, key: Key, now: Instant, Before(writes): Before) {
        let mut known = self.known();
        if known.writes != writes {
            return;
        }
        if known.names.len() >= MOST {
            known.names.clear();
        }
        known.names.insert(key, now);
    }

    /// Whatever was written may have bound one.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.names.clear();
        known.writes = known.writes.wrapping_add(1);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the page of OperationDefinitions of a name for a proof that none of them binds a bot to it.
///
/// # Errors
/// [`Refusal`] if one does, or if the page is no proof.
pub(crate) fn proven_by(page: &Value, name: &OperationName) -> Result<(), Refusal> {
    match binds(page) {
        Some(false) => Ok(()),
        Some(true) => Err(Refusal::new(format!(
            "An OperationDefinition of this project binds a bot to ${name}, and Medplum runs it where ${name} itself finds nothing. ${name} is closed until that OperationDefinition has another code. It was not sent."
        ))),
        None => Err(Refusal::new(format!(
            "Whether a bot is bound to ${name} cannot be told from what Medplum answers to OperationDefinition?code={name}, and where ${name} finds nothing such a bot would run. It was not sent."
        ))),
    }
}

/// Whether one of them binds a bot; none if it cannot be told.
fn binds(page: &Value) -> Option<bool> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |value: &Value, key: &str| match value.get(key) {
        None => Some(Vec::new()),
        Some(list) => list.as_array().cloned(),
    };
    if text(page, "type")? != "searchset" {
        return None;
    }
    if list(page, "link")?.iter().any(|link| text(link, "relation").as_deref() == Some("next")) {
        return None;
    }
    let mut bound = false;
    for entry in list(page, "entry")? {
        let definition = entry.get("resource").filter(|resource| resource.is_object())?;
        bound |= list(definition, "extension")?.iter().any(|e| text(e, "url").as_deref() == Some(IMPLEMENTATION));
    }
    Some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_whole_page_without_a_bot_is_a_proof() {
        let page = |entry: Value| json!({"resourceType": "Bundle", "type": "searchset", "entry": entry});
        let plain = json!({"resource": {"resourceType": "OperationDefinition", "code": "lookup"}});
        let bound =
            json!({"resource": {"resourceType": "OperationDefinition", "extension": [{"url": IMPLEMENTATION}]}});
        assert_eq!(binds(&json!({"resourceType": "Bundle", "type": "searchset"})), Some(false));
        assert_eq!(binds(&page(json!([plain]))), Some(false));
        assert_eq!(binds(&page(json!([plain, bound]))), Some(true));
        for unclear in [
            json!(null),
            json!({"resourceType": "Parameters"}),
            page(json!({})),
            page(json!([plain, {"fullUrl": "x"}])),
            page(json!([{"resource": {"extension": "x"}}])),
            json!({"type": "searchset", "entry": [plain], "link": [{"relation": "next", "url": "x"}]}),
        ] {
            assert_eq!(binds(&unclear), None, "{unclear}");
        }
    }
}
