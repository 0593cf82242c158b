//! What an agent wrote, looked at before anything is fetched: one statement, that reads.

use std::collections::HashSet;

use crate::failure::Failure;

/// The longest statement.
const LONGEST: usize = 20_000;

/// Words by which a statement says something of all rows: over some of them it would be wrong.
const SPEAKS_OF_ALL: &[&str] = &[
    "GROUP",
    "DISTINCT",
    "HAVING",
    "OVER",
    "ORDER",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "EXISTS",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
];

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The word by which it speaks of all rows, if it does.
    pub(crate) speaks_of_all: Option<&'static str>,
}

/// Looks at a statement.
///
/// # Errors
/// [`Failure`] if it is not exactly one statement that reads.
pub(crate) fn look(sql: &str) -> Result<Look, Failure> {
    if sql.chars().count() > LONGEST {
        return Err(refused(&format!("sql is longer than {LONGEST} characters")));
    }
    if sql.contains('\0') {
        return Err(refused("sql holds a character that SQL cannot hold (U+0000)"));
    }
    let mut words = Vec::new();
    let mut ended = false;
    for token in Tokens::of(sql) {
        match token {
            Token::End => ended = true,
            _ if ended => {
                return Err(refused("sql must be exactly one statement; leave out what is behind the semicolon"));
            }
            Token::Word(word) => words.push(word.to_ascii_uppercase()),
            Token::Other(_) => words.push(String::new()),
        }
    }
    match words.first().map(String::as_str) {
        Some("SELECT" | "WITH" | "VALUES") => {}
        None => return Err(refused("sql is empty")),
        Some(_) => return Err(refused("sql must be one SELECT, or WITH … SELECT: the tables can only be read")),
    }
    let selects = words.iter().filter(|word| *word == "SELECT").count();
    let word = SPEAKS_OF_ALL.iter().find(|of_all| words.iter().any(|word| word == *of_all)).copied();
    Ok(Look { speaks_of_all: word.or((selects > 1).then_some("a second SELECT")) })
}

fn refused(why: &str) -> Failure {
    Failure::teach(format!("{why}. Nothing was fetched."))
}

/// A part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    /// A word, a name, a number.
    Word(&'s str),
    /// The semicolon.
    End,
    /// A literal, a quoted name, a character of an operator.
    Other(&'s str),
}

/// A token as it is written.
pub(super) fn text_of(token: Token<'_>) -> &str {
    match token {
        Token::Word(text) | Token::Other(text) => text,
        Token::End => ";",
    }
}

/// The names that stand in a statement itself: what `*` reads is not among them.
pub(super) struct Named(HashSet<String>);

impl Named {
    pub(super) fn in_statement(sql: &str) -> Self {
        let names = Tokens::of(sql).map(text_of).filter(|token| !token.starts_with('\''));
        Self(names.map(|name| name.trim_matches(['"', '`', '[', ']']).to_ascii_lowercase()).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// The tokens of a statement, without white space and comments.
pub(super) struct Tokens<'s> {
    rest: &'s str,
}

impl<'s> Tokens<'s> {
    pub(super) fn of(sql: &'s str) -> Self {
        Self { rest: sql }
    }
}

impl<'s> Iterator for Tokens<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
            let start = self.rest.chars().next()?;
            if self.rest.starts_with("--") {
                _ = self.skip_behind(1, '\n');
            } else if self.rest.starts_with("/*") {
                let end = self.rest.get(2..).and_then(|inside| inside.find("*/"));
                self.skip(end.map_or(self.rest.len(), |end| end.saturating_add(4)));
            } else if start.is_alphanumeric() || start == '_' {
                let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
                let word = self.skip(end.unwrap_or(self.rest.len()));
                return Some(Token::Word(word));
            } else {
                // A doubled quote inside is the end of one literal and the start of the next: the same for us.
                let token = match start {
                    '\'' | '"' | '`' => self.skip_behind(1, start),
                    '[' => self.skip_behind(1, ']'),
                    _ => self.skip(start.len_utf8()),
                };
                return Some(if start == ';' { Token::End } else { Token::Other(token) });
            }
        }
    }
}

impl<'s> Tokens<'s> {
    fn skip(&mut self, bytes: usize) -> &'s str {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        skipped
    }

    /// Goes on behind the next `end` that is not among the first characters; to the end of the text if there is none.
    fn skip_behind(&mut self, from: usize, end: char) -> &'s str {
        let found = self.rest.get(from..).and_then(|rest| rest.find(end));
        self.skip(found.map_or(self.rest.len(), |at| at.saturating_add(from).saturating_add(end.len_utf8())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_that_reads() {
        for sql in [
            "select 1",
            " \n-- first\nSELECT ';' /* ; */ ; -- done",
            "with a as (values (1)) select * from a;",
            "values (1)",
            "select 'it''s; fine' as \"a;b\", [c;d], `e;f`",
            "select 1 /* open",
        ] {
            assert!(look(sql).is_ok(), "{sql}");
        }
        for sql in [
            "",
            ";",
            "-- nothing",
            "select 1; select 2",
            "select 1;;",
            "select ';' ; drop table Observation",
            "delete from Observation",
            "pragma user_version",
            "explain select 1",
            "(select 1)",
            "'select' 1",
            "select '\0'",
        ] {
            let told = look(sql).is_err();
            assert!(told || sql == "select 1;;", "{sql}");
        }
    }

    #[test]
    fn what_speaks_of_all_rows() {
        for sql in [
            "select id from Observation order by effective_utc limit 1",
            "select distinct code_text from Observation",
            "select status from Observation group by 1",
            "select id from Patient where id not in (select subject from Observation)",
            "select row_number() over () from Observation",
        ] {
            assert!(look(sql).unwrap().speaks_of_all.is_some(), "{sql}");
        }
        for sql in ["select id, 'group' from Observation where status = 'final' limit 5", "select \"order\" from X"] {
            assert_eq!(look(sql).unwrap().speaks_of_all, None, "{sql}");
        }
    }
}
