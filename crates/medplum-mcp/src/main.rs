//! The `medplum-mcp` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    medplum_mcp::cli::main(std::env::args_os(), |name| std::env::var(name).ok())
}
