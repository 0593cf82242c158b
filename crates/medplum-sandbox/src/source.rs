//! Where time and randomness come from, so that a test can hold both still.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Tells the time.
pub(crate) type ClockFn = Box<dyn Fn() -> SystemTime + Send + Sync>;
/// Gives 16 random bytes.
pub(crate) type RandomFn = Box<dyn FnMut() -> [u8; 16] + Send>;

/// The sandbox's clock and dice.
pub(crate) struct Source {
    clock: ClockFn,
    random: Mutex<RandomFn>,
}

impl Source {
    pub(crate) fn new(clock: Option<ClockFn>, random: Option<RandomFn>) -> Self {
        Self {
            clock: clock.unwrap_or_else(|| Box::new(SystemTime::now)),
            random: Mutex::new(random.unwrap_or_else(|| Box::new(|| uuid::Uuid::new_v4().into_bytes()))),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let now = (self.clock)();
        let millis = match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()),
            Err(before) => i64::try_from(before.duration().as_millis()).map(|ms| -ms),
        };
        millis.unwrap_or(i64::MAX)
    }

    fn bytes(&self) -> [u8; 16] {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random()
    }

    /// A random UUID, version 4.
    pub(crate) fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// 64 hexadecimal digits that nobody can guess.
    pub(crate) fn secret(&self) -> String {
        let digits = |bytes: [u8; 16]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        digits(self.bytes()) + &digits(self.bytes())
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

/// `2026-11-22T09:19:46.972Z`.
pub(crate) fn instant(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `Sun, 22 Nov 2026 09:19:46 GMT`.
pub(crate) fn http_date(millis: i64) -> String {
    let millis = u64::try_from(millis).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_millis(millis))
}
