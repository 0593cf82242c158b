//! A log file of a test's own.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use crate::common::host::{Ended, PATIENCE, run};
use crate::common::leaks;

pub(crate) struct AuditFile {
    folder: tempfile::TempDir,
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        leaks::assert_none("the audit log", &self.text());
    }
}

impl AuditFile {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.at("audit.jsonl")
    }

    pub(crate) fn name(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        lines(&self.text())
    }

    /// Those of one kind: `call`, `intent`, `end`.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["line"] == kind).collect()
    }

    /// Waits for so many lines of one kind.
    #[track_caller]
    pub(crate) fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let found = self.of(kind);
            if found.len() >= count {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{count} {kind} do not come: {}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// `audit verify` on these files, with these flags.
pub(crate) fn verify(arguments: &[&str]) -> Ended {
    run(&[&["audit", "verify"], arguments].concat(), &[], "")
}

/// What differs from run to run, left out.
pub(crate) fn redacted(lines: &[Value]) -> String {
    let mut text = String::new();
    for line in lines {
        let mut line = line.clone();
        for member in ["prev", "hash", "time", "ms", "pid", "process"] {
            line.as_object_mut().unwrap().shift_remove(member);
        }
        for asked in line.get_mut("asked").and_then(Value::as_array_mut).into_iter().flatten() {
            asked.as_object_mut().unwrap().shift_remove("ms");
        }
        if let Some(call) = line.get_mut("call") {
            *call = call.as_str().unwrap().split_once('-').unwrap().1.into();
        }
        text.push_str(&line.to_string());
        text.push('\n');
    }
    crate::common::redact::redact(&text)
}
