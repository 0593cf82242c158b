//! The server in this process, spoken to over a pipe.

use std::time::Duration;

use medplum_client::{Client, Surroundings};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Settings, Values};
use medplum_mcp::transport::StdioTransport;
use rmcp::service::serve_server;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::{Answer, SECRET, Stub};

/// Long enough for any machine; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A conversation that was opened.
pub struct Pipe {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    to_server: WriteHalf<DuplexStream>,
    last_id: u64,
}

/// The server over a stub, under these variables.
pub fn server(stub: &Stub, variables: &[(&str, &str)]) -> Server {
    server_in(Surroundings::default(), stub, variables)
}

/// The same, with a time of its own.
pub fn server_in(surroundings: Surroundings, stub: &Stub, variables: &[(&str, &str)]) -> Server {
    let given = |name: &str| match name {
        "MEDPLUM_BASE_URL" => Some(stub.url.clone()),
        "MEDPLUM_CLIENT_ID" => Some("client".to_owned()),
        "MEDPLUM_CLIENT_SECRET" => Some(SECRET.to_owned()),
        name => variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let settings = Settings::new(&Values::find(|_| None, given)).unwrap();
    let policy = Policy::new(settings.limits.clone());
    let client = Client::with_surroundings(settings.config().unwrap(), policy, surroundings);
    Server::new(client, settings.limits).unwrap()
}

impl Pipe {
    /// Opens a conversation with a server over this stub.
    pub async fn open(stub: &Stub, variables: &[(&str, &str)]) -> Self {
        Self::with(server(stub, variables), json!({})).await
    }

    /// Opens a conversation with this server, as a host that can do these things.
    pub async fn with(server: Server, capabilities: Value) -> Self {
        let mut pipe = Self::unopened(server).await;
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "test", "version": "1"}});
        pipe.request("initialize", hello).await;
        pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        pipe
    }

    /// A pipe to this server, with nothing said so far.
    pub async fn unopened(server: Server) -> Self {
        let (here, there) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(there);
        tokio::spawn(async move {
            if let Ok(running) = serve_server(server, StdioTransport::new(reader, writer)).await {
                let _ = running.waiting().await;
            }
        });
        let (reader, to_server) = tokio::io::split(here);
        Self { lines: BufReader::new(reader).lines(), to_server, last_id: 0 }
    }

    async fn send(&mut self, message: &Value) {
        self.to_server.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// Sends a request and does not wait; gives the id that its answer will have.
    pub async fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        id
    }

    /// The next message, whatever it is.
    pub async fn hear(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("an answer in time").unwrap();
        serde_json::from_str(&line.expect("the server goes on")).unwrap()
    }

    /// The whole JSON-RPC answer to a request.
    pub async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        loop {
            let message = self.hear().await;
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        Answer::of(&self.request("tools/call", json!({"name": tool, "arguments": arguments})).await)
    }

    /// The tools as they are listed.
    pub async fn tools(&mut self) -> Vec<Value> {
        let listed = self.request("tools/list", json!({})).await;
        listed["result"]["tools"].as_array().unwrap().clone()
    }
}
