//! How the session is printed: in colour on a terminal, plain elsewhere.

use std::io::{self, Write};
use std::time::Duration;

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

/// A text of this size is shown whole, of a longer one the start.
const WHOLE: usize = 430;
const START: usize = 280;

/// How wide a line is, behind its mark.
const WIDTH: usize = 96;

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
        self.rows('>', CALL, &format!("{tool} {arguments}"))
    }

    /// What it gets, and what that costs it.
    pub(super) fn answer(&mut self, answer: &Answer, tokens: usize, took: Duration) -> io::Result<()> {
        for (index, block) in answer.blocks.iter().enumerate() {
            let (mark, style) = match (answer.refused, index) {
                (true, _) => ('!', REFUSED),
                (false, 0) => ('<', RECORD),
                (false, _) => ('i', OURS),
            };
            for line in shortened(block).lines() {
                self.rows(mark, style, line)?;
            }
        }
        writeln!(self.0, "  {ASIDE}{}{ASIDE:#}\n", cost_of(tokens, took))
    }

    /// A line of somebody's, in rows that fit on a page.
    fn rows(&mut self, mark: char, style: Style, line: &str) -> io::Result<()> {
        for (index, row) in rows(line).into_iter().enumerate() {
            let mark = if index == 0 { mark } else { ' ' };
            writeln!(self.0, "  {style}{mark} {row}{style:#}")?;
        }
        Ok(())
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

/// How many tokens something costs, and how much time.
pub(super) fn cost_of(tokens: usize, took: Duration) -> String {
    format!("about {} tokens in {:.1} ms", thousands(tokens), took.as_secs_f64() * 1e3)
}

/// Behind what a row ends, at best first.
const ENDS: [&[&str]; 3] = [&["],"], &[" ", ","], &["/", "|", "-"]];

/// A line in rows that fit.
fn rows(line: &str) -> Vec<&str> {
    let mut rows = Vec::new();
    let mut rest = line;
    while let Some((must, _)) = rest.char_indices().nth(WIDTH) {
        let full = rest.get(..must).unwrap_or(rest);
        let last =
            |ends: &&[&str]| ends.iter().filter_map(|end| Some(full.rfind(end)?.saturating_add(end.len()))).max();
        let end = ENDS.iter().filter_map(last).find(|end| *end > must / 2).unwrap_or(must);
        let Some((row, after)) = rest.split_at_checked(end) else { break };
        rows.push(row.trim_end());
        rest = after.trim_start();
    }
    rows.push(rest);
    rows
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WHOLE {
        return text.to_owned();
    }
    let start: String = text.chars().take(START).collect();
    format!("{start} …")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_rows_that_fit_and_lose_nothing() {
        for line in [
            String::new(),
            "short".into(),
            "word ".repeat(90),
            "ü,".repeat(200),
            "[1, \"a\"], ".repeat(40),
            "x".repeat(300),
        ] {
            let rows = rows(&line);
            assert!(rows.iter().all(|row| row.chars().count() <= WIDTH), "{rows:?}");
            assert!(rows.iter().skip(1).all(|row| !row.starts_with(' ')), "{rows:?}");
            let without = |text: &str| text.replace(' ', "");
            assert_eq!(without(&rows.concat()), without(&line));
        }
    }
}
