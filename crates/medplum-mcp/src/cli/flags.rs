//! The flags that every subcommand takes: `--sandbox`, and one for each setting.

use std::ffi::OsString;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{Arg, ArgMatches};

use crate::settings::{Kind, SETTINGS, Setting, Values};

const SANDBOX: &str = "sandbox";

/// A sandbox brings its own URL and credentials; those that are set are for another server.
const ELSEWHERE: &[&str] = &[
    "MEDPLUM_BASE_URL",
    "MEDPLUM_FHIR_URL_PATH",
    "MEDPLUM_CLIENT_ID",
    "MEDPLUM_CLIENT_SECRET",
    "MEDPLUM_CLIENT_SECRET_FILE",
    "MEDPLUM_ACCESS_TOKEN",
    "MEDPLUM_ON_BEHALF_OF",
];

/// The flags as clap sees them.
pub(super) fn global() -> impl Iterator<Item = Arg> {
    let sandbox = switch(Arg::new(SANDBOX))
        .long(SANDBOX)
        .global(true)
        .help("Work on a Medplum in memory with synthetic patients; URL and credentials are then ignored");
    std::iter::once(sandbox).chain(SETTINGS.iter().map(argument))
}

/// The same for a subcommand to which they mean nothing: taken, as everywhere, but not shown.
pub(super) fn hidden() -> impl Iterator<Item = Arg> {
    global().map(|argument| argument.hide(true))
}

/// Whether the sandbox is to be worked on.
pub(super) fn sandboxed(matches: &ArgMatches) -> bool {
    matches.get_one(SANDBOX).copied().unwrap_or(false)
}

/// The settings' values, from these flags and this environment.
pub(super) fn values(matches: &ArgMatches, environment: impl Fn(&str) -> Option<String>) -> Values {
    let sandboxed = sandboxed(matches);
    let ignored = |name: &str| sandboxed && ELSEWHERE.contains(&name);
    Values::find(
        |setting| flag(matches, setting).filter(|_| !ignored(setting.variable)),
        |name| environment(name).filter(|_| !ignored(name)),
    )
}

/// `--enable-writes true` as `--enable-writes=true`: what stands behind a switch and is a truth value is its own, as no command
/// and no argument is called so.
pub(super) fn joined(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let is_switch = |argument: &OsString| {
        let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
        let mut switches = SETTINGS.iter().filter(|setting| setting.kind == Kind::Switch);
        name.is_some_and(|name| name == SANDBOX || switches.any(|setting| setting.flag == name))
    };
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        match joined.last_mut() {
            Some(before) if is_switch(before) && (argument == "true" || argument == "false") => {
                before.push("=");
                before.push(&argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

fn argument(setting: &Setting) -> Arg {
    let help = match (setting.kind, setting.default) {
        (Kind::Secret, _) | (_, None) => format!("{} [env: {}]", setting.help, setting.variable),
        (_, Some(default)) => format!("{} [env: {}] [default: {default}]", setting.help, setting.variable),
    };
    let argument = Arg::new(setting.variable)
        .long(setting.flag)
        .global(true)
        .help(help.clone())
        // The manual's page takes this one where the short help lacks the flag.
        .long_help(help)
        .help_heading("Settings, each a variable too; a flag wins")
        .hide_short_help(true);
    match setting.kind {
        Kind::Switch => switch(argument),
        Kind::Number => argument.value_name("NUMBER"),
        Kind::Text | Kind::Secret => argument.value_name("TEXT").value_parser(NonEmptyStringValueParser::new()),
    }
}

/// A flag that is true when it is there, and takes `=false` from a host that always writes it.
fn switch(argument: Arg) -> Arg {
    argument
        .num_args(0..=1)
        .require_equals(true)
        .hide_possible_values(true)
        .default_missing_value("true")
        .value_name("BOOL")
        .value_parser(BoolishValueParser::new())
}

fn flag(matches: &ArgMatches, setting: &Setting) -> Option<String> {
    match setting.kind {
        Kind::Switch => matches.get_one::<bool>(setting.variable).map(ToString::to_string),
        _ => matches.get_one::<String>(setting.variable).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_value_behind_a_switch_is_its_own() {
        let joined = |arguments: &[&str]| -> Vec<OsString> { joined(arguments.iter().map(OsString::from)) };
        assert_eq!(joined(&["x", "--enable-writes", "true", "call"]), ["x", "--enable-writes=true", "call"]);
        assert_eq!(joined(&["x", "--sandbox", "false"]), ["x", "--sandbox=false"]);
        assert_eq!(joined(&["x", "--sandbox", "demo"]), ["x", "--sandbox", "demo"]);
        assert_eq!(
            joined(&["x", "--audit-log", "true", "--sandbox=true", "true"]),
            ["x", "--audit-log", "true", "--sandbox=true", "true"]
        );
    }
}
