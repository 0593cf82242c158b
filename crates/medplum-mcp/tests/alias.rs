//! The Python server's name for the program: a host's configuration needs only its package changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

const ALIAS: &str = env!("CARGO_BIN_EXE_pymedplum-mcp");

fn run(alias: &Path, arguments: &[&str]) -> Output {
    Command::new(alias).args(arguments).env_remove("MEDPLUM_CLIENT_ID").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn it_is_the_program_with_its_arguments_its_streams_and_its_exit_code() {
    let alias = Path::new(ALIAS);
    let version = run(alias, &["--version"]);
    assert_eq!(text(&version.stdout).trim(), format!("medplum-mcp {}", env!("CARGO_PKG_VERSION")));
    let found = run(alias, &["--sandbox", "call", "search_resources", r#"{"resource_type":"Patient","count":1}"#]);
    assert!(found.status.success() && text(&found.stdout).starts_with(r#"{"resourceType":"Bundle""#), "{found:?}");
    let refused = run(alias, &["--sandbox", "call", "no_such_tool"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("There is no tool \"no_such_tool\""), "{refused:?}");
}

#[test]
#[cfg(unix)]
fn it_is_found_through_a_link() {
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("pymedplum-mcp");
    std::os::unix::fs::symlink(ALIAS, &link).unwrap();
    assert!(run(&link, &["--version"]).status.success());
}

#[test]
fn alone_it_says_what_is_missing() {
    // Another name for the same file: a copy cannot be started while a program that another test starts at that moment
    // still has it open for writing.
    let elsewhere = tempfile::tempdir_in(Path::new(ALIAS).parent().unwrap()).unwrap();
    let alone = elsewhere.path().join(Path::new(ALIAS).file_name().unwrap());
    std::fs::hard_link(ALIAS, &alone).unwrap();
    let ended = run(&alone, &["--version"]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(
        text(&ended.stderr).trim(),
        "pymedplum-mcp: medplum-mcp is not beside it; install the medplum-mcp package again"
    );
}
