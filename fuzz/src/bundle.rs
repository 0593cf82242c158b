//! A batch or transaction, as JSON.

use medplum_client::{Batch, Interaction};

use super::{gate, json};

/// See the module.
pub fn run(data: &[u8]) {
    let Some(bundle) = json(data) else { return };
    let Ok(batch) = Batch::parse(&bundle) else { return };
    let effects: Vec<_> = batch.entries().iter().map(|entry| entry.interaction.effect()).collect();
    let interaction = Interaction::Batch(batch);
    gate::holds(&interaction);
    for entry in interaction_entries(&interaction) {
        gate::holds(entry);
    }
    // What is rebuilt from the entries is taken as the same entries.
    let (_, body) = interaction.to_request().body.expect("a bundle is a body");
    let sent = serde_json::from_slice(&body).expect("the body is JSON");
    let again = Batch::parse(&sent).unwrap_or_else(|error| panic!("what is sent is taken: {error}\n{sent}"));
    let again_effects: Vec<_> = again.entries().iter().map(|entry| entry.interaction.effect()).collect();
    assert_eq!(again_effects, effects, "{sent}");
}

fn interaction_entries(interaction: &Interaction) -> impl Iterator<Item = &Interaction> {
    let entries = match interaction {
        Interaction::Batch(batch) => batch.entries(),
        _ => &[],
    };
    entries.iter().map(|entry| &entry.interaction)
}
