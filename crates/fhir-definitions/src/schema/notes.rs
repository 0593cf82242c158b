//! How to read a schema, the slips that are usual with this type, and the rules between its elements.

use super::{Options, shown};
use crate::did_you_mean::capitalized;
use crate::forms;
use crate::{Definitions, Element, TypeInfo, TypeKind};

/// How many rules stand in the notes unless all are asked for.
const RULES_SHOWN: usize = 4;
/// How many slips: more are not read.
const SLIPS_SHOWN: usize = 3;

/// The notes, if there is anything to say.
pub(super) fn notes(defs: &Definitions, info: &TypeInfo, options: &Options) -> Option<String> {
    if info.kind == TypeKind::Primitive {
        return forms::ways(info.name).map(|e| format!("Write {e}."));
    }
    let mut parts = vec!["! required, [] repeats.".to_owned()];
    if !options.include_nested {
        parts.push("Types in capitals: ask for them by name.".to_owned());
    }
    parts.extend(slips(defs, info));
    let mut text = parts.join(" ");
    for rule in rules(defs, info, options) {
        text.push('\n');
        text.push_str(&rule);
    }
    Some(text)
}

/// The element forms that are most often got wrong in this type: required ones first, then one choice, and so on.
fn slips(defs: &Definitions, info: &TypeInfo) -> Vec<String> {
    let mut elements: Vec<&Element> = shown(defs, info).filter(|e| is_often_wrong(defs, e)).collect();
    elements.sort_by_key(|e| {
        let types = defs.types_of(e);
        let widest = if e.choice { -i64::try_from(types.len()).unwrap_or(0) } else { 0 };
        (e.min == 0, types.first().is_some_and(|t| t.name == "Identifier"), widest)
    });
    let mut seen = Vec::new();
    elements.retain(|e| {
        let what = if e.choice { "[x]" } else { defs.types_of(e).first().map_or("", |t| t.name) };
        let first = !seen.contains(&what);
        seen.push(what);
        first
    });
    elements.into_iter().filter_map(|e| slip(defs, e)).take(SLIPS_SHOWN).collect()
}

/// Choices and data types with elements of their own; nobody gets a boolean wrong.
fn is_often_wrong(defs: &Definitions, element: &Element) -> bool {
    let complex = |t: &crate::ElementType| defs.resolve(t).is_some_and(|t| t.kind == TypeKind::Complex);
    element.choice || defs.types_of(element).first().is_some_and(complex)
}

fn slip(defs: &Definitions, element: &Element) -> Option<String> {
    let types = defs.types_of(element);
    // Of a type that may be anything, text is the simplest.
    let of = types.iter().find(|t| types.len() > 30 && t.name == "string").or(types.first())?;
    let example = forms::example_for(defs, of, element.binding.as_ref())?;
    let name = element.name;
    Some(if element.choice {
        let full = capitalized(of.name);
        format!("{name}[x] is written with its type: \"{name}{full}\":{example}.")
    } else if element.array {
        format!("{name} is a list of objects: [{example}].")
    } else {
        format!("{name}: {example}.")
    })
}

/// The error-level rules of the type and its elements, in FHIR's words.
fn rules(defs: &Definitions, info: &TypeInfo, options: &Options) -> Vec<String> {
    let own = defs.type_constraints(info).iter().map(|c| (None, c));
    let of_elements =
        shown(defs, info).flat_map(|e| defs.element_constraints(e).iter().map(move |c| (Some(e.name), c)));
    let most = if options.verbose { usize::MAX } else { RULES_SHOWN };
    own.chain(of_elements)
        .take(most)
        .map(|(element, c)| match element {
            Some(name) => format!("{}: {name}: {}", c.key, c.human),
            None => format!("{}: {}", c.key, c.human),
        })
        .collect()
}
