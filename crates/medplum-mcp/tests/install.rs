//! `install` and `uninstall` on the files that the hosts' users have: everything else stays, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::host::{Ended, program};
use common::{Host, SECRET};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Each host with its file under the home folder, and its file within a project.
const HOSTS: &[(&str, &str, Option<&str>)] = &[
    ("claude-code", ".claude.json", Some(".mcp.json")),
    ("claude-desktop", "settings/Claude/claude_desktop_config.json", None),
    ("codex", ".codex/config.toml", Some(".codex/config.toml")),
    ("cursor", ".cursor/mcp.json", Some(".cursor/mcp.json")),
    ("vscode", "settings/Code/User/mcp.json", Some(".vscode/mcp.json")),
    ("windsurf", ".codeium/windsurf/mcp_config.json", None),
    ("gemini", ".gemini/settings.json", Some(".gemini/settings.json")),
    ("zed", "settings/zed/settings.json", Some(".zed/settings.json")),
];

/// A person's home folder and a project of theirs.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("project")).unwrap();
        Self { folder }
    }

    fn path(&self, relative: &str) -> PathBuf {
        // The XDG convention holds on macOS too, for Zed alone.
        let mac = cfg!(target_os = "macos") && !relative.contains("zed");
        let settings = if mac { "Library/Application Support/" } else { "settings/" };
        self.folder.path().join(relative.replacen(
            "settings/",
            settings,
            usize::from(relative.starts_with("settings/")),
        ))
    }

    /// The host is there, with this in its file.
    fn write(&self, file: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = program(arguments, variables);
        let home = self.folder.path();
        for name in ["HOME", "USERPROFILE"] {
            command.env(name, home);
        }
        for name in ["XDG_CONFIG_HOME", "APPDATA"] {
            command.env(name, home.join("settings"));
        }
        for name in ["CODEX_HOME", "CLAUDE_CONFIG_DIR"] {
            command.env_remove(name);
        }
        command.env("PATH", home.join("bin")).current_dir(home.join("project"));
        command
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        Host::spawn(self.command(arguments, variables)).end()
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let ended = self.run(arguments, variables);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended
    }

    /// Every file and folder of the person's, with what it holds.
    fn everything(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let mut all = Vec::new();
        collect(self.folder.path(), &mut all);
        all.sort();
        all
    }
}

fn collect(folder: &Path, all: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
            all.push((path, None));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.push((path, Some(bytes)));
        }
    }
}

/// A host's files as people have them.
fn fixtures(host: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts").join(host);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{host}");
    files.into_iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect()
}

/// What a host reads in its file.
fn read(host: &str, bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap().trim_start_matches('\u{feff}');
    if host == "codex" {
        let table = toml_edit::Document::parse(text).unwrap();
        return toml_value(table.as_item());
    }
    let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default()).unwrap();
    parsed.value.map_or_else(|| json!({}), Into::into)
}

fn toml_value(item: &toml_edit::Item) -> Value {
    if let Some(table) = item.as_table_like() {
        return table
            .iter()
            .map(|(key, item)| (key.to_owned(), toml_value(item)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if let Some(list) = item.as_array() {
        return list.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
    }
    item.as_str().map_or_else(|| format!("{item:?}").into(), Into::into)
}

fn servers(host: &str) -> &'static str {
    match host {
        "codex" => "mcp_servers",
        "vscode" => "servers",
        "zed" => "context_servers",
        _ => "mcpServers",
    }
}

#[test]
fn install_changes_one_thing_and_uninstall_gives_the_file_back() {
    for (host, file, _) in HOSTS {
        for (fixture, before) in fixtures(host) {
            let home = Home::new();
            let path = home.write(file, &before);
            let untouched = home.everything();
            home.succeeds(&["install", host, "--sandbox", "--yes"], &[]);
            let after = std::fs::read(&path).unwrap();
            let mut value = read(host, &after);
            let server = value[servers(host)].as_object_mut().unwrap().remove("medplum-sandbox").expect(&fixture);
            assert_eq!(server["args"], json!(["--sandbox"]), "{fixture}");
            let mut expected = read(host, &before);
            if expected.get(servers(host)).is_none() {
                expected[servers(host)] = json!({});
            }
            assert_eq!(value, expected, "{fixture}");
            let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\r').count();
            if count(&before) > 0 {
                let lines = after.iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(count(&after), lines, "{fixture}: line ends are not mixed");
            }
            home.succeeds(&["uninstall", host, "--sandbox", "--yes"], &[]);
            assert_eq!(std::fs::read(&path).unwrap(), before, "{fixture}");
            assert_eq!(home.everything(), untouched, "{fixture}: nothing is left behind");
        }
    }
}

/// With credentials by reference, in a project, twice with different flags: and still nothing is left behind.
#[test]
fn what_was_installed_in_a_project_goes_whole() {
    for (host, _, project) in HOSTS {
        let Some(project) = project else {
            let ended = Home::new().run(&["install", host, "--scope", "project", "--yes"], &[]);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains("has no configuration of a project's own"), "{ended:?}");
            continue;
        };
        // A secret can be named in every host's file, in one way or the other.
        let credentials = ["--client-id", "the-id", "--client-secret-file", "secret"];
        let install = |home: &Home, more: &[&str]| {
            let arguments = [&["install", host, "--scope", "project", "--yes"], &credentials[..], more].concat();
            home.succeeds(&arguments, &[])
        };
        for (fixture, before) in fixtures(host).into_iter().map(Some).chain([None]).map(|f| f.unwrap_or_default()) {
            let home = Home::new();
            let file = format!("project/{project}");
            if !fixture.is_empty() {
                home.write(&file, &before);
            }
            let untouched = home.everything();
            install(&home, &[]);
            let written = std::fs::read(home.path(&file)).unwrap();
            let again = install(&home, &[]);
            assert!(again.stdout.contains("already"), "{again:?}");
            assert_eq!(std::fs::read(home.path(&file)).unwrap(), written);
            install(&home, &["--writes"]);
            let value = read(host, &std::fs::read(home.path(&file)).unwrap());
            assert_eq!(value[servers(host)]["medplum"]["env"]["MEDPLUM_ENABLE_WRITES"], "true", "{fixture}");
            home.succeeds(&["uninstall", host, "--scope", "project", "--yes"], &[]);
            assert_eq!(home.everything(), untouched, "{host} {fixture}");
        }
    }
}

/// After somebody else wrote into the file, uninstall leaves it as if we had never been there.
#[test]
fn what_others_wrote_meanwhile_stays() {
    for (host, file, _) in HOSTS {
        for (fixture, before) in fixtures(host) {
            let other =
                |home: &Home, what: &str| home.succeeds(&[what, host, "--yes", "--sandbox", "--name", "other"], &[]);
            let alone = Home::new();
            let expected = alone.write(file, &before);
            other(&alone, "install");

            let home = Home::new();
            let path = home.write(file, &before);
            let untouched = home.everything();
            home.succeeds(&["install", host, "--sandbox", "--yes"], &[]);
            other(&home, "install");
            home.succeeds(&["uninstall", host, "--sandbox", "--yes"], &[]);
            let text = |path: &Path| std::fs::read_to_string(path).unwrap();
            assert_eq!(text(&path), text(&expected), "{fixture}");
            other(&home, "uninstall");
            assert_eq!(home.everything(), untouched, "{fixture}");
        }
    }
}

/// A host's file with a server of our name in it, as a person wrote it, and what it reads when somebody has changed the
/// rest of it.
fn with_a_server_of_our_name(host: &str) -> (String, fn(&str) -> String) {
    if host == "codex" {
        let text = "model = \"o3\" # mine\n\n[mcp_servers.medplum]\ncommand = 'theirs' # as it was\n\n# what it needs\n\
                    [mcp_servers.medplum.env]\nA   = \"1\"\n\n[mcp_servers.docs]\nurl = \"https://docs.example/mcp\"\n\n\
                    [mcp_servers.medplum.tools]\nlist = [\n  \"one\", # the first\n]\n# the end\n";
        return (text.to_owned(), |text| {
            format!("{}\n[tui]\ntheme = \"dark\"", text.replace("o3\" # mine", "o4-mini\" # theirs"))
        });
    }
    let text = "{\n  \"theme\": \"dark\",\n  \"SERVERS\": {\n    \"medplum\": {\"command\" : \"theirs\",\n      \"args\": [ 1,2 ] },\n    \
                \"docs\": { \"url\": \"https://docs.example/mcp\" }\n  }\n}\n";
    (text.replace("SERVERS", servers(host)), |text| {
        text.replace("\"dark\"", "\"a light one\"")
            .replace("/mcp\" }\n", "/mcp\" },\n    \"more\": {\n      \"url\": \"x\" }\n")
    })
}

/// A server of our name that was there before comes back where it was and as it was, whatever changed around it.
#[test]
fn a_server_of_our_name_comes_back_as_it_was() {
    for (host, file, _) in HOSTS {
        let (before, changed) = with_a_server_of_our_name(host);
        for (first, again) in [(true, false), (false, true), (true, true)] {
            let home = Home::new();
            let path = home.write(file, before.as_bytes());
            let install = |more: &[&str]| {
                let credentials = ["--client-id", "the-id", "--client-secret-file", "secret"];
                home.succeeds(&[&["install", host, "--yes"], &credentials[..], more].concat(), &[]);
            };
            install(&[]);
            let now = |what: fn(&str) -> String| std::fs::write(&path, what(&std::fs::read_to_string(&path).unwrap()));
            if first {
                now(changed).unwrap();
            }
            if again {
                install(&["--writes"]);
            }
            if !first {
                now(changed).unwrap();
            }
            home.succeeds(&["uninstall", host, "--yes"], &[]);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), changed(&before), "{host} {first} {again}");
            assert_eq!(
                std::fs::read_dir(path.parent().unwrap())
                    .unwrap()
                    .filter(|f| { f.as_ref().unwrap().file_name().to_string_lossy().contains("medplum") })
                    .count(),
                0,
                "{host}: nothing is left beside it"
            );
        }
    }
}

/// A file that `install` made, which others then extended, is theirs from then on: installed again, it leaves with what
/// came, not with what was there at the second time.
#[test]
fn a_file_that_we_made_and_others_extended_keeps_what_is_theirs() {
    for (host, file, _) in HOSTS {
        let home = Home::new();
        let path = home.path(file);
        home.write(if cfg!(windows) { "bin/claude.exe" } else { "bin/claude" }, b"");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        home.succeeds(&["install", host, "--sandbox", "--yes"], &[]);
        let made = std::fs::read_to_string(&path).unwrap();
        let (extended, expected) = if *host == "codex" {
            (format!("{made}\n[tui]\ntheme = \"dark\"\n"), "[tui]\ntheme = \"dark\"\n")
        } else {
            (made.replacen('{', "{\n  \"theme\": \"dark\",", 1), "{\n  \"theme\": \"dark\"\n}\n")
        };
        std::fs::write(&path, extended).unwrap();
        home.succeeds(&["install", host, "--sandbox", "--yes", "--writes"], &[]);
        home.succeeds(&["uninstall", host, "--sandbox", "--yes"], &[]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{host}");
        let beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let left = beside.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("medplum"));
        assert_eq!(left.count(), 0, "{host}: nothing is left beside it");
    }
}

/// What a person wrote starts this program too, and a backup may be left from an entry that the host took out: it is
/// the person's all the same.
#[test]
fn an_entry_by_hand_that_starts_this_program_is_not_ours() {
    for (host, file, _) in HOSTS {
        let by_hand = if *host == "codex" {
            "model = \"o3\"\n[mcp_servers.medplum-sandbox]\ncommand = \"medplum-mcp\"\nargs = [\"--sandbox\",]\n"
                .to_owned()
        } else {
            let text = "{ \"SERVERS\": { \"medplum-sandbox\": { \"command\": \"medplum-mcp\",   \"args\": [\"--sandbox\"] } } }\n";
            text.replace("SERVERS", servers(host))
        };
        for stale in [false, true] {
            let home = Home::new();
            let path = home.write(file, b"");
            if stale {
                home.succeeds(&["install", host, "--sandbox", "--yes"], &[]);
            }
            std::fs::write(&path, &by_hand).unwrap();
            let text = || std::fs::read_to_string(&path).unwrap();
            let ended = home.succeeds(&["uninstall", host, "--sandbox", "--yes"], &[]);
            assert!(ended.stdout.contains("written or changed by hand"), "{host}: {ended:?}");
            assert_eq!(text(), by_hand, "{host}");
            home.succeeds(&["install", host, "--sandbox", "--yes", "--writes"], &[]);
            assert_ne!(text(), by_hand, "{host}");
            home.succeeds(&["uninstall", host, "--sandbox", "--yes"], &[]);
            assert_eq!(text(), by_hand, "{host} {stale}");
        }
    }
}

/// What a host itself adds to a server, such as a switch of its own, makes it nobody else's.
#[test]
fn an_entry_that_the_host_switched_off_is_still_ours() {
    for (host, file, _) in HOSTS.iter().filter(|(host, ..)| *host != "codex") {
        let home = Home::new();
        let path = home.write(file, b"{}\n");
        home.succeeds(&["install", host, "--sandbox", "--yes"], &[]);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("\"command\"", "\"disabled\": true,\n      \"env\": {},\n      \"command\"");
        std::fs::write(&path, text).unwrap();
        home.succeeds(&["uninstall", host, "--sandbox", "--yes"], &[]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n", "{host}");
    }
}

/// A backup of a file that is gone says nothing of the one that is made anew.
#[test]
fn a_backup_of_a_file_that_is_gone_does_not_come_back() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{\"mcpServers\": {\"old\": {}}}");
    home.succeeds(&["install", "cursor", "--sandbox", "--yes"], &[]);
    std::fs::remove_file(&path).unwrap();
    home.succeeds(&["install", "cursor", "--sandbox", "--yes"], &[]);
    home.succeeds(&["uninstall", "cursor", "--sandbox", "--yes"], &[]);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

/// Two entries, taken out in the order in which they came.
#[test]
fn the_first_of_two_goes_first() {
    for (host, file, _) in HOSTS {
        let texts: &[Option<&[u8]>] =
            if *host == "codex" { &[Some(b""), None] } else { &[Some(b""), Some(b"{}"), None] };
        for before in texts {
            let home = Home::new();
            let path = home.write(file, before.unwrap_or_default());
            if before.is_none() {
                std::fs::remove_file(&path).unwrap();
                home.write(if cfg!(windows) { "bin/claude.exe" } else { "bin/claude" }, b"");
            }
            let untouched = home.everything();
            let run = |what: &str, name: &str| {
                home.succeeds(&[what, host, "--sandbox", "--yes", "--name", name], &[]);
            };
            run("install", "one");
            run("install", "two");
            run("uninstall", "one");
            run("uninstall", "two");
            assert_eq!(home.everything(), untouched, "{host} {before:?}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_touched() {
    for (host, file, _) in HOSTS {
        let broken: &[(&[u8], &str)] = if *host == "codex" {
            &[
                (b"[mcp_servers.docs]\nurl = \n", "not valid TOML: look at line 2, column"),
                (b"mcp_servers = { docs = { url = \"x\" } }\n", "no table can be added"),
                (b"\xff\xfe", "not UTF-8"),
            ]
        } else {
            &[
                (b"{\n  \"mcpServers\": {\n    \"a\": {]\n  }\n}\n", "not valid JSON: look at line 3, column 11"),
                (b"{\n  \"a\": 1,\n", "the `{` at line 1, column 1 is not closed"),
                (b"[]\n", "line 1, column 1 is no object"),
                (b"{\"\xff\": 1}", "not UTF-8"),
            ]
        };
        for (bytes, says) in broken {
            let home = Home::new();
            home.write(file, bytes);
            let untouched = home.everything();
            let ended = home.run(&["install", host, "--sandbox", "--yes"], &[]);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains(says), "{host}: {says}: {ended:?}");
            assert_eq!(home.everything(), untouched, "{host}");
        }
    }
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{\"mcpServers\": [1]}");
    let ended = home.run(&["install", "cursor", "--sandbox", "--yes"], &[]);
    insta::assert_snapshot!(
        "a_file_that_cannot_be_read",
        ended.stderr.replace(env!("CARGO_BIN_EXE_medplum-mcp"), "<program>")
    );
    assert_eq!(std::fs::read(path).unwrap(), b"{\"mcpServers\": [1]}");
}

#[test]
fn a_dry_run_and_a_missing_answer_write_nothing() {
    let mut page = String::new();
    for (host, file, _) in HOSTS {
        let home = Home::new();
        let (_, before) = fixtures(host).remove(0);
        home.write(file, &before);
        let untouched = home.everything();
        let arguments = ["install", host, "--sandbox", "--dry-run"];
        let ended = home.succeeds(&arguments, &[]);
        assert!(!ended.stdout.contains("a-secret-of-somebody-else"), "{ended:?}");
        page.push_str(&format!("$ medplum-mcp {}\n{}{}\n", arguments.join(" "), ended.stdout, ended.stderr));
        let ended = home.run(&["install", host, "--sandbox"], &[]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("--yes") && ended.stderr.contains("--dry-run"), "{ended:?}");
        assert_eq!(home.everything(), untouched);
    }
    insta::assert_snapshot!(
        "what_changes_in_every_hosts_file",
        page.replace(env!("CARGO_BIN_EXE_medplum-mcp"), "<program>").replace('\t', "→")
    );
}

/// The files as they are where there was none: what each host reads.
#[test]
fn the_forms_of_every_host() {
    let mut page = String::new();
    let variables = [
        ("MEDPLUM_CLIENT_SECRET", SECRET),
        ("MEDPLUM_BASE_URL", "https://medplum.test/"),
        ("MEDPLUM_ENABLE_WRITES", "true"),
    ];
    for (host, file, _) in HOSTS.iter().copied().chain([("json", "", None)]) {
        // No trace of the host: the form is printed, and nothing is written.
        let home = Home::new();
        let untouched = home.everything();
        let ended = home.succeeds(&["install", host, "--yes"], &variables);
        assert_eq!(home.everything(), untouched, "{host}");
        page.push_str(&format!("$ medplum-mcp install {host}\n{}{}\n", ended.stdout, ended.stderr));
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
        if host == "json" {
            continue;
        }
        // The host's folder is there, or the host is on the PATH; its file is not.
        let home = Home::new();
        let path = home.path(file);
        if host == "claude-code" {
            home.write(if cfg!(windows) { "bin/claude.exe" } else { "bin/claude" }, b"");
        } else {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let untouched = home.everything();
        let flags = ["--client-id", "the-id", "--client-secret-file", "secret", "--yes"];
        home.succeeds(&[&["install", host], &flags[..]].concat(), &[]);
        let server = &read(host, &std::fs::read(&path).unwrap())[servers(host)]["medplum"];
        // Zed has versions that load no server without them.
        assert!(host != "zed" || server["args"] == json!([]), "{server}");
        home.succeeds(&["uninstall", host, "--yes"], &[]);
        assert_eq!(home.everything(), untouched, "{host}");
    }
    insta::assert_snapshot!("the_forms_of_every_host", page.replace(env!("CARGO_BIN_EXE_medplum-mcp"), "<program>"));
}

#[test]
fn a_secret_is_in_the_file_only_when_told_and_never_on_the_screen() {
    let variables = [("MEDPLUM_CLIENT_ID", "the-id"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
    for (host, file, project) in HOSTS {
        let home = Home::new();
        let path = home.write(file, b"");
        let ended = home.run(&["install", host, "--yes"], &variables);
        let text = std::fs::read_to_string(&path).unwrap();
        if ["claude-desktop", "zed"].contains(host) {
            assert_eq!((ended.code, text.as_str()), (Some(2), ""), "{ended:?}");
            assert!(ended.stderr.contains("--client-secret-file") && ended.stderr.contains("--secrets-in-file"));
        } else {
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(!text.contains(SECRET) && text.to_lowercase().contains("client"), "{text}");
        }
        let ended = home.succeeds(&["install", host, "--yes", "--secrets-in-file"], &variables);
        let written = std::fs::read(&path).unwrap();
        let value = read(host, &written);
        assert_eq!(value[servers(host)]["medplum"]["env"]["MEDPLUM_CLIENT_SECRET"], SECRET, "{host}");
        assert_eq!(value[servers(host)]["medplum"]["env"]["MEDPLUM_CLIENT_ID"], "the-id", "{host}");
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
        let ended = home.succeeds(&["uninstall", host, "--yes"], &variables);
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"", "{host}");
        if project.is_some() {
            let ended =
                home.succeeds(&["install", host, "--yes", "--scope", "project", "--secrets-in-file"], &variables);
            assert!(ended.stderr.contains("but the program stands there as a path of this machine"), "{ended:?}");
            assert!(ended.stderr.contains("keep it out of version control"), "{ended:?}");
        }
        let ended = home.run(&["install", host, "--yes", "--secrets-in-file", "--name", "other"], &[]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET"), "{ended:?}");
    }
}

/// What is set here goes with it, but what opens writes must be said to this very command.
#[test]
fn settings_go_along_and_writes_only_by_flag() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{}");
    let variables = [
        ("MEDPLUM_BASE_URL", "https://medplum.test/"),
        ("MEDPLUM_ON_BEHALF_OF", "ProjectMembership/3d7612cc-0089-428a-963b-3b2fdf4d54b9"),
        ("MEDPLUM_ENABLE_WRITES", "true"),
        ("MEDPLUM_ALLOW_OBO_OVERRIDE", "true"),
    ];
    let ended = home.succeeds(&["install", "cursor", "--yes", "--answer-budget", "20000"], &variables);
    assert!(ended.stderr.contains("MEDPLUM_ENABLE_WRITES is set here"), "{ended:?}");
    let server = |path: &Path| read("cursor", &std::fs::read(path).unwrap())["mcpServers"]["medplum"].clone();
    let expected = json!({
        "MEDPLUM_CLIENT_ID": "${env:MEDPLUM_CLIENT_ID}",
        "MEDPLUM_CLIENT_SECRET": "${env:MEDPLUM_CLIENT_SECRET}",
        "MEDPLUM_BASE_URL": "https://medplum.test/",
        "MEDPLUM_ON_BEHALF_OF": "ProjectMembership/3d7612cc-0089-428a-963b-3b2fdf4d54b9",
        "MEDPLUM_ANSWER_BUDGET": "20000",
    });
    assert_eq!(server(&path)["env"], expected);
    for writes in ["--writes", "--enable-writes"] {
        home.succeeds(&["install", "cursor", "--yes", writes], &[]);
        assert_eq!(server(&path)["env"]["MEDPLUM_ENABLE_WRITES"], "true");
    }
    // The client's id is no secret: one that is given for this very host goes with it.
    home.succeeds(&["install", "cursor", "--yes", "--client-id", "the-id"], &[("MEDPLUM_CLIENT_ID", "another")]);
    assert_eq!(server(&path)["env"]["MEDPLUM_CLIENT_ID"], "the-id");
    assert_eq!(server(&path)["env"]["MEDPLUM_CLIENT_SECRET"], "${env:MEDPLUM_CLIENT_SECRET}");
    for (arguments, says) in [
        (&["--base-url", "http://medplum.test/"][..], "MEDPLUM_BASE_URL cannot be used"),
        (&["--name", "a b"], "--name takes letters"),
        (&["--scope", "machine"], "--scope"),
    ] {
        let ended = home.run(&[&["install", "cursor", "--yes"], arguments].concat(), &[]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
    // A server of that name which was there before comes back.
    let theirs = b"{\n  \"mcpServers\": {\n    \"medplum\": { \"command\": \"theirs\" }\n  }\n}\n";
    let path = home.write(".codeium/windsurf/mcp_config.json", theirs);
    home.succeeds(&["install", "windsurf", "--yes"], &[]);
    home.succeeds(&["install", "windsurf", "--yes", "--name", "two"], &[]);
    let ended = home.succeeds(&["uninstall", "windsurf", "--yes"], &[]);
    assert!(ended.stdout.ends_with("If Windsurf is running, restart it.\n"), "{ended:?}");
    home.succeeds(&["uninstall", "windsurf", "--yes", "--name", "two"], &[]);
    assert_eq!(read("windsurf", &std::fs::read(path).unwrap()), read("windsurf", theirs));
    let ended = home.succeeds(&["uninstall", "gemini", "--yes"], &[]);
    assert!(ended.stdout.contains("nothing to take out"), "{ended:?}");
}

/// What is given to this very call wins over what is exported: neither is dropped, nor paired with the other.
#[test]
fn a_flag_wins_over_what_is_exported() {
    let exported = [("MEDPLUM_CLIENT_ID", "the-id"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
    for exported in [&exported[..], &[("MEDPLUM_ACCESS_TOKEN", "a-token")]] {
        for (host, file, _) in HOSTS {
            let home = Home::new();
            let path = home.write(file, b"");
            let flags = ["install", host, "--client-id", "other", "--client-secret-file", "secret", "--yes"];
            home.succeeds(&flags, exported);
            let value = read(host, &std::fs::read(&path).unwrap());
            let server = &value[servers(host)]["medplum"];
            assert_eq!(server["env"]["MEDPLUM_CLIENT_ID"], "other", "{host}");
            let secret = PathBuf::from(server["env"]["MEDPLUM_CLIENT_SECRET_FILE"].as_str().unwrap());
            assert!(secret.is_absolute() && secret.ends_with("secret"), "{host}: {secret:?}");
            assert_eq!(server["env"].as_object().unwrap().len(), 2, "{host}: {server}");
            assert!(server.get("env_vars").is_none(), "{host}: {server}");
        }
    }
    let home = Home::new();
    home.write(".cursor/mcp.json", b"{}");
    // An id alone takes its secret from where the host is started: which one that must be is said.
    let ended = home.succeeds(&["install", "cursor", "--client-id", "other", "--yes"], &exported);
    assert!(ended.stdout.contains("Set MEDPLUM_CLIENT_SECRET (that of other) in the environment"), "{ended:?}");
    let two = ["install", "cursor", "--client-secret-file", "secret", "--access-token", "a-token", "--yes"];
    let ended = home.run(&two, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("are two ways to sign in"), "{ended:?}");
}

/// What the quick start puts in is what it takes out: the call that `install` itself names.
#[test]
fn the_quick_start_takes_out_what_it_put_in() {
    let home = Home::new();
    home.write(".claude.json", b"{}");
    let ended = home.succeeds(&["install", "claude-code", "--sandbox", "--yes"], &[]);
    let out = ended.stdout.lines().find_map(|line| line.split("Out again: ").nth(1)).expect("a call");
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/quick-start.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.contains("install claude-code --sandbox")).unwrap();
    assert!(section.contains(&format!("`{out}`")), "{out}");
}

/// Who installed with a flag and takes out without it is told the call that was meant.
#[test]
fn uninstall_names_what_else_was_put_in() {
    for (host, file, _) in HOSTS {
        let home = Home::new();
        home.write(file, b"");
        home.succeeds(&["install", host, "--sandbox", "--yes"], &[]);
        home.succeeds(&["install", host, "--sandbox", "--yes", "--name", "clinic"], &[]);
        let ended = home.succeeds(&["uninstall", host, "--yes"], &[]);
        let calls: Vec<&str> = ended.stdout.lines().skip(1).collect();
        let expected = [
            format!("medplum-sandbox is there: medplum-mcp uninstall {host} --sandbox"),
            format!("clinic is there: medplum-mcp uninstall {host} --name clinic"),
        ];
        assert_eq!(calls, expected, "{ended:?}");
    }
}

/// A host has another folder than this shell.
#[test]
fn paths_are_written_whole() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{}");
    home.succeeds(&["install", "cursor", "--yes"], &[("MEDPLUM_AUDIT_LOG", "a.jsonl")]);
    let value = read("cursor", &std::fs::read(&path).unwrap());
    let log = PathBuf::from(value["mcpServers"]["medplum"]["env"]["MEDPLUM_AUDIT_LOG"].as_str().unwrap());
    assert!(log.is_absolute() && log.ends_with("project/a.jsonl"), "{log:?}");
}

/// What a backup is of may be long gone: what a person wrote since under our name is theirs.
#[test]
fn an_entry_that_is_not_ours_is_never_lost() {
    let theirs: &[u8] =
        b"{\n  \"mcpServers\": {\n    \"medplum\": {\n      \"command\": \"mine-by-hand\"\n    }\n  }\n}\n";
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{}");
    home.succeeds(&["install", "cursor", "--yes"], &[]);
    std::fs::write(&path, theirs).unwrap();
    let ended = home.succeeds(&["uninstall", "cursor", "--yes"], &[]);
    assert!(ended.stdout.contains("starts something else"), "{ended:?}");
    assert_eq!(std::fs::read(&path).unwrap(), theirs);
    home.succeeds(&["install", "cursor", "--yes"], &[]);
    home.succeeds(&["uninstall", "cursor", "--yes"], &[]);
    assert_eq!(std::fs::read(&path).unwrap(), theirs);
    // The host took us out by itself: the backup goes too.
    home.succeeds(&["install", "cursor", "--yes"], &[]);
    std::fs::write(&path, b"{}").unwrap();
    let ended = home.succeeds(&["uninstall", "cursor", "--yes"], &[]);
    assert!(ended.stdout.contains("mcp.json.before-medplum"), "{ended:?}");
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no backup is left");
    assert_eq!(std::fs::read(&path).unwrap(), b"{}");
}

/// The host starts what was written, and has the tools.
#[test]
fn what_is_written_starts_the_server() {
    let home = Home::new();
    let path = home.write(".cursor/mcp.json", b"{}");
    home.succeeds(&["install", "cursor", "--sandbox", "--writes", "--yes"], &[]);
    let server = read("cursor", &std::fs::read(&path).unwrap())["mcpServers"]["medplum-sandbox"].clone();
    let mut command = Command::new(server["command"].as_str().unwrap());
    command.args(server["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()));
    command.env_clear();
    for (name, value) in server["env"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    let stdio = std::process::Stdio::piped;
    command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    let mut host = Host::spawn(command);
    host.initialize("2025-11-25");
    assert!(host.tools().iter().any(|tool| tool["name"] == "create_resource"));
}

#[cfg(unix)]
#[test]
fn links_and_permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let real = home.write("dotfiles/cursor.json", b"{}\n");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::create_dir_all(home.path(".cursor")).unwrap();
    std::os::unix::fs::symlink("../dotfiles/cursor.json", home.path(".cursor/mcp.json")).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let ended = home.succeeds(&["install", "cursor", "--sandbox", "--yes"], &[]);
    assert!(ended.stdout.contains("dotfiles/cursor.json.before-medplum-sandbox"), "{ended:?}");
    assert!(!ended.stdout.contains(".."), "the short way: {ended:?}");
    assert!(std::fs::symlink_metadata(home.path(".cursor/mcp.json")).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("medplum-sandbox"));
    assert_eq!(mode(&real), 0o640);
    home.succeeds(&["uninstall", "cursor", "--sandbox", "--yes"], &[]);
    assert_eq!((std::fs::read(&real).unwrap(), mode(&real)), (b"{}\n".to_vec(), 0o640));
    assert!(std::fs::symlink_metadata(home.path(".cursor/mcp.json")).unwrap().is_symlink());

    // A new file with a secret in it is its owner's alone; an old one that others can read is named.
    let variables = [("MEDPLUM_CLIENT_ID", "the-id"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
    std::fs::create_dir_all(home.path(".gemini")).unwrap();
    home.succeeds(&["install", "gemini", "--secrets-in-file", "--yes"], &variables);
    assert_eq!(mode(&home.path(".gemini/settings.json")), 0o600);
    let ended = home.succeeds(&["install", "cursor", "--secrets-in-file", "--yes"], &variables);
    assert!(ended.stderr.contains("chmod 600"), "{ended:?}");

    let read_only = home.write(".codeium/windsurf/mcp_config.json", b"{}");
    std::fs::set_permissions(&read_only, std::fs::Permissions::from_mode(0o444)).unwrap();
    let ended = home.run(&["install", "windsurf", "--sandbox", "--yes"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("cannot be written"), "{ended:?}");
    assert_eq!(std::fs::read(&read_only).unwrap(), b"{}");
    assert_eq!(std::fs::read_dir(read_only.parent().unwrap()).unwrap().count(), 1, "no backup, no leftover");
}
