//! What holds of every answer, whatever is asked: pages joined are the whole, no answer is over its budget, a table holds
//! what FHIRPath finds, and SQL counts what the resources hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use fhirpath::{Context, Expression};
use medplum_client::Client;
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Settings, Values};
use medplum_sandbox::Sandbox;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// A patient with ten years of chart.
const LONG: &str = "5a4d0b0c-0000-4000-8000-000000000201";
const CODES: &[&str] = &["8867-4", "4548-4", "2160-0", "29463-7", "85354-9"];

struct World {
    sandbox: Sandbox,
    server: Server,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn start() -> Self {
        let sandbox = Sandbox::builder().quota(u64::MAX / 2).start_on_thread().unwrap();
        // Large enough that only what is asked for cuts an answer.
        let set = |name: &str| (name == "MEDPLUM_ANSWER_BUDGET").then(|| "1000000".into());
        let mut settings = Settings::new(&Values::find(|_| None, set)).unwrap();
        settings.use_sandbox(&sandbox).unwrap();
        let client = Client::new(settings.config().unwrap(), Policy::new(settings.limits.clone()));
        let server = Server::new(client, settings.limits.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { sandbox, server, runtime }
    }

    fn call(&self, tool: &str, arguments: &Value) -> (Vec<String>, bool) {
        let result = self.runtime.block_on(self.server.call(tool, arguments.as_object().unwrap().clone()));
        let texts = result.content.iter().filter_map(|block| block.as_text()).map(|block| block.text.clone());
        (texts.collect(), result.is_error == Some(true))
    }

    fn rows(&self, tool: &str, arguments: &Value) -> Vec<Vec<Value>> {
        let (blocks, failed) = self.call(tool, arguments);
        assert!(!failed, "{tool} {arguments}: {blocks:?}");
        let table: Value = serde_json::from_str(&blocks[0]).unwrap();
        serde_json::from_value(table["rows"].clone()).unwrap()
    }

    /// The first cells of all pages of a call, by its cursors.
    fn walk(&self, tool: &str, arguments: &Value) -> Vec<String> {
        let (mut found, mut asked) = (Vec::new(), arguments.clone());
        for _ in 0..2_000 {
            let (blocks, failed) = self.call(tool, &asked);
            assert!(!failed, "{tool} {asked}: {blocks:?}");
            let table: Value = serde_json::from_str(&blocks[0]).unwrap();
            found.extend(table["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()));
            let note = blocks.get(1).map_or("", String::as_str);
            match note.split("next: ").nth(1).and_then(|rest| rest.split(' ').next()) {
                Some(cursor) => asked["cursor"] = cursor.into(),
                None => return found,
            }
        }
        panic!("the cursors do not end: {tool} {arguments}");
    }

    /// The resources of a type as the sandbox holds them.
    fn raw(&self, of: &str) -> Vec<Value> {
        let newest: BTreeMap<String, Option<Value>> = self.sandbox.history(of).into_iter().collect();
        newest.into_values().flatten().collect()
    }
}

fn run<S: Strategy>(cases: u32, strategy: S, check: impl Fn(S::Value)) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&strategy, |value| {
            check(value);
            Ok(())
        })
        .unwrap();
}

#[test]
fn pages_joined_by_their_cursors_are_the_whole() {
    let world = World::start();
    let patient = format!("Patient/{LONG}");
    let observations = world.raw("Observation");
    let with_code = |code: &str| -> BTreeSet<String> {
        let theirs = observations.iter().filter(|o| o["subject"]["reference"] == patient.as_str());
        let of_code = theirs.filter(|o| o["code"]["coding"][0]["code"] == code);
        of_code.map(|o| o["id"].as_str().unwrap().to_owned()).collect()
    };
    let sorts =
        select(vec![None, Some("date"), Some("-date"), Some("-_lastUpdated"), Some("_lastUpdated"), Some("_id")]);
    let strategy =
        (select(vec!["8867-4", "4548-4", "29463-7"]), any::<bool>(), sorts, 1_usize..130, 1_000_usize..6_000);
    run(24, strategy, |(code, all, sort, size, budget)| {
        let mut call = json!({"resource_type": "Observation", "params": {"patient": patient, "code": code},
            "fields": ["id", "effective", "code.text"], "budget": budget});
        if let Some(sort) = sort {
            call["sort"] = sort.into();
        }
        let tool = if all { "search_all_resources" } else { "search_resources" };
        call[if all { "max_resources" } else { "count" }] = size.into();
        let found = world.walk(tool, &call);
        let distinct: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(found.len(), distinct.len(), "repeated: {tool} {call}");
        assert_eq!(distinct, with_code(code), "{tool} {call}");
        if sort.is_some_and(|sort| sort.trim_start_matches('-') == "date") {
            let mut whole =
                json!({"resource_type": "Observation", "params": call["params"], "fields": ["id"], "count": 1_000});
            whole["sort"] = call["sort"].clone();
            assert_eq!(found, world.walk("search_resources", &whole), "out of order: {tool} {call}");
        }
    });

    let kinds = vec!["Condition", "MedicationRequest", "Encounter"];
    let years = prop_oneof![Just(None), (2_016_i32..2_026, 1_i32..4).prop_map(Some)];
    run(10, (subsequence(kinds, 1..=3), years, 1_000_usize..9_000), |(types, years, budget)| {
        let mut call = json!({"patient_id": LONG, "types": types, "fields": ["id", "resourceType"], "budget": budget});
        if let Some((first, more)) = years {
            call["start"] = first.to_string().into();
            call["end"] = (first + more).to_string().into();
        }
        let is_within = |resource: &Value| {
            let Some((first, more)) = years else { return true };
            let date =
                ["/period/start", "/onsetDateTime", "/authoredOn"].iter().find_map(|at| resource.pointer(at)?.as_str());
            date.is_none_or(|date| {
                (first..=first + more).contains(&date.split('-').next().unwrap().parse::<i32>().unwrap())
            })
        };
        let there = types.iter().flat_map(|of| world.raw(of)).filter(|r| r["subject"]["reference"] == patient.as_str());
        let there = there.filter(is_within).map(|r| r["id"].as_str().unwrap().to_owned());
        let there: BTreeSet<String> = there.collect();
        // The patient, and who is referred to, come along.
        let along: BTreeSet<String> = ["Patient", "Practitioner", "Organization"]
            .iter()
            .flat_map(|of| world.raw(of))
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect();
        let found = world.walk("get_patient_everything", &call);
        let found: Vec<String> = found.into_iter().filter(|id| !along.contains(id)).collect();
        assert_eq!(found.len(), there.len(), "repeated or lost: {call}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), there, "{call}");
    });
}

/// Some call of any tool that reads, and its budget.
fn any_call() -> impl Strategy<Value = (&'static str, Value)> {
    let of = || select(vec!["Observation", "Patient", "Condition", "Encounter", "MedicationRequest"]);
    let search = move || {
        (of(), 1_usize..300, any::<bool>()).prop_map(|(of, count, sorted)| {
            let mut call = json!({"resource_type": of, "count": count});
            if sorted {
                call["sort"] = "-_lastUpdated".into();
            }
            call
        })
    };
    let get = |url: String| json!({"request": {"method": "GET", "url": url}});
    let with = |tool: &'static str| move |call: Value| (tool, call);
    prop_oneof![
        search().prop_map(with("search_resources")),
        (of(), 1_usize..400)
            .prop_map(|(of, most)| ("search_all_resources", json!({"resource_type": of, "max_resources": most}))),
        of().prop_map(|of| ("search_one", json!({"resource_type": of}))),
        Just(("read_resource", json!({"resource_type": "Patient", "resource_id": LONG}))),
        Just(("get_patient_everything", json!({"patient_id": LONG}))),
        Just(("get_patient_summary", json!({"patient_id": LONG}))),
        of().prop_map(|of| ("list_codes", json!({"resource_type": of}))),
        of().prop_map(|of| ("query_resources", json!({"resource_type": of}))),
        of().prop_map(|of| (
            "query_resources",
            json!({"resource_type": of, "sql": format!("select id, json from {of}")})
        )),
        (of(), 1_usize..200)
            .prop_map(|(of, n)| ("raw_request", json!({"method": "GET", "path": format!("fhir/R4/{of}?_count={n}")}))),
        (of(), 1_usize..90).prop_map(move |(of, n)| (
            "execute_batch",
            json!({"bundle": {"type": "batch",
            "entry": [get(format!("{of}?_count={n}")), get(format!("Patient/{LONG}"))]}})
        )),
        (of(), 1_usize..90).prop_map(move |(of, n)| (
            "execute_batch",
            json!({"fields": ["id", "resourceType"],
            "bundle": {"type": "batch", "entry": [get(format!("{of}?_count={n}")), get(format!("Patient/{LONG}"))]}})
        )),
        of().prop_map(|of| (
            "execute_graphql",
            json!({"query": format!("{{ {of}List(_count: 300) {{ id meta {{ lastUpdated }} }} }}")})
        )),
        of().prop_map(|of| (
            "get_resource_schema",
            json!({"resource_type": of, "include_nested": true, "verbose": true})
        )),
        of().prop_map(|of| ("get_resource_capabilities", json!({"resource_type": of}))),
    ]
}

#[test]
fn no_answer_is_over_its_budget() {
    let world = World::start();
    run(120, (any_call(), prop_oneof![1_000_usize..2_000, 1_000_usize..40_001]), |((tool, mut call), budget)| {
        call["budget"] = budget.into();
        let (blocks, failed) = world.call(tool, &call);
        assert!(!failed, "{tool}: {call}: {blocks:?}");
        let size: usize = blocks.iter().map(|block| block.chars().count()).sum();
        assert!(size <= budget, "{tool}: {size} characters in {budget}: {call}");
        is_of_use(tool, &call, &blocks[0]);
    });
}

/// Some of what was asked for is there, whatever was cut.
fn is_of_use(tool: &str, call: &Value, block: &str) {
    let Ok(record) = serde_json::from_str::<Value>(block) else { return assert!(block.len() > 100, "{tool} {call}") };
    let holds = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    match tool {
        "execute_graphql" => {
            assert!(record["data"].as_object().unwrap().values().all(holds), "{call}: {block}");
        }
        "execute_batch" if record.get("rows").is_none() => {
            let entries = record["entry"].as_array().unwrap();
            assert_eq!(entries.len(), call["bundle"]["entry"].as_array().unwrap().len(), "{call}: {block}");
            assert!(entries.iter().all(|entry| entry["response"]["status"].is_string()), "{call}: {block}");
        }
        "raw_request" | "search_resources" | "search_all_resources" | "get_patient_everything" => {
            assert!(holds(&record["entry"]), "{call}: {block}");
        }
        "get_patient_summary" => assert_eq!(record["patient"]["id"], LONG, "{call}: {block}"),
        "read_resource" | "search_one" => assert!(record["id"].is_string(), "{call}: {block}"),
        _ => {}
    }
}

#[test]
fn a_table_holds_what_fhirpath_finds_in_the_whole_resource() {
    let world = World::start();
    let pools: &[(&str, &[&str])] = &[
        (
            "Observation",
            &[
                "status",
                "code.text",
                "code.coding.code",
                "value.value",
                "valueQuantity.unit",
                "value",
                "effective",
                "subject.reference",
                "component.where(code.coding.code='8480-6').value.value",
                "category.coding.first().code",
                "component.count()",
                "value.value > 100",
                "encounter.exists()",
            ],
        ),
        (
            "Patient",
            &[
                "name.family",
                "name.given",
                "name.where(use='official').family",
                "birthDate",
                "identifier.value",
                "gender = 'female'",
                "telecom.where(system='phone').value",
                "address.city",
                "Patient.name.given.first()",
                "active.not()",
            ],
        ),
        (
            "MedicationRequest",
            &[
                "medication.text",
                "medicationCodeableConcept.coding.code",
                "authoredOn",
                "dosageInstruction.text",
                "dispenseRequest.validityPeriod.start",
                "status",
                "requester.reference | subject.reference",
            ],
        ),
    ];
    let raw: Vec<BTreeMap<String, Value>> = pools
        .iter()
        .map(|(of, _)| world.raw(of).into_iter().map(|r| (r["id"].as_str().unwrap().to_owned(), r)).collect())
        .collect();
    let strategy = (0..pools.len()).prop_flat_map(|n| {
        let (_, pool) = pools[n];
        (Just(n), subsequence(pool.to_vec(), 1..=pool.len()), 1_usize..60, any::<bool>())
    });
    run(32, strategy, |(n, fields, count, newest)| {
        let of = pools[n].0;
        let fields: Vec<&str> = std::iter::once("id").chain(fields).collect();
        let sort = if newest { "-_lastUpdated" } else { "_id" };
        let call = json!({"resource_type": of, "fields": fields, "count": count, "sort": sort});
        let rows = world.rows("search_resources", &call);
        assert!(!rows.is_empty(), "{call}");
        for row in rows {
            let whole = &raw[n][row[0].as_str().unwrap()];
            let definitions = fhir_definitions::Definitions::get();
            let context = Context::new().with_resource(whole).with_root_resource(whole).with_model(definitions);
            for (cell, field) in row.iter().zip(&fields) {
                let expression = Expression::parse(field).unwrap();
                let found = expression.evaluate(whole, &context).unwrap();
                let mut found: Vec<Value> = found.iter().map(|item| item.to_json().into_owned()).collect();
                let expected = match found.len() {
                    0 => Value::Null,
                    1 => found.remove(0),
                    _ => Value::Array(found),
                };
                assert_eq!(*cell, expected, "{field} of {of}/{}", row[0]);
            }
        }
    });
}

#[test]
fn sql_counts_what_the_resources_hold() {
    let world = World::start();
    let columns: &[(&str, &[(&str, &str)])] = &[
        (
            "Observation",
            &[
                ("value_value", "/valueQuantity/value"),
                ("value_unit", "/valueQuantity/unit"),
                ("status", "/status"),
                ("code_code", "/code/coding/0/code"),
                ("code_text", "/code/text"),
                ("category_code", "/category/0/coding/0/code"),
                ("subject", "/subject/reference"),
                ("encounter", "/encounter/reference"),
                ("effective", "/effectiveDateTime"),
                ("component_value_value", "/component/0/valueQuantity/value"),
            ],
        ),
        (
            "Patient",
            &[
                ("gender", "/gender"),
                ("birth_date", "/birthDate"),
                ("name_family", "/name/0/family"),
                ("name_given", "/name/0/given/0"),
                ("address_city", "/address/0/city"),
                ("identifier_value", "/identifier/0/value"),
            ],
        ),
        (
            "Condition",
            &[
                ("code_code", "/code/coding/0/code"),
                ("code_text", "/code/text"),
                ("onset", "/onsetDateTime"),
                ("clinical_status_code", "/clinicalStatus/coding/0/code"),
                ("subject", "/subject/reference"),
            ],
        ),
    ];
    let raw: Vec<Vec<Value>> = columns.iter().map(|(of, _)| world.raw(of)).collect();
    let strategy = (0..columns.len()).prop_flat_map(|n| {
        let (_, names) = columns[n];
        (Just(n), select(names.to_vec()), select(names.to_vec()), select(CODES.to_vec()))
    });
    run(32, strategy, |(n, (column, at), (by, by_at), code)| {
        let of = columns[n].0;
        let sql = format!(
            "select {by}, count(*), count({column}), count(distinct {column}), min({column}), max({column}), total({column}) from {of} group by 1 order by 1"
        );
        let mut call = json!({"resource_type": of, "sql": sql});
        // All observations would be the work of minutes, unoptimised.
        let observed = of == "Observation";
        if observed {
            call["params"] = json!({"code": code});
        }
        let resources = raw[n].iter().filter(|r| !observed || r["code"]["coding"][0]["code"] == code);
        let mut groups: BTreeMap<Option<String>, Vec<Option<&Value>>> = BTreeMap::new();
        let mut keys: BTreeMap<Option<String>, Value> = BTreeMap::new();
        for resource in resources {
            let key = resource.pointer(by_at);
            // Numbers in their order, texts in theirs.
            let sorted =
                key.map(|key| key.as_f64().map_or_else(|| key.as_str().unwrap().to_owned(), |n| format!("{n:020.6}")));
            keys.insert(sorted.clone(), key.cloned().unwrap_or_default());
            groups.entry(sorted).or_default().push(resource.pointer(at));
        }
        let rows = world.rows("query_resources", &call);
        assert_eq!(rows.len(), groups.len(), "{call}");
        for (row, (key, values)) in rows.iter().zip(groups) {
            let held: Vec<&Value> = values.iter().copied().flatten().collect();
            // 71 and 71.0 are one number.
            let text = |value: &Value| value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string());
            let distinct: BTreeSet<String> = held.iter().map(|value| text(value)).collect();
            assert!(same(&row[0], &keys[&key]), "{call}: {row:?}");
            assert_eq!(
                (&row[1], &row[2], &row[3]),
                (&json!(values.len()), &json!(held.len()), &json!(distinct.len())),
                "{call}"
            );
            let order = |a: &&&Value, b: &&&Value| match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => a.as_str().cmp(&b.as_str()),
            };
            let (least, most) = (held.iter().min_by(order), held.iter().max_by(order));
            assert!(same(&row[4], least.copied().unwrap_or(&Value::Null)), "{call}: {row:?}");
            assert!(same(&row[5], most.copied().unwrap_or(&Value::Null)), "{call}: {row:?}");
            if held.iter().all(|value| value.is_number()) {
                let sum: f64 = held.iter().filter_map(|value| value.as_f64()).sum();
                assert!((row[6].as_f64().unwrap() - sum).abs() < 1e-6, "{call}: {row:?} {sum}");
            }
        }
    });
}

/// Whether two cells are the same; 4 is 4.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-9,
        _ => one == other,
    }
}
