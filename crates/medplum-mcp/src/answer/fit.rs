//! A record that fits its budget: whole rows and entries, or a resource without its largest branches, each named.

use serde_json::{Map, Value, json};

/// How many of these texts fit into so many characters, with a comma between them. At least one, if it fits alone.
pub fn how_many(items: &[String], budget: usize) -> usize {
    let mut used = 0_usize;
    items
        .iter()
        .take_while(|item| {
            used = used.saturating_add(item.chars().count()).saturating_add(1);
            used <= budget.saturating_add(1)
        })
        .count()
}

/// Makes a value smaller until its JSON fits, and says what was left out, the largest first. What is small stays whole;
/// the room that is left is shared among what is large. A list keeps its beginning, the answer of a batch the place and
/// status of every entry.
pub fn prune(value: &mut Value, budget: usize) -> Vec<LeftOut> {
    let mut cut = Cut { budget, ..Cut::default() };
    if !cut.fit(value, budget, "") {
        *value = Value::Object(Map::new());
        cut.leave_out(0, "everything".to_owned(), String::new());
    }
    cut.left_out.sort_by_key(|left| std::cmp::Reverse(left.size));
    cut.left_out
}

/// What was left out of a value.
#[derive(Debug)]
pub struct LeftOut {
    size: usize,
    /// Its path and its size: `item[218..400] (90210 characters)`.
    pub what: String,
    /// The FHIRPath that leads to it: `item.skip(218)`.
    pub ask: String,
}

/// Empties the largest cells of a row until its JSON fits, and says which columns they were of, and how large.
pub fn blank(row: &mut [Value], columns: &[String], budget: usize) -> Vec<LeftOut> {
    let mut sizes: Vec<(usize, usize)> = row.iter().map(size).enumerate().collect();
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut all = sizes.iter().map(|(_, size)| size.saturating_add(1)).sum::<usize>();
    let mut cut = Vec::new();
    for (at, size) in sizes {
        if all <= budget {
            break;
        }
        if let Some(cell) = row.get_mut(at) {
            let name = columns.get(at).map_or("", String::as_str);
            let is_path =
                name.len() <= 60 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._()[],".contains(&b));
            let ask = if cell.is_string() && is_path { part_of(name, budget) } else { String::new() };
            cut.push(LeftOut { size, what: format!("{} ({size} characters)", shown(name)), ask });
            *cell = Value::Null;
            all = all.saturating_sub(size).saturating_add(4);
        }
    }
    cut
}

/// What the mark of a resource with elements missing costs.
const MARK: usize = 125;
/// What an entry of a batch costs without its resource: its status.
const BARE_ENTRY: usize = 160;
/// Shared among so many that each gets less than this, room is of no use to any.
const USEFUL: usize = 1_500;

fn size(value: &Value) -> usize {
    value.to_string().chars().count()
}

/// What was left out so far.
#[derive(Default)]
struct Cut {
    left_out: Vec<LeftOut>,
    /// The room for all of it.
    budget: usize,
}

impl Cut {
    fn leave_out(&mut self, size: usize, what: String, ask: String) {
        self.left_out.push(LeftOut { size, what: format!("{what} ({size} characters)"), ask });
    }

    /// The same for all of a branch; of a long text a part can be asked for.
    fn leave_out_all(&mut self, path: &str, value: &Value, size: usize) {
        let ask = if value.is_string() { part_of(&shown(path), self.budget) } else { shown(path) };
        self.leave_out(size, shown(path), ask);
    }

    /// The same for the end of a list.
    fn leave_out_end(&mut self, path: &str, kept: usize, before: usize, size: usize) {
        let path = shown(path);
        self.leave_out(size, format!("{path}[{kept}..{before}]"), format!("{path}.skip({kept})"));
    }

    /// Makes a value fit; false if it cannot be made smaller, and is left as it is.
    fn fit(&mut self, value: &mut Value, budget: usize, path: &str) -> bool {
        if size(value) <= budget {
            return true;
        }
        match value {
            Value::Object(object) => self.object(object, budget, path),
            Value::Array(items) => self.list(items, budget, path),
            _ => false,
        }
    }

    fn object(&mut self, object: &mut Map<String, Value>, budget: usize, path: &str) -> bool {
        let is_resource = object.contains_key("resourceType") && object.contains_key("id");
        let mark = if is_resource { MARK } else { 0 };
        let frame: usize = object.keys().map(|key| size(&Value::from(key.as_str())).saturating_add(2)).sum();
        // A resource keeps its name, whatever else goes.
        let is_name = |key: &str| is_resource && NAME.contains(&key);
        let name: usize = object.iter().filter(|(key, _)| is_name(key)).map(|(_, child)| size(child)).sum();
        let Some(room) = budget.checked_sub(frame.saturating_add(mark).saturating_add(name).saturating_add(2)) else {
            return self.skeleton(object, budget, path);
        };
        let others = object
            .iter()
            .filter(|(key, _)| *key != "entry" && !is_name(key))
            .map(|(_, child)| size(child))
            .sum::<usize>();
        if is_batch(object)
            && others < room / 2
            && let Some(entries) = object.get_mut("entry").and_then(Value::as_array_mut)
        {
            self.entries(entries, room.saturating_sub(others), &joined(path, "entry"));
            return true;
        }
        let elements = object.iter().filter(|(key, _)| !is_name(key));
        let sizes = elements.map(|(key, child)| (key.clone(), size(child))).collect();
        self.share_out(object, sizes, room, path);
        mark_subsetted(object);
        true
    }

    /// What is small stays; of what is large, the largest comes first: a text that does not fit leaves its room.
    fn share_out(
        &mut self,
        object: &mut Map<String, Value>,
        mut sizes: Vec<(String, usize)>,
        mut room: usize,
        path: &str,
    ) {
        sizes.sort_by_key(|(_, size)| *size);
        let mut left = sizes.len();
        let mut is_small = |size: usize| {
            let small = size <= room.checked_div(left).unwrap_or_default();
            if small {
                room = room.saturating_sub(size);
                left = left.saturating_sub(1);
            }
            small
        };
        let small = sizes.iter().take_while(|(_, size)| is_small(*size)).count();
        for (key, whole) in sizes.into_iter().skip(small).rev() {
            let share = room.checked_div(left).unwrap_or_default();
            left = left.saturating_sub(1);
            let path = joined(path, &key);
            let Some(child) = object.get_mut(&key) else { continue };
            if self.fit(child, share, &path) {
                room = room.saturating_sub(size(child));
            } else if let Some(child) = object.shift_remove(&key) {
                self.leave_out_all(&path, &child, whole);
            }
        }
    }

    /// Nothing but the names of its elements would be too much: what is left is its own name.
    fn skeleton(&mut self, object: &mut Map<String, Value>, budget: usize, path: &str) -> bool {
        let named: Map<String, Value> =
            NAME.iter().filter_map(|key| Some(((*key).to_owned(), object.get(*key)?.clone()))).collect();
        let cost = size(&Value::Object(named.clone())).saturating_add(if named.is_empty() { 0 } else { MARK });
        if cost > budget {
            return false;
        }
        let whole = size(&Value::Object(object.clone()));
        self.leave_out_all(if path.is_empty() { "everything else" } else { path }, &Value::Null, whole);
        *object = named;
        mark_subsetted(object);
        true
    }

    /// A list keeps as many of its items as fit, from the beginning, and some of the first where not even that fits. A
    /// few giants among small ones are made smaller, each in its place.
    fn list(&mut self, items: &mut Vec<Value>, budget: usize, path: &str) -> bool {
        let room = budget.saturating_sub(2);
        let sizes: Vec<usize> = items.iter().map(|item| size(item).saturating_add(1)).collect();
        let is_giant = |size: &&usize| **size > room / 2;
        let giants = sizes.iter().filter(is_giant).count();
        let small: usize = sizes.iter().filter(|size| !is_giant(size)).sum();
        if giants > 0 && small <= room / 2 && items.len() > giants {
            let mut room = room.saturating_sub(small);
            let mut left = giants;
            let fits = items.iter().zip(&sizes).all(|(item, size)| !is_giant(&size) || is_container(item));
            if fits {
                for (index, (item, size)) in items.iter_mut().zip(&sizes).enumerate() {
                    if !is_giant(&size) {
                        continue;
                    }
                    let share = room.checked_div(left).unwrap_or_default().saturating_sub(1);
                    left = left.saturating_sub(1);
                    if !self.fit(item, share, &format!("{path}[{index}]")) {
                        self.leave_out_all(&format!("{path}[{index}]"), item, *size);
                        *item = Value::Null;
                    }
                    room = room.saturating_sub(self::size(item).saturating_add(1));
                }
                return true;
            }
        }
        let mut used = 0_usize;
        let whole = sizes.iter().take_while(|size| {
            used = used.saturating_add(**size);
            used <= room.saturating_add(1)
        });
        let kept = whole.count();
        let before = items.len();
        if kept == 0 {
            let Some(first) = items.first_mut() else { return false };
            if !is_container(first) || !self.fit(first, room, &format!("{path}[0]")) {
                return false;
            }
        }
        let kept = kept.max(1);
        let gone: usize = sizes.iter().skip(kept).sum();
        items.truncate(kept);
        if kept < before {
            self.leave_out_end(path, kept, before, gone);
        }
        true
    }

    /// The entries of a batch's answer keep their places, each with its status.
    fn entries(&mut self, entries: &mut Vec<Value>, room: usize, path: &str) {
        let before = entries.len();
        let most = room.checked_div(BARE_ENTRY).unwrap_or_default().max(1);
        if before > most {
            let gone: usize = entries.iter().skip(most).map(|entry| size(entry).saturating_add(1)).sum();
            entries.truncate(most);
            self.leave_out_end(path, most, before, gone);
        }
        let sizes: Vec<usize> = entries.iter().map(|entry| size(entry).saturating_add(1)).collect();
        let mut sorted = sizes.clone();
        sorted.sort_unstable();
        let (mut left, mut free) = (sorted.len(), room.saturating_sub(2));
        let mut share = usize::MAX;
        for size in sorted {
            let fair = free.checked_div(left).unwrap_or_default();
            if size > fair {
                share = fair;
                break;
            }
            free = free.saturating_sub(size);
            left = left.saturating_sub(1);
        }
        if share >= USEFUL {
            for (index, (entry, size)) in entries.iter_mut().zip(&sizes).enumerate() {
                let path = format!("{path}[{index}]");
                if *size > share && !self.fit(entry, share.saturating_sub(1), &path) {
                    self.leave_out_all(&path, entry, *size);
                    *entry = Value::Null;
                }
            }
            return;
        }
        // Too many for each to have a useful part: whole ones from the beginning, of the others the status.
        let mut free = room.saturating_sub(2).saturating_sub(entries.len().saturating_mul(BARE_ENTRY));
        let mut gone = (0_usize, Vec::new());
        for (index, (entry, size)) in entries.iter_mut().zip(&sizes).enumerate() {
            match free.checked_sub(size.saturating_sub(BARE_ENTRY)) {
                Some(rest) => free = rest,
                None => {
                    gone.0 = gone.0.saturating_add(bare(entry));
                    gone.1.push(index);
                }
            }
        }
        let places: Vec<String> = gone.1.iter().map(ToString::to_string).collect();
        self.leave_out(gone.0, format!("{}[{}].resource", shown(path), places.join(",")), String::new());
    }
}

/// Leaves an entry its status, and says how much else it had.
fn bare(entry: &mut Value) -> usize {
    let before = size(entry);
    let status = entry.pointer("/response/status").cloned();
    *entry = json!({ "response": { "status": status } });
    before.saturating_sub(size(entry))
}

const NAME: &[&str] = &["resourceType", "id"];

fn is_batch(object: &Map<String, Value>) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    text("resourceType") == Some("Bundle") && text("type").is_some_and(|of| of.ends_with("-response"))
}

fn is_container(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A path short enough to repeat: keys may be anything where it is not FHIR.
fn shown(path: &str) -> String {
    path.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// The beginning of a text that is too long, as much as fits: in a table's cell a sign may become two.
fn part_of(path: &str, budget: usize) -> String {
    format!("{path}.substring(0,{})", budget / 2)
}

/// FHIR's own mark of a resource with elements missing: such a one is never written back.
fn mark_subsetted(object: &mut Map<String, Value>) {
    if !object.contains_key("resourceType") || !object.contains_key("id") {
        return;
    }
    let tag = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED" });
    let meta = object.entry("meta").or_insert_with(|| json!({}));
    if let Some(Value::Array(tags)) = meta.get_mut("tag") {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    } else if let Some(meta) = meta.as_object_mut() {
        meta.insert("tag".into(), json!([tag]));
    }
}

/// The beginning of a text, whole lines where it has them.
pub fn cut_text(text: &str, budget: usize) -> Option<&str> {
    let (end, _) = text.char_indices().nth(budget)?;
    let start = text.get(..end)?;
    Some(start.rfind('\n').and_then(|line| start.get(..line)).unwrap_or(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prune(value: &mut Value, budget: usize) -> Vec<String> {
        super::prune(value, budget).into_iter().map(|left| left.what).collect()
    }

    #[test]
    fn what_was_left_out_can_be_asked_for() {
        let items: Vec<Value> = (0..100).map(|n| json!({"linkId": n.to_string()})).collect();
        let mut value =
            json!({"resourceType": "Questionnaire", "id": "1", "item": items, "description": "y".repeat(9_000)});
        let left = super::prune(&mut value, 1_000);
        let kept = value["item"].as_array().unwrap().len();
        let ask: Vec<&str> = left.iter().map(|left| left.ask.as_str()).collect();
        assert_eq!(ask, ["description.substring(0,500)".to_owned(), format!("item.skip({kept})")]);
    }

    #[test]
    fn the_largest_branches_go_and_are_named() {
        let mut value = json!({"resourceType": "DocumentReference", "id": "1", "description": "x",
            "content": [{"attachment": {"contentType": "application/pdf", "data": "A".repeat(5_000)}}]});
        let cut = prune(&mut value, 400);
        assert_eq!(cut, ["content[0].attachment.data (5002 characters)"]);
        assert_eq!(value["content"][0]["attachment"]["contentType"], "application/pdf");
        assert_eq!(value["meta"]["tag"][0]["code"], "SUBSETTED");
        assert!(size(&value) <= 400);
    }

    #[test]
    fn a_long_list_keeps_its_beginning() {
        let items: Vec<Value> = (0..100).map(|i| json!({"linkId": i.to_string(), "text": "y".repeat(50)})).collect();
        let mut value = json!({"resourceType": "Questionnaire", "id": "1", "item": items});
        let cut = prune(&mut value, 2_000);
        assert!(cut[0].starts_with("item["), "{cut:?}");
        assert!(value["item"].as_array().unwrap().len() > 10);
        assert!(size(&value) <= 2_000);
    }

    fn page(count: usize, length: usize) -> Value {
        let entry = |n: usize| json!({"resource": {"resourceType": "Observation", "id": n.to_string(), "text": "y".repeat(length)}});
        json!({"resourceType": "Bundle", "type": "searchset", "entry": (0..count).map(entry).collect::<Vec<_>>()})
    }

    fn answered(resources: Vec<Value>) -> Value {
        let entry = |resource: Value| json!({"response": {"status": "200"}, "resource": resource});
        json!({"resourceType": "Bundle", "type": "batch-response", "entry": resources.into_iter().map(entry).collect::<Vec<_>>()})
    }

    #[test]
    fn one_root_of_a_document_is_cut_like_two() {
        let items: Vec<Value> = (0..900).map(|n| json!({"id": n.to_string(), "status": "final"})).collect();
        let mut value = json!({"data": {"ObservationList": items}});
        let cut = prune(&mut value, 10_000);
        let kept = value["data"]["ObservationList"].as_array().unwrap().len();
        assert!(kept > 250, "{kept}");
        assert_eq!(cut.len(), 1);
        assert!(cut[0].starts_with(&format!("data.ObservationList[{kept}..900] (")), "{cut:?}");
    }

    #[test]
    fn a_batch_keeps_the_place_and_status_of_every_entry() {
        let patient = json!({"resourceType": "Patient", "id": "p", "active": true});
        let mut value = answered(vec![patient.clone(), page(100, 500), page(3, 500)]);
        let whole = value.clone();
        let cut = prune(&mut value, 20_000);
        let entries = value["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 3);
        assert!(entries.iter().all(|entry| entry["response"]["status"] == "200"));
        assert_eq!((&entries[0], &entries[2]), (&whole["entry"][0], &whole["entry"][2]));
        assert!(entries[1]["resource"]["entry"].as_array().unwrap().len() > 25);
        assert!(cut[0].starts_with("entry[1].resource.entry["), "{cut:?}");
        assert!((19_000..=20_000).contains(&size(&value)), "{}", size(&value));

        let mut value = answered(vec![page(100, 500), patient.clone()]);
        prune(&mut value, 5_000);
        assert_eq!(value["entry"][1]["resource"], patient);
        assert!(!value["entry"][0]["resource"]["entry"].as_array().unwrap().is_empty());
    }

    #[test]
    fn of_many_entries_the_first_are_whole() {
        let resources =
            (0..50).map(|n| json!({"resourceType": "Patient", "id": n.to_string(), "text": "y".repeat(3_000)}));
        let mut value = answered(resources.collect());
        let cut = prune(&mut value, 40_000);
        let entries = value["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 50);
        let whole = entries.iter().filter(|entry| entry["resource"]["text"].is_string()).count();
        assert!(whole >= 9, "{whole}");
        assert!(entries.iter().all(|entry| entry["response"]["status"] == "200"));
        assert!(cut[0].starts_with(&format!("entry[{whole},")), "{cut:?}");
        // Where not even that fits, the first entries stay.
        prune(&mut value, 1_000);
        assert!(value["entry"].as_array().unwrap().len() >= 5 && size(&value) <= 1_000);
    }

    #[test]
    fn a_giant_among_small_ones_is_cut_in_its_place() {
        let item = |n: usize, length: usize| json!({"title": n.to_string(), "data": "y".repeat(length)});
        let mut value = json!({"content": [item(0, 10), item(1, 9_000), item(2, 10)]});
        let cut = prune(&mut value, 500);
        assert_eq!(cut, ["content[1].data (9002 characters)"]);
        assert_eq!(value["content"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn the_first_of_a_list_is_shown_in_part_rather_than_nothing() {
        let mut value = page(3, 5_000);
        let cut = prune(&mut value, 1_000);
        assert_eq!(value["entry"][0]["resource"]["id"], "0");
        assert_eq!(value["entry"][0]["resource"]["meta"]["tag"][0]["code"], "SUBSETTED");
        assert!(cut.iter().any(|cut| cut.starts_with("entry[0].resource.text (")), "{cut:?}");
        assert!(cut.iter().any(|cut| cut.starts_with("entry[1..3] (")), "{cut:?}");
    }

    mod always {
        use proptest::prelude::*;

        use super::*;

        fn any_json() -> impl Strategy<Value = Value> {
            let leaf = prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::from),
                any::<i32>().prop_map(Value::from),
                "[a-zé\\\\\"]{0,200}".prop_map(Value::from),
            ];
            leaf.prop_recursive(5, 200, 12, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                    prop::collection::vec(("[a-z]{1,8}|id|resourceType", inner), 0..8)
                        .prop_map(|members| Value::Object(members.into_iter().collect())),
                ]
            })
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(256))]

            #[test]
            fn it_fits_and_what_was_cut_is_named(value in any_json(), budget in 150_usize..4_000, batch in any::<bool>()) {
                let mut pruned = match batch {
                    true => answered(vec![value.clone(), json!({"resourceType": "Patient", "id": "1"})]),
                    false => value,
                };
                let before = pruned.clone();
                let cut = prune(&mut pruned, budget.max(600));
                prop_assert!(size(&pruned) <= budget.max(600), "{} {}", size(&pruned), budget);
                prop_assert_eq!(cut.is_empty(), pruned == before);
            }
        }
    }

    #[test]
    fn the_largest_cells_of_a_row_are_emptied_and_named() {
        let columns = ["id", "text", "note"].map(str::to_owned);
        let mut row = vec![json!("1"), json!("x".repeat(500)), json!("y".repeat(80))];
        let cut = blank(&mut row, &columns, 100);
        let cut: Vec<(&str, &str)> = cut.iter().map(|left| (left.what.as_str(), left.ask.as_str())).collect();
        assert_eq!(cut, [("text (502 characters)", "text.substring(0,50)")]);
        assert_eq!(row, [json!("1"), Value::Null, json!("y".repeat(80))]);
        assert!(blank(&mut row, &columns, 100).is_empty());
    }

    #[test]
    fn how_many_counts_to_the_character() {
        let items = vec!["aaaa".to_owned(); 3];
        assert_eq!(how_many(&items, 14), 3);
        assert_eq!(how_many(&items, 13), 2);
        assert_eq!(how_many(&items, 3), 0);
    }
}
