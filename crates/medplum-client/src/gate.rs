//! The one question that is asked before anything leaves.

use std::borrow::Cow;

use thiserror::Error;

use crate::effect::Effect;
use crate::interaction::Interaction;
use crate::membership::Membership;

/// What is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The interaction, as it will be sent.
    pub interaction: &'a Interaction,
    /// What it does.
    pub effect: Effect,
    /// On whose behalf this one call asks to be made, if it says so itself.
    pub on_behalf_of: Option<&'a Membership>,
    /// Whether a [`Witness`](crate::Witness) sees it.
    pub watched: bool,
}

/// Decides whether an interaction may leave. A [`Client`](crate::Client) asks it every time, whichever of its ways is
/// taken, and for what it asks on the way itself too.
pub trait Gate: Send + Sync {
    /// Lets the interaction pass, or says why not.
    ///
    /// # Errors
    /// [`Refusal`], and then nothing is sent.
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal>;
}

/// Why the gate is closed, in words for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its reason and what would open the gate.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into() }
    }
}

/// A gate without limits: for programs that answer for every call themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open;

impl Gate for Open {
    fn check(&self, _: &Asked<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}
