//! A server as it stands in a host's file: put in, found, taken out.

use std::path::Path;

use serde_json::Value;

use super::hosts::{Form, Host, Reference};
use super::machine::NAME;
use super::text::Unusable;
use super::{json, toml};
use crate::settings::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET};

/// Where a host keeps what it asks the person for.
const INPUTS: &[&str] = &["inputs"];

/// A server in a host's file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) server: Value,
    /// What the host asks the person for, on behalf of this server.
    pub(super) inputs: Vec<Value>,
}

impl Written {
    /// The server of this name in a text.
    pub(super) fn find(host: &Host, name: &str, text: &str) -> Result<Option<Self>, Unusable> {
        let path = [host.form.servers(), name];
        let server = match host.form {
            Form::Toml { .. } => toml::get(text, &path)?,
            Form::Json { .. } => json::get(text, &path)?,
        };
        let Some(server) = server else { return Ok(None) };
        let inputs = if host.reference == Reference::Input { json::get(text, INPUTS)? } else { None };
        let inputs = inputs.as_ref().and_then(Value::as_array).into_iter().flatten();
        let inputs = inputs.filter(|input| is_of(name, input)).cloned().collect();
        Ok(Some(Self { name: name.to_owned(), server, inputs }))
    }

    /// The names of all servers in a text.
    pub(super) fn names(host: &Host, text: &str) -> Result<Vec<String>, Unusable> {
        let path = [host.form.servers()];
        let servers = match host.form {
            Form::Toml { .. } => toml::get(text, &path)?,
            Form::Json { .. } => json::get(text, &path)?,
        };
        let servers = servers.as_ref().and_then(Value::as_object).into_iter().flatten();
        Ok(servers.map(|(name, _)| name.clone()).collect())
    }

    /// Whether it starts this program: by its name, by its place, or by a package runner.
    pub(super) fn starts(&self, program: &Path) -> bool {
        let arguments = self.server.get("args").and_then(Value::as_array).into_iter().flatten();
        let command = self.server.get("command").and_then(Value::as_str).map(Path::new);
        command.is_some_and(|command| command == program || command.file_stem().is_some_and(|stem| stem == NAME))
            || arguments.filter_map(Value::as_str).any(|argument| argument == NAME)
    }

    /// The text with this server in it.
    pub(super) fn put(&self, host: &Host, text: &str) -> Result<String, Unusable> {
        let path = [host.form.servers(), self.name.as_str()];
        if let Form::Toml { .. } = host.form {
            return toml::put(text, &path, &self.server);
        }
        let mut text = json::put(text, &path, &self.server)?;
        for input in &self.inputs {
            let known = json::get(&text, INPUTS)?;
            let same = |known: &Value| known.get("id") == input.get("id");
            if !known.as_ref().and_then(Value::as_array).is_some_and(|all| all.iter().any(same)) {
                text = json::push(&text, INPUTS, input)?;
            }
        }
        Ok(text)
    }

    /// The text without the server of this name, and without what it alone asks for. What stood in its place before
    /// comes back as it was written, and what held nothing else is as it was, or goes.
    pub(super) fn take(host: &Host, name: &str, text: &str, before: &str) -> Result<String, Unusable> {
        let servers = host.form.servers();
        if let Form::Toml { .. } = host.form {
            return toml::give_back(text, &[servers, name], before);
        }
        let mut text = json::give_back(text, &[servers, name], before)?;
        let asked_before = json::get(before, INPUTS)?.unwrap_or_default();
        let asked_before = asked_before.as_array().map(Vec::as_slice).unwrap_or_default();
        if host.reference == Reference::Input {
            let others = json::get(&text, &[servers])?.unwrap_or_default().to_string();
            let unused = |input: &Value| {
                let id = input.get("id").and_then(Value::as_str).unwrap_or_default();
                let new = !asked_before.iter().any(|known| known.get("id") == input.get("id"));
                new && is_of(name, input) && !others.contains(&format!("${{input:{id}}}"))
            };
            text = json::take_elements(&text, INPUTS, unused)?;
        }
        for key in [&[servers][..], INPUTS, &[]] {
            if json::is_empty(&text, key)? == Some(true) && json::is_empty(before, key)? != Some(false) {
                text = json::give_back(&text, key, before)?;
            }
        }
        Ok(text)
    }

    /// A file that holds nothing else: the form to paste, and what a file that was not there becomes.
    pub(super) fn alone(&self, host: &Host) -> String {
        self.put(host, "").unwrap_or_default()
    }
}

/// `medplum-client-secret`: the name of what a host asks for.
pub(super) fn input_id(server: &str, variable: &str) -> String {
    format!("{server}-{}", words(variable))
}

/// `client-secret`: a variable's name without what all of them begin with.
pub(super) fn words(variable: &str) -> String {
    variable.strip_prefix("MEDPLUM_").unwrap_or(variable).to_ascii_lowercase().replace('_', "-")
}

/// Whether something that is asked for is asked for by the server of this name.
fn is_of(name: &str, input: &Value) -> bool {
    let id = input.get("id").and_then(Value::as_str);
    [CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN].iter().any(|variable| id == Some(input_id(name, variable).as_str()))
}
