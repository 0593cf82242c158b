//! A line of the log: it carries the hash of what stands before it, and its own.
//!
//! ```text
//! {"seq":7,"prev":"<hash of line 6>", … ,"hash":"<SHA-256 of all that stands before this member>"}
//! ```
//!
//! A line that was cut short, as by a full disk, has no hash. The line behind it is bound to the cut bytes and to
//! whatever stands before them, so the chain goes on and nothing can be put in their place.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use serde::Deserialize;

/// What stands between what a line says and its hash.
const SEAL: &[u8] = b",\"hash\":\"";
/// What ends a line.
const END: &[u8] = b"\"}";

/// A SHA-256 hash, written in 64 small hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a hash is 64 hexadecimal digits, as audit verify prints it";
        let digits = text.trim().as_bytes();
        let small = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
        if digits.len() != 64 || !digits.iter().all(small) {
            return Err(FORM);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(FORM)?;
        }
        Ok(Self(hash))
    }
}

/// The end of a chain: what its next line is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the last line.
    pub(crate) seq: u64,
    /// Its hash.
    pub(crate) hash: Hash,
}

impl Head {
    /// Before the first line.
    pub(crate) const START: Self = Self { seq: 0, hash: Hash([0; 32]) };

    /// The next line, and the head behind it. `says` are the members of an object, without its braces.
    pub(crate) fn next(self, says: &str) -> (String, Self) {
        let seq = self.seq.saturating_add(1);
        let mut line = format!("{{\"seq\":{seq},\"prev\":\"{}\",{says}", self.hash);
        let hash = Hash::of(line.as_bytes());
        line.push_str(&format!(",\"hash\":\"{hash}\"}}\n"));
        (line, Self { seq, hash })
    }

    /// The head behind bytes that are no whole line.
    pub(crate) fn behind_cut(self, bytes: &[u8]) -> Self {
        let both = [self.hash.to_string().as_bytes(), b"\n", bytes].concat();
        Self { seq: self.seq.saturating_add(1), hash: Hash::of(&both) }
    }
}

/// A whole line, whose hash fits what it says.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The head behind it.
    pub(crate) head: Head,
    /// The hash of what stood before it when it was written.
    pub(crate) before: Hash,
    /// The rest of what matters in it.
    pub(crate) says: Says,
}

/// What a line says, as far as the log itself is concerned with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Says {
    seq: u64,
    prev: String,
    /// What kind of line it is: `start`, `call`, `intent`, `end`.
    pub(crate) line: String,
    /// When it was written.
    pub(crate) time: String,
    /// The call that it belongs to.
    pub(crate) call: String,
    /// That call's tool.
    pub(crate) tool: String,
    /// Whether it is the first of its file.
    pub(crate) opens: bool,
    /// The numbers of the intents that it ends.
    pub(crate) intents: Vec<u64>,
    /// What was asked of Medplum.
    pub(crate) asked: Vec<AskedOf>,
}

/// What an intent is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AskedOf {
    pub(crate) interaction: String,
    #[serde(rename = "type")]
    pub(crate) resource_type: Option<String>,
    pub(crate) id: Option<String>,
}

impl Sealed {
    /// Takes a line without its newline; nothing if it is not whole, or not as it was written.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let (said, hash) = Self::parts(line)?;
        if Hash::of(said) != hash {
            return None;
        }
        let says: Says = serde_json::from_slice(&[said, b"}"].concat()).ok()?;
        let before = says.prev.parse().ok()?;
        Some(Self { head: Head { seq: says.seq, hash }, before, says })
    }

    /// The head that a line claims, whether its hash fits or not; nothing if it has not the form of a line.
    pub(crate) fn claimed(line: &[u8]) -> Option<Head> {
        let digits = line.strip_prefix(START_OF_LINE)?;
        let (_, hash) = Self::parts(line)?;
        let digits: Vec<u8> = digits.iter().copied().take_while(u8::is_ascii_digit).collect();
        let seq = String::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default();
        Some(Head { seq, hash })
    }

    /// What a line says, and the hash that it carries.
    fn parts(line: &[u8]) -> Option<(&[u8], Hash)> {
        let rest = line.strip_suffix(END)?;
        let (said, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let hash = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some((said.strip_suffix(SEAL)?, hash))
    }
}

/// What every line begins with.
pub(crate) const START_OF_LINE: &[u8] = b"{\"seq\":";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_the_hash_before_it_and_its_own() {
        let (first, head) = Head::START.next("\"line\":\"start\",\"opens\":true");
        let (second, after) = head.next("\"line\":\"call\"");
        insta::assert_snapshot!(format!("{first}{second}"), @r#"
        {"seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","line":"start","opens":true,"hash":"51552bf61076af61bfdaa42b76ebd13ad2c0554c24d0cd7a029b6b0594db8ab4"}
        {"seq":2,"prev":"51552bf61076af61bfdaa42b76ebd13ad2c0554c24d0cd7a029b6b0594db8ab4","line":"call","hash":"cd11d24d1f2d7bdb7517607fbd20418ad3307aa80f58e6627e90a62d3f63c66f"}
        "#);
        let read = Sealed::read(second.trim_end().as_bytes()).unwrap();
        assert_eq!((read.head, read.before), (after, head.hash));
    }

    #[test]
    fn what_is_not_whole_is_bound_to_what_stands_before_it() {
        let (line, head) = Head::START.next("\"line\":\"start\"");
        let cut = &line.as_bytes()[..20];
        assert!(Sealed::read(cut).is_none());
        assert_ne!(head.behind_cut(cut).hash, Head::START.behind_cut(cut).hash);
        assert_eq!(head.behind_cut(cut).seq, 2);
    }

    #[test]
    fn a_hash_is_sixty_four_small_digits() {
        let (_, head) = Head::START.next("\"a\":1");
        assert_eq!(head.hash.to_string().parse(), Ok(head.hash));
        let text = head.hash.to_string();
        let short: String = text.chars().skip(1).collect();
        for wrong in [short.clone(), text.to_uppercase(), String::new(), format!("{short}g")] {
            assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
        }
    }
}
