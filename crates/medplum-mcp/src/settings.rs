//! Every setting, in one table: its variable, its flag, what it means. Read once at the start, and never again.

mod misspelt;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use medplum_client::{BaseUrl, Config, Credentials, FhirPath, Membership, ResourceId};
use secrecy::SecretString;
use thiserror::Error;

use crate::allowed_types::AllowedTypes;
use crate::file_trouble::{unread, why};
use crate::toolset::Toolsets;

pub use self::misspelt::{Misspelt, misspelt};

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is shown nowhere.
    Secret,
    /// `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`.
    Switch,
    /// A whole number.
    Number,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value where nothing is set.
    pub default: Option<&'static str>,
    /// A value that works.
    pub example: &'static str,
    /// What it means, for a person.
    pub help: &'static str,
}

macro_rules! settings {
    ($($name:ident = $variable:literal, $flag:literal, $kind:ident, $default:expr, $example:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: &str = $variable;
        )*

        /// The table.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            variable: $variable, flag: $flag, kind: Kind::$kind, default: $default, example: $example, help: $help,
        }),*];
    };
}

settings! {
    BASE_URL = "MEDPLUM_BASE_URL", "base-url", Text, Some("https://api.medplum.com/"), "https://api.medplum.com/",
        "The Medplum server. https, or http on this machine";
    FHIR_URL_PATH = "MEDPLUM_FHIR_URL_PATH", "fhir-url-path", Text, Some("fhir/R4/"), "fhir/R4/",
        "The path of its FHIR interface";
    CLIENT_ID = "MEDPLUM_CLIENT_ID", "client-id", Text, None, "00000000-0000-0000-0000-000000000000",
        "The id of the ClientApplication to sign in as";
    CLIENT_SECRET = "MEDPLUM_CLIENT_SECRET", "client-secret", Secret, None, "the secret of that ClientApplication",
        "Its secret. Better in the environment or a file: others on this machine can see a flag";
    CLIENT_SECRET_FILE = "MEDPLUM_CLIENT_SECRET_FILE", "client-secret-file", Text, None, "/run/secrets/medplum",
        "A file that holds the secret instead";
    ACCESS_TOKEN = "MEDPLUM_ACCESS_TOKEN", "access-token", Secret, None, "an access token made elsewhere",
        "An access token instead of client credentials. It is never refreshed";
    ON_BEHALF_OF = "MEDPLUM_ON_BEHALF_OF", "on-behalf-of", Text, None, "ProjectMembership/00000000-0000-0000-0000-000000000000",
        "The membership whose access policy applies to every call";
    ALLOW_OBO_OVERRIDE = "MEDPLUM_ALLOW_OBO_OVERRIDE", "allow-obo-override", Switch, Some("false"), "true",
        "Let a call name another membership in its on_behalf_of";
    ENABLE_WRITES = "MEDPLUM_ENABLE_WRITES", "enable-writes", Switch, Some("false"), "true",
        "Open the tools that change records and run bots. Without it only reads leave";
    TOOLSETS = "MEDPLUM_TOOLSETS", "toolsets", Text, Some("all"), "discover,read,search,patient",
        "The toolsets that are open: all, or some of discover, read, search, patient, terminology, query, write, bundle, bot, operation, graphql, raw";
    ALLOWED_TYPES = "MEDPLUM_ALLOWED_TYPES", "allowed-types", Text, None, "Patient,Observation,Condition,MedicationRequest",
        "The only resource types that may be read or written, on every way to them. Unset: any";
    FREE_TEXT = "MEDPLUM_FREE_TEXT", "free-text", Text, Some("keep"), "drop",
        "Whether free text in records is shown: keep, or drop, which leaves out narratives, notes, comments, documents and every other text that is no name or code";
    ALLOWED_BOT_IDS = "MEDPLUM_ALLOWED_BOT_IDS", "allowed-bot-ids", Text, None, "287f13cd-ce73-4f66-bb4b-28542e6acf24,40a58028-6dd7-4b89-a029-9a5c43e60c64",
        "The only bots that may be run or deployed, on every way to one. Unset: any";
    CONFIRM_WRITES = "MEDPLUM_CONFIRM_WRITES", "confirm-writes", Text, Some("auto"), "always",
        "Ask the person before something is changed or run: auto (where the client can ask), always (refused where it cannot), never";
    ALLOW_INSECURE_HTTP = "MEDPLUM_ALLOW_INSECURE_HTTP", "allow-insecure-http", Switch, Some("false"), "true",
        "Speak http with another machine. Tokens and records then travel in the clear";
    TIMEOUT_SECONDS = "MEDPLUM_TIMEOUT_SECONDS", "timeout-seconds", Number, Some("30"), "60",
        "How long to wait for Medplum's next bytes, in seconds. A whole answer may take four times as long";
    MAX_RESPONSE_MB = "MEDPLUM_MAX_RESPONSE_MB", "max-response-mb", Number, Some("64"), "64",
        "The largest answer that is read from Medplum, in megabytes";
    ANSWER_BUDGET = "MEDPLUM_ANSWER_BUDGET", "answer-budget", Number, Some("40000"), "40000",
        "The most characters of an answer; a call may ask for fewer";
    AUDIT_LOG = "MEDPLUM_AUDIT_LOG", "audit-log", Text, None, "/var/log/medplum-mcp/audit.jsonl",
        "A file that takes a line for every call: who asked what, of which resources, with which outcome";
    LOG = "MEDPLUM_LOG", "log", Text, Some("warn"), "debug",
        "What goes to stderr: off, error, warn, info or debug. Never a record, a token or an id";
}

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

    /// Whether the flags name one way to sign in, not two.
    pub(crate) fn check_one_way_in(&self) -> Result<(), SettingError> {
        let by_flag = |variable| self.source(variable) == Some(Source::Flag);
        match RIVALS.iter().find(|(one, other)| by_flag(one) && by_flag(other)) {
            Some((one, other)) => Err(SettingError::new(one, format!("and {other} are two ways to sign in"))
                .advising("Pass the flag of one of them".to_owned())),
            None => Ok(()),
        }
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

    fn get(&self, variable: &'static str) -> Result<Option<&str>, SettingError> {
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

    fn switch(&self, variable: &'static str) -> Result<bool, SettingError> {
        match self.get(variable)?.unwrap_or("false").to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(SettingError::new(variable, "must be true or false")),
        }
    }

    fn number(&self, variable: &'static str, range: std::ops::RangeInclusive<u32>) -> Result<u32, SettingError> {
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

/// Why there is no one to sign in as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "No Medplum credentials. Set MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET to those of a ClientApplication (Medplum app: Project, Clients), or try everything on synthetic patients with: medplum-mcp --sandbox"
)]
pub struct NoCredentials;

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

    fn parse(text: &str) -> Option<Self> {
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

fn credentials(values: &Values) -> Result<Option<Credentials>, SettingError> {
    values.check_one_way_in()?;
    if let Some(token) = values.get(ACCESS_TOKEN)? {
        return Ok(Some(Credentials::AccessToken(SecretString::from(header_safe(ACCESS_TOKEN, token)?))));
    }
    let secret = match values.get(CLIENT_SECRET_FILE)? {
        Some(path) if values.get(CLIENT_SECRET)?.is_none() => Some(secret_from(path)?),
        _ => values.get(CLIENT_SECRET)?.map(SecretString::from),
    };
    match (values.get(CLIENT_ID)?, secret) {
        (Some(id), Some(secret)) => Ok(Some(Credentials::Client { id: id.to_owned(), secret })),
        (Some(_), None) => Err(SettingError::new(CLIENT_SECRET, "is missing beside MEDPLUM_CLIENT_ID")),
        (None, Some(_)) => Err(SettingError::new(CLIENT_ID, "is missing beside MEDPLUM_CLIENT_SECRET")),
        (None, None) => Ok(None),
    }
}

fn header_safe<'a>(variable: &'static str, text: &'a str) -> Result<&'a str, SettingError> {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(SettingError::new(variable, "holds a space or another character that a token has not"))
    }
}

fn secret_from(path: &str) -> Result<SecretString, SettingError> {
    let path = Path::new(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        // A name without a folder may be the secret itself, put there by mistake.
        let in_a_folder = path.parent().is_some_and(|folder| !folder.as_os_str().is_empty());
        let trouble = if in_a_folder {
            unread(path, &error)
        } else {
            format!("it names a file in the folder that this was started in: {}", why(&error))
        };
        let advice = "Name the file that holds the secret, by its whole path";
        SettingError::of_file(CLIENT_SECRET_FILE, &trouble, advice)
    })?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(SettingError::new(CLIENT_SECRET_FILE, "names an empty file"));
    }
    Ok(SecretString::from(secret))
}

fn bots(values: &Values) -> Result<Option<BTreeSet<ResourceId>>, SettingError> {
    let Some(list) = values.get(ALLOWED_BOT_IDS)? else {
        return Ok(None);
    };
    let ids = list
        .split([',', ' '])
        .filter(|id| !id.is_empty())
        .map(|id| ResourceId::parse(id.strip_prefix("Bot/").unwrap_or(id)));
    ids.collect::<Result<_, _>>()
        .map(Some)
        .map_err(|_| SettingError::new(ALLOWED_BOT_IDS, "must be a list of bot ids with commas between them"))
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
