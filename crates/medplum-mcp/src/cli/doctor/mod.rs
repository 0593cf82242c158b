//! `doctor`: what is set, what answers, who we are there, what we may do, and what to do about it. It only reads.

mod abilities;
mod here;
mod identity;
mod policy;
mod reach;
mod report;

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use futures_util::FutureExt;
use medplum_client::{Call, Client, Config, Credentials, Error, Interaction, Method, Query, ResourceId, ResourceType};
use medplum_sandbox::Sandbox;
use secrecy::SecretString;
use serde_json::Value;

use self::abilities::{check_features, check_policy, check_reads, policy_of};
use self::here::{bad_setting, check_audit_log, check_names, check_settings, check_tools};
use self::identity::{check_credentials, check_membership};
use self::reach::check_reach;
use self::report::{Report, Status};
use super::{Ended, Invocation, Subcommand, log_to_stderr};
use crate::policy::Policy;
use crate::settings::{BASE_URL, Limits, Settings, Source};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("doctor")
        .about("Say what is set, what answers, who you are there, what you may do, and what to do about it")
        .long_about(
            "Say what is set, what answers, who you are there, what you may do, and what to do about it: a line each, \
             ok, warn or fail. It only reads, and prints no secret and nothing of a patient. The exit status is 1 if \
             something fails, else 0.",
        )
        .after_help(
            "Examples:\n  \
             medplum-mcp doctor\n  \
             medplum-mcp --sandbox doctor\n  \
             medplum-mcp doctor --json                     for a program: status, checks",
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON instead of lines"))
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let mut report = Report::default();
    examine(invocation, &mut report).await?;
    let mut out = anstream::stdout().lock();
    if invocation.arguments.get_flag("json") {
        writeln!(out, "{}", report.to_json())?;
    } else {
        report.write(&mut out)?;
    }
    Ok(if report.status() == Status::Fail { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One check after the other, as far as the one before lets the next be made.
async fn examine(invocation: &Invocation<'_>, report: &mut Report) -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = match Settings::new(&invocation.values) {
        Ok(settings) => settings,
        Err(error) => {
            bad_setting(report, &error, &invocation.values);
            check_names(report, &invocation.misspelt);
            report.skip(&["reach", "credentials"], "a setting is wrong");
            report.skip(ALLOWED, "a setting is wrong");
            return Ok(());
        }
    };
    log_to_stderr(&settings);
    let sandbox = if invocation.sandboxed { Some(Sandbox::builder().start().await?) } else { None };
    if let Some(sandbox) = &sandbox {
        settings.use_sandbox(sandbox)?;
    }
    check_settings(report, &settings, &invocation.values, invocation.sandboxed);
    check_names(report, &invocation.misspelt);
    check_audit_log(report, &settings);
    let signed = settings.credentials.is_some();
    // Where nothing at all is set, nobody meant the default server.
    let meant = signed || invocation.values.source(BASE_URL) != Some(Source::Default);
    let config = settings.config().unwrap_or_else(|_| signed_by_nobody(&settings));
    let reached = meant && check_reach(report, &settings, client(&config, &settings.limits).reach().await);
    if !meant {
        report.skip(&["reach"], "nothing is set that says which server is meant");
    }
    if !signed {
        report.fail(
            "credentials",
            "none are set",
            "Set MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET to those of a ClientApplication (Medplum app: Project, Clients), or try everything on synthetic patients: medplum-mcp --sandbox doctor",
        );
        report.skip(ALLOWED, "there is nobody to sign in as");
    } else if reached {
        ask_server(report, &settings, config, invocation.sandboxed).await;
    } else {
        report.skip(&["credentials"], "there is no Medplum to ask");
        report.skip(ALLOWED, "there is no Medplum to ask");
    }
    check_tools(report, &settings.limits);
    Ok(())
}

/// What is looked at once the server has taken the credentials.
const ALLOWED: &[&str] = &["policy", "reads", "features"];

/// What only the server can tell.
async fn ask_server(report: &mut Report, settings: &Settings, config: Config, sandboxed: bool) {
    // As the client itself; the membership is looked at by itself.
    let on_behalf_of = config.on_behalf_of.clone();
    let own = client(&Config { on_behalf_of: None, ..config.clone() }, &settings.limits);
    let asking = client(&config, &settings.limits);
    let Some(me) = check_credentials(report, &own, on_behalf_of.is_some()).await else {
        report.skip(ALLOWED, "the credentials were not taken");
        return;
    };
    if let Some(membership) = &on_behalf_of
        && !check_membership(report, &asking, &own, membership, &me).await
    {
        report.skip(ALLOWED, "it cannot act for that member");
        return;
    }
    let policy = policy_of(&own, on_behalf_of.as_ref(), &me).await;
    let who = if on_behalf_of.is_some() { "this member" } else { "this client" };
    check_policy(report, policy.as_ref(), who, settings.limits.writes, sandboxed);
    check_reads(report, &asking).await;
    check_features(report, &own, &settings.limits, &me).await;
}

/// A client from which nothing that acts could leave, whatever is set.
fn client(config: &Config, limits: &Limits) -> Client {
    Client::new(config.clone(), Policy::new(Limits { writes: false, ..limits.clone() }))
}

/// The first question needs no token, so it needs no credentials either.
fn signed_by_nobody(settings: &Settings) -> Config {
    let nobody = Credentials::AccessToken(SecretString::from("none"));
    Config { fhir_path: settings.fhir_path.clone(), ..Config::new(settings.base_url.clone(), nobody) }
}

async fn get(client: &Client, path: &str) -> Result<Value, Error> {
    let fhir_path = &client.config().fhir_path;
    let interaction = Interaction::from_path(fhir_path, Method::Get, path, Query::new(), None)?;
    Ok(client.send(&Call::default(), &interaction).await?.into_json())
}

/// A resource by its reference; none if it cannot be read.
async fn read(client: &Client, reference: &str) -> Option<Value> {
    let (of_type, id) = reference.split_once('/')?;
    let interaction = Interaction::read(ResourceType::parse(of_type).ok()?, ResourceId::parse(id).ok()?);
    client.send(&Call::default(), &interaction).await.ok().map(medplum_client::Reply::into_json)
}
