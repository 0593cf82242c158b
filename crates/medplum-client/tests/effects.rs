//! What counts as a read, shown from the outside: through a gate that lets reads pass and nothing else, onto a server
//! that writes down what reached it.
//!
//! Here are paths, documents and bundles that people and their agents could come up with; `properties.rs` has those that
//! nobody would come up with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::time::Duration;

use common::scanner::only_queries;
use common::*;
use medplum_client::Effect::{self, Run, Write};
use medplum_client::Method::{Delete, Get, Patch, Post, Put};
use medplum_client::{
    Asked, Batch, Call, Client, Error, FhirPath, Gate, GraphQl, Interaction, Membership, Method, Query, Refusal, Search,
};
use serde_json::{Value, json};

struct ReadsOnly;

impl Gate for ReadsOnly {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        assert_eq!(asked.effect, asked.interaction.effect(), "the gate is told the truth");
        if asked.effect.is_read() { Ok(()) } else { Err(Refusal::new("only reads pass")) }
    }
}

/// A server that answers everything with a resource, and a client that may only read from it.
async fn reader() -> (Server, Client) {
    let server = Server::new(|request| match (request.method.as_str(), request.path()) {
        ("POST", "/fhir/R4") => Answer::fhir(200, json!({"resourceType": "Bundle", "type": "batch-response"})),
        _ => Answer::named_by(request),
    })
    .await;
    let client = server.gated(ReadsOnly);
    (server, client)
}

fn recognise(method: Method, path: &str, body: Option<Value>) -> Result<Interaction, Error> {
    Ok(Interaction::from_path(&FhirPath::default(), method, path, Query::new(), body)?)
}

/// What becomes of a request.
enum Is {
    /// A read. What reaches the server is this and no other, behind the guard of an operation on an instance.
    Sent(&'static str),
    /// Not even a request.
    Invalid,
    /// Refused by the gate, as this.
    Closed(Effect),
}

use Is::{Closed, Invalid, Sent};

/// Sends a request through the gate and compares what reached the server with what should have.
async fn check(server: &Server, client: &Client, what: &str, request: Result<Interaction, Error>, expected: &Is) {
    let before = server.requests().len();
    let result = match request {
        Err(error) => Err((error, true)),
        Ok(interaction) => {
            if let Closed(effect) = expected {
                assert_eq!(interaction.effect(), *effect, "{what}");
            }
            client.send(&call(), &interaction).await.map_err(|error| (error, false))
        }
    };
    let mut reached: Vec<String> = server.requests()[before..].iter().map(Received::line).collect();
    match (expected, result) {
        (Sent(expected), Ok(_)) => {
            let last = reached.pop().unwrap();
            assert_eq!(&last, expected, "{what}");
            // An operation on an instance is preceded by a read of that instance, and nothing else is.
            let path = last.split(['?', ' ']).nth(1).unwrap();
            let guard = path.rsplit_once("/$").map(|(instance, _)| format!("GET {instance}"));
            let guard = guard.filter(|guard| guard.split('/').count() == 5);
            assert_eq!(reached, guard.into_iter().collect::<Vec<_>>(), "{what}");
        }
        (Sent(_), Err((error, _))) => panic!("{what}: a read was refused: {error}"),
        (Invalid, Err((Error::Invalid(_), true))) | (Closed(_), Err((Error::Refused(_), false))) => {
            assert!(reached.is_empty(), "{what} was refused and reached the server all the same: {reached:?}");
        }
        (_, Ok(_)) => panic!("{what} passed: {reached:?}"),
        (_, Err((error, _))) => panic!("{what} was refused in another way: {error:?}"),
    }
}

/// Paths without a body.
#[rustfmt::skip]
const PATHS: &[(Method, &str, Is)] = &[
    // Reads of plain FHIR.
    (Get, "fhir/R4/Patient", Sent("GET /fhir/R4/Patient")),
    (Get, "/fhir/R4/Patient", Sent("GET /fhir/R4/Patient")),
    (Get, "fhir/R4/Patient/1", Sent("GET /fhir/R4/Patient/1")),
    (Get, "fhir/R4/Patient/a.b-C.9", Sent("GET /fhir/R4/Patient/a.b-C.9")),
    (Get, "fhir/R4/Patient/...", Sent("GET /fhir/R4/Patient/...")),
    (Get, "fhir/R4/Patient/1/_history", Sent("GET /fhir/R4/Patient/1/_history")),
    (Get, "fhir/R4/Patient/1/_history?_count=2", Sent("GET /fhir/R4/Patient/1/_history?_count=2")),
    (Get, "fhir/R4/Patient/1/_history/2", Sent("GET /fhir/R4/Patient/1/_history/2")),
    (Get, "fhir/R4/metadata", Sent("GET /fhir/R4/metadata")),
    (Get, "fhir/R4/metadata?mode=full", Sent("GET /fhir/R4/metadata?mode=full")),
    (Get, "fhir/R4?_type=Patient", Sent("GET /fhir/R4/?_type=Patient")),
    (Get, "fhir/R4/?_type=Patient,Practitioner&_count=2", Sent("GET /fhir/R4/?_type=Patient,Practitioner&_count=2")),
    // An encoded letter is that letter.
    (Get, "fhir/R4/%50atient/1", Sent("GET /fhir/R4/Patient/1")),
    (Get, "fhir%2ER4", Closed(Run)),
    (Get, "%66hir/R4/Patient", Sent("GET /fhir/R4/Patient")),
    (Get, "fhir/R4/Patient/%31", Sent("GET /fhir/R4/Patient/1")),
    (Get, "fhir/R4/Patient/1/%5fhistory", Sent("GET /fhir/R4/Patient/1/_history")),
    // Query values keep their meaning, with slash and dollar sign hidden.
    (Get, "fhir/R4/Patient?name=Zo%C3%AB", Sent("GET /fhir/R4/Patient?name=Zo%C3%AB")),
    (Get, "fhir/R4/Patient?name=Zoë", Sent("GET /fhir/R4/Patient?name=Zo%C3%AB")),
    (Get, "fhir/R4/Patient?name=van+Gogh", Sent("GET /fhir/R4/Patient?name=van%20Gogh")),
    (Get, "fhir/R4/Patient?name=a%2Bb", Sent("GET /fhir/R4/Patient?name=a%2Bb")),
    (Get, "fhir/R4/Patient?identifier=https://e.com/mrn|1", Sent("GET /fhir/R4/Patient?identifier=https:%2F%2Fe.com%2Fmrn%7C1")),
    (Get, "fhir/R4/Patient?a=/$my-op", Sent("GET /fhir/R4/Patient?a=%2F%24my-op")),
    (Get, "fhir/R4/Patient?a=%2F%24my-op", Sent("GET /fhir/R4/Patient?a=%2F%24my-op")),
    (Get, "fhir/R4/Patient?/$my-op=1", Sent("GET /fhir/R4/Patient?%2F%24my-op=1")),
    (Get, "fhir/R4/Patient?/$my-op", Sent("GET /fhir/R4/Patient?%2F%24my-op=")),
    (Get, "fhir/R4/Patient/1?x=/$my-op", Sent("GET /fhir/R4/Patient/1?x=%2F%24my-op")),
    (Get, "fhir/R4/Patient/1/_history?x=/$my-op", Sent("GET /fhir/R4/Patient/1/_history?x=%2F%24my-op")),
    (Get, "fhir/R4/Patient?a=%252F%2524x", Sent("GET /fhir/R4/Patient?a=%252F%2524x")),
    (Get, "fhir/R4/Patient?a=b?c=/$d", Sent("GET /fhir/R4/Patient?a=b%3Fc%3D%2F%24d")),
    (Get, "fhir/R4/Patient?a=1#/$x", Sent("GET /fhir/R4/Patient?a=1%23%2F%24x")),
    (Get, "fhir/R4/Patient?a=..%2F..%2Fadmin", Sent("GET /fhir/R4/Patient?a=..%2F..%2Fadmin")),
    (Get, "fhir/R4/Patient?a=\\..\\admin", Sent("GET /fhir/R4/Patient?a=%5C..%5Cadmin")),
    (Get, "fhir/R4/Patient?&&a=1&&b=2&", Sent("GET /fhir/R4/Patient?a=1&b=2")),
    (Get, "fhir/R4/Patient?", Sent("GET /fhir/R4/Patient")),
    (Get, "fhir/R4/Patient?a", Sent("GET /fhir/R4/Patient?a=")),
    (Get, "fhir/R4/Patient?_has:Observation:patient:status=final", Sent("GET /fhir/R4/Patient?_has:Observation:patient:status=final")),
    (Get, "fhir/R4/Patient?name:exact=Smith&gender=female&gender=male", Sent("GET /fhir/R4/Patient?name:exact=Smith&gender=female&gender=male")),
    (Get, "fhir/R4/Patient?_type[]=a&x[$y]=/z", Sent("GET /fhir/R4/Patient?_type%5B%5D=a&x%5B%24y%5D=%2Fz")),
    // Attempts to make a GET into something else by its query: no server takes them up, and they mean nothing here.
    (Get, "fhir/R4/Patient/1?_method=DELETE", Sent("GET /fhir/R4/Patient/1?_method=DELETE")),
    (Get, "fhir/R4/Patient/1?X-HTTP-Method-Override=PUT", Sent("GET /fhir/R4/Patient/1?X-HTTP-Method-Override=PUT")),
    (Get, "fhir/R4/Patient/1?_format=json&_pretty=true", Sent("GET /fhir/R4/Patient/1?_format=json&_pretty=true")),
    // Reads by operation, as Medplum routes them itself.
    (Get, "fhir/R4/Patient/1/$everything", Sent("GET /fhir/R4/Patient/1/$everything")),
    (Get, "fhir/R4/Patient/1/%24everything", Sent("GET /fhir/R4/Patient/1/$everything")),
    (Get, "fhir/R4/Patient/1/$everything?_count=2&x=/$y", Sent("GET /fhir/R4/Patient/1/$everything?_count=2&x=%2F%24y")),
    (Get, "fhir/R4/Patient/1/$summary", Sent("GET /fhir/R4/Patient/1/$summary")),
    (Get, "fhir/R4/CodeSystem/$lookup?code=a", Sent("GET /fhir/R4/CodeSystem/$lookup?code=a")),
    (Get, "fhir/R4/CodeSystem/1/$lookup?code=a", Sent("GET /fhir/R4/CodeSystem/1/$lookup?code=a")),
    (Get, "fhir/R4/CodeSystem/$subsumes", Sent("GET /fhir/R4/CodeSystem/$subsumes")),
    (Get, "fhir/R4/ValueSet/$expand?url=http://x/y", Sent("GET /fhir/R4/ValueSet/$expand?url=http:%2F%2Fx%2Fy")),
    (Get, "fhir/R4/ValueSet/1/$validate-code", Sent("GET /fhir/R4/ValueSet/1/$validate-code")),
    (Get, "fhir/R4/ConceptMap/$translate", Sent("GET /fhir/R4/ConceptMap/$translate")),
    (Get, "fhir/R4/Patient/$csv", Sent("GET /fhir/R4/Patient/$csv")),
    (Get, "fhir/R4/Appointment/1/$graph", Sent("GET /fhir/R4/Appointment/1/$graph")),
    (Post, "fhir/R4/Patient/1/$everything", Sent("POST /fhir/R4/Patient/1/$everything")),
    (Post, "fhir/R4/Patient/_search", Sent("POST /fhir/R4/Patient/_search")),
    (Post, "fhir/R4/Patient/_search?name=a", Sent("POST /fhir/R4/Patient/_search")),
    // Reads beside the resources.
    (Get, "fhir/R4/$versions", Sent("GET /fhir/R4/$versions")),
    (Get, "fhir/R4/.well-known/smart-configuration", Sent("GET /fhir/R4/.well-known/smart-configuration")),
    (Get, "fhir/R4/job/1-a/status", Sent("GET /fhir/R4/job/1-a/status")),
    (Get, "auth/me", Sent("GET /auth/me")),
    (Get, "/auth/me", Sent("GET /auth/me")),
    (Get, "auth/me?x=/$y", Sent("GET /auth/me?x=%2F%24y")),
    (Get, "oauth2/userinfo", Sent("GET /oauth2/userinfo")),
    (Get, "healthcheck", Sent("GET /healthcheck")),
    (Get, "openapi.json", Sent("GET /openapi.json")),
    (Get, ".well-known/openid-configuration", Sent("GET /.well-known/openid-configuration")),
    (Get, ".well-known/jwks.json", Sent("GET /.well-known/jwks.json")),
    (Get, "admin/projects/1", Sent("GET /admin/projects/1")),
    (Get, "admin/projects/1/members/2", Sent("GET /admin/projects/1/members/2")),
    // Other methods change something.
    (Delete, "fhir/R4/Patient/1", Closed(Write)),
    (Delete, "fhir/R4/Patient", Closed(Write)),
    (Delete, "fhir/R4/Patient?name=a", Closed(Write)),
    (Delete, "fhir/R4/Patient/1/_history", Closed(Write)),
    (Delete, "fhir/R4/Patient/1/_history/2", Closed(Write)),
    (Delete, "fhir/R4/metadata", Closed(Write)),
    (Delete, "fhir/R4", Closed(Write)),
    (Delete, "auth/me", Closed(Run)),
    (Delete, "fhir/R4/job/1/status", Closed(Write)),
    (Delete, "fhir/R4/.well-known/x", Closed(Write)),
    (Post, "fhir/R4/Patient", Invalid),
    (Put, "fhir/R4/Patient/1", Invalid),
    (Patch, "fhir/R4/Patient/1", Closed(Write)),
    (Put, "fhir/R4/Patient", Closed(Write)),
    (Post, "fhir/R4/Patient/1", Closed(Write)),
    (Post, "fhir/R4/Patient/1/_history", Closed(Write)),
    (Post, "fhir/R4", Closed(Write)),
    (Post, "fhir/R4/_search", Closed(Write)),
    (Put, "fhir/R4/Patient/_search", Closed(Write)),
    (Post, "fhir/R4/metadata", Closed(Write)),
    (Post, "fhir/R4/job/1/status", Closed(Write)),
    (Post, "auth/me", Closed(Run)),
    (Post, "auth/login", Closed(Run)),
    (Post, "auth/changepassword", Closed(Run)),
    (Post, "oauth2/token", Closed(Run)),
    (Post, "oauth2/introspect", Closed(Run)),
    (Post, "admin/projects/1/invite", Closed(Run)),
    (Put, "admin/projects/1", Closed(Run)),
    (Patch, "admin/projects/1/members/2", Closed(Run)),
    (Post, ".well-known/openid-configuration", Closed(Run)),
    // A GET can act.
    (Get, "fhir/R4/Bot/1/$execute", Closed(Run)),
    (Get, "fhir/R4/Bot/1/$execute?x=1", Closed(Run)),
    (Get, "fhir/R4/Bot/1/%24execute", Closed(Run)),
    (Get, "fhir/R4/Bot/1/$%65xecute", Closed(Run)),
    (Get, "fhir/R4/Bot/1/$execute/any/path", Closed(Run)),
    (Get, "fhir/R4/Bot/1/$execute/_history", Closed(Run)),
    (Get, "fhir/R4/Bot/$execute?identifier=x", Closed(Run)),
    (Get, "fhir/R4/Bot/$execute", Closed(Run)),
    (Get, "fhir/R4/bot/1/$execute", Closed(Run)),
    (Get, "fhir/R4/BOT/1/$EXECUTE", Closed(Run)),
    (Get, "fhir/R4/Bot/1/$Execute", Closed(Run)),
    (Get, "fhir/R4/Bot/1/$deploy", Closed(Run)),
    (Get, "fhir/R4/$export", Closed(Run)),
    (Get, "fhir/R4/Patient/$export", Closed(Run)),
    (Get, "fhir/R4/Group/1/$export", Closed(Run)),
    (Get, "fhir/R4/Agent/1/$upgrade", Closed(Run)),
    (Get, "fhir/R4/Agent/$upgrade", Closed(Run)),
    (Get, "fhir/R4/Agent/1/$reload-config", Closed(Run)),
    (Get, "fhir/R4/Agent/$bulk-status", Closed(Run)),
    (Get, "fhir/R4/Subscription/1/$get-ws-binding-token", Closed(Run)),
    (Get, "fhir/R4/Project/1/$init", Closed(Run)),
    (Get, "oauth2/logout", Closed(Run)),
    (Get, "oauth2/authorize", Closed(Run)),
    (Get, "oauth2/userinfo/x", Closed(Run)),
    (Get, "auth/logout", Closed(Run)),
    (Get, "auth/me/x", Closed(Run)),
    (Get, "auth", Closed(Run)),
    (Get, "admin/super/reindex", Closed(Run)),
    (Get, "admin/projects", Closed(Run)),
    (Get, "admin/projects/1/invite", Closed(Run)),
    (Get, "admin/projects/1/bot", Closed(Run)),
    (Get, "admin/projects/1/members", Closed(Run)),
    (Get, "admin/projects/1/members/2/x", Closed(Run)),
    (Get, "fhircast/STU3/x", Closed(Run)),
    (Get, "keyvalue/v1/x", Closed(Run)),
    (Get, "storage/1", Closed(Run)),
    (Get, "mcp/stream", Closed(Run)),
    (Get, "dicom/PS3/studies", Closed(Run)),
    (Get, "cds-services", Closed(Run)),
    (Get, "$execute", Invalid),
    (Get, ".well-known", Closed(Run)),
    (Get, ".well-known/$x", Closed(Run)),
    // Any name that Medplum does not route itself may be a bot.
    (Get, "fhir/R4/Patient/$my-op", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$my-op", Closed(Run)),
    (Get, "fhir/R4/$my-op", Closed(Run)),
    (Get, "fhir/R4/Patient/$match", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$meta", Closed(Run)),
    (Get, "fhir/R4/Composition/1/$document", Closed(Run)),
    (Get, "fhir/R4/Patient/$everything", Closed(Run)),
    (Get, "fhir/R4/Encounter/1/$everything", Closed(Run)),
    (Get, "fhir/R4/PATIENT/1/$everything", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$Everything", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$everything/x", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$everything/$execute", Closed(Run)),
    (Get, "fhir/R4/Patient/1/x/$everything", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$$everything", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$", Closed(Run)),
    (Get, "fhir/R4/Patient/$", Closed(Run)),
    (Get, "fhir/R4/$", Closed(Run)),
    (Get, "fhir/R4/Patient/1$everything", Closed(Run)),
    (Get, "fhir/R4/Patient$csv", Closed(Run)),
    (Get, "fhir/R4/ValueSet/1/$expand", Closed(Run)),
    (Get, "fhir/R4/Patient/$validate", Closed(Run)),
    (Get, "fhir/R4/Patient/1/$csv", Closed(Run)),
    (Get, "fhir/R4/$csv", Closed(Run)),
    (Get, "fhir/R4/Patient/$graph", Closed(Run)),
    (Get, "fhir/R4/$graphql", Closed(Run)),
    (Get, "fhir/R4/$graphql?query={PatientList{id}}", Closed(Run)),
    (Get, "fhir/R4/$versions/x", Closed(Run)),
    (Get, "fhir/R4/Patient/$versions", Closed(Run)),
    (Post, "fhir/R4/$versions", Closed(Run)),
    (Post, "fhir/R4/Patient/1/$my-op", Closed(Run)),
    (Post, "fhir/R4/Patient/$csv", Closed(Run)),
    (Post, "fhir/R4/Appointment/1/$graph", Closed(Run)),
    (Put, "fhir/R4/Patient/1/$everything", Closed(Run)),
    (Delete, "fhir/R4/Patient/1/$everything", Closed(Run)),
    (Patch, "fhir/R4/CodeSystem/$lookup", Closed(Run)),
    (Delete, "fhir/R4/Bot/1/$execute", Closed(Run)),
    (Get, "fhir/R4/.well-known/$execute", Closed(Run)),
    (Get, "fhir/R4/job/$x/status", Closed(Run)),
    // Not under the FHIR base as it is written: case, doubling, versions.
    (Get, "FHIR/r4/Patient", Invalid),
    (Get, "fhir/r4/Patient", Invalid),
    (Get, "Fhir/R4/metadata", Invalid),
    (Get, "fhir/R5/Patient", Invalid),
    (Get, "fhir/Patient", Invalid),
    (Get, "fhir", Closed(Run)),
    (Get, "Patient/1", Invalid),
    (Get, "fhir/R4x/Patient", Closed(Run)),
    (Get, "AUTH/me", Closed(Run)),
    (Get, "Healthcheck", Closed(Run)),
    // Under it, and no interaction.
    (Get, "fhir/R4", Closed(Write)),
    (Get, "fhir/R4/", Closed(Write)),
    (Get, "fhir/R4/?", Closed(Write)),
    (Get, "fhir/R4?_TYPE=Patient", Closed(Write)),
    (Get, "fhir/R4/patient", Closed(Write)),
    (Get, "fhir/R4/P", Closed(Write)),
    (Get, "fhir/R4/Metadata/x/y", Closed(Write)),
    (Get, "fhir/R4/Patient_x/1", Closed(Write)),
    (Get, "fhir/R4/_history", Closed(Write)),
    (Get, "fhir/R4/Patient/_history", Closed(Write)),
    (Get, "fhir/R4/Patient/_search", Closed(Write)),
    (Get, "fhir/R4/Patient/1/Observation", Closed(Write)),
    (Get, "fhir/R4/Patient/1/_history/2/3", Closed(Write)),
    (Get, "fhir/R4/Patient/1_2", Closed(Write)),
    (Get, "fhir/R4/job/1", Closed(Write)),
    (Get, "fhir/R4/job/1/cancel", Closed(Write)),
    (Get, "fhir/R4/job/1/status/x", Closed(Write)),
    (Get, "fhir/R4/.well-known", Closed(Write)),
    (Get, "fhir/R4/fhir/R4/Patient", Closed(Write)),
    (Get, "fhir/R4/Patient/12345678901234567890123456789012345678901234567890123456789012345", Closed(Write)),
    // What could be read in two ways is not read at all.
    (Get, "", Invalid),
    (Get, "/", Invalid),
    (Get, "?", Invalid),
    (Get, "?_type=Patient", Invalid),
    (Get, "//", Invalid),
    (Get, "//fhir/R4/Patient", Invalid),
    (Get, "//evil.example/fhir/R4/Patient", Invalid),
    (Get, "///evil.example", Invalid),
    (Get, "/\\evil.example/x", Invalid),
    (Get, "https://evil.example/fhir/R4/Patient", Invalid),
    (Get, "http:/fhir/R4/Patient", Invalid),
    (Get, "HTTPS:fhir/R4/Patient", Invalid),
    (Get, "user:pass@h/fhir/R4/Patient", Invalid),
    (Get, "user@h/fhir/R4/Patient", Invalid),
    (Get, "fhir/R4/Patient#/../$execute", Invalid),
    (Get, "fhir/R4/Patient/1#x", Invalid),
    (Get, "fhir//R4/Patient", Invalid),
    (Get, "fhir/R4//Patient", Invalid),
    (Get, "fhir/R4/Patient//1", Invalid),
    (Get, "fhir/R4/Patient/", Invalid),
    (Get, "fhir/R4/Patient/1/", Invalid),
    (Get, "fhir/R4//", Invalid),
    (Get, "fhir/R4/Patient/1/$everything/", Invalid),
    (Get, "fhir/R4/Patient/.", Invalid),
    (Get, "fhir/R4/Patient/..", Invalid),
    (Get, "fhir/R4/./Patient", Invalid),
    (Get, "fhir/R4/../../oauth2/logout", Invalid),
    (Get, "fhir/R4/Patient/../Bot/1/$execute", Invalid),
    (Get, "fhir/R4/Patient/1/$everything/../$execute", Invalid),
    (Get, "../fhir/R4/Patient", Invalid),
    (Get, "fhir/R4/%2e%2e/admin", Invalid),
    (Get, "fhir/R4/.%2e/admin", Invalid),
    (Get, "fhir/R4/%2E/Patient", Invalid),
    (Get, "fhir/R4/%252e%252e/admin", Invalid),
    (Get, "fhir/R4/Patient%2F1", Invalid),
    (Get, "fhir%2FR4%2FPatient", Invalid),
    (Get, "fhir/R4/Bot%2F1%2F$execute", Invalid),
    (Get, "fhir/R4/Patient/1%2F$execute", Invalid),
    (Get, "fhir/R4/Patient%5C1", Invalid),
    (Get, "fhir\\R4\\Patient", Invalid),
    (Get, "fhir/R4/Patient/1/%2524execute", Invalid),
    (Get, "fhir/R4/Patient/%00", Invalid),
    (Get, "fhir/R4/Patient/1%0d%0aX-Evil:1", Invalid),
    (Get, "fhir/R4/Patient/1\r\nX-Evil: 1", Invalid),
    (Get, "fhir/R4/Patient\t/1", Invalid),
    (Get, " fhir/R4/Patient", Invalid),
    (Get, "fhir/R4/Patient ", Invalid),
    (Get, "fhir/R4/Patient%20", Invalid),
    (Get, "fhir/R4/Patient/1;x=/$execute", Invalid),
    (Get, "fhir/R4/Patient;jsessionid=1", Invalid),
    (Get, "fhir/R4/Patient,Bot", Invalid),
    (Get, "fhir/R4/Patient/*", Invalid),
    (Get, "fhir/R4/Patient/1|2", Invalid),
    (Get, "fhir/R4/(Patient)", Invalid),
    (Get, "fhir/R4/Patient/{id}", Invalid),
    (Get, "fhir/R4/Patient/1&x=1", Invalid),
    (Get, "fhir/R4/Patient=1", Invalid),
    (Get, "fhir/R4/Pati\u{eb}nt", Invalid),
    (Get, "fhir/R4/Patient/\u{ff0e}\u{ff0e}/x", Invalid),
    (Get, "fhir/R4\u{2215}Patient", Invalid),
    (Get, "fhir/R4/Patient/\u{ff04}execute", Invalid),
    (Get, "\u{feff}fhir/R4/Patient", Invalid),
    (Get, "fhir/R4/Patient/1\u{200b}", Invalid),
    (Get, "fhir/R4/Patient/%c0%ae%c0%ae", Invalid),
    (Get, "fhir/R4/Patient/%ff", Invalid),
    (Get, "fhir/R4/Patient/%", Invalid),
    (Get, "fhir/R4/Patient/%4", Invalid),
    (Get, "fhir/R4/Patient/%u0024execute", Invalid),
    (Get, "fhir/R4/Patient?name=%", Invalid),
    (Get, "fhir/R4/Patient?name=%zz", Invalid),
    (Get, "fhir/R4/Patient?name=%ff", Invalid),
    (Get, "fhir/R4/Patient?name=a%0d%0aX-Evil:1", Invalid),
    (Get, "fhir/R4/Patient?name=%00", Invalid),
];

#[tokio::test]
async fn paths() {
    assert!(PATHS.len() >= 150, "{} rows", PATHS.len());
    let (server, client) = reader().await;
    for (method, path, expected) in PATHS {
        check(&server, &client, &format!("{} {path:?}", method.as_str()), recognise(*method, path, None), expected)
            .await;
    }
}

/// Paths with a body, as JSON text.
#[rustfmt::skip]
const BODIES: &[(Method, &str, &str, Is)] = &[
    (Post, "fhir/R4/Patient/$validate", r#"{"resourceType":"Patient"}"#, Sent("POST /fhir/R4/Patient/$validate")),
    (Post, "fhir/R4/ValueSet/$expand", r#"{"resourceType":"Parameters"}"#, Sent("POST /fhir/R4/ValueSet/$expand")),
    (Post, "fhir/R4/CodeSystem/1/$lookup", r#"{"resourceType":"Parameters"}"#, Sent("POST /fhir/R4/CodeSystem/1/$lookup")),
    (Post, "fhir/R4/Patient/_search", r#"{"name":"/$x","_count":1,"gender":["a","b"]}"#, Sent("POST /fhir/R4/Patient/_search")),
    (Post, "fhir/R4/$graphql", r#"{"query":"{ PatientList { id } }"}"#, Sent("POST /fhir/R4/$graphql")),
    (Post, "fhir/R4/%24graphql", r#"{"query":"{ PatientList { id } }"}"#, Sent("POST /fhir/R4/$graphql")),
    (Post, "fhir/R4", r#"{"type":"batch","entry":[{"request":{"method":"GET","url":"Patient/1"}}]}"#, Sent("POST /fhir/R4")),
    (Post, "fhir/R4/", r#"{"type":"batch","entry":[{"request":{"method":"GET","url":"Patient/1"}}]}"#, Sent("POST /fhir/R4")),
    (Post, "fhir/R4/$graphql", r#"{"query":"mutation { PatientDelete(id: \"1\") { id } }"}"#, Closed(Write)),
    (Post, "fhir/R4/$graphql?x=1", r#"{"query":"mutation { PatientDelete(id: \"1\") { id } }"}"#, Closed(Write)),
    (Post, "fhir/R4/$graphql", r#"{"query":1}"#, Invalid),
    (Post, "fhir/R4/$graphql", r#"[{"query":"{ PatientList { id } }"}]"#, Invalid),
    (Post, "fhir/R4/$graphql", r#"{"query":"{ PatientList { id } }","variables":[]}"#, Invalid),
    (Post, "fhir/R4/$graphql", r#"{"query":"{ PatientList { id } }","operationName":{}}"#, Invalid),
    // The last of two keys counts, and it alone is sent.
    (Post, "fhir/R4/$graphql", r#"{"query":"{ a }","query":"mutation { b }"}"#, Closed(Write)),
    (Post, "fhir/R4/$graphql", r#"{"query":"mutation { b }","query":"{ a }"}"#, Sent("POST /fhir/R4/$graphql")),
    (Post, "fhir/R4/Patient/$graphql", r#"{"query":"{ PatientList { id } }"}"#, Closed(Run)),
    (Put, "fhir/R4/$graphql", r#"{"query":"{ PatientList { id } }"}"#, Closed(Run)),
    (Post, "graphql", r#"{"query":"{ PatientList { id } }"}"#, Closed(Run)),
    (Post, "fhir/R4/Patient", r#"{"resourceType":"Patient"}"#, Closed(Write)),
    (Post, "fhir/R4/Patient?_method=GET", r#"{"resourceType":"Patient"}"#, Closed(Write)),
    (Post, "fhir/R4/Patient", r#"{"resourceType":"Bot"}"#, Invalid),
    (Post, "fhir/R4/Patient", r#"{}"#, Invalid),
    (Post, "fhir/R4/Patient", r#""GET""#, Invalid),
    (Put, "fhir/R4/Patient/1", r#"{"resourceType":"Patient","id":"1"}"#, Closed(Write)),
    (Put, "fhir/R4/Patient/1", r#"{"resourceType":"Patient","id":"2"}"#, Invalid),
    (Put, "fhir/R4/Patient?identifier=1", r#"{"resourceType":"Patient"}"#, Closed(Write)),
    (Patch, "fhir/R4/Patient/1", r#"[{"op":"test","path":"/id","value":"1"}]"#, Closed(Write)),
    (Patch, "fhir/R4/Patient/1", r#"[]"#, Invalid),
    (Patch, "fhir/R4/Patient?name=a", r#"[{"op":"remove","path":"/name"}]"#, Closed(Write)),
    (Patch, "fhir/R4/Patient/1", r#"{"resourceType":"Parameters"}"#, Closed(Write)),
    // A GET with a body is no read that anybody means.
    (Get, "fhir/R4/Patient/1", r#"{}"#, Invalid),
    (Get, "fhir/R4/Patient", r#"{"name":"a"}"#, Invalid),
    (Get, "fhir/R4/metadata", r#"{}"#, Invalid),
    (Get, "fhir/R4/Patient/1/$everything", r#"{}"#, Invalid),
    (Get, "fhir/R4/$versions", r#"{}"#, Invalid),
    (Get, "auth/me", r#"{}"#, Closed(Run)),
    (Delete, "fhir/R4/Patient/1", r#"{}"#, Closed(Write)),
    (Post, "fhir/R4/Patient/_search", r#"{"resourceType":"Patient"}"#, Invalid),
    (Post, "fhir/R4/Patient/_search", r#"{"name":{"$ne":""}}"#, Invalid),
    (Post, "fhir/R4/Patient/_search", r#"[]"#, Invalid),
    (Post, "fhir/R4/Patient/_search", r#"{"name":"a\u0000b"}"#, Invalid),
    (Post, "fhir/R4/Patient/_search", r#"{"name":[["a"]]}"#, Invalid),
    (Post, "fhir/R4/Patient/_search/x", r#"{"name":"a"}"#, Closed(Write)),
    (Post, "fhir/R4/patient/_search", r#"{"name":"a"}"#, Closed(Write)),
    (Post, "fhir/R4/Patient/1/$validate", r#"{"resourceType":"Patient"}"#, Closed(Run)),
    (Post, "fhir/R4/$validate", r#"{"resourceType":"Patient"}"#, Closed(Run)),
    (Post, "fhir/R4/Bot/1/$execute", r#"{}"#, Closed(Run)),
    (Post, "fhir/R4/Bot/1/$deploy", r#"{"code":"x"}"#, Closed(Run)),
    (Post, "fhir/R4/CodeSystem/$import", r#"{}"#, Closed(Run)),
    (Post, "fhir/R4?x=1", r#"{"type":"batch","entry":[]}"#, Closed(Write)),
    (Put, "fhir/R4", r#"{"type":"batch","entry":[]}"#, Closed(Write)),
    (Post, "fhir/R4/$batch", r#"{"type":"batch","entry":[]}"#, Closed(Run)),
    (Post, "fhir/R4", r#"[]"#, Invalid),
    (Post, "fhir/R4", r#"{"type":"searchset"}"#, Invalid),
];

#[tokio::test]
async fn paths_with_a_body() {
    let (server, client) = reader().await;
    for (method, path, body, expected) in BODIES {
        let what = format!("{} {path} {body}", method.as_str());
        let body = serde_json::from_str(body).unwrap();
        check(&server, &client, &what, recognise(*method, path, Some(body)), expected).await;
    }
}

/// Parameters that come beside the path are as good as those in it.
#[tokio::test]
async fn parameters_beside_the_path() {
    let (server, client) = reader().await;
    let more = Query::new().with("x", "/$my-op").with("a\r\nb", "\0");
    let interaction = Interaction::from_path(&FhirPath::default(), Get, "fhir/R4/Patient/1?y=1", more, None).unwrap();
    client.send(&call(), &interaction).await.unwrap();
    assert_eq!(server.lines(), ["GET /Patient/1?y=1&x=%2F%24my-op&a%0D%0Ab=%00"]);
}

/// A search too long for a URL is posted; one of several types has no path to post to.
#[tokio::test]
async fn searches_by_get_and_by_post() {
    let (server, client) = reader().await;
    let long = Query::new().with("_id", "1,".repeat(4_000));
    for (resource_type, query, by_post) in [
        (Some("Patient"), Query::new().with("name", "a"), false),
        (Some("Patient"), Query::new().with("name", "a"), true),
        (Some("Patient"), long.clone(), false),
        (None, Query::new().with("_type", "Patient"), true),
        (None, long.clone().with("_type", "Patient"), false),
    ] {
        let resource_type = resource_type.map(|t| t.parse().unwrap());
        let search = Interaction::Search(Search { resource_type, query, by_post });
        client.send(&call(), &search).await.unwrap();
    }
    let sent = server.requests();
    let lines: Vec<String> = sent.iter().map(|r| format!("{} {}", r.method, r.path())).collect();
    let expected = ["GET Patient", "POST Patient/_search", "POST Patient/_search", "GET ", "GET "];
    assert_eq!(lines, expected.map(|line| line.replace(' ', " /fhir/R4/")));
    assert_eq!(sent[1].text(), "name=a");
    assert_eq!(pairs(&sent[2].text()), pairs(&long.encode()));
}

// GraphQL.

#[rustfmt::skip]
const DOCUMENTS: &[(&str, Is)] = &[
    ("{ PatientList { id } }", Sent("")),
    ("query { PatientList { id } }", Sent("")),
    ("query Q($n: String = \"mutation {\") @skip(if: false) { PatientList(name: $n) { id } }", Sent("")),
    ("query A { PatientList { id } } query B { Patient(id: \"1\") { id } }", Sent("")),
    ("{ ...F } fragment F on Query { PatientList { id } }", Sent("")),
    ("{ ... on Query @include(if: true) { mutation: PatientList { id } } }", Sent("")),
    ("{ mutation { id } }", Sent("")),
    ("{ a(x: \"\\u007d mutation { PatientDelete }\") }", Sent("")),
    ("{ a(x: \"\"\"} mutation { b } \\\"\"\" \" \"\"\") }", Sent("")),
    ("# mutation\n{ PatientList { id } }", Sent("")),
    ("{ a(list: [1, 2.5e3, ENUM, $v, {k: null}]) }", Sent("")),
    ("mutation { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("mutation M { a: PatientCreate(res: {resourceType: \"Patient\"}) { id } }", Closed(Write)),
    ("query A { PatientList { id } } mutation B { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("mutation B { PatientDelete(id: \"1\") { id } } query A { PatientList { id } }", Closed(Write)),
    ("{ PatientList { id } } mutation { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("subscription { PatientList { id } }", Closed(Write)),
    ("query A { a } subscription B { b }", Closed(Write)),
    ("# {\nmutation { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("# query\rmutation { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("\u{feff}mutation { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    (",,,mutation,,,{,,,PatientDelete(id: \"1\"),{,id,}}", Closed(Write)),
    ("mutation @skip(if: false) { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("mutation query { PatientDelete(id: \"1\") { id } }", Closed(Write)),
    ("", Invalid),
    ("   ", Invalid),
    ("# nothing", Invalid),
    ("{", Invalid),
    ("{ }", Invalid),
    ("Mutation { a }", Invalid),
    ("mut\\u0061tion { a }", Invalid),
    ("query { a } }", Invalid),
    ("fragment F on Query { PatientList { id } }", Invalid),
    ("type Query { a: Int }", Invalid),
    ("extend type Mutation { a: Int } { a }", Invalid),
    ("schema { query: Mutation } { a }", Invalid),
    ("directive @x on QUERY { a }", Invalid),
    ("{ a } \u{0}", Invalid),
    ("{ a(x: \"unclosed) }", Invalid),
];

#[tokio::test]
async fn graphql_documents() {
    let (server, client) = reader().await;
    for (document, expected) in DOCUMENTS {
        for operation_name in [None, Some("A"), Some("B")] {
            let parsed = GraphQl::parse(document, None, operation_name.map(str::to_owned));
            let expected = match expected {
                Sent(_) => &Sent("POST /fhir/R4/$graphql"),
                other => other,
            };
            let request = parsed.map(Interaction::GraphQl).map_err(Error::from);
            check(&server, &client, &format!("{document:?}"), request, expected).await;
        }
    }
    for request in server.requests() {
        let sent = request.json();
        assert!(only_queries(sent["query"].as_str().unwrap()), "{sent}");
    }
}

// Bundles.

/// Entries that read: what is asked, and the URL that is sent.
#[rustfmt::skip]
const READING_ENTRIES: &[(&str, &str)] = &[
    ("Patient/1", "Patient/1"),
    ("/Patient/1", "Patient/1"),
    ("Patient", "Patient"),
    ("Patient?", "Patient"),
    ("Patient?name=/$my-op", "Patient?name=%2F%24my-op"),
    ("Patient/1/_history", "Patient/1/_history"),
    ("Patient/1/_history/2", "Patient/1/_history/2"),
    ("Patient/1/$everything?_count=2", "Patient/1/$everything?_count=2"),
    ("%50atient/1", "Patient/1"),
    ("metadata", "metadata"),
    ("CodeSystem/$lookup?code=a", "CodeSystem/$lookup?code=a"),
    ("?_type=Patient,Practitioner", "?_type=Patient,Practitioner"),
    ("/?_type=Patient&name=/$my-op", "?_type=Patient&name=%2F%24my-op"),
];

/// URLs of GET entries that are refused.
#[rustfmt::skip]
const REFUSED_ENTRIES: &[&str] = &[
    "", "/", "?", "//", "//x", "//evil.example/x", "?name=x", "??_type=Patient", "//?_type=Patient", "Patient//1", "Patient/", "Patient/1/",
    "Patient/../Bot/1/$execute", "Patient/1/$everything/../x", "Patient/1/$everything/..", "./Patient/1", "..",
    "https://h.example/fhir/R4/Patient/1", "http://127.0.0.1/fhir/R4/Patient/1",
    "urn:uuid:11111111-1111-4111-8111-111111111111", "Patient/urn:uuid:1", "Bot/1/$execute", "Bot/1/%24execute",
    "Bot/$execute?identifier=x", "Patient/$my-op", "$export", "$graphql", "Patient/1/$everything/x", "Patient%2F1",
    "Patient\\1", "Patient#x", "Patient/1;x", "fhir/R4/Patient/1", "auth/me", "oauth2/logout", "patient/1",
    "Patient/_search", "_history", "Patient/1 ", " Patient/1", "Patient/1\n", "Patient/%00", "Patient/%",
];

#[tokio::test]
async fn bundles_of_reads_pass_and_are_rebuilt() {
    let (server, client) = reader().await;
    for kind in ["batch", "transaction"] {
        for (url, expected) in READING_ENTRIES {
            let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [entry("GET", url)]});
            let batch = Interaction::Batch(Batch::parse(&bundle).unwrap());
            client.send(&call(), &batch).await.unwrap_or_else(|error| panic!("{url}: {error}"));
            let last = server.requests().pop().unwrap();
            assert_eq!(last.line(), "POST /fhir/R4");
            assert_eq!(last.json(), json!({"resourceType": "Bundle", "type": kind, "entry": [entry("GET", expected)]}));
        }
    }
}

#[tokio::test]
async fn bundles_with_anything_else_do_not() {
    let (server, client) = reader().await;
    let patient = json!({"resourceType": "Patient", "id": "1"});
    let huge = json!({"resourceType": "Patient", "text": "x".repeat(3_000_000)});
    let graphql = |query: &str| with(entry("POST", "$graphql"), "resource", json!({"query": query}));
    let mut entries: Vec<Value> = REFUSED_ENTRIES.iter().map(|url| entry("GET", url)).collect();
    entries.extend([
        with(entry("POST", "Patient"), "resource", patient.clone()),
        with(entry("POST", "Patient"), "resource", huge.clone()),
        with(entry("GET", "Patient/1"), "resource", huge),
        with(entry("PUT", "Patient/1"), "resource", patient.clone()),
        with(entry("PUT", "Patient?identifier=1"), "resource", patient.clone()),
        entry("DELETE", "Patient/1"),
        entry("DELETE", "Patient?name=a"),
        entry("PATCH", "Patient/1"),
        entry("HEAD", "Bot/1/$execute"),
        entry("get", "Patient/1"),
        entry("Get", "Patient/1"),
        entry("", "Patient/1"),
        entry("OPTIONS", "Patient"),
        graphql("mutation { PatientDelete(id: \"1\") { id } }"),
        graphql("{ a } mutation { b }"),
        graphql(""),
        with(entry("POST", ""), "resource", json!({"resourceType": "Bundle", "type": "batch", "entry": []})),
        with(entry("POST", "Patient/$my-op"), "resource", json!({})),
        json!({}),
        json!({"request": null}),
        json!({"request": {"method": "GET"}}),
        json!({"request": {"url": "Patient/1"}}),
        json!({"request": {"method": ["GET"], "url": "Patient/1"}}),
        json!({"request": {"method": "GET", "url": ["Patient/1"]}}),
        json!({"request": {"method": "GET", "url": "Patient/1", "_method": "DELETE"}}),
        json!({"request": {"method": "GET", "url": "Patient/1", "ifMatch": 1}}),
        json!({"request": {"method": "GET", "url": "Patient/1"}, "search": {}}),
        json!({"request": {"method": "GET", "url": "Patient/1"}, "link": []}),
        json!("GET Patient/1"),
        Value::Null,
    ]);
    for entry in entries {
        let what = entry.to_string().chars().take(120).collect::<String>();
        // Alone, and hidden among reads.
        for list in [vec![entry.clone()], vec![super_read(), entry.clone(), super_read()]] {
            let bundle = json!({"type": "batch", "entry": list});
            let result = match Batch::parse(&bundle) {
                Err(error) => Err(Error::from(error)),
                Ok(batch) => client.send(&call(), &Interaction::Batch(batch)).await,
            };
            assert!(matches!(result, Err(Error::Invalid(_) | Error::Refused(_))), "{what}: {result:?}");
            assert_eq!(server.requests().len(), 0, "{what} reached the server");
        }
    }
    for bundle in [
        json!({"resourceType": "Patient", "type": "batch"}),
        json!({"resourceType": ["Bundle"], "type": "batch"}),
        json!({"type": "message", "entry": []}),
        json!({"type": "batch", "entry": {}}),
        json!({"type": "batch", "entry": [], "link": []}),
        json!({"entry": []}),
        json!([]),
        json!(null),
    ] {
        assert!(Batch::parse(&bundle).is_err(), "{bundle}");
    }
}

fn super_read() -> Value {
    entry("GET", "Patient/1")
}

#[test]
fn a_bundles_version_condition_is_one_that_medplum_heeds() {
    let bundle = |if_match: &str| json!({"type": "batch", "entry": [{"request": {"method": "PUT", "url": "Patient/1", "ifMatch": if_match}, "resource": {"resourceType": "Patient", "id": "1"}}]});
    for heeded in ["W/\"v1\"", "\"v1\""] {
        assert!(Batch::parse(&bundle(heeded)).is_ok(), "{heeded}");
    }
    // Without quotes Medplum ignores it, and overwrites what it should have protected.
    for ignored in ["v1", "W/v1", "*", "", "\"\"", "W/\"v1"] {
        let error = Batch::parse(&bundle(ignored)).unwrap_err().to_string();
        assert!(error.contains("ifMatch") && error.contains("W/\""), "{ignored}: {error}");
    }
    for method in ["PATCH", "DELETE", "GET"] {
        let request = json!({"method": method, "url": "Patient/1", "ifMatch": "W/\"v1\""});
        let error = Batch::parse(&json!({"type": "batch", "entry": [{"request": request}]})).unwrap_err().to_string();
        assert!(error.contains("on a PUT alone"), "{method}: {error}");
    }
}

/// Whether a bot is bound to an operation's name is asked before it, and remembered on whose behalf it was.
#[tokio::test]
async fn a_bot_is_looked_for_before_an_operation() {
    let server = Server::new(|request| match request.method.as_str() {
        "POST" => Answer::patient(),
        _ => Answer::fhir(200, json!({"resourceType": "Parameters"})),
    })
    .await;
    let clock = FakeClock::new();
    let client = server.client_at(&clock);
    let lookup = || recognise(Get, "fhir/R4/CodeSystem/$lookup?code=a", None).unwrap();
    let ask = async |call: &Call| client.send(call, &lookup()).await.unwrap();
    let member = Call::on_behalf_of(Some(Membership::parse(MEMBER).unwrap()));
    ask(&call()).await;
    ask(&call()).await;
    assert_eq!(server.looks(), ["lookup"]);
    ask(&member).await;
    ask(&member).await;
    assert_eq!(server.looks().len(), 2, "another may see other definitions");
    clock.advance(Duration::from_secs(299));
    ask(&call()).await;
    assert_eq!(server.looks().len(), 2);
    clock.advance(Duration::from_secs(1));
    ask(&call()).await;
    assert_eq!(server.looks().len(), 3, "five minutes later");
    client.send(&call(), &create_patient()).await.unwrap();
    ask(&call()).await;
    assert_eq!(server.looks().len(), 4, "what was written may have bound one");
}

#[tokio::test]
async fn what_was_found_before_a_write_is_not_kept_behind_it() {
    let (answer, held) = tokio::sync::watch::channel(false);
    let no_bot = || Answer::fhir(200, json!({"resourceType": "Bundle", "type": "searchset"}));
    let server = Server::with_looks(
        move |look| if look.nth == 0 { Answer::Once(held.clone(), Box::new(no_bot())) } else { no_bot() },
        |request| match request.method.as_str() {
            "POST" => Answer::patient(),
            _ => Answer::fhir(200, json!({"resourceType": "Parameters"})),
        },
    )
    .await;
    let client = server.client();
    let lookup = recognise(Get, "fhir/R4/CodeSystem/$lookup?code=a", None).unwrap();
    let (call, asked) = (call(), async {
        while server.looks().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.send(&Call::default(), &create_patient()).await.unwrap();
        answer.send(true).unwrap();
    });
    let (first, ()) = tokio::join!(client.send(&call, &lookup), asked);
    first.unwrap();
    client.send(&call, &lookup).await.unwrap();
    assert_eq!(server.looks().len(), 2, "what was written meanwhile may have bound one");
}

#[tokio::test]
async fn an_operation_that_is_no_read_is_not_looked_at() {
    let server = Server::with_looks(|_| Answer::outcome(500, None, "exception", "x"), |_| Answer::patient()).await;
    let custom = recognise(Post, "fhir/R4/Patient/$my-op", None).unwrap();
    server.client().send(&call(), &custom).await.unwrap();
    assert_eq!(server.looks(), [] as [String; 0]);
    let lookup = recognise(Get, "fhir/R4/CodeSystem/$lookup?code=a", None).unwrap();
    server.client().send(&call(), &lookup).await.unwrap_err();
    assert_eq!(server.lines(), ["POST /Patient/$my-op"]);
}
