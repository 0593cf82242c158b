//! What an agent gets: the record first, pure; then, if there is anything to say, one short block of our own words.
//!
//! ```text
//! record (cleansed already) ─▶ project (fields) or lean ─▶ fit (budget) ─▶ notes
//! ```

pub mod batch;
pub mod content;
pub mod cursor;
pub mod fields;
pub mod fit;
pub mod lean;
pub(crate) mod lean_text;
pub mod notes;
mod page;
mod paths;

use medplum_client::ResourceId;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use cursor::Position;
use fields::Fields;
use lean::Shown;
use notes::Notes;
pub use page::Page;

use crate::cleanse::{strip, strip_value};
use crate::flags::{self, Form};
use crate::page::Entry;
use crate::toolset::without_closed;

/// What the record may cost at the least, whatever the notes say.
const SMALLEST_RECORD: usize = 400;
/// Room for what is said of a cut.
const CUT_NOTE: usize = 250;
/// Room for what is said at the end, at the most.
const LAST_WORDS: usize = 240;
/// Room for what is said of branches that were left out.
const PRUNE_NOTE: usize = 450;

/// The answer to a call.
pub struct Answer {
    record: Record,
    view: View,
    notes: Notes,
}

enum Record {
    /// FHIR, or what else Medplum keeps as JSON.
    Json(Value),
    /// A resource that nobody has looked at yet.
    Resource(Entry),
    /// Resources, a page or several of them.
    Page(Page),
    /// A table of them.
    Table { columns: Vec<String>, rows: Vec<Vec<Value>> },
    /// Text as it is: a CSV, the content of a Binary.
    Text(String),
    /// A text of our own: a schema.
    Ours(String),
}

/// How the record is shown.
#[derive(Debug, Default)]
pub struct View {
    /// As a table of these.
    pub fields: Option<Fields>,
    /// What beyond the data.
    pub shown: Shown,
    /// As the server sent it.
    pub whole: bool,
    /// The Binary of which it is the content: `read_resource` brings its parts.
    pub content_of: Option<ResourceId>,
    /// As the most frequent of so many rows.
    pub most_frequent_of: Option<usize>,
}

/// What is said of a cut, once it is known where the record ends.
pub struct Limits<'a> {
    /// The characters that the answer may have.
    pub budget: usize,
    /// Whether a call may ask for more.
    pub may_raise: bool,
    /// The names of tools that are closed: the notes do not speak of them.
    pub closed: &'a [&'a str],
    /// Seals a position into a cursor.
    pub seal: &'a dyn Fn(&Position) -> String,
    /// What was left out of the record on its way: asked once all of it that is shown was read.
    pub left_out: &'a dyn Fn() -> Vec<String>,
}

impl Answer {
    fn of(record: Record) -> Self {
        Self { record, view: View::default(), notes: Notes::default() }
    }

    /// An answer of JSON, usually a resource.
    pub fn json(value: Value) -> Self {
        Self::of(Record::Json(value))
    }

    /// An answer of a resource as it came.
    pub fn resource(resource: Entry) -> Self {
        Self::of(Record::Resource(resource))
    }

    /// An answer of resources, page by page.
    pub fn page(page: Page) -> Self {
        Self::of(Record::Page(page))
    }

    /// A table: `{"columns":[…],"rows":[[…],…]}`.
    pub fn table(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Self {
        Self::of(Record::Table { columns, rows })
    }

    /// An answer of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Record::Text(text.into()))
    }

    /// An answer that says nothing of the record.
    pub fn ours(text: impl Into<String>) -> Self {
        Self::of(Record::Ours(text.into()))
    }

    /// The same answer, shown like this.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// The same answer as the server sent it: nothing left out but for the budget.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.view.whole = true;
        self
    }

    /// The same answer as the content of a Binary.
    #[must_use]
    pub fn content_of(mut self, binary: &ResourceId) -> Self {
        self.view.content_of = Some(binary.clone());
        self
    }

    /// The same table as the most frequent of so many rows: said if they are not all here.
    #[must_use]
    pub fn most_frequent_of(mut self, rows: usize) -> Self {
        self.view.most_frequent_of = Some(rows);
        self
    }

    /// The same answer with a sentence of ours behind it. An empty one is left out.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.add(note);
        self
    }

    /// The same answer with a sentence on what is missing from it, which is said before all others. An empty one is left
    /// out.
    #[must_use]
    pub fn missing(mut self, note: impl Into<String>) -> Self {
        self.notes.missing(note);
        self
    }

    /// The same answer with several more.
    #[must_use]
    pub fn notes(mut self, notes: Notes) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The content blocks: the record, projected and fitted, then the notes.
    ///
    /// # Errors
    /// A sentence for the agent, if a field cannot be worked out.
    pub fn into_result(self, limits: &Limits<'_>) -> Result<CallToolResult, crate::failure::Failure> {
        let Self { record, view, mut notes } = self;
        notes.add(view.fields.as_ref().map_or("", Fields::note));
        // However much is said, half of the budget is the record's.
        let said = notes.size().min(limits.budget / 2);
        let room = limits.budget.saturating_sub(said).saturating_sub(last_words(limits.budget));
        let form = match record {
            Record::Ours(_) => None,
            Record::Text(_) => Some(Form::Lines),
            _ => Some(Form::Json),
        };
        let fitted = match record {
            Record::Json(value) => json_block(value, &view, room, limits)?,
            Record::Resource(resource) => resource_block(&resource, &view, room, limits)?,
            Record::Page(page) => page::block(&page, &view, room, limits)?,
            Record::Table { columns, rows } => table_block(&columns, &rows, &view, room, limits),
            Record::Text(text) | Record::Ours(text) => text_block(text, room, view.content_of.as_ref(), limits),
        };
        (limits.left_out)().into_iter().for_each(|note| notes.missing(note));
        let mut notes = without_closed(&notes.into_text(fitted.note), limits.closed);
        let left = || limits.budget.saturating_sub(fitted.block.chars().count());
        let left_for_flag = || left().saturating_sub(notes.chars().count()).saturating_sub(1);
        if let Some(flag) = form.and_then(|form| flags::note(&fitted.block, form, left_for_flag)) {
            notes = if notes.is_empty() { flag } else { format!("{flag}\n{notes}") };
        }
        strip(&mut notes);
        let notes = (!notes.is_empty()).then(|| ContentBlock::text(clipped(notes, left())));
        let blocks = std::iter::once(ContentBlock::text(fitted.block)).chain(notes).collect();
        let mut result = CallToolResult::success(blocks);
        result.is_error = None;
        Ok(result)
    }
}

/// Room for what is known only once the record is there.
fn last_words(budget: usize) -> usize {
    (budget / 8).min(LAST_WORDS)
}

/// A record's text, and what was left out of it.
struct Fitted {
    block: String,
    note: Option<String>,
}

impl Fitted {
    fn whole(block: String) -> Self {
        Self { block, note: None }
    }
}

/// Whether a text has so many characters at the most.
fn fits(text: &str, room: usize) -> bool {
    text.len() <= room || text.chars().count() <= room
}

fn resource_block(
    resource: &Entry,
    view: &View,
    room: usize,
    limits: &Limits<'_>,
) -> Result<Fitted, crate::failure::Failure> {
    if view.fields.is_none() {
        let block = resource.lean(view.shown)?;
        if fits(&block, room) {
            return Ok(Fitted::whole(block));
        }
    }
    json_block(resource.resource()?, view, room, limits)
}

fn json_block(
    mut value: Value,
    view: &View,
    room: usize,
    limits: &Limits<'_>,
) -> Result<Fitted, crate::failure::Failure> {
    if let Some(fields) = view.fields.as_ref().filter(|_| value.is_object()) {
        let row = fields.row(&value)?;
        return Ok(table_block(&fields.columns(), &[row], view, room, limits));
    }
    if !view.whole {
        lean::lean(&mut value, view.shown);
    }
    let block = value.to_string();
    if fits(&block, room) {
        return Ok(Fitted::whole(block));
    }
    // What has `fields` can be asked for the rest of a resource.
    let is_resource = !view.whole && value.get("id").is_some() && value.get("resourceType").is_some();
    let cut = fit::prune(&mut value, room.saturating_sub(PRUNE_NOTE).max(SMALLEST_RECORD));
    let ask = cut.first().filter(|left| is_resource && !left.ask.is_empty());
    let rest = match (ask, &view.content_of) {
        (Some(left), _) => format!("The rest: fields, such as {}", left.ask),
        (None, Some(binary)) => {
            let length = room / 2;
            format!("As text, its first {length} characters: {}", part_of(binary, 0, length))
        }
        (None, None) => "Ask for less at once".to_owned(),
    };
    let note = format!("{} {rest}{}.", left_out(&cut), or_raise(limits));
    Ok(Fitted { block: value.to_string(), note: Some(note) })
}

/// A larger budget is no advice where there is none.
fn or_raise(limits: &Limits<'_>) -> &'static str {
    if limits.may_raise { ", or raise budget" } else { "" }
}

/// What was left out of a resource, by its path.
fn left_out(cut: &[fit::LeftOut]) -> String {
    let named: Vec<&str> = cut.iter().take(4).map(|left| left.what.as_str()).collect();
    let more = match cut.len().saturating_sub(named.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("Left out to fit: {}{more}.", named.join(", "))
}

/// Makes a row fit that does not fit alone, and says what was left out of it.
fn blank(row: &mut [Value], columns: &[String], room: usize) -> String {
    let cut = fit::blank(row, columns, room);
    let what: Vec<&str> = cut.iter().map(|left| left.what.as_str()).collect();
    let ask = cut.iter().find(|left| !left.ask.is_empty());
    let ask = ask.map(|left| format!(" Ask for a part: {}.", left.ask));
    format!("The row is too large; left out of it: {}.{}", what.join(", "), ask.unwrap_or_default())
}

fn table_block(columns: &[String], rows: &[Vec<Value>], view: &View, room: usize, limits: &Limits<'_>) -> Fitted {
    let head = format!("{{\"columns\":{},\"rows\":[", visible(columns.to_vec().into()));
    let items: Vec<String> = rows.iter().map(|row| visible(row.clone().into()).to_string()).collect();
    let frame = head.chars().count().saturating_add(2);
    let all = fit::how_many(&items, room.saturating_sub(frame));
    let shown = if all == items.len() {
        all
    } else {
        fit::how_many(&items, room.saturating_sub(frame).saturating_sub(CUT_NOTE))
    };
    if let (0, [first]) = (shown, rows) {
        let mut row = first.clone();
        let room = room.saturating_sub(frame).saturating_sub(PRUNE_NOTE).max(SMALLEST_RECORD);
        let note = blank(&mut row, columns, room);
        return Fitted { block: format!("{head}{}]}}", visible(row.into())), note: Some(note) };
    }
    let note = match view.most_frequent_of {
        Some(all) if shown < all => {
            Some(format!("The {shown} most frequent of {all}. The others: narrow params, such as by category or date."))
        }
        None if shown < items.len() => {
            Some(format!("{shown} of {} rows fit. Ask for fewer rows or columns{}.", items.len(), or_raise(limits)))
        }
        _ => None,
    };
    Fitted { block: format!("{head}{}]}}", items.get(..shown).unwrap_or_default().join(",")), note }
}

/// The call that brings a part of a Binary's content.
fn part_of(binary: &ResourceId, from: usize, length: usize) -> String {
    let fields = format!("data.substring({from},{length})");
    format!(
        "read_resource {}",
        json!({ "resource_type": "Binary", "resource_id": binary.as_str(), "fields": [fields] })
    )
}

fn text_block(text: String, room: usize, of: Option<&ResourceId>, limits: &Limits<'_>) -> Fitted {
    match fit::cut_text(&text, room) {
        None => Fitted::whole(text),
        Some(_) => {
            let start = fit::cut_text(&text, room.saturating_sub(CUT_NOTE).max(SMALLEST_RECORD)).unwrap_or_default();
            let shown = start.chars().count();
            // Half as much as was shown: in a table's cell a sign may become two.
            let rest = of.map(|binary| format!(" The rest: {}.", part_of(binary, shown, shown / 2)));
            let note = format!(
                "The first {shown} of {} characters.{}{}",
                text.chars().count(),
                rest.unwrap_or_default(),
                if limits.may_raise { " Raise budget for more." } else { "" }
            );
            Fitted { block: start.to_owned(), note: Some(note) }
        }
    }
}

/// A cell or a name of a table that an expression of the caller's has made.
fn visible(mut value: Value) -> Value {
    strip_value(&mut value);
    value
}

/// Notes are short; should they ever not be, the record still comes first.
fn clipped(notes: String, room: usize) -> String {
    if fits(&notes, room) { notes } else { notes.chars().take(room.saturating_sub(1)).chain(['…']).collect() }
}
