//! The server over the Medplum that the settings name, or over a sandbox.

use std::error::Error;
use std::path::Path;

use medplum_client::Client;
use medplum_sandbox::Sandbox;

use crate::audit::{AuditLog, Recorder};
use crate::file_trouble::unwritten;
use crate::policy::Policy;
use crate::server::Server;
use crate::settings::{AUDIT_LOG, SettingError, Settings};

/// The server, and the sandbox that it works on, if it does.
pub(super) struct Place {
    pub(super) server: Server,
    pub(super) settings: Settings,
    _sandbox: Option<Sandbox>,
}

impl Place {
    /// Starts the sandbox, if it is that. Nothing is sent to a Medplum.
    pub(super) async fn find(mut settings: Settings, sandboxed: bool) -> Result<Self, Box<dyn Error>> {
        let sandbox = if sandboxed { Some(Sandbox::builder().start().await?) } else { None };
        if let Some(sandbox) = &sandbox {
            settings.use_sandbox(sandbox)?;
        }
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
        Ok(Self { server, settings, _sandbox: sandbox })
    }
}

/// The audit log, as the server opens it at its start.
pub(super) fn open_audit_log(path: &Path) -> Result<AuditLog, SettingError> {
    let advice = "Name a file that this user can write to, in a folder that is there";
    AuditLog::open(path).map_err(|error| SettingError::of_file(AUDIT_LOG, &unwritten(path, &error), advice))
}
