//! The lists of a GraphQL answer that end where their page does: nothing in the answer says whether more match.

use std::collections::HashSet;

use apollo_compiler::ast::{Definition, Field, Selection};
use serde_json::{Map, Value};

use crate::graphql::GraphQl;

/// How many a list holds that is given no `_count`, and the most that it holds with one.
const DEFAULT: usize = 20;
const MOST: usize = 1_000;

/// Fragments that spread fragments can make a small document endless.
const MOST_STEPS: usize = 1_000_000;
const MAX_DEPTH: usize = 64;

/// Lists of an answer, at one place of the document, that are as long as their page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullList {
    /// `data.PatientList`, `data.PatientList[].ObservationList`, `data.a.edges`: the keys of the answer.
    pub path: String,
    /// How many each of them holds.
    pub holds: usize,
    /// Whether that is their own `_count`, and not Medplum's default.
    pub counted: bool,
    /// How many match in truth, where the answer says it (a connection's `count`) and it is one list alone.
    pub of: Option<u64>,
    /// How many such lists there are.
    pub lists: usize,
}

impl GraphQl {
    /// The searches whose list in this answer is as long as its page, each place once. A list of one that is sorted is
    /// left out: the first or the last is what was asked for.
    pub fn full_lists(&self, answer: &Value) -> Vec<FullList> {
        let mut walk = Walk { of: self, found: Vec::new(), seen: HashSet::new(), steps: 0 };
        let data = answer.get("data").unwrap_or(&Value::Null);
        for definition in &self.document.definitions {
            if let Definition::OperationDefinition(operation) = definition {
                walk.value(&operation.selection_set, data, "data", None, 0);
            }
        }
        walk.found
    }

    /// The page that a search asks for.
    fn page(&self, field: &Field) -> Page {
        let value = |name: &str| {
            let argument = field.arguments.iter().find(|argument| argument.name == name)?;
            self.value(&argument.value).filter(|value| !value.is_null())
        };
        let count = value("_count").and_then(|count| count.as_i64());
        Page {
            size: count.map_or(DEFAULT, |count| usize::try_from(count).unwrap_or_default().min(MOST)),
            offset: value("_offset").and_then(|offset| offset.as_u64()).unwrap_or_default(),
            counted: count.is_some(),
            sorted: value("_sort").is_some(),
        }
    }

    /// The key in the answer of a field that is chosen here, or in a fragment that is spread here for the first time.
    fn key_of<'a>(&'a self, selections: &'a [Selection], name: &str, spread: &mut HashSet<&'a str>) -> Option<&'a str> {
        selections.iter().find_map(|selection| match selection {
            Selection::Field(field) => (field.name == name).then(|| key(field)),
            Selection::InlineFragment(fragment) => self.key_of(&fragment.selection_set, name, spread),
            Selection::FragmentSpread(fragment) => {
                let fragment = fragment.fragment_name.as_str();
                let (_, selections) = self.fragment(fragment).filter(|_| spread.insert(fragment))?;
                self.key_of(selections, name, spread)
            }
        })
    }
}

fn key(field: &Field) -> &str {
    field.alias.as_ref().unwrap_or(&field.name).as_str()
}

#[derive(Debug, Clone, Copy)]
struct Page {
    size: usize,
    offset: u64,
    counted: bool,
    sorted: bool,
}

struct Walk<'a> {
    of: &'a GraphQl,
    found: Vec<FullList>,
    /// The lists that were looked at, by where they are: two fields of one key are one list.
    seen: HashSet<*const Value>,
    steps: usize,
}

impl<'a> Walk<'a> {
    /// `page` is that of the connection which this value is.
    fn value(&mut self, selections: &'a [Selection], value: &Value, path: &str, page: Option<Page>, depth: usize) {
        match value {
            Value::Array(values) => {
                let path = format!("{path}[]");
                values.iter().for_each(|value| self.value(selections, value, &path, None, depth));
            }
            Value::Object(object) => {
                let total =
                    page.and_then(|_| object.get(self.of.key_of(selections, "count", &mut HashSet::new())?)?.as_u64());
                self.object(selections, object, path, page.map(|page| (page, total)), depth);
            }
            _ => {}
        }
    }

    fn object(
        &mut self,
        selections: &'a [Selection],
        object: &Map<String, Value>,
        path: &str,
        connection: Option<(Page, Option<u64>)>,
        depth: usize,
    ) {
        self.steps = self.steps.saturating_add(1);
        if depth > MAX_DEPTH || self.steps > MOST_STEPS {
            return;
        }
        let deeper = depth.saturating_add(1);
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let Some(value) = object.get(key(field)) else { continue };
                    let path = format!("{path}.{}", key(field));
                    let of_search = |end: &str| {
                        let capital = field.name.starts_with(|first: char| first.is_ascii_uppercase());
                        (capital && field.name.ends_with(end)).then(|| self.of.page(field))
                    };
                    let list = of_search("List").map(|page| (page, None));
                    let edges = connection.filter(|_| field.name == "edges");
                    let page = of_search("Connection");
                    if let Some((page, total)) = list.or(edges) {
                        self.list(value, &path, page, total);
                    }
                    self.value(&field.selection_set, value, &path, page, deeper);
                }
                Selection::InlineFragment(fragment) => {
                    self.object(&fragment.selection_set, object, path, connection, deeper);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some((_, selections)) = self.of.fragment(spread.fragment_name.as_str()) {
                        self.object(selections, object, path, connection, deeper);
                    }
                }
            }
        }
    }

    fn list(&mut self, value: &Value, path: &str, page: Page, total: Option<u64>) {
        let Some(holds) = value.as_array().map(Vec::len) else { return };
        let before = page.offset.saturating_add(u64::try_from(holds).unwrap_or(u64::MAX));
        let full = total.map_or(holds >= page.size, |total| before < total);
        let only_one = page.counted && page.size == 1 && page.sorted;
        if !full || only_one || !self.seen.insert(std::ptr::from_ref(value)) {
            return;
        }
        match self.found.iter_mut().find(|found| found.path == path) {
            Some(found) => {
                found.lists = found.lists.saturating_add(1);
                found.of = None;
            }
            None => {
                let counted = page.counted;
                self.found.push(FullList { path: path.to_owned(), holds, counted, of: total, lists: 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn full(query: &str, variables: Value, data: Value) -> Vec<String> {
        let document = GraphQl::parse(query, variables.as_object().cloned(), None).unwrap();
        let text = |list: &FullList| {
            let why = if list.counted { "counted" } else { "default" };
            let of = list.of.map(|of| format!(" of {of}")).unwrap_or_default();
            format!("{} {}{of} {why} ×{}", list.path, list.holds, list.lists)
        };
        document.full_lists(&json!({ "data": data })).iter().map(text).collect()
    }

    fn some(count: usize) -> Value {
        (0..count).map(|n| json!({"id": n.to_string()})).collect()
    }

    #[test]
    fn a_list_as_long_as_its_page() {
        for (query, variables, data, expected) in [
            ("{ PatientList { id } }", json!({}), json!({"PatientList": some(20)}), "data.PatientList 20 default ×1"),
            ("{ a: PatientList { id } }", json!({}), json!({"a": some(20)}), "data.a 20 default ×1"),
            (
                "{ PatientList(_count: 5) { id } }",
                json!({}),
                json!({"PatientList": some(5)}),
                "data.PatientList 5 counted ×1",
            ),
            (
                "query($n: Int) { PatientList(_count: $n) { id } }",
                json!({"n": 3}),
                json!({"PatientList": some(3)}),
                "data.PatientList 3 counted ×1",
            ),
            (
                "query($n: Int = 4) { PatientList(_count: $n) { id } }",
                json!({}),
                json!({"PatientList": some(4)}),
                "data.PatientList 4 counted ×1",
            ),
            (
                "{ PatientList(_count: 5000) { id } }",
                json!({}),
                json!({"PatientList": some(1000)}),
                "data.PatientList 1000 counted ×1",
            ),
            // Medplum answers a negative count with nothing.
            (
                "{ PatientList(_count: -1) { id } }",
                json!({}),
                json!({"PatientList": []}),
                "data.PatientList 0 counted ×1",
            ),
            (
                "{ ...Q } fragment Q on Query { ...R } fragment R on Query { PatientList { id } }",
                json!({}),
                json!({"PatientList": some(20)}),
                "data.PatientList 20 default ×1",
            ),
            // Two fields of one key are one list.
            (
                "{ PatientList { id } PatientList { birthDate } }",
                json!({}),
                json!({"PatientList": some(20)}),
                "data.PatientList 20 default ×1",
            ),
        ] {
            assert_eq!(full(query, variables, data), [expected], "{query}");
        }
    }

    #[test]
    fn lists_in_lists_are_named_once_and_counted() {
        let found = full(
            "{ PatientList(_count: 9) { id ObservationList(_reference: patient) { id } } }",
            json!({}),
            json!({"PatientList": [
                {"ObservationList": some(20)}, {"ObservationList": some(19)}, {"ObservationList": some(20)}
            ]}),
        );
        assert_eq!(found, ["data.PatientList[].ObservationList 20 default ×2"]);
        let found = full(
            "{ EncounterList { subject { resource { ... on Patient { o: ObservationList(_reference: patient) { id } } } } } }",
            json!({}),
            json!({"EncounterList": [{"subject": {"resource": {"o": some(20)}}}]}),
        );
        assert_eq!(found, ["data.EncounterList[].subject.resource.o 20 default ×1"]);
    }

    #[test]
    fn a_connection_says_how_many_there_are() {
        let page = |count: usize, edges: usize| json!({"PatientConnection": {"count": count, "edges": some(edges)}});
        let query = "{ PatientConnection { count edges { resource { id } } } }";
        assert_eq!(full(query, json!({}), page(34, 20)), ["data.PatientConnection.edges 20 of 34 default ×1"]);
        assert_eq!(full(query, json!({}), page(20, 20)), [""; 0]);
        let second = "{ PatientConnection(_offset: 20) { n: count edges { resource { id } } } }";
        let data = |n: usize| json!({"PatientConnection": {"n": n, "edges": some(14)}});
        assert_eq!(full(second, json!({}), data(34)), [""; 0]);
        assert_eq!(full(second, json!({}), data(35)), ["data.PatientConnection.edges 14 of 35 default ×1"]);
        let uncounted = "{ c: PatientConnection { edges { resource { id } } } }";
        assert_eq!(full(uncounted, json!({}), json!({"c": {"edges": some(20)}})), ["data.c.edges 20 default ×1"]);
        let in_fragment =
            "{ PatientConnection { edges { resource { id } } ...F } } fragment F on PatientConnection { count }";
        assert_eq!(full(in_fragment, json!({}), page(20, 20)), [""; 0]);
    }

    #[test]
    fn what_is_shorter_than_its_page_is_all_there_is() {
        for (query, data) in [
            ("{ PatientList { id } }", json!({"PatientList": some(19)})),
            ("{ PatientList { id } }", json!({"PatientList": null})),
            ("{ PatientList(_count: 21) { id } }", json!({"PatientList": some(20)})),
            ("{ Patient(id: \"1\") { name { given } } }", json!({"Patient": {"name": some(20)}})),
            ("{ ObservationList(_count: 1, _sort: \"-date\") { id } }", json!({"ObservationList": some(1)})),
            ("{ PatientConnection { count } }", json!({"PatientConnection": {"count": 34}})),
        ] {
            assert_eq!(full(query, json!({}), data), [""; 0], "{query}");
        }
    }

    #[test]
    fn fragments_without_end_come_to_one() {
        let mut query = "{ PatientList { ...F0 } PatientConnection { ...F0 } }".to_owned();
        for n in 0..40 {
            query.push_str(&format!(" fragment F{n} on Patient {{ ...F{m} ...F{m} }}", m = (n + 1) % 40));
        }
        assert_eq!(full(&query, json!({}), json!({"PatientList": [{}], "PatientConnection": {}})), [""; 0]);
    }
}
