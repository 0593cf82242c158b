//! MCP over standard input and output: one JSON-RPC message a line.
//!
//! rmcp's own stdio transport leaves a host waiting for ever when a line is not JSON, too long, too deep or holds half a
//! character; it ends the server when the first message is a notification; and it lets in as many requests as come. This
//! one answers whatever can be answered, under the id it was asked under, and bounds what it keeps:
//!
//! * **Reading** ([`lines`], [`message`]): a line over the limit is read through, not kept. Each line becomes one typed
//!   message, in one pass, or the error that says what was wrong with it ([`refusal`]).
//! * **Letting in** ([`admission`]): only so many requests are in flight; more are parked; when the park is full too,
//!   reading stops and the pipe holds the host back. Cancellations, pings and answers to our own questions go past the
//!   parked requests. A request counts until its answer is handed over or the host cancels it.
//! * **Writing** ([`outbox`]): one writer. While the host does not read, what is unwritten grows only by what is in flight.
//!
//! The end of the input ends the server once all that came before is answered; a host that is gone ends it at once, and
//! is noticed while nothing is written ([`StdioTransport::host_is_gone`]). Neither is an error, and nothing here panics.

mod admission;
mod lines;
mod message;
mod outbox;
mod params;
mod process;
mod refusal;
mod scan;
mod written;

use std::{io, time::Duration};

use rmcp::{
    RoleServer,
    model::{
        ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, GetMeta, JsonRpcMessage, ProtocolVersion,
        RequestId, ServerJsonRpcMessage, ServerResult,
    },
    transport::Transport,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};

use admission::Admission;
use lines::{Line, Lines};
use outbox::Outbox;
use refusal::{Fault, Refusal};

pub(crate) use refusal::no_method;

/// A writer with nothing left to write ends at once, unless the host has stopped reading in the middle of a message.
const CLOSING: Duration = Duration::from_secs(1);

/// How much the transport keeps at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest line that is read, in bytes.
    pub line: usize,
    /// How many requests may be in flight.
    pub in_flight: usize,
    /// How many bytes of requests may be in flight. A single request may be longer.
    pub in_flight_bytes: usize,
    /// How many requests may wait for their turn.
    pub parked: usize,
    /// How many bytes of requests may wait for their turn.
    pub parked_bytes: usize,
    /// No request is let in while so many bytes of answers are unwritten.
    pub unwritten_bytes: u64,
    /// Nothing at all is read while so many answers are unwritten.
    pub unwritten_messages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            line: 16 * MIB,
            in_flight: 256,
            in_flight_bytes: 64 * MIB,
            parked: 4096,
            parked_bytes: 32 * MIB,
            unwritten_bytes: 8 * MIB as u64,
            unwritten_messages: 4096,
        }
    }
}

/// The server's side of a connection over a pair of byte streams.
#[derive(Debug)]
pub struct StdioTransport<R> {
    lines: Lines<R>,
    admission: Admission,
    outbox: Outbox,
    writer: Option<JoinHandle<()>>,
    limits: Limits,
    /// The host has opened the conversation: from here on rmcp takes notifications too.
    opened: bool,
    ended: bool,
    /// How many questions to the host have no answer. Behind the end of its input none will come.
    questions: usize,
}

impl StdioTransport<Box<dyn AsyncRead + Send + Unpin>> {
    /// The process' standard input and output. Must be called inside a tokio runtime with I/O enabled; nothing else may
    /// read or write the two after it.
    ///
    /// # Errors
    ///
    /// When a stream needs a thread and none can be started.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self::new(process::input()?, process::output()?))
    }

    /// Ends when nobody reads the process' standard output any more, which the end of its input does not tell. Must be
    /// called inside a tokio runtime with I/O enabled.
    pub async fn host_is_gone() {
        process::unheard().await;
    }
}

impl<R: AsyncRead + Send + Unpin> StdioTransport<R> {
    /// Any other pair of streams. Must be called inside a tokio runtime.
    pub fn new<W>(reader: R, writer: W) -> Self
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        Self::with_limits(reader, writer, Limits::default())
    }

    /// The same with limits of one's own.
    pub fn with_limits<W>(reader: R, writer: W, limits: Limits) -> Self
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (outbox, writer) = Outbox::new(writer, limits);
        Self {
            lines: Lines::new(reader, limits.line),
            admission: Admission::new(limits),
            outbox,
            writer: Some(writer),
            limits,
            opened: false,
            ended: false,
            questions: 0,
        }
    }

    /// Takes what a line said; gives it back if rmcp is to hear of it now.
    fn accept(&mut self, message: ClientJsonRpcMessage, size: usize) -> Option<ClientJsonRpcMessage> {
        match message {
            JsonRpcMessage::Request(request) if !self.opened && says_nothing(&request.request) => {
                let id = serde_json::value::to_raw_value(&request.id).ok();
                self.refuse(&[Refusal::new(id, Fault::not_opened())]);
                None
            }
            JsonRpcMessage::Request(request) => {
                self.opened = self.opened || opens(&request.request);
                let congested = self.outbox.state().congested;
                self.admission.offer(request.id, request.request, size, congested)
            }
            // rmcp ends the server on anything but a request before the conversation is opened.
            _ if !self.opened => None,
            JsonRpcMessage::Notification(notification) => {
                let parked = cancelled(&notification.notification).is_some_and(|id| self.admission.cancelled(id));
                (!parked).then_some(JsonRpcMessage::Notification(notification))
            }
            answer => {
                self.questions = self.questions.saturating_sub(1);
                Some(answer)
            }
        }
    }

    fn refuse(&self, refusals: &[Refusal]) {
        for refusal in refusals {
            // It fails only if the host is gone: the next look at the outbox finds that.
            let _ = self.outbox.push(refusal);
        }
    }

    /// rmcp closes the transport of a conversation that was opened, and drops any other: that one is written out here.
    async fn end(&mut self) -> Option<ClientJsonRpcMessage> {
        if !self.opened {
            self.outbox.drained().await;
        }
        None
    }

    /// What a line gives that rmcp is to hear of now.
    fn line(&mut self, line: Line) -> Option<ClientJsonRpcMessage> {
        match line {
            Line::Whole(bytes) => match message::read(&bytes) {
                Ok(Some(message)) => return self.accept(message, bytes.len()),
                Ok(None) => {}
                Err(refusals) => self.refuse(&refusals),
            },
            Line::TooLong { length, id } => {
                self.refuse(&[Refusal::new(id, Fault::too_long(length, self.limits.line))]);
            }
            Line::End => self.ended = true,
        }
        None
    }
}

/// Whether rmcp begins a conversation with this request. It answers a ping, a question for what there is, and a request
/// that lacks its metadata, but waits on for one that begins.
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        request => {
            let meta = request.get_meta();
            let known =
                meta.protocol_version().is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version));
            known && meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
        }
    }
}

/// Whether a request neither begins a conversation, nor may stand before it, nor says what it speaks.
fn says_nothing(request: &ClientRequest) -> bool {
    let may_stand_first = matches!(
        request,
        ClientRequest::InitializeRequest(_) | ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_)
    );
    !may_stand_first && request.get_meta().protocol_version().is_none()
}

fn cancelled(notification: &ClientNotification) -> Option<&RequestId> {
    match notification {
        ClientNotification::CancelledNotification(cancelled) => cancelled.params.request_id.as_ref(),
        _ => None,
    }
}

/// rmcp names a method that is not served, and no more.
fn explain(message: &mut ServerJsonRpcMessage) {
    if let JsonRpcMessage::Error(error) = message
        && error.error.code == ErrorCode::METHOD_NOT_FOUND
        && !error.error.message.contains(' ')
    {
        error.error.message = no_method(&error.error.message).into();
    }
}

/// The request that is answered by this message.
fn answered(message: &ServerJsonRpcMessage) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        _ => None,
    }
}

/// What to wait for after a message is queued.
enum Then {
    Nothing,
    /// Notifications and questions wait for room, so that whoever makes them is held back.
    Room,
    /// rmcp may drop the transport after these without closing it.
    Written,
}

fn then(message: &ServerJsonRpcMessage) -> Then {
    match message {
        JsonRpcMessage::Error(_) => Then::Written,
        JsonRpcMessage::Response(response) if matches!(response.result, ServerResult::InitializeResult(_)) => {
            Then::Written
        }
        JsonRpcMessage::Response(_) => Then::Nothing,
        _ => Then::Room,
    }
}

impl<R: AsyncRead + Send + Unpin + 'static> Transport<RoleServer> for StdioTransport<R> {
    type Error = io::Error;

    fn send(&mut self, mut item: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        explain(&mut item);
        if matches!(item, JsonRpcMessage::Request(_)) {
            self.questions = self.questions.saturating_add(1);
        }
        if let Some(id) = answered(&item) {
            self.admission.answered(id);
        }
        let waiting = match then(&item) {
            Then::Nothing => None,
            wait => Some((wait, self.outbox.clone())),
        };
        let queued = self.outbox.push_with(|out| written::write(item, out));
        async move {
            let end = queued?;
            match waiting {
                Some((Then::Written, outbox)) => outbox.written(end).await,
                Some((_, outbox)) => outbox.room().await,
                None => Ok(()),
            }
        }
    }

    /// May be dropped at any await and called again.
    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let outbox = self.outbox.state();
            if outbox.dead {
                return None;
            }
            if let Some(request) = self.admission.next(outbox.congested) {
                return Some(request);
            }
            if self.ended && self.admission.none_parked() {
                if self.admission.none_in_flight() || self.questions > 0 {
                    return self.end().await;
                }
                // rmcp would drop what is not answered a few seconds after the end. Each answer asks here anew.
                self.outbox.died().await;
                continue;
            }
            if self.ended || self.admission.is_full() || outbox.flooded {
                self.outbox.changed().await;
                continue;
            }
            let held_back = outbox.congested && !self.admission.none_parked();
            let line = tokio::select! {
                biased;
                line = self.lines.next() => line.unwrap_or(Line::End),
                () = self.outbox.changed(), if held_back => continue,
                () = self.outbox.died() => return None,
            };
            if let Some(message) = self.line(line) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.outbox.drained().await;
        self.outbox.close();
        if let Some(mut writer) = self.writer.take()
            && tokio::time::timeout(CLOSING, &mut writer).await.is_err()
        {
            writer.abort();
        }
        Ok(())
    }
}

impl<R> Drop for StdioTransport<R> {
    fn drop(&mut self) {
        self.outbox.close();
    }
}
