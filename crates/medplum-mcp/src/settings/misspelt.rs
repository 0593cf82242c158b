//! Variables that were meant to be settings.

use super::SETTINGS;

const PREFIX: &str = "MEDPLUM_";

/// A variable that is no setting, but is named nearly like one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misspelt {
    /// The variable.
    pub name: String,
    /// The setting that it is most like.
    pub nearest: &'static str,
}

/// Those among the variables of the environment, in the order of their names.
pub fn misspelt(variables: impl IntoIterator<Item = String>) -> Vec<Misspelt> {
    let mut found: Vec<Misspelt> = variables.into_iter().filter_map(nearly).collect();
    found.sort();
    found
}

fn nearly(name: String) -> Option<Misspelt> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_setting = |name: &str| SETTINGS.iter().any(|setting| setting.variable == name);
    let upper = name.to_ascii_uppercase();
    // Windows does not tell one case from the other.
    if !plain || is_setting(&name) || (cfg!(windows) && is_setting(&upper)) {
        return None;
    }
    let own = upper.strip_prefix(PREFIX)?;
    let settings = SETTINGS.iter().filter_map(|setting| setting.variable.strip_prefix(PREFIX));
    let nearest = fhir_definitions::nearest(own, settings);
    let nearest = nearest.first().and_then(|near| {
        SETTINGS.iter().map(|setting| setting.variable).find(|name| name.strip_prefix(PREFIX) == Some(*near))
    })?;
    Some(Misspelt { name, nearest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_what_is_another_programs_is_not() {
        let near = |name: &str| misspelt([name.to_owned()]).pop().map(|found| found.nearest);
        for (name, nearest) in [
            ("MEDPLUM_CLIENTID", "MEDPLUM_CLIENT_ID"),
            ("MEDPLUM_CLIENT_SECERT", "MEDPLUM_CLIENT_SECRET"),
            ("MEDPLUM_ALLOWED_TYPE", "MEDPLUM_ALLOWED_TYPES"),
            ("MEDPLUM_ENABLE_WRITE", "MEDPLUM_ENABLE_WRITES"),
            ("MEDPLUM_TIMEOUT", "MEDPLUM_TIMEOUT_SECONDS"),
        ] {
            assert_eq!(near(name), Some(nearest), "{name}");
        }
        let others = ["MEDPLUM_HOME", "MEDPLUM_VERSION", "MEDPLUM_LOGIN", "CLIENT_ID", "MEDPLUM_CLIENT_ID\u{1b}[2J"];
        for name in others.into_iter().chain(SETTINGS.iter().map(|setting| setting.variable)) {
            assert_eq!(near(name), None, "{name}");
        }
        assert_eq!(near("medplum_client_id").is_some(), !cfg!(windows));
    }
}
