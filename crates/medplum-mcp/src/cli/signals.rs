//! Being told to end, by whoever started the program.

/// Waits until the program is told to end: by a signal on Unix, by the console or its window on Windows.
pub(super) async fn told_to_end() {
    // Where it cannot be heard, it does what it does without anybody listening: it ends the program.
    if heard().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn heard() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

#[cfg(windows)]
async fn heard() -> std::io::Result<()> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    let (mut c, mut pause, mut close, mut shutdown) = (ctrl_c()?, ctrl_break()?, ctrl_close()?, ctrl_shutdown()?);
    tokio::select! {
        _ = c.recv() => {}
        _ = pause.recv() => {}
        _ = close.recv() => {}
        _ = shutdown.recv() => {}
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
async fn heard() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
