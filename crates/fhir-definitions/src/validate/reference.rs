//! The form of a reference, and whether its type may stand where it stands. FHIR:
//! <https://hl7.org/fhir/R4/references.html>

use serde_json::{Map, Value, json};

use super::fault::{FaultKind, clipped};
use super::path::Path;
use super::repair;
use super::walk::Walk;
use crate::references::Form;
use crate::{Definitions, ElementType};

/// Looks at the `reference` of a Reference.
pub(super) fn check(walk: &mut Walk<'_>, of: &ElementType, object: &Map<String, Value>, path: &Path<'_>) {
    let Some(text) = object.get("reference").and_then(Value::as_str) else { return };
    let here = path.name("reference");
    match Form::of(text) {
        Form::Local { resource_type, .. } | Form::Conditional { resource_type } => {
            if let Some(message) = wrong_type(walk.defs, of, resource_type) {
                walk.fault(&here, FaultKind::Reference, message);
            }
        }
        Form::Contained { id } => {
            if !id.is_empty() && !contains(walk, id) {
                let message = format!(
                    "{} leads to no contained resource. Put it into contained with \"id\":{}, or refer to one on the server.",
                    json!(clipped(text)),
                    json!(clipped(id))
                );
                walk.fault(&here, FaultKind::Reference, message);
            }
        }
        Form::Elsewhere => {}
        Form::Broken => {
            let message = repair::reference_text(walk.defs, of, text);
            walk.fault(&here, FaultKind::Reference, message);
        }
    }
}

/// Whether the resource, or the root around it, has a contained resource of that id.
fn contains(walk: &Walk<'_>, id: &str) -> bool {
    [walk.resource, walk.root].iter().any(|of| {
        let contained = of.get("contained").and_then(Value::as_array);
        contained.into_iter().flatten().any(|c| c.get("id").and_then(Value::as_str) == Some(id))
    })
}

/// Why a type may not stand here; none if it may.
fn wrong_type(defs: &Definitions, of: &ElementType, name: &str) -> Option<String> {
    if !defs.is_resource_type(name) {
        let nearest = defs.nearest_types(name);
        let hint = if nearest.is_empty() { String::new() } else { format!(" Nearest: {}.", nearest.join(", ")) };
        return Some(format!("there is no resource type \"{}\".{hint}", clipped(name)));
    }
    let targets = defs.targets(of);
    let open = targets.is_empty() || targets.iter().any(|t| *t == "Resource" || defs.type_info(t).is_none());
    if open || targets.contains(&name) {
        return None;
    }
    Some(format!("leads to {name}; only {} may stand here", targets.join(" | ")))
}
