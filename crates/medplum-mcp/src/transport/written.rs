//! A message as it is written. It is what serde_json makes of it; but the record in an answer is a text full of quotes,
//! and is put in beside it, which takes half the time.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use rmcp::model::{ContentBlock, JsonRpcMessage, ServerJsonRpcMessage, ServerResult};

use crate::eight::Eight;

/// A shorter text is not worth it.
const LONG: usize = 256;

/// How the text is written that was taken out. No string holds this: a quote in it would have a backslash before it.
const NO_TEXT: &[u8] = b"\"text\":\"\"";
static FIND_NO_TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NO_TEXT));

/// Writes a message behind what is there.
pub(super) fn write(mut message: ServerJsonRpcMessage, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let Some(text) = record(&mut message).filter(|text| text.len() >= LONG).map(std::mem::take) else {
        return serde_json::to_writer(out, &message);
    };
    let start = out.len();
    serde_json::to_writer(&mut *out, &message)?;
    // It is the first text of all, or it is written in a way that is not known here.
    match out.get(start..).and_then(|written| FIND_NO_TEXT.find(written)) {
        Some(at) => {
            let behind = out.split_off(start.saturating_add(at).saturating_add(NO_TEXT.len()).saturating_sub(1));
            escape(&text, out);
            out.extend_from_slice(&behind);
            Ok(())
        }
        None => {
            out.truncate(start);
            record(&mut message).into_iter().for_each(|place| place.clone_from(&text));
            serde_json::to_writer(out, &message)
        }
    }
}

/// The text in the first block of a tool's answer.
fn record(message: &mut ServerJsonRpcMessage) -> Option<&mut String> {
    match message {
        JsonRpcMessage::Response(response) => match &mut response.result {
            ServerResult::CallToolResult(result) => match result.content.first_mut()? {
                ContentBlock::Text(block) => Some(&mut block.text),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// So much of a text is written at a time.
const PIECE: usize = 512;
/// The most that a byte becomes: `\u001f`.
const LONGEST: usize = 6;

/// Writes what stands between the quotes of a JSON string.
fn escape(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len().saturating_add(text.len() / 4).saturating_add(LONGEST * PIECE));
    for piece in text.as_bytes().chunks(PIECE) {
        let start = out.len();
        out.resize(start.saturating_add(LONGEST.saturating_mul(piece.len())), 0);
        let left = escape_into(piece, out.get_mut(start..).unwrap_or_default());
        out.truncate(out.len().saturating_sub(left));
    }
}

/// The same into a place with room for it; how much of the room is left.
fn escape_into(text: &[u8], mut place: &mut [u8]) -> usize {
    let mut rest = text;
    loop {
        let (plain, behind) = match (rest.split_first_chunk(), place.first_chunk_mut()) {
            (Some((bytes, _)), Some(room)) => {
                let eight = Eight::of(bytes);
                let marks = eight.below(b' ').or(eight.equal(b'"')).or(eight.equal(b'\\'));
                // All eight are written before it is known how many of them stay.
                *room = *bytes;
                rest.split_at(marks.first().unwrap_or(bytes.len()))
            }
            _ => rest.split_at(0),
        };
        place = place.get_mut(plain.len()..).unwrap_or_default();
        rest = behind;
        if plain.len() == size_of::<Eight>() {
            continue;
        }
        let Some((&byte, behind)) = rest.split_first() else { return place.len() };
        rest = behind;
        let written = write_byte(byte, place);
        place = place.get_mut(written..).unwrap_or_default();
    }
}

/// Writes a byte as it stands in a JSON string; how long that is.
fn write_byte(byte: u8, place: &mut [u8]) -> usize {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        0..0x20 => {
            let written = format!("\\u{byte:04x}");
            place.iter_mut().zip(written.bytes()).for_each(|(place, byte)| *place = byte);
            return written.len();
        }
        _ => {
            place.first_mut().into_iter().for_each(|place| *place = byte);
            return 1;
        }
    };
    place.first_chunk_mut().into_iter().for_each(|place| *place = [b'\\', letter]);
    2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::{CallToolResult, RequestId};

    use super::*;

    fn answer(texts: &[String], is_error: bool, id: String) -> ServerJsonRpcMessage {
        let blocks = texts.iter().map(ContentBlock::text).collect();
        let result = if is_error { CallToolResult::error(blocks) } else { CallToolResult::success(blocks) };
        JsonRpcMessage::response(ServerResult::CallToolResult(result), RequestId::String(id.into()))
    }

    proptest! {
        #[test]
        fn it_is_what_serde_json_writes(
            texts in prop::collection::vec("[\\PC\u{0}-\u{1f}\"\\\\]{0,12}|(\"text\":\"\"){0,2}", 0..3),
            times in 1..60_usize,
            is_error in any::<bool>(),
            id in "[a\"]{0,2}|\"text\":\"\"",
        ) {
            let texts: Vec<String> = texts.iter().map(|text| text.repeat(times)).collect();
            let message = answer(&texts, is_error, id);
            let expected = format!("before{}", serde_json::to_string(&message).unwrap());
            let mut out = b"before".to_vec();
            write(message, &mut out).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn every_character_is_escaped_as_serde_json_does() {
        let text: String = (0..=0x2100).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        escape(&text, &mut out);
        assert_eq!(format!("\"{}\"", String::from_utf8(out).unwrap()), serde_json::to_string(&text).unwrap());
    }
}
