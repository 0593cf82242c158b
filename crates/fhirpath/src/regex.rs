//! Regular expressions (FHIRPath §5.6.9 to 5.6.11), by an engine that takes linear time whatever the pattern.

use std::borrow::Cow;

use regex_lite::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes; FHIR's constraints stay far below.
const SIZE_LIMIT: usize = 1 << 20;

/// Compiles a pattern; `full` anchors it at both ends. `.` matches a line's end too, as the spec asks.
pub(crate) fn compile(pattern: &str, full: bool) -> Result<Regex, String> {
    let pattern = if full { Cow::Owned(format!("^(?:{pattern})$")) } else { Cow::Borrowed(pattern) };
    RegexBuilder::new(&pattern)
        .dot_matches_new_line(true)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| error.to_string())
}
