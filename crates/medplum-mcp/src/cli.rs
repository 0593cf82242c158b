//! The command line: serve, call, tools, demo.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use medplum_client::Client;
use medplum_sandbox::Sandbox;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::service::{ServerInitializeError, serve_server};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::demo;
use crate::policy::Policy;
use crate::server::Server;
use crate::settings::{Kind, SETTINGS, Setting, Settings, Values};
use crate::transport::StdioTransport;

/// Runs the program with these arguments and this environment.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: impl Fn(&str) -> Option<String>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are such errors too, and go to stdout.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    quiet_panics();
    match run(&matches, environment) {
        Ok(code) => code,
        Err(problem) => {
            say(&format!("medplum-mcp: {problem}"));
            ExitCode::from(2)
        }
    }
}

/// The command line as clap sees it.
pub fn command() -> Command {
    let sandbox = Arg::new("sandbox")
        .long("sandbox")
        .global(true)
        .action(ArgAction::SetTrue)
        .help("Work on a Medplum in memory with synthetic patients; URL and credentials are then ignored");
    Command::new("medplum-mcp")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An MCP server for Medplum: an AI agent works on a FHIR R4 project, read-only unless you open writes.")
        .after_help(EXAMPLES)
        .arg(sandbox)
        .args(SETTINGS.iter().map(argument))
        .subcommand(Command::new("serve").about("Serve MCP over stdio (the default). Your agent's host starts it like this"))
        .subcommand(
            Command::new("call")
                .about("Call one tool and print its answer; notes go to stderr")
                .after_help("Example:\n  medplum-mcp --sandbox call search_resources '{\"resource_type\":\"Patient\",\"count\":3}'")
                .arg(Arg::new("tool").required(true).value_name("TOOL").help("The tool's name; `medplum-mcp tools` lists them"))
                .arg(Arg::new("arguments").value_name("JSON").default_value("{}").help("Its arguments; - reads them from stdin")),
        )
        .subcommand(Command::new("tools").about("List the tools that are open under these settings"))
        .subcommand(
            Command::new("sandbox")
                .about("Run the Medplum in memory on its own, for other programs' tests; loopback only")
                .after_help("Example:\n  medplum-mcp sandbox > sandbox.env &\n  sleep 1; set -a; . ./sandbox.env\nIts URL and credentials are printed as NAME=value, one a line.")
                .arg(Arg::new("port").long("port").default_value("8103").value_name("PORT").value_parser(clap::value_parser!(u16)).help("0 takes a free one"))
                .arg(Arg::new("data").long("data").action(ArgAction::Append).value_name("FILE").help("Resources to load: NDJSON or a Bundle; instead of the built-in patients"))
                .arg(Arg::new("patients").long("patients").value_name("N").value_parser(clap::value_parser!(usize)).help("More synthetic patients, always the same ones")),
        )
        .subcommand(Command::new("demo").about("Show a short session with an agent's eyes, on synthetic patients"))
}

const EXAMPLES: &str = "Examples:
  medplum-mcp --sandbox call search_resources '{\"resource_type\":\"Patient\",\"count\":3}'
  claude mcp add medplum -e MEDPLUM_CLIENT_ID=… -e MEDPLUM_CLIENT_SECRET=… -- medplum-mcp
  claude mcp add medplum-sandbox -- medplum-mcp --sandbox";

fn argument(setting: &Setting) -> Arg {
    let help = match (setting.kind, setting.default) {
        (Kind::Secret, _) | (_, None) => format!("{} [env: {}]", setting.help, setting.variable),
        (_, Some(default)) => format!("{} [env: {}] [default: {default}]", setting.help, setting.variable),
    };
    let argument = Arg::new(setting.variable).long(setting.flag).global(true).help(help);
    match setting.kind {
        Kind::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(BoolishValueParser::new()),
        Kind::Number => argument.value_name("NUMBER"),
        Kind::Text | Kind::Secret => argument.value_name("TEXT").value_parser(NonEmptyStringValueParser::new()),
    }
}

fn flag(matches: &ArgMatches, setting: &Setting) -> Option<String> {
    match setting.kind {
        Kind::Switch => matches.get_one::<bool>(setting.variable).map(ToString::to_string),
        _ => matches.get_one::<String>(setting.variable).cloned(),
    }
}

fn run(
    matches: &ArgMatches,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let sandboxed = matches.get_flag("sandbox");
    // A sandbox brings its own URL and credentials; those that are set are for another server.
    let elsewhere = [
        "MEDPLUM_BASE_URL",
        "MEDPLUM_FHIR_URL_PATH",
        "MEDPLUM_CLIENT_ID",
        "MEDPLUM_CLIENT_SECRET",
        "MEDPLUM_CLIENT_SECRET_FILE",
        "MEDPLUM_ACCESS_TOKEN",
        "MEDPLUM_ON_BEHALF_OF",
    ];
    let ignored = |name: &str| sandboxed && elsewhere.contains(&name);
    let values = Values::find(
        |setting| flag(matches, setting).filter(|_| !ignored(setting.variable)),
        |name| environment(name).filter(|_| !ignored(name)),
    );
    let settings = Settings::new(&values)?;
    log_to_stderr(&settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match matches.subcommand() {
            Some(("demo", _)) => Ok(demo::run(&mut std::io::stdout()).await?),
            Some(("tools", _)) => list_tools(&settings),
            Some(("sandbox", alone)) => run_sandbox(alone).await,
            Some(("call", call)) => {
                let place = Place::find(settings, sandboxed).await?;
                call_once(&place.server, call).await
            }
            _ => serve(Place::find(settings, sandboxed).await?).await,
        }
    })
}

/// The server, and the sandbox that it works on, if it does.
struct Place {
    server: Server,
    writes: bool,
    insecure: bool,
    _sandbox: Option<Sandbox>,
}

impl Place {
    async fn find(mut settings: Settings, sandboxed: bool) -> Result<Self, Box<dyn std::error::Error>> {
        let sandbox = if sandboxed { Some(Sandbox::builder().start().await?) } else { None };
        if let Some(sandbox) = &sandbox {
            settings.use_sandbox(sandbox)?;
        }
        let client = Client::new(settings.config()?, Policy::new(settings.limits.clone()));
        let server = Server::new(client, settings.limits.clone())?;
        Ok(Self {
            server,
            writes: settings.limits.writes,
            insecure: settings.base_url.is_insecure(),
            _sandbox: sandbox,
        })
    }
}

async fn serve(place: Place) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if place.writes {
        say(
            "medplum-mcp: writes are open (MEDPLUM_ENABLE_WRITES): the agent can change and delete patients' records and run bots. Scope the client application tightly.",
        );
    }
    if place.insecure {
        say(
            "medplum-mcp: http to another machine (MEDPLUM_ALLOW_INSECURE_HTTP): tokens and records travel in the clear.",
        );
    }
    if std::io::stdin().is_terminal() {
        say(
            "medplum-mcp waits for an MCP client on stdin; an agent's host starts it. To look around instead: medplum-mcp demo. Ctrl-C ends it.",
        );
    }
    match serve_server(place.server.clone(), StdioTransport::of_process()?).await {
        Ok(running) => {
            let _ = running.waiting().await;
            Ok(ExitCode::SUCCESS)
        }
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(ExitCode::SUCCESS),
        // The error holds the message that it stumbled on, which may be a record.
        Err(_) => Err("the client did not speak MCP".into()),
    }
}

/// A sandbox of its own, until it is stopped.
async fn run_sandbox(alone: &ArgMatches) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let port = alone.get_one::<u16>("port").copied().unwrap_or_default();
    let files: Vec<&String> = alone.get_many("data").into_iter().flatten().collect();
    let mut builder = Sandbox::builder().port(port);
    if let Some(patients) = alone.get_one::<usize>("patients") {
        builder = builder.patients(*patients);
    } else if !files.is_empty() {
        builder = builder.unpopulated();
    }
    for file in files {
        builder = builder.data_file(file)?;
    }
    let sandbox = builder.start().await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port {port} is taken; --port 0 takes a free one"),
        _ => error.to_string(),
    })?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "MEDPLUM_BASE_URL={}", sandbox.base_url())?;
        writeln!(out, "MEDPLUM_CLIENT_ID={}", sandbox.client_id())?;
        writeln!(out, "MEDPLUM_CLIENT_SECRET={}", sandbox.client_secret())?;
        out.flush()?;
    }
    say(&format!("{} resources on {}; Ctrl-C ends it.", sandbox.resource_count(), sandbox.base_url()));
    std::future::pending().await
}

async fn call_once(server: &Server, call: &ArgMatches) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let text = |name: &str| call.get_one::<String>(name).cloned().unwrap_or_default();
    let given = match text("arguments").as_str() {
        "-" => std::io::read_to_string(std::io::stdin())?,
        given => given.to_owned(),
    };
    let arguments = match serde_json::from_str(&given) {
        Ok(Value::Object(arguments)) => arguments,
        Ok(_) => return Err("the arguments must be a JSON object, such as '{\"resource_type\":\"Patient\"}'".into()),
        Err(error) => {
            return Err(format!("the arguments are not JSON (line {}, column {})", error.line(), error.column()).into());
        }
    };
    print(&server.call(&text("tool"), arguments).await)
}

/// The record to stdout, so that it can be piped; our own words to stderr.
fn print(result: &CallToolResult) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let failed = result.is_error == Some(true);
    let texts = result.content.iter().filter_map(ContentBlock::as_text).map(|block| block.text.as_str());
    for (index, text) in texts.enumerate() {
        if index == 0 && !failed {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{text}")?;
        } else {
            say(text);
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn list_tools(settings: &Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let tools = crate::tools::all(&settings.limits);
    let width = tools.iter().map(|tool| tool.facts.name.len()).max().unwrap_or_default();
    for tool in &tools {
        let closed = if tool.is_open(&settings.limits) { "" } else { "  (closed: MEDPLUM_ENABLE_WRITES)" };
        writeln!(out, "{:width$}  {}{closed}", tool.facts.name, tool.facts.when)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
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
