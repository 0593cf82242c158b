//! Time and chance, from outside, so that a test can own them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;

/// Time as the client sees it.
pub trait Clock: Send + Sync {
    /// A time that never goes back.
    fn monotonic(&self) -> Instant;
    /// The time of day.
    fn now(&self) -> SystemTime;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// A number from 0 up to 1, for the jitter of a wait.
    fn chance(&self) -> f64;
}

/// The machine's own time and chance.
#[derive(Debug, Clone, Copy, Default)]
struct Machine;

impl Clock for Machine {
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn chance(&self) -> f64 {
        // A new RandomState is keyed at random; jitter needs no better source.
        let bits = RandomState::new().hash_one(0_u8);
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What the client takes from the world around it.
#[derive(Clone)]
pub struct Surroundings {
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(Machine) }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}
