//! As whom the server signs in.

use std::path::Path;

use medplum_client::Credentials;
use secrecy::SecretString;
use thiserror::Error;

use super::table::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, CLIENT_SECRET_FILE};
use super::values::{SettingError, Values};
use crate::file_trouble::{unread, why};

/// Why there is no one to sign in as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "No Medplum credentials. Set MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET to those of a ClientApplication (Medplum app: Project, Clients), or try everything on synthetic patients with: medplum-mcp --sandbox"
)]
pub struct NoCredentials;

/// The one way to sign in that is set; none if nothing is.
///
/// # Errors
/// [`SettingError`] if two are set, a half of one, or a file that cannot be read.
pub(super) fn credentials(values: &Values) -> Result<Option<Credentials>, SettingError> {
    values.check_one_way_in()?;
    if let Some(token) = values.get(ACCESS_TOKEN)? {
        return Ok(Some(Credentials::AccessToken(SecretString::from(header_safe(ACCESS_TOKEN, token)?))));
    }
    let secret = match values.get(CLIENT_SECRET_FILE)? {
        Some(path) => Some(secret_from(path)?),
        None => values.get(CLIENT_SECRET)?.map(SecretString::from),
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
