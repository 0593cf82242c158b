//! Medications that are ordered or taken now.

use fhir_definitions::references::reference_to;
use serde_json::Value;

use super::fetch::Names;
use super::merge::{Dated, Entry, merged};
use super::text::{cell, concept, list, quantity, string};
use super::{Rows, Sources, dates};

/// Orders and statements. The same medication at the same dose is one row, however often it was ordered.
pub(super) fn medications(sources: &Sources<'_>) -> Rows {
    let entries = sources.resources().map(|medication| Entry {
        says: vec![cell(Some(name(medication, sources.names))), cell(dosage(medication))],
        date: dates::first(medication, &["authoredOn", "effectivePeriod", "effectiveDateTime", "dateAsserted"]),
        status: status(medication),
    });
    merged(entries, Dated::Since)
}

fn name(medication: &Value, names: &Names) -> String {
    let own = medication.get("medicationCodeableConcept").and_then(concept).map(str::to_owned);
    let reference = medication.get("medicationReference");
    let contained = reference.and_then(|reference| string(reference, "/reference")).and_then(|to| to.strip_prefix('#'));
    let contained = contained.and_then(|id| {
        let contained = list(medication, "/contained").iter().find(|resource| string(resource, "/id") == Some(id))?;
        contained.get("code").and_then(concept).map(str::to_owned)
    });
    let named = own.or(contained).or_else(|| reference.and_then(|reference| names.of_reference(reference)));
    named.or_else(|| reference_to(medication)).unwrap_or_default()
}

/// Nothing for an active order; else what it is. An order not to give something must not read like one to give it.
fn status(medication: &Value) -> Vec<String> {
    let mut words = Vec::new();
    if medication.get("doNotPerform") == Some(&Value::Bool(true)) {
        words.push("DO NOT GIVE".to_owned());
    }
    let status = string(medication, "/status").filter(|status| *status != "active");
    let intent = string(medication, "/intent").filter(|intent| ["proposal", "plan", "option"].contains(intent));
    words.extend(status.into_iter().chain(intent).map(str::to_owned));
    words
}

/// How it is taken: in words, or put together from the parts.
fn dosage(medication: &Value) -> Option<String> {
    let all = [list(medication, "/dosageInstruction"), list(medication, "/dosage")].concat();
    let all: Vec<String> = all.iter().filter_map(instruction).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn instruction(dosage: &Value) -> Option<String> {
    if let Some(text) = string(dosage, "/text") {
        return Some(text.to_owned());
    }
    let dose = dosage.pointer("/doseAndRate/0/doseQuantity").and_then(quantity);
    let route = dosage.get("route").and_then(concept).map(str::to_owned);
    let as_needed =
        dosage.get("asNeededBoolean") == Some(&Value::Bool(true)) || dosage.get("asNeededCodeableConcept").is_some();
    let as_needed = as_needed.then(|| "as needed".to_owned());
    let parts: Vec<String> = [dose, timing(dosage), route, as_needed].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// `BID`, or `2 per 1 d`.
fn timing(dosage: &Value) -> Option<String> {
    let timing = dosage.get("timing")?;
    if let Some(named) = timing.get("code").and_then(concept) {
        return Some(named.to_owned());
    }
    let repeat = timing.get("repeat")?;
    let frequency = repeat.get("frequency").map_or_else(|| "1".to_owned(), Value::to_string);
    Some(format!("{frequency} per {} {}", repeat.get("period")?, string(repeat, "/periodUnit")?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dosage_from_its_parts() {
        let given = json!({"dosageInstruction": [{
            "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
            "route": {"text": "oral"},
            "asNeededBoolean": true,
            "doseAndRate": [{"doseQuantity": {"value": 500, "unit": "mg"}}],
        }]});
        assert_eq!(dosage(&given).as_deref(), Some("500 mg 2 per 1 d oral as needed"));
        assert_eq!(
            dosage(&json!({"dosage": [{"text": "1 a day"}, {"text": "2 at night"}]})).as_deref(),
            Some("1 a day; 2 at night")
        );
        assert_eq!(dosage(&json!({})), None);
    }

    #[test]
    fn a_contained_medication_is_named() {
        let given = json!({
            "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "aspirin"}}],
            "medicationReference": {"reference": "#m"},
        });
        assert_eq!(name(&given, &Names::default()), "aspirin");
    }
}
