//! The transport on a real process' standard streams, of each kind that hosts use: pipes, socket pairs, files.
//!
//! The child is this very test program, told by a variable to be a server.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{BufRead, BufReader, Read, Seek, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
};

use medplum_mcp::transport::StdioTransport;
use rmcp::{ServerHandler, service::serve_server};
use serde_json::{Value, json};

const ROLE: &str = "STANDARD_STREAMS_TEST_IS_SERVER";

struct Server;

impl ServerHandler for Server {}

/// No test of its own: what the children run.
#[test]
fn server() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let transport = StdioTransport::of_process().unwrap();
        match serve_server(Server, transport).await {
            Ok(running) => running.waiting().await.is_ok(),
            Err(_) => true,
        }
    });
    // Not through the test harness, which would write to the stream that may be gone.
    std::process::exit(if ended { 0 } else { 1 });
}

fn spawn(input: impl Into<Stdio>, output: impl Into<Stdio>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server", "--nocapture", "--quiet"])
        .env(ROLE, "1")
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn session() -> Vec<u8> {
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    // The last line lacks its newline on purpose.
    format!("{initialize}\nnonsense\n{ping}").into_bytes()
}

/// The answers among what the test harness itself printed before the server started.
fn answers(output: impl Read) -> Vec<Value> {
    BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .filter(Value::is_object)
        .collect()
}

fn assert_session(answers: &[Value]) {
    let mut seen: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    seen.sort_by_key(|id| id.as_i64());
    assert_eq!(seen, [&Value::Null, &json!(1), &json!(2)], "{answers:?}");
}

#[test]
fn pipes() {
    let mut child = spawn(Stdio::piped(), Stdio::piped());
    child.stdin.take().unwrap().write_all(&session()).unwrap();
    assert_session(&answers(child.stdout.take().unwrap()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn socket_pairs() {
    let (mut input, far_input) = UnixStream::pair().unwrap();
    let (output, far_output) = UnixStream::pair().unwrap();
    let mut child = spawn(OwnedFd::from(far_input), OwnedFd::from(far_output));
    input.write_all(&session()).unwrap();
    drop(input);
    assert_session(&answers(output));
    assert!(child.wait().unwrap().success());
}

#[test]
fn one_socket_for_both() {
    let (near, far) = UnixStream::pair().unwrap();
    let other = far.try_clone().unwrap();
    let mut child = spawn(OwnedFd::from(far), OwnedFd::from(other));
    (&near).write_all(&session()).unwrap();
    near.shutdown(std::net::Shutdown::Write).unwrap();
    assert_session(&answers(near));
    assert!(child.wait().unwrap().success());
}

#[test]
fn files() {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(&session()).unwrap();
    input.rewind().unwrap();
    let mut output = tempfile::tempfile().unwrap();
    let mut child = spawn(input, output.try_clone().unwrap());
    assert!(child.wait().unwrap().success());
    output.rewind().unwrap();
    assert_session(&answers(output));
}

#[test]
fn one_of_each_kind() {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(&session()).unwrap();
    input.rewind().unwrap();
    let mut child = spawn(input, Stdio::piped());
    assert_session(&answers(child.stdout.take().unwrap()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_to_read_is_a_clean_end() {
    let mut child = spawn(Stdio::null(), Stdio::piped());
    assert!(answers(child.stdout.take().unwrap()).is_empty());
    assert!(child.wait().unwrap().success());
}

#[test]
fn nobody_who_reads_is_a_clean_end() {
    let mut child = spawn(Stdio::piped(), Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let session = session();
    let first = session.iter().position(|byte| *byte == b'\n').unwrap();
    input.write_all(&session[..=first]).unwrap();
    let mut line = String::new();
    while !line.starts_with('{') {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    drop(output);
    // Its input stays open: only the broken pipe tells the server that nobody is there. A neighbouring test that is just
    // starting its child holds a copy of the pipe for a moment, in which an answer is written to nobody: so ask on.
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let _ = input.write_all(b"\nnonsense\n");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    assert!(ended.success());
}
