//! The values of the settings as they were found, before anything is made of them.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::table::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE, SETTINGS, Setting};

/// Where a value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// On the command line.
    Flag,
    /// In the environment.
    Environment,
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Default => "default",
        })
    }
}

/// Ways to sign in of which only one can be meant.
const RIVALS: &[(&str, &str)] = &[
    (ACCESS_TOKEN, CLIENT_ID),
    (ACCESS_TOKEN, CLIENT_SECRET),
    (ACCESS_TOKEN, CLIENT_SECRET_FILE),
    (CLIENT_SECRET, CLIENT_SECRET_FILE),
];

/// The values as they were found: a flag wins over the environment, and an empty variable counts as unset.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<&'static str, (String, Source)>);

impl Values {
    /// Looks every setting up.
    pub fn find(flag: impl Fn(&Setting) -> Option<String>, environment: impl Fn(&str) -> Option<String>) -> Self {
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let set = |value: Option<String>| value.filter(|v| !v.trim().is_empty());
            let found = set(flag(setting))
                .map(|v| (v, Source::Flag))
                .or_else(|| set(environment(setting.variable)).map(|v| (v, Source::Environment)))
                .or_else(|| setting.default.map(|v| (v.to_owned(), Source::Default)));
            values.extend(found.map(|found| (setting.variable, found)));
        }
        let mut values = Self(values);
        values.drop_rivals_of_flags();
        values
    }

    /// A flag wins over the environment's other ways to sign in too.
    fn drop_rivals_of_flags(&mut self) {
        for &(one, other) in RIVALS {
            for (wins, goes) in [(one, other), (other, one)] {
                if self.source(wins) == Some(Source::Flag) && self.source(goes) == Some(Source::Environment) {
                    self.0.remove(goes);
                }
            }
        }
    }

    /// Whether there is one way to sign in, not two: nobody could tell as whom it would be. What the flags name is all that
    /// is left of the environment's.
    pub(crate) fn check_one_way_in(&self) -> Result<(), SettingError> {
        let are_both =
            |(one, other): &&(&'static str, &str)| self.source(one).is_some() && self.source(other).is_some();
        let Some((one, other)) = RIVALS.iter().find(are_both) else { return Ok(()) };
        let advice = match self.source(one) {
            Some(Source::Flag) => "Pass the flag of one of them",
            _ => "Unset one of them",
        };
        Err(SettingError::new(one, format!("and {other} are two ways to sign in")).advising(advice))
    }

    /// Where a setting's value was found; none if it has no value.
    pub fn source(&self, variable: &str) -> Option<Source> {
        self.0.get(variable).map(|(_, source)| *source)
    }

    /// A setting's value as it was found, for who knows what may be shown of it.
    pub(crate) fn value(&self, variable: &str) -> Option<&str> {
        self.0.get(variable).map(|(value, _)| value.trim())
    }

    /// The same, if it was found there.
    pub(crate) fn value_from(&self, variable: &str, source: Source) -> Option<&str> {
        self.value(variable).filter(|_| self.source(variable) == Some(source))
    }

    /// A setting's value, if it has one that can be used.
    pub(super) fn get(&self, variable: &'static str) -> Result<Option<&str>, SettingError> {
        let Some((value, _)) = self.0.get(variable) else {
            return Ok(None);
        };
        let value = value.trim();
        if value.starts_with("${") && value.ends_with('}') {
            let error = SettingError::new(
                variable,
                "holds a placeholder that the host did not fill in; set it where the host is started",
            );
            let credential = [CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE, ACCESS_TOKEN].contains(&variable);
            return Err(if credential {
                error.advising("Or: medplum-mcp install HOST --client-id ID --client-secret-file PATH")
            } else {
                error
            });
        }
        Ok(Some(value))
    }

    pub(super) fn switch(&self, variable: &'static str) -> Result<bool, SettingError> {
        match self.get(variable)?.unwrap_or("false").to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(SettingError::new(variable, "must be true or false")),
        }
    }

    pub(super) fn number(
        &self,
        variable: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, SettingError> {
        let number = self.get(variable)?.and_then(|text| text.parse().ok()).filter(|n| range.contains(n));
        number.ok_or_else(|| {
            SettingError::new(variable, format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, (_, source))| (name, source))).finish()
    }
}

/// A setting that cannot be used: which one, why, and what to do, such as a value that works.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct SettingError {
    variable: &'static str,
    reason: String,
    advice: Option<String>,
}

impl SettingError {
    pub(crate) fn new(variable: &'static str, reason: impl Into<String>) -> Self {
        Self { variable, reason: reason.into(), advice: None }
    }

    /// Where another value is not what helps.
    fn advising(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// A file that a setting names cannot be used.
    pub(crate) fn of_file(variable: &'static str, trouble: &str, advice: &str) -> Self {
        Self::new(variable, format!(": {trouble}")).advising(advice)
    }

    /// Which setting, and what is wrong with it.
    pub(crate) fn what(&self) -> String {
        let gap = if self.reason.starts_with(':') { "" } else { " " };
        format!("{}{gap}{}", self.variable, self.reason)
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        self.advice.clone().unwrap_or_else(|| format!("{}={}", self.variable, example(self.variable)))
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lead = if self.advice.is_none() { "For example: " } else { "" };
        write!(f, "{}. {lead}{}", self.what(), self.remedy())
    }
}

fn example(variable: &str) -> &'static str {
    SETTINGS.iter().find(|setting| setting.variable == variable).map_or("", |setting| setting.example)
}
