//! What must hold of every interaction that the gate is asked about.

use medplum_client::{BotReach, Interaction};

use super::reads::Wire;

/// What is classed as a read is one, and reaches no bot; what may be sent twice is something that cannot happen twice.
pub(crate) fn holds(interaction: &Interaction) {
    let reach = interaction.bots();
    let _ = (interaction.label(), interaction.effect());
    let request = interaction.to_request();
    let wire = Wire::of(&request);
    if interaction.effect().is_read() {
        if let Err(why) = wire.reads() {
            panic!("classed as a read: {why}\n{interaction:?}");
        }
        assert_eq!(reach, BotReach::Only(Default::default()), "{interaction:?}");
    } else if interaction.is_safe_to_replay() {
        let conditional = request.headers.iter().any(|(name, value)| *name == "if-none-exist" && !value.is_empty());
        let repeatable = ["PUT", "DELETE"].contains(&wire.method) || wire.method == "POST" && conditional;
        assert!(repeatable && !wire.url.contains('$'), "may be sent twice: {} {}", wire.method, wire.url);
    }
    for guard in interaction.guards().expect("every guard can be sent") {
        assert!(guard.effect().is_read(), "{guard:?}");
        assert_eq!(Wire::of(&guard.to_request()).reads(), Ok(()));
    }
}
