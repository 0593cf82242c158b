//! `audit verify`: whether an audit log is as it was written.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use futures_util::FutureExt;

use super::{Ended, Invocation, Subcommand};
use crate::audit::{Hash, Verification, verify};
use crate::file_trouble::{unread, why};

/// So many findings are printed.
const SHOWN: usize = 100;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    let verify = Command::new("verify")
        .about("Look for lines that were changed, removed, added or moved, and for writes without an end")
        .after_help(
            "Exit status: 0 if nothing is found, 1 if something is, 2 if a file cannot be read.\n\nExample:\n  medplum-mcp audit verify audit.jsonl --head \"$(cat kept-elsewhere)\"",
        )
        .arg(
            Arg::new("file")
                .required(true)
                .action(ArgAction::Append)
                .value_name("FILE")
                .help("The log; after rotation its files, the oldest first"),
        )
        .arg(
            Arg::new("head")
                .long("head")
                .value_name("HASH")
                .value_parser(|text: &str| text.parse::<Hash>())
                .help("A head that was printed before: finds lines cut off the end since"),
        );
    Command::new("audit")
        .about("Check an audit log (MEDPLUM_AUDIT_LOG)")
        .after_help("Example:\n  medplum-mcp audit verify audit.jsonl")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verify)
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    match invocation.arguments.subcommand() {
        Some((_, arguments)) => check(arguments),
        None => Ok(ExitCode::from(2)),
    }
}

fn check(arguments: &ArgMatches) -> Ended {
    let names: Vec<&String> = arguments.get_many("file").into_iter().flatten().collect();
    let kept = arguments.get_one::<Hash>("head").copied();
    let files = names.iter().map(|name| open(name)).collect::<Result<Vec<_>, _>>()?;
    let found = verify(files, kept).map_err(|error| format!("the log cannot be read: {}", why(&error)))?;
    let sound = found.findings.is_empty();
    let mut out = std::io::stdout().lock();
    out.write_all(report(&found, &names).as_bytes())?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(name: &str) -> Result<impl BufRead, String> {
    let cannot = |error: std::io::Error| unread(Path::new(name), &error);
    let file = File::open(name).map_err(cannot)?;
    // What is written while it is read belongs to the next look.
    let length = file.metadata().map_err(cannot)?.len();
    Ok(BufReader::with_capacity(1 << 16, Shared(file).take(length)))
}

/// A file that a server may be writing to. On Windows its lock keeps readers out too, for as long as a line takes.
struct Shared(File);

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        const LOCK_VIOLATION: i32 = 33;
        for _ in 0..500 {
            match self.0.read(into) {
                Err(error) if cfg!(windows) && error.raw_os_error() == Some(LOCK_VIOLATION) => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                read => return read,
            }
        }
        Err(std::io::ErrorKind::TimedOut.into())
    }
}

/// `1 call`, `2 calls`.
fn counted(number: impl Into<u64>, what: &str) -> String {
    let number = number.into();
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What a person reads.
fn report(found: &Verification, names: &[&String]) -> String {
    let mut text = String::new();
    for (file, line, finding) in found.findings.iter().take(SHOWN) {
        let name = names.get(*file).map_or("", |name| name.as_str());
        text.push_str(&format!("{name} line {line}: {finding}.\n"));
    }
    let more = found.findings.len().saturating_sub(SHOWN);
    if more > 0 {
        text.push_str(&format!("… and {more} more.\n"));
    }
    let times = found.times.as_ref().map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
    text.push_str(&format!(
        "{}{times}: {}, {} of them acted. {}\n",
        counted(found.lines, "line"),
        counted(found.calls, "call"),
        found.acts,
        match found.findings.len() {
            0 => "Nothing found.".to_owned(),
            1 => "1 finding.".to_owned(),
            n => format!("{n} findings."),
        }
    ));
    if let Some(head) = found.goes_on_from {
        text.push_str(&format!("It goes on from an earlier file, whose head must be {head}\n"));
    }
    if let Some(since) = found.since_head {
        text.push_str(&format!("The head that you kept is in it; {} since.\n", counted(since, "line")));
    }
    if let Some((seq, hash)) = found.head {
        let keep = if found.findings.is_empty() { "; keep it where the log's writers cannot reach" } else { "" };
        text.push_str(&format!("head {hash} (line number {seq}{keep})\n"));
    }
    text
}
