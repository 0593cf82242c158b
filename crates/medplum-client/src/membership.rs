//! On whose behalf a request is made.

use std::fmt;
use std::str::FromStr;

use crate::invalid::InvalidRequest;

/// The membership on whose behalf a request is made: `ProjectMembership/<uuid>`. Its access policy then applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Membership(String);

impl Membership {
    /// Takes `ProjectMembership/<uuid>` or the bare UUID.
    ///
    /// # Errors
    /// [`InvalidRequest::Membership`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidRequest> {
        let text = text.trim();
        let id = text.strip_prefix("ProjectMembership/").unwrap_or(text);
        if is_uuid(id) {
            Ok(Self(format!("ProjectMembership/{}", id.to_ascii_lowercase())))
        } else {
            Err(InvalidRequest::Membership)
        }
    }

    /// `ProjectMembership/<uuid>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Membership {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3d7612cc-0089-428a-963b-3b2fdf4d54b9";

    #[test]
    fn both_forms_are_the_same_membership() {
        let whole = Membership::parse(&format!("ProjectMembership/{ID}")).unwrap();
        assert_eq!(whole, Membership::parse(ID).unwrap());
        assert_eq!(whole.as_str(), format!("ProjectMembership/{ID}"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "garbage",
            "Practitioner/3d7612cc-0089-428a-963b-3b2fdf4d54b9",
            "3d7612cc00894-28a-963b-3b2fdf4d54b9x",
            "ProjectMembership/",
        ] {
            assert!(Membership::parse(bad).is_err(), "{bad}");
        }
    }
}
