//! Validates every JSON resource in a folder and lists what is found: one line a file, then its faults.
//!
//! ```text
//! npm pack hl7.fhir.r4.examples@4.0.1 && tar xzf hl7.fhir.r4.examples-4.0.1.tgz
//! cargo run --release -p fhir-definitions --example check_examples -- package
//! ```

use std::io::{self, Write};
use std::{env, fs};

use fhir_definitions::validate::validate;
use serde_json::Value;

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).unwrap_or_else(|| "package".to_owned());
    let mut out = io::stdout().lock();
    let mut files: Vec<_> = fs::read_dir(folder)?.filter_map(Result::ok).map(|e| e.path()).collect();
    files.sort();
    let (mut looked_at, mut refused) = (0, 0);
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "json")) {
        let Ok(resource) = serde_json::from_slice::<Value>(&fs::read(file)?) else { continue };
        if resource.get("resourceType").is_none() {
            continue;
        }
        looked_at += 1;
        let report = validate(&resource);
        if report.is_sound() {
            continue;
        }
        refused += 1;
        writeln!(out, "{}", file.file_name().unwrap_or_default().to_string_lossy())?;
        for fault in &report.faults {
            writeln!(out, "    {fault}")?;
        }
    }
    writeln!(out, "{refused} of {looked_at} refused")
}
