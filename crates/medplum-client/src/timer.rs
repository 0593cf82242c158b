//! How long an answer may take: from one of its bytes to the next, and altogether.
//!
//! Almost none takes that long, so a timer is not set for each. One that was set for an earlier request is left as it
//! is; if it goes off, it is set anew for whoever has it then. Setting one wakes the runtime, which costs a read more
//! than its share.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

/// So many are kept: one for each request that is under way at once.
const KEPT: usize = 64;

/// The timers of a client that nobody uses right now.
#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<Vec<Timer>>);

/// A timer, and the runtime that it belongs to. In another it never goes off.
#[derive(Debug)]
struct Timer {
    runtime: Id,
    sleep: Pin<Box<Sleep>>,
}

/// Watches over one exchange.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    timers: &'a Timers,
    timer: Option<Timer>,
    step: Duration,
    end: Instant,
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// Nothing came for so long.
    Step,
    /// It is still coming, and its time is over.
    End,
}

impl Timers {
    /// Watches over an exchange that begins now: each step of it may take so long, and all of it so long.
    pub(crate) fn watch(&self, step: Duration, whole: Duration) -> Watch<'_> {
        Watch { timers: self, timer: None, step, end: Instant::now() + whole }
    }

    fn take(&self, due: Instant) -> Timer {
        let runtime = Handle::current().id();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(timer) = kept.pop() {
            if timer.runtime == runtime {
                return timer;
            }
        }
        Timer { runtime, sleep: Box::pin(sleep_until(due)) }
    }

    fn put_back(&self, timer: Timer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(timer);
        }
    }
}

impl Watch<'_> {
    /// Waits for one step.
    ///
    /// # Errors
    /// [`Late`] if it does not come in time.
    pub(crate) async fn over<F: Future>(&mut self, step: F) -> Result<F::Output, Late> {
        let mut step = pin!(step);
        let mut due = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = step.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let due = *due.get_or_insert_with(|| (Instant::now() + self.step).min(self.end));
            let timer = self.timer.get_or_insert_with(|| self.timers.take(due));
            if timer.sleep.deadline() > due {
                timer.sleep.as_mut().reset(due);
            }
            loop {
                ready!(timer.sleep.as_mut().poll(cx));
                if Instant::now() >= due {
                    return Poll::Ready(Err(if due == self.end { Late::End } else { Late::Step }));
                }
                timer.sleep.as_mut().reset(due);
            }
        })
        .await
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.timers.put_back(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{sleep, timeout};

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATER: Duration = Duration::from_millis(100);
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn whoever_takes_a_timer_over_has_its_own_time() {
        let timers = Timers::default();
        // It goes off while the second has it, which has more time.
        assert_eq!(timers.watch(SOON, NEVER).over(tokio::task::yield_now()).await, Ok(()));
        assert_eq!(timers.watch(NEVER, NEVER).over(sleep(LATER)).await, Ok(()));
        // It is set to an hour, and the next has less.
        let hasty = async { timers.watch(SOON, NEVER).over(pending::<()>()).await };
        assert_eq!(timeout(NEVER / 60, hasty).await, Ok(Err(Late::Step)));
    }

    #[tokio::test]
    async fn the_whole_has_its_time_however_short_its_steps_are() {
        let timers = Timers::default();
        let mut watch = timers.watch(NEVER, LATER);
        let steps = async {
            loop {
                if let Err(late) = watch.over(sleep(SOON)).await {
                    return late;
                }
            }
        };
        assert_eq!(timeout(NEVER / 60, steps).await, Ok(Late::End));
    }

    #[test]
    fn a_timer_of_another_runtime_is_not_used() {
        let timers = Timers::default();
        for _ in 0..3 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let late = runtime.block_on(async { timers.watch(SOON, NEVER).over(pending::<()>()).await });
            assert_eq!(late, Err(Late::Step));
        }
    }
}
