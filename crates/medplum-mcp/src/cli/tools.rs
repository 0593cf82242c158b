//! `tools`: the tools, and which of them are open.

use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use futures_util::FutureExt;

use super::{Ended, Invocation, Subcommand};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("tools").about("List the tools that are open under these settings")
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let settings = invocation.settings()?;
    let mut out = std::io::stdout().lock();
    let tools = crate::tools::all(&settings.limits);
    let width = tools.iter().map(|tool| tool.facts.name.len()).max().unwrap_or_default();
    for tool in &tools {
        let closed = tool.closed_by(&settings.limits).map(|by| format!("  (closed: {by})")).unwrap_or_default();
        writeln!(out, "{:width$}  {}{closed}", tool.facts.name, tool.facts.when)?;
    }
    Ok(ExitCode::SUCCESS)
}
