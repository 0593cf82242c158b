//! What an agent reads of a server's abilities, and what it costs.

use fhir_definitions::Definitions;
use fhir_definitions::capabilities::{Statement, render};
use serde_json::Value;

fn statement() -> Value {
    serde_json::from_str(include_str!("fixtures/capability-statement.json")).unwrap_or_default()
}

fn show(resource_type: Option<&str>, statement: Option<&Value>) -> (String, usize) {
    let bpe = tiktoken_rs::o200k_base_singleton();
    match render(resource_type, statement) {
        Ok(c) => {
            let text = format!("{}\n---\n{}", c.block, c.notes.unwrap_or_default());
            let tokens = bpe.encode_ordinary(&text).len();
            (format!("{text}\n--- {tokens} tokens"), tokens)
        }
        Err(error) => (error.to_string(), 0),
    }
}

#[test]
fn patient() {
    let (text, tokens) = show(Some("Patient"), Some(&statement()));
    assert!(tokens <= 1_200, "{tokens}");
    insta::assert_snapshot!(text);
}

#[test]
fn observation() {
    insta::assert_snapshot!(show(Some("Observation"), Some(&statement())).0);
}

#[test]
fn types() {
    let (text, tokens) = show(None, Some(&statement()));
    assert!(tokens <= 1_500, "{tokens}");
    insta::assert_snapshot!(text);
}

#[test]
fn without_a_server() {
    assert!(show(None, None).1 <= 1_500);
    insta::assert_snapshot!(show(Some("Bot"), None).0);
}

#[test]
fn odd_types() {
    let statement = statement();
    let texts = [Some("Binary"), Some("Bot"), Some("Pateint")].map(|t| show(t, Some(&statement)).0);
    insta::assert_snapshot!(texts.join("\n\n"));
}

/// The recorded server is older than the definitions, so it may know less; what it knows besides is listed here.
#[test]
fn the_server_knows_no_parameter_that_we_do_not() {
    let (defs, whole) = (Definitions::get(), statement());
    let statement = Statement::of(&whole).unwrap();
    let mut unknown = Vec::new();
    for name in statement.types() {
        let info = defs.resource_type(name).unwrap();
        for (code, kind) in statement.parameters(name) {
            match defs.search_parameter(info, code) {
                Some(p) if p.kind.as_str() == kind => {}
                _ => unknown.push(format!("{name}?{code} {kind}")),
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}
