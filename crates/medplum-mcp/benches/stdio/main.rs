//! What the server costs beside a bare HTTP client: the real binary over its standard streams, and reqwest with a kept
//! connection, against the same stub of Medplum, in turns.
//!
//! `cargo bench -p medplum-mcp --bench stdio`. Times on a machine that does other things jump; so the two take turns, the
//! figures are medians, and what counts is their ratio. What has a target is measured on one processor: on several, a
//! single read is mostly the system's waking up of sleeping ones, of which a call over two processes has twice as many as
//! a fetch within one. That figure is shown too. `MEDPLUM_MCP_BENCH_BINARY` measures another build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod bare;
mod host;
mod pin;
mod report;
mod stub;

use std::time::{Duration, Instant};

use bare::Bare;
use host::Host;
use pin::Pinned;
use report::{Report, median, percentile};
use stub::Stub;

/// How often the server is started.
const STARTS: usize = 21;
/// Short turns and many of them: what else the machine does then slows both alike.
const READ_ROUNDS: usize = 200;
const READS: usize = 25;
const SEARCH_ROUNDS: usize = 20;
const FLIGHT_ROUNDS: usize = 40;
const FLIGHT: usize = 64;
const FLOWN: usize = 1024;
/// The first turns warm up and are not counted.
const WARM: usize = 5;

/// A part of the benchmark.
struct Part {
    name: &'static str,
    /// Whether all of it stays on one processor.
    pinned: bool,
    measure: fn(&Stub, &mut Report),
}

/// What can be measured on its own: `cargo bench -p medplum-mcp --bench stdio -- one`.
const PARTS: &[Part] = &[
    Part { name: "starts", pinned: true, measure: starts },
    Part { name: "one at a time", pinned: true, measure: one_at_a_time },
    Part { name: "one at a time, anywhere", pinned: false, measure: one_at_a_time_anywhere },
    Part { name: "many in flight", pinned: true, measure: many_in_flight },
    Part { name: "searches", pinned: true, measure: searches },
    Part { name: "large chart", pinned: true, measure: large_chart },
];

fn main() {
    let mut report = Report::default();
    let filters: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for part in PARTS {
        if filters.is_empty() || filters.iter().any(|filter| part.name.contains(filter.as_str())) {
            let pinned = part.pinned.then(Pinned::to_one).flatten();
            report.told(match pinned {
                Some(_) => "on one processor",
                None => "on any processor",
            });
            // Its thread stays where this one is now.
            (part.measure)(&Stub::start(), &mut report);
        }
    }
    report.print();
}

fn starts(stub: &Stub, report: &mut Report) {
    let times: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let start = Instant::now();
            let host = Host::start(stub);
            let time = start.elapsed();
            drop(host);
            time
        })
        .collect();
    report.at_most("start to initialize answered (ms)", median(&times).as_secs_f64() * 1e3, 10.0);
}

fn one_at_a_time(stub: &Stub, report: &mut Report) {
    let bare = Bare::new(stub);
    let mut host = Host::start(stub);
    host.read();
    if let Some(memory) = host.memory() {
        report.at_most("memory after the first read (MiB)", memory.resident, 12.0);
        report.shown("  its highest until then (MiB)", memory.highest);
    }
    let reads = Reads::take(&bare, &mut host);
    let (alone, served) = (median(&reads.alone), median(&reads.served));
    report.shown("bare read, p50 (µs)", alone.as_secs_f64() * 1e6);
    report.shown("read_resource, p50 (µs)", served.as_secs_f64() * 1e6);
    report.shown("read_resource, p99 (µs)", percentile(&reads.served, 99).as_secs_f64() * 1e6);
    if let Some(busy) = reads.busy {
        report.shown("the server's processor time for each (µs)", busy.as_secs_f64() * 1e6);
    }
    report.at_most("one read at a time, × bare", report::middle(&reads.ratios), 3.0);
    report.spread(&reads.ratios);
}

/// The same wherever the system puts the two processes.
fn one_at_a_time_anywhere(stub: &Stub, report: &mut Report) {
    let reads = Reads::take(&Bare::new(stub), &mut Host::start(stub));
    report.shown("bare read, p50 (µs)", median(&reads.alone).as_secs_f64() * 1e6);
    report.shown("read_resource, p50 (µs)", median(&reads.served).as_secs_f64() * 1e6);
    report.shown("one read at a time, × bare", report::middle(&reads.ratios));
    report.spread(&reads.ratios);
}

/// Single reads, bare and through the server, in turns.
#[derive(Default)]
struct Reads {
    alone: Vec<Duration>,
    served: Vec<Duration>,
    /// Of the medians of each turn.
    ratios: Vec<f64>,
    /// How long the server's threads kept a processor busy for each.
    busy: Option<Duration>,
}

impl Reads {
    fn take(bare: &Bare, host: &mut Host) -> Self {
        let mut reads = Self::default();
        let mut busy = None;
        for round in 0..WARM + READ_ROUNDS {
            let alone: Vec<Duration> = (0..READS).map(|_| bare.read()).collect();
            let served: Vec<Duration> = (0..READS).map(|_| host.read()).collect();
            if round < WARM {
                busy = host.busy();
                continue;
            }
            reads.ratios.push(median(&served).as_secs_f64() / median(&alone).as_secs_f64());
            reads.alone.extend(alone);
            reads.served.extend(served);
        }
        let each = |after: Duration, before| after.saturating_sub(before) / reads.served.len() as u32;
        reads.busy = host.busy().zip(busy).map(|(after, before)| each(after, before));
        reads
    }
}

fn many_in_flight(stub: &Stub, report: &mut Report) {
    let bare = Bare::new(stub);
    let mut host = Host::start(stub);
    let (mut alone, mut served, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM + FLIGHT_ROUNDS {
        let bare_rate = FLOWN as f64 / bare.fly(FLIGHT, FLOWN).as_secs_f64();
        let host_rate = FLOWN as f64 / host.fly(FLIGHT, FLOWN).as_secs_f64();
        if round >= WARM {
            alone.push(bare_rate);
            served.push(host_rate);
            ratios.push(host_rate / bare_rate);
        }
    }
    report.shown("bare reads, 64 in flight (1/s)", report::middle(&alone));
    report.shown("read_resource, 64 in flight (1/s)", report::middle(&served));
    report.at_least("64 in flight, rate × bare", report::middle(&ratios), 0.2);
    report.spread(&ratios);
    if let Some(memory) = host.memory() {
        report.shown("memory after it (MiB)", memory.resident);
    }
}

/// A question over pages: what is asked of the server, and what a bare client fetches for it.
struct Asked {
    name: &'static str,
    tool: &'static str,
    arguments: &'static str,
    expected: &'static str,
    urls: Vec<String>,
    rounds: usize,
    /// What its ratio to a bare client that reads what comes as JSON should be.
    target: Option<f64>,
}

fn searches(stub: &Stub, report: &mut Report) {
    let patients = |count: usize| vec![stub.url(&format!("fhir/R4/Patient?name=Testpatient&_count={count}"))];
    let observations = || -> Vec<String> {
        (0..stub::OBSERVATIONS / 1000)
            .map(|page| {
                stub.url(&format!("fhir/R4/Observation?code=x&_count=1000&_sort=_lastUpdated&_cursor=2-{page}"))
            })
            .collect()
    };
    let asked = [
        Asked {
            name: "a page of 20",
            tool: "search_resources",
            arguments: r#"{"resource_type":"Patient","params":{"name":"Testpatient"},"count":20}"#,
            expected: "Testpatient",
            urls: patients(20),
            rounds: 20 * SEARCH_ROUNDS,
            target: None,
        },
        Asked {
            name: "a search of 100",
            tool: "search_resources",
            arguments: r#"{"resource_type":"Patient","params":{"name":"Testpatient"},"count":100}"#,
            expected: "Testpatient",
            urls: patients(100),
            rounds: 10 * SEARCH_ROUNDS,
            target: Some(1.5),
        },
        Asked {
            name: "search_all of 5,000",
            tool: "search_all_resources",
            arguments: r#"{"resource_type":"Observation","params":{"code":"http://loinc.org|4548-4"},"max_resources":5000}"#,
            expected: "next: c.",
            urls: observations(),
            rounds: SEARCH_ROUNDS,
            target: Some(1.3),
        },
        Asked {
            name: "SQL over 5,000",
            tool: "query_resources",
            arguments: r#"{"resource_type":"Observation","params":{"code":"http://loinc.org|4548-4"},"sql":"select count(*) n, round(avg(value_value),2) mean from Observation"}"#,
            expected: "5000",
            urls: observations(),
            rounds: SEARCH_ROUNDS,
            target: Some(2.0),
        },
    ];
    for asked in &asked {
        measure(stub, asked, report);
    }
}

fn measure(stub: &Stub, asked: &Asked, report: &mut Report) {
    let bare = Bare::new(stub);
    let mut host = Host::start(stub);
    let (mut ratios, mut read_ratios, mut bare_times, mut host_times) = (vec![], vec![], vec![], vec![]);
    for round in 0..WARM + asked.rounds {
        let alone = bare.pages(&asked.urls);
        let served = host.timed(asked.tool, asked.arguments, asked.expected);
        let read = bare.pages_as_json(&asked.urls);
        if round >= WARM {
            ratios.push(served.as_secs_f64() / alone.as_secs_f64());
            read_ratios.push(served.as_secs_f64() / read.as_secs_f64());
            bare_times.push(alone);
            host_times.push(served);
        }
    }
    report.shown(&format!("{}, bare fetch (ms)", asked.name), median(&bare_times).as_secs_f64() * 1e3);
    report.shown(&format!("{}, {} (ms)", asked.name, asked.tool), median(&host_times).as_secs_f64() * 1e3);
    report.shown("  × the bytes alone, unread", report::middle(&ratios));
    // Whoever asks for a page reads it: bytes that nobody has looked at are no answer.
    let (name, ratio) = (format!("{}, × bare fetch read as JSON", asked.name), report::middle(&read_ratios));
    match asked.target {
        Some(target) => report.at_most(&name, ratio, target),
        None => report.shown(&name, ratio),
    }
    report.spread(&read_ratios);
    if let Some(memory) = host.memory() {
        report.shown("  the highest memory of its server (MiB)", memory.highest);
    }
}

/// What a chart of 13 MB costs at its peak.
fn large_chart(stub: &Stub, report: &mut Report) {
    let mut host = Host::start(stub);
    let arguments = format!(r#"{{"patient_id":"{}"}}"#, stub::PATIENT);
    let took = host.timed("get_patient_everything", &arguments, "DocumentReference 850");
    report.shown("$everything of 13 MB (ms)", took.as_secs_f64() * 1e3);
    if let Some(memory) = host.memory() {
        report.at_most("its highest memory (MiB)", memory.highest, 60.0);
    }
}
