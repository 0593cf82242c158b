//! `pymedplum-mcp`: the name under which hosts know the Python server. It becomes the `medplum-mcp` that lies beside it,
//! so that a package holds the program once.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let Err(problem) = program().and_then(become_it);
    let _ = writeln!(io::stderr(), "pymedplum-mcp: {problem}");
    ExitCode::from(2)
}

/// The program beside this one, whatever link this one was started through.
fn program() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?
        .canonicalize()?
        .with_file_name("medplum-mcp")
        .with_extension(std::env::consts::EXE_EXTENSION);
    if program.is_file() {
        return Ok(program);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "medplum-mcp is not beside it; install the medplum-mcp package again"))
}

#[cfg(unix)]
fn become_it(program: PathBuf) -> io::Result<std::convert::Infallible> {
    use std::os::unix::process::CommandExt;
    Err(Command::new(program).args(std::env::args_os().skip(1)).exec())
}

/// Windows has no exec: this one waits, and ends as the program did.
#[cfg(not(unix))]
fn become_it(program: PathBuf) -> io::Result<std::convert::Infallible> {
    let ended = Command::new(program).args(std::env::args_os().skip(1)).status()?;
    std::process::exit(ended.code().unwrap_or(2))
}
