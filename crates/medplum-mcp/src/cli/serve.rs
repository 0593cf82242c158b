//! `serve`: MCP over stdio, and what runs where no subcommand is named.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Command;
use futures_util::FutureExt;
use rmcp::service::{DynService, RoleServer, RunningService, ServerInitializeError, ServiceExt, serve_server};

use super::place::Place;
use super::{Ended, Invocation, Subcommand, say, signals};
use crate::server::Server;
use crate::transport::StdioTransport;

pub(super) const NAME: &str = "serve";

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new(NAME).about("Serve MCP over stdio (the default). Your agent's host starts it like this").after_help(
        "Examples:\n  medplum-mcp\n  medplum-mcp serve --sandbox\n  MEDPLUM_ENABLE_WRITES=true medplum-mcp serve",
    )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let place = Place::of(invocation).await?;
    if std::io::stdin().is_terminal() {
        say(
            "medplum-mcp waits for an MCP client on stdin; an agent's host starts it. To look around instead: medplum-mcp demo. Ctrl-C ends it.",
        );
    }
    // Dynamic, what answers a request stands in a box: rmcp moves it several times, and it is of a few kilobytes.
    match serve_server(place.server.clone().into_dyn(), StdioTransport::of_process()?).await {
        Ok(running) => {
            until_its_end(running, &place.server).await;
            Ok(ExitCode::SUCCESS)
        }
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(ExitCode::SUCCESS),
        // The error holds the message that it stumbled on, which may be a record.
        Err(_) => Err("the client did not speak MCP".into()),
    }
}

/// Serves until the host is gone or a signal comes; a second signal waits for nothing.
async fn until_its_end(running: RunningService<RoleServer, Box<dyn DynService<RoleServer>>>, server: &Server) {
    let calls = running.cancellation_token();
    let mut waiting = std::pin::pin!(running.waiting());
    let host_is_there = tokio::select! {
        _ = &mut waiting => true,
        () = StdioTransport::host_is_gone() => false,
        () = signals::told_to_end() => false,
    };
    let ending = async {
        if !host_is_there {
            // Nobody hears the answers: what is being asked ends now.
            calls.cancel();
            let _ = waiting.await;
        }
        // But a write that has left is waited for.
        server.settle().await;
    };
    tokio::select! {
        () = ending => {}
        // Told again, it ends at once.
        () = signals::told_to_end() => {}
    }
}
