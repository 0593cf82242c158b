//! The commands that a person meets beside the server: help, lists, pages of the manual, completions, the demo.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::SECRET;
use common::host::{program, run};

/// Every command by its name.
fn names() -> Vec<String> {
    medplum_mcp::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn the_help_is_the_manuals_first_page() {
    let mut command = program(&["--help"], &[("COLUMNS", "80")]);
    let page = String::from_utf8(command.output().unwrap().stdout).unwrap();
    for part in ["medplum-mcp demo", "medplum-mcp doctor", "install claude-code --sandbox", "Exit status"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // What to try comes first, the long list last.
    let at = |part: &str| page.find(part).unwrap();
    assert!(at("Usage:") < at("Look around") && at("On your project") < at("--base-url"), "{page}");
    for name in ["sandbox", "completions", "man"] {
        let help = run(&[name, "--help"], &[], "").stdout;
        assert!(!help.contains("--client-secret") && !help.contains("--sandbox "), "{help}");
    }
    let short = run(&["-h"], &[], "").stdout;
    assert!(short.lines().count() < 40 && !short.contains("--timeout-seconds"), "{short}");
    for name in names() {
        assert!(page.contains(&format!("\n  {name} ")), "{name}");
        let help = run(&[&name, "--help"], &[], "");
        assert_eq!(help.code, Some(0), "{help:?}");
        assert!(help.stdout.contains("Example") || help.stdout.contains("Commands:"), "{name} has no example");
        assert!(help.stdout.contains("medplum-mcp "), "{name}");
    }
}

/// Where something is left out that there is no guess for, the help says what there is.
#[test]
fn a_command_alone_shows_what_it_takes() {
    for (command, shows) in [("install", "claude-desktop"), ("uninstall", "claude-desktop"), ("call", "TOOL")] {
        let ended = run(&[command], &[], "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(shows) && ended.stderr.contains("Examples:"), "{ended:?}");
    }
    let ended = run(&["--sandbox", "call", "search_one", "{resource_type:Patient}"], &[], "");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("are not JSON (line 1, column 2). For example:"), "{ended:?}");
}

/// What is wrong with the line, what is near, and where all of it stands.
#[test]
fn a_wrong_line_is_told_with_what_would_do() {
    let told = |line: &[&str]| {
        let ended = run(line, &[], "");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        format!("$ medplum-mcp {}\n{}", line.join(" "), ended.stderr)
    };
    let lines: [&[&str]; 12] = [
        &["serv"],
        &["audit", "verfy", "x"],
        &["zzzz"],
        &["search_resources", "{}"],
        &["--sandbx"],
        &["--writes"],
        &["--sandbox", "--count", "3"],
        &["demo", "--foo"],
        &["call", "search_resources", "{resource_type:", "Patient}"],
        &["install", "claude-cod"],
        &["sandbox", "--port", "abc"],
        &["--base-url="],
    ];
    insta::assert_snapshot!(lines.map(told).join("\n"));
}

/// What the manual has of the program is what the program says.
#[test]
fn the_generated_pages_are_up_to_date() {
    for (arguments, path) in
        [(["tools", "--markdown"], "docs/tools.md"), (["settings", "--markdown"], "docs/settings.md")]
    {
        // Whatever is set, the page is the same.
        let variables =
            [("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_CLIENT_ID", "x"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
        let made = run(&arguments, &[], "");
        assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""), "{made:?}");
        assert_eq!(run(&arguments, &variables, "").stdout, made.stdout);
        let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&place, &made.stdout).unwrap();
        }
        let kept = std::fs::read_to_string(&place).unwrap_or_default().replace("\r\n", "\n");
        assert!(kept == made.stdout, "{path} is out of date: medplum-mcp {} > {path}", arguments.join(" "));
    }
}

#[test]
fn the_page_of_tools_has_every_tool_with_every_argument() {
    let page = run(&["tools", "--markdown"], &[], "").stdout;
    let limits = medplum_mcp::settings::Limits { writes: true, ..Default::default() };
    for tool in medplum_mcp::tools::all(&limits) {
        let section = page.split(&format!("\n## {}\n", tool.facts.name)).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        for (argument, _) in tool.schema["properties"].as_object().unwrap() {
            assert!(section.contains(&format!("| `{argument}`")), "{}: {argument}", tool.facts.name);
        }
    }
}

#[test]
fn the_tools_with_what_they_cost() {
    let page = run(&["tools", "--tokens"], &[], "").stdout;
    let total = page.lines().last().unwrap();
    assert!(total.contains("about so many tokens"), "{page}");
    let number = |line: &str| line.split_whitespace().find_map(|word| word.parse::<usize>().ok());
    let sum: usize = page.lines().rev().skip(1).filter(|line| !line.contains("(closed")).filter_map(number).sum();
    let total = number(total).unwrap();
    assert!(total.abs_diff(sum) * 10 < total, "{total} for all, {sum} one by one");
}

#[test]
fn the_settings_show_where_they_are_from_and_no_secret() {
    let variables =
        [("MEDPLUM_CLIENT_ID", "the-id"), ("MEDPLUM_CLIENT_SECRET", SECRET), ("MEDPLUM_ACCESS_TOKEN", "a-token")];
    let page = run(&["settings", "--timeout-seconds", "7"], &variables, "").stdout;
    let line = |name: &str| page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
    assert!(line("MEDPLUM_CLIENT_ID").ends_with("the-id  (environment)"), "{page}");
    assert!(line("MEDPLUM_CLIENT_SECRET").ends_with("(set)  (environment)"), "{page}");
    assert!(line("MEDPLUM_TIMEOUT_SECONDS").ends_with("7  (flag)"), "{page}");
    assert!(!page.contains(SECRET) && !page.contains("a-token"), "{page}");
}

#[test]
fn every_shell_gets_completions_for_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(&["completions", shell], &[], "");
        assert_eq!(script.code, Some(0), "{script:?}");
        for word in names().iter().map(String::as_str).chain(["secrets-in-file"]) {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
        // The others complete no values of arguments without a flag.
        let hosts = ["bash", "zsh"].contains(&shell);
        assert!(!hosts || script.stdout.contains("claude-desktop"), "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"], &[], "").code, Some(2));
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let page = run(&["man"], &[], "");
    assert!(page.code == Some(0) && page.stdout.contains(".SH NAME"), "{page:?}");
    // A setting is told there, not only named.
    for setting in medplum_mcp::settings::SETTINGS {
        let flag = setting.flag.replace('-', "\\-");
        let entry = page.stdout.split(&format!("\\fB\\-\\-{flag}\\fR")).last().unwrap();
        let told = entry.lines().nth(1).unwrap_or_default();
        let first = setting.help.split(' ').next().unwrap();
        assert!(told.contains(first), "{}: {told:?} {entry:.200}", setting.flag);
    }
    let folder = tempfile::tempdir().unwrap();
    let ended = run(&["man", "--dir", folder.path().to_str().unwrap()], &[], "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in names() {
        assert!(folder.path().join(format!("medplum-mcp-{name}.1")).exists(), "{name}");
    }
    assert_eq!(run(&["man", "--dir", "/no/such/folder"], &[], "").code, Some(2));
}

/// The whole story, plain where it is no terminal.
#[test]
fn the_demo_tells_the_whole_story() {
    let ended = run(&["demo"], &[("MEDPLUM_BASE_URL", "https://elsewhere.test/")], "");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for part in [
        "897 resources",
        "query_resources",
        "[\"2020\",4,9.2,9.4]",
        "! patch_resource is closed",
        "! $execute runs a bot, by GET too.",
        "- telecom[0].value: 555-02924",
        "+ telecom[0].value: 555-3434",
        "ignore all previous instructions",
        "reads like an instruction to a machine",
        "as raw FHIR",
        " tokens in ",
        " ms\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no colours in a pipe");
    assert!(ended.stdout.len() < 12_000, "short enough to read: {}", ended.stdout.len());
}

/// `medplum-mcp demo | head -2` is no error.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for arguments in [&["demo"][..], &["doctor", "--sandbox"], &["settings"], &["tools", "--markdown"], &["man"]] {
        let mut child = program(arguments, &[]).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
