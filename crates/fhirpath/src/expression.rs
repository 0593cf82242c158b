//! An expression, from its text to its answer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use crate::ast::Expr;
use crate::context::Context;
use crate::error::{EvalError, ParseError};
use crate::eval::{Engine, truth};
use crate::item::Item;
use crate::parser;

/// An expression that has been read. Cheap to clone, and printed in a canonical form that reads back.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    tree: Arc<Expr>,
}

impl Expression {
    /// Reads an expression (FHIRPath, appendix A). Safe for hostile text: its length and its depth are limited.
    ///
    /// # Errors
    ///
    /// If the text is no expression, or uses what is not known here.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parser::parse(text).map(|tree| Self { tree: Arc::new(tree) })
    }

    pub(crate) fn tree(&self) -> &Expr {
        &self.tree
    }

    /// The FHIR types that the expression names, in `is`, `as` and `ofType` and at the start of paths, as they come.
    /// Which of them exist is not known here: someone with the definitions should look, as a misspelt type finds
    /// nothing.
    #[must_use]
    pub fn type_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.tree.each_type_name(&mut |name| names.push(name));
        names
    }

    /// The values that the expression finds, starting from a resource or a piece of one.
    ///
    /// # Errors
    ///
    /// See [`EvalError`].
    pub fn evaluate<'a>(&'a self, focus: &'a Value, context: &Context<'a>) -> Result<Vec<Item<'a>>, EvalError> {
        self.evaluate_item(Item::new(focus), context)
    }

    /// As [`Expression::evaluate`], from a focus whose type is known, or that is a primitive with extensions: a
    /// constraint starts from the element that it is defined on.
    ///
    /// # Errors
    ///
    /// See [`EvalError`].
    pub fn evaluate_item<'a>(&'a self, focus: Item<'a>, context: &Context<'a>) -> Result<Vec<Item<'a>>, EvalError> {
        Engine::run(&self.tree, focus, context)
    }

    /// Whether a condition holds; `None` if the answer is empty (FHIRPath §4.5: one value that is no boolean counts as
    /// true).
    ///
    /// # Errors
    ///
    /// See [`EvalError`]; several values are an error.
    pub fn holds<'a>(&'a self, focus: Item<'a>, context: &Context<'a>) -> Result<Option<bool>, EvalError> {
        truth(&self.evaluate_item(focus, context)?, "a condition")
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
