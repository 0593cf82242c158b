//! `tools`: what an agent can do here, and what it costs to know of it.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use futures_util::FutureExt;
use serde_json::Value;

use super::{Ended, Invocation, Subcommand};
use crate::settings::Limits;
use crate::tokens::about;
use crate::tool::Tool;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("tools")
        .about("List the tools: what each is for, which are open under these settings")
        .after_help(
            "Examples:\n  \
             medplum-mcp tools\n  \
             medplum-mcp tools --enable-writes\n  \
             medplum-mcp tools --tokens                    what each costs before the first call\n  \
             medplum-mcp tools --markdown > docs/tools.md  the manual's page of them",
        )
        .arg(
            Arg::new("tokens")
                .long("tokens")
                .action(ArgAction::SetTrue)
                .help("About how many tokens each definition costs"),
        )
        .arg(
            Arg::new("markdown")
                .long("markdown")
                .action(ArgAction::SetTrue)
                .conflicts_with("tokens")
                .help("All tools with their arguments, as Markdown, whatever is open"),
        )
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let settings = invocation.settings()?;
    let page = if invocation.arguments.get_flag("markdown") {
        markdown()
    } else {
        table(&settings.limits, invocation.arguments.get_flag("tokens"))
    };
    let mut out = std::io::stdout().lock();
    out.write_all(page.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A line a tool.
fn table(limits: &Limits, tokens: bool) -> String {
    let (tools, _) = crate::tools::told(limits);
    let width = tools.iter().map(|tool| tool.facts.name.len()).max().unwrap_or_default();
    let mut page = String::new();
    for tool in &tools {
        let cost = if !tokens {
            String::new()
        } else if tool.is_open(limits) {
            format!("{:>5}  ", cost(tool, limits))
        } else {
            format!("{:>5}  ", "-")
        };
        let closed = tool.closed_by(limits).map(|by| format!("  (closed: {by})")).unwrap_or_default();
        let _ = writeln!(page, "{:width$}  {cost}{}{closed}", tool.facts.name, tool.facts.when);
    }
    if tokens {
        let _ = writeln!(
            page,
            "{:width$}  {:>5}  about so many tokens, all of them as they are listed",
            "",
            listed(limits)
        );
    }
    page
}

/// What one definition costs.
fn cost(tool: &Tool, limits: &Limits) -> usize {
    about(&serde_json::to_string(&tool.listing(limits)).unwrap_or_default())
}

/// What the list of the open ones costs.
fn listed(limits: &Limits) -> usize {
    let (tools, _) = crate::tools::told(limits);
    let open: Vec<_> = tools.iter().filter(|tool| tool.is_open(limits)).map(|tool| tool.listing(limits)).collect();
    about(&serde_json::to_string(&open).unwrap_or_default())
}

/// The page of the manual: every tool with its arguments, whatever is open.
fn markdown() -> String {
    let read_only = Limits::default();
    let open = Limits { writes: true, ..Limits::default() };
    let tools = crate::tools::all(&open);
    let mut page = format!(
        "# Tools\n\n\
         <!-- Made by `medplum-mcp tools --markdown`. -->\n\n\
         The definitions cost an agent about {} tokens where the server is read-only and about {} where writes are \
         open. A tool marked *writes* is there only with `MEDPLUM_ENABLE_WRITES=true`; the others are there always, and \
         one marked *reads or writes* takes, without it, what only reads. With `MEDPLUM_ALLOW_OBO_OVERRIDE=true` every \
         tool that asks Medplum also takes `on_behalf_of`.\n\n\
         | tool | what it is for | |\n|---|---|---|\n",
        listed(&read_only),
        listed(&open)
    );
    for tool in &tools {
        let name = tool.facts.name;
        let _ = writeln!(page, "| [`{name}`](#{name}) | {} | {} |", cell(tool.facts.when), does(tool, &read_only));
    }
    for tool in &tools {
        let _ = write!(page, "\n## {}\n\n{}\n", tool.facts.name, prose(tool.facts.description));
        page.push_str(&arguments(tool));
    }
    page
}

fn does(tool: &Tool, read_only: &Limits) -> &'static str {
    match tool.facts.does {
        _ if !tool.is_open(read_only) => "writes",
        crate::tool::Does::ReadsOrActs => "reads or writes",
        _ => "",
    }
}

/// The arguments of a tool, a row each.
fn arguments(tool: &Tool) -> String {
    let Some(properties) = tool.schema.get("properties").and_then(Value::as_object) else { return String::new() };
    let required: Vec<&str> =
        tool.schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut rows = String::from("\n| argument | type | |\n|---|---|---|\n");
    for (name, schema) in properties {
        let must = if required.contains(&name.as_str()) { " **required**" } else { "" };
        let mut says: Vec<String> = Vec::new();
        says.extend(schema.get("description").and_then(Value::as_str).map(cell));
        says.extend(schema.get("default").map(|default| format!("default `{default}`")));
        let _ = writeln!(rows, "| `{name}`{must} | {} | {} |", type_of(schema), says.join("; "));
    }
    rows
}

/// `string`, `list of string`, `one of a, b`.
fn type_of(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    let items = || schema.get("items").map(type_of).unwrap_or_default();
    let named = |name: &str| match name {
        "array" if !items().is_empty() => format!("list of {}", items()),
        "array" => "list".to_owned(),
        other => other.to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(name)) => named(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(named).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

/// A text in a table: JSON stands in code, and a bar is no column.
fn cell(text: &str) -> String {
    prose(text).replace('|', "\\|").replace('\n', " ")
}

/// A text whose placeholders are no HTML.
fn prose(text: &str) -> String {
    text.replace('<', "&lt;")
}
