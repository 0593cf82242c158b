//! The page as an agent reads it: what fits, what does not, and what could not be had.

use medplum_client::ResourceId;
use serde_json::{Map, Value, json};

use super::budget::{Wish, share_out};
use super::fetch::Names;
use super::rules::{Rule, Section};
use super::{Fetched, Row, Rows, Sources};
use crate::context::Context;
use crate::failure::Failure;
use crate::settings::ALLOWED_TYPES;
use crate::tokens::at_most as tokens;

/// What the record and the notes may cost together. The count is rather too high, so that 2,000 are never reached.
const MOST_TOKENS: usize = 1_950;
/// How often the room is made smaller, until the notes on what does not fit do fit.
const ATTEMPTS: usize = 4;
/// How much is repeated of why a search failed.
const REASON: usize = 240;

/// A section before it is known how much of it fits.
pub(super) struct Part<'a> {
    section: &'static Section,
    rows: Rows,
    /// How many there are; none if that is not known.
    of: Option<usize>,
    failed: Vec<(&'static Rule, &'a Failure)>,
}

impl<'a> Part<'a> {
    pub(super) fn new(fetched: &'a Fetched, names: &Names, in_full: bool) -> Self {
        let section = fetched.section;
        let pages: Vec<_> = fetched.pages.iter().map(|(_, page)| page.as_ref().ok()).collect();
        let failed: Vec<_> =
            fetched.pages.iter().filter_map(|(rule, page)| Some((*rule, page.as_ref().err()?))).collect();
        let total: Option<usize> = pages.iter().map(|page| page.and_then(|page| page.total)).sum();
        let mut rows = (section.rows)(&Sources { pages, names });
        let there = if rows.counts_rows {
            Some(rows.rows.len())
        } else {
            total.map(|total| total.saturating_sub(rows.left_out))
        };
        if !in_full {
            rows.rows.truncate(section.most);
        }
        Self { section, rows, of: there.filter(|_| failed.is_empty()), failed }
    }

    fn wish(&self) -> Wish {
        let cost = |row: &Row| tokens(&Value::from(row.cells.clone()).to_string()).saturating_add(1);
        Wish { costs: self.rows.rows.iter().map(cost).collect(), share: self.section.share }
    }

    fn shown(&self, rows: usize) -> usize {
        self.rows.rows.iter().take(rows).map(|row| row.stands_for).sum()
    }

    fn record(&self, rows: usize) -> Value {
        let mut record = Map::new();
        record.insert("shown".into(), self.shown(rows).into());
        record.insert("of".into(), self.of.into());
        if !self.rows.columns.is_empty() && rows > 0 {
            record.insert("columns".into(), json!(self.rows.columns));
        }
        record.insert(
            "rows".into(),
            self.rows.rows.iter().take(rows).map(|row| Value::from(row.cells.clone())).collect(),
        );
        Value::Object(record)
    }

    /// `43 more in encounters: search_resources Encounter status:not=planned`
    fn rest(&self, rows: usize, today: &str) -> Option<String> {
        let more = self.of?.checked_sub(self.shown(rows)).filter(|more| *more > 0)?;
        let by = match self.section.rest {
            Some(rest) => rest.to_owned(),
            None => {
                let mut searches: Vec<String> = self.section.searches.iter().map(|rule| rule.shown(today)).collect();
                searches.dedup();
                format!("search_resources {}", searches.join(" or "))
            }
        };
        Some(format!("{more} more in {}: {by}", self.section.key))
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
        let mut attempt = 0;
        loop {
            let shown = share_out(&wishes, room);
            let (record, notes) = (self.record(&shown), self.notes(&failures, &shown));
            let over = cost(&record, &notes).saturating_sub(MOST_TOKENS);
            attempt += 1;
            if over == 0 || room == 0 || attempt == ATTEMPTS {
                return (record, notes);
            }
            room = room.saturating_sub(over);
        }
    }

    fn record(&self, shown: &[usize]) -> Value {
        let mut record = Map::from_iter([("patient".to_owned(), Value::Object(self.who.clone()))]);
        for (part, rows) in self.sections.iter().zip(shown) {
            record.insert(part.section.key.to_owned(), part.record(*rows));
        }
        Value::Object(record)
    }

    fn notes(&self, failures: &[String], shown: &[usize]) -> Vec<String> {
        let mut notes = failures.to_vec();
        notes.extend(self.sections.iter().filter_map(|part| part.rows.note.clone()));
        let rest: Vec<String> =
            self.sections.iter().zip(shown).filter_map(|(part, rows)| part.rest(*rows, self.today)).collect();
        if !rest.is_empty() {
            notes.push(format!("{}. Each with patient=Patient/{}.", rest.join("; "), self.patient));
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

fn cost(record: &Value, notes: &[String]) -> usize {
    let notes: usize = notes.iter().map(|note| tokens(note).saturating_add(1)).sum();
    tokens(&record.to_string()).saturating_add(notes)
}
