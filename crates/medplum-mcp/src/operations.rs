//! What is said of an operation that is none of Medplum's, or is not called as it is there.

use medplum_client::{Level, Operation, ResourceType};

/// Operations of Medplum's that act. What is not among them and reads nothing is of no name that is known here.
const ACTING: &[&str] = &[
    "apply",
    "bulk-status",
    "cancel",
    "ccda-export",
    "clone",
    "deploy",
    "evaluate-measure",
    "execute",
    "expunge",
    "export",
    "extract",
    "fetch-logs",
    "find",
    "get-ws-binding-token",
    "graphql",
    "import",
    "init",
    "process-message",
    "push",
    "reindex",
    "reload-config",
    "resend",
    "rotate-secret",
    "set-accounts",
    "stats",
    "status",
    "transform",
    "update-user-email",
    "upgrade",
];

/// What a 404 to it means, where the id may be right and the operation is not there.
pub(crate) fn not_found(operation: &Operation, fhir_path: &str) -> Option<String> {
    let name = operation.name.as_str();
    if operation.effect().is_read() || ACTING.contains(&name) {
        return None;
    }
    let or_no_id = if matches!(operation.level, Level::Instance(..)) { ", or no such id" } else { "" };
    Some(format!(
        "There is no ${name} that is called like this{}, neither Medplum's own nor a bot's{or_no_id}. {}",
        on(operation.resource_type()),
        those(operation, Some(fhir_path))
    ))
}

/// What is said of one that a read-only server does not send, where writes are not what it takes: Medplum has none of
/// that name, or has it as a read that is called otherwise.
pub(crate) fn no_read(operation: &Operation) -> Option<String> {
    let name = operation.name.as_str();
    if ACTING.contains(&name) {
        return None;
    }
    Some(format!(
        "${name} called like this{} is none of Medplum's reads, and a bot could be bound to it. {} Nothing was sent.",
        on(operation.resource_type()),
        those(operation, None)
    ))
}

fn on(resource_type: Option<&ResourceType>) -> String {
    resource_type.map_or_else(|| " on the whole system".to_owned(), |of| format!(" on {of}"))
}

/// The operations that there are to read with; for what is no operation, its path.
fn those(operation: &Operation, fhir_path: Option<&str>) -> String {
    let of = operation.resource_type().map_or("<Type>", ResourceType::as_str);
    if operation.name.as_str() == "history" {
        let id = match &operation.level {
            Level::Instance(_, id) => id.as_str(),
            Level::Type(_) | Level::System => "<id>",
        };
        return match fhir_path {
            Some(base) => {
                format!("The versions of a resource are no operation: raw_request GET {base}{of}/{id}/_history.")
            }
            // In a bundle no base stands before it.
            None => format!(
                "The versions of a resource are no operation: execute_batch {{\"bundle\":{{\"type\":\"batch\",\"entry\":[{{\"request\":{{\"method\":\"GET\",\"url\":\"{of}/{id}/_history\"}}}}]}}}}."
            ),
        };
    }
    let reads: Vec<String> = match operation.resource_type() {
        Some(of) => Operation::reads_of(of.as_str()).collect(),
        None => Operation::reads().collect(),
    };
    format!("Those that read: {}.", reads.join(", "))
}
