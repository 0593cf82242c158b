//! Whatever comes from either side, what the program keeps of it is bounded: the most memory that it ever had, as the
//! kernel tells it.
#![cfg(target_os = "linux")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::host::{Elsewhere, open};
use super::hostile::{Answer, PATIENT, Then};

const MB: u64 = 1_000_000;

#[test]
fn answers_without_end_and_lines_without_end_fit_into_bounded_memory() {
    let bomb = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b' '; 300_000_000]).unwrap();
        encoder.finish().unwrap()
    };
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json";
    let medplum = Elsewhere::new(
        |_| Answer::token("t", 3600),
        move |request| match request.nth % 4 {
            0 => Answer::of(200, "application/fhir+json", bomb.clone()).header("content-encoding", "gzip"),
            1 => Answer::raw(OK, "[", Then::Again(1)),
            2 => Answer::raw(&format!("{OK}\r\ncontent-length: 300000000"), "[", Then::Again(1)),
            _ => Answer::raw("HTTP/1.1 500 X\r\ncontent-type: text/html", "x", Then::Again(1)),
        },
    );
    let mut host = open(&medplum.server, &[("MEDPLUM_MAX_RESPONSE_MB", "8")]);
    let idle = host.most_memory();
    // Sixty-four answers at once, each of which would be 300 MB or more.
    for id in 1_000..1_064 {
        let params =
            json!({"name": "read_resource", "arguments": {"resource_type": "Patient", "resource_id": PATIENT}});
        host.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }
    for _ in 0..64 {
        assert_eq!(host.hear()["result"]["isError"], true);
    }
    let after_answers = host.most_memory();
    // Lines of 20 MB, one after the other.
    let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}\n", "x".repeat(20_000_000));
    for _ in 0..20 {
        host.write(line.as_bytes());
        assert!(host.hear()["error"]["message"].as_str().unwrap().contains("16777216"));
    }
    let after_lines = host.most_memory();
    println!(
        "most memory: {} MB idle, {} MB after the answers, {} MB after the lines",
        idle / MB,
        after_answers / MB,
        after_lines / MB
    );
    assert!(after_answers < idle + 64 * 8 * MB, "{after_answers}");
    assert!(after_lines <= after_answers.max(idle + 64 * MB), "{after_lines}");
    assert_eq!(host.end().code, Some(0));
}
