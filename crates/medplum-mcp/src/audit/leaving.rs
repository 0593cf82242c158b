//! What leaves for a call: seen before it does, and looked into when it comes back.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use medplum_client::{Came, Ended, GraphQl, Interaction, Passage, Refusal, Witness};

use super::record::{Call, Record};
use super::says::reason;

impl Witness for Record {
    fn leaves<'a>(&'a self, interaction: &'a Interaction) -> BoxFuture<'a, Result<Box<dyn Passage>, Refusal>> {
        async move {
            let call = &self.0;
            let index = call.note(interaction)?;
            if !interaction.effect().is_read() {
                call.act(index).await?;
            }
            let holds = match interaction {
                _ if call.book().is_none() => Holds::Nothing,
                Interaction::Metadata | Interaction::BoundBot(_) => Holds::Nothing,
                Interaction::GraphQl(document) => Holds::WhatIsAsked(Box::new(document.clone())),
                Interaction::Operation(_) | Interaction::ExecuteBot { .. } | Interaction::Raw(_) => Holds::Anything,
                _ => Holds::Resources,
            };
            let passage = Going { call: Arc::clone(call), index, started: Instant::now(), holds };
            Ok(Box::new(passage) as Box<dyn Passage>)
        }
        .boxed()
    }

    fn refused(&self, interaction: &Interaction) {
        Self::refused(self, interaction);
    }
}

impl Call {
    /// Before something that acts leaves.
    async fn act(self: &Arc<Self>, index: usize) -> Result<(), Refusal> {
        if self.state().acting.is_none() {
            let acting = Arc::clone(&self.desk.acting).read_owned().await;
            self.state().acting = Some(acting);
        }
        let call = Arc::clone(self);
        let intent = async {
            match self.book() {
                Some(_) => {
                    tokio::task::spawn_blocking(move || call.intend(index)).await.map_err(std::io::Error::other)?
                }
                None => Ok(()),
            }
        };
        if let Err(error) = intent.await {
            self.hold_back(index);
            tracing::error!(reason = reason(&error), "the audit log cannot be written: nothing that acts is sent");
            return Err(Refusal::new(format!(
                "The audit log cannot be written ({}), and nothing is changed that is not recorded first. The operator puts the file in MEDPLUM_AUDIT_LOG right; then the same call works. The request was not sent.",
                reason(&error)
            )));
        }
        if self.state().cancelled {
            self.hold_back(index);
            return Err(cancelled());
        }
        Ok(())
    }
}

/// An interaction on its way.
struct Going {
    call: Arc<Call>,
    index: usize,
    started: Instant,
    holds: Holds,
}

/// Where the resources of an answer are.
enum Holds {
    /// It is not looked at.
    Nothing,
    /// It is one, or a bundle of them.
    Resources,
    /// Where the document asks for them.
    WhatIsAsked(Box<GraphQl>),
    /// Anywhere.
    Anything,
}

impl Passage for Going {
    fn again(&mut self) -> Result<(), Refusal> {
        if self.call.state().cancelled { Err(cancelled()) } else { Ok(()) }
    }

    fn ended(self: Box<Self>, end: &Ended<'_>) {
        let mut state = self.call.state();
        match (&self.holds, &end.came) {
            (Holds::Nothing, _) | (_, Err(_)) => {}
            (_, Ok(Came::Page(page))) => state.seen.take_page(page),
            (_, Ok(Came::Resource(resource))) => state.seen.take_unread(resource),
            (holds, Ok(Came::Reply(reply))) => match holds {
                Holds::WhatIsAsked(document) => state.seen.take_graphql(&document.resources_in(reply.json())),
                Holds::Anything => state.seen.take_anywhere(reply.json()),
                _ => state.seen.take(reply.json()),
            },
        }
        if let Some(asked) = state.asked.get_mut(self.index) {
            asked.ended(end, self.started.elapsed());
        }
    }
}

/// Nobody waits for what would leave.
pub(super) fn cancelled() -> Refusal {
    Refusal::new("The call was cancelled, and nothing more is sent for it.")
}
