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
        self.timed("read_resource", &the_patient(), "Testpatient")
    }

    /// Any call, how long it took; `expected` stands in its answer, which is looked at when the time is taken.
    pub(crate) fn timed(&mut self, tool: &str, arguments: &str, expected: &str) -> Duration {
        let message = self.message(tool, arguments);
        let start = Instant::now();
        self.send(&message);
        self.receive();
        let time = start.elapsed();
        self.expect(expected);
        time
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
        let message = self.message("read_resource", &the_patient());
        self.send(&message);
    }

    fn message(&mut self, tool: &str, arguments: &str) -> String {
        let id = self.next;
        self.next += 1;
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        ) + "\n"
    }

    fn write(&mut self, message: &str) {
        self.send(&format!("{message}\n"));
    }

    fn send(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).expect("a server that listens");
    }

    fn hear(&mut self, expected: &str) {
        self.receive();
        self.expect(expected);
    }

    fn receive(&mut self) {
        self.line.clear();
        self.output.read_line(&mut self.line).expect("an answer");
    }

    fn expect(&self, expected: &str) {
        assert!(self.line.contains(expected), "{}", self.line);
    }
}

/// The arguments that name the patient whom everybody reads.
fn the_patient() -> String {
    format!(r#"{{"resource_type":"Patient","resource_id":"{PATIENT}"}}"#)
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
