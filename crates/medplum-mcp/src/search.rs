//! A search that asks what it means to ask, and a result that answers it.
//!
//! Medplum drops a modifier that it does not know, takes an empty value for no filter, and a day for its midnight. So
//! the parameters are looked at before they are sent, and what the server says it did is compared with them after.

mod anywhere;
pub(crate) mod said;
mod walking;
pub(crate) mod zeros;

use fhir_definitions::Definitions;
use fhir_definitions::search::{Rewritten, SearchFault, check_with, compare_self};
use medplum_client::{Interaction, Query, ResourceType};
use serde_json::Value;

pub(crate) use self::anywhere::{compare, look_at, refuse_empty};
pub(crate) use self::walking::{LARGEST_PAGE, LAST_OFFSET, NO_FURTHER, at_offset, by_time, in_full_order};
use crate::context::Context;
use crate::failure::Failure;
use crate::page::Found;

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
        let looked = looked_at(cx, &resource_type, &query).await.map_err(nothing_searched)?;
        looked.notes.into_iter().for_each(|note| cx.note(note));
        Ok(Self { resource_type, query: looked.params.into_iter().collect(), hints: looked.hints })
    }

    /// One page.
    ///
    /// # Errors
    /// [`Failure`] if the search fails, or if Medplum did something else than it was asked.
    pub(crate) async fn page(&self, cx: &Context<'_>) -> Result<Found, Failure> {
        Ok(self.page_and_next(cx).await?.0)
    }

    async fn page_and_next(&self, cx: &Context<'_>) -> Result<(Found, Option<Interaction>), Failure> {
        let asked = cx.page(&self.interaction()).await;
        let (page, next) = asked.map_err(|failure| self.without_composites(failure))?;
        obeyed(&self.query, page.self_link.as_deref())?;
        Ok((page, next))
    }

    /// A server that lists composite parameters need not search by them: the parts are parameters of their own.
    fn without_composites(&self, failure: Failure) -> Failure {
        let definitions = Definitions::get();
        let info = definitions.resource_type(self.resource_type.as_str());
        let parts = self.query.iter().find_map(|(key, value)| {
            let parameter = definitions.search_parameter(info?, key)?;
            let names: Vec<&str> = parameter.components().map(|(name, _)| name).collect();
            let parts: Vec<String> =
                names.iter().zip(value.split('$')).map(|(name, part)| format!("{name}={part}")).collect();
            (!parts.is_empty()).then(|| parts.join(" and "))
        });
        match parts {
            Some(parts) if matches!(failure.status(), Some(400 | 501)) => failure.hint(format!(
                "Without the composite: {parts}, though perhaps not of one component; query_resources can tell."
            )),
            _ => failure,
        }
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

/// The parameters of a search of one type, looked at. A newer server may know more than the definitions: it is asked before
/// one is refused.
pub(crate) async fn looked_at(
    cx: &Context<'_>,
    resource_type: &ResourceType,
    query: &Query,
) -> Result<Rewritten, Vec<SearchFault>> {
    let params: Vec<(String, String)> = query.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    match check_with(resource_type.as_str(), &params, cx.kept_metadata().as_deref()) {
        Ok(looked) => Ok(looked),
        Err(_) => check_with(resource_type.as_str(), &params, cx.metadata().await.ok().as_deref()),
    }
}

fn nothing_searched(faults: Vec<SearchFault>) -> Failure {
    Failure::several(faults.iter().map(ToString::to_string).collect(), "\n", "Nothing was searched.")
}

/// The URL of a bundle's link.
pub(crate) fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    let links = bundle.get("link").and_then(Value::as_array)?;
    links.iter().find(|link| link.get("relation").and_then(Value::as_str) == Some(relation))?.get("url")?.as_str()
}

/// What was found: the entries of a searchset but for what the server says of the search.
pub(crate) fn found(bundle: &Value) -> impl Iterator<Item = &Value> {
    entries(bundle).iter().filter(|entry| !said::is_outcome(entry))
}

/// The entries of a bundle; none where it has none.
pub(crate) fn entries(bundle: &Value) -> &[Value] {
    bundle.get("entry").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
