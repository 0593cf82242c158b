//! Where this validator and Medplum's differ, over cases that `generate/compare_with_medplum.mjs` wrote.

use std::io::{self, BufRead, BufReader, Write};
use std::{env, fs};

use fhir_definitions::validate::validate;
use serde_json::Value;

fn main() -> io::Result<()> {
    let file = env::args().nth(1).unwrap_or_else(|| "cases.ndjson".to_owned());
    let mut out = io::stdout().lock();
    let (mut alike, mut stricter, mut holes) = (0, 0, 0);
    for line in BufReader::new(fs::File::open(file)?).lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let text = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or_default();
        let report = validate(case.get("resource").unwrap_or(&Value::Null));
        match (text("medplum"), report.is_sound()) {
            ("", true) => alike += 1,
            ("", false) => {
                stricter += 1;
                let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
                writeln!(out, "stricter: {} {}: {}", text("how"), text("path"), faults.join(" / "))?;
            }
            (said, true) => {
                holes += 1;
                writeln!(out, "HOLE: {} {}: {said}", text("how"), text("path"))?;
            }
            _ => alike += 1,
        }
    }
    writeln!(out, "{alike} alike, {stricter} stricter here, {holes} holes")
}
