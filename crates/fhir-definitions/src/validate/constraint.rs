//! FHIR's rules between elements: the constraints of severity error, as FHIRPath.

use std::collections::HashMap;
use std::sync::OnceLock;

use fhirpath::{Context, Expression, Item};
use serde_json::Value;

use super::fault::FaultKind;
use super::path::Path;
use super::walk::Walk;
use crate::{Constraint, Definitions};

/// Rules that are not asked as FHIRPath: looked at by the walk itself (ele-1, ext-1, ref-1), or not asked by Medplum
/// either (dom-3, org-1, sdf-19).
const SKIPPED: [&str; 6] = ["ele-1", "ext-1", "ref-1", "dom-3", "org-1", "sdf-19"];

/// The expressions by their text, read once. One that cannot be read is not asked; a test sees that none is.
fn compiled() -> &'static HashMap<&'static str, OnceLock<Option<Expression>>> {
    static COMPILED: OnceLock<HashMap<&'static str, OnceLock<Option<Expression>>>> = OnceLock::new();
    COMPILED.get_or_init(|| Definitions::get().constraints().iter().map(|c| (c.expression, OnceLock::new())).collect())
}

/// Asks each rule of the value. One that does not hold is a fault; one that cannot be answered is let be.
pub(super) fn check<'a>(
    walk: &mut Walk<'a>,
    constraints: &'static [Constraint],
    value: &'a Value,
    type_name: &'static str,
    path: &Path<'_>,
) {
    for constraint in constraints {
        if SKIPPED.contains(&constraint.key) {
            continue;
        }
        let Some(slot) = compiled().get(constraint.expression) else { continue };
        let Some(expression) = slot.get_or_init(|| Expression::parse(constraint.expression).ok()) else { continue };
        let context = Context::new()
            .with_resource(walk.resource)
            .with_root_resource(walk.root)
            .with_context(value)
            .with_model(walk.defs);
        let focus = Item::new(value).with_type(type_name);
        // Medplum takes anything but true for a failure, an empty answer too.
        if !matches!(expression.holds(focus, &context), Ok(Some(true)) | Err(_)) {
            let message = format!("{} ({})", constraint.human, constraint.key);
            walk.fault(path, FaultKind::Constraint, message);
        }
    }
}
