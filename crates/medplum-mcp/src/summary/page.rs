//! The page as an agent reads it: what fits, what does not, and what could not be had.

use medplum_client::ResourceId;
use serde_json::{Map, Value, json};

use super::budget::{Wish, share_out};
use super::fetch::Names;
use super::rules::{Rule, Section};
use super::{Each, Fetched, Row, Rows, Sources};
use crate::context::Context;
use crate::failure::Failure;
use crate::settings::ALLOWED_TYPES;
use crate::tokens::at_most as tokens;

/// What the record and the notes may cost together. The count is rather too high, so that 2,000 are never reached.
const MOST_TOKENS: usize = 1_950;
/// How often the room is made smaller, until the notes on what does not fit do fit.
const ATTEMPTS: usize = 8;
/// The characters of a token, at the least: by so many the room shrinks for each that the answer is too long.
const CHARACTERS: usize = 3;
/// Room in the answer that is kept for what is known only at its end.
const LAST_WORDS: usize = 260;
/// How much is repeated of why a search failed.
const REASON: usize = 240;

/// A section before it is known how much of it fits.
pub(super) struct Part<'a> {
    section: &'static Section,
    rows: Rows,
    /// How many rows there are of what was looked at, shown or not.
    known: usize,
    /// How many rows there are in all; none if that is not known.
    of: Option<usize>,
    /// How many records were looked at, and how many there are, where rows are made of several.
    records: Option<(usize, usize)>,
    failed: Vec<(&'static Rule, &'a Failure)>,
    /// How many records are current; none if that is not known.
    current: Option<usize>,
    /// How many records there are that are not; none if that is not known or was not looked at.
    not_current: Option<usize>,
}

impl<'a> Part<'a> {
    pub(super) fn new(fetched: &'a Fetched, names: &Names, in_full: bool) -> Self {
        let section = fetched.section;
        let pages: Vec<_> = fetched.pages.iter().map(|(_, page)| page.as_ref().ok()).collect();
        let failed: Vec<_> =
            fetched.pages.iter().filter_map(|(rule, page)| Some((*rule, page.as_ref().err()?))).collect();
        let total: Option<usize> = pages.iter().map(|page| page.and_then(|page| page.total)).sum();
        let found: usize = pages.iter().flatten().map(|page| page.resources.len()).sum();
        let mut rows = (section.rows)(&Sources { pages, names });
        let known = rows.rows.len();
        let without = |records: usize| records.saturating_sub(rows.left_out);
        let of = match rows.each {
            Each::Resource => total.map(without),
            // What was not looked at may be more of the same, or not.
            Each::Same | Each::Code => total.filter(|total| *total <= found).map(|_| known),
        };
        let records = total.filter(|_| rows.each == Each::Same).map(|total| (without(found), without(total)));
        if !in_full {
            rows.rows.truncate(section.most);
        }
        let of = of.filter(|_| failed.is_empty());
        let current = total.map(without);
        Self { section, rows, known, of, records, failed, current, not_current: None }
    }

    /// Looks at what there is besides, where nothing is current: a resolved allergy is no lack of one. What a patient had is
    /// told beside what they have, too: a cancer in remission beside a cold.
    pub(super) async fn look_for_others(&mut self, cx: &Context<'_>, patient: &ResourceId) {
        let is_empty = self.is_empty();
        if !is_empty && !self.section.tells_of_the_past() {
            return;
        }
        let Some(no_mistake) = self.section.on_record else {
            self.not_current = is_empty.then_some(0);
            return;
        };
        let mut on_record = Some(0_usize);
        for rule in self.section.types() {
            let here = rule.on_record(cx, patient.as_str(), no_mistake).await;
            on_record = on_record.zip(here).map(|(before, here)| before.saturating_add(here));
        }
        let current = if is_empty { Some(0) } else { self.current };
        self.not_current = on_record.zip(current).map(|(on_record, current)| on_record.saturating_sub(current));
    }

    fn wish(&self) -> Wish {
        let cost = |row: &Row| tokens(&Value::from(row.clone()).to_string()).saturating_add(1);
        Wish { costs: self.rows.rows.iter().map(cost).collect(), share: self.section.share }
    }

    /// Whether it is known that there is nothing that is current.
    fn is_empty(&self) -> bool {
        self.of == Some(0) && self.rows.rows.is_empty()
    }

    fn record(&self, rows: usize) -> Value {
        let mut record = Map::new();
        record.insert("shown".into(), rows.into());
        record.insert("of".into(), self.of.into());
        if let Some((_, records)) = self.records.filter(|(_, records)| *records != self.known) {
            record.insert("records".into(), records.into());
        }
        if !self.rows.columns.is_empty() && rows > 0 {
            record.insert("columns".into(), json!(self.rows.columns));
        }
        record.insert("rows".into(), self.rows.rows.iter().take(rows).map(|row| Value::from(row.clone())).collect());
        Value::Object(record)
    }

    /// `43 more in encounters: search_resources Encounter status:not=planned`
    fn rest(&self, rows: usize, today: &str) -> Option<String> {
        let more = self.more(rows)?;
        let by = match self.section.rest {
            Some(rest) => rest.to_owned(),
            None => {
                let mut searches: Vec<String> = self.section.searches.iter().map(|rule| rule.shown(today)).collect();
                searches.dedup();
                format!("search_resources {}", searches.join(" or "))
            }
        };
        Some(format!("{more}: {by}"))
    }

    /// `43 more in encounters`
    fn more(&self, rows: usize) -> Option<String> {
        let key = self.section.key;
        if let Some(of) = self.of {
            return of.checked_sub(rows).filter(|more| *more > 0).map(|more| format!("{more} more in {key}"));
        }
        let more = self.known.saturating_sub(rows);
        match self.records.filter(|(looked_at, records)| looked_at < records) {
            Some((looked_at, records)) => {
                let more = if more == 0 { "perhaps".to_owned() } else { format!("at least {more}") };
                Some(format!("{more} more in {key} (looked at: {looked_at} of its {records} records)"))
            }
            None => (more > 0).then(|| format!("at least {more} more in {key}")),
        }
    }
}

/// A page before it is known how much of it fits.
pub(super) struct Draft<'a> {
    pub(super) who: Map<String, Value>,
    pub(super) sections: Vec<Part<'a>>,
    pub(super) patient: &'a ResourceId,
    pub(super) today: &'a str,
}

impl Draft<'_> {
    /// The record and the notes, as much as fits.
    pub(super) fn fit(&self, cx: &Context<'_>) -> (Value, Vec<String>) {
        let failures = self.failures(cx);
        let wishes: Vec<Wish> = self.sections.iter().map(Part::wish).collect();
        let none = vec![0; wishes.len()];
        let frame = cost(&self.record(&none), &failures);
        let mut room = MOST_TOKENS.saturating_sub(frame);
        let (mut attempt, mut brief) = (0, false);
        loop {
            let shown = share_out(&wishes, room);
            let (record, notes) = (self.record(&shown), self.notes(&failures, &shown, brief));
            let over = cost(&record, &notes).saturating_sub(MOST_TOKENS);
            let too_long = length(&record, &notes).saturating_sub(cx.budget());
            attempt += 1;
            let fits = over == 0 && too_long == 0;
            if fits || (room == 0 && (brief || too_long == 0)) || attempt == ATTEMPTS {
                return (record, notes);
            }
            // Where little fits, the searches for the rest would take the room of the rows.
            brief |= too_long > 0;
            // What nobody has taken is no room to give back.
            let cost = |(wish, rows): (&Wish, &usize)| wish.costs.iter().take(*rows).sum::<usize>();
            let taken = wishes.iter().zip(&shown).map(cost).sum();
            room = room.min(taken).saturating_sub(over.max(too_long.div_ceil(CHARACTERS)));
        }
    }

    fn record(&self, shown: &[usize]) -> Value {
        let mut record = Map::from_iter([("patient".to_owned(), Value::Object(self.who.clone()))]);
        let (mut none, mut not_current, mut more) = (Vec::new(), Map::new(), Map::new());
        for (part, rows) in self.sections.iter().zip(shown) {
            let key = part.section.key;
            if let Some(records) = part.not_current.filter(|records| *records > 0) {
                not_current.insert(key.to_owned(), records.into());
            }
            match (part.of, part.not_current) {
                (_, Some(0)) if part.is_empty() => none.push(key),
                (_, Some(_)) if part.is_empty() => {}
                (Some(of), _) if *rows == 0 && of > 0 => _ = more.insert(key.to_owned(), of.into()),
                _ => _ = record.insert(key.to_owned(), part.record(*rows)),
            }
        }
        if !none.is_empty() {
            record.insert("none".into(), none.into());
        }
        if !not_current.is_empty() {
            record.insert("notCurrent".into(), not_current.into());
        }
        if !more.is_empty() {
            record.insert("notShown".into(), more.into());
        }
        Value::Object(record)
    }

    fn notes(&self, failures: &[String], shown: &[usize], brief: bool) -> Vec<String> {
        let mut notes = failures.to_vec();
        notes.extend(self.sections.iter().filter_map(|part| part.rows.note.clone()));
        let rest: Vec<String> =
            self.sections.iter().zip(shown).filter_map(|(part, rows)| part.rest(*rows, self.today)).collect();
        match rest.as_slice() {
            [] => {}
            _ if brief => notes.push("More is in the chart than fits: name sections, or raise budget.".to_owned()),
            [one] if one.contains("search_resources") && !one.contains(" or ") => {
                notes.push(format!("{one} patient=Patient/{}.", self.patient));
            }
            [one] => notes.push(format!("{one}, with patient=Patient/{}.", self.patient)),
            rest => notes.push(format!("{}. Each with patient=Patient/{}.", rest.join("; "), self.patient)),
        }
        let not_current = self.sections.iter().filter(|part| part.not_current.is_some_and(|records| records > 0));
        let types: Vec<&str> =
            not_current.flat_map(|part| part.section.types()).map(|rule| rule.resource_type).collect();
        if !types.is_empty() && !brief {
            notes.push(format!(
                "notCurrent counts what is resolved, stopped, past or not done: search_resources {} patient=Patient/{}.",
                types.join(" or "),
                self.patient
            ));
        }
        notes
    }

    /// What could not be had, and why. What is forbidden is named in one sentence.
    fn failures(&self, cx: &Context<'_>) -> Vec<String> {
        let mut forbidden: Vec<&str> = Vec::new();
        let mut closed: Vec<&str> = Vec::new();
        let mut others: Vec<String> = Vec::new();
        for (rule, failure) in self.sections.iter().flat_map(|part| &part.failed) {
            if !cx.may_read(rule.resource_type) {
                closed.push(rule.resource_type);
            } else if failure.status() == Some(403) {
                forbidden.push(rule.resource_type);
            } else {
                let reason = super::text::clipped(&failure.explain(cx), REASON);
                others.push(format!(
                    "{} could not be searched, so it is not known what there is: {reason}",
                    rule.resource_type
                ));
            }
        }
        closed.dedup();
        forbidden.dedup();
        others.dedup();
        let whom = if cx.acts_on_behalf() { "the membership on whose behalf this is asked" } else { "this client" };
        let forbidden = (!forbidden.is_empty())
            .then(|| format!("{}: not permitted for {whom}; of is null there.", forbidden.join(", ")));
        let closed = (!closed.is_empty())
            .then(|| format!("{}: closed by the operator ({ALLOWED_TYPES}); of is null there.", closed.join(", ")));
        forbidden.into_iter().chain(closed).chain(others).collect()
    }
}

fn length(record: &Value, notes: &[String]) -> usize {
    let notes: usize = notes.iter().map(|note| note.chars().count().saturating_add(1)).sum();
    record.to_string().chars().count().saturating_add(notes).saturating_add(LAST_WORDS)
}

fn cost(record: &Value, notes: &[String]) -> usize {
    let notes: usize = notes.iter().map(|note| tokens(note).saturating_add(1)).sum();
    tokens(&record.to_string()).saturating_add(notes)
}
