//! The latest value of everything that was measured, and where it is going.

use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value};

use super::dates::{self, Recorded};
use super::fetch::Page;
use super::text::{cell, clipped, code, concept, list, quantity, string, unit};
use super::{Each, Row, Rows, Sources};

/// How many values make a trend.
const TREND: usize = 3;
/// How long the name of a measurement or of a part of it may be.
const NAME: usize = 48;
const PART: usize = 28;

const COLUMNS: [&str; 8] = ["what", "code", "value", "unit", "range", "date", "count", "trend"];

/// A row for each code: vital signs first, then the laboratory, then the rest; in each, what is out of range first, then
/// the newest.
pub(super) fn latest(sources: &Sources<'_>) -> Rows {
    let mut series = collect(sources);
    for one in &mut series {
        one.readings.sort_by_key(|reading| std::cmp::Reverse(reading.date.map(|date| date.moment)));
    }
    series.sort_by_key(|one| {
        let newest = one.readings.first();
        let flagged = newest.is_some_and(|reading| !flags(reading.observation).is_empty());
        (one.group, !flagged, std::cmp::Reverse(newest.and_then(|reading| reading.date).map(|date| date.moment)))
    });
    let mut rows: Vec<Row> = series.iter().filter_map(Series::row).collect();
    let columns = without_empty_columns(&mut rows);
    Rows { rows, columns, each: Each::Code, note: incomplete(&sources.pages), left_out: 0 }
}

/// Everything that was measured under one code.
struct Series<'v> {
    group: usize,
    readings: Vec<Reading<'v>>,
}

/// One value.
struct Reading<'v> {
    observation: &'v Value,
    date: Option<Recorded<'v>>,
    value: Value,
    unit: Option<&'v str>,
}

fn collect<'v>(sources: &Sources<'v>) -> Vec<Series<'v>> {
    let mut all: Vec<Series<'v>> = Vec::new();
    let mut by_code: HashMap<String, usize> = HashMap::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for (group, page) in sources.pages.iter().enumerate() {
        for observation in page.iter().flat_map(|page| &page.resources) {
            // Of both categories: it was there already.
            if string(observation, "/id").is_some_and(|id| !seen.insert(id)) {
                continue;
            }
            let Some((key, reading)) = key(observation).zip(reading(observation)) else { continue };
            let at = *by_code.entry(key).or_insert(all.len());
            match all.get_mut(at) {
                Some(series) => series.readings.push(reading),
                None => all.push(Series { group, readings: vec![reading] }),
            }
        }
    }
    all
}

/// The code with its system; the text where there is no code.
fn key(observation: &Value) -> Option<String> {
    let what = observation.get("code")?;
    let coded = list(what, "/coding").iter().find(|coding| string(coding, "/code").is_some());
    match coded {
        Some(coding) => Some(format!("{}|{}", string(coding, "/system").unwrap_or_default(), string(coding, "/code")?)),
        None => concept(what).map(str::to_lowercase),
    }
}

/// What was measured; nothing where no value is.
fn reading(observation: &Value) -> Option<Reading<'_>> {
    let (value, unit) = value_of(observation).or_else(|| parts(observation))?;
    let date = dates::first(
        observation,
        &["effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming", "issued"],
    );
    Some(Reading { observation, date, value, unit })
}

/// The `value[x]` of an observation or of one of its components, and its unit.
fn value_of(holder: &Value) -> Option<(Value, Option<&str>)> {
    let (name, value) = holder.as_object()?.iter().find(|(name, _)| name.starts_with("value"))?;
    Some(match name.as_str() {
        "valueQuantity" => match string(value, "/comparator") {
            None => (plain(value.get("value")?), unit(value)),
            Some(comparator) => (format!("{comparator}{}", value.get("value")?).into(), unit(value)),
        },
        "valueCodeableConcept" => (cell(Some(concept(value)?)), None),
        "valueRange" => (between(value)?.into(), value.get("low").or_else(|| value.get("high")).and_then(unit)),
        "valueRatio" => {
            (format!("{}/{}", quantity(value.get("numerator")?)?, quantity(value.get("denominator")?)?).into(), None)
        }
        "valuePeriod" => (dates::first(holder, &["valuePeriod"])?.date.into(), None),
        _ => match value {
            Value::String(text) => (cell(Some(text)), None),
            Value::Bool(_) | Value::Number(_) => (plain(value), None),
            _ => return None,
        },
    })
}

/// A number without the zeros that say nothing: 126.0 is 126.
fn plain(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => Value::from(number as i64),
        _ => value.clone(),
    }
}

/// The values of the components, each with its name: of a blood pressure, both.
fn parts(observation: &Value) -> Option<(Value, Option<&str>)> {
    let found: Vec<(&str, Value, Option<&str>)> = list(observation, "/component")
        .iter()
        .filter_map(|part| {
            let (value, unit) = value_of(part)?;
            Some((part.get("code").and_then(concept).unwrap_or_default(), value, unit))
        })
        .collect();
    let (_, _, common) = *found.first()?;
    let same = found.iter().all(|(_, _, unit)| *unit == common);
    let shown: Vec<String> = found
        .iter()
        .map(|(name, value, unit)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let unit = unit.filter(|_| !same).map(|unit| format!(" {unit}")).unwrap_or_default();
            format!("{} {value}{unit}", clipped(name, PART))
        })
        .collect();
    Some((clipped(&shown.join(", "), 2 * PART + 40).into(), common.filter(|_| same)))
}

impl Series<'_> {
    fn row(&self) -> Option<Row> {
        let newest = self.readings.first()?;
        let what = newest.observation.get("code");
        let name = what.and_then(concept).map(|name| clipped(name, NAME)).unwrap_or_default();
        let cells = vec![
            name.into(),
            cell(what.and_then(code).filter(|code| Some(*code) != what.and_then(concept))),
            newest.value.clone(),
            cell(newest.unit),
            cell(Some(range(newest.observation))),
            cell(newest.date.map(|date| date.date)),
            self.readings.len().into(),
            self.trend().unwrap_or_default().into(),
        ];
        Some(cells)
    }

    /// Where the last values are going; nothing unless all are numbers in the same unit, at a known time.
    fn trend(&self) -> Option<String> {
        let last: Vec<&Reading<'_>> = self.readings.iter().take(TREND).collect();
        let newest = last.first()?;
        let unit = newest.unit_code();
        if last.len() < TREND || last.iter().any(|reading| reading.date.is_none() || reading.unit_code() != unit) {
            return None;
        }
        let numbers: Option<Vec<&Number>> = last.iter().rev().map(|reading| reading.value.as_number()).collect();
        direction(&numbers?)
    }
}

impl Reading<'_> {
    /// The unit as a code where there is one: two ways to write it are the same unit.
    fn unit_code(&self) -> Option<&str> {
        string(self.observation, "/valueQuantity/code").or(self.unit)
    }
}

/// `rising: 7.2, 7.4, 7.9`
fn direction(numbers: &[&Number]) -> Option<String> {
    let values: Option<Vec<f64>> = numbers.iter().map(|number| number.as_f64()).collect();
    let values = values?;
    let pairs = || values.iter().zip(values.iter().skip(1));
    let word = if pairs().all(|(a, b)| a < b) {
        "rising"
    } else if pairs().all(|(a, b)| a > b) {
        "falling"
    } else if pairs().all(|(a, b)| a == b) {
        return Some("steady".to_owned());
    } else {
        "varying"
    };
    let shown: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Some(format!("{word}: {}", shown.join(", ")))
}

/// `4-6 H`: the range that is usual, and how the value compares with it.
fn range(observation: &Value) -> String {
    let all = list(observation, "/referenceRange");
    let normal = all.iter().find(|range| range.get("type").and_then(code) == Some("normal")).or_else(|| all.first());
    let normal = normal.and_then(|range| between(range).or_else(|| string(range, "/text").map(str::to_owned)));
    let parts: Vec<String> = normal.into_iter().chain(flags(observation)).collect();
    parts.join(" ")
}

/// What is said of the value, unless it is normal; and that it is not final.
fn flags(observation: &Value) -> Vec<String> {
    let said = list(observation, "/interpretation").iter().filter_map(|said| code(said).or_else(|| concept(said)));
    let preliminary = string(observation, "/status").filter(|status| ["registered", "preliminary"].contains(status));
    said.filter(|said| *said != "N").chain(preliminary).map(str::to_owned).collect()
}

/// `4-6`, `<6`, `>4`.
fn between(range: &Value) -> Option<String> {
    let end = |name: &str| range.get(name).and_then(|end| end.get("value"));
    match (end("low"), end("high")) {
        (Some(low), Some(high)) => Some(format!("{low}-{high}")),
        (Some(low), None) => Some(format!("≥{low}")),
        (None, Some(high)) => Some(format!("≤{high}")),
        (None, None) => None,
    }
}

/// Takes the columns out in which no row has anything, and names the others.
fn without_empty_columns(rows: &mut [Row]) -> Vec<&'static str> {
    let mut used = [false; COLUMNS.len()];
    for row in rows.iter() {
        used.iter_mut().zip(row).for_each(|(used, cell)| *used |= *cell != "");
    }
    for row in rows.iter_mut() {
        let cells = std::mem::take(row);
        *row = cells.into_iter().zip(used).filter(|(_, used)| *used).map(|(cell, _)| cell).collect();
    }
    COLUMNS.into_iter().zip(used).filter(|(_, used)| *used).map(|(column, _)| column).collect()
}

/// What was not looked at.
fn incomplete(pages: &[Option<&Page>]) -> Option<String> {
    let cut = pages.iter().flatten().filter(|page| page.total.is_some_and(|total| total > page.resources.len()));
    let cut: Vec<String> = cut
        .map(|page| {
            let dated =
                page.resources.iter().filter_map(|o| dates::first(o, &["effectiveDateTime", "effectivePeriod"]));
            let since = dated.min_by_key(|date| date.moment).map(|date| format!(" (since {})", date.date));
            format!(
                "{} newest of {}{}",
                page.resources.len(),
                page.total.unwrap_or_default(),
                since.unwrap_or_default()
            )
        })
        .collect();
    (!cut.is_empty()).then(|| {
        format!("latest looks at the {} Observations of a category: older ones are not in count, and a code that only they have is missing.", cut.join(" and the "))
    })
}
