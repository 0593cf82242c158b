//! A search that asks what it means to ask, and a result that answers it.
//!
//! Medplum drops a modifier that it does not know, takes an empty value for no filter, and a day for its midnight. So
//! the parameters are looked at before they are sent, and what the server says it did is compared with them after.

use std::borrow::Cow;

use fhir_definitions::search::{Rewritten, check_with, compare_self};
use fhir_definitions::{Definitions, ParameterKind};
use medplum_client::{BatchEntry, Interaction, Level, Operation, Query, ResourceType};
use serde_json::Value;

use crate::answer::cursor::Position;
use crate::context::Context;
use crate::failure::{Failure, entry_path};
use crate::page::Found;
use crate::pages::{Pages, behind};
use crate::walk::Walk;

/// Medplum writes the base URL of its own settings into its links.
const ELSEWHERE: &str = "Medplum's link to the next page leads to another server, and is not followed: there may be more than this. MEDPLUM_BASE_URL should be the address that the server has in its own links.";

/// The largest page that Medplum gives.
pub(crate) const LARGEST_PAGE: usize = 1_000;
/// So much of the filters is repeated where nothing matches them.
const LONGEST_FILTERS: usize = 200;
/// Medplum refuses an offset beyond this.
pub(crate) const LAST_OFFSET: usize = 10_000;
/// What is said where there is more than pages by offset reach.
pub(crate) const NO_FURTHER: &str = "Medplum gives no page beyond offset 10000 in an order of the caller's: leave sort out to walk further, or narrow the search.";
/// The way around a page by time that fails.
const ONE_INSTANT: &str = "More than a page was written in one instant, which Medplum's order of time does not get past. Search again with sort: _id, without cursor.";
/// How many bytes are fetched for a character of the answer: rows of a table are much smaller than what they are of.
const FETCHED_FOR_SHOWN: usize = 16;
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
    pub(crate) async fn page(&self, cx: &Context<'_>) -> Result<Found, Failure> {
        Ok(self.page_and_next(cx).await?.0)
    }

    async fn page_and_next(&self, cx: &Context<'_>) -> Result<(Found, Option<Interaction>), Failure> {
        let (page, next) = cx.page(&self.interaction()).await?;
        obeyed(&self.query, page.self_link.as_deref())?;
        Ok((page, next))
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

    /// The same as [`Search::walk`], from where an earlier walk ended; then no more than an answer may hold.
    ///
    /// # Errors
    /// As [`Search::page`].
    pub(crate) async fn walk_from(
        mut self,
        cx: &Context<'_>,
        most: usize,
        from: Option<Position>,
    ) -> Result<Walk, Failure> {
        let query = self.query.clone();
        if by_time(&query) && matches!(from, Some(Position::Offset(_))) {
            self.query = by_id(query);
            return self.walk_once(cx, most, from).await;
        }
        let failure = match self.walk_once(cx, most, from.clone()).await {
            Err(failure) if failure.is_internal() && by_time(&query) => failure,
            walked => return walked,
        };
        // Pages that reach beyond the instant, if it is one that fails; else those by id.
        if !has_largest_pages(&self.query) {
            self.query = with_count(query.clone(), LARGEST_PAGE);
            match self.walk_once(cx, most, from.clone()).await {
                Err(again) if again.is_internal() => {}
                walked => return walked,
            }
        }
        if from.is_some() {
            return Err(one_instant(failure));
        }
        self.query = by_id(query);
        self.walk_once(cx, most, None).await
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
        let most = most.unwrap_or(PAGE);
        let mut walk = Walk::new(most, true, None);
        if self.query.get("_sort").is_none() {
            self.query.push("_sort", "_lastUpdated");
        }
        if let Some(Position::Since(instant, seen)) = from {
            self.query.push("_lastUpdated", format!("ge{instant}"));
            // Those of that instant that were shown come again, and take no place of the others.
            self.query = with_count(self.query, most.saturating_add(seen.len()));
            walk.goes_on_since(instant, seen);
        }
        let page = match self.page(cx).await {
            // A page that reaches beyond the instant can be passed.
            Err(failure) if failure.is_internal() && has_largest_pages(&self.query) => {
                return Err(one_instant(failure));
            }
            Err(failure) if failure.is_internal() => {
                self.query = with_count(self.query, LARGEST_PAGE);
                self.page(cx).await.map_err(one_instant)?
            }
            page => page?,
        };
        let has_next = page.has_next;
        walk.take(page, cx);
        walk.more |= has_next;
        Ok(walk)
    }

    async fn walk_once(&mut self, cx: &Context<'_>, most: usize, from: Option<Position>) -> Result<Walk, Failure> {
        let by_time = by_time(&self.query);
        // The first part of a walk counts what there is. Those behind it fetch what an answer can hold.
        let room = from.as_ref().map(|_| cx.budget().saturating_mul(FETCHED_FOR_SHOWN));
        let mut walk = Walk::new(most, by_time, room);
        self.query = walk_query(self.query.clone(), most, by_time);
        match from {
            Some(Position::Since(instant, seen)) => {
                self.query.push("_lastUpdated", format!("ge{instant}"));
                walk.goes_on_since(instant, seen);
            }
            Some(Position::Offset(offset)) => {
                self.query.push("_offset", offset.to_string());
                walk.goes_on_behind(offset);
            }
            Some(Position::Chart { .. }) | None => {}
        }
        cx.progress().begin();
        let mut pages = Pages::new(cx);
        let (mut page, mut next) = self.page_and_next(cx).await?;
        let mut asked = self.interaction();
        loop {
            let (before, matched, total) = (walk.len(), walk.matched, page.total);
            let leads_elsewhere = page.has_next && next.is_none();
            let wants_more = walk.take(page, cx);
            let stands_still = next.as_ref() == Some(&asked) || (before > 0 && walk.len() == before);
            if let Some(next) = &next {
                asked = next.clone();
            }
            let Some(link) = next.filter(|_| wants_more) else {
                if leads_elsewhere && wants_more {
                    cx.missing(ELSEWHERE);
                    walk.more = true;
                } else if walk.is_beyond_offsets() {
                    cx.missing(NO_FURTHER);
                }
                return Ok(walk);
            };
            if stands_still {
                cx.missing("Medplum's link to the next page leads nowhere new: there may be more than this.");
                walk.more = true;
                return Ok(walk);
            }
            if beyond_last_offset(&link) {
                cx.missing(NO_FURTHER);
                walk.more = true;
                return Ok(walk);
            }
            let of = total.filter(|_| walk.is_whole()).map(|total| total.min(most as u64));
            cx.progress().fetched(walk.matched.saturating_sub(matched), of).await;
            // By time, where the next page begins is not known before this one ends.
            let behind = behind(&link).filter(|(_, count)| !by_time && walk.matched.saturating_add(*count) < most);
            (page, next) = pages.follow(link, behind.map(|(page, _)| page)).await?;
        }
    }

    /// What to try where nothing matches: a hint for each parameter that was used.
    pub(crate) fn no_match(&self) -> String {
        let mut hints = self.hints.clone();
        for (key, value) in self.query.iter() {
            let code = key.split([':', '.']).next().unwrap_or(key);
            for hint in [self.twice(key, code), self.hint(code, value)].into_iter().flatten() {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
        let filters: Vec<String> = self
            .query
            .iter()
            .filter(|(key, _)| !Definitions::get().result_parameters().contains(key))
            .filter(|(key, _)| !["_fields", "_offset", "_cursor"].contains(key))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let filters: String = filters.join(" and ").chars().take(LONGEST_FILTERS).collect();
        let none = match filters.as_str() {
            "" => format!("No {} matches.", self.resource_type),
            filters => format!("No {} matches {filters}.", self.resource_type),
        };
        std::iter::once(none).chain(hints).collect::<Vec<_>>().join(" ")
    }

    /// What holds one code or name holds no other: whoever passes several mostly means any of them.
    fn twice(&self, key: &str, code: &str) -> Option<String> {
        let definitions = Definitions::get();
        let info = definitions.resource_type(self.resource_type.as_str())?;
        let parameter = definitions.search_parameter(info, code)?;
        let is_one = matches!(parameter.kind, ParameterKind::Token | ParameterKind::Reference);
        let times = self.query.iter().filter(|(other, _)| *other == key).count();
        (is_one && times > 1).then(|| format!("A list of {key} is AND; a comma is OR."))
    }

    fn hint(&self, code: &str, value: &str) -> Option<String> {
        let definitions = Definitions::get();
        let info = definitions.resource_type(self.resource_type.as_str())?;
        let parameter = definitions.search_parameter(info, code)?;
        Some(match (code, parameter.kind) {
            ("_id" | "_lastUpdated", _) => return None,
            ("identifier", _) => "identifier is matched whole: system|value.".into(),
            ("code", ParameterKind::Token) => "list_codes shows the codes that there are.".into(),
            (_, ParameterKind::String) => format!("{code} matches the start of a word."),
            (_, ParameterKind::Reference) if value.contains('/') => return None,
            (_, ParameterKind::Reference) => "A reference is written Type/<id>.".into(),
            _ => return None,
        })
    }

    /// The parameters as they are sent.
    pub(crate) fn query(&self) -> Query {
        self.query.clone()
    }

    /// The search as it is sent.
    pub(crate) fn interaction(&self) -> Interaction {
        Interaction::search(self.resource_type.clone(), self.query.clone())
    }
}

/// Compares what was asked with what the server's own link says that it did.
///
/// # Errors
/// [`Failure`] that names what the server dropped: its result answers another question.
pub(crate) fn obeyed(query: &Query, self_link: Option<&str>) -> Result<(), Failure> {
    dropped(query, self_link).map_or(Ok(()), |dropped| Err(thrown_away(&dropped)))
}

/// Looks at the searches of an interaction as at any other, be it a search itself, a `$csv` or a batch with such entries.
/// What was put right is sent so.
///
/// # Errors
/// As [`Search::new`]; and whatever closes the interaction itself. Nothing was sent of it.
pub(crate) async fn look_at<'a>(
    cx: &Context<'_>,
    interaction: &'a Interaction,
) -> Result<Cow<'a, Interaction>, Failure> {
    if let Some((of, query)) = searched(interaction) {
        closed(cx, interaction)?;
        // A newer server may have more types, and a path that it alone knows is for it to judge.
        if !Definitions::get().is_resource_type(of.as_str()) {
            return Ok(Cow::Borrowed(interaction));
        }
        let search = Search::new(cx, of.clone(), query.clone()).await?;
        return Ok(Cow::Owned(asking(interaction.clone(), search.query)));
    }
    match interaction {
        Interaction::Batch(batch) if batch.entries().iter().any(|entry| searched(&entry.interaction).is_some()) => {
            closed(cx, interaction)?;
            let mut batch = batch.clone();
            for (index, entry) in batch.entries_mut().iter_mut().enumerate() {
                let Some((of, query)) = searched(&entry.interaction) else { continue };
                let search = Search::new(cx, of.clone(), query.clone()).await;
                let search = search.map_err(|failure| failure.in_entry(Some(index)))?;
                entry.interaction = asking(entry.interaction.clone(), search.query);
            }
            Ok(Cow::Owned(Interaction::Batch(batch)))
        }
        _ => Ok(Cow::Borrowed(interaction)),
    }
}

/// What is closed anyway says so, before anything is said of its parameters.
fn closed(cx: &Context<'_>, interaction: &Interaction) -> Result<(), Failure> {
    cx.limits().toolsets.admit(interaction)?;
    cx.may_send(interaction)
}

/// The type that is searched and the parameters: of a search of one type, and of a `$csv`, which is one.
fn searched(interaction: &Interaction) -> Option<(&ResourceType, &Query)> {
    match interaction {
        Interaction::Search(search) => Some((search.resource_type.as_ref()?, &search.query)),
        Interaction::Operation(Operation { level: Level::Type(of), name, query, .. }) if name.as_str() == "csv" => {
            Some((of, query))
        }
        _ => None,
    }
}

/// The same search with these parameters.
fn asking(mut interaction: Interaction, parameters: Query) -> Interaction {
    match &mut interaction {
        Interaction::Search(search) => search.query = parameters,
        Interaction::Operation(operation) => operation.query = parameters,
        _ => {}
    }
    interaction
}

/// Refuses a search, be it a `$csv`, an entry of a batch or a field of a GraphQL document, one of whose filters has no value:
/// Medplum would take it for no filter, and answer for everyone.
///
/// # Errors
/// [`Failure`] that names it.
pub(crate) fn refuse_empty(interaction: &Interaction) -> Result<(), Failure> {
    let empty = match interaction {
        Interaction::Search(search) => without_value(&search.query),
        Interaction::Operation(operation) if operation.name.as_str() == "csv" => without_value(&operation.query),
        Interaction::GraphQl(document) => document.empty_filter(),
        Interaction::Batch(batch) => {
            let refuse = |(index, entry): (usize, &BatchEntry)| {
                refuse_empty(&entry.interaction).map_err(|failure| failure.in_entry(Some(index)))
            };
            return batch.entries().iter().enumerate().try_for_each(refuse);
        }
        _ => None,
    };
    match empty {
        Some(name) => Err(Failure::teach(format!(
            "{name} has no value: Medplum would answer for everyone. Give it one, or leave it out. Nothing was sent."
        ))),
        None => Ok(()),
    }
}

fn without_value(query: &Query) -> Option<String> {
    query.iter().find(|(_, value)| value.trim().is_empty()).map(|(key, _)| key.to_owned())
}

/// Compares the searches of an interaction, alone or in a batch, with what the server says that it did.
///
/// # Errors
/// [`Failure`] if one was carried out as another: that is no answer. Where something was written beside it, it is said
/// instead.
pub(crate) fn compare(cx: &Context<'_>, interaction: &Interaction, reply: &Value) -> Result<(), Failure> {
    match interaction {
        Interaction::Search(search) => obeyed(&search.query, link(reply, "self")),
        Interaction::Batch(batch) => {
            let acts = !interaction.effect().is_read();
            for (index, (entry, answer)) in batch.entries().iter().zip(entries(reply)).enumerate() {
                let (Interaction::Search(search), Some(page)) = (&entry.interaction, answer.get("resource")) else {
                    continue;
                };
                let Some(dropped) = dropped(&search.query, link(page, "self")) else { continue };
                if !acts {
                    return Err(thrown_away(&dropped).in_entry(Some(index)));
                }
                cx.missing(format!("{}: {dropped} Its result answers another question.", entry_path(index)));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What the server's own link does not show of what was asked.
fn dropped(query: &Query, self_link: Option<&str>) -> Option<String> {
    let asked: Vec<(String, String)> = query.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let dropped: Vec<String> = compare_self(&asked, self_link?).iter().map(ToString::to_string).collect();
    (!dropped.is_empty()).then(|| dropped.join(" "))
}

fn thrown_away(dropped: &str) -> Failure {
    Failure::teach(format!(
        "{dropped} The result answers another question, and was thrown away. get_resource_capabilities lists the parameters and modifiers of a type."
    ))
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

/// Whether a walk can go by `meta.lastUpdated`: nobody asked for another order or place.
pub(crate) fn by_time(query: &Query) -> bool {
    let no_place = ["_offset", "_cursor"].iter().all(|key| query.get(key).is_none());
    no_place && query.get("_sort").is_none_or(|sort| sort == "_lastUpdated")
}

/// Medplum's pages by time do not get past an instant that fills one of them; those by id do.
fn by_id(query: Query) -> Query {
    query.without("_sort").with("_sort", "_id")
}

fn one_instant(failure: Failure) -> Failure {
    if failure.is_stuck_in_time() { failure.hint(ONE_INSTANT) } else { failure }
}

fn with_count(query: Query, count: usize) -> Query {
    query.without("_count").with("_count", count.min(LARGEST_PAGE).to_string())
}

/// Whether its pages cannot be larger.
fn has_largest_pages(query: &Query) -> bool {
    query.get("_count").and_then(|count| count.parse().ok()).is_some_and(|count: usize| count >= LARGEST_PAGE)
}

fn walk_query(mut query: Query, most: usize, by_time: bool) -> Query {
    let page = query.get("_count").and_then(|count| count.parse::<usize>().ok());
    if page.is_none_or(|count| count < SMALLEST_CURSOR_PAGE) {
        // One more, to tell a walk that ends here from one that goes on.
        query = with_count(query, most.saturating_add(1).max(SMALLEST_CURSOR_PAGE));
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

/// The place behind so many matches; none where Medplum has no page for it.
pub(crate) fn at_offset(offset: usize) -> Option<Position> {
    (offset <= LAST_OFFSET).then_some(Position::Offset(offset))
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
