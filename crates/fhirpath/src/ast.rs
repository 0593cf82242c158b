//! The tree of an expression.
//!
//! A path is one node with a list of steps, and a union one node with a list of branches: the longest search
//! expressions stay shallow, so the depth limit of the parser can be low.

use std::sync::Arc;

use crate::decimal::Decimal;
use crate::function::Function;
use crate::regex::Compiled;
use crate::temporal::Temporal;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    /// `{}`, the empty collection.
    Empty,
    Literal(Literal),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%resource`
    Variable(String),
    /// `base.step.step`; without a base the steps start from `$this`.
    Path {
        base: Option<Box<Expr>>,
        steps: Vec<Step>,
    },
    /// `-x` (and `+x`, which changes nothing but needs a number)
    Sign {
        negative: bool,
        operand: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `a | b | c`
    Union(Vec<Expr>),
    /// `x is Type` or `x as Type`
    Type {
        cast: bool,
        operand: Box<Expr>,
        name: TypeName,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Boolean(bool),
    String(String),
    Integer(i64),
    Decimal(Decimal),
    Temporal(Temporal),
    Quantity { value: Decimal, unit: String },
}

impl Expr {
    /// Calls back with every name of a type: of `is`, `as` and `ofType`, and at the start of paths.
    pub(crate) fn each_type_name<'e>(&'e self, found: &mut impl FnMut(&'e str)) {
        match self {
            Self::Path { base, steps } => {
                if let Some(base) = base {
                    base.each_type_name(found);
                }
                for step in steps {
                    step.each_type_name(found);
                }
            }
            Self::Sign { operand, .. } => operand.each_type_name(found),
            Self::Binary { left, right, .. } => {
                left.each_type_name(found);
                right.each_type_name(found);
            }
            Self::Union(branches) => branches.iter().for_each(|branch| branch.each_type_name(found)),
            Self::Type { operand, name, .. } => {
                operand.each_type_name(found);
                name.each_type_name(found);
            }
            Self::Empty | Self::Literal(_) | Self::This | Self::Index | Self::Total | Self::Variable(_) => {}
        }
    }
}

impl Step {
    fn each_type_name<'e>(&'e self, found: &mut impl FnMut(&'e str)) {
        match self {
            Self::Member(member) if member.may_be_type => found(&member.name),
            Self::Member(_) => {}
            Self::Call(call) => {
                call.arguments.iter().for_each(|argument| argument.each_type_name(found));
                if let Some(name) = &call.type_name {
                    name.each_type_name(found);
                }
            }
            Self::At(index) => index.each_type_name(found),
        }
    }
}

impl TypeName {
    /// Whether it may be one of System's types, which are known here and are nobody else's to check.
    pub(crate) fn is_system(&self) -> bool {
        matches!(
            self.name.as_str(),
            "Boolean" | "String" | "Integer" | "Decimal" | "Date" | "DateTime" | "Time" | "Quantity"
        )
    }

    fn each_type_name<'e>(&'e self, found: &mut impl FnMut(&'e str)) {
        if !self.is_system() && self.namespace != Some(Namespace::System) {
            found(&self.name);
        }
    }
}

/// One link of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Member(Member),
    Call(Call),
    /// `[0]`
    At(Expr),
}

/// The name of an element, with what is known of it before any resource is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where the id and the extensions of a primitive stand in JSON: `_name`.
    pub(crate) sibling: String,
    /// The type that the name itself tells, as `valueQuantity` does.
    pub(crate) told_type: Option<&'static str>,
    /// The name of a type at the very start of a path (`Patient.name`) is a filter, not an element.
    pub(crate) may_be_type: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) arguments: Vec<Expr>,
    /// For the functions whose argument is a type: is, as, ofType.
    pub(crate) type_name: Option<TypeName>,
    pub(crate) pattern: Pattern,
}

/// A regular expression that was a literal, compiled once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pattern(pub(crate) Option<Arc<Compiled>>);

impl PartialEq for Pattern {
    /// It follows from the arguments, so it never tells two calls apart.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// `Quantity`, `FHIR.Quantity` or `System.Quantity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) namespace: Option<Namespace>,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    Fhir,
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    LessOrEqual,
    Less,
    Greater,
    GreaterOrEqual,
    Equal,
    Equivalent,
    NotEqual,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

/// How tightly the union binds; the others are in [`BinaryOp::precedence`].
pub(crate) const UNION: u8 = 7;
/// How tightly `is` and `as` bind.
pub(crate) const TYPE: u8 = 8;
/// How tightly a sign binds.
pub(crate) const SIGN: u8 = 11;

impl BinaryOp {
    /// The higher, the tighter (FHIRPath §6.8, operator precedence).
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Multiply | Self::Divide | Self::Div | Self::Mod => 10,
            Self::Add | Self::Subtract | Self::Concatenate => 9,
            Self::LessOrEqual | Self::Less | Self::Greater | Self::GreaterOrEqual => 6,
            Self::Equal | Self::Equivalent | Self::NotEqual | Self::NotEquivalent => 5,
            Self::In | Self::Contains => 4,
            Self::And => 3,
            Self::Or | Self::Xor => 2,
            Self::Implies => 1,
        }
    }

    /// As it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Div => "div",
            Self::Mod => "mod",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concatenate => "&",
            Self::LessOrEqual => "<=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "=",
            Self::Equivalent => "~",
            Self::NotEqual => "!=",
            Self::NotEquivalent => "!~",
            Self::In => "in",
            Self::Contains => "contains",
            Self::And => "and",
            Self::Or => "or",
            Self::Xor => "xor",
            Self::Implies => "implies",
        }
    }

    /// The operator that a symbol or word stands for.
    pub(crate) fn of(symbol: &str) -> Option<Self> {
        const ALL: [BinaryOp; 21] = [
            BinaryOp::Multiply,
            BinaryOp::Divide,
            BinaryOp::Div,
            BinaryOp::Mod,
            BinaryOp::Add,
            BinaryOp::Subtract,
            BinaryOp::Concatenate,
            BinaryOp::LessOrEqual,
            BinaryOp::Less,
            BinaryOp::Greater,
            BinaryOp::GreaterOrEqual,
            BinaryOp::Equal,
            BinaryOp::Equivalent,
            BinaryOp::NotEqual,
            BinaryOp::NotEquivalent,
            BinaryOp::In,
            BinaryOp::Contains,
            BinaryOp::And,
            BinaryOp::Or,
            BinaryOp::Xor,
            BinaryOp::Implies,
        ];
        ALL.into_iter().find(|op| op.symbol() == symbol)
    }
}
