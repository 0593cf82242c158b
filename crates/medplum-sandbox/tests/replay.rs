//! Every recorded exchange with a real Medplum 5.0.10, replayed against the sandbox: the same status, the same headers
//! that matter, the same body. Ids, times and trace ids are matched by shape; what differs otherwise is listed in
//! [`DIFFERENCES`] with its reason, and a difference that is listed and does not occur fails the test too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};

use common::{Reply, Running};
use medplum_sandbox::{Builder, Data, Sandbox};
use serde_json::{Value, json};

/// Where the answer is allowed to differ: file, number of the exchange, the place, and why.
const DIFFERENCES: &[(&str, usize, &str, &str)] = &[
    ("auth", 7, "/accessPolicy/basedOn", "the administrator's rules come from no AccessPolicy here"),
    ("auth", 7, "/profile/meta/author", "nobody made the sandbox's own client"),
    ("auth", 12, "/platform", "it is no Node server, and says so"),
    ("auth", 12, "/runtime", "it is no Node server, and says so"),
    ("search", 6, "/entry", "no order was asked for, and the database's own is not imitated"),
    ("search", 7, "/entry", "no order was asked for, and the database's own is not imitated"),
    ("search", 14, "/entry", "no order was asked for, and the database's own is not imitated"),
    ("search", 22, "/entry", "no order was asked for, and the database's own is not imitated"),
    ("terminology", 0, "/contact", "shipped terminology is kept short"),
    ("terminology", 0, "/extension", "shipped terminology is kept short"),
    ("terminology", 0, "/identifier", "shipped terminology is kept short"),
    ("terminology", 0, "/text", "shipped terminology is kept short"),
    ("terminology", 0, "/meta/profile", "shipped terminology is kept short"),
    ("terminology", 0, "/meta/project", "shipped terminology is in the project itself"),
    ("terminology", 0, "/meta/compartment", "shipped terminology is in the project itself"),
    ("terminology", 1, "/contact", "shipped terminology is kept short"),
    ("terminology", 1, "/extension", "shipped terminology is kept short"),
    ("terminology", 1, "/identifier", "shipped terminology is kept short"),
    ("terminology", 1, "/text", "shipped terminology is kept short"),
    ("terminology", 1, "/meta/profile", "shipped terminology is kept short"),
    ("terminology", 1, "/meta/project", "shipped terminology is in the project itself"),
    ("terminology", 1, "/meta/compartment", "shipped terminology is in the project itself"),
];

/// The headers that matter to a client.
const HEADERS: [&str; 5] = ["content-type", "etag", "last-modified", "location", "ratelimit"];

const RECORDED_BASE: &str = "http://medplum.test/";

struct Exchange {
    note: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Value,
    status: u16,
    expected_headers: BTreeMap<String, String>,
    expected: Value,
}

fn recordings(name: &str) -> Vec<Exchange> {
    let path = format!("{}/tests/fixtures/recordings/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let headers = |value: &Value| -> Vec<(String, String)> {
        let map = value.as_object().cloned().unwrap_or_default();
        map.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect()
    };
    all.iter()
        .map(|exchange| Exchange {
            note: text(&exchange["note"]),
            method: text(&exchange["request"]["method"]),
            path: text(&exchange["request"]["path"]),
            headers: headers(&exchange["request"]["headers"]),
            body: exchange["request"]["body"].clone(),
            status: u16::try_from(exchange["response"]["status"].as_u64().unwrap()).unwrap(),
            expected_headers: headers(&exchange["response"]["headers"]).into_iter().collect(),
            expected: exchange["response"]["body"].clone(),
        })
        .collect()
}

/// Everything that was on the recorded server before the recording began, as far as the recordings show it.
fn seen_resources() -> Vec<Value> {
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let mut take = |resource: &Value| {
        let whole = resource["meta"]["tag"].is_null() && resource["meta"]["versionId"].is_string();
        if let (Some(of_type), Some(id)) = (resource["resourceType"].as_str(), resource["id"].as_str())
            && whole
        {
            found.insert(format!("{of_type}/{id}"), resource.clone());
        }
    };
    for name in ["errors", "search", "everything"] {
        for exchange in recordings(name) {
            for entry in exchange.expected["entry"].as_array().into_iter().flatten() {
                take(&entry["resource"]);
            }
        }
    }
    let mut all: Vec<Value> = found.into_values().collect();
    all.sort_by_key(|resource| resource["meta"]["lastUpdated"].as_str().unwrap().to_owned());
    all
}

/// The 203 patients that there were: those that the recordings show, and others in the place of the rest.
fn population() -> String {
    let seen = seen_resources();
    let mut lines: Vec<String> = seen.iter().filter(|r| r["resourceType"] != "Patient").map(Value::to_string).collect();
    let number = |patient: &Value| -> Option<usize> {
        patient["identifier"][0]["value"].as_str()?.strip_prefix("MRN-")?.parse().ok()
    };
    let mut patients: BTreeMap<usize, Value> = BTreeMap::new();
    let mut others = Vec::new();
    for patient in seen.iter().filter(|resource| resource["resourceType"] == "Patient") {
        match number(patient) {
            Some(number) => drop(patients.insert(number, patient.clone())),
            None => others.push(patient.clone()),
        }
    }
    let cursor_page = &recordings("search")[2].expected["entry"];
    let cursor = 1_795_336_949_118_i64;
    for at in 0..200 {
        let shown = &cursor_page[at]["resource"];
        let meta = if shown.is_object() {
            let mut meta = shown["meta"].clone();
            meta.as_object_mut().unwrap().remove("tag");
            meta
        } else {
            let time = cursor + 50 * i64::try_from(at - 20).unwrap();
            json!({"lastUpdated": jiff_text(time)})
        };
        let id = shown["id"].as_str().map_or_else(|| format!("00000000-0000-4000-9000-{at:012}"), str::to_owned);
        patients.entry(at).or_insert_with(|| {
            json!({
                "resourceType": "Patient",
                "id": id,
                "identifier": [{"system": "https://example.com/mrn", "value": format!("MRN-{at:04}")}],
                "name": [{"family": if at % 3 == 0 { "Smith" } else { "Silva" }, "given": ["Ana"]}],
                "gender": if at % 2 == 0 { "female" } else { "male" },
                "birthDate": "1985-01-01",
                "telecom": [{"system": "phone", "value": "555"}],
                "meta": meta,
            })
        });
    }
    lines.extend(patients.values().map(Value::to_string));
    lines.extend(others.iter().map(Value::to_string));
    for at in others.len()..3 {
        let id = format!("00000000-0000-4000-9001-{at:012}");
        let meta = json!({"lastUpdated": "2026-11-22T09:19:49.000Z"});
        lines.push(
            json!({"resourceType": "Patient", "id": id, "name": [{"family": "Other"}], "meta": meta}).to_string(),
        );
    }
    let (first, second) = ("2758b284-b8c2-4a6a-a3cd-373d94953408", "75f4ff05-d01e-4598-8b75-7dacbee6aa53");
    for (at, patient) in [first, first, first, second].iter().enumerate() {
        lines.push(observation(at, patient).to_string());
    }
    lines.join("\n")
}

/// An Observation that the recordings do not show but that must have been there, for there were more pages.
fn observation(at: usize, patient: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "id": format!("ffffffff-0000-4000-9002-{at:012}"),
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": "2024-01-01T00:00:00Z",
        "valueQuantity": {"value": 80},
        "meta": {"lastUpdated": "2026-11-22T08:50:00.000Z"},
    })
}

fn jiff_text(millis: i64) -> String {
    let seconds = millis.div_euclid(1000);
    // The recordings were all made on one day; only its hours matter here.
    let (day, rest) = (1_795_305_600, seconds - 1_795_305_600);
    assert!((0..86_400).contains(&rest), "{day}");
    format!("2026-11-22T{:02}:{:02}:{:02}.{:03}Z", rest / 3600, rest / 60 % 60, rest % 60, millis.rem_euclid(1000))
}

/// The names that differ between the recorded server and the sandbox.
struct Names {
    known: HashMap<String, String>,
    /// Ids that both have, and that are never matched with others.
    common: HashSet<String>,
}

impl Names {
    fn of(sandbox: &Sandbox) -> Self {
        let membership = sandbox.membership();
        let membership = membership.trim_start_matches("ProjectMembership/");
        let pairs = [
            (RECORDED_BASE, sandbox.base_url()),
            ("b2fbc58b-9d47-408a-bc6d-d8575ab5c4f5", sandbox.client_id()),
            ("MCP Test Client", "Sandbox Client"),
            ("client for tests", "A client of the sandbox"),
            ("Test Project", "Sandbox"),
            ("40018713-1c26-4011-92f9-95899f60eeb6", sandbox.project_id()),
            ("3d7612cc-0089-428a-963b-3b2fdf4d54b9", membership),
            ("43b20327-482a-46db-a958-3a2eccc9bdac", sandbox.member_id()),
            ("287f13cd-ce73-4f66-bb4b-28542e6acf24", sandbox.echo_bot()),
            // The last bundle was sent to another project.
            ("c85655fd-b1cc-4fe8-a407-64448f14b3a4", sandbox.project_id()),
            ("23b06e37-dcc0-4ad4-a1b9-879b7ba4aba8", sandbox.client_id()),
            ("Plain client", "Sandbox Client"),
            ("40a58028-6dd7-4b89-a029-9a5c43e60c64", sandbox.failing_bot()),
        ];
        let known = pairs.into_iter().map(|(from, to)| (from.to_owned(), to.to_owned())).collect();
        let seen = seen_resources();
        let before = |seen: &&Value| seen["meta"]["lastUpdated"].as_str().unwrap() < "2026-11-22T09:19";
        let ids = seen.iter().filter(before).flat_map(|seen| [&seen["id"], &seen["meta"]["versionId"]]);
        let common = ids.filter_map(|id| id.as_str().map(str::to_owned)).collect();
        Self { known, common }
    }

    /// A recorded text as it would be here.
    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.known {
            text = text.replace(from, to);
        }
        text
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A text with what may differ from one day to the next made equal.
fn shape(text: &str) -> String {
    let bytes = text.as_bytes();
    let is_instant = bytes.len() == 24 && text.ends_with('Z') && bytes[10] == b'T';
    let is_http_date = bytes.len() == 29 && text.ends_with(" GMT");
    if is_instant || is_http_date {
        return "<time>".to_owned();
    }
    if let Some((start, _)) = text.split_once("?Expires=") {
        return format!("{start}?Expires=…");
    }
    if text.starts_with("\"fhirInteractions\"") {
        return "<ratelimit>".to_owned();
    }
    if text.starts_with("{\"_remainingPoints\"") {
        let keys: Value = serde_json::from_str(text).unwrap();
        return keys.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    }
    if text == "SECRET" || text == "TOKEN" || text.matches('.').count() == 2 && text.len() > 200 || text.len() == 64 {
        return "<secret>".to_owned();
    }
    text.to_owned()
}

/// Walks both bodies together and tells where they differ. Ids that the servers made up are matched.
fn compare(expected: &Value, actual: &Value, path: &str, names: &mut Names, found: &mut Vec<(String, String)>) {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(got)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<HashSet<_>>();
            for key in keys(wanted).symmetric_difference(&keys(got)) {
                let side = if wanted.contains_key(key) { "missing" } else { "not recorded" };
                found.push((format!("{path}/{key}"), side.to_owned()));
            }
            for (key, value) in wanted {
                if let Some(other) = got.get(key) {
                    compare(value, other, &format!("{path}/{key}"), names, found);
                }
            }
        }
        (Value::Array(wanted), Value::Array(got)) => {
            if wanted.len() != got.len() {
                found.push((path.to_owned(), format!("{} items, recorded {}", got.len(), wanted.len())));
            }
            for (at, (value, other)) in wanted.iter().zip(got).enumerate() {
                compare(value, other, &format!("{path}/{at}"), names, found);
            }
        }
        (Value::String(wanted), Value::String(got)) => {
            let mapped = names.here(wanted);
            if is_uuid(&mapped)
                && is_uuid(got)
                && mapped != *got
                && made_up(path)
                && !names.known.contains_key(wanted)
                && !names.common.contains(wanted)
            {
                names.known.insert(wanted.clone(), got.clone());
                return;
            }
            if let (Some((of_type, id)), Some((got_type, got_id))) = (mapped.split_once('/'), got.split_once('/'))
                && path.ends_with("/location")
                && of_type == got_type
            {
                compare(&json!(id), &json!(got_id), &format!("{path}/id"), names, found);
                return;
            }
            if shape(&mapped) != shape(got) {
                found.push((path.to_owned(), format!("{got}, recorded {mapped}")));
            }
        }
        _ if expected == actual => {}
        (Value::Number(_), Value::Number(_)) if expected.as_f64() == actual.as_f64() => {}
        _ => found.push((path.to_owned(), format!("{actual}, recorded {expected}"))),
    }
}

/// Whether the server makes up the id that stands there.
fn made_up(path: &str) -> bool {
    ["/id", "/versionId", "/valueId"].iter().any(|end| path.ends_with(end))
}

fn body_bytes(exchange: &Exchange, names: &Names, sandbox: &Sandbox) -> Vec<u8> {
    let content_type = exchange.headers.iter().find(|(name, _)| name == "content-type");
    let content_type = content_type.map_or("", |(_, value)| value.as_str());
    match &exchange.body {
        Value::Null => Vec::new(),
        Value::Object(form) if content_type == "application/x-www-form-urlencoded" => {
            let field = |(name, value): (&String, &Value)| {
                let value = names.here(value.as_str().unwrap()).replace("SECRET", sandbox.client_secret());
                format!("{name}={value}")
            };
            form.iter().map(field).collect::<Vec<_>>().join("&").into_bytes()
        }
        Value::String(text) if text.starts_with("<a Patient of") => {
            let name = "x".repeat(1_200_000);
            json!({"resourceType": "Patient", "name": [{"family": name}]}).to_string().into_bytes()
        }
        Value::String(text) => names.here(text).into_bytes(),
        other => names.here(&other.to_string()).into_bytes(),
    }
}

fn send(running: &Running, exchange: &Exchange, names: &Names) -> Reply {
    let reader = exchange.note == "OBO without being an admin" || exchange.note == "write without permission";
    let token = if reader { &running.reader_token } else { &running.token };
    let headers: Vec<(String, String)> = exchange
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), names.here(value).replace("Bearer TOKEN", &format!("Bearer {token}"))))
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = names.here(&exchange.path);
    running.send(&exchange.method, &path, &headers, &body_bytes(exchange, names, &running.sandbox))
}

/// Replays one exchange; the differences come back.
fn replay(running: &Running, exchange: &Exchange, names: &mut Names) -> Vec<(String, String)> {
    let reply = send(running, exchange, names);
    let mut found = Vec::new();
    if reply.status != exchange.status {
        let told = format!("{}, recorded {}: {}", reply.status, exchange.status, reply.text());
        found.push(("status".to_owned(), told));
        return found;
    }
    let actual = if exchange.expected == json!("") { json!(reply.text()) } else { reply.json() };
    compare(&exchange.expected, &actual, "", names, &mut found);
    for name in HEADERS {
        let wanted = exchange.expected_headers.get(name).map(|value| shape(&names.here(value)));
        let got = reply.header(name).map(shape);
        if wanted != got {
            found.push((format!("header {name}"), format!("{got:?}, recorded {wanted:?}")));
        }
    }
    found
}

fn check(file: &str, running: &Running, exchanges: &[(usize, Exchange)]) {
    let mut names = Names::of(&running.sandbox);
    let mut unexplained = Vec::new();
    let mut explained = HashSet::new();
    for (at, exchange) in exchanges {
        for (place, difference) in replay(running, exchange, &mut names) {
            let reason = DIFFERENCES
                .iter()
                .find(|(of, number, start, _)| *of == file && number == at && place.starts_with(start));
            match reason {
                Some((_, _, start, _)) => drop(explained.insert((*at, *start))),
                None => unexplained.push(format!("{file}[{at}] {}: {place}: {difference}", exchange.note)),
            }
        }
    }
    for (of, number, start, _) in DIFFERENCES {
        let ours = *of == file && exchanges.iter().any(|(at, _)| at == number);
        if ours && !explained.contains(&(*number, *start)) {
            unexplained.push(format!("{file}[{number}] {start}: listed as a difference, but it is none"));
        }
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

fn numbered(file: &str) -> Vec<(usize, Exchange)> {
    recordings(file).into_iter().enumerate().collect()
}

fn populated() -> Running {
    populate(Sandbox::builder())
}

/// A sandbox with what the recorded server had, under its own names.
fn populate(builder: Builder) -> Running {
    let names = Names::of(&Running::start(Sandbox::builder().unpopulated()).sandbox);
    let data = Data::parse(&names.here(&population())).unwrap();
    Running::start(builder.unpopulated().data(data))
}

macro_rules! replayed {
    ($($file:ident => $name:literal),+ $(,)?) => {$(
        #[test]
        fn $file() {
            check($name, &populated(), &numbered($name));
        }
    )+};
}

replayed! {
    auth => "auth",
    binary => "binary",
    bots => "bots",
    errors => "errors",
    everything => "everything",
    graphql => "graphql",
    lifecycle => "lifecycle",
    metadata => "metadata",
    on_behalf_of => "on-behalf-of",
    search => "search",
    terminology => "terminology",
}

#[test]
fn bundles() {
    let mut exchanges = numbered("bundles");
    let not_atomic = exchanges.split_off(4);
    check("bundles", &populated(), &exchanges);
    let builder = Sandbox::builder().unpopulated().transactions_atomic(false);
    check("bundles", &Running::start(builder), &not_atomic);
}

#[test]
fn rate_limit() {
    let running = populate(Sandbox::builder().quota(300));
    for _ in 0..15 {
        assert_eq!(running.get("fhir/R4/Patient?_count=1").status, 200);
    }
    check("rate-limit", &running, &numbered("rate-limit"));
}

#[test]
fn every_recording_is_replayed() {
    let folder = format!("{}/tests/fixtures/recordings", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        count += recordings(&name).len();
    }
    assert_eq!(count, 132);
}
