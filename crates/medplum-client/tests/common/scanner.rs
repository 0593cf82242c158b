//! A scanner of GraphQL documents that knows nothing of the parser under test.
#![allow(dead_code)]

/// What a document is, told by no more than the words that its definitions start with.
///
/// A scanner after the lexical rules of the specification: <https://spec.graphql.org/October2021/#sec-Language>.
pub fn definitions(document: &str) -> Vec<String> {
    let mut rest = document.trim_start_matches('\u{feff}');
    let (mut depth, mut starts, mut found) = (0_i32, true, Vec::new());
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '#' => length = rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '"' if rest.starts_with("\"\"\"") => length = block_string(rest),
            '"' => length = string(rest),
            '{' | '(' | '[' => {
                if starts {
                    found.push("query".to_owned());
                    starts = false;
                }
                depth += 1;
            }
            '}' | ')' | ']' => {
                depth -= 1;
                starts = depth == 0 && first == '}';
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                if starts {
                    found.push(rest[..length].to_owned());
                    starts = false;
                }
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    assert_eq!(depth, 0, "{document}");
    found
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            '\n' | '\r' => panic!("a string ends within its line: {text}"),
            _ => {}
        }
    }
    panic!("a string has an end: {text}")
}

fn block_string(text: &str) -> usize {
    let mut at = 3;
    loop {
        match &text[at..] {
            rest if rest.starts_with("\\\"\"\"") => at += 4,
            rest if rest.starts_with("\"\"\"") => return at + 3,
            rest => at += rest.chars().next().expect("a block string has an end").len_utf8(),
        }
    }
}

pub fn only_queries(document: &str) -> bool {
    definitions(document).iter().all(|word| word == "query" || word == "fragment")
}
