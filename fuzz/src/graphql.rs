//! A GraphQL document.

use medplum_client::{GraphQl, Interaction};
use serde_json::Value;

use super::gate;
use super::scanner::only_queries;

/// See the module.
pub fn run(data: &[u8]) {
    let Ok(document) = std::str::from_utf8(data) else { return };
    let Ok(parsed) = GraphQl::parse(document, None, None) else { return };
    let reads = parsed.effect().is_read();
    let _ = (parsed.selected(), parsed.empty_filter(), parsed.asked_for());
    let interaction = Interaction::GraphQl(parsed);
    gate::holds(&interaction);
    let request = interaction.to_request();
    let (_, body) = request.body.expect("a document is a body");
    let sent: Value = serde_json::from_slice(&body).expect("the body is JSON");
    let sent = sent["query"].as_str().expect("the body holds the document");
    assert_eq!(only_queries(sent), reads, "{sent}");
    // What is printed from the tree reads as the same tree.
    let again = GraphQl::parse(sent, None, None).expect("what is sent parses");
    assert_eq!(Interaction::GraphQl(again).to_request().body.map(|(_, bytes)| bytes), Some(body));
}
