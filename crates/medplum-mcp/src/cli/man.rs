//! `man`: the manual pages.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Command, value_parser};
use clap_mangen::Man;
use futures_util::FutureExt;

use super::{Ended, Invocation, Subcommand, flags, say};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("man")
        .about("Print the manual page, or write one for each command into a folder")
        .after_help(
            "Examples:\n  \
             medplum-mcp man | man -l -\n  \
             medplum-mcp man --dir ~/.local/share/man/man1",
        )
        .args(flags::hidden())
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("The folder, which must be there"),
        )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let mut command = super::command();
    if let Some(folder) = invocation.arguments.get_one::<PathBuf>("dir") {
        if !folder.is_dir() {
            return Err(format!("{} is no folder", folder.display()).into());
        }
        clap_mangen::generate_to(command, folder)?;
        say(&format!("The pages are in {}.", folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    command.build();
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&page)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
