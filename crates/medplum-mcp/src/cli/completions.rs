//! `completions`: what a shell needs to complete this program's arguments.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, Command, value_parser};
use clap_complete::{Shell, generate};
use futures_util::FutureExt;

use super::{Ended, Invocation, Subcommand, flags};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("completions")
        .about("Print a shell's completions for this program")
        .after_help(
            "Examples:\n  \
             medplum-mcp completions bash > ~/.local/share/bash-completion/completions/medplum-mcp\n  \
             medplum-mcp completions zsh > \"${fpath[1]}/_medplum-mcp\"\n  \
             medplum-mcp completions fish > ~/.config/fish/completions/medplum-mcp.fish\n  \
             medplum-mcp completions powershell >> $PROFILE",
        )
        .args(flags::hidden())
        .arg(
            Arg::new("shell").required(true).value_name("SHELL").value_parser(value_parser!(Shell)).help("Which shell"),
        )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let shell = invocation.arguments.get_one::<Shell>("shell").copied().unwrap_or(Shell::Bash);
    let mut script = Vec::new();
    generate(shell, &mut super::command(), "medplum-mcp", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
