//! One page on a patient, from a handful of searches side by side.
//!
//! ```text
//! rules ─▶ fetch (every search for itself) ─▶ rows of each section ─▶ what fits ─▶ record and notes
//! ```
//!
//! What the record says goes into the record. The notes name sections, types and searches, and quote nothing.

mod budget;
mod dates;
mod events;
mod fetch;
mod measurements;
mod medications;
mod merge;
mod page;
mod people;
mod person;
mod problems;
mod rules;
pub(crate) mod text;

use std::time::SystemTime;

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join};
use futures_util::stream;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use medplum_client::{Interaction, ResourceId, ResourceType};
use serde_json::Value;

use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use fetch::{Names, Page};
pub(crate) use rules::Name;
use rules::{PATIENT, Rule, SECTIONS, Section};

/// Searches on their way at the same time. One batch would carry them all, but the server would answer them one after
/// the other, one quota or time-out would take them all, and none could be tried again by itself.
const AT_ONCE: usize = 8;

/// The cells of a row.
pub(crate) type Row = Vec<Value>;

/// The rows of a section, the first the most important.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    /// What the cells are, where they do not say it themselves.
    columns: Vec<&'static str>,
    /// Resources that were found and do not belong here after all.
    left_out: usize,
    each: Each,
    /// What must be known of it.
    note: Option<String>,
}

/// What each row of a section stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Each {
    /// A resource.
    #[default]
    Resource,
    /// All records that say the same.
    Same,
    /// Everything that was measured under a code.
    Code,
}

/// What a section is made of.
pub(crate) struct Sources<'a> {
    /// A page for each search that went well.
    pages: Vec<Option<&'a Page>>,
    names: &'a Names,
}

impl<'a> Sources<'a> {
    fn resources(&self) -> impl Iterator<Item = &'a Value> {
        self.pages.iter().flatten().flat_map(|page| &page.resources)
    }
}

/// A section's searches, and how each of them went.
struct Fetched {
    section: &'static Section,
    pages: Vec<(&'static Rule, Result<Page, Failure>)>,
}

/// The page.
///
/// # Errors
/// [`Failure`] if the patient cannot be read. Whatever else fails is said in the notes.
pub(crate) async fn summarise(cx: &Context<'_>, id: &ResourceId, named: &[Name]) -> Result<Answer, Failure> {
    let today = day(cx.time_of_day());
    let wanted = SECTIONS.iter().filter(|section| named.is_empty() || named.contains(&section.name));
    let (patient, fetched) =
        try_join(person(cx, id, &today), async { Ok(sections(cx, id, wanted, &today).await) }).await?;
    let went_well = fetched.iter().flat_map(|section| &section.pages).filter_map(|(_, page)| page.as_ref().ok());
    let names = Names::of(went_well.chain([&patient]));
    let who = patient.resources.first().map(|patient| person::who(patient, &names, &today)).unwrap_or_default();
    let mut sections: Vec<page::Part<'_>> =
        fetched.iter().map(|fetched| page::Part::new(fetched, &names, !named.is_empty())).collect();
    join_all(sections.iter_mut().map(|part| part.look_for_others(cx, id))).await;
    let (record, notes) = page::Draft { who, sections, patient: id, today: &today }.fit(cx);
    Ok(Answer::json(record).whole().note(notes.join("\n")))
}

/// The patient, with those who are named there. A search does not say why it finds nobody: a read does.
async fn person(cx: &Context<'_>, id: &ResourceId, today: &str) -> Result<Page, Failure> {
    match PATIENT.ask(cx, id.as_str(), today).await {
        Ok(page) if !page.resources.is_empty() => Ok(page),
        _ => {
            let read = Interaction::read(ResourceType::parse(PATIENT.resource_type)?, id.clone());
            Ok(Page::of_one(cx.ask(&read).await?.into_json()))
        }
    }
}

async fn sections(
    cx: &Context<'_>,
    id: &ResourceId,
    wanted: impl Iterator<Item = &'static Section>,
    today: &str,
) -> Vec<Fetched> {
    let wanted: Vec<&'static Section> = wanted.collect();
    let rules = wanted.iter().flat_map(|section| section.searches);
    let asked: Vec<_> = rules.map(|rule| rule.ask(cx, id.as_str(), today)).collect();
    let mut answers = stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter();
    let fetched =
        |section: &'static Section| Fetched { section, pages: section.searches.iter().zip(&mut answers).collect() };
    wanted.into_iter().map(fetched).collect()
}

/// The day in UTC.
fn day(now: SystemTime) -> String {
    let now = Timestamp::try_from(now).unwrap_or_default();
    now.to_zoned(TimeZone::UTC).date().to_string()
}
