//! The socket: HTTP/1.1 on loopback, in front of the engine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::body::ReplyBody;
use crate::engine::{Engine, Request};
use crate::faults::{Broken, Faults, Plan};
use crate::recorder::Recorder;
use crate::reply::Reply;

/// The largest body that is read at all.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
/// The room for a request's line and headers, as in Node.
const HEADER_ROOM: usize = 16 * 1024;

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) faults: Arc<Faults>,
    pub(crate) recorder: Recorder,
}

/// Listens on loopback, on the given port or on one that is free.
pub(crate) async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await
}

/// Takes connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                // Out of file handles, most likely: it passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for more to send.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: Arc::clone(&reset) };
    let service = service_fn(|request| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move { respond(&shared, &reset, request).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.max_buf_size(HEADER_ROOM).keep_alive(true);
    // How a conversation ended is the other side's business.
    let _ = http.serve_connection(TokioIo::new(socket), service).await;
}

async fn respond(
    shared: &Shared,
    reset: &AtomicBool,
    request: http::Request<Incoming>,
) -> Result<http::Response<ReplyBody>, Broken> {
    let (parts, body) = request.into_parts();
    let head = parts.method == http::Method::HEAD;
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = parts.uri.path();
    let request = Request {
        method: parts.method,
        path: path.strip_prefix('/').unwrap_or(path).to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    };
    shared.recorder.note(&request);
    let plan = shared.faults.plan(&request);
    tokio::time::sleep(plan.latency()).await;
    if let Some(broken) = plan.before() {
        reset.store(true, Ordering::Relaxed);
        return Err(broken);
    }
    if plan.expires_tokens() {
        shared.engine.state().tokens.revoke_all();
    }
    let reply = match plan.instead() {
        Some(reply) => reply,
        None => shared.engine.answer(&request),
    };
    tokio::time::sleep(reply.delay).await;
    if let Some(broken) = plan.after() {
        reset.store(true, Ordering::Relaxed);
        return Err(broken);
    }
    Ok(response(reply, &plan, head))
}

fn response(reply: Reply, plan: &Plan, head: bool) -> http::Response<ReplyBody> {
    let length = reply.body.len();
    let body = if head { Bytes::new() } else { reply.body };
    let mut response = http::Response::new(ReplyBody::new(body, plan));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or_default();
    for (name, value) in reply.headers {
        if let Ok(value) = http::HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    if reply.status != 304 && reply.status != 204 {
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
    }
    response
}

/// A stream that can be closed the hard way: so that the other side sees a reset.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            // A reset says no goodbye.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
