//! `demo`: a short session on the sandbox, as an agent would have it: MCP over a pipe, to the server's own code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Command;
use futures_util::FutureExt;
use medplum_client::Client;
use medplum_sandbox::Sandbox;
use rmcp::service::serve_server;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use super::{Ended, Invocation, Subcommand};
use crate::policy::Policy;
use crate::server::Server;
use crate::settings::{SettingError, Settings, Values};
use crate::transport::StdioTransport;

/// What fits into the pipe between the demo and the server.
const PIPE: usize = 1 << 20;
/// How much of an answer is printed.
const SHOWN: usize = 700;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |_: &Invocation<'_>| run(std::io::stdout()).boxed_local() };

fn command() -> Command {
    Command::new("demo").about("Show a short session with an agent's eyes, on synthetic patients")
}

async fn run(mut out: impl Write) -> Ended {
    let out = &mut out;
    let sandbox = Sandbox::builder().start().await?;
    let mut session = Session::start(read_only_server(&sandbox)?).await?;
    writeln!(out, "A Medplum in memory with synthetic patients; a read-only server; an agent's calls.\n")?;
    let listed = session.request("tools/list", json!({})).await?;
    let tools = listed.pointer("/result/tools").and_then(Value::as_array).map_or(0, Vec::len);
    writeln!(
        out,
        "tools/list: {tools} tools, {} characters\n",
        listed.get("result").map_or(0, |result| result.to_string().len())
    )?;

    let people = json!({"resource_type": "Patient", "params": {"gender": "female"}, "count": 2, "sort": "family", "total": "accurate"});
    let found = session.show(out, "search_resources", people).await?;
    let patient = id_of_first(&found);
    session.show(out, "search_resources", json!({"resource_type": "Observation", "params": {"patient": format!("Patient/{patient}")}, "sort": "-date", "count": 1})).await?;
    session.show(out, "get_patient_everything", json!({"patient_id": patient})).await?;
    session.show(out, "search_resources", json!({"resource_type": "Patient", "params": {"familly": "Smith"}})).await?;
    session.show(out, "delete_resource", json!({"resource_type": "Patient", "resource_id": patient})).await?;
    session
        .show(out, "raw_request", json!({"method": "GET", "path": format!("fhir/R4/Bot/{patient}/$execute")}))
        .await?;
    writeln!(out, "The same for your agent: claude mcp add medplum-sandbox -- medplum-mcp --sandbox")?;
    Ok(ExitCode::SUCCESS)
}

fn read_only_server(sandbox: &Sandbox) -> Result<Server, Box<dyn std::error::Error>> {
    let mut settings = default_settings()?;
    settings.use_sandbox(sandbox)?;
    let client = Client::new(settings.config()?, Policy::new(settings.limits.clone()));
    Ok(Server::new(client, settings.limits)?)
}

/// Nothing from the environment: the demo is the same everywhere.
fn default_settings() -> Result<Settings, SettingError> {
    Settings::new(&Values::find(|_| None, |_| None))
}

fn id_of_first(answer: &Value) -> String {
    let bundle = answer.pointer("/result/content/0/text").and_then(Value::as_str);
    let bundle: Value = bundle.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    bundle.pointer("/entry/0/resource/id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The client's end of the pipe.
struct Session {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    to_server: WriteHalf<DuplexStream>,
    last_id: u64,
}

impl Session {
    async fn start(server: Server) -> io::Result<Self> {
        let (here, there) = tokio::io::duplex(PIPE);
        let (reader, writer) = tokio::io::split(there);
        tokio::spawn(async move {
            if let Ok(running) = serve_server(server, StdioTransport::new(reader, writer)).await {
                let _ = running.waiting().await;
            }
        });
        let (reader, to_server) = tokio::io::split(here);
        let mut session = Self { lines: BufReader::new(reader).lines(), to_server, last_id: 0 };
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "demo", "version": "1"}});
        session.request("initialize", hello).await?;
        session.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(session)
    }

    async fn send(&mut self, message: &Value) -> io::Result<()> {
        self.to_server.write_all(format!("{message}\n").as_bytes()).await
    }

    async fn request(&mut self, method: &str, params: Value) -> io::Result<Value> {
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await?;
        while let Some(line) = self.lines.next_line().await? {
            let message: Value = serde_json::from_str(&line)?;
            if message.get("id").and_then(Value::as_u64) == Some(id) {
                return Ok(message);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Calls a tool and prints the call, what came back, its size and its time.
    async fn show(&mut self, out: &mut impl Write, tool: &str, arguments: Value) -> io::Result<Value> {
        writeln!(out, "{tool} {arguments}")?;
        let started = Instant::now();
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        let took = started.elapsed();
        let failed = answer.pointer("/result/isError") == Some(&Value::Bool(true));
        let blocks = answer.pointer("/result/content").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut size = 0_usize;
        for (index, block) in blocks.iter().enumerate() {
            let text = block.get("text").and_then(Value::as_str).unwrap_or_default();
            size = size.saturating_add(text.chars().count());
            let mark = if failed {
                "!"
            } else if index == 0 {
                "<"
            } else {
                "i"
            };
            writeln!(out, "  {mark} {}", shortened(text))?;
        }
        writeln!(out, "  {size} characters, {:.1} ms\n", took.as_secs_f64() * 1000.0)?;
        Ok(answer)
    }
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    if start.len() == text.len() { start } else { format!("{start} …") }
}
