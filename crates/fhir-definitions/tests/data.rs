//! The embedded data is whole and says what FHIR says.

use fhir_definitions::{Definitions, ParameterKind, Strength, TypeKind};

#[test]
fn every_name_that_a_line_uses_exists() {
    let defs = Definitions::get();
    let mut missing = Vec::new();
    for info in defs.types() {
        if !info.base.is_empty() && info.base != "Base" && defs.base_of(info).is_none() {
            missing.push(format!("{}: base {}", info.name, info.base));
        }
        for element in defs.own_elements(info) {
            assert!(!defs.types_of(element).is_empty(), "{}.{} has no type", info.name, element.name);
            assert!(element.choice == (defs.types_of(element).len() > 1) || element.choice, "{}", element.name);
            for of in defs.types_of(element) {
                if defs.resolve(of).is_none() {
                    missing.push(format!("{}.{}: type {}", info.name, element.name, of.name));
                }
            }
            if let Some(binding) = element.binding
                && binding.strength == Strength::Required
                && defs.bound_set(&binding).is_none()
            {
                missing.push(format!("{}.{}: value set {}", info.name, element.name, binding.value_set));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn as_much_is_there_as_the_package_holds() {
    let defs = Definitions::get();
    let count = |kind| defs.types().filter(|t| t.kind == kind).count();
    assert_eq!(count(TypeKind::Resource), 171);
    assert_eq!(count(TypeKind::Primitive), 21);
    assert_eq!(defs.all_search_parameters().len(), 1852);
    assert!(defs.constraints().len() > 215);
    let bindings = defs.types().flat_map(|t| defs.own_elements(t)).filter_map(|e| e.binding);
    let required: std::collections::BTreeSet<&str> =
        bindings.filter(|b| b.strength == Strength::Required).map(|b| b.value_set).collect();
    let closed = required.iter().filter_map(|url| defs.value_set(url)).filter(|s| s.closed).count();
    assert_eq!((required.len(), closed), (252, 247));
    assert!(defs.resource_types().filter(|t| t.medplum).count() > 20);
}

#[test]
fn patient() {
    let defs = Definitions::get();
    let patient = defs.resource_type("Patient").unwrap();
    let names: Vec<_> = defs.own_elements(patient).iter().map(|e| e.name).collect();
    assert_eq!(names[..4], ["identifier", "active", "name", "telecom"]);
    let (gender, _) = defs.element(patient, "gender").unwrap();
    let set = defs.bound_set(&gender.binding.unwrap()).unwrap();
    let codes: Vec<_> = defs.codes(set)[0].codes().collect();
    assert_eq!(codes, ["male", "female", "other", "unknown"]);
    let (deceased, kind) = defs.element(patient, "deceasedDateTime").unwrap();
    assert!(deceased.choice && kind.unwrap().name == "dateTime");
    assert!(defs.element(patient, "deceasedString").is_none());
    assert!(defs.element(patient, "deceased").is_none());
    assert!(defs.element(patient, "meta").is_some() && defs.element(patient, "text").is_some());
    let contact = defs.type_info("Patient.contact").unwrap();
    assert!(defs.element(contact, "modifierExtension").is_some());
    let birthdate = defs.search_parameter(patient, "birthdate").unwrap();
    assert_eq!(birthdate.kind, ParameterKind::Date);
    assert_eq!(birthdate.element_types().collect::<Vec<_>>(), ["date"]);
    assert!(defs.search_parameter(patient, "_id").is_some());
    assert!(defs.search_parameter(patient, "_text").is_none());
    let binary = defs.resource_type("Binary").unwrap();
    assert!(defs.search_parameter(binary, "_id").is_none());
    assert!(defs.compartment_entry("Patient", "Observation").unwrap().parameters().eq(["subject", "performer"]));
}

#[test]
fn date_parameters_know_what_they_look_at() {
    let defs = Definitions::get();
    let mut unknown: Vec<_> = Vec::new();
    for info in defs.resource_types() {
        for p in defs.search_parameters(info).filter(|p| p.kind == ParameterKind::Date) {
            if p.element_types().next().is_none() {
                unknown.push(format!("{}.{}", info.name, p.code));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn no_licensed_codes() {
    let defs = Definitions::get();
    for set in
        defs.types().flat_map(|t| defs.own_elements(t)).filter_map(|e| e.binding).filter_map(|b| defs.bound_set(&b))
    {
        for list in defs.codes(set) {
            assert!(!list.system.contains("snomed") && !list.system.contains("ama-assn"), "{}", set.url);
        }
    }
}
