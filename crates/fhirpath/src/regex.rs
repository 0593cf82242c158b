//! Regular expressions (FHIRPath §5.6.9 to 5.6.11), by an engine that takes linear time whatever the pattern.

use std::borrow::Cow;

use regex_lite::{Regex, RegexBuilder};

/// What each letter of an input costs, in steps, by the size of the compiled pattern in bytes: a repetition such as
/// `(a?){500}` is short to write, and slow. The last is the largest pattern that is taken.
const WEIGHTS: [(usize, usize); 2] = [(4 << 10, 2), (48 << 10, 64)];

/// A pattern that is ready to be matched.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) regex: Regex,
    weight: usize,
}

impl Compiled {
    /// The steps that matching it takes.
    pub(crate) fn cost(&self, input: &str) -> usize {
        input.len().saturating_mul(self.weight)
    }
}

/// Compiles a pattern; `full` anchors it at both ends. `.` matches a line's end too, as the spec asks.
pub(crate) fn compile(pattern: &str, full: bool) -> Result<Compiled, String> {
    let pattern = if full { Cow::Owned(format!("^(?:{pattern})$")) } else { Cow::Borrowed(pattern) };
    let mut reason = String::new();
    for (size, weight) in WEIGHTS {
        match RegexBuilder::new(&pattern).dot_matches_new_line(true).size_limit(size).build() {
            Ok(regex) => return Ok(Compiled { regex, weight }),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}
