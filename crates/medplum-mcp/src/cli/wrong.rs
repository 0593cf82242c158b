//! A command line that cannot be followed, in a sentence: what is wrong with it, what is near, and what there is.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::{shown, tools};

/// So much of what was written is repeated.
const LONGEST: usize = 80;

/// What is wrong, and what would do; none where clap's own page says it: help, a version, what is missing altogether.
pub(super) fn told(error: &Error, program: &Command) -> Option<String> {
    let line = Line { error, place: Place::find(error, program) };
    match error.kind() {
        ErrorKind::InvalidSubcommand => line.unknown_command(),
        ErrorKind::UnknownArgument => line.unknown_argument(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => line.unusable_value(),
        _ => None,
    }
}

/// The command that was being read when it went wrong.
struct Place<'a> {
    command: &'a Command,
    /// As it is called: `medplum-mcp audit verify`.
    call: String,
    program: &'a Command,
}

impl<'a> Place<'a> {
    /// clap names the command only in its usage.
    fn find(error: &Error, program: &'a Command) -> Self {
        let usage = match error.get(ContextKind::Usage) {
            Some(ContextValue::StyledStr(usage)) => usage.to_string(),
            _ => String::new(),
        };
        let mut place = Self { command: program, call: program.get_name().to_owned(), program };
        for word in usage.split_whitespace() {
            if let Some(command) = place.command.find_subcommand(word) {
                place.command = command;
                place.call.extend([" ", word]);
            }
        }
        place
    }

    fn help(&self) -> String {
        format!("{} --help", self.call)
    }

    fn commands(&self) -> String {
        let names = self.command.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name);
        names.filter(|name| *name != "help").collect::<Vec<_>>().join(", ")
    }

    /// The first example of its help.
    fn example(&self) -> Option<String> {
        let help = self.command.get_after_help()?.to_string();
        let example = help.lines().map(str::trim).find(|line| line.starts_with(self.program.get_name()))?;
        // What it does stands behind it, set off.
        example.split("  ").next().map(|example| format!(". For example: {example}"))
    }

    /// The commands that have an option which this one has not.
    fn elsewhere(&self, option: &str) -> Vec<&'a str> {
        let name = option.trim_start_matches('-');
        let has = |command: &&Command| command.get_arguments().any(|argument| argument.get_long() == Some(name));
        self.program.get_subcommands().filter(has).map(Command::get_name).collect()
    }
}

/// A command line that is wrong, and where.
struct Line<'a> {
    error: &'a Error,
    place: Place<'a>,
}

impl Line<'_> {
    fn unknown_command(&self) -> Option<String> {
        let name = self.one(ContextKind::InvalidSubcommand)?;
        if tools::NAMES.contains(&name) {
            let program = self.place.program.get_name();
            return Some(format!("{name} is a tool, and is called so: {program} call {name} '{{…}}'"));
        }
        let nearest = self.nearest(ContextKind::SuggestedSubcommand);
        let (commands, help) = (self.place.commands(), self.place.help());
        Some(format!(
            "there is no command {}.{nearest} Commands: {commands}. What each does: {help}",
            shown::text(name, LONGEST)
        ))
    }

    fn unknown_argument(&self) -> Option<String> {
        let argument = self.one(ContextKind::InvalidArg)?;
        let shown = shown::text(argument, LONGEST);
        let Place { call, program, command, .. } = &self.place;
        let is_program = command.get_name() == program.get_name();
        let problem = match argument.starts_with('-') {
            true if is_program => format!("there is no option {shown}."),
            true => format!("{call} has no option {shown}."),
            false => format!("{shown} is one argument too many for {call}."),
        };
        let nearest = self.nearest(ContextKind::SuggestedArg);
        let elsewhere = match self.place.elsewhere(argument).as_slice() {
            [] => String::new(),
            commands => format!(" It is an option of {}.", commands.join(", ")),
        };
        let example = self.place.example().filter(|_| nearest.is_empty()).unwrap_or_default();
        Some(format!("{problem}{nearest}{elsewhere} All that it takes: {}{example}", self.place.help()))
    }

    fn unusable_value(&self) -> Option<String> {
        let argument = self.one(ContextKind::InvalidArg)?;
        let name = argument.split([' ', '=', '[']).next().unwrap_or(argument).trim_matches(['<', '>']);
        let problem = match self.one(ContextKind::InvalidValue)? {
            "" => format!("{name} needs a value"),
            value => format!("{name} cannot be {}", shown::text(value, LONGEST)),
        };
        let why = std::error::Error::source(self.error).map(|why| format!(": {why}")).unwrap_or_default();
        let nearest = self.nearest(ContextKind::SuggestedValue);
        let one_of = match self.several(ContextKind::ValidValue) {
            [] => String::new(),
            values => format!(" One of: {}.", values.join(", ")),
        };
        Some(format!("{problem}{why}.{nearest}{one_of}"))
    }

    fn one(&self, kind: ContextKind) -> Option<&str> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text),
            _ => None,
        }
    }

    fn several(&self, kind: ContextKind) -> &[String] {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => std::slice::from_ref(text),
            Some(ContextValue::Strings(texts)) => texts,
            _ => &[],
        }
    }

    fn nearest(&self, kind: ContextKind) -> String {
        match self.several(kind) {
            [] => String::new(),
            near => format!(" Nearest: {}.", near.join(", ")),
        }
    }
}
