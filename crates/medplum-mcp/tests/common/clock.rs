//! A clock that moves when somebody sleeps by it: waits cost no time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use medplum_client::{Clock, Surroundings};

#[derive(Clone)]
pub struct Hurried {
    start: Instant,
    passed: Arc<Mutex<Duration>>,
}

pub fn hurried() -> Surroundings {
    Surroundings { clock: Arc::new(Hurried { start: Instant::now(), passed: Arc::default() }) }
}

impl Clock for Hurried {
    fn monotonic(&self) -> Instant {
        self.start + *self.passed.lock().unwrap()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + *self.passed.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.passed.lock().unwrap() += duration;
        Box::pin(std::future::ready(()))
    }

    fn chance(&self) -> f64 {
        0.5
    }
}
