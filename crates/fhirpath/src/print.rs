//! From a tree back to text, in one canonical form that reads back to the same tree.

use std::fmt::{self, Write};

use crate::ast::{Call, Expr, Literal, Member, Namespace, SIGN, Step, TYPE, TypeName, UNION};
use crate::quantity::calendar_unit;
use crate::temporal::Kind;

/// Tighter than every operator.
const TERM: u8 = 12;

fn precedence(expr: &Expr) -> u8 {
    match expr {
        Expr::Binary { op, .. } => op.precedence(),
        Expr::Union(_) => UNION,
        Expr::Type { .. } => TYPE,
        Expr::Sign { .. } => SIGN,
        _ => TERM,
    }
}

/// `expr`, in brackets if it binds less tightly than `floor`.
fn within(f: &mut fmt::Formatter<'_>, expr: &Expr, floor: u8) -> fmt::Result {
    if precedence(expr) < floor { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

fn separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T], separator: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("{}"),
            Self::Literal(literal) => write!(f, "{literal}"),
            Self::This => f.write_str("$this"),
            Self::Index => f.write_str("$index"),
            Self::Total => f.write_str("$total"),
            Self::Variable(name) if is_plain(name) => write!(f, "%{name}"),
            Self::Variable(name) => {
                f.write_char('%')?;
                quoted(f, name, '`')
            }
            Self::Path { base, steps } => path(f, base.as_deref(), steps),
            Self::Sign { negative, operand } => {
                f.write_str(if *negative { "-" } else { "+" })?;
                within(f, operand, SIGN)
            }
            Self::Binary { op, left, right } => {
                within(f, left, op.precedence())?;
                write!(f, " {} ", op.symbol())?;
                within(f, right, op.precedence() + 1)
            }
            Self::Union(branches) => {
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" | ")?;
                    }
                    within(f, branch, UNION + 1)?;
                }
                Ok(())
            }
            Self::Type { cast, operand, name } => {
                within(f, operand, TYPE)?;
                write!(f, " {} {name}", if *cast { "as" } else { "is" })
            }
        }
    }
}

fn path(f: &mut fmt::Formatter<'_>, base: Option<&Expr>, steps: &[Step]) -> fmt::Result {
    if let Some(base) = base {
        within(f, base, TERM)?;
    }
    for (at, step) in steps.iter().enumerate() {
        if !matches!(step, Step::At(_)) && (at > 0 || base.is_some()) {
            f.write_char('.')?;
        }
        write!(f, "{step}")?;
    }
    Ok(())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(Member { name, .. }) => element(f, name),
            Self::At(index) => write!(f, "[{index}]"),
            Self::Call(Call { function, arguments, type_name, .. }) => {
                write!(f, "{}(", function.name())?;
                if let Some(name) = type_name {
                    write!(f, "{name}")?;
                }
                separated(f, arguments, ", ")?;
                f.write_char(')')
            }
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace {
            Some(Namespace::Fhir) => f.write_str("FHIR.")?,
            Some(Namespace::System) => f.write_str("System.")?,
            None => {}
        }
        element(f, &self.name)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::String(text) => quoted(f, text, '\''),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Temporal(value) => {
                let sign = if value.kind == Kind::Time { "@T" } else { "@" };
                // A date-time without a time keeps its T, or it would read back as a date.
                let text = value.to_string();
                let end = if value.kind == Kind::DateTime && !text.contains('T') { "T" } else { "" };
                write!(f, "{sign}{text}{end}")
            }
            Self::Quantity { value, unit } => {
                write!(f, "{value} ")?;
                match calendar_unit(unit) {
                    Some(_) => f.write_str(unit),
                    None => quoted(f, unit, '\''),
                }
            }
        }
    }
}

fn is_plain(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// A name in backticks wherever it would not read back as one.
fn element(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    const TAKEN: [&str; 12] =
        ["true", "false", "and", "or", "xor", "implies", "div", "mod", "is", "as", "in", "contains"];
    if is_plain(name) && !TAKEN.contains(&name) && !matches!(name, "FHIR" | "System") {
        f.write_str(name)
    } else {
        quoted(f, name, '`')
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    f.write_char(quote)?;
    for letter in text.chars() {
        match letter {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{c}' => f.write_str("\\f")?,
            '\\' => f.write_str("\\\\")?,
            letter if letter == quote => write!(f, "\\{letter}")?,
            letter => f.write_char(letter)?,
        }
    }
    f.write_char(quote)
}
