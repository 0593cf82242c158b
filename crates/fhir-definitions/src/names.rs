//! The names that go into a URL: resource type, id, operation.
//!
//! A value of one of these types has been looked at once and can be put into a path as it is: none of them can hold
//! a slash, a percent sign, a space or a dot segment. Nothing here needs the definitions, so a client can use these
//! types without paying for the data.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Why a text is not the name that it was taken for. The text of the error says which form would have worked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not the form of a resource type.
    #[error(
        "{} is not a resource type: one word of letters and digits that starts with a capital, such as Patient or MedicationRequest{}",
        quoted(.given), hint_type(.given)
    )]
    ResourceType {
        /// What was given.
        given: String,
    },
    /// Not the form of a resource id.
    #[error("{} is not a resource id: 1 to 64 letters, digits, hyphens and dots, such as 2758b284-b8c2-4a6a-a3cd-373d94953408{}", quoted(.given), hint_id(.given))]
    ResourceId {
        /// What was given.
        given: String,
    },
    /// Not the form of an operation name.
    #[error("{} is not an operation name: letters, digits and hyphens, the first a small letter, such as everything or validate-code{}", quoted(.given), hint_operation(.given))]
    OperationName {
        /// What was given.
        given: String,
    },
}

/// The name of a FHIR resource type by its form alone: `Patient`.
///
/// Whether such a type exists is asked of [`Definitions`](crate::Definitions); a server may know more types than we do.
/// FHIR: <https://hl7.org/fhir/R4/resource.html>.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(String);

/// The logical id of a resource: `2758b284-b8c2-4a6a-a3cd-373d94953408`.
///
/// FHIR: <https://hl7.org/fhir/R4/datatypes.html#id>. `.` and `..` fit that form and are refused all the same, for a
/// URL parser takes them as steps in the path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(String);

/// The name of an operation without its dollar sign: `everything`.
///
/// FHIR: <https://hl7.org/fhir/R4/operations.html>.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationName(String);

impl ResourceType {
    /// Takes a text as a resource type.
    ///
    /// # Errors
    /// [`NameError::ResourceType`] if it is not a capital followed by at least one letter or digit.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let starts_right = bytes.next().is_some_and(|b| b.is_ascii_uppercase());
        if starts_right && text.len() > 1 && bytes.all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::ResourceType { given: text.to_owned() })
        }
    }
}

impl ResourceId {
    /// Takes a text as a resource id.
    ///
    /// # Errors
    /// [`NameError::ResourceId`] if it is empty, longer than 64, a dot segment, or has any other character than
    /// letters, digits, hyphens and dots.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let allowed = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if allowed && (1..=64).contains(&text.len()) && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::ResourceId { given: text.to_owned() })
        }
    }
}

impl OperationName {
    /// Takes a text as the name of an operation. A leading `$` is not part of the name and is refused.
    ///
    /// # Errors
    /// [`NameError::OperationName`] if it is not a small letter followed by letters, digits and hyphens.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let starts_right = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        if starts_right && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::OperationName { given: text.to_owned() })
        }
    }
}

/// The traits that the three names share.
macro_rules! name_traits {
    ($($name:ident),+) => {$(
        impl $name {
            /// The name as text, fit for a path segment as it is.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    )+};
}

name_traits!(ResourceType, ResourceId, OperationName);

/// What was given, short enough and clean enough to be repeated in an error.
fn quoted(given: &str) -> String {
    let short: String = given.chars().filter(|c| !c.is_control()).take(80).collect();
    let more = if given.chars().count() > 80 { "…" } else { "" };
    format!("\"{short}{more}\"")
}

/// The right form of a resource type, where one change gives it.
fn hint_type(given: &str) -> String {
    if let Some((head, id)) = given.split_once('/')
        && ResourceType::parse(head).is_ok()
    {
        return match ResourceId::parse(id) {
            Ok(_) => format!(". Pass {head} as the type and {id} as the id."),
            Err(_) => format!(". Pass {head}."),
        };
    }
    let mut chars = given.chars();
    let capital: String = chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect();
    // Several are called by the name of one: `patients`.
    let defs = crate::Definitions::get();
    let names = [capital.as_str(), capital.trim_end_matches('s')];
    let known = names.into_iter().find(|name| defs.is_resource_type(name));
    known.map_or_else(String::new, |name| format!(". Write {name}."))
}

/// The right form of an id, where one change gives it: a whole reference is the usual slip.
fn hint_id(given: &str) -> String {
    match given.rsplit_once('/') {
        Some((head, id)) if ResourceId::parse(id).is_ok() => {
            let kind = head.rsplit('/').next().unwrap_or(head);
            if ResourceType::parse(kind).is_ok() {
                format!(". Pass {kind} as the type and {id} as the id.")
            } else {
                format!(". Pass {id}.")
            }
        }
        _ if given.is_empty() => ". It is empty.".to_owned(),
        _ => String::new(),
    }
}

/// The right form of an operation name, where one change gives it.
fn hint_operation(given: &str) -> String {
    let bare = given.trim_start_matches('$');
    if bare != given && OperationName::parse(bare).is_ok() {
        format!(". Write {bare}, without the dollar sign.")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn types() {
        for good in ["Patient", "MedicationRequest", "ClientApplication", "CDSHooks", "X1"] {
            assert_eq!(ResourceType::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "P", "patient", "Patient/1", "Pat ient", "Patïent", "../Patient", "Patient?", "1Patient"] {
            assert!(ResourceType::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids() {
        for good in ["a", "123", "2758b284-b8c2-4a6a-a3cd-373d94953408", "a.b", "..."] {
            assert_eq!(ResourceId::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "a/b", "a b", "a%2Fb", "a_b", "é", &long] {
            assert!(ResourceId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn operations() {
        for good in ["everything", "validate-code", "csv", "a"] {
            assert_eq!(OperationName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "$everything", "Everything", "every/thing", "every thing", "-x"] {
            assert!(OperationName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_show_the_way() {
        let texts: Vec<String> = [
            ResourceType::parse("patient").unwrap_err(),
            ResourceType::parse("Patient/123").unwrap_err(),
            ResourceId::parse("Patient/123").unwrap_err(),
            ResourceId::parse("").unwrap_err(),
            OperationName::parse("$everything").unwrap_err(),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        insta::assert_snapshot!(texts.join("\n"));
    }

    proptest! {
        #[test]
        fn what_parses_is_one_path_segment(text in "\\PC{0,80}") {
            for name in [
                ResourceType::parse(&text).map(|n| n.to_string()),
                ResourceId::parse(&text).map(|n| n.to_string()),
                OperationName::parse(&text).map(|n| n.to_string()),
            ].into_iter().flatten() {
                prop_assert_eq!(&name, &text);
                prop_assert!(!name.is_empty() && name != "." && name != "..");
                prop_assert!(!name.contains(['/', '%', '\\', '?', '#', '$', ' ']));
            }
        }
    }
}
