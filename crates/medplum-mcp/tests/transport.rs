//! The stdio transport under a real rmcp server, over pipes in memory: whatever a host sends, it gets an answer under the
//! id it used, and the server lives on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use medplum_mcp::transport::{Limits, StdioTransport};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
        ServerCapabilities, ServerConfig,
    },
    service::{QuitReason, RequestContext, serve_server},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf},
    sync::Notify,
    task::JoinHandle,
};

/// What the tests look at and steer from outside.
#[derive(Default)]
struct Desk {
    started: AtomicUsize,
    cancelled: AtomicUsize,
    changed: Notify,
    release: Notify,
}

impl Desk {
    async fn reaches(&self, counter: &AtomicUsize, count: usize) {
        loop {
            let changed = self.changed.notified();
            if counter.load(Ordering::SeqCst) >= count {
                return;
            }
            changed.await;
        }
    }
}

struct Server(Arc<Desk>);

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let desk = &self.0;
        desk.started.fetch_add(1, Ordering::SeqCst);
        desk.changed.notify_waiters();
        let text = match call.name.as_ref() {
            "echo" => Value::Object(call.arguments.unwrap_or_default()).to_string(),
            "long" => "x".repeat(1024 * 1024),
            "wait" => tokio::select! {
                () = context.ct.cancelled() => {
                    desk.cancelled.fetch_add(1, Ordering::SeqCst);
                    desk.changed.notify_waiters();
                    String::new()
                }
                () = desk.release.notified() => "released".to_owned(),
            },
            other => return Err(ErrorData::invalid_params(format!("no tool {other}"), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("no method {}", request.method), None))
    }
}

/// A host's end of the connection.
struct Host {
    writer: Option<WriteHalf<DuplexStream>>,
    reader: Lines<BufReader<ReadHalf<DuplexStream>>>,
    desk: Arc<Desk>,
    server: JoinHandle<Option<QuitReason>>,
}

impl Host {
    fn start(limits: Limits) -> Self {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(near);
        let desk = Arc::new(Desk::default());
        let server = Server(desk.clone());
        let server = tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(far);
            let running = serve_server(server, StdioTransport::with_limits(reader, writer, limits)).await;
            Some(running.ok()?.waiting().await.unwrap())
        });
        Self { writer: Some(writer), reader: BufReader::new(reader).lines(), desk, server }
    }

    /// A host that has shaken hands.
    async fn open() -> Self {
        Self::open_with(Limits::default()).await
    }

    async fn open_with(limits: Limits) -> Self {
        let mut host = Self::start(limits);
        host.shake_hands().await;
        host
    }

    async fn shake_hands(&mut self) {
        self.say(initialize()).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], "init");
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        self.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.writer.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, message: Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    async fn hear(&mut self) -> Value {
        let line = self.reader.next_line().await.unwrap().expect("an answer");
        serde_json::from_str(&line).unwrap()
    }

    /// What comes until the server ends the stream.
    async fn hear_all(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        while let Some(line) = self.reader.next_line().await.unwrap() {
            heard.push(serde_json::from_str(&line).unwrap());
        }
        heard
    }

    /// The server still works.
    async fn is_served(&mut self) {
        self.say(call("alive", "echo", json!({"a": 1}))).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], "alive");
        assert_eq!(answer["result"]["content"][0]["text"], r#"{"a":1}"#);
    }

    /// Writes one bad line and expects one error, then a server that still works.
    async fn refused(&mut self, line: impl AsRef<[u8]>) -> (Value, i64, String) {
        let mut bytes = line.as_ref().to_vec();
        bytes.push(b'\n');
        let mut writer = self.writer.take().unwrap();
        let writing = tokio::spawn(async move {
            writer.write_all(&bytes).await.unwrap();
            writer
        });
        let answer = self.hear().await;
        self.writer = Some(writing.await.unwrap());
        self.is_served().await;
        let error = &answer["error"];
        (answer["id"].clone(), error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}})
}

fn call(id: impl Into<Value>, name: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call",
        "params": {"name": name, "arguments": arguments}})
}

fn cancel(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.into()}})
}

#[tokio::test]
async fn every_bad_line_is_answered_under_its_id() {
    let mut host = Host::open().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: &[(&str, Value, i64, &str)] = &[
        ("hello", Value::Null, -32700, "not JSON"),
        ("Content-Length: 12", Value::Null, -32700, "Content-Length"),
        ("7", Value::Null, -32600, "JSON object"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list""#, json!(1), -32700, "not JSON"),
        (r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"} x"#, json!(2), -32700, "trailing"),
        (
            r#"{"method":"tools/call","params":{"name":"echo","arguments":{"a":"\ud800"}},"jsonrpc":"2.0","id":3}"#,
            json!(3),
            -32700,
            "half a character",
        ),
        (
            r#"{"method":"tools/call","params":{"name":"echo","arguments":{"a":"\udc00x"}},"jsonrpc":"2.0","id":4}"#,
            json!(4),
            -32700,
            "half a character",
        ),
        (
            &format!(
                r#"{{"method":"tools/call","params":{{"name":"echo","arguments":{{"a":{deep}}}}},"jsonrpc":"2.0","id":5}}"#
            ),
            json!(5),
            -32700,
            "128",
        ),
        (&deep, Value::Null, -32600, "batches"),
        (&"[".repeat(10_000), Value::Null, -32700, "not JSON"),
        (r#"[{"jsonrpc":"2.0","id":6,"method":"tools/list"}]"#, json!(6), -32600, "batches"),
        ("[]", Value::Null, -32600, "batches"),
        (r#"{"id":7}"#, json!(7), -32600, "neither"),
        ("{}", Value::Null, -32600, "neither"),
        (r#"{"jsonrpc":"2.0","id":8,"method":"tools/list","result":{}}"#, json!(8), -32600, "neither"),
        (r#"{"jsonrpc":"1.0","id":9,"method":"tools/list"}"#, json!(9), -32600, "2.0"),
        (r#"{"id":"ten","method":"tools/list"}"#, json!("ten"), -32600, "2.0"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, Value::Null, -32600, "id"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#, json!(1.5), -32600, "id"),
        (r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"tools/list"}"#, json!(u64::MAX), -32600, "id"),
        (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"tools/list"}"#, Value::Null, -32600, "id"),
        (r#"{"jsonrpc":"2.0","id":11,"method":5}"#, json!(11), -32600, "method"),
        (r#"{"jsonrpc":"2.0","id":12,"id":13,"method":"tools/list"}"#, json!(12), -32600, "duplicate"),
        (r#"{"jsonrpc":"2.0","id":14,"method":"tools/call"}"#, json!(14), -32602, "needs params"),
        (r#"{"jsonrpc":"2.0","id":15,"method":"tools/call","params":["echo"]}"#, json!(15), -32602, "needs params"),
        (
            r#"{"jsonrpc":"2.0","id":16,"method":"tools/call","params":{"arguments":{}}}"#,
            json!(16),
            -32602,
            "params.name",
        ),
        (r#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":5}}"#, json!(17), -32602, "params.name"),
        (
            r#"{"jsonrpc":"2.0","id":18,"method":"tools/call","params":{"name":"echo","arguments":"a=1"}}"#,
            json!(18),
            -32602,
            "is a string",
        ),
        (
            r#"{"jsonrpc":"2.0","id":19,"method":"tools/call","params":{"name":"echo","arguments":"{\"a\":1}"}}"#,
            json!(19),
            -32602,
            "without the quotes",
        ),
        (
            r#"{"jsonrpc":"2.0","id":20,"method":"tools/call","params":{"name":"echo","arguments":[1]}}"#,
            json!(20),
            -32602,
            "an array",
        ),
        (
            r#"{"jsonrpc":"2.0","id":21,"method":"tools/call","params":{"name":"echo","_meta":5}}"#,
            json!(21),
            -32602,
            "_meta",
        ),
        (
            r#"{"jsonrpc":"2.0","id":22,"method":"tools/call","params":{"name":"echo","arguments":{"n":1e999}}}"#,
            json!(22),
            -32700,
            "number out of range",
        ),
        (r#"{"jsonrpc":"2.0","id":23,"method":"tools/list","params":[]}"#, json!(23), -32602, "params is an object"),
        (r#"{"jsonrpc":"2.0","id":24,"method":"tools/list","params":{"cursor":5}}"#, json!(24), -32602, "do not fit"),
        (r#"{"jsonrpc":"2.0","id":25,"method":"initialize","params":{}}"#, json!(25), -32602, "protocolVersion"),
        (r#"{"jsonrpc":"2.0","id":26,"method":"prompts/get","params":{"_meta":{}}}"#, json!(26), -32602, "name"),
        (r#"{"jsonrpc":"2.0","id":27,"method":"patients/list"}"#, json!(27), -32601, "patients/list"),
        (r#"{"jsonrpc":"2.0","id":28,"method":"prompts/list"}"#, json!(28), -32601, "prompts/list"),
    ];
    for (line, id, code, text) in cases {
        let shown: String = line.chars().take(120).collect();
        let (answer_id, answer_code, message) = host.refused(line).await;
        assert_eq!(answer_id, *id, "{shown}");
        assert_eq!(answer_code, *code, "{shown}: {message}");
        assert!(message.contains(text), "{shown}: {message}");
        assert!(message.len() < 1000, "{shown}: {message}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_answered() {
    let mut host = Host::open().await;
    let (id, code, message) = host.refused(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/\xff\"}").await;
    assert_eq!((id, code), (json!(1), -32700));
    assert!(message.contains("byte 41"), "{message}");
}

#[tokio::test]
async fn each_request_of_a_batch_is_answered() {
    let mut host = Host::open().await;
    host.say(json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "method": "x"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/list"}]))
        .await;
    assert_eq!(host.hear().await["id"], 1);
    assert_eq!(host.hear().await["id"], "b");
    host.is_served().await;
}

#[tokio::test]
async fn a_line_over_the_limit_is_answered_wherever_its_id_stands() {
    let mut host = Host::open().await;
    let text = "x".repeat(20_000_000);
    for line in [
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":"{text}"}}}}}}"#
        ),
        format!(
            r#"{{"method":"tools/call","params":{{"name":"echo","arguments":{{"a":"{text}"}}}},"jsonrpc":"2.0","id":1}}"#
        ),
    ] {
        let (id, code, message) = host.refused(&line).await;
        assert_eq!((id, code), (json!(1), -32600));
        assert!(message.contains("16777216"), "{message}");
    }
    let (id, code, _) = host.refused(&text).await;
    assert_eq!((id, code), (Value::Null, -32600));
}

#[tokio::test]
async fn a_long_line_under_the_limit_is_served() {
    let mut host = Host::open().await;
    let text = "x".repeat(4_000_000);
    let line = format!("{}\n", call(1, "echo", json!({"a": text})));
    let mut writer = host.writer.take().unwrap();
    let writing = tokio::spawn(async move { writer.write_all(line.as_bytes()).await.unwrap() });
    let answer = host.hear().await;
    writing.await.unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], json!({"a": text}).to_string());
}

#[tokio::test]
async fn what_is_harmless_is_taken_as_it_is() {
    let mut host = Host::open().await;
    host.write(b"\n\r\n   \n").await;
    host.write(b"\xEF\xBB\xBF{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n").await;
    assert_eq!(host.hear().await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    for arguments in ["", r#","arguments":null"#, r#","arguments":{}"#] {
        host.write(
            format!("{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools\\u002fcall\",\"params\":{{\"name\":\"echo\"{arguments}}}}}\n")
                .as_bytes(),
        )
        .await;
        assert_eq!(host.hear().await["result"]["content"][0]["text"], "{}");
    }
    host.write(b"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\",\"params\":null}\n").await;
    assert_eq!(host.hear().await["id"], 3);
    // Neither a notification nor an answer that nobody waits for has an answer.
    host.say(json!({"jsonrpc": "2.0", "method": "notifications/unheard_of", "params": {"a": 1}})).await;
    host.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {}}})).await;
    host.say(json!({"jsonrpc": "2.0", "id": 99, "result": {}})).await;
    host.say(json!({"jsonrpc": "2.0", "id": 99, "error": {"code": 1, "message": "x"}})).await;
    host.say(json!({"jsonrpc": "2.0", "error": {"code": 1, "message": "x"}})).await;
    host.is_served().await;
}

#[tokio::test]
async fn whatever_comes_first_the_server_waits_for_a_request() {
    let mut host = Host::start(Limits::default());
    host.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    host.say(json!({"jsonrpc": "2.0", "id": 1, "result": {}})).await;
    host.write(b"garbage\n").await;
    assert_eq!(host.hear().await["error"]["code"], -32700);
    host.say(json!({"jsonrpc": "2.0", "id": 2, "method": "ping"})).await;
    assert_eq!(host.hear().await["id"], 2);
    host.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    host.say(call(3, "echo", json!({}))).await;
    let answer = host.hear().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(3), &json!(-32602)));
    host.say(cancel(3)).await;
    host.shake_hands().await;
    host.is_served().await;
}

#[tokio::test]
async fn the_stateless_revision_is_served() {
    let mut host = Host::start(Limits::default());
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    host.say(json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}})).await;
    let discovered = host.hear().await;
    assert!(discovered["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    host.say(cancel(1)).await;
    let mut request = call(2, "wait", json!({}));
    request["params"]["_meta"] = meta;
    host.say(request).await;
    host.desk.reaches(&host.desk.started, 1).await;
    host.say(cancel(2)).await;
    host.desk.reaches(&host.desk.cancelled, 1).await;
}

#[tokio::test]
async fn the_last_line_needs_no_newline() {
    let mut host = Host::start(Limits::default());
    host.write(format!("{}\n{}", initialize(), call(1, "echo", json!({"a": 1}))).as_bytes()).await;
    host.writer.take().unwrap().shutdown().await.unwrap();
    let heard = host.hear_all().await;
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1]["result"]["content"][0]["text"], r#"{"a":1}"#);
    assert!(matches!(host.server.await.unwrap(), Some(QuitReason::Closed)));
}

/// rmcp itself would drop what is not answered five seconds after the end.
#[tokio::test]
async fn what_was_asked_before_the_end_is_answered_however_long_it_takes() {
    let mut host = Host::open().await;
    host.say(call(1, "wait", json!({}))).await;
    host.desk.reaches(&host.desk.started, 1).await;
    host.writer.take().unwrap().shutdown().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert!(!host.server.is_finished());
    host.desk.release.notify_one();
    let heard = host.hear_all().await;
    assert_eq!(heard[0]["result"]["content"][0]["text"], "released");
    assert!(matches!(host.server.await.unwrap(), Some(QuitReason::Closed)));
}

#[tokio::test]
async fn half_a_line_is_answered_and_ends_the_server_cleanly() {
    let mut host = Host::open().await;
    host.write(br#"{"jsonrpc":"2.0","id":1,"method":"tools/ca"#).await;
    host.writer.take().unwrap().shutdown().await.unwrap();
    let heard = host.hear_all().await;
    assert_eq!(heard.len(), 1);
    assert_eq!((&heard[0]["id"], &heard[0]["error"]["code"]), (&json!(1), &json!(-32700)));
    assert!(matches!(host.server.await.unwrap(), Some(QuitReason::Closed)));
}

#[tokio::test]
async fn a_host_that_never_opens_still_hears_what_was_wrong() {
    let mut host = Host::start(Limits::default());
    host.write(b"hello").await;
    host.writer.take().unwrap().shutdown().await.unwrap();
    let heard = host.hear_all().await;
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["error"]["code"], -32700);
    assert!(host.server.await.unwrap().is_none());
}

#[tokio::test]
async fn thousands_of_requests_at_once_are_each_answered_once() {
    const COUNT: usize = 5_000;
    let mut host = Host::open().await;
    let mut writer = host.writer.take().unwrap();
    let writing = tokio::spawn(async move {
        for id in 0..COUNT {
            let line = format!("{}\n", call(id, "echo", json!({ "id": id })));
            writer.write_all(line.as_bytes()).await.unwrap();
        }
        writer
    });
    let mut seen = vec![false; COUNT];
    for _ in 0..COUNT {
        let answer = host.hear().await;
        let id = usize::try_from(answer["id"].as_u64().unwrap()).unwrap();
        assert!(!std::mem::replace(&mut seen[id], true));
        assert_eq!(answer["result"]["content"][0]["text"], json!({ "id": id }).to_string());
    }
    host.writer = Some(writing.await.unwrap());
    host.is_served().await;
}

#[tokio::test]
async fn what_waits_for_its_turn_can_be_cancelled_and_is_overtaken_by_pings() {
    let mut host = Host::open_with(Limits { in_flight: 2, ..Limits::default() }).await;
    for id in 1..=5 {
        host.say(call(id, "wait", json!({}))).await;
    }
    host.say(json!({"jsonrpc": "2.0", "id": "ping", "method": "ping"})).await;
    assert_eq!(host.hear().await["id"], "ping");
    host.desk.reaches(&host.desk.started, 2).await;
    // The third never starts; the first makes room for the fourth.
    host.say(cancel(3)).await;
    host.say(cancel(1)).await;
    host.desk.reaches(&host.desk.cancelled, 1).await;
    host.desk.reaches(&host.desk.started, 3).await;
    let mut answered = Vec::new();
    for _ in 0..3 {
        host.desk.release.notify_one();
        answered.push(host.hear().await["id"].as_i64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, [2, 4, 5]);
    assert_eq!(host.desk.started.load(Ordering::SeqCst), 4);
    host.is_served().await;
}

#[tokio::test]
async fn when_nothing_more_may_wait_the_pipe_holds_the_host_back() {
    let mut host = Host::open_with(Limits { in_flight: 1, parked: 2, ..Limits::default() }).await;
    let mut writer = host.writer.take().unwrap();
    let writing = tokio::spawn(async move {
        for id in 0..1000 {
            let line = format!("{}\n", call(id, "wait", json!({})));
            writer.write_all(line.as_bytes()).await.unwrap();
        }
        writer
    });
    host.desk.reaches(&host.desk.started, 1).await;
    for id in 0..1000 {
        host.desk.release.notify_one();
        assert_eq!(host.hear().await["id"], id);
    }
    host.writer = Some(writing.await.unwrap());
    host.is_served().await;
}

#[tokio::test]
async fn one_id_twice_gets_both_answers() {
    let mut host = Host::open().await;
    host.say(call(1, "wait", json!({}))).await;
    host.desk.reaches(&host.desk.started, 1).await;
    host.say(call(1, "echo", json!({"second": true}))).await;
    host.is_served().await;
    host.desk.release.notify_one();
    assert_eq!(host.hear().await["result"]["content"][0]["text"], "released");
    assert_eq!(host.hear().await["result"]["content"][0]["text"], r#"{"second":true}"#);
}

#[tokio::test]
async fn a_host_that_does_not_read_can_still_cancel() {
    let mut host = Host::open_with(Limits { unwritten_bytes: 1024, ..Limits::default() }).await;
    host.say(call(1, "wait", json!({}))).await;
    host.say(call(2, "long", json!({}))).await;
    host.desk.reaches(&host.desk.started, 2).await;
    host.say(call(3, "echo", json!({}))).await;
    host.say(cancel(1)).await;
    host.desk.reaches(&host.desk.cancelled, 1).await;
    assert_eq!(host.hear().await["id"], 2);
    assert_eq!(host.hear().await["id"], 3);
    host.is_served().await;
}

#[tokio::test]
async fn a_host_that_floods_without_reading_is_held_back_and_then_served() {
    let mut host = Host::open_with(Limits { unwritten_messages: 10, ..Limits::default() }).await;
    let mut writer = host.writer.take().unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..5_000 {
            writer.write_all(b"garbage\n").await.unwrap();
        }
        writer
    });
    for _ in 0..5_000 {
        assert_eq!(host.hear().await["error"]["code"], -32700);
    }
    host.writer = Some(writing.await.unwrap());
    host.is_served().await;
}

#[tokio::test]
async fn a_host_that_goes_away_in_the_middle_of_an_answer_ends_the_server() {
    let mut host = Host::open().await;
    for id in 0..4 {
        host.say(call(id, "long", json!({}))).await;
    }
    host.desk.reaches(&host.desk.started, 1).await;
    let Host { reader, writer, server, .. } = host;
    drop((reader, writer));
    assert!(matches!(server.await.unwrap(), Some(QuitReason::Closed)));
}

#[tokio::test]
async fn a_host_that_only_stops_listening_ends_the_server_too() {
    let (mut input, far_input) = tokio::io::duplex(1024);
    let (far_output, output) = tokio::io::duplex(1024);
    let server = tokio::spawn(async move {
        let transport = StdioTransport::new(far_input, far_output);
        serve_server(Server(Arc::default()), transport).await.unwrap().waiting().await.unwrap()
    });
    let mut answers = BufReader::new(output).lines();
    input.write_all(format!("{}\n", initialize()).as_bytes()).await.unwrap();
    assert!(answers.next_line().await.unwrap().is_some());
    drop(answers);
    let long = call(1, "long", json!({}));
    input.write_all(format!("{long}\n").as_bytes()).await.unwrap();
    assert!(matches!(server.await.unwrap(), QuitReason::Closed));
}

#[tokio::test]
async fn a_long_answer_comes_whole_through_a_narrow_pipe() {
    let mut host = Host::open().await;
    host.say(call(1, "long", json!({}))).await;
    let answer = host.hear().await;
    assert_eq!(answer["result"]["content"][0]["text"].as_str().unwrap().len(), 1024 * 1024);
}

#[tokio::test]
async fn an_unknown_tool_is_the_handlers_to_answer() {
    let mut host = Host::open().await;
    let (id, code, message) = host.refused(call(1, "nothing", json!({})).to_string()).await;
    assert_eq!((id, code, message.as_str()), (json!(1), -32602, "no tool nothing"));
}
