//! What the lines of the log say: of a process that starts, of a call that intends, ends or only read.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;

use super::asked::Asked;
use super::record::{Confirmed, Ending, Host};
use super::seen::Seen;

/// What a process says of itself.
#[derive(Serialize)]
pub(super) struct Start<'a> {
    pub(super) time: String,
    pub(super) line: &'a str,
    pub(super) process: &'a str,
    pub(super) pid: u32,
    pub(super) version: &'a str,
    pub(super) server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signs_in_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_behalf_of: Option<&'a str>,
    pub(super) writes: bool,
}

/// A line about a call.
#[derive(Serialize)]
pub(super) struct CallLine<'a> {
    pub(super) time: String,
    pub(super) line: &'a str,
    pub(super) call: &'a str,
    pub(super) tool: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_behalf_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<&'a Host>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confirmed: Option<Confirmed>,
    pub(super) asked: &'a [Asked],
    #[serde(flatten)]
    pub(super) end: Option<EndOfCall<'a>>,
}

/// The end of it.
#[derive(Serialize)]
pub(super) struct EndOfCall<'a> {
    #[serde(flatten)]
    pub(super) seen: &'a Seen,
    pub(super) outcome: Ending,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'static str>,
    /// Its client did not wait for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) cancelled: bool,
    pub(super) ms: u64,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    pub(super) intents: &'a [u64],
}

/// The members of a line, without the braces.
pub(super) fn members(line: &impl Serialize) -> std::io::Result<String> {
    let text = serde_json::to_string(line)?;
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    inner.map(str::to_owned).ok_or_else(|| std::io::Error::other("not an object"))
}

/// A moment in UTC, to the millisecond.
pub(super) fn written(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// What the system said, without a path.
pub(super) fn reason(error: &std::io::Error) -> String {
    error.kind().to_string()
}

/// What a host calls itself, if it is a name.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(80).collect()
}
