//! How the session is printed: in colour on a terminal, plain elsewhere.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::session::Answer;
use crate::cli::thousands;

const HEADING: Style = Style::new().bold();
const CALL: Style = AnsiColor::Cyan.on_default();
const RECORD: Style = Style::new();
const OURS: Style = AnsiColor::Yellow.on_default();
const REFUSED: Style = AnsiColor::Red.on_default();
const ASIDE: Style = Style::new().dimmed();
const ADDED: Style = AnsiColor::Green.on_default();

/// How much of a record is shown.
const SHOWN: usize = 560;

/// What the session is printed on.
pub(super) struct Page<W>(pub(super) W);

impl<W: Write> Page<W> {
    /// What comes next, and why it matters.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{HEADING}{text}{HEADING:#}")
    }

    /// A line of the narrator's.
    pub(super) fn aside(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{ASIDE}{text}{ASIDE:#}")
    }

    /// What the agent asks.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> io::Result<()> {
        writeln!(self.0, "  {CALL}> {tool} {arguments}{CALL:#}")
    }

    /// What it gets, and about how many tokens that costs it.
    pub(super) fn answer(&mut self, answer: &Answer, tokens: usize) -> io::Result<()> {
        for (index, block) in answer.blocks.iter().enumerate() {
            let (mark, style) = match (answer.refused, index) {
                (true, _) => ('!', REFUSED),
                (false, 0) => ('<', RECORD),
                (false, _) => ('i', OURS),
            };
            for line in shortened(block).lines() {
                writeln!(self.0, "  {style}{mark} {line}{style:#}")?;
            }
        }
        writeln!(self.0, "  {ASIDE}about {} tokens{ASIDE:#}\n", thousands(tokens))
    }

    /// What a write changed.
    pub(super) fn change(&mut self, element: &str, was: &str, is: &str) -> io::Result<()> {
        writeln!(self.0, "  {REFUSED}- {element}: {was}{REFUSED:#}\n  {ADDED}+ {element}: {is}{ADDED:#}\n")
    }

    /// What it cost, beside what it would have.
    pub(super) fn costs(&mut self, rows: &[(&str, usize, usize)]) -> io::Result<()> {
        writeln!(self.0, "  {HEADING}{:<34} {:>12} {:>14}{HEADING:#}", "about so many tokens", "here", "as raw FHIR")?;
        for (what, here, raw) in rows {
            writeln!(self.0, "  {what:<34} {ADDED}{:>12}{ADDED:#} {:>14}", thousands(*here), thousands(*raw))?;
        }
        writeln!(self.0)
    }
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    if start.len() == text.len() { start } else { format!("{start} …") }
}
