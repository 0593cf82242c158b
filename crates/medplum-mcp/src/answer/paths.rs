//! Whether the paths of a field lead somewhere, by the definitions: one that does not would be null in every row, which
//! reads as "no value". Only what is certain is refused; what the definitions cannot follow passes.

use fhir_definitions::{Definitions, TypeInfo, TypeKind, nearest};
use fhirpath::{Expression, Guide};

/// What a path comes to that leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    NoElement {
        /// What has no such element: the types, or the path so far.
        of: String,
        name: String,
        near: Vec<String>,
    },
    /// It starts with a type that this is not.
    NotOf {
        of: String,
        name: String,
    },
    NoType {
        name: String,
        near: Vec<String>,
    },
}

impl Nowhere {
    /// `Observation has no element "valu". Nearest: value.`
    pub(super) fn teach(&self) -> String {
        match self {
            Self::NoElement { of, name, near } => {
                // R5 has the concept inside of a CodeableReference; in R4 the element is the concept.
                let is_newer = name == "concept" && near.is_empty() && !of.is_empty();
                let near = match near.as_slice() {
                    _ if is_newer => format!(" That is R5; in R4: {of}.text, {of}.coding.code."),
                    [] => String::new(),
                    near => format!(" Nearest: {}.", near.join(", ")),
                };
                let of = if of.is_empty() { "no resource type has" } else { &format!("{of} has no") };
                let an = if of.ends_with("no") { "element" } else { "an element" };
                format!("{of} {an} \"{name}\".{near}")
            }
            Self::NotOf { of, name } => {
                format!("a path that starts with {name} finds nothing: this is {of}.")
            }
            Self::NoType { name, near } => format!("there is no type {name}. Nearest: {}.", near.join(", ")),
        }
    }
}

/// The first step of an expression that leads nowhere on resources of these types, which are shown like this; not at
/// all where they are all that there are.
pub(super) fn check(expression: &Expression, types: &[&'static TypeInfo], shown: &str) -> Result<(), Nowhere> {
    let root = Place { types: types.to_vec(), path: String::new() };
    expression.follow(&Paths { shown }, &root).map(drop)
}

/// Where a path has come to.
#[derive(Debug, Clone)]
struct Place {
    /// What can be there.
    types: Vec<&'static TypeInfo>,
    /// The elements that lead there.
    path: String,
}

struct Paths<'s> {
    shown: &'s str,
}

impl Paths<'_> {
    fn called(&self, place: &Place) -> String {
        if place.path.is_empty() { self.shown.to_owned() } else { place.path.clone() }
    }
}

impl Guide for Paths<'_> {
    type Place = Place;
    type Error = Nowhere;

    fn element(&self, from: &Place, name: &str) -> Result<Option<Place>, Nowhere> {
        let path = if from.path.is_empty() { name.to_owned() } else { format!("{}.{name}", from.path) };
        let types = step(&from.types, name, &self.called(from))?;
        Ok(types.map(|types| Place { types, path }))
    }

    fn of_type(&self, from: Option<&Place>, name: &str) -> Result<Option<Place>, Nowhere> {
        let definitions = Definitions::get();
        match definitions.type_info(name) {
            Some(info) => Ok(from.map(|from| Place { types: vec![info], path: from.path.clone() })),
            // A newer server may have a type that is not known here; one that is nearly another is a slip.
            None => {
                let near: Vec<String> =
                    nearest(name, definitions.types().map(|info| info.name)).into_iter().map(str::to_owned).collect();
                if near.is_empty() { Ok(None) } else { Err(Nowhere::NoType { name: name.to_owned(), near }) }
            }
        }
    }

    fn start(&self, from: &Place, name: &str) -> Result<Option<Place>, Nowhere> {
        let nothing = || Nowhere::NotOf { of: self.called(from), name: name.to_owned() };
        match Definitions::get().type_info(name) {
            Some(info) if info.kind == TypeKind::Resource => match from.types.iter().any(|of| of.name == name) {
                true => Ok(Some(Place { types: vec![info], path: from.path.clone() })),
                false => Err(nothing()),
            },
            Some(info) if info.kind == TypeKind::Abstract => Ok(Some(from.clone())),
            Some(_) => Ok(None),
            None => Err(nothing()),
        }
    }

    fn either(&self, one: Place, other: Place) -> Place {
        let path = if one.path == other.path { one.path } else { format!("{} | {}", one.path, other.path) };
        Place { types: [one.types, other.types].concat(), path }
    }
}

/// The types of an element; none where they cannot be told.
fn step(here: &[&'static TypeInfo], name: &str, of: &str) -> Result<Option<Vec<&'static TypeInfo>>, Nowhere> {
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
    Err(Nowhere::NoElement { of: of.to_owned(), name: name.to_owned(), near })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(of: &[&str], expression: &str) -> Option<String> {
        let types: Vec<&TypeInfo> = of.iter().filter_map(|name| Definitions::get().resource_type(name)).collect();
        let expression = Expression::parse(expression).unwrap();
        check(&expression, &types, &of.join(" or ")).err().map(|error| error.teach())
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
            ("value.ofType(Quantty).unit", "there is no type Quantty. Nearest: Quantity"),
            ("Observtion.status", "a path that starts with Observtion finds nothing: this is Observation."),
            // Behind an operator.
            ("status | cod.text", "Observation has no element \"cod\". Nearest: code"),
            ("status = 'final' and code.txt = 'x'", "code has no element \"txt\""),
            ("value.value > referenceRange.lo.value", "referenceRange has no element \"lo\". Nearest: low"),
            ("status & ' ' & code.txt", "code has no element \"txt\""),
            ("-value.vale", "value has no element \"vale\""),
            ("status in category.codng.code", "category has no element \"codng\""),
            ("(code | category).txt", "code | category has no element \"txt\". Nearest: text"),
            // In the arguments of a function.
            ("component.where(cod.text = 'a').value", "component has no element \"cod\". Nearest: code"),
            (
                "code.coding.where(sytem = 'http://loinc.org').code",
                "code.coding has no element \"sytem\". Nearest: system",
            ),
            ("component.select(valueQuantity.vale)", "component.valueQuantity has no element \"vale\""),
            ("component.all(valu.exists())", "component has no element \"valu\""),
            ("component.exists(code.txt = 'x')", "component.code has no element \"txt\""),
            ("code.coding.where($this.cod = 'x')", "code.coding has no element \"cod\""),
            ("code.coding.where(system = %resource.statu)", "Observation has no element \"statu\". Nearest: status"),
            ("iif(status = 'final', code.txt, status)", "code has no element \"txt\""),
            ("code.text.startsWith(statu)", "Observation has no element \"statu\""),
            ("code.coding.code.combine(categry.coding.code)", "Observation has no element \"categry\""),
            ("code.coding[statu.length()].code", "Observation has no element \"statu\""),
            (
                "component.where(code.coding.where(cod = 'x').exists()).value",
                "component.code.coding has no element \"cod\"",
            ),
            ("component.select(code).txt", "component.code has no element \"txt\""),
            ("component.aggregate($total + valu)", "component has no element \"valu\""),
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
            "Observation",
            "(status | code.text).first()",
            "code.coding.select(system & '|' & code)",
            "component.where(value.value > %context.value.value).code.text",
            "category.coding.where(code = 'a' or display.contains('b')).display",
            "value.is(Quantity) and value.ofType(Quantity).value > 7",
            "component.repeat(code)",
            "hasMember.resolve().where(anything = 'x')",
            "children().where(anything.exists())",
            "component.aggregate($total + value.value, 0)",
            "iif(value.exists(), value.value, component.value.value)",
            "value.where($this is Boolean)",
            "note.where(author.is(string))",
            "contained.where($this is Patient).name",
            "value.ofType(SomethingEntirelyNew).value",
            "component.value.select(value | text)",
        ] {
            assert_eq!(told(&["Observation"], expression), None, "{expression}");
        }
        for (of, expression) in [
            ("Questionnaire", "item.item.item.text"),
            ("Questionnaire", "repeat(item).linkId"),
            ("QuestionnaireResponse", "repeat(item | answer.item).answer.value"),
            ("Patient", "name.where(use = 'official' and family.startsWith('S')).given"),
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
