//! Whom a question is about: the names of resources, of their patients, and of what is run.

use std::collections::HashMap;

use fhir_definitions::Definitions;
use fhirpath::Expression;
use medplum_client::{ResourceId, ResourceType};
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::shown::text;
use crate::summary::text::{human_name, list, name_of, string};

/// How much of a name is shown.
pub(super) const NAME: usize = 80;
/// What is said of a resource that the client may not see, or that was deleted.
pub(super) const UNREADABLE: &str = "which cannot be read, or was deleted";
/// People and bots that are read for their names.
const READS: usize = 20;

/// The names that a question needs, each read once.
pub(super) struct Names<'a, 'c> {
    pub(super) cx: &'a Context<'c>,
    known: HashMap<String, Vec<String>>,
}

impl<'a, 'c> Names<'a, 'c> {
    pub(super) fn new(cx: &'a Context<'c>) -> Self {
        Self { cx, known: HashMap::new() }
    }

    /// Whom a resource is about: its own name and identifier, and those of its patient.
    pub(super) async fn whom(&mut self, resource: &Value) -> Result<Vec<String>, Failure> {
        let mut lines = own_name(resource, "");
        if let Some(id) = patient_of(resource) {
            let patient = ResourceType::parse("Patient")?;
            lines.extend(self.read(&patient, &id, "patient ").await?);
        }
        Ok(lines)
    }

    /// The name of what is run, whose id the question has said already.
    pub(super) async fn own(&mut self, resource_type: &ResourceType, id: &ResourceId) -> Result<Vec<String>, Failure> {
        let mut lines = self.read(resource_type, id, "").await?;
        let unreadable = format!("id: {resource_type}/{id}, {UNREADABLE}");
        lines.iter_mut().filter(|line| **line == unreadable).for_each(|line| *line = UNREADABLE.to_owned());
        lines.retain(|line| *line != format!("id: {resource_type}/{id}"));
        Ok(lines)
    }

    /// The name and identifier of another resource, read once.
    async fn read(
        &mut self,
        resource_type: &ResourceType,
        id: &ResourceId,
        whose: &str,
    ) -> Result<Vec<String>, Failure> {
        let reference = format!("{resource_type}/{id}");
        if let Some(known) = self.known.get(&reference) {
            return Ok(known.clone());
        }
        if self.known.len() >= READS {
            return Ok(vec![format!("{whose}id: {reference}")]);
        }
        let known = match self.cx.may_read(resource_type.as_str()) {
            true => self.cx.stored(resource_type, id).await?,
            false => None,
        };
        let lines = match known {
            Some(resource) => own_name(&resource, whose),
            None => vec![format!("{whose}id: {reference}, {UNREADABLE}")],
        };
        self.known.insert(reference, lines.clone());
        Ok(lines)
    }
}

/// What a resource calls itself: its name, and the first two identifiers.
pub(super) fn own_name(resource: &Value, whose: &str) -> Vec<String> {
    let (what, name) = match resource.get("name") {
        Some(Value::Array(names)) => ("name", human_name(names)),
        Some(Value::String(name)) => ("name", Some(name.clone())),
        _ => ("what", name_of(resource).or_else(|| string(resource, "/title").map(str::to_owned))),
    };
    let mut lines: Vec<String> = name.map(|name| format!("{whose}{what}: {}", text(&name, NAME))).into_iter().collect();
    let single = resource.get("identifier").filter(|identifier| identifier.is_object());
    for identifier in list(resource, "/identifier").iter().chain(single).take(2) {
        let Some(value) = string(identifier, "/value") else { continue };
        let system = string(identifier, "/system").map(|system| format!(" of {}", text(system, NAME)));
        lines.push(format!("{whose}identifier: {}{}", text(value, NAME), system.unwrap_or_default()));
    }
    lines
}

/// The patient that a resource is about, by the search parameter that finds it for one.
fn patient_of(resource: &Value) -> Option<ResourceId> {
    let definitions = Definitions::get();
    let info = definitions.resource_type(string(resource, "/resourceType")?)?;
    let parameter = ["patient", "subject"].iter().find_map(|code| definitions.search_parameter(info, code))?;
    let expression = Expression::parse(parameter.expression).ok()?;
    let context = fhirpath::Context::new().with_resource(resource).with_root_resource(resource).with_model(definitions);
    let found = expression.evaluate(resource, &context).ok()?;
    let id = |item: &fhirpath::Item<'_>| {
        let json = item.to_json();
        ResourceId::parse(string(&json, "/reference")?.strip_prefix("Patient/")?).ok()
    };
    found.iter().find_map(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_patient_is_found_wherever_a_type_keeps_it() {
        for (resource, expected) in [
            (json!({"resourceType": "Condition", "subject": {"reference": "Patient/1"}}), Some("1")),
            (json!({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/2"}}), Some("2")),
            (json!({"resourceType": "Task", "for": {"reference": "Patient/3"}}), Some("3")),
            (
                json!({"resourceType": "Appointment", "participant": [{"actor": {"reference": "Practitioner/1"}}, {"actor": {"reference": "Patient/4"}}]}),
                Some("4"),
            ),
            (json!({"resourceType": "Observation", "subject": {"reference": "Group/1"}}), None),
            (json!({"resourceType": "Organization"}), None),
        ] {
            let found = patient_of(&resource);
            assert_eq!(found.as_ref().map(ResourceId::as_str), expected, "{resource}");
        }
    }
}
