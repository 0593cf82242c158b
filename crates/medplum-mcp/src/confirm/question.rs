//! What the person is asked: what will be done, to whom, old → new. Our words and the record's never mix: what comes
//! from the record or from the agent stands in quotes, on a line of its own.

use medplum_client::{Batch, BatchKind, Interaction, Level, ResourceType};

use super::details::details;
use super::whom::{Names, own_name};
use crate::context::Context;
use crate::failure::Failure;
use crate::preflight::{Change, Looked};

/// Lines of one step where it stands alone, and where there are several.
const LINES: usize = 24;
const LINES_EACH: usize = 8;
/// Steps that are shown one by one.
const STEPS: usize = 12;

/// A question that can be answered with yes or no.
pub(super) struct Question {
    title: String,
    lines: Vec<String>,
}

/// One thing that will be done.
pub(super) struct Step<'l> {
    pub(super) interaction: &'l Interaction,
    pub(super) change: Option<&'l Change>,
}

/// What will be done, one by one: the acting entries of a bundle, each with its place, or the one interaction.
pub(super) fn steps(looked: &Looked) -> Vec<(Option<usize>, Step<'_>)> {
    let change = |entry: Option<usize>| looked.changes.iter().find(|change| change.entry == entry);
    match &looked.interaction {
        Interaction::Batch(batch) => {
            let acting = batch.entries().iter().enumerate().filter(|(_, entry)| !entry.interaction.effect().is_read());
            acting
                .map(|(index, entry)| {
                    (Some(index), Step { interaction: &entry.interaction, change: change(Some(index)) })
                })
                .collect()
        }
        interaction => vec![(None, Step { interaction, change: change(None) })],
    }
}

impl Question {
    /// The question about some steps.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be found out whom they are about.
    pub(super) async fn about(cx: &Context<'_>, looked: &[Looked]) -> Result<Self, Failure> {
        let mut names = Names::new(cx);
        let steps: Vec<(Option<usize>, Step<'_>)> = looked.iter().flat_map(steps).collect();
        let (title, mut lines) = match steps.as_slice() {
            [(None, step)] => {
                let (verb, what) = named(step);
                let mut lines: Vec<String> = id(step.interaction).map(|id| format!("id: {id}")).into_iter().collect();
                lines.extend(details(step, LINES, &mut names).await?);
                (format!("{verb} {what}?"), lines)
            }
            several => (title_of_several(looked, several.len()), lines_of_several(several, &mut names).await?),
        };
        for referrers in looked.iter().flat_map(|looked| &looked.referrers) {
            lines.extend(referrers.by_type().map(|by_type| format!("references that will lead nowhere: {by_type}")));
        }
        lines.extend(cx.on_behalf_of().map(|member| format!("on behalf of: {member}")));
        Ok(Self { title, lines })
    }

    /// As the person reads it.
    pub(super) fn text(&self) -> String {
        let lines: String = self.lines.iter().map(|line| format!("\n  {line}")).collect();
        format!("{}{lines}", self.title)
    }
}

fn title_of_several(looked: &[Looked], steps: usize) -> String {
    let what = if steps == 1 { "this step".to_owned() } else { format!("these {steps} steps") };
    match looked {
        [Looked { interaction: Interaction::Batch(batch), .. }] => {
            let how = match (batch.kind(), steps) {
                (_, 1) => "",
                (BatchKind::Transaction, _) => ", all or none",
                (BatchKind::Batch, _) => ", each for itself",
            };
            format!("Carry out {what}{how}?{}", reads(batch, steps))
        }
        _ => format!("Carry out {what}, one after the other?"),
    }
}

fn reads(batch: &Batch, acting: usize) -> String {
    match batch.entries().len().saturating_sub(acting) {
        0 => String::new(),
        1 => " (And one read.)".to_owned(),
        n => format!(" (And {n} reads.)"),
    }
}

/// What is done, and to what kind of thing: `Change`, `this Patient`.
fn named(step: &Step<'_>) -> (&'static str, String) {
    let this = |t: &ResourceType| format!("this {t}");
    let is_there = step.change.is_none_or(|change| change.stored.is_some());
    match step.interaction {
        Interaction::Create { resource_type, .. } => ("Create", this(resource_type)),
        Interaction::CreateBinary { .. } => ("Create", "this Binary".to_owned()),
        Interaction::Update { resource_type, .. } if !is_there => ("Store", this(resource_type)),
        Interaction::Update { resource_type, .. } | Interaction::Patch { resource_type, .. } => {
            ("Change", this(resource_type))
        }
        Interaction::Delete { resource_type, .. } => ("Delete", this(resource_type)),
        Interaction::ExecuteBot { .. } => ("Run", "this Bot".to_owned()),
        Interaction::Operation(operation) => match &operation.level {
            Level::Instance(t, _) if t.as_str() == "Bot" && operation.name.as_str() == "deploy" => {
                ("Deploy", "code to this Bot".to_owned())
            }
            Level::Instance(t, _) => ("Run", format!("${} on this {t}", operation.name)),
            Level::Type(t) => ("Run", format!("{t}/${}", operation.name)),
            Level::System => ("Run", format!("${}", operation.name)),
        },
        other => ("Send", format!("this {} request", other.to_request().method.as_str())),
    }
}

/// The same in one line among others: `change Patient/1`.
fn short(step: &Step<'_>) -> String {
    let (verb, what) = named(step);
    let this = match id(step.interaction) {
        Some(id) => match what.split_once("this ") {
            Some((before, _)) => format!("{before}{id}"),
            None => what,
        },
        None => what.strip_prefix("this ").unwrap_or(&what).to_owned(),
    };
    format!("{} {this}", verb.to_lowercase())
}

/// What it is about, where that is there already: `Patient/1`.
fn id(interaction: &Interaction) -> Option<String> {
    Some(format!("{}/{}", interaction.label().resource_type?, interaction.id()?))
}

/// Several steps, what is there already before what is new: the first ones with their details, of the others each that is
/// about something by its id and name, and how many are new.
async fn lines_of_several(
    steps: &[(Option<usize>, Step<'_>)],
    names: &mut Names<'_, '_>,
) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let mut steps: Vec<(usize, &Step<'_>)> =
        steps.iter().enumerate().map(|(number, (place, step))| (place.unwrap_or(number), step)).collect();
    // One after the other is told as it goes; what is carried out as a whole, the weightiest first.
    if steps.len() > STEPS {
        steps.sort_by_key(|(_, step)| weight(step.interaction));
    }
    for (place, step) in steps.iter().take(STEPS) {
        lines.push(format!("[{place}] {}", short(step)));
        lines.extend(details(step, LINES_EACH, names).await?.into_iter().map(|line| format!("    {line}")));
    }
    let mut rest: Vec<(String, usize)> = Vec::new();
    for (place, step) in steps.iter().skip(STEPS) {
        if id(step.interaction).is_some() {
            let stored = step.change.and_then(|change| change.stored.as_ref());
            let name = stored.and_then(|stored| own_name(stored, "").into_iter().next());
            let name = name.map(|name| format!(", {name}")).unwrap_or_default();
            lines.push(format!("[{place}] {}{name}", short(step)));
            continue;
        }
        let (verb, what) = named(step);
        let kind = format!("{} {}", verb.to_lowercase(), what.strip_prefix("this ").unwrap_or(&what));
        match rest.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => rest.push((kind, 1)),
        }
    }
    if !rest.is_empty() {
        let rest: Vec<String> = rest.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        lines.push(format!("and, not shown here: {}", rest.join(", ")));
    }
    Ok(lines)
}

/// What comes first where not all is shown in full.
fn weight(interaction: &Interaction) -> u8 {
    match interaction {
        Interaction::Delete { .. } => 0,
        Interaction::Create { .. } | Interaction::CreateBinary { .. } => 3,
        Interaction::Update { .. } | Interaction::Patch { .. } => 2,
        _ => 1,
    }
}
