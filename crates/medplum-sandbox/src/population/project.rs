//! The project itself: its clients and members, their policies, its bots.

use serde_json::{Value, json};

use super::ids;
use crate::auth::Client;

/// The bots that run, with what they are called and say.
const BOTS: [(&str, &str, &str); 3] = [
    (ids::ECHO_BOT, "Echo", "Answers with what it was given"),
    (ids::FAILING_BOT, "Failing", "Fails whatever it was given"),
    (ids::SLOW_BOT, "Slow", "Answers with what it was given, after a while"),
];

/// The resources that a project has before anybody has written to it.
pub(crate) fn resources(clients: &[&Client]) -> Vec<Value> {
    let mut all = vec![json!({
        "resourceType": "Project",
        "id": ids::PROJECT,
        "name": "Sandbox",
        "strictMode": true,
        "features": ["bots"],
    })];
    for client in clients {
        all.extend(client_resources(client));
    }
    all.extend(policies());
    all.extend(member());
    for (id, name, description) in BOTS {
        all.push(json!({
            "resourceType": "Bot",
            "id": id,
            "name": name,
            "description": description,
            "identifier": [{"system": "https://sandbox.example/bots", "value": name.to_lowercase()}],
            "runtimeVersion": "vmcontext",
        }));
    }
    all.push(operation());
    all
}

fn project() -> Value {
    json!({"reference": format!("Project/{}", ids::PROJECT), "display": "Sandbox"})
}

fn client_resources(client: &Client) -> [Value; 2] {
    let mut membership = json!({
        "resourceType": "ProjectMembership",
        "id": client.membership,
        "project": project(),
        "user": client.reference(),
        "profile": client.reference(),
    });
    if let Some(map) = membership.as_object_mut() {
        if client.admin {
            map.insert("admin".into(), json!(true));
        }
        if let Some(policy) = &client.policy {
            map.insert("accessPolicy".into(), json!({"reference": format!("AccessPolicy/{policy}")}));
        }
    }
    let application = json!({
        "resourceType": "ClientApplication",
        "id": client.id,
        "name": client.name,
        "description": "A client of the sandbox",
        "secret": client.secret,
    });
    [application, membership]
}

fn policies() -> [Value; 2] {
    [
        json!({
            "resourceType": "AccessPolicy",
            "id": ids::READER_POLICY,
            "name": "Reads patients and practitioners",
            "resource": [
                {"resourceType": "Patient", "readonly": true},
                {"resourceType": "Practitioner", "readonly": true},
                {"resourceType": "Observation", "readonly": true}
            ],
        }),
        json!({
            "resourceType": "AccessPolicy",
            "id": ids::MEMBER_POLICY,
            "name": "Front desk",
            "resource": [
                {"resourceType": "Patient"},
                {"resourceType": "Appointment"},
                {"resourceType": "Task"},
                {"resourceType": "Observation", "readonly": true},
                {"resourceType": "Encounter", "readonly": true},
                {"resourceType": "Practitioner", "readonly": true},
                {"resourceType": "Organization", "readonly": true}
            ],
        }),
    ]
}

/// A practitioner who is a member, and on whose behalf an administrator's client may act.
fn member() -> [Value; 2] {
    let profile = json!({"reference": format!("Practitioner/{}", ids::MEMBER), "display": "Olivia Obo"});
    [
        json!({
            "resourceType": "Practitioner",
            "id": ids::MEMBER,
            "active": true,
            "name": [{"family": "Obo", "given": ["Olivia"]}],
            "telecom": [{"system": "email", "value": "olivia.obo@sandbox.example"}],
        }),
        json!({
            "resourceType": "ProjectMembership",
            "id": ids::MEMBERSHIP,
            "project": project(),
            "user": {"reference": "User/5a4d0b0c-0000-4000-8000-0000000000ff", "display": "Olivia Obo"},
            "profile": profile,
            "accessPolicy": {"reference": format!("AccessPolicy/{}", ids::MEMBER_POLICY)},
        }),
    ]
}

/// An operation that a bot carries out: the real server finds it behind any path that leads nowhere.
fn operation() -> Value {
    json!({
        "resourceType": "OperationDefinition",
        "id": ids::OPERATION,
        "extension": [{
            "url": "https://medplum.com/fhir/StructureDefinition/operationDefinition-implementation",
            "valueReference": {"reference": format!("Bot/{}", ids::ECHO_BOT), "display": "Echo"}
        }],
        "url": "https://sandbox.example/OperationDefinition/my-op",
        "name": "MyOperation",
        "status": "active",
        "kind": "operation",
        "code": "my-op",
        "resource": ["Patient"],
        "system": true,
        "type": true,
        "instance": true,
    })
}
