//! What the tests share: a stub of the API that notes whatever reaches it, the server over a pipe, and the built
//! program as a host starts it.

#![allow(unused_imports)]

pub mod answer;
pub mod attempt;
pub mod clock;
pub mod host;
pub mod leaks;
pub mod pipe;
pub mod recorded;
pub mod redact;
pub mod sandbox;
pub mod stub;
pub mod transcript;

pub use answer::Answer;
pub use host::Host;
pub use pipe::Pipe;
pub use stub::{Asked, Says, Stub};
pub use transcript::Transcript;

/// Ids that look like Medplum's.
pub const PATIENT: &str = "2758b284-b8c2-4a6a-a3cd-373d94953408";
pub const VERSION: &str = "7da40f0b-ab67-4aae-9b69-bb39c41e1b29";
/// A bot that is on the operator's list, where there is one.
pub const LISTED_BOT: &str = "287f13cd-ce73-4f66-bb4b-28542e6acf24";
/// A bot that never is.
pub const OTHER_BOT: &str = "40a58028-6dd7-4b89-a029-9a5c43e60c64";
pub const MEMBERSHIP: &str = "3d7612cc-0089-428a-963b-3b2fdf4d54b9";
/// Nobody's id.
pub const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// The secret that the stub's client signs in with. It must be seen nowhere.
pub const SECRET: &str = "hunter2-the-secret";
/// The token that the stub gives. It must be seen nowhere either.
pub const TOKEN: &str = "stub-access-token";
