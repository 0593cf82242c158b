//! Made-up patients, as many as are asked for: the same seed makes the same patients.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Value, json};
use uuid::Uuid;

use super::load::Loader;
use super::measured::{Measured, concept};
use super::practice::{ORGANIZATION, PRACTITIONERS};
use super::random::Random;

const FAMILY: [&str; 16] = [
    "Ivanov",
    "Silva",
    "Garcia",
    "Dubois",
    "Smith",
    "Okafor",
    "Haddad",
    "Nguyen",
    "Kowalski",
    "Müller",
    "Rossi",
    "Tanaka",
    "O'Brien",
    "Johansson",
    "Patel",
    "van den Berg",
];
const FEMALE: [&str; 8] = ["Ana", "Priya", "Zoë", "Fatima", "Ingrid", "Mei", "Claire", "Alice"];
const MALE: [&str; 8] = ["Igor", "Chidi", "Goran", "Emil", "Luca", "Hiro", "José", "Bob"];
const CITIES: [(&str, &str); 4] =
    [("Springfield", "62701"), ("Shelbyville", "62565"), ("Ogdenville", "62799"), ("North Haverbrook", "62788")];

/// A laboratory value or vital sign: LOINC code, what it is called, its unit, and its usual range.
struct Measure {
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    low: f64,
    high: f64,
    laboratory: bool,
}

const fn vital(code: &'static str, name: &'static str, unit: &'static str, low: f64, high: f64) -> Measure {
    Measure { code, name, unit, low, high, laboratory: false }
}

const fn lab(code: &'static str, name: &'static str, unit: &'static str, low: f64, high: f64) -> Measure {
    Measure { code, name, unit, low, high, laboratory: true }
}

const MEASURES: [Measure; 9] = [
    vital("8867-4", "Heart rate", "/min", 58.0, 96.0),
    vital("29463-7", "Body weight", "kg", 52.0, 98.0),
    vital("8480-6", "Systolic blood pressure", "mm[Hg]", 104.0, 152.0),
    vital("8462-4", "Diastolic blood pressure", "mm[Hg]", 62.0, 94.0),
    lab("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 4.9, 8.6),
    lab("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 74.0, 186.0),
    lab("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.6, 1.5),
    lab("2089-1", "Cholesterol in LDL [Mass/volume] in Serum or Plasma", "mg/dL", 62.0, 178.0),
    lab("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 11.2, 16.4),
];

const CONDITIONS: [(&str, &str); 6] = [
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("I10", "Essential (primary) hypertension"),
    ("E78.5", "Hyperlipidemia, unspecified"),
    ("J45.909", "Unspecified asthma, uncomplicated"),
    ("M17.11", "Unilateral primary osteoarthritis, right knee"),
    ("F41.1", "Generalized anxiety disorder"),
];

const MEDICATIONS: [(&str, &str); 5] = [
    ("860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet"),
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("617312", "atorvastatin 20 MG Oral Tablet"),
    ("745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler"),
    ("197361", "amlodipine 5 MG Oral Tablet"),
];

/// So many patients, each with a chart.
pub(crate) fn patients(loader: &mut Loader<'_>, count: usize, seed: u64) {
    for number in 0..count {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        Chart::begin(loader, &mut random, number).write();
    }
}

/// One patient's chart while it is written.
struct Chart<'l, 's> {
    loader: &'l mut Loader<'s>,
    random: &'l mut Random,
    patient: Uuid,
    practitioner: &'static str,
}

impl<'l, 's> Chart<'l, 's> {
    fn begin(loader: &'l mut Loader<'s>, random: &'l mut Random, number: usize) -> Self {
        let patient = random.uuid();
        let practitioner = random.pick(&PRACTITIONERS).map_or("", |(id, _, _)| id);
        let female = random.chance(51);
        let given = random.pick(if female { &FEMALE } else { &MALE }).copied().unwrap_or_default();
        let family = random.pick(&FAMILY).copied().unwrap_or_default();
        let (city, postal_code) = random.pick(&CITIES).copied().unwrap_or_default();
        let born = date(1938, 1, 1).saturating_add(i64::from(random.below(31_000)).days());
        loader.add(&json!({
            "resourceType": "Patient",
            "id": patient.to_string(),
            "active": true,
            "identifier": [{"system": "https://sandbox.example/mrn", "value": format!("MRN-S{number:05}")}],
            "name": [{"use": "official", "family": family, "given": [given]}],
            "gender": if female { "female" } else { "male" },
            "birthDate": born.to_string(),
            "telecom": [{"system": "phone", "value": format!("555-{:05}", random.below(100_000))}],
            "address": [{
                "line": [format!("{} Main St", random.below(900) + 1)],
                "city": city, "state": "IL", "postalCode": postal_code, "country": "US"
            }],
            "managingOrganization": {"reference": format!("Organization/{ORGANIZATION}")},
            "generalPractitioner": [{"reference": format!("Practitioner/{practitioner}")}],
        }));
        Self { loader, random, patient, practitioner }
    }

    fn subject(&self) -> Value {
        json!({"reference": format!("Patient/{}", self.patient)})
    }

    fn write(mut self) {
        let first = date(2024, 1, 8).saturating_add(i64::from(self.random.below(300)).days());
        let problems = 1 + self.random.below(3);
        for _ in 0..problems {
            self.problem(first);
        }
        let visits = 2 + self.random.below(3);
        for visit in 0..visits {
            let day = first.saturating_add((i64::from(visit) * 90 + i64::from(self.random.below(20))).days());
            self.visit(day);
        }
    }

    fn problem(&mut self, since: Date) {
        let id = self.random.uuid().to_string();
        let (code, name) = self.random.pick(&CONDITIONS).copied().unwrap_or_default();
        self.loader.add(&json!({
            "resourceType": "Condition",
            "id": id,
            "clinicalStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"
            }]},
            "verificationStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"
            }]},
            "code": concept("http://hl7.org/fhir/sid/icd-10-cm", code, name),
            "subject": self.subject(),
            "onsetDateTime": since.to_string(),
        }));
        let id = self.random.uuid().to_string();
        let (code, name) = self.random.pick(&MEDICATIONS).copied().unwrap_or_default();
        self.loader.add(&json!({
            "resourceType": "MedicationRequest",
            "id": id,
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", code, name),
            "subject": self.subject(),
            "authoredOn": since.to_string(),
            "requester": {"reference": format!("Practitioner/{}", self.practitioner)},
            "dosageInstruction": [{"text": "1 tablet once a day"}],
        }));
    }

    fn visit(&mut self, day: Date) {
        let encounter = self.random.uuid().to_string();
        let hour = 8 + self.random.below(9);
        let start = format!("{day}T{hour:02}:00:00Z");
        self.loader.add(&json!({
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "subject": self.subject(),
            "participant": [{"individual": {"reference": format!("Practitioner/{}", self.practitioner)}}],
            "period": {"start": start, "end": format!("{day}T{hour:02}:30:00Z")},
        }));
        for measure in &MEASURES {
            if self.random.chance(80) {
                self.measure(measure, &encounter, &start);
            }
        }
    }

    fn measure(&mut self, measure: &Measure, encounter: &str, at: &str) {
        let id = self.random.uuid().to_string();
        let value = (self.random.between(measure.low, measure.high) * 10.0).round() / 10.0;
        let measured = Measured {
            code: measure.code,
            name: measure.name,
            unit: measure.unit,
            laboratory: measure.laboratory,
            value,
        };
        self.loader.add(&measured.observation(&id, &self.subject(), encounter, at));
    }
}
