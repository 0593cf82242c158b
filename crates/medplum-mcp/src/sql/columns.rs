//! Which columns a type has: one rule over the definitions.
//!
//! Names are those of FHIR in small letters with underscores (`birthDate` is `birth_date`). For an element `x`:
//!
//! - a primitive is `x`; a date or time also `x_utc`, the moment in UTC, to order and compare by;
//! - CodeableConcept and Coding give `x_code`, `x_system`, `x_text` (its text, else the display of its first coding);
//! - Reference gives `x` (`Patient/123`) and `x_display`;
//! - Period gives `x_start`, `x_end`, and `x_start_utc`, `x_end_utc`;
//! - Quantity and its kin give `x_value`, `x_unit`, `x_code`, and `x_comparator`, which makes a bound of the value;
//! - any other object gives its own elements behind its name, one level deep (`name_family`, `component_value_value`),
//!   and itself as `x_json`;
//! - a choice `x[x]` gives all that its types give, under the one name, and `x`, which is the value whatever its type:
//!   the number of a quantity, the text of a concept, the start of a period. Numbers are in `x_value` and texts in
//!   `x_text` too;
//! - what repeats gives these of its first value, and the whole as `x_json`;
//! - `id` comes first and `json`, the whole resource, last.
//!
//! Narrative, extensions, contained resources and base64 have no columns; they are in `json`.

use std::collections::{HashMap, HashSet};

use fhir_definitions::{Definitions, Element, ElementType, TypeInfo, TypeKind};

/// The columns of a table, and from where in a resource they are filled.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The table's name: the resource type.
    pub(crate) table: String,
    /// The columns in order. The last is `json`.
    pub(crate) names: Vec<String>,
    /// What each of them holds.
    pub(crate) kinds: Vec<Kinds>,
    pub(crate) fields: Fields,
}

/// Where the values of an object go, by JSON name.
pub(crate) type Fields = HashMap<String, Field>;

/// Where one value of an object goes. What repeats is looked at by its first.
#[derive(Debug, Default)]
pub(crate) struct Field {
    /// Columns for what is found in it.
    pub(crate) leaves: Vec<Leaf>,
    /// What its own elements are, if they have columns.
    pub(crate) inside: Fields,
    /// The column for the whole as JSON.
    pub(crate) whole: Option<usize>,
}

/// A column for what a path leads to. Of several for the same column, the first that finds something counts.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) path: &'static [&'static str],
    pub(crate) column: usize,
    pub(crate) utc: bool,
}

/// What sorts of value a column can hold: a choice may have several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) text: bool,
    pub(crate) time: bool,
    pub(crate) number: bool,
    pub(crate) flag: bool,
}

impl Kinds {
    fn add(&mut self, sort: Sort) {
        match sort {
            Sort::Text => self.text = true,
            Sort::Time => self.time = true,
            Sort::Number => self.number = true,
            Sort::Flag => self.flag = true,
        }
    }

    /// SQLite's affinity, so that a column and what it is compared with are of one sort. Numbers are REAL: whole ones
    /// would be divided without their remainder. What holds several sorts keeps each as it was recorded.
    fn affinity(self) -> &'static str {
        match (self.text || self.time, self.number, self.flag) {
            (true, false, false) => " TEXT",
            (false, true, false) => " REAL",
            (false, false, true) => " INTEGER",
            _ => "",
        }
    }
}

/// What sort of value a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Number,
    Flag,
    Time,
}

/// A part of a data type that has a column of its own.
struct Part {
    path: &'static [&'static str],
    /// What is put behind the element's name; nothing for the element's own column.
    suffix: &'static str,
    sort: Sort,
    /// Whether it stands for the whole value in the column of a choice.
    main: bool,
}

const fn part(path: &'static [&'static str], suffix: &'static str, sort: Sort, main: bool) -> Part {
    Part { path, suffix, sort, main }
}

const CONCEPT: &[Part] = &[
    part(&["coding", "code"], "code", Sort::Text, false),
    part(&["coding", "system"], "system", Sort::Text, false),
    part(&["text"], "text", Sort::Text, true),
    part(&["coding", "display"], "text", Sort::Text, true),
];
const CODING: &[Part] = &[
    part(&["code"], "code", Sort::Text, false),
    part(&["system"], "system", Sort::Text, false),
    part(&["display"], "text", Sort::Text, true),
];
const REFERENCE: &[Part] =
    &[part(&["reference"], "", Sort::Text, false), part(&["display"], "display", Sort::Text, false)];
const PERIOD: &[Part] = &[part(&["start"], "start", Sort::Time, true), part(&["end"], "end", Sort::Time, false)];
const QUANTITY: &[Part] = &[
    part(&["value"], "value", Sort::Number, true),
    part(&["unit"], "unit", Sort::Text, false),
    part(&["code"], "code", Sort::Text, false),
    part(&["comparator"], "comparator", Sort::Text, false),
];

/// What a data type gives.
enum Gives {
    Nothing,
    Itself(Sort),
    Parts(&'static [Part]),
    /// Its elements, and itself as JSON.
    Elements,
}

impl Gives {
    fn of(info: &TypeInfo) -> Self {
        match (info.name, info.kind) {
            ("Narrative" | "Extension" | "base64Binary" | "xhtml", _) => Self::Nothing,
            (_, TypeKind::Resource | TypeKind::Abstract) => Self::Nothing,
            ("CodeableConcept", _) => Self::Parts(CONCEPT),
            ("Coding", _) => Self::Parts(CODING),
            ("Reference", _) => Self::Parts(REFERENCE),
            ("Period", _) => Self::Parts(PERIOD),
            ("Quantity", _) => Self::Parts(QUANTITY),
            _ if info.base == "Quantity" => Self::Parts(QUANTITY),
            ("date" | "dateTime" | "instant", _) => Self::Itself(Sort::Time),
            ("decimal" | "integer" | "positiveInt" | "unsignedInt", _) => Self::Itself(Sort::Number),
            ("boolean", _) => Self::Itself(Sort::Flag),
            (_, TypeKind::Primitive) => Self::Itself(Sort::Text),
            _ => Self::Elements,
        }
    }
}

impl Layout {
    /// The columns of a resource type. A type that is not known has `id` and `json`.
    pub(crate) fn of(resource_type: &str) -> Self {
        let defs = Definitions::get();
        let mut columns = Columns { defs, names: Vec::new(), kinds: Vec::new(), by_name: HashMap::new() };
        columns.column("id".into(), Sort::Text);
        let mut fields = match defs.resource_type(resource_type) {
            Some(info) => columns.of_elements(info, "", 0),
            None => Fields::new(),
        };
        if fields.is_empty() {
            let id = columns.leaves("id", Sort::Text, &[]);
            fields.insert("id".into(), Field { leaves: id, ..Field::default() });
        }
        columns.column("json".into(), Sort::Text);
        Self { table: resource_type.to_owned(), names: columns.names, kinds: columns.kinds, fields }
    }

    /// The columns of the type's own elements, without those one level deep.
    pub(crate) fn own_columns(&self) -> HashSet<usize> {
        let leaves = self.fields.values().flat_map(|field| field.leaves.iter().map(|leaf| leaf.column));
        leaves.chain(self.names.len().checked_sub(1)).collect()
    }

    /// The statement that makes the table.
    pub(crate) fn create(&self) -> String {
        let columns = self.names.iter().zip(&self.kinds).map(|(name, kinds)| quoted(name) + kinds.affinity());
        let columns: Vec<String> = columns.collect();
        format!("CREATE TABLE {} ({})", quoted(&self.table), columns.join(","))
    }

    /// The statement that adds a row.
    pub(crate) fn insert(&self) -> String {
        let places = vec!["?"; self.names.len()];
        format!("INSERT INTO {} VALUES ({})", quoted(&self.table), places.join(","))
    }
}

/// A name in double quotes: `group` and `order` are words of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns while they are collected.
struct Columns {
    defs: &'static Definitions,
    names: Vec<String>,
    kinds: Vec<Kinds>,
    by_name: HashMap<String, usize>,
}

impl Columns {
    /// The column of that name: elements of a choice share theirs.
    fn column(&mut self, name: String, sort: Sort) -> usize {
        let next = self.names.len();
        let (names, kinds) = (&mut self.names, &mut self.kinds);
        let column = *self.by_name.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            kinds.push(Kinds::default());
            next
        });
        if let Some(kinds) = self.kinds.get_mut(column) {
            kinds.add(sort);
        }
        column
    }

    fn of_elements(&mut self, info: &TypeInfo, before: &str, depth: usize) -> Fields {
        let defs = self.defs;
        let mut fields = Fields::new();
        for element in defs.elements(info) {
            if depth > 0 && element.name == "id" || element.max == 0 {
                continue;
            }
            let name = joined(before, &snake(element.name));
            for (of, json_name) in defs.types_of(element).iter().zip(defs.json_names(element)) {
                if let Some(field) = self.of_value(&name, element, of, depth) {
                    fields.entry(json_name).or_insert(field);
                }
            }
        }
        fields
    }

    fn of_value(&mut self, name: &str, element: &Element, of: &ElementType, depth: usize) -> Option<Field> {
        let info = self.defs.resolve(of)?;
        let mut field = Field::default();
        let mut is_object = false;
        match Gives::of(info) {
            Gives::Nothing => return None,
            Gives::Itself(sort) => {
                field.leaves = self.leaves(name, sort, &[]);
                if element.choice {
                    field.leaves.extend(self.by_sort(name, sort));
                }
            }
            Gives::Parts(parts) => field.leaves = self.parts(name, parts, element.choice),
            Gives::Elements => {
                is_object = true;
                if depth == 0 {
                    field.inside = self.of_elements(info, name, 1);
                }
            }
        }
        if is_object || element.array {
            field.whole = Some(self.column(joined(name, "json"), Sort::Text));
        }
        Some(field)
    }

    fn parts(&mut self, name: &str, parts: &'static [Part], choice: bool) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for part in parts.iter().filter(|part| choice && part.main) {
            leaves.extend(self.leaves(name, part.sort, part.path));
        }
        for part in parts {
            leaves.extend(self.leaves(&joined(name, part.suffix), part.sort, part.path));
        }
        leaves
    }

    fn leaves(&mut self, name: &str, sort: Sort, path: &'static [&'static str]) -> Vec<Leaf> {
        let mut leaves = vec![Leaf { path, column: self.column(name.to_owned(), sort), utc: false }];
        if sort == Sort::Time {
            leaves.push(Leaf { path, column: self.column(joined(name, "utc"), Sort::Time), utc: true });
        }
        leaves
    }

    /// In a choice, numbers and texts are also where those of quantities and concepts are.
    fn by_sort(&mut self, name: &str, sort: Sort) -> Option<Leaf> {
        let suffix = match sort {
            Sort::Number => "value",
            Sort::Text => "text",
            Sort::Flag | Sort::Time => return None,
        };
        Some(Leaf { path: &[], column: self.column(joined(name, suffix), sort), utc: false })
    }
}

fn joined(before: &str, name: &str) -> String {
    match (before, name) {
        ("", name) => name.to_owned(),
        (before, "") => before.to_owned(),
        (before, name) => format!("{before}_{name}"),
    }
}

/// A name in small letters with underscores.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len().saturating_add(4));
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_small {
            out.push('_');
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_some_types() {
        for resource_type in ["Observation", "Patient", "MedicationRequest", "Encounter", "Task", "Group"] {
            insta::assert_snapshot!(resource_type, Layout::of(resource_type).names.join("\n"));
        }
        assert_eq!(Layout::of("Nothing").names, ["id", "json"]);
    }

    #[test]
    fn every_type_has_columns_that_sqlite_takes() {
        for info in Definitions::get().resource_types() {
            let layout = Layout::of(info.name);
            let names: HashSet<&String> = layout.names.iter().collect();
            assert_eq!(names.len(), layout.names.len(), "{}", info.name);
            assert!(layout.names.len() < 1_000, "{}: {}", info.name, layout.names.len());
            assert_eq!(layout.names.first().map(String::as_str), Some("id"));
            assert_eq!(layout.names.last().map(String::as_str), Some("json"));
        }
    }

    /// Two elements that lead to the same column would hide each other; the types of one choice share theirs.
    #[test]
    fn no_two_elements_share_a_column() {
        for info in Definitions::get().resource_types() {
            let layout = Layout::of(info.name);
            let mut owner: HashMap<usize, String> = HashMap::new();
            let choices: Vec<&str> = Definitions::get().elements(info).filter(|e| e.choice).map(|e| e.name).collect();
            for (key, field) in &layout.fields {
                let element = choices.iter().find(|c| key.starts_with(**c)).map_or(key.as_str(), |c| c);
                for column in field.leaves.iter().map(|l| l.column).chain(field.whole) {
                    let first = owner.entry(column).or_insert_with(|| element.to_owned());
                    assert_eq!(first, element, "{}: {:?}", info.name, layout.names.get(column));
                }
            }
        }
    }
}
