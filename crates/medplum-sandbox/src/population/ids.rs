//! Ids that are the same in every sandbox, so that a test or an example can name them.

pub(crate) const PROJECT: &str = "5a4d0b0c-0000-4000-8000-000000000001";
pub(crate) const CLIENT: &str = "5a4d0b0c-0000-4000-8000-000000000002";
pub(crate) const CLIENT_MEMBERSHIP: &str = "5a4d0b0c-0000-4000-8000-000000000003";
pub(crate) const READER: &str = "5a4d0b0c-0000-4000-8000-000000000004";
pub(crate) const READER_MEMBERSHIP: &str = "5a4d0b0c-0000-4000-8000-000000000005";
pub(crate) const READER_POLICY: &str = "5a4d0b0c-0000-4000-8000-000000000006";
pub(crate) const MEMBER: &str = "5a4d0b0c-0000-4000-8000-000000000007";
pub(crate) const MEMBERSHIP: &str = "5a4d0b0c-0000-4000-8000-000000000008";
pub(crate) const MEMBER_POLICY: &str = "5a4d0b0c-0000-4000-8000-000000000009";
pub(crate) const ECHO_BOT: &str = "5a4d0b0c-0000-4000-8000-00000000000a";
pub(crate) const FAILING_BOT: &str = "5a4d0b0c-0000-4000-8000-00000000000b";
pub(crate) const SLOW_BOT: &str = "5a4d0b0c-0000-4000-8000-00000000000c";
pub(crate) const OPERATION: &str = "5a4d0b0c-0000-4000-8000-00000000000d";
/// The patient in whose chart somebody has hidden an instruction.
pub(crate) const INJECTED_PATIENT: &str = "5a4d0b0c-0000-4000-8000-00000000000e";
