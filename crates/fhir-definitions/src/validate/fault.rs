//! One thing that is wrong with a resource, said so that it can be put right.

use std::fmt;

/// What sort of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// Not a resource at all, or of a type that does not exist.
    ResourceType,
    /// The type has no such element.
    UnknownElement,
    /// An element that must be there is not.
    Required,
    /// Too few, too many, a list for one, one for a list.
    Cardinality,
    /// The wrong sort of JSON value: a string for an object.
    JsonType,
    /// A primitive that is not written as its type is.
    Format,
    /// Two of the types of one choice.
    Choice,
    /// A code off the list.
    Code,
    /// A reference that has no form, or leads to a type that may not stand there.
    Reference,
    /// Nothing where there must be something: `""`, `{}`, `[]`, `null`.
    Empty,
    /// One of FHIR's rules between elements does not hold.
    Constraint,
}

/// One thing that is wrong: where, what was found, what is expected, and the right form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Where, as `name[0].family`; empty for the resource as a whole.
    pub path: String,
    /// What sort of fault it is.
    pub kind: FaultKind,
    /// What was found and what is expected, with the form that would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// How much of a value that was given is repeated.
const MOST_CHARS: usize = 60;

/// What was given, short, on one line, and without characters that cannot be seen.
pub(crate) fn clipped(text: &str) -> String {
    let visible = |c: &char| !c.is_control() && !is_invisible(*c);
    let mut short: String = text.chars().filter(visible).take(MOST_CHARS).collect();
    if text.chars().filter(visible).nth(MOST_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// Direction marks, zero-width characters and tags, which hide text from a reader.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
