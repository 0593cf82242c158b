//! What a search that found nothing may come from: its parameters, and one look at what there is instead.

use fhir_definitions::{Definitions, ParameterKind, TypeInfo};
use medplum_client::{Interaction, Query, ResourceType};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Search, obeyed};
use crate::context::Context;

/// So much of the filters is repeated where nothing matches them.
const LONGEST_FILTERS: usize = 200;
/// Where an Observation holds a measurement: in itself, in its components, or in either.
const IN_COMPONENTS: &str = "component-";
const IN_EITHER: &str = "combo-";
/// Parameters that shape the answer and are among those of no list.
const SHAPES: [&str; 3] = ["_fields", "_offset", "_cursor"];

/// A search, for the case that nothing matches it.
#[derive(Debug)]
pub(crate) struct Zero {
    resource_type: ResourceType,
    filters: Vec<(String, String)>,
    hints: Vec<String>,
}

impl Search {
    /// The same, for the case that nothing matches it.
    pub(crate) fn zero(&self) -> Zero {
        let shapes = Definitions::get().result_parameters();
        let is_filter = |key: &str| !shapes.contains(&key) && !SHAPES.contains(&key);
        let filters = self.query.iter().filter(|(key, _)| is_filter(key));
        Zero {
            resource_type: self.resource_type.clone(),
            filters: filters.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            hints: self.hints.clone(),
        }
    }
}

impl Zero {
    /// What to try: what an Observation has in its components, that there is nothing of the type at all, or else a hint
    /// for each parameter. It costs a count or two, and where those fail it is said without them.
    pub(crate) async fn explain(self, cx: &Context<'_>) -> String {
        let none = std::iter::once(self.none()).chain(self.repeated()).collect::<Vec<_>>().join(" ");
        if self.info().is_none() {
            return none;
        }
        if self.filters.is_empty() {
            return format!("{none} {}", self.nothing_at_all());
        }
        if let Some(found) = self.elsewhere(cx).await {
            return format!("{none} {found}");
        }
        if how_many(cx, &self.resource_type, Query::new()).await == Some(0) {
            return format!("{none} {}", self.nothing_at_all());
        }
        std::iter::once(none).chain(self.hints()).collect::<Vec<_>>().join(" ")
    }

    fn none(&self) -> String {
        let filters: Vec<String> = self.filters.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters: String = filters.join(" and ").chars().take(LONGEST_FILTERS).collect();
        match filters.as_str() {
            "" => format!("No {} matches.", self.resource_type),
            filters => format!("No {} matches {filters}.", self.resource_type),
        }
    }

    fn nothing_at_all(&self) -> String {
        format!("There is no {} at all in this project, as far as is visible.", self.resource_type)
    }

    fn info(&self) -> Option<&'static TypeInfo> {
        Definitions::get().resource_type(self.resource_type.as_str())
    }

    /// How many have it in a component, or not in one: a panel holds its values in components, where `code` does not look.
    async fn elsewhere(&self, cx: &Context<'_>) -> Option<String> {
        let info = self.info()?;
        let (mut combined, mut in_itself, mut in_component) = (Query::new(), false, false);
        let mut said = Vec::new();
        for (key, value) in &self.filters {
            let either = in_either(info, key);
            match &either {
                Some(_) if key.starts_with(IN_COMPONENTS) => in_component = true,
                Some(_) => in_itself = true,
                None => {}
            }
            if let Some(either) = &either {
                said.push(format!("{either}={value}"));
            }
            combined.push(either.as_deref().unwrap_or(key), value);
        }
        if said.is_empty() {
            return None;
        }
        let count = how_many(cx, &self.resource_type, combined).await.filter(|count| *count > 0)?;
        let place = match (in_itself, in_component) {
            (true, false) => "In components",
            (false, true) => "Outside of components",
            _ => "In components or outside of them",
        };
        Some(format!("{place}: {} ({count}).", said.join(" and ")))
    }

    /// What may be wrong with each parameter that was used.
    fn hints(&self) -> Vec<String> {
        let mut hints = self.hints.clone();
        for (key, value) in &self.filters {
            hints.extend(self.hint(key, value).filter(|hint| !hints.contains(hint)));
        }
        hints.extend(self.accents());
        hints
    }

    /// Medplum compares letters as they are written: what was searched by name, in another spelling too.
    fn accents(&self) -> Option<String> {
        let mut names = self.filters.iter().filter(|(key, _)| self.info().is_some_and(|info| is_text(info, key)));
        names.find_map(|(key, value)| {
            let bare: String = value.nfd().filter(|c| !is_combining_mark(*c)).collect();
            let is_name = bare.chars().all(|c| c.is_ascii_alphabetic() || " '-".contains(c)) && bare.trim().len() > 1;
            match is_name {
                false => None,
                true if bare == *value => Some(format!(
                    "Accents count: {value} does not find a name that is written with one; both: {key}={value},<with the accent>."
                )),
                true => Some(format!("Accents count; with and without: {key}={value},{bare}.")),
            }
        })
    }

    /// What holds one code or name holds no other: whoever passes several mostly means any of them.
    fn repeated(&self) -> Vec<String> {
        let is_one = |key: &str| {
            let parameter = Definitions::get().search_parameter(self.info()?, first_name(key))?;
            Some(matches!(parameter.kind, ParameterKind::Token | ParameterKind::Reference))
        };
        let keys = self.filters.iter().map(|(key, _)| key.as_str());
        let twice =
            keys.enumerate().filter(|(at, key)| self.filters.iter().skip(*at + 1).any(|(other, _)| other == key));
        let mut keys: Vec<&str> = twice.map(|(_, key)| key).filter(|key| is_one(key) == Some(true)).collect();
        keys.dedup();
        keys.into_iter().map(|key| format!("A list of {key} is AND; a comma is OR.")).collect()
    }

    fn hint(&self, key: &str, value: &str) -> Option<String> {
        if key.contains('.') {
            return None;
        }
        let code = first_name(key);
        let parameter = Definitions::get().search_parameter(self.info()?, code)?;
        let modifier = key.strip_prefix(code).and_then(|rest| rest.strip_prefix(':'));
        Some(match (code, parameter.kind, modifier) {
            ("_id" | "_lastUpdated", ..) | (_, _, Some("missing")) => return None,
            (_, ParameterKind::Reference, Some("identifier")) => {
                format!(
                    "{key} looks at an identifier inside of the reference; {code}.identifier at that of what it leads to."
                )
            }
            ("identifier", ..) => "identifier is matched whole: system|value.".into(),
            ("code", ParameterKind::Token, _) => "list_codes shows the codes that there are.".into(),
            (_, ParameterKind::String, None) => format!("{code} matches the start of a word."),
            (_, ParameterKind::Reference, _) if value.contains('/') => return None,
            (_, ParameterKind::Reference, _) => "A reference is written Type/<id>.".into(),
            _ => return None,
        })
    }
}

/// The name in front of a modifier or a chain.
fn first_name(key: &str) -> &str {
    key.split([':', '.']).next().unwrap_or(key)
}

/// Whether letters are compared, at the end of a chain too: `subject:Patient.name`.
fn is_text(info: &TypeInfo, key: &str) -> bool {
    let Some(parameter) = Definitions::get().search_parameter(info, first_name(key)) else { return false };
    let Some((link, rest)) = key.split_once('.') else {
        return parameter.kind == ParameterKind::String && !key.ends_with(":missing");
    };
    let said = link.split_once(':').map(|(_, resource_type)| resource_type);
    let leads_to = parameter.targets().filter(|target| said.is_none_or(|said| said == *target));
    leads_to.filter_map(|target| Definitions::get().resource_type(target)).any(|info| is_text(info, rest))
}

/// The parameter that looks for the same in a resource and in its components.
fn in_either(info: &TypeInfo, key: &str) -> Option<String> {
    let is_negative = key.ends_with(":not") || key.ends_with(":missing");
    if key.contains('.') || key.starts_with(IN_EITHER) || is_negative {
        return None;
    }
    let either = format!("{IN_EITHER}{}", key.strip_prefix(IN_COMPONENTS).unwrap_or(key));
    Definitions::get().search_parameter(info, first_name(&either)).map(|_| either)
}

/// How many there are; none if that cannot be found out.
pub(crate) async fn how_many(cx: &Context<'_>, of: &ResourceType, query: Query) -> Option<u64> {
    let query = query.with("_summary", "count");
    let (found, _) = cx.page(&Interaction::search(of.clone(), query.clone())).await.ok()?;
    obeyed(&query, found.self_link.as_deref()).ok()?;
    found.total
}
