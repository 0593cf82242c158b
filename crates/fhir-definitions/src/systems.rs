//! What code systems are called by people, and the URIs that FHIR has for them
//! (<https://hl7.org/fhir/R4/terminologies-systems.html>).

/// Names in small letters and digits alone.
const NAMES: &[(&str, &str)] = &[
    ("loinc", "http://loinc.org"),
    ("rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("snomed", "http://snomed.info/sct"),
    ("snomedct", "http://snomed.info/sct"),
    ("sct", "http://snomed.info/sct"),
    ("icd10", "http://hl7.org/fhir/sid/icd-10"),
    ("icd10cm", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("icd9cm", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("cvx", "http://hl7.org/fhir/sid/cvx"),
    ("ndc", "http://hl7.org/fhir/sid/ndc"),
    ("cpt", "http://www.ama-assn.org/go/cpt"),
    ("ucum", "http://unitsofmeasure.org"),
    ("atc", "http://www.whocc.no/atc"),
];

/// The URI of a code system from its name, however that is written: `SNOMED CT`, `ICD-10-CM`.
#[must_use]
pub fn uri_of(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().find(|(known, _)| *known == plain).map(|(_, uri)| *uri)
}

/// Whether it is the URI of one of these systems.
#[must_use]
pub fn is_known(uri: &str) -> bool {
    NAMES.iter().any(|(_, known)| *known == uri)
}

/// Whether a text can be the URI of a system; a name cannot.
pub(crate) fn is_uri(text: &str) -> bool {
    text.contains(':')
}

/// What is said of a system that is none; nothing where it is a URI.
pub(crate) fn misnamed(system: &str) -> Option<String> {
    if is_uri(system) {
        return None;
    }
    Some(match uri_of(system) {
        Some(uri) => format!("is a name; the system is {uri}"),
        None => "is no URI; a system is one, such as http://loinc.org".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_however_it_is_written() {
        for (name, uri) in [
            ("LOINC", "http://loinc.org"),
            ("loinc", "http://loinc.org"),
            ("SNOMED CT", "http://snomed.info/sct"),
            ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
            ("icd 10", "http://hl7.org/fhir/sid/icd-10"),
        ] {
            assert_eq!(uri_of(name), Some(uri), "{name}");
        }
        assert_eq!(uri_of("our own list"), None);
        assert!(is_known("http://loinc.org") && !is_known("LOINC"));
        assert_eq!(misnamed("http://loinc.org"), None);
        assert_eq!(misnamed("urn:oid:2.16.840.1.113883.6.1"), None);
    }
}
