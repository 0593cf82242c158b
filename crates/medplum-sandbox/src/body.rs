//! The body of an answer: whole, cut off in the middle, or drop by drop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::faults::{Broken, Plan};

/// See the module.
pub(crate) struct ReplyBody {
    rest: Bytes,
    piece: usize,
    pause: Option<(Duration, Pin<Box<Sleep>>)>,
    /// How much is left when the connection breaks.
    cut_at: Option<usize>,
}

impl ReplyBody {
    pub(crate) fn new(bytes: Bytes, plan: &Plan) -> Self {
        let drip = plan.drip();
        Self {
            piece: drip.map_or(bytes.len(), |(pieces, _)| bytes.len().div_ceil(pieces)).max(1),
            pause: drip.map(|(_, pause)| (pause, Box::pin(tokio::time::sleep(pause)))),
            cut_at: plan.truncates().then_some(bytes.len() / 2),
            rest: bytes,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let left = self.rest.len();
        if self.cut_at.is_some_and(|cut| left <= cut) {
            return Poll::Ready(Some(Err(Broken)));
        }
        if left == 0 {
            return Poll::Ready(None);
        }
        if let Some((pause, sleep)) = &mut self.pause {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            *sleep = Box::pin(tokio::time::sleep(*pause));
        }
        let most = left - self.cut_at.unwrap_or(0);
        let size = self.piece.min(most);
        let piece = self.rest.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.cut_at.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
