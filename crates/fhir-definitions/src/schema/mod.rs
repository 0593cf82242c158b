//! What a type looks like, in a notation for a reader with little room: one line an element.
//!
//! ```text
//! Patient  (write: no element is required)
//! gender            code: male | female | other | unknown
//! deceased[x]       boolean | dateTime
//! generalPractitioner Reference(Organization | Practitioner | PractitionerRole)[]
//! ```
//!
//! A capital is a type that can be asked for by name, `!` is required, `[]` repeats, `[x]` takes the name of one of its
//! types in JSON.

mod nested;
mod notation;
mod notes;

use thiserror::Error;

use crate::{Definitions, Element, TypeInfo, TypeKind};
use notation::Detail;

/// How wide the column of names is. Longer names push their type along.
const NAME_COLUMN: usize = 17;

/// What to show of a type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Show the data types that the elements use, and those that these use.
    pub include_nested: bool,
    /// Show a line of description for each element, every code, and every rule.
    pub verbose: bool,
    /// Show these elements only, by name or path: `name`, `contact.relationship`. Empty for all.
    pub elements: Vec<String>,
}

/// A schema as an agent reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The type.
    pub block: String,
    /// How to read it, and the slips that are usual with it.
    pub notes: Option<String>,
}

/// A name that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There is no such type.
    #[error("There is no type \"{given}\".{}", did_you_mean(.nearest))]
    UnknownType {
        /// What was asked for.
        given: String,
        /// Types with a name like it.
        nearest: Vec<String>,
    },
    /// The type has no such element.
    #[error("{type_name} has no element \"{given}\".{}", did_you_mean(.nearest))]
    UnknownElement {
        /// The type.
        type_name: String,
        /// What was asked for.
        given: String,
        /// Elements with a name like it.
        nearest: Vec<String>,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" Nearest: {}.", nearest.join(", ")) }
}

/// The schema of a resource type, a data type (`HumanName`) or a nested type (`Patient.contact`).
///
/// # Errors
/// [`SchemaError`] if the type, or one of the elements asked for, does not exist; it names the nearest that do.
pub fn render(type_name: &str, options: &Options) -> Result<Schema, SchemaError> {
    let defs = Definitions::get();
    let info = find_type(defs, type_name)?;
    let detail = Detail { verbose: options.verbose, narrowed: !options.elements.is_empty() };
    let mut lines = vec![header(defs, info)];
    if options.elements.is_empty() {
        lines.extend(shown(defs, info).map(|e| notation::line(defs, e, NAME_COLUMN, detail)));
        lines.extend(inherited(info));
    } else {
        for path in &options.elements {
            let (name, element) = find_element(defs, info, path)?;
            lines.push(notation::line_named(defs, &name, element, NAME_COLUMN, detail));
        }
    }
    if options.include_nested {
        lines.extend(nested::blocks(defs, info, &options.elements, detail));
    }
    Ok(Schema { block: lines.join("\n"), notes: notes::notes(defs, info, options) })
}

fn find_type<'a>(defs: &'a Definitions, given: &str) -> Result<&'a TypeInfo, SchemaError> {
    defs.type_info(given).ok_or_else(|| {
        let names = defs.types().map(|t| t.name);
        let nearest = crate::nearest(given, names).into_iter().map(str::to_owned).collect();
        SchemaError::UnknownType { given: given.to_owned(), nearest }
    })
}

/// The elements worth a line: not those that every resource or every nested type has.
fn shown<'a>(defs: &'a Definitions, info: &'a TypeInfo) -> impl Iterator<Item = &'a Element> {
    let own_base = |t: &&TypeInfo| t.name == info.name || t.kind == TypeKind::Complex;
    defs.lineage(info).take_while(own_base).flat_map(|t| defs.own_elements(t)).filter(|e| e.max > 0)
}

/// `Patient  (write: no element is required)`.
fn header(defs: &Definitions, info: &TypeInfo) -> String {
    let required: Vec<String> = shown(defs, info).filter(|e| e.min > 0).map(Element::full_name).collect();
    let whose = if info.medplum { "Medplum's own; " } else { "" };
    match info.kind {
        TypeKind::Primitive => format!("{}  (one JSON value: {})", info.name, info.short),
        _ if required.is_empty() => {
            format!("{}  ({whose}write: no element is required)", info.name)
        }
        _ => format!("{}  ({whose}write: {} required)", info.name, required.join(", ")),
    }
}

/// What every resource has besides.
fn inherited(info: &TypeInfo) -> Option<String> {
    match (info.kind, info.base) {
        (TypeKind::Resource, "DomainResource") => {
            Some("+ every resource: id, meta, language, text, contained[], extension[], modifierExtension[]".to_owned())
        }
        (TypeKind::Resource, _) => Some("+ every resource: id, meta, language".to_owned()),
        _ => None,
    }
}

/// The element at a path such as `contact.name.family`, with the path as it is written in FHIR.
fn find_element<'a>(
    defs: &'a Definitions,
    info: &'a TypeInfo,
    path: &str,
) -> Result<(String, &'a Element), SchemaError> {
    let mut owner = info;
    let mut names = Vec::new();
    let mut found = None;
    let path = path.strip_prefix(info.name).and_then(|p| p.strip_prefix('.')).unwrap_or(path);
    for step in path.split('.') {
        let name = step.trim_end_matches("[x]").trim_end_matches("[]");
        let by_choice = defs.elements(owner).find(|e| e.choice && e.name == name);
        let Some(element) = by_choice.or_else(|| defs.element(owner, name).map(|(e, _)| e)) else {
            let nearest = defs.nearest_elements(owner, name);
            return Err(SchemaError::UnknownElement {
                type_name: owner.name.to_owned(),
                given: step.to_owned(),
                nearest,
            });
        };
        names.push(element.full_name());
        found = Some(element);
        if let Some(next) = defs.types_of(element).first().and_then(|t| defs.resolve(t)) {
            owner = next;
        }
    }
    found.map(|element| (names.join("."), element)).ok_or_else(|| SchemaError::UnknownElement {
        type_name: info.name.to_owned(),
        given: path.to_owned(),
        nearest: Vec::new(),
    })
}
