//! What can go wrong, said so that the writer of an expression can mend it.
//!
//! No message repeats a value of the record: errors end up in logs, and records are confidential.

/// Why an expression could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("FHIRPath, at character {position}: {message}")]
pub struct ParseError {
    pub(crate) position: usize,
    pub(crate) message: String,
}

impl ParseError {
    pub(crate) fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }

    /// The place of the fault: a number of characters from the start, the first being 1.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What is wrong, and what would be right.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Why an expression, though well formed, has no answer for this resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// One value was needed and there were several (FHIRPath §4.5, singleton evaluation).
    #[error(
        "{what} needs a single value, but there are {count}; take one with first() or [0], \
         or apply it to each with select(…)"
    )]
    NotSingle {
        /// The function or operator.
        what: &'static str,
        /// How many values there were.
        count: usize,
    },
    /// A value was of a kind that the function or operator does not take.
    #[error("{what} needs {needs}")]
    WrongType {
        /// The function or operator.
        what: &'static str,
        /// What it takes.
        needs: &'static str,
    },
    /// A date minus a date: FHIRPath has no such difference.
    #[error(
        "a date minus a date is not in FHIRPath. Compare instead: birthDate <= today() - 18 years is true from 18 years on"
    )]
    DateDifference,
    /// The work budget is used up, see [`Context::with_step_limit`](crate::Context::with_step_limit).
    #[error("the expression takes more than {limit} steps here; narrow it with where(…) or a longer path")]
    TooMuchWork {
        /// The budget.
        limit: u64,
    },
    /// A computed string grew beyond a megabyte.
    #[error("{what} makes a string of more than a megabyte")]
    TooLong {
        /// The function or operator.
        what: &'static str,
    },
    /// `now()`, `today()` or `timeOfDay()` without a clock in the [`Context`](crate::Context).
    #[error("{what} needs the time, and none was given here; write a date such as @2026-01-31 instead")]
    NoClock {
        /// The function.
        what: &'static str,
    },
    /// `%name` that the [`Context`](crate::Context) does not know.
    #[error("%{name} is not known here; there are %resource, %rootResource, %context, %ucum, %sct, %loinc")]
    UnknownVariable {
        /// The name, without the percent sign.
        name: String,
    },
    /// A regular expression, computed while evaluating, that is none.
    #[error("{what} got a regular expression that cannot be read: {reason}")]
    BadPattern {
        /// The function.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
