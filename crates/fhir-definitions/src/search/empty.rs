//! A value that asks for nothing once it is read: an empty part, a `|` without system and code, a backslash with nothing
//! behind it. Medplum takes it for no filter, and answers for everyone.

use std::fmt;

use super::values::split;
use crate::Definitions;

/// Why a part of a filter's value asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyPart {
    /// The value has nothing in it.
    Whole,
    /// Nothing stands beside a comma.
    Comma,
    /// A `|` has neither system nor code. `|code` (without a system) and `system|` (any code of it) ask for something.
    Bar,
    /// A backslash quotes nothing.
    Backslash,
}

impl fmt::Display for EmptyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "is empty, which would match everything. Give it a value, or leave it out",
            Self::Comma => "has an empty part, which would match everything. Take the comma away",
            Self::Bar => {
                "has a | with neither system nor code, which would match everything. Write system|code, |code or system|"
            }
            Self::Backslash => {
                "has a \\ that quotes nothing, and so an empty part, which would match everything. The sign itself is \\\\"
            }
        })
    }
}

/// The first part of a filter's value that asks for nothing.
pub fn empty_part(value: &str) -> Option<EmptyPart> {
    if value.trim().is_empty() {
        return Some(EmptyPart::Whole);
    }
    split(value, ',').into_iter().find_map(|part| {
        let fields = split(part, '|');
        if fields.iter().any(|field| is_read(field)) {
            return None;
        }
        Some(match (part.trim(), fields.len()) {
            ("", _) => EmptyPart::Comma,
            (_, 1) => EmptyPart::Backslash,
            _ => EmptyPart::Bar,
        })
    })
}

/// The same for the value of a parameter: an empty part of a list that shapes the page does no harm.
pub fn asks_for_nothing(key: &str, value: &str) -> Option<EmptyPart> {
    empty_part(value).filter(|empty| *empty == EmptyPart::Whole || !shapes_page(key))
}

/// Whether a parameter says how the page looks, and not what is on it.
pub fn shapes_page(key: &str) -> bool {
    let name = key.split(':').next().unwrap_or(key);
    name != "_has" && Definitions::get().result_parameters().contains(&name)
}

/// Whether anything but blanks is left of a text when its backslashes are taken out.
fn is_read(text: &str) -> bool {
    let mut quoted = false;
    text.chars().any(|c| {
        let is_sign = c == '\\' && !quoted;
        quoted = is_sign;
        !is_sign && !c.is_whitespace()
    })
}

#[cfg(test)]
mod tests {
    use super::EmptyPart::{Backslash, Bar, Comma, Whole};
    use super::{asks_for_nothing, empty_part};

    #[test]
    fn what_shapes_the_page_may_have_an_empty_part() {
        assert_eq!(asks_for_nothing("_elements", "name,"), None);
        assert_eq!(asks_for_nothing("_include:iterate", "Observation:subject,"), None);
        assert_eq!(asks_for_nothing("_count", " "), Some(Whole));
        assert_eq!(asks_for_nothing("name:contains", "a,"), Some(Comma));
        assert_eq!(asks_for_nothing("_has:Observation:patient:status", "final,|"), Some(Bar));
    }

    #[test]
    fn what_asks_for_nothing_once_it_is_read() {
        let cases = [
            (" ", Whole),
            ("a,", Comma),
            ("|", Bar),
            (" | ", Bar),
            ("male,|", Bar),
            ("||", Bar),
            (r"\", Backslash),
            (r"a,\", Backslash),
            (r"\ ", Backslash),
        ];
        for (value, expected) in cases {
            assert_eq!(empty_part(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_code_without_a_system_and_a_system_without_a_code_are_searches() {
        for value in ["|male", "http://s|", "5.4||mg", r"\\", r"\|", r"a\", r"\,", "8480-6$gt140", "a,b", "-"] {
            assert_eq!(empty_part(value), None, "{value}");
        }
    }
}
