//! What makes the page, as data: which searches make which section, what of them is fetched, and how much of it is shown.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Rows, Sources};
use super::{events, measurements, medications, people, problems};

// The name of a section, as an agent asks for it and reads it. A doc comment would be paid for in every conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Name {
    Problems,
    Medications,
    Allergies,
    Latest,
    Immunizations,
    Encounters,
    Procedures,
    Tasks,
    Appointments,
    CareTeam,
}

/// One search for resources of the patient.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) resource_type: &'static str,
    /// The parameter that names the patient.
    pub(super) patient: &'static str,
    /// What is looked for. `{today}` stands for today.
    pub(super) filters: &'static [(&'static str, &'static str)],
    pub(super) sort: &'static str,
    /// How many are fetched at the most.
    pub(super) count: usize,
    /// The elements that are needed; all where it is empty. Medplum cuts what it includes down to the same elements, so
    /// there is never both.
    pub(super) fields: &'static str,
    /// What else is fetched, for its name.
    pub(super) include: &'static str,
}

/// A section of the page.
pub(super) struct Section {
    pub(super) name: Name,
    pub(super) key: &'static str,
    pub(super) searches: &'static [Rule],
    /// How many rows are shown at the most, unless the section was asked for by its name.
    pub(super) most: usize,
    /// How many rows it gets each time the room is shared out.
    pub(super) share: usize,
    /// What gives the rest, where that is not the searches themselves.
    pub(super) rest: Option<&'static str>,
    /// What tells the records that are not current from those that are none; none where the searches leave nothing else out.
    pub(super) on_record: Option<(&'static str, &'static str)>,
    /// Turns what was found into rows, the first the most important.
    pub(super) rows: fn(&Sources<'_>) -> Rows,
}

impl Section {
    /// Whether what is over still matters beside what is current.
    pub(super) fn tells_of_the_past(&self) -> bool {
        matches!(self.name, Name::Problems | Name::Medications | Name::Allergies)
    }

    /// A search for each type of it.
    pub(super) fn types(&self) -> impl Iterator<Item = &'static Rule> {
        let searches = self.searches;
        let is_first =
            |at: usize, rule: &Rule| searches.iter().take(at).all(|before| before.resource_type != rule.resource_type);
        searches.iter().enumerate().filter(move |(at, rule)| is_first(*at, rule)).map(|(_, rule)| rule)
    }
}

const RULE: Rule =
    Rule { resource_type: "", patient: "patient", filters: &[], sort: "", count: 50, fields: "", include: "" };

/// Who it is. The search brings the practitioners' names along, which a read would not.
pub(super) const PATIENT: Rule =
    Rule { resource_type: "Patient", patient: "_id", count: 1, include: "Patient:general-practitioner", ..RULE };

const OBSERVATION: Rule = Rule {
    resource_type: "Observation",
    sort: "-date",
    count: 1_000,
    fields: "status,category,code,effective,issued,value,interpretation,referenceRange,component",
    ..RULE
};

/// A record that was not made by mistake.
const NO_MISTAKE: Option<(&str, &str)> = Some(("status:not", "entered-in-error"));
const NO_MISTAKEN_FINDING: Option<(&str, &str)> = Some(("verification-status:not", "entered-in-error"));

/// An observation that holds: `cancelled` was never made.
const HOLDS: (&str, &str) = ("status:not", "entered-in-error,cancelled");

const CARE_TEAM: Rule =
    Rule { resource_type: "CareTeam", sort: "-_lastUpdated", include: "CareTeam:participant", ..RULE };

/// The sections in their order.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: Name::Problems,
        key: "problems",
        searches: &[Rule {
            resource_type: "Condition",
            // Where the clinical status is missing, the problem may well be there.
            filters: &[
                ("clinical-status:not", "inactive,remission,resolved"),
                ("verification-status:not", "entered-in-error,refuted"),
            ],
            sort: "-onset-date",
            count: 200,
            fields: "code,clinicalStatus,verificationStatus,onset,abatement,recordedDate",
            ..RULE
        }],
        most: 20,
        share: 3,
        rest: None,
        on_record: NO_MISTAKEN_FINDING,
        rows: problems::problems,
    },
    Section {
        name: Name::Medications,
        key: "medications",
        searches: &[
            Rule {
                resource_type: "MedicationRequest",
                filters: &[("status", "active,on-hold")],
                sort: "-authoredon",
                count: 200,
                include: "MedicationRequest:medication",
                ..RULE
            },
            Rule {
                resource_type: "MedicationStatement",
                filters: &[("status", "active")],
                sort: "-effective",
                count: 200,
                include: "MedicationStatement:medication",
                ..RULE
            },
        ],
        most: 25,
        share: 3,
        rest: None,
        on_record: NO_MISTAKE,
        rows: medications::medications,
    },
    Section {
        name: Name::Allergies,
        key: "allergies",
        searches: &[Rule {
            resource_type: "AllergyIntolerance",
            filters: &[
                ("clinical-status:not", "inactive,resolved"),
                ("verification-status:not", "entered-in-error,refuted"),
            ],
            sort: "-date",
            count: 100,
            fields: "code,clinicalStatus,verificationStatus,criticality,reaction",
            ..RULE
        }],
        most: 20,
        share: 20,
        rest: None,
        on_record: NO_MISTAKEN_FINDING,
        rows: problems::allergies,
    },
    Section {
        name: Name::Latest,
        key: "latest",
        searches: &[
            Rule { filters: &[("category", "vital-signs"), HOLDS], ..OBSERVATION },
            Rule { filters: &[("category", "laboratory"), HOLDS], ..OBSERVATION },
            // Many a record has no category; what is measured there is not left out.
            Rule { filters: &[("category:not", "vital-signs,laboratory"), HOLDS], count: 200, ..OBSERVATION },
        ],
        most: 40,
        share: 4,
        rest: Some("list_codes Observation"),
        on_record: None,
        rows: measurements::latest,
    },
    Section {
        name: Name::Immunizations,
        key: "immunizations",
        searches: &[Rule {
            resource_type: "Immunization",
            filters: &[("status", "completed")],
            sort: "-date",
            count: 200,
            fields: "vaccineCode,occurrence",
            ..RULE
        }],
        most: 8,
        share: 1,
        rest: None,
        on_record: NO_MISTAKE,
        rows: events::immunizations,
    },
    Section {
        name: Name::Encounters,
        key: "encounters",
        searches: &[Rule {
            resource_type: "Encounter",
            filters: &[("status:not", "planned,cancelled,entered-in-error")],
            sort: "-date",
            fields: "status,class,type,serviceType,reasonCode,period",
            ..RULE
        }],
        most: 5,
        share: 1,
        rest: None,
        on_record: NO_MISTAKE,
        rows: events::encounters,
    },
    Section {
        name: Name::Procedures,
        key: "procedures",
        searches: &[Rule {
            resource_type: "Procedure",
            filters: &[("status:not", "preparation,not-done,entered-in-error")],
            sort: "-date",
            fields: "status,code,performed",
            ..RULE
        }],
        most: 5,
        share: 1,
        rest: None,
        on_record: NO_MISTAKE,
        rows: events::procedures,
    },
    Section {
        name: Name::Tasks,
        key: "tasks",
        searches: &[Rule {
            resource_type: "Task",
            filters: &[("status:not", "completed,cancelled,rejected,failed,entered-in-error")],
            sort: "-authored-on",
            include: "Task:owner",
            ..RULE
        }],
        most: 6,
        share: 1,
        rest: None,
        on_record: NO_MISTAKE,
        rows: people::tasks,
    },
    Section {
        name: Name::Appointments,
        key: "appointments",
        searches: &[
            Rule {
                resource_type: "Appointment",
                filters: &[("date", "ge{today}"), ("status:not", "cancelled,noshow,fulfilled,entered-in-error")],
                sort: "date",
                include: "Appointment:practitioner",
                ..RULE
            },
            // Proposed, or on a waiting list: no date yet.
            Rule {
                resource_type: "Appointment",
                filters: &[("date:missing", "true"), ("status:not", "cancelled,noshow,fulfilled,entered-in-error")],
                sort: "-_lastUpdated",
                include: "Appointment:practitioner",
                ..RULE
            },
        ],
        most: 5,
        share: 1,
        rest: None,
        on_record: NO_MISTAKE,
        rows: people::appointments,
    },
    Section {
        name: Name::CareTeam,
        key: "careTeam",
        // A status may be missing, and then Medplum does not find it by what it is not.
        searches: &[
            Rule { filters: &[("status", "active")], ..CARE_TEAM },
            Rule { filters: &[("status:missing", "true")], ..CARE_TEAM },
        ],
        most: 4,
        share: 1,
        rest: None,
        on_record: NO_MISTAKE,
        rows: people::care_team,
    },
];

#[cfg(test)]
mod tests {
    use fhir_definitions::Definitions;
    use fhir_definitions::search::check;

    use super::*;

    fn rules() -> impl Iterator<Item = &'static Rule> {
        SECTIONS.iter().flat_map(|section| section.searches).chain([&PATIENT])
    }

    #[test]
    fn every_search_means_something_to_the_definitions() {
        for rule in rules() {
            let query = rule.query("some-id", "2026-01-05");
            let asked: Vec<_> = query.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let rewritten = check(rule.resource_type, &asked);
            let rewritten = rewritten.unwrap_or_else(|faults| panic!("{}: {faults:?}", rule.resource_type));
            assert_eq!(rewritten.params, asked, "{}", rule.resource_type);
            assert!(rewritten.notes.is_empty(), "{}: {:?}", rule.resource_type, rewritten.notes);
            // A code off its list would be hinted at.
            let hints: Vec<_> = rewritten.hints.iter().filter(|hint| !hint.contains("system")).collect();
            assert!(hints.is_empty(), "{}: {hints:?}", rule.resource_type);
        }
    }

    #[test]
    fn every_parameter_belongs_to_its_type() {
        let defs = Definitions::get();
        for rule in rules() {
            let info = defs.resource_type(rule.resource_type).unwrap_or_else(|| panic!("{}", rule.resource_type));
            let filters = rule.filters.iter().map(|(key, _)| *key).chain([rule.patient]);
            for key in filters.chain(rule.sort.split(',').filter(|sort| !sort.is_empty())) {
                let code = key.trim_start_matches('-').split(':').next().unwrap_or_default();
                assert!(defs.search_parameter(info, code).is_some(), "{}: {code}", rule.resource_type);
            }
            for field in rule.fields.split(',').filter(|field| !field.is_empty()) {
                let named = |element: &fhir_definitions::Element| element.name.trim_end_matches("[x]") == field;
                assert!(defs.elements(info).any(named), "{}: {field}", rule.resource_type);
            }
        }
    }

    #[test]
    fn what_tells_a_mistake_belongs_to_its_types() {
        let defs = Definitions::get();
        for section in SECTIONS {
            for rule in section.types() {
                let info = defs.resource_type(rule.resource_type).unwrap_or_else(|| panic!("{}", rule.resource_type));
                let Some((key, value)) = section.on_record else { continue };
                let asked = [(key.to_owned(), value.to_owned())];
                let rewritten = check(info.name, &asked).unwrap_or_else(|faults| panic!("{}: {faults:?}", info.name));
                assert_eq!((rewritten.params.as_slice(), rewritten.hints.len()), (&asked[..], 0), "{}", info.name);
            }
        }
    }

    #[test]
    fn what_is_included_is_not_cut() {
        assert!(rules().all(|rule| rule.fields.is_empty() || rule.include.is_empty()));
        assert!(SECTIONS.iter().all(|section| section.share > 0 && section.most > 0));
    }
}
