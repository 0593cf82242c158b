//! A patient's whole chart.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fhir_definitions::Definitions;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use medplum_client::{Interaction, Level, Method, Operation, OperationName, Query, ResourceId, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::id;
use super::search::{ANY_TYPE, view};
use crate::answer::cursor::Position;
use crate::answer::{Answer, Page};
use crate::context::{Context, resource_type};
use crate::failure::{Failure, nearest_types};
use crate::page::{Entry, Found};
use crate::search::{LARGEST_PAGE, LAST_OFFSET};
use crate::settings::ALLOWED_TYPES;
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetPatientEverything {
    patient_id: String,
    types: Option<Vec<String>>,
    since: Option<String>,
    start: Option<String>,
    end: Option<String>,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
    cursor: Option<String>,
}

impl Run for GetPatientEverything {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "get_patient_everything",
        toolset: Toolset::Patient,
        title: "Get Patient Everything",
        description: "The patient's whole chart ($everything), counted by type. Charts are large: get_patient_summary is one page.",
        when: "a whole chart is needed",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let id = id("patient_id", "Patient", &self.patient_id)?;
        let of = match self.types.as_deref() {
            Some([only]) => only.trim(),
            _ => ANY_TYPE,
        };
        let view = view(cx, of, self.fields, self.narrative)?;
        let (first, skip, before) = match cx.open(self.cursor.as_deref())? {
            Some(Position::Chart { page, skip, before }) => (page, skip, before),
            _ => (0, 0, 0),
        };
        let mut narrowing = Query::new();
        let types = self.types.filter(|types| !types.is_empty());
        let mut only = String::new();
        // A table of some types has no rows of others, of which its fields say nothing.
        let rows_of = types.clone().filter(|_| view.fields.is_some());
        let types = types.unwrap_or_else(|| {
            let allowed = allowed_types(cx);
            if !allowed.is_empty() {
                only = format!("Only types that the operator allows ({ALLOWED_TYPES}).");
            }
            allowed
        });
        narrow_types(&types, &mut narrowing)?;
        narrow_time(
            &[("since", "_since", self.since), ("start", "start", self.start), ("end", "end", self.end)],
            &mut narrowing,
        )?;
        let mut chart = Chart { room: cx.budget(), before, rows_of, ..Chart::default() };
        chart.fetch(cx, (&id, &narrowing), first, skip).await?;
        let note = if before == 0 { chart.by_type(&types) } else { String::new() };
        Ok(Answer::page(chart.into_page()).view(view).note(note).note(only))
    }
}

/// What is said where a chart is longer than Medplum gives.
const NO_FURTHER: &str = "Medplum gives no page of a chart beyond 10000: what comes behind is not here. Narrow it by types, or search by type.";

/// What a chart is narrowed to where the operator allows some types alone: what is closed is not even fetched.
fn allowed_types(cx: &Context<'_>) -> Vec<String> {
    let allowed = cx.limits().types.iter().flat_map(|types| types.iter());
    let of_chart = |of: &&str| *of == "Patient" || Definitions::get().compartment_entry("Patient", of).is_some();
    allowed.filter(of_chart).map(str::to_owned).collect()
}

/// Medplum fails on a single `_type` and on a list with commas: each is named for itself, and at least twice.
fn narrow_types(types: &[String], query: &mut Query) -> Result<(), Failure> {
    let types = types.iter().map(|t| resource_type(t)).collect::<Result<Vec<_>, _>>()?;
    if let Some(unknown) = types.iter().find(|t| !Definitions::get().is_resource_type(t.as_str())) {
        return Err(Failure::teach(format!(
            "types: there is no resource type \"{unknown}\".{} Nothing was sent.",
            nearest_types(unknown.as_str())
        )));
    }
    query.extend(types.iter().map(|t| ("_type", t.as_str())));
    if let [only] = types.as_slice() {
        query.push("_type", only.as_str());
    }
    Ok(())
}

/// Times as FHIR writes them. A day, a month or a year is all of it: to Medplum it would be the instant of its beginning.
fn narrow_time(given: &[(&str, &str, Option<String>); 3], query: &mut Query) -> Result<(), Failure> {
    let mut bounds = Vec::new();
    for (argument, parameter, value) in given {
        let Some(value) = value.as_deref().map(str::trim) else { continue };
        let Some(time) = Time::read(value) else {
            return Err(Failure::teach(format!(
                "{argument} is not a FHIR date. Write 2025, 2025-03, 2025-03-14 or 2025-03-14T08:00:00Z. Nothing was sent."
            )));
        };
        let is_end = *parameter == "end";
        query.push(*parameter, if is_end { time.until() } else { time.from() });
        if *parameter != "_since" {
            bounds.push(time);
        }
    }
    match bounds.as_slice() {
        [start, end] if start.first > end.last => {
            Err(Failure::teach("end lies before start, and nothing between them. Nothing was sent."))
        }
        _ => Ok(()),
    }
}

/// A FHIR dateTime (<https://hl7.org/fhir/R4/datatypes.html#dateTime>).
struct Time {
    /// As it was given, if it is an instant.
    instant: Option<String>,
    first: Timestamp,
    last: Timestamp,
    days: (Date, Date),
}

impl Time {
    fn read(text: &str) -> Option<Self> {
        if text.contains('T') {
            let at: Timestamp = text.parse().ok()?;
            let day = Offset::UTC.to_datetime(at).date();
            return Some(Self { instant: Some(text.to_owned()), first: at, last: at, days: (day, day) });
        }
        let number = |part: &str, digits: usize| {
            let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<i16>().ok().filter(|_| plain)
        };
        let parts: Vec<&str> = text.split('-').collect();
        let (year, rest) = parts.split_first()?;
        let year = number(year, 4)?;
        let small = |part: &str| number(part, 2).and_then(|n| i8::try_from(n).ok());
        let (first, last) = match rest {
            [] => (Date::new(year, 1, 1).ok()?, Date::new(year, 12, 31).ok()?),
            [month] => {
                let first = Date::new(year, small(month)?, 1).ok()?;
                (first, first.last_of_month())
            }
            [month, day] => {
                let day = Date::new(year, small(month)?, small(day)?).ok()?;
                (day, day)
            }
            _ => return None,
        };
        let begins = Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()?;
        let ends = Offset::UTC.to_timestamp(last.at(23, 59, 59, 999_000_000)).ok()?;
        Some(Self { instant: None, first: begins, last: ends, days: (first, last) })
    }

    fn from(&self) -> String {
        self.instant.clone().unwrap_or_else(|| self.days.0.to_string())
    }

    fn until(&self) -> String {
        self.instant.clone().unwrap_or_else(|| format!("{}T23:59:59.999Z", self.days.1))
    }
}

fn everything(id: &ResourceId, narrowing: &Query, offset: usize) -> Result<Interaction, Failure> {
    let mut query = narrowing.clone();
    query.push("_count", LARGEST_PAGE.to_string());
    query.push("_offset", offset.to_string());
    let level = Level::Instance(ResourceType::parse("Patient")?, id.clone());
    let operation =
        Operation { level, name: OperationName::parse("everything")?, method: Method::Get, query, body: None };
    Ok(Interaction::operation(operation)?)
}

/// A chart as it comes in: counted whole, kept as far as it can be shown.
#[derive(Default)]
struct Chart {
    room: usize,
    before: usize,
    entries: Vec<Entry>,
    /// The place behind each match that is kept: its page, and how many matches of it stand before that place.
    places: Vec<(usize, usize)>,
    seen: HashSet<String>,
    types: BTreeMap<String, usize>,
    /// The types that there are rows of, where that is not all.
    rows_of: Option<Vec<String>>,
    /// What came of other types.
    others: BTreeMap<String, usize>,
    kept: usize,
    matched: usize,
    more: bool,
}

impl Chart {
    /// Takes the pages from an offset on, but for so many matches of the first.
    async fn fetch(
        &mut self,
        cx: &Context<'_>,
        (id, narrowing): (&ResourceId, &Query),
        first: usize,
        skip: usize,
    ) -> Result<(), Failure> {
        let mut offset = first;
        cx.progress().begin();
        loop {
            let (page, _) = cx.page(&everything(id, narrowing, offset)?).await?;
            // Its next link is another search, which loses what the chart refers to: only that it is there counts.
            self.more = page.has_next;
            let fetched = self.seen.len();
            self.take(page, offset, if offset == first { skip } else { 0 });
            offset = offset.saturating_add(LARGEST_PAGE);
            if self.more && offset > LAST_OFFSET {
                cx.missing(NO_FURTHER);
                self.more = false;
            }
            // The first call counts the whole chart; those behind it take what fits.
            if !self.more || (self.before > 0 && self.is_full()) {
                return Ok(());
            }
            cx.progress().fetched(self.seen.len().saturating_sub(fetched), None).await;
        }
    }

    /// Takes the page that begins at an offset, but for so many of its matches.
    fn take(&mut self, page: Found, offset: usize, skip: usize) {
        let mut on_page = 0_usize;
        let mut skipped = false;
        for entry in page.entries {
            if entry.is_match() {
                on_page = on_page.saturating_add(1);
                skipped = on_page <= skip;
            }
            // What belongs to a match that was shown was shown with it.
            if skipped || !self.seen.insert(entry.name()) {
                continue;
            }
            let name = entry.resource_type().map_or("other".to_owned(), |name| name.to_string());
            if self.rows_of.as_ref().is_some_and(|types| types.iter().all(|of| of.trim() != name)) {
                *self.others.entry(name).or_default() += 1;
                continue;
            }
            *self.types.entry(name).or_default() += 1;
            self.matched = self.matched.saturating_add(usize::from(entry.is_match()));
            if !self.is_full() {
                self.kept = self.kept.saturating_add(entry.size());
                if entry.is_match() {
                    self.places.push((offset, on_page));
                }
                self.entries.push(entry);
            }
        }
    }

    /// What does not fit is not kept: a chart can be far larger than an answer. Four times the room, because what is shown
    /// is leaner than what came.
    fn is_full(&self) -> bool {
        self.kept > self.room.saturating_mul(4)
    }

    /// How much there is of what; none of what was asked for is said too.
    fn by_type(&self, asked: &[String]) -> String {
        let none = asked.iter().filter(|name| !self.types.contains_key(*name)).map(|name| (name, &0));
        let mut types: Vec<_> = self.types.iter().chain(none).collect();
        types.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
        let listed: Vec<String> = types.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let all: usize = self.types.values().sum();
        let referred = match all.saturating_sub(self.matched) {
            0 => String::new(),
            n => format!(", and {n} that they refer to"),
        };
        let s = if self.matched == 1 { "" } else { "s" };
        let others: Vec<String> = self.others.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(" Came with them, and not in the table: {}.", others.join(", ")),
        };
        format!(
            "{} resource{s}{referred}. By type: {}.{others} Narrower: types, since, start, end.",
            self.matched,
            listed.join(", ")
        )
    }

    fn into_page(self) -> Page {
        let (before, matched, more, places) = (self.before, self.matched, self.more, self.places);
        let entries = Arc::<[Entry]>::from(self.entries);
        let all = Arc::clone(&entries);
        let after = move |shown: usize| {
            let shown = all.iter().take(shown).filter(|entry| entry.is_match()).count();
            let (page, skip) = shown.checked_sub(1).and_then(|last| places.get(last)).copied().unwrap_or_default();
            let place = Position::Chart { page, skip, before: before.saturating_add(shown) };
            (more || shown < matched).then_some(place)
        };
        let total = (!more).then_some(before.saturating_add(matched) as u64);
        Page { entries, total, before: Some(before), after: Box::new(after) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(since: Option<&str>, start: Option<&str>, end: Option<&str>) -> Result<String, Failure> {
        let text = |given: Option<&str>| given.map(str::to_owned);
        let mut query = Query::new();
        let given = [("since", "_since", text(since)), ("start", "start", text(start)), ("end", "end", text(end))];
        narrow_time(&given, &mut query)?;
        Ok(query.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn a_day_a_month_and_a_year_are_all_of_it() {
        for (given, from, until) in [
            ("2025", "2025-01-01", "2025-12-31T23:59:59.999Z"),
            ("2024-02", "2024-02-01", "2024-02-29T23:59:59.999Z"),
            ("2025-03-14", "2025-03-14", "2025-03-14T23:59:59.999Z"),
            ("2025-03-14T08:00:00+02:00", "2025-03-14T08:00:00+02:00", "2025-03-14T08:00:00+02:00"),
        ] {
            let expected = format!("_since={from}&start={from}&end={until}");
            assert_eq!(narrowed(Some(given), Some(given), Some(given)).ok(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [
            "",
            "last week",
            "2025-13",
            "2025-02-30",
            "25-03-14",
            "2025-3-14",
            "14.03.2025",
            "2025-03-14 08:00",
            "2025-03-14T08:00:00",
            "-2025",
            "2025-",
            "2025-03-14Z",
        ] {
            for (since, start, end) in [(Some(bad), None, None), (None, Some(bad), None), (None, None, Some(bad))] {
                assert!(narrowed(since, start, end).is_err(), "{bad}");
            }
        }
        assert!(narrowed(None, Some("2025-03-15"), Some("2025-03-14")).is_err());
        assert!(narrowed(None, Some("2025-03"), Some("2025-03-14")).is_ok());
    }
}
