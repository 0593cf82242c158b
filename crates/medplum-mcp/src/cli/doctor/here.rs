//! What is known without asking anybody: the settings, and what the tools cost.

use super::report::Report;
use crate::cli::place::open_audit_log;
use crate::cli::thousands;
use crate::settings::{
    ALLOW_INSECURE_HTTP, BASE_URL, Kind, Limits, Misspelt, SETTINGS, SettingError, Settings, Source, Values,
};
use crate::toolset::without_closed;

pub(super) fn bad_setting(report: &mut Report, error: &SettingError, values: &Values) {
    let (what, remedy) = (error.what(), error.remedy());
    let http = values.value(BASE_URL).is_some_and(|url| url.starts_with("http:"));
    let remedy = if http && what.starts_with(BASE_URL) {
        format!("{remedy}, or {ALLOW_INSECURE_HTTP}=true if nobody else is on that network")
    } else {
        remedy
    };
    report.fail("settings", what, remedy);
}

/// What was meant as a setting, and is none.
pub(super) fn check_names(report: &mut Report, misspelt: &[Misspelt]) {
    for Misspelt { name, nearest } in misspelt {
        report.warn("settings", format!("{name} is no setting, so it does nothing"), format!("{nearest} is one"));
    }
}

/// Whether the log can be written that the server will not start without.
pub(super) fn check_audit_log(report: &mut Report, settings: &Settings) {
    let Some(path) = &settings.audit_log else { return };
    match open_audit_log(path) {
        Ok(_) => report.ok("audit log", format!("{} takes a line for every call", path.display())),
        Err(error) => report.fail("audit log", error.what(), error.remedy()),
    }
}

pub(super) fn check_settings(report: &mut Report, settings: &Settings, values: &Values, sandboxed: bool) {
    let place = if sandboxed {
        "the sandbox: a Medplum in memory with synthetic patients (--sandbox)".to_owned()
    } else {
        let source = values.source(BASE_URL).unwrap_or(Source::Default);
        format!("{} ({source})", settings.base_url)
    };
    let from = |wanted: Source| {
        let names = SETTINGS.iter().map(|setting| setting.variable);
        let names: Vec<&str> =
            names.filter(|variable| *variable != BASE_URL && values.source(variable) == Some(wanted)).collect();
        if names.is_empty() { String::new() } else { format!("; from the {wanted}: {}", names.join(", ")) }
    };
    let mode = if settings.limits.writes { "writes are open" } else { "read-only" };
    let budget = settings.limits.budget;
    let text = format!(
        "{place}, {mode}, answers up to {} characters{}{}",
        thousands(budget),
        from(Source::Flag),
        from(Source::Environment)
    );
    report.ok("settings", text);
    let by_flag = SETTINGS.iter().filter(|s| s.kind == Kind::Secret && values.source(s.variable) == Some(Source::Flag));
    for setting in by_flag {
        report.warn(
            "settings",
            format!("--{} is on the command line, where others on this machine can see it", setting.flag),
            format!("Set {} in the environment, or name a file with --client-secret-file", setting.variable),
        );
    }
    if settings.base_url.is_insecure() {
        report.warn("settings", "http to another machine: tokens and records travel in the clear", "Use https");
    }
}

pub(super) fn check_tools(report: &mut Report, limits: &Limits) {
    let (tools, closed) = crate::tools::told(limits);
    let open: Vec<_> = tools.iter().filter(|tool| tool.is_open(limits)).map(|tool| tool.listing(limits)).collect();
    let listing = serde_json::to_string(&open).unwrap_or_default();
    let instructions = without_closed(crate::server::INSTRUCTIONS, &closed);
    let (tools, own) = (crate::tokens::about(&listing), crate::tokens::about(&instructions));
    report.ok(
        "tools",
        format!("{} listed, about {} tokens, and {} of instructions", open.len(), thousands(tools), thousands(own)),
    );
}
