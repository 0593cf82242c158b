//! Who we are there, and on whose behalf.

use medplum_client::{Client, Error, Membership};
use serde_json::Value;

use super::report::{Report, name};
use super::{get, read};
use crate::settings::ON_BEHALF_OF;

/// What Medplum says of us, if it takes the credentials.
pub(super) async fn check_credentials(report: &mut Report, own: &Client, for_a_member: bool) -> Option<Value> {
    let me = match get(own, "auth/me").await {
        Ok(me) => me,
        Err(error) => {
            let (text, remedy) = match &error {
                Error::Credentials { description } => {
                    let said = description.as_deref().map(|said| format!(": {}", name(said))).unwrap_or_default();
                    (format!("Medplum refused them{said}"), "Set MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET to those of a ClientApplication of this server (Medplum app: Project, Clients)".to_owned())
                }
                Error::AccessToken => (
                    error.to_string(),
                    "Set MEDPLUM_ACCESS_TOKEN anew, or MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET instead".to_owned(),
                ),
                other => (name(&other.to_string()), "Try again, or ask the server's operator".to_owned()),
            };
            report.fail("credentials", text, remedy);
            return None;
        }
    };
    let project = me
        .pointer("/project/name")
        .and_then(Value::as_str)
        .map_or_else(|| "a project".to_owned(), |n| format!("project \"{}\"", name(n)));
    let admin = if is_admin(&me) { " (admin)" } else { "" };
    let behalf = if for_a_member { "" } else { ", on behalf of nobody else" };
    let who = member(me.pointer("/membership/profile"));
    report.ok("credentials", format!("{who}{} in {project}{admin}{behalf}", ids(&me)));
    Some(me)
}

fn is_admin(me: &Value) -> bool {
    me.pointer("/membership/admin") == Some(&Value::Bool(true))
}

/// ` (ClientApplication/…, ProjectMembership/…)`: two clients may have one name. A patient's are not shown.
fn ids(me: &Value) -> String {
    let text = |pointer: &str| me.pointer(pointer).and_then(Value::as_str);
    let client = text("/membership/profile/reference").filter(|profile| profile.starts_with("ClientApplication/"));
    let Some(client) = client else { return String::new() };
    let membership = text("/membership/id").map(|id| format!(", ProjectMembership/{}", name(id))).unwrap_or_default();
    format!(" ({}{membership})", name(client))
}

/// `ClientApplication "Chart agent"`. A patient's name is not shown.
fn member(profile: Option<&Value>) -> String {
    let text = |key: &str| profile.and_then(|profile| profile.get(key)).and_then(Value::as_str);
    let of_type = text("reference").and_then(|reference| reference.split('/').next()).unwrap_or("somebody");
    match text("display").filter(|_| !["Patient", "RelatedPerson"].contains(&of_type)) {
        Some(display) => format!("{} \"{}\"", name(of_type), name(display)),
        None => format!("a {}", name(of_type)),
    }
}

/// Whether the client may act for the member.
pub(super) async fn check_membership(
    report: &mut Report,
    for_member: &Client,
    own: &Client,
    membership: &Membership,
    me: &Value,
) -> bool {
    match get(for_member, "auth/me").await {
        Ok(_) => {
            let member = match known_membership(own, membership).await {
                Some(known) => member(known.get("profile")),
                None => "a member whose membership this client may not read".to_owned(),
            };
            report.ok("on behalf of", format!("{member}; that member's access policy applies to every call"));
            true
        }
        Err(error) => {
            let (text, remedy) = match error.status() {
                Some(403) if !is_admin(me) => (
                    "this client may not act for others: it is no project admin".to_owned(),
                    "Make the ClientApplication's membership an admin's (Medplum app: Project, Clients), or unset MEDPLUM_ON_BEHALF_OF".to_owned(),
                ),
                Some(403 | 404) => (
                    "this project has no such membership".to_owned(),
                    format!("Set {ON_BEHALF_OF} to a ProjectMembership of this project (Medplum app: Project, Users; its id is in the address)"),
                ),
                _ => (name(&error.to_string()), "Try again, or ask the server's operator".to_owned()),
            };
            report.fail("on behalf of", text, remedy);
            false
        }
    }
}

pub(super) async fn known_membership(own: &Client, membership: &Membership) -> Option<Value> {
    read(own, membership.as_str()).await
}
