//! A glance at a text, in which nearly always none of the words is: whether a piece from the middle of one of them is
//! there. It touches little memory, and looks at each letter once.

use super::Form;
use super::fold::squeeze;

/// So many letters of a word are looked for.
const PIECE: usize = 8;
/// By so many letters it is told whether a piece may end here. No word may be shorter.
const LAST: usize = 4;
/// How many kinds of last letters are told apart: a power of two.
const KINDS: usize = 1 << 16;
const BITS: usize = u64::BITS as usize;
/// In so many groups a piece is looked for, each of one or two pieces.
const GROUPS: usize = 256;

/// The pieces of words.
pub(super) struct Glance {
    /// The kinds of the last letters of all pieces.
    kinds: Box<[u64; KINDS / BITS]>,
    /// In the order of their kinds.
    pieces: Vec<Piece>,
    /// Where in them each group of kinds begins, and behind the last where it ends.
    groups: Box<[usize; GROUPS + 1]>,
}

/// A piece, with the last letter in the lowest byte, and zeros before it if it is short.
#[derive(Clone, Copy)]
struct Piece {
    letters: u64,
    mask: u64,
}

impl Glance {
    /// The pieces of these words, squeezed; none if one of them is too short.
    pub(super) fn of(words: impl IntoIterator<Item = Vec<u8>>) -> Option<Self> {
        let mut pieces: Vec<Piece> = words.into_iter().map(|word| Piece::of(&word)).collect::<Option<_>>()?;
        pieces.sort_by_key(|piece| kind(piece.letters));
        let begins = |group| pieces.partition_point(|piece| kind(piece.letters) / (KINDS / GROUPS) < group);
        let groups = Box::new(std::array::from_fn(begins));
        let mut kinds = Box::new([0_u64; KINDS / BITS]);
        for piece in &pieces {
            let kind = kind(piece.letters);
            if let Some(bits) = kinds.get_mut(kind / BITS) {
                *bits |= 1 << (kind % BITS);
            }
        }
        Some(Self { kinds, pieces, groups })
    }

    /// Whether one of the words may be in a text. It may say yes where none is, never no where one is.
    pub(super) fn may_be_in(&self, text: &str, form: Form) -> bool {
        let (mut seen, mut found) = (0_u64, false);
        squeeze(text, form, |letter| {
            seen = seen << 8 | u64::from(letter);
            found |= self.may_end(seen);
        });
        found
    }

    /// Whether a piece may end with these letters.
    fn may_end(&self, seen: u64) -> bool {
        let kind = kind(seen);
        let is_known = self.kinds.get(kind / BITS).is_some_and(|bits| bits >> (kind % BITS) & 1 == 1);
        is_known && self.is_piece(seen, kind)
    }

    /// Whether these letters, the last of which are of this kind, end with a piece.
    fn is_piece(&self, seen: u64, kind: usize) -> bool {
        let group = self.groups.get(kind / (KINDS / GROUPS)..).and_then(<[usize]>::first_chunk);
        let pieces = group.and_then(|[from, to]| self.pieces.get(*from..*to)).unwrap_or_default();
        pieces.iter().any(|piece| seen & piece.mask == piece.letters)
    }
}

impl Piece {
    /// The middle of a word, which is rarer than what it begins and ends with.
    fn of(word: &[u8]) -> Option<Self> {
        if word.len() < LAST {
            return None;
        }
        let before = word.len().saturating_sub(PIECE) / 2;
        let piece = word.iter().skip(before).take(PIECE);
        let (letters, mask) =
            piece.fold((0, 0), |(letters, mask), letter| (letters << 8 | u64::from(*letter), mask << 8 | 0xff));
        Some(Self { letters, mask })
    }
}

/// The last letters.
fn last(seen: u64) -> u32 {
    (seen & u64::from(u32::MAX)) as u32
}

/// The kind of the last letters.
fn kind(seen: u64) -> usize {
    const SHIFT: u32 = u32::BITS - KINDS.trailing_zeros();
    (last(seen).wrapping_mul(0x9e37_79b1) >> SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::super::fold::squeezed;
    use super::*;

    const WORDS: &[&str] = &[
        "leak",
        "ignore",
        "exfiltrate",
        "system prompt",
        "delete_resource",
        "große anweisung",
        "игнорируйте",
        "ki system",
    ];

    fn words() -> Vec<Vec<u8>> {
        WORDS.iter().map(|word| squeezed(word, Form::Lines)).collect()
    }

    proptest! {
        #[test]
        fn a_word_that_is_there_is_seen(before in "\\PC{0,12}", at in 0..WORDS.len(), between in "[ \\-.\"*]{0,2}", after in "\\PC{0,12}", upper in any::<bool>()) {
            let spread: String = WORDS[at].chars().flat_map(|c| between.chars().chain([c])).collect();
            let spread = if upper { spread.to_uppercase() } else { spread };
            let text = format!("{before}{spread}{after}");
            let exactly = AhoCorasick::new(words()).unwrap().is_match(&squeezed(&text, Form::Lines));
            let glance = Glance::of(words()).unwrap();
            prop_assert!(!exactly || glance.may_be_in(&text, Form::Lines));
            prop_assert!(!exactly || glance.may_be_in(&serde_json::json!([1, text]).to_string(), Form::Json));
        }
    }

    #[test]
    fn an_ordinary_text_is_not_looked_at_again() {
        let glance = Glance::of(words()).unwrap();
        let record = r#"{"resourceType":"Patient","telecom":[{"rank":1},{"system":"https://x.example"}],"name":[{"family":"Zoë"}]}"#;
        assert!(!glance.may_be_in(record, Form::Json));
        for text in ["a SYSTEM PROMPT", "L3ak", "ИГНОРИРУЙТЕ"] {
            assert!(glance.may_be_in(text, Form::Lines), "{text}");
        }
        assert!(Glance::of([b"abc".to_vec()]).is_none());
    }
}
