//! Tables of calls: those that must not leave, and those that must.

use serde_json::Value;

use super::{Pipe, Stub};

/// A call, and what its refusal says.
pub struct Attempt {
    pub tool: &'static str,
    pub arguments: Value,
    pub says: &'static str,
}

pub fn attempt(tool: &'static str, arguments: Value, says: &'static str) -> Attempt {
    Attempt { tool, arguments, says }
}

/// Makes each attempt, and sees that nothing left and that the answer says why.
pub async fn all_refused(variables: &[(&str, &str)], attempts: Vec<Attempt>) {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, variables).await;
    let mut wrong = Vec::new();
    for Attempt { tool, arguments, says } in attempts {
        let answer = pipe.call(tool, arguments.clone()).await;
        let left = stub.lines_of_all();
        if !left.is_empty() {
            wrong.push(format!("{tool} {arguments}\n  left: {left:?}"));
        } else if !answer.failed || !answer.blocks.concat().contains(says) {
            wrong.push(format!("{tool} {arguments}\n  expected: {says}\n  answered: {:?}", answer.blocks));
        }
    }
    assert!(wrong.is_empty(), "{} attempts:\n{}", wrong.len(), wrong.join("\n"));
}

/// Makes each call, and sees that it succeeds and that these lines and no others reached the API: the stub finds nothing,
/// so a search may be followed by counts of what there is instead.
pub async fn all_pass(variables: &[(&str, &str)], calls: Vec<(&'static str, Value, Vec<String>)>) {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, variables).await;
    let mut wrong = Vec::new();
    for (tool, arguments, expected) in calls {
        let answer = pipe.call(tool, arguments.clone()).await;
        let mut left = stub.lines();
        left.retain(|line| expected.contains(line) || !line.ends_with("_summary=count"));
        if answer.failed || left != expected {
            wrong.push(format!(
                "{tool} {arguments}\n  expected: {expected:?}\n  left: {left:?}\n  answered: {answer:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One request line: `GET /fhir/R4/Patient/1`.
pub fn line(method: &str, target: &str) -> Vec<String> {
    vec![format!("{method} /{target}")]
}
