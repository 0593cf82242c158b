//! The lists of a GraphQL answer that end where their page does: nothing in the answer says whether more match.

use apollo_compiler::ast::Field;
use serde_json::Value;

use super::GraphQl;
use super::answered::Found;
use super::names::Holds;

/// How many a list holds that is given no `_count`, and the most that it holds with one.
const DEFAULT: usize = 20;
const MOST: usize = 1_000;

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
        let mut lists: Vec<FullList> = Vec::new();
        self.along(answer, &mut |found| {
            let Some(list) = self.full(found) else { return };
            match lists.iter_mut().find(|known| known.path == list.path) {
                Some(known) => {
                    known.lists = known.lists.saturating_add(1);
                    known.of = None;
                }
                None => lists.push(list),
            }
        });
        lists
    }

    /// The list that this is, if it is as long as its page.
    fn full(&self, found: &Found<'_, '_>) -> Option<FullList> {
        let (search, total) = searched(found)?;
        let page = self.page(search.asked.fields.first()?);
        let holds = found.value.as_array()?.len();
        let seen = page.offset.saturating_add(u64::try_from(holds).unwrap_or(u64::MAX));
        let full = total.map_or(holds >= page.size, |total| seen < total);
        let only_one = page.counted && page.size == 1 && page.sorted;
        let list = || FullList { path: found.path(), holds, counted: page.counted, of: total, lists: 1 };
        (full && !only_one).then(list)
    }

    /// The page that a search asks for.
    fn page(&self, search: &Field) -> Page {
        let value = |name: &str| {
            let argument = search.arguments.iter().find(|argument| argument.name == name)?;
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
}

#[derive(Debug, Clone, Copy)]
struct Page {
    size: usize,
    offset: u64,
    counted: bool,
    sorted: bool,
}

/// The search whose matches a field holds, and how many there are in all, where a connection says it.
fn searched<'f, 'd>(found: &'f Found<'f, 'd>) -> Option<(&'f Found<'f, 'd>, Option<u64>)> {
    match found.named() {
        Some(named) => (named.holds == Holds::List).then_some((found, None)),
        None if found.asked.name == "edges" => {
            let connection = found.inside.filter(|around| around.holds(Holds::Connection))?;
            let count = connection.chosen().value(connection.value.as_object()?, "count");
            Some((connection, count.and_then(Value::as_u64)))
        }
        None => None,
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
    fn of_several_operations_the_one_that_is_named_is_answered() {
        let query = "query A { PatientList { id } } query B($n: Int = 30) { PatientList(_count: $n) { id } }";
        let full = |name: &str| {
            let document = GraphQl::parse(query, None, Some(name.into())).unwrap();
            document.full_lists(&json!({"data": {"PatientList": some(20)}})).len()
        };
        assert_eq!(full("A"), 1);
        assert_eq!(full("B"), 0);
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
