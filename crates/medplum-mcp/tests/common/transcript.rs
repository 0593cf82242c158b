//! A session as a page of the manual: given this call, this answer.

use serde_json::Value;

use super::redact::redact;
use super::{Answer, Host};

/// How much of a record is shown.
const SHOWN: usize = 1_200;

/// Calls and their answers, one after the other.
#[derive(Default)]
pub struct Transcript(String);

impl Transcript {
    /// Makes a call and notes it with its answer: `<` before a record, `i` before a note, `!` before an error.
    pub fn call(&mut self, host: &mut Host, tool: &str, arguments: Value) -> Answer {
        let answer = host.call(tool, arguments.clone());
        self.note(tool, &arguments, &answer);
        answer
    }

    pub fn note(&mut self, tool: &str, arguments: &Value, answer: &Answer) {
        self.0.push_str(&format!("{tool} {arguments}\n"));
        for (index, block) in answer.blocks.iter().enumerate() {
            let mark = match (answer.failed, index) {
                (true, _) => '!',
                (false, 0) => '<',
                (false, _) => 'i',
            };
            for line in block.lines() {
                self.0.push_str(&format!("  {mark} {line}\n"));
            }
        }
        self.0.push('\n');
    }

    /// The page, without what differs from run to run.
    pub fn page(&self) -> String {
        let shortened = |line: &str| {
            let start: String = line.chars().take(SHOWN).collect();
            if start.len() == line.len() { start } else { format!("{start} …") }
        };
        redact(&self.0).lines().map(shortened).collect::<Vec<_>>().join("\n")
    }
}
