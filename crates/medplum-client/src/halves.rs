//! Half characters: JavaScript writes what is left of a text that was cut within a character as a lone surrogate, such as
//! `\ud83d`, which is JSON (RFC 8259, section 8.2) and no text. One in a record must not close the page that it is on.

use bytes::Bytes;
use memchr::memchr;

/// What half a character is read as: the replacement character, of the same length.
const REPLACED: &[u8; 4] = b"fffd";
/// `\u` and four digits.
const LENGTH: usize = 6;

/// A JSON text with the replacement character in place of every half of one. Nearly always there is none, and it is the
/// same text.
pub(crate) fn mended(json: Bytes) -> Bytes {
    let mut mended: Option<Vec<u8>> = None;
    for at in halves(&json) {
        let digits =
            mended.get_or_insert_with(|| json.to_vec()).get_mut(at.saturating_add(2)..at.saturating_add(LENGTH));
        if let Some(digits) = digits {
            digits.copy_from_slice(REPLACED);
        }
    }
    mended.map_or(json, Bytes::from)
}

/// Where the escapes stand that are half a character.
fn halves(json: &[u8]) -> impl Iterator<Item = usize> {
    let mut from = 0_usize;
    std::iter::from_fn(move || {
        loop {
            let at = from.saturating_add(memchr(b'\\', json.get(from..)?)?);
            let Some(unit) = unit(json, at) else {
                from = at.saturating_add(2);
                continue;
            };
            let behind = at.saturating_add(LENGTH);
            let is_pair = is_first(unit) && self::unit(json, behind).is_some_and(is_second);
            from = if is_pair { behind.saturating_add(LENGTH) } else { behind };
            if !is_pair && (is_first(unit) || is_second(unit)) {
                return Some(at);
            }
        }
    })
}

/// What is written here with `\u`.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at.checked_add(LENGTH)?)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

fn is_first(unit: u16) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

fn is_second(unit: u16) -> bool {
    (0xdc00..0xe000).contains(&unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As JavaScript does, where it makes well-formed text of it.
        #[test]
        fn every_half_is_replaced_and_nothing_else(units in prop::collection::vec(prop_oneof![
            any::<u16>(), 0xd7fe..0xe002_u16, Just(u16::from(b'\\')), Just(u16::from(b'"')), Just(u16::from(b'u')), Just(u16::from(b'd')),
        ], 0..12), upper in any::<bool>()) {
            let written: String = units.iter().map(|unit| match unit {
                0x22 => "\\\"".to_owned(),
                0x5c => "\\\\".to_owned(),
                0x20..=0x7e => char::from(*unit as u8).to_string(),
                unit if upper => format!("\\u{unit:04X}"),
                unit => format!("\\u{unit:04x}"),
            }).collect();
            let json = Bytes::from(format!("[\"{written}\"]"));
            let read: [String; 1] = serde_json::from_slice(&mended(json)).unwrap();
            prop_assert_eq!(&read[0], &String::from_utf16_lossy(&units));
        }
    }

    #[test]
    fn what_is_whole_is_not_copied() {
        let json = Bytes::from_static(br#"{"a":"\ud83d\ude00 \\ud83d \u00e9 \n"}"#);
        assert_eq!(mended(json.clone()).as_ptr(), json.as_ptr());
    }
}
