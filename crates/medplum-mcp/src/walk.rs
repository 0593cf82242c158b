//! What a walk over pages collects: each resource once, and where to go on.

use std::collections::HashSet;
use std::sync::Arc;

use crate::answer::Page;
use crate::answer::cursor::Position;
use crate::context::Context;
use crate::page::{Entry, Found};
use crate::search::at_offset;

/// What a walk over pages has collected.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    most: usize,
    by_time: bool,
    /// How many bytes it may fetch; none if it may fetch all.
    room: Option<usize>,
    /// How many matches an earlier part of the walk had.
    before: usize,
    /// What an earlier part had shown of the instant that it ended at.
    since: Option<String>,
    shown: HashSet<u32>,
    entries: Vec<Entry>,
    bytes: usize,
    seen: HashSet<String>,
    /// How many matches it holds; what they include is not counted.
    pub(crate) matched: usize,
    /// Whether more match.
    pub(crate) more: bool,
    /// Why it ended although more may match, if it did not end because it was full.
    pub(crate) stopped: Option<&'static str>,
    /// How many the server counted, if it was asked.
    total: Option<u64>,
}

impl Walk {
    /// One of so many matches at the most, by time or by offset, that may fetch so many bytes, or all.
    pub(crate) fn new(most: usize, by_time: bool, room: Option<usize>) -> Self {
        Self { most, by_time, room, ..Self::default() }
    }

    /// It goes on behind so many matches.
    pub(crate) fn goes_on_behind(&mut self, offset: usize) {
        self.before = offset;
    }

    /// How many entries it holds.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// It goes on at an instant of which these were shown.
    pub(crate) fn goes_on_since(&mut self, instant: String, seen: Vec<u32>) {
        self.shown = seen.into_iter().collect();
        self.since = Some(instant);
    }

    /// Takes a page; false once it is full.
    pub(crate) fn take(&mut self, page: Found, cx: &Context<'_>) -> bool {
        self.total = self.total.or(page.total);
        if page.entries.is_empty() {
            return page.has_next;
        }
        for entry in page.entries {
            let matches = entry.is_match();
            let name = entry.name();
            if matches
                && self.since.is_some()
                && entry.last_updated() == self.since.as_deref()
                && self.shown.contains(&cx.cursors().key.hash(&name))
            {
                continue;
            }
            if matches && self.matched == self.most {
                self.more = true;
                return false;
            }
            if self.seen.insert(name) {
                self.bytes = self.bytes.saturating_add(entry.size());
                self.matched = self.matched.saturating_add(usize::from(matches));
                self.entries.push(entry);
            }
        }
        let full = self.matched == self.most || self.room.is_some_and(|room| self.bytes > room);
        self.more = page.has_next && full;
        !full
    }

    /// It ends here although more may match, for this reason.
    pub(crate) fn stopped(self, why: &'static str, cx: &Context<'_>) -> Self {
        cx.missing(why);
        Self { more: true, stopped: Some(why), ..self }
    }

    /// Whether more match, and Medplum has no page for them.
    pub(crate) fn is_beyond_offsets(&self) -> bool {
        self.more && !self.by_time && at_offset(self.before.saturating_add(self.matched)).is_none()
    }

    /// Whether it began where the matches begin, so that what the server counts is what there is to fetch.
    pub(crate) fn is_whole(&self) -> bool {
        self.since.is_none() && self.before == 0
    }

    /// What was collected.
    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// What was collected, as an answer that can go on.
    pub(crate) fn into_page(self, cx: &Context<'_>) -> Page {
        // What is counted from a later place on is not the whole.
        let total = self.total.filter(|_| self.since.is_none());
        let entries = Arc::<[Entry]>::from(self.entries);
        let (all, key) = (Arc::clone(&entries), cx.cursors().key.clone());
        let (before, more, by_time) = (self.before, self.more, self.by_time);
        let earlier = self.since.map(|since| (since, self.shown));
        let before_these = earlier.is_none().then_some(before);
        let after = move |shown: usize| {
            let left = more || all.iter().skip(shown).any(Entry::is_match);
            if !left {
                return None;
            }
            let matched: Vec<&Entry> = all.iter().take(shown).filter(|entry| entry.is_match()).collect();
            if !by_time {
                return at_offset(before.saturating_add(matched.len()));
            }
            let instant = matched.last().and_then(|entry| entry.last_updated())?;
            let same = matched.iter().filter(|entry| entry.last_updated() == Some(instant));
            let same = same.map(|entry| key.hash(&entry.name()));
            let earlier =
                earlier.iter().filter(|(since, _)| since == instant).flat_map(|(_, shown)| shown.iter().copied());
            Some(Position::Since(instant.to_owned(), same.chain(earlier).collect()))
        };
        Page { entries, total, before: before_these, after: Box::new(after) }
    }
}
