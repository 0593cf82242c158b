//! Whether the paths of a field lead somewhere, by the definitions: one that does not would be null in every row, which
//! reads as "no value". Only what is certain is refused; what the definitions cannot follow passes.

use fhir_definitions::{Definitions, TypeInfo, TypeKind};

/// Functions that give some of what they are given.
const KEEP_TYPE: &[&str] = &["first", "last", "tail", "skip", "take", "single", "where", "distinct", "trace"];

/// What a path comes to that leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoElement {
    /// What has no such element: the types, or the path so far.
    of: String,
    name: String,
    near: Vec<String>,
}

impl NoElement {
    /// `Observation has no element "valu". Nearest: value.`
    pub(super) fn teach(&self) -> String {
        let Self { of, name, near } = self;
        let near = if near.is_empty() { String::new() } else { format!(" Nearest: {}.", near.join(", ")) };
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return format!("a path that starts with {name} finds nothing: this is {of}.");
        }
        match of.as_str() {
            "" => format!("no resource type has an element \"{name}\".{near}"),
            of => format!("{of} has no element \"{name}\".{near}"),
        }
    }
}

/// The first step of an expression that leads nowhere on resources of these types, which are shown like this; not at
/// all where they are all that there are.
pub(super) fn check(expression: &str, types: &[&'static TypeInfo], shown: &str) -> Result<(), NoElement> {
    branches(expression).into_iter().try_for_each(|branch| path(branch, types, shown))
}

/// The sides of `|` that is in no parenthesis and no text.
fn branches(expression: &str) -> Vec<&str> {
    let mut branches = Vec::new();
    let mut start = 0;
    for (at, part) in outside(expression) {
        if part == '|' {
            branches.extend(expression.get(start..at));
            start = at.saturating_add(1);
        }
    }
    branches.extend(expression.get(start..));
    branches
}

/// The characters of an expression that stand in no text and no parenthesis, the closing one included.
fn outside(expression: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    expression.char_indices().filter(move |(_, part)| {
        match (quote, *part) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), part) if open == part => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`' | '"') => quote = Some(*part),
            (None, '(' | '[') => depth = depth.saturating_add(1),
            (None, ')' | ']') => {
                depth = depth.saturating_sub(1);
                return depth == 0;
            }
            (None, _) => return depth == 0,
        }
        false
    })
}

/// Follows one path as far as the definitions can.
fn path(text: &str, types: &[&'static TypeInfo], shown: &str) -> Result<(), NoElement> {
    let definitions = Definitions::get();
    let mut rest = text.trim();
    let mut here: Vec<&TypeInfo> = types.to_vec();
    let mut so_far = String::new();
    // A path may start with the type that it is for.
    if let Some((name, behind)) = word(rest)
        && let Some(info) = definitions.type_info(name).filter(|_| name.starts_with(|c: char| c.is_ascii_uppercase()))
        && behind.starts_with('.')
    {
        if info.kind == TypeKind::Resource {
            if !types.iter().any(|of| of.name == name) {
                return Err(NoElement { of: shown.to_owned(), name: name.to_owned(), near: Vec::new() });
            }
            here = vec![info];
        }
        rest = behind.get(1..).unwrap_or_default();
    }
    while let Some((name, behind)) = word(rest) {
        if behind.starts_with('(') {
            let Some(end) = closing(behind) else { return Ok(()) };
            let arguments = behind.get(1..end).unwrap_or_default().trim();
            match name {
                "ofType" | "as" => match definitions.type_info(arguments.trim_start_matches("FHIR.")) {
                    Some(info) => here = vec![info],
                    None => return Ok(()),
                },
                "extension" => here = definitions.type_info("Extension").into_iter().collect(),
                name if KEEP_TYPE.contains(&name) => {}
                _ => return Ok(()),
            }
            rest = behind.get(end.saturating_add(1)..).unwrap_or_default();
        } else {
            let of = if so_far.is_empty() { shown } else { &so_far };
            here = match step(&here, name, of)? {
                Some(next) => next,
                None => return Ok(()),
            };
            so_far = if so_far.is_empty() { name.to_owned() } else { format!("{so_far}.{name}") };
            rest = behind;
        }
        if rest.starts_with('[') {
            let Some(end) = closing(rest) else { return Ok(()) };
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
        }
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The types of an element; none where they cannot be told.
fn step(here: &[&'static TypeInfo], name: &str, of: &str) -> Result<Option<Vec<&'static TypeInfo>>, NoElement> {
    let definitions = Definitions::get();
    // `_birthDate`: the extensions of a primitive, as they stand in JSON.
    let is_open = |info: &&TypeInfo| info.kind == TypeKind::Abstract && info.name != "Element";
    if name == "resourceType" || name.starts_with('_') || here.iter().any(is_open) {
        return Ok(None);
    }
    let mut next: Vec<&TypeInfo> = Vec::new();
    let mut found = false;
    for info in here {
        let element = definitions.elements(info).find(|element| element.name == name);
        let by_json = || definitions.element(info, name);
        let kinds = match (element, by_json()) {
            (Some(element), _) => definitions.types_of(element),
            (None, Some((_, Some(of)))) => std::slice::from_ref(of),
            (None, _) => continue,
        };
        found = true;
        for kind in kinds {
            match definitions.resolve(kind) {
                // A resource in a resource can be any.
                Some(info) if !matches!(info.kind, TypeKind::Resource | TypeKind::Abstract) => next.push(info),
                _ => return Ok(None),
            }
        }
    }
    if found {
        return Ok(Some(next));
    }
    let mut near: Vec<String> = Vec::new();
    let starts = here.iter().flat_map(|info| definitions.elements(info)).map(|element| element.name);
    let starts = starts.filter(|own| own.starts_with(name)).map(str::to_owned);
    for given in starts.chain(here.iter().flat_map(|info| definitions.nearest_elements(info, name))) {
        if near.len() < 5 && !near.contains(&given) {
            near.push(given);
        }
    }
    Err(NoElement { of: of.to_owned(), name: name.to_owned(), near })
}

/// The name at the start of a text, and what is behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    text.split_at_checked(end).filter(|_| starts)
}

/// Where the parenthesis or bracket closes that a text starts with.
fn closing(text: &str) -> Option<usize> {
    outside(text).find(|(_, part)| [')', ']'].contains(part)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(of: &[&str], expression: &str) -> Option<String> {
        let types: Vec<&TypeInfo> = of.iter().filter_map(|name| Definitions::get().resource_type(name)).collect();
        check(expression, &types, &of.join(" or ")).err().map(|error| error.teach())
    }

    #[test]
    fn a_step_that_no_element_has_is_told_with_the_nearest() {
        for (expression, says) in [
            ("valu", "Observation has no element \"valu\". Nearest: value"),
            ("code.txt", "code has no element \"txt\". Nearest: text"),
            ("valueQuantity.val", "valueQuantity has no element \"val\". Nearest: value"),
            ("value.vale", "value has no element \"vale\". Nearest: value"),
            ("code.coding[0].sytem", "code.coding has no element \"sytem\". Nearest: system"),
            (
                "component.where(code.text = 'a').valueQuantity.units",
                "component.valueQuantity has no element \"units\". Nearest: unit",
            ),
            ("status | code.txt", "code has no element \"txt\""),
            ("code.txt = 'x'", "code has no element \"txt\""),
            ("Observation.code.txt", "code has no element \"txt\""),
            ("Patient.name", "a path that starts with Patient finds nothing: this is Observation."),
            ("subject.display.foo", "subject.display has no element \"foo\""),
            ("value.ofType(Quantity).unti", "value has no element \"unti\". Nearest: unit"),
        ] {
            let told = told(&["Observation"], expression).unwrap_or_default();
            assert!(told.starts_with(says), "{expression}: {told}");
        }
    }

    #[test]
    fn what_is_valid_passes() {
        for expression in [
            "id",
            "resourceType",
            "meta.lastUpdated",
            "meta.tag.code",
            "extension.url",
            "extension('http://x').valueString",
            "extension.where(url='http://x').value.code",
            "value",
            "value.value",
            "valueQuantity.value",
            "value.unit",
            "value.text",
            "value.ofType(Quantity).value",
            "(value as Quantity).value",
            "value.as(Quantity).value",
            "$this.code.text",
            "code.coding.where(system='http://loinc.org').code",
            "code.coding[0].code",
            "code.coding.first().display",
            "component.value.value",
            "component.valueQuantity.value",
            "component.code.coding.code",
            "referenceRange.low.value",
            "contained.where(resourceType='Patient').name.family",
            "contained.name",
            "subject.reference",
            "subject.identifier.value",
            "subject.resolve().name",
            "effective",
            "effectiveDateTime",
            "effectivePeriod.start",
            "effective.start",
            "_status.extension.value",
            "status.extension.value",
            "note.text",
            "note.authorReference.reference",
            "text.status",
            "text.div",
            "language",
            "iif(status='final', 'a', 'b')",
            "'x'",
            "component.count()",
            "value.value > 100",
            "encounter.exists()",
            "code.text | status",
            "status & ' | ' & code.text",
            "%resource.id",
            "Observation.status",
            "Resource.id",
            "DomainResource.text.status",
            "component.interpretation.coding.code",
            "component.referenceRange.text",
            "code.coding.display.upper()",
            "children().first()",
            "value.ofType(FHIR.string)",
            "descendants().code",
            "hasMember.reference",
            "meta.extension.valueUri",
        ] {
            assert_eq!(told(&["Observation"], expression), None, "{expression}");
        }
        for (of, expression) in [
            ("Questionnaire", "item.item.item.text"),
            ("Questionnaire", "item.item.answerOption.valueCoding.code"),
            ("Bundle", "entry.resource.name"),
            ("Parameters", "parameter.part.part.value"),
            ("ValueSet", "expansion.contains.contains.code"),
            ("Patient", "contact.name.family"),
            ("Patient", "deceasedBoolean"),
            ("Patient", "multipleBirth"),
            ("Claim", "item.detail.subDetail.productOrService.text"),
            ("Bot", "name"),
            ("ProjectMembership", "access.parameter.valueString"),
            ("MedicationRequest", "dosageInstruction.timing.repeat.boundsPeriod.start"),
            ("MedicationRequest", "dosageInstruction.doseAndRate.doseQuantity.value"),
            ("MedicationRequest", "medication.text"),
        ] {
            assert_eq!(told(&[of], expression), None, "{of} {expression}");
        }
        // What some of several types have.
        assert_eq!(told(&["Observation", "Patient"], "name.family"), None);
        assert_eq!(told(&["Observation", "Patient"], "Patient.name"), None);
    }

    /// Every element of every type, to two steps, by its name and its names in JSON.
    #[test]
    fn no_element_that_there_is_is_refused() {
        let definitions = Definitions::get();
        for info in definitions.resource_types() {
            for element in definitions.elements(info) {
                for name in definitions.json_names(element).into_iter().chain([element.name.to_owned()]) {
                    assert_eq!(told(&[info.name], &name), None, "{}", info.name);
                }
                for inner in definitions.types_of(element).iter().filter_map(|of| definitions.resolve(of)) {
                    for second in definitions.elements(inner) {
                        let path = format!("{}.{}", element.name, second.name);
                        assert_eq!(told(&[info.name], &path), None, "{}", info.name);
                    }
                }
            }
        }
    }
}
