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
use crate::function::Function;

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
    use Function as F;
    engine.charge(1)?;
    let invocation = &Invocation { engine, call, scope, what: call.function.name() };
    match call.function {
        F::Where
        | F::Select
        | F::Repeat
        | F::OfType
        | F::As
        | F::Single
        | F::First
        | F::Last
        | F::Tail
        | F::Skip
        | F::Take => filter::call(invocation, input),
        F::Empty
        | F::Exists
        | F::All
        | F::AllTrue
        | F::AnyTrue
        | F::AllFalse
        | F::AnyFalse
        | F::Count
        | F::Not
        | F::Is => existence::call(invocation, &input),
        F::Distinct
        | F::IsDistinct
        | F::Union
        | F::Combine
        | F::Intersect
        | F::Exclude
        | F::SubsetOf
        | F::SupersetOf => sets::call(invocation, input),
        F::IndexOf
        | F::LastIndexOf
        | F::Substring
        | F::StartsWith
        | F::EndsWith
        | F::Contains
        | F::Upper
        | F::Lower
        | F::Replace
        | F::Matches
        | F::MatchesFull
        | F::ReplaceMatches
        | F::Length
        | F::ToChars
        | F::Split
        | F::Join
        | F::Trim => strings::call(invocation, &input),
        F::Abs | F::Ceiling | F::Floor | F::Round | F::Truncate | F::Sum | F::Min | F::Max | F::Avg | F::Aggregate => {
            math::call(invocation, input)
        }
        F::Extension | F::HasValue | F::GetValue | F::Resolve | F::HtmlChecks => fhir::call(invocation, input),
        F::Iif | F::Trace | F::Now | F::Today | F::TimeOfDay | F::Children | F::Descendants => {
            utility::call(invocation, input)
        }
        F::ToBoolean
        | F::ToInteger
        | F::ToDecimal
        | F::ToString
        | F::ToDate
        | F::ToDateTime
        | F::ToTime
        | F::ToQuantity
        | F::ConvertsToBoolean
        | F::ConvertsToInteger
        | F::ConvertsToDecimal
        | F::ConvertsToString
        | F::ConvertsToDate
        | F::ConvertsToDateTime
        | F::ConvertsToTime
        | F::ConvertsToQuantity => convert::call(invocation, &input),
    }
}
