//! What other dialects of SQL have and SQLite has not, and what does the same here. It is data: `other_dialects.txt`.

use super::statement::{Tokens, text_of};

const LINES: &str = include_str!("other_dialects.txt");

/// What to write in place of a function of another dialect.
pub(super) fn instead_of_function(name: &str) -> Option<String> {
    let named = |words: &str| words.split('|').any(|word| word.eq_ignore_ascii_case(name));
    lines("function").find_map(|(words, instead)| named(words).then(|| plain(instead)))
}

/// What to write in place of the first syntax of another dialect that is in a statement.
pub(super) fn instead_of_syntax(sql: &str) -> Option<String> {
    let tokens: Vec<&str> = Tokens::of(sql).map(text_of).collect();
    (0..tokens.len()).find_map(|at| {
        let here = tokens.get(at..)?;
        lines("syntax").find_map(|(words, instead)| begins_with(here, words).then(|| plain(instead)))
    })
}

fn begins_with(tokens: &[&str], words: &str) -> bool {
    let mut tokens = tokens.iter();
    words.split(' ').all(|word| tokens.next().is_some_and(|token| stands_for(word, token)))
}

/// `<text>` and `<number>` stand for any.
fn stands_for(word: &str, token: &str) -> bool {
    match word {
        "<text>" => token.starts_with('\''),
        "<number>" => token.starts_with(|c: char| c.is_ascii_digit()),
        word => word.split('|').any(|word| word.eq_ignore_ascii_case(token)),
    }
}

fn plain(instead: &str) -> String {
    instead.replace('`', "")
}

fn lines(of: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    LINES.lines().filter_map(move |line| line.strip_prefix(of)?.strip_prefix('\t')?.split_once('\t'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rusqlite::Connection;

    use super::super::functions;
    use super::*;

    #[test]
    fn a_line_is_never_about_a_function_that_is_here() {
        let mut words: HashSet<&str> = HashSet::new();
        for word in lines("function").flat_map(|(line, _)| line.split('|')) {
            assert!(!functions::may_use(word), "{word} is here");
            assert!(words.insert(word), "{word} is there twice");
        }
        let read = lines("function").count() + lines("syntax").count();
        assert_eq!(read, LINES.lines().filter(|line| !line.starts_with('#')).count(), "a line that is not read");
    }

    /// Each example is SQL that is understood here.
    #[test]
    fn what_is_written_instead_works() {
        let connection = Connection::open_in_memory().unwrap();
        functions::define(&connection).unwrap();
        connection.execute_batch("create table t(x text, y text, a, b, json text)").unwrap();
        for (line, instead) in lines("function").chain(lines("syntax")) {
            let examples: Vec<&str> = instead.split('`').skip(1).step_by(2).collect();
            assert!(!examples.is_empty(), "{line}: {instead}");
            for example in examples {
                let sql = match example.split(' ').next() {
                    Some("LIMIT" | "UNION") => format!("select x from t {example}"),
                    Some("FROM") => format!("select 1 {example}"),
                    Some("SELECT" | "WITH") => example.to_owned(),
                    _ => format!("select {example} from t"),
                };
                if let Err(error) = connection.prepare(&sql) {
                    panic!("{line}: {sql}: {error}");
                }
            }
        }
    }
}
