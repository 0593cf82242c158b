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
        let whole = self.program.display().to_string();
        let folders: Vec<String> =
            self.program.iter().map(|folder| folder.to_string_lossy().to_ascii_lowercase()).collect();
        let within = |name: &str| folders.iter().any(|folder| folder == name);
        // A package runner's cache is emptied now and then: its runner must start the program again.
        let runner: Option<&[&str]> = if within("_npx") {
            Some(&["npx", "-y", "medplum-mcp"])
        } else if within("uv") && folders.iter().any(|f| f.starts_with("archive-v") || f.starts_with("environments-v"))
        {
            Some(&["uvx", "medplum-mcp"])
        } else {
            None
        };
        if let Some((runner, arguments)) = runner.and_then(<[&str]>::split_first) {
            let arguments = arguments.iter().map(|argument| (*argument).to_owned());
            // npx is a script on Windows, which hosts start through its shell.
            return if self.os == Os::Windows && *runner == "npx" {
                let shell = ["/c", "npx"].map(str::to_owned);
                ("cmd".to_owned(), shell.into_iter().chain(arguments).collect())
            } else {
                ((*runner).to_owned(), arguments.collect())
            };
        }
        let same = |found: &PathBuf| found.canonicalize().ok() == self.program.canonicalize().ok();
        if !always_whole && self.find(NAME).as_ref().is_some_and(same) {
            return (NAME.to_owned(), Vec::new());
        }
        (whole, Vec::new())
    }
}

/// The program's name.
const NAME: &str = "medplum-mcp";

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
