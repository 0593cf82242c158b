//! `_filter`: conditions joined by `and`, `or`, `not` and parentheses.

use super::request::Filter;
use crate::outcome::{Outcome, Result};

/// A condition over conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    Is(Filter),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

/// The deepest that conditions may be nested.
const DEEPEST: usize = 32;

/// Reads a filter such as `(name co "smi" or birthdate ge 1980-01-01) and not(gender eq male)`.
pub(crate) fn parse(text: &str) -> Result<Expression> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let expression = any(&mut rest, 0)?;
    match rest.first() {
        None => Ok(expression),
        Some(token) => Err(Outcome::bad_request(format!("Unexpected token in _filter: {}", token.text()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Quoted(String),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Open => "(",
            Self::Close => ")",
            Self::Word(text) | Self::Quoted(text) => text,
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_whitespace() => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '"' => {
                let mut quoted = String::new();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => quoted.extend(letters.next()),
                        Some(letter) => quoted.push(letter),
                        None => return Err(Outcome::bad_request("Unterminated string in _filter")),
                    }
                }
                tokens.push(Token::Quoted(quoted));
            }
            letter => {
                let mut word = String::from(letter);
                let is_part = |letter: &char| !letter.is_whitespace() && !matches!(letter, '(' | ')' | '"');
                while let Some(letter) = letters.next_if(is_part) {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn keyword(rest: &mut &[Token], word: &str) -> bool {
    match rest.split_first() {
        Some((Token::Word(found), behind)) if found == word => {
            *rest = behind;
            true
        }
        _ => false,
    }
}

fn any(rest: &mut &[Token], depth: usize) -> Result<Expression> {
    let mut left = all(rest, depth)?;
    while keyword(rest, "or") {
        left = Expression::Or(Box::new(left), Box::new(all(rest, depth)?));
    }
    Ok(left)
}

fn all(rest: &mut &[Token], depth: usize) -> Result<Expression> {
    let mut left = one(rest, depth)?;
    while keyword(rest, "and") {
        left = Expression::And(Box::new(left), Box::new(one(rest, depth)?));
    }
    Ok(left)
}

fn one(rest: &mut &[Token], depth: usize) -> Result<Expression> {
    if depth > DEEPEST {
        return Err(Outcome::bad_request("_filter is nested too deep"));
    }
    if keyword(rest, "not") {
        return Ok(Expression::Not(Box::new(one(rest, depth + 1)?)));
    }
    match *rest {
        [Token::Open, behind @ ..] => {
            *rest = behind;
            let inner = any(rest, depth + 1)?;
            match rest.split_first() {
                Some((Token::Close, behind)) => {
                    *rest = behind;
                    Ok(inner)
                }
                _ => Err(Outcome::bad_request("Missing ) in _filter")),
            }
        }
        [Token::Word(code), Token::Word(operator), value @ (Token::Word(_) | Token::Quoted(_)), behind @ ..] => {
            *rest = behind;
            Ok(Expression::Is(Filter {
                code: code.clone(),
                operator: operator_of(operator)?.to_owned(),
                value: value.text().to_owned(),
            }))
        }
        _ => Err(Outcome::bad_request("Invalid _filter expression")),
    }
}

/// The search operator that an operator of `_filter` is.
fn operator_of(name: &str) -> Result<&'static str> {
    Ok(match name {
        "eq" => "exact",
        "ne" => "ne",
        "co" => "contains",
        "sw" => "sw",
        "gt" => "gt",
        "lt" => "lt",
        "ge" => "ge",
        "le" => "le",
        "ap" => "ap",
        "sa" => "sa",
        "eb" => "eb",
        "pr" => "present",
        "in" => "in",
        "ni" => "not-in",
        "re" => "eq",
        "ss" => "above",
        "sb" => "below",
        other => return Err(Outcome::bad_request(format!("Invalid filter operator: {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(code: &str, operator: &str, value: &str) -> Expression {
        Expression::Is(Filter { code: code.into(), operator: operator.into(), value: value.into() })
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let parsed = parse(r#"a co "x y" or b ge 1 and not (c eq z)"#).unwrap();
        let and =
            Expression::And(Box::new(is("b", "ge", "1")), Box::new(Expression::Not(Box::new(is("c", "exact", "z")))));
        assert_eq!(parsed, Expression::Or(Box::new(is("a", "contains", "x y")), Box::new(and)));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", "a", "a eq", "(a eq 1", "a eq 1)", "a zz 1", "a eq \"x", "a eq 1 b eq 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(10_000)).is_err());
    }
}
