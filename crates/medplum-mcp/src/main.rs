//! The `medplum-mcp` program.
fn main() {}
