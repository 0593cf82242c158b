//! SQL over searches: the question is answered here, and only its answer is read.

use futures_util::future::try_join_all;
use medplum_client::{Query, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::search::to_query;
use crate::answer::Answer;
use crate::context::{Context, resource_type};
use crate::failure::Failure;
use crate::search::Search;
use crate::sql::columns::Layout;
use crate::sql::question::{Plan, Table, is_shown, plan};
use crate::sql::sandboxed::MOST_ROWS;
use crate::sql::table::Fetched;
use crate::sql::{Outcome, Question, Rows, on_sqlite, statement};
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

/// The most resources of one search.
const MOST_RESOURCES: usize = 50_000;
/// How many of them unless told.
const RESOURCES: usize = 5_000;
/// How many are looked at to say which columns there are.
const SAMPLE: usize = 100;
/// The most searches of one question.
const MOST_SEARCHES: usize = 8;
/// Parameters that would change which rows there are, or what is in them, behind the statement's back.
const NOT_HERE: &[&str] =
    &["_count", "_offset", "_cursor", "_sort", "_include", "_revinclude", "_summary", "_elements", "_fields"];

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct QueryResources {
    resource_type: String,
    /// As in search_resources
    params: Option<Map<String, Value>>,
    /// More tables to join
    also: Option<Vec<OneSearch>>,
    /// One SELECT; tables are named like the types
    sql: Option<String>,
    /// Of each search, 5000 unless told; at most 50000
    max_resources: Option<i64>,
    /// Aggregate over incomplete data
    #[serde(default)]
    allow_partial: bool,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct OneSearch {
    resource_type: String,
    params: Option<Map<String, Value>>,
}

impl Run for QueryResources {
    const FACTS: Facts = Facts {
        name: "query_resources",
        toolset: Toolset::Query,
        title: "Query FHIR Resources with SQL",
        description: "SQL (SQLite) over all matches: counts, statistics, joins; only the result comes back. Columns: code_code, code_text, subject ('Patient/<id>'), effective_utc, value_value, value_unit …, json (the resource). Without sql: the columns and three rows.",
        when: "a question over many resources: counts, first and last, statistics, joins",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let most = most_resources(self.max_resources, RESOURCES)?;
        let searches = searches(self.resource_type, self.params, self.also)?;
        let mut types: Vec<String> = Vec::new();
        for (of, _) in &searches {
            if !types.iter().any(|known| known == of.as_str()) {
                types.push(of.as_str().to_owned());
            }
        }
        let plan = match &self.sql {
            Some(sql) => Some(planned(sql, types.clone()).await?),
            None => None,
        };
        let only_a_sample = plan.as_ref().is_some_and(|plan| plan.0.wrong_column);
        let fetched = fetch(cx, searches, types, if only_a_sample { SAMPLE } else { most }).await?;
        if let Some((_, Some(why))) = &plan
            && !self.allow_partial
            && !only_a_sample
        {
            refuse_partial(&fetched, why, most)?;
        }
        let off_the_list = plan.map(|(plan, _)| plan.off_the_list).unwrap_or_default();
        let question = Question { tables: fetched.tables, sql: self.sql.clone(), off_the_list };
        let outcome = on_sqlite(move |watch| question.ask(watch)).await??;
        Ok(answer(outcome, self.sql.is_none(), fetched.stopped.is_some(), &fetched.no_match))
    }
}

/// How many resources may be fetched.
///
/// # Errors
/// [`Failure`] if the number is out of bounds.
pub(super) fn most_resources(given: Option<i64>, unless_told: usize) -> Result<usize, Failure> {
    let Some(given) = given else { return Ok(unless_told) };
    usize::try_from(given).ok().filter(|n| (1..=MOST_RESOURCES).contains(n)).ok_or_else(|| {
        Failure::teach(format!("max_resources must be from 1 to {MOST_RESOURCES}, of each search. Nothing was sent."))
    })
}

/// Search parameters without those that have no place here.
///
/// # Errors
/// [`Failure`] that says what does it instead.
pub(super) fn whole_search(params: Option<Map<String, Value>>) -> Result<Query, Failure> {
    let query = to_query(params)?;
    let given = query.iter().map(|(key, _)| key).find(|key| {
        let name = key.split(':').next().unwrap_or(key);
        NOT_HERE.contains(&name)
    });
    match given {
        Some("_sort") => Err(Failure::teach(
            "params._sort has no place here: all that match are fetched, and the order is that of the answer (ORDER BY). Nothing was sent.",
        )),
        Some(key) => Err(Failure::teach(format!(
            "params.{key} has no place here: all that match are fetched, whole. max_resources says how many at most. Nothing was sent."
        ))),
        None => Ok(query),
    }
}

fn searches(
    of: String,
    params: Option<Map<String, Value>>,
    also: Option<Vec<OneSearch>>,
) -> Result<Vec<(ResourceType, Query)>, Failure> {
    let also = also.unwrap_or_default();
    if also.len() >= MOST_SEARCHES {
        return Err(Failure::teach(format!("also takes at most {} searches. Nothing was sent.", MOST_SEARCHES - 1)));
    }
    let all = std::iter::once(OneSearch { resource_type: of, params }).chain(also);
    all.map(|search| Ok((resource_type(&search.resource_type)?, whole_search(search.params)?))).collect()
}

/// Looks at the statement before anything is fetched; with it, why it needs complete data, if it does.
async fn planned(sql: &str, types: Vec<String>) -> Result<(Plan, Option<String>), Failure> {
    let look = statement::look(sql)?;
    let sql = sql.to_owned();
    let plan = on_sqlite(move |watch| plan(&types, &sql, watch)).await??;
    let of_many = plan.of_many.as_ref().map(|function| format!("{function}()"));
    let why = of_many.or(look.speaks_of_all.map(str::to_owned));
    Ok((plan, why))
}

/// What the searches brought.
struct Tables {
    tables: Vec<Fetched>,
    /// Why one of the walks ended early, if a larger number would not help it.
    stopped: Option<&'static str>,
    /// What to try, for each search that found nothing.
    no_match: Vec<String>,
}

/// Walks over all searches at once. Those of one type fill one table.
async fn fetch(
    cx: &Context<'_>,
    searches: Vec<(ResourceType, Query)>,
    types: Vec<String>,
    most: usize,
) -> Result<Tables, Failure> {
    let walks = searches.into_iter().map(|(of, query)| async move {
        let name = of.as_str().to_owned();
        let search = Search::new(cx, of, query).await?;
        let zero = search.zero();
        let walk = search.walk(cx, most).await?;
        let none = if walk.matched == 0 { Some(zero.explain(cx).await) } else { None };
        Ok::<_, Failure>((name, none, walk.stopped, !walk.more, walk.into_entries()))
    });
    let mut tables: Vec<Fetched> =
        types.iter().map(|of| Fetched { layout: Layout::of(of), resources: Vec::new(), complete: true }).collect();
    let (mut no_match, mut stopped) = (Vec::new(), None);
    for (name, none, why, complete, resources) in try_join_all(walks).await? {
        no_match.extend(none);
        stopped = stopped.or(why);
        if let Some(table) = tables.iter_mut().find(|table| table.layout.table == name) {
            table.complete &= complete;
            table.resources.extend(resources);
        }
    }
    Ok(Tables { tables, stopped, no_match })
}

fn refuse_partial(fetched: &Tables, why: &str, most: usize) -> Result<(), Failure> {
    let Some(part) = fetched.tables.iter().find(|table| !table.complete) else { return Ok(()) };
    if let Some(stopped) = fetched.stopped {
        return Err(Failure::teach(format!(
            "{stopped} Over the {} that were fetched {why} would be wrong. With allow_partial: true it is worked out over those",
            counted(part.resources.len(), &part.layout.table)
        )));
    }
    let more = if most < MOST_RESOURCES {
        format!("raise max_resources (now {most}, at most {MOST_RESOURCES}), or narrow params")
    } else {
        "narrow params".to_owned()
    };
    Err(Failure::teach(format!(
        "More {} match than the {} that were fetched, and over some of them {why} would be wrong. To get them all, {more}. With allow_partial: true it is worked out over those that were fetched",
        plural(&part.layout.table),
        part.resources.len()
    )))
}

fn answer(outcome: Outcome, is_preview: bool, stopped: bool, no_match: &[String]) -> Answer {
    let Outcome { tables, rows, notes } = outcome;
    let Rows { columns, rows, more } = rows;
    let shown = rows.len();
    let rows =
        if is_preview { rows.into_iter().map(|row| row.into_iter().map(shortened).collect()).collect() } else { rows };
    let mut answer = Answer::table(columns, rows).missing(incomplete(&tables, stopped));
    if more {
        answer = answer
            .missing(format!("The first {shown} rows of more (at most {MOST_ROWS}, 2 MB): aggregate, or LIMIT them."));
    }
    let said = if is_preview {
        preview_notes(&tables, shown)
    } else {
        std::iter::once(complete(&tables)).chain(notes).collect()
    };
    said.iter().chain(no_match).fold(answer, |answer, note| answer.note(note))
}

/// What a reader must know before the rows.
fn incomplete(tables: &[Table], stopped: bool) -> String {
    let part = |table: &&Table| !table.complete;
    let some: Vec<String> = tables
        .iter()
        .filter(part)
        .map(|table| format!("only {} {} were fetched, and more match", table.filled.rows, plural(&table.layout.table)))
        .collect();
    match some.as_slice() {
        [] => String::new(),
        some if stopped => format!("Incomplete: {}. Narrow params.", some.join("; ")),
        some => format!("Incomplete: {}. Raise max_resources, or narrow params.", some.join("; ")),
    }
}

fn complete(tables: &[Table]) -> String {
    if tables.iter().any(|table| !table.complete) {
        return String::new();
    }
    let counts: Vec<String> = tables.iter().map(|table| counted(table.filled.rows, &table.layout.table)).collect();
    format!("Over all {} that match (complete).", counts.join(" and "))
}

fn preview_notes(tables: &[Table], shown: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let complete = if table.complete { " (complete)" } else { "" };
        let rows = format!("Table {}, {} rows{complete}", table.layout.table, table.filled.rows);
        let more: Vec<&str> = table.held().filter(|name| index > 0 || !is_shown(name)).collect();
        notes.push(match index {
            _ if table.filled.rows == 0 => format!("{rows}."),
            0 => format!("{rows}, {shown} shown, long texts cut. Also: {}.", more.join(", ")),
            _ => format!("{rows}: {}.", more.join(", ")),
        });
    }
    notes.push("SQLite; json holds the whole resource: json_extract(json,'$.note[0].text').".into());
    notes
}

/// A cell of a preview: enough to see what is in it.
fn shortened(cell: Value) -> Value {
    const ENOUGH: usize = 56;
    match cell {
        Value::String(text) if text.chars().nth(ENOUGH).is_some() => {
            Value::from(text.chars().take(ENOUGH).chain(['…']).collect::<String>())
        }
        cell => cell,
    }
}

pub(super) fn counted(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {}", plural(of)) }
}

fn plural(of: &str) -> String {
    match of.strip_suffix('y') {
        Some(start) if !start.ends_with(['a', 'e', 'o']) => format!("{start}ies"),
        _ if of.ends_with('s') => of.to_owned(),
        _ => format!("{of}s"),
    }
}
