//! A sandbox of this process' own, for programs that are to reach it over the network.

use medplum_sandbox::Sandbox;
use serde_json::Value;
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

/// The requests so far that change or run something, and forgets them: those that are no reads, no sign-in and no batch of
/// reads.
pub fn acts(sandbox: &Sandbox) -> Vec<String> {
    let requests = sandbox.requests();
    sandbox.clear_requests();
    let acts = requests.iter().filter(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let entries = body["entry"].as_array();
        let looks = entries.is_some_and(|entries| entries.iter().all(|entry| entry["request"]["method"] == "GET"));
        request.method != "GET" && !looks && !request.path_and_query.ends_with("/oauth2/token")
    });
    acts.map(|request| format!("{} {}", request.method, request.path_and_query)).collect()
}
