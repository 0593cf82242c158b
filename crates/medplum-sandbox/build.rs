//! Compresses the data that comes with the sandbox, so that the binary carries a tenth of its size.

use std::io::Write;
use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What is compressed, and under which name it is embedded. The recorded CapabilityStatement is shipped as it is.
const FILES: [(&str, &str); 3] = [
    ("tests/fixtures/recordings/metadata.json", "metadata"),
    ("data/population.ndjson", "population"),
    ("data/terminology.ndjson", "terminology"),
];

fn main() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    for (source, name) in FILES {
        println!("cargo::rerun-if-changed={source}");
        let text = fs::read(source)?;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&text)?;
        fs::write(Path::new(&out).join(format!("{name}.deflate")), encoder.finish()?)?;
    }
    Ok(())
}
