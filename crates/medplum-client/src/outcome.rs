//! What Medplum says when it refuses: its status and its OperationOutcome
//! (<https://hl7.org/fhir/R4/operationoutcome.html>).

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// A failure that Medplum answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The HTTP status, or an entry's.
    pub status: u16,
    /// Medplum's id of the outcome: `not-found`, `gone`, `forbidden`, `precondition-failed` …
    pub id: Option<String>,
    /// What it says, in its order.
    pub issues: Vec<Issue>,
    /// The id by which the server's log knows the request.
    pub request_id: Option<String>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the write, in this attempt or in an earlier one, may have been carried out all the same.
    pub uncertain: bool,
}

/// One issue of an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is: `fatal`, `error`, `warning`, `information`.
    pub severity: String,
    /// The kind: `invalid`, `structure`, `not-found` …
    pub code: String,
    /// What is wrong, in Medplum's words.
    pub text: String,
    /// The elements that it is about.
    pub expression: Vec<String>,
    /// What the server says of its own failure. It is not shown.
    pub diagnostics: Option<String>,
}

impl Outcome {
    /// Takes the body of a failed answer. A body that is no OperationOutcome gives an outcome without issues, or
    /// with the `error_description` of an OAuth error.
    pub fn new(status: u16, body: Option<&Value>) -> Self {
        let empty =
            Self { status, id: None, issues: Vec::new(), request_id: None, retry_after: None, uncertain: false };
        let Some(body) = body else {
            return empty;
        };
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        if body.get("resourceType").and_then(Value::as_str) != Some("OperationOutcome") {
            let said = text("error_description").or_else(|| text("message")).or_else(|| text("error"));
            let issues = said.map(|text| Issue {
                severity: "error".into(),
                code: "unknown".into(),
                text,
                expression: Vec::new(),
                diagnostics: None,
            });
            return Self { issues: issues.into_iter().collect(), ..empty };
        }
        let issues = body.get("issue").and_then(Value::as_array).into_iter().flatten().map(Issue::new).collect();
        Self { id: text("id"), issues, request_id: request_id(body), ..empty }
    }

    /// All that the server said in it.
    pub(crate) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        self.id.iter_mut().chain(&mut self.request_id).chain(self.issues.iter_mut().flat_map(Issue::texts))
    }

    /// Whether it carries this id, such as `not-found`.
    pub fn is(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }
}

impl Issue {
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let Self { severity, code, text, expression, diagnostics } = self;
        [severity, code, text].into_iter().chain(expression).chain(diagnostics)
    }

    fn new(issue: &Value) -> Self {
        let text = |pointer: &str| issue.pointer(pointer).and_then(Value::as_str);
        let expression = issue.get("expression").and_then(Value::as_array);
        Self {
            severity: text("/severity").unwrap_or("error").to_owned(),
            code: text("/code").unwrap_or("unknown").to_owned(),
            text: text("/details/text").or_else(|| text("/diagnostics")).unwrap_or_default().to_owned(),
            expression: expression.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            diagnostics: text("/diagnostics").map(str::to_owned),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Medplum answered {}", self.status)?;
        if self.issues.is_empty() {
            f.write_str(" without an OperationOutcome, so it may be a proxy that answered")?;
        }
        for (index, issue) in self.issues.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            f.write_str(if issue.text.is_empty() { &issue.code } else { &issue.text })?;
            if !issue.expression.is_empty() {
                write!(f, " ({})", issue.expression.join(", "))?;
            }
        }
        if self.uncertain {
            // Below 500 this attempt was refused, so it is an earlier one that is in doubt.
            let what = if self.status >= 500 { "The request" } else { "An earlier attempt" };
            write!(f, ". {what} may have been carried out")?;
        }
        Ok(())
    }
}

/// Medplum's tracing extension carries the id of the request.
fn request_id(outcome: &Value) -> Option<String> {
    let extensions = |value: &Value| value.get("extension").and_then(Value::as_array).cloned().unwrap_or_default();
    extensions(outcome)
        .iter()
        .flat_map(&extensions)
        .find(|part| part.get("url").and_then(Value::as_str) == Some("requestId"))
        .and_then(|part| part.get("valueId").and_then(Value::as_str).map(str::to_owned))
}
