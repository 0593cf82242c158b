//! When a statement runs, and what ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::failure::Failure;

/// How long a statement may run.
const TIME: Duration = Duration::from_secs(5);
/// One at a time, so that a greedy statement meets the ceiling of memory alone.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Does work on SQLite beside the runtime, which goes on. A call that is cancelled ends it.
///
/// # Errors
/// [`Failure`] if the work ended in a panic.
pub(crate) async fn on_sqlite<T: Send + 'static>(
    work: impl FnOnce(&Watch) -> T + Send + 'static,
) -> Result<T, Failure> {
    let turn = ONE_AT_A_TIME.acquire().await;
    let watch = Watch::default();
    let _ends_it = Cancels(Arc::clone(&watch.cancelled));
    // The turn goes with the work: one that was cancelled still has the memory until it ends.
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&watch)
    });
    work.await.map_err(|_| Failure::teach("The statement could not be run. The server goes on; try another one"))
}

struct Cancels(Arc<AtomicBool>);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What ends a statement: its time, or that nobody waits for it any more.
pub(crate) struct Watch {
    pub(super) cancelled: Arc<AtomicBool>,
    /// The clock; tests bring their own.
    pub(super) now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { cancelled: Arc::default(), now: Arc::new(Instant::now) }
    }
}

impl Watch {
    pub(super) fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether it is over, for a statement that starts now.
    pub(super) fn over(&self) -> impl Fn() -> bool + Send + 'static {
        let (cancelled, now) = (Arc::clone(&self.cancelled), Arc::clone(&self.now));
        let end = now().checked_add(TIME);
        move || cancelled.load(Ordering::Relaxed) || end.is_none_or(|end| now() >= end)
    }
}
