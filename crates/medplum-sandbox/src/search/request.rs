//! A search as it was asked for, and as Medplum writes it into the links of the answer.

use fhir_definitions::{Definitions, ParameterKind, SearchParameter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::date;
use crate::outcome::{Outcome, Result};

pub(crate) const DEFAULT_COUNT: i64 = 20;
pub(crate) const LARGEST_COUNT: i64 = 1000;
pub(crate) const LARGEST_OFFSET: i64 = 10_000;
/// What a search over several types is called in its own links.
pub(crate) const SEVERAL_TYPES: &str = "MultipleTypes";

/// What JavaScript's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// How a value is compared: a modifier of the name or a prefix of the value.
const MODIFIERS: [&str; 13] = [
    "contains",
    "exact",
    "above",
    "below",
    "text",
    "not",
    "in",
    "not-in",
    "of-type",
    "missing",
    "present",
    "identifier",
    "iterate",
];
const PREFIXES: [&str; 9] = ["eq", "ne", "lt", "le", "gt", "ge", "sa", "eb", "ap"];

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// The parameter; a chain or `_has` is kept as it came.
    pub(crate) code: String,
    /// `eq`, a prefix or a modifier.
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// One key to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) code: String,
    pub(crate) descending: bool,
}

/// `Observation:subject:Patient` of `_include` or `_revinclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Include {
    pub(crate) resource_type: String,
    pub(crate) code: String,
    pub(crate) target: Option<String>,
    pub(crate) iterate: bool,
}

/// A whole number, or what JavaScript makes of a text that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Is(i64),
    NotANumber,
}

impl Number {
    /// `parseInt(text, 10)`
    fn parse(text: &str) -> Self {
        let text = text.trim_start();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let digits = digits.get(..end).unwrap_or_default();
        digits.parse::<i64>().map_or(Self::NotANumber, |number| Self::Is(sign * number))
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Is(number) => number.fmt(f),
            Self::NotANumber => f.write_str("NaN"),
        }
    }
}

/// A search, understood.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) resource_type: String,
    pub(crate) types: Option<Vec<String>>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) sort: Vec<Sort>,
    pub(crate) count: Option<Number>,
    pub(crate) offset: Option<Number>,
    pub(crate) cursor: Option<String>,
    pub(crate) fields: Option<Vec<String>>,
    pub(crate) total: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) include: Vec<Include>,
    pub(crate) revinclude: Vec<Include>,
}

impl Request {
    /// Reads the pairs of a query.
    pub(crate) fn parse(definitions: &Definitions, resource_type: &str, query: &[(String, String)]) -> Result<Self> {
        let mut request = Self { resource_type: resource_type.to_owned(), ..Self::default() };
        for (key, value) in query {
            request.read(definitions, key, value)?;
        }
        Ok(request)
    }

    fn read(&mut self, definitions: &Definitions, key: &str, value: &str) -> Result<()> {
        let (code, modifier) = key.split_once(':').unwrap_or((key, ""));
        if code == "_has" || key.contains('.') {
            self.filters.push(Filter { code: key.to_owned(), operator: "eq".to_owned(), value: value.to_owned() });
            return Ok(());
        }
        match code {
            "_" | "_format" | "_pretty" => {}
            "_sort" => self.sort.extend(value.split(',').map(sort_rule)),
            "_cursor" => self.cursor = Some(value.to_owned()),
            "_count" => self.count = Some(Number::parse(value)),
            "_offset" => self.offset = Some(Number::parse(value)),
            "_total" => self.total = Some(value.to_owned()),
            "_summary" => match value {
                "count" => {
                    self.total = Some("accurate".to_owned());
                    self.count = Some(Number::Is(0));
                }
                "true" | "data" | "text" => self.summary = Some(value.to_owned()),
                _ => {}
            },
            "_include" => self.include.push(include(value, modifier)?),
            "_revinclude" => self.revinclude.push(include(value, modifier)?),
            "_fields" | "_elements" => self.fields = Some(value.split(',').map(str::to_owned).collect()),
            "_type" => self.types = Some(value.split(',').map(str::to_owned).collect()),
            _ => {
                let info = definitions.resource_type(&self.resource_type);
                let parameter = info.and_then(|info| definitions.search_parameter(info, code));
                self.filters.push(match parameter {
                    Some(parameter) => condition(parameter, modifier, value)?,
                    None => unknown_parameter(code, modifier, value),
                });
            }
        }
        Ok(())
    }

    /// The query as the links of the answer show it, with its question mark.
    pub(crate) fn query(&self) -> String {
        let mut parts = Vec::new();
        if let Some(fields) = &self.fields {
            parts.push(format!("_fields={}", fields.join(",")));
        }
        parts.extend(self.filters.iter().map(Filter::format));
        if !self.sort.is_empty() {
            let keys = self.sort.iter().map(|key| format!("{}{}", if key.descending { "-" } else { "" }, key.code));
            parts.push(format!("_sort={}", keys.collect::<Vec<_>>().join(",")));
        }
        if let Some(cursor) = &self.cursor {
            parts.push(format!("_cursor={}", encoded(cursor)));
        }
        if let Some(offset) = self.offset.filter(|offset| *offset != Number::Is(0)) {
            parts.push(format!("_offset={offset}"));
        }
        if let Some(count) = self.count {
            parts.push(format!("_count={count}"));
        }
        if let Some(total) = &self.total {
            parts.push(format!("_total={total}"));
        }
        if let Some(types) = &self.types {
            parts.push(format!("_type={}", types.join(",")));
        }
        parts.extend(self.include.iter().map(|include| include.format("_include")));
        parts.extend(self.revinclude.iter().map(|include| include.format("_revinclude")));
        parts.sort_by_key(|part| part.to_lowercase());
        if parts.is_empty() {
            return String::new();
        }
        format!("?{}", parts.join("&"))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

impl Filter {
    fn format(&self) -> String {
        let operator = self.operator.as_str();
        let modifier = if MODIFIERS.contains(&operator) { format!(":{operator}") } else { String::new() };
        let prefix = if operator != "eq" && PREFIXES.contains(&operator) { operator } else { "" };
        format!("{}{modifier}={prefix}{}", self.code, encoded(&self.value))
    }
}

impl Include {
    fn format(&self, name: &str) -> String {
        let iterate = if self.iterate { ":iterate" } else { "" };
        let target = self.target.as_ref().map(|target| format!(":{target}")).unwrap_or_default();
        format!("{name}{iterate}={}:{}{target}", self.resource_type, self.code)
    }
}

/// `-date`. A direction behind a colon is lost without a word.
fn sort_rule(text: &str) -> Sort {
    let descending = text.starts_with('-');
    let code = text.strip_prefix('-').unwrap_or(text);
    Sort { code: code.split(':').next().unwrap_or(code).to_owned(), descending }
}

fn include(text: &str, modifier: &str) -> Result<Include> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.contains(&"*") {
        let text = "'*' is not supported as a value for search inclusion parameters";
        return Err(Outcome::bad_request(text));
    }
    let (resource_type, code, target) = match parts.as_slice() {
        [resource_type, code] => (*resource_type, *code, None),
        [resource_type, code, target] => (*resource_type, *code, Some((*target).to_owned())),
        [_] => {
            return Err(Outcome::bad_request(format!(
                "Invalid include value '{text}': must be of the form ResourceType:search-parameter"
            )));
        }
        _ => return Err(Outcome::bad_request(format!("Invalid include value '{text}'"))),
    };
    Ok(Include {
        resource_type: resource_type.to_owned(),
        code: code.to_owned(),
        target,
        iterate: modifier == "iterate",
    })
}

/// A condition on a parameter that is known. A modifier that is not known is dropped without a word.
pub(crate) fn condition(parameter: &SearchParameter, modifier: &str, value: &str) -> Result<Filter> {
    let filter = |operator: &str, value: &str| Filter {
        code: parameter.code.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    if modifier == "missing" || modifier == "present" {
        return Ok(filter(modifier, value));
    }
    match parameter.kind {
        ParameterKind::Number | ParameterKind::Date | ParameterKind::Quantity => {
            let (operator, rest) = prefix(value).unwrap_or(("eq", value));
            if parameter.kind == ParameterKind::Date && !date::is_date_time(rest) {
                return Err(Outcome::bad_request(format!("Invalid format for date search parameter: {rest}")));
            }
            Ok(filter(operator, rest))
        }
        ParameterKind::Reference if parameter.targets().any(|target| target == modifier) => {
            let whole = if value.contains('/') { value.to_owned() } else { format!("{modifier}/{value}") };
            Ok(filter("eq", &whole))
        }
        ParameterKind::Composite => Err(Outcome::not_implemented("search by composite parameters")),
        _ => {
            let known = MODIFIERS.iter().find(|known| **known == modifier);
            Ok(filter(known.copied().unwrap_or("eq"), value))
        }
    }
}

fn prefix(value: &str) -> Option<(&str, &str)> {
    let (prefix, rest) = value.split_at_checked(2)?;
    PREFIXES.contains(&prefix).then_some((prefix, rest))
}

fn unknown_parameter(code: &str, modifier: &str, value: &str) -> Filter {
    let (operator, value) = if modifier.is_empty() {
        let digit = |rest: &str| rest.chars().next().is_none_or(|first| first.is_ascii_digit());
        prefix(value).filter(|(_, rest)| digit(rest)).unwrap_or(("eq", value))
    } else {
        (modifier, value)
    };
    Filter { code: code.to_owned(), operator: operator.to_owned(), value: value.to_owned() }
}

/// The alternatives in a value: cut at each comma that no backslash stands before.
pub(crate) fn alternatives(value: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut escaped = false;
    for letter in value.chars() {
        match letter {
            '\\' if !escaped => escaped = true,
            ',' if !escaped => all.push(String::new()),
            letter => {
                escaped = false;
                if let Some(last) = all.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::pairs;

    fn shown(resource_type: &str, query: &str) -> String {
        match Request::parse(Definitions::get(), resource_type, &pairs(query)) {
            Ok(request) => request.query(),
            Err(outcome) => outcome.text().to_owned(),
        }
    }

    #[test]
    fn links_say_what_was_understood() {
        assert_eq!(shown("Patient", "name:zzz=abc&_count=1"), "?_count=1&name=abc");
        assert_eq!(shown("Patient", "_count=abc"), "?_count=NaN");
        assert_eq!(shown("Patient", "birthdate=eq1980-01-01"), "?birthdate=1980-01-01");
        assert_eq!(shown("Patient", "birthdate=ge1980-01-01"), "?birthdate=ge1980-01-01");
        assert_eq!(shown("Patient", "_elements=name,id&_pretty=true"), "?_fields=name,id");
        assert_eq!(shown("Patient", "_summary=count"), "?_count=0&_total=accurate");
        assert_eq!(shown("Observation", "subject:Patient=x"), "?subject=Patient%2Fx");
        assert_eq!(shown("Patient", "_sort=name:desc,-birthdate"), "?_sort=name,-birthdate");
        assert_eq!(shown("Patient", "gender=female,male&family:exact=X"), "?family:exact=X&gender=female%2Cmale");
        assert_eq!(shown("Patient", "birthdate=notadate"), "Invalid format for date search parameter: notadate");
        assert_eq!(shown("Patient", "name="), "?name=");
    }

    #[test]
    fn commas_may_be_escaped() {
        assert_eq!(alternatives(r"a,b\,c,\\"), ["a", "b,c", r"\"]);
        assert_eq!(alternatives(""), [""]);
    }
}
