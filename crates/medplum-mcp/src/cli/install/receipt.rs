//! What `install` wrote, remembered beside the file: `uninstall` takes out that and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::file::{Known, Trouble};
use super::written::Written;

/// The file of this mark beside a host's.
const MARK: &str = "put";

/// The entries of one name that `install` wrote into one file, each as a digest: a secret is not kept twice.
pub(super) struct Receipt {
    name: String,
    file: Known,
}

impl Receipt {
    /// What was remembered of a file and a name, if anything was.
    pub(super) fn beside(known: &Known, name: &str) -> Result<Self, Trouble> {
        Ok(Self { name: name.to_owned(), file: known.beside(MARK, name)? })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Path {
        self.file.place()
    }

    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// Whether an entry is one that `install` wrote, and that nobody changed since.
    pub(super) fn names(&self, entry: &Written) -> bool {
        let entry = of(entry);
        self.file.text().lines().any(|line| line == entry)
    }

    /// Remembers an entry, before it is written; beside those before it, where it takes the place of one of them.
    pub(super) fn add(&self, entry: &Written, replaces_ours: bool) -> Result<(), Trouble> {
        let before = if replaces_ours { self.file.text() } else { "" };
        let heading = format!(
            "# Digests of what `medplum-mcp install` wrote as {}: `medplum-mcp uninstall` takes out that alone.\n",
            self.name
        );
        let heading = if before.is_empty() { heading.as_str() } else { "" };
        self.file.write(&format!("{heading}{before}{}\n", of(entry)), false)
    }

    /// What was remembered before the last `add` again.
    pub(super) fn take_back(&self) {
        let _ = match (self.exists(), self.file.again()) {
            (true, Ok(now)) => now.write(self.file.text(), false),
            (false, Ok(now)) => now.delete(),
            (_, Err(trouble)) => Err(trouble),
        };
    }

    pub(super) fn delete(&self) -> Result<(), Trouble> {
        if self.exists() { self.file.delete() } else { Ok(()) }
    }
}

/// The digest of what `install` writes of a server. Hosts add keys of their own, write out what is empty, and sort.
fn of(entry: &Written) -> String {
    let filled = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    };
    let part = |key: &str| entry.server.get(key).filter(|value| filled(value));
    let variables: BTreeMap<_, _> = part("env").and_then(Value::as_object).into_iter().flatten().collect();
    let parts = json!([part("command"), part("args"), part("env_vars"), variables]).to_string();
    digest(&SHA256, parts.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
