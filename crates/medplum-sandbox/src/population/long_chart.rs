//! Three patients with ten years of chart: laboratory values that go somewhere, medications that start and stop.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::load::Loader;
use super::measured::{Measured, concept};
use super::practice::{ORGANIZATION, PRACTITIONERS};
use super::random::Random;

/// One of the three.
pub(crate) struct Patient {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    given: &'static str,
    family: &'static str,
    gender: &'static str,
    born: &'static str,
    record: &'static str,
    problems: &'static [Problem],
    medications: &'static [Medication],
    courses: &'static [Course],
}

/// A diagnosis in ICD-10-CM.
struct Problem {
    code: &'static str,
    name: &'static str,
    since: &'static str,
    resolved: Option<&'static str>,
}

/// A prescription in RxNorm.
struct Medication {
    code: &'static str,
    name: &'static str,
    dose: &'static str,
    from: &'static str,
    until: Option<&'static str>,
}

/// What a value does over ten years: it goes straight from one point to the next, and jitters a little.
struct Course {
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    /// How many months lie between two measurements.
    every: usize,
    laboratory: bool,
    decimals: u32,
    noise: f64,
    /// Years since the beginning, and the value then.
    points: &'static [(f64, f64)],
}

/// The month with which the charts begin.
const BEGINNING: Date = date(2016, 1, 11);
const MONTHS: usize = 120;

const fn lab(
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    noise: f64,
    points: &'static [(f64, f64)],
) -> Course {
    Course { code, name, unit, every: 3, laboratory: true, decimals: 1, noise, points }
}

const fn vital(
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    noise: f64,
    points: &'static [(f64, f64)],
) -> Course {
    Course { code, name, unit, every: 1, laboratory: false, decimals: 0, noise, points }
}

const A1C: (&str, &str) = ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood");
const CREATININE: (&str, &str) = ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma");
const LDL: (&str, &str) = ("2089-1", "Cholesterol in LDL [Mass/volume] in Serum or Plasma");
const POTASSIUM: (&str, &str) = ("2823-3", "Potassium [Moles/volume] in Serum or Plasma");
const HEMOGLOBIN: (&str, &str) = ("718-7", "Hemoglobin [Mass/volume] in Blood");
const FERRITIN: (&str, &str) = ("2276-4", "Ferritin [Mass/volume] in Serum or Plasma");
const GLUCOSE: (&str, &str) = ("2345-7", "Glucose [Mass/volume] in Serum or Plasma");
const EGFR: (&str, &str) = (
    "98979-8",
    "Glomerular filtration rate [Volume Rate/Area] in Serum, Plasma or Blood by Creatinine-based formula (CKD-EPI 2021)/1.73 sq M",
);
const SYSTOLIC: (&str, &str) = ("8480-6", "Systolic blood pressure");
const DIASTOLIC: (&str, &str) = ("8462-4", "Diastolic blood pressure");
const HEART_RATE: (&str, &str) = ("8867-4", "Heart rate");
const WEIGHT: (&str, &str) = ("29463-7", "Body weight");
const SATURATION: (&str, &str) = ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry");

/// The three.
pub(crate) const PATIENTS: [Patient; 3] = [
    Patient {
        id: "5a4d0b0c-0000-4000-8000-000000000201",
        name: "Maria Lindqvist",
        given: "Maria",
        family: "Lindqvist",
        gender: "female",
        born: "1958-03-22",
        record: "MRN-1001",
        problems: &[
            Problem {
                code: "E11.9",
                name: "Type 2 diabetes mellitus without complications",
                since: "2016-02-08",
                resolved: None,
            },
            Problem { code: "E78.5", name: "Hyperlipidemia, unspecified", since: "2017-05-15", resolved: None },
            Problem {
                code: "J18.9",
                name: "Pneumonia, unspecified organism",
                since: "2019-12-02",
                resolved: Some("2020-01-20"),
            },
        ],
        medications: &[
            Medication {
                code: "861007",
                name: "metformin hydrochloride 500 MG Oral Tablet",
                dose: "1 tablet twice a day",
                from: "2016-03-14",
                until: Some("2018-06-11"),
            },
            Medication {
                code: "861004",
                name: "metformin hydrochloride 1000 MG Oral Tablet",
                dose: "1 tablet twice a day",
                from: "2018-06-11",
                until: None,
            },
            Medication {
                code: "617312",
                name: "atorvastatin 20 MG Oral Tablet",
                dose: "1 tablet at night",
                from: "2017-06-12",
                until: None,
            },
            Medication {
                code: "310490",
                name: "glipizide 10 MG Oral Tablet",
                dose: "1 tablet in the morning",
                from: "2020-03-09",
                until: Some("2022-04-11"),
            },
        ],
        courses: &[
            lab(A1C.0, A1C.1, "%", 0.15, &[(0.0, 6.9), (2.4, 8.1), (4.2, 9.4), (6.0, 7.6), (10.0, 6.8)]),
            lab(GLUCOSE.0, GLUCOSE.1, "mg/dL", 9.0, &[(0.0, 148.0), (4.2, 224.0), (6.0, 162.0), (10.0, 138.0)]),
            lab(LDL.0, LDL.1, "mg/dL", 6.0, &[(0.0, 158.0), (1.4, 164.0), (2.4, 96.0), (10.0, 88.0)]),
            lab(CREATININE.0, CREATININE.1, "mg/dL", 0.05, &[(0.0, 0.8), (10.0, 1.1)]),
            vital(SYSTOLIC.0, SYSTOLIC.1, "mm[Hg]", 6.0, &[(0.0, 138.0), (10.0, 129.0)]),
            vital(DIASTOLIC.0, DIASTOLIC.1, "mm[Hg]", 4.0, &[(0.0, 86.0), (10.0, 78.0)]),
            vital(WEIGHT.0, WEIGHT.1, "kg", 0.8, &[(0.0, 91.0), (4.0, 96.0), (10.0, 82.0)]),
            vital(HEART_RATE.0, HEART_RATE.1, "/min", 5.0, &[(0.0, 76.0), (10.0, 70.0)]),
            vital(
                SATURATION.0,
                SATURATION.1,
                "%",
                0.6,
                &[(0.0, 98.0), (3.9, 98.0), (4.0, 92.0), (4.2, 98.0), (10.0, 97.0)],
            ),
        ],
    },
    Patient {
        id: "5a4d0b0c-0000-4000-8000-000000000202",
        name: "Samuel Adeyemi",
        given: "Samuel",
        family: "Adeyemi",
        gender: "male",
        born: "1949-11-05",
        record: "MRN-1002",
        problems: &[
            Problem { code: "I10", name: "Essential (primary) hypertension", since: "2012-09-03", resolved: None },
            Problem {
                code: "N18.30",
                name: "Chronic kidney disease, stage 3 unspecified",
                since: "2018-10-08",
                resolved: None,
            },
            Problem { code: "M10.9", name: "Gout, unspecified", since: "2021-02-15", resolved: Some("2021-04-12") },
        ],
        medications: &[
            Medication {
                code: "314076",
                name: "lisinopril 10 MG Oral Tablet",
                dose: "1 tablet in the morning",
                from: "2016-02-08",
                until: Some("2019-01-14"),
            },
            Medication {
                code: "314077",
                name: "lisinopril 20 MG Oral Tablet",
                dose: "1 tablet in the morning",
                from: "2019-01-14",
                until: None,
            },
            Medication {
                code: "197361",
                name: "amlodipine 5 MG Oral Tablet",
                dose: "1 tablet in the morning",
                from: "2017-04-10",
                until: None,
            },
            Medication {
                code: "310798",
                name: "hydrochlorothiazide 25 MG Oral Tablet",
                dose: "1 tablet in the morning",
                from: "2017-10-09",
                until: Some("2021-03-08"),
            },
        ],
        courses: &[
            lab(EGFR.0, EGFR.1, "mL/min/{1.73_m2}", 2.0, &[(0.0, 71.0), (2.8, 58.0), (6.0, 45.0), (10.0, 34.0)]),
            lab(CREATININE.0, CREATININE.1, "mg/dL", 0.06, &[(0.0, 1.1), (2.8, 1.3), (6.0, 1.6), (10.0, 2.1)]),
            lab(POTASSIUM.0, POTASSIUM.1, "mmol/L", 0.2, &[(0.0, 4.2), (6.0, 4.6), (10.0, 5.1)]),
            lab(HEMOGLOBIN.0, HEMOGLOBIN.1, "g/dL", 0.4, &[(0.0, 14.1), (10.0, 11.8)]),
            vital(SYSTOLIC.0, SYSTOLIC.1, "mm[Hg]", 7.0, &[(0.0, 164.0), (1.5, 150.0), (3.2, 134.0), (10.0, 131.0)]),
            vital(DIASTOLIC.0, DIASTOLIC.1, "mm[Hg]", 5.0, &[(0.0, 98.0), (3.2, 82.0), (10.0, 76.0)]),
            vital(WEIGHT.0, WEIGHT.1, "kg", 0.7, &[(0.0, 88.0), (10.0, 81.0)]),
            vital(HEART_RATE.0, HEART_RATE.1, "/min", 5.0, &[(0.0, 72.0), (10.0, 74.0)]),
            vital(SATURATION.0, SATURATION.1, "%", 0.6, &[(0.0, 97.0), (10.0, 96.0)]),
        ],
    },
    Patient {
        id: "5a4d0b0c-0000-4000-8000-000000000203",
        name: "Chloé Marchetti",
        given: "Chloé",
        family: "Marchetti",
        gender: "female",
        born: "1987-07-30",
        record: "MRN-1003",
        problems: &[
            Problem { code: "J45.909", name: "Unspecified asthma, uncomplicated", since: "2009-05-04", resolved: None },
            Problem {
                code: "D50.9",
                name: "Iron deficiency anemia, unspecified",
                since: "2019-08-12",
                resolved: Some("2021-01-11"),
            },
        ],
        medications: &[
            Medication {
                code: "745679",
                name: "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
                dose: "2 puffs when short of breath",
                from: "2016-01-11",
                until: None,
            },
            Medication {
                code: "310325",
                name: "ferrous sulfate 325 MG Oral Tablet",
                dose: "1 tablet a day",
                from: "2019-08-12",
                until: Some("2020-12-14"),
            },
        ],
        courses: &[
            lab(
                HEMOGLOBIN.0,
                HEMOGLOBIN.1,
                "g/dL",
                0.3,
                &[(0.0, 13.2), (3.0, 12.9), (3.6, 9.8), (4.9, 13.1), (10.0, 13.4)],
            ),
            lab(
                FERRITIN.0,
                FERRITIN.1,
                "ng/mL",
                3.0,
                &[(0.0, 41.0), (3.0, 24.0), (3.6, 6.0), (4.9, 52.0), (10.0, 60.0)],
            ),
            lab(GLUCOSE.0, GLUCOSE.1, "mg/dL", 5.0, &[(0.0, 86.0), (10.0, 91.0)]),
            lab(LDL.0, LDL.1, "mg/dL", 5.0, &[(0.0, 98.0), (10.0, 104.0)]),
            vital(SYSTOLIC.0, SYSTOLIC.1, "mm[Hg]", 5.0, &[(0.0, 112.0), (10.0, 117.0)]),
            vital(DIASTOLIC.0, DIASTOLIC.1, "mm[Hg]", 4.0, &[(0.0, 71.0), (10.0, 74.0)]),
            vital(WEIGHT.0, WEIGHT.1, "kg", 0.6, &[(0.0, 61.0), (10.0, 66.0)]),
            vital(HEART_RATE.0, HEART_RATE.1, "/min", 5.0, &[(0.0, 71.0), (3.6, 92.0), (4.9, 72.0), (10.0, 70.0)]),
            vital(SATURATION.0, SATURATION.1, "%", 0.8, &[(0.0, 98.0), (10.0, 98.0)]),
        ],
    },
];

/// Writes the three charts.
pub(crate) fn write_all(loader: &mut Loader<'_>) {
    for (number, patient) in (0_u64..).zip(&PATIENTS) {
        let mut random = Random::new(0x6c6f_6e67 + number);
        Writer { loader, random: &mut random, patient }.write();
    }
}

struct Writer<'w, 's> {
    loader: &'w mut Loader<'s>,
    random: &'w mut Random,
    patient: &'static Patient,
}

impl Writer<'_, '_> {
    fn subject(&self) -> Value {
        json!({"reference": format!("Patient/{}", self.patient.id), "display": self.patient.name})
    }

    fn practitioner() -> String {
        format!("Practitioner/{}", PRACTITIONERS.first().map_or("", |(id, _, _)| *id))
    }

    fn write(mut self) {
        self.person();
        for problem in self.patient.problems {
            self.problem(problem);
        }
        for medication in self.patient.medications {
            self.medication(medication);
        }
        for month in 0..MONTHS {
            self.visit(month);
        }
    }

    fn person(&mut self) {
        let patient = self.patient;
        self.loader.add(&json!({
            "resourceType": "Patient",
            "id": patient.id,
            "active": true,
            "identifier": [{"system": "https://sandbox.example/mrn", "value": patient.record}],
            "name": [{"use": "official", "family": patient.family, "given": [patient.given]}],
            "gender": patient.gender,
            "birthDate": patient.born,
            "telecom": [{"system": "phone", "value": format!("555-02{}", self.random.below(900) + 100)}],
            "address": [{"line": ["8 Elm St"], "city": "Springfield", "state": "IL", "postalCode": "62701"}],
            "managingOrganization": {"reference": format!("Organization/{ORGANIZATION}")},
            "generalPractitioner": [{"reference": Self::practitioner()}],
        }));
    }

    fn problem(&mut self, problem: &Problem) {
        let id = self.random.uuid().to_string();
        let status = if problem.resolved.is_some() { "resolved" } else { "active" };
        let mut condition = json!({
            "resourceType": "Condition",
            "id": id,
            "clinicalStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": status
            }]},
            "verificationStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"
            }]},
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "problem-list-item"
            }]}],
            "code": concept("http://hl7.org/fhir/sid/icd-10-cm", problem.code, problem.name),
            "subject": self.subject(),
            "onsetDateTime": problem.since,
        });
        if let (Some(map), Some(resolved)) = (condition.as_object_mut(), problem.resolved) {
            map.insert("abatementDateTime".into(), json!(resolved));
        }
        self.loader.add(&condition);
    }

    fn medication(&mut self, medication: &Medication) {
        let drug = concept("http://www.nlm.nih.gov/research/umls/rxnorm", medication.code, medication.name);
        let (order, statement) = (self.random.uuid().to_string(), self.random.uuid().to_string());
        let mut period = json!({"start": medication.from});
        if let (Some(map), Some(until)) = (period.as_object_mut(), medication.until) {
            map.insert("end".into(), json!(until));
        }
        self.loader.add(&json!({
            "resourceType": "MedicationRequest",
            "id": order,
            "status": if medication.until.is_some() { "stopped" } else { "active" },
            "intent": "order",
            "medicationCodeableConcept": drug,
            "subject": self.subject(),
            "authoredOn": medication.from,
            "requester": {"reference": Self::practitioner()},
            "dosageInstruction": [{"text": medication.dose}],
            "dispenseRequest": {"validityPeriod": period},
        }));
        self.loader.add(&json!({
            "resourceType": "MedicationStatement",
            "id": statement,
            "status": if medication.until.is_some() { "completed" } else { "active" },
            "medicationCodeableConcept": drug,
            "subject": self.subject(),
            "effectivePeriod": period,
            "basedOn": [{"reference": format!("MedicationRequest/{order}")}],
            "dosage": [{"text": medication.dose}],
        }));
    }

    fn visit(&mut self, month: usize) {
        let encounter = self.random.uuid().to_string();
        let day = BEGINNING.saturating_add(i64::try_from(month).unwrap_or(0).months());
        let hour = 8 + self.random.below(8);
        let at = format!("{day}T{hour:02}:00:00Z");
        self.loader.add(&json!({
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "subject": self.subject(),
            "participant": [{"individual": {"reference": Self::practitioner()}}],
            "period": {"start": at, "end": format!("{day}T{hour:02}:20:00Z")},
            "serviceProvider": {"reference": format!("Organization/{ORGANIZATION}")},
        }));
        for course in self.patient.courses.iter().filter(|course| month.is_multiple_of(course.every)) {
            self.measurement(course, month, &encounter, &at);
        }
    }

    fn measurement(&mut self, course: &Course, month: usize, encounter: &str, at: &str) {
        let id = self.random.uuid().to_string();
        let years = u32::try_from(month).map_or(0.0, f64::from) / 12.0;
        let exact = value_at(course.points, years) + course.noise * self.random.noise();
        let scale = 10_f64.powi(i32::try_from(course.decimals).unwrap_or(0));
        let value = (exact * scale).round() / scale;
        let measured =
            Measured { code: course.code, name: course.name, unit: course.unit, laboratory: course.laboratory, value };
        self.loader.add(&measured.observation(&id, &self.subject(), encounter, at));
    }
}

/// The value of a course at a time.
fn value_at(points: &[(f64, f64)], years: f64) -> f64 {
    let after = points.iter().find(|(year, _)| *year >= years);
    let before = points.iter().rev().find(|(year, _)| *year <= years);
    match (before, after) {
        (Some((from, low)), Some((to, high))) if to > from => low + (high - low) * (years - from) / (to - from),
        (Some((_, value)), _) | (None, Some((_, value))) => *value,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chart_has_seven_hundred_measurements() {
        for patient in &PATIENTS {
            let count: usize = patient.courses.iter().map(|course| MONTHS.div_ceil(course.every)).sum();
            assert!(count >= 700, "{}: {count}", patient.name);
        }
    }

    #[test]
    fn a_course_goes_straight_from_point_to_point() {
        let points = [(0.0, 10.0), (2.0, 20.0), (10.0, 20.0)];
        assert!((value_at(&points, 1.0) - 15.0).abs() < 1e-9);
        assert!((value_at(&points, 2.0) - 20.0).abs() < 1e-9);
        assert!((value_at(&points, 99.0) - 20.0).abs() < 1e-9);
    }
}
