//! The table: every setting's variable, its flag, what it means.

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
