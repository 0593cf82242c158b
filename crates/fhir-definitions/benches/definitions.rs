//! What the definitions cost: one line a figure, with its ceiling. `cargo bench -p fhir-definitions`.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use fhir_definitions::capabilities;
use fhir_definitions::schema::{self, Options};
use fhir_definitions::{Definitions, search, validate};
use serde_json::Value;

/// The median of many runs, so that a busy machine does not decide.
fn median(runs: usize, mut what: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            what();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(runs / 2).copied().unwrap_or_default()
}

/// The memory that the process holds, in KiB, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The processor time that this thread has had, where the system tells it: other people's work does not count in it.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// Examples of about 3 KB, of different types.
fn examples() -> Vec<(String, Value)> {
    include_str!("../tests/fixtures/examples.ndjson")
        .lines()
        .filter(|line| (2_700..3_300).contains(&line.len()))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|r| validate::validate(r).is_sound())
        .map(|r| (format!("{}/{}", text(&r, "resourceType"), text(&r, "id")), r))
        .collect()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let before = resident();
    let (start, busy_before) = (Instant::now(), busy());
    let types = Definitions::get().resource_types().count();
    let elapsed = start.elapsed();
    let loaded = busy_before.zip(busy()).map_or(elapsed, |(before, after)| after.saturating_sub(before));
    writeln!(out, "load                     {loaded:>10.1?}   ceiling 15 ms   ({types} resource types)")?;
    if let (Some(before), Some(after)) = (before, resident()) {
        writeln!(out, "memory                   {:>7} KiB   ceiling 8192 KiB", after.saturating_sub(before))?;
    }

    let start = Instant::now();
    let examples = examples();
    writeln!(out, "first validations        {:>10.1?}   (expressions are read once)", start.elapsed())?;
    let mut slowest = (Duration::ZERO, "");
    let mut sum = Duration::ZERO;
    for (name, resource) in &examples {
        let time = median(200, || {
            black_box(validate::validate(black_box(resource)));
        });
        sum += time;
        slowest = slowest.max((time, name));
    }
    let mean = sum / u32::try_from(examples.len().max(1)).unwrap_or(1);
    writeln!(out, "validate 3 KB, mean      {mean:>10.1?}   ceiling 100 µs   ({} resources)", examples.len())?;
    writeln!(out, "validate 3 KB, slowest   {:>10.1?}   {}", slowest.0, slowest.1)?;

    let plain = Options::default();
    let nested = Options { include_nested: true, ..Options::default() };
    let time = median(200, || {
        black_box(schema::render("Observation", &plain)).ok();
    });
    writeln!(out, "schema Observation       {time:>10.1?}   ceiling 1 ms")?;
    let time = median(200, || {
        black_box(schema::render("Patient", &nested)).ok();
    });
    writeln!(out, "schema Patient, nested   {time:>10.1?}   ceiling 1 ms")?;
    let statement = serde_json::from_str::<Value>(include_str!("../tests/fixtures/capability-statement.json"))?;
    let time = median(200, || {
        black_box(capabilities::render(Some("Observation"), Some(&statement))).ok();
    });
    writeln!(out, "capabilities Observation {time:>10.1?}   ceiling 1 ms")?;
    let params =
        [("patient", "Patient/7f"), ("code", "http://loinc.org|4548-4"), ("date", "2024-01"), ("_sort", "-date")];
    let params = params.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let time = median(1_000, || {
        black_box(search::check("Observation", &params)).ok();
    });
    writeln!(out, "search check             {time:>10.1?}")?;
    let misspelt = [("effectveDateTime".to_owned(), "2024-01-15".to_owned())];
    let time = median(200, || {
        black_box(search::check("Observation", &misspelt)).err();
    });
    writeln!(out, "search did-you-mean      {time:>10.1?}")
}
