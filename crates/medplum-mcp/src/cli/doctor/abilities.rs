//! What we may do there, and what the project can: found out by reading alone.

use medplum_client::{Batch, Call, Client, Interaction, Membership, Query, ResourceType};
use serde_json::{Value, json};

use super::identity::known_membership;
use super::policy::{Allowed, Types};
use super::read;
use super::report::{Report, name};
use crate::settings::{ENABLE_WRITES, Limits};

/// The policy that holds for what we ask: the member's, if it is on a member's behalf.
pub(super) async fn policy_of(own: &Client, on_behalf_of: Option<&Membership>, me: &Value) -> Option<Value> {
    let Some(membership) = on_behalf_of else {
        return me.get("accessPolicy").filter(|policy| policy.is_object()).cloned();
    };
    let known = known_membership(own, membership).await?;
    let policies = known.get("access").and_then(Value::as_array).map_or(0, Vec::len);
    match known.pointer("/accessPolicy/reference").and_then(Value::as_str) {
        Some(policy) if policies == 0 => read(own, policy).await,
        // Without one everything is allowed; several of them are not put together here.
        None if policies == 0 => Some(json!({"resource": [{"resourceType": "*"}]})),
        _ => None,
    }
}

pub(super) fn check_policy(report: &mut Report, policy: Option<&Value>, who: &str, writes_open: bool, sandboxed: bool) {
    let Some(policy) = policy else {
        report.warn(
            "policy",
            format!("what {who} may do cannot be read from here"),
            "Look at the membership's AccessPolicy in the Medplum app",
        );
        return;
    };
    let Allowed { reads, writes, narrowed } = Allowed::by(policy);
    let part = if narrowed { " (in part: criteria or hidden elements)" } else { "" };
    let named = policy.get("name").and_then(Value::as_str).map(|n| format!("\"{}\": ", name(n))).unwrap_or_default();
    let text = format!("{named}{who} may read {reads} and write {writes}{part}");
    match (writes_open, &writes) {
        // There is nobody's record in there.
        _ if sandboxed => report.ok("policy", text),
        (false, Types::Every) => report.warn(
            "policy",
            text,
            "Nothing is written as long as this server is read-only; an AccessPolicy whose types are all readonly is safer still",
        ),
        (true, Types::Every) => report.warn(
            "policy",
            text,
            "An agent could change and delete all of it: name the types that it needs in an AccessPolicy, or set MEDPLUM_ON_BEHALF_OF to a member who has one",
        ),
        (true, Types::Only(none)) if none.is_empty() => report.warn(
            "policy",
            text,
            format!("Writes are open here ({ENABLE_WRITES}), but each of them will be refused"),
        ),
        _ => report.ok("policy", text),
    }
}

/// What a chart is made of.
const CHART: &[&str] = &[
    "Patient",
    "Observation",
    "Condition",
    "MedicationRequest",
    "AllergyIntolerance",
    "Encounter",
    "DiagnosticReport",
];

/// Tries to search each type; of what is found only the status is looked at.
pub(super) async fn check_reads(report: &mut Report, client: &Client) {
    let searches = CHART.iter().filter_map(|of_type| {
        let mut query = Query::new();
        query.push("_count", "1");
        query.push("_fields", "id");
        Some(Interaction::search(ResourceType::parse(of_type).ok()?, query))
    });
    let batch = Interaction::Batch(Batch::of(searches));
    let answer = match client.send(&Call::default(), &batch).await {
        Ok(reply) => reply.into_json(),
        Err(error) => {
            report.warn(
                "reads",
                format!("could not be tried: {}", name(&error.to_string())),
                "Try again, or ask the server's operator",
            );
            return;
        }
    };
    let statuses = answer.get("entry").and_then(Value::as_array).into_iter().flatten();
    let statuses = statuses.map(|entry| entry.pointer("/response/status").and_then(Value::as_str).unwrap_or_default());
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for (of_type, status) in CHART.iter().zip(statuses) {
        if status.starts_with('2') { open.push(*of_type) } else { closed.push(*of_type) }
    }
    match (open.is_empty(), closed.is_empty()) {
        (false, true) => report.ok("reads", format!("tried and allowed: {}", open.join(", "))),
        (false, false) => {
            report.ok("reads", format!("tried and allowed: {}; refused: {}", open.join(", "), closed.join(", ")))
        }
        (true, _) => report.warn(
            "reads",
            "nothing of a chart may be read",
            "Name the types that an agent is to read in the AccessPolicy",
        ),
    }
}

/// What the project can do, found out without writing.
pub(super) async fn check_features(report: &mut Report, own: &Client, limits: &Limits, me: &Value) {
    let project = match me.pointer("/project/id").and_then(Value::as_str) {
        Some(id) => read(own, &format!("Project/{id}")).await,
        None => None,
    };
    let features = project.as_ref().and_then(|project| project.get("features")).and_then(Value::as_array);
    let bots = match (&project, features) {
        (None, _) => "bots: not to be seen from here",
        (Some(_), Some(features)) if features.iter().any(|feature| feature == "bots") => "bots run",
        (Some(_), _) => "no bots (the project's feature \"bots\" is off)",
    };
    match transactions_are_atomic(own).await {
        Some(true) => report.ok("features", format!("{bots}, transactions are atomic")),
        Some(false) if limits.writes => report.warn(
            "features",
            format!("{bots}, transactions are not atomic: if an entry fails, the others stay"),
            "Ask the server's operator for the project's feature \"transaction-bundles\"",
        ),
        Some(false) => report.ok("features", format!("{bots}, transactions are not atomic")),
        None => report.ok("features", format!("{bots}, transactions: not to be seen from here")),
    }
}

/// A transaction that reads what does not exist fails as a whole where transactions are atomic.
async fn transactions_are_atomic(own: &Client) -> Option<bool> {
    const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
    let entry = json!({"request": {"method": "GET", "url": format!("Patient/{NOBODY}")}});
    let batch = Batch::parse(&json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})).ok()?;
    match own.send(&Call::default(), &Interaction::Batch(batch)).await {
        Ok(_) => Some(false),
        Err(error) if error.status() == Some(404) => Some(true),
        Err(_) => None,
    }
}
