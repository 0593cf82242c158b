//! The nearest right name for one that does not exist.

use crate::{Definitions, Element, TypeInfo, TypeKind, ValueSet};

/// How many suggestions an agent can use.
const MOST: usize = 3;

/// Other words for elements and search parameters, in small letters without separators; what they may mean.
const MEANT: &[(&str, &str)] = &[
    ("subject", "patient"),
    ("patient", "subject"),
    ("patientid subjectid", "patient subject"),
    ("firstname givenname forename", "given"),
    ("lastname surname familyname", "family"),
    ("dob dateofbirth birthday", "birthdate birthDate"),
    ("sex", "gender"),
    ("mrn", "identifier"),
    ("zip zipcode postcode", "address-postalcode"),
    ("doctor provider clinician physician", "practitioner performer participant general-practitioner"),
    ("updated lastmodified modified", "_lastUpdated"),
];

/// What another word may mean of what there is.
fn meant<'a>(given: &str, has: impl Fn(&'static str) -> Option<&'a str>) -> Vec<&'a str> {
    let word = folded(given);
    let rows = MEANT.iter().filter(|(words, _)| words.split(' ').any(|known| known == word));
    rows.flat_map(|(_, names)| names.split(' ')).filter_map(has).take(MOST).collect()
}

/// The candidates most like `given`, best first. None where nothing is alike: a far-fetched suggestion misleads.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = folded(given);
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let score = likeness(&wanted, &folded(candidate));
            (score >= 0.7).then_some((score, candidate))
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    let best = scored.first().map_or(0.0, |s| s.0);
    scored.into_iter().take_while(|s| s.0 >= best - 0.12).map(|s| s.1).take(MOST).collect()
}

/// Small letters without separators, so that `birth_date`, `birthDate` and `birth-date` are the same.
fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).take(80).flat_map(char::to_lowercase).collect()
}

/// Between 0 and 1. A name that holds the other whole counts as near, as `name` does for `family-name`.
fn likeness(given: &str, candidate: &str) -> f64 {
    if given == candidate {
        return 1.0;
    }
    let edits = strsim::normalized_damerau_levenshtein(given, candidate);
    let contained =
        (given.len() >= 4 && candidate.contains(given)) || (candidate.len() >= 4 && given.contains(candidate));
    if contained { edits.max(0.75) } else { edits }
}

impl Definitions {
    /// Resource types whose names are like this one.
    #[must_use]
    pub fn nearest_types(&self, given: &str) -> Vec<&'static str> {
        nearest(given, self.types.iter().filter(|t| t.kind == TypeKind::Resource).map(|t| t.name))
    }

    /// Elements of a type whose JSON names are like this one; a choice appears under each of its names.
    #[must_use]
    pub fn nearest_elements(&self, info: &TypeInfo, given: &str) -> Vec<String> {
        let names: Vec<String> = self.elements(info).flat_map(|e| self.json_names(e)).collect();
        let mut found = meant(given, |name| names.iter().map(String::as_str).find(|n| *n == name));
        for near in nearest(given, names.iter().map(String::as_str)) {
            if !found.contains(&near) && found.len() < MOST {
                found.push(near);
            }
        }
        found.into_iter().map(str::to_owned).collect()
    }

    /// Search parameters of a type whose names are like this one. The name of an element finds the parameters that
    /// look at it: `birthDate` finds `birthdate`, `effectiveDateTime` finds `date`.
    #[must_use]
    pub fn nearest_parameters(&self, info: &TypeInfo, given: &str) -> Vec<&'static str> {
        let mut found = meant(given, |name| self.search_parameter(info, name).map(|p| p.code));
        for near in nearest(given, self.search_parameters(info).map(|p| p.code)) {
            if !found.contains(&near) && found.len() < MOST {
                found.push(near);
            }
        }
        let element = self.element(info, given).map_or(given, |(element, _)| element.name);
        let by_path = format!("{}.{element}", info.name);
        for p in self.search_parameters(info) {
            let looks_at_it = p
                .expression
                .strip_prefix(by_path.as_str())
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
                || p.expression.contains(&format!("({by_path}"));
            if looks_at_it && !found.contains(&p.code) && found.len() < MOST {
                found.push(p.code);
            }
        }
        found
    }

    /// Operations whose names are like this one: those that Medplum answers itself.
    #[must_use]
    pub fn nearest_operations(&self, given: &str) -> Vec<&'static str> {
        nearest(given, self.operations.iter().filter(|o| o.routed()).map(|o| o.code))
    }

    /// Codes of a value set that are like this one.
    #[must_use]
    pub fn nearest_codes(&self, set: &ValueSet, given: &str) -> Vec<&'static str> {
        nearest(given, self.codes(set).iter().flat_map(super::model::CodeList::codes))
    }

    /// The names that an element has in JSON: one, or one for each type of a choice.
    #[must_use]
    pub fn json_names(&self, element: &Element) -> Vec<String> {
        if element.choice {
            self.types_of(element).iter().map(|t| format!("{}{}", element.name, capitalized(t.name))).collect()
        } else {
            vec![element.name.to_owned()]
        }
    }
}

/// The text with a capital in front.
pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_that_agents_make() {
        let defs = Definitions::get();
        let patient = defs.resource_type("Patient").unwrap();
        let observation = defs.resource_type("Observation").unwrap();
        let allergy = defs.resource_type("AllergyIntolerance").unwrap();
        let gender = defs.value_set("http://hl7.org/fhir/ValueSet/administrative-gender").unwrap();
        let lines = [
            format!("patient: {:?}", defs.nearest_types("patient")),
            format!("Pateint: {:?}", defs.nearest_types("Pateint")),
            format!("Medication_Request: {:?}", defs.nearest_types("Medication_Request")),
            format!("Zebra: {:?}", defs.nearest_types("Zebra")),
            format!("dob: {:?}", defs.nearest_elements(patient, "dob")),
            format!("birthdate: {:?}", defs.nearest_elements(patient, "birthdate")),
            format!("valueQuantitty: {:?}", defs.nearest_elements(observation, "valueQuantitty")),
            format!("?familly: {:?}", defs.nearest_parameters(patient, "familly")),
            format!("?birthDate: {:?}", defs.nearest_parameters(patient, "birthDate")),
            format!("?effectiveDateTime: {:?}", defs.nearest_parameters(observation, "effectiveDateTime")),
            format!("?patient_id: {:?}", defs.nearest_parameters(observation, "patient_id")),
            format!("?first_name: {:?}", defs.nearest_parameters(patient, "first_name")),
            format!("?subject: {:?}", defs.nearest_parameters(allergy, "subject")),
            format!("subject: {:?}", defs.nearest_elements(allergy, "subject")),
            format!("$everthing: {:?}", defs.nearest_operations("everthing")),
            format!("Female: {:?}", defs.nearest_codes(gender, "Female")),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
