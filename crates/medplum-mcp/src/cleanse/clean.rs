//! Whether there is anything to take out at all: told from the JSON as it came, in one pass. Most records need no more.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use aho_corasick::packed::Searcher;
use memchr::{memchr, memchr_iter};

use super::{hidden, secrets, texts};
use crate::eight::Eight;

/// Whether the text of a JSON value can hold nothing that [`cleanse`](super::cleanse) would take out. It may say no where
/// nothing would be taken out, never the other way.
pub fn is_clean(json: &str) -> bool {
    !has_escape(json)
        && !has_web_token(json)
        && !texts::has_user_in_url(json)
        && !hidden::may_be_in(json)
        && !SUSPECTS.are_in(json)
}

/// Whether a name or a character in it may be written in another way, or cannot be seen.
fn has_escape(json: &str) -> bool {
    let bytes = json.as_bytes();
    let hides = |at: usize| bytes.get(at.saturating_add(1)).is_some_and(|c| b"u/bf".contains(c));
    memchr(b'\x7f', bytes).is_some() || memchr_iter(b'\\', bytes).any(hides)
}

/// Whether `eyJ` is in it, as at the start of a JSON Web Token: its last letter is the rarest.
fn has_web_token(json: &str) -> bool {
    let ends = |at: usize| json.as_bytes().get(..at).is_some_and(|before| before.ends_with(b"ey"));
    memchr_iter(b'J', json.as_bytes()).any(ends)
}

/// What stands, in letters of any size, in the text of anything that is taken out.
static SUSPECTS: LazyLock<Suspects> = LazyLock::new(|| {
    let marks: BTreeSet<String> = secrets::marks().chain(texts::marks()).collect();
    // One that holds another is found by that one.
    let needless = |mark: &String| marks.iter().any(|other| other != mark && mark.contains(other.as_str()));
    let marks: Vec<&String> = marks.iter().filter(|mark| !needless(mark)).collect();
    let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or_default();
    Suspects { search: Search::of(&marks), longest }
});

struct Suspects {
    search: Search,
    longest: usize,
}

enum Search {
    AtOnce(Searcher),
    OneByOne(AhoCorasick),
    /// They cannot be looked for.
    Everything,
}

impl Suspects {
    /// So much of a text is put into small letters at a time.
    const PIECE: usize = 2048;

    fn are_in(&self, text: &str) -> bool {
        let mut small = [0; Self::PIECE];
        let mut rest = text.as_bytes();
        loop {
            let piece = rest.get(..Self::PIECE).unwrap_or(rest);
            let Some(small) = small.get_mut(..piece.len()) else { return true };
            in_small_letters(piece, small);
            if self.search.finds_in(small) {
                return true;
            }
            if piece.len() == rest.len() {
                return false;
            }
            // One that the piece has cut is whole in the next.
            let next = piece.len().saturating_sub(self.longest).max(1);
            rest = rest.get(next..).unwrap_or_default();
        }
    }
}

/// Writes a text in small letters into a place of its length.
fn in_small_letters(text: &[u8], place: &mut [u8]) {
    let ((text, text_end), (place, place_end)) = (text.as_chunks(), place.as_chunks_mut());
    place.iter_mut().zip(text).for_each(|(place, bytes)| *place = Eight::of(bytes).small());
    place_end.iter_mut().zip(text_end).for_each(|(place, byte)| *place = byte.to_ascii_lowercase());
}

impl Search {
    fn of(marks: &[&String]) -> Self {
        // By many at a time, where the processor can. It touches little memory: between two calls everything else was used.
        if let Some(searcher) = Searcher::new(marks) {
            return Self::AtOnce(searcher);
        }
        AhoCorasick::new(marks).map_or(Self::Everything, Self::OneByOne)
    }

    fn finds_in(&self, text: &[u8]) -> bool {
        match self {
            Self::AtOnce(searcher) => searcher.find(text).is_some(),
            Self::OneByOne(automaton) => automaton.is_match(text),
            Self::Everything => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::cleanse;
    use super::*;

    /// Values in which something may have to go, and some in which nothing has.
    fn suspicious() -> impl Strategy<Value = Value> {
        let marks: Vec<String> = secrets::marks().map(|mark| mark.replace('"', "")).collect();
        let others =
            ["resourceType", "url", "valueString", "value", "name", "text", "code", "d", "k", "X-Foo", "Set-Cookie"];
        let names: Vec<String> = marks.iter().cloned().chain(others.map(str::to_owned)).collect();
        let assigned = texts::marks().chain(marks.iter().cloned());
        let assigned: Vec<String> = assigned.map(|mark| mark.trim_end_matches(['=', ':']).to_owned()).collect();
        let types =
            ["JsonWebKey", "Login", "SmartHealthLink", "Patient", "access-token", "https://x.example/api-secret"];
        let text = prop_oneof![
            "[a-z ]{0,6}",
            "\\PC{0,4}",
            any::<char>().prop_map(String::from),
            (prop::sample::select(assigned.clone()), "[?&; \"%2]{0,2}", "(=|%3D|: ?|\":\"|\\\\\":\\\\\"| )")
                .prop_map(|(name, before, sign)| format!("https://x.example/{before}{name}{sign}abcdefghijklmnop0123")),
            prop::sample::select(assigned),
            Just("Bearer\tabcdefghijklmnop0123".to_owned()),
            Just("BASIC dXNlcjpwYXNz".to_owned()),
            Just("https://user:pass@x.example/".to_owned()),
            Just("-----BEGIN PRIVATE KEY-----MIIE".to_owned()),
            Just(format!("eyJ{}.{}", "a".repeat(30), "b".repeat(20))),
            prop::sample::select(types.to_vec()).prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![text.prop_map(Value::from), any::<i16>().prop_map(Value::from)];
        leaf.prop_recursive(4, 30, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(names.clone()), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn in_what_is_clean_nothing_is_taken_out(value in suspicious()) {
            if is_clean(&value.to_string()) {
                let mut cleansed = value.clone();
                cleanse(&mut cleansed);
                prop_assert_eq!(cleansed, value);
            }
        }
    }

    /// Both ways to look find the same.
    #[test]
    fn there_are_few_enough_to_be_looked_for_at_once() {
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            assert!(matches!(SUSPECTS.search, Search::AtOnce(_)));
        }
        assert!(SUSPECTS.longest < Suspects::PIECE / 4);
    }

    #[test]
    fn one_is_found_wherever_it_stands_in_a_long_text() {
        for before in 0..3 * Suspects::PIECE {
            assert!(SUSPECTS.are_in(&format!("{} PassWord: x", "a".repeat(before))), "{before}");
        }
        assert!(!SUSPECTS.are_in(&"a".repeat(3 * Suspects::PIECE)));
    }

    #[test]
    fn an_ordinary_record_is_clean() {
        let record = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Zo\u{eb} \u{674e}", "given": ["A\nB"]}],
            "identifier": [{"system": "https://hospital.example/mrn", "value": "4711"}],
            "telecom": [{"system": "email", "value": "a@b.example"}], "photo": [{"url": "https://s.example/b?x=1"}]});
        assert!(is_clean(&record.to_string()));
        assert!(!is_clean(r#"{"s\u0065cret":"x"}"#), "a name that is written in another way");
    }
}
