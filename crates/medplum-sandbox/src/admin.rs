//! What a client may see of its own project: `auth/me` and `admin/projects`.

use http::Method;
use serde_json::{Map, Value, json};

use crate::auth::{self, Actor};
use crate::engine::{Engine, Request, State};
use crate::outcome::{Outcome, Result};
use crate::reply::{JSON, Reply};
use crate::routes;
use crate::store;

fn actor(engine: &Engine, state: &State, request: &Request) -> Result<Actor> {
    let now = engine.source.now();
    auth::actor(&engine.config, &state.store, &state.tokens, &request.headers, now)
}

/// A resource as the server keeps it, with all of its `meta`.
fn kept(engine: &Engine, state: &State, resource_type: &str, id: &str) -> Option<Value> {
    let version = state.store.find(resource_type, id)?.live()?;
    let mut resource = version.parse()?;
    let project = engine.config.project.as_str();
    let compartment = json!([{"reference": format!("Project/{project}")}]);
    store::with_server_meta(&mut resource, version, Some((project, compartment)));
    Some(resource)
}

fn only(resource: &Value, fields: &[&str]) -> Value {
    let picked: Map<String, Value> =
        fields.iter().filter_map(|field| Some(((*field).to_owned(), resource.get(field)?.clone()))).collect();
    Value::Object(picked)
}

/// `GET auth/me`
pub(crate) fn me(engine: &Engine, request: &Request) -> Reply {
    let state = engine.state();
    let actor = match actor(engine, &state, request) {
        Ok(actor) => actor,
        Err(outcome) => return routes::outcome_reply(engine, &outcome),
    };
    let find = |resource_type: &str, id: &str| kept(engine, &state, resource_type, id).unwrap_or(Value::Null);
    let project = find("Project", &engine.config.project);
    let membership = find("ProjectMembership", &actor.client.membership);
    let policy = membership.pointer("/accessPolicy/reference").and_then(Value::as_str);
    let policy = match policy.and_then(|reference| reference.strip_prefix("AccessPolicy/")) {
        Some(id) => find("AccessPolicy", id),
        None => default_policy(&engine.config.project),
    };
    let body = json!({
        "project": only(&project, &["resourceType", "id", "name", "strictMode"]),
        "membership": only(&membership, &["resourceType", "id", "user", "profile", "admin"]),
        "profile": find("ClientApplication", &actor.client.id),
        "config": menu(),
        "accessPolicy": policy,
    });
    Reply::json(200, JSON, &body)
}

/// What the web application would show in its menu.
fn menu() -> Value {
    let links = |names: &[(&str, &str)]| -> Value {
        names.iter().map(|(name, target)| json!({"name": name, "target": target})).collect()
    };
    let favorites = [
        ("Patient", "/Patient"),
        ("Practitioner", "/Practitioner"),
        ("Organization", "/Organization"),
        ("ServiceRequest", "/ServiceRequest"),
        ("DiagnosticReport", "/DiagnosticReport"),
        ("Questionnaire", "/Questionnaire"),
    ];
    let admin = [
        ("Project", "/admin/project"),
        ("AccessPolicy", "/AccessPolicy"),
        ("Subscriptions", "/Subscription"),
        ("Batch", "/batch"),
        ("Config", "/admin/config"),
    ];
    json!({
        "resourceType": "UserConfiguration",
        "menu": [
            {"title": "Favorites", "link": links(&favorites)},
            {"title": "Admin", "link": links(&admin)}
        ]
    })
}

/// The rules that hold for an administrator without an AccessPolicy.
fn default_policy(project: &str) -> Value {
    json!({
        "resourceType": "AccessPolicy",
        "resource": [
            {"resourceType": "*"},
            {"resourceType": "SearchParameter", "readonly": true},
            {"resourceType": "StructureDefinition", "readonly": true},
            {
                "resourceType": "Project",
                "criteria": format!("Project?_id={project}"),
                "readonlyFields": ["features", "link", "systemSetting"],
                "hiddenFields": ["superAdmin", "systemSecret", "strictMode"]
            },
            {"resourceType": "ProjectMembership", "readonlyFields": ["project", "user"]},
            {"resourceType": "UserSecurityRequest", "readonly": true},
            {
                "resourceType": "User",
                "hiddenFields": ["passwordHash", "mfaSecret"],
                "readonlyFields": ["email", "emailVerified", "mfaEnrolled", "project"]
            }
        ]
    })
}

/// `GET admin/projects/{id}` and `GET admin/projects/{id}/members/{id}`
pub(crate) fn answer(engine: &Engine, request: &Request, steps: &[&str]) -> Result<Reply> {
    let state = engine.state();
    let actor = actor(engine, &state, request)?;
    if !actor.client.admin || actor.on_behalf_of.is_some() {
        return Err(Outcome::forbidden());
    }
    let project = steps.first().copied().unwrap_or_default();
    if project != engine.config.project {
        return Err(Outcome::not_found());
    }
    if request.method != Method::GET {
        return Err(Outcome::not_implemented(&request.path));
    }
    let body = match steps {
        [_] => json!({
            "project": kept(engine, &state, "Project", project),
            "members": members(&state),
        }),
        [_, "members", id] => kept(engine, &state, "ProjectMembership", id).ok_or_else(Outcome::not_found)?,
        _ => return Err(Outcome::not_implemented(&request.path)),
    };
    Ok(Reply::json(200, JSON, &body))
}

fn members(state: &State) -> Vec<Value> {
    let Some(memberships) = state.store.of_type("ProjectMembership") else {
        return Vec::new();
    };
    let parsed = memberships.each_live().filter_map(|(_, version)| version.parse());
    parsed
        .map(|member| {
            let reference = |field: &str| member.get(field).cloned().unwrap_or(Value::Null);
            let profile = reference("profile");
            let kind = profile.get("reference").and_then(Value::as_str).unwrap_or_default();
            let role = match kind.split('/').next() {
                Some("ClientApplication") => "client",
                Some("Bot") => "bot",
                Some("Patient") => "patient",
                _ => "practitioner",
            };
            json!({
                "membershipId": reference("id"),
                "profile": profile,
                "user": reference("user"),
                "role": role,
            })
        })
        .collect()
}
