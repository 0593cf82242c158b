//! An answer, read along its document: the answer's keys are the document's own (`a: Patient(id: "…") { b: id }`).

use std::cell::OnceCell;
use std::collections::HashSet;

use apollo_compiler::ast::{Field, Selection};
use serde_json::{Map, Value};

use super::GraphQl;
use super::names::{Holds, Named, named};

/// What a document chooses at one place, that of fragments too.
#[derive(Debug, Default)]
pub(super) struct Chosen<'d> {
    pub(super) fields: Vec<Asked<'d>>,
    /// The types that the fragments are on.
    pub(super) conditions: Vec<&'d str>,
}

/// The fields of one name and one key at a place: in the answer they are one.
#[derive(Debug)]
pub(super) struct Asked<'d> {
    pub(super) name: &'d str,
    pub(super) key: &'d str,
    pub(super) fields: Vec<&'d Field>,
    /// What is chosen of its value. Looked at only where there is a value, for fragments can make a document endless.
    inner: OnceCell<Chosen<'d>>,
}

/// A field of an answer.
pub(super) struct Found<'a, 'd> {
    document: &'d GraphQl,
    pub(super) asked: &'a Asked<'d>,
    pub(super) value: &'a Value,
    /// The field in whose value, or in one of whose values, it stands.
    pub(super) inside: Option<&'a Found<'a, 'd>>,
}

impl GraphQl {
    /// Shows every field of an answer, each before those inside of it.
    pub(super) fn along<'d>(&'d self, answer: &Value, see: &mut dyn FnMut(&Found<'_, 'd>)) {
        for operation in self.operations().filter(|operation| self.runs(operation)) {
            let chosen = self.chosen(&[&operation.selection_set]);
            answer.get("data").into_iter().for_each(|data| self.within(&chosen, data, None, see));
        }
    }

    fn within<'d>(
        &'d self,
        chosen: &Chosen<'d>,
        value: &Value,
        inside: Option<&Found<'_, 'd>>,
        see: &mut dyn FnMut(&Found<'_, 'd>),
    ) {
        for object in objects(value) {
            for asked in &chosen.fields {
                let Some(value) = object.get(asked.key) else { continue };
                let found = Found { document: self, asked, value, inside };
                see(&found);
                self.within(found.chosen(), value, Some(&found), see);
            }
        }
    }

    /// What these selections of one place come to. Each fragment is taken once, however often it is spread.
    pub(super) fn chosen<'d>(&'d self, selections: &[&'d [Selection]]) -> Chosen<'d> {
        let mut chosen = Chosen::default();
        let mut spread = HashSet::new();
        let mut open: Vec<_> = selections.iter().rev().map(|selections| selections.iter()).collect();
        while let Some(selections) = open.last_mut() {
            match selections.next() {
                None => drop(open.pop()),
                Some(Selection::Field(field)) => chosen.add(field),
                Some(Selection::InlineFragment(fragment)) => {
                    chosen.conditions.extend(fragment.type_condition.as_ref().map(|name| name.as_str()));
                    open.push(fragment.selection_set.iter());
                }
                Some(Selection::FragmentSpread(fragment)) if spread.insert(fragment.fragment_name.as_str()) => {
                    if let Some(fragment) = self.fragment(&fragment.fragment_name) {
                        chosen.conditions.push(fragment.type_condition.as_str());
                        open.push(fragment.selection_set.iter());
                    }
                }
                Some(Selection::FragmentSpread(_)) => {}
            }
        }
        chosen
    }
}

impl<'d> Chosen<'d> {
    fn add(&mut self, field: &'d Field) {
        let (name, key) = (field.name.as_str(), field.alias.as_ref().unwrap_or(&field.name).as_str());
        match self.fields.iter_mut().find(|asked| asked.name == name && asked.key == key) {
            Some(asked) => asked.fields.push(field),
            None => self.fields.push(Asked { name, key, fields: vec![field], inner: OnceCell::new() }),
        }
    }

    /// The value of the field of this name in an object that was answered here.
    pub(super) fn value<'a>(&self, object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
        self.fields.iter().filter(|asked| asked.name == name).find_map(|asked| object.get(asked.key))
    }
}

impl<'a, 'd> Found<'a, 'd> {
    /// What is chosen of its value.
    pub(super) fn chosen(&self) -> &'a Chosen<'d> {
        self.asked.inner.get_or_init(|| {
            let selections: Vec<&[Selection]> = self.asked.fields.iter().map(|f| f.selection_set.as_slice()).collect();
            self.document.chosen(&selections)
        })
    }

    /// What its name says.
    pub(super) fn named(&self) -> Option<Named<'d>> {
        named(self.asked.name)
    }

    /// Whether its name says that it holds this.
    pub(super) fn holds(&self, holds: Holds) -> bool {
        self.named().is_some_and(|named| named.holds == holds)
    }

    /// Its value, or those of the array that it is.
    pub(super) fn objects(&self) -> impl Iterator<Item = &'a Map<String, Value>> {
        objects(self.value)
    }

    /// Where it is: `data.PatientList[].ObservationList`.
    pub(super) fn path(&self) -> String {
        let around = self.inside.map_or_else(|| "data".to_owned(), Self::path);
        let of_each = if self.inside.is_some_and(|found| found.value.is_array()) { "[]" } else { "" };
        format!("{around}{of_each}.{}", self.asked.key)
    }
}

fn objects(value: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    values.iter().filter_map(Value::as_object)
}
