//! Answers that fit and are enough: what must hold of every page, cursor, table and write-back, on a sandbox with long
//! charts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;

use fhirpath::{Context, Expression};
use medplum_client::{Client, Config, Credentials};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::Limits;
use medplum_sandbox::Sandbox;
use serde_json::{Value, json};

struct World {
    sandbox: Sandbox,
    server: Server,
}

impl World {
    fn start() -> Self {
        // A thread of its own, so that the server's runtime is only the server's.
        let sandbox = Sandbox::builder().start_on_thread().unwrap();
        let limits = Limits { writes: true, ..Limits::default() };
        let base = medplum_client::BaseUrl::parse(sandbox.base_url(), false).unwrap();
        let secret = sandbox.client_secret().into();
        let config = Config::new(base, Credentials::Client { id: sandbox.client_id().into(), secret });
        let server = Server::new(Client::new(config, Policy::new(limits.clone())), limits).unwrap();
        Self { sandbox, server }
    }

    /// The blocks of an answer, and whether it is an error.
    async fn call(&self, tool: &str, arguments: &Value) -> (Vec<String>, bool) {
        let result = self.server.call(tool, arguments.as_object().unwrap().clone()).await;
        let texts = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.clone());
        (texts.collect(), result.is_error == Some(true))
    }

    async fn json(&self, tool: &str, arguments: Value) -> Value {
        let (blocks, failed) = self.call(tool, &arguments).await;
        assert!(!failed, "{tool} {arguments}: {blocks:?}");
        serde_json::from_str(&blocks[0]).unwrap()
    }

    /// The patient with the longest chart.
    async fn long_chart(&self) -> String {
        let sql = "select subject from Observation group by 1 order by count(*) desc limit 1";
        let found = self.json("query_resources", json!({"resource_type": "Observation", "sql": sql})).await;
        found["rows"][0][0].as_str().unwrap().to_owned()
    }
}

/// Follows the cursors of a call to its end: the pages' blocks.
async fn walk(world: &World, tool: &str, arguments: &Value) -> Vec<Value> {
    let budget = arguments["budget"].as_u64().unwrap_or(40_000) as usize;
    let (mut pages, mut asked) = (Vec::new(), arguments.clone());
    loop {
        let (blocks, failed) = world.call(tool, &asked).await;
        assert!(!failed, "{asked}: {blocks:?}");
        let size: usize = blocks.iter().map(|block| block.chars().count()).sum();
        assert!(size <= budget, "{size} characters in a budget of {budget}: {asked}");
        pages.push(serde_json::from_str(&blocks[0]).unwrap());
        let cursor = blocks.get(1).and_then(|note| note.split("next: ").nth(1)).and_then(|rest| rest.split(' ').next());
        match cursor {
            Some(cursor) => asked["cursor"] = cursor.into(),
            None => return pages,
        }
        assert!(pages.len() < 2_000, "the cursors do not end");
    }
}

fn ids(pages: &[Value]) -> Vec<String> {
    let rows = pages.iter().flat_map(|page| page["rows"].as_array().cloned().unwrap_or_default());
    rows.map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_joined_by_their_cursors_are_the_whole() {
    let world = World::start();
    let patient = world.long_chart().await;
    let params = json!({"patient": patient});
    let counted = world
        .json("search_resources", json!({"resource_type": "Observation", "params": params, "count_only": true}))
        .await;
    let total = counted["total"].as_u64().unwrap() as usize;
    assert!(total >= 700);
    let table = |more: Value| {
        let mut call =
            json!({"resource_type": "Observation", "params": params, "fields": ["id", "effective", "code.text"]});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let calls = [
        ("search_all_resources", table(json!({"max_resources": 5_000, "budget": 6_000}))),
        ("search_all_resources", table(json!({"max_resources": 333}))),
        ("search_all_resources", table(json!({"max_resources": 5_000, "sort": "-date", "budget": 9_000}))),
        ("search_resources", table(json!({"count": 200, "sort": "date,_id", "budget": 7_500}))),
        ("search_resources", table(json!({"count": 1_000, "sort": "-date,_id"}))),
    ];
    for (tool, call) in calls {
        let found = ids(&walk(&world, tool, &call).await);
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!(found.len(), distinct.len(), "repeated: {call}");
        assert_eq!(found.len(), total, "lost: {call}");
    }
}

#[tokio::test]
async fn a_chart_goes_on_to_its_end() {
    let world = World::start();
    let patient = world.long_chart().await;
    let call = json!({"patient_id": patient.trim_start_matches("Patient/"), "fields": ["id", "resourceType"], "budget": 20_000});
    let found: BTreeSet<String> = ids(&walk(&world, "get_patient_everything", &call).await).into_iter().collect();
    let counted = world
        .json(
            "search_resources",
            json!({"resource_type": "Observation", "params": {"patient": patient}, "count_only": true}),
        )
        .await;
    assert!(found.len() as u64 > counted["total"].as_u64().unwrap());
}

#[tokio::test]
async fn an_answer_that_fits_is_not_cut() {
    let world = World::start();
    let call = json!({"resource_type": "Patient", "count": 50, "params": {"_count": "50"}});
    let (blocks, failed) = world.call("search_resources", &call).await;
    assert!(failed && blocks[0].contains("say the same thing"), "{blocks:?}");

    let patients =
        world.json("search_resources", json!({"resource_type": "Patient", "count_only": true})).await["total"]
            .as_u64()
            .unwrap();
    let exact = json!({"resource_type": "Patient", "max_resources": patients, "fields": ["id"]});
    let (blocks, _) = world.call("search_all_resources", &exact).await;
    assert_eq!(blocks.len(), 1, "{patients} of {patients} is not cut: {:?}", blocks.get(1));
}

#[tokio::test]
async fn a_table_holds_what_fhirpath_finds_in_the_whole_resource() {
    let world = World::start();
    let fields = [
        "id",
        "code.coding.code",
        "value.value",
        "valueQuantity.unit",
        "effective",
        "component.where(code.exists()).value.value",
        "subject.reference",
    ];
    let call = json!({"resource_type": "Observation", "count": 60, "sort": "-date,_id", "fields": fields});
    let table = world.json("search_resources", call).await;
    assert_eq!(table["columns"], json!(fields));
    for row in table["rows"].as_array().unwrap() {
        let path = format!("fhir/R4/Observation/{}", row[0].as_str().unwrap());
        let whole = world.json("raw_request", json!({"method": "GET", "path": path})).await;
        let context = Context::new().with_resource(&whole).with_model(fhir_definitions::Definitions::get());
        for (cell, field) in row.as_array().unwrap().iter().zip(fields) {
            let expression = Expression::parse(field).unwrap();
            let found = expression.evaluate(&whole, &context).unwrap();
            let found: Vec<Value> = found.iter().map(|item| item.to_json().into_owned()).collect();
            let expected = match found.as_slice() {
                [] => Value::Null,
                [one] => one.clone(),
                several => json!(several),
            };
            assert_eq!(*cell, expected, "{field} of {path}");
        }
    }
}

#[tokio::test]
async fn no_answer_is_over_its_budget() {
    let world = World::start();
    let patient = world.long_chart().await;
    let id = patient.trim_start_matches("Patient/");
    for budget in [1_000, 1_500, 4_000, 20_000, 40_000] {
        let calls = [
            ("search_resources", json!({"resource_type": "Observation", "count": 200})),
            (
                "search_resources",
                json!({"resource_type": "Observation", "count": 50, "include": "Observation:subject"}),
            ),
            ("search_all_resources", json!({"resource_type": "Patient", "max_resources": 100})),
            ("read_resource", json!({"resource_type": "Patient", "resource_id": id})),
            ("get_patient_everything", json!({"patient_id": id})),
            ("raw_request", json!({"method": "GET", "path": "fhir/R4/metadata"})),
            ("raw_request", json!({"method": "GET", "path": "fhir/R4/Observation?_count=200"})),
            ("execute_operation", json!({"resource_type": "Observation", "operation": "csv", "method": "GET"})),
            ("get_resource_schema", json!({"resource_type": "Patient", "include_nested": true, "verbose": true})),
            ("execute_graphql", json!({"query": "{ ObservationList(_count: 300) { id status code { text } } }"})),
            ("query_resources", json!({"resource_type": "Observation", "sql": "select id, json from Observation"})),
        ];
        for (tool, mut call) in calls {
            call["budget"] = budget.into();
            let (blocks, _) = world.call(tool, &call).await;
            let size: usize = blocks.iter().map(|block| block.chars().count()).sum();
            assert!(size <= budget, "{tool}: {size} characters in {budget}");
        }
    }
}

#[tokio::test]
async fn a_lean_resource_is_changed_and_written_back_whole() {
    let world = World::start();
    let created = json!({"resourceType": "Patient", "active": true, "name": [{"family": "Written\u{200b}back"}],
        "meta": {"tag": [{"system": "http://hospital.example/tags", "code": "vip"}]},
        "text": {"status": "additional", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">by hand</div>"}});
    let id = world.json("create_resource", json!({"resource": created})).await["id"].as_str().unwrap().to_owned();
    let mut lean = world.json("read_resource", json!({"resource_type": "Patient", "resource_id": id})).await;
    assert!(lean.get("text").is_none() && lean["meta"].get("tag").is_none());
    assert_eq!(lean["name"][0]["family"], "Writtenback");
    lean["active"] = json!(false);
    let (blocks, failed) = world.call("update_resource", &json!({"resource": lean})).await;
    assert!(!failed, "{blocks:?}");
    assert!(blocks[1].contains("narrative"), "{blocks:?}");

    // As the server has it, asked past everything of ours.
    let stored = stored(&world.sandbox, &id).await;
    assert_eq!(stored["active"], false);
    assert_eq!(stored["text"]["status"], "additional");
    assert_eq!(stored["meta"]["tag"][0]["code"], "vip");
    assert_eq!(stored["name"][0]["family"], "Written\u{200b}back");

    let (blocks, failed) = world.call("update_resource", &json!({"resource": lean})).await;
    assert!(
        failed && blocks[0].contains("changed after the version that you read") && blocks[0].contains("active"),
        "{blocks:?}"
    );
    lean["meta"].as_object_mut().unwrap().remove("versionId");
    let (blocks, failed) = world.call("update_resource", &json!({"resource": lean})).await;
    assert!(
        failed && blocks[0].starts_with("Pass meta.versionId") && blocks[0].contains("overwrite: true"),
        "{blocks:?}"
    );
    let (_, failed) = world.call("update_resource", &json!({"resource": lean, "overwrite": true})).await;
    assert!(!failed);
}

async fn stored(sandbox: &Sandbox, id: &str) -> Value {
    let base = medplum_client::BaseUrl::parse(sandbox.base_url(), false).unwrap();
    let secret = sandbox.client_secret().into();
    let config = Config::new(base, Credentials::Client { id: sandbox.client_id().into(), secret });
    let client = Client::new(config, medplum_client::Open);
    let read = medplum_client::Interaction::read("Patient".parse().unwrap(), id.parse().unwrap());
    client.send(&medplum_client::Call::default(), &read).await.unwrap().into_json()
}

#[tokio::test]
async fn a_lean_resource_written_back_as_it_was_read_changes_nothing() {
    let world = World::start();
    let types = [
        "Patient",
        "Observation",
        "Condition",
        "MedicationRequest",
        "Encounter",
        "Practitioner",
        "DiagnosticReport",
        "AllergyIntolerance",
        "Task",
        "Appointment",
        "DocumentReference",
        "Organization",
    ];
    for of in types {
        let history = world.sandbox.history(of);
        let id = &history[0].0;
        let lean = world.json("read_resource", json!({"resource_type": of, "resource_id": id})).await;
        let (blocks, failed) = world.call("update_resource", &json!({"resource": lean})).await;
        assert!(!failed, "{of}: {blocks:?}");
        let after = world.sandbox.history(of);
        assert_eq!(after, history, "{of}: Medplum keeps the version of what did not change");
    }
}

#[tokio::test]
async fn a_part_of_a_resource_is_never_written() {
    let world = World::start();
    let part = world.json("search_one", json!({"resource_type": "Patient", "params": {"_elements": "name"}})).await;
    let (blocks, failed) = world.call("update_resource", &json!({"resource": part})).await;
    assert!(failed && blocks[0].contains("SUBSETTED"), "{blocks:?}");
}

#[tokio::test]
async fn a_batch_is_one_table_of_all_its_entries() {
    let world = World::start();
    let patient = world.long_chart().await;
    let batch = |entries: &[&str]| {
        let entry = |url: &&str| json!({"request": {"method": "GET", "url": url}});
        json!({"type": "batch", "entry": entries.iter().map(entry).collect::<Vec<_>>()})
    };
    let latest = format!("Observation?patient={patient}&code=8867-4&_sort=-date&_count=2");
    let none = format!("Observation?patient={patient}&code=0-0");
    let nobody = "Patient/5a4d0b0c-0000-4000-8000-00000000dead";
    let call = json!({"bundle": batch(&[&patient, &latest, &none, nobody]),
        "fields": ["id", "birthDate", "value.value", "effective"]});
    let (blocks, failed) = world.call("execute_batch", &call).await;
    assert!(!failed, "{blocks:?}");

    let who = world.json("raw_request", json!({"method": "GET", "path": format!("fhir/R4/{patient}")})).await;
    let path = format!("fhir/R4/{latest}");
    let measured = world.json("raw_request", json!({"method": "GET", "path": path})).await;
    let of = |n: usize| measured["entry"][n]["resource"].clone();
    let row = |o: Value| json!([1, o["id"], null, o["valueQuantity"]["value"], o["effectiveDateTime"]]);
    let expected = json!({"columns": ["entry", "id", "birthDate", "value.value", "effective"],
        "rows": [[0, who["id"], who["birthDate"], null, null], row(of(0)), row(of(1))]});
    assert_eq!(serde_json::from_str::<Value>(&blocks[0]).unwrap(), expected);
    let notes: Vec<&str> = blocks[1].lines().collect();
    assert!(notes[0].starts_with("1 of 4 entries failed: [3] 404"), "{notes:?}");
    assert!(notes[1].starts_with("More match in [1] (2 on its page)"), "{notes:?}");
    assert_eq!(notes[2], "Nothing matches in [2].");

    // A field that none of the types has is a slip; one that only some have is not.
    let slip = json!({"bundle": batch(&[&patient, &latest]), "fields": ["birthdate"]});
    let (blocks, failed) = world.call("execute_batch", &slip).await;
    assert!(
        failed && blocks[0].contains("Observation or Patient has no element \"birthdate\". Nearest: birthDate"),
        "{blocks:?}"
    );
    let every = format!("{patient}/$everything");
    let call = json!({"bundle": batch(&[&every]), "fields": ["resourceType", "id"]});
    let chart = world.json("execute_batch", call).await;
    assert!(chart["rows"].as_array().unwrap().len() > 100);
    assert!(chart["rows"].as_array().unwrap().contains(&json!([0, "Patient", patient.trim_start_matches("Patient/")])));
}

#[tokio::test]
async fn a_batch_says_which_of_its_searches_go_on() {
    let world = World::start();
    let url = "Observation?status=final&_count=3";
    let call = json!({"bundle": {"type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}});
    let (blocks, failed) = world.call("execute_batch", &call).await;
    assert!(!failed && blocks[1].starts_with("More match in [0] (3 on its page)"), "{blocks:?}");
}

#[tokio::test]
async fn what_is_missing_is_said_before_what_was_cut() {
    let world = World::start();
    let call = json!({"resource_type": "Observation", "max_resources": 300, "budget": 2_000,
        "sql": "select id, code_text from Observation"});
    let (blocks, _) = world.call("query_resources", &call).await;
    let notes: Vec<&str> = blocks[1].lines().collect();
    assert!(notes[0].starts_with("Incomplete: only 300 Observations were fetched"), "{notes:?}");
    assert!(notes[1].contains(" of 300 rows fit."), "{notes:?}");
}

#[tokio::test]
async fn a_cursor_of_another_query_is_refused() {
    let world = World::start();
    let call = json!({"resource_type": "Observation", "count": 5, "sort": "-date"});
    let (blocks, _) = world.call("search_resources", &call).await;
    let cursor = blocks[1].split("next: ").nth(1).unwrap().split(' ').next().unwrap();
    for (key, value) in [
        ("resource_type", json!("Condition")),
        ("sort", json!("date")),
        ("params", json!({"status": "final"})),
        ("count", json!(6)),
    ] {
        let mut other = call.clone();
        other["cursor"] = cursor.into();
        other[key] = value;
        let (blocks, failed) = world.call("search_resources", &other).await;
        assert!(failed && blocks[0].starts_with("cursor:"), "{other}: {blocks:?}");
    }
}

/// The notes of an answer, which is none of an error.
async fn notes(world: &World, tool: &str, arguments: Value) -> String {
    let (blocks, failed) = world.call(tool, &arguments).await;
    assert!(!failed, "{tool} {arguments}: {blocks:?}");
    blocks.get(1).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_field_that_leads_nowhere_is_refused_with_the_nearest() {
    let world = World::start();
    let batch = json!({"type": "batch", "entry": [{"request": {"method": "GET", "url": "Observation?_count=1"}}]});
    let id = "5a4d0b0c-0000-4000-8000-000000000201";
    for (tool, arguments, says) in [
        (
            "search_resources",
            json!({"resource_type": "Observation", "fields": ["code.txt"]}),
            "code has no element \"txt\". Nearest: text",
        ),
        (
            "search_one",
            json!({"resource_type": "Observation", "fields": ["valueQuantity.val"]}),
            "valueQuantity has no element \"val\". Nearest: value",
        ),
        (
            "search_all_resources",
            json!({"resource_type": "Observation", "fields": ["Patient.name"]}),
            "starts with Patient finds nothing: this is Observation",
        ),
        (
            "read_resource",
            json!({"resource_type": "Patient", "resource_id": id, "fields": ["name.famly"]}),
            "name has no element \"famly\". Nearest: family",
        ),
        (
            "get_patient_everything",
            json!({"patient_id": id, "fields": ["cod.text"]}),
            "no resource type has an element \"cod\"",
        ),
        ("execute_batch", json!({"bundle": batch, "fields": ["code.txt"]}), "code has no element \"txt\""),
    ] {
        let (blocks, failed) = world.call(tool, &arguments).await;
        assert!(failed && blocks[0].contains(says) && blocks[0].contains("Nothing was sent"), "{tool}: {blocks:?}");
    }
    // What is included has fields of its own.
    let included = json!({"resource_type": "Observation", "count": 1, "include": "Observation:subject", "fields": ["resourceType", "Patient.name.family"]});
    let table = world.json("search_resources", included).await;
    assert!(table["rows"].as_array().unwrap().iter().any(|row| row[0] == "Patient" && row[1].is_string()), "{table}");
    let resolved = json!({"resource_type": "Observation", "count": 1, "fields": ["subject.resolve().name.family"]});
    assert!(notes(&world, "search_resources", resolved).await.contains("contained resources alone"));
}

#[tokio::test]
async fn a_table_says_itself_what_it_needs() {
    let world = World::start();
    let call = |params: Value, summary: Option<&str>| {
        let mut call = json!({"resource_type": "Observation", "count": 3, "sort": "_id", "fields": ["id", "value.value", "code.text"]});
        call["params"] = params;
        call["params"]["code"] = json!("8867-4");
        call["summary"] = json!(summary);
        call
    };
    let table = world.json("search_resources", call(json!({}), None)).await;
    assert!(table["rows"][0][1].is_number(), "{table}");
    for (params, summary) in [
        (json!({"_elements": "status"}), None),
        (json!({}), Some("text")),
        (json!({"_fields": "id", "_summary": "true"}), None),
    ] {
        assert_eq!(world.json("search_resources", call(params.clone(), summary)).await, table, "{params} {summary:?}");
    }
}

#[tokio::test]
async fn one_is_found_however_the_search_is_shaped() {
    let world = World::start();
    for params in [json!({"_count": 0}), json!({"_count": 1}), json!({"_summary": "count"})] {
        let (blocks, failed) =
            world.call("search_one", &json!({"resource_type": "Observation", "params": params})).await;
        assert!(!failed && blocks[0].contains("\"resourceType\":\"Observation\""), "{params}: {blocks:?}");
        assert!(blocks[1].contains("Others match too"), "{params}: {blocks:?}");
    }
}

#[tokio::test]
async fn a_document_and_a_batch_lose_some_and_not_all() {
    let world = World::start();
    let document = json!({"query": "{ObservationList(_count:900){id status effectiveDateTime code{text}}}"});
    let (blocks, _) = world.call("execute_graphql", &document).await;
    let data: Value = serde_json::from_str(&blocks[0]).unwrap();
    let kept = data["data"]["ObservationList"].as_array().unwrap().len();
    assert!((150..900).contains(&kept), "{kept}");
    assert!(blocks[1].contains(&format!("data.ObservationList[{kept}..900] (")), "{blocks:?}");
    assert!(!blocks[1].contains("raise budget"), "it is the operator's most already: {}", blocks[1]);

    let get = |url: &str| json!({"request": {"method": "GET", "url": url}});
    let patient = "Patient/5a4d0b0c-0000-4000-8000-000000000201";
    let entries = [get(patient), get("Observation?_count=200"), get("Condition?_count=3")];
    let (blocks, _) = world.call("execute_batch", &json!({"bundle": {"type": "batch", "entry": entries}})).await;
    let reply: Value = serde_json::from_str(&blocks[0]).unwrap();
    assert!(blocks[0].len() > 30_000, "{}", blocks[0].len());
    let entries = reply["entry"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry["response"]["status"].as_str().unwrap().starts_with("200")));
    assert!(entries[0]["response"].get("outcome").is_none(), "{}", entries[0]);
    assert_eq!(entries[0]["resource"]["resourceType"], "Patient");
    assert_eq!(entries[2]["resource"]["entry"].as_array().unwrap().len(), 3);
    assert!(blocks[1].contains("entry[1].resource.entry["), "{}", blocks[1]);
    let (blocks, _) = world.call("execute_batch", &json!({"budget": 3_000, "bundle": {"type": "batch", "entry": [get("Observation?_count=100"), get(patient)]}})).await;
    let reply: Value = serde_json::from_str(&blocks[0]).unwrap();
    assert_eq!(reply["entry"].as_array().unwrap().len(), 2, "{blocks:?}");
    assert!(blocks[1].contains("raise budget"), "{}", blocks[1]);
}

#[tokio::test]
async fn what_fits_is_lean() {
    let world = World::start();
    let id = "5a4d0b0c-0000-4000-8000-000000000201";
    let tokens = |text: &str| tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len();
    let (blocks, _) = world.call("read_resource", &json!({"resource_type": "Patient", "resource_id": id})).await;
    let mut bare = stored(&world.sandbox, id).await;
    bare.as_object_mut().unwrap().remove("text");
    let cost: usize = blocks.iter().map(|block| tokens(block)).sum();
    assert!(cost * 5 <= tokens(&bare.to_string()) * 6, "{cost} tokens, bare {}", tokens(&bare.to_string()));

    let table = json!({"resource_type": "Observation", "params": {"patient": id}, "count": 100,
        "fields": ["id", "code.coding.code", "effective", "value.value"]});
    let (blocks, failed) = world.call("search_resources", &table).await;
    let rows: Value = serde_json::from_str(&blocks[0]).unwrap();
    assert_eq!((failed, rows["rows"].as_array().unwrap().len()), (false, 100));
    assert!(blocks[0].len() <= 8_500, "{}", blocks[0].len());
}

#[tokio::test]
async fn nothing_found_says_what_was_asked_and_no_more_than_helps() {
    let world = World::start();
    let patient = "Patient/5a4d0b0c-0000-4000-8000-000000000201";
    let params = json!({"code": "0-0", "patient": patient});
    let said = notes(&world, "search_resources", json!({"resource_type": "Observation", "params": params})).await;
    assert!(said.starts_with(&format!("No Observation matches code=0-0 and patient={patient}. ")), "{said}");
    assert!(said.ends_with("list_codes shows the codes that there are.") && !said.contains("Type/<id>"), "{said}");
    let said = notes(&world, "list_codes", json!({"resource_type": "Observation", "params": params})).await;
    assert!(said.starts_with("No Observation matches code=0-0") && !said.contains("list_codes"), "{said}");
    let params = json!({"patient": "nobody"});
    let said = notes(&world, "search_resources", json!({"resource_type": "Observation", "params": params})).await;
    assert_eq!(
        said,
        "No Observation matches patient=Patient/nobody. patient takes an id; by name: patient:Patient.name=nobody."
    );
}

#[tokio::test]
async fn codes_that_do_not_fit_and_resources_without_one_are_said() {
    let world = World::start();
    let params = json!({"patient": "Patient/5a4d0b0c-0000-4000-8000-000000000201"});
    let said =
        notes(&world, "list_codes", json!({"resource_type": "Observation", "params": params, "budget": 1_000})).await;
    assert!(
        said.contains(" most frequent of ") && said.contains("The others: narrow params") && !said.contains("columns"),
        "{said}"
    );
    assert!(said.contains(" Observations (complete)"), "{said}");
    let said = notes(&world, "list_codes", json!({"resource_type": "Encounter"})).await;
    assert!(said.contains("Encounter also codes: ") || !said.contains("without one"), "{said}");
}

#[tokio::test]
async fn a_summary_of_little_room_is_about_the_patient() {
    let world = World::start();
    let id = "5a4d0b0c-0000-4000-8000-000000000201";
    for budget in [1_000, 1_200, 1_500, 2_000, 4_000] {
        let (blocks, failed) = world.call("get_patient_summary", &json!({"patient_id": id, "budget": budget})).await;
        assert!(!failed, "{blocks:?}");
        let page: Value = serde_json::from_str(&blocks[0]).unwrap();
        assert_eq!(page["patient"]["id"], id, "{budget}: {blocks:?}");
        assert!(
            page["patient"]["name"].is_string() && page["patient"]["birthDate"].is_string(),
            "{budget}: {blocks:?}"
        );
        for section in ["problems", "medications", "latest"] {
            assert!(
                page.get(section).is_some() || page["notShown"].get(section).is_some(),
                "{budget} {section}: {blocks:?}"
            );
        }
        let note = blocks.get(1).cloned().unwrap_or_default();
        assert!(!note.contains("Left out to fit"), "{budget}: {note}");
        let size: usize = blocks.iter().map(|block| block.chars().count()).sum();
        assert!(size <= budget, "{size} in {budget}");
    }
}

#[tokio::test]
async fn what_is_as_good_as_left_out_does_not_close_a_cursor() {
    let world = World::start();
    let first = notes(&world, "search_resources", json!({"resource_type": "Observation", "count": 3})).await;
    let cursor = first.split("next: ").nth(1).unwrap().split(' ').next().unwrap();
    let next = json!({"resource_type": "Observation", "count": 3, "params": {}, "narrative": false, "cursor": cursor});
    assert_eq!(world.json("search_resources", next).await["entry"].as_array().unwrap().len(), 3);
}
