//! The programs in which agents run: where each keeps its servers, and in which form.

use std::path::PathBuf;

use super::machine::{Machine, Os};

/// A program that starts MCP servers.
pub(super) struct Host {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// Its name for a person.
    pub(super) title: &'static str,
    /// How its file is written.
    pub(super) form: Form,
    /// How a variable is named there instead of its value.
    pub(super) reference: Reference,
    /// Its file for all of a person's work.
    user: fn(&Machine<'_>) -> Option<PathBuf>,
    /// Its file within a project, if it has one.
    project: Option<&'static [&'static str]>,
    /// What a shell calls it.
    programs: &'static [&'static str],
    /// Whether it starts servers without the PATH of a shell.
    pub(super) without_path: bool,
    /// What to do then.
    pub(super) then: &'static str,
}

/// How a host's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON, comments allowed; servers stand in the object of this name.
    Json {
        /// The object's name.
        servers: &'static str,
        /// Whether a server says that it is spoken to over stdio.
        says_stdio: bool,
        /// Whether a server must have a list of arguments, if an empty one.
        needs_args: bool,
    },
    /// TOML, with a table for each server in the table of this name.
    Toml {
        /// The table's name.
        servers: &'static str,
    },
}

impl Form {
    /// The name of what the servers stand in.
    pub(super) fn servers(self) -> &'static str {
        match self {
            Self::Json { servers, .. } | Self::Toml { servers } => servers,
        }
    }
}

/// How a host's file names a variable of its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// `${NAME}`
    Shell,
    /// `${env:NAME}`
    Env,
    /// `${input:…}`: the host asks the person once, and keeps the answer.
    Input,
    /// A list of names that are passed on.
    Forwarded,
    /// Not at all.
    Nothing,
}

/// Where an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of a person's work.
    User,
    /// The project in this folder.
    Project,
}

const MCP_SERVERS: Form = Form::Json { servers: "mcpServers", says_stdio: false, needs_args: false };

/// Every host.
pub(super) const HOSTS: &[Host] = &[
    Host {
        name: "claude-code",
        title: "Claude Code",
        form: Form::Json { servers: "mcpServers", says_stdio: true, needs_args: false },
        reference: Reference::Shell,
        user: |machine| Some(machine.path("CLAUDE_CONFIG_DIR").or_else(|| machine.home())?.join(".claude.json")),
        project: Some(&[".mcp.json"]),
        programs: &["claude"],
        without_path: false,
        then: "A new session has it; /mcp shows it there",
    },
    Host {
        name: "claude-desktop",
        title: "Claude Desktop",
        form: MCP_SERVERS,
        reference: Reference::Nothing,
        user: |machine| Some(machine.settings()?.join("Claude").join("claude_desktop_config.json")),
        project: None,
        programs: &["claude-desktop"],
        without_path: true,
        then: "Quit Claude Desktop and start it again",
    },
    Host {
        name: "codex",
        title: "Codex",
        form: Form::Toml { servers: "mcp_servers" },
        reference: Reference::Forwarded,
        user: |machine| {
            let home = || Some(machine.home()?.join(".codex"));
            Some(machine.path("CODEX_HOME").or_else(home)?.join("config.toml"))
        },
        project: Some(&[".codex", "config.toml"]),
        programs: &["codex"],
        without_path: false,
        then: "A new session has it; /mcp shows it there",
    },
    Host {
        name: "cursor",
        title: "Cursor",
        form: MCP_SERVERS,
        reference: Reference::Env,
        user: |machine| Some(machine.home()?.join(".cursor").join("mcp.json")),
        project: Some(&[".cursor", "mcp.json"]),
        programs: &["cursor"],
        without_path: false,
        then: "Cursor's settings show it under MCP",
    },
    Host {
        name: "vscode",
        title: "VS Code",
        form: Form::Json { servers: "servers", says_stdio: true, needs_args: false },
        reference: Reference::Input,
        user: |machine| Some(machine.settings()?.join("Code").join("User").join("mcp.json")),
        project: Some(&[".vscode", "mcp.json"]),
        programs: &["code"],
        without_path: false,
        then: "Start it with \"MCP: List Servers\" in the command palette",
    },
    Host {
        name: "windsurf",
        title: "Windsurf",
        form: MCP_SERVERS,
        reference: Reference::Env,
        user: |machine| Some(machine.home()?.join(".codeium").join("windsurf").join("mcp_config.json")),
        project: None,
        programs: &["windsurf"],
        without_path: false,
        then: "Refresh the MCP servers in Cascade",
    },
    Host {
        name: "gemini",
        title: "Gemini CLI",
        form: MCP_SERVERS,
        reference: Reference::Shell,
        user: |machine| Some(machine.home()?.join(".gemini").join("settings.json")),
        project: Some(&[".gemini", "settings.json"]),
        programs: &["gemini"],
        without_path: false,
        then: "A new session has it; /mcp shows it there",
    },
    Host {
        name: "zed",
        title: "Zed",
        form: Form::Json { servers: "context_servers", says_stdio: false, needs_args: true },
        reference: Reference::Nothing,
        user: |machine| match machine.os {
            Os::Windows => Some(machine.settings()?.join("Zed").join("settings.json")),
            Os::Mac | Os::Linux => Some(machine.xdg()?.join("zed").join("settings.json")),
        },
        project: Some(&[".zed", "settings.json"]),
        programs: &["zed", "zeditor"],
        without_path: false,
        then: "Zed starts it as soon as the file is saved",
    },
];

/// The form that most other hosts take, to be pasted.
pub(super) const JSON: Host = Host {
    name: "json",
    title: "a host with an mcp.json",
    form: MCP_SERVERS,
    reference: Reference::Shell,
    user: |_| None,
    project: None,
    programs: &[],
    without_path: false,
    then: "",
};

impl Host {
    /// Its file in a scope; none if it has none there, or if this machine's folders cannot be told.
    pub(super) fn file(&self, scope: Scope, machine: &Machine<'_>) -> Option<PathBuf> {
        match scope {
            Scope::User => (self.user)(machine),
            Scope::Project => Some(self.project?.iter().fold(machine.folder.clone(), |folder, name| folder.join(name))),
        }
    }

    /// Whether it takes servers of one project alone.
    pub(super) fn has_projects(&self) -> bool {
        self.project.is_some()
    }

    /// Whether this machine has it: its file or its folder is there, or a shell finds it.
    pub(super) fn is_here(&self, machine: &Machine<'_>) -> bool {
        let file = (self.user)(machine);
        // The home folder itself is everybody's.
        let folder =
            file.as_ref().and_then(|file| file.parent()).filter(|folder| Some(*folder) != machine.home().as_deref());
        file.as_ref().is_some_and(|file| file.exists())
            || folder.is_some_and(std::path::Path::is_dir)
            || self.programs.iter().any(|program| machine.find(program).is_some())
    }

    /// What was looked for.
    pub(super) fn traces(&self, machine: &Machine<'_>) -> String {
        let file = (self.user)(machine).map(|file| machine.shown(&file));
        let programs = self.programs.first().map(|program| format!("no {program} on the PATH"));
        let file = file.map(|file| format!("no {file}"));
        file.into_iter().chain(programs).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each host keeps its servers, on each system: one line a host.
    #[test]
    fn the_files_of_every_host_on_every_system() {
        let mut page = String::new();
        for (os, pairs) in [
            (Os::Linux, &[("HOME", "/home/ann")][..]),
            (
                Os::Linux,
                &[
                    ("HOME", "/home/ann"),
                    ("XDG_CONFIG_HOME", "/cfg"),
                    ("CODEX_HOME", "/cx"),
                    ("CLAUDE_CONFIG_DIR", "/cl"),
                ],
            ),
            (Os::Mac, &[("HOME", "/Users/ann")]),
            (Os::Windows, &[("USERPROFILE", "C:/Users/ann"), ("APPDATA", "C:/Users/ann/AppData/Roaming")]),
        ] {
            let environment =
                |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let machine = Machine {
                os,
                environment: &environment,
                folder: PathBuf::from("/home/ann/project"),
                program: PathBuf::new(),
            };
            page.push_str(&format!("{os:?} {pairs:?}\n"));
            for host in HOSTS {
                for scope in [Scope::User, Scope::Project] {
                    let file = host.file(scope, &machine).map(|file| file.display().to_string().replace('\\', "/"));
                    page.push_str(&format!("  {} {scope:?}: {}\n", host.name, file.unwrap_or_else(|| "none".into())));
                }
            }
        }
        insta::assert_snapshot!("the_files_of_every_host", page);
        let nowhere = |_: &str| None;
        let machine = Machine {
            os: Os::Linux,
            environment: &nowhere,
            folder: "/home/ann/project".into(),
            program: PathBuf::new(),
        };
        assert!(HOSTS.iter().all(|host| host.file(Scope::User, &machine).is_none()), "no home, no place");
    }
}
