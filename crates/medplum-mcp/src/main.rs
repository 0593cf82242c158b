//! The `medplum-mcp` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    medplum_mcp::cli::main(std::env::args_os(), |name| std::env::var(name).ok(), variables)
}
