//! FHIR's rules between elements: the constraints of severity error, as FHIRPath.

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

/// A rule that is to be asked; none if it is skipped or cannot be read. A test sees that each can.
type Rule = OnceLock<Option<Expression>>;

/// The rules in the order of the definitions, each read when it is first asked.
fn rule(constraint: &Constraint) -> Option<&'static Expression> {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    let rules = RULES.get_or_init(|| Definitions::get().constraints().iter().map(|_| OnceLock::new()).collect());
    let read = || Expression::parse(constraint.expression).ok().filter(|_| !SKIPPED.contains(&constraint.key));
    rules.get(constraint.index as usize)?.get_or_init(read).as_ref()
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
        let Some(expression) = rule(constraint) else {
            continue;
        };
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
