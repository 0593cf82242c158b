//! The operator's limits, as the gate that every request passes.

use fhir_definitions::Definitions;
use medplum_client::{Asked, BotReach, Effect, Gate, Interaction, Method, NeedKind, Operation, Raw, Refusal};

use crate::failure::{entry_path, nearest_types};
use crate::operations;
use crate::settings::{ALLOWED_TYPES, Limits};

/// The gate of this server.
#[derive(Debug, Clone)]
pub struct Policy {
    limits: Limits,
    /// Whether reads too must be recorded.
    records_reads: bool,
}

impl Policy {
    /// A gate with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, records_reads: false }
    }

    /// The same gate for a server that keeps an audit log: nothing at all leaves unrecorded.
    #[must_use]
    pub fn recording(self) -> Self {
        Self { records_reads: true, ..self }
    }

    /// What acts is recorded always: so that it is carried to its end, and written down where there is a log.
    fn check_record(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !asked.watched && (self.records_reads || !asked.effect.is_read()) {
            return Err(Refusal::new(
                "This request has no record, and nothing is sent without one; please report it. Nothing was sent.",
            ));
        }
        Ok(())
    }

    fn check_membership(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if asked.on_behalf_of.is_some() && !self.limits.obo_override {
            return Err(Refusal::new(
                "on_behalf_of is closed: every call runs as it was set at start, by MEDPLUM_ON_BEHALF_OF or as the client itself. The operator opens it with MEDPLUM_ALLOW_OBO_OVERRIDE=true. Nothing was sent.",
            ));
        }
        Ok(())
    }

    fn check_effect(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if asked.effect.is_read() || self.limits.writes {
            return Ok(());
        }
        Err(Refusal::new(closed(asked.interaction, asked.effect, &self.limits)))
    }

    fn check_bots(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let Some(allowed) = &self.limits.bots else {
            return Ok(());
        };
        match asked.interaction.bots() {
            BotReach::Only(bots) if bots.is_subset(allowed) => Ok(()),
            BotReach::Only(_) => Err(Refusal::new(
                "That bot is not among those that the operator allows (MEDPLUM_ALLOWED_BOT_IDS). Nothing was sent.",
            )),
            BotReach::Any => Err(Refusal::new(
                "This could run a bot that cannot be told from the request, and the operator allows only those in MEDPLUM_ALLOWED_BOT_IDS. Run one of them with execute_bot. Nothing was sent.",
            )),
        }
    }

    /// Every type that the request is about, on its way too: how many match a chain would tell of the other type.
    fn check_types(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let Some(allowed) = &self.limits.types else {
            return Ok(());
        };
        for need in asked.interaction.types() {
            let closed = match &need.kind {
                NeedKind::Read(of) if allowed.may_read(of) => continue,
                NeedKind::Write(of) if allowed.may_write(of) => continue,
                NeedKind::ReadAny(of) if of.iter().any(|of| allowed.may_read(of)) => continue,
                NeedKind::Read(of) | NeedKind::Write(of) => of.clone(),
                NeedKind::ReadAny(of) => of.join(" or "),
                NeedKind::Unclear => {
                    return Err(Refusal::new(format!(
                        "It cannot be told which resource types {} reaches, and the operator allows only {allowed} ({ALLOWED_TYPES}). Nothing was sent.",
                        need.by
                    )));
                }
            };
            let closed: String = closed.chars().filter(|c| !c.is_control()).take(120).collect();
            let by = if need.by.is_empty() { String::new() } else { format!(" ({})", need.by) };
            return Err(Refusal::new(format!(
                "{closed} is closed{by}: the operator allows only {allowed} ({ALLOWED_TYPES}). Nothing was sent."
            )));
        }
        Ok(())
    }
}

impl Gate for Policy {
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        self.check_membership(asked)?;
        self.check_effect(asked)?;
        self.check_types(asked)?;
        self.check_bots(asked)?;
        self.check_record(asked)
    }
}

/// Why a request that acts is refused, and what opens it where that is what it takes.
fn closed(interaction: &Interaction, effect: Effect, limits: &Limits) -> String {
    match interaction {
        Interaction::Batch(batch) => {
            let mut entries = batch.entries().iter().map(|entry| &entry.interaction).enumerate();
            match entries.find(|(_, entry)| !entry.effect().is_read()) {
                Some((index, entry)) => {
                    format!("{} is not a read: {}", entry_path(index), closed(entry, entry.effect(), limits))
                }
                None => read_only("The bundle acts.", limits),
            }
        }
        Interaction::Operation(operation) => {
            operations::no_read(operation).unwrap_or_else(|| read_only(&describe_operation(operation), limits))
        }
        Interaction::GraphQl(_) => NO_QUERY.to_owned(),
        Interaction::Raw(raw) if raw.method() == Method::Get && raw.is_fhir() && effect != Effect::Run => no_read(raw),
        other => read_only(&describe(other), limits),
    }
}

/// What reads there are under the FHIR base, for a path that is none.
pub(crate) const READS: &str = "there are <Type>, <Type>/<id>, <Type>/<id>/_history and operations; a search of what refers to an id is <Type>?<parameter>=<Type>/<id>";

/// A mutation is refused with writes open too: nothing that it changes could be looked at beforehand.
const NO_QUERY: &str = "The document holds a mutation or subscription, and only documents whose every operation is a query are sent, with writes open too. Nothing was sent.";

/// A GET that is no read is nothing with writes open either: what was meant is written in another way.
fn no_read(raw: &Raw) -> String {
    let is_no_type =
        |first: &&String| first.starts_with(char::is_alphabetic) && !Definitions::get().is_resource_type(first);
    let near = raw.segments().first().filter(is_no_type).map(|first| nearest_types(first)).unwrap_or_default();
    format!("That path is no read: under the FHIR base {READS}.{near} Nothing was sent.")
}

fn read_only(what: &str, limits: &Limits) -> String {
    format!("{what} This server is read-only. {} Nothing was sent.", limits.opens_writes())
}

/// What a refused request would have done, in a sentence.
fn describe(interaction: &Interaction) -> String {
    match interaction {
        Interaction::ExecuteBot { .. } => "Running a bot acts.".into(),
        Interaction::Raw(raw) if raw.method() == Method::Get => {
            "This path is not one of Medplum's reads: a GET of it too may act, or run a bot.".into()
        }
        Interaction::Raw(raw) => format!("{} acts.", raw.method().as_str()),
        other => format!("{} changes records.", other.label().interaction),
    }
}

fn describe_operation(operation: &Operation) -> String {
    let name = operation.name.as_str();
    match (name, operation.method) {
        ("execute", Method::Get) => "$execute runs a bot, by GET too.".into(),
        ("execute", _) => "$execute runs a bot.".into(),
        ("graphql", _) => "$graphql is a read only on the system, by POST: use execute_graphql.".into(),
        _ => format!("${name} acts."),
    }
}
