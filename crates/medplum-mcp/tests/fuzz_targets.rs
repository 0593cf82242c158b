//! The bodies of the fuzz targets, without a fuzzer: every input of the corpus, and mutations of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(missing_docs, unreachable_pub)]

#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;

type Run = fn(&[u8]);

const TARGETS: [(&str, Run); 8] = [
    ("bundle", fuzz::bundle::run),
    ("cleanse", fuzz::cleanse::run),
    ("cursor", fuzz::cursor::run),
    ("fhirpath", fuzz::fhirpath::run),
    ("graphql", fuzz::graphql::run),
    ("json_patch", fuzz::json_patch::run),
    ("raw_path", fuzz::raw_path::run),
    ("validate", fuzz::validate::run),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("corpus").join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn every_target_is_here_and_has_a_small_corpus() {
    let listed = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed("corpus"), names);
    assert_eq!(listed("fuzz_targets"), names.iter().map(|name| format!("{name}.rs")).collect::<Vec<_>>());
    for name in &names {
        let inputs = corpus(name);
        assert!((5..=60).contains(&inputs.len()), "{name}: {} inputs", inputs.len());
        assert!(inputs.iter().all(|input| input.len() <= 4_000), "{name}: an input that nobody reads");
    }
}

#[test]
fn every_input_of_the_corpus_holds() {
    for (name, run) in TARGETS {
        for input in corpus(name) {
            println!("{name}: {}", String::from_utf8_lossy(&input));
            run(&input);
        }
    }
}

/// A change of an input.
#[derive(Debug, Clone)]
enum Change {
    /// These bytes are gone.
    Cut(Index, Index),
    /// These bytes stand once more behind themselves.
    Double(Index, Index),
    /// This stands in place of these bytes.
    Put(Index, Index, String),
    /// A piece of another input stands here.
    Splice(Index, Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    #[rustfmt::skip]
    let words = [
        "$execute", "/$my-op", "%24execute", "%2F", "%2e%2e", "..", "//", "/", "?", "#", "&", "=", "\\", "@", ":", "Bot/",
        "Bot/1/$execute", "fhir/R4/", "_history", "_search", "_type=Patient", "GET ", "POST ", "PATCH ", "\n", "mutation", "query",
        "{", "}", "[", "]", "(", ")", "\"", "\"\"\"", "'", ",", "null", "true", "1e999", "-1", "0", "18446744073709551616", "\u{202e}",
        "\u{200b}", "\u{e0041}", "\\u202e", "\\ud800", "Bearer abcdefghijklmnop0123", "secret", "\"secret\":", "\"resourceType\":",
        "resourceType", "Patient", "Subscription", "urn:uuid:1", "~1", "~0", "/channel/endpoint", "/-", "subscription", "fragment F on Q {a}",
        "...F", "#\n", ".where(", ".repeat($this)", " | ", "ofType(Quantity)", "@2020-02-29", "9999999999999999999",
    ];
    let at = any::<Index>;
    let word =
        prop_oneof![6 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,4}", 1 => ".{1,3}"];
    prop_oneof![
        (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Double(from, to)),
        (at(), at(), word).prop_map(|(from, to, word)| Change::Put(from, to, word)),
        (at(), at(), at(), at()).prop_map(|(from, input, begin, end)| Change::Splice(from, input, begin, end)),
    ]
}

fn span(text: &str, from: Index, to: Index) -> std::ops::Range<usize> {
    let at = |index: Index| {
        let at = index.index(text.len() + 1);
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
    };
    let (a, b) = (at(from), at(to));
    // Near changes are worth more than wide ones.
    let (a, b) = (a.min(b), a.max(b));
    let b = (a..=b.min(a + 24)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(a);
    a..b
}

fn mutate(mut text: String, changes: Vec<Change>, all: &[String]) -> String {
    for change in changes {
        match change {
            Change::Cut(from, to) => text.replace_range(span(&text, from, to), ""),
            Change::Double(from, to) => {
                let at = span(&text, from, to);
                let piece = text[at.clone()].to_owned();
                text.insert_str(at.end, &piece);
            }
            Change::Put(from, to, word) => text.replace_range(span(&text, from, to), &word),
            Change::Splice(from, input, begin, end) => {
                let other = &all[input.index(all.len())];
                let piece = other[span(other, begin, end)].to_owned();
                text.insert_str(span(&text, from, from).start, &piece);
            }
        }
    }
    text
}

/// Runs a target on mutations of its corpus; a failure names the input. `FUZZ_TIMES=<n>` tries so many times as many.
fn mutations_hold(target: &str, cases: u32) {
    let (_, run) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let all: Vec<String> = corpus(target).into_iter().filter_map(|input| String::from_utf8(input).ok()).collect();
    let times = std::env::var("FUZZ_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1_u32);
    let config = ProptestConfig { cases: cases * times, failure_persistence: None, ..ProptestConfig::default() };
    let inputs = (any::<Index>(), prop::collection::vec(change(), 1..6));
    let result = proptest::test_runner::TestRunner::new(config).run(&inputs, |(first, changes)| {
        let text = mutate(all[first.index(all.len())].clone(), changes, &all);
        let held = std::panic::catch_unwind(|| run(text.as_bytes())).is_ok();
        prop_assert!(held, "{target} does not hold for {text:?}");
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

macro_rules! mutated {
    ($($name:ident $target:literal $cases:literal;)*) => {
        $(#[test] fn $name() { mutations_hold($target, $cases); })*
    };
}

mutated! {
    a_bundle_that_nobody_would_write "bundle" 4_000;
    an_answer_that_nobody_would_store "cleanse" 2_000;
    a_cursor_that_nobody_gave_out "cursor" 4_000;
    an_expression_that_nobody_would_write "fhirpath" 4_000;
    a_document_that_nobody_would_write "graphql" 4_000;
    a_patch_that_nobody_would_write "json_patch" 4_000;
    a_path_that_nobody_would_write "raw_path" 8_000;
    a_resource_that_nobody_would_write "validate" 500;
}
