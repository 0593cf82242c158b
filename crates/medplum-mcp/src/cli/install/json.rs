//! Edits of JSON with comments, as text: whatever is not ours keeps every byte.

use std::ops::Range;

use jsonc_parser::ast::{Object, Value as Node};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Value};

use super::text::{Style, Unusable, in_line_ends_of, line_and_column, line_indent};

/// What editors' settings may hold beside JSON: comments, and a comma behind the last item.
const LENIENT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The whole document; null where there is nothing but space and comments.
pub(super) fn value(text: &str) -> Result<Value, Unusable> {
    Ok(parse(text)?.map_or(Value::Null, Into::into))
}

fn parse(text: &str) -> Result<Option<Node<'_>>, Unusable> {
    match parse_to_ast(text, &CollectOptions::default(), &LENIENT) {
        Ok(parsed) => Ok(parsed.value),
        Err(error) => {
            let (line, column) = (error.line_display(), error.column_display());
            Err(match error.kind() {
                ParseErrorKind::UnterminatedObject => Unusable::NotClosed { bracket: '{', line, column },
                ParseErrorKind::UnterminatedArray => Unusable::NotClosed { bracket: '[', line, column },
                _ => Unusable::at("JSON", line, column),
            })
        }
    }
}

/// The value at a path.
pub(super) fn get(text: &str, path: &[&str]) -> Result<Option<Value>, Unusable> {
    let mut at = value(text)?;
    for key in path {
        match at.get_mut(*key) {
            Some(next) => at = next.take(),
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// The text with this value at the path, whether there was one before or not.
pub(super) fn put(text: &str, path: &[&str], new: &Value) -> Result<String, Unusable> {
    let parsed = parse(text)?;
    let style = Style::of(text);
    let Some(root) = parsed else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { style.newline };
        let document = render(&nested(path, new), "", &style);
        return Ok(format!("{text}{gap}{document}{}", style.newline));
    };
    let mut at = &root;
    for (depth, key) in path.iter().enumerate() {
        let object = object(text, at, path.get(..depth).unwrap_or_default())?;
        let Some(property) = property(object, key) else {
            let behind = path.get(depth.saturating_add(1)..).unwrap_or_default();
            let item = |indent: &str, style: &Style| {
                format!("{}: {}", quoted(key), render(&nested(behind, new), indent, style))
            };
            return Ok(insert(text, &Container::of_object(object), &style, &item));
        };
        at = &property.value;
    }
    let range = at.range();
    let indent = line_indent(text, range.start);
    let style = if text.contains('\n') { style } else { style.compact() };
    Ok(replaced(text, vec![(range.start..range.end, render(new, indent, &style))]))
}

/// The text with an element more in the list at the path.
pub(super) fn push(text: &str, path: &[&str], element: &Value) -> Result<String, Unusable> {
    let parsed = parse(text)?;
    match parsed.as_ref().and_then(|root| node_at(root, path)) {
        None => put(text, path, &Value::Array(vec![element.clone()])),
        Some(Node::Array(list)) => {
            let items = list.elements.iter().map(|element| element.range().start..element.range().end).collect();
            let container = Container { open: list.range.start, close: list.range.end, items };
            Ok(insert(text, &container, &Style::of(text), &|indent, style| render(element, indent, style)))
        }
        Some(other) => Err(Unusable::wrong_kind(path, "list", line_and_column(text, other.range().start))),
    }
}

/// Whether there is nothing in the object or list at the path; none where there is none.
pub(super) fn is_empty(text: &str, path: &[&str]) -> Result<Option<bool>, Unusable> {
    let parsed = parse(text)?;
    Ok(parsed.as_ref().and_then(|root| node_at(root, path)).map(|node| match node {
        Node::Object(object) => object.properties.is_empty(),
        Node::Array(list) => list.elements.is_empty(),
        _ => false,
    }))
}

/// The text with what stood at the path in an earlier one, as it was written there; without it, if nothing did.
pub(super) fn give_back(text: &str, path: &[&str], before: &str) -> Result<String, Unusable> {
    let place = |text| Ok(parse(text)?.as_ref().and_then(|root| node_at(root, path)).map(Ranged::range));
    let Some(known) = place(before)? else {
        return if path.is_empty() { without_document(text, before) } else { take(text, path) };
    };
    let Some(now) = place(text)? else { return Ok(text.to_owned()) };
    let written = in_line_ends_of(text, before, slice(before, known.start..known.end));
    Ok(replaced(text, vec![(now.start..now.end, written)]))
}

/// The text with space and comments alone, as an earlier one has them alone.
fn without_document(text: &str, before: &str) -> Result<String, Unusable> {
    let Some(root) = parse(text)?.as_ref().map(Ranged::range) else { return Ok(text.to_owned()) };
    let (above, below) = (slice(text, 0..root.start), slice(text, root.end..text.len()));
    let below = below.strip_prefix("\r\n").or_else(|| below.strip_prefix('\n')).unwrap_or(below);
    let put_on_a_line = !before.is_empty() && !before.ends_with('\n');
    let line_end = if put_on_a_line { line_break_before(text, root.start, 0) } else { root.start };
    Ok(format!("{}{below}", slice(above, 0..line_end)))
}

/// The text without the value at the path, which is a property of an object.
pub(super) fn take(text: &str, path: &[&str]) -> Result<String, Unusable> {
    let Some((key, above)) = path.split_last() else { return Ok(text.to_owned()) };
    let parsed = parse(text)?;
    let Some(Node::Object(object)) = parsed.as_ref().and_then(|root| node_at(root, above)) else {
        return Ok(text.to_owned());
    };
    let index = object.properties.iter().rposition(|property| property.name.as_str() == *key);
    Ok(index.map_or_else(|| text.to_owned(), |index| remove(text, &Container::of_object(object), index)))
}

/// The text without the elements of the list at the path that fit.
pub(super) fn take_elements(text: &str, path: &[&str], fits: impl Fn(&Value) -> bool) -> Result<String, Unusable> {
    let mut text = text.to_owned();
    while let Some(Value::Array(elements)) = get(&text, path)? {
        let Some(index) = elements.iter().rposition(&fits) else { break };
        let parsed = parse(&text)?;
        let Some(Node::Array(list)) = parsed.as_ref().and_then(|root| node_at(root, path)) else { break };
        let items = list.elements.iter().map(|element| element.range().start..element.range().end).collect();
        let container = Container { open: list.range.start, close: list.range.end, items };
        text = remove(&text, &container, index);
    }
    Ok(text)
}

/// An object or a list as it stands in the text, its brackets included.
struct Container {
    open: usize,
    close: usize,
    items: Vec<Range<usize>>,
}

impl Container {
    fn of_object(object: &Object<'_>) -> Self {
        let items = object.properties.iter().map(|property| property.range.start..property.range.end).collect();
        Self { open: object.range.start, close: object.range.end, items }
    }

    /// The place behind the opening bracket.
    fn start(&self) -> usize {
        self.open.saturating_add(1)
    }

    /// The place before the closing bracket.
    fn end(&self) -> usize {
        self.close.saturating_sub(1)
    }
}

fn object<'n, 't>(text: &str, node: &'n Node<'t>, path: &[&str]) -> Result<&'n Object<'t>, Unusable> {
    node.as_object().ok_or_else(|| Unusable::wrong_kind(path, "object", line_and_column(text, node.range().start)))
}

/// Where a key comes twice, the last one counts: so it is for whoever reads the file.
fn property<'n, 't>(object: &'n Object<'t>, key: &str) -> Option<&'n jsonc_parser::ast::ObjectProp<'t>> {
    object.properties.iter().rfind(|property| property.name.as_str() == key)
}

fn node_at<'n, 't>(root: &'n Node<'t>, path: &[&str]) -> Option<&'n Node<'t>> {
    path.iter().try_fold(root, |node, key| Some(&property(node.as_object()?, key)?.value))
}

fn nested(path: &[&str], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |inner, key| Value::Object(Map::from_iter([((*key).to_owned(), inner)])))
}

fn insert(text: &str, container: &Container, style: &Style, item: &dyn Fn(&str, &Style) -> String) -> String {
    let inner = slice(text, container.start()..container.end());
    // Behind everything that is there, comments too.
    let behind = container.start().saturating_add(inner.trim_end_matches(SPACE).len());
    let base = line_indent(text, container.open);
    let last = container.items.last();
    let comma = last.and_then(|last| comma(text, last.end..container.end()));
    let mut edits = Vec::new();
    if let (Some(last), None) = (last, comma) {
        edits.push((last.end..last.end, ",".to_owned()));
    }
    let tail = if comma.is_some() { "," } else { "" };
    let on_lines = inner.contains('\n') || (last.is_none() && (text.contains('\n') || container.open == 0));
    if !on_lines {
        // As the first of them is written, which is not ours.
        let spaced = container.items.first().is_some_and(|first| slice(text, first.clone()).contains(": "));
        let gap = if last.is_some() && (inner.starts_with(' ') || spaced) { " " } else { "" };
        edits.push((behind..behind, format!("{gap}{}{tail}", item("", &style.compact()))));
        return replaced(text, edits);
    }
    let indent = match container.items.first() {
        Some(first) if starts_its_line(text, first.start) => line_indent(text, first.start).to_owned(),
        _ => format!("{base}{}", style.unit),
    };
    let newline = style.newline;
    let item = format!("{newline}{indent}{}{tail}", item(&indent, style));
    let closed = slice(text, behind..container.end()).contains('\n');
    if closed {
        edits.push((behind..behind, item));
    } else {
        edits.push((behind..container.end(), format!("{item}{newline}{base}")));
    }
    replaced(text, edits)
}

fn remove(text: &str, container: &Container, index: usize) -> String {
    let Some(item) = container.items.get(index) else { return text.to_owned() };
    let mut edits = vec![(line_break_before(text, item.start, container.start())..item.end, String::new())];
    let previous = index.checked_sub(1).and_then(|previous| container.items.get(previous));
    let own = comma(text, item.end..container.end());
    // The last of several gives back the comma that it needed before it.
    let needed = previous.and_then(|previous| comma(text, previous.end..item.start)).filter(|_| own.is_none());
    edits.extend(own.or(needed).map(|at| (at..at.saturating_add(1), String::new())));
    let removed = replaced(text, edits);
    let gone = text.len().saturating_sub(removed.len());
    let inner = container.start()..container.end().saturating_sub(gone);
    if container.items.len() == 1 && slice(&removed, inner.clone()).trim_matches(SPACE).is_empty() {
        return replaced(&removed, vec![(inner, String::new())]);
    }
    removed
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The place of the comma in a stretch between two items, which holds nothing else but space and comments.
fn comma(text: &str, range: Range<usize>) -> Option<usize> {
    let mut at = range.start;
    while at < range.end {
        let rest = slice(text, at..range.end);
        let comment = if rest.starts_with("//") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end.saturating_add(2))
        } else if rest.starts_with(',') {
            return Some(at);
        } else {
            rest.chars().next().map(char::len_utf8)
        };
        at = at.saturating_add(comment?);
    }
    None
}

fn starts_its_line(text: &str, at: usize) -> bool {
    slice(text, 0..at).trim_end_matches([' ', '\t']).ends_with('\n')
}

/// The start of the line break and the indentation before a place; of the spaces, where it does not start its line.
fn line_break_before(text: &str, at: usize, from: usize) -> usize {
    let before = slice(text, from..at).trim_end_matches([' ', '\t']);
    let before = before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')).unwrap_or(before);
    from.saturating_add(before.len())
}

fn slice(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}

/// The text with each range replaced; they do not overlap. What is put at the same place keeps its order.
fn replaced(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut text = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        if text.get(range.clone()).is_some() {
            text.replace_range(range, &new);
        }
    }
    text
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A value as text: objects on lines of their own, lists on one line, as people write such files.
pub(super) fn render(value: &Value, indent: &str, style: &Style) -> String {
    match value {
        Value::Object(object) if !object.is_empty() && !style.is_compact() => {
            let inner = format!("{indent}{}", style.unit);
            let items = object.iter().map(|(key, value)| {
                format!("{}{inner}{}: {}", style.newline, quoted(key), render(value, &inner, style))
            });
            format!("{{{}{}{indent}}}", items.collect::<Vec<_>>().join(","), style.newline)
        }
        Value::Object(object) => {
            let items = object.iter().map(|(key, value)| format!("{}: {}", quoted(key), render(value, indent, style)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) if list.iter().any(Value::is_object) && !style.is_compact() => {
            let inner = format!("{indent}{}", style.unit);
            let items = list.iter().map(|value| format!("{}{inner}{}", style.newline, render(value, &inner, style)));
            format!("[{}{}{indent}]", items.collect::<Vec<_>>().join(","), style.newline)
        }
        Value::Array(list) => {
            let items = list.iter().map(|value| render(value, indent, style));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PATH: &[&str] = &["servers", "ours"];

    fn ours() -> Value {
        json!({"command": "x", "args": ["--y"], "env": {"A": "1"}})
    }

    /// Given this file, this is what stands there afterwards.
    #[test]
    fn a_server_is_put_where_a_person_would_write_it() {
        let mut page = String::new();
        for text in [
            "",
            "// mine\n",
            "{}",
            "{\n}\n",
            "{\"a\":1}",
            "{ \"a\": 1, \"servers\": {} }",
            "{\n  \"servers\": {}\n}\n",
            "{\n\t\"servers\": {\n\t\t\"a\": {\n\t\t\t\"command\": \"c\"\n\t\t}\n\t}\n}",
            "{\n    \"servers\": {\n        \"a\": 1, // the first\n        // \"b\": 2\n    },\n    \"z\": [1, 2,],\n}\n",
            "{\n  \"servers\": {\n    \"a\": 1, /* one */\n  }\n}",
            "{\n  \"servers\": { /* none yet */ }\n}",
            "{\n  \"servers\": {\n    \"ours\": {\"command\": \"old\"}, // ours\n    \"a\": 1\n  }\n}",
        ] {
            let after = put(text, PATH, &ours()).unwrap();
            page.push_str(&format!("{text}\n-->\n{after}\n=====\n"));
        }
        insta::assert_snapshot!("a_server_is_put_where_a_person_would_write_it", page.replace('\t', "→"));
    }

    #[test]
    fn line_ends_are_the_files_own() {
        let text = "{\r\n  \"servers\": {\r\n    \"a\": 1\r\n  }\r\n}\r\n";
        let after = put(text, PATH, &ours()).unwrap();
        assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{after:?}");
        assert_eq!(take(&after, PATH).unwrap(), text);
        // Of both kinds: what comes back is as it was.
        let text = "{\"servers\":\r\n\t{\"ours\":[\n  ]}}";
        assert_eq!(give_back(&put(text, PATH, &ours()).unwrap(), PATH, text).unwrap(), text);
    }

    #[test]
    fn trouble_says_where() {
        for (text, place) in [
            ("{\n  \"servers\": {,\n}", "line 2, column 15"),
            ("{\n  \"a\": 1\n  \"b\": 2\n}", "line 2, column 9"),
            ("[1]", "line 1, column 1 is no object"),
            ("{\"servers\": [1]}", "servers at line 1, column 13 is no object"),
            ("{\"servers\": null}", "servers at line 1, column 13 is no object"),
            ("{\"a\": 'b'}", "line 1, column 7"),
        ] {
            let said = put(text, PATH, &ours()).unwrap_err().to_string();
            assert!(said.contains(place), "{text}: {said}");
        }
    }

    #[test]
    fn only_ours_is_taken() {
        for (text, expected) in [
            ("{\"servers\":{\"ours\":1}}", "{\"servers\":{}}"),
            ("{\"servers\":{\"ours\":1, \"a\":2}}", "{\"servers\":{ \"a\":2}}"),
            ("{\"servers\":{\"a\":2, \"ours\":1}}", "{\"servers\":{\"a\":2}}"),
            ("{\"servers\": {\n  \"ours\": 1, // one\n  \"a\": 2,\n}}", "{\"servers\": { // one\n  \"a\": 2,\n}}"),
            ("{\"servers\": {\n  \"a\": 2, // two\n  \"ours\": 1\n}}", "{\"servers\": {\n  \"a\": 2 // two\n}}"),
            (
                "{\"servers\": {\n  \"a\": 2,\n\n  \"ours\": 1 /* one */,\n}}",
                "{\"servers\": {\n  \"a\": 2,\n /* one */\n}}",
            ),
            ("{\"a\": 1}", "{\"a\": 1}"),
        ] {
            assert_eq!(take(text, PATH).unwrap(), expected, "{text}");
        }
    }

    /// Something a person could have in a file: space and comments wherever they may be.
    fn document() -> impl Strategy<Value = String> {
        let space = prop_oneof![
            4 => Just(String::new()), 3 => Just(" ".into()), 2 => Just("\n  ".into()), 1 => Just("\r\n\t".into()),
            1 => Just(" /* a, \"b\": { */ ".into()), 1 => Just("// c, }\n".into()), 1 => Just("\n\n".into()),
        ];
        let scalar = prop_oneof![
            Just("1".to_owned()),
            Just("\"s, // \\\" }\"".into()),
            Just("null".into()),
            Just("\"é\u{1f600}\"".into())
        ];
        let space = space.boxed();
        let between = space.clone();
        let node = scalar.prop_recursive(3, 24, 4, move |inner| {
            let space = between.clone();
            let item = (space.clone(), inner, space.clone()).prop_map(|(a, item, b)| format!("{a}{item}{b}"));
            let list = (prop::collection::vec(item.clone(), 0..4), any::<bool>(), space.clone()).prop_map(
                |(items, trailing, tail)| {
                    let comma = if trailing && !items.is_empty() { "," } else { "" };
                    format!("[{}{comma}{tail}]", items.join(","))
                },
            );
            let property = (prop_oneof![Just("servers"), Just("ours"), Just("a")], item, space.clone());
            let object = (prop::collection::vec(property, 0..4), any::<bool>(), space).prop_map(
                |(properties, trailing, tail)| {
                    let comma = if trailing && !properties.is_empty() { "," } else { "" };
                    let properties = properties.iter().map(|(key, value, space)| format!("{space}\"{key}\":{value}"));
                    format!("{{{}{comma}{tail}}}", properties.collect::<Vec<_>>().join(","))
                },
            );
            prop_oneof![list, object.clone(), object]
        });
        (space.clone(), node, space).prop_map(|(a, node, b)| format!("{a}{node}{b}"))
    }

    /// The characters of `part`, in their order, are all in `whole`.
    fn is_within(part: &str, whole: &str) -> bool {
        let mut rest = whole.chars();
        part.chars().all(|c| rest.any(|other| other == c))
    }

    proptest! {
        #[test]
        fn nothing_else_changes(text in document()) {
            let before = value(&text).unwrap();
            if let Ok(after) = put(&text, PATH, &ours()) {
                prop_assert_eq!(get(&after, PATH).unwrap(), Some(ours()));
                let mut expected = if before.is_null() { json!({}) } else { before.clone() };
                expected.as_object_mut().unwrap().entry("servers").or_insert_with(|| json!({}))
                    .as_object_mut().unwrap().insert("ours".into(), ours());
                prop_assert_eq!(&value(&after).unwrap(), &expected);
                if get(&text, PATH).unwrap().is_some() {
                    prop_assert_eq!(&give_back(&after, PATH, &text).unwrap(), &text);
                } else {
                    // It only adds, but for the space in empty brackets, and taking it out leaves the rest.
                    let solid = |text: &str| text.replace([' ', '\t', '\r', '\n'], "");
                    prop_assert!(is_within(&solid(&text), &solid(&after)), "{:?}", after);
                    let taken = take(&after, PATH).unwrap();
                    prop_assert_eq!(get(&taken, PATH).unwrap(), None);
                    let mut left = value(&taken).unwrap();
                    if before.get("servers").is_none() {
                        left.as_object_mut().unwrap().remove("servers");
                    }
                    prop_assert_eq!(left, if before.is_null() { json!({}) } else { before });
                }
            } else {
                prop_assert!(!before.is_object() || before.get("servers").is_some_and(|s| !s.is_object()));
            }
        }
    }
}
