//! The data types and nested types behind a type's elements, each in one line.

use std::collections::{BTreeSet, VecDeque};

use super::notation::{self, Detail};
use super::{find_element, shown};
use crate::{Definitions, Element, TypeInfo, TypeKind};

/// One line for each type that can be reached from the elements shown: `HumanName: use code: …, family string`.
pub(super) fn blocks(defs: &Definitions, info: &TypeInfo, only: &[String], detail: Detail) -> Vec<String> {
    let start: Vec<&Element> = if only.is_empty() {
        shown(defs, info).collect()
    } else {
        only.iter().filter_map(|path| find_element(defs, info, path).ok().map(|(_, e)| e)).collect()
    };
    let mut queue: VecDeque<&Element> = start.into();
    let mut seen = BTreeSet::from([info.name]);
    let mut lines = Vec::new();
    while let Some(element) = queue.pop_front() {
        // An extension may hold any type; following it would lead everywhere.
        if defs.types_of(element).len() > 30 {
            continue;
        }
        for of in defs.types_of(element).iter().filter_map(|t| defs.resolve(t)) {
            if !matches!(of.kind, TypeKind::Complex | TypeKind::Nested) || !seen.insert(of.name) {
                continue;
            }
            queue.extend(defs.own_elements(of));
            if of.kind == TypeKind::Complex || depth(of) > 1 {
                lines.push(block(defs, of, detail));
            }
        }
    }
    lines
}

/// How deep inside of its resource a nested type stands: `Patient.contact` is 1, and is written out already.
fn depth(info: &TypeInfo) -> usize {
    info.name.matches('.').count()
}

fn block(defs: &Definitions, of: &TypeInfo, detail: Detail) -> String {
    let quiet = Detail { verbose: false, narrowed: false };
    let detail = if detail.verbose { detail } else { quiet };
    format!("{}: {}", of.name, notation::fields(defs, shown(defs, of).filter(|e| !everywhere(e)), 1, detail))
}

/// What every data type has.
fn everywhere(element: &Element) -> bool {
    matches!(element.name, "id" | "extension")
}
