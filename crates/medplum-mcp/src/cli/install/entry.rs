//! What is written into a host's file: how the server is started, and with which variables.

use serde_json::{Map, Value};

use super::hosts::{Form, Host, Reference};
use super::written::{Written, input_id, words};
use crate::settings::{
    ACCESS_TOKEN, ALLOW_OBO_OVERRIDE, AUDIT_LOG, CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE, ENABLE_WRITES, Kind,
    SETTINGS, Source, Values,
};

/// A server as a host starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name in the host.
    pub(super) name: String,
    pub(super) command: String,
    pub(super) arguments: Vec<String>,
    /// Its variables, in their order.
    pub(super) variables: Vec<(&'static str, Given)>,
}

/// How a variable gets its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// It stands in the file.
    Value(String),
    /// The file names the variable of the host's own environment, or what the host asks for.
    Reference,
}

/// Whether secrets may stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Never: it names where they are.
    Elsewhere,
    /// Those that are set here.
    InFile,
    /// Nothing is written, so a person fills them in.
    ToFillIn,
}

/// Opened by a flag of the very call alone: what is set for another purpose opens nothing for an agent.
const BY_FLAG_ALONE: &[&str] = &[ENABLE_WRITES, ALLOW_OBO_OVERRIDE];

/// Why an entry cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    #[error(
        "{title} cannot take a secret from its environment. Name a file that holds it (--client-id ID --client-secret-file PATH), or pass --secrets-in-file to have the secret itself written into the host's file. Synthetic patients need none: --sandbox"
    )]
    NoReference { title: &'static str },
    #[error("--secrets-in-file writes the values of {0}, which are not set here: set them for this command")]
    NoValue(&'static str),
}

impl Entry {
    /// The variables that a host is to set, by what is set here.
    pub(super) fn variables(
        host: &Host,
        values: &Values,
        sandboxed: bool,
        secrets: Secrets,
    ) -> Result<Vec<(&'static str, Given)>, Missing> {
        let mut variables = if sandboxed { Vec::new() } else { credentials(host, values, secrets)? };
        let named = [CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE, ACCESS_TOKEN];
        for setting in SETTINGS.iter().filter(|setting| setting.kind != Kind::Secret) {
            let source = values.source(setting.variable);
            let here = match source {
                Some(Source::Flag) => true,
                Some(Source::Environment) => !BY_FLAG_ALONE.contains(&setting.variable),
                _ => false,
            };
            if here && !named.contains(&setting.variable) {
                let value = values.value(setting.variable).unwrap_or_default().to_owned();
                // The host has another folder than this shell.
                let value = if setting.variable == AUDIT_LOG { whole(value) } else { value };
                variables.push((setting.variable, Given::Value(value)));
            }
        }
        Ok(variables)
    }

    /// Whether a secret stands in it.
    pub(super) fn holds_secret(&self) -> bool {
        let secret =
            |name: &str| SETTINGS.iter().any(|setting| setting.variable == name && setting.kind == Kind::Secret);
        self.variables.iter().any(|(name, given)| secret(name) && matches!(given, Given::Value(_)))
    }

    /// The variables that the host's environment must have, or that the host asks for.
    pub(super) fn references(&self) -> Vec<&'static str> {
        self.variables.iter().filter(|(_, given)| *given == Given::Reference).map(|(name, _)| *name).collect()
    }

    /// The same for a person, who may have several clients.
    pub(super) fn needed(&self) -> Vec<String> {
        let id = self.variables.iter().find_map(|(name, given)| match given {
            Given::Value(id) if *name == CLIENT_ID => Some(id),
            _ => None,
        });
        let needed = self.references().into_iter();
        needed
            .map(|name| match id {
                Some(id) if name == CLIENT_SECRET => format!("{name} (that of {id})"),
                _ => name.to_owned(),
            })
            .collect()
    }

    /// What of it is a path of this machine.
    pub(super) fn paths(&self) -> Vec<&str> {
        let absolute = |text: &str| std::path::Path::new(text).is_absolute();
        let command = absolute(&self.command).then_some("the program");
        let variables = self.variables.iter().filter_map(|(name, given)| match given {
            Given::Value(value) if absolute(value) => Some(*name),
            _ => None,
        });
        command.into_iter().chain(variables).collect()
    }

    /// The server as it stands there.
    fn server(&self, host: &Host) -> Value {
        let mut server = Map::new();
        if let Form::Json { says_stdio: true, .. } = host.form {
            server.insert("type".into(), "stdio".into());
        }
        server.insert("command".into(), self.command.as_str().into());
        let needed = matches!(host.form, Form::Json { needs_args: true, .. });
        if needed || !self.arguments.is_empty() {
            server.insert("args".into(), self.arguments.clone().into());
        }
        if host.reference == Reference::Forwarded && !self.references().is_empty() {
            server.insert("env_vars".into(), self.references().into());
        }
        let value = |name: &str, given: &Given| match given {
            Given::Value(value) => Some(value.clone()),
            Given::Reference => reference(host.reference, &self.name, name),
        };
        let set: Map<String, Value> = self
            .variables
            .iter()
            .filter_map(|(name, given)| Some(((*name).to_owned(), Value::from(value(name, given)?))))
            .collect();
        if !set.is_empty() {
            server.insert("env".into(), set.into());
        }
        Value::Object(server)
    }

    /// What the host is to ask the person for.
    fn inputs(&self, host: &Host) -> Vec<Value> {
        if host.reference != Reference::Input {
            return Vec::new();
        }
        let references = self.references().into_iter();
        references
            .filter_map(|name| {
                let setting = SETTINGS.iter().find(|setting| setting.variable == name)?;
                let mut input = Map::new();
                input.insert("type".into(), "promptString".into());
                input.insert("id".into(), input_id(&self.name, name).into());
                input.insert("description".into(), what(name).into());
                if setting.kind == Kind::Secret {
                    input.insert("password".into(), true.into());
                }
                Some(Value::Object(input))
            })
            .collect()
    }

    /// What stands in the host's file.
    pub(super) fn written(&self, host: &Host) -> Written {
        Written { name: self.name.clone(), server: self.server(host), inputs: self.inputs(host) }
    }
}

/// A path from the root on.
fn whole(path: String) -> String {
    std::path::absolute(&path).map_or(path, |path| path.display().to_string())
}

/// As whom the server signs in.
fn credentials(host: &Host, values: &Values, secrets: Secrets) -> Result<Vec<(&'static str, Given)>, Missing> {
    let set = |name| values.value(name).map(str::to_owned);
    let by_token = set(ACCESS_TOKEN).is_some();
    let secret = if by_token { ACCESS_TOKEN } else { CLIENT_SECRET };
    if secrets == Secrets::InFile {
        let names = if by_token { ACCESS_TOKEN } else { "MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET" };
        let value = |name| set(name).map(|value| (name, Given::Value(value))).ok_or(Missing::NoValue(names));
        return if by_token { Ok(vec![value(secret)?]) } else { Ok(vec![value(CLIENT_ID)?, value(secret)?]) };
    }
    // The id is no secret: one that is given for this very call goes with it.
    let id_for_this = || set(CLIENT_ID).filter(|_| values.source(CLIENT_ID) == Some(Source::Flag));
    // A file's name is no secret.
    if let (Some(file), None, false) = (set(CLIENT_SECRET_FILE), set(CLIENT_SECRET), by_token) {
        let file = whole(file);
        let id = match (set(CLIENT_ID), host.reference) {
            (Some(id), Reference::Nothing) => Given::Value(id),
            (None, Reference::Nothing) => return Err(Missing::NoValue(CLIENT_ID)),
            _ => id_for_this().map_or(Given::Reference, Given::Value),
        };
        return Ok(vec![(CLIENT_ID, id), (CLIENT_SECRET_FILE, Given::Value(file))]);
    }
    if host.reference == Reference::Nothing && secrets == Secrets::Elsewhere {
        return Err(Missing::NoReference { title: host.title });
    }
    let given = |name: &str| match host.reference {
        Reference::Nothing => Given::Value(format!("your-{}", words(name))),
        _ => Given::Reference,
    };
    if by_token {
        Ok(vec![(secret, given(secret))])
    } else {
        let id = id_for_this().map_or_else(|| given(CLIENT_ID), Given::Value);
        Ok(vec![(CLIENT_ID, id), (secret, given(secret))])
    }
}

/// How a host's file names a variable; none where it has a list of them.
fn reference(reference: Reference, server: &str, variable: &str) -> Option<String> {
    match reference {
        Reference::Shell => Some(format!("${{{variable}}}")),
        Reference::Env => Some(format!("${{env:{variable}}}")),
        Reference::Input => Some(format!("${{input:{}}}", input_id(server, variable))),
        Reference::Forwarded | Reference::Nothing => None,
    }
}

/// What a person is asked for.
fn what(variable: &str) -> &'static str {
    match variable {
        CLIENT_ID => "Medplum: the ClientApplication's id",
        CLIENT_SECRET => "Medplum: the ClientApplication's secret",
        _ => "Medplum: an access token",
    }
}
