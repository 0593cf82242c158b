//! Searches: a page, the one that matches, all that match.

use std::sync::Arc;

use medplum_client::{Query, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::cursor::Position;
use crate::answer::fields::Fields;
use crate::answer::lean::Shown;
use crate::answer::{Answer, Page, View};
use crate::context::{Context, resource_type};
use crate::failure::Failure;
use crate::page::{Entry, Found};
use crate::search::zeros::Zero;
use crate::search::{LARGEST_PAGE, LAST_OFFSET, NO_FURTHER, Search, at_offset, by_time, in_full_order};
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

/// The most resources that one walk collects.
const MOST_RESOURCES: usize = 50_000;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct SearchResources {
    resource_type: String,
    /// {"patient":"Patient/<id>","date":["ge2024-01-01","lt2025-01-01"]}: a list is AND, a comma OR
    params: Option<Map<String, Value>>,
    count: Option<i64>,
    offset: Option<i64>,
    /// -date: newest first
    sort: Option<String>,
    /// Observation:subject
    include: Option<OneOrMany>,
    revinclude: Option<OneOrMany>,
    summary: Option<Summary>,
    total: Option<Total>,
    count_only: Option<bool>,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Summary {
    True,
    Text,
    Data,
    Count,
    False,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Total {
    None,
    Estimate,
    Accurate,
}

impl Summary {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Text => "text",
            Self::Data => "data",
            Self::Count => "count",
            Self::False => "false",
        }
    }
}

impl Total {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Estimate => "estimate",
            Self::Accurate => "accurate",
        }
    }
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Run for SearchResources {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "search_resources",
        toolset: Toolset::Search,
        title: "Search FHIR Resources",
        description: "One page of matches. Search by identifier, code and reference rather than by name.",
        when: "find resources, a page at a time; count_only for how many",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = resource_type(&self.resource_type)?;
        let mut query = to_query(self.params)?;
        let included = self.include.is_some() || self.revinclude.is_some();
        let of = shown_types(resource_type.as_str(), &query, included);
        let view = view(cx, of, self.fields, self.narrative)?;
        whole_number("count", self.count, LARGEST_PAGE, "_count", &mut query)?;
        whole_number("offset", self.offset, LAST_OFFSET, "_offset", &mut query)?;
        for (argument, key, value) in [
            ("sort", "_sort", self.sort),
            ("summary", "_summary", self.summary.map(|s| s.as_str().to_owned())),
            ("total", "_total", self.total.map(|t| t.as_str().to_owned())),
        ] {
            push_once(argument, key, value, &mut query)?;
        }
        if self.count_only == Some(true) || query.get("_count") == Some("0") {
            return count_only(cx, resource_type, query).await;
        }
        for (key, values) in [("_include", self.include), ("_revinclude", self.revinclude)] {
            query.extend(values.map(OneOrMany::into_vec).unwrap_or_default().into_iter().map(|value| (key, value)));
        }
        ask_for_fields(resource_type.as_str(), view.fields.as_ref(), &mut query);
        if query.get("_summary") == Some("count") {
            return counted(Search::new(cx, resource_type, query).await?, cx).await;
        }
        let page = match by_time(&query) {
            true => page_by_time(cx, resource_type, query, self.cursor.as_deref()).await,
            false => page_by_offset(cx, resource_type, query, self.cursor.as_deref()).await,
        };
        let (page, note) = page?;
        Ok(Answer::page(page).view(view).note(note))
    }
}

/// A page in Medplum's own order of time, which goes on without losing what others write meanwhile.
async fn page_by_time(
    cx: &Context<'_>,
    resource_type: ResourceType,
    query: Query,
    cursor: Option<&str>,
) -> Result<(Page, String), Failure> {
    let from = cx.open(cursor)?;
    let most = query.get("_count").and_then(|count| count.parse().ok());
    let search = Search::new(cx, resource_type, query).await?;
    let zero = search.zero();
    let first = from.is_none();
    let walk = search.page_by_time(cx, most, from).await?;
    let note = if walk.matched > 0 { String::new() } else { none_here(first, zero, cx).await };
    let mut page = walk.into_page(cx);
    if first && page.entries.is_empty() {
        page.total = Some(0);
    }
    Ok((page, note))
}

async fn none_here(first: bool, zero: Zero, cx: &Context<'_>) -> String {
    if first { zero.explain(cx).await } else { "No more match.".into() }
}

/// A page in the caller's order, by offset: that is all that Medplum has for one.
async fn page_by_offset(
    cx: &Context<'_>,
    resource_type: ResourceType,
    mut query: Query,
    cursor: Option<&str>,
) -> Result<(Page, String), Failure> {
    let before = go_on(cx, cursor, &mut query)?;
    let search = Search::new(cx, resource_type, in_full_order(query)).await?;
    let found = search.page(cx).await?;
    let none = found.matches().next().is_none();
    let note = if none { none_here(before == 0, search.zero(), cx).await } else { String::new() };
    if is_beyond_offsets(&found, before) {
        cx.missing(NO_FURTHER);
    }
    let mut page = page_of(found, before);
    // No page at all is none of anything.
    if none && before == 0 {
        page.total = Some(0);
    }
    Ok((page, note))
}

/// How many match, and nothing else: but a zero says what it may come from, for it is what a person is told.
async fn count_only(cx: &Context<'_>, resource_type: ResourceType, query: Query) -> Result<Answer, Failure> {
    let mut query: Query =
        query.iter().filter(|(key, _)| !["_count", "_offset", "_sort", "_total", "_summary"].contains(key)).collect();
    query.push("_summary", "count");
    counted(Search::new(cx, resource_type, query).await?, cx).await
}

async fn counted(search: Search, cx: &Context<'_>) -> Result<Answer, Failure> {
    let total = search.page(cx).await?.total;
    let Some(total) = total else { return Err(Failure::teach("Medplum did not count the matches")) };
    let note = if total == 0 { search.zero().explain(cx).await } else { String::new() };
    Ok(Answer::json(json!({ "resourceType": "Bundle", "type": "searchset", "total": total })).note(note))
}

/// Where the page starts: where the cursor says, or the offset.
fn go_on(cx: &Context<'_>, cursor: Option<&str>, query: &mut Query) -> Result<usize, Failure> {
    let asked = query.get("_offset").and_then(|offset| offset.parse().ok()).unwrap_or_default();
    let Some(position) = cx.open(cursor)? else { return Ok(asked) };
    let Position::Offset(offset) = position else { return Ok(asked) };
    *query = std::mem::take(query).without("_offset").with("_offset", offset.to_string());
    Ok(offset)
}

/// A page as an answer: it goes on behind the matches that were shown.
fn page_of(found: Found, before: usize) -> Page {
    let (more, total) = (found.has_next, found.total);
    let entries = Arc::<[Entry]>::from(found.entries);
    let all = Arc::clone(&entries);
    let after = move |shown: usize| {
        let matched = all.iter().take(shown).filter(|entry| entry.is_match()).count();
        let left = all.iter().skip(shown).any(Entry::is_match);
        at_offset(before.saturating_add(matched)).filter(|_| more || left)
    };
    Page { entries, total, before: Some(before), after: Box::new(after) }
}

/// Whether more match than Medplum gives by offset.
fn is_beyond_offsets(found: &Found, before: usize) -> bool {
    found.has_next && at_offset(before.saturating_add(found.matches().count())).is_none()
}

/// What stands for all types.
pub(super) const ANY_TYPE: &str = "Resource";

/// How the matches are shown.
pub(super) fn view(
    cx: &Context<'_>,
    resource_type: &str,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
) -> Result<View, Failure> {
    let fields = fields.filter(|fields| !fields.is_empty());
    let mut fields = fields.map(|fields| Fields::parse(&fields, cx.time_of_day())).transpose()?;
    if let Some(fields) = &fields {
        fields.check(&[resource_type])?;
    }
    if resource_type == ANY_TYPE {
        fields = fields.map(Fields::of_several).transpose()?;
    }
    Ok(View { fields, shown: Shown { narrative: narrative == Some(true), ..Shown::default() }, ..View::default() })
}

/// The types that a search's fields can be of: any, where resources are included.
fn shown_types<'t>(resource_type: &'t str, query: &Query, included: bool) -> &'t str {
    if included || query.iter().any(|(key, _)| includes(key)) { ANY_TYPE } else { resource_type }
}

/// Whether a parameter brings resources of other types.
pub(super) fn includes(key: &str) -> bool {
    key.starts_with("_include") || key.starts_with("_revinclude")
}

/// Asks Medplum for the elements alone that a table needs, where that cannot lose anything. A table says itself what it
/// needs: what else would shape the resources is left out, so that no cell is empty for it.
pub(super) fn ask_for_fields(resource_type: &str, fields: Option<&Fields>, query: &mut Query) {
    let Some(fields) = fields else { return };
    *query = query.iter().filter(|(key, value)| !(SHAPES.contains(key) && *value != "count")).collect();
    let other = query.iter().any(|(key, _)| includes(key) || key == "_summary");
    if let (Some(needed), false) = (fields.elements(resource_type), other) {
        query.push("_fields", if needed.is_empty() { "id".to_owned() } else { needed.join(",") });
    }
}

/// Parameters that say what of the resources comes.
const SHAPES: &[&str] = &["_fields", "_elements", "_summary"];

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct SearchOne {
    resource_type: String,
    params: Option<Map<String, Value>>,
    sort: Option<String>,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
}

impl Run for SearchOne {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "search_one",
        toolset: Toolset::Search,
        title: "Search Single FHIR Resource",
        description: "The first match, or null; says when others match too. With sort: the first or last one.",
        when: "find one resource, by its identifier",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = resource_type(&self.resource_type)?;
        let view = view(cx, resource_type.as_str(), self.fields, self.narrative)?;
        let mut query = to_query(self.params)?;
        let sorted = self.sort.is_some();
        push_once("sort", "_sort", self.sort, &mut query)?;
        ask_for_fields(resource_type.as_str(), view.fields.as_ref(), &mut query);
        // Two, to tell the only match from the first of several; a count alone would be none.
        query =
            query.iter().filter(|(key, value)| *key != "_count" && (*key, *value) != ("_summary", "count")).collect();
        query.push("_count", "2");
        let search = Search::new(cx, resource_type, query).await?;
        let found = search.page(cx).await?;
        let several = found.matches().count() > 1 || found.has_next;
        let first = found.matches().next().map(Entry::resource).transpose()?;
        Ok(match first {
            None => Answer::json(Value::Null).note(search.zero().explain(cx).await),
            Some(resource) if several && !sorted => Answer::json(resource).view(view).note(
                "Others match too; this is one of them, in no order. Narrow it to an identifier, give sort, or list them with search_resources.",
            ),
            Some(resource) => Answer::json(resource).view(view),
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct SearchAllResources {
    resource_type: String,
    params: Option<Map<String, Value>>,
    #[serde(default = "fifty")]
    max_resources: i64,
    sort: Option<String>,
    count_only: Option<bool>,
    fields: Option<Vec<String>>,
    narrative: Option<bool>,
    cursor: Option<String>,
}

fn fifty() -> i64 {
    50
}

impl Run for SearchAllResources {
    const LARGE: bool = true;

    const FACTS: Facts = Facts {
        name: "search_all_resources",
        toolset: Toolset::Search,
        title: "Search All FHIR Resources",
        description: "All matches, up to max_resources.",
        when: "all matches in one answer",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let resource_type = resource_type(&self.resource_type)?;
        let most = usize::try_from(self.max_resources).ok().filter(|n| (1..=MOST_RESOURCES).contains(n));
        let Some(most) = most else {
            return Err(Failure::teach(format!("max_resources must be from 1 to {MOST_RESOURCES}. Nothing was sent.")));
        };
        let mut query = to_query(self.params)?;
        let of = shown_types(resource_type.as_str(), &query, false);
        let view = view(cx, of, self.fields, self.narrative)?;
        push_once("sort", "_sort", self.sort, &mut query)?;
        if self.count_only == Some(true) || query.get("_count") == Some("0") {
            return count_only(cx, resource_type, query).await;
        }
        let from = cx.open(self.cursor.as_deref())?;
        ask_for_fields(resource_type.as_str(), view.fields.as_ref(), &mut query);
        let search = Search::new(cx, resource_type, query).await?;
        let zero = search.zero();
        let first = from.is_none();
        let walk = search.walk_from(cx, most, from).await?;
        let note = if walk.matched == 0 { none_here(first, zero, cx).await } else { String::new() };
        Ok(Answer::page(walk.into_page(cx)).view(view).note(note))
    }
}

/// Search parameters as a query. A list repeats the key.
///
/// # Errors
/// [`Failure`] for null and for objects: leaving a filter out would answer for everyone.
pub(super) fn to_query(params: Option<Map<String, Value>>) -> Result<Query, Failure> {
    let mut query = Query::new();
    for (key, value) in params.unwrap_or_default() {
        if key.trim().is_empty() {
            return Err(Failure::teach("params: a name is empty. Nothing was sent."));
        }
        if key == "_cursor" {
            return Err(Failure::teach(
                "params: _cursor is Medplum's own. Pass what the notes call next as cursor. Nothing was sent.",
            ));
        }
        push_value(&key, &value, &mut query)?;
    }
    Ok(query)
}

fn push_value(key: &str, value: &Value, query: &mut Query) -> Result<(), Failure> {
    let wrong = |what: &str| {
        Failure::teach(format!(
            "params: \"{key}\" is {what}. Give a string, a number, true or false, or a list of those (AND). Nothing was sent."
        ))
    };
    match value {
        Value::String(text) => {
            query.try_push(key, text).map_err(|_| wrong("a text with a control character"))?;
        }
        Value::Number(number) => query.push(key, number.to_string()),
        Value::Bool(flag) => query.push(key, flag.to_string()),
        Value::Array(values) if values.is_empty() => return Err(wrong("an empty list")),
        Value::Array(values) => {
            for value in values {
                if value.is_array() {
                    return Err(wrong("a list of lists"));
                }
                push_value(key, value, query)?;
            }
        }
        Value::Null => return Err(wrong("null; leave it out to search without it")),
        Value::Object(_) => return Err(wrong("an object")),
    }
    Ok(())
}

fn whole_number(argument: &str, value: Option<i64>, most: usize, key: &str, query: &mut Query) -> Result<(), Failure> {
    if value.is_some_and(|n| usize::try_from(n).map_or(true, |n| n > most)) {
        return Err(Failure::teach(format!("{argument} must be from 0 to {most}. Nothing was sent.")));
    }
    push_once(argument, key, value.map(|n| n.to_string()), query)
}

/// An argument and its parameter are the same thing said twice: only one of them may be there.
fn push_once(argument: &str, key: &str, value: Option<String>, query: &mut Query) -> Result<(), Failure> {
    let Some(value) = value else {
        return Ok(());
    };
    if query.get(key).is_some() {
        return Err(Failure::teach(format!(
            "{argument} and params.{key} say the same thing: pass one of them. Nothing was sent."
        )));
    }
    query.push(key, value);
    Ok(())
}
