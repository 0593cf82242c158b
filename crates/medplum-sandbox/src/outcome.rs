//! Every answer that is an OperationOutcome, in the very words that Medplum uses.

use serde_json::{Value, json};

/// One thing to say in an [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) severity: &'static str,
    pub(crate) code: &'static str,
    pub(crate) text: String,
    pub(crate) expression: Option<String>,
    pub(crate) diagnostics: Option<String>,
}

impl Issue {
    /// An error with a code and a text.
    pub(crate) fn error(code: &'static str, text: impl Into<String>) -> Self {
        Self { severity: "error", code, text: text.into(), expression: None, diagnostics: None }
    }

    /// The same issue, at a place in the resource.
    pub(crate) fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    fn body(&self) -> Value {
        let mut issue = json!({"severity": self.severity, "code": self.code, "details": {"text": self.text}});
        if let Some(map) = issue.as_object_mut() {
            if let Some(expression) = &self.expression {
                map.insert("expression".into(), json!([expression]));
            }
            if let Some(diagnostics) = &self.diagnostics {
                map.insert("diagnostics".into(), json!(diagnostics));
            }
        }
        issue
    }
}

/// What became of a request: the HTTP status and the OperationOutcome that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) id: Option<&'static str>,
    pub(crate) issues: Vec<Issue>,
}

/// A result whose failure is an outcome to send.
pub(crate) type Result<T> = std::result::Result<T, Outcome>;

impl Outcome {
    fn named(status: u16, id: &'static str, code: &'static str, text: &str) -> Self {
        Self { status, id: Some(id), issues: vec![Issue::error(code, text)] }
    }

    fn information(status: u16, id: &'static str, text: &str) -> Self {
        let mut outcome = Self::named(status, id, "informational", text);
        for issue in &mut outcome.issues {
            issue.severity = "information";
        }
        outcome
    }

    pub(crate) fn all_ok() -> Self {
        Self::information(200, "ok", "All OK")
    }

    pub(crate) fn created() -> Self {
        Self::information(201, "created", "Created")
    }

    pub(crate) fn accepted(location: &str) -> Self {
        let mut outcome = Self::information(202, "accepted", "Accepted");
        for issue in &mut outcome.issues {
            issue.diagnostics = Some(location.to_owned());
        }
        outcome
    }

    pub(crate) fn not_modified() -> Self {
        Self::information(304, "not-modified", "Not Modified")
    }

    pub(crate) fn not_found() -> Self {
        Self::named(404, "not-found", "not-found", "Not found")
    }

    pub(crate) fn gone() -> Self {
        Self::named(410, "gone", "deleted", "Gone")
    }

    pub(crate) fn forbidden() -> Self {
        Self::named(403, "forbidden", "forbidden", "Forbidden")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::named(401, "unauthorized", "login", "Unauthorized")
    }

    pub(crate) fn precondition_failed() -> Self {
        Self::named(412, "precondition-failed", "processing", "Precondition Failed")
    }

    pub(crate) fn multiple_matches() -> Self {
        Self::named(412, "multiple-matches", "multiple-matches", "Multiple resources found matching condition")
    }

    pub(crate) fn too_many_requests(diagnostics: String) -> Self {
        let mut outcome = Self::named(429, "too-many-requests", "throttled", "Too Many Requests");
        for issue in &mut outcome.issues {
            issue.diagnostics = Some(diagnostics.clone());
        }
        outcome
    }

    /// A 400 with a text and nothing else.
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::of_issues(vec![Issue::error("invalid", text)])
    }

    /// A 400 with a text and a place.
    pub(crate) fn bad_request_at(text: impl Into<String>, expression: impl Into<String>) -> Self {
        Self::of_issues(vec![Issue::error("invalid", text).at(expression)])
    }

    /// A 400 of these issues.
    pub(crate) fn of_issues(issues: Vec<Issue>) -> Self {
        Self { status: 400, id: None, issues }
    }

    pub(crate) fn unknown_type() -> Self {
        Self::of_issues(vec![Issue::error("structure", "Unknown resource type")])
    }

    /// Something that the real server itself gets wrong.
    pub(crate) fn server_error(what: &str) -> Self {
        let mut outcome = Self::named(500, "error", "exception", "Internal server error");
        outcome.id = None;
        for issue in &mut outcome.issues {
            issue.diagnostics = Some(what.to_owned());
        }
        outcome
    }

    /// What the sandbox does not do, said so: never a silent empty answer.
    pub(crate) fn not_implemented(what: &str) -> Self {
        Self {
            status: 501,
            id: Some("not-supported"),
            issues: vec![Issue::error("not-supported", format!("The sandbox does not do this: {what}"))],
        }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status < 400
    }

    /// The first issue's text.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        self.issues.first().map_or("", |issue| issue.text.as_str())
    }

    /// All issues in one line, as the real server puts an outcome into an exception.
    pub(crate) fn sentence(&self) -> String {
        let told = self.issues.iter().map(|issue| {
            let more = issue.diagnostics.as_ref().or(issue.expression.as_ref());
            more.map_or_else(|| issue.text.clone(), |more| format!("{} ({more})", issue.text))
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// The resource, without the tracing extension, as it stands inside a bundle.
    pub(crate) fn body(&self) -> Value {
        let mut body = serde_json::Map::new();
        body.insert("resourceType".into(), json!("OperationOutcome"));
        if let Some(id) = self.id {
            body.insert("id".into(), json!(id));
        }
        body.insert("issue".into(), self.issues.iter().map(Issue::body).collect());
        Value::Object(body)
    }

    /// The resource as it is sent on its own: with the ids under which the server's log knows the request.
    pub(crate) fn traced_body(&self, request_id: &str, trace_id: &str) -> Value {
        let mut body = self.body();
        if let Some(map) = body.as_object_mut() {
            map.insert(
                "extension".into(),
                json!([{
                    "url": "https://medplum.com/fhir/StructureDefinition/tracing",
                    "extension": [
                        {"url": "requestId", "valueId": request_id},
                        {"url": "traceId", "valueId": trace_id}
                    ]
                }]),
            );
        }
        body
    }
}
