//! Tables, filled from resources.

use std::collections::HashSet;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};
use serde_json::{Map, Value};

use super::columns::{Field, Fields, Layout};
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
        let resource = entry.resource().map_err(|_| Trouble::Unreadable)?;
        let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
        if !id.is_empty() && !seen.insert(id.to_owned()) {
            continue;
        }
        if stop() {
            break;
        }
        row.add(layout, &resource, entry.clean_text()).map_err(Trouble::running)?;
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
    /// Adds a resource; with its text, where that need not be made anew.
    fn add(&mut self, layout: &Layout, resource: &Value, text: Option<&str>) -> rusqlite::Result<()> {
        self.insert.clear_bindings();
        self.bound.fill(false);
        if let Value::Object(object) = resource {
            self.object(object, &layout.fields, false)?;
        }
        let column = layout.names.len().saturating_sub(1);
        match text {
            Some(text) => self.bind(column, ValueRef::Text(text.as_bytes()))?,
            None => self.json(column, resource)?,
        }
        self.insert.raw_execute()?;
        Ok(())
    }

    /// Writes what is in an object, which may be the first of several.
    fn object(&mut self, object: &Map<String, Value>, fields: &Fields, several: bool) -> rusqlite::Result<()> {
        for (name, value) in object {
            if let Some(field) = fields.get(name) {
                self.field(value, field, several)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, value: &Value, field: &Field, mut several: bool) -> rusqlite::Result<()> {
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
            Value::Object(object) if !field.inside.is_empty() => self.object(object, &field.inside, several),
            _ => Ok(()),
        }
    }

    fn leaf(&mut self, column: usize, value: &Value, as_utc: bool) -> rusqlite::Result<()> {
        match value {
            Value::String(text) if as_utc => match utc(text) {
                Some(moment) => self.bind(column, ValueRef::Text(moment.as_bytes())),
                None => Ok(()),
            },
            _ if as_utc => Ok(()),
            Value::String(text) => self.bind(column, ValueRef::Text(text.as_bytes())),
            Value::Bool(flag) => self.bind(column, ValueRef::Integer(i64::from(*flag))),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => self.bind(column, ValueRef::Integer(whole)),
                (None, Some(real)) => self.bind(column, ValueRef::Real(real)),
                (None, None) => Ok(()),
            },
            Value::Null => Ok(()),
            // Not what the definitions say; shown rather than dropped.
            Value::Array(_) | Value::Object(_) => self.json(column, value),
        }
    }

    fn json(&mut self, column: usize, value: &Value) -> rusqlite::Result<()> {
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
fn at<'v>(value: &'v Value, path: &[&str], several: &mut bool) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| first(value.get(step)?, several))
}

fn first<'v>(value: &'v Value, several: &mut bool) -> Option<&'v Value> {
    match value {
        Value::Array(values) => {
            *several |= values.len() > 1;
            values.first()
        }
        value => Some(value),
    }
}
