//! What an agent reads of a type, and what it costs.

use fhir_definitions::Definitions;
use fhir_definitions::schema::{Options, Schema, render};

fn tokens(schema: &Schema) -> usize {
    let bpe = tiktoken_rs::o200k_base_singleton();
    let text = format!("{}\n{}", schema.block, schema.notes.as_deref().unwrap_or_default());
    bpe.encode_ordinary(&text).len()
}

fn show(name: &str, options: &Options) -> String {
    match render(name, options) {
        Ok(schema) => {
            format!(
                "{}\n---\n{}\n--- {} tokens",
                schema.block,
                schema.notes.clone().unwrap_or_default(),
                tokens(&schema)
            )
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn patient() {
    insta::assert_snapshot!(show("Patient", &Options::default()));
}

#[test]
fn observation() {
    insta::assert_snapshot!(show("Observation", &Options::default()));
}

#[test]
fn patient_with_nested_types() {
    insta::assert_snapshot!(show("Patient", &Options { include_nested: true, ..Options::default() }));
}

#[test]
fn some_elements() {
    let elements = ["name", "contact.relationship", "deceased"].map(str::to_owned).to_vec();
    insta::assert_snapshot!(show("Patient", &Options { elements, ..Options::default() }));
}

#[test]
fn other_kinds_of_types() {
    let some: Vec<String> = ["HumanName", "Patient.contact", "Bot", "date", "Extension", "Encounter", "Meta", "Claim"]
        .iter()
        .map(|name| show(name, &Options::default()))
        .collect();
    insta::assert_snapshot!(some.join("\n\n"));
}

#[test]
fn verbose() {
    insta::assert_snapshot!(show("Condition", &Options { verbose: true, ..Options::default() }));
}

#[test]
fn names_that_do_not_exist() {
    let elements = vec!["birthdate".to_owned()];
    let texts = [
        show("Pateint", &Options::default()),
        show("Zebra", &Options::default()),
        show("Patient", &Options { elements, ..Options::default() }),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn ceilings() {
    let nested = Options { include_nested: true, ..Options::default() };
    let count = |name: &str, options: &Options| tokens(&render(name, options).unwrap());
    assert!(count("Patient", &Options::default()) <= 700);
    assert!(count("Observation", &Options::default()) <= 900);
    assert!(count("Patient", &nested) <= 4_000);
}

#[test]
fn every_type_can_be_shown() {
    let mut largest = Vec::new();
    for info in Definitions::get().types() {
        for include_nested in [false, true] {
            let options = Options { include_nested, ..Options::default() };
            let schema = render(info.name, &options).unwrap();
            assert!(schema.block.starts_with(info.name));
            if !include_nested {
                largest.push((schema.block.len(), info.name));
            }
        }
    }
    largest.sort_unstable();
    println!("{:?}", largest.iter().rev().take(8).collect::<Vec<_>>());
}
