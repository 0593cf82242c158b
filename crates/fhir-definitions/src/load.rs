//! Reads the embedded text into tables. The text is generated and checked by tests; a line that is not understood is
//! left out rather than letting a whole server fall.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::Definitions;
use crate::model::{
    Binding, CodeList, CompartmentEntry, Constraint, Element, ElementType, KindRules, Operation, ParameterKind,
    SearchParameter, Span, Strength, TypeInfo, TypeKind, ValueSet,
};

static DEFLATED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/definitions.deflate"));
static LENGTH: &str = include_str!(concat!(env!("OUT_DIR"), "/definitions.len"));

/// What an index that leads nowhere looks like.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The text of the definitions, inflated. It is kept for as long as the program runs.
pub(crate) fn text() -> &'static str {
    let mut text = String::with_capacity(LENGTH.parse().unwrap_or(0));
    if DeflateDecoder::new(DEFLATED).read_to_string(&mut text).is_err() {
        text.clear();
    }
    text.leak()
}

/// The tables of a text.
pub(crate) fn load(text: &'static str) -> Definitions {
    let mut loader = Loader::with_room_for(text.len());
    for line in text.lines() {
        let mut fields = Fields { rest: line };
        match next(&mut fields) {
            "T" => loader.type_line(&mut fields),
            "E" => loader.element_line(&mut fields),
            "C" => loader.constraint_line(&mut fields),
            "P" => loader.parameter_line(&mut fields),
            "V" => loader.value_set_line(&mut fields),
            "S" => loader.system_line(fields.rest),
            "M" => loader.rules_line(&mut fields),
            "D" => loader.tables.version = next(&mut fields),
            "R" => loader.tables.result_parameters.extend(fields.rest.split('\t')),
            "O" => loader.operation_line(&mut fields),
            "K" => loader.compartment_line(&mut fields),
            _ => {}
        }
    }
    loader.finish()
}

/// The fields of a line; one that is missing reads as empty. Most are so short that a search made for long texts
/// costs more than looking at each byte.
struct Fields {
    rest: &'static str,
}

fn next(fields: &mut Fields) -> &'static str {
    let at = fields.rest.bytes().position(|b| b == b'\t').unwrap_or(fields.rest.len());
    let (field, rest) = fields.rest.split_at_checked(at).unwrap_or_default();
    fields.rest = rest.strip_prefix('\t').unwrap_or(rest);
    field
}

/// Rows are few enough for 32 bits: the whole text is a megabyte.
#[allow(clippy::cast_possible_truncation)]
fn len<T>(table: &[T]) -> u32 {
    table.len() as u32
}

fn from<T>(table: &[T]) -> Span {
    Span { start: len(table), end: len(table) }
}

#[derive(Default)]
struct Loader {
    tables: Definitions,
    value_sets: HashMap<&'static str, u32>,
}

impl Loader {
    /// Tables that need not grow: about as many rows as the text has room for.
    fn with_room_for(bytes: usize) -> Self {
        let mut loader = Self::default();
        let tables = &mut loader.tables;
        tables.types.reserve(bytes / 1_100);
        tables.by_name.reserve(bytes / 1_100);
        tables.elements.reserve(bytes / 160);
        tables.element_types.reserve(bytes / 120);
        tables.targets.reserve(bytes / 250);
        tables.params.reserve(bytes / 450);
        tables.code_lists.reserve(bytes / 2_000);
        tables.value_sets.reserve(bytes / 2_000);
        loader
    }

    fn type_line(&mut self, fields: &mut Fields) {
        let name = next(fields);
        let kind = match next(fields) {
            "resource" => TypeKind::Resource,
            "abstract" => TypeKind::Abstract,
            "complex" => TypeKind::Complex,
            "primitive" => TypeKind::Primitive,
            "nested" => TypeKind::Nested,
            _ => TypeKind::Logical,
        };
        let base = next(fields);
        let flags = next(fields);
        let tables = &mut self.tables;
        tables.by_name.insert(name, len(&tables.types));
        tables.types.push(TypeInfo {
            name,
            kind,
            base,
            medplum: flags.contains("medplum"),
            searchable: kind == TypeKind::Resource && !flags.contains("nosearch"),
            short: next(fields),
            base_index: NOWHERE,
            elements: from(&tables.elements),
            constraints: from(&tables.constraints),
            params: from(&tables.params),
        });
    }

    fn element_line(&mut self, fields: &mut Fields) {
        let full = next(fields);
        let name = full.strip_suffix("[x]").unwrap_or(full);
        let (min, max) = next(fields).split_once("..").unwrap_or(("0", "1"));
        let max = if max == "*" { u32::MAX } else { max.parse().unwrap_or(1) };
        let types = self.types(next(fields));
        let binding = binding(next(fields));
        let medplum = next(fields) == "medplum";
        let tables = &mut self.tables;
        tables.elements.push(Element {
            name,
            choice: name.len() != full.len(),
            min: min.parse().unwrap_or(0),
            max,
            array: max > 1,
            medplum,
            binding,
            short: next(fields),
            types,
            constraints: from(&tables.constraints),
        });
        let end = len(&tables.elements);
        if let Some(owner) = tables.types.last_mut() {
            owner.elements.end = end;
        }
    }

    /// The types in a field such as `string,Reference(Patient|Group)`.
    fn types(&mut self, field: &'static str) -> Span {
        let start = len(&self.tables.element_types);
        for part in field.split(',').filter(|p| !p.is_empty()) {
            let (name, targets) = part.strip_suffix(')').and_then(|p| p.split_once('(')).unwrap_or((part, ""));
            let first = len(&self.tables.targets);
            self.tables.targets.extend(targets.split('|').filter(|t| !t.is_empty()));
            let targets = Span { start: first, end: len(&self.tables.targets) };
            self.tables.element_types.push(ElementType { name, index: NOWHERE, targets });
        }
        Span { start, end: len(&self.tables.element_types) }
    }

    /// A constraint belongs to the line before it: an element, or the type itself.
    fn constraint_line(&mut self, fields: &mut Fields) {
        let tables = &mut self.tables;
        let constraint = Constraint {
            key: next(fields),
            expression: next(fields),
            human: next(fields),
            index: len(&tables.constraints),
        };
        tables.constraints.push(constraint);
        let end = len(&tables.constraints);
        let Some(owner) = tables.types.last_mut() else {
            return;
        };
        if owner.elements.start == owner.elements.end {
            owner.constraints.end = end;
        } else if let Some(element) = tables.elements.last_mut() {
            element.constraints.end = end;
        }
    }

    fn parameter_line(&mut self, fields: &mut Fields) {
        let tables = &mut self.tables;
        tables.params.push(SearchParameter {
            code: next(fields),
            kind: ParameterKind::parse(next(fields)),
            expression: next(fields),
            element_types: next(fields),
            targets: next(fields),
            binding: binding(next(fields)),
            components: next(fields),
            description: next(fields),
        });
        let end = len(&tables.params);
        if let Some(owner) = tables.types.last_mut() {
            owner.params.end = end;
        }
    }

    fn value_set_line(&mut self, fields: &mut Fields) {
        let url = next(fields);
        let tables = &mut self.tables;
        self.value_sets.insert(url, len(&tables.value_sets));
        tables.value_sets.push(ValueSet {
            url,
            closed: next(fields) == "closed",
            title: next(fields),
            systems: from(&tables.code_lists),
        });
    }

    fn system_line(&mut self, rest: &'static str) {
        let (system, codes) = rest.split_once('\t').unwrap_or((rest, ""));
        let tables = &mut self.tables;
        tables.code_lists.push(CodeList { system, codes });
        let end = len(&tables.code_lists);
        if let Some(owner) = tables.value_sets.last_mut() {
            owner.systems.end = end;
        }
    }

    fn rules_line(&mut self, fields: &mut Fields) {
        self.tables.rules.push(KindRules {
            kind: ParameterKind::parse(next(fields)),
            prefixes: next(fields),
            modifiers: next(fields),
            unadvertised: next(fields),
        });
    }

    fn operation_line(&mut self, fields: &mut Fields) {
        self.tables.operations.push(Operation {
            code: next(fields),
            types: next(fields),
            levels: next(fields),
            methods: next(fields),
            title: next(fields),
        });
    }

    fn compartment_line(&mut self, fields: &mut Fields) {
        self.tables.compartments.push(CompartmentEntry {
            compartment: next(fields),
            resource_type: next(fields),
            params: next(fields),
        });
    }

    /// Turns the names that lines use for each other into indexes.
    fn finish(self) -> Definitions {
        let Self { mut tables, value_sets } = self;
        let find = |name: &str| tables.by_name.get(name).copied().unwrap_or(NOWHERE);
        for info in &mut tables.types {
            info.base_index = find(info.base);
        }
        for of in &mut tables.element_types {
            of.index = find(of.name);
        }
        let of_elements = tables.elements.iter_mut().filter_map(|e| e.binding.as_mut());
        let of_params = tables.params.iter_mut().filter_map(|p| p.binding.as_mut());
        for binding in of_elements.chain(of_params) {
            binding.index = value_sets.get(binding.value_set).copied().unwrap_or(NOWHERE);
        }
        tables
    }
}

fn binding(field: &'static str) -> Option<Binding> {
    let (strength, value_set) = field.split_once(' ')?;
    let strength = match strength {
        "required" => Strength::Required,
        "extensible" => Strength::Extensible,
        "preferred" => Strength::Preferred,
        _ => Strength::Example,
    };
    Some(Binding { strength, value_set, index: NOWHERE })
}
