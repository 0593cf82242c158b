//! What goes out: one queue, one writer.
//!
//! A message is serialised once, straight into the queue; the writer takes all that has gathered there and writes it in
//! one piece, so that a burst of answers costs one system call. What is queued is bounded by its makers: the transport
//! lets no request in while too much is unwritten ([`Outbox::is_congested`]), and notifications wait for room.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
    task::JoinHandle,
};

use super::Limits;

/// Buffers beyond this are given back once they are written.
const KEPT: usize = 256 * 1024;

/// A host that takes not one byte for so long will not take the rest.
const STALLED: Duration = Duration::from_secs(5);

/// The queue. Cheap to clone: one handle for the transport, one for the writer, one for each message that waits.
#[derive(Debug, Clone)]
pub(super) struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    queue: Mutex<Queue>,
    /// There is something to write, or nothing more will come.
    filled: Notify,
    /// Something was written, or the writer has ended.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    messages: usize,
    /// How many bytes were ever queued, and how many of them written.
    queued: u64,
    written: u64,
    /// Somebody waits for `emptied`: do not wake for nothing.
    watched: bool,
    closed: bool,
    dead: bool,
    /// Whoever waits for the end.
    reader: Option<Waker>,
}

/// How the writing goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// The host should first read what it has been sent.
    pub(super) congested: bool,
    /// So many messages are unwritten that nothing more should be read, whatever it is.
    pub(super) flooded: bool,
    /// Nothing can be written any more.
    pub(super) dead: bool,
}

impl Queue {
    fn unwritten(&self) -> u64 {
        self.queued.saturating_sub(self.written)
    }
}

impl Outbox {
    /// A queue, and the task that writes it out. Must be called inside a tokio runtime.
    pub(super) fn new<W>(writer: W, limits: Limits) -> (Self, JoinHandle<()>)
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let outbox =
            Self(Arc::new(Shared { limits, queue: Mutex::default(), filled: Notify::new(), emptied: Notify::new() }));
        let task = tokio::spawn(outbox.clone().write_all(writer));
        (outbox, task)
    }

    /// Queues a message and gives back the place of its end.
    pub(super) fn push(&self, message: &impl Serialize) -> io::Result<u64> {
        self.push_with(|out| serde_json::to_writer(out, message))
    }

    /// The same for a message that is written by `write`, behind what is there.
    pub(super) fn push_with(&self, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> io::Result<u64> {
        let mut queue = self.queue();
        if queue.dead || queue.closed {
            return Err(gone());
        }
        let start = queue.bytes.len();
        if let Err(error) = write(&mut queue.bytes) {
            queue.bytes.truncate(start);
            return Err(error.into());
        }
        queue.bytes.push(b'\n');
        queue.messages += 1;
        queue.queued += (queue.bytes.len() - start) as u64;
        let end = queue.queued;
        drop(queue);
        self.0.filled.notify_one();
        Ok(end)
    }

    /// How the writing goes.
    pub(super) fn state(&self) -> State {
        let queue = self.queue();
        let limits = &self.0.limits;
        State {
            congested: queue.unwritten() >= limits.unwritten_bytes,
            flooded: queue.messages >= limits.unwritten_messages,
            dead: queue.dead,
        }
    }

    /// Waits until all up to `end` is written.
    pub(super) async fn written(self, end: u64) -> io::Result<()> {
        self.until(|queue| queue.written >= end).await
    }

    /// Waits until there is room for more.
    pub(super) async fn room(self) -> io::Result<()> {
        let limit = self.0.limits.unwritten_bytes;
        self.until(|queue| queue.unwritten() < limit).await
    }

    /// Waits until something is written, or nothing ever will be.
    pub(super) async fn changed(&self) {
        let before = self.queue().written;
        let _ = self.until(|queue| queue.written > before).await;
    }

    /// Waits until nothing can be written any more. One waits for it, the reader, and again before each message: it takes
    /// no place in a list.
    pub(super) async fn died(&self) {
        poll_fn(|cx| {
            let mut queue = self.queue();
            if queue.dead {
                return Poll::Ready(());
            }
            if !queue.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
                queue.reader = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Waits until all is written, as long as the host goes on reading.
    pub(super) async fn drained(&self) {
        let end = self.queue().queued;
        loop {
            let before = self.queue().written;
            if tokio::time::timeout(STALLED, self.clone().written(end)).await.is_ok() || self.queue().written == before
            {
                return;
            }
        }
    }

    /// Nothing more will be queued: the writer ends when it has written what is there.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.0.filled.notify_one();
    }

    async fn until(&self, reached: impl Fn(&Queue) -> bool) -> io::Result<()> {
        loop {
            let mut emptied = std::pin::pin!(self.0.emptied.notified());
            // Listening before looking, so that no change falls in between.
            emptied.as_mut().enable();
            {
                let mut queue = self.queue();
                if reached(&queue) {
                    return Ok(());
                }
                if queue.dead {
                    return Err(gone());
                }
                queue.watched = true;
            }
            emptied.await;
        }
    }

    async fn write_all<W: AsyncWrite + Unpin>(self, mut writer: W) {
        let mut buffer = Vec::new();
        while let Some(messages) = self.take(&mut buffer).await {
            if self.write(&mut writer, &buffer).await.is_err() {
                break;
            }
            let mut queue = self.queue();
            queue.messages = queue.messages.saturating_sub(messages);
        }
        let _ = writer.shutdown().await;
        let mut queue = self.queue();
        queue.dead = true;
        queue.bytes = Vec::new();
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
        self.0.emptied.notify_waiters();
    }

    /// Swaps all that is queued into `buffer`, waiting for it, and says how many messages that is; nothing when no more
    /// will come.
    async fn take(&self, buffer: &mut Vec<u8>) -> Option<usize> {
        buffer.clear();
        if buffer.capacity() > KEPT {
            *buffer = Vec::new();
        }
        loop {
            {
                let mut queue = self.queue();
                if !queue.bytes.is_empty() {
                    std::mem::swap(&mut queue.bytes, buffer);
                    return Some(queue.messages);
                }
                if queue.closed {
                    return None;
                }
            }
            self.0.filled.notified().await;
        }
    }

    async fn write<W: AsyncWrite + Unpin>(&self, writer: &mut W, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let written = writer.write(rest).await?;
            if written == 0 {
                return Err(gone());
            }
            rest = rest.get(written..).unwrap_or_default();
            if rest.is_empty() {
                writer.flush().await?;
            }
            self.wrote(written);
        }
        Ok(())
    }

    fn wrote(&self, bytes: usize) {
        let mut queue = self.queue();
        queue.written += bytes as u64;
        let watched = std::mem::take(&mut queue.watched);
        drop(queue);
        if watched {
            self.0.emptied.notify_waiters();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the host does not read any more")
}
