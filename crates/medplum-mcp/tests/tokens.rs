//! What the server costs an agent before it has said a word, counted in tokens of o200k_base.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use medplum_client::{Client, Config, Credentials};
use medplum_mcp::policy::Policy;
use medplum_mcp::server::{INSTRUCTIONS, Server};
use medplum_mcp::settings::Limits;

fn tokens(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len()
}

fn listing(writes: bool) -> String {
    let limits = Limits { writes, ..Limits::default() };
    let base = medplum_client::BaseUrl::parse("https://api.medplum.com/", false).unwrap();
    let config = Config::new(base, Credentials::AccessToken("x".into()));
    let client = Client::new(config, Policy::new(limits.clone()));
    let server = Server::new(client, limits).unwrap();
    serde_json::to_string(&server.listing()).unwrap()
}

/// A guess is shown to people as "about": it is, for what this server says and for what Medplum says.
#[test]
fn a_guess_is_within_a_tenth() {
    let chart = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (what, text) in [
        ("tools/list, read-only", listing(false)),
        ("tools/list, writes", listing(true)),
        ("instructions", INSTRUCTIONS.to_owned()),
        ("a resource's schema", chart("tests/snapshots/manual/get_resource_schema.snap")),
        ("a chart", chart("../medplum-sandbox/tests/fixtures/recordings/everything.json")),
        ("searches", chart("../medplum-sandbox/tests/fixtures/recordings/search.json")),
    ] {
        let (guess, real) = (medplum_mcp::tokens::about(&text), tokens(&text));
        println!(
            "{what}: about {guess}, {real} in o200k_base, {:.2} characters a token",
            text.len() as f64 / real as f64
        );
        assert!(guess.abs_diff(real) * 10 <= real, "{what}: about {guess}, in truth {real}");
    }
}

#[test]
fn the_definitions_of_all_tools_cost_less_than_a_page() {
    let (read_only, writes) = (tokens(&listing(false)), tokens(&listing(true)));
    println!("tools/list: {read_only} tokens read-only, {writes} with writes; instructions: {}", tokens(INSTRUCTIONS));
    assert!(read_only <= 3_000, "{read_only}");
    assert!(writes <= 4_500, "{writes}");
    assert!(tokens(INSTRUCTIONS) <= 450, "{}", tokens(INSTRUCTIONS));
}
