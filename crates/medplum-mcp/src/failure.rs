//! Why a call has no answer, and how that is said to an agent.

use std::fmt;

use fhir_definitions::Definitions;
use medplum_client::{Error, InvalidRequest, NameError, Outcome};
use rmcp::model::InputRequiredResult;

use crate::context::Context;
use crate::no_connection::remedy;
use crate::{flags, shown};

/// So much of what the server says is repeated.
const SAID: usize = 1_000;

/// What is said where Medplum's quota shows in a part of an answer, which does not say for how long.
pub(crate) const WAIT: &str = "These were too many requests: wait 60 s before the next call.";

/// A call that failed. What an agent reads of it is made by [`Failure::explain`].
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    hint: Option<String>,
    /// What an answer of Medplum's means here, where its status alone would say something else.
    means: Option<String>,
    /// What was asked, where it is no more than a look at something: "the look at Patient/1".
    look: Option<String>,
}

#[derive(Debug)]
enum Kind {
    /// In our own words, whole.
    Said(String),
    /// In our own words, a fault each, with what stands between them and what is said behind them.
    Several(Box<Several>),
    /// From the client.
    Client(Error),
    /// The person's no, in our own words.
    Declined(&'static str),
    /// A question to the person, which is the call's result.
    Question(Box<InputRequiredResult>),
}

/// Several faults, with what stands between them and what is said behind them.
#[derive(Debug)]
struct Several {
    faults: Vec<String>,
    between: &'static str,
    end: String,
}

/// What a call ends with that was stopped for the person's sake, and is no error.
pub(crate) enum Stopped {
    /// The person does not want it.
    Declined(&'static str),
    /// The person is asked.
    Question(Box<InputRequiredResult>),
}

/// The path of a bundle's entry.
pub(crate) fn entry_path(index: usize) -> String {
    format!("bundle.entry[{index}]")
}

impl Failure {
    /// A failure in words that teach: what was wrong, where, and the call that would work.
    pub fn teach(text: impl Into<String>) -> Self {
        Kind::Said(text.into()).into()
    }

    /// Several faults, with what stands between them and what is said behind them. As many are named as the answer has room
    /// for.
    pub(crate) fn several(faults: Vec<String>, between: &'static str, end: impl Into<String>) -> Self {
        Kind::Several(Box::new(Several { faults, between, end: end.into() })).into()
    }

    /// Whether Medplum failed with a 500, as it does on a page by time all of which is of one instant.
    pub(crate) fn is_internal(&self) -> bool {
        self.status() == Some(500)
    }

    /// Whether it says itself that this was why.
    pub(crate) fn is_stuck_in_time(&self) -> bool {
        let Some(Error::Outcome(outcome)) = self.error() else { return false };
        outcome.issues.iter().any(|issue| issue.diagnostics.as_ref().is_some_and(|said| said.contains("make progress")))
    }

    /// The person does not want it. That is an answer, and ends the call.
    pub(crate) fn declined(text: &'static str) -> Self {
        Kind::Declined(text).into()
    }

    /// The person is to be asked, by the call's result.
    pub(crate) fn question(question: InputRequiredResult) -> Self {
        Kind::Question(Box::new(question)).into()
    }

    /// What the call ends with instead of an error, if it was stopped for the person's sake.
    ///
    /// # Errors
    /// The failure itself, if it is one.
    pub(crate) fn into_stopped(self) -> Result<Stopped, Self> {
        match self.kind {
            Kind::Declined(text) => Ok(Stopped::Declined(text)),
            Kind::Question(question) => Ok(Stopped::Question(question)),
            kind => Err(Self { kind, ..self }),
        }
    }

    /// A request that is refused before it leaves.
    pub fn not_sent(reason: impl fmt::Display) -> Self {
        Self::teach(not_sent(reason))
    }

    /// The same failure, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, with a sentence before what to do next.
    #[must_use]
    pub fn first(mut self, sentence: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{sentence} {hint}"),
            None => sentence.to_owned(),
        });
        self
    }

    /// The same failure, with what Medplum's answer means instead of what its status says in general.
    #[must_use]
    pub fn means(mut self, advice: impl Into<String>) -> Self {
        self.means = Some(advice.into());
        self
    }

    /// The same failure, with the place that it is about in front, where it is in our words.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        match self.kind {
            Kind::Said(text) => Self { kind: Kind::Said(format!("{place}: {text}")), means: None, ..self },
            Kind::Several(mut several) => {
                several.faults.iter_mut().take(1).for_each(|fault| *fault = format!("{place}: {fault}"));
                Self { kind: Kind::Several(several), means: None, ..self }
            }
            kind => Self { kind, ..self },
        }
    }

    /// The same failure, if it is about an entry of a bundle with that in front.
    #[must_use]
    pub(crate) fn in_entry(self, entry: Option<usize>) -> Self {
        match entry {
            Some(index) => self.at(&entry_path(index)),
            None => self,
        }
    }

    /// The same failure, with what was asked: nothing but a look at something, which a write may have been waiting for.
    #[must_use]
    pub(crate) fn of_look(mut self, look: impl FnOnce() -> String) -> Self {
        if self.error().is_some_and(|error| !matches!(error, Error::Invalid(_) | Error::Refused(_))) {
            self.look.get_or_insert_with(look);
        }
        self
    }

    /// Whether no more was asked than a look at something.
    pub(crate) fn is_of_a_look(&self) -> bool {
        self.look.is_some()
    }

    /// The client's error behind it.
    pub fn error(&self) -> Option<&Error> {
        match &self.kind {
            Kind::Client(error) => Some(error),
            _ => None,
        }
    }

    /// The status that Medplum answered with.
    pub fn status(&self) -> Option<u16> {
        self.error().and_then(Error::status)
    }

    /// Whether Medplum itself says of what was asked for that it is not there: no look beforehand, and no proxy.
    pub(crate) fn says_not_found(&self) -> bool {
        let Some(Error::Outcome(outcome)) = self.error() else { return false };
        outcome.status == 404 && !outcome.issues.is_empty() && !self.is_of_a_look()
    }

    /// Whether a condition matched several resources.
    pub(crate) fn is_of_several(&self) -> bool {
        let Some(Error::Outcome(outcome)) = self.error() else { return false };
        says_several(outcome)
    }

    /// Whether Medplum did not find what it was asked for by its URL: a value set, a code system, a concept map.
    pub(crate) fn is_unknown_canonical(&self) -> bool {
        let Some(Error::Outcome(outcome)) = self.error() else { return false };
        outcome.status == 400 && outcome.issues.iter().any(|issue| issue.text.ends_with("not found"))
    }

    /// Whether Medplum refused a patch because a test in it failed.
    pub(crate) fn is_failed_test(&self) -> bool {
        let Some(Error::Outcome(outcome)) = self.error() else { return false };
        outcome.status == 400 && outcome.issues.iter().any(|issue| issue.text.starts_with("Test failed"))
    }

    /// What the agent reads: as long as an answer may be, and no longer.
    pub fn explain(&self, cx: &Context<'_>) -> String {
        let behind = self.behind(cx);
        let room = cx.budget().saturating_sub(behind.chars().count()).saturating_sub(2);
        let text = shown::within(self.said(cx), room);
        if behind.is_empty() { sentence(text) } else { format!("{} {behind}", sentence(text)) }
    }

    fn said(&self, cx: &Context<'_>) -> String {
        match &self.kind {
            Kind::Said(text) => text.clone(),
            Kind::Several(several) => {
                let Several { faults, between, end } = several.as_ref();
                let room = room(cx).saturating_sub(end.chars().count());
                format!("{}{between}{end}", shown::some_of(faults, between, room))
            }
            Kind::Client(Error::Outcome(outcome)) => from_medplum(outcome, self.means.as_deref(), cx),
            Kind::Client(error @ Error::Redirect { .. }) if self.means.is_some() => {
                let means = self.means.as_deref().unwrap_or_default();
                format!("{} {means}", sentence(capital(error.to_string())))
            }
            Kind::Client(error) => client(error, cx),
            Kind::Declined(text) => (*text).to_owned(),
            Kind::Question(_) => "The person is to be asked first. Nothing was sent".to_owned(),
        }
    }

    /// What is said behind it, whatever it is.
    fn behind(&self, cx: &Context<'_>) -> String {
        let look = self.look.as_ref().zip(cx.undone()).map(|(look, undone)| {
            let again = if self.error().is_some_and(may_pass) { ": the call can be made again" } else { "" };
            format!("This was {look} beforehand. {undone}{again}")
        });
        let flag = self.error().map(said_by_server).and_then(|said| flags::note_of_error(&said));
        let all = look.into_iter().chain(self.hint.clone()).chain(flag.map(str::to_owned));
        all.map(sentence).collect::<Vec<_>>().join(" ")
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Self {
        Self { kind, hint: None, means: None, look: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Kind::Client(error).into()
    }
}

impl From<InvalidRequest> for Failure {
    fn from(error: InvalidRequest) -> Self {
        Error::from(error).into()
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        InvalidRequest::from(error).into()
    }
}

/// The characters that a list in an error may have: what is said around it needs some too.
fn room(cx: &Context<'_>) -> usize {
    cx.budget() / 2
}

fn sentence(mut text: String) -> String {
    if !text.ends_with(['.', '!', '?', '}', ']', '"']) {
        text.push('.');
    }
    text
}

fn not_sent(reason: impl fmt::Display) -> String {
    format!("{}. Nothing was sent.", reason.to_string().trim_end_matches('.'))
}

/// Whether a read that failed so may go well the next time.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Outcome(outcome) => outcome.status >= 500 && outcome.status != 501,
        error => matches!(error, Error::Lost { .. } | Error::TooSlow { .. } | Error::Unreachable { .. }),
    }
}

/// As a sentence begins.
fn capital(text: String) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn client(error: &Error, cx: &Context<'_>) -> String {
    match error {
        Error::Invalid(invalid @ InvalidRequest::Path(_)) => {
            not_sent(format!("{invalid}, such as {}Patient/<id> or auth/me", cx.fhir_path().as_str()))
        }
        Error::Invalid(invalid) => not_sent(invalid),
        Error::Credentials { description } => format!(
            "{}. The operator sets MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET to those of a ClientApplication of this server, and restarts",
            Error::Credentials { description: description.as_ref().map(|said| shown::text(said, SAID)) }
        ),
        Error::AccessToken => format!(
            "{error}. The operator sets MEDPLUM_ACCESS_TOKEN anew, or MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET, and restarts"
        ),
        Error::Unreachable { why, proxy, .. } => {
            let remedy = remedy(*why, proxy.as_deref());
            format!("{error}. For the operator: MEDPLUM_BASE_URL is {}. {remedy}", cx.base_url())
        }
        Error::NotFhir { status: 202, reason, .. } if error.may_have_acted() => format!(
            "It was accepted (HTTP 202), to be carried out later, and the answer does not say what became of it: {reason}. The request may have been carried out"
        ),
        Error::NotFhir { .. } | Error::Redirect { .. } => {
            format!(
                "{}. Is MEDPLUM_BASE_URL ({}) the Medplum API and MEDPLUM_FHIR_URL_PATH its FHIR path?{}",
                capital(error.to_string()),
                cx.base_url(),
                between(cx)
            )
        }
        Error::SignIn(outcome) => sign_in(outcome, cx),
        Error::TooLarge { .. } => format!(
            "{}. Ask for less: a smaller count, or a narrower search; the operator's ceiling is MEDPLUM_MAX_RESPONSE_MB",
            capital(error.to_string())
        ),
        Error::TooSlow { .. } => format!(
            "{}. Ask for less: a smaller count, or a narrower search; the operator's limit is four times MEDPLUM_TIMEOUT_SECONDS",
            capital(error.to_string())
        ),
        Error::Outcome(outcome) => from_medplum(outcome, None, cx),
        // It begins with the name of what is closed.
        Error::Refused(refusal) => refusal.to_string(),
        other => capital(other.to_string()),
    }
}

/// What came instead of a token: nothing else was asked.
fn sign_in(outcome: &Outcome, cx: &Context<'_>) -> String {
    let said = sentence(format!("Signing in at oauth2/token failed: {}", quoted(outcome, cx)));
    if outcome.status == 429 {
        return format!("{said} {}", wait(outcome));
    }
    let advice = match outcome.status {
        407 => proxy_password(cx),
        // Where nobody speaks Medplum's words, it may well not be Medplum.
        status if status == 404 || outcome.issues.is_empty() => {
            format!("Is MEDPLUM_BASE_URL ({}) the Medplum API?{}", cx.base_url(), between(cx))
        }
        ..500 => "That is for the operator: the server refuses this client, whatever is asked".to_owned(),
        _ => "The call can be repeated".to_owned(),
    };
    format!("{said} Nothing was sent. {advice}")
}

/// What is done for a proxy that is asked without a user, or with another.
fn proxy_password(cx: &Context<'_>) -> String {
    match cx.proxy() {
        Some(proxy) if proxy.signs_in => format!(
            "For the operator: the user name and password in the URL of {} are not those that the proxy takes",
            proxy.named_by
        ),
        _ => "The operator puts the user name and password that the proxy asks for into the URL of HTTP_PROXY, in front of its host".to_owned(),
    }
}

/// The proxy that may have answered in Medplum's place, if there is one.
fn between(cx: &Context<'_>) -> String {
    let proxy =
        cx.proxy().map(|proxy| format!(" The way leads through the proxy {} ({}).", proxy.host, proxy.named_by));
    proxy.unwrap_or_default()
}

/// Whether a condition matched several resources.
fn says_several(outcome: &Outcome) -> bool {
    let mut names = outcome.id.iter().chain(outcome.issues.iter().map(|issue| &issue.code));
    outcome.status == 412 && names.any(|name| name == "multiple-matches")
}

fn wait(outcome: &Outcome) -> String {
    format!("Wait {} s before the next call", outcome.retry_after.map_or(60, |wait| wait.as_secs().max(1)))
}

/// What Medplum answers with an empty 431: the line of a request and its headers may have 16 KB together.
const TOO_LONG: &str = "The request is too long for Medplum (HTTP 431): path and query may have about 14,000 characters. Ask for less at once: fewer or shorter values, and one resource type at a time, whose long searches go by POST";

/// Medplum's own words come through, and what they mean for the next call behind them.
fn from_medplum(outcome: &Outcome, means: Option<&str>, cx: &Context<'_>) -> String {
    if outcome.status == 431 {
        return TOO_LONG.to_owned();
    }
    let said = sentence(quoted(&without_values(outcome), cx));
    if let Some(means) = means {
        return format!("{said} {means}");
    }
    let advice = match (outcome.status, outcome.id.as_deref()) {
        (401, _) => "The token was refused twice. The operator checks the ClientApplication of MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET".into(),
        // Medplum's own refusal says what it is.
        (403, _) if outcome.issues.is_empty() => format!(
            "Medplum's own refusals come with one. For the operator: what stands before MEDPLUM_BASE_URL ({}), such as a firewall, does not let this through.{}",
            cx.base_url(),
            between(cx)
        ),
        (407, _) => proxy_password(cx),
        (403, _) if cx.acts_on_behalf() => "The membership on whose behalf this is asked may not do that, or this client may not act for it (it must be a project admin)".into(),
        (403, _) => "This client's access policy does not permit it. Another id or type may be permitted; the same call will not be".into(),
        (404, None) if outcome.issues.is_empty() => format!(
            "There is nothing at that path. Is MEDPLUM_BASE_URL ({}) the Medplum API and MEDPLUM_FHIR_URL_PATH its FHIR path?{}",
            cx.base_url(),
            between(cx)
        ),
        (404, _) if cx.acts_on_behalf() => "No such id in this project, or not visible to the membership on whose behalf this is asked. Ids come from a search".into(),
        (404, _) => "No such id in this project, or not visible to this client. Ids come from a search, such as search_resources with an identifier".into(),
        (410, _) => format!("It was deleted. Its earlier versions: raw_request GET {}<Type>/<id>/_history", cx.fhir_path().as_str()),
        (412, _) if says_several(outcome) => "Several resources match the condition, so nothing was created. Narrow it to an identifier".into(),
        (412, _) if outcome.uncertain => return format!(
            "{} It may have been carried out all the same: the answer to the first attempt was lost, and the second found a newer version, perhaps the one that the first wrote. Read it: if your change is there, it is done",
            sentence(quoted(&Outcome { uncertain: false, ..without_values(outcome) }, cx))
        ),
        (412, _) => "It changed after the version that was read. Read it again and reapply the change".into(),
        (429, _) => wait(outcome),
        (400, _) => advice_on_bad_request(outcome).unwrap_or_default(),
        (501, _) => String::new(),
        (500.., _) if !outcome.uncertain && !cx.is_to_act() => "A read can be repeated".into(),
        _ => String::new(),
    };
    if advice.is_empty() { said } else { format!("{said} {advice}") }
}

/// The server's own words in quotes: they may repeat what somebody stored or sent, and are none of ours. As many issues as
/// there is room for, and how many more.
fn in_quotes(outcome: &Outcome, room: usize) -> Outcome {
    let (mut used, all) = (0_usize, outcome.issues.len());
    let mut outcome = outcome.clone();
    for (index, issue) in outcome.issues.iter_mut().enumerate() {
        if !issue.text.is_empty() {
            issue.text = shown::text(&issue.text, SAID.min(room / 2));
        }
        issue.code = shown::path(&issue.code);
        let paths: Vec<String> = issue.expression.iter().map(|path| shown::path(path)).collect();
        issue.expression = paths.first().map(|_| shown::some_of(&paths, ", ", room / 4)).into_iter().collect();
        let sizes = issue.expression.iter().chain([&issue.text, &issue.code]).map(|text| text.chars().count());
        used = used.saturating_add(sizes.sum());
        if used > room && index > 0 {
            issue.text = format!("and {} more", all.saturating_sub(index));
            issue.expression.clear();
            outcome.issues.truncate(index.saturating_add(1));
            break;
        }
    }
    outcome
}

fn quoted(outcome: &Outcome, cx: &Context<'_>) -> String {
    let mut text = in_quotes(outcome, room(cx)).to_string();
    if text.ends_with('"') {
        text.push('.');
    }
    text
}

/// All that the server says in an error.
fn said_by_server(error: &Error) -> Vec<&str> {
    match error {
        Error::Outcome(outcome) | Error::SignIn(outcome) => {
            let texts = outcome.issues.iter().map(|issue| &issue.text);
            texts.chain(outcome.issues.iter().flat_map(|issue| &issue.expression)).map(String::as_str).collect()
        }
        Error::Credentials { description: Some(said) } => vec![said],
        _ => Vec::new(),
    }
}

/// Medplum names both values of a failed test, and the stored one may be a secret.
fn without_values(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    for issue in &mut outcome.issues {
        if issue.text.starts_with("Test failed") {
            issue.text = "Test failed".into();
        }
    }
    outcome
}

fn advice_on_bad_request(outcome: &Outcome) -> Option<String> {
    let text = &outcome.issues.first()?.text;
    if text == "Unknown resource type" {
        return Some(
            "Types are written like Patient or MedicationRequest; get_resource_capabilities lists them".into(),
        );
    }
    if text.starts_with("Unknown search parameter") {
        return Some("get_resource_capabilities lists the parameters of a type".into());
    }
    if ["Missing required property", "Invalid additional property", "Expected array"]
        .iter()
        .any(|start| text.starts_with(start))
    {
        return Some("get_resource_schema lists the elements of a type".into());
    }
    text.starts_with("Test failed").then(|| "The resource is not as the patch expects: read it again".into())
}

/// "Nearest: Patient, Person": what a misspelt resource type could have meant; empty if nothing is near.
pub fn nearest_types(given: &str) -> String {
    let near = Definitions::get().nearest_types(given);
    if near.is_empty() { String::new() } else { format!(" Nearest: {}.", near.join(", ")) }
}
