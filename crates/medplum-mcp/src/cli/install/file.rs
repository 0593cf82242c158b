//! A host's file: read whole, written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::file_trouble::words;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a file was before: the mark of the one beside it.
const KEPT: &str = "before";

/// Why a file cannot be worked on.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error("{file} cannot be read: {}", words(.kind))]
    Read { file: String, kind: io::ErrorKind },
    #[error("{file} is not UTF-8")]
    NotText { file: String },
    #[error("{file} changed meanwhile. Nothing was written: run this again")]
    Changed { file: String },
    #[error("{file} cannot be written: {}", words(.kind))]
    Write { file: String, kind: io::ErrorKind },
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it is, behind any symbolic link.
    place: PathBuf,
    shown: String,
    bytes: Option<Vec<u8>>,
    marked: bool,
    text: String,
}

impl Known {
    /// Reads a file, which need not be there.
    pub(super) fn read(path: &Path, shown: String) -> Result<Self, Trouble> {
        let place = behind_links(path);
        let bytes = match fs::read(&place) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Trouble::Read { file: shown, kind: error.kind() }),
        };
        let Ok(text) = String::from_utf8(bytes.clone().unwrap_or_default()) else {
            return Err(Trouble::NotText { file: shown });
        };
        let (marked, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(text) => (true, text.to_owned()),
            None => (false, text),
        };
        Ok(Self { place, shown, bytes, marked, text })
    }

    /// Its text; empty if it is not there.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn exists(&self) -> bool {
        self.bytes.is_some()
    }

    /// Whether it is marked as one that nobody should write to.
    pub(super) fn may_be_written(&self) -> Result<(), Trouble> {
        match fs::metadata(&self.place) {
            Ok(known) if known.permissions().readonly() => {
                Err(Trouble::Write { file: self.shown.clone(), kind: io::ErrorKind::PermissionDenied })
            }
            _ => Ok(()),
        }
    }

    /// Puts another text in its place: at once, and only if nobody changed it since it was read.
    pub(super) fn write(&self, text: &str, private: bool) -> Result<(), Trouble> {
        self.may_be_written()?;
        let mark = if self.marked { BYTE_ORDER_MARK } else { "" };
        let failed = |error: io::Error| Trouble::Write { file: self.shown.clone(), kind: error.kind() };
        if let Some(folder) = self.place.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let permissions = fs::metadata(&self.place).ok().map(|known| known.permissions());
        let new = temporary(&self.place, format!("{mark}{text}").as_bytes(), permissions, private).map_err(failed)?;
        let placed = self.unchanged().and_then(|()| fs::rename(&new, &self.place).map_err(failed));
        if placed.is_err() {
            let _ = fs::remove_file(&new);
        }
        placed
    }

    /// Takes the file away, if nobody changed it since it was read.
    pub(super) fn delete(&self) -> Result<(), Trouble> {
        self.may_be_written()?;
        self.unchanged()?;
        fs::remove_file(&self.place).map_err(|error| Trouble::Write { file: self.shown.clone(), kind: error.kind() })
    }

    /// Takes the folder away that it was in, if there is nothing else in it.
    pub(super) fn delete_folder(&self) {
        if let Some(folder) = self.place.parent() {
            let _ = fs::remove_dir(folder);
        }
    }

    /// It, as it is by now.
    pub(super) fn again(&self) -> Result<Self, Trouble> {
        Self::read(&self.place, self.shown.clone())
    }

    /// A file of ours beside it, which need not be there.
    pub(super) fn beside(&self, mark: &str, name: &str) -> Result<Self, Trouble> {
        let file = self.place.file_name().unwrap_or_default().to_string_lossy();
        let place = self.place.with_file_name(format!("{file}.{mark}-{name}"));
        Self::read(&place, format!("{}.{mark}-{name}", self.shown))
    }

    /// Keeps it beside itself under another name. Gives where. What is not there has nothing to keep, and what was kept
    /// of an earlier file is not what comes back.
    pub(super) fn keep(&self, name: &str) -> Result<Option<PathBuf>, Trouble> {
        let Some(bytes) = &self.bytes else {
            self.kept(name).map_or(Ok(()), |kept| kept.delete())?;
            return Ok(None);
        };
        let Self { place, shown, .. } = self.beside(KEPT, name)?;
        let permissions = fs::metadata(&self.place).ok().map(|known| known.permissions());
        let kept = temporary(&place, bytes, permissions, false).and_then(|new| fs::rename(new, &place));
        kept.map_err(|error| Trouble::Write { file: shown, kind: error.kind() })?;
        Ok(Some(place))
    }

    /// What was kept of it, if it was.
    pub(super) fn kept(&self, name: &str) -> Option<Self> {
        self.beside(KEPT, name).ok().filter(Self::exists)
    }

    /// What was kept of it under other names.
    pub(super) fn kept_otherwise(&self, name: &str) -> Vec<Self> {
        let file = self.place.file_name().unwrap_or_default().to_string_lossy();
        let start = format!("{file}.{KEPT}-");
        let files = self.place.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().to_str()?.strip_prefix(&start).map(str::to_owned));
        names.filter(|other| other != name).filter_map(|other| self.kept(&other)).collect()
    }

    /// Puts what was kept in this one's place, byte for byte.
    pub(super) fn restore(&self, kept: &Self) -> Result<(), Trouble> {
        self.may_be_written()?;
        self.unchanged()?;
        fs::rename(&kept.place, &self.place)
            .map_err(|error| Trouble::Write { file: self.shown.clone(), kind: error.kind() })
    }

    /// Whether it starts with a byte order mark as another does.
    pub(super) fn is_marked_as(&self, other: &Self) -> bool {
        self.marked == other.marked
    }

    /// Whether others on this machine may read it, as far as that can be told.
    pub(super) fn is_open_to_others(&self) -> bool {
        is_open_to_others(&self.place)
    }

    fn unchanged(&self) -> Result<(), Trouble> {
        let now = match fs::read(&self.place) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Trouble::Read { file: self.shown.clone(), kind: error.kind() }),
        };
        if now == self.bytes { Ok(()) } else { Err(Trouble::Changed { file: self.shown.clone() }) }
    }
}

/// The file that a symbolic link leads to, which need not be there.
fn behind_links(path: &Path) -> PathBuf {
    const MOST: usize = 40;
    let mut place = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&place) {
            Ok(next) => place = place.parent().map_or_else(|| next.clone(), |folder| folder.join(&next)),
            Err(_) => break,
        }
    }
    // A link may lead up and down again: what a person reads is the short way.
    let straight = || Some(place.parent()?.canonicalize().ok()?.join(place.file_name()?));
    if place == path { place } else { straight().unwrap_or(place) }
}

/// A new file beside another, written to the disk, with the other's permissions.
fn temporary(beside: &Path, bytes: &[u8], permissions: Option<fs::Permissions>, private: bool) -> io::Result<PathBuf> {
    let name = beside.file_name().unwrap_or_default().to_string_lossy();
    let place = beside.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if private || permissions.is_some() {
        for_its_owner(&mut options);
    }
    let written = options.open(&place).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Some(permissions) = permissions {
            fs::set_permissions(&place, permissions)?;
        }
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(place),
        Err(error) => {
            let _ = fs::remove_file(&place);
            Err(error)
        }
    }
}

#[cfg(unix)]
fn for_its_owner(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// A person's folders are the person's own there.
#[cfg(not(unix))]
fn for_its_owner(_: &mut OpenOptions) {}

#[cfg(unix)]
fn is_open_to_others(place: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(place).is_ok_and(|known| known.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}
