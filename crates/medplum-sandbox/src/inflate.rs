//! The embedded data, inflated.

use std::io::Read;

use flate2::read::DeflateDecoder;

/// The bytes of a compressed file that was embedded by the build script.
pub(crate) fn inflate(compressed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What the build script wrote can be read back; if it could not, the part that can is used.
    let _ = DeflateDecoder::new(compressed).read_to_end(&mut bytes);
    bytes
}
