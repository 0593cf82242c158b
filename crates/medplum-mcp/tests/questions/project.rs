//! The resources as the sandbox holds them, and what is simply read off them.

use std::collections::{BTreeMap, HashMap};

use medplum_sandbox::Sandbox;
use serde_json::Value;

/// The patients with ten years of chart.
pub const MARIA: &str = "Patient/5a4d0b0c-0000-4000-8000-000000000201";
pub const SAMUEL: &str = "Patient/5a4d0b0c-0000-4000-8000-000000000202";
pub const CHLOE: &str = "Patient/5a4d0b0c-0000-4000-8000-000000000203";

pub struct Project(HashMap<&'static str, Vec<Value>>);

const TYPES: &[&str] = &[
    "Patient",
    "Practitioner",
    "Observation",
    "Condition",
    "Encounter",
    "MedicationRequest",
    "MedicationStatement",
    "AllergyIntolerance",
    "Appointment",
    "Task",
];

/// A measurement.
#[derive(Debug, Clone)]
pub struct Measured<'p> {
    pub at: &'p str,
    pub value: f64,
    pub unit: &'p str,
    pub patient: &'p str,
}

impl Project {
    pub fn of(sandbox: &Sandbox) -> Self {
        let newest = |of: &&'static str| {
            let mut resources: BTreeMap<String, Option<Value>> = BTreeMap::new();
            resources.extend(sandbox.history(of));
            (*of, resources.into_values().flatten().collect())
        };
        Self(TYPES.iter().map(newest).collect())
    }

    /// All resources of a type.
    pub fn all(&self, of: &str) -> impl Iterator<Item = &Value> {
        self.0[of].iter()
    }

    /// Those of a patient.
    pub fn chart<'p>(&'p self, of: &str, patient: &'p str) -> impl Iterator<Item = &'p Value> {
        self.all(of).filter(move |resource| subject(resource) == patient)
    }

    /// The measurements of a code, the oldest first.
    pub fn measured<'p>(&'p self, code: &'p str) -> Vec<Measured<'p>> {
        let of_code = self.all("Observation").filter(|observation| has_code(&observation["code"], code));
        let mut found: Vec<Measured<'_>> = of_code
            .filter_map(|observation| {
                Some(Measured {
                    at: observation["effectiveDateTime"].as_str()?,
                    value: observation["valueQuantity"]["value"].as_f64()?,
                    unit: observation["valueQuantity"]["unit"].as_str()?,
                    patient: subject(observation),
                })
            })
            .collect();
        found.sort_by(|a, b| a.at.cmp(b.at));
        found
    }

    /// Those of a patient.
    pub fn measured_of<'p>(&'p self, patient: &str, code: &'p str) -> Vec<Measured<'p>> {
        self.measured(code).into_iter().filter(|measured| measured.patient == patient).collect()
    }

    /// The resource that a reference leads to.
    pub fn get(&self, reference: &str) -> &Value {
        let (of, id) = reference.split_once('/').unwrap();
        self.all(of).find(|resource| resource["id"] == id).unwrap()
    }
}

/// Whose a resource is.
pub fn subject(resource: &Value) -> &str {
    ["subject", "patient", "for"].iter().find_map(|name| resource[name]["reference"].as_str()).unwrap_or_default()
}

/// Whether a concept has a code.
pub fn has_code(concept: &Value, code: &str) -> bool {
    concept["coding"].as_array().is_some_and(|codings| codings.iter().any(|coding| coding["code"] == code))
}

/// `2024` of `2024-05-06T07:08:09Z`.
pub fn year(at: &str) -> &str {
    &at[..4]
}

pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

pub fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
