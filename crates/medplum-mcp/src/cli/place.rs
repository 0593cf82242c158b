//! The server over the Medplum that the settings name, or over a sandbox.

use std::error::Error;

use medplum_client::Client;
use medplum_sandbox::Sandbox;

use crate::policy::Policy;
use crate::server::Server;
use crate::settings::Settings;

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
        let client = Client::new(settings.config()?, Policy::new(settings.limits.clone()));
        let server = Server::new(client, settings.limits.clone())?;
        Ok(Self { server, settings, _sandbox: sandbox })
    }
}
