//! Search: what was asked, which resources it finds, in which order, and the bundle that shows them.

pub(crate) mod date;
mod expression;
mod filter;
mod include;
mod order;
mod request;
mod subset;

use serde_json::{Map, Value, json};

pub(crate) use request::Request;
use request::{DEFAULT_COUNT, LARGEST_COUNT, LARGEST_OFFSET, Number, SEVERAL_TYPES};

use crate::call::{Answer, Call};
use crate::outcome::{Outcome, Result};
use crate::policy::Interaction;
use crate::quota::cost;
use crate::slots::Slot;
use crate::store::{Record, Version};

/// One resource that a search found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// Which of the request's types.
    pub(crate) of_type: usize,
    pub(crate) slot: Slot,
}

/// What a search found, in order, before it is cut into pages.
pub(crate) struct Found {
    pub(crate) types: Vec<String>,
    pub(crate) hits: Vec<Hit>,
}

/// Where the next page goes on when pages follow `_lastUpdated`.
struct Cursor {
    /// Milliseconds since 1970.
    from: i64,
    /// What was shown already.
    without: Vec<String>,
}

impl Cursor {
    /// `2-1795336949118-id,id`. What is no cursor is ignored without a word.
    fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        if version != "1" && version != "2" {
            return None;
        }
        let (from, without) = rest.split_once('-').unwrap_or((rest, ""));
        let without = if version == "2" { without } else { "" };
        Some(Self {
            from: from.parse().ok()?,
            without: without.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        })
    }
}

impl Call<'_> {
    /// A search over one type, or over the types that `_type` names.
    pub(crate) fn search(&mut self, resource_type: &str, query: &[(String, String)]) -> Result<Answer> {
        let several = resource_type == SEVERAL_TYPES;
        let request = Request::parse(self.engine.definitions(), resource_type, query);
        if let Ok(request) = &request
            && several
            && request.types.is_none()
        {
            return Err(Outcome::bad_request("No types specified"));
        }
        let request = request?;
        self.spend(cost::SEARCH)?;
        Ok(Answer::ok(self.search_bundle(request)?))
    }

    /// The bundle of a search that was understood.
    pub(crate) fn search_bundle(&mut self, mut request: Request) -> Result<Value> {
        self.check_types(&request)?;
        let count = limit_count(&mut request);
        let offset = limit_offset(&mut request)?;
        let found = self.find(&request)?;
        let cursor = request.cursor.as_deref().and_then(Cursor::parse);
        if offset > 0 && request.cursor.is_some() {
            return Err(Outcome::bad_request("Cannot use both offset and cursor"));
        }
        let shown = |hit: &&Hit| cursor.as_ref().is_none_or(|cursor| self.is_ahead(&found, **hit, cursor));
        let mut rest = found.hits.iter().skip(offset).filter(shown);
        let page: Vec<Hit> = rest.by_ref().take(count).copied().collect();
        let next = rest.next().copied().filter(|_| count > 0);
        let entries = self.entries(&request, &found.types, &page)?;
        let mut bundle = Map::new();
        bundle.insert("resourceType".into(), json!("Bundle"));
        bundle.insert("type".into(), json!("searchset"));
        let none = entries.is_empty();
        if !none {
            bundle.insert("entry".into(), Value::Array(entries));
        }
        if matches!(request.total.as_deref(), Some("accurate" | "estimate")) {
            bundle.insert("total".into(), json!(found.hits.len()));
        }
        let links = self.links(&request, &found, &page, next, count, offset)?;
        bundle.insert("link".into(), links);
        Ok(Value::Object(bundle))
    }

    fn check_types(&mut self, request: &Request) -> Result<()> {
        let one = std::slice::from_ref(&request.resource_type);
        for of_type in request.types.as_deref().unwrap_or(one) {
            self.check_type(of_type)?;
            if of_type == "Binary" {
                return Err(Outcome::bad_request("Cannot search on Binary resource type"));
            }
            self.check_allowed(of_type, Interaction::Search)?;
        }
        Ok(())
    }

    /// Everything that the conditions hold for and the actor may see, in the order that was asked for.
    fn find(&mut self, request: &Request) -> Result<Found> {
        let mut types = request.types.clone().unwrap_or_else(|| vec![request.resource_type.clone()]);
        let mut seen = Vec::new();
        types.retain(|of_type| {
            let new = !seen.contains(of_type);
            seen.push(of_type.clone());
            new
        });
        let mut hits = Vec::new();
        for (at, of_type) in types.iter().enumerate() {
            let mut found = self.filtered(of_type, &request.filters)?;
            if let Some(permitted) = self.permitted(of_type, Interaction::Search)? {
                found.keep(&permitted);
            }
            hits.extend(found.iter().map(|slot| Hit { of_type: at, slot }));
        }
        self.sort(request, &types, &mut hits)?;
        Ok(Found { types, hits })
    }

    pub(crate) fn record(&self, types: &[String], hit: Hit) -> Option<&Record> {
        self.state.store.of_type(types.get(hit.of_type)?)?.record(hit.slot)
    }

    fn version(&self, found: &Found, hit: Hit) -> Option<&Version> {
        self.record(&found.types, hit)?.live()
    }

    /// Whether a cursor has not passed a resource yet.
    fn is_ahead(&self, found: &Found, hit: Hit, cursor: &Cursor) -> bool {
        let record = self.record(&found.types, hit);
        record.is_some_and(|record| {
            let new = record.live().is_some_and(|version| version.last_updated >= cursor.from);
            new && !cursor.without.iter().any(|id| *id == *record.id)
        })
    }

    fn entries(&mut self, request: &Request, types: &[String], page: &[Hit]) -> Result<Vec<Value>> {
        let mut entries = Vec::with_capacity(page.len());
        for hit in page {
            let Some(of_type) = types.get(hit.of_type) else { continue };
            let record = self.record(types, *hit);
            entries.extend(record.and_then(|record| self.entry(of_type, record, "match")));
        }
        if !request.include.is_empty() || !request.revinclude.is_empty() {
            self.add_included(request, &mut entries)?;
        }
        for entry in &mut entries {
            if let Some(resource) = entry.get_mut("resource") {
                subset::apply(self.engine.definitions(), request, resource);
            }
        }
        Ok(entries)
    }

    /// One entry of a search's bundle.
    pub(crate) fn entry(&self, resource_type: &str, record: &Record, mode: &str) -> Option<Value> {
        Some(json!({
            "fullUrl": self.engine.config.full_url(resource_type, &record.id),
            "search": {"mode": mode},
            "resource": self.present_current(resource_type, record)?,
        }))
    }

    fn links(
        &self,
        request: &Request,
        found: &Found,
        page: &[Hit],
        next: Option<Hit>,
        count: usize,
        offset: usize,
    ) -> Result<Value> {
        let url = |request: &Request| {
            let base = &self.engine.config.base_url;
            format!("{base}fhir/R4/{}{}", request.resource_type, request.query())
        };
        let link = |relation: &str, request: &Request| json!({"relation": relation, "url": url(request)});
        let mut links = vec![link("self", request)];
        if page.is_empty() {
            return Ok(Value::Array(links));
        }
        let at = |place: usize| Request {
            offset: i64::try_from(place).ok().map(Number::Is),
            cursor: None,
            ..request.clone()
        };
        links.push(link("first", &at(0)));
        if let Some(next) = next {
            let next = match self.next_cursor(request, found, page, next, count)? {
                Some(cursor) => Request { cursor: Some(cursor), offset: None, ..request.clone() },
                None => at(offset + count),
            };
            links.push(link("next", &next));
        }
        if offset > 0 {
            links.push(link("previous", &at(offset.saturating_sub(count))));
        }
        Ok(Value::Array(links))
    }

    /// The cursor of the next page, where the pages follow `_lastUpdated` and are large enough.
    fn next_cursor(
        &self,
        request: &Request,
        found: &Found,
        page: &[Hit],
        next: Hit,
        count: usize,
    ) -> Result<Option<String>> {
        let by_time = matches!(request.sort.as_slice(), [key] if key.code == "_lastUpdated" && !key.descending);
        if !by_time || count < 20 || request.offset.is_some_and(|offset| offset != Number::Is(0)) {
            return Ok(None);
        }
        let time = |hit: &Hit| self.version(found, *hit).map(|version| version.last_updated);
        let Some(from) = time(&next) else { return Ok(None) };
        if page.first().and_then(time) == Some(from) {
            return Err(Outcome::server_error("Error: Cursor fails to make progress"));
        }
        let same = page.iter().filter(|hit| time(hit) == Some(from));
        let ids: Vec<&str> = same.filter_map(|hit| Some(&*self.record(&found.types, *hit)?.id)).collect();
        if ids.is_empty() {
            return Ok(Some(format!("2-{from}")));
        }
        Ok(Some(format!("2-{from}-{}", ids.join(","))))
    }
}

/// How many resources a page shows. More than the most is the most, without a word.
fn limit_count(request: &mut Request) -> usize {
    let count = match request.count {
        None => Number::Is(DEFAULT_COUNT),
        Some(Number::Is(count)) => Number::Is(count.min(LARGEST_COUNT)),
        Some(Number::NotANumber) => Number::NotANumber,
    };
    request.count = Some(count);
    match count {
        Number::Is(count) => usize::try_from(count).unwrap_or(0),
        Number::NotANumber => 0,
    }
}

fn limit_offset(request: &mut Request) -> Result<usize> {
    match request.offset {
        None => {
            request.offset = Some(Number::Is(0));
            Ok(0)
        }
        Some(Number::Is(offset)) if offset > LARGEST_OFFSET => {
            Err(Outcome::bad_request(format!("Search offset exceeds maximum (got {offset}, max {LARGEST_OFFSET})")))
        }
        Some(Number::Is(offset)) => Ok(usize::try_from(offset).unwrap_or(0)),
        Some(Number::NotANumber) => Ok(0),
    }
}
