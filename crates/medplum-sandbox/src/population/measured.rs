//! A measurement as a chart holds it, and the codes in it.

use serde_json::{Value, json};

/// What was measured: a code of LOINC, and a value.
pub(super) struct Measured<'a> {
    pub(super) code: &'a str,
    pub(super) name: &'a str,
    /// A unit of UCUM.
    pub(super) unit: &'a str,
    pub(super) laboratory: bool,
    pub(super) value: f64,
}

impl Measured<'_> {
    pub(super) fn observation(&self, id: &str, subject: &Value, encounter: &str, at: &str) -> Value {
        let category = if self.laboratory { "laboratory" } else { "vital-signs" };
        json!({
            "resourceType": "Observation",
            "id": id,
            "status": "final",
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category
            }]}],
            "code": concept("http://loinc.org", self.code, self.name),
            "subject": subject,
            "encounter": {"reference": format!("Encounter/{encounter}")},
            "effectiveDateTime": at,
            "valueQuantity": {
                "value": self.value, "unit": self.unit, "system": "http://unitsofmeasure.org", "code": self.unit
            },
        })
    }
}

pub(super) fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": display}], "text": display})
}
