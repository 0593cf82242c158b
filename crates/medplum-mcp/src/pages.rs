//! The pages of a walk, of which one may be asked for before it is known to be needed.

use std::collections::VecDeque;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesOrdered, StreamExt};
use medplum_client::{Interaction, Query};

use crate::context::Context;
use crate::failure::Failure;
use crate::page::Found;
use crate::search::LAST_OFFSET;

type Page = Result<(Found, Option<Interaction>), Failure>;

/// The pages that were asked for and have not been looked at, in their order.
pub(crate) struct Pages<'a> {
    cx: &'a Context<'a>,
    asked: VecDeque<Interaction>,
    coming: FuturesOrdered<BoxFuture<'a, Page>>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(cx: &'a Context<'a>) -> Self {
        Self { cx, asked: VecDeque::new(), coming: FuturesOrdered::new() }
    }

    /// The page that a link leads to. The one behind it is asked for at the same time, if it will be wanted too.
    ///
    /// # Errors
    /// As [`Context::page`].
    pub(crate) async fn follow(&mut self, link: Interaction, behind: Option<Interaction>) -> Page {
        if self.asked.front().is_none_or(|asked| !same(asked, &link)) {
            // The server goes on elsewhere than was thought.
            self.asked.clear();
            self.coming.clear();
            self.ask(link);
        }
        if let Some(behind) = behind.filter(|_| self.asked.len() < 2) {
            self.ask(behind);
        }
        self.asked.pop_front();
        match self.coming.next().await {
            Some(page) => page,
            None => Err(Failure::teach("the next page was not asked for")),
        }
    }

    fn ask(&mut self, page: Interaction) {
        let cx = self.cx;
        self.asked.push_back(page.clone());
        self.coming.push_back(async move { cx.page(&page).await }.boxed());
    }
}

/// The page behind one of a walk by offset, and how many matches are on a page; none where that cannot be told before the
/// page is there.
pub(crate) fn behind(page: &Interaction) -> Option<(Interaction, usize)> {
    let Interaction::Search(search) = page else { return None };
    let number = |key: &str| search.query.get(key)?.parse::<usize>().ok();
    let (count, offset) = (number("_count")?, number("_offset")?);
    let next = offset.checked_add(count).filter(|next| *next <= LAST_OFFSET)?;
    let moved = |(key, value): (&str, &str)| {
        (key.to_owned(), if key == "_offset" { next.to_string() } else { value.to_owned() })
    };
    let query: Query = search.query.iter().map(moved).collect();
    let mut search = search.clone();
    search.query = query;
    Some((Interaction::Search(search), count))
}

/// Whether two searches ask the same, whatever the order of their parameters.
fn same(one: &Interaction, other: &Interaction) -> bool {
    let (Interaction::Search(one), Interaction::Search(other)) = (one, other) else { return one == other };
    let sorted = |query: &Query| {
        let mut pairs: Vec<(String, String)> = query.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        pairs.sort();
        pairs
    };
    one.resource_type == other.resource_type && sorted(&one.query) == sorted(&other.query)
}
