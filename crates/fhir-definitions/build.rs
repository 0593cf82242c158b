//! Compresses the definitions, so that the binary carries a sixth of their size.

use std::io::Write;
use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::DeflateEncoder;

fn main() -> io::Result<()> {
    let source = "data/definitions.txt";
    println!("cargo::rerun-if-changed={source}");
    let text = fs::read(source)?;
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&text)?;
    fs::write(Path::new(&out).join("definitions.deflate"), encoder.finish()?)?;
    fs::write(Path::new(&out).join("definitions.len"), text.len().to_string())
}
