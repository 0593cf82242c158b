//! What a search parameter looks at: its FHIRPath expression, made ready to be evaluated many thousand times.
//!
//! Nearly all of them are plain paths, which are walked directly. The rest is left to the FHIRPath evaluator.

use std::borrow::Cow;

use serde_json::Value;

/// An expression made ready.
#[derive(Debug)]
pub(crate) struct Extractor {
    terms: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    /// A path from the resource on, and which of the values at its end are meant.
    Path(Vec<String>, Keep),
    Expression(Box<fhirpath::Expression>),
}

#[derive(Debug, PartialEq, Eq)]
enum Keep {
    All,
    /// `ofType(dateTime)`: of a choice, the one whose name ends in this.
    OfType(String),
    /// `where(resolve() is Patient)`: references to this type.
    To(String),
}

impl Extractor {
    /// Of an expression, the terms joined by `|`.
    pub(crate) fn new(expression: &str) -> Self {
        let plain: Option<Vec<Term>> = expression.split(" | ").map(|term| plain_path(term.trim())).collect();
        let terms = plain.unwrap_or_else(|| {
            let parsed = fhirpath::Expression::parse(expression).ok();
            parsed.map(|parsed| Term::Expression(Box::new(parsed))).into_iter().collect()
        });
        Self { terms }
    }

    /// Of an expression, the identifiers in the references that it leads to.
    pub(crate) fn identifiers(expression: &str) -> Self {
        let mut extractor = Self::new(expression);
        for term in &mut extractor.terms {
            if let Term::Path(steps, _) = term {
                steps.push("identifier".to_owned());
            }
        }
        extractor
    }

    /// The elements of the resource that it looks into; nothing where that is not known.
    pub(crate) fn roots(&self) -> Option<Vec<&str>> {
        let roots = self.terms.iter().map(|term| match term {
            Term::Path(steps, _) => steps.first().map(String::as_str),
            Term::Expression(_) => None,
        });
        roots.collect()
    }

    /// Each value, in the order of the resource.
    pub(crate) fn values<'v>(&self, resource: &'v Value) -> Vec<Cow<'v, Value>> {
        let mut found = Vec::new();
        for term in &self.terms {
            match term {
                Term::Path(steps, keep) => walk(resource, steps, keep, &mut found),
                Term::Expression(expression) => {
                    let items = expression.evaluate(resource, &fhirpath::Context::new());
                    let items = items.unwrap_or_default();
                    found.extend(items.iter().map(|item| Cow::Owned(item.to_json().into_owned())));
                }
            }
        }
        found
    }
}

/// `Observation.value.ofType(Quantity)` as a plain path, if it is one.
fn plain_path(term: &str) -> Option<Term> {
    let term = term.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(term);
    let (path, keep) = if let Some((path, rest)) = term.split_once(".where(resolve() is ") {
        (path, Keep::To(rest.strip_suffix(')')?.to_owned()))
    } else if let Some((path, rest)) = term.split_once(".ofType(") {
        (path, Keep::OfType(rest.strip_suffix(')')?.to_owned()))
    } else {
        (term, Keep::All)
    };
    let is_name = |step: &str| !step.is_empty() && step.chars().all(|letter| letter.is_ascii_alphanumeric());
    let mut steps = path.split('.');
    let root = steps.next()?;
    if !is_name(root) || !root.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let steps: Vec<String> = steps.map(str::to_owned).collect();
    let plain = !steps.is_empty() && steps.iter().all(|step| is_name(step));
    plain.then_some(Term::Path(steps, keep))
}

fn walk<'v>(value: &'v Value, steps: &[String], keep: &Keep, found: &mut Vec<Cow<'v, Value>>) {
    match (value, steps.split_first()) {
        (Value::Array(list), _) => {
            for item in list {
                walk(item, steps, keep, found);
            }
        }
        (Value::Null, _) => {}
        (value, None) if kept(value, keep) => found.push(Cow::Borrowed(value)),
        (Value::Object(map), Some((step, rest))) => {
            if let (Keep::OfType(name), []) = (keep, rest) {
                let chosen = map.iter().find(|(key, _)| is_choice(key, step, Some(name)));
                if let Some((_, value)) = chosen {
                    walk(value, rest, &Keep::All, found);
                }
            } else if let Some(value) = map.get(step) {
                walk(value, rest, keep, found);
            } else {
                let chosen = map.iter().filter(|(key, _)| is_choice(key, step, None));
                for (_, value) in chosen {
                    walk(value, rest, keep, found);
                }
            }
        }
        _ => {}
    }
}

/// Whether `valueQuantity` is `value` in one of its types, or in that very one.
fn is_choice(key: &str, name: &str, of_type: Option<&str>) -> bool {
    let Some(suffix) = key.strip_prefix(name) else { return false };
    match of_type {
        Some(of_type) => suffix.eq_ignore_ascii_case(of_type),
        None => suffix.starts_with(|first: char| first.is_ascii_uppercase()),
    }
}

fn kept(value: &Value, keep: &Keep) -> bool {
    let Keep::To(target) = keep else { return true };
    let reference = value.get("reference").and_then(Value::as_str);
    let declared = value.get("type").and_then(Value::as_str);
    let of_reference = reference.and_then(|text| text.rsplit('/').nth(1));
    of_reference.or(declared) == Some(target)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(expression: &str, resource: &Value) -> Vec<Value> {
        Extractor::new(expression).values(resource).into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn plain_paths() {
        let patient = json!({
            "resourceType": "Patient",
            "name": [{"family": "A", "given": ["B", "C"]}, {"given": ["D"]}],
            "multipleBirthInteger": 2
        });
        assert_eq!(values("Patient.name.given", &patient), [json!("B"), json!("C"), json!("D")]);
        assert_eq!(values("Patient.multipleBirth", &patient), [json!(2)]);
        assert_eq!(values("Patient.multipleBirth.ofType(boolean)", &patient), [] as [Value; 0]);
        assert_eq!(values("(Patient.multipleBirth.ofType(integer))", &patient), [json!(2)]);
        assert_eq!(values("Patient.name.family | Patient.multipleBirth", &patient), [json!("A"), json!(2)]);
    }

    #[test]
    fn references_to_one_type() {
        let observation = json!({
            "resourceType": "Observation",
            "subject": {"reference": "Group/1"},
            "performer": [{"reference": "Patient/1"}, {"reference": "Practitioner/1"}]
        });
        assert_eq!(values("Observation.subject.where(resolve() is Patient)", &observation), [] as [Value; 0]);
        assert_eq!(
            values("Observation.performer.where(resolve() is Patient)", &observation),
            [json!({"reference": "Patient/1"})]
        );
    }
}
