//! What the element of a column says of its values: that they are references, or codes of a list. A comparison with
//! what none of them can be holds for no row, and the answer would be that there is nothing.

use fhir_definitions::{CodeList, Definitions, Element, ElementType, Strength, ValueSet, nearest};

use super::columns::{quoted, snake};
use super::program::{Comparison, Origin, Program, Sort};
use super::question::Table;
use super::sandboxed::Closed;
use super::trouble::Trouble;

/// How many codes are named.
const MOST_CODES: usize = 12;
/// How much of a text of the statement is repeated.
const LONGEST: usize = 40;

/// What a column holds.
enum Holds {
    References(&'static [&'static str]),
    Codes(&'static ValueSet),
}

/// What a column holds, if its element says so.
fn of_column(table: &str, column: &str) -> Option<Holds> {
    let defs = Definitions::get();
    let inside = |(element, of, rest): (&'static Element, &'static ElementType, String)| {
        let own = defs.elements(defs.resolve(of)?);
        own.filter_map(|own| part(own, &rest))
            .find_map(|(inner, of, end)| held(inner, of, &end))
            .or(held(element, of, &rest))
    };
    let elements = defs.elements(defs.resource_type(table)?);
    elements.filter_map(|element| part(element, column)).find_map(inside)
}

/// An element of one type whose columns begin with its name, and what of the name of a column is behind it.
fn part(element: &'static Element, column: &str) -> Option<(&'static Element, &'static ElementType, String)> {
    let rest = column.strip_prefix(snake(element.name).as_str())?;
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix('_')? };
    match Definitions::get().types_of(element) {
        [of] if !element.choice => Some((element, of, rest.to_owned())),
        _ => None,
    }
}

fn held(element: &'static Element, of: &'static ElementType, rest: &str) -> Option<Holds> {
    let defs = Definitions::get();
    match (of.name, rest) {
        ("Reference", "") => Some(Holds::References(defs.targets(of))),
        ("code", "") | ("Coding" | "CodeableConcept", "code") => {
            let binding = element.binding.as_ref().filter(|binding| binding.strength == Strength::Required)?;
            defs.bound_set(binding).filter(|set| set.closed).map(Holds::Codes)
        }
        _ => None,
    }
}

/// A comparison of a reference with an id alone.
pub(super) fn told(program: &Program<'_>, tables: &[Table]) -> Option<String> {
    program.comparisons().find_map(|Comparison { left, right, .. }| {
        right
            .iter()
            .find_map(|right| reference_and_id(&left, right, tables).or_else(|| reference_and_id(right, &left, tables)))
    })
}

fn reference_and_id(reference: &Sort, id: &Sort, tables: &[Table]) -> Option<String> {
    let (table, column) = names(reference, tables)?;
    let Holds::References(targets) = of_column(table, column)? else { return None };
    match id {
        Sort::Column(..) => {
            let (of, _) = names(id, tables).filter(|(_, column)| *column == "id")?;
            Some(format!("{column} holds Type/<id>, which an id alone never equals: {column} = '{of}/' || {of}.id"))
        }
        Sort::Text(Origin::Literal(text)) if is_id(text) => {
            let of = targets.iter().find(|of| **of == "Patient").or(targets.first()).copied();
            let of = of.filter(|of| *of != "Resource").unwrap_or("Patient");
            Some(format!("{column} holds Type/<id>, which an id alone never equals: {column} = '{of}/{text}'"))
        }
        _ => None,
    }
}

fn is_id(text: &str) -> bool {
    let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(is_one)
}

fn names<'t>(sort: &Sort, tables: &'t [Table]) -> Option<(&'t str, &'t str)> {
    let Sort::Column(table, column) = sort else { return None };
    let layout = &tables.get(*table)?.layout;
    Some((&layout.table, layout.names.get(*column)?))
}

/// A column of codes that is compared with texts of which none is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OffTheList {
    table: String,
    column: String,
    given: Vec<String>,
}

/// The columns of codes that are compared with texts of which none is one. Whether a row has them all the same is known
/// only when the rows are there.
pub(super) fn off_the_list(program: &Program<'_>, tables: &[Table]) -> Vec<OffTheList> {
    let mut found: Vec<OffTheList> = Vec::new();
    for Comparison { left, right, .. } in program.comparisons() {
        let reversed = right.iter().map(|right| (right, &left));
        for (column, value) in right.iter().map(|right| (&left, right)).chain(reversed) {
            let (Some((table, column)), Sort::Text(Origin::Literal(text))) = (names(column, tables), value) else {
                continue;
            };
            match found.iter_mut().find(|known| known.table == table && known.column == column) {
                Some(known) => known.given.push(text.clone()),
                None => {
                    found.push(OffTheList { table: table.into(), column: column.into(), given: vec![text.clone()] })
                }
            }
        }
    }
    found.retain(|compared| compared.set().is_some_and(|set| !compared.given.iter().any(|text| has(set, text))));
    found
}

impl OffTheList {
    fn set(&self) -> Option<&'static ValueSet> {
        match of_column(&self.table, &self.column)? {
            Holds::Codes(set) => Some(set),
            Holds::References(_) => None,
        }
    }

    /// `No row of Encounter has the status 'completed': its codes are planned | …`
    pub(super) fn told(&self, closed: &Closed, tables: &[Table]) -> Result<Option<String>, Trouble> {
        let has_rows = tables.iter().any(|table| table.layout.table == self.table && table.filled.rows > 0);
        let (Some(set), Some(first), true) = (self.set(), self.given.first(), has_rows) else { return Ok(None) };
        let texts: Vec<String> = self.given.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
        let (table, column) = (quoted(&self.table), quoted(&self.column));
        let is_there = format!("EXISTS (SELECT 1 FROM {table} WHERE {column} IN ({}))", texts.join(","));
        if closed.count(&[&is_there])?.first() != Some(&0) {
            return Ok(None);
        }
        let shown: String = first.chars().take(LONGEST).collect();
        Ok(Some(format!(
            "No row of {} has the {} '{shown}': its codes are {}.",
            self.table,
            self.column,
            listed(set, first)
        )))
    }
}

fn codes(set: &ValueSet) -> impl Iterator<Item = &'static str> {
    Definitions::get().codes(set).iter().flat_map(CodeList::codes)
}

fn has(set: &ValueSet, text: &str) -> bool {
    text.is_empty() || codes(set).any(|code| code == text)
}

/// The codes; of many, the nearest first.
fn listed(set: &ValueSet, text: &str) -> String {
    let mut all: Vec<&str> = codes(set).collect();
    let many = all.len() > MOST_CODES;
    if many {
        let near = nearest(text, all.iter().copied());
        all.retain(|code| !near.contains(code));
        all.splice(0..0, near);
        all.truncate(MOST_CODES);
    }
    all.join(" | ") + if many { " | …" } else { "" }
}
