//! A small HTTP client and a running sandbox, for the tests.

#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use medplum_sandbox::{Builder, Sandbox};
use serde_json::Value;

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Value::String(self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A running sandbox with a token.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    pub(crate) token: String,
    pub(crate) reader_token: String,
}

impl Running {
    pub(crate) fn start(builder: Builder) -> Self {
        let sandbox = builder.start_on_thread().unwrap();
        let token = token(&sandbox, sandbox.client_id(), sandbox.client_secret());
        let reader_token = token_of_reader(&sandbox);
        Self { sandbox, token, reader_token }
    }

    /// One request; the path is below the base URL.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        send(&self.sandbox, method, path, headers, body).unwrap()
    }

    pub(crate) fn authorized(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        let authorization = self.authorized();
        self.send("GET", path, &[("authorization", &authorization)], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        let authorization = self.authorized();
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/fhir+json")];
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }
}

fn token_of_reader(sandbox: &Sandbox) -> String {
    token(sandbox, sandbox.reader_client_id(), sandbox.reader_client_secret())
}

pub(crate) fn token(sandbox: &Sandbox, id: &str, secret: &str) -> String {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let reply = send(sandbox, "POST", "oauth2/token", &headers, form.as_bytes()).unwrap();
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let address = sandbox.base_url().trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    // A refusal may come before the whole body was sent.
    let _ = stream.write_all(body);
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    parse(&raw, method == "HEAD").ok_or_else(|| std::io::Error::other("no whole answer"))
}

fn parse(raw: &[u8], head_only: bool) -> Option<Reply> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let body = raw[end + 4..].to_vec();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse::<usize>().ok());
    if !head_only && length.is_some_and(|length| length != body.len()) {
        return None;
    }
    Some(Reply { status, headers, body })
}
