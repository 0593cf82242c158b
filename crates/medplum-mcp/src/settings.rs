//! Every setting, in one table: its variable, its flag, what it means. Read once at the start, and never again.

mod limits;
mod misspelt;
mod sign_in;
mod table;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use medplum_client::{BaseUrl, Config, Credentials, FhirPath, Membership, ResourceId};
use secrecy::SecretString;

pub use self::limits::{ConfirmWrites, FreeText, Limits};
pub use self::misspelt::{Misspelt, misspelt};
pub use self::sign_in::NoCredentials;
use self::sign_in::credentials;
pub use self::table::*;
pub use self::values::{SettingError, Source, Values};
use crate::allowed_types::AllowedTypes;
use crate::shown;
use crate::toolset::Toolsets;

/// The settings, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Medplum server.
    pub base_url: BaseUrl,
    /// Its FHIR base.
    pub fhir_path: FhirPath,
    /// As whom to ask; none if nothing is set.
    pub credentials: Option<Credentials>,
    /// On whose behalf.
    pub on_behalf_of: Option<Membership>,
    /// The operator's limits.
    pub limits: Limits,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// The file of the audit log.
    pub audit_log: Option<PathBuf>,
    /// What goes to stderr.
    pub log: tracing::level_filters::LevelFilter,
}

impl Settings {
    /// Validates the values.
    ///
    /// # Errors
    /// [`SettingError`] that names the variable and shows a value that works.
    pub fn new(values: &Values) -> Result<Self, SettingError> {
        let insecure = values.switch(ALLOW_INSECURE_HTTP)?;
        let base_url = BaseUrl::parse(values.get(BASE_URL)?.unwrap_or_default(), insecure)
            .map_err(|e| SettingError::new(BASE_URL, reason(&e)))?;
        let fhir_path = FhirPath::parse(values.get(FHIR_URL_PATH)?.unwrap_or_default())
            .map_err(|e| SettingError::new(FHIR_URL_PATH, reason(&e)))?;
        if base_url.ends_with(&fhir_path) {
            let why = "cannot be used: it ends with the FHIR path, which MEDPLUM_FHIR_URL_PATH puts behind it";
            return Err(SettingError::new(BASE_URL, why));
        }
        let on_behalf_of = values.get(ON_BEHALF_OF)?.map(Membership::parse).transpose();
        let writes = values.switch(ENABLE_WRITES)?;
        Ok(Self {
            base_url,
            fhir_path,
            credentials: credentials(values)?,
            on_behalf_of: on_behalf_of.map_err(|_| {
                SettingError::new(ON_BEHALF_OF, "is not a membership: ProjectMembership/<uuid> or the UUID alone")
            })?,
            limits: Limits {
                writes,
                closed_by_flag: !writes && values.source(ENABLE_WRITES) == Some(Source::Flag),
                types: types(values)?,
                free_text: match values.get(FREE_TEXT)?.unwrap_or("keep").to_ascii_lowercase().as_str() {
                    "keep" => FreeText::Keep,
                    "drop" => FreeText::Drop,
                    _ => return Err(SettingError::new(FREE_TEXT, "must be keep or drop")),
                },
                toolsets: toolsets(values, writes)?,
                obo_override: values.switch(ALLOW_OBO_OVERRIDE)?,
                confirm: ConfirmWrites::parse(values.get(CONFIRM_WRITES)?.unwrap_or("auto"))
                    .ok_or_else(|| SettingError::new(CONFIRM_WRITES, "must be auto, always or never"))?,
                bots: bots(values)?,
                budget: usize::try_from(values.number(ANSWER_BUDGET, 1_000..=1_000_000)?).unwrap_or(40_000),
            },
            timeout: Duration::from_secs(values.number(TIMEOUT_SECONDS, 1..=600)?.into()),
            max_response_bytes: usize::try_from(values.number(MAX_RESPONSE_MB, 1..=2_000)?)
                .unwrap_or(64)
                .saturating_mul(1_000_000),
            audit_log: values.get(AUDIT_LOG)?.map(PathBuf::from),
            log: log(values)?,
        })
    }

    /// Works on a sandbox: its URL and credentials, whatever else is set.
    ///
    /// # Errors
    /// [`SettingError`] if the sandbox has no usable URL, which does not happen.
    pub fn use_sandbox(&mut self, sandbox: &medplum_sandbox::Sandbox) -> Result<(), SettingError> {
        self.base_url =
            BaseUrl::parse(sandbox.base_url(), false).map_err(|e| SettingError::new(BASE_URL, reason(&e)))?;
        self.credentials = Some(Credentials::Client {
            id: sandbox.client_id().to_owned(),
            secret: SecretString::from(sandbox.client_secret()),
        });
        Ok(())
    }

    /// Whether what it signs in with is too short to be told from other texts.
    pub fn secret_is_short(&self) -> bool {
        self.credentials.as_ref().is_some_and(Credentials::is_short)
    }

    /// How the client reaches Medplum.
    ///
    /// # Errors
    /// [`NoCredentials`] if there are none.
    pub fn config(&self) -> Result<Config, NoCredentials> {
        let credentials = self.credentials.clone().ok_or(NoCredentials)?;
        Ok(Config {
            fhir_path: self.fhir_path.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            timeout: self.timeout,
            max_response_bytes: self.max_response_bytes,
            user_agent: concat!("medplum-mcp/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Config::new(self.base_url.clone(), credentials)
        })
    }
}

fn reason(error: &medplum_client::ConfigError) -> String {
    match error {
        medplum_client::ConfigError::BaseUrl { reason } => format!("cannot be used: {reason}"),
        medplum_client::ConfigError::FhirPath => "must be a relative path".into(),
        other => other.to_string(),
    }
}

fn bots(values: &Values) -> Result<Option<BTreeSet<ResourceId>>, SettingError> {
    let Some(list) = values.get(ALLOWED_BOT_IDS)? else {
        return Ok(None);
    };
    let ids = list.split([',', ' ']).filter(|id| !id.is_empty()).map(|id| {
        ResourceId::parse(id.strip_prefix("Bot/").unwrap_or(id)).map_err(|_| {
            let why = format!("must be a list of bot ids with commas between them; {} is none", shown::text(id, 80));
            SettingError::new(ALLOWED_BOT_IDS, why)
        })
    });
    ids.collect::<Result<_, _>>().map(Some)
}

fn types(values: &Values) -> Result<Option<AllowedTypes>, SettingError> {
    let list = values.get(ALLOWED_TYPES)?;
    let types = list.map(AllowedTypes::parse).transpose();
    types.map_err(|reason| SettingError::new(ALLOWED_TYPES, reason))
}

fn toolsets(values: &Values, writes: bool) -> Result<Toolsets, SettingError> {
    let Some(list) = values.get(TOOLSETS)? else { return Ok(Toolsets::default()) };
    let open = Toolsets::parse(list).map_err(|reason| SettingError::new(TOOLSETS, reason))?;
    if !writes && open.only_act() {
        return Err(SettingError::new(
            TOOLSETS,
            format!("opens {open} alone, whose tools need MEDPLUM_ENABLE_WRITES=true, so no tool would be there"),
        ));
    }
    Ok(open)
}

fn log(values: &Values) -> Result<tracing::level_filters::LevelFilter, SettingError> {
    let level = values.get(LOG)?.unwrap_or("warn").to_ascii_lowercase();
    match level.as_str() {
        "off" | "error" | "warn" | "info" | "debug" => {
            level.parse().map_err(|_| SettingError::new(LOG, "is not a level"))
        }
        _ => Err(SettingError::new(LOG, "must be off, error, warn, info or debug")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingError> {
        let values =
            Values::find(|_| None, |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
        Settings::new(&values)
    }

    #[test]
    fn the_defaults_read_only_and_reach_medplum() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.base_url.as_str(), "https://api.medplum.com/");
        assert_eq!(settings.fhir_path.as_str(), "fhir/R4/");
        assert!(!settings.limits.writes && !settings.limits.obo_override && settings.limits.bots.is_none());
        assert_eq!(settings.config().unwrap_err(), NoCredentials);
    }

    #[test]
    fn an_empty_variable_is_unset_and_a_flag_wins() {
        let read =
            settings(&[("MEDPLUM_ENABLE_WRITES", ""), ("MEDPLUM_BASE_URL", " "), ("MEDPLUM_ALLOWED_BOT_IDS", "")])
                .unwrap();
        assert!(!read.limits.writes && read.limits.bots.is_none());
        for yes in ["true", "1", "yes", "TRUE", "Yes", " true "] {
            assert!(settings(&[("MEDPLUM_ENABLE_WRITES", yes)]).unwrap().limits.writes, "{yes}");
        }
        let values = Values::find(
            |s| (s.flag == "enable-writes").then(|| "false".into()),
            |n| (n == "MEDPLUM_ENABLE_WRITES").then(|| "true".into()),
        );
        assert!(!Settings::new(&values).unwrap().limits.writes);
        assert_eq!(values.source(ENABLE_WRITES), Some(Source::Flag));
    }

    #[test]
    fn an_error_names_the_variable_and_a_value_that_works() {
        let table: &[(&[(&str, &str)], &str)] = &[
            (
                &[("MEDPLUM_BASE_URL", "https://api.medplum.com/fhir/R4")],
                "MEDPLUM_BASE_URL cannot be used: it ends with the FHIR path, which MEDPLUM_FHIR_URL_PATH puts behind it. For example: MEDPLUM_BASE_URL=https://api.medplum.com/",
            ),
            (
                &[("MEDPLUM_BASE_URL", "localhost:8103")],
                "MEDPLUM_BASE_URL cannot be used: it does not begin with https://, or with http:// for a server on this machine. For example: MEDPLUM_BASE_URL=https://api.medplum.com/",
            ),
            (
                &[("MEDPLUM_BASE_URL", "http://api.medplum.com")],
                "MEDPLUM_BASE_URL cannot be used: it is not https, so tokens and records would travel in the clear. For example: MEDPLUM_BASE_URL=https://api.medplum.com/",
            ),
            (
                &[("MEDPLUM_ENABLE_WRITES", "maybe")],
                "MEDPLUM_ENABLE_WRITES must be true or false. For example: MEDPLUM_ENABLE_WRITES=true",
            ),
            (
                &[("MEDPLUM_ON_BEHALF_OF", "Practitioner/1")],
                "MEDPLUM_ON_BEHALF_OF is not a membership: ProjectMembership/<uuid> or the UUID alone. For example: MEDPLUM_ON_BEHALF_OF=ProjectMembership/00000000-0000-0000-0000-000000000000",
            ),
            (
                &[("MEDPLUM_TIMEOUT_SECONDS", "0")],
                "MEDPLUM_TIMEOUT_SECONDS must be a whole number from 1 to 600. For example: MEDPLUM_TIMEOUT_SECONDS=60",
            ),
            (
                &[("MEDPLUM_ALLOWED_BOT_IDS", "287f13cd-ce73-4f66-bb4b-28542e6acf24 a;b")],
                "MEDPLUM_ALLOWED_BOT_IDS must be a list of bot ids with commas between them; \"a;b\" is none. For example: MEDPLUM_ALLOWED_BOT_IDS=287f13cd-ce73-4f66-bb4b-28542e6acf24,40a58028-6dd7-4b89-a029-9a5c43e60c64",
            ),
            (
                &[("MEDPLUM_CLIENT_ID", "x"), ("MEDPLUM_CLIENT_SECRET", "y"), ("MEDPLUM_CLIENT_SECRET_FILE", "/z")],
                "MEDPLUM_CLIENT_SECRET and MEDPLUM_CLIENT_SECRET_FILE are two ways to sign in. Unset one of them",
            ),
            (
                &[("MEDPLUM_CLIENT_ID", "x"), ("MEDPLUM_CLIENT_SECRET", "y"), ("MEDPLUM_ACCESS_TOKEN", "z")],
                "MEDPLUM_ACCESS_TOKEN and MEDPLUM_CLIENT_ID are two ways to sign in. Unset one of them",
            ),
            (
                &[("MEDPLUM_CLIENT_ID", "x")],
                "MEDPLUM_CLIENT_SECRET is missing beside MEDPLUM_CLIENT_ID. For example: MEDPLUM_CLIENT_SECRET=the secret of that ClientApplication",
            ),
            (
                &[("MEDPLUM_CLIENT_ID", "${MEDPLUM_CLIENT_ID}")],
                "MEDPLUM_CLIENT_ID holds a placeholder that the host did not fill in; set it where the host is started. Or: medplum-mcp install HOST --client-id ID --client-secret-file PATH",
            ),
        ];
        for (given, expected) in table {
            assert_eq!(settings(given).unwrap_err().to_string(), *expected);
        }
    }

    /// What is given to this very call is meant, whatever is exported: also where it is another way to sign in.
    #[test]
    fn a_flag_wins_over_the_other_ways_to_sign_in() {
        let found = |flags: &[&str], variables: &[&str]| {
            let value = |names: &[&str], name: &str| names.contains(&name).then(|| "/no/such".to_owned());
            let values = Values::find(|s| value(flags, s.variable), |name| value(variables, name));
            [CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE, ACCESS_TOKEN].map(|name| values.source(name).is_some())
        };
        let client = &[CLIENT_ID, CLIENT_SECRET];
        assert_eq!(found(&[CLIENT_SECRET_FILE], client), [true, false, true, false]);
        assert_eq!(found(&[CLIENT_SECRET], &[CLIENT_ID, CLIENT_SECRET_FILE]), [true, true, false, false]);
        assert_eq!(found(&[ACCESS_TOKEN], client), [false, false, false, true]);
        assert_eq!(found(client, &[ACCESS_TOKEN]), [true, true, false, false]);
        assert_eq!(found(&[CLIENT_ID], client), [true, true, false, false]);
        let both = Values::find(
            |s| [ACCESS_TOKEN, CLIENT_SECRET_FILE].contains(&s.variable).then(|| "x".to_owned()),
            |_| None,
        );
        assert_eq!(
            Settings::new(&both).unwrap_err().to_string(),
            "MEDPLUM_ACCESS_TOKEN and MEDPLUM_CLIENT_SECRET_FILE are two ways to sign in. Pass the flag of one of them"
        );
    }

    #[test]
    fn a_secret_is_in_no_debug_text() {
        let pairs = [("MEDPLUM_CLIENT_ID", "id"), ("MEDPLUM_CLIENT_SECRET", "hunter2")];
        let values =
            Values::find(|_| None, |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
        let settings = Settings::new(&values).unwrap();
        assert!(!format!("{values:?}{settings:?}{:?}", settings.config()).contains("hunter2"));
    }
}
