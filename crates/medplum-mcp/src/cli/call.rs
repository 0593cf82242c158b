//! `call`: one tool from the shell, through the same code as an agent's call.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, Command};
use futures_util::FutureExt;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde_json::Value;

use super::place::Place;
use super::{Ended, Invocation, Subcommand, say, signals};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("call")
        .about("Call one tool and print its answer; notes go to stderr")
        .after_help(
            "Examples:\n  \
             medplum-mcp --sandbox call search_resources '{\"resource_type\":\"Patient\",\"count\":3}'\n  \
             medplum-mcp call get_patient_summary - < arguments.json",
        )
        .arg_required_else_help(true)
        .arg(Arg::new("tool").required(true).value_name("TOOL").help("The tool's name; `medplum-mcp tools` lists them"))
        .arg(
            Arg::new("arguments").value_name("JSON").default_value("{}").help("Its arguments; - reads them from stdin"),
        )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let place = Place::of(invocation).await?;
    let text = |name: &str| invocation.arguments.get_one::<String>(name).cloned().unwrap_or_default();
    let given = match text("arguments").as_str() {
        "-" => std::io::read_to_string(std::io::stdin())?,
        given => given.to_owned(),
    };
    let arguments = arguments(&given)?;
    match place.server.call_until(signals::told_to_end(), &text("tool"), arguments).await {
        Some(result) => print(&result),
        None => {
            // A write that has left is waited for. Told again, it ends at once.
            tokio::select! {
                () = place.server.settle() => {}
                () = signals::told_to_end() => {}
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn arguments(given: &str) -> Result<JsonObject, String> {
    match serde_json::from_str(given) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err("the arguments must be a JSON object, such as '{\"resource_type\":\"Patient\"}'".into()),
        Err(error) => Err(format!(
            "the arguments are not JSON (line {}, column {}). For example: '{{\"resource_type\":\"Patient\"}}'; - reads them from stdin, where no shell takes the quotes away",
            error.line(),
            error.column()
        )),
    }
}

/// The record to stdout, so that it can be piped; our own words to stderr.
fn print(result: &CallToolResult) -> Ended {
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
