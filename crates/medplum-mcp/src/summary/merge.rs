//! Records that say the same thing, as one row: a refill is no second medication.

use serde_json::Value;

use super::dates::Recorded;
use super::{Each, Row, Rows};

/// A record as a row would show it.
#[derive(Debug)]
pub(super) struct Entry<'v> {
    /// What the row says before the date.
    pub(super) says: Vec<Value>,
    pub(super) date: Option<Recorded<'v>>,
    /// Words of its status, where it is not the usual one.
    pub(super) status: Vec<String>,
}

/// Which date a merged row shows, and what it says around it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dated {
    /// `since 2014-05`, the earliest.
    Since,
    /// `2014-05`, the latest.
    Last,
}

struct Merged<'v> {
    entry: Entry<'v>,
    records: usize,
}

/// One row for all entries that say the same, in the order of the first of them.
pub(super) fn merged<'v>(entries: impl Iterator<Item = Entry<'v>>, dated: Dated) -> Rows {
    let mut all: Vec<Merged<'v>> = Vec::new();
    for entry in entries {
        let same = |known: &&mut Merged<'_>| known.entry.says == entry.says && known.entry.status == entry.status;
        match all.iter_mut().find(same) {
            Some(known) => known.take(&entry, dated),
            None => all.push(Merged { entry, records: 1 }),
        }
    }
    let rows = all.into_iter().map(|merged| merged.into_row(dated)).collect();
    Rows { rows, each: Each::Same, ..Rows::default() }
}

impl<'v> Merged<'v> {
    fn take(&mut self, other: &Entry<'v>, dated: Dated) {
        self.records = self.records.saturating_add(1);
        let dates = [self.entry.date, other.date].into_iter().flatten();
        self.entry.date = match dated {
            Dated::Since => dates.min_by_key(|date| date.moment),
            Dated::Last => dates.max_by_key(|date| date.moment),
        };
    }

    fn into_row(self, dated: Dated) -> Row {
        let Entry { says: mut cells, date, status } = self.entry;
        let date = date.map(|date| match dated {
            Dated::Since => format!("since {}", date.date),
            Dated::Last => date.date.to_owned(),
        });
        let records = (self.records > 1).then(|| format!("{} records", self.records));
        let when: Vec<String> = date.into_iter().chain(records).collect();
        cells.push(when.join(", ").into());
        cells.push(status.join(", ").into());
        row(cells)
    }
}

/// A row without the empty cells at its end.
pub(super) fn row(mut cells: Vec<Value>) -> Row {
    while cells.last().is_some_and(|cell| cell == "") {
        cells.pop();
    }
    cells
}
