//! Why a file cannot be had, in the same words wherever a person meets it.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// Why a file cannot be read.
pub(crate) fn unread(path: &Path, error: &Error) -> String {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!("there is no file {shown}"),
        _ => format!("{shown} cannot be read: {}", why(error)),
    }
}

/// Why a file cannot be written, or made.
pub(crate) fn unwritten(path: &Path, error: &Error) -> String {
    match (error.kind(), path.parent()) {
        (ErrorKind::NotFound, Some(folder)) => format!("there is no folder {}", folder.display()),
        _ => format!("{} cannot be written: {}", path.display(), why(error)),
    }
}

/// Our own words where there are some, else the kind of trouble.
pub(crate) fn why(error: &Error) -> String {
    match error.kind() {
        ErrorKind::InvalidData if error.get_ref().is_some() => error.to_string(),
        kind => words(&kind),
    }
}

/// The kind of trouble.
pub(crate) fn words(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "it is not there".to_owned(),
        ErrorKind::PermissionDenied => "this user may not".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        kind => kind.to_string(),
    }
}
