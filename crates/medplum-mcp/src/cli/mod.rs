//! The command line. A subcommand is a file here and a line in [`SUBCOMMANDS`].

mod audit;
mod call;
mod completions;
mod demo;
mod doctor;
mod flags;
mod install;
mod man;
mod place;
mod sandbox;
mod serve;
mod settings;
mod signals;
mod tools;
mod wrong;

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use futures_util::future::LocalBoxFuture;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{Misspelt, SettingError, Settings, Values, misspelt};

/// Every subcommand, in the order in which the help lists them.
const SUBCOMMANDS: &[Subcommand] = &[
    serve::SUBCOMMAND,
    doctor::SUBCOMMAND,
    install::SUBCOMMAND,
    install::uninstall::SUBCOMMAND,
    call::SUBCOMMAND,
    tools::SUBCOMMAND,
    settings::SUBCOMMAND,
    sandbox::SUBCOMMAND,
    audit::SUBCOMMAND,
    demo::SUBCOMMAND,
    completions::SUBCOMMAND,
    man::SUBCOMMAND,
];

/// A subcommand: how it is written, and what it does.
struct Subcommand {
    /// Its name, what it is for, its arguments and its examples.
    command: fn() -> Command,
    /// Runs it, and says how the program ends.
    run: for<'a> fn(&'a Invocation<'a>) -> LocalBoxFuture<'a, Ended>,
}

/// How a subcommand ended: with an exit code, or with what stderr says before the program ends with 2.
type Ended = Result<ExitCode, Box<dyn Error>>;

/// What a subcommand is given.
struct Invocation<'a> {
    /// Its own arguments.
    arguments: &'a ArgMatches,
    /// The settings' values, as they were found.
    values: Values,
    /// Variables that are nearly settings.
    misspelt: Vec<Misspelt>,
    /// Whether it is to work on the sandbox.
    sandboxed: bool,
    /// The environment, for what is no setting.
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Invocation<'_> {
    /// The settings, validated. From here on what is logged goes where they say.
    fn settings(&self) -> Result<Settings, SettingError> {
        let settings = Settings::new(&self.values)?;
        log_to_stderr(&settings);
        Ok(settings)
    }
}

/// Runs the program with these arguments and this environment, whose variables have these names.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    variables: impl IntoIterator<Item = String>,
) -> ExitCode {
    let matches = match command().try_get_matches_from(flags::joined(arguments)) {
        Ok(matches) => matches,
        Err(error) => {
            match wrong::told(&error, &command()) {
                Some(problem) => say(&format!("medplum-mcp: {problem}")),
                // Help and version are such errors too, and go to stdout.
                None => drop(error.print()),
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    quiet_panics();
    match run(&matches, &environment, misspelt(variables)) {
        Ok(code) => code,
        // Whoever reads has seen enough, as with `| head`.
        Err(problem) if is_closed_pipe(&*problem) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("medplum-mcp: {problem}"));
            ExitCode::from(2)
        }
    }
}

/// The command line as clap sees it.
pub fn command() -> Command {
    Command::new("medplum-mcp")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An MCP server for Medplum: an AI agent works on a FHIR R4 project, read-only unless you open writes")
        .long_about(ABOUT)
        .after_help("More, with every setting: medplum-mcp --help. A command's own: medplum-mcp COMMAND --help")
        .after_long_help(EXAMPLES)
        // What to try first stands before the long list of settings.
        .help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}")
        .args(flags::global())
        .subcommands(SUBCOMMANDS.iter().map(|subcommand| (subcommand.command)()))
}

const ABOUT: &str = "\
An MCP server for Medplum: through it an AI agent (Claude Code, Claude Desktop, Codex, Cursor …) works on a project's \
records as FHIR R4.

It is read-only until you open writes, and it judges every request by what it does, not by the tool that makes it. \
Without a command it serves MCP over stdio: that is how an agent's host starts it.";

const EXAMPLES: &str = "\
Look around, without an account:
  medplum-mcp demo                              a session as an agent has it
  medplum-mcp install claude-code --sandbox     an agent on synthetic patients
  medplum-mcp --sandbox call list_codes '{\"resource_type\":\"Condition\"}'

On your project, as a ClientApplication (Medplum app: Project, Clients):
  export MEDPLUM_CLIENT_ID=… MEDPLUM_CLIENT_SECRET=…
  medplum-mcp doctor                            is all well, what is allowed?
  medplum-mcp install claude-code               or codex, cursor, vscode, …
  medplum-mcp install claude-code --writes      the agent may change records

Exit status: 0; 1 if a call failed or doctor found a failure; 2 for a wrong
command or setting.";

fn is_closed_pipe(problem: &(dyn Error + 'static)) -> bool {
    problem.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(matches: &ArgMatches, environment: &dyn Fn(&str) -> Option<String>, misspelt: Vec<Misspelt>) -> Ended {
    let (name, arguments) = matches.subcommand().unwrap_or((serve::NAME, matches));
    let subcommand = SUBCOMMANDS.iter().find(|subcommand| (subcommand.command)().get_name() == name);
    let subcommand = subcommand.unwrap_or(&serve::SUBCOMMAND);
    let sandboxed = flags::sandboxed(matches);
    let values = flags::values(matches, environment);
    let invocation = Invocation { arguments, values, misspelt, sandboxed, environment };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on((subcommand.run)(&invocation))
}

/// A line to the person, which is never on stdout: that belongs to the answer.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// 12345 as 12,345.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().saturating_sub(index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A panic's message may hold a record: only its place is printed. The call that panicked is answered with an error.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        say(&format!("medplum-mcp: a call failed inside the server at {place}; please report it"));
    }));
}

/// Our own lines alone: what the protocol and HTTP libraries log can hold bodies.
fn log_to_stderr(settings: &Settings) {
    let ours = tracing_subscriber::filter::Targets::new()
        .with_target("medplum_mcp", settings.log)
        .with_target("medplum_client", settings.log)
        .with_target("medplum_sandbox", settings.log);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second set-up in the same process, as in a test, leaves the first one in place.
    let _ = tracing_subscriber::registry().with(ours).with(lines).try_init();
}
