//! Asking the person before something changes or runs.
//!
//! It is decided here, behind [`Context::ready`], before anything leaves: no tool can forget it, and none knows of it.
//! What was confirmed is what is sent: the question is made from the interaction as it will be sent, bound to the version
//! that was looked at.
//!
//! There are two ways to ask. Up to revision 2025-11-25 the server asks the client while the call waits
//! (`elicitation/create`); from 2026-07-28 on the call's result asks, and the client makes the call again with the answer
//! and the `requestState` that it was given.

mod details;
mod question;
mod state;
mod whom;

use std::collections::BTreeMap;
use std::time::Duration;

use medplum_client::{BotReach, Interaction};
use rmcp::model::{
    ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, InputRequest,
    InputRequests, InputRequiredResult, InputResponses, ProtocolVersion, ServerRequest,
};
use rmcp::service::{PeerRequestOptions, RequestContext, RequestHandle, RoleServer, ServiceError};
use serde_json::Value;

use crate::audit::Confirmed;
use crate::context::{Allowed, Context};
use crate::failure::Failure;
use crate::preflight::{Looked, version_of};
use crate::settings::ConfirmWrites;
use question::Question;
pub use state::Confirmations;
use state::Digest;

/// The one question of a call, by which its answer is found.
const QUESTION: &str = "confirm";
/// How long a question holds up its call. People who are away come back to a host that has given up long before.
const PATIENCE: Duration = Duration::from_secs(300);

/// How the person behind this call can be asked.
#[derive(Debug)]
pub enum Way {
    /// Not at all: the client does not say that it can ask, or there is none.
    Nobody,
    /// Never: whoever calls only reads, and what acts is refused.
    Reads,
    /// By a request to the client, while the call waits.
    Request(Box<RequestContext<RoleServer>>),
    /// By the call's result; the answer comes with the same call, made again.
    Result {
        /// What the question was known by, if this call brings an answer.
        state: Option<String>,
        /// The answer.
        answer: Option<Value>,
    },
}

impl Way {
    /// As the client says of itself, in this call or when it introduced itself.
    pub fn of(request: &RequestContext<RoleServer>, state: Option<String>, answers: Option<InputResponses>) -> Self {
        let elicitation = request.client_capabilities().and_then(|capabilities| capabilities.elicitation);
        // Older clients say no more than that they can ask.
        let forms = elicitation.is_some_and(|can| can.form.is_some() || can.url.is_none());
        if !forms {
            return Self::Nobody;
        }
        let by_result = request.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        if by_result {
            Self::Result { state, answer: answers.and_then(|mut answers| answers.remove(QUESTION)) }
        } else {
            Self::Request(Box::new(request.clone()))
        }
    }
}

/// Types whose creation gives access, or makes something run.
const POWERFUL: &[&str] = &[
    "AccessPolicy",
    "Agent",
    "ClientApplication",
    "DomainConfiguration",
    "IdentityProvider",
    "JsonWebKey",
    "Login",
    "OperationDefinition",
    "Project",
    "ProjectMembership",
    "SmartAppLaunch",
    "Subscription",
    "User",
    "UserSecurityRequest",
];

/// Whether a person is asked about this: whatever acts, but for what a tool that stores one new resource stores, unless
/// that gives access or makes something run.
fn is_asked_about(interaction: &Interaction, allowed: Allowed) -> bool {
    match interaction {
        Interaction::CreateBinary { .. } if allowed.unasked => false,
        Interaction::Create { resource_type, .. } if allowed.unasked => {
            let runs = !matches!(interaction.bots(), BotReach::Only(bots) if bots.is_empty());
            runs || POWERFUL.contains(&resource_type.as_str())
        }
        other => !other.effect().is_read(),
    }
}

/// Lets some steps pass if the person says so, or if nobody is to be asked; which of the two it was.
///
/// # Errors
/// [`Failure`] with the person's no, with the question itself where the call's result asks it, and with what to do where
/// there is nobody to ask. Nothing was sent.
pub(crate) async fn confirm(cx: &Context<'_>, looked: &[Looked], allowed: Allowed) -> Result<Confirmed, Failure> {
    let is_asked = looked.iter().any(|looked| is_asked_about(&looked.interaction, allowed));
    match (cx.limits().confirm, cx.way()) {
        (_, Way::Reads) => Err(Failure::teach("To read a resource never acts. A tool does this. Nothing was sent.")),
        _ if !is_asked => Ok(Confirmed::Creation),
        (ConfirmWrites::Never, _) => Ok(Confirmed::Never),
        (ConfirmWrites::Auto, Way::Nobody) => Ok(Confirmed::CannotAsk),
        (ConfirmWrites::Always, Way::Nobody) => Err(Failure::teach(
            "This server asks a person before it changes or runs anything (MEDPLUM_CONFIRM_WRITES=always), and this client does not say that it can ask (the capability elicitation). Nothing was sent. Use a client that can, or the operator sets MEDPLUM_CONFIRM_WRITES=auto and relies on the client's own permission prompt.",
        )),
        (_, Way::Request(request)) => {
            let question = Question::about(cx, looked).await?;
            let action = ask_and_wait(cx, request, question.text()).await?;
            accepted(&action)?;
            Ok(Confirmed::Person)
        }
        (_, Way::Result { state, answer }) => {
            // The call is made again from its start, so nothing may have been done by then.
            if cx.has_acted() {
                return Err(Failure::teach(
                    "A second question would be needed after a part was carried out. The rest was not sent.",
                ));
            }
            let question = Question::about(cx, looked).await?;
            by_result(cx, looked, &question, state.as_deref(), answer.as_ref())?;
            Ok(Confirmed::Person)
        }
    }
}

fn accepted(action: &ElicitationAction) -> Result<(), Failure> {
    match action {
        ElicitationAction::Accept => Ok(()),
        ElicitationAction::Decline => Err(Failure::declined("Nothing was written: the person declined.")),
        _ => Err(Failure::declined("Nothing was written: the person closed the question without an answer.")),
    }
}

fn elicitation(text: String) -> ElicitRequest {
    // Without a field to fill in, accepting is the yes.
    let requested_schema = ElicitationSchema::new(BTreeMap::new());
    ElicitRequest::new(ElicitRequestParams::FormElicitationParams { meta: None, message: text, requested_schema })
}

/// Asks the client, and waits for a while.
async fn ask_and_wait(
    cx: &Context<'_>,
    request: &RequestContext<RoleServer>,
    text: String,
) -> Result<ElicitationAction, Failure> {
    let Ok(_one_of_few) = cx.kept().confirmations.open.try_acquire() else {
        return Err(Failure::teach(
            "Several questions wait for the person already. Nothing was written. Make the call again when they are answered.",
        ));
    };
    let failed = |why: &str| Failure::teach(format!("The person could not be asked: {why}. Nothing was written."));
    let asked = ServerRequest::ElicitRequest(elicitation(text));
    let asked = request.peer.send_request_with_option(asked, PeerRequestOptions::no_options()).await;
    let asked = asked.map_err(|_| failed("the client does not take the question"))?;
    let mut open = Open(Some(asked));
    let Some(asked) = &mut open.0 else { return Err(failed("the client is gone")) };
    let answer = tokio::select! {
        biased;
        () = request.ct.cancelled() => Err("the call was cancelled"),
        answer = &mut asked.rx => Ok(answer),
        () = cx.clock().sleep(PATIENCE) => Err("nobody answered within 5 minutes"),
    };
    let asked = open.0.take();
    match answer {
        Ok(Ok(Ok(ClientResult::ElicitResult(result)))) => Ok(result.action),
        Ok(Ok(Ok(_))) => Err(failed("the client's answer is none of accept, decline and cancel")),
        Ok(Ok(Err(ServiceError::McpError(_)))) => Err(failed("the client answered the question with an error")),
        Ok(_) => Err(failed("the client is gone")),
        Err(why) => {
            if let Some(asked) = asked {
                let _ = asked.cancel(Some(why.to_owned())).await;
            }
            Err(failed(why))
        }
    }
}

/// A question that waits for its answer. One that is given up is taken back, so that nobody answers what is not waited for.
struct Open(Option<RequestHandle<RoleServer>>);

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(asked), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(asked.cancel(Some("the question is not waited for any more".to_owned())));
        }
    }
}

/// Asks by the result of this call, or takes the answer that this call brings.
fn by_result(
    cx: &Context<'_>,
    looked: &[Looked],
    question: &Question,
    state: Option<&str>,
    answer: Option<&Value>,
) -> Result<(), Failure> {
    let (questions, now) = (&cx.kept().confirmations, cx.clock().monotonic());
    let (key, call) = (cx.cursors().key, cx.cursors().query.as_str());
    let shown = digest(cx, looked, question);
    let ask = |text: String| {
        let state = questions.seal(key, call, shown, now)?;
        let request = InputRequest::Elicitation(elicitation(text));
        let requests = InputRequests::from([(QUESTION.to_owned(), request)]);
        Err(Failure::question(InputRequiredResult::new(Some(requests), Some(state))))
    };
    let Some(state) = state else { return ask(question.text()) };
    let opened = questions.open(key, call, state, now)?;
    let Some(answer) = answer else { return ask(question.text()) };
    let Ok(ElicitResult { action, .. }) = serde_json::from_value(answer.clone()) else {
        return Err(Failure::teach(format!(
            "inputResponses.{QUESTION}: must be the result of the elicitation, such as {{\"action\":\"accept\",\"content\":{{}}}}. Nothing was written."
        )));
    };
    questions.spend(&opened, now)?;
    accepted(&action)?;
    if opened.shown == shown {
        return Ok(());
    }
    ask(format!("What you were asked about changed meanwhile.\n{}", question.text()))
}

/// A digest of what the person is shown, and of all that will be sent.
fn digest(cx: &Context<'_>, looked: &[Looked], question: &Question) -> Digest {
    let mut parts = vec![question.text().into_bytes()];
    for looked in looked {
        parts.push(format!("{:?}", looked.interaction.to_request()).into_bytes());
        let versions = looked.changes.iter().map(|change| change.stored.as_ref().and_then(version_of));
        parts.push(format!("{:?}", versions.collect::<Vec<_>>()).into_bytes());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let tag = cx.cursors().key.tag("shown", &parts);
    let mut digest = Digest::default();
    digest.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    digest
}
