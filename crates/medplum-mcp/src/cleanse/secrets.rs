//! Which elements hold secrets. Names are compared by their words, however these are joined: `client_secret` of a token
//! answer is `clientSecret` of a resource.

use std::collections::HashSet;
use std::sync::LazyLock;

use fhir_definitions::{Definitions, TypeInfo};
use medplum_client::{GraphQl, Interaction, Level, Of, Operation};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Elements and keys that hold a secret wherever they stand, in their words. No clinical element has one of these names.
const ANYWHERE: &[&str] = &[
    "access key",
    "access token",
    "api key",
    "auth token",
    "authorization",
    "client assertion",
    "client secret",
    "code challenge",
    "code hash",
    "code verifier",
    "cookie",
    "google client secret",
    "id token",
    "mfa secret",
    "passcode",
    "passcode hash",
    "passphrase",
    "password",
    "password hash",
    "pre authorized code hash",
    "previous refresh secret",
    "private key",
    "proxy authorization",
    "recaptcha secret key",
    "refresh secret",
    "refresh token",
    "retiring secret",
    "secret",
    "secret access key",
    "secret key",
    "session token",
    "set cookie",
    "system secret",
    "user info api key",
    "x api key",
];

/// What the name of a setting or a parameter ends in whose value is a secret.
const NAME_ENDS: &[&str] =
    &["secret", "password", "passphrase", "token", "api key", "secret key", "private key", "access key"];

/// Names that are words of everyday prose too.
const WORDS: &[&str] = &["secret", "cookie", "authorization", "passcode"];

/// Elements that are secret in one type only.
const IN_TYPE: &[(&str, &[&str])] =
    &[("JsonWebKey", PRIVATE_KEY), ("Login", &["code", "launch", "nonce"]), ("SmartHealthLink", &["url"])];

/// The private parts of a JSON web key (RFC 7518).
const PRIVATE_KEY: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "k", "oth"];

/// The ways to write a name of several words, in small letters: `clientsecret`, `client_secret`, `client-secret`.
fn written(words: &str) -> impl Iterator<Item = String> {
    let separators: &[&str] = if words.contains(' ') { &["", "_", "-"] } else { &[""] };
    separators.iter().map(|separator| words.replace(' ', separator))
}

static NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| ANYWHERE.iter().flat_map(|words| written(words)).collect());
static ENDS: LazyLock<Vec<String>> = LazyLock::new(|| NAME_ENDS.iter().flat_map(|words| written(words)).collect());

/// What stands, in small letters, in the JSON of anything that is a secret by its name.
pub(super) fn marks() -> impl Iterator<Item = String> {
    let types = IN_TYPE.iter().map(|(name, _)| format!("\"{}\"", name.to_ascii_lowercase()));
    let headers = ["\"header\"", "\"headers\"", "\"kty\""].map(str::to_owned);
    NAMES.iter().cloned().chain(ENDS.iter().cloned()).chain(types).chain(headers)
}

/// Whether an element or key of this name is secret wherever it stands.
pub(crate) fn is_secret_name(name: &str) -> bool {
    // Most names are told by their last letter.
    name.as_bytes().last().is_some_and(|last| b"dehnrty".contains(&last.to_ascii_lowercase()))
        && NAMES.contains(&name.to_ascii_lowercase())
}

/// Whether a setting, header or parameter of this name has a secret for its value.
pub(super) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether what is assigned to this name in a text is a secret: names that are also words of everyday prose are not.
pub(super) fn is_secret_assigned(name: &str) -> bool {
    is_secret_name(name) && !WORDS.iter().any(|word| name.eq_ignore_ascii_case(word))
}

fn own(of_type: &str) -> &'static [&'static str] {
    IN_TYPE.iter().find(|(name, _)| *name == of_type).map_or(&[], |(_, elements)| elements)
}

/// The elements of this object that are secret by what the object is.
pub(super) fn of_object(object: &Map<String, Value>) -> &'static [&'static str] {
    let of_type = object.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    match own(of_type) {
        [] if object.contains_key("kty") => PRIVATE_KEY,
        own => own,
    }
}

/// Whether an element of a type holds HTTP headers, which carry keys.
pub(super) fn is_header(name: &str) -> bool {
    name.eq_ignore_ascii_case("header") || name.eq_ignore_ascii_case("headers")
}

/// Whether some element of a resource type is secret. A type that is not known may well have one.
pub(crate) fn has_secrets(resource_type: &str) -> bool {
    let definitions = Definitions::get();
    match definitions.resource_type(resource_type) {
        Some(info) => holds_secrets(definitions, info, 6),
        None => true,
    }
}

fn holds_secrets(definitions: &'static Definitions, info: &'static TypeInfo, depth: usize) -> bool {
    let own = own(info.name);
    definitions.own_elements(info).iter().any(|element| {
        let of_types = definitions.types_of(element);
        let is_text = of_types.iter().any(|of| of.name != "boolean");
        is_text && (is_secret_name(element.name) || own.contains(&element.name) || is_header(element.name))
            || depth > 0
                && of_types.iter().filter_map(|of| definitions.resolve(of)).any(|of| {
                    // Its own parts, and the data types of Medplum's; FHIR's hold no secret.
                    let own = of.name.strip_prefix(info.name).is_some_and(|rest| rest.starts_with('.'));
                    (own || of.medplum)
                        && !of.name.is_empty()
                        && holds_secrets(definitions, of, depth.saturating_sub(1))
                })
    })
}

/// Refuses what would bring secrets under names by which they cannot be told: a CSV, and fields of a GraphQL document,
/// which may be renamed there.
///
/// # Errors
/// [`Failure`] that names the type or field, and nothing was sent.
pub(crate) fn refuse_renamed(interaction: &Interaction) -> Result<(), Failure> {
    match interaction {
        Interaction::Batch(batch) => batch.entries().iter().try_for_each(|entry| refuse_renamed(&entry.interaction)),
        Interaction::GraphQl(document) => refuse_fields(document),
        Interaction::Operation(operation) if operation.name.as_str() == "csv" => match &operation.level {
            Level::Type(of) | Level::Instance(of, _) if has_secrets(of.as_str()) => Err(Failure::teach(format!(
                "{of} holds secrets, and a CSV of it is not given out. Use search_resources with fields. Nothing was sent."
            ))),
            _ => columns_are_plain(operation),
        },
        _ => Ok(()),
    }
}

/// Medplum takes any FHIRPath for a column: one that reaches into a resource inside, or builds a text of its own, brings
/// what can no longer be told for what it is.
fn columns_are_plain(operation: &Operation) -> Result<(), Failure> {
    const REACHING: &[&str] = &["contained", "extension", "modifierExtension"];
    let columns = operation.query.iter().filter(|(key, _)| *key == "_fields").flat_map(|(_, value)| value.split(','));
    let plain =
        |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) && !REACHING.contains(&name);
    match columns.map(str::trim).all(plain) {
        true => Ok(()),
        false => Err(Failure::teach(
            "_fields of $csv takes search parameters and plain element names, such as _fields=id,name,birthDate. For more use query_resources. Nothing was sent.",
        )),
    }
}

fn refuse_fields(document: &GraphQl) -> Result<(), Failure> {
    let refused = document.selected().into_iter().find(|field| match field.of {
        Of::Type(info) => {
            is_secret_name(field.name)
                || own(info.name).contains(&field.name)
                || is_header(field.name)
                || info.name == "Extension"
                    && field.name.starts_with("value")
                    && field.resource.is_none_or(holds_in_extensions)
        }
        Of::Query | Of::Mutation | Of::Connection(_) | Of::Edge(_) => false,
        Of::Any | Of::Unknown => is_secret_name(field.name) || is_header(field.name),
    });
    match refused {
        Some(field) => {
            Err(Failure::teach(format!("{} is a secret, and is not given out. Nothing was sent.", field.name)))
        }
        None => Ok(()),
    }
}

/// Medplum keeps a Subscription's secret in an extension.
fn holds_in_extensions(info: &TypeInfo) -> bool {
    info.name == "Subscription"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_by_its_words() {
        assert!(NAMES.iter().all(|name| is_secret_name(name)));
        for name in ["clientSecret", "CLIENT_SECRET", "Set-Cookie", "X-API-Key", "access_token"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["code", "display", "identifier", "accessTokenLifetime", "", "é"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    /// Whatever sounds like a secret in Medplum's own types is one, or is known not to be.
    #[test]
    fn every_element_that_sounds_like_a_secret_is_decided() {
        const SOUNDS: &[&str] = &[
            "secret",
            "token",
            "password",
            "passcode",
            "hash",
            "cookie",
            "key",
            "challenge",
            "nonce",
            "verifier",
            "mfa",
        ];
        const NONE: &[&str] = &[
            "Attachment.hash",
            "Bot.cdsService.prefetch.key",
            "BulkDataExport.requiresAccessToken",
            "ClientApplication.accessTokenLifetime",
            "ClientApplication.refreshTokenLifetime",
            "ElementDefinition.constraint.key",
            "IdentityProvider.tokenAuthMethod",
            "IdentityProvider.tokenUrl",
            "JsonWebKey.key_ops",
            "Login.codeChallengeMethod",
            "Login.emailMfa",
            "Login.mfaVerified",
            "Login.refreshSecretRotatedAt",
            "Project.site.recaptchaSiteKey",
            "ResearchStudy.keyword",
            "StructureDefinition.keyword",
            "User.mfaEnrolled",
            "User.mfaMethod",
            "User.mfaRequired",
        ];
        let definitions = Definitions::get();
        let mut undecided = Vec::new();
        for info in definitions.types() {
            for element in definitions.own_elements(info) {
                let name = element.name.to_ascii_lowercase();
                let sounds = SOUNDS.iter().any(|sound| name.contains(sound));
                let secret = is_secret_name(element.name) || own(info.name).contains(&element.name);
                let path = format!("{}.{}", info.name, element.name);
                // What is secret by its name everywhere must sound like it, or a clinical element would be lost.
                if sounds != secret && !NONE.contains(&path.as_str()) && own(info.name).is_empty() {
                    undecided.push(path);
                }
            }
        }
        assert_eq!(undecided, Vec::<String>::new());
    }

    #[test]
    fn the_types_that_hold_secrets() {
        let held: Vec<&str> =
            Definitions::get().resource_types().map(|info| info.name).filter(|name| has_secrets(name)).collect();
        assert_eq!(
            held,
            [
                "ClientApplication",
                "DomainConfiguration",
                "Endpoint",
                "JsonWebKey",
                "Login",
                "Project",
                "SmartHealthLink",
                "Subscription",
                "User",
                "UserSecurityRequest"
            ]
        );
        assert!(has_secrets("PasswordChangeRequest"));
    }

    /// A link that repeats a search is not to lose its parameters.
    #[test]
    fn no_clinical_search_parameter_has_the_name_of_a_secret() {
        let parameters = Definitions::get().all_search_parameters().iter();
        let named: Vec<&str> = parameters.filter(|p| is_secret_name(p.code)).map(|p| p.expression).collect();
        assert_eq!(named, ["Login.cookie", "Login.preAuthorizedCodeHash"]);
    }
}
