//! The file: one chain of lines, whoever writes to it.
//!
//! Several processes may write to the same file, as where two hosts start the server with the same settings. Each takes
//! the file's lock for a line, looks where the chain ends by now, and puts its line behind that. A process that starts
//! later goes on with the same chain. When the file was renamed or removed, as by log rotation, the next line begins a
//! new file at the same path, bound to the end of the old one.
//!
//! What is kept between two lines is where the chain ended; nothing is read again unless somebody else wrote.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError as Poisoned};
use std::time::{Duration, Instant};

use same_file::Handle;

use super::line::{Head, START_OF_LINE, Sealed};

/// So long a line waits for another process that holds the file.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is read at once, from the end backwards.
const WINDOW: u64 = 64 * 1024;

/// The log, to be written to. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    pen: Mutex<Pen>,
}

/// The file as it is held, and where its chain ended when it was last looked at.
#[derive(Debug)]
struct Pen {
    file: Arc<File>,
    /// Tells whether the path still leads to this file.
    identity: Handle,
    end: Option<End>,
    /// Whether this process has said in this file who it is.
    announced: bool,
}

/// The end of a file.
#[derive(Debug, Clone, Copy)]
struct End {
    head: Head,
    /// How long the file was.
    length: u64,
    /// Whether the file has a line of the log at all.
    begun: bool,
    /// Whether its last byte is a newline.
    closed: bool,
}

/// What a line says, made before it is known where it will stand.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The members of the line.
    pub(crate) says: String,
    /// Who writes it: the members of the line that stands before a process' first one in a file.
    pub(crate) start: Arc<str>,
}

/// A line that was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its number.
    pub(crate) seq: u64,
    file: Arc<File>,
}

impl Written {
    /// Waits until it is on the disk, and everything before it.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl AuditLog {
    /// Opens the log, and makes its file if there is none. Nothing is written yet.
    ///
    /// # Errors
    /// If it cannot be opened for writing, cannot be locked, or is something else than a log.
    pub fn open(path: &Path) -> io::Result<Self> {
        let pen = Pen::open(path)?;
        pen.refuse_another_file()?;
        drop(lock(&pen.file, Duration::ZERO)?);
        Ok(Self(Arc::new(Inner { path: path.to_owned(), pen: Mutex::new(pen) })))
    }

    /// Writes a line, waiting for whoever else writes. Blocks.
    pub(crate) fn append(&self, entry: &Entry) -> io::Result<Written> {
        let mut pen = self.0.pen.lock().unwrap_or_else(PoisonError::into_inner);
        let written = pen.append(&self.0.path, entry, PATIENCE)?;
        written.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "another process holds the file"))
    }

    /// Writes a line at once; nothing if somebody else writes just now.
    pub(crate) fn try_append(&self, entry: &Entry) -> Option<io::Result<Written>> {
        let mut pen: MutexGuard<'_, Pen> = match self.0.pen.try_lock() {
            Ok(pen) => pen,
            Err(Poisoned::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(Poisoned::WouldBlock) => return None,
        };
        pen.append(&self.0.path, entry, Duration::ZERO).transpose()
    }
}

impl Pen {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        // It names patients: nobody else on the machine is to read it. Elsewhere the folder's own rules hold.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let new = !path.exists();
        let file = options.open(path)?;
        if new {
            sync_folder(path);
        }
        let identity = Handle::from_file(file.try_clone()?)?;
        Ok(Self { file: Arc::new(file), identity, end: None, announced: false })
    }

    /// Somebody's notes, named by mistake, are not written to.
    fn refuse_another_file(&self) -> io::Result<()> {
        if !self.file.metadata()?.is_file() {
            return Ok(());
        }
        let mut first = Vec::new();
        (&*self.file).seek(SeekFrom::Start(0))?;
        (&*self.file).take(START_OF_LINE.len() as u64).read_to_end(&mut first)?;
        if START_OF_LINE.starts_with(&first) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is a file, but no audit log"))
    }

    /// Nothing if another process holds the file for longer than that.
    fn append(&mut self, path: &Path, entry: &Entry, patience: Duration) -> io::Result<Option<Written>> {
        loop {
            let file = Arc::clone(&self.file);
            let Some(_locked) = lock(&file, patience)? else {
                return Ok(None);
            };
            let end = self.end()?;
            // Looked at under the lock: whoever finds a new file at the path can be sure that nothing more is written to
            // the old one, and binds the new one to its end.
            if self.is_at(path)? {
                return self.write(end, entry).map(Some);
            }
            let end = End { length: 0, begun: false, closed: true, ..end };
            *self = Self { end: Some(end), ..Self::open(path)? };
        }
    }

    /// Whether the path still leads to the file that is held.
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match Handle::from_path(path) {
            Ok(there) => Ok(there == self.identity),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the chain ends by now. Called under the lock.
    fn end(&mut self) -> io::Result<End> {
        let length = self.file.metadata()?.len();
        let known = self.end.unwrap_or(End { head: Head::START, length: 0, begun: false, closed: true });
        let end = match length {
            same if same == known.length => known,
            more if more > known.length => read_end(&self.file, known, more)?,
            // Emptied, as by rotation that copies: a new file, and the chain goes on in it.
            0 => End { length, begun: false, closed: true, ..known },
            // Cut. What stood there is still what the next line is bound to, and so the gap shows.
            less => End { length, closed: ends_with_newline(&self.file, less)?, ..known },
        };
        self.end = Some(end);
        Ok(end)
    }

    fn write(&mut self, end: End, entry: &Entry) -> io::Result<Written> {
        let mut text = if end.closed { String::new() } else { "\n".to_owned() };
        let mut head = end.head;
        if !self.announced || !end.begun {
            let opens = if end.begun { "" } else { ",\"opens\":true" };
            let (line, behind) = head.next(&format!("{}{opens}", entry.start));
            text.push_str(&line);
            head = behind;
        }
        let (line, head) = head.next(&entry.says);
        text.push_str(&line);
        // In one piece, so that nobody reads half of it.
        if let Err(error) = (&*self.file).write_all(text.as_bytes()) {
            // What was written of it is taken back. Where that cannot be, the next line is bound to what is left.
            let _ = self.file.set_len(end.length);
            return Err(error);
        }
        let length = end.length.saturating_add(text.len() as u64);
        self.end = Some(End { head, length, begun: true, closed: true });
        self.announced = true;
        Ok(Written { seq: head.seq, file: Arc::clone(&self.file) })
    }
}

/// A file that is locked until this is dropped.
struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The lock of the file; nothing if another process keeps it for longer than that.
fn lock(file: &File, patience: Duration) -> io::Result<Option<Locked<'_>>> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Locked(file))),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if started.elapsed() >= patience => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The end of a file that has grown to this length since its end was known.
///
/// It is read from behind, as far back as there is a whole line: a log may be large.
fn read_end(file: &File, known: End, length: u64) -> io::Result<End> {
    let grown = length.saturating_sub(known.length);
    let mut window = WINDOW.min(grown);
    loop {
        let from = length.saturating_sub(window);
        let bytes = read_range(file, from, window)?;
        // What the window begins with is the rest of a line, unless it begins where the end was known.
        let whole = from == known.length && known.closed;
        let lines = if whole || from == 0 { Some(bytes.as_slice()) } else { behind_newline(&bytes) };
        let found = lines.and_then(last_line);
        if found.is_some() || window == grown {
            let rest = found.as_ref().map_or(lines.unwrap_or_default(), |(_, rest)| *rest);
            let mut head = found.as_ref().map_or(known.head, |(head, _)| *head);
            for cut in rest.split_inclusive(|byte| *byte == b'\n') {
                head = head.behind_cut(cut.strip_suffix(b"\n").unwrap_or(cut));
            }
            let closed = bytes.last() == Some(&b'\n');
            return Ok(End { head, length, begun: known.begun || found.is_some(), closed });
        }
        window = window.saturating_mul(2).min(grown);
    }
}

/// The last whole line of these, and what stands behind it.
fn last_line(lines: &[u8]) -> Option<(Head, &[u8])> {
    let mut rest: &[u8] = &[];
    let mut found = None;
    let mut at = 0_usize;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        at = at.saturating_add(line.len());
        if let Some(sealed) = Sealed::read(line.strip_suffix(b"\n").unwrap_or(line)) {
            found = Some(sealed.head);
            rest = lines.get(at..).unwrap_or_default();
        }
    }
    found.map(|head| (head, rest))
}

fn behind_newline(bytes: &[u8]) -> Option<&[u8]> {
    let newline = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(newline.saturating_add(1)..)
}

fn ends_with_newline(file: &File, length: u64) -> io::Result<bool> {
    Ok(read_range(file, length.saturating_sub(1), 1)? == b"\n")
}

fn read_range(mut file: &File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A new file is only there after a loss of power if its folder says so too.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    #[cfg(not(unix))]
    let _ = path;
}
