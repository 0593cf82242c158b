//! A sandbox of its own: prints where it is and how to sign in, ready for `export`, and runs until it is stopped.
//!
//! `cargo run -p medplum-sandbox --example serve [PORT]`

use std::io::{self, Write};

use medplum_sandbox::Sandbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let sandbox = Sandbox::builder().port(port).start().await?;
    let mut out = io::stdout();
    writeln!(out, "MEDPLUM_BASE_URL={}", sandbox.base_url())?;
    writeln!(out, "MEDPLUM_CLIENT_ID={}", sandbox.client_id())?;
    writeln!(out, "MEDPLUM_CLIENT_SECRET={}", sandbox.client_secret())?;
    out.flush()?;
    std::future::pending().await
}
