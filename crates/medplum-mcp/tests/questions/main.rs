//! Questions of the kinds that are asked of a chart or a practice, as an agent asks them: each in one call or two, in
//! under 2,000 tokens, and exactly right.
//!
//! What is expected is worked out from the sandbox's resources, past everything of ours. The table of docs/answers.md is
//! made here: `UPDATE_DOCS=1 cargo test -p medplum-mcp --test questions` writes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub)]

mod clinic;
mod codes;
mod cohort;
mod counts;
mod first;
mod joins;
mod last;
mod project;
mod statistics;
mod table;
mod trends;

use clinic::Clinic;
use project::Project;
use serde_json::Value;

/// What a question may cost: its calls and their answers.
const MOST_TOKENS: usize = 2_000;

/// A tool, and its arguments.
pub type Call = (&'static str, fn() -> Value);

/// A question, how it is asked, and how its answer is worked out without us.
pub struct Question {
    pub asked: &'static str,
    /// The calls, of which the later ones may need what the first found: `{found}` is its first cell.
    pub calls: &'static [Call],
    /// Where in the last record the answer stands.
    pub at: &'static str,
    /// The answer.
    pub answer: fn(&Project) -> Value,
    /// The plain FHIR searches whose pages hold the answer.
    pub raw: &'static [&'static str],
}

fn questions() -> impl Iterator<Item = &'static Question> {
    let all = [
        first::QUESTIONS,
        last::QUESTIONS,
        counts::QUESTIONS,
        statistics::QUESTIONS,
        trends::QUESTIONS,
        joins::QUESTIONS,
        cohort::QUESTIONS,
        codes::QUESTIONS,
    ];
    all.into_iter().flatten()
}

#[tokio::test]
async fn each_question_is_answered_in_two_calls_and_two_thousand_tokens() {
    let clinic = Clinic::open().await;
    let project = clinic.project();
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for question in questions() {
        let asked = clinic.ask(question).await;
        let (told, expected) = (asked.record.pointer(question.at), (question.answer)(&project));
        if expected.is_null() || expected.as_array().is_some_and(Vec::is_empty) {
            wrong.push(format!("{}\n  asks for nothing", question.asked));
        }
        if !told.is_some_and(|told| same(told, &expected)) {
            wrong.push(format!("{}\n  told {}\n  not  {expected}\n  {}", question.asked, asked.record, asked.note));
        }
        if asked.tokens > MOST_TOKENS || question.calls.len() > 2 {
            wrong.push(format!("{}\n  {} tokens in {} calls", question.asked, asked.tokens, question.calls.len()));
        }
        rows.push(table::Row { question, tokens: asked.tokens, raw: clinic.raw_tokens(question.raw).await });
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows.len() >= 40, "{}", rows.len());
    table::check(&rows);
}

/// Whether two values say the same; numbers may differ in their last bits.
fn same(told: &Value, expected: &Value) -> bool {
    match (told, expected) {
        (Value::Array(told), Value::Array(expected)) => {
            told.len() == expected.len() && told.iter().zip(expected).all(|(told, expected)| same(told, expected))
        }
        (Value::Number(told), Value::Number(expected)) => {
            let (told, expected) = (told.as_f64().unwrap(), expected.as_f64().unwrap());
            (told - expected).abs() <= 1e-9 * expected.abs().max(1.0)
        }
        _ => told == expected,
    }
}
