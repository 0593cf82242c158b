//! Whether there is anything to take out at all: told from the JSON as it came, in one pass. Most records need no more.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::{hidden, secrets, texts};

/// Whether the text of a JSON value can hold nothing that [`cleanse`](super::cleanse) would take out. It may say no where
/// nothing would be taken out, never the other way.
pub(crate) fn is_clean(json: &str) -> bool {
    let suspect = SUSPECTS.as_ref().is_none_or(|suspects| suspects.is_match(json));
    !suspect && !json.contains("eyJ") && !texts::has_user_in_url(json) && !hidden::may_be_in(json)
}

/// What stands in the text of anything that is taken out, in small letters. None if it cannot be looked for.
static SUSPECTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    // Escapes by which a name or a character could be written in another way.
    let escapes = ["\\u", "\\/", "\\b", "\\f", "\u{7f}"].map(str::to_owned);
    let all = escapes.into_iter().chain(secrets::marks()).chain(texts::marks());
    // A deterministic automaton is the fastest here, and these patterns make a small one.
    AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).ascii_case_insensitive(true).build(all).ok()
});

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

    #[test]
    fn an_ordinary_record_is_clean() {
        let record = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Zo\u{eb} \u{674e}", "given": ["A\nB"]}],
            "identifier": [{"system": "https://hospital.example/mrn", "value": "4711"}],
            "telecom": [{"system": "email", "value": "a@b.example"}], "photo": [{"url": "https://s.example/b?x=1"}]});
        assert!(is_clean(&record.to_string()));
        assert!(!is_clean(r#"{"s\u0065cret":"x"}"#), "a name that is written in another way");
    }
}
