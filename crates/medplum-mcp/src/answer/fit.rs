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

/// Takes the largest branches out of a value until its JSON fits, and says which they were and how large.
pub fn prune(value: &mut Value, budget: usize) -> Vec<String> {
    let mut cut = Vec::new();
    // Each step takes out at least one node, so it ends; a value that is one huge text loses it at once.
    while size(value) > budget && cut.len() < 50 {
        let over = size(value).saturating_sub(budget);
        let mut path = String::new();
        if !take_largest(value, over, &mut path, &mut cut) {
            break;
        }
    }
    if size(value) > budget.saturating_add(MARK) {
        // Nothing more can be taken out piece by piece: what is left is its name.
        let name: Map<String, Value> =
            NAME.iter().filter_map(|key| Some(((*key).to_owned(), value.get(key)?.clone()))).collect();
        *value = Value::Object(name);
        cut.push("everything else".to_owned());
    }
    cut
}

/// Empties the largest cells of a row until its JSON fits, and says which columns they were of, and how large.
pub fn blank(row: &mut [Value], columns: &[String], budget: usize) -> Vec<String> {
    let mut sizes: Vec<(usize, usize)> = row.iter().map(size).enumerate().collect();
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut all = sizes.iter().map(|(_, size)| size.saturating_add(1)).sum::<usize>();
    let mut cut = Vec::new();
    for (at, size) in sizes {
        if all <= budget {
            break;
        }
        if let Some(cell) = row.get_mut(at) {
            *cell = Value::Null;
            all = all.saturating_sub(size).saturating_add(4);
            let name = columns.get(at).map_or("", String::as_str);
            cut.push(format!("{} ({size} characters)", shown(name)));
        }
    }
    cut
}

/// What the mark of a resource with elements missing costs.
const MARK: usize = 150;
const NAME: &[&str] = &["resourceType", "id"];

fn size(value: &Value) -> usize {
    value.to_string().chars().count()
}

/// Goes down while one child is nearly all of it, and takes out what is largest there.
fn take_largest(value: &mut Value, over: usize, path: &mut String, cut: &mut Vec<String>) -> bool {
    let own = size(value);
    let nearly_all = |child: &Value| {
        size(child).saturating_mul(5) > own.saturating_mul(4) && child.as_object().is_some_and(|o| o.len() > 1)
            || is_long_list(child)
            || single(child)
    };
    match value {
        Value::Object(object) => {
            let mut sizes: Vec<(String, usize)> = object
                .iter()
                .filter(|(key, _)| !KEPT.contains(&key.as_str()))
                .map(|(key, child)| (key.clone(), size(child)))
                .collect();
            sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
            let start = path.clone();
            let mut gone = 0_usize;
            for (key, size) in sizes {
                if gone >= over {
                    break;
                }
                path.clone_from(&start);
                push(path, &key);
                let Some(child) = object.get_mut(&key) else { continue };
                if gone == 0 && nearly_all(child) && take_largest(child, over, path, cut) {
                    gone = over;
                    break;
                }
                cut.push(format!("{} ({size} characters)", shown(path)));
                object.shift_remove(&key);
                gone = gone.saturating_add(size);
            }
            if gone > 0 {
                mark_subsetted(object);
            }
            gone > 0
        }
        Value::Array(items) if items.len() > 1 => {
            shorten(items, over, path, cut);
            true
        }
        Value::Array(items) => match items.first_mut() {
            Some(only) if only.is_object() || only.is_array() => {
                path.push_str("[0]");
                take_largest(only, over, path, cut)
            }
            _ => false,
        },
        _ => false,
    }
}

const KEPT: &[&str] = &["resourceType", "id", "meta"];

fn is_long_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.len() > 1)
}

fn single(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.len() == 1 && items.first().is_some_and(Value::is_object))
}

/// Takes items from the end of a list until enough is gone.
fn shorten(items: &mut Vec<Value>, over: usize, path: &str, cut: &mut Vec<String>) {
    let before = items.len();
    let mut gone = 0_usize;
    while gone < over && items.len() > 1 {
        gone = gone.saturating_add(items.pop().map_or(0, |item| size(&item).saturating_add(1)));
    }
    if items.len() == 1 && gone < over {
        gone = gone.saturating_add(items.pop().map_or(0, |item| size(&item)));
    }
    cut.push(format!("{}[{}..{before}] ({gone} characters)", shown(path), items.len()));
}

/// A path short enough to repeat: keys may be anything where it is not FHIR.
fn shown(path: &str) -> String {
    path.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn push(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
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
        assert!(size(&value) <= 2_000 + 120);
    }

    #[test]
    fn the_largest_cells_of_a_row_are_emptied_and_named() {
        let columns = ["id", "text", "note"].map(str::to_owned);
        let mut row = vec![json!("1"), json!("x".repeat(500)), json!("y".repeat(80))];
        assert_eq!(blank(&mut row, &columns, 100), ["text (502 characters)"]);
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
