//! Resources, a page or several of them: as many as fit, and how to go on behind them.

use std::sync::Arc;

use serde_json::Value;

use super::cursor::Position;
use super::{CUT_NOTE, Fitted, Limits, PRUNE_NOTE, View, blank, fit, lean, left_out, visible};
use crate::failure::Failure;
use crate::page::Entry;

/// The room for an entry that is cut itself, whatever else is said.
const SMALLEST_ENTRY: usize = 260;

/// Entries of a searchset, and what is known of the rest.
pub struct Page {
    /// The entries, matches and what they include.
    pub entries: Arc<[Entry]>,
    /// How many the server counted, if it was asked.
    pub total: Option<u64>,
    /// How many matches were shown before these; none if some were and nobody knows how many.
    pub before: Option<usize>,
    /// Where the answer goes on after so many of these entries; none if nothing is behind them.
    pub after: Box<dyn Fn(usize) -> Option<Position> + Send>,
}

/// What of a page is shown.
struct Seen {
    /// How many entries.
    shown: usize,
    /// How many of them match.
    matches: usize,
    /// What the last match includes and did not fit.
    includes_left: usize,
}

impl Page {
    fn seen(&self, shown: usize) -> Seen {
        // What stands behind another match comes with it.
        let includes_left = self.entries.iter().skip(shown).take_while(|entry| !entry.is_match()).count();
        Seen { shown, matches: self.matches(shown), includes_left }
    }

    fn matches(&self, of: usize) -> usize {
        self.entries.iter().take(of).filter(|entry| entry.is_match()).count()
    }
}

/// As many entries as fit.
///
/// # Errors
/// [`Failure`] for a resource that cannot be read or a field that cannot be worked out.
pub(super) fn block(page: &Page, view: &View, room: usize, limits: &Limits<'_>) -> Result<Fitted, Failure> {
    let (head, tail) = frame(page, view);
    let room = room.saturating_sub(head.chars().count()).saturating_sub(tail.len());
    let items = items(page, view, room)?;
    let framed = |items: &[String]| format!("{head}{}{tail}", items.join(","));
    if items.len() == page.entries.len() && fit::how_many(&items, room) == items.len() {
        return Ok(Fitted { block: framed(&items), note: note(page, &page.seen(items.len()), limits) });
    }
    // How long the cursor is depends on where it stands.
    let mut reserved = CUT_NOTE;
    loop {
        let shown = fit::how_many(&items, room.saturating_sub(reserved));
        let Some(first) = page.entries.first().filter(|_| shown == 0) else {
            let said = note(page, &page.seen(shown), limits);
            let length = said.as_ref().map_or(0, |said| said.chars().count());
            if length <= reserved {
                return Ok(Fitted { block: framed(items.get(..shown).unwrap_or_default()), note: said });
            }
            reserved = length;
            continue;
        };
        let said = note(page, &page.seen(1), limits);
        let length = said.as_ref().map_or(0, |said| said.chars().count());
        if fit::how_many(&items, room.saturating_sub(length)) > 0 {
            return Ok(Fitted { block: framed(items.get(..1).unwrap_or_default()), note: said });
        }
        // It is too large alone: it is cut, so that what is behind it can be reached.
        let left = room.saturating_sub(length.saturating_add(1)).saturating_sub(PRUNE_NOTE).max(SMALLEST_ENTRY);
        let (item, cut) = cut_item(first, view, left)?;
        let said = said.map_or(String::new(), |said| format!(" {said}"));
        return Ok(Fitted { block: framed(&[item]), note: Some(format!("{cut}{said}")) });
    }
}

/// The entries as they are shown, until there are more than fit: only what may be shown is read at all.
fn items(page: &Page, view: &View, room: usize) -> Result<Vec<String>, Failure> {
    let mut items: Vec<String> = Vec::new();
    let mut used = 0_usize;
    for entry in page.entries.iter() {
        let item = item(entry, view)?;
        used = used.saturating_add(item.chars().count()).saturating_add(1);
        items.push(item);
        if used > room.saturating_add(1) {
            break;
        }
    }
    Ok(items)
}

/// What stands before the entries of a page, and behind them.
fn frame(page: &Page, view: &View) -> (String, &'static str) {
    if let Some(fields) = &view.fields {
        return (format!("{{\"columns\":{},\"rows\":[", visible(fields.columns().into())), "]}");
    }
    let mut head = "{\"resourceType\":\"Bundle\",\"type\":\"searchset\"".to_owned();
    if let Some(total) = page.total {
        head.push_str(&format!(",\"total\":{total}"));
    }
    if page.entries.is_empty() {
        return (head, "}");
    }
    head.push_str(",\"entry\":[");
    (head, "]}")
}

/// An entry as it is shown: a row, or its lean resource.
fn item(entry: &Entry, view: &View) -> Result<String, Failure> {
    match &view.fields {
        Some(fields) => Ok(visible(fields.row(&entry.resource()?)?.into()).to_string()),
        None => Ok(in_bundle(entry, &entry.lean(view.shown)?)),
    }
}

fn in_bundle(entry: &Entry, resource: &str) -> String {
    let included = if entry.is_match() { "" } else { "\"search\":{\"mode\":\"include\"}," };
    format!("{{{included}\"resource\":{resource}}}")
}

/// An entry that does not fit alone: without its largest branches or cells, and which they were.
fn cut_item(entry: &Entry, view: &View, room: usize) -> Result<(String, String), Failure> {
    let mut resource = entry.resource()?;
    if let Some(fields) = &view.fields {
        let mut row: Vec<Value> = fields.row(&resource)?;
        let note = blank(&mut row, &fields.columns(), room);
        return Ok((visible(row.into()).to_string(), note));
    }
    lean::lean(&mut resource, view.shown);
    let cut = fit::prune(&mut resource, room);
    let note = format!("{} is too large alone. {}", entry.name(), left_out(&cut));
    Ok((in_bundle(entry, &resource.to_string()), note))
}

/// What is here of how many, and how to go on. Nothing is said where everything is here.
fn note(page: &Page, seen: &Seen, limits: &Limits<'_>) -> Option<String> {
    let left = match seen.includes_left {
        0 => String::new(),
        1 => " 1 resource that the last match includes did not fit: search for it by itself.".into(),
        n => format!(" {n} resources that the last match includes did not fit: search for them by themselves."),
    };
    let Some(next) = (page.after)(seen.shown) else {
        let here = page.matches(page.entries.len());
        let cut = match here.saturating_sub(seen.matches) {
            0 => String::new(),
            _ => format!("{} of {here} fit: narrow the search for the others.", seen.matches),
        };
        return Some(format!("{cut}{left}").trim_start().to_owned()).filter(|said| !said.is_empty());
    };
    let (cursor, count) = ((limits.seal)(&next), count(page, seen));
    if cursor.len() > limits.budget / 2 {
        return Some(format!(
            "{count}, all of one instant, which no cursor of this budget can tell apart: call again with sort: _id.{left}"
        ));
    }
    Some(format!("{count}. next: {cursor} (pass as cursor, with the same arguments).{left}"))
}

/// What is shown of what was fetched or is known to be there.
fn count(page: &Page, seen: &Seen) -> String {
    let here = page.matches(page.entries.len());
    let fetched_all = (page.after)(page.entries.len()).is_none();
    let shown = seen.matches;
    let range = match page.before {
        Some(before @ 1..) => format!("{} to {}", before.saturating_add(1), before.saturating_add(shown)),
        _ => shown.to_string(),
    };
    match (page.total, page.before) {
        (Some(total), _) => format!("{range} of {total}"),
        (None, Some(before)) if fetched_all => format!("{range} of {}", before.saturating_add(here)),
        (None, None) if fetched_all => format!("{range} of the {here} that were left"),
        (None, _) if shown < here => format!("{range} shown, of {here} fetched; more match"),
        (None, _) => format!("{range} shown; more match"),
    }
}
