//! Measures what the sandbox promises: start-up, memory, and searches among 100,000 resources.
//!
//! `cargo run --release -p medplum-sandbox --example measure`

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use medplum_sandbox::{Builder, Sandbox};

/// So many synthetic patients make about 100,000 resources.
const PATIENTS: usize = 3_100;
const ROUNDS: u32 = 50;

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    let empty = memory();
    let begun = Instant::now();
    let sandbox = Sandbox::builder().start_on_thread()?;
    let started = begun.elapsed();
    writeln!(
        out,
        "start-up with the built-in data: {:.1} ms, {} resources",
        millis(started),
        sandbox.resource_count()
    )?;
    let token = token(&sandbox)?;
    writeln!(out, "memory after the start: {} MiB (before: {} MiB)", memory() - empty, empty)?;
    for path in ["fhir/R4/Patient?_count=5", "fhir/R4/Observation?code=4548-4&_sort=-date", "fhir/R4/metadata"] {
        let time = timed(&sandbox, &token, path)?;
        writeln!(out, "first {path}: {:.1} ms", millis(time))?;
    }
    writeln!(out, "memory after these: {} MiB", memory() - empty)?;
    drop(sandbox);
    searches(&mut out, Sandbox::builder().patients(PATIENTS))
}

fn searches(out: &mut impl Write, builder: Builder) -> io::Result<()> {
    let begun = Instant::now();
    let sandbox = builder.start_on_thread()?;
    writeln!(out, "\nstart-up with {} resources: {:.0} ms", sandbox.resource_count(), millis(begun.elapsed()))?;
    let token = token(&sandbox)?;
    let patient = "Patient/5a4d0b0c-0000-4000-8000-000000000201";
    let searches = [
        ("token", "fhir/R4/Observation?code=http://loinc.org|4548-4".to_owned()),
        ("reference", format!("fhir/R4/Observation?patient={patient}")),
        ("date", "fhir/R4/Observation?date=ge2025-01-01&date=lt2025-01-02".to_owned()),
        ("token and total", "fhir/R4/Observation?code=http://loinc.org|4548-4&_total=accurate".to_owned()),
        ("reference, code, sorted", format!("fhir/R4/Observation?subject={patient}&code=4548-4&_sort=-date&_count=5")),
        ("string", "fhir/R4/Patient?name=marchetti".to_owned()),
        ("chain", "fhir/R4/Observation?patient.identifier=MRN-1003&_count=5".to_owned()),
    ];
    for (name, path) in searches {
        let first = timed(&sandbox, &token, &path)?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            times.push(timed(&sandbox, &token, &path)?);
        }
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        writeln!(
            out,
            "{name}: median {:.2} ms (the first, which builds the index: {:.0} ms)",
            millis(median),
            millis(first)
        )?;
    }
    writeln!(out, "memory: {} MiB", memory())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Resident memory in MiB, where the system tells it.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn token(sandbox: &Sandbox) -> io::Result<String> {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        sandbox.client_id(),
        sandbox.client_secret()
    );
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = exchange(sandbox, &head)?;
    let token = answer.split("\"access_token\":\"").nth(1).and_then(|rest| rest.split('"').next());
    token.map(str::to_owned).ok_or_else(|| io::Error::other("no token"))
}

fn timed(sandbox: &Sandbox, token: &str, path: &str) -> io::Result<Duration> {
    let head =
        format!("GET /{path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
    let begun = Instant::now();
    let answer = exchange(sandbox, &head)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(begun.elapsed()) } else { Err(io::Error::other(answer)) }
}

fn exchange(sandbox: &Sandbox, request: &str) -> io::Result<String> {
    let address = sandbox.base_url().trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
