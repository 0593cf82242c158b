//! A search that asks what it means to ask, and a result that answers it.
//!
//! Medplum drops a modifier that it does not know, takes an empty value for no filter, and a day for its midnight. So
//! the parameters are looked at before they are sent, and what the server says it did is compared with them after.

use std::collections::HashSet;

use fhir_definitions::search::{Rewritten, check_with, compare_self};
use medplum_client::{Interaction, Query, ResourceType};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;

/// The largest page that Medplum gives.
const LARGEST_PAGE: usize = 1_000;
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
    pub(crate) async fn walk(mut self, cx: &Context<'_>, most: usize) -> Result<Walk, Failure> {
        self.query = walk_query(self.query, most);
        let mut walk = Walk { most, ..Walk::default() };
        let mut bundle = self.page(cx).await?;
        loop {
            let next = cx.next_page(&bundle)?;
            let wants_more = walk.take(bundle);
            match next.filter(|_| wants_more) {
                Some(next) => bundle = cx.ask(&next).await?.into_json(),
                None => return Ok(walk),
            }
        }
    }

    /// What to try where nothing matches.
    pub(crate) fn no_match(&self) -> String {
        let general = "A code without its system matches any system; a reference is written Patient/<id>; name and family match the start of a name.";
        let mut text = format!("No {} matches.", self.resource_type);
        for hint in &self.hints {
            text.push(' ');
            text.push_str(hint);
        }
        if self.hints.is_empty() && !self.query.is_empty() {
            text.push(' ');
            text.push_str(general);
        }
        text
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

/// The entries that match, without what was included.
pub(crate) fn matches(bundle: &Value) -> impl Iterator<Item = &Value> {
    entries(bundle).iter().filter(|entry| is_match(entry))
}

fn is_match(entry: &Value) -> bool {
    entry.pointer("/search/mode").and_then(Value::as_str) != Some("include")
}

/// The name of an entry's resource: `Patient/1`.
pub(crate) fn name_of(entry: &Value) -> String {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/resource/resourceType"), text("/resource/id"))
}

fn walk_query(mut query: Query, most: usize) -> Query {
    if query.get("_count").is_none() {
        query.push("_count", most.clamp(SMALLEST_CURSOR_PAGE, LARGEST_PAGE).to_string());
    }
    let ends_in_order =
        |sort: &str| sort.split(',').any(|key| ["_id", "_lastUpdated"].contains(&key.trim_start_matches('-')));
    match query.get("_sort").map(str::to_owned) {
        None if query.get("_offset").is_none() && query.get("_cursor").is_none() => query.with("_sort", "_lastUpdated"),
        Some(sort) if !ends_in_order(&sort) => query
            .iter()
            .map(|(k, v)| if k == "_sort" { (k, format!("{sort},_id")) } else { (k, v.to_owned()) })
            .collect(),
        _ => query,
    }
}

/// What a walk over pages has collected.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    most: usize,
    entries: Vec<Value>,
    seen: HashSet<String>,
    /// How many matches it holds; what they include is not counted.
    pub matched: usize,
    /// Whether more match.
    pub more: bool,
}

impl Walk {
    /// Takes a page; false once it is full.
    fn take(&mut self, mut bundle: Value) -> bool {
        let has_next = link(&bundle, "next").is_some();
        let Some(Value::Array(entries)) = bundle.get_mut("entry").map(Value::take) else {
            return has_next;
        };
        for entry in entries {
            let matches = is_match(&entry);
            if matches && self.matched == self.most {
                self.more = true;
                return false;
            }
            if self.seen.insert(name_of(&entry)) {
                self.matched = self.matched.saturating_add(usize::from(matches));
                self.entries.push(entry);
            }
        }
        self.more = has_next && self.matched == self.most;
        self.matched < self.most
    }

    /// What was collected, as a searchset.
    pub(crate) fn into_bundle(self) -> Value {
        if self.entries.is_empty() {
            return json!({ "resourceType": "Bundle", "type": "searchset" });
        }
        json!({ "resourceType": "Bundle", "type": "searchset", "entry": self.entries })
    }
}
