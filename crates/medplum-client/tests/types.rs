//! Which resource types a request is about, on every way to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use medplum_client::{FhirPath, Interaction, Method, NeedKind, Query};
use serde_json::{Value, json};

fn needs(method: Method, path: &str, body: Option<Value>) -> String {
    let interaction = Interaction::from_path(&FhirPath::default(), method, path, Query::new(), body);
    let interaction = interaction.unwrap_or_else(|error| panic!("{path}: {error}"));
    let shown = interaction.types().into_iter().map(|need| {
        let by = if need.by.is_empty() { String::new() } else { format!(" by {}", need.by) };
        match need.kind {
            NeedKind::Read(of) => format!("read {of}{by}"),
            NeedKind::Write(of) => format!("write {of}{by}"),
            NeedKind::ReadAny(of) => format!("read {}{by}", of.join("|")),
            NeedKind::Unclear => format!("?{by}"),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn get(path: &str) -> String {
    needs(Method::Get, &format!("fhir/R4/{path}"), None)
}

#[test]
fn reads_and_searches() {
    let table = [
        ("Patient/1", "read Patient"),
        ("Patient/1/_history", "read Patient"),
        ("Patient/1/_history/2", "read Patient"),
        ("Binary/1", "read Binary"),
        ("metadata", ""),
        ("Patient?name=x&birthdate=1990&_sort=-_lastUpdated&_count=3&_fields=id&_id=1&_tag=a|b", "read Patient"),
        ("Observation?subject=Patient/1&subject:Patient=1&code:in=http://x&subject:identifier=a|b", "read Observation"),
        // A custom parameter looks at the resource itself.
        ("Observation?my-parameter=x", "read Observation"),
        ("?_type=Patient,Practitioner&_lastUpdated=gt2020-01-01", "read Patient by _type, read Practitioner by _type"),
        ("Patient?_type=Observation", "read Patient, read Observation by _type"),
    ];
    for (path, expected) in table {
        assert_eq!(get(path), expected, "{path}");
    }
}

#[test]
fn what_a_search_looks_at_on_its_way() {
    let table = [
        ("Observation?subject:Patient.name=x", "read Patient by subject:Patient.name"),
        ("Observation?patient.name=x", "read Patient by patient.name"),
        ("Observation?subject.family=x", "read Patient by subject.family"),
        (
            "Observation?subject.name=x",
            "read Group by subject.name, read Location by subject.name, read Patient by subject.name",
        ),
        (
            "Observation?encounter.service-provider.name=x",
            "read Encounter by encounter.service-provider.name, read Organization by encounter.service-provider.name",
        ),
        (
            "Observation?subject:Patient._has:Condition:subject:code=x",
            "read Patient by subject:Patient._has:Condition:subject:code, read Condition by _has:Condition:subject:code",
        ),
        ("Observation?nothing.name=x", "? by nothing.name"),
        ("Observation?subject:Nothing.name=x", "? by subject:Nothing.name"),
        ("Observation?focus._id=x", "? by focus._id"),
        ("Patient?_has:Observation:patient:code=x", "read Observation by _has:Observation:patient:code"),
        (
            "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=x",
            "read Observation by _has:Observation:patient:_has:AuditEvent:entity:agent, read AuditEvent by _has:AuditEvent:entity:agent",
        ),
        (
            "Patient?_has:Observation:patient:encounter.status=x",
            "read Observation by _has:Observation:patient:encounter.status, read Encounter by encounter.status",
        ),
        ("Patient?_has:Observation=x", "? by _has:Observation"),
        ("Observation?_filter=code eq x and subject:Patient.name co \"y\"", "read Patient by subject:Patient.name"),
        ("Observation?_filter=_has:Condition:encounter:code eq x", "read Condition by _has:Condition:encounter:code"),
        ("Observation?_filter=subject[name eq x]", "? by _filter"),
        ("Observation?_compartment=Patient/1", "read Patient by _compartment"),
        ("Observation?_compartment=1", "? by _compartment"),
        (
            "Observation?_include=Observation:subject",
            "read Observation by _include, read Device|Group|Location|Patient by _include",
        ),
        ("Observation?_include=Observation:subject:Patient", "read Observation by _include, read Patient by _include"),
        (
            "Observation?_include:iterate=Patient:general-practitioner",
            "read Patient by _include:iterate, read Organization|Practitioner|PractitionerRole by _include:iterate",
        ),
        ("Observation?_include=*", "? by _include"),
        ("Observation?_include=Observation:*", "? by _include"),
        ("Observation?_include=Observation:nothing", "? by _include"),
        ("Patient?_revinclude=Observation:subject", "read Observation by _revinclude"),
        ("Patient?_revinclude:iterate=Provenance:target", "read Provenance by _revinclude:iterate"),
        ("Patient?_revinclude=*", "? by _revinclude"),
        ("Patient?_sort=general-practitioner.name", "? by _sort"),
        ("Patient?_list=1", "? by _list"),
        ("Patient?_containedType=x", "? by _containedType"),
        ("Patient?_text=x", "? by _text"),
    ];
    for (path, expected) in table {
        let of = path.split('?').next().unwrap();
        assert_eq!(get(path), format!("read {of}, {expected}"), "{path}");
    }
}

#[test]
fn operations_and_other_paths() {
    let table = [
        ("Patient/1/$everything", "read Patient"),
        (
            "Patient/1/$everything?_type=Observation&_type=Condition&_count=3",
            "read Patient, read Observation by _type, read Condition by _type",
        ),
        ("Patient/1/$everything?x=1", "read Patient, ? by x"),
        ("Patient/1/$summary", "read Patient, ? by $summary"),
        (
            "Observation/$csv?subject:Patient.name=x&_fields=id",
            "read Observation, read Patient by subject:Patient.name",
        ),
        ("Patient/1/$graph?graph=x", "read Patient, read GraphDefinition by $graph"),
        ("CodeSystem/$lookup?code=x", "read CodeSystem"),
        ("ValueSet/$expand?url=x", "read ValueSet"),
        ("ConceptMap/1/$translate?code=x", "read ConceptMap"),
        ("Bot/1/$execute", "read Bot"),
        ("Patient/1/$my-op", "read Patient, ? by $my-op"),
        ("$my-op", "? by $my-op"),
        ("$export", "? by $export"),
        ("Group/1/$export", "read Group, ? by $export"),
        ("$versions", ""),
        ("job/1/status", "read AsyncJob"),
        ("Patient/1/Observation", "? by this path"),
    ];
    for (path, expected) in table {
        assert_eq!(get(path), expected, "{path}");
    }
    for (path, expected) in [
        ("auth/me", ""),
        ("admin/projects/1", "read Project"),
        ("admin/projects/1/members/2", "read ProjectMembership"),
        ("storage/1/2", "? by this path"),
        ("keyvalue/v1/x", "? by this path"),
    ] {
        assert_eq!(needs(Method::Get, path, None), expected, "{path}");
    }
    let everything =
        json!({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Observation"}]});
    assert_eq!(
        needs(Method::Post, "fhir/R4/Patient/1/$everything", Some(everything)),
        "read Patient, read Observation by _type"
    );
    assert_eq!(
        needs(Method::Post, "fhir/R4/Observation/_search", Some(json!({"subject:Patient.name": "x"}))),
        "read Observation, read Patient by subject:Patient.name"
    );
}

#[test]
fn writes_and_what_is_inside_of_them() {
    let observation = json!({"resourceType": "Observation", "contained": [{"resourceType": "Practitioner", "id": "p"}],
        "subject": {"reference": "Patient?identifier=a|b&general-practitioner.name=x"}, "performer": [{"reference": "Practitioner/1"}]});
    assert_eq!(
        needs(Method::Post, "fhir/R4/Observation", Some(observation)),
        "write Observation, write Observation by a resource inside, write Practitioner by a resource inside, \
         read Patient by a conditional reference, read Organization by general-practitioner.name, \
         read Practitioner by general-practitioner.name"
    );
    let patch = json!([{"op": "add", "path": "/contained", "value": [{"resourceType": "Device"}]}]);
    assert_eq!(
        needs(Method::Patch, "fhir/R4/Patient/1", Some(patch)),
        "write Patient, write Device by a resource inside"
    );
    // What an update holds may be stored already; whoever has read that judges it.
    let update = json!({"resourceType": "Patient", "id": "1", "contained": [{"resourceType": "Device"}], "link": [{"other": {"reference": "RelatedPerson?name=x"}}]});
    assert_eq!(
        needs(Method::Put, "fhir/R4/Patient/1", Some(update)),
        "write Patient, read RelatedPerson by a conditional reference"
    );
    assert_eq!(needs(Method::Delete, "fhir/R4/Patient/1", None), "write Patient");
    assert_eq!(needs(Method::Delete, "fhir/R4/Patient?name=x", None), "? by this path");
    let bundle = json!({"type": "transaction", "entry": [
        {"request": {"method": "GET", "url": "Patient?_has:Observation:patient:code=x"}},
        {"request": {"method": "POST", "url": "Task", "ifNoneExist": "owner:Practitioner.name=x"}, "resource": {"resourceType": "Task"}},
        {"request": {"method": "POST", "url": "$graphql"}, "resource": {"query": "{ DeviceList { id } }"}},
    ]});
    assert_eq!(
        needs(Method::Post, "fhir/R4", Some(bundle)),
        "read Patient by bundle.entry[0], read Observation by bundle.entry[0] _has:Observation:patient:code, \
         write Task by bundle.entry[1], write Task by bundle.entry[1] a resource inside, \
         read Practitioner by bundle.entry[1] owner:Practitioner.name, read Device by bundle.entry[2] DeviceList"
    );
}

#[test]
fn documents() {
    let document = |query: &str, variables: Value| {
        needs(Method::Post, "fhir/R4/$graphql", Some(json!({"query": query, "variables": variables})))
    };
    let table = [
        ("{ a: Patient(id: \"1\") { name { family } } }", "read Patient by Patient"),
        (
            "{ PatientList(name: \"x\", _count: 3) { ConditionList(_reference: subject) { id } } }",
            "read Patient by PatientList, read Condition by ConditionList",
        ),
        ("{ PatientConnection { edges { resource { id } } count } }", "read Patient by PatientConnection"),
        (
            "{ PatientList { generalPractitioner { resource { ... on Practitioner { id } } } } }",
            "read Patient by PatientList, read Practitioner by ... on Practitioner",
        ),
        (
            "{ PatientList { generalPractitioner { resource { ...F } } } } fragment F on Organization { id }",
            "read Patient by PatientList, read Organization by ... on Organization",
        ),
        (
            "{ PatientList { contained { ... on Resource { id } } } }",
            "read Patient by PatientList, ? by ... on Resource",
        ),
        (
            "{ PatientList { name { ... on HumanName { family } } contact { ... on PatientContact { gender } } } }",
            "read Patient by PatientList",
        ),
        ("{ NothingList { id } }", "? by NothingList, ? by id"),
        ("{ __schema { types { name } } PatientList { __typename } }", "read Patient by PatientList"),
        (
            "{ ObservationList(_filter: \"subject:Patient.name eq x\") { id } }",
            "read Observation by ObservationList, read Patient by subject:Patient.name",
        ),
        (
            "{ ObservationList(_compartment: \"Patient/1\") { id } }",
            "read Observation by ObservationList, read Patient by _compartment",
        ),
        (
            "query($f: String) { ObservationList(_filter: $f) { id } }",
            "read Observation by ObservationList, ? by _filter",
        ),
        (
            "query($f: String = \"_has:Condition:encounter:code eq x\") { ObservationList(_filter: $f) { id } }",
            "read Observation by ObservationList, read Condition by _has:Condition:encounter:code",
        ),
        (
            "mutation { PatientCreate(res: {resourceType: \"Patient\", contained: [{resourceType: \"Device\"}]}) { id } }",
            "write Patient by PatientCreate, write Patient by a resource inside, write Device by a resource inside",
        ),
        ("mutation { PatientDelete(id: \"1\") { id } }", "write Patient by PatientDelete"),
    ];
    for (query, expected) in table {
        assert_eq!(document(query, Value::Null), expected, "{query}");
    }
    assert_eq!(
        document(
            "query($f: String) { ObservationList(_filter: $f) { id } }",
            json!({"f": "device:Device.status eq x"})
        ),
        "read Observation by ObservationList, read Device by device:Device.status"
    );
}
