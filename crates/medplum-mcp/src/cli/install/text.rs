//! How a configuration file is written: its line ends, its indentation, the places in it.

use thiserror::Error;

/// Why a file's text cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unusable {
    /// It cannot be read as what it is.
    #[error("it is not valid {format}: look at line {line}, column {column}")]
    Unreadable { format: &'static str, line: usize, column: usize },
    /// The end comes before what was opened is closed.
    #[error("it is not valid JSON: the `{bracket}` at line {line}, column {column} is not closed")]
    NotClosed { bracket: char, line: usize, column: usize },
    /// Something in it is not what the host expects there.
    #[error("{what} at line {line}, column {column} is no {kind}")]
    WrongKind { what: String, kind: &'static str, line: usize, column: usize },
    /// What is there cannot be added to where it stands.
    #[error("{0}")]
    Closed(String),
}

impl Unusable {
    pub(super) fn at(format: &'static str, line: usize, column: usize) -> Self {
        Self::Unreadable { format, line, column }
    }

    pub(super) fn wrong_kind(path: &[&str], kind: &'static str, (line, column): (usize, usize)) -> Self {
        let what = path.last().map_or_else(|| "what stands".to_owned(), |key| (*key).to_owned());
        Self::WrongKind { what, kind, line, column }
    }
}

/// The line ends and the indentation of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) newline: &'static str,
    /// One step of indentation.
    pub(super) unit: String,
    one_line: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { newline: "\n", unit: "  ".to_owned(), one_line: false }
    }
}

impl Style {
    /// The style of a text, as far as it shows one.
    pub(super) fn of(text: &str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let indented = text.lines().find(|line| line.starts_with([' ', '\t']) && line.trim_start().starts_with('"'));
        let unit = match indented.map(indent_of) {
            Some(tabs) if tabs.starts_with('\t') => "\t".to_owned(),
            Some(spaces) => spaces.to_owned(),
            None => Self::default().unit,
        };
        Self { newline, unit, one_line: false }
    }

    /// Everything on one line.
    pub(super) fn compact(&self) -> Self {
        Self { one_line: true, ..self.clone() }
    }

    pub(super) fn is_compact(&self) -> bool {
        self.one_line
    }
}

/// A part of an earlier text as it belongs into this one: with its own line ends, unless all of the text has got others since.
pub(super) fn in_line_ends_of(text: &str, before: &str, part: &str) -> String {
    let newline = Style::of(text).newline;
    if Style::of(before).newline == newline {
        part.to_owned()
    } else {
        part.replace("\r\n", "\n").replace('\n', newline)
    }
}

/// The space at the start of a line.
fn indent_of(line: &str) -> &str {
    let behind = line.trim_start_matches([' ', '\t']);
    line.get(..line.len().saturating_sub(behind.len())).unwrap_or_default()
}

/// The space at the start of the line that a place is on.
pub(super) fn line_indent(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end.saturating_add(1));
    indent_of(text.get(start..).unwrap_or_default())
}

/// A place as a person counts it.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()).saturating_add(1);
    (line, column)
}
