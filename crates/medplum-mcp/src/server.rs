//! The protocol: what this server answers to an MCP client.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fhir_definitions::nearest;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use medplum_client::{Call, Client, Membership, NameError};
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    CompletionInfo, ContentBlock, CustomRequest, CustomResult, ErrorCode, Implementation, JsonObject,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResourceContents, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::Semaphore;

use crate::answer::cursor::CursorKey;
use crate::answer::{Answer, Limits as AnswerLimits};
use crate::audit::{Ending, Record, Recorder, Unwritten};
use crate::cleanse::cleanse_text;
use crate::confirm::Way;
use crate::context::{Caller, Context, Cursors, Kept};
use crate::failure::{Failure, Stopped};
use crate::progress::Progress;
use crate::resources::{self, RecordUri};
use crate::settings::Limits;
use crate::tool::{Tool, split_on_behalf_of};
use crate::tools;
use crate::toolset::without_closed;
use crate::transport::no_method;

/// What every agent reads once. Shared wording stands here, not in every tool.
pub const INSTRUCTIONS: &str = include_str!("instructions.txt");

/// A smaller budget holds no useful answer.
const SMALLEST_BUDGET: usize = 1_000;

/// Calls that run at the same time; the others wait.
const CALLS_AT_ONCE: usize = 64;

/// The server: its tools under the operator's limits, over one client.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    limits: Limits,
    tools: Vec<Tool>,
    /// The names of those that are closed: no text speaks of them.
    closed: Vec<&'static str>,
    kept: Kept,
    calls: Semaphore,
    cursor_key: CursorKey,
    recorder: Recorder,
}

impl Server {
    /// A server over a client whose gate holds the same limits. Nothing is sent.
    ///
    /// # Errors
    /// If the machine has no randomness to sign cursors with.
    pub fn new(client: Client, limits: Limits) -> std::io::Result<Self> {
        Self::recorded_by(Recorder::without_log(), client, limits)
    }

    /// The same, with its calls recorded.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn recorded_by(recorder: Recorder, client: Client, limits: Limits) -> std::io::Result<Self> {
        Ok(Self::with(CursorKey::random()?, recorder, client, limits))
    }

    /// One whose cursors are signed with a key that is known, and so the same from run to run. For a server that nobody
    /// else can reach.
    pub(crate) fn with_known_key(key: CursorKey, client: Client, limits: Limits) -> Self {
        Self::with(key, Recorder::without_log(), client, limits)
    }

    fn with(cursor_key: CursorKey, recorder: Recorder, client: Client, limits: Limits) -> Self {
        let (tools, closed) = tools::told(&limits);
        let kept = Kept::new(client.clock());
        let inner =
            Inner { client, limits, tools, closed, kept, calls: Semaphore::new(CALLS_AT_ONCE), cursor_key, recorder };
        Self { inner: Arc::new(inner) }
    }

    /// The tools that are open.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.inner.tools.iter().filter(|tool| tool.is_open(&self.inner.limits))
    }

    /// The open tools as they are listed.
    pub fn listing(&self) -> Vec<rmcp::model::Tool> {
        self.tools().map(|tool| tool.listing(&self.inner.limits)).collect()
    }

    /// Calls a tool, with nobody to ask. Whatever goes wrong is an answer that says so.
    pub async fn call(&self, name: &str, arguments: JsonObject) -> CallToolResult {
        completed(self.recorded(name, arguments, Caller::nobody(self.record(name, || None))).await)
    }

    /// The same, until `cancelled`: then there is no answer. What acts is carried on, and [`Server::settle`] waits for it.
    pub async fn call_until(
        &self,
        cancelled: impl Future<Output = ()>,
        name: &str,
        arguments: JsonObject,
    ) -> Option<CallToolResult> {
        let record = self.record(name, || None);
        let (server, its, name) = (self.clone(), record.clone(), name.to_owned());
        let call = async move { server.recorded(&name, arguments, Caller::nobody(its)).await };
        record.unless_cancelled(cancelled, call.boxed()).await.map(completed)
    }

    /// Waits until what acts has come to its end, its client gone or not, for as long as an answer may take. Nothing
    /// that acts begins any more.
    pub async fn settle(&self) {
        self.inner.recorder.settle(self.inner.client.config().longest_answer()).await;
    }

    /// The record of a call that begins. A name that is no tool's is not written down: it may be anything.
    fn record(&self, name: &str, host: impl FnOnce() -> Option<Implementation>) -> Record {
        let tool = self.inner.tools.iter().find(|tool| tool.facts.name == name);
        self.inner.recorder.begin(tool.map_or("?", |tool| tool.facts.name), host)
    }

    /// Calls a tool, and gives out no more of its answer than is recorded.
    async fn recorded(&self, name: &str, arguments: JsonObject, caller: Caller) -> CallToolResponse {
        let record = caller.record.clone();
        let result = self.run(&record, name, arguments, caller).await;
        let recorded = record.end(record.ending(result.is_ok())).await;
        match (result, recorded) {
            (Ok(response), Err(unwritten)) => unrecorded(completed(response), &unwritten).into(),
            (Ok(response), Ok(())) => response,
            (Err(mut text), _) => {
                // An error may repeat what the caller wrote, or what somebody stored.
                cleanse_text(&mut text);
                CallToolResult::error(vec![ContentBlock::text(text)]).into()
            }
        }
    }

    async fn run(
        &self,
        record: &Record,
        name: &str,
        arguments: JsonObject,
        caller: Caller,
    ) -> Result<CallToolResponse, String> {
        let tool = self.open_tool(name)?;
        let (arguments, on_behalf_of) = split_on_behalf_of(&tool.facts, arguments)?;
        on_behalf_of.iter().for_each(|membership| record.on_behalf_of(membership));
        let (arguments, budget) = self.budget(arguments)?;
        let query =
            if tool.is_told_apart() { query_of(name, &arguments, on_behalf_of.as_ref()) } else { name.to_owned() };
        let cursors = Cursors { key: &self.inner.cursor_key, query };
        let call = Call::on_behalf_of(on_behalf_of).watched_by(record.witness());
        let cx = Context::new(&self.inner.client, &self.inner.limits, &self.inner.kept, call, cursors, caller, budget);
        let answer = tool.run(arguments, &cx).await;
        self.given_out(answer, &cx, record)
    }

    /// A tool that is there and open.
    fn open_tool(&self, name: &str) -> Result<&Tool, String> {
        let tool = self.inner.tools.iter().find(|tool| tool.facts.name == name);
        let tool = tool.ok_or_else(|| self.unknown_tool(name))?;
        tool.refusal(&self.inner.limits).map_or(Ok(tool), Err)
    }

    /// What a tool came to, as the client gets it: within the budget, or what the call ends with instead.
    fn given_out(
        &self,
        answer: Result<Answer, Failure>,
        cx: &Context<'_>,
        record: &Record,
    ) -> Result<CallToolResponse, String> {
        let limits = AnswerLimits {
            budget: cx.budget(),
            may_raise: cx.budget() < self.inner.limits.budget,
            closed: &self.inner.closed,
            seal: &|position| cx.cursors().seal(position),
            left_out: &|| cx.left_out(),
        };
        let result = match answer.map_err(Failure::into_stopped) {
            Ok(answer) => answer.notes(cx.take_notes()).into_result(&limits),
            Err(Ok(Stopped::Declined(text))) => {
                record.stopped(Ending::Declined);
                Answer::json(serde_json::Value::Null).note(text).into_result(&limits)
            }
            Err(Ok(Stopped::Question(question))) => {
                record.stopped(Ending::Asked);
                return Ok((*question).into());
            }
            Err(Err(failure)) => Err(failure),
        };
        result
            .inspect_err(|failure| record.failed(failure.error()))
            .map(CallToolResponse::from)
            .map_err(|failure| self.of_open_tools(&failure.explain(cx)))
    }

    /// The characters that this answer may have: fewer than the operator allows, if the call says so.
    fn budget(&self, mut arguments: JsonObject) -> Result<(JsonObject, usize), String> {
        let most = self.inner.limits.budget;
        let asked = arguments.remove("budget").filter(|value| !value.is_null());
        let Some(asked) = asked else { return Ok((arguments, most)) };
        let number =
            asked.as_u64().or_else(|| asked.as_str()?.trim().parse().ok()).and_then(|n| usize::try_from(n).ok());
        match number {
            Some(n) if (SMALLEST_BUDGET..=most).contains(&n) => Ok((arguments, n)),
            _ if most <= SMALLEST_BUDGET => Err(format!(
                "budget: the operator allows {most} characters (MEDPLUM_ANSWER_BUDGET). Leave it out. Nothing was sent."
            )),
            _ => Err(format!(
                "budget must be from {SMALLEST_BUDGET} to {most} characters (the operator's MEDPLUM_ANSWER_BUDGET). Nothing was sent."
            )),
        }
    }

    /// A record, through the tool that reads it, and our notes behind it, if there are any.
    async fn read(
        &self,
        record: Record,
        uri: &str,
        (tool, arguments): (&str, JsonObject),
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _permit = self.inner.calls.acquire().await;
        let result = completed(self.recorded(tool, arguments, Caller::reader(record)).await);
        let mut texts = result.content.iter().filter_map(ContentBlock::as_text).map(|block| block.text.clone());
        let first = texts.next().unwrap_or_default();
        if result.is_error == Some(true) {
            return Err(ErrorData::resource_not_found(first, None));
        }
        let record = ResourceContents::text(first, uri).with_mime_type("application/fhir+json");
        let notes = |text| ResourceContents::text(text, format!("{uri}#notes")).with_mime_type("text/plain");
        Ok(ReadResourceResult::new(std::iter::once(record).chain(texts.next().map(notes)).collect()).into())
    }

    /// A text of ours, without what speaks of tools that are closed.
    pub(crate) fn of_open_tools(&self, text: &str) -> String {
        without_closed(text, &self.inner.closed)
    }

    fn unknown_tool(&self, given: &str) -> String {
        let names: Vec<&str> = self.tools().map(|tool| tool.facts.name).collect();
        let near = nearest(given, names.iter().copied());
        let near = if near.is_empty() { names } else { near };
        // A name may be anything, a record's text too: only what is shaped like a tool's is said back.
        let shaped = (1..=40).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let which = if shaped { format!("There is no tool \"{given}\".") } else { "There is no such tool.".to_owned() };
        format!("{which} Nearest: {}.", near.join(", "))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().enable_completions().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("medplum-mcp", env!("CARGO_PKG_VERSION")).with_title("Medplum"))
            .with_instructions(self.of_open_tools(INSTRUCTIONS))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        caught(async {
            Ok(ListToolsResult::with_all_items(self.listing())
                .with_cache_scope(CacheScope::Private)
                .with_ttl_ms(300_000))
        })
        .await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let way = if self.inner.limits.writes {
            Way::of(&cx, request.request_state, request.input_responses)
        } else {
            Way::Nobody
        };
        let record = self.record(&request.name, || cx.client_info());
        let caller = Caller { way, progress: Progress::of(&cx), record: record.clone() };
        let server = self.clone();
        let call = caught(async move {
            // The semaphore is never closed, so a permit always comes.
            let _permit = server.inner.calls.acquire().await;
            Ok(server.recorded(&request.name, arguments, caller).await)
        });
        record.unless_cancelled(cx.ct.cancelled(), call).await.unwrap_or_else(|| ended_before(&record))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        caught(async {
            Ok(ListResourcesResult::with_all_items(resources::list())
                .with_cache_scope(CacheScope::Private)
                .with_ttl_ms(300_000))
        })
        .await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = ListResourceTemplatesResult::with_all_items(resources::templates(self));
        Ok(templates.with_cache_scope(CacheScope::Private).with_ttl_ms(300_000))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let config = self.inner.client.config();
        let call = match RecordUri::parse(&request.uri) {
            Ok(Some(record)) => record.call(&config.fhir_path),
            Ok(None) => return caught(async { resources::read(&request.uri, self, &self.inner.limits, config) }).await,
            Err(error) => return Err(no_record(&error)),
        };
        let record = self.inner.recorder.begin("resources/read", || cx.client_info());
        let (server, its) = (self.clone(), record.clone());
        let read = caught(async move { server.read(its, &request.uri, call).await });
        record.unless_cancelled(cx.ct.cancelled(), read).await.unwrap_or_else(|| ended_before(&record))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let is_ours = request.r#ref.as_resource_uri().is_some_and(|uri| resources::is_template(self, uri));
        let all = match is_ours {
            true => resources::complete(&request.argument.name, &request.argument.value, &self.inner.limits),
            false => Vec::new(),
        };
        let total = u32::try_from(all.len()).ok();
        let more = all.len() > CompletionInfo::MAX_VALUES;
        let values = all.into_iter().take(CompletionInfo::MAX_VALUES).collect();
        let info = CompletionInfo::with_pagination(values, total, more);
        info.map(CompleteResult::new).map_err(|_| ErrorData::internal_error("too many completions", None))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, no_method(&request.method), None))
    }
}

/// A URI whose parts are no names. It may hold anything, and its error may repeat it.
fn no_record(error: &NameError) -> ErrorData {
    let mut text = format!("{error}. Nothing was sent.");
    cleanse_text(&mut text);
    ErrorData::resource_not_found(text, None)
}

/// Everything that decides what the pages of a call hold, whatever the order of its arguments. One that says nothing is as
/// good as none.
fn query_of(tool: &str, arguments: &JsonObject, on_behalf_of: Option<&Membership>) -> String {
    let mut sorted: Vec<(&String, String)> = arguments
        .iter()
        .filter(|(name, value)| *name != "cursor" && !says_nothing(value))
        .map(|(name, value)| (name, in_order(value)))
        .collect();
    sorted.sort();
    format!("{tool} {sorted:?} {on_behalf_of:?}")
}

fn says_nothing(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(false) => true,
        serde_json::Value::Array(values) => values.is_empty(),
        serde_json::Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// The text of a value with the keys of its objects in order.
fn in_order(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(object) => {
            let mut sorted: Vec<(&String, String)> = object.iter().map(|(key, value)| (key, in_order(value))).collect();
            sorted.sort();
            format!("{sorted:?}")
        }
        other => other.to_string(),
    }
}

/// What the log did not take is not given out, but for what was done: that cannot be undone, and must be known.
fn unrecorded(mut result: CallToolResult, unwritten: &Unwritten) -> CallToolResult {
    let reason = &unwritten.reason;
    tracing::error!(reason, "the audit log cannot be written");
    if unwritten.acted {
        result.content.push(ContentBlock::text(format!(
            "This was carried out. The audit log (MEDPLUM_AUDIT_LOG) holds its beginning and did not take its end ({reason}): tell the operator. Nothing else is changed or given out until it can be written."
        )));
        return result;
    }
    if !unwritten.asked {
        return result;
    }
    CallToolResult::error(vec![ContentBlock::text(format!(
        "The audit log cannot be written ({reason}), and nothing is given out that is not recorded. The operator puts the file in MEDPLUM_AUDIT_LOG right; then the same call works. Nothing was changed."
    ))])
}

/// A call that ended before its answer came. A client that cancelled it does not wait for this; one whose server was told to
/// end may read it.
fn ended_before<T>(record: &Record) -> Result<T, ErrorData> {
    let text = match record.acts() {
        true => {
            "The call was cancelled, or the server told to end, when something that acts had left already: that is carried to its end, and may be done. Look before you try again."
        }
        false => "The call was cancelled, or the server told to end. Nothing was changed.",
    };
    Err(ErrorData::internal_error(text, None))
}

/// The result of a call that has nobody to ask, or may not.
fn completed(response: CallToolResponse) -> CallToolResult {
    match response {
        CallToolResponse::Complete(result) => result,
        _ => CallToolResult::error(vec![ContentBlock::text("The person cannot be asked. Nothing was written.")]),
    }
}

/// One call's panic is that call's error, and nobody else's.
///
/// It stands in a box: rmcp moves what answers a request several times, and keeps room for the largest of them.
fn caught<'a, T: 'a>(
    work: impl Future<Output = Result<T, ErrorData>> + Send + 'a,
) -> BoxFuture<'a, Result<T, ErrorData>> {
    let failed = || {
        Err(ErrorData::internal_error(
            "The server failed at this call; it goes on for others. Whether a write was sent is not known: read before you try again.",
            None,
        ))
    };
    AssertUnwindSafe(work).catch_unwind().map(move |result| result.unwrap_or_else(|_| failed())).boxed()
}
