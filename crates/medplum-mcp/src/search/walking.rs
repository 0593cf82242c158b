//! How the pages of a search are walked: by time where the caller has no order of its own, else by offset in an order that
//! is whole.

use medplum_client::{Interaction, Query};

use super::{Search, obeyed};
use crate::answer::cursor::Position;
use crate::context::Context;
use crate::failure::Failure;
use crate::pages::{Pages, behind};
use crate::walk::Walk;

/// Medplum writes the base URL of its own settings into its links.
const ELSEWHERE: &str = "Medplum's link to the next page leads to another server, and is not followed: there may be more than this. MEDPLUM_BASE_URL should be the address that the server has in its own links.";
/// A link that was followed before, or a page of what is known.
const NOWHERE_NEW: &str = "Medplum's link to the next page leads nowhere new: there may be more than this.";
/// The largest page that Medplum gives.
pub(crate) const LARGEST_PAGE: usize = 1_000;
/// Medplum refuses an offset beyond this.
pub(crate) const LAST_OFFSET: usize = 10_000;
/// What is said where there is more than pages by offset reach.
pub(crate) const NO_FURTHER: &str = "Medplum gives no page beyond offset 10000 in an order of the caller's: leave sort out to walk further, or narrow the search.";
/// The way around a page by time that fails.
const ONE_INSTANT: &str = "More than a page was written in one instant, which Medplum's order of time does not get past. Search again with sort: _id, without cursor.";
/// Where pages hold next to nothing, so many of them are followed beyond twice those that full ones would be.
const SHORT_PAGES: usize = 100;
/// What is said then.
const SHORT: &str = "Medplum's pages held few of the matches each, and the walk over them was ended: there may be more than this. Narrow the search.";
/// How many bytes are fetched for a character of the answer: rows of a table are much smaller than what they are of.
const FETCHED_FOR_SHOWN: usize = 16;
/// A page, where nobody says how large.
const PAGE: usize = 20;
/// Medplum pages by a cursor from this size on.
const SMALLEST_CURSOR_PAGE: usize = 20;

impl Search {
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
        let mut walk = self.begin(cx, most, by_time, from);
        cx.progress().begin();
        let mut pages = Pages::new(cx);
        let (mut page, mut next) = self.page_and_next(cx).await?;
        let mut asked = self.interaction();
        let mut left = most_pages(&self.query, most);
        loop {
            let (before, matched, total) = (walk.len(), walk.matched, page.total);
            let leads_elsewhere = page.has_next && next.is_none();
            let wants_more = walk.take(page, cx);
            let Some(link) = next.filter(|_| wants_more) else {
                if leads_elsewhere && wants_more {
                    return Ok(walk.stopped(ELSEWHERE, cx));
                }
                if walk.is_beyond_offsets() {
                    cx.missing(NO_FURTHER);
                }
                return Ok(walk);
            };
            if link == asked || (before > 0 && walk.len() == before) {
                return Ok(walk.stopped(NOWHERE_NEW, cx));
            }
            if beyond_last_offset(&link) {
                return Ok(walk.stopped(NO_FURTHER, cx));
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(walk.stopped(SHORT, cx));
            }
            let of = total.filter(|_| walk.is_whole()).map(|total| total.min(most as u64));
            cx.progress().fetched(walk.matched.saturating_sub(matched), of).await;
            // By time, where the next page begins is not known before this one ends.
            let behind = behind(&link).filter(|(_, count)| !by_time && walk.matched.saturating_add(*count) < most);
            asked = link.clone();
            (page, next) = pages.follow(link, behind.map(|(page, _)| page)).await?;
            // Neither the link nor what was made of it may have lost a filter.
            obeyed(&self.query, page.self_link.as_deref())?;
        }
    }

    /// An empty walk, and the query of its first page.
    fn begin(&mut self, cx: &Context<'_>, most: usize, by_time: bool, from: Option<Position>) -> Walk {
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
        walk
    }
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

/// How many pages are followed: no search is without an end, whatever its links say.
fn most_pages(query: &Query, most: usize) -> usize {
    let count = query.get("_count").and_then(|count| count.parse().ok()).unwrap_or(PAGE);
    most.div_ceil(count.max(1)).saturating_mul(2).saturating_add(SHORT_PAGES)
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
    // One with an empty part is refused in the caller's own words.
    let ends_in_order = |sort: &str| {
        sort.split(',').any(|key| ["", "_id", "_lastUpdated"].contains(&key.trim().trim_start_matches('-')))
    };
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
