//! From text to tokens (FHIRPath §4.1 literals, §8 lexical elements).

use crate::error::ParseError;
use crate::temporal::Temporal;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A bare word: an element, a function, or an operator such as `and`.
    Word(String),
    /// `` `div` ``: always a name.
    Delimited(String),
    String(String),
    Number(String),
    Temporal(Temporal),
    /// `%resource`
    Variable(String),
    /// `$this`
    Special(&'static str),
    /// An operator or bracket.
    Symbol(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 22] =
    ["<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "|", "=", "~", "<", ">", "+", "-", "*", "/", "&"];

const SPECIALS: [&str; 3] = ["$this", "$index", "$total"];

pub(crate) struct Lexer<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, rest: text }
    }

    /// The place of the next character, in bytes from 0; [`character`] makes it one that people count.
    pub(crate) fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.position(), message)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|letter| !belongs(letter)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    pub(crate) fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("//") {
                self.take_while(|letter| letter != '\n');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(self.error("this comment has no end; close it with */"));
                };
                self.skip(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    /// The next token; the blanks before it have been skipped.
    pub(crate) fn next(&mut self) -> Result<Token, ParseError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token::End);
        };
        match first {
            'A'..='Z' | 'a'..='z' | '_' => Ok(Token::Word(self.word().to_owned())),
            '0'..='9' => Ok(Token::Number(self.number().to_owned())),
            '\'' => self.quoted('\'').map(Token::String),
            '`' => self.quoted('`').map(Token::Delimited),
            '%' => self.variable(),
            '@' => self.temporal(),
            '$' => match SPECIALS.iter().find(|special| self.rest.starts_with(**special)) {
                Some(special) => {
                    self.skip(special.len());
                    Ok(Token::Special(special))
                }
                None => Err(self.error("after $ there can be this, index or total")),
            },
            '"' => Err(self.error("strings stand in single quotes: 'official'")),
            _ => match SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.skip(symbol.len());
                    Ok(Token::Symbol(symbol))
                }
                None => Err(self.error(unexpected(first))),
            },
        }
    }

    fn word(&mut self) -> &'t str {
        self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    }

    fn number(&mut self) -> &'t str {
        let start = self.rest;
        self.take_while(|letter| letter.is_ascii_digit());
        let fraction = self.rest.strip_prefix('.').unwrap_or_default();
        if fraction.starts_with(|letter: char| letter.is_ascii_digit()) {
            self.skip(1);
            self.take_while(|letter| letter.is_ascii_digit());
        }
        start.get(..start.len() - self.rest.len()).unwrap_or_default()
    }

    fn variable(&mut self) -> Result<Token, ParseError> {
        self.skip(1);
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '`')) => self.quoted(quote).map(Token::Variable),
            _ => match self.word() {
                "" => Err(self.error("after % there is a name, such as %resource")),
                name => Ok(Token::Variable(name.to_owned())),
            },
        }
    }

    /// `@2020-05-17`, `@2020-05-17T10:00Z`, `@T14:30`.
    fn temporal(&mut self) -> Result<Token, ParseError> {
        let position = self.position();
        self.skip(1);
        let bytes = self.rest.as_bytes();
        let mut timed = false;
        let mut end = 0;
        while let Some(byte) = bytes.get(end) {
            let before_digit = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            match byte {
                b'0'..=b'9' => {}
                b'T' if !timed => timed = true,
                b'-' | b':' if before_digit => {}
                b'+' | b'.' if before_digit && timed => {}
                b'Z' if timed => {
                    end += 1;
                    break;
                }
                _ => break,
            }
            end += 1;
        }
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        let value = match text.strip_prefix('T') {
            Some(time) => Temporal::parse_time(time),
            None => Temporal::parse(text),
        };
        self.rest = rest;
        value.map(Token::Temporal).ok_or_else(|| {
            ParseError::new(
                position,
                "this is no date or time; they look like @2020-05-17, @2020-05-17T10:00:00Z, @T14:30",
            )
        })
    }

    /// What stands between two quotes, its escapes resolved (§4.1.2).
    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let opened_at = self.position();
        self.skip(quote.len_utf8());
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|letter| letter != quote && letter != '\\'));
            let mut letters = self.rest.chars();
            match letters.next() {
                None => return Err(ParseError::new(opened_at, format!("this quote is not closed: {quote}"))),
                Some('\\') => text.push(self.escape()?),
                Some(_) => {
                    self.skip(quote.len_utf8());
                    return Ok(text);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let letter = self.rest.chars().nth(1);
        let resolved = match letter {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('f') => '\u{c}',
            Some('u') => {
                let code = self.rest.get(2..6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let Some(letter) = code.and_then(char::from_u32) else {
                    return Err(self.error("after \\u stand four hexadecimal digits of a character"));
                };
                self.skip(6);
                return Ok(letter);
            }
            // Of any other letter the backslash falls away, as the reference implementations do.
            Some(letter) => letter,
            None => return Err(self.error("this escape has no end")),
        };
        self.skip(1 + letter.map_or(0, char::len_utf8));
        Ok(resolved)
    }
}

/// The character, counted from 1, that starts at a byte.
pub(crate) fn character(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count()) + 1
}

fn unexpected(letter: char) -> String {
    match letter {
        '!' => "there is no ! here; write x.not(), or x != y".to_owned(),
        ';' | '?' | ':' => format!("FHIRPath has no {letter}; a choice is written iif(condition, this, that)"),
        _ => format!("FHIRPath has no sign {letter:?}"),
    }
}
