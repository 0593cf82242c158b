//! The functions (FHIRPath §5), a file for each family.

pub(crate) mod convert;
mod existence;
mod fhir;
mod filter;
mod math;
pub(crate) mod sets;
mod strings;
mod utility;

use crate::ast::{Call, Expr};
use crate::error::EvalError;
use crate::eval::{Collection, Engine, Outcome, Scope};
use crate::function::Family;

/// Everything that a function may look at.
pub(crate) struct Invocation<'i, 'a, 'c> {
    pub(crate) engine: &'i Engine<'a, 'c>,
    pub(crate) call: &'a Call,
    pub(crate) scope: &'i Scope<'i, 'a>,
    /// The function as messages name it.
    pub(crate) what: &'static str,
}

impl<'a> Invocation<'_, 'a, '_> {
    /// An argument as it was written.
    pub(crate) fn expr(&self, at: usize) -> Result<&'a Expr, EvalError> {
        self.call.arguments.get(at).ok_or(EvalError::WrongType { what: self.what, needs: "another argument" })
    }

    /// An argument's value, `$this` being that of the surroundings; empty if the argument is left out.
    pub(crate) fn argument(&self, at: usize) -> Outcome<'a> {
        match self.call.arguments.get(at) {
            Some(expr) => self.engine.eval(expr, self.scope),
            None => Ok(Vec::new()),
        }
    }

    /// A condition for one item of the input.
    pub(crate) fn holds(
        &self,
        expr: &'a Expr,
        item: &crate::Item<'a>,
        index: usize,
    ) -> Result<Option<bool>, EvalError> {
        self.engine.condition(expr, &self.scope.item(item, index), self.what)
    }
}

pub(crate) fn call<'a>(
    engine: &Engine<'a, '_>,
    call: &'a Call,
    input: Collection<'a>,
    scope: &Scope<'_, 'a>,
) -> Outcome<'a> {
    engine.charge(1)?;
    let invocation = &Invocation { engine, call, scope, what: call.function.name() };
    match call.function.family() {
        Family::Existence => existence::call(invocation, &input),
        Family::Filter => filter::call(invocation, input),
        Family::Sets => sets::call(invocation, input),
        Family::Convert => convert::call(invocation, &input),
        Family::Strings => strings::call(invocation, &input),
        Family::Math => math::call(invocation, input),
        Family::Utility => utility::call(invocation, input),
        Family::Fhir => fhir::call(invocation, input),
    }
}
