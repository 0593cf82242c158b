//! What the documents say of the program, held against the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod hosts;
mod recording;
mod shell;
mod words;

use medplum_mcp::settings::SETTINGS;

fn document(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_readme_lists_every_setting_with_its_default() {
    let readme = document("README.md");
    for setting in SETTINGS {
        let row =
            readme.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{}`", setting.variable)));
        let row = row.unwrap_or_else(|| panic!("README.md lacks {}", setting.variable));
        if let Some(default) = setting.default {
            assert!(
                row.contains(&format!("| `{default}` |")),
                "README.md: the default of {} is {default}: {row}",
                setting.variable
            );
        }
    }
}

/// Every document, by its path: the manual, what stands beside it, and the parts' own pages.
fn documents() -> Vec<String> {
    let mut documents: Vec<String> =
        ["", "docs", "packaging", "crates/medplum-sandbox", "crates/fhir-definitions/generate"]
            .iter()
            .flat_map(|folder| {
                let pages = std::fs::read_dir(format!("{}/../../{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
                let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
                names.filter(|name| name.ends_with(".md")).map(move |name| match folder.is_empty() {
                    true => name,
                    false => format!("{folder}/{name}"),
                })
            })
            .collect();
    documents.sort();
    assert!(documents.len() > 15, "{documents:?}");
    documents
}

/// The blocks of a document between fences, each with its language.
fn blocks(path: &str) -> Vec<(String, String)> {
    let text = document(path);
    let mut blocks = Vec::new();
    let mut open: Option<(String, usize, String)> = None;
    for line in text.lines() {
        let start = line.trim_start();
        match (&mut open, start.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some((language.trim().to_owned(), line.len() - start.len(), String::new()))
            }
            (Some((language, _, block)), Some("")) => {
                blocks.push((std::mem::take(language), std::mem::take(block)));
                open = None;
            }
            (Some((_, indent, block)), _) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{path}: a block without an end");
    blocks
}

/// Shell is called sh, so that no command is overlooked.
#[test]
fn every_block_is_in_a_language_that_is_looked_at() {
    for path in documents() {
        for (language, text) in blocks(&path) {
            let known = ["sh", "json", "toml", "rust", "rust,no_run", ""].contains(&language.as_str());
            assert!(known, "{path}: a block in {language:?}, which no test looks at");
            assert!(
                !language.is_empty() || !text.contains("medplum-mcp "),
                "{path}: commands without a language: {text}"
            );
        }
    }
}

/// What a heading is called in a link, as forges make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A page that another one leads to is there, and so is the heading.
#[test]
fn links_between_the_documents_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for path in documents() {
        let folder = std::path::Path::new(&path).parent().unwrap().to_owned();
        let text = document(&path);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let target = if file.is_empty() { root.join(&path) } else { root.join(&folder).join(file) };
            assert!(target.exists(), "{path}: {link} leads nowhere");
            if !heading.is_empty() {
                let page = std::fs::read_to_string(target).unwrap();
                let headings = page.lines().filter(|line| line.starts_with('#'));
                assert!(headings.map(anchor).any(|anchor| anchor == heading), "{path}: {link} leads to no heading");
            }
        }
    }
}

#[test]
fn the_json_in_the_documents_is_json() {
    for path in documents() {
        for (_, json) in blocks(&path).into_iter().filter(|(language, _)| language == "json") {
            serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{path}: {error}: {json}"));
        }
    }
}

#[test]
fn architecture_names_every_file_of_the_server() {
    let text = document("ARCHITECTURE.md");
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let named = text.contains(&name) || name == "lib.rs" || name.ends_with(".txt");
        assert!(named, "ARCHITECTURE.md does not name {name}");
    }
}

/// The sources of all tests, each with its path.
fn tests(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.to_string_lossy().replace('\\', "/"), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn each_test_that_security_names_exists() {
    let mut sources = Vec::new();
    for of_crate in ["fhir-definitions", "fhirpath", "medplum-client", "medplum-mcp", "medplum-sandbox"] {
        let folder = format!("{}/../{of_crate}/tests", env!("CARGO_MANIFEST_DIR"));
        tests(std::path::Path::new(&folder), &mut sources);
    }
    let text = document("SECURITY.md");
    let named: Vec<(&str, &str)> =
        text.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect();
    let named: Vec<(&str, &str)> = named.into_iter().filter(|(file, _)| *file != "file").collect();
    assert!(named.len() > 30, "{}", named.len());
    for (file, test) in named {
        let is_in = |path: &str| path.ends_with(&format!("/{file}.rs")) || path.contains(&format!("/{file}/"));
        // The mutations of the fuzz targets are made by a macro: a name, and its target in quotes.
        let (function, made) = (format!("fn {test}("), format!("{test} \""));
        let exists =
            sources.iter().any(|(path, source)| is_in(path) && (source.contains(&function) || source.contains(&made)));
        assert!(exists, "SECURITY.md names {file}::{test}, which there is not");
    }
}
