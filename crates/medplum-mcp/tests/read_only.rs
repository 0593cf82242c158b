//! Read-only means that only what is provably a read leaves. Each row here is something that an agent could ask of a
//! read-only server, through its tools; **nothing** may reach the API, not even a request for a token, and the answer
//! says what is wrong or what opens it. Then the reads that must pass, with the very line that reached the API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use common::attempt::{Attempt, all_pass, all_refused, attempt, line};
use common::host::program;
use common::{Host, LISTED_BOT, MEMBERSHIP, NOBODY, PATIENT, Pipe, Says, Stub};
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

/// What opens writes.
const OPENS: &str = "MEDPLUM_ENABLE_WRITES=true";

/// What is said of a name that is none of Medplum's operations, or of a read that is called otherwise.
const NO_READ: &str = "is none of Medplum's reads";
/// What is said of a document that is not all queries.
const NO_QUERY: &str = "with writes open too";
/// What is said of a path that is no read, and nothing that writes could open.
const READS: &str = "under the FHIR base there are <Type>";
/// How a FHIR path is written.
const BASE: &str = "FHIR paths start with the FHIR base: fhir/R4/";

fn raw(method: &str, path: &str, says: &'static str) -> Attempt {
    attempt("raw_request", json!({"method": method, "path": path}), says)
}

fn raw_with(method: &str, path: &str, body: Value, says: &'static str) -> Attempt {
    attempt("raw_request", json!({"method": method, "path": path, "body": body}), says)
}

/// Raw requests that act, whatever their method says.
fn raw_requests() -> Vec<Attempt> {
    let patient = || json!({"resourceType": "Patient", "id": PATIENT});
    let bundle = |method: &str, url: &str| json!({"type": "batch", "entry": [{"request": {"method": method, "url": url}, "resource": {"resourceType": "Patient"}}]});
    let mut rows = vec![
        raw_with("POST", "fhir/R4/Patient", json!({"resourceType": "Patient"}), OPENS),
        raw_with("POST", "/fhir/R4/Patient", json!({"resourceType": "Patient"}), OPENS),
        raw_with("POST", "fhir/R4/Patient?_format=json", json!({"resourceType": "Patient"}), OPENS),
        raw_with("PUT", &format!("fhir/R4/Patient/{PATIENT}"), patient(), OPENS),
        raw_with("PUT", "fhir/R4/Patient?identifier=a|b", patient(), OPENS),
        raw_with("PATCH", &format!("fhir/R4/Patient/{PATIENT}"), json!([{"op": "remove", "path": "/name"}]), OPENS),
        raw_with("PATCH", "fhir/R4/Patient?identifier=a|b", json!([{"op": "remove", "path": "/name"}]), OPENS),
        raw_with("PATCH", &format!("fhir/R4/Patient/{PATIENT}"), json!({"resourceType": "Parameters"}), OPENS),
        raw("DELETE", &format!("fhir/R4/Patient/{PATIENT}"), OPENS),
        raw("DELETE", "fhir/R4/Patient?identifier=a|b", OPENS),
        raw("DELETE", "fhir/R4/Patient", OPENS),
        raw_with("POST", "fhir/R4", bundle("POST", "Patient"), OPENS),
        raw_with("POST", "fhir/R4/", bundle("POST", "Patient"), OPENS),
        raw_with("POST", "fhir/R4?x=1", bundle("POST", "Patient"), OPENS),
        raw_with(
            "POST",
            "fhir/R4/$graphql",
            json!({"query": "mutation { PatientDelete(id: \"1\") { id } }"}),
            NO_QUERY,
        ),
        raw_with(
            "POST",
            "fhir/R4/%24graphql",
            json!({"query": "mutation { PatientDelete(id: \"1\") { id } }"}),
            NO_QUERY,
        ),
        raw_with("GET", &format!("fhir/R4/Patient/{PATIENT}"), json!({"resourceType": "Patient"}), "Nothing was sent"),
        raw_with("GET", "auth/me", json!({"a": 1}), "Nothing was sent"),
        raw_with(
            "POST",
            "fhir/R4/Binary",
            json!({"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}),
            OPENS,
        ),
        // Not a method of this tool, in any spelling.
        raw("delete", &format!("fhir/R4/Patient/{PATIENT}"), "method must be one of GET"),
        raw("HEAD", &format!("fhir/R4/Bot/{LISTED_BOT}/$execute"), "method must be one of GET"),
        raw("OPTIONS", "fhir/R4/Patient", "method must be one of GET"),
        raw("GET ", "fhir/R4/Patient", "method must be one of GET"),
        raw("", "fhir/R4/Patient", "method must be one of GET"),
    ];
    // A bot runs by any method, and behind any spelling of $execute.
    for path in ["$execute", "%24execute", "%24%65xecute", "$execute/any/path", "$EXECUTE", "$execute?x=1", "$deploy"] {
        rows.push(raw("GET", &format!("fhir/R4/Bot/{LISTED_BOT}/{path}"), OPENS));
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        rows.push(raw(method, &format!("fhir/R4/Bot/{LISTED_BOT}/$execute"), OPENS));
    }
    rows.push(raw("GET", "fhir/R4/Bot/$execute?identifier=a|b", OPENS));
    // Names that a bot could be bound to, and reads that are called otherwise.
    for path in [
        "$my-op",
        "Patient/$my-op",
        "Patient/1/$my-op",
        "Patient/1/%24my-op",
        "Patient/$match",
        "Patient/1/$meta",
        "Composition/1/$document",
        "Patient/$everything",
        "Practitioner/1/$everything",
        "ValueSet/1/$expand",
        "Observation/$lastn",
        "Observation/$validate",
    ] {
        rows.push(raw("GET", &format!("fhir/R4/{path}"), NO_READ));
    }
    // Operations that act by GET.
    for path in [
        "$export",
        "Patient/$export",
        "Group/1/$export",
        "$graphql?query=%7BPatientList%7Bid%7D%7D",
        "Agent/$upgrade",
        "Agent/1/$upgrade",
        "Agent/$reload-config",
        "Agent/1/$push",
        "Project/1/$clone",
        "Patient/1/_history/2/$my-op",
        "Patient/1/$everything/$my-op",
        "$versions/$my-op",
        ".well-known/$my-op",
    ] {
        rows.push(raw("GET", &format!("fhir/R4/{path}"), OPENS));
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        rows.push(raw(method, &format!("fhir/R4/Patient/{PATIENT}/$everything"), OPENS));
    }
    for path in ["Observation/$csv", "Observation/1/$validate", "$versions"] {
        rows.push(raw("POST", &format!("fhir/R4/{path}"), NO_READ));
    }
    for path in ["CodeSystem/$import", "Patient/1/$expunge", "job/1/status"] {
        rows.push(raw("POST", &format!("fhir/R4/{path}"), OPENS));
    }
    // Under the FHIR base, but no interaction of FHIR as Medplum speaks it.
    for path in [
        "",
        "/_history",
        "/Patient/_history",
        "/Patient/1/Observation",
        "/patient/1",
        "/Patient/_search",
        "/job/1",
        "/job",
        "/.well-known",
        "/Patient/1/_history/2/x",
        "/metadata/x",
    ] {
        rows.push(raw("GET", &format!("fhir/R4{path}"), READS));
    }
    rows.push(raw("GET", "fhir/R4/Patient/1/_history/2?x=1", "a version is read whole, without parameters"));
    rows
}

/// Paths beside the FHIR base that are not on the short list of reads.
fn paths_of_the_server() -> Vec<Attempt> {
    let mut rows: Vec<Attempt> = [
        "oauth2/logout",
        "oauth2/token",
        "oauth2/authorize",
        "oauth2/introspect",
        "auth/login",
        "auth/me/x",
        "auth/mfa/status",
        "auth",
        "admin/projects",
        "admin/super/reindex",
        "admin/projects/1/bot",
        "admin/projects/1/client",
        "admin/projects/1/members",
        "admin/projects/1/members/2/x",
        "webhook/1",
        "cds-services",
        "cds-services/1",
        "fhircast/STU3/1",
        "keyvalue/v1/key",
        "mcp/stream",
        "scim/v2/Users",
        "dicom/PS3/studies",
        "storage/1/2",
        "ws/subscriptions-r4",
        "healthcheck/x",
        ".well-known",
        ".well-known/$my-op",
        "fhir",
    ]
    .map(|path| raw("GET", path, OPENS))
    .into();
    rows.extend(
        [
            "fhir/R5/Patient",
            "FHIR/R4/Patient",
            "fhir/r4/Patient",
            "fhir/Patient",
            "Patient/1",
            "/Patient/1/_history",
            "$graphql",
            "metadata",
        ]
        .map(|path| raw("GET", path, BASE)),
    );
    for path in [
        "oauth2/token",
        "auth/me",
        "auth/login",
        "healthcheck",
        "webhook/1",
        "cds-services/1",
        "email/v1/send",
        "admin/projects/1/invite",
        "admin/projects/1/members/2",
        "oauth2/userinfo",
    ] {
        rows.push(raw_with("POST", path, json!({"a": 1}), OPENS));
    }
    rows.push(raw("DELETE", "admin/projects/1/members/2", OPENS));
    rows.push(raw("PUT", "keyvalue/v1/key", OPENS));
    rows
}

/// Paths and queries that could be read in two ways, or that lead elsewhere.
fn paths_that_are_none() -> Vec<Attempt> {
    let mut rows: Vec<Attempt> = [
        ("", "it is empty"),
        ("/", "it is empty"),
        ("?x=1", "it is empty"),
        ("//evil.example/fhir/R4/Patient", "names another host"),
        ("///", "names another host"),
        ("https://evil.example/fhir/R4/Patient", "absolute URL"),
        ("HTTPS:evil.example", "absolute URL"),
        ("javascript:alert(1)", "absolute URL"),
        ("user@evil.example/x", "holds an @"),
        ("fhir//R4/Patient", "a segment is empty"),
        ("fhir/R4//Patient", "a segment is empty"),
        ("fhir/R4/Patient/", "a segment is empty"),
        ("fhir/R4/Patient//$execute", "a segment is empty"),
        ("fhir/R4/./Patient", "a segment is . or .."),
        ("fhir/R4/../../admin/projects", "a segment is . or .."),
        ("fhir/R4/Patient/..", "a segment is . or .."),
        ("..", "a segment is . or .."),
        (".", "a segment is . or .."),
        ("fhir/R4/%2e%2e/admin", "a segment is . or .."),
        ("fhir/R4/Patient/%2E%2E/Bot", "a segment is . or .."),
        ("fhir/R4/.%2e/x", "a segment is . or .."),
        // Whatever stands behind this is a read.
        ("fhir/R4/.well-known/../Bot/1", "a segment is . or .."),
        (".well-known/%2e%2e/oauth2/logout", "a segment is . or .."),
        ("fhir/R4/%252e%252e/x", "may hold letters"),
        ("fhir%2FR4%2FPatient", "hides a slash"),
        ("fhir/R4/Bot%2F1%2F$execute", "hides a slash"),
        ("fhir/R4/Bot/1%2f%24execute", "hides a slash"),
        ("fhir%5CR4", "hides a slash or backslash"),
        ("fhir\\R4\\Patient", "backslash"),
        ("fhir/R4/Patient#x", "fragment"),
        ("fhir/R4/Patient/%00", "control character"),
        ("fhir/R4/Patient/1%0d%0aX-Evil", "control character"),
        ("fhir/R4/Patient/1\n", "control character"),
        ("fhir/R4/Patient/1\tx", "control character"),
        ("fhir/R4/%zz", "not followed by two hexadecimal digits"),
        ("fhir/R4/Patient/%", "not followed by two hexadecimal digits"),
        ("fhir/R4/Bot/1/%2524execute", "may hold letters"),
        ("fhir/R4/Pati ent", "may hold letters"),
        ("fhir/R4/Pati%C3%ABnt", "may hold letters"),
        ("fhir/R4/Patient;a=b", "may hold letters"),
        ("fhir/R4/Patient/1&x", "may hold letters"),
        (" fhir/R4/Patient", "may hold letters"),
        ("fhir/R4/%ff", "not UTF-8"),
        ("fhir/R4/Patient?name=%", "query: a % is not followed"),
        ("fhir/R4/Patient?name=%ff", "query: a percent-encoded part is not UTF-8"),
        ("fhir/R4/Patient?name=a%0d%0ab", "query: it holds a control character"),
    ]
    .map(|(path, says)| raw("GET", path, says))
    .into();
    for (pairs, says) in [
        (json!([["name"]]), "query_params[0] must be a pair"),
        (json!([["a", "b"], ["a", "b", "c"]]), "query_params[1] must be a pair"),
        (json!([[]]), "query_params[0] must be a pair"),
        (json!("name=x"), "query_params must be a list"),
        (json!(7), "query_params must be a list"),
    ] {
        rows.push(attempt(
            "raw_request",
            json!({"method": "GET", "path": "fhir/R4/Patient", "query_params": pairs}),
            says,
        ));
    }
    rows
}

fn operation(resource_type: &str, name: &str, id: Option<&str>, method: &str, says: &'static str) -> Attempt {
    let mut arguments = json!({"resource_type": resource_type, "operation": name, "method": method});
    if let Some(id) = id {
        arguments["resource_id"] = id.into();
    }
    attempt("execute_operation", arguments, says)
}

fn operations() -> Vec<Attempt> {
    let id = Some(PATIENT);
    let long = "x".repeat(65);
    vec![
        operation("Bot", "execute", id, "POST", OPENS),
        operation("Bot", "execute", id, "GET", OPENS),
        operation("Bot", "$execute", None, "GET", OPENS),
        operation("Bot", "deploy", id, "POST", OPENS),
        operation("", "export", None, "GET", OPENS),
        operation("Patient", "export", None, "GET", OPENS),
        operation("Group", "export", id, "POST", OPENS),
        operation("", "my-op", None, "GET", NO_READ),
        operation("Patient", "my-op", None, "GET", NO_READ),
        operation("Patient", "my-op", id, "POST", NO_READ),
        operation("Patient", "match", None, "POST", NO_READ),
        operation("Patient", "everything", None, "GET", NO_READ),
        operation("Practitioner", "everything", id, "GET", NO_READ),
        operation("ValueSet", "expand", id, "GET", NO_READ),
        operation("Observation", "csv", None, "POST", NO_READ),
        operation("Observation", "csv", id, "GET", NO_READ),
        operation("Observation", "validate", None, "GET", NO_READ),
        operation("Observation", "validate", id, "POST", NO_READ),
        operation("Patient", "history", id, "GET", "\"url\":\"Patient/2758b284-b8c2-4a6a-a3cd-373d94953408/_history\""),
        operation(
            "Patient",
            "_history",
            id,
            "GET",
            "GET fhir/R4/Patient/2758b284-b8c2-4a6a-a3cd-373d94953408/_history",
        ),
        operation("Agent", "upgrade", None, "GET", OPENS),
        operation("Agent", "reload-config", id, "GET", OPENS),
        operation("Composition", "document", id, "GET", NO_READ),
        operation("CodeSystem", "import", None, "POST", OPENS),
        operation("Patient", "graphql", None, "POST", OPENS),
        operation("", "graphql", None, "GET", "use execute_graphql"),
        attempt(
            "execute_operation",
            json!({"resource_type": "", "operation": "graphql", "params": {"query": "mutation { PatientDelete(id: \"1\") { id } }"}}),
            NO_QUERY,
        ),
        // Names and ids that would be another path.
        operation("Patient", "$$everything", id, "GET", "not an operation name"),
        operation("Patient", "everything/x", id, "GET", "not an operation name"),
        operation("Patient", "everything?x", id, "GET", "not an operation name"),
        operation("Patient", "../Bot", id, "GET", "not an operation name"),
        operation("Patient", "%24execute", id, "GET", "not an operation name"),
        operation("Patient", "Everything", id, "GET", "not an operation name"),
        operation("Patient", "", id, "GET", "not an operation name"),
        operation("Patient/1", "everything", None, "GET", "not a resource type"),
        operation("../Bot", "everything", None, "GET", "not a resource type"),
        operation("patient", "everything", id, "GET", "Nearest: Patient"),
        operation("Patient", "everything", Some("../Bot"), "GET", "not a resource id"),
        operation("Patient", "everything", Some("1/$execute"), "GET", "not a resource id"),
        operation("Patient", "everything", Some(".."), "GET", "not a resource id"),
        operation("Patient", "everything", Some(""), "GET", "not a resource id"),
        operation("Patient", "everything", Some("%2e%2e"), "GET", "not a resource id"),
        operation("Patient", "everything", Some(long.leak()), "GET", "not a resource id"),
        operation("", "everything", id, "GET", "resource_id needs a resource_type"),
        operation("Patient", "everything", id, "PUT", "method must be one of GET | POST"),
        operation("Patient", "everything", id, "DELETE", "method must be one of GET | POST"),
    ]
}

fn documents() -> Vec<Attempt> {
    let deep = format!("{{ PatientList {}id{} }}", "{ a ".repeat(2_000), "}".repeat(2_000));
    let rows = [
        ("mutation { PatientDelete(id: \"1\") { id } }", NO_QUERY),
        ("mutation M { PatientDelete(id: \"1\") { id } }", NO_QUERY),
        ("mutation($id: ID!) @x { PatientDelete(id: $id) { id } }", NO_QUERY),
        ("# query\nmutation { PatientDelete(id: \"1\") { id } }", NO_QUERY),
        ("\u{feff}mutation { PatientDelete(id: \"1\") { id } }", "Nothing was sent"),
        (",,, mutation, { PatientDelete(id: \"1\") { id } }", NO_QUERY),
        ("{ PatientList { id } } mutation { PatientDelete(id: \"1\") { id } }", NO_QUERY),
        ("query A { PatientList { id } } mutation B { PatientDelete(id: \"1\") { id } }", NO_QUERY),
        ("mutation B { PatientDelete(id: \"1\") { id } } query A { PatientList { id } }", NO_QUERY),
        ("fragment F on Mutation { PatientDelete(id: \"1\") { id } } mutation { ...F }", NO_QUERY),
        ("mutation { BotUpdate(id: \"1\", res: {}) { id } }", NO_QUERY),
        ("subscription { PatientList { id } }", NO_QUERY),
        ("query A { PatientList { id } } subscription S { PatientList { id } }", NO_QUERY),
        ("fragment F on Patient { id }", "has no operation"),
        ("type Query { a: Int }", "defines types"),
        ("extend type Query { a: Int } { PatientList { id } }", "defines types"),
        ("schema { query: Mutation } { PatientDelete { id } }", "defines types"),
        ("", "query:"),
        ("   ", "query:"),
        ("{ Patient(", "query: line 1"),
        ("query", "query:"),
        ("{ }", "query:"),
        ("not graphql", "query:"),
        ("{ a \u{0} }", "query:"),
    ];
    let mut rows: Vec<Attempt> =
        rows.map(|(query, says)| attempt("execute_graphql", json!({"query": query}), says)).into();
    rows.push(attempt("execute_graphql", json!({"query": deep}), "query:"));
    rows.push(attempt(
        "execute_graphql",
        json!({"query": "{ PatientList { id } }", "variables": 7}),
        "variables must be an object",
    ));
    rows
}

fn batch(entries: Value, says: &'static str) -> Attempt {
    attempt("execute_batch", json!({"bundle": {"type": "batch", "entry": entries}}), says)
}

fn entry(method: &str, url: &str, says: &'static str) -> Attempt {
    batch(json!([{"request": {"method": method, "url": url}}]), says)
}

fn bundles() -> Vec<Attempt> {
    let bundle = |bundle: Value, says| attempt("execute_batch", json!({"bundle": bundle}), says);
    let read = json!({"request": {"method": "GET", "url": "Patient/1"}});
    let create = json!({"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}});
    let update =
        json!({"request": {"method": "PUT", "url": "Patient/1"}, "resource": {"resourceType": "Patient", "id": "1"}});
    let patch = json!({"request": {"method": "PATCH", "url": "Patient/1"}, "resource": {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL25hbWUifV0="}});
    let mutation = json!({"request": {"method": "POST", "url": "$graphql"}, "resource": {"query": "mutation { PatientDelete(id: \"1\") { id } }"}});
    vec![
        batch(json!([create]), "bundle.entry[0] is not a read"),
        batch(json!([update]), OPENS),
        batch(json!([patch]), OPENS),
        batch(json!([mutation]), NO_QUERY),
        batch(json!([read, read, create]), "bundle.entry[2] is not a read"),
        bundle(json!({"type": "transaction", "entry": [read, create]}), "bundle.entry[1] is not a read"),
        bundle(json!({"resourceType": "Bundle", "type": "transaction", "entry": [create]}), OPENS),
        entry("DELETE", "Patient/1", OPENS),
        entry("DELETE", "Patient?identifier=a|b", OPENS),
        entry("POST", "Patient/1", OPENS),
        entry("GET", "Bot/1/$execute", OPENS),
        entry("GET", "Bot/1/%24execute", OPENS),
        entry("POST", "Bot/1/$execute", OPENS),
        entry("GET", "$export", OPENS),
        entry("GET", "Patient/1/$my-op", NO_READ),
        entry("GET", "Patient/_history", READS),
        entry("GET", "", "bundle.entry[0]"),
        entry("GET", "fhir/R4/Patient/1", "bundle.entry[0]"),
        entry("GET", "https://evil.example/fhir/R4/Patient/1", "bundle.entry[0].request.url"),
        entry("GET", "//evil.example/Patient/1", "bundle.entry[0].request.url"),
        entry("GET", "../admin/projects", "bundle.entry[0].request.url"),
        entry("GET", "Patient/%2e%2e/x", "bundle.entry[0].request.url"),
        entry("GET", "Patient/1#x", "bundle.entry[0].request.url"),
        entry("GET", "Patient?name=%zz", "bundle.entry[0]"),
        entry("HEAD", "Patient/1", "bundle.entry[0].request.method: must be"),
        entry("TRACE", "Patient/1", "bundle.entry[0].request.method: must be"),
        batch(
            json!([{"request": {"method": "GET", "url": "Patient/1", "ifModifiedSince": "x"}}]),
            "ifModifiedSince is not supported",
        ),
        batch(
            json!([{"request": {"method": "GET", "url": "Patient/1", "ifNoneExist": "a=b"}}]),
            "ifNoneExist belongs to a POST",
        ),
        batch(json!([{"request": {"method": "GET"}}]), "bundle.entry[0].request.url"),
        batch(json!([{"request": {"url": "Patient/1"}}]), "bundle.entry[0].request.method"),
        batch(json!([{"resource": {"resourceType": "Patient"}}]), "bundle.entry[0].request"),
        batch(json!([{"request": {"method": "GET", "url": "Patient/1"}, "response": {}}]), "response does not belong"),
        batch(
            json!([{"request": {"method": "POST", "url": ""}, "resource": {"type": "batch", "entry": [create]}}]),
            "bundle.entry[0]",
        ),
        batch(
            json!([{"request": {"method": "GET", "url": "Patient/1"}, "resource": {"resourceType": "Patient"}}]),
            "bundle.entry[0]",
        ),
        batch(json!([7]), "bundle.entry[0]"),
        batch(json!({"a": 1}), "bundle: entry must be a list"),
        batch(json!([]), "bundle.entry is empty"),
        bundle(json!({"type": "batch"}), "bundle.entry is empty"),
        bundle(json!({"entry": [read]}), "type must be batch or transaction"),
        bundle(json!({"type": "collection", "entry": [read]}), "type must be batch or transaction"),
        bundle(json!({"resourceType": "Patient", "type": "batch", "entry": [read]}), "resourceType must be Bundle"),
        bundle(json!({"type": "batch", "entry": [read], "link": []}), "link does not belong"),
    ]
}

/// Types and ids that would be another path.
fn names() -> Vec<Attempt> {
    let read = |t: &str, id: &str, says| attempt("read_resource", json!({"resource_type": t, "resource_id": id}), says);
    let mut rows = vec![
        read("Patient", "../Bot/1/$execute", "not a resource id"),
        read("Patient", "1/$everything", "not a resource id"),
        read("Patient", "Patient/1/$everything", "not a resource id"),
        read("Patient", "Observation/1", "not a resource id"),
        read("Patient", "1/_history/..", "not a resource id"),
        read("Patient", "1/_history/2/$my-op", "not a resource id"),
        read("Patient", "../Bot/1/_history/2", "not a resource id"),
        read("Patient", "1/_history", "read_resource takes one version as <id>/_history/<version>"),
        read("Patient", "1?_elements=id", "not a resource id"),
        read("Patient", "1#x", "not a resource id"),
        read("Patient", "%2e%2e", "not a resource id"),
        read("Patient", "..", "not a resource id"),
        read("Patient", ".", "not a resource id"),
        read("Patient", "", "not a resource id"),
        read("Patient", "$my-op", "not a resource id"),
        read("Patient", "_history", "not a resource id"),
        read("Patient", "a b", "not a resource id"),
        read("Patient", "１２３", "not a resource id"),
        read("../Bot", "1", "not a resource type"),
        read("Patient/1", "1", "not a resource type"),
        read("Patient?x=1", "1", "not a resource type"),
        read("Pati%65nt", "1", "not a resource type"),
        read("patient", "1", "Nearest: Patient"),
        read("", "1", "not a resource type"),
        read("$export", "1", "not a resource type"),
    ];
    for tool in ["search_resources", "search_one", "search_all_resources"] {
        rows.push(attempt(tool, json!({"resource_type": "../Bot/1/$execute"}), "not a resource type"));
        rows.push(attempt(tool, json!({"resource_type": "Patient?name=x"}), "not a resource type"));
        rows.push(attempt(tool, json!({"resource_type": "$export"}), "not a resource type"));
    }
    for tool in ["query_resources", "list_codes"] {
        rows.push(attempt(tool, json!({"resource_type": "../Bot/1/$execute"}), "not a resource type"));
        rows.push(attempt(tool, json!({"resource_type": "Patient?name=x"}), "not a resource type"));
    }
    let joined = json!({"resource_type": "Patient", "also": [{"resource_type": "../Bot/1/$execute"}]});
    rows.push(attempt("query_resources", joined, "not a resource type"));
    for id in ["1/$my-op", "../x", "Practitioner/1", ".."] {
        rows.push(attempt("get_patient_everything", json!({"patient_id": id}), "patient_id:"));
        rows.push(attempt("get_patient_summary", json!({"patient_id": id}), "patient_id:"));
    }
    for (tool, argument, more) in [
        ("validate_code", "valueset_id", json!({"code": "a", "system": "b"})),
        ("validate_codesystem_code", "codesystem_id", json!({"code": "a"})),
        ("expand_valueset", "valueset_id", json!({})),
        ("lookup_concept", "codesystem_id", json!({"code": "a"})),
        ("translate_concept", "conceptmap_id", json!({"code": "a", "system": "b"})),
    ] {
        for id in ["../x", "1/$expand"] {
            let mut arguments = more.clone();
            arguments[argument] = id.into();
            rows.push(attempt(tool, arguments, "not a resource id"));
        }
    }
    rows
}

/// Tools that are not listed, called all the same.
fn hidden_tools() -> Vec<Attempt> {
    let patient = || json!({"resourceType": "Patient", "id": PATIENT});
    let mut rows: Vec<Attempt> = [
        ("create_resource", json!({"resource": {"resourceType": "Patient"}})),
        ("create_resource_if_none_exist", json!({"resource": {"resourceType": "Patient"}, "if_none_exist": "identifier=a|b"})),
        ("update_resource", json!({"resource": patient()})),
        ("patch_resource", json!({"resource_type": "Patient", "resource_id": PATIENT, "operations": [{"op": "remove", "path": "/name"}]})),
        ("delete_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})),
        ("execute_bot", json!({"bot_id": LISTED_BOT, "input_data": {}})),
        ("create_bot", json!({"name": "x"})),
        ("save_and_deploy_bot", json!({"bot_id": LISTED_BOT, "source_code": "x", "compiled_code": "x"})),
    ]
    .into_iter()
    .flat_map(|(tool, arguments)| [attempt(tool, arguments, OPENS), attempt(tool, json!({}), OPENS)])
    .collect();
    rows.push(attempt("create", json!({}), "There is no tool \"create\". Nearest: "));
    for name in ["Create_Resource", "delete_resource ", "fhir-request", ""] {
        rows.push(attempt(name, json!({}), "There is no such tool. Nearest: "));
    }
    rows
}

/// On whose behalf a call is made is the operator's to say.
fn memberships() -> Vec<Attempt> {
    let calls = [
        ("read_resource", json!({"resource_type": "Patient", "resource_id": PATIENT})),
        ("search_resources", json!({"resource_type": "Patient"})),
        ("search_one", json!({"resource_type": "Patient"})),
        ("search_all_resources", json!({"resource_type": "Patient"})),
        ("get_patient_everything", json!({"patient_id": PATIENT})),
        ("get_patient_summary", json!({"patient_id": PATIENT})),
        ("query_resources", json!({"resource_type": "Patient", "sql": "select 1"})),
        ("list_codes", json!({"resource_type": "Observation"})),
        ("validate_code", json!({"code": "a", "system": "b", "valueset_url": "c"})),
        ("validate_codesystem_code", json!({"code": "a", "codesystem_url": "b"})),
        ("expand_valueset", json!({"valueset_url": "a"})),
        ("expand_valueset", json!({"valueset_id": PATIENT})),
        ("lookup_concept", json!({"code": "a", "system": "b"})),
        ("translate_concept", json!({"code": "a", "system": "b"})),
        ("execute_operation", json!({"resource_type": "Patient", "operation": "everything", "resource_id": PATIENT})),
        ("execute_graphql", json!({"query": "{ PatientList { id } }"})),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/1"}}]}}),
        ),
        ("raw_request", json!({"method": "GET", "path": "auth/me"})),
    ];
    let with = |(tool, mut arguments): (&'static str, Value), membership: &str, says| {
        arguments["on_behalf_of"] = membership.into();
        attempt(tool, arguments, says)
    };
    let mut rows: Vec<Attempt> =
        calls.iter().cloned().map(|call| with(call, MEMBERSHIP, "MEDPLUM_ALLOW_OBO_OVERRIDE=true")).collect();
    let read = calls[0].clone();
    rows.push(with(read.clone(), &format!("ProjectMembership/{MEMBERSHIP}"), "MEDPLUM_ALLOW_OBO_OVERRIDE=true"));
    for garbage in ["", "x", "Practitioner/1", "ProjectMembership/", "ProjectMembership/1", "a\r\nX-Evil: b"] {
        rows.push(with(read.clone(), garbage, "on_behalf_of"));
    }
    rows.push(attempt(
        "get_resource_schema",
        json!({"resource_type": "Patient", "on_behalf_of": MEMBERSHIP}),
        "no argument \"on_behalf_of\"",
    ));
    rows
}

#[tokio::test]
async fn raw_requests_that_act_do_not_leave() {
    all_refused(&[], raw_requests()).await;
}

#[tokio::test]
async fn the_servers_other_paths_are_closed() {
    all_refused(&[], paths_of_the_server()).await;
}

#[tokio::test]
async fn a_path_that_could_mean_two_things_does_not_leave() {
    all_refused(&[], paths_that_are_none()).await;
}

#[tokio::test]
async fn operations_that_act_or_could_be_bots_do_not_leave() {
    all_refused(&[], operations()).await;
}

#[tokio::test]
async fn documents_that_are_not_all_queries_do_not_leave() {
    all_refused(&[], documents()).await;
}

#[tokio::test]
async fn bundles_that_are_not_all_reads_do_not_leave() {
    all_refused(&[], bundles()).await;
}

#[tokio::test]
async fn types_and_ids_are_names_and_never_paths() {
    all_refused(&[], names()).await;
}

#[tokio::test]
async fn hidden_tools_say_what_opens_them() {
    all_refused(&[], hidden_tools()).await;
}

#[tokio::test]
async fn nobody_acts_for_another_unless_the_operator_lets_them() {
    all_refused(&[], memberships()).await;
    // With writes open too: that opens writes, and nothing else.
    all_refused(&[("MEDPLUM_ENABLE_WRITES", "true")], memberships()).await;
}

#[test]
fn there_are_attempts_enough() {
    let tables = [
        raw_requests(),
        paths_of_the_server(),
        paths_that_are_none(),
        operations(),
        documents(),
        bundles(),
        names(),
        hidden_tools(),
        memberships(),
    ];
    let attempts: usize = tables.iter().map(Vec::len).sum();
    assert!(attempts >= 300, "{attempts}");
}

fn get(path: &str, target: &str) -> (&'static str, Value, Vec<String>) {
    ("raw_request", json!({"method": "GET", "path": path}), line("GET", target))
}

#[tokio::test]
async fn raw_reads_pass_as_what_they_are() {
    let execute_in_query = "fhir/R4/Patient?name=/$execute&identifier=http://x.example/$my-op|1";
    let reads = vec![
        get("fhir/R4/Patient/1", "fhir/R4/Patient/1"),
        get("/fhir/R4/Patient/1", "fhir/R4/Patient/1"),
        get("fhir/R4/P%61tient/1", "fhir/R4/Patient/1"),
        get("fhir/R4/Patient/1/_history", "fhir/R4/Patient/1/_history"),
        get("fhir/R4/Patient/1/_history?_count=2", "fhir/R4/Patient/1/_history?_count=2"),
        get("fhir/R4/Patient/1/_history/2", "fhir/R4/Patient/1/_history/2"),
        get("fhir/R4/Patient", "fhir/R4/Patient"),
        get("fhir/R4/Patient?name=Zo%C3%AB", "fhir/R4/Patient?name=Zo%C3%AB"),
        get("fhir/R4/Patient?name=Zoë", "fhir/R4/Patient?name=Zo%C3%AB"),
        get("fhir/R4/Patient?family=van+Gogh", "fhir/R4/Patient?family=van%20Gogh"),
        get("fhir/R4/Patient?name=a&name=b", "fhir/R4/Patient?name=a&name=b"),
        get("fhir/R4/ValueSet?url=http://loinc.org/vs", "fhir/R4/ValueSet?url=http:%2F%2Floinc.org%2Fvs"),
        get("fhir/R4/?_type=Patient,Practitioner", "fhir/R4/?_type=Patient,Practitioner"),
        get("fhir/R4?_type=Patient,Practitioner", "fhir/R4/?_type=Patient,Practitioner"),
        get("fhir/R4/Observation/$csv?_fields=id", "fhir/R4/Observation/$csv?_fields=id"),
        get("fhir/R4/$versions", "fhir/R4/$versions"),
        get("fhir/R4/.well-known/smart-configuration", "fhir/R4/.well-known/smart-configuration"),
        get("fhir/R4/job/1/status", "fhir/R4/job/1/status"),
        get("auth/me", "auth/me"),
        get("/auth/me", "auth/me"),
        get("oauth2/userinfo", "oauth2/userinfo"),
        get("healthcheck", "healthcheck"),
        get("openapi.json", "openapi.json"),
        get(".well-known/openid-configuration", ".well-known/openid-configuration"),
        get("admin/projects/1", "admin/projects/1"),
        get("admin/projects/1/members/2", "admin/projects/1/members/2"),
        // A name of a bot's operation in a query is no name there: it travels encoded.
        get("fhir/R4/Patient/1?x=/$my-op", "fhir/R4/Patient/1?x=%2F%24my-op"),
        get("fhir/R4/Patient/1?/$my-op=x", "fhir/R4/Patient/1?%2F%24my-op=x"),
        get("auth/me?x=/$my-op", "auth/me?x=%2F%24my-op"),
        (
            "raw_request",
            json!({"method": "GET", "path": "fhir/R4/Patient", "query_params": [["name", "a&b=c"], ["name", "/$x"]]}),
            line("GET", "fhir/R4/Patient?name=a%26b%3Dc&name=%2F%24x"),
        ),
        (
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4/Patient/_search", "body": {"name": "x"}}),
            line("POST", "fhir/R4/Patient/_search"),
        ),
        (
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4/$graphql", "body": {"query": "{ Patient(id: \"1\") { id } }"}}),
            line("POST", "fhir/R4/$graphql"),
        ),
        (
            "raw_request",
            json!({"method": "POST", "path": "fhir/R4", "body": {"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/1"}}]}}),
            line("POST", "fhir/R4"),
        ),
        (
            "raw_request",
            json!({"method": "GET", "path": execute_in_query}),
            line("GET", "fhir/R4/Patient?name=%2F%24execute&identifier=http:%2F%2Fx.example%2F%24my-op%7C1"),
        ),
    ];
    all_pass(&[], reads).await;
}

/// Before an operation on an instance, the instance is read: on an unknown id Medplum looks for a bot of that name.
fn guarded(method: &str, of: &str, operation: &str) -> Vec<String> {
    vec![format!("GET /fhir/R4/{of}"), format!("{method} /fhir/R4/{of}/{operation}")]
}

#[tokio::test]
async fn the_tools_reads_pass() {
    let resource = |t: &str, id: &str| json!({"resource_type": t, "resource_id": id});
    let reads = vec![
        ("read_resource", resource("Patient", PATIENT), line("GET", &format!("fhir/R4/Patient/{PATIENT}"))),
        (
            "read_resource",
            resource(" Patient ", &format!(" Patient/{PATIENT} ")),
            line("GET", &format!("fhir/R4/Patient/{PATIENT}")),
        ),
        ("read_resource", resource("Patient", "1/_history/2"), line("GET", "fhir/R4/Patient/1/_history/2")),
        ("read_resource", resource("Binary", "1"), line("GET", "fhir/R4/Binary/1")),
        ("get_resource_schema", json!({"resource_type": "Patient"}), vec![]),
        (
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": "1", "operation": "everything", "method": "GET"}),
            guarded("GET", "Patient/1", "$everything"),
        ),
        (
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": "1", "operation": "$summary"}),
            guarded("POST", "Patient/1", "$summary"),
        ),
        (
            "execute_operation",
            json!({"resource_type": "Observation", "operation": "csv", "method": "GET", "params": {"_fields": "id"}}),
            line("GET", "fhir/R4/Observation/$csv?_fields=id"),
        ),
        (
            "execute_operation",
            json!({"resource_type": "Observation", "operation": "validate", "params": {"resource": {"resourceType": "Observation"}}}),
            line("POST", "fhir/R4/Observation/$validate"),
        ),
        (
            "execute_operation",
            json!({"resource_type": "CodeSystem", "operation": "subsumes", "params": {"codeA": "a", "codeB": "b"}}),
            line("POST", "fhir/R4/CodeSystem/$subsumes"),
        ),
        (
            "execute_operation",
            json!({"resource_type": "", "operation": "graphql", "params": {"query": "{ PatientList { id } }"}}),
            line("POST", "fhir/R4/$graphql"),
        ),
        (
            "validate_code",
            json!({"code": "a", "system": "b", "valueset_url": "c"}),
            line("POST", "fhir/R4/ValueSet/$validate-code"),
        ),
        (
            "validate_code",
            json!({"code": "a", "system": "b", "valueset_id": "1"}),
            guarded("POST", "ValueSet/1", "$validate-code"),
        ),
        (
            "validate_codesystem_code",
            json!({"code": "a", "codesystem_url": "b"}),
            line("POST", "fhir/R4/CodeSystem/$validate-code"),
        ),
        ("expand_valueset", json!({"valueset_url": "a"}), line("POST", "fhir/R4/ValueSet/$expand")),
        // Medplum expands by URL alone, so the ValueSet is read first.
        (
            "expand_valueset",
            json!({"valueset_id": "1"}),
            vec!["GET /fhir/R4/ValueSet/1".into(), "POST /fhir/R4/ValueSet/$expand".into()],
        ),
        ("lookup_concept", json!({"code": "a", "codesystem_id": "1"}), guarded("POST", "CodeSystem/1", "$lookup")),
        ("translate_concept", json!({"code": "a", "system": "b"}), line("POST", "fhir/R4/ConceptMap/$translate")),
        (
            "execute_graphql",
            json!({"query": "{ Patient(id: \"mutation { x }\") { id } }"}),
            line("POST", "fhir/R4/$graphql"),
        ),
        (
            "execute_graphql",
            json!({"query": "query A { PatientList { ...F } } fragment F on Patient { id }"}),
            line("POST", "fhir/R4/$graphql"),
        ),
        ("execute_graphql", json!({"query": "{ __schema { types { name } } }"}), line("POST", "fhir/R4/$graphql")),
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [
                {"request": {"method": "GET", "url": "Patient/1"}},
                {"request": {"method": "GET", "url": "/Patient?name=a"}},
                {"request": {"method": "POST", "url": "ValueSet/$expand"}, "resource": {"resourceType": "Parameters"}}
            ]}}),
            line("POST", "fhir/R4"),
        ),
        // A bundle is a read if its entries are, and the instances of its operations are read first.
        (
            "execute_batch",
            json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/1/$everything"}}]}}),
            vec!["GET /fhir/R4/Patient/1".into(), "POST /fhir/R4".into()],
        ),
    ];
    all_pass(&[], reads).await;
}

#[tokio::test]
async fn searches_pass() {
    let reads = vec![
        ("search_resources", json!({"resource_type": "Patient"}), "fhir/R4/Patient?_sort=_lastUpdated"),
        (
            "search_resources",
            json!({"resource_type": "Patient", "params": {"family": "van Gogh", "gender": "male"}, "count": 3, "offset": 6, "sort": "-birthdate", "total": "accurate"}),
            "fhir/R4/Patient?family=van%20Gogh&gender=male&_count=3&_offset=6&_sort=-birthdate,_id&_total=accurate",
        ),
        (
            "search_resources",
            json!({"resource_type": "Patient", "params": {"family": "/$my-op"}}),
            "fhir/R4/Patient?family=%2F%24my-op&_sort=_lastUpdated",
        ),
        ("search_resources", json!({"resource_type": "Patient", "summary": "count"}), "fhir/R4/Patient?_summary=count"),
        (
            "search_resources",
            json!({"resource_type": "Observation", "include": ["Observation:subject", "Observation:encounter"], "revinclude": "Provenance:target"}),
            "fhir/R4/Observation?_include=Observation:subject&_include=Observation:encounter&_revinclude=Provenance:target&_sort=_lastUpdated",
        ),
        (
            "search_one",
            json!({"resource_type": "Patient", "params": {"identifier": "http://hospital.example/mrn|4711"}}),
            "fhir/R4/Patient?identifier=http:%2F%2Fhospital.example%2Fmrn%7C4711&_count=2",
        ),
        (
            "search_all_resources",
            json!({"resource_type": "Patient", "max_resources": 5}),
            "fhir/R4/Patient?_count=20&_sort=_lastUpdated",
        ),
        ("get_patient_everything", json!({"patient_id": PATIENT}), "everything"),
    ];
    let everything = guarded("GET", &format!("Patient/{PATIENT}"), "$everything?_count=1000&_offset=0");
    let expected = |target: &str| if target == "everything" { everything.clone() } else { line("GET", target) };
    let reads = reads.into_iter().map(|(tool, arguments, target)| (tool, arguments, expected(target))).collect();
    all_pass(&[], reads).await;
}

#[tokio::test]
async fn what_was_judged_is_what_is_sent() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    let query = "query Q {\n  # mutation { x }\n  Patient(id: \"1\") { id }\n}";
    pipe.call("execute_graphql", json!({"query": query})).await.record();
    let sent = stub.taken().pop().unwrap().json();
    let sent = sent["query"].as_str().unwrap();
    assert!(sent.contains("Patient(id: \"1\")") && !sent.contains("mutation"), "{sent}");

    let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"fullUrl": "urn:uuid:x", "request": {"method": "GET", "url": "Patient?name=/$x"}}]});
    pipe.call("execute_batch", json!({"bundle": bundle})).await.record();
    let sent = stub.taken().pop().unwrap().json();
    assert_eq!(sent["entry"][0]["request"]["url"], "Patient?name=%2F%24x");
}

#[tokio::test]
async fn an_operation_on_an_unknown_id_stops_at_the_look_before() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[]).await;
    stub.say(Says::outcome(404, Some("not-found"), "Not found"));
    let answer = pipe.call("get_patient_everything", json!({"patient_id": NOBODY})).await;
    assert!(answer.error().contains("Not found"), "{answer:?}");
    assert_eq!(stub.lines(), [format!("GET /fhir/R4/Patient/{NOBODY}")]);
}

#[tokio::test]
async fn a_membership_travels_as_a_header_where_the_operator_lets_it() {
    let stub = Stub::start();
    let mut pipe = Pipe::open(&stub, &[("MEDPLUM_ALLOW_OBO_OVERRIDE", "true")]).await;
    for given in [MEMBERSHIP.to_owned(), MEMBERSHIP.to_uppercase(), format!("ProjectMembership/{MEMBERSHIP}")] {
        let arguments = json!({"resource_type": "Patient", "resource_id": PATIENT, "on_behalf_of": given});
        pipe.call("read_resource", arguments).await.record();
        for asked in stub.taken() {
            let expected = (asked.target != "/oauth2/token").then(|| format!("ProjectMembership/{MEMBERSHIP}"));
            assert_eq!(asked.header("x-medplum-on-behalf-of"), expected.as_deref(), "{}", asked.line());
        }
    }
}

/// What an operation of Medplum's own is asked by, on every way to one.
fn native_operations() -> Vec<(&'static str, Value)> {
    let batch = |url: &str| json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}});
    let get = |path: &str| json!({"method": "GET", "path": format!("fhir/R4/{path}")});
    let by_get = |t: &str, name: &str| json!({"resource_type": t, "operation": name, "method": "GET"});
    vec![
        ("lookup_concept", json!({"code": "a", "system": "b"})),
        ("lookup_concept", json!({"code": "a", "codesystem_id": "1"})),
        ("validate_code", json!({"code": "a", "system": "b", "valueset_url": "c"})),
        ("validate_codesystem_code", json!({"code": "a", "codesystem_url": "b"})),
        ("expand_valueset", json!({"valueset_url": "a"})),
        ("translate_concept", json!({"code": "a", "system": "b"})),
        ("get_patient_everything", json!({"patient_id": PATIENT})),
        ("execute_operation", by_get("CodeSystem", "lookup")),
        ("execute_operation", by_get("Observation", "csv")),
        ("execute_operation", json!({"resource_type": "CodeSystem", "operation": "subsumes"})),
        (
            "execute_operation",
            json!({"resource_type": "Patient", "resource_id": "1", "operation": "graph", "method": "GET"}),
        ),
        ("raw_request", get("CodeSystem/$lookup?code=a")),
        ("raw_request", get("CodeSystem/1/%24lookup?code=a")),
        ("raw_request", get("Observation/$csv")),
        ("execute_batch", batch("CodeSystem/$lookup?code=a")),
    ]
}

/// Where an operation finds nothing (404), Medplum runs the bot that is bound to its name.
#[tokio::test]
async fn an_operation_whose_name_may_have_a_bot_does_not_leave() {
    let definitions =
        |definition: Value| json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": definition}]});
    let bound = definitions(json!({"resourceType": "OperationDefinition", "extension": [{
        "url": "https://medplum.com/fhir/StructureDefinition/operationDefinition-implementation",
        "valueReference": {"reference": format!("Bot/{LISTED_BOT}")}
    }]}));
    let writes = [("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ALLOWED_BOT_IDS", LISTED_BOT)];
    for (says, why) in [
        (Says::json(200, &bound), "binds a bot to $"),
        (Says::json(200, &json!({"resourceType": "Parameters"})), "cannot be told"),
        (Says::outcome(500, None, "Internal"), "Medplum answered 500"),
    ] {
        for variables in [&[][..], &writes] {
            let stub = Stub::start();
            stub.say_of_bots(says.clone());
            let mut pipe = Pipe::open(&stub, variables).await;
            for (tool, arguments) in native_operations() {
                let answer = pipe.call(tool, arguments.clone()).await;
                assert!(answer.failed && answer.error().contains(why), "{tool} {arguments}: {answer:?}");
                let left = stub.lines();
                let acts = |line: &String| line.contains('$') || line.starts_with("POST");
                assert!(!left.iter().any(acts), "{tool} {arguments}: {left:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_bot_is_looked_for_once_in_a_while() {
    let stub = Stub::start();
    let looks = || {
        let all = stub.lines_of_all();
        all.into_iter().filter(|line| line.contains("/OperationDefinition?")).collect::<Vec<_>>()
    };
    let look = |name: &str| format!("GET /fhir/R4/OperationDefinition?code={name}&_count=100");
    let mut pipe = Pipe::open(&stub, &[]).await;
    let lookup = json!({"code": "a", "system": "b"});
    pipe.call("lookup_concept", lookup.clone()).await.record();
    pipe.call("lookup_concept", lookup.clone()).await.record();
    pipe.call("expand_valueset", json!({"valueset_url": "a"})).await.record();
    assert_eq!(looks(), [look("lookup"), look("expand")]);
    // Who may not read OperationDefinitions runs no bot by one either: Medplum looks on the same behalf.
    let mut pipe = Pipe::open(&stub, &[]).await;
    stub.say_of_bots(Says::outcome(403, Some("forbidden"), "Forbidden"));
    pipe.call("lookup_concept", lookup.clone()).await.record();
    pipe.call("lookup_concept", lookup.clone()).await.record();
    assert_eq!(looks(), [look("lookup")]);
    // A server of few types looks all the same, and shows nothing of it.
    let mut pipe = Pipe::open(&stub, &[("MEDPLUM_ALLOWED_RESOURCE_TYPES", "CodeSystem")]).await;
    pipe.call("lookup_concept", lookup).await.record();
    assert_eq!(looks(), [look("lookup")]);
}

#[test]
fn a_bot_that_is_bound_to_a_name_of_medplums_own_does_not_run() {
    let sandbox = Sandbox::builder().start_on_thread().unwrap();
    let host = |variables: &[(&str, &str)]| {
        let mut all = vec![
            ("MEDPLUM_BASE_URL", sandbox.base_url()),
            ("MEDPLUM_CLIENT_ID", sandbox.client_id()),
            ("MEDPLUM_CLIENT_SECRET", sandbox.client_secret()),
        ];
        all.extend_from_slice(variables);
        let mut host = Host::spawn(program(&[], &all));
        host.initialize("2025-11-25");
        host
    };
    let unknown = json!({"code": "no-such-code", "system": "http://hl7.org/fhir/administrative-gender"});
    let mut writer = host(&[("MEDPLUM_ENABLE_WRITES", "true")]);
    let before = writer.call("lookup_concept", unknown.clone());
    assert!(before.error().contains("That code is not in that CodeSystem"), "{before:?}");
    let definition = json!({
        "resourceType": "OperationDefinition", "name": "Lookup", "status": "active", "kind": "operation", "code": "lookup",
        "system": true, "type": true, "instance": true,
        "extension": [{
            "url": "https://medplum.com/fhir/StructureDefinition/operationDefinition-implementation",
            "valueReference": {"reference": format!("Bot/{}", sandbox.echo_bot())}
        }]
    });
    writer.call("create_resource", json!({"resource": definition})).record();
    let reader = host(&[]);
    let limited = host(&[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_ALLOWED_BOT_IDS", LISTED_BOT)]);
    for mut host in [writer, reader, limited] {
        let answer = host.call("lookup_concept", unknown.clone());
        assert!(answer.error().contains("binds a bot to $lookup"), "{answer:?}");
    }
}

/// Hosts read resources by themselves: they are attached, fetched ahead, and let through unasked.
#[tokio::test]
async fn to_read_a_resource_never_acts_whatever_is_open() {
    let stub = Stub::start();
    for variables in [&[][..], &[("MEDPLUM_ENABLE_WRITES", "true"), ("MEDPLUM_CONFIRM_WRITES", "never")]] {
        let mut pipe = Pipe::with(common::pipe::server(&stub, variables), json!({"elicitation": {}})).await;
        for path in [
            "Bot/$execute/_history/x?identifier=a%7Cb",
            "Bot/%24execute/_history/x",
            "Bot/1/_history/$execute",
            "Patient/1/_history/$my-op",
            "Patient/1/_history/2?x=/$my-op",
            "Patient/1/_history/2#x",
            "Patient/1/_history/..",
            "Patient/1/_history/",
            "Patient/1/_history/%2e%2e",
            "Patient/1/_history",
            "Patient/1/$everything",
            "Patient/$my-op",
            "Patient/1?x=1",
            "Agent/$upgrade/_history/1",
            "Agent/$upgrade",
            "../Bot/1/$execute",
            "../../auth/me",
            "$export/_history/1/2",
            "$export",
            "$versions/1/_history/2",
            "patient/1/_history/2",
            "",
        ] {
            let answer = pipe.request("resources/read", json!({"uri": format!("medplum://fhir/{path}")})).await;
            assert!(answer["error"]["message"].is_string(), "{path}: {answer}");
            assert_eq!(stub.lines_of_all(), [] as [String; 0], "{path}");
        }
        for path in ["Patient/1", "Patient/1/_history/2"] {
            let answer = pipe.request("resources/read", json!({"uri": format!("medplum://fhir/{path}")})).await;
            assert!(answer["result"]["contents"].is_array(), "{path}: {answer}");
            assert_eq!(stub.lines(), [format!("GET /fhir/R4/{path}")]);
        }
    }
}
