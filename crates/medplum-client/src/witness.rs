//! Who sees everything that leaves for a call, and how it ended.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Error;
use crate::gate::Refusal;
use crate::interaction::Interaction;
use crate::reply::Reply;
use crate::searchset::{Searchset, Unread};

/// Sees every interaction of a call. It stands behind the gate: what leaves has passed both.
///
/// It may hold back what has not left, and so it can see to it that something is done before: that it is written down.
pub trait Witness: Send + Sync {
    /// An interaction is about to be sent. It leaves when this is done, and not before.
    ///
    /// # Errors
    /// [`Refusal`], and then it is not sent.
    fn leaves<'a>(&'a self, interaction: &'a Interaction) -> BoxFuture<'a, Result<Box<dyn Passage>, Refusal>>;

    /// The gate refused an interaction, or what it is sent behind failed. It was not sent.
    fn refused(&self, interaction: &Interaction);
}

/// An interaction on its way, through all its attempts. Dropped before its end, its fate is not known.
pub trait Passage: Send {
    /// It is about to be sent once more, after an attempt that failed.
    ///
    /// # Errors
    /// [`Refusal`], and then it is not.
    fn again(&mut self) -> Result<(), Refusal>;

    /// How it ended.
    fn ended(self: Box<Self>, end: &Ended<'_>);
}

/// How an interaction ended that has left.
#[derive(Debug)]
pub struct Ended<'a> {
    /// What came back, or why nothing did.
    pub came: Result<Came<'a>, &'a Error>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// How often it was sent.
    pub attempts: u32,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub enum Came<'a> {
    /// A whole reply.
    Reply(&'a Reply),
    /// A resource, unread.
    Resource(&'a Unread),
    /// A page, its resources unread.
    Page(&'a Searchset),
}

/// The witness of a call, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Watched(Option<Arc<dyn Witness>>);

impl Watched {
    pub(crate) fn by(witness: Arc<dyn Witness>) -> Self {
        Self(Some(witness))
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn refused(&self, interaction: &Interaction) {
        if let Some(witness) = &self.0 {
            witness.refused(interaction);
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_watched() { "Watched" } else { "Unwatched" })
    }
}

/// The way of one interaction, seen by a witness or by nobody.
pub(crate) struct Way<'a> {
    witness: Option<&'a dyn Witness>,
    interaction: &'a Interaction,
    passage: Option<Box<dyn Passage>>,
}

impl<'a> Way<'a> {
    pub(crate) fn of(watched: &'a Watched, interaction: &'a Interaction) -> Self {
        Self { witness: watched.0.as_deref(), interaction, passage: None }
    }

    /// Before each attempt.
    pub(crate) async fn goes(&mut self) -> Result<(), Refusal> {
        match (self.witness, &mut self.passage) {
            (None, _) => Ok(()),
            (Some(_), Some(passage)) => passage.again(),
            (Some(witness), none) => {
                *none = Some(witness.leaves(self.interaction).await?);
                Ok(())
            }
        }
    }

    pub(crate) fn ended(self, end: &Ended<'_>) {
        if let Some(passage) = self.passage {
            passage.ended(end);
        }
    }
}
