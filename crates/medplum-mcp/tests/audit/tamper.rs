//! A log that was changed after it was written.

use std::sync::OnceLock;

use medplum_mcp::audit::{Finding, Hash, verify as read};
use proptest::prelude::*;
use serde_json::json;

use crate::common::{Host, PATIENT, Stub};
use crate::several::head;
use crate::{AuditFile, verify};

/// A log as it was written: three processes, reads, refusals, and a write in each.
fn log() -> &'static str {
    static LOG: OnceLock<String> = OnceLock::new();
    LOG.get_or_init(|| {
        let stub = Stub::start();
        let file = AuditFile::new();
        for _ in 0..3 {
            let variables = [("MEDPLUM_AUDIT_LOG", &*file.name()), ("MEDPLUM_ENABLE_WRITES", "true")];
            let mut host = Host::on_stub(&stub, &variables);
            host.call("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT}));
            host.call("create_resource", json!({"resource": {"resourceType": "Patient"}}));
            host.call("search_resources", json!({"resource_type": "Patient", "params": {"x": "y"}}));
            host.end();
        }
        file.text()
    })
}

fn findings(text: &[u8], kept: Option<Hash>) -> Vec<Finding> {
    read([text], kept).unwrap().findings.into_iter().map(|(_, _, finding)| finding).collect()
}

/// The head of the log as it was written.
fn kept() -> Hash {
    read([log().as_bytes()], None).unwrap().head.unwrap().1
}

fn lines() -> Vec<&'static str> {
    log().split_inclusive('\n').collect()
}

#[test]
fn as_it_was_written_nothing_is_found() {
    assert_eq!(findings(log().as_bytes(), None), []);
    assert_eq!(findings(log().as_bytes(), Some(kept())), []);
    assert_eq!(findings(b"", None), []);
    assert_eq!(lines().len(), 15);
}

/// Every byte of the log, and what it could be turned into: another letter, a newline, a zero, the other case.
#[test]
fn every_changed_byte_is_found() {
    let log = log().as_bytes();
    for at in 0..log.len() {
        for other in [log[at] ^ 1, log[at] ^ 0x20, b'\n', b'0', 0, 0xff] {
            let mut changed = log.to_vec();
            changed[at] = other;
            // Of the last newline nothing depends.
            if other != log[at] {
                assert!(!findings(&changed, None).is_empty(), "byte {at}: {} to {other}", log[at]);
            }
        }
    }
}

#[test]
fn every_removed_line_is_found_and_the_last_ones_by_the_head_that_was_kept() {
    let lines = lines();
    for first in 0..lines.len() {
        for last in first..lines.len() {
            let rest: String = lines[..first].iter().chain(&lines[last + 1..]).copied().collect();
            let found = findings(rest.as_bytes(), Some(kept()));
            assert!(!found.is_empty(), "{first} to {last}");
            let cut = last + 1 == lines.len();
            assert_eq!(cut, found.contains(&Finding::HeadMissing), "{first} to {last}: {found:?}");
            if !cut {
                assert!(!findings(rest.as_bytes(), None).is_empty(), "{first} to {last}");
            }
        }
    }
}

#[test]
fn every_two_lines_in_each_others_place_are_found() {
    let lines = lines();
    for one in 0..lines.len() {
        for other in one + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(one, other);
            assert!(!findings(swapped.concat().as_bytes(), None).is_empty(), "{one} and {other}");
        }
    }
}

#[test]
fn a_line_that_is_there_twice_or_comes_from_elsewhere_is_found() {
    let lines = lines();
    for from in 0..lines.len() {
        for to in 0..=lines.len() {
            let mut more = lines.clone();
            more.insert(to, lines[from]);
            assert!(!findings(more.concat().as_bytes(), None).is_empty(), "{from} again at {to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is done to the text: it is the log that was written, or something is found.
    #[test]
    fn whatever_is_changed_is_found(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut text = log().as_bytes().to_vec();
        for (at, byte, how) in edits {
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => { text.remove(at); }
            }
        }
        let found = findings(&text, Some(kept()));
        let same = text == log().as_bytes() || text == log().trim_end().as_bytes();
        prop_assert_eq!(found.is_empty(), same, "{:?}", found);
    }

    /// Nothing that is given to it is too much for it.
    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let found = findings(&bytes, None);
        prop_assert_eq!(found.is_empty(), bytes.is_empty());
    }
}

/// What an operator reads, change by change.
#[test]
fn what_verify_says() {
    let file = AuditFile::new();
    let name = file.name();
    let lines = lines();
    let joined = |lines: &[&str]| lines.concat();
    let swapped = {
        let mut l = lines.clone();
        l.swap(5, 6);
        joined(&l)
    };
    let replaced = {
        let mut l = lines.clone();
        l[4] = lines[5];
        joined(&l)
    };
    let without = |from: usize, to: usize| joined(&[&lines[..from], &lines[to..]].concat());
    let edited = log().replacen("\"outcome\":\"refused\"", "\"outcome\":\"answered\"", 1);
    let garbage = joined(&[&lines[..3], &["nonsense\n"], &lines[3..]].concat());
    // Only the intent of the last write is left, and no line behind it.
    let crashed = without(13, 15);
    let table = [
        ("as it was written", log().to_owned()),
        ("a word changed", edited),
        ("a line removed", without(4, 5)),
        ("three lines removed", without(4, 7)),
        ("the first line removed", without(0, 1)),
        ("two lines swapped", swapped),
        ("a line replaced by another", replaced),
        ("a line put in between", garbage),
        ("a write without an end", crashed),
        ("the last two lines cut off", without(13, 15)),
    ];
    let head = {
        std::fs::write(file.path(), log()).unwrap();
        head(&verify(&[&name]).stdout)
    };
    let mut page = String::new();
    for (what, text) in table {
        std::fs::write(file.path(), text).unwrap();
        let flags: &[&str] = if what.starts_with("the last two") { &["--head", &head] } else { &[] };
        let ended = verify(&[&[name.as_str()], flags].concat());
        assert_eq!(ended.code, Some(i32::from(what != "as it was written")), "{what}: {ended:?}");
        assert_eq!(ended.stderr, "", "{what}");
        page.push_str(&format!("{what}\n{}\n", ended.stdout.replace(&name, "FILE")));
    }
    insta::assert_snapshot!(without_hashes(&crate::common::redact::redact(&page)));
    // What cannot be read, and what is no hash.
    let missing = file.at("missing");
    assert_eq!(verify(&[missing.to_str().unwrap()]).code, Some(2));
    assert_eq!(verify(&[&name, "--head", "abc"]).code, Some(2));
    assert_eq!(verify(&[]).code, Some(2));
}

fn without_hashes(text: &str) -> String {
    let words = text.split_inclusive(' ').map(|word| {
        let hash = word.trim_end();
        if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            word.replace(hash, "<hash>")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}
