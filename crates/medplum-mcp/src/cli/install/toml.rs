//! Edits of TOML, as text: whatever is not ours keeps every byte.

use std::ops::Range;

use serde_json::{Map, Value};
use toml_edit::{Document, Item, Table};

use super::text::{Style, Unusable, in_line_ends_of, line_and_column};

/// The table at the path, whose last key names it; none if there is none.
pub(super) fn get(text: &str, path: &[&str]) -> Result<Option<Value>, Unusable> {
    let document = parse(text)?;
    let item = path.iter().try_fold(document.as_item(), |item, key| item.get(key));
    Ok(item.map(value_of))
}

/// The text with this table at the path, whether there was one before or not.
pub(super) fn put(text: &str, path: &[&str], table: &Value) -> Result<String, Unusable> {
    let document = parse(text)?;
    let newline = Style::of(text).newline;
    let block = block(path, table, newline);
    let edited = match path.iter().try_fold(document.as_item(), |item, key| item.get(key)) {
        None => {
            let gap = match text {
                "" => "",
                text if text.ends_with('\n') => newline,
                _ => &format!("{newline}{newline}"),
            };
            format!("{text}{gap}{block}")
        }
        Some(Item::Table(known)) if !known.is_dotted() => {
            let mut blocks = blocks(text, known);
            let first = if blocks.is_empty() { text.len()..text.len() } else { blocks.remove(0) };
            let mut edits: Vec<(Range<usize>, &str)> = blocks.into_iter().map(|range| (range, "")).collect();
            edits.push((first, &block));
            replaced(text, edits)
        }
        Some(Item::Value(known)) => {
            let range = known.span().unwrap_or_default();
            replaced(text, vec![(range, &render(table))])
        }
        Some(_) => text.to_owned(),
    };
    // What was written otherwise, as with dotted keys, may not take a table behind it.
    match get(&edited, path) {
        Ok(Some(found)) if found == *table => Ok(edited),
        _ => Err(Unusable::Closed(format!("{} is written so that no table can be added to it", path.join(".")))),
    }
}

/// The text with what stood at the path in an earlier one, as it was written there; without it, if nothing did.
pub(super) fn give_back(text: &str, path: &[&str], before: &str) -> Result<String, Unusable> {
    let (now, then) = (parse(text)?, parse(before)?);
    let find = |document: &Document<&str>| {
        path.iter().try_fold(document.as_item(), |item, key| item.get(key)).cloned().unwrap_or_default()
    };
    match (find(&now), find(&then)) {
        (_, Item::None) => Ok(as_ended(take(text, path)?, text, before)),
        (Item::Table(now), Item::Table(then)) if !now.is_dotted() && !then.is_dotted() => {
            Ok(blocks_given_back(text, &now, before, &then))
        }
        (Item::Value(now), Item::Value(then)) => {
            let then = then.span().and_then(|span| before.get(span)).unwrap_or_default();
            Ok(replaced(text, vec![(now.span().unwrap_or_default(), &in_line_ends_of(text, before, then))]))
        }
        _ => Err(Unusable::Closed(format!(
            "{} does not stand there as `install` left it: take it out by hand; what it was before is in the backup",
            path.join(".")
        ))),
    }
}

/// A table that `put` took the place of, block by block, each behind what stands before it still.
fn blocks_given_back(text: &str, now: &Table, before: &str, then: &Table) -> String {
    let part = |range: Range<usize>| in_line_ends_of(text, before, before.get(range).unwrap_or_default());
    let mut ours = blocks(text, now).into_iter();
    let mut at = ours.next().map_or(text.len(), |first| first.start);
    let mut given = replaced(text, blocks(text, now).into_iter().map(|range| (range, "")).collect());
    let mut behind: Option<usize> = None;
    for block in blocks(before, then) {
        let between = part(behind.unwrap_or(block.start)..block.start);
        if given.get(at..).is_some_and(|rest| rest.starts_with(&between)) {
            at = at.saturating_add(between.len());
        }
        let mut written = part(block.clone());
        if !written.ends_with('\n') && at < given.len() {
            written.push_str(Style::of(text).newline);
        }
        given.insert_str(at, &written);
        at = at.saturating_add(written.len());
        behind = Some(block.end);
    }
    given
}

/// Without the line end that `put` gave to the last line of what had none, where it still is the last.
fn as_ended(taken: String, text: &str, before: &str) -> String {
    let was_last = text.get(..taken.len()).is_some_and(|start| start == taken);
    if before.is_empty() || before.ends_with('\n') || !was_last {
        return taken;
    }
    taken.strip_suffix("\r\n").or_else(|| taken.strip_suffix('\n')).map_or(taken.clone(), str::to_owned)
}

/// The text without the table at the path.
pub(super) fn take(text: &str, path: &[&str]) -> Result<String, Unusable> {
    let document = parse(text)?;
    let Some((key, above)) = path.split_last() else { return Ok(text.to_owned()) };
    let above = above.iter().try_fold(document.as_item(), |item, key| item.get(key)).and_then(Item::as_table);
    let Some((name, item)) = above.and_then(|table| table.get_key_value(key)) else { return Ok(text.to_owned()) };
    let ranges = match item {
        Item::Table(table) if !table.is_dotted() => blocks(text, table),
        Item::Value(value) => {
            let start = name.span().map_or(0, |span| span.start);
            let end = line_end(text, value.span().map_or(start, |span| span.end));
            Vec::from([Range { start, end }])
        }
        _ => {
            return Err(Unusable::Closed(format!(
                "{} is written with dotted keys: take it out by hand",
                path.join(".")
            )));
        }
    };
    let ranges = ranges.into_iter().map(|range| match range.start {
        // At the top, the blank line is the next one's.
        0 => (0..blank_line_behind(text, range.end), ""),
        start => (blank_line_before(text, start)..range.end, ""),
    });
    Ok(replaced(text, ranges.collect()))
}

fn parse(text: &str) -> Result<Document<&str>, Unusable> {
    Document::parse(text).map_err(|error| {
        let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
        Unusable::at("TOML", line, column)
    })
}

/// Where a table and the tables in it stand, from each header to the end of the last line under it, in their order.
fn blocks(text: &str, table: &Table) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    collect(text, table, &mut found);
    found.sort_by_key(|range: &Range<usize>| range.start);
    found
}

fn collect(text: &str, table: &Table, found: &mut Vec<Range<usize>>) {
    if let Some(header) = table.span().filter(|_| !table.is_implicit() && !table.is_dotted()) {
        let end = own_values_end(table).unwrap_or(0).max(header.end);
        found.push(header.start..line_end(text, end));
    }
    for (_, item) in table {
        match item {
            Item::Table(inner) => collect(text, inner, found),
            Item::ArrayOfTables(list) => list.iter().for_each(|inner| collect(text, inner, found)),
            Item::Value(_) | Item::None => {}
        }
    }
}

/// The end of the last value that stands under a table's own header.
fn own_values_end(table: &Table) -> Option<usize> {
    let ends = table.iter().filter_map(|(_, item)| match item {
        Item::Value(value) => value.span().map(|span| span.end),
        Item::Table(inner) if inner.is_dotted() => own_values_end(inner),
        _ => None,
    });
    ends.max()
}

/// The place behind the line break that ends a place's line.
fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |end| at.saturating_add(end).saturating_add(1))
}

/// The start of the blank line before a place, if there is one.
fn blank_line_before(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let without = before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')).unwrap_or(before);
    if without.is_empty() || without.ends_with('\n') { without.len() } else { at }
}

/// The end of the blank line behind a place, if there is one.
fn blank_line_behind(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let behind = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    text.len().saturating_sub(behind.len())
}

fn replaced(text: &str, mut edits: Vec<(Range<usize>, &str)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut text = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        if text.get(range.clone()).is_some() {
            text.replace_range(range, new);
        }
    }
    text
}

/// `[mcp_servers.medplum]` and a line for each key.
pub(super) fn block(path: &[&str], table: &Value, newline: &str) -> String {
    let header: Vec<String> = path.iter().map(|key| bare_or_quoted(key)).collect();
    let lines = table.as_object().into_iter().flatten();
    let lines = lines.map(|(key, value)| format!("{} = {}{newline}", bare_or_quoted(key), render(value)));
    format!("[{}]{newline}{}", header.join("."), lines.collect::<String>())
}

fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { key.to_owned() } else { render(&Value::from(key)) }
}

fn render(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let items = object.iter().map(|(key, value)| format!("{} = {}", bare_or_quoted(key), render(value)));
            format!("{{ {} }}", items.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(render).collect::<Vec<_>>().join(", ")),
        // JSON's escapes are TOML's too; DEL alone must be escaped here and need not be there.
        other => other.to_string().replace('\u{7f}', "\\u007F"),
    }
}

/// The strings, lists and tables of an item; what else there is does not come from us.
fn value_of(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return Value::Object(Map::from_iter(table.iter().map(|(key, item)| (key.to_owned(), value_of(item)))));
    }
    match item.as_value() {
        Some(toml_edit::Value::String(text)) => Value::from(text.value().as_str()),
        Some(toml_edit::Value::Boolean(flag)) => Value::from(*flag.value()),
        Some(toml_edit::Value::Integer(number)) => Value::from(*number.value()),
        Some(toml_edit::Value::Array(list)) => list.iter().map(|value| value_of(&Item::Value(value.clone()))).collect(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PATH: &[&str] = &["mcp_servers", "ours"];

    fn ours() -> Value {
        json!({"command": "x", "args": ["--y"], "env": {"A": "\"1\"\\ é"}})
    }

    const BLOCK: &str = "[mcp_servers.ours]\ncommand = \"x\"\nargs = [\"--y\"]\nenv = { A = \"\\\"1\\\"\\\\ é\" }\n";

    #[test]
    fn a_table_is_added_behind_everything() {
        for (text, expected) in [
            ("", BLOCK.to_owned()),
            ("model = \"o3\" # mine\n", format!("model = \"o3\" # mine\n\n{BLOCK}")),
            ("model = \"o3\"", format!("model = \"o3\"\n\n{BLOCK}")),
            (
                "[mcp_servers.a]\ncommand = 'c'\n# the end\n",
                format!("[mcp_servers.a]\ncommand = 'c'\n# the end\n\n{BLOCK}"),
            ),
            (
                "[mcp_servers]\na = { command = \"c\" }\n",
                format!("[mcp_servers]\na = {{ command = \"c\" }}\n\n{BLOCK}"),
            ),
            ("a = 1\r\n", format!("a = 1\r\n\r\n{}", BLOCK.replace('\n', "\r\n"))),
        ] {
            let after = put(text, PATH, &ours()).unwrap();
            assert_eq!(after, expected, "{text}");
            let left = take(&after, PATH).unwrap();
            assert_eq!(left.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }
    }

    #[test]
    fn a_table_that_is_there_is_replaced_where_it_stands() {
        let text = "# top\n[mcp_servers.ours]\ncommand = \"old\" # c\n\n# of b\n[mcp_servers.b]\nx = '''\n[mcp_servers.ours]\n'''\n[mcp_servers.ours.env] # e\nK = \"v\"\n[z]\n";
        let after = put(text, PATH, &ours()).unwrap();
        assert_eq!(after, format!("# top\n{BLOCK}\n# of b\n[mcp_servers.b]\nx = '''\n[mcp_servers.ours]\n'''\n[z]\n"));
        let inline = "[mcp_servers]\nours = { command = \"old\" } # note\nb = { command = \"c\" }\n";
        let after = put(inline, PATH, &ours()).unwrap();
        assert!(after.contains("ours = { command = \"x\", ") && after.contains(" } # note\nb = "), "{after}");
        assert_eq!(take(inline, PATH).unwrap(), "[mcp_servers]\nb = { command = \"c\" }\n");
    }

    #[test]
    fn trouble_says_where_or_what() {
        for (text, says) in [
            ("a = 1\nb = \n", "line 2, column"),
            ("[mcp_servers\n", "line 1, column"),
            (
                "mcp_servers = { a = { command = \"c\" } }\n",
                "mcp_servers.ours is written so that no table can be added",
            ),
            ("mcp_servers = 3\n", "mcp_servers.ours is written so that no table can be added"),
        ] {
            let said = put(text, PATH, &ours()).unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn nothing_else_changes(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("# ours = 1"), Just(""), Just("[a]"), Just("[mcp_servers.b]"), Just("[mcp_servers.b.env]"),
                    Just("[[list]]"), Just("k = \"[mcp_servers.ours]\""), Just("l = [\n 1, # one\n]"), Just("  m = 1 # m"),
                    Just("n = '''\n[x]\n'''"), Just("[mcp_servers.ours]"), Just("[mcp_servers.ours.env]"),
                ],
                0..12,
            ),
            ended in any::<bool>(),
        ) {
            let text = format!("{}{}", lines.join("\n"), if ended { "\n" } else { "" });
            let Ok(before) = get(&text, &[]) else { return Ok(()) };
            let after = put(&text, PATH, &ours()).unwrap();
            prop_assert_eq!(get(&after, PATH).unwrap(), Some(ours()));
            let without = |value: Option<Value>| {
                let mut value = value.unwrap();
                let servers = value.get_mut("mcp_servers").and_then(Value::as_object_mut);
                if let Some(servers) = servers {
                    servers.remove("ours");
                    if servers.is_empty() {
                        value.as_object_mut().unwrap().remove("mcp_servers");
                    }
                }
                value
            };
            prop_assert_eq!(without(get(&after, &[]).unwrap()), without(before.clone()));
            let taken = take(&after, PATH).unwrap();
            prop_assert_eq!(get(&taken, PATH).unwrap(), None);
            prop_assert_eq!(without(get(&taken, &[]).unwrap()), without(before));
            // What was there before comes back as it was, and whatever somebody wrote behind it stays.
            prop_assert_eq!(&give_back(&after, PATH, &text).unwrap(), &text);
            if text.ends_with('\n') {
                let more = "\n[z]\nz = 1";
                prop_assert_eq!(give_back(&format!("{after}{more}"), PATH, &text).unwrap(), format!("{text}{more}"));
            }
        }
    }
}
