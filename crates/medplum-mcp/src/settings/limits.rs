//! The operator's limits.

use std::collections::BTreeSet;

use medplum_client::ResourceId;

use super::table::ENABLE_WRITES;
use crate::allowed_types::AllowedTypes;
use crate::toolset::Toolsets;

/// Whether the person is asked before something is changed or run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConfirmWrites {
    /// Where the client can ask; its own permission prompt stands elsewhere.
    #[default]
    Auto,
    /// Always; what cannot be asked about is refused.
    Always,
    /// Never.
    Never,
}

impl ConfirmWrites {
    /// Its name in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::Always, Self::Never].into_iter().find(|mode| mode.as_str() == text.to_ascii_lowercase())
    }
}

/// Whether an agent gets the free text of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreeText {
    /// As it is, but for secrets and what cannot be seen.
    #[default]
    Keep,
    /// Not at all: a placeholder stands in its place.
    Drop,
}

/// The operator's limits on what may be asked.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Whether writes and runs may leave.
    pub writes: bool,
    /// Whether it is a flag that closes them: the variable opens nothing then.
    pub closed_by_flag: bool,
    /// The resource types that may be read and written; any if unset.
    pub types: Option<AllowedTypes>,
    /// Whether free text is shown.
    pub free_text: FreeText,
    /// The groups of tools that are there.
    pub toolsets: Toolsets,
    /// Whether a call may name a membership of its own.
    pub obo_override: bool,
    /// Whether the person is asked before something is changed or run.
    pub confirm: ConfirmWrites,
    /// The bots that may be run; any if unset.
    pub bots: Option<BTreeSet<ResourceId>>,
    /// The most characters of an answer.
    pub budget: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            writes: false,
            closed_by_flag: false,
            types: None,
            free_text: FreeText::Keep,
            toolsets: Toolsets::default(),
            obo_override: false,
            confirm: ConfirmWrites::Auto,
            bots: None,
            budget: 40_000,
        }
    }
}

impl Limits {
    /// What closes writes where they are closed.
    pub(crate) fn closes_writes(&self) -> &'static str {
        if self.closed_by_flag { "--enable-writes=false" } else { ENABLE_WRITES }
    }

    /// What opens writes where they are closed.
    pub(crate) fn opens_writes(&self) -> &'static str {
        if self.closed_by_flag {
            "The operator closed writes with the flag --enable-writes=false, which wins over MEDPLUM_ENABLE_WRITES."
        } else {
            "The operator opens writes with MEDPLUM_ENABLE_WRITES=true."
        }
    }
}
