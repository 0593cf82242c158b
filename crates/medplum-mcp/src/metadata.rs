//! The server's CapabilityStatement, kept for a while: it is 300 KB, and the same for everyone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

const KEPT_FOR: Duration = Duration::from_secs(3600);

/// A statement and when it came.
#[derive(Debug, Default)]
pub struct MetadataCache(Mutex<Option<(Instant, Arc<Value>)>>);

impl MetadataCache {
    /// The statement, while it is fresh.
    pub fn get(&self) -> Option<Arc<Value>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(when, _)| when.elapsed() < KEPT_FOR).map(|(_, statement)| Arc::clone(statement))
    }

    /// Keeps a statement.
    pub fn keep(&self, statement: Value) -> Arc<Value> {
        let statement = Arc::new(statement);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&statement)));
        statement
    }
}
