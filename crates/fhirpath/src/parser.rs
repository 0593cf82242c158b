//! From tokens to a tree, by precedence climbing (FHIRPath grammar, appendix A).
//!
//! Agents write expressions, so the input may be hostile: its length, its nesting and the depth of the tree are
//! limited, and the recursion with them.

use std::sync::Arc;

use crate::ast::{BinaryOp, Call, Expr, Literal, Member, Namespace, Pattern, SIGN, Step, TYPE, TypeName, UNION};
use crate::decimal::Decimal;
use crate::error::ParseError;
use crate::function::{Arguments, Function};
use crate::lexer::{Lexer, Token, character};
use crate::quantity::calendar_unit;
use crate::regex::compile;
use crate::types;

/// The longest expression, in bytes. FHIR's own longest has about 1,500.
const MAX_LENGTH: usize = 16 * 1024;
/// The deepest tree. FHIR's own deepest has about 20.
const MAX_DEPTH: usize = 64;

/// A tree and its depth, known without walking it again.
type Parsed = (Expr, usize);

pub(crate) fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(1, format!("the expression has {} bytes; {MAX_LENGTH} is the most", text.len())));
    }
    parse_all(text).map_err(|error| ParseError { position: character(text, error.position), ..error })
}

/// As [`parse`], but that an error's position is a byte.
fn parse_all(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    let (expr, _) = parser.expression(0)?;
    match parser.token {
        Token::End => Ok(expr),
        _ => Err(parser.error(match &parser.token {
            Token::Symbol(")") => "this ) was never opened".to_owned(),
            token => format!("{} cannot follow here; an operator, a dot or the end can", describe(token)),
        })),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token,
    /// Where `token` starts.
    position: usize,
    /// How many expressions are being read, one within another.
    nesting: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, ParseError> {
        let mut parser = Self { lexer: Lexer::new(text), token: Token::End, position: 0, nesting: 0 };
        parser.advance()?;
        Ok(parser)
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.position, message)
    }

    /// Takes the token, and reads the next.
    fn advance(&mut self) -> Result<Token, ParseError> {
        self.lexer.skip_blanks()?;
        self.position = self.lexer.position();
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(found) if found == symbol)
    }

    fn eat(&mut self, symbol: &str) -> Result<bool, ParseError> {
        let found = self.is(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str, of: &str) -> Result<(), ParseError> {
        if self.eat(symbol)? {
            return Ok(());
        }
        Err(self.error(format!("{symbol} is missing {of}, before {}", describe(&self.token))))
    }

    fn deeper(&self, depth: usize) -> Result<usize, ParseError> {
        if depth >= MAX_DEPTH {
            return Err(self.error(format!(
                "the expression is nested deeper than {MAX_DEPTH}; a long list of alternatives is shorter as x in ('a' | 'b')"
            )));
        }
        Ok(depth + 1)
    }

    /// An expression whose operators bind at least as tightly as `floor`.
    fn expression(&mut self, floor: u8) -> Result<Parsed, ParseError> {
        self.nesting = self.deeper(self.nesting)?;
        let mut left = self.operand()?;
        while let Some(precedence) = self.operator_here().filter(|precedence| *precedence >= floor) {
            left = match precedence {
                TYPE => self.type_operation(left)?,
                UNION => self.union(left)?,
                _ => self.binary(left, precedence)?,
            };
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// The precedence of the operator that stands here, if one does.
    fn operator_here(&self) -> Option<u8> {
        let symbol = match &self.token {
            Token::Symbol("|") => return Some(UNION),
            Token::Symbol(symbol) => symbol,
            Token::Word(word) if word == "is" || word == "as" => return Some(TYPE),
            Token::Word(word) => word.as_str(),
            _ => return None,
        };
        BinaryOp::of(symbol).map(BinaryOp::precedence)
    }

    fn binary(&mut self, (left, left_depth): Parsed, precedence: u8) -> Result<Parsed, ParseError> {
        let op = match self.advance()? {
            Token::Symbol(symbol) => BinaryOp::of(symbol),
            Token::Word(word) => BinaryOp::of(&word),
            _ => None,
        };
        let Some(op) = op else {
            return Err(self.error("an operator was expected"));
        };
        let (right, right_depth) = self.expression(precedence + 1)?;
        let depth = self.deeper(left_depth.max(right_depth))?;
        let (left, right) = (Box::new(left), Box::new(right));
        Ok((Expr::Binary { op, left, right }, depth))
    }

    fn union(&mut self, (first, mut depth): Parsed) -> Result<Parsed, ParseError> {
        let mut branches = match first {
            Expr::Union(branches) => branches,
            other => vec![other],
        };
        while self.eat("|")? {
            let (branch, branch_depth) = self.expression(UNION + 1)?;
            depth = depth.max(branch_depth);
            branches.push(branch);
        }
        Ok((Expr::Union(branches), self.deeper(depth)?))
    }

    fn type_operation(&mut self, (operand, depth): Parsed) -> Result<Parsed, ParseError> {
        let cast = matches!(self.advance()?, Token::Word(word) if word == "as");
        let name = self.type_name()?;
        let operand = Box::new(operand);
        Ok((Expr::Type { cast, operand, name }, self.deeper(depth)?))
    }

    /// A sign or a path.
    fn operand(&mut self) -> Result<Parsed, ParseError> {
        let negative = self.is("-");
        if negative || self.is("+") {
            self.advance()?;
            let (operand, depth) = self.expression(SIGN)?;
            let operand = Box::new(operand);
            return Ok((Expr::Sign { negative, operand }, self.deeper(depth)?));
        }
        let (base, mut depth) = self.term()?;
        let (base, mut steps) = match base {
            // The steps of `name.given` are one list, and of `(name.given).first()` as well.
            Expr::Path { base, steps } => (base, steps),
            other => (Some(Box::new(other)), Vec::new()),
        };
        loop {
            let (step, step_depth) = if self.eat(".")? {
                self.invocation(false)?
            } else if self.eat("[")? {
                let (index, depth) = self.expression(0)?;
                self.expect("]", "behind an index")?;
                (Step::At(index), depth)
            } else {
                break;
            };
            depth = depth.max(self.deeper(step_depth)?);
            steps.push(step);
        }
        match base {
            Some(only) if steps.is_empty() => Ok((*only, depth)),
            base => Ok((Expr::Path { base, steps }, depth)),
        }
    }

    fn term(&mut self) -> Result<Parsed, ParseError> {
        if matches!(self.token, Token::Word(_) | Token::Delimited(_)) {
            if let Token::Word(word) = &self.token
                && let Some(literal) = boolean(word)
            {
                self.advance()?;
                return Ok((Expr::Literal(literal), 1));
            }
            let (step, depth) = self.invocation(true)?;
            let path = Expr::Path { base: None, steps: vec![step] };
            return Ok((path, self.deeper(depth)?));
        }
        let position = self.position;
        let expr = match self.advance()? {
            Token::String(text) => self.unit_or(Literal::String(text))?,
            Token::Number(text) => {
                let number = number(&text).ok_or_else(|| ParseError::new(position, "this number is too long"))?;
                self.unit_or(number)?
            }
            Token::Temporal(value) => Expr::Literal(Literal::Temporal(value)),
            Token::Variable(name) => Expr::Variable(name),
            Token::Special("$this") => Expr::This,
            Token::Special("$index") => Expr::Index,
            Token::Special(_) => Expr::Total,
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")", "behind a bracketed expression")?;
                return Ok(inner);
            }
            Token::Symbol("{") => {
                self.expect("}", "behind {, the empty collection")?;
                Expr::Empty
            }
            Token::End => return Err(ParseError::new(position, "the expression ends where a value is needed")),
            token => {
                return Err(ParseError::new(
                    position,
                    format!("{} cannot stand where a value is needed", describe(&token)),
                ));
            }
        };
        Ok((expr, 1))
    }

    /// A number with a unit behind it is a quantity: `4 'mg'`, `2 years` (§4.1.8).
    fn unit_or(&mut self, literal: Literal) -> Result<Expr, ParseError> {
        let value = match &literal {
            Literal::Integer(value) => Decimal::from(*value),
            Literal::Decimal(value) => *value,
            _ => return Ok(Expr::Literal(literal)),
        };
        let unit = match &self.token {
            Token::String(unit) => unit.clone(),
            Token::Word(word) => match calendar_unit(word) {
                Some(unit) => unit.to_owned(),
                None => return Ok(Expr::Literal(literal)),
            },
            _ => return Ok(Expr::Literal(literal)),
        };
        self.advance()?;
        Ok(Expr::Literal(Literal::Quantity { value, unit }))
    }

    /// An element or a call. At the start of a path a capitalised name may be a type.
    fn invocation(&mut self, at_start: bool) -> Result<(Step, usize), ParseError> {
        let position = self.position;
        match self.advance()? {
            Token::Word(name) if self.is("(") => self.call(&name, position),
            Token::Word(name) => {
                // Behind a dot any word is a name, for `text.div`; at the start an operator is none.
                let is_operator =
                    !matches!(name.as_str(), "contains" | "in" | "is" | "as") && BinaryOp::of(&name).is_some();
                if at_start && is_operator {
                    return Err(ParseError::new(position, format!("the operator {name} needs a value before it")));
                }
                Ok((Step::Member(member(name, at_start)), 1))
            }
            Token::Delimited(name) => Ok((Step::Member(member(name, at_start)), 1)),
            Token::Special("$this") => Err(ParseError::new(position, "$this stands alone or at the start of a path")),
            Token::Symbol("*") | Token::Symbol("[") => Err(ParseError::new(
                position,
                "there is no wildcard; a path over a list goes through all of it: name.given, or name.children()",
            )),
            token => Err(ParseError::new(
                position,
                format!("behind a dot stands an element or a function, not {}", describe(&token)),
            )),
        }
    }

    fn call(&mut self, name: &str, position: usize) -> Result<(Step, usize), ParseError> {
        let Some(function) = Function::of(name) else {
            return Err(ParseError::new(position, Function::unknown(name)));
        };
        self.expect("(", "behind the name of a function")?;
        let mut call = Call { function, arguments: Vec::new(), type_name: None, pattern: Pattern::default() };
        let mut depth = 0;
        match function.arguments() {
            Arguments::TypeName => call.type_name = Some(self.type_name()?),
            Arguments::Between(least, most) => {
                while !self.is(")") {
                    let (argument, argument_depth) = self.expression(0)?;
                    depth = depth.max(argument_depth);
                    call.arguments.push(argument);
                    if !self.eat(",")? {
                        break;
                    }
                }
                let count = call.arguments.len();
                if count < least || count > most {
                    return Err(ParseError::new(position, wrong_count(name, count, least, most)));
                }
            }
        }
        self.expect(")", &format!("behind the arguments of {name}("))?;
        if function.takes_pattern()
            && let Some(Expr::Literal(Literal::String(text))) = call.arguments.first()
        {
            let pattern = compile(text, function == Function::MatchesFull).map_err(|reason| {
                ParseError::new(position, format!("{name}() got a regular expression that cannot be read: {reason}"))
            })?;
            call.pattern = Pattern(Some(Arc::new(pattern)));
        }
        Ok((Step::Call(call), self.deeper(depth)?))
    }

    /// `Quantity`, `FHIR.Quantity`, `System.Quantity`.
    fn type_name(&mut self) -> Result<TypeName, ParseError> {
        let position = self.position;
        let bracketed = self.eat("(")?;
        let mut name = self.plain_name()?;
        let mut namespace = None;
        if matches!(name.as_str(), "FHIR" | "System") && self.eat(".")? {
            namespace = Some(if name == "FHIR" { Namespace::Fhir } else { Namespace::System });
            name = self.plain_name()?;
        }
        if bracketed {
            self.expect(")", "behind the name of a type")?;
        }
        // The primitive types are a closed list, so a slip of case can be told here; of resources only a model knows.
        let is_primitive = namespace != Some(Namespace::System) && types::system_type(&name).is_some();
        if name.starts_with(|first: char| first.is_ascii_lowercase()) && !is_primitive {
            let hint = types::in_any_case(&name).map_or_else(String::new, |right| format!("; did you mean {right}?"));
            return Err(ParseError::new(position, format!("there is no type {name}{hint}")));
        }
        Ok(TypeName { namespace, name })
    }

    fn plain_name(&mut self) -> Result<String, ParseError> {
        let position = self.position;
        match self.advance()? {
            Token::Word(name) | Token::Delimited(name) => Ok(name),
            token => Err(ParseError::new(
                position,
                format!("the name of a type was expected, such as Quantity, not {}", describe(&token)),
            )),
        }
    }
}

fn boolean(word: &str) -> Option<Literal> {
    match word {
        "true" => Some(Literal::Boolean(true)),
        "false" => Some(Literal::Boolean(false)),
        _ => None,
    }
}

fn number(text: &str) -> Option<Literal> {
    if text.contains('.') {
        return Decimal::parse(text).map(Literal::Decimal);
    }
    match text.parse() {
        Ok(value) => Some(Literal::Integer(value)),
        Err(_) => Decimal::parse(text).map(Literal::Decimal),
    }
}

fn member(name: String, at_start: bool) -> Member {
    Member {
        sibling: format!("_{name}"),
        told_type: types::of_choice(&name, "value"),
        may_be_type: at_start && name.starts_with(|first: char| first.is_ascii_uppercase()),
        name,
    }
}

fn wrong_count(name: &str, count: usize, least: usize, most: usize) -> String {
    let takes = match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    format!("{name}() takes {takes}, not {count}")
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("the word {word}"),
        Token::Delimited(name) => format!("the name `{name}`"),
        Token::String(_) => "a string".to_owned(),
        Token::Number(number) => format!("the number {number}"),
        Token::Temporal(_) => "a date".to_owned(),
        Token::Variable(name) => format!("%{name}"),
        Token::Special(name) => (*name).to_owned(),
        Token::Symbol(symbol) => format!("the sign {symbol}"),
        Token::End => "the end".to_owned(),
    }
}
