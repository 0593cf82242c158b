//! `sandbox`: the Medplum in memory on its own, until it is stopped.

use std::io::Write;

use clap::{Arg, ArgAction, Command};
use futures_util::FutureExt;
use medplum_sandbox::Sandbox;

use super::{Ended, Invocation, Subcommand, flags, say};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("sandbox")
        .about("Run the Medplum in memory on its own, for other programs' tests; loopback only")
        .after_help(
            "Examples:\n  medplum-mcp sandbox > sandbox.env &\n  sleep 1; set -a; . ./sandbox.env\nIts URL and credentials are printed as NAME=value, one a line.",
        )
        .args(flags::hidden())
        .arg(
            Arg::new("port")
                .long("port")
                .default_value("8103")
                .value_name("PORT")
                .value_parser(clap::value_parser!(u16))
                .help("0 takes a free one"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .action(ArgAction::Append)
                .value_name("FILE")
                .help("Resources to load: NDJSON or a Bundle; instead of the built-in patients"),
        )
        .arg(
            Arg::new("patients")
                .long("patients")
                .value_name("N")
                .value_parser(clap::value_parser!(usize))
                .help("More synthetic patients, always the same ones"),
        )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    invocation.settings()?;
    let given = invocation.arguments;
    let port = given.get_one::<u16>("port").copied().unwrap_or_default();
    let files: Vec<&String> = given.get_many("data").into_iter().flatten().collect();
    let mut builder = Sandbox::builder().port(port);
    if let Some(patients) = given.get_one::<usize>("patients") {
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
