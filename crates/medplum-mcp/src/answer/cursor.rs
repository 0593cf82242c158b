//! Where an answer goes on: opaque to the agent, bound to its query, and without anything of a patient in it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::failure::Failure;

/// So much of the signature is kept: 64 bits, which nobody guesses at a rate that matters here.
const SIGNATURE: usize = 8;

/// A place in a list of matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// Behind so many matches.
    Offset(usize),
    /// On the page of a chart that begins at this offset, behind so many of its matches. What a chart was narrowed by is
    /// dropped from its pages after they were cut, so that matches cannot be counted on from page to page.
    Chart {
        /// Where Medplum's page begins.
        page: usize,
        /// How many of its matches were shown.
        skip: usize,
        /// How many matches were shown in all.
        before: usize,
    },
    /// From this instant of `meta.lastUpdated` on, but for the resources of that instant that were shown already,
    /// which are told by a hash of their names.
    Since(String, Vec<u32>),
}

/// Signs cursors, so that one cannot be made up or used for another query. The key is the process' own: a cursor
/// lives as long as the server.
#[derive(Clone)]
pub struct CursorKey(hmac::Key);

impl CursorKey {
    /// A key from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    /// A key from the machine's randomness.
    ///
    /// # Errors
    /// If the machine has none.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("no randomness"))?;
        Ok(Self::new(bytes))
    }

    /// The cursor for a place in the answer to a query. `query` is everything that decides what the pages hold: tool,
    /// arguments, on whose behalf.
    pub fn seal(&self, position: &Position, query: &str) -> String {
        let body = position.write();
        let mut bytes = self.signature(&body, query);
        bytes.extend_from_slice(&body);
        format!("c.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place that a cursor stands for.
    ///
    /// # Errors
    /// [`Failure`] for a cursor of another query, another server, or none at all.
    pub fn open(&self, cursor: &str, query: &str) -> Result<Position, Failure> {
        let opened = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor.trim().strip_prefix("c.")?).ok()?;
            let (signature, body) = bytes.split_at_checked(SIGNATURE)?;
            (self.signature(body, query) == signature).then(|| Position::read(body))?
        };
        opened().ok_or_else(|| {
            Failure::teach("cursor: it does not belong to this query, or the server was restarted. Pass the arguments of the call that gave it, unchanged but for cursor, or start again without it. Nothing was sent.")
        })
    }

    /// A tag over some parts, for one purpose: good for no other.
    pub(crate) fn tag(&self, purpose: &str, parts: &[&[u8]]) -> hmac::Tag {
        hmac::sign(&self.0, &message(purpose, parts))
    }

    /// Whether a tag is that of these parts, in a time that tells nothing.
    pub(crate) fn is_tag(&self, tag: &[u8], purpose: &str, parts: &[&[u8]]) -> bool {
        hmac::verify(&self.0, &message(purpose, parts), tag).is_ok()
    }

    /// A resource's name as it stands in a cursor.
    pub fn hash(&self, name: &str) -> u32 {
        let tag = hmac::sign(&self.0, name.as_bytes());
        tag.as_ref().iter().take(4).fold(0, |hash, byte| (hash << 8) | u32::from(*byte))
    }

    fn signature(&self, body: &[u8], query: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [body, query.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().iter().copied().take(SIGNATURE).collect()
    }
}

/// The parts with their lengths, so that none can pass for another.
fn message(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

impl Position {
    fn write(&self) -> Vec<u8> {
        match self {
            Self::Offset(offset) => format!("o{offset}").into_bytes(),
            Self::Chart { page, skip, before } => format!("e{page}.{skip}.{before}").into_bytes(),
            Self::Since(instant, seen) => {
                let length = u16::try_from(instant.len()).unwrap_or(u16::MAX);
                let mut bytes = vec![b't'];
                bytes.extend(length.to_be_bytes());
                bytes.extend(instant.bytes().take(length.into()));
                bytes.extend(seen.iter().flat_map(|hash| hash.to_be_bytes()));
                bytes
            }
        }
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (kind, body) = body.split_first()?;
        if *kind == b't' {
            let (length, body) = body.split_first_chunk()?;
            let (instant, seen) = body.split_at_checked(u16::from_be_bytes(*length).into())?;
            let instant = std::str::from_utf8(instant).ok()?.to_owned();
            let seen = seen.chunks_exact(4).map(|hash| hash.try_into().map(u32::from_be_bytes));
            return Some(Self::Since(instant, seen.collect::<Result<_, _>>().ok()?));
        }
        let body = std::str::from_utf8(body).ok()?;
        let numbers = body.split('.').map(str::parse).collect::<Result<Vec<usize>, _>>().ok()?;
        match (kind, numbers.as_slice()) {
            (b'o', [offset]) => Some(Self::Offset(*offset)),
            (b'e', [page, skip, before]) => Some(Self::Chart { page: *page, skip: *skip, before: *before }),
            _ => None,
        }
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_for_its_own_query_alone() {
        let key = CursorKey::new([7; 32]);
        for position in [
            Position::Offset(12),
            Position::Chart { page: 1_000, skip: 17, before: 964 },
            Position::Since("2026-01-05T08:00:00.629Z".into(), vec![1, 0x0a0a_0a0a, 0xffff_ffff]),
            Position::Since("x".into(), vec![]),
            Position::Since("2026/01/05".into(), vec![7]),
        ] {
            let cursor = key.seal(&position, "search Patient name=Smith");
            assert_eq!(key.open(&cursor, "search Patient name=Smith").unwrap(), position);
            assert!(key.open(&cursor, "search Patient name=Jones").is_err());
            assert!(CursorKey::new([8; 32]).open(&cursor, "search Patient name=Smith").is_err());
            for bad in ["", "c.", "c.AAAA", "x", &format!("{cursor}A"), &cursor.replace('.', "_")] {
                assert!(key.open(bad, "search Patient name=Smith").is_err(), "{bad}");
            }
            assert!(!cursor.contains("Smith"));
        }
    }
}
