//! What a search looks into: for each search parameter that was ever asked for, its values and where they are.
//!
//! An index is built when a search first needs it, over all resources of the type, and from then on kept true by every
//! write. A parameter that nobody searches by costs nothing.

use std::collections::BTreeMap;

use fhir_definitions::{Definitions, ParameterKind, SearchParameter};
use serde_json::Value;

use crate::extract::Extractor;
use crate::search::date;
use crate::slots::{Slot, SlotSet};
use crate::sparse;

/// The system under which the texts and displays of codes are kept: they are found like codes, as on the real server.
pub(crate) const TEXT_SYSTEM: &str = "\u{4}";

type Postings<K> = BTreeMap<K, Vec<Slot>>;

/// One search parameter's values.
#[derive(Debug)]
pub(crate) struct Index {
    extractor: Extractor,
    /// The places that have a value at all.
    pub(crate) present: SlotSet,
    pub(crate) values: Values,
}

/// The values by kind of parameter.
#[derive(Debug)]
pub(crate) enum Values {
    /// Codes by value and system; texts in lower case.
    Token {
        codes: Postings<(Box<str>, Box<str>)>,
        texts: Postings<Box<str>>,
    },
    /// Whole texts as they are and in lower case, and the words of names and addresses.
    Text {
        exact: Postings<Box<str>>,
        lower: Postings<Box<str>>,
        words: Postings<Box<str>>,
    },
    /// References and URIs as they stand.
    Exact(Postings<Box<str>>),
    /// Milliseconds since 1970.
    Date(Postings<i64>),
    Number(Postings<Sortable>),
}

/// A number that sorts: the bits of a double, so turned that their order is the numbers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sortable(u64);

impl From<f64> for Sortable {
    fn from(number: f64) -> Self {
        let bits = (number + 0.0).to_bits();
        Self(if bits >> 63 == 0 { bits | 1 << 63 } else { !bits })
    }
}

fn put<K: Ord>(postings: &mut Postings<K>, key: K, slot: Slot) {
    let slots = postings.entry(key).or_default();
    if let Err(at) = slots.binary_search(&slot) {
        slots.insert(at, slot);
    }
}

fn take<K: Ord>(postings: &mut Postings<K>, key: &K, slot: Slot) {
    let Some(slots) = postings.get_mut(key) else { return };
    if let Ok(at) = slots.binary_search(&slot) {
        slots.remove(at);
    }
    if slots.is_empty() {
        postings.remove(key);
    }
}

impl Index {
    /// The index of a parameter, empty.
    pub(crate) fn new(parameter: &SearchParameter) -> Self {
        Self::of(Extractor::new(parameter.expression), parameter.kind)
    }

    /// The index of the identifiers that a reference parameter's references carry.
    pub(crate) fn of_identifiers(parameter: &SearchParameter) -> Self {
        Self::of(Extractor::identifiers(parameter.expression), ParameterKind::Token)
    }

    fn of(extractor: Extractor, kind: ParameterKind) -> Self {
        let values = match kind {
            ParameterKind::Token => Values::Token { codes: BTreeMap::new(), texts: BTreeMap::new() },
            ParameterKind::Date => Values::Date(BTreeMap::new()),
            ParameterKind::Number | ParameterKind::Quantity => Values::Number(BTreeMap::new()),
            ParameterKind::Reference | ParameterKind::Uri => Values::Exact(BTreeMap::new()),
            _ => Values::Text { exact: BTreeMap::new(), lower: BTreeMap::new(), words: BTreeMap::new() },
        };
        Self { extractor, present: SlotSet::default(), values }
    }

    /// Takes a resource in that is given as text, reading no more of it than it must.
    pub(crate) fn insert_text(&mut self, slot: Slot, text: &[u8]) {
        let resource = match self.extractor.roots() {
            Some(roots) => sparse::parse(text, &roots),
            None => serde_json::from_slice(text).ok(),
        };
        if let Some(resource) = resource {
            self.insert(slot, &resource);
        }
    }

    /// Takes a resource in.
    pub(crate) fn insert(&mut self, slot: Slot, resource: &Value) {
        let mut any = false;
        for value in self.extractor.values(resource) {
            any = true;
            self.values.each_key(&value, &mut |values, key| values.put(key, slot));
        }
        if any {
            self.present.insert(slot);
        }
    }

    /// Takes a resource out, as it was when it was taken in.
    pub(crate) fn remove(&mut self, slot: Slot, resource: &Value) {
        for value in self.extractor.values(resource) {
            self.values.each_key(&value, &mut |values, key| values.take(&key, slot));
        }
        self.present.remove(slot);
    }

    /// The place that each resource has in the order of this parameter, by slot; `u32::MAX` where it has no value.
    pub(crate) fn ranks(&self, slots: usize, descending: bool) -> Vec<u32> {
        let mut ranks = vec![u32::MAX; slots];
        match &self.values {
            Values::Token { codes, .. } => rank(&mut ranks, codes, descending),
            Values::Text { lower, .. } => rank(&mut ranks, lower, descending),
            Values::Exact(exact) => rank(&mut ranks, exact, descending),
            Values::Date(dates) => rank(&mut ranks, dates, descending),
            Values::Number(numbers) => rank(&mut ranks, numbers, descending),
        }
        ranks
    }
}

fn rank<K: Ord>(ranks: &mut [u32], postings: &Postings<K>, descending: bool) {
    let mut all: Box<dyn Iterator<Item = &Vec<Slot>>> = Box::new(postings.values());
    if descending {
        all = Box::new(postings.values().rev());
    }
    for (at, slots) in (0u32..).zip(all) {
        for slot in slots {
            if let Some(rank) = ranks.get_mut(*slot as usize)
                && *rank == u32::MAX
            {
                *rank = at;
            }
        }
    }
}

/// One thing to find a resource by.
enum Key {
    Code(Box<str>, Box<str>),
    Text(Box<str>),
    Whole(Box<str>),
    Word(Box<str>),
    Date(i64),
    Number(Sortable),
}

impl Values {
    fn put(&mut self, key: Key, slot: Slot) {
        match (self, key) {
            (Self::Token { codes, .. }, Key::Code(value, system)) => put(codes, (value, system), slot),
            (Self::Token { texts, .. }, Key::Text(text)) => put(texts, text, slot),
            (Self::Text { exact, lower, .. }, Key::Whole(text)) => {
                put(lower, text.to_lowercase().into(), slot);
                put(exact, text, slot);
            }
            (Self::Text { words, .. }, Key::Word(word)) => put(words, word, slot),
            (Self::Exact(exact), Key::Whole(text)) => put(exact, text, slot),
            (Self::Date(dates), Key::Date(date)) => put(dates, date, slot),
            (Self::Number(numbers), Key::Number(number)) => put(numbers, number, slot),
            _ => {}
        }
    }

    fn take(&mut self, key: &Key, slot: Slot) {
        match (self, key) {
            (Self::Token { codes, .. }, Key::Code(value, system)) => {
                take(codes, &(value.clone(), system.clone()), slot)
            }
            (Self::Token { texts, .. }, Key::Text(text)) => take(texts, text, slot),
            (Self::Text { exact, lower, .. }, Key::Whole(text)) => {
                take(lower, &text.to_lowercase().into(), slot);
                take(exact, text, slot);
            }
            (Self::Text { words, .. }, Key::Word(word)) => take(words, word, slot),
            (Self::Exact(exact), Key::Whole(text)) => take(exact, text, slot),
            (Self::Date(dates), Key::Date(date)) => take(dates, date, slot),
            (Self::Number(numbers), Key::Number(number)) => take(numbers, number, slot),
            _ => {}
        }
    }

    /// Everything that a value can be found by.
    fn each_key(&mut self, value: &Value, use_key: &mut impl FnMut(&mut Self, Key)) {
        match self {
            Self::Token { .. } => token_keys(value, &mut |key| use_key(self, key)),
            Self::Text { .. } => text_keys(value, &mut |key| use_key(self, key)),
            Self::Exact(_) => {
                let text = value.as_str().or_else(|| value.get("reference")?.as_str());
                if let Some(text) = text {
                    use_key(self, Key::Whole(text.into()));
                }
            }
            Self::Date(_) => {
                if let Some(date) = date_of(value) {
                    use_key(self, Key::Date(date));
                }
            }
            Self::Number(_) => {
                let number = value.as_f64().or_else(|| value.get("value")?.as_f64());
                if let Some(number) = number {
                    use_key(self, Key::Number(number.into()));
                }
            }
        }
    }
}

/// A date, the start of a period, or its end where it has no start.
fn date_of(value: &Value) -> Option<i64> {
    let text = value.as_str().or_else(|| value.get("start")?.as_str());
    let text = text.or_else(|| value.get("end")?.as_str());
    date::millis(text?)
}

/// A code in its system, if it is one.
fn code_key(value: &str, system: Option<&str>) -> Option<Key> {
    let (value, system) = (value.trim(), system.unwrap_or_default().trim());
    (!value.is_empty()).then(|| Key::Code(value.into(), system.into()))
}

fn token_keys(value: &Value, use_key: &mut impl FnMut(Key)) {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let code = match value {
        Value::String(value) => code_key(value, None),
        Value::Bool(value) => code_key(&value.to_string(), None),
        Value::Number(value) => code_key(&value.to_string(), None),
        _ => text("code").or(text("value")).and_then(|code| code_key(code, text("system"))),
    };
    code.into_iter().for_each(&mut *use_key);
    for words in [text("text"), text("display")].into_iter().flatten() {
        code_key(words, Some(TEXT_SYSTEM)).into_iter().for_each(&mut *use_key);
        use_key(Key::Text(words.to_lowercase().into()));
    }
    for coding in value.get("coding").and_then(Value::as_array).into_iter().flatten() {
        token_keys(coding, use_key);
    }
}

/// The parts of a name or an address that a search for it finds.
const NAME_PARTS: [&str; 9] = ["text", "given", "family", "line", "city", "district", "state", "postalCode", "country"];

fn text_keys(value: &Value, use_key: &mut impl FnMut(Key)) {
    match value {
        Value::String(text) => {
            use_key(Key::Whole(text.as_str().into()));
            words(text, &mut |word| use_key(Key::Word(word.into())));
        }
        Value::Object(map) => {
            let mut parts = Vec::new();
            for part in NAME_PARTS {
                match map.get(part) {
                    Some(Value::String(text)) => parts.push(text.as_str()),
                    Some(Value::Array(list)) => parts.extend(list.iter().filter_map(Value::as_str)),
                    _ => {}
                }
            }
            let whole = parts.join(" ");
            words(&whole, &mut |word| use_key(Key::Word(word.into())));
            use_key(Key::Whole(whole.into()));
        }
        _ => {}
    }
}

/// The words of a text in lower case.
pub(crate) fn words(text: &str, use_word: &mut impl FnMut(String)) {
    for word in text.split(|letter: char| !letter.is_alphanumeric()) {
        if !word.is_empty() {
            use_word(word.to_lowercase());
        }
    }
}

/// The patients whose compartment a resource is in, as references.
pub(crate) fn patients(definitions: &Definitions, resource_type: &str, id: &str, resource: &Value) -> Vec<String> {
    if resource_type == "Patient" {
        return vec![format!("Patient/{id}")];
    }
    let mut found = Vec::new();
    let Some(info) = definitions.resource_type(resource_type) else { return found };
    let Some(entry) = definitions.compartment_entry("Patient", resource_type) else { return found };
    for parameter in entry.parameters().filter_map(|code| definitions.search_parameter(info, code)) {
        for value in Extractor::new(parameter.expression).values(resource) {
            let reference = value.get("reference").and_then(Value::as_str).unwrap_or_default();
            if reference.starts_with("Patient/") && !found.iter().any(|known| known == reference) {
                found.push(reference.to_owned());
            }
        }
    }
    found
}
