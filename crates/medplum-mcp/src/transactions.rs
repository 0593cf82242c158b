//! Whether this project carries transactions out as one. Without the feature `transaction-bundles` Medplum takes a
//! transaction for a batch, and keeps the entries that went well.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use medplum_client::{Batch, BatchKind, Interaction, Membership, ResourceId, ResourceType};

use crate::context::Context;
use crate::failure::Failure;

/// The feature can be switched on and off.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// So many memberships are remembered, where a call may name any.
const MOST: usize = 100;
/// An id that nobody has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// What was found out, by on whose behalf: an unknown membership is answered like an unknown id.
#[derive(Debug, Default)]
pub struct Transactions(Mutex<HashMap<Option<Membership>, (Instant, bool)>>);

impl Transactions {
    fn known(&self, of: &Option<Membership>, now: Instant) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, atomic) = known.get(of)?;
        (now.saturating_duration_since(*when) < KEPT_FOR).then_some(*atomic)
    }

    fn keep(&self, of: Option<Membership>, now: Instant, atomic: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(of, (now, atomic));
    }
}

/// Refuses a transaction that would be carried out in part.
///
/// # Errors
/// [`Failure`] that says what to do instead; nothing was sent of it.
pub(crate) async fn all_or_none(cx: &Context<'_>, batch: &Batch) -> Result<(), Failure> {
    // One entry alone is carried out or is not, and reads leave nothing behind.
    if batch.kind() != BatchKind::Transaction || batch.effect().is_read() || batch.entries().len() < 2 {
        return Ok(());
    }
    let refused = |why: &str| {
        Failure::teach(format!(
            "{why} Nothing was sent. Order the writes so that each may stand alone and send them as type batch, or pass allow_partial: true to execute_batch."
        ))
    };
    match atomic(cx, batch).await? {
        Some(true) => Ok(()),
        Some(false) => Err(refused(
            "This project does not carry transactions out as one (its feature transaction-bundles is off): where an entry fails, the others would stay.",
        )),
        None => Err(refused(
            "Whether this project carries transactions out as one could not be found out: where an entry fails, the others may stay.",
        )),
    }
}

/// Asks without writing: a transaction with one read of an unknown id fails as a whole where it is carried out as one,
/// and answers entry by entry where it is not.
async fn atomic(cx: &Context<'_>, batch: &Batch) -> Result<Option<bool>, Failure> {
    let (kept, of, now) = (&cx.kept().transactions, cx.on_behalf_of(), cx.clock().monotonic());
    if let Some(atomic) = kept.known(&of, now) {
        return Ok(Some(atomic));
    }
    // A type that this client has to do with, so that its policy lets it read.
    let named = batch.entries().iter().find_map(|entry| entry.interaction.label().resource_type);
    let read = Interaction::read(ResourceType::parse(named.unwrap_or("Patient"))?, ResourceId::parse(NOBODY)?);
    let probe = Interaction::Batch(Batch::of_kind(BatchKind::Transaction, [read]));
    let atomic = match cx.ask(&probe).await {
        Ok(_) => false,
        Err(failure) => match failure.error() {
            Some(medplum_client::Error::Outcome(outcome)) if outcome.is("not-found") => true,
            Some(medplum_client::Error::Outcome(outcome)) if outcome.status < 500 && outcome.status != 429 => {
                return Ok(None);
            }
            _ => {
                return Err(failure.of_look(|| "the question whether transactions are carried out as one,".to_owned()));
            }
        },
    };
    kept.keep(of, now, atomic);
    Ok(Some(atomic))
}
