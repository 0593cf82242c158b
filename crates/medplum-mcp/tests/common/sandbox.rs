//! A sandbox of this process' own, for programs that are to reach it over the network.

use medplum_sandbox::Sandbox;
use tokio::sync::oneshot;

/// A sandbox on a thread of its own. Dropping it stops it.
pub struct Elsewhere {
    pub base_url: String,
    pub client_id: &'static str,
    pub client_secret: String,
    /// A client that only reads.
    pub reader_id: &'static str,
    pub reader_secret: String,
    /// A member on whose behalf the first client may act.
    pub membership: String,
    stop: Option<oneshot::Sender<()>>,
}

impl Elsewhere {
    pub fn start() -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let sandbox = Sandbox::builder().start().await.unwrap();
                let known = (
                    (sandbox.base_url().to_owned(), sandbox.client_id(), sandbox.client_secret().to_owned()),
                    (sandbox.reader_client_id(), sandbox.reader_client_secret().to_owned(), sandbox.membership()),
                );
                tell.send(known).unwrap();
                let _ = stopped.await;
            });
        });
        let ((base_url, client_id, client_secret), (reader_id, reader_secret, membership)) =
            told.recv_timeout(super::host::PATIENCE).unwrap();
        Self { base_url, client_id, client_secret, reader_id, reader_secret, membership, stop: Some(stop) }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
