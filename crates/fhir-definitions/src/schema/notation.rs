//! One element in one line.

use crate::{Binding, Definitions, Element, ElementType, Strength, TypeKind};

/// How many codes stand in a line before it says how many more there are.
const CODES_SHOWN: usize = 14;
/// Codes that are not binding stand in a line if there are no more than this.
const FEW_CODES: usize = 12;
/// The same as the first for the resource types that a reference may lead to.
const TARGETS_SHOWN: usize = 12;
/// An element with more types than this takes any.
const ANY_TYPE: usize = 30;
/// A nested type inside a nested type is written out if it is no longer than this.
const INLINE_FIELDS: usize = 4;

/// How much to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    /// Descriptions, all codes.
    pub(super) verbose: bool,
    /// A few elements were asked for by name: all their codes.
    pub(super) narrowed: bool,
}

impl Detail {
    fn all_codes(self) -> bool {
        self.verbose || self.narrowed
    }
}

/// `gender            code: male | female | other | unknown`.
pub(super) fn line(defs: &Definitions, element: &Element, column: usize, detail: Detail) -> String {
    line_named(defs, &element.full_name(), element, column, detail)
}

/// The same, with another name in front: a path.
pub(super) fn line_named(defs: &Definitions, name: &str, element: &Element, column: usize, detail: Detail) -> String {
    let name = format!("{name}{}", required(element));
    let mut text = format!("{name:column$} {}", of_element(defs, element, 0, detail));
    if element.medplum {
        text.push_str("  (Medplum)");
    }
    // A short text that is a list of codes says what the line says already.
    let says_more = !element.short.is_empty() && !element.short.contains(" | ");
    if detail.all_codes() && says_more {
        text.push_str("  — ");
        text.push_str(element.short);
    }
    text
}

/// The fields of a type in one run: `use code: usual | official, family string, given string[]`.
pub(super) fn fields<'a>(
    defs: &Definitions,
    elements: impl Iterator<Item = &'a Element>,
    depth: usize,
    detail: Detail,
) -> String {
    let parts: Vec<String> = elements
        .filter(|e| e.max > 0)
        .map(|e| format!("{}{} {}", e.full_name(), required(e), of_element(defs, e, depth, detail)))
        .collect();
    parts.join(", ")
}

fn required(element: &Element) -> &'static str {
    if element.min > 0 { "!" } else { "" }
}

/// The type side of a line.
fn of_element(defs: &Definitions, element: &Element, depth: usize, detail: Detail) -> String {
    let types = defs.types_of(element);
    if let [only] = types
        && let Some(nested) = written_out(defs, element, only, depth, detail)
    {
        return nested;
    }
    let names = if types.len() > ANY_TYPE {
        "any data type".to_owned()
    } else {
        types.iter().map(|t| of_type(defs, t, detail)).collect::<Vec<_>>().join(" | ")
    };
    let repeats = if element.array { "[]" } else { "" };
    let codes = element.binding.and_then(|b| codes(defs, element, &b, depth, detail)).unwrap_or_default();
    format!("{names}{repeats}{codes}")
}

/// A nested type's fields, where there is room for them: always at the top, below that only a few.
fn written_out(
    defs: &Definitions,
    element: &Element,
    of: &ElementType,
    depth: usize,
    detail: Detail,
) -> Option<String> {
    let nested = defs.resolve(of).filter(|t| t.kind == TypeKind::Nested)?;
    let own = defs.own_elements(nested);
    // A reference to another element's content is named, not repeated: it stands where that element is.
    let here = nested.name.rsplit('.').next().is_some_and(|last| last == element.name);
    if !here || depth > 0 && own.len() > INLINE_FIELDS || depth > 1 {
        return None;
    }
    let fields = fields(defs, own.iter(), depth + 1, detail);
    Some(match (depth, element.array) {
        (0, true) => format!("[] {fields}"),
        (0, false) => format!("{{}} {fields}"),
        (_, true) => format!("[] ({fields})"),
        (_, false) => format!("({fields})"),
    })
}

/// `Reference(Patient | Group)`.
fn of_type(defs: &Definitions, of: &ElementType, detail: Detail) -> String {
    let targets = defs.targets(of);
    if targets.is_empty() {
        return of.name.to_owned();
    }
    if targets.contains(&"Resource") {
        return format!("{}(any)", of.name);
    }
    let most = if detail.all_codes() { usize::MAX } else { TARGETS_SHOWN };
    format!("{}({})", of.name, limited(targets.iter().copied(), most))
}

/// The codes that may stand in an element: `: male | female`. The system follows where the element carries one.
fn codes(defs: &Definitions, element: &Element, binding: &Binding, depth: usize, detail: Detail) -> Option<String> {
    let set = defs.bound_set(binding).filter(|s| s.closed)?;
    let lists = defs.codes(set);
    let count = lists.iter().flat_map(crate::CodeList::codes).count();
    let few = depth == 0 && count <= FEW_CODES || detail.all_codes();
    let (worth_it, loosely) = match binding.strength {
        Strength::Required => (true, ""),
        Strength::Extensible => (few || element.min > 0, " (another if none fits)"),
        Strength::Preferred => (few, " (preferred)"),
        Strength::Example => (false, ""),
    };
    let most = if detail.all_codes() { usize::MAX } else { CODES_SHOWN };
    let is_code = defs.types_of(element).iter().all(|t| t.name == "code");
    let shown = if is_code {
        limited(lists.iter().flat_map(crate::CodeList::codes), most)
    } else {
        let of_system = |l: &crate::CodeList| format!("{} (system {})", limited(l.codes(), most), l.system);
        lists.iter().map(of_system).collect::<Vec<_>>().join(" | ")
    };
    worth_it.then(|| format!(": {shown}{loosely}"))
}

/// The first of many, and how many more there are.
fn limited<'a>(items: impl Iterator<Item = &'a str>, most: usize) -> String {
    let all: Vec<&str> = items.collect();
    let shown = all.iter().take(most).copied().collect::<Vec<_>>().join(" | ");
    match all.len().checked_sub(most) {
        Some(more) if more > 0 => format!("{shown} | … {more} more"),
        _ => shown,
    }
}
