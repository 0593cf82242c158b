//! JSON that is gone over and not read: where its parts are, and whether it is JSON at all, in one pass.
//!
//! It takes what serde_json takes for JSON when it ignores a value, and nothing else (RFC 8259), at half the cost. What is
//! looked for is then read by serde_json from its own part of the text.

use serde::de::DeserializeOwned;

/// A place in a JSON text. What goes on from it gives nothing where the text is no JSON.
pub(crate) struct Skim<'a> {
    text: &'a str,
    rest: &'a [u8],
    /// The brackets that are open around a value that is passed over.
    open: Vec<u8>,
    seen: Seen,
}

/// What was seen on the way.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// White space between the parts of a value, or around it.
    pub(crate) space: bool,
    /// A value that is empty: `""`, `null`, `[]`, `{}`.
    pub(crate) empty: bool,
}

/// The name of a member, as it is written between its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    written: &'a [u8],
    /// Where in the text it is.
    pub(crate) at: usize,
    pub(crate) has_escape: bool,
}

impl<'a> Name<'a> {
    fn new(written: &'a [u8], at: usize) -> Self {
        Self { written, at, has_escape: written.contains(&b'\\') }
    }

    /// How long it is, as it is written.
    pub(crate) fn len(self) -> usize {
        self.written.len()
    }

    /// Whether it is this one, however it is written.
    pub(crate) fn is(self, name: &str) -> bool {
        let read = || serde_json::from_slice::<String>(&[b"\"", self.written, b"\""].concat());
        self.written == name.as_bytes() || self.has_escape && read().is_ok_and(|read| read == name)
    }
}

impl<'a> Skim<'a> {
    /// The start of a text.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes(), open: Vec::new(), seen: Seen::default() }
    }

    /// Where in the text this place is.
    pub(crate) fn at(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    /// What was seen since the last time, which is forgotten.
    pub(crate) fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// Goes over the object that stands here. `member` goes over the value of each member.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, Name<'a>) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.skips(b'}') {
            self.seen.empty = true;
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let (at, behind) = (self.at(), string(self.rest)?);
            let name = Name::new(self.rest.get(..self.rest.len().checked_sub(behind.len())?.checked_sub(1)?)?, at);
            self.rest = behind;
            self.expect(b':')?;
            member(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Goes over the list that stands here. `item` goes over each item.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.skips(b']') {
            self.seen.empty = true;
            return Some(());
        }
        loop {
            item(self)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// The text of what `over` goes over.
    pub(crate) fn part(&mut self, over: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a str> {
        let visible = visible(self.rest);
        self.seen.space |= visible.len() != self.rest.len();
        self.rest = visible;
        let start = self.at();
        over(self)?;
        self.text.get(start..self.at())
    }

    /// Reads the value that stands here into what it should not be already: no name stands twice.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, into: &mut Option<T>) -> Option<()> {
        let text = self.part(Self::value)?;
        into.replace(serde_json::from_str(text).ok()?).is_none().then_some(())
    }

    /// Goes over the value that stands here, however deep it is.
    pub(crate) fn value(&mut self) -> Option<()> {
        self.rest = value(self.rest, &mut self.open, &mut self.seen)?;
        Some(())
    }

    /// Whether nothing but white space follows.
    pub(crate) fn is_at_end(&self) -> bool {
        visible(self.rest).is_empty()
    }

    /// The same for what may be null, which is passed over.
    pub(crate) fn unless_null(&mut self, over: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if visible(self.rest).first() == Some(&b'n') { self.value() } else { over(self) }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Passes over this byte, if it is the next.
    fn skips(&mut self, byte: u8) -> bool {
        let behind = behind(self.rest, byte, &mut self.seen);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    /// The next byte that is no white space, passed over.
    fn next(&mut self) -> Option<u8> {
        let (byte, behind) = next(self.rest, &mut self.seen)?;
        self.rest = behind;
        Some(byte)
    }
}

/// What stands behind the value that stands here. `open` is room for the brackets around it.
fn value<'a>(mut rest: &'a [u8], open: &mut Vec<u8>, seen: &mut Seen) -> Option<&'a [u8]> {
    open.clear();
    loop {
        let (byte, after) = next(rest, seen)?;
        rest = match byte {
            b'{' | b'[' => {
                let end = if byte == b'{' { b'}' } else { b']' };
                let Some(behind) = behind(after, end, seen) else {
                    open.push(byte);
                    rest = if byte == b'{' { name(after, seen)? } else { after };
                    continue;
                };
                seen.empty = true;
                behind
            }
            _ => simple(byte, rest, after, seen)?,
        };
        rest = closed(rest, open, seen)?;
        if open.is_empty() {
            return Some(rest);
        }
    }
}

/// What stands behind a value that holds no other: it begins with this byte.
#[inline]
fn simple<'a>(byte: u8, rest: &'a [u8], after: &'a [u8], seen: &mut Seen) -> Option<&'a [u8]> {
    match byte {
        b'"' => {
            seen.empty |= after.first() == Some(&b'"');
            string(after)
        }
        b'-' | b'0'..=b'9' => number(visible(rest)),
        b't' => after.strip_prefix(b"rue"),
        b'f' => after.strip_prefix(b"alse"),
        b'n' => {
            seen.empty = true;
            after.strip_prefix(b"ull")
        }
        _ => None,
    }
}

/// Closes what ends with a value; where something is still open, another value stands behind.
#[inline]
fn closed<'a>(mut rest: &'a [u8], open: &mut Vec<u8>, seen: &mut Seen) -> Option<&'a [u8]> {
    while let Some(&bracket) = open.last() {
        let (byte, after) = next(rest, seen)?;
        rest = match (byte, bracket) {
            (b',', b'{') => return name(after, seen),
            (b',', _) => return Some(after),
            (b'}', b'{') | (b']', b'[') => after,
            _ => return None,
        };
        open.pop();
    }
    Some(rest)
}

/// What stands behind a name and its colon.
fn name<'a>(rest: &'a [u8], seen: &mut Seen) -> Option<&'a [u8]> {
    behind(string(behind(rest, b'"', seen)?)?, b':', seen)
}

/// What stands behind a string whose first quote stands before this.
fn string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (byte, after) = match rest.split_first_chunk::<8>() {
            Some((word, behind)) => {
                let word = u64::from_le_bytes(*word);
                let marks = below(word, b' ') | below(word ^ every(b'"'), 1) | below(word ^ every(b'\\'), 1);
                if marks == 0 {
                    rest = behind;
                    continue;
                }
                rest.get((marks.trailing_zeros() / u8::BITS) as usize..)?.split_first()?
            }
            None => rest.split_first()?,
        };
        rest = match byte {
            b'"' => return Some(after),
            b'\\' => escape(after)?,
            b' '.. => after,
            // A control character.
            _ => return None,
        };
    }
}

/// What stands behind an escape whose backslash stands before this.
fn escape(rest: &[u8]) -> Option<&[u8]> {
    let (byte, after) = rest.split_first()?;
    match byte {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(after),
        b'u' => {
            let (digits, after) = after.split_first_chunk::<4>()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(after)
        }
        _ => None,
    }
}

/// What stands behind a number.
fn number(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let whole = match rest.strip_prefix(b"0") {
        Some([b'0'..=b'9', ..]) => return None,
        Some(behind) => behind,
        None => digits(rest)?,
    };
    let fraction = match whole.strip_prefix(b".") {
        Some(behind) => digits(behind)?,
        None => whole,
    };
    match fraction {
        [b'e' | b'E', b'+' | b'-', behind @ ..] | [b'e' | b'E', behind @ ..] => digits(behind),
        _ => Some(fraction),
    }
}

/// What stands behind digits, of which there is one at the least.
fn digits(rest: &[u8]) -> Option<&[u8]> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { None } else { rest.get(count..) }
}

/// What stands behind this byte, if it is the next that is no white space.
fn behind<'a>(rest: &'a [u8], byte: u8, seen: &mut Seen) -> Option<&'a [u8]> {
    next(rest, seen).filter(|(next, _)| *next == byte).map(|(_, behind)| behind)
}

/// The next byte that is no white space, and what stands behind it.
fn next<'a>(rest: &'a [u8], seen: &mut Seen) -> Option<(u8, &'a [u8])> {
    match rest.split_first()? {
        (&byte, behind) if byte > b' ' => Some((byte, behind)),
        _ => {
            seen.space = true;
            visible(rest).split_first().map(|(byte, behind)| (*byte, behind))
        }
    }
}

/// What stands behind white space.
fn visible(rest: &[u8]) -> &[u8] {
    let count = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
    rest.get(count..).unwrap_or_default()
}

/// A word of eight bytes, each of them this one.
const fn every(byte: u8) -> u64 {
    u64::MAX / 255 * byte as u64
}

/// The highest bit of the first byte of a word that is less than this, which is 128 at the most; nothing where none is.
/// Behind it other bits may be set too.
const fn below(word: u64, than: u8) -> u64 {
    word.wrapping_sub(every(than)) & !word & every(0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut skim = Skim::of(text);
        skim.value().is_some() && skim.is_at_end()
    }

    const SAMPLES: &[&str] = &[
        r#"{"a":[1,-0,0.5,1e9,-1.25E-10],"b":{"c":"x\"\\\/\b\f\n\r\t\u00e9","d":[]},"e":{},"f":[true,false,null]}"#,
        "[ {\"\u{eb}\u{674e}\u{1f600}\" :\r\n\t\"a rather long text, of more than a word of eight bytes\" } , [ [ ] ] ]",
        r#""\ud800\uDFFF""#,
        "  12 ",
    ];

    #[test]
    fn what_is_no_json_is_none() {
        for sample in SAMPLES {
            assert!(is_json(sample), "{sample}");
        }
        for wrong in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nulL",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\u{1}\"",
            "\"",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[1 2]",
            "\"a\nb, and more than eight bytes\"",
        ] {
            assert!(!is_json(wrong), "{wrong}");
        }
        assert!(is_json(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn it_is_json_where_serde_json_says_so(
            which in 0..SAMPLES.len(),
            at in any::<prop::sample::Index>(),
            gone in 0..3_usize,
            new in prop::collection::vec(prop::sample::select("{}[]\",:\\u0d8.eE+- \n\u{1}\u{1f}\u{7f}tn\u{eb}".chars().collect::<Vec<_>>()), 0..4),
        ) {
            let mut text: Vec<char> = SAMPLES[which].chars().collect();
            let at = at.index(text.len());
            let end = (at + gone).min(text.len());
            text.splice(at..end, new);
            let text: String = text.into_iter().collect();
            prop_assert_eq!(is_json(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn a_string_ends_where_serde_json_says_so(text in "[\\PC\u{0}-\u{1f}\"\\\\]{0,40}") {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert!(is_json(&quoted));
            let raw = format!("\"{text}\"");
            prop_assert_eq!(is_json(&raw), serde_json::from_str::<IgnoredAny>(&raw).is_ok());
        }
    }

    #[test]
    fn a_name_is_the_same_however_it_is_written() {
        let mut found = Vec::new();
        let mut skim = Skim::of(r#" {"id":1, "\u0069d" : {"x":[2]} ,"Id":3} "#);
        let over = skim.object(|skim, name| {
            let value = skim.part(Skim::value)?;
            found.push((name.is("id"), value));
            Some(())
        });
        assert!(over.is_some() && skim.is_at_end());
        assert_eq!(found, [(true, "1"), (true, r#"{"x":[2]}"#), (false, "3")]);
    }
}
