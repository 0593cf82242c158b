//! The built program, started and spoken to as a host does it: MCP over its standard streams.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, SECRET, Stub, leaks};

/// Long enough for any machine; a test that gets here has failed.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The program, with nothing of this process' environment that could steer it.
pub fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medplum-mcp"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MEDPLUM_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As much is logged as there is, unless the test says otherwise: all of it is searched at the end.
fn talkative<'a>(variables: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("MEDPLUM_LOG", "debug")], variables].concat()
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end, with this on its standard input.
pub fn run(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ended {
    let mut host = Host::spawn(program(arguments, variables));
    host.write(input.as_bytes());
    host.end()
}

/// A running program. Dropping it kills it.
pub struct Host {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    last_id: u64,
}

impl Host {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let (line, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (errors, mut from) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut chunk) {
                errors.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        });
        Self { child, stdin, lines, stderr, last_id: 0 }
    }

    /// A server on a sandbox, in a conversation that was opened.
    pub fn sandboxed(variables: &[(&str, &str)]) -> Self {
        Self::spawn(program(&["--sandbox"], &talkative(variables))).opened()
    }

    /// A server on a stub, in a conversation that was opened.
    pub fn on_stub(stub: &Stub, variables: &[(&str, &str)]) -> Self {
        Self::spawn_on(stub, &talkative(variables)).opened()
    }

    /// A server on a stub.
    pub fn spawn_on(stub: &Stub, variables: &[(&str, &str)]) -> Self {
        let mut command = program(&[], variables);
        command.env("MEDPLUM_BASE_URL", &stub.url).env("MEDPLUM_CLIENT_ID", "client");
        if variables.iter().all(|(name, _)| *name != "MEDPLUM_CLIENT_SECRET") {
            command.env("MEDPLUM_CLIENT_SECRET", SECRET);
        }
        Self::spawn(command)
    }

    fn opened(mut self) -> Self {
        self.initialize("2025-11-25");
        self
    }

    /// Shakes hands, and gives what the server says of itself.
    pub fn initialize(&mut self, revision: &str) -> Value {
        self.initialize_as(revision, json!({}))
    }

    /// The same as a host that can do these things.
    pub fn initialize_as(&mut self, revision: &str, capabilities: Value) -> Value {
        let hello = json!({"protocolVersion": revision, "capabilities": capabilities, "clientInfo": {"name": "test", "version": "1"}});
        let answer = self.request("initialize", hello);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    pub fn write(&mut self, bytes: &[u8]) {
        // A program that has ended already reads nothing more; what it left behind is looked at later.
        let _ = self.stdin.as_mut().expect("stdin is open").write_all(bytes);
    }

    /// Writes from a thread of its own, for what is more than the pipes hold; standard input is closed behind it.
    pub fn write_aside(&mut self, bytes: Vec<u8>) {
        let mut stdin = self.stdin.take().expect("stdin is open");
        std::thread::spawn(move || stdin.write_all(&bytes));
    }

    /// The most memory that it ever had, in bytes, as Linux tells it.
    pub fn most_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory that it has now, in bytes, as Linux tells it.
    pub fn memory_now(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, row: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kilobytes =
            status.lines().find_map(|line| line.strip_prefix(row)?.trim().strip_suffix(" kB")?.parse().ok());
        kilobytes.map_or_else(|| panic!("no {row} in {status}"), |kilobytes: u64| kilobytes * 1024)
    }

    pub fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// The next message that the program writes.
    pub fn hear(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next line that the program writes.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no answer ({error}); stderr: {}", self.stderr()),
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a request and does not wait; gives the id that its answer will have.
    pub fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The next request or notification that the server makes itself.
    pub fn asked(&mut self) -> Value {
        loop {
            let message = self.hear();
            if message.get("method").is_some() {
                return message;
            }
        }
    }

    /// The answer to a request that was sent.
    pub fn answer_to(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    /// The whole JSON-RPC answer to a request.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer_to(id)
    }

    /// Calls a tool.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        Answer::of(&self.request("tools/call", json!({"name": tool, "arguments": arguments})))
    }

    /// The text of a resource.
    pub fn resource(&mut self, uri: &str) -> String {
        let answer = self.request("resources/read", json!({"uri": uri}));
        answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The tools as they are listed.
    pub fn tools(&mut self) -> Vec<Value> {
        let listed = self.request("tools/list", json!({}));
        listed["result"]["tools"].as_array().unwrap().clone()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Closes its stdin and waits for its end.
    pub fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let mut stdout = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    stdout.push_str(&line);
                    stdout.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; stderr: {}", self.stderr()),
            }
        }
        let code = self.wait().code();
        // The end of stdout and that of stderr may come a moment apart.
        let started = Instant::now();
        while Arc::strong_count(&self.stderr) > 1 && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let stderr = self.stderr();
        leaks::assert_none("stderr", &stderr);
        Ended { code, stdout, stderr }
    }

    fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end; stderr: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        leaks::assert_none("stderr", &self.stderr());
    }
}
