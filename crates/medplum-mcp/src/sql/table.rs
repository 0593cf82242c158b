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
    /// For each column, whether it holds the first of several in some row.
    pub(crate) first_of_several: Vec<bool>,
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
        first_of_several: vec![false; columns],
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
    first_of_several: Vec<bool>,
    text: Vec<u8>,
}

impl Row<'_> {
    /// Adds a resource, which has this text.
    fn add(&mut self, layout: &Layout, resource: &Json<'_>, text: &str) -> rusqlite::Result<()> {
        self.insert.clear_bindings();
        self.bound.fill(false);
        if let Json::Object(object) = resource {
            self.object(object, &layout.fields, false)?;
        }
        self.bind(layout.names.len().saturating_sub(1), ValueRef::Text(text.as_bytes()))?;
        self.insert.raw_execute()?;
        Ok(())
    }

    /// Writes what is in an object, which may be the first of several.
    fn object(&mut self, object: &[(Cow<'_, str>, Json<'_>)], fields: &Fields, several: bool) -> rusqlite::Result<()> {
        for (name, value) in object {
            if let Some(field) = fields.get(name.as_ref()) {
                self.field(value, field, several)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, value: &Json<'_>, field: &Field, mut several: bool) -> rusqlite::Result<()> {
        if let Some(column) = field.whole {
            self.json(column, value)?;
        }
        let Some(first) = first(value, &mut several) else { return Ok(()) };
        for leaf in &field.leaves {
            let mut several = several;
            if self.bound.get(leaf.column).is_some_and(|bound| !bound)
                && let Some(found) = at(first, leaf.path, &mut several)
            {
                self.leaf(leaf.column, found, leaf.utc)?;
                if let Some(flag) = self.first_of_several.get_mut(leaf.column) {
                    *flag |= several;
                }
            }
        }
        match first {
            Json::Object(object) if !field.inside.is_empty() => self.object(object, &field.inside, several),
            _ => Ok(()),
        }
    }

    fn leaf(&mut self, column: usize, value: &Json<'_>, as_utc: bool) -> rusqlite::Result<()> {
        match value {
            Json::Text(text) if as_utc => match utc(text) {
                Some(moment) => self.bind(column, ValueRef::Text(moment.as_bytes())),
                None => Ok(()),
            },
            _ if as_utc => Ok(()),
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
fn at<'v, 'a>(value: &'v Json<'a>, path: &[&str], several: &mut bool) -> Option<&'v Json<'a>> {
    path.iter().try_fold(value, |value, step| first(value.get(step)?, several))
}

fn first<'v, 'a>(value: &'v Json<'a>, several: &mut bool) -> Option<&'v Json<'a>> {
    match value {
        Json::List(values) => {
            *several |= values.len() > 1;
            values.first()
        }
        value => Some(value),
    }
}
