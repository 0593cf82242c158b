//! The types that a `_filter` looks at. What cannot be read whole is not guessed at.
//! FHIR: <https://hl7.org/fhir/R4/search_filter.html>

use fhir_definitions::TypeInfo;

use super::Needs;
use super::search::parameter;

/// Deeper ones mean nothing to anybody.
const DEEPEST: usize = 32;

const OPERATORS: &[&str] =
    &["eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "re", "ni"];

/// `name eq "x" and (status eq final or subject:Patient.name co "y")`
pub(super) fn expression(of: &TypeInfo, text: &str, needs: &mut Needs) {
    let read = tokens(text).and_then(|tokens| {
        let mut reader = Reader { tokens: &tokens, found: Vec::new() };
        (reader.expression(0).is_some() && reader.tokens.is_empty()).then_some(reader.found)
    });
    match read {
        Some(found) => found.iter().for_each(|(path, value)| parameter(of, path, value, needs)),
        None => needs.unclear("_filter"),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, rest.get(1..)?),
            ')' => (Token::Close, rest.get(1..)?),
            '"' => quoted(rest.get(1..)?)?,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()\"".contains(c)).unwrap_or(rest.len());
                let (word, after) = rest.split_at_checked(end)?;
                (Token::Word(word.to_owned()), after)
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

/// A text up to its closing quote.
fn quoted(text: &str) -> Option<(Token, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Token::Text(value), text.get(at.saturating_add(1)..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

struct Reader<'t> {
    tokens: &'t [Token],
    found: Vec<(String, String)>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn next_is_word(&mut self, words: &[&str]) -> bool {
        let is = matches!(self.tokens.first(), Some(Token::Word(word)) if words.contains(&word.as_str()));
        if is {
            self.next();
        }
        is
    }

    fn expression(&mut self, depth: usize) -> Option<()> {
        loop {
            self.term(depth)?;
            if !self.next_is_word(&["and", "or"]) {
                return Some(());
            }
        }
    }

    fn term(&mut self, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let negated = self.next_is_word(&["not"]);
        if self.tokens.first() == Some(&Token::Open) {
            self.next();
            self.expression(depth.saturating_add(1))?;
            return (self.next()? == &Token::Close).then_some(());
        }
        if negated {
            return None;
        }
        let path = match self.next()? {
            Token::Word(path) if path.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) => path.clone(),
            _ => return None,
        };
        if !self.next_is_word(OPERATORS) {
            return None;
        }
        let value = match self.next()? {
            Token::Word(value) | Token::Text(value) => value.clone(),
            _ => return None,
        };
        self.found.push((path, value));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let tokens = tokens(text)?;
        let mut reader = Reader { tokens: &tokens, found: Vec::new() };
        reader.expression(0)?;
        reader.tokens.is_empty().then_some(reader.found)
    }

    #[test]
    fn paths_and_values() {
        let paths = |text: &str| read(text).map(|found| found.into_iter().map(|(path, _)| path).collect::<Vec<_>>());
        assert_eq!(paths("name eq \"a) or (b\""), Some(vec!["name".into()]));
        assert_eq!(
            paths("(status eq final and not (subject:Patient.name co \"x\\\"y\")) or value-quantity gt 7.5"),
            Some(vec!["status".into(), "subject:Patient.name".into(), "value-quantity".into()])
        );
        for unread in [
            "",
            "name",
            "name eq",
            "name eq x y",
            "(name eq x",
            "name[family eq x] eq y",
            "not name eq x",
            "name is x",
            "name eq \"x",
            "\"name\" eq x",
            "a eq b and",
        ] {
            assert_eq!(read(unread), None, "{unread}");
        }
        assert_eq!(read(&format!("{}a eq b{}", "(".repeat(100), ")".repeat(100))), None);
    }
}
