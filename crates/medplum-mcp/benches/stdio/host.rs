//! A host: starts the server as a child and talks MCP to it over a pair of pipes.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::stub::{PATIENT, Stub};

pub(crate) struct Host {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
    next: u64,
}

pub(crate) struct Memory {
    /// In MiB.
    pub(crate) resident: f64,
    pub(crate) highest: f64,
}

impl Host {
    /// Starts the server and shakes hands.
    pub(crate) fn start(stub: &Stub) -> Self {
        let binary = env::var_os("MEDPLUM_MCP_BENCH_BINARY")
            .unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_medplum-mcp")));
        let mut server = Command::new(binary)
            .env("MEDPLUM_BASE_URL", stub.url(""))
            .env("MEDPLUM_CLIENT_ID", "0d5f3a52-7b1e-4a77-9d52-0f6f1f0c8a11")
            .env("MEDPLUM_CLIENT_SECRET", "benchmark-secret-0123456789")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server");
        let mut host = Self {
            input: server.stdin.take().expect("its input"),
            output: BufReader::new(server.stdout.take().expect("its output")),
            server,
            line: String::new(),
            next: 1,
        };
        host.write(concat!(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
            r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#
        ));
        host.hear("protocolVersion");
        host.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        host
    }

    /// One read and how long it took.
    pub(crate) fn read(&mut self) -> Duration {
        let start = Instant::now();
        self.ask();
        self.hear("Testpatient");
        start.elapsed()
    }

    /// Any call, how long it took; `expected` stands in its answer.
    pub(crate) fn timed(&mut self, tool: &str, arguments: &str, expected: &str) -> Duration {
        let start = Instant::now();
        self.call(tool, arguments);
        self.hear(expected);
        start.elapsed()
    }

    /// `count` reads, `width` of them at a time.
    pub(crate) fn fly(&mut self, width: usize, count: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..width {
            self.ask();
        }
        for answered in 0..count {
            self.hear("Testpatient");
            if answered + width < count {
                self.ask();
            }
        }
        start.elapsed()
    }

    /// What the server occupies, where the system tells.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).ok()?;
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
        };
        Some(Memory { resident: mebibytes("VmRSS:")?, highest: mebibytes("VmHWM:")? })
    }

    /// How long the server's threads have kept a processor busy so far, where the system tells.
    pub(crate) fn busy(&self) -> Option<Duration> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.server.id())).ok()?;
        let nanoseconds = threads.flatten().filter_map(|thread| {
            let statistics = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            statistics.split_whitespace().next()?.parse::<u64>().ok()
        });
        Some(Duration::from_nanos(nanoseconds.sum()))
    }

    fn ask(&mut self) {
        self.call("read_resource", &format!(r#"{{"resource_type":"Patient","resource_id":"{PATIENT}"}}"#));
    }

    fn call(&mut self, tool: &str, arguments: &str) {
        let id = self.next;
        self.next += 1;
        self.write(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        ));
    }

    fn write(&mut self, message: &str) {
        self.input.write_all(format!("{message}\n").as_bytes()).expect("a server that listens");
    }

    fn hear(&mut self, expected: &str) {
        self.line.clear();
        self.output.read_line(&mut self.line).expect("an answer");
        assert!(self.line.contains(expected), "{}", self.line);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
