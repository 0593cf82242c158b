//! Tables, filled from resources.

use std::borrow::Cow;
use std::collections::HashSet;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use super::columns::{Field, Fields, Layout};
use super::json::Json;
use super::sandboxed::LONGEST_VALUE;
use super::time::utc;
use super::trouble::Trouble;
use crate::cleanse::FREE_TEXT;
use crate::page::Entry;

/// Resources of one type, and whether they are all that match.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) layout: Layout,
    pub(crate) resources: Vec<Entry>,
    pub(crate) complete: bool,
}

/// A table that was filled.
#[derive(Debug)]
pub(crate) struct Filled {
    /// How many rows it has.
    pub(crate) rows: usize,
    /// For each column, whether it holds anything.
    pub(crate) holds: Vec<bool>,
    /// For each column, in how many rows it holds the first of several.
    pub(crate) first_of_several: Vec<Several>,
}

/// Rows of which a column holds the first of several values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Several {
    pub(crate) rows: usize,
    /// Where they all are: `code.coding`.
    pub(crate) path: String,
}

/// Makes a table and fills it; each resource once.
///
/// # Errors
/// [`Trouble`]: out of memory, or a resource that cannot be read.
pub(super) fn fill(
    connection: &Connection,
    layout: &Layout,
    resources: Vec<Entry>,
    stop: &dyn Fn() -> bool,
) -> Result<Filled, Trouble> {
    connection.execute_batch(&layout.create()).map_err(Trouble::running)?;
    let columns = layout.names.len();
    let mut row = Row {
        insert: connection.prepare(&layout.insert()).map_err(Trouble::running)?,
        bound: vec![false; columns],
        holds: vec![false; columns],
        first_of_several: vec![Several::default(); columns],
        text: Vec::new(),
    };
    let mut seen: HashSet<String> = HashSet::with_capacity(resources.len());
    // Each resource is let go as soon as its row is there, so that not everything is held twice.
    for entry in resources {
        let text = entry.text().map_err(|_| Trouble::Unreadable)?;
        let resource: Json<'_> = serde_json::from_str(&text).map_err(|_| Trouble::Unreadable)?;
        let id = resource.get("id").and_then(Json::as_str).unwrap_or_default();
        if !id.is_empty() && !seen.insert(id.to_owned()) {
            continue;
        }
        if stop() {
            break;
        }
        row.add(layout, &resource, &text).map_err(Trouble::running)?;
    }
    Ok(Filled { rows: seen.len(), holds: row.holds, first_of_several: row.first_of_several })
}

/// The row that is being written.
struct Row<'c> {
    insert: Statement<'c>,
    bound: Vec<bool>,
    holds: Vec<bool>,
    first_of_several: Vec<Several>,
    text: Vec<u8>,
}

/// The way to a value: the elements that lead to it, and behind how many of them the first of several was taken.
#[derive(Clone, Copy, Default)]
struct Way<'n> {
    outer: Option<&'n str>,
    several: Option<usize>,
}

impl Row<'_> {
    /// Adds a resource, which has this text.
    fn add(&mut self, layout: &Layout, resource: &Json<'_>, text: &str) -> rusqlite::Result<()> {
        self.insert.clear_bindings();
        self.bound.fill(false);
        if let Json::Object(object) = resource {
            self.object(object, &layout.fields, Way::default())?;
        }
        self.bind(layout.names.len().saturating_sub(1), ValueRef::Text(text.as_bytes()))?;
        self.insert.raw_execute()?;
        Ok(())
    }

    /// Writes what is in an object, which may be the first of several.
    fn object(&mut self, object: &[(Cow<'_, str>, Json<'_>)], fields: &Fields, way: Way<'_>) -> rusqlite::Result<()> {
        for (name, value) in object {
            if let Some(field) = fields.get(name.as_ref()) {
                self.field(name, value, field, way)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, name: &str, value: &Json<'_>, field: &Field, mut way: Way<'_>) -> rusqlite::Result<()> {
        if let Some(column) = field.whole {
            self.json(column, value)?;
        }
        let depth = if way.outer.is_some() { 2 } else { 1 };
        let Some(first) = first(value, depth, &mut way.several) else { return Ok(()) };
        for leaf in &field.leaves {
            let mut several = way.several;
            if self.bound.get(leaf.column).is_some_and(|bound| !bound)
                && let Some(found) = at(first, leaf.path, depth, &mut several)
            {
                self.leaf(leaf.column, found, leaf.utc)?;
                if let Some(steps) = several {
                    let path = way.outer.into_iter().chain([name]).chain(leaf.path.iter().copied()).take(steps);
                    self.first_of_several(leaf.column, path);
                }
            }
        }
        match first {
            Json::Object(object) if !field.inside.is_empty() => {
                self.object(object, &field.inside, Way { outer: Some(name), ..way })
            }
            _ => Ok(()),
        }
    }

    /// Counts a row; of several places the shortest leads to all.
    fn first_of_several<'p>(&mut self, column: usize, path: impl Iterator<Item = &'p str>) {
        let Some(several) = self.first_of_several.get_mut(column) else { return };
        several.rows = several.rows.saturating_add(1);
        let path = path.collect::<Vec<_>>().join(".");
        if several.path.is_empty() || path.len() < several.path.len() {
            several.path = path;
        }
    }

    fn leaf(&mut self, column: usize, value: &Json<'_>, as_utc: bool) -> rusqlite::Result<()> {
        match value {
            Json::Text(text) if as_utc => match utc(text) {
                Some(moment) => self.bind(column, ValueRef::Text(moment.as_bytes())),
                None => Ok(()),
            },
            _ if as_utc => Ok(()),
            // A display may stand where a text was left out.
            Json::Text(text) if text == FREE_TEXT => Ok(()),
            Json::Text(text) => self.bind(column, ValueRef::Text(text.as_bytes())),
            Json::Flag(flag) => self.bind(column, ValueRef::Integer(i64::from(*flag))),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => self.bind(column, ValueRef::Integer(whole)),
                (None, Some(real)) => self.bind(column, ValueRef::Real(real)),
                (None, None) => Ok(()),
            },
            Json::Null => Ok(()),
            // Not what the definitions say; shown rather than dropped.
            Json::List(_) | Json::Object(_) => self.json(column, value),
        }
    }

    fn json(&mut self, column: usize, value: &Json<'_>) -> rusqlite::Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let written = serde_json::to_writer(&mut text, value).is_ok();
        let bound = if written { self.bind(column, ValueRef::Text(&text)) } else { Ok(()) };
        self.text = text;
        bound
    }

    /// What is longer than a statement may handle stays empty.
    fn bind(&mut self, column: usize, value: ValueRef<'_>) -> rusqlite::Result<()> {
        if matches!(value, ValueRef::Text(text) if text.len() > LONGEST_VALUE) {
            return Ok(());
        }
        for flags in [&mut self.bound, &mut self.holds] {
            if let Some(flag) = flags.get_mut(column) {
                *flag = true;
            }
        }
        self.insert.raw_bind_parameter(column.saturating_add(1), ToSqlOutput::Borrowed(value))
    }
}

/// What a path leads to, by the first of what repeats.
fn at<'v, 'a>(value: &'v Json<'a>, path: &[&str], depth: usize, several: &mut Option<usize>) -> Option<&'v Json<'a>> {
    let mut steps = path.iter().zip(depth.saturating_add(1)..);
    steps.try_fold(value, |value, (step, depth)| first(value.get(step)?, depth, several))
}

fn first<'v, 'a>(value: &'v Json<'a>, depth: usize, several: &mut Option<usize>) -> Option<&'v Json<'a>> {
    match value {
        Json::List(values) => {
            if values.len() > 1 {
                several.get_or_insert(depth);
            }
            values.first()
        }
        value => Some(value),
    }
}
