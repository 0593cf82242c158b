//! The server over the Medplum that the settings name, or over a sandbox.

use std::error::Error;
use std::path::Path;

use medplum_client::{Client, Proxy};
use medplum_sandbox::Sandbox;

use super::{Invocation, say};
use crate::audit::{AuditLog, Recorder};
use crate::file_trouble::unwritten;
use crate::policy::Policy;
use crate::server::Server;
use crate::settings::{AUDIT_LOG, Misspelt, SettingError, Settings};

/// A short secret cannot be told from the words of a record, and taking it out would spoil them.
const SHORT_SECRET: &str = "medplum-mcp: the client secret or token has fewer than 8 characters: should the server repeat it in a success, it is not taken out of what an agent reads. Give the ClientApplication a longer one.";

/// The server, and the sandbox that it works on, if it does.
pub(super) struct Place {
    pub(super) server: Server,
    pub(super) settings: Settings,
    sandbox: Option<Sandbox>,
}

impl Place {
    /// The place that an invocation is for. What whoever starts it should know is said on stderr.
    pub(super) async fn of(invocation: &Invocation<'_>) -> Result<Self, Box<dyn Error>> {
        // What is misspelt may be why the rest cannot begin.
        for Misspelt { name, nearest } in &invocation.misspelt {
            say(&format!("medplum-mcp: {name} is no setting, so it does nothing: {nearest} is one."));
        }
        let place = Self::find(invocation.settings()?, invocation.sandboxed).await?;
        place.warn();
        Ok(place)
    }

    fn warn(&self) {
        if self.settings.limits.writes && self.sandbox.is_some() {
            say("medplum-mcp: writes are open (MEDPLUM_ENABLE_WRITES), to the made-up records of the sandbox alone.");
        } else if self.settings.limits.writes {
            say(
                "medplum-mcp: writes are open (MEDPLUM_ENABLE_WRITES): the agent can change and delete patients' records and run bots. Scope the client application tightly.",
            );
        }
        if self.settings.base_url.is_insecure() {
            say(
                "medplum-mcp: http to another machine (MEDPLUM_ALLOW_INSECURE_HTTP): tokens and records travel in the clear.",
            );
        }
        if self.settings.secret_is_short() {
            say(SHORT_SECRET);
        }
    }

    /// Starts the sandbox, if it is that. Nothing is sent to a Medplum.
    pub(super) async fn find(mut settings: Settings, sandboxed: bool) -> Result<Self, Box<dyn Error>> {
        let sandbox = if sandboxed { Some(Sandbox::builder().start().await?) } else { None };
        if let Some(sandbox) = &sandbox {
            settings.use_sandbox(sandbox)?;
        }
        Proxy::to(&settings.base_url)?;
        let policy = Policy::new(settings.limits.clone());
        let server = match &settings.audit_log {
            None => Server::new(Client::new(settings.config()?, policy), settings.limits.clone())?,
            Some(path) => {
                let log = open_audit_log(path)?;
                let client = Client::new(settings.config()?, policy.recording());
                let recorder = Recorder::to(log, &client, settings.limits.writes)?;
                Server::recorded_by(recorder, client, settings.limits.clone())?
            }
        };
        Ok(Self { server, settings, sandbox })
    }
}

/// The audit log, as the server opens it at its start.
pub(super) fn open_audit_log(path: &Path) -> Result<AuditLog, SettingError> {
    let advice = "Name a file that this user can write to, in a folder that is there";
    AuditLog::open(path).map_err(|error| SettingError::of_file(AUDIT_LOG, &unwritten(path, &error), advice))
}
