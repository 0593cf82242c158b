//! What asking does.

/// What a request does to a project, decided from the request itself and never from the tool that makes it.
///
/// The order is that of consequence, so the effect of several requests is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing changes. Only what is provably so is a read.
    Read,
    /// Something stored may change. What is not understood counts as this.
    Write,
    /// Code may run: a bot, or an operation that could be bound to one.
    Run,
}

impl Effect {
    /// Whether nothing changes.
    pub fn is_read(self) -> bool {
        self == Self::Read
    }
}
