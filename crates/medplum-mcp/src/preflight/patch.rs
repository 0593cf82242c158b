//! A patch, tried on the stored resource before it leaves.

use medplum_client::JsonPatch;
use serde_json::{Value, json};

use super::version_of;
use crate::context::Context;
use crate::failure::Failure;
use crate::unseen::Unseen;
use crate::writeback::{hides, left_out};

/// Medplum takes no larger body.
const LARGEST_RESOURCE: usize = 1_000_000;

/// The resource as the patch would leave it.
///
/// # Errors
/// [`Failure`] that names the operation which does not fit, or would show what is left out for the agent.
pub(super) fn patched(cx: &Context<'_>, stored: &Value, patch: &JsonPatch) -> Result<Value, Failure> {
    let mut resource = stored.clone();
    let mut unseen = Unseen::of(stored, |value| cx.shown(value));
    for (index, operation) in patch.operations().iter().enumerate() {
        let operation = Operation(operation);
        let tried = refuse_by_itself(cx, &resource, &operation)
            .and_then(|()| apply(cx, &mut resource, &mut unseen, &operation));
        tried.map_err(|why| {
            let place = format!("operations[{index}] ({} {})", operation.text("op"), operation.text("path"));
            Failure::teach(format!("{place}: {why} Nothing was sent."))
        })?;
    }
    Ok(resource)
}

/// One operation of a patch.
struct Operation<'p>(&'p Value);

impl<'p> Operation<'p> {
    fn text(&self, name: &str) -> &'p str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn changes(&self) -> bool {
        self.text("op") != "test"
    }
}

/// Why an operation is not even tried.
fn refuse_by_itself(cx: &Context<'_>, resource: &Value, operation: &Operation<'_>) -> Result<(), &'static str> {
    let path = operation.text("path");
    match operation.text("op") {
        "copy" | "move" if is_left_out(cx, resource, operation.text("from")) => {
            Err("it would copy a secret or what is left out for you, which is never done.")
        }
        "test" if is_left_out(cx, resource, path) => Err("it would tell of a secret or of what is left out for you."),
        "test" => Ok(()),
        _ if path.is_empty() => Err("a patch of the whole resource is an update: use update_resource."),
        _ if path.starts_with("/meta/versionId") => {
            Err("Medplum gives the version itself. Pass the one that was read as version_id.")
        }
        _ => Ok(()),
    }
}

fn apply(
    cx: &Context<'_>,
    resource: &mut Value,
    unseen: &mut Unseen,
    operation: &Operation<'_>,
) -> Result<(), &'static str> {
    let one = serde_json::from_value::<json_patch::Patch>(json!([operation.0]));
    let one = one.map_err(|_| "it is no JSON Patch operation.")?;
    json_patch::patch(resource, &one).map_err(|_| match operation.text("op") {
        "test" => "the stored value is another. Read the resource again.",
        "add" => {
            "there is nothing to add it to. A list that is not there is added whole, such as {\"op\":\"add\",\"path\":\"/telecom\",\"value\":[…]}."
        }
        _ => "the stored resource has nothing there. Use add for what is new.",
    })?;
    if operation.changes() && unseen.comes_to_light(&one, |value| cx.shown(value)) {
        return Err(
            "it changes what marks a secret, or what is left out for you, and would show it. Remove the whole element by its path, or leave it as it is.",
        );
    }
    // Copies of copies double each time.
    if resource.to_string().len() > LARGEST_RESOURCE {
        return Err("the resource would be larger than the 1 MB that Medplum takes.");
    }
    Ok(())
}

/// Whether what stands there is, holds or lies in what the agent cannot see.
fn is_left_out(cx: &Context<'_>, resource: &Value, at: &str) -> bool {
    let shown = cx.shown(resource);
    match (shown.pointer(at), resource.pointer(at)) {
        (Some(shown), Some(stored)) => left_out(shown).is_some() || hides(shown, stored),
        (None, Some(_)) => true,
        _ => false,
    }
}

/// The patch for the version that it was looked at with: Medplum ignores If-Match on a PATCH.
pub(super) fn bound_to_version(stored: &Value, patch: &JsonPatch) -> JsonPatch {
    // A test among the operations says nothing: one in front of it may have changed what it finds.
    match version_of(stored).filter(|_| patch.version().is_none()) {
        Some(version) => patch.clone().of_version(version),
        None => patch.clone(),
    }
}
