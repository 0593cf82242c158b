//! Finds the `id` of a message in a line that is not kept, or that is not JSON.
//!
//! A host waits for an answer under the id that it sent. So a line that is refused (too long, cut short, not JSON) is
//! still walked once, byte by byte, for its top-level `"id"`, wherever that stands. The walk keeps no more than one
//! key or id, whatever the length of the line.

use serde_json::value::RawValue;

/// Longer ids are not echoed from a refused line: nobody sends them, and the walk must stay small.
const LONGEST_ID: usize = 256;

/// The walk through one line. Feed it the line in as many pieces as it comes.
#[derive(Debug, Default)]
pub(super) struct IdScanner {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The next string at the top level is a value, not a key.
    at_value: bool,
    key_is_id: bool,
    /// The key or scalar that is being read at the top level.
    token: Vec<u8>,
    found: Option<Box<RawValue>>,
}

impl IdScanner {
    /// The id in `line`, if there is one.
    pub(super) fn find(line: &[u8]) -> Option<Box<RawValue>> {
        let mut scanner = Self::default();
        scanner.feed(line);
        scanner.into_id()
    }

    /// Walks on through `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.found.is_some() {
                return;
            }
            if self.in_string {
                self.inside_string(byte);
            } else {
                self.outside_string(byte);
            }
        }
    }

    /// The id, once the line has ended. A number that the end of the line may have cut is not taken for one.
    pub(super) fn into_id(self) -> Option<Box<RawValue>> {
        self.found
    }

    fn inside_string(&mut self, byte: u8) {
        self.keep(byte);
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                self.string_ended();
            }
            _ => {}
        }
    }

    fn outside_string(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 {
                    self.token.clear();
                }
                self.keep(byte);
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.member_ended();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.member_ended(),
            b':' if self.depth == 1 => self.at_value = true,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() <= LONGEST_ID {
            self.token.push(byte);
        }
    }

    fn string_ended(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.at_value {
            self.take_id();
        } else {
            self.key_is_id = self.token == b"\"id\"";
            self.token.clear();
        }
    }

    fn member_ended(&mut self) {
        if self.depth == 1 {
            self.take_id();
            self.token.clear();
            self.at_value = false;
            self.key_is_id = false;
        }
    }

    fn take_id(&mut self) {
        if self.key_is_id && self.at_value && self.token.len() <= LONGEST_ID {
            self.found = std::str::from_utf8(&self.token).ok().and_then(scalar_id);
        }
    }
}

/// `text` as an id that can be sent back: a JSON number, or a JSON string that is whole.
fn scalar_id(text: &str) -> Option<Box<RawValue>> {
    let sound = match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(text).is_ok(),
        b'-' | b'0'..=b'9' => true,
        _ => false,
    };
    sound.then(|| RawValue::from_string(text.to_owned()).ok()).flatten()
}

/// `raw` if it is an id that can be sent back.
pub(super) fn echoable(raw: &RawValue) -> Option<Box<RawValue>> {
    scalar_id(raw.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(line: &str) -> Option<String> {
        IdScanner::find(line.as_bytes()).map(|id| id.get().to_owned())
    }

    #[test]
    fn finds_the_id_wherever_it_stands() {
        for (line, id) in [
            (r#"{"id":7,"params":{"id":8}}"#, "7"),
            (r#"{"params":{"id":8,"a":["id",{"id":9}]}, "id" : "x-1" }"#, r#""x-1""#),
            (r#"{"method":"id","params":"\"id\":3","id":-4}"#, "-4"),
            (r#"{"jsonrpc":"2.0","id":"a\"b","method":"#, r#""a\"b""#),
            (r#"{"a":\ud800,"id":12}"#, "12"),
            (r#"{"id":18446744073709551615,"x":"#, "18446744073709551615"),
        ] {
            assert_eq!(id_of(line).as_deref(), Some(id), "{line}");
        }
    }

    #[test]
    fn takes_nothing_else_for_an_id() {
        for line in [
            r#"{"params":{"id":8}}"#,
            r#"{"id":null}"#,
            r#"{"id":{"id":1}}"#,
            r#"{"id":[1]}"#,
            r#"{"id":true}"#,
            r#"{"id":"\ud800"}"#,
            r#"{"id":12"#,
            r#"["id",5]"#,
            r#"[{"id":5}]"#,
            "Content-Length: 12",
            "",
        ] {
            assert_eq!(id_of(line), None, "{line}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(LONGEST_ID * 2));
        assert_eq!(id_of(&long), None);
    }

    #[test]
    fn pieces_make_no_difference() {
        let line = br#"{"params":{"text":"\\\"id\\\":1"},"id":"seven"}"#;
        for size in 1..line.len() {
            let mut scanner = IdScanner::default();
            line.chunks(size).for_each(|piece| scanner.feed(piece));
            assert_eq!(scanner.into_id().unwrap().get(), r#""seven""#);
        }
    }
}
