//! The table of the questions in docs/answers.md.

use std::fmt::Write;

use crate::Question;

pub struct Row {
    pub question: &'static Question,
    pub tokens: usize,
    /// What plain FHIR would have cost.
    pub raw: usize,
}

const BEGIN: &str =
    "<!-- The table of the questions, made by `UPDATE_DOCS=1 cargo test -p medplum-mcp --test questions`. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// Holds the table in the document against what was measured.
pub fn check(rows: &[Row]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/answers.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the table has its place in docs/answers.md");
    let (old, after) = rest.split_once(END).expect("the table ends in docs/answers.md");
    let new = table(rows);
    println!("{new}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(old, new, "docs/answers.md is not what was measured: UPDATE_DOCS=1 writes it");
}

fn table(rows: &[Row]) -> String {
    let mut table = "\n| question | calls | tokens | plain FHIR |\n|---|---|--:|--:|\n".to_owned();
    for row in rows {
        let calls: Vec<String> = row.question.calls.iter().map(|(tool, _)| format!("`{tool}`")).collect();
        let (tokens, raw) = (grouped(row.tokens), grouped(row.raw));
        writeln!(table, "| {} | {} | {tokens} | {raw} |", row.question.asked, calls.join(", ")).unwrap();
    }
    let sum = |of: fn(&Row) -> usize| grouped(rows.iter().map(of).sum());
    writeln!(table, "| all {} | | {} | {} |\n", rows.len(), sum(|row| row.tokens), sum(|row| row.raw)).unwrap();
    table
}

/// `12,345`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let places = digits.len();
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if at > 0 && (places - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}
