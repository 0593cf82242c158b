//! What must be known of this machine: where its settings are, what is on its PATH, which program this is.

use std::path::{Path, PathBuf};

/// The operating systems whose places differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Os {
    Linux,
    Mac,
    Windows,
}

impl Os {
    /// The one that this program was built for; other Unixes keep their settings where Linux does.
    fn here() -> Self {
        match std::env::consts::OS {
            "windows" => Self::Windows,
            "macos" => Self::Mac,
            _ => Self::Linux,
        }
    }
}

/// This machine, as far as installing goes. Everything comes from outside.
pub(super) struct Machine<'a> {
    pub(super) os: Os,
    /// The environment.
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// The project's folder.
    pub(super) folder: PathBuf,
    /// This program.
    pub(super) program: PathBuf,
}

impl<'a> Machine<'a> {
    pub(super) fn here(environment: &'a dyn Fn(&str) -> Option<String>) -> std::io::Result<Self> {
        let (folder, program) = (std::env::current_dir()?, std::env::current_exe()?);
        Ok(Self { os: Os::here(), environment, folder, program })
    }

    /// A variable that holds a path.
    pub(super) fn path(&self, variable: &str) -> Option<PathBuf> {
        (self.environment)(variable).filter(|value| !value.trim().is_empty()).map(PathBuf::from)
    }

    /// The person's own folder.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.path(if self.os == Os::Windows { "USERPROFILE" } else { "HOME" })
    }

    /// Where programs keep their settings.
    pub(super) fn settings(&self) -> Option<PathBuf> {
        match self.os {
            Os::Windows => self.path("APPDATA"),
            Os::Mac => Some(self.home()?.join("Library").join("Application Support")),
            Os::Linux => self.xdg(),
        }
    }

    /// Where programs of the XDG convention keep their settings, on macOS too.
    pub(super) fn xdg(&self) -> Option<PathBuf> {
        self.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| Some(self.home()?.join(".config")))
    }

    /// The program of this name that a shell would start.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = (self.environment)("PATH")?;
        let endings: &[&str] = if self.os == Os::Windows { &[".exe", ".cmd", ".bat"] } else { &[""] };
        std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .flat_map(|folder| endings.iter().map(move |ending| folder.join(format!("{name}{ending}"))))
            .find(|candidate| candidate.is_file())
    }

    /// A path as a person of this machine reads it.
    pub(super) fn shown(&self, path: &Path) -> String {
        let short = self.home().and_then(|home| path.strip_prefix(home).ok().map(|rest| Path::new("~").join(rest)));
        short.as_deref().or_else(|| path.strip_prefix(&self.folder).ok()).unwrap_or(path).display().to_string()
    }

    /// How a host starts this program: the command and what stands before its own arguments.
    pub(super) fn launch(&self, always_whole: bool) -> (String, Vec<String>) {
        if let Some((runner, arguments)) = self.runner() {
            return self.by_runner(runner, arguments, always_whole);
        }
        let same = |found: &PathBuf| found.canonicalize().ok() == self.program.canonicalize().ok();
        if !always_whole && self.find(NAME).as_ref().is_some_and(same) {
            return (NAME.to_owned(), Vec::new());
        }
        (self.program.display().to_string(), Vec::new())
    }

    /// The package runner that started this program, with its arguments: its cache is emptied now and then, so the
    /// runner must start the program again.
    fn runner(&self) -> Option<Runner> {
        let folders: Vec<String> =
            self.program.iter().map(|folder| folder.to_string_lossy().to_ascii_lowercase()).collect();
        let within = |name: &str| folders.iter().any(|folder| folder == name);
        if within("_npx") {
            return Some(NPX);
        }
        let mut above = self.program.ancestors().zip(folders.iter().rev());
        let (unpacked, _) = above.find(|(_, f)| f.starts_with("archive-v") || f.starts_with("environments-v"))?;
        // Wherever uv was told to keep its cache, it marks the folder as one.
        let marked = || unpacked.parent().is_some_and(|cache| cache.join("CACHEDIR.TAG").is_file());
        (within("uv") || marked()).then_some(UVX)
    }

    /// How that runner is started, by hosts that have no PATH too.
    fn by_runner(&self, runner: &str, arguments: &[&str], always_whole: bool) -> (String, Vec<String>) {
        let found = self.find(runner).filter(|_| always_whole);
        let (command, before) = match (self.os, runner, found) {
            // npx is a script on Windows, which hosts start through its shell.
            (Os::Windows, "npx", _) => ("cmd".to_owned(), vec!["/c".to_owned(), "npx".to_owned()]),
            // Elsewhere it is one for node, which is looked for on the PATH, and so is what it starts.
            (_, "npx", Some(npx)) => {
                let folder = npx.parent().unwrap_or(&npx).display();
                ("/usr/bin/env".to_owned(), vec![format!("PATH={folder}:/usr/bin:/bin"), "npx".to_owned()])
            }
            (_, _, Some(found)) => (found.display().to_string(), Vec::new()),
            (_, _, None) => (runner.to_owned(), Vec::new()),
        };
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        (command, before.into_iter().chain(arguments).collect())
    }
}

/// The program's name.
pub(super) const NAME: &str = "medplum-mcp";

/// What starts a package, and with which arguments.
type Runner = (&'static str, &'static [&'static str]);
const NPX: Runner = ("npx", &["-y", NAME]);
const UVX: Runner = ("uvx", &[NAME]);

#[cfg(test)]
mod tests {
    use super::*;

    fn machine<'a>(os: Os, environment: &'a dyn Fn(&str) -> Option<String>, program: &str) -> Machine<'a> {
        Machine { os, environment, folder: PathBuf::from("/home/ann/project"), program: PathBuf::from(program) }
    }

    #[test]
    fn a_package_runner_starts_its_package_again() {
        let nothing = |_: &str| None;
        let launch = |os, program: &str| machine(os, &nothing, program).launch(false);
        let npx = "/home/a/.npm/_npx/0b1/node_modules/@medplum-mcp/linux-x64/bin/medplum-mcp";
        assert_eq!(launch(Os::Linux, npx), ("npx".into(), vec!["-y".into(), "medplum-mcp".into()]));
        let windows = launch(Os::Windows, npx);
        assert_eq!(windows, ("cmd".into(), ["/c", "npx", "-y", "medplum-mcp"].map(str::to_owned).into()));
        let uvx = "/home/a/.cache/uv/archive-v0/Xy1/bin/medplum-mcp";
        assert_eq!(launch(Os::Linux, uvx), ("uvx".into(), vec!["medplum-mcp".into()]));
        assert_eq!(launch(Os::Linux, "/opt/uv/bin/medplum-mcp").0, "/opt/uv/bin/medplum-mcp");
    }

    /// What is started from a desktop has no shell's PATH: the runner is named by its place, and finds what it needs.
    #[cfg(unix)]
    #[test]
    fn a_package_runner_is_found_where_there_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        for runner in ["npx", "uvx"] {
            std::fs::write(folder.path().join(runner), "").unwrap();
        }
        let bin = folder.path().display().to_string();
        let path = |name: &str| (name == "PATH").then(|| bin.clone());
        let uvx = "/home/a/.cache/uv/archive-v0/Xy1/bin/medplum-mcp";
        let (command, arguments) = machine(Os::Mac, &path, uvx).launch(true);
        assert_eq!((command, arguments), (format!("{bin}/uvx"), vec!["medplum-mcp".to_owned()]));
        let npx = "/home/a/.npm/_npx/0b1/node_modules/@medplum-mcp/linux-x64/bin/medplum-mcp";
        let (command, arguments) = machine(Os::Mac, &path, npx).launch(true);
        assert_eq!(command, "/usr/bin/env");
        assert_eq!(arguments, [format!("PATH={bin}:/usr/bin:/bin").as_str(), "npx", "-y", "medplum-mcp"]);
        // uv's cache may be anywhere.
        let nothing = |_: &str| None;
        let cache = folder.path().join("elsewhere");
        let program = cache.join("archive-v0/Xy1/bin/medplum-mcp");
        let launch = || machine(Os::Linux, &nothing, program.to_str().unwrap()).launch(false).0;
        assert_eq!(launch(), program.to_str().unwrap());
        std::fs::create_dir(&cache).unwrap();
        std::fs::write(cache.join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(launch(), "uvx");
    }

    #[test]
    fn the_program_is_named_where_a_shell_would_find_this_very_one() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let program = folder.path().join("medplum-mcp");
        std::fs::write(&program, "").unwrap();
        let here = std::env::consts::OS == "windows";
        let os = if here { Os::Windows } else { Os::Linux };
        if here {
            std::fs::rename(&program, folder.path().join("medplum-mcp.exe")).unwrap();
        }
        let program = if here { folder.path().join("medplum-mcp.exe") } else { program };
        std::fs::copy(&program, other.path().join(program.file_name().unwrap())).unwrap();
        let on = |folders: &[&Path]| {
            let path = std::env::join_paths(folders).unwrap().into_string().unwrap();
            let environment = move |name: &str| (name == "PATH").then(|| path.clone());
            machine(os, &environment, program.to_str().unwrap()).launch(false).0
        };
        assert_eq!(on(&[folder.path()]), "medplum-mcp");
        assert_eq!(on(&[other.path(), folder.path()]), program.to_str().unwrap(), "another one comes first");
        assert_eq!(on(&[other.path()]), program.to_str().unwrap());
    }
}
