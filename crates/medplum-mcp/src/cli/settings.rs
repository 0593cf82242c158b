//! `settings`: every setting, its value here and where that is from.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use futures_util::FutureExt;

use super::{Ended, Invocation, Subcommand};
use crate::settings::{Kind, SETTINGS, Setting, Source, Values};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("settings")
        .about("List every setting, its value here and where that is from; no secret is shown")
        .after_help(
            "Examples:\n  \
             medplum-mcp settings\n  \
             medplum-mcp settings --markdown > docs/settings.md  the manual's page of them",
        )
        .arg(
            Arg::new("markdown")
                .long("markdown")
                .action(ArgAction::SetTrue)
                .help("What each means, as Markdown, whatever is set"),
        )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let page = if invocation.arguments.get_flag("markdown") { markdown() } else { table(&invocation.values) };
    let mut out = std::io::stdout().lock();
    out.write_all(page.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A line a setting.
fn table(values: &Values) -> String {
    let width = SETTINGS.iter().map(|setting| setting.variable.len()).max().unwrap_or_default();
    let mut page = String::new();
    for setting in SETTINGS {
        let value = match (setting.kind, values.value(setting.variable)) {
            (_, None) => "-",
            (Kind::Secret, Some(_)) => "(set)",
            (_, Some(value)) => value,
        };
        let source = values.source(setting.variable).filter(|source| *source != Source::Default);
        let source = source.map(|source| format!("  ({source})")).unwrap_or_default();
        let _ = writeln!(page, "{:width$}  {value}{source}", setting.variable);
    }
    page
}

/// The page of the manual.
fn markdown() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         <!-- Made by `medplum-mcp settings --markdown`. -->\n\n\
         Each is an environment variable and a flag of every command; a flag wins. An empty variable counts as unset. \
         A switch takes `true`, `1`, `yes`, `on` and their opposites; its flag alone means `true`. They are read once, \
         at the start.\n\n\
         | variable | flag | default | meaning |\n|---|---|---|---|\n",
    );
    for Setting { variable, flag, default, help, .. } in SETTINGS {
        let default = default.map(|default| format!("`{default}`")).unwrap_or_default();
        let _ = writeln!(page, "| `{variable}` | `--{flag}` | {default} | {} |", help.replace('|', "\\|"));
    }
    page.push_str(
        "\n`--sandbox` works on the built-in Medplum in memory with synthetic patients instead; the URL, the credentials \
         and the membership that are set are for another server then, and are ignored.\n",
    );
    page
}
