//! What stands in the packages' files, held against the program: one version, in Cargo.toml alone, and settings that
//! exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};

use medplum_mcp::settings::{Kind, SETTINGS, Setting};
use serde_json::Value;
use toml_edit::DocumentMut;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn workspace() -> DocumentMut {
    read("Cargo.toml").parse().unwrap()
}

fn setting(variable: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.variable == variable).unwrap_or_else(|| panic!("no setting {variable}"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Whether a text holds the version, and not as a part of another.
fn names_the_version(text: &str) -> bool {
    let mut around = text.split(VERSION).map(|part| (part.chars().next(), part.chars().next_back()));
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let first = around.next().and_then(|(_, last)| last);
    around
        .scan(first, |before, (next, last)| Some(!digit(std::mem::replace(before, last)) && !digit(next)))
        .any(|alone| alone)
}

#[test]
fn the_version_stands_in_cargo_toml_alone() {
    let workspace = workspace();
    assert_eq!(workspace["workspace"]["package"]["version"].as_str(), Some(VERSION));
    let mut ours = 0;
    for (name, dependency) in workspace["workspace"]["dependencies"].as_table().unwrap() {
        if dependency.get("path").is_some() {
            ours += 1;
            assert_eq!(dependency["version"].as_str(), Some(VERSION), "[workspace.dependencies] {name}");
        }
    }
    assert!(ours > 0);

    assert!(names_the_version(&format!("\"{VERSION}\"")) && !names_the_version(&format!("1{VERSION}, {VERSION}1")));
    let mut written = vec![root().join("pyproject.toml")];
    files(&root().join("packaging"), &mut written);
    files(&root().join(".github"), &mut written);
    for path in written {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        assert!(!names_the_version(&text), "{} names a version: it is to take Cargo.toml's", path.display());
    }
    let changes = read("CHANGELOG.md");
    let latest = changes.lines().find_map(|line| line.strip_prefix("## ")).expect("a section");
    assert!(latest == "Unreleased" || latest.starts_with(&format!("{VERSION} ")), "CHANGELOG.md begins with {latest}");
}

#[test]
fn the_bundle_asks_for_settings_that_exist_and_hides_secrets() {
    let manifest = json("packaging/mcpb/manifest.json");
    let asked = manifest["user_config"].as_object().unwrap();
    let started = &manifest["server"]["mcp_config"];
    for (variable, value) in started["env"].as_object().unwrap() {
        let setting = setting(variable);
        let field = value.as_str().unwrap().strip_prefix("${user_config.").unwrap().strip_suffix('}').unwrap();
        let field = &asked[field];
        assert_eq!(field["sensitive"] == true, setting.kind == Kind::Secret, "{variable}");
        assert_eq!(field["type"] == "boolean", setting.kind == Kind::Switch, "{variable}");
        // What is not filled in comes as the default; without one it would come as a placeholder.
        let default = match &field["default"] {
            Value::Bool(value) => value.to_string(),
            Value::String(value) => value.clone(),
            other => panic!("{variable}: {other}"),
        };
        assert_eq!(default, setting.default.unwrap_or_default(), "{variable}");
    }
    let used = started.to_string();
    for field in asked.keys() {
        assert!(used.contains(&format!("${{user_config.{field}}}")), "{field} is asked for and not used");
    }
}

#[test]
fn the_registry_names_settings_that_exist_and_marks_secrets() {
    let server = json("packaging/registry/server.json");
    for variable in server["environmentVariables"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let setting = setting(name);
        assert_eq!(variable["isSecret"] == true, setting.kind == Kind::Secret, "{name}");
        assert_eq!(variable["format"] == "boolean", setting.kind == Kind::Switch, "{name}");
        assert_eq!(variable["default"].as_str(), setting.default, "{name}");
    }
    for text in ["title", "description"] {
        assert!(server[text].as_str().unwrap().len() <= 100, "the registry takes a {text} of 100 characters");
    }
}

#[test]
fn every_target_is_built_by_the_release() {
    let workflow = read(".github/workflows/release.yml");
    let formula = read("packaging/homebrew/medplum-mcp.rb");
    for target in json("packaging/targets.json").as_array().unwrap() {
        let name = target["rust"].as_str().unwrap();
        assert!(workflow.contains(&format!("target: {name}")), "release.yml does not build {name}");
        let brewed = target["os"] == "darwin" || target["libc"] == "musl";
        assert_eq!(formula.contains(name), brewed, "{name} in the formula");
    }
}

#[test]
fn the_image_is_built_with_a_rust_that_is_new_enough() {
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let image = read("packaging/docker/Dockerfile");
    let image = image.lines().find_map(|line| line.strip_prefix("ARG RUST=")).unwrap();
    let needed = workspace()["workspace"]["package"]["rust-version"].as_str().unwrap().to_owned();
    assert!(minor(image) >= minor(&needed), "the Dockerfile takes Rust {image}, and {needed} is needed");
}
