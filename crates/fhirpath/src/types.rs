//! The type names of FHIR's data types: enough to resolve choice elements (`value[x]`) without a model.
//!
//! These are the types of the open choice (FHIR R4 §2.24.0.1, "Open Type Element"), which is the only list that
//! this crate keeps by hand. Resource types are never listed: a resource says what it is.

/// Capitalised, as they stand at the end of a key such as `valueDateTime`, with the name of the type. Sorted.
const CHOICE_TYPES: [(&str, &str); 52] = [
    ("Address", "Address"),
    ("Age", "Age"),
    ("Annotation", "Annotation"),
    ("Attachment", "Attachment"),
    ("Base64Binary", "base64Binary"),
    ("Boolean", "boolean"),
    ("Canonical", "canonical"),
    ("Code", "code"),
    ("CodeableConcept", "CodeableConcept"),
    ("Coding", "Coding"),
    ("ContactDetail", "ContactDetail"),
    ("ContactPoint", "ContactPoint"),
    ("Contributor", "Contributor"),
    ("Count", "Count"),
    ("DataRequirement", "DataRequirement"),
    ("Date", "date"),
    ("DateTime", "dateTime"),
    ("Decimal", "decimal"),
    ("Distance", "Distance"),
    ("Dosage", "Dosage"),
    ("Duration", "Duration"),
    ("Expression", "Expression"),
    ("HumanName", "HumanName"),
    ("Id", "id"),
    ("Identifier", "Identifier"),
    ("Instant", "instant"),
    ("Integer", "integer"),
    ("Markdown", "markdown"),
    ("Meta", "Meta"),
    ("Money", "Money"),
    ("Oid", "oid"),
    ("ParameterDefinition", "ParameterDefinition"),
    ("Period", "Period"),
    ("PositiveInt", "positiveInt"),
    ("Quantity", "Quantity"),
    ("Range", "Range"),
    ("Ratio", "Ratio"),
    ("Reference", "Reference"),
    ("RelatedArtifact", "RelatedArtifact"),
    ("SampledData", "SampledData"),
    ("Signature", "Signature"),
    ("SimpleQuantity", "Quantity"),
    ("String", "string"),
    ("Time", "time"),
    ("Timing", "Timing"),
    ("TriggerDefinition", "TriggerDefinition"),
    ("UnsignedInt", "unsignedInt"),
    ("Uri", "uri"),
    ("Url", "url"),
    ("UsageContext", "UsageContext"),
    ("Uuid", "uuid"),
    ("Xhtml", "xhtml"),
];

/// The type that a capitalised suffix such as `DateTime` stands for.
pub(crate) fn of_suffix(suffix: &str) -> Option<&'static str> {
    CHOICE_TYPES
        .binary_search_by(|(known, _)| (*known).cmp(suffix))
        .ok()
        .and_then(|at| CHOICE_TYPES.get(at))
        .map(|(_, name)| *name)
}

/// The type of `key` as a choice of the element `name`: `valueQuantity` of `value` is a Quantity.
pub(crate) fn of_choice(key: &str, name: &str) -> Option<&'static str> {
    let suffix = key.strip_prefix(name)?;
    suffix.starts_with(|first: char| first.is_ascii_uppercase()).then(|| of_suffix(suffix)).flatten()
}

/// The type of that name in another spelling of its letters' case.
pub(crate) fn in_any_case(name: &str) -> Option<&'static str> {
    CHOICE_TYPES.iter().map(|(_, known)| *known).find(|known| known.eq_ignore_ascii_case(name))
}

/// Every way to read `key` as an element's name and a type: `onsetDateTime` as (`onset`, dateTime) and
/// (`onsetDate`, time).
pub(crate) fn splits(key: &str) -> impl Iterator<Item = (&str, &'static str)> {
    key.char_indices().filter(|(at, letter)| *at > 0 && letter.is_ascii_uppercase()).filter_map(|(at, _)| {
        let (name, suffix) = key.split_at_checked(at)?;
        Some((name, of_suffix(suffix)?))
    })
}

/// FHIR's primitive types, by the system type that a value of theirs converts to (FHIR R4 §2.9.1).
pub(crate) fn system_type(fhir: &str) -> Option<&'static str> {
    Some(match fhir {
        "boolean" => "Boolean",
        "string" | "uri" | "url" | "canonical" | "uuid" | "oid" | "code" | "id" | "markdown" | "base64Binary"
        | "xhtml" => "String",
        "integer" | "unsignedInt" | "positiveInt" => "Integer",
        "decimal" => "Decimal",
        "date" => "Date",
        "dateTime" | "instant" => "DateTime",
        "time" => "Time",
        _ => return None,
    })
}

/// Whether the type holds a date or a time.
pub(crate) fn is_temporal(fhir: &str) -> bool {
    matches!(fhir, "date" | "dateTime" | "instant" | "time")
}

/// What every FHIR data type is derived from, when no model says it (FHIR R4 §2.24).
pub(crate) fn is_subtype(name: &str, of: &str) -> bool {
    if name == of {
        return true;
    }
    match of {
        "string" => matches!(name, "code" | "id" | "markdown"),
        "uri" => matches!(name, "url" | "canonical" | "uuid" | "oid"),
        "integer" => matches!(name, "unsignedInt" | "positiveInt"),
        "Quantity" => matches!(name, "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity" | "SimpleQuantity"),
        "Element" => system_type(name).is_some() || of_suffix(name) == Some(name),
        _ => false,
    }
}

/// As [`is_subtype`], for what is known to be a resource.
pub(crate) fn is_resource_subtype(name: &str, of: &str) -> bool {
    of == "Resource" || (of == "DomainResource" && !matches!(name, "Bundle" | "Binary" | "Parameters" | "Resource"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(CHOICE_TYPES.is_sorted());
    }

    #[test]
    fn choices() {
        assert_eq!(of_choice("valueDateTime", "value"), Some("dateTime"));
        assert_eq!(of_choice("valueset", "value"), None);
        assert_eq!(of_choice("nameFoo", "name"), None);
        let both: Vec<_> = splits("onsetDateTime").collect();
        assert_eq!(both, [("onset", "dateTime"), ("onsetDate", "time")]);
    }
}
