//! A search that asks what it means to ask, and a result that answers it.
//!
//! Medplum drops a modifier that it does not know, takes an empty value for no filter, and a day for its midnight. So
//! the parameters are looked at before they are sent, and what the server says it did is compared with them after.

use std::collections::HashSet;

use fhir_definitions::search::{Rewritten, check_with, compare_self};
use fhir_definitions::{Definitions, ParameterKind};
use medplum_client::{Interaction, Query, ResourceType};
use serde_json::Value;

use crate::answer::Page;
use crate::answer::cursor::Position;
use crate::context::Context;
use crate::failure::Failure;

/// The largest page that Medplum gives.
pub(crate) const LARGEST_PAGE: usize = 1_000;
/// Medplum refuses an offset beyond this.
pub(crate) const LAST_OFFSET: usize = 10_000;
/// A page, where nobody says how large.
const PAGE: usize = 20;
/// Medplum pages by a cursor from this size on.
const SMALLEST_CURSOR_PAGE: usize = 20;

/// A search that was looked at.
#[derive(Debug)]
pub(crate) struct Search {
    resource_type: ResourceType,
    query: Query,
    hints: Vec<String>,
}

impl Search {
    /// Looks at the parameters of a search. What was put right is noted.
    ///
    /// # Errors
    /// [`Failure`] with every fault and the nearest right form; nothing was searched.
    pub(crate) async fn new(cx: &Context<'_>, resource_type: ResourceType, query: Query) -> Result<Self, Failure> {
        let params: Vec<(String, String)> = query.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let rewritten = match check_with(resource_type.as_str(), &params, cx.kept_metadata().as_deref()) {
            Ok(rewritten) => rewritten,
            Err(_) => recheck(cx, &resource_type, &params).await?,
        };
        for note in rewritten.notes {
            cx.note(note);
        }
        Ok(Self { resource_type, query: rewritten.params.into_iter().collect(), hints: rewritten.hints })
    }

    /// One page.
    ///
    /// # Errors
    /// [`Failure`] if the search fails, or if Medplum did something else than it was asked.
    pub(crate) async fn page(&self, cx: &Context<'_>) -> Result<Value, Failure> {
        let bundle = cx.ask(&self.interaction()).await?.into_json();
        self.obeyed(&bundle)?;
        Ok(bundle)
    }

    /// All pages, until so many matches are there: each resource once.
    ///
    /// It walks by Medplum's cursor where the caller has no order of its own, because pages by offset lose and repeat
    /// records while others write; with the id behind the caller's order where there is one.
    ///
    /// # Errors
    /// As [`Search::page`].
    pub(crate) async fn walk(self, cx: &Context<'_>, most: usize) -> Result<Walk, Failure> {
        self.walk_from(cx, most, None).await
    }

    /// One page in Medplum's order of time, from where an earlier one ended.
    ///
    /// # Errors
    /// As [`Search::page`].
    pub(crate) async fn page_by_time(
        mut self,
        cx: &Context<'_>,
        most: Option<usize>,
        from: Option<Position>,
    ) -> Result<Walk, Failure> {
        let mut walk = Walk { most: most.unwrap_or(PAGE), by_time: true, ..Walk::default() };
        if self.query.get("_sort").is_none() {
            self.query.push("_sort", "_lastUpdated");
        }
        if let Some(Position::Since(instant, seen)) = from {
            self.query.push("_lastUpdated", format!("ge{instant}"));
            // Those of that instant that were shown come again, and take no place of the others.
            let count = walk.most.saturating_add(seen.len()).min(LARGEST_PAGE);
            self.query = self.query.iter().filter(|(key, _)| *key != "_count").collect();
            self.query.push("_count", count.to_string());
            walk.shown = seen.into_iter().collect();
            walk.since = Some(instant);
        }
        let bundle = self.page(cx).await?;
        let has_next = link(&bundle, "next").is_some();
        walk.take(bundle, cx);
        walk.more |= has_next;
        Ok(walk)
    }

    /// The same as [`Search::walk`], from where an earlier walk ended.
    ///
    /// # Errors
    /// As [`Search::page`].
    pub(crate) async fn walk_from(
        mut self,
        cx: &Context<'_>,
        most: usize,
        from: Option<Position>,
    ) -> Result<Walk, Failure> {
        let by_time = by_time(&self.query);
        let mut walk = Walk { most, by_time, ..Walk::default() };
        self.query = walk_query(self.query, most, by_time);
        match from {
            Some(Position::Since(instant, seen)) => {
                self.query.push("_lastUpdated", format!("ge{instant}"));
                walk.shown = seen.into_iter().collect();
                walk.since = Some(instant);
            }
            Some(Position::Offset(offset)) => {
                self.query.push("_offset", offset.to_string());
                walk.before = offset;
            }
            None => {}
        }
        let mut bundle = self.page(cx).await?;
        let mut asked = self.interaction();
        loop {
            let next = cx.next_page(&bundle)?;
            let before = walk.entries.len();
            let wants_more = walk.take(bundle, cx);
            let stands_still = next.as_ref() == Some(&asked) || (before > 0 && walk.entries.len() == before);
            if let Some(next) = &next {
                asked = next.clone();
            }
            match next.filter(|_| wants_more) {
                Some(_) if stands_still => {
                    cx.note("Medplum's link to the next page leads nowhere new: there may be more than this.");
                    walk.more = true;
                    return Ok(walk);
                }
                Some(next) if beyond_last_offset(&next) => {
                    cx.note("Medplum gives no page beyond offset 10000 in an order of the caller's: leave sort out to walk further.");
                    walk.more = true;
                    return Ok(walk);
                }
                Some(next) => bundle = cx.ask(&next).await?.into_json(),
                None => return Ok(walk),
            }
        }
    }

    /// What to try where nothing matches: a hint for each parameter that was used.
    pub(crate) fn no_match(&self) -> String {
        let mut hints = self.hints.clone();
        for (key, _) in self.query.iter() {
            let code = key.split([':', '.']).next().unwrap_or(key);
            let hint = self.hint(code).filter(|hint| !hints.contains(hint));
            hints.extend(hint);
        }
        let none = format!("No {} matches.", self.resource_type);
        std::iter::once(none).chain(hints).collect::<Vec<_>>().join(" ")
    }

    fn hint(&self, code: &str) -> Option<String> {
        let definitions = Definitions::get();
        let info = definitions.resource_type(self.resource_type.as_str())?;
        let parameter = definitions.search_parameter(info, code)?;
        Some(match (code, parameter.kind) {
            ("_id" | "_lastUpdated", _) => return None,
            ("identifier", _) => "identifier is matched whole: system|value.".into(),
            ("code", ParameterKind::Token) => "list_codes shows the codes that there are.".into(),
            (_, ParameterKind::String) => format!("{code} matches the start of a word."),
            (_, ParameterKind::Reference) => "A reference is written Type/<id>.".into(),
            _ => return None,
        })
    }

    /// The parameters as they are sent.
    pub(crate) fn query(&self) -> Query {
        self.query.clone()
    }

    /// A search that was not looked at, only to be compared with its result.
    pub(crate) fn as_it_is(resource_type: ResourceType, query: Query) -> Self {
        Self { resource_type, query, hints: Vec::new() }
    }

    /// The search as it is sent.
    pub(crate) fn interaction(&self) -> Interaction {
        Interaction::search(self.resource_type.clone(), self.query.clone())
    }

    /// Compares what was asked with what the server's own link says that it did.
    pub(crate) fn obeyed(&self, bundle: &Value) -> Result<(), Failure> {
        let Some(done) = link(bundle, "self") else {
            return Ok(());
        };
        let asked: Vec<(String, String)> = self.query.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let dropped = compare_self(&asked, done);
        if dropped.is_empty() {
            return Ok(());
        }
        let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
        Err(Failure::teach(format!(
            "{} The result answers another question, and was thrown away. get_resource_capabilities lists the parameters and modifiers of {}.",
            dropped.join(" "),
            self.resource_type
        )))
    }
}

/// A newer server may know more than the definitions: it is asked before a parameter is refused.
async fn recheck(
    cx: &Context<'_>,
    resource_type: &ResourceType,
    params: &[(String, String)],
) -> Result<Rewritten, Failure> {
    let statement = cx.metadata().await.ok();
    check_with(resource_type.as_str(), params, statement.as_deref()).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::teach(format!("{}\nNothing was searched.", faults.join("\n")))
    })
}

/// The URL of a bundle's link.
pub(crate) fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    let links = bundle.get("link").and_then(Value::as_array)?;
    links.iter().find(|link| link.get("relation").and_then(Value::as_str) == Some(relation))?.get("url")?.as_str()
}

/// The entries of a bundle; none where it has none.
pub(crate) fn entries(bundle: &Value) -> &[Value] {
    bundle.get("entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The entries of a bundle, taken.
pub(crate) fn into_entries(mut bundle: Value) -> Vec<Value> {
    match bundle.get_mut("entry").map(Value::take) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

/// The entries that match, without what was included.
pub(crate) fn matches(bundle: &Value) -> impl Iterator<Item = &Value> {
    entries(bundle).iter().filter(|entry| is_match(entry))
}

pub(crate) fn is_match(entry: &Value) -> bool {
    entry.pointer("/search/mode").and_then(Value::as_str) != Some("include")
}

/// The name of an entry's resource: `Patient/1`.
pub(crate) fn name_of(entry: &Value) -> String {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/resource/resourceType"), text("/resource/id"))
}

/// Whether a walk can go by `meta.lastUpdated`: nobody asked for another order or place.
pub(crate) fn by_time(query: &Query) -> bool {
    let no_place = ["_offset", "_cursor"].iter().all(|key| query.get(key).is_none());
    no_place && query.get("_sort").is_none_or(|sort| sort == "_lastUpdated")
}

fn walk_query(mut query: Query, most: usize, by_time: bool) -> Query {
    let page = query.get("_count").and_then(|count| count.parse::<usize>().ok());
    if page.is_none_or(|count| count < SMALLEST_CURSOR_PAGE) {
        query = query.iter().filter(|(key, _)| *key != "_count").collect();
        // One more, to tell a walk that ends here from one that goes on.
        query.push("_count", most.saturating_add(1).clamp(SMALLEST_CURSOR_PAGE, LARGEST_PAGE).to_string());
    }
    match (by_time, query.get("_sort")) {
        (true, None) => query.with("_sort", "_lastUpdated"),
        _ => in_full_order(query),
    }
}

/// The id behind the caller's order: without it, pages by offset repeat and lose what is equal in that order.
pub(crate) fn in_full_order(query: Query) -> Query {
    let ends_in_order =
        |sort: &str| sort.split(',').any(|key| ["_id", "_lastUpdated"].contains(&key.trim_start_matches('-')));
    match query.get("_sort").map(str::to_owned) {
        Some(sort) if !ends_in_order(&sort) => query
            .iter()
            .map(|(k, v)| if k == "_sort" { (k, format!("{sort},_id")) } else { (k, v.to_owned()) })
            .collect(),
        _ => query,
    }
}

fn beyond_last_offset(next: &Interaction) -> bool {
    match next {
        Interaction::Search(search) => search
            .query
            .get("_offset")
            .and_then(|offset| offset.parse::<usize>().ok())
            .is_some_and(|offset| offset > LAST_OFFSET),
        _ => false,
    }
}

/// What a walk over pages has collected.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    most: usize,
    by_time: bool,
    /// How many matches an earlier part of the walk had.
    before: usize,
    /// What an earlier part had shown of the instant that it ended at.
    since: Option<String>,
    shown: HashSet<u32>,
    entries: Vec<Value>,
    seen: HashSet<String>,
    /// How many matches it holds; what they include is not counted.
    pub(crate) matched: usize,
    /// Whether more match.
    pub(crate) more: bool,
    /// How many the server counted, if it was asked.
    total: Option<u64>,
}

impl Walk {
    /// Takes a page; false once it is full.
    fn take(&mut self, mut bundle: Value, cx: &Context<'_>) -> bool {
        let has_next = link(&bundle, "next").is_some();
        self.total = self.total.or_else(|| bundle.get("total").and_then(Value::as_u64));
        let Some(Value::Array(entries)) = bundle.get_mut("entry").map(Value::take) else {
            return has_next;
        };
        for entry in entries {
            let matches = is_match(&entry);
            let name = name_of(&entry);
            if matches
                && self.since.is_some()
                && updated(&entry) == self.since
                && self.shown.contains(&cx.cursors().key.hash(&name))
            {
                continue;
            }
            if matches && self.matched == self.most {
                self.more = true;
                return false;
            }
            if self.seen.insert(name) {
                self.matched = self.matched.saturating_add(usize::from(matches));
                self.entries.push(entry);
            }
        }
        self.more = has_next && self.matched == self.most;
        self.matched < self.most
    }

    /// What was collected, as a searchset.
    pub(crate) fn into_bundle(self) -> Value {
        serde_json::json!({ "resourceType": "Bundle", "type": "searchset", "entry": self.entries })
    }

    /// What was collected, as an answer that can go on.
    pub(crate) fn into_page(self, cx: &Context<'_>) -> Page {
        let marks: Vec<Mark> = self
            .entries
            .iter()
            .map(|entry| Mark {
                is_match: is_match(entry),
                updated: updated(entry),
                hash: cx.cursors().key.hash(&name_of(entry)),
            })
            .collect();
        // What is counted from a later place on is not the whole.
        let total = self.total.filter(|_| self.since.is_none());
        let (before, more, by_time, earlier) =
            (self.before, self.more, self.by_time, self.since.map(|since| (since, self.shown)));
        let after = move |shown: usize| {
            let left = more || marks.iter().skip(shown).any(|mark| mark.is_match);
            if !left {
                return None;
            }
            let matched: Vec<&Mark> = marks.iter().take(shown).filter(|mark| mark.is_match).collect();
            if !by_time {
                return Some(Position::Offset(before.saturating_add(matched.len())));
            }
            let instant = matched.last().and_then(|mark| mark.updated.clone())?;
            let same = matched.iter().filter(|mark| mark.updated.as_ref() == Some(&instant)).map(|mark| mark.hash);
            let earlier =
                earlier.iter().filter(|(since, _)| *since == instant).flat_map(|(_, shown)| shown.iter().copied());
            Some(Position::Since(instant.clone(), same.chain(earlier).collect()))
        };
        Page { entries: self.entries, total, before, after: Box::new(after) }
    }
}

/// What is remembered of an entry to go on behind it.
struct Mark {
    is_match: bool,
    updated: Option<String>,
    hash: u32,
}

fn updated(entry: &Value) -> Option<String> {
    entry.pointer("/resource/meta/lastUpdated").and_then(Value::as_str).map(str::to_owned)
}
