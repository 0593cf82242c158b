//! Toolsets: the tools in groups, of which an operator opens those that are needed.
//!
//! A closed toolset is closed on every way: what a closed tool alone could ask is not asked by another either.

use std::collections::BTreeSet;
use std::fmt;

use medplum_client::{Effect, Interaction, Level};

use crate::failure::Failure;
use crate::settings::TOOLSETS;

/// A group of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Toolset {
    /// What there is: types, elements, search parameters.
    Discover,
    /// A resource by its id.
    Read,
    /// Searches.
    Search,
    /// A patient's chart, whole or on a page.
    Patient,
    /// Codes, value sets, concept maps.
    Terminology,
    /// SQL and statistics over searches.
    Query,
    /// One resource, changed.
    Write,
    /// Batches and transactions.
    Bundle,
    /// Bots, run or deployed.
    Bot,
    /// Any FHIR operation.
    Operation,
    /// GraphQL.
    Graphql,
    /// Any path.
    Raw,
}

impl Toolset {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Discover,
        Self::Read,
        Self::Search,
        Self::Patient,
        Self::Terminology,
        Self::Query,
        Self::Write,
        Self::Bundle,
        Self::Bot,
        Self::Operation,
        Self::Graphql,
        Self::Raw,
    ];

    /// Its name in `MEDPLUM_TOOLSETS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Read => "read",
            Self::Search => "search",
            Self::Patient => "patient",
            Self::Terminology => "terminology",
            Self::Query => "query",
            Self::Write => "write",
            Self::Bundle => "bundle",
            Self::Bot => "bot",
            Self::Operation => "operation",
            Self::Graphql => "graphql",
            Self::Raw => "raw",
        }
    }

    /// Whether it has nothing to offer where only reads are allowed.
    pub fn only_acts(self) -> bool {
        matches!(self, Self::Write | Self::Bot)
    }
}

/// The toolsets that are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolsets(BTreeSet<Toolset>);

impl Default for Toolsets {
    fn default() -> Self {
        Self(Toolset::ALL.into())
    }
}

impl Toolsets {
    /// The toolsets of a list of names; `all` stands for all of them.
    ///
    /// # Errors
    /// What is wrong with the list, behind the name of the variable that holds it.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut open = BTreeSet::new();
        for name in list.split([',', ' ']).filter(|name| !name.is_empty()) {
            let known = Toolset::ALL.into_iter().find(|toolset| toolset.name().eq_ignore_ascii_case(name));
            match known {
                Some(toolset) => open.extend([toolset]),
                None if name.eq_ignore_ascii_case("all") => open.extend(Toolset::ALL),
                None => {
                    let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                    return Err(format!("has no toolset \"{shown}\". There are {}, or all", Self::default()));
                }
            }
        }
        if open.is_empty() {
            Err(format!("names no toolset. There are {}, or all", Self::default()))
        } else {
            Ok(Self(open))
        }
    }

    /// Whether this one is open.
    pub fn has(&self, toolset: Toolset) -> bool {
        self.0.contains(&toolset)
    }

    /// Whether all are.
    pub fn are_all(&self) -> bool {
        self.0.len() == Toolset::ALL.len()
    }

    /// Whether none of them has a tool that reads.
    pub fn only_act(&self) -> bool {
        self.0.iter().all(|toolset| toolset.only_acts())
    }

    /// What opens a toolset.
    pub fn opened_by(&self, toolset: Toolset) -> String {
        format!("The operator opens it by adding {} to {TOOLSETS} (now {self}). Nothing was sent.", toolset.name())
    }

    /// Refuses what belongs to a closed toolset, whichever tool asks it.
    ///
    /// # Errors
    /// [`Failure`] with what opens it.
    pub(crate) fn admit(&self, interaction: &Interaction) -> Result<(), Failure> {
        match closed_way(self, interaction, true) {
            Some((what, toolset)) => Err(Failure::teach(format!("{what} closed. {}", self.opened_by(toolset)))),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Toolsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|toolset| toolset.name()).collect();
        f.write_str(&names.join(", "))
    }
}

/// An operation that Medplum does not route itself may be bound to a bot.
const MAY_BE_A_BOT: &str = "An operation that may run a bot is";

/// What of an interaction is the matter of a closed toolset. A write in a bundle is the bundle's.
fn closed_way(open: &Toolsets, interaction: &Interaction, alone: bool) -> Option<(&'static str, Toolset)> {
    let closed = |toolset, what| (!open.has(toolset)).then_some((what, toolset));
    match interaction {
        Interaction::GraphQl(_) => closed(Toolset::Graphql, "GraphQL is"),
        Interaction::ExecuteBot { .. } => closed(Toolset::Bot, "Bots are"),
        Interaction::Operation(operation) => match &operation.level {
            Level::Type(of) | Level::Instance(of, _) if of.as_str() == "Bot" => closed(Toolset::Bot, "Bots are"),
            _ if operation.effect() == Effect::Run => closed(Toolset::Bot, MAY_BE_A_BOT),
            _ => None,
        },
        Interaction::Raw(raw) if raw.names_operation() => {
            closed(Toolset::Bot, MAY_BE_A_BOT).filter(|_| raw.effect() == Effect::Run)
        }
        Interaction::Batch(batch) => closed(Toolset::Bundle, "Bundles are")
            .or_else(|| batch.entries().iter().find_map(|entry| closed_way(open, &entry.interaction, false))),
        Interaction::Create { .. }
        | Interaction::CreateBinary { .. }
        | Interaction::Update { .. }
        | Interaction::Patch { .. }
        | Interaction::Delete { .. } => match interaction.label().resource_type {
            Some("Bot") => closed(Toolset::Bot, "Bots are"),
            _ => closed(Toolset::Write, "Writing a resource is").filter(|_| alone),
        },
        _ => None,
    }
}

/// A text without the sentences that speak of tools that are closed. What stands between semicolons counts as a
/// sentence; a line of which nothing is left goes.
pub(crate) fn without_closed(text: &str, closed: &[&str]) -> String {
    if !closed.iter().any(|name| text.contains(name)) {
        return text.to_owned();
    }
    let lines = text.lines().map(|line| match speaks_of(line, closed) {
        true => Some(line_without(line, closed)).filter(|line| line.chars().any(char::is_alphanumeric)),
        false => Some(line.to_owned()),
    });
    lines.flatten().collect::<Vec<_>>().join("\n")
}

fn line_without(line: &str, closed: &[&str]) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let unquoted = without_quotes(rest);
        let end = [". ", "; "].iter().filter_map(|end| unquoted.find(end)).min();
        let end = end.map_or(rest.len(), |at| at.saturating_add(2));
        let (sentence, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if !speaks_of(sentence, closed) {
            kept.push_str(sentence);
        }
        rest = after;
    }
    let kept = kept.trim_end();
    match kept.strip_suffix(';') {
        Some(kept) => format!("{kept}."),
        None => kept.to_owned(),
    }
}

/// The text with as many quotation marks in place of what stands between two: those are words of somebody else's, which
/// say nothing of our tools and end no sentence of ours.
fn without_quotes(text: &str) -> String {
    let mut unquoted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        let (before, quoted) = rest.split_at_checked(at).unwrap_or((rest, ""));
        unquoted.push_str(before);
        let Some(length) = end_of_quote(quoted) else {
            rest = quoted;
            break;
        };
        unquoted.extend(std::iter::repeat_n('"', length));
        rest = quoted.get(length..).unwrap_or_default();
    }
    unquoted.push_str(rest);
    unquoted
}

/// How long a text in quotation marks is, in bytes; none if it has no end.
fn end_of_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    let end = quoted.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map(|(at, _)| at.saturating_add(1))
}

/// Whether one of the names stands in a text of ours, as a whole word.
fn speaks_of(text: &str, names: &[&str]) -> bool {
    without_quotes(text).split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| names.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_toolsets() {
        assert_eq!(Toolsets::parse("read, Search raw,").unwrap().to_string(), "read, search, raw");
        assert!(Toolsets::parse("all").unwrap().are_all());
        let wrong = Toolsets::parse("read,serach").unwrap_err();
        assert!(wrong.starts_with("has no toolset \"serach\". There are discover, read, search, patient"), "{wrong}");
        assert!(Toolsets::parse(" , ").is_err());
    }

    #[test]
    fn a_sentence_about_a_closed_tool_goes() {
        let closed = ["query_resources", "list_codes"];
        for (given, left) in [
            ("Ask for little: count 1 is the first; query_resources is SQL.", "Ask for little: count 1 is the first."),
            ("No X matches. list_codes shows the codes that there are. Try another.", "No X matches. Try another."),
            ("my_query_resources stays; a_list_codes too", "my_query_resources stays; a_list_codes too"),
            ("- list_codes: the codes\n- search: all", "- search: all"),
            ("One line.\nlist_codes", "One line."),
            (
                "Medplum answered 400: \"Bad. Call \\\"list_codes\\\" now; or\". list_codes shows them. It was \"x.",
                "Medplum answered 400: \"Bad. Call \\\"list_codes\\\" now; or\". It was \"x.",
            ),
        ] {
            assert_eq!(without_closed(given, &closed), left);
        }
    }
}
