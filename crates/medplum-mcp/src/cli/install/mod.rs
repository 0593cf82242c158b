//! `install` and `uninstall`: a host's configuration, with everything else in it left as it is.

mod difference;
mod entry;
mod file;
mod hosts;
mod json;
mod machine;
mod receipt;
mod text;
mod toml;
pub(super) mod uninstall;
mod written;

use std::error::Error;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use futures_util::FutureExt;

use self::entry::{Entry, Secrets};
use self::file::Known;
use self::hosts::{HOSTS, Host, JSON, Reference, Scope};
use self::machine::Machine;
use self::receipt::Receipt;
use self::text::Unusable;
use self::written::Written;
use super::{Ended, Invocation, Subcommand, say};
use crate::settings::{ALLOW_OBO_OVERRIDE, ENABLE_WRITES, Kind, SETTINGS, Settings, Source, Values};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("install")
        .about("Put this server into a host's configuration, and leave everything else in it as it is")
        .long_about(
            "Put this server into a host's configuration, and leave everything else in it as it is, comments too. What \
             changes is shown first; a backup is kept beside the file (FILE.before-medplum) with a note of what was put \
             in (FILE.put-medplum), and `uninstall` takes that out again, and them.\n\nThe settings that are set here go with it. Secrets do not: the file names the variables \
             of the host's own environment, or a file that holds the secret (--client-secret-file), or has the host ask.",
        )
        .after_help(
            "Examples:\n  \
             medplum-mcp install claude-code --sandbox     synthetic patients, no account\n  \
             medplum-mcp install codex                     your project\n  \
             medplum-mcp install vscode --scope project    for all who work in this folder\n  \
             medplum-mcp install cursor --dry-run          only show what would change\n  \
             medplum-mcp install claude-desktop --client-id ID --client-secret-file PATH\n  \
             medplum-mcp install json                      the form for any other host",
        )
        .arg_required_else_help(true)
        .arg(host_argument(HOSTS.iter().chain([&JSON])))
        .args(place_arguments())
        .arg(
            Arg::new("writes")
                .long("writes")
                .action(ArgAction::SetTrue)
                .help("Open the tools that change records and run bots to the agents of this host"),
        )
        .arg(
            Arg::new("secrets-in-file")
                .long("secrets-in-file")
                .action(ArgAction::SetTrue)
                .help("Write the credentials that are set here into the file itself"),
        )
}

/// The host that is named.
fn host_argument<'a>(hosts: impl Iterator<Item = &'a Host>) -> Arg {
    let names: Vec<&'static str> = hosts.map(|host| host.name).collect();
    Arg::new("host").required(true).value_name("HOST").value_parser(PossibleValuesParser::new(names)).help("The host")
}

/// What says which file is meant, and whether it is written.
fn place_arguments() -> [Arg; 4] {
    [
        Arg::new("scope")
            .long("scope")
            .value_name("SCOPE")
            .value_parser(["user", "project"])
            .default_value("user")
            .help("All of your work, or the project in this folder"),
        Arg::new("name")
            .long("name")
            .value_name("NAME")
            .help("The server's name in the host [default: medplum, or medplum-sandbox]"),
        Arg::new("dry-run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help("Show what would change, and write nothing"),
        Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("Write it without asking"),
    ]
}

/// Which entry of which host's file is meant.
struct Aim<'a> {
    host: &'static Host,
    scope: Scope,
    name: String,
    machine: Machine<'a>,
}

impl<'a> Aim<'a> {
    fn of(invocation: &'a Invocation<'_>) -> Result<Self, Box<dyn Error>> {
        let given = invocation.arguments;
        let text = |name: &str| given.get_one::<String>(name).map(String::as_str);
        let wanted = text("host").unwrap_or_default();
        let host = HOSTS.iter().find(|host| host.name == wanted).unwrap_or(&JSON);
        let scope = if text("scope") == Some("project") { Scope::Project } else { Scope::User };
        let usual = if invocation.sandboxed { "medplum-sandbox" } else { "medplum" };
        let name = text("name").unwrap_or(usual);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err("--name takes letters, digits, - and _. For example: --name medplum-clinic".into());
        }
        let machine = Machine::here(invocation.environment)?;
        Ok(Self { host, scope, name: name.to_owned(), machine })
    }

    /// The file that is meant.
    fn file(&self) -> Result<PathBuf, String> {
        let title = self.host.title;
        if self.scope == Scope::Project && !self.host.has_projects() {
            return Err(format!("{title} has no configuration of a project's own: leave --scope out"));
        }
        let file = self.host.file(self.scope, &self.machine);
        file.ok_or_else(|| format!("{title}'s configuration cannot be found: neither HOME nor APPDATA says where"))
    }

    /// Whether an entry starts this program, as those that `install` writes do.
    fn starts_us(&self, entry: &Written) -> bool {
        entry.starts(&self.machine.program)
    }

    /// The same call as `uninstall`.
    fn undo(&self, sandboxed: bool) -> String {
        self.undo_of(&self.name, sandboxed)
    }

    /// The same call as `uninstall` of an entry of this name.
    fn undo_of(&self, name: &str, sandboxed: bool) -> String {
        let scope = if self.scope == Scope::Project { " --scope project" } else { "" };
        let name = match name {
            "medplum" => String::new(),
            "medplum-sandbox" if sandboxed => " --sandbox".to_owned(),
            other => format!(" --name {other}"),
        };
        format!("medplum-mcp uninstall {}{scope}{name}", self.host.name)
    }
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let aim = Aim::of(invocation)?;
    if aim.host.name == JSON.name {
        print(&entry(invocation, &aim, Secrets::ToFillIn)?.written(aim.host).alone(aim.host))?;
        say("Paste it into the host's file of MCP servers; where it cannot name variables, write their values.");
        return Ok(ExitCode::SUCCESS);
    }
    let file = aim.file()?;
    let shown = aim.machine.shown(&file);
    if aim.scope == Scope::User && !aim.host.is_here(&aim.machine) {
        print(&entry(invocation, &aim, Secrets::ToFillIn)?.written(aim.host).alone(aim.host))?;
        let (title, traces) = (aim.host.title, aim.host.traces(&aim.machine));
        say(&format!("{title} was not found here ({traces}), so nothing was written. Its {shown} takes the above."));
        return Ok(ExitCode::SUCCESS);
    }
    let secrets = if invocation.arguments.get_flag("secrets-in-file") { Secrets::InFile } else { Secrets::Elsewhere };
    let entry = entry(invocation, &aim, secrets)?;
    let written = entry.written(aim.host);
    let known = Known::read(&file, shown.clone())?;
    let by_hand = |error: Unusable| {
        format!("{shown}: {error}. Nothing was written. To paste it by hand:\n{}", written.alone(aim.host))
    };
    let before = Written::find(aim.host, &aim.name, known.text()).map_err(by_hand)?;
    if before.as_ref().is_some_and(|before| before.server == written.server) {
        print(&format!("{}: {} is in {shown} already, like this.\n", aim.host.title, aim.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    let after = written.put(aim.host, known.text()).map_err(by_hand)?;
    print(&difference::shown(&shown, known.text(), &after))?;
    if !may_write(invocation.arguments, &format!("Write this to {shown}?"))? {
        return Ok(ExitCode::SUCCESS);
    }
    // What was kept before an earlier entry of ours is what there was before us, and a file that we made is no loss.
    known.may_be_written()?;
    let receipt = Receipt::beside(&known, &aim.name)?;
    let ours = before.is_some_and(|before| receipt.names(&before));
    let kept = if ours { None } else { known.keep(&aim.name)? };
    let put = receipt.add(&written, ours).and_then(|()| known.write(&after, entry.holds_secret()));
    if let Err(trouble) = put {
        receipt.take_back();
        kept.iter().for_each(|kept| drop(std::fs::remove_file(kept)));
        return Err(trouble.into());
    }
    report(invocation, &aim, &entry, &known, (kept, &receipt))?;
    Ok(ExitCode::SUCCESS)
}

fn entry(invocation: &Invocation<'_>, aim: &Aim<'_>, secrets: Secrets) -> Result<Entry, Box<dyn Error>> {
    let given = invocation.arguments;
    let opened = given.get_flag("writes");
    let of = |variable: &str, source| invocation.values.value_from(variable, source).map(str::to_owned);
    let values = Values::find(
        |setting| {
            let opened = opened && setting.variable == ENABLE_WRITES;
            if opened { Some("true".to_owned()) } else { of(setting.variable, Source::Flag) }
        },
        |variable| of(variable, Source::Environment),
    );
    // Credentials need not be set here, so they are not looked at; the rest is written as it is, so it must be right.
    let credential = |variable: &str| {
        let kind = SETTINGS.iter().find(|setting| setting.variable == variable).map(|setting| setting.kind);
        kind == Some(Kind::Secret) || variable.starts_with("MEDPLUM_CLIENT_")
    };
    values.check_one_way_in()?;
    Settings::new(&Values::find(
        |_| None,
        |variable| values.value(variable).filter(|_| !credential(variable)).map(str::to_owned),
    ))?;
    let variables = Entry::variables(aim.host, &values, invocation.sandboxed, secrets)?;
    for variable in [ENABLE_WRITES, ALLOW_OBO_OVERRIDE] {
        let here = values.source(variable) == Some(Source::Environment) && values.value(variable) != Some("false");
        if here {
            say(&format!(
                "{variable} is set here, but opens nothing for the host's agents unless it is a flag of this command."
            ));
        }
    }
    let (command, mut arguments) = aim.machine.launch(aim.host.without_path);
    if invocation.sandboxed {
        arguments.push("--sandbox".to_owned());
    }
    Ok(Entry { name: aim.name.clone(), command, arguments, variables })
}

/// What was done, what is left to do, and how to undo it.
fn report(
    invocation: &Invocation<'_>,
    aim: &Aim<'_>,
    entry: &Entry,
    known: &Known,
    (kept, receipt): (Option<PathBuf>, &Receipt),
) -> Result<(), Box<dyn Error>> {
    let shown = aim.machine.shown(&aim.file()?);
    let backup = kept.map(|kept| aim.machine.shown(&kept));
    let kept = backup.as_ref().map(|backup| format!(" What it was before is in {backup}."));
    let mut lines = vec![format!("{}: {} is in {shown}.{}", aim.host.title, aim.name, kept.unwrap_or_default())];
    let needed = entry.needed();
    let references: Vec<&str> = needed.iter().map(String::as_str).collect();
    if !references.is_empty() {
        lines.push(match aim.host.reference {
            Reference::Input => {
                format!("{} asks for {} when it first starts the server.", aim.host.title, and(&references))
            }
            _ => format!("Set {} in the environment that {} is started from.", and(&references), aim.host.title),
        });
    }
    lines.push(format!(
        "{}. What is wrong, if anything is: medplum-mcp doctor. Out again: {}",
        aim.host.then,
        aim.undo(invocation.sandboxed)
    ));
    print(&format!("{}\n", lines.join("\n")))?;
    let paths = entry.paths();
    if aim.scope == Scope::Project && !paths.is_empty() {
        let are = if paths.len() == 1 { "stands there as a path" } else { "stand there as paths" };
        say(&format!("{shown} is for all who work in this folder, but {} {are} of this machine.", and(&paths)));
    }
    if aim.scope == Scope::Project {
        let receipt = aim.machine.shown(receipt.place());
        let (beside, are) = match &backup {
            Some(backup) => (format!("{backup} and {receipt}"), "are for `uninstall` on this machine alone: keep them"),
            None => (receipt, "is for `uninstall` on this machine alone: keep it"),
        };
        say(&format!("{beside} {are} out of version control."));
    }
    if entry.holds_secret() && aim.scope == Scope::Project {
        say(&format!("{shown} holds a secret now: keep it out of version control."));
    }
    if entry.holds_secret() && known.is_open_to_others() {
        say(&format!("{shown} holds a secret now, and others on this machine can read it: chmod 600 {shown}"));
    }
    Ok(())
}

/// Whether to go on: told so, or asked on a terminal.
fn may_write(given: &ArgMatches, question: &str) -> Result<bool, Box<dyn Error>> {
    if given.get_flag("dry-run") {
        say("Nothing was written (--dry-run).");
        return Ok(false);
    }
    if given.get_flag("yes") {
        return Ok(true);
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(
            "nothing was written: there is no terminal to ask on. Pass --yes to write it, or --dry-run to see it only"
                .into(),
        );
    }
    let mut errors = std::io::stderr().lock();
    write!(errors, "{question} [y/N] ")?;
    errors.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        writeln!(errors, "Nothing was written.")?;
    }
    Ok(yes)
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

fn and(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}
