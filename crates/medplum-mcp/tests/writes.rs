//! Every way to write, with something that must not be stored: it is refused in words that teach, and no write reaches
//! the API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use medplum_client::{Client, Config, Credentials};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::Limits;
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

struct World {
    sandbox: Sandbox,
    server: Server,
    patient: String,
}

impl World {
    async fn start() -> Self {
        let sandbox = Sandbox::builder().record_requests().start_on_thread().unwrap();
        let limits = Limits { writes: true, ..Limits::default() };
        let base = medplum_client::BaseUrl::parse(sandbox.base_url(), false).unwrap();
        let secret = sandbox.client_secret().into();
        let config = Config::new(base, Credentials::Client { id: sandbox.client_id().into(), secret });
        let server = Server::new(Client::new(config, Policy::new(limits.clone())), limits).unwrap();
        let mut world = Self { sandbox, server, patient: String::new() };
        let (blocks, _) = world.call("search_one", json!({"resource_type": "Patient", "sort": "birthdate"})).await;
        let patient: Value = serde_json::from_str(&blocks[0]).unwrap();
        world.patient = patient["id"].as_str().unwrap().to_owned();
        world
    }

    async fn call(&self, tool: &str, arguments: Value) -> (Vec<String>, bool) {
        let result = self.server.call(tool, arguments.as_object().unwrap().clone()).await;
        let texts = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.clone());
        (texts.collect(), result.is_error == Some(true))
    }

    /// The call is refused in these words, and nothing that writes reached the API.
    async fn refused(&self, tool: &str, arguments: Value, says: &str) {
        self.sandbox.clear_requests();
        let (blocks, failed) = self.call(tool, arguments.clone()).await;
        assert!(failed, "{tool} {arguments} passed: {blocks:?}");
        assert!(blocks[0].contains(says), "{tool} {arguments}\n  said: {}\n  not: {says}", blocks[0]);
        for request in self.sandbox.requests() {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let looks_up = request.path_and_query.ends_with("/oauth2/token")
                || (request.path_and_query == "/fhir/R4"
                    && !["\"POST\"", "\"PUT\"", "\"PATCH\"", "\"DELETE\""].iter().any(|m| body.contains(m)));
            assert!(
                request.method == "GET" || looks_up,
                "{tool} {arguments} sent {} {}",
                request.method,
                request.path_and_query
            );
        }
    }
}

#[tokio::test]
async fn a_malformed_resource_is_written_by_no_way() {
    let world = World::start().await;
    let id = &world.patient;
    let bad = json!({"resourceType": "Patient", "gender": "bogus"});
    let bad_with_id = json!({"resourceType": "Patient", "id": id, "gender": "bogus"});
    let patch = json!([{"op": "add", "path": "/gender", "value": "bogus"}]);
    let off = "\"bogus\" is not one of male | female | other | unknown";
    let entry = |request: Value, resource: &Value| json!({"bundle": {"type": "batch", "entry": [{"request": request, "resource": resource}]}});

    world.refused("create_resource", json!({"resource": bad}), off).await;
    world
        .refused("create_resource_if_none_exist", json!({"resource": bad, "if_none_exist": "identifier=a|b"}), off)
        .await;
    world.refused("update_resource", json!({"resource": bad_with_id, "overwrite": true}), off).await;
    world
        .refused("patch_resource", json!({"resource_type": "Patient", "resource_id": id, "operations": patch}), off)
        .await;
    world.refused("raw_request", json!({"method": "POST", "path": "fhir/R4/Patient", "body": bad}), off).await;
    world
        .refused(
            "raw_request",
            json!({"method": "PUT", "path": format!("fhir/R4/Patient/{id}"), "body": bad_with_id}),
            off,
        )
        .await;
    world
        .refused("raw_request", json!({"method": "PATCH", "path": format!("fhir/R4/Patient/{id}"), "body": patch}), off)
        .await;
    world.refused("execute_batch", entry(json!({"method": "POST", "url": "Patient"}), &bad), off).await;
    world
        .refused("execute_batch", entry(json!({"method": "PUT", "url": format!("Patient/{id}")}), &bad_with_id), off)
        .await;

    // A query that means nothing does not take the look away.
    let unseen = "cannot be looked at before it is sent";
    for (method, path, body) in [
        ("PUT", format!("fhir/R4/Patient/{id}?x=1"), bad_with_id.clone()),
        ("PATCH", format!("fhir/R4/Patient/{id}?x=1"), patch.clone()),
        ("PUT", "fhir/R4/Patient?family:exakt=Smith".to_owned(), bad.clone()),
        ("POST", "fhir/R4/Patient?x=1".to_owned(), bad.clone()),
        ("PATCH", format!("fhir/R4/Patient/{id}"), json!({"resourceType": "Parameters"})),
    ] {
        world.refused("raw_request", json!({"method": method, "path": path, "body": body}), unseen).await;
    }
    world.refused("raw_request", json!({"method": "DELETE", "path": "fhir/R4/Patient?family:exakt=S"}), unseen).await;
    let fhirpath_patch = json!({"resourceType": "Parameters", "parameter": []});
    world
        .refused(
            "execute_batch",
            entry(json!({"method": "PATCH", "url": format!("Patient/{id}")}), &fhirpath_patch),
            unseen,
        )
        .await;
}

#[tokio::test]
async fn a_condition_is_a_search_and_looked_at_like_one() {
    let world = World::start().await;
    let good = json!({"resourceType": "Patient", "name": [{"family": "Quast"}]});
    for (condition, says) in [
        ("family:exakt=Quast", "family has no modifier \":exakt\""),
        ("familly=Quast", "no search parameter \"familly\""),
        ("identifier=", "a parameter has no value"),
        ("gender=%7C", "a parameter has no value"),
        ("family=%5C", "a parameter has no value"),
        ("identifier=http://h|1,|", "a parameter has no value"),
        ("_count=1&_type=Patient", "it is empty"),
        ("birthdate=1966-13", "birthdate"),
    ] {
        world
            .refused("create_resource_if_none_exist", json!({"resource": good, "if_none_exist": condition}), says)
            .await;
    }
}

#[tokio::test]
async fn a_patch_copies_no_secret_wipes_nothing_and_does_not_grow_without_end() {
    let world = World::start().await;
    let patch =
        |t: &str, id: &str, operations: Value| json!({"resource_type": t, "resource_id": id, "operations": operations});
    let client = world.sandbox.client_id();
    let copy = json!([{"op": "copy", "from": "/secret", "path": "/description"}]);
    world.refused("patch_resource", patch("ClientApplication", client, copy), "it would copy a secret").await;
    let wipe = json!([{"op": "replace", "path": "", "value": {"resourceType": "Patient"}}]);
    world.refused("patch_resource", patch("Patient", &world.patient, wipe), "use update_resource").await;
    let mut bomb = vec![json!({"op": "add", "path": "/extension", "value": [{"url": "a".repeat(1_000)}]})];
    bomb.extend((0..30).map(|n| json!({"op": "copy", "from": "", "path": format!("/x{n}")})));
    world.refused("patch_resource", patch("Patient", &world.patient, Value::Array(bomb)), "larger than the 1 MB").await;
}

#[tokio::test]
async fn a_reference_that_leads_nowhere_is_refused_unless_told_otherwise() {
    let world = World::start().await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let condition = json!({"resourceType": "Condition", "subject": {"reference": format!("Patient/{nobody}")}, "code": {"text": "Cough"}});
    world.refused("create_resource", json!({"resource": condition}), "does not exist in this project").await;
    let (blocks, failed) =
        world.call("create_resource", json!({"resource": condition, "check_references": false})).await;
    assert!(!failed, "{blocks:?}");
}

#[tokio::test]
async fn a_version_that_is_not_the_stored_one_is_not_overwritten_by_a_raw_put() {
    let world = World::start().await;
    let read = json!({"method": "GET", "path": format!("fhir/R4/Patient/{}", world.patient)});
    let (blocks, _) = world.call("raw_request", read).await;
    let mut old: Value = serde_json::from_str(&blocks[0]).unwrap();
    let operations = json!([{"op": "add", "path": "/language", "value": "de"}]);
    let patch = json!({"resource_type": "Patient", "resource_id": world.patient, "operations": operations});
    assert!(!world.call("patch_resource", patch).await.1);
    old["active"] = json!(false);
    let put = json!({"method": "PUT", "path": format!("fhir/R4/Patient/{}", world.patient), "body": old});
    let (blocks, failed) = world.call("raw_request", put).await;
    assert!(failed && blocks[0].contains("412"), "{blocks:?}");
}

#[tokio::test]
async fn a_cut_resource_in_a_bundle_is_marked_and_never_written_back() {
    let world = World::start().await;
    let photo = json!([{"contentType": "image/png", "data": "A".repeat(60_000)}]);
    let (blocks, _) =
        world.call("create_resource", json!({"resource": {"resourceType": "Patient", "photo": photo}})).await;
    let created: Value = serde_json::from_str(&blocks[0]).unwrap();
    let id = created["id"].as_str().unwrap();
    let batch = json!({"type": "batch", "entry": [{"request": {"method": "GET", "url": format!("Patient/{id}")}}]});
    let (blocks, _) = world.call("execute_batch", json!({"bundle": batch})).await;
    let answer: Value = serde_json::from_str(&blocks[0]).unwrap();
    let cut = &answer["entry"][0]["resource"];
    world.refused("update_resource", json!({"resource": cut}), "SUBSETTED").await;
}

#[tokio::test]
async fn a_table_of_secrets_is_not_given_out() {
    let world = World::start().await;
    for (tool, arguments) in [
        (
            "execute_operation",
            json!({"resource_type": "ClientApplication", "operation": "csv", "method": "GET", "params": {"_fields": "id,secret"}}),
        ),
        ("raw_request", json!({"method": "GET", "path": "fhir/R4/ClientApplication/$csv?_fields=id,secret"})),
    ] {
        world.refused(tool, arguments, "holds secrets").await;
    }
    for query in ["{ ClientApplicationList { x: secret } }", "{ LoginList { c: code } }", "{ JsonWebKeyList { k } }"] {
        world.refused("execute_graphql", json!({"query": query}), "is a secret").await;
    }
}
