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

/// Whether the image's build gets a file: the last pattern that fits it, or a folder that it is in, decides.
fn is_sent_to_docker(path: &str) -> bool {
    let fits = |pattern: &str| {
        let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() <= path.len() && pattern.iter().zip(&path).all(|(part, name)| *part == "*" || part == name)
    };
    let ignored = read("packaging/docker/Dockerfile.dockerignore");
    let patterns = ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    patterns.fold(true, |sent, line| match line.strip_prefix('!') {
        Some(pattern) => sent || fits(pattern),
        None => sent && !fits(line),
    })
}

/// What the sources embed and what the build scripts read is in what Docker is sent.
#[test]
fn the_image_is_built_from_all_that_the_build_reads() {
    let mut sources = Vec::new();
    files(&root().join("crates"), &mut sources);
    let mut needed: Vec<String> =
        ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "README.md"].map(str::to_owned).into();
    for path in sources {
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        let krate = path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        let folder = path.rsplit_once('/').unwrap().0.to_owned();
        if path.ends_with("/build.rs") {
            let text = read(&path);
            let named = text.split('"').skip(1).step_by(2).filter(|name| root().join(&krate).join(name).is_file());
            needed.extend(named.map(|name| format!("{krate}/{name}")));
        } else if path.contains("/src/") && path.ends_with(".rs") {
            let text = read(&path);
            let embeds = ["include_str!(\"", "include_bytes!(\""];
            for line in text.lines() {
                let after = embeds.iter().find_map(|embed| line.split_once(embed));
                let Some(name) = after.and_then(|(_, rest)| rest.split('"').next()) else { continue };
                // The Rust page of the manual is for `cargo test --doc` alone.
                if !name.ends_with("docs/rust-client.md") {
                    needed.push(format!("{folder}/{name}"));
                }
            }
            needed.push(path);
        } else if path.ends_with("/Cargo.toml") && path.matches('/').count() == 2 {
            needed.push(path);
        }
    }
    assert!(needed.len() > 150 && needed.iter().any(|path| path.ends_with("metadata.json")), "{}", needed.len());
    for path in needed {
        // `src/search/../../data/x` is `data/x`.
        let mut plain: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                ".." => plain.truncate(plain.len() - 1),
                part => plain.push(part),
            }
        }
        let path = plain.join("/");
        assert!(root().join(&path).exists(), "{path}");
        assert!(is_sent_to_docker(&path), "Docker is not sent {path}");
    }
    assert!(!is_sent_to_docker(".git/config") && !is_sent_to_docker("target/release/medplum-mcp"));
}

/// An instruction of the Dockerfile: its word and the rest, lines that go on put together.
type Instruction = (String, String);

/// A stage of the Dockerfile.
struct Stage {
    name: String,
    base: String,
    instructions: Vec<Instruction>,
}

fn dockerfile() -> Vec<Instruction> {
    let text = read("packaging/docker/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line}")))
        .map(|(word, rest)| (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

/// The stages in their order.
fn stages() -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (word, rest) in dockerfile() {
        match (word.as_str(), stages.last_mut()) {
            ("FROM", _) => {
                let (base, name) = rest.split_once(" AS ").unwrap_or((&rest, ""));
                stages.push(Stage { name: name.to_owned(), base: base.to_owned(), instructions: Vec::new() });
            }
            (_, Some(stage)) => stage.instructions.push((word, rest)),
            // The arguments of what is before the first stage.
            (word, None) => assert_eq!(word, "ARG"),
        }
    }
    stages
}

/// Each stage takes what another one has put there, or what Docker is sent, and the last one runs it as nobody.
#[test]
fn the_image_holds_the_program_and_runs_it_as_nobody() {
    let stages = stages();
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["source", "built", "binary", ""]);
    let base = |stage: usize| stages[stage].base.as_str();
    assert!(base(0).starts_with("rust:") && base(0).ends_with("-alpine"), "musl: {}", base(0));
    assert_eq!((base(1), base(2)), ("scratch", "${BINARY}"));
    assert!(dockerfile().contains(&("ARG".into(), "BINARY=source".into())), "built from source unless told");
    // Both ways to it put the program at one place, from which the image takes it.
    let instructions = |stage: usize, word: &str| -> Vec<String> {
        stages[stage].instructions.iter().filter(|(w, _)| w == word).map(|(_, rest)| rest.clone()).collect()
    };
    let build = instructions(0, "RUN").pop().unwrap();
    assert!(build.ends_with("install -D target/release/medplum-mcp /binary/medplum-mcp"), "{build}");
    assert!(build.contains("cargo build --release --locked -p medplum-mcp --bin medplum-mcp"), "{build}");
    assert_eq!(instructions(1, "COPY"), ["--from=built-binaries ${TARGETARCH}/medplum-mcp /binary/medplum-mcp"]);
    let copied = instructions(3, "COPY");
    assert_eq!(copied[0], "--from=binary /binary/medplum-mcp /medplum-mcp");
    for sources in copied.iter().filter(|copy| !copy.starts_with("--from")) {
        let mut sources: Vec<&str> = sources.split(' ').collect();
        assert!(sources.pop().unwrap().starts_with('/'));
        for source in sources {
            assert!(root().join(source).is_file() && is_sent_to_docker(source), "{source}");
        }
    }
    assert_eq!(base(3), "${BASE}");
    let given = |(word, rest): &Instruction| word == "ARG" && rest.starts_with("BASE=") && rest.ends_with(":nonroot");
    assert!(dockerfile().iter().any(given), "a base whose user is nobody");
    assert_eq!(instructions(3, "USER"), ["nonroot"]);
    assert_eq!(instructions(3, "ENTRYPOINT"), ["[\"/medplum-mcp\"]"], "no shell is needed to start it");
    // What the release hands in is what is asked for.
    let workflow = read(".github/workflows/release.yml");
    for argument in ["BINARY", "VERSION", "REPOSITORY", "REGISTERED"] {
        assert!(workflow.contains(&format!("{argument}=")), "release.yml does not give {argument}");
        assert!(dockerfile().iter().any(|(word, rest)| word == "ARG" && rest.starts_with(&format!("{argument}="))));
    }
    assert!(workflow.contains("built-binaries="), "release.yml does not give the binaries");
}

/// What Homebrew runs while it installs is taken by the command line.
#[test]
fn the_formula_runs_commands_that_exist() {
    let formula = read("packaging/homebrew/medplum-mcp.rb");
    let taken = |arguments: &[&str]| {
        let words = std::iter::once("medplum-mcp").chain(arguments.iter().copied());
        medplum_mcp::cli::command().try_get_matches_from(words).map(drop)
    };
    assert!(formula.contains("generate_completions_from_executable(bin/\"medplum-mcp\", \"completions\")"));
    // The shells for which Homebrew asks.
    for shell in ["bash", "zsh", "fish"] {
        taken(&["completions", shell]).unwrap();
    }
    assert!(formula.contains("system bin/\"medplum-mcp\", \"man\", \"--dir\", man1"));
    taken(&["man", "--dir", "man1"]).unwrap();
    assert!(formula.contains("%w[--sandbox call search_resources]"));
    taken(&["--sandbox", "call", "search_resources", "{}"]).unwrap();
}
