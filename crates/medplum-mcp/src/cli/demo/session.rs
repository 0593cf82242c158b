//! A session over a pipe, to the server's own code, as a host has it.

use std::io;

use medplum_client::Client;
use medplum_sandbox::Sandbox;
use rmcp::service::serve_server;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use crate::answer::cursor::CursorKey;
use crate::policy::Policy;
use crate::server::Server;
use crate::settings::{Settings, Values};
use crate::transport::StdioTransport;

/// What fits into the pipe between the demo and the server.
const PIPE: usize = 1 << 20;

/// The client's end of the pipe.
pub(super) struct Session {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    to_server: WriteHalf<DuplexStream>,
    last_id: u64,
}

/// What a tool answered: the record in the first block, the server's own words behind it; or a refusal.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) refused: bool,
    pub(super) blocks: Vec<String>,
}

impl Answer {
    /// All that the agent reads.
    pub(super) fn text(&self) -> String {
        self.blocks.join("\n")
    }

    /// The record.
    pub(super) fn record(&self) -> Value {
        self.blocks.first().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl Session {
    /// A server on the sandbox, with writes open or not, and a client that has shaken hands with it. Nothing is taken
    /// from the environment: the demo is the same everywhere.
    pub(super) async fn open(sandbox: &Sandbox, writes: bool) -> Result<Self, Box<dyn std::error::Error>> {
        let values = Values::find(|_| None, |_| None);
        let mut settings = Settings::new(&values)?;
        settings.limits.writes = writes;
        settings.use_sandbox(sandbox)?;
        let client = Client::new(settings.config()?, Policy::new(settings.limits.clone()));
        // What is printed is the same each time, cursors included.
        let key = CursorKey::new([0; 32]);
        Ok(Self::start(Server::with_known_key(key, client, settings.limits)).await?)
    }

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

    /// The result of a request.
    pub(super) async fn request(&mut self, method: &str, params: Value) -> io::Result<Value> {
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await?;
        while let Some(line) = self.lines.next_line().await? {
            let mut message: Value = serde_json::from_str(&line)?;
            if message.get("id").and_then(Value::as_u64) == Some(id) {
                return Ok(message.get_mut("result").map(Value::take).unwrap_or_default());
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Calls a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> io::Result<Answer> {
        let result = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        let blocks = result.get("content").and_then(Value::as_array).into_iter().flatten();
        let blocks = blocks.filter_map(|block| Some(block.get("text")?.as_str()?.to_owned())).collect();
        Ok(Answer { refused: result.get("isError") == Some(&Value::Bool(true)), blocks })
    }
}
