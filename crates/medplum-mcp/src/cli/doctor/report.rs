//! What was found: a line each, with what to do about it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// It was not looked at.
    Skip,
    Ok,
    Warn,
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Skip => Style::new().dimmed(),
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Fail => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    name: &'static str,
    status: Status,
    text: String,
    remedy: Option<String>,
}

/// Everything that was looked at, in its order.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Check>);

/// The width of the names.
const WIDTH: usize = 13;

impl Report {
    pub(super) fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.0.push(Check { name, status: Status::Ok, text: text.into(), remedy: None });
    }

    /// What could not be looked at, and why not.
    pub(super) fn skip(&mut self, names: &[&'static str], why: &str) {
        self.0.extend(names.iter().map(|&name| Check {
            name,
            status: Status::Skip,
            text: format!("not tried: {why}"),
            remedy: None,
        }));
    }

    pub(super) fn warn(&mut self, name: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Check { name, status: Status::Warn, text: text.into(), remedy: Some(remedy.into()) });
    }

    pub(super) fn fail(&mut self, name: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Check { name, status: Status::Fail, text: text.into(), remedy: Some(remedy.into()) });
    }

    /// The worst of all.
    pub(super) fn status(&self) -> Status {
        self.0.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
    }

    /// For a person, a line a check.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for Check { name, status, text, remedy } in &self.0 {
            let (word, style) = (status.word(), status.style());
            writeln!(out, "{style}{word:<5}{style:#} {name:<WIDTH$} {}", printable(text))?;
            if let Some(line) = remedy {
                writeln!(out, "{:5} {:WIDTH$} → {}", "", "", printable(line))?;
            }
        }
        Ok(())
    }

    /// For a program.
    pub(super) fn to_json(&self) -> Value {
        let checks = self.0.iter().map(|check| {
            let mut value = json!({"check": check.name, "status": check.status.word(), "text": check.text});
            if let (Some(remedy), Some(object)) = (&check.remedy, value.as_object_mut()) {
                object.insert("remedy".into(), remedy.as_str().into());
            }
            value
        });
        json!({"status": self.status().word(), "checks": checks.collect::<Vec<_>>()})
    }
}

/// Names come from the server: nothing in them moves a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A name as it is shown: short, and clean of what cannot be seen.
pub(super) fn name(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut text = text.to_owned();
    crate::cleanse::cleanse_text(&mut text);
    let short: String = text.chars().take(LONGEST).collect();
    if short.len() == text.len() { text } else { format!("{short}…") }
}
