//! Answers of several pages: each thing once, none lost, whatever the records are like.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use medplum_client::Client;
use medplum_mcp::policy::Policy;
use medplum_mcp::server::Server;
use medplum_mcp::settings::{Settings, Values};
use medplum_sandbox::{Data, Sandbox};
use serde_json::{Value, json};

/// A patient with ten years of chart.
const LONG: &str = "5a4d0b0c-0000-4000-8000-000000000201";

/// A server over a sandbox with these resources.
struct Ward {
    server: Server,
    _sandbox: Sandbox,
}

impl Ward {
    fn of(resources: impl IntoIterator<Item = Value>) -> Self {
        let lines: Vec<String> = resources.into_iter().map(|resource| resource.to_string()).collect();
        Self::on(
            Sandbox::builder().unpopulated().data(Data::parse(&lines.join("\n")).unwrap()).start_on_thread().unwrap(),
        )
    }

    fn on(sandbox: Sandbox) -> Self {
        let set = |name: &str| (name == "MEDPLUM_ALLOW_OBO_OVERRIDE").then(|| "true".into());
        let mut settings = Settings::new(&Values::find(|_| None, set)).unwrap();
        settings.use_sandbox(&sandbox).unwrap();
        let client = Client::new(settings.config().unwrap(), Policy::new(settings.limits.clone()));
        Self { server: Server::new(client, settings.limits.clone()).unwrap(), _sandbox: sandbox }
    }

    async fn ask(&self, tool: &str, arguments: &Value) -> Result<Page, String> {
        let result = self.server.call(tool, arguments.as_object().unwrap().clone()).await;
        let mut blocks = result.content.iter().filter_map(|block| block.as_text()).map(|block| block.text.clone());
        let (first, note) = (blocks.next().unwrap(), blocks.next().unwrap_or_default());
        if result.is_error == Some(true) {
            Err(first)
        } else {
            Ok(Page { record: serde_json::from_str(&first).unwrap(), note })
        }
    }

    /// All pages of a call, by its cursors.
    async fn pages(&self, tool: &str, arguments: Value) -> Vec<Page> {
        let (mut pages, mut asked) = (Vec::new(), arguments);
        loop {
            let page = self.ask(tool, &asked).await.unwrap();
            let cursor = page.cursor();
            pages.push(page);
            match cursor {
                Some(cursor) => asked["cursor"] = cursor.into(),
                None => return pages,
            }
            assert!(pages.len() < 1_000, "the cursors do not end: {tool} {asked}");
        }
    }

    /// The ids on all pages of a call, in their order.
    async fn ids(&self, tool: &str, arguments: Value) -> Vec<String> {
        self.pages(tool, arguments).await.iter().flat_map(Page::ids).collect()
    }
}

struct Page {
    record: Value,
    note: String,
}

impl Page {
    fn cursor(&self) -> Option<String> {
        self.note.split("next: ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned)
    }

    fn ids(&self) -> Vec<String> {
        let of_row = |row: &Value| row[0].as_str().unwrap().to_owned();
        let of_entry = |entry: &Value| {
            let id = entry["resource"]["id"].as_str();
            id.unwrap_or_else(|| panic!("{} {}", self.record, self.note)).to_owned()
        };
        let rows = self.record["rows"].as_array().map(|rows| rows.iter().map(of_row).collect());
        rows.unwrap_or_else(|| self.record["entry"].as_array().into_iter().flatten().map(of_entry).collect())
    }
}

fn id(n: usize) -> String {
    format!("5a4d0b0c-0000-4000-8000-00000001{n:04}")
}

#[track_caller]
fn assert_each_once(found: &[String], all: impl IntoIterator<Item = usize>) {
    let mut sorted = found.to_vec();
    sorted.sort();
    assert_eq!(sorted, all.into_iter().map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_pages_go_on_behind_a_resource_that_is_larger_than_an_answer() {
    let document = |n: usize| {
        let data = "A".repeat(if n == 2 { 80_000 } else { 40 });
        json!({"resourceType": "DocumentReference", "id": id(n), "status": "current", "description": "x".repeat(60),
            "content": [{"attachment": {"contentType": "application/pdf", "data": data}}]})
    };
    let ward = Ward::of((0..5).map(document));
    for (tool, more) in [
        ("search_resources", json!({})),
        ("search_resources", json!({"sort": "-_lastUpdated"})),
        ("search_all_resources", json!({})),
        ("search_all_resources", json!({"sort": "_id"})),
        ("search_all_resources", json!({"budget": 1_000})),
        ("search_all_resources", json!({"fields": ["id", "content.attachment.data"]})),
        ("search_resources", json!({"fields": ["id", "content.attachment.data"], "budget": 2_000})),
    ] {
        let mut call = json!({"resource_type": "DocumentReference"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let pages = ward.pages(tool, call.clone()).await;
        let found: Vec<String> = pages.iter().flat_map(Page::ids).collect();
        assert_each_once(&found, 0..5);
        let said = pages.iter().find(|page| page.note.contains("too large")).unwrap_or_else(|| panic!("{tool} {call}"));
        assert!(said.note.contains("content") && said.note.contains(" (800"), "{}", said.note);
        let budget = call["budget"].as_u64().unwrap_or(40_000) as usize;
        for page in &pages {
            let size = page.record.to_string().chars().count() + page.note.chars().count();
            assert!(size <= budget, "{size} of {budget}: {tool} {call}");
        }
    }
}

#[tokio::test]
async fn what_a_match_includes_stands_behind_it() {
    let patient = |n: usize| json!({"resourceType": "Patient", "id": id(n), "generalPractitioner": [{"reference": format!("Practitioner/{}", id(100 + n / 2))}]});
    let practitioner = |n: usize| json!({"resourceType": "Practitioner", "id": id(100 + n)});
    let condition = |n: usize| json!({"resourceType": "Condition", "id": id(200 + n), "code": {"text": "x"}, "subject": {"reference": format!("Patient/{}", id(n))}});
    let ward = Ward::of((0..30).map(patient).chain((0..15).map(practitioner)).chain((0..30).map(condition)));
    for (tool, include, more) in [
        ("search_all_resources", "_include", json!({"max_resources": 4})),
        ("search_all_resources", "_include", json!({"max_resources": 4, "sort": "_id"})),
        ("search_resources", "_include", json!({"count": 4})),
        ("search_resources", "_revinclude", json!({"count": 4})),
        ("search_all_resources", "_revinclude", json!({"max_resources": 4})),
    ] {
        let what = if include == "_include" { "Patient:general-practitioner" } else { "Condition:subject" };
        let mut call = json!({"resource_type": "Patient", "params": {include: what}, "fields": ["id", "resourceType"]});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ids = ward.ask(tool, &call).await.unwrap().ids();
        let expected: &[usize] =
            if include == "_include" { &[0, 100, 1, 2, 101, 3] } else { &[0, 200, 1, 201, 2, 202, 3, 203] };
        assert_eq!(ids, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{tool} {call}");
    }
    // What does not fit is the last match and what belongs to it, not all that was included.
    let call = json!({"resource_type": "Patient", "params": {"_revinclude": "Condition:subject"}, "budget": 3_000});
    let page = ward.ask("search_all_resources", &call).await.unwrap();
    let ids = page.ids();
    assert!(ids.len() > 6 && ids.len() % 2 <= 1 && ids.contains(&id(200)) && ids.contains(&id(201)), "{ids:?}");
}

#[tokio::test]
async fn a_run_of_one_instant_is_passed() {
    let patient = |n: usize| json!({"resourceType": "Patient", "id": id(n), "meta": {"lastUpdated": if n < 20 { "2026-01-05T07:59:00.000Z" } else { "2026-01-05T08:00:00.000Z" }}, "gender": "female"});
    let ward = Ward::of((0..400).map(patient));
    for (tool, more) in [
        ("search_resources", json!({"fields": ["id"], "budget": 6_000})),
        ("search_resources", json!({"fields": ["id"], "count": 50})),
        ("search_all_resources", json!({"fields": ["id"], "budget": 8_000, "max_resources": 1_000})),
        ("search_all_resources", json!({"fields": ["id"], "max_resources": 30})),
    ] {
        let mut call = json!({"resource_type": "Patient"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_each_once(&ward.ids(tool, call).await, 0..400);
    }
    // Where the budget is too small for a cursor that tells them apart, the way that works is said.
    let call = json!({"resource_type": "Patient", "fields": ["id"], "budget": 1_000, "max_resources": 1_000});
    let mut asked = call.clone();
    let last = loop {
        let page = ward.ask("search_all_resources", &asked).await.unwrap();
        match page.cursor() {
            Some(cursor) => asked["cursor"] = cursor.into(),
            None => break page,
        }
    };
    assert!(last.note.contains("call again with sort: _id"), "{}", last.note);
    assert_each_once(&ward.ids("search_all_resources", json!({"resource_type": "Patient", "fields": ["id"], "budget": 1_000, "sort": "_id", "max_resources": 1_000})).await, 0..400);
}

#[tokio::test]
async fn an_instant_of_more_than_a_page_is_walked_by_id() {
    let patient = |n: usize| json!({"resourceType": "Patient", "id": id(n), "meta": {"lastUpdated": "2026-01-05T08:00:00.000Z"}, "gender": "female"});
    let ward = Ward::of((0..1_300).map(patient));
    let sql = json!({"resource_type": "Patient", "sql": "SELECT count(*) FROM Patient"});
    assert_eq!(ward.ask("query_resources", &sql).await.unwrap().record["rows"], json!([[1_300]]));
    let all = json!({"resource_type": "Patient", "fields": ["id"], "max_resources": 2_000});
    assert_each_once(&ward.ids("search_all_resources", all).await, 0..1_300);
    let refused = ward.ask("search_resources", &json!({"resource_type": "Patient"})).await.err().unwrap();
    assert!(refused.contains("sort: _id"), "{refused}");
    assert_each_once(
        &ward
            .ids(
                "search_resources",
                json!({"resource_type": "Patient", "fields": ["id"], "sort": "_id", "count": 1_000}),
            )
            .await,
        0..1_300,
    );
}

#[tokio::test]
async fn a_chart_narrowed_by_time_goes_on_where_it_ended() {
    let ward = Ward::on(Sandbox::builder().quota(u64::MAX / 2).start_on_thread().unwrap());
    for (narrowed, budget) in [
        (json!({"start": "2020", "end": "2020"}), 3_000),
        (json!({"start": "2018-03", "end": "2021-06-30", "types": ["Observation"]}), 5_000),
        (json!({"types": ["Observation"]}), 9_000),
        (json!({}), 9_000),
    ] {
        let mut call = json!({"patient_id": LONG, "fields": ["id", "resourceType"]});
        call.as_object_mut().unwrap().extend(narrowed.as_object().unwrap().clone());
        let whole = ward.pages("get_patient_everything", call.clone()).await;
        let mut all: Vec<String> = whole.iter().flat_map(Page::ids).collect();
        call["budget"] = budget.into();
        let pages = ward.pages("get_patient_everything", call.clone()).await;
        assert!(pages.len() > 2, "{narrowed}");
        let mut joined: Vec<String> = pages.iter().flat_map(Page::ids).collect();
        // What they refer to may come with several pages; what is in the chart comes once.
        let brought = |ids: &[String]| ids.iter().filter(|id| id.as_str() < LONG).cloned().collect::<Vec<_>>();
        assert!(!brought(&all).is_empty());
        joined.sort();
        joined.dedup_by(|a, b| a == b && a.as_str() < LONG);
        all.sort();
        all.dedup_by(|a, b| a == b && a.as_str() < LONG);
        assert_eq!(joined, all, "{narrowed}");
        let first = &pages[0].note;
        let counted: usize = first
            .split(" resource")
            .next()
            .and_then(|text| text.rsplit(char::is_whitespace).next())
            .unwrap()
            .parse()
            .unwrap();
        assert!(first.contains(&format!(" of {counted}.")), "{first}");
        assert!(pages.last().unwrap().note.is_empty());
    }
}

#[tokio::test]
async fn what_was_fetched_and_what_is_shown_are_told_apart() {
    let observation =
        |n: usize| json!({"resourceType": "Observation", "id": id(n), "status": "final", "code": {"text": "x"}});
    let ward = Ward::of((0..60).map(observation));
    let note = |call: Value| {
        let ward = &ward;
        async move {
            let note = ward.ask("search_all_resources", &call).await.unwrap().note;
            note.split(" next: ").next().unwrap().to_owned()
        }
    };
    let asked = |most: usize, budget: usize| json!({"resource_type": "Observation", "fields": ["id"], "max_resources": most, "budget": budget});
    assert_eq!(note(asked(60, 40_000)).await, "");
    assert_eq!(note(asked(50, 40_000)).await, "50 shown; more match.");
    assert_eq!(note(asked(60, 2_000)).await, "36 of 60.");
    assert_eq!(note(asked(50, 2_000)).await, "36 shown, of 50 fetched; more match.");
}

#[tokio::test]
async fn where_medplum_has_no_page_there_is_no_cursor_and_it_is_said() {
    let observation = |n: usize| json!({"resourceType": "Observation", "id": format!("5a4d0b0c-0000-4000-8000-0000001{n:05}"), "status": "final", "code": {"text": "x"}});
    let ward = Ward::of((0..11_200).map(observation));
    let page = |offset: usize, count: usize| json!({"resource_type": "Observation", "fields": ["id"], "sort": "-_lastUpdated", "offset": offset, "count": count});
    let at = ward.ask("search_resources", &page(9_500, 700)).await.unwrap();
    assert!(at.cursor().is_none() && at.note.contains("no page beyond offset 10000"), "{}", at.note);
    let before = ward.ask("search_resources", &page(9_500, 400)).await.unwrap();
    assert!(before.cursor().is_some() && !before.note.contains("beyond offset"), "{}", before.note);
    let mut walk =
        json!({"resource_type": "Observation", "fields": ["id"], "sort": "-_lastUpdated", "max_resources": 50_000});
    let first = ward.ask("search_all_resources", &walk).await.unwrap();
    assert!(first.note.contains("no page beyond offset 10000"), "{}", first.note);
    walk.as_object_mut().unwrap().remove("sort");
    walk["fields"] = json!(["id", "status"]);
    let first = ward.ask("search_all_resources", &walk).await.unwrap();
    assert!(first.note.contains(" of 11200."), "{}", first.note);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_alone() {
    let sandbox = Sandbox::builder().start_on_thread().unwrap();
    let member = sandbox.membership();
    let ward = Ward::on(sandbox);
    let mut call = json!({"resource_type": "Patient", "fields": ["id"], "count": 5});
    let cursor = ward.ask("search_resources", &call).await.unwrap().cursor().unwrap();
    call["cursor"] = cursor.into();
    let with = |key: &str, value: Value| {
        let mut call = call.clone();
        call[key] = value;
        call
    };
    // What says nothing may be there or not.
    for same in [call.clone(), with("params", json!({})), with("narrative", json!(false)), with("sort", Value::Null)] {
        assert!(ward.ask("search_resources", &same).await.is_ok(), "{same}");
    }
    for other in [
        with("on_behalf_of", json!(member)),
        with("count", json!(6)),
        with("params", json!({"gender": "female"})),
        with("resource_type", json!("Practitioner")),
        with("fields", json!(["id", "gender"])),
    ] {
        let refused = ward.ask("search_resources", &other).await.err().unwrap_or_else(|| panic!("{other}"));
        assert!(refused.contains("does not belong to this query"), "{refused}");
    }
    let refused = ward.ask("search_all_resources", &with("count", Value::Null)).await.err().unwrap();
    assert!(refused.contains("does not belong to this query"), "{refused}");
}

/// On Medplum `Jose` is not `José`, nor the other way round. Who finds nobody is told so before saying that there is nobody.
#[tokio::test]
async fn a_name_that_is_written_with_an_accent_is_found_by_both_spellings() {
    let patient = |n: usize, given: &str, family: &str| json!({"resourceType": "Patient", "id": id(n), "name": [{"family": family, "given": [given]}]});
    let measured = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
    let ward = Ward::of([patient(1, "José", "Müller"), patient(2, "Zoe", "Lopez"), measured]);
    let by = |key: &str, value: &str| {
        let mut params = serde_json::Map::new();
        params.insert(key.to_owned(), value.into());
        json!({"resource_type": "Patient", "params": params})
    };
    for (key, value, told) in [
        (
            "name",
            "Jose",
            "Accents count: Jose does not find a name that is written with one; both: name=Jose,<with the accent>.",
        ),
        ("name", "Zoë", "Accents count; with and without: name=Zoë,Zoe."),
        ("family:exact", "Muller", "both: family:exact=Muller,<with the accent>."),
        ("given", "zoé", "with and without: given=zoé,zoe."),
    ] {
        let page = ward.ask("search_resources", &by(key, value)).await.unwrap();
        assert!(page.ids().is_empty() && page.note.contains(told), "{key}={value}: {}", page.note);
    }
    let chained = json!({"resource_type": "Observation", "params": {"subject:Patient.name": "Jose"}});
    assert!(ward.ask("search_resources", &chained).await.unwrap().note.contains("subject:Patient.name=Jose,<with"));
    for (key, value, found) in [("name", "Jose,José", 1), ("name", "Zoë,zoe", 2), ("family:exact", "Muller,Müller", 1)]
    {
        assert_eq!(ward.ids("search_resources", by(key, value)).await, [id(found)], "{key}={value}");
    }
    // Where accents cannot be it, nothing is said of them.
    for (key, value) in [("name", "李"), ("phone", "555"), ("name", "x1")] {
        let page = ward.ask("search_resources", &by(key, value)).await.unwrap();
        assert!(!page.note.contains("Accents"), "{key}={value}: {}", page.note);
    }
}

/// What FHIRPath has no word for is told with what does it; the calls in the sentence work.
#[tokio::test]
async fn an_age_is_a_comparison_or_a_question_in_sql() {
    let ward = Ward::of([json!({"resourceType": "Patient", "id": id(1), "birthDate": "1961-02-03"})]);
    let fields = |field: &str| json!({"resource_type": "Patient", "fields": ["id", field]});
    for field in ["today() - birthDate", "now() - birthDate", "(birthDate - today()).toString()"] {
        let told = ward.ask("search_resources", &fields(field)).await.err().unwrap();
        assert!(told.starts_with("fields[1]: a date minus a date is not in FHIRPath."), "{field}: {told}");
        let call = told.split("query_resources ").nth(1).unwrap();
        let answer = ward.ask("query_resources", &serde_json::from_str(call).unwrap()).await.unwrap();
        assert!(answer.record["rows"][0][2].as_u64() >= Some(64), "{}", answer.record);
        let comparison = told.split("instead: ").nth(1).unwrap().split(" is true").next().unwrap();
        let answer = ward.ask("search_resources", &fields(comparison)).await.unwrap();
        assert_eq!(answer.record["rows"][0][1], true, "{}", answer.record);
    }
    let told = ward.ask("search_resources", &fields("birthDate - 'x'")).await.err().unwrap();
    assert!(told.contains("needs two numbers"), "{told}");
}
