//! Lines from a byte stream, none of them longer than the limit.

use std::io;

use bytes::{Buf, BytesMut};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::scan::IdScanner;

/// How much is asked of the reader at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// A buffer that had to grow beyond this is given back as soon as it is empty.
const KEPT: usize = 1024 * 1024;

/// What the stream gave.
#[derive(Debug)]
pub(super) enum Line {
    /// A line, without its newline; the last one may have had none.
    Whole(BytesMut),
    /// A line over the limit, read through without being kept.
    TooLong {
        /// How long it was.
        length: usize,
        /// The id of the message in it, if one was found.
        id: Option<Box<RawValue>>,
    },
    /// The stream has ended.
    End,
}

/// A line over the limit that is being read through.
#[derive(Debug, Default)]
struct Skipping {
    length: usize,
    scanner: IdScanner,
}

/// Reads lines. [`Lines::next`] may be dropped at any await and called again: all that was read stays here.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no newline.
    searched: usize,
    skipping: Option<Skipping>,
    longest: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), searched: 0, skipping: None, longest }
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> io::Result<Line> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(line);
            }
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(CHUNK);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(self.rest());
            }
        }
    }

    /// The next line of what was read already.
    fn buffered(&mut self) -> Option<Line> {
        let newline = self
            .buffer
            .get(self.searched..)
            .and_then(|fresh| fresh.iter().position(|byte| *byte == b'\n'))
            .map(|offset| self.searched + offset);
        match newline {
            Some(at) => {
                let line = self.buffer.split_to(at);
                self.buffer.advance(1);
                self.searched = 0;
                Some(self.ended(line))
            }
            None => {
                self.searched = self.buffer.len();
                if self.skipping.is_some() || self.buffer.len() > self.longest {
                    self.skip();
                }
                None
            }
        }
    }

    /// `line` is the end of a line, or all of it.
    fn ended(&mut self, line: BytesMut) -> Line {
        if self.skipping.is_none() && line.len() <= self.longest {
            return Line::Whole(line);
        }
        let mut skipped = self.skipping.take().unwrap_or_default();
        skipped.scanner.feed(&line);
        Line::TooLong { length: skipped.length + line.len(), id: skipped.scanner.into_id() }
    }

    /// Walks through what was read of a line that is too long, and forgets it.
    fn skip(&mut self) {
        let skipped = self.skipping.get_or_insert_default();
        skipped.length += self.buffer.len();
        skipped.scanner.feed(&self.buffer);
        self.buffer.clear();
        self.searched = 0;
    }

    /// What the end of the stream leaves: a last line without a newline, or nothing.
    fn rest(&mut self) -> Line {
        self.searched = 0;
        if self.buffer.is_empty() && self.skipping.is_none() {
            return Line::End;
        }
        let line = self.buffer.split();
        self.ended(line)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn lines(input: &[u8], longest: usize, piece: usize) -> Vec<String> {
        let (mut writer, reader) = tokio::io::duplex(piece);
        let input = input.to_vec();
        let feeding = tokio::spawn(async move { writer.write_all(&input).await });
        let mut lines = Lines::new(reader, longest);
        let mut seen = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Line::Whole(line) => seen.push(String::from_utf8_lossy(&line).into_owned()),
                Line::TooLong { length, id } => {
                    seen.push(format!("{length} bytes, id {:?}", id.map(|id| id.get().to_owned())));
                }
                Line::End => break,
            }
        }
        feeding.await.unwrap().unwrap();
        seen
    }

    #[tokio::test]
    async fn lines_come_whole_in_any_pieces() {
        for piece in [1, 2, 3, 7, 64] {
            let seen = lines(b"one\n\ntwo\r\nthree", 100, piece).await;
            assert_eq!(seen, ["one", "", "two\r", "three"]);
        }
    }

    #[tokio::test]
    async fn a_long_line_is_walked_through_and_the_next_is_whole() {
        for piece in [1, 5, 64, 4096] {
            let text = "x".repeat(40);
            let input = format!("{{\"t\":\"{text}\",\"id\":5}}\nnext\n{{\"t\":\"{text}\",\"id\":6}}");
            let seen = lines(input.as_bytes(), 20, piece).await;
            assert_eq!(seen, ["55 bytes, id Some(\"5\")", "next", "55 bytes, id Some(\"6\")"]);
        }
    }

    #[tokio::test]
    async fn a_buffer_that_grew_is_given_back() {
        let mut input = vec![b'x'; KEPT * 4];
        input.extend_from_slice(b"\nnext\n");
        let mut lines = Lines::new(input.as_slice(), usize::MAX);
        assert!(matches!(lines.next().await.unwrap(), Line::Whole(line) if line.len() == KEPT * 4));
        assert!(matches!(lines.next().await.unwrap(), Line::Whole(_)));
        assert!(matches!(lines.next().await.unwrap(), Line::End));
        assert!(lines.buffer.capacity() <= KEPT);
    }
}
