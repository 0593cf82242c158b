//! A patient's whole chart.

use std::collections::{BTreeMap, HashSet};

use medplum_client::{Interaction, Level, Method, Operation, OperationName, Query, ResourceType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::id;
use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::search::{entries, link, name_of};
use crate::tool::{Does, Facts, Run};

const PAGE: usize = 1_000;
/// Medplum refuses an offset beyond this.
const LAST_OFFSET: usize = 10_000;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetPatientEverything {
    /// The Patient's id
    patient_id: String,
}

impl Run for GetPatientEverything {
    const FACTS: Facts = Facts {
        name: "get_patient_everything",
        title: "Get Patient Everything",
        description: "The patient and every resource of the chart ($everything), as one Bundle, over all pages. Charts are large: where a part will do, search_resources with patient=Patient/<id> is cheaper.",
        when: "a whole chart is needed",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let patient = ResourceType::parse("Patient")?;
        let id = id("patient_id", "Patient", &self.patient_id)?;
        let mut chart = Chart::default();
        let mut offset = 0;
        loop {
            let query = Query::new().with("_count", PAGE.to_string()).with("_offset", offset.to_string());
            let operation = Operation {
                level: Level::Instance(patient.clone(), id.clone()),
                name: OperationName::parse("everything")?,
                method: Method::Get,
                query,
                body: None,
            };
            let bundle = cx.send(&Interaction::operation(operation)?).await?.into_json();
            // Its next link is another search, which loses what the chart refers to: only that it is there counts.
            let more = link(&bundle, "next").is_some();
            chart.take(bundle);
            offset = PAGE.saturating_add(offset);
            if !more || offset > LAST_OFFSET {
                chart.cut = more;
                break;
            }
        }
        let note = chart.note();
        Ok(Answer::json(chart.into_bundle()).note(note))
    }
}

#[derive(Default)]
struct Chart {
    entries: Vec<Value>,
    seen: HashSet<String>,
    cut: bool,
}

impl Chart {
    fn take(&mut self, bundle: Value) {
        for entry in entries(&bundle) {
            if self.seen.insert(name_of(entry)) {
                self.entries.push(entry.clone());
            }
        }
    }

    /// How much there is of what.
    fn note(&self) -> String {
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &self.entries {
            let name = entry.pointer("/resource/resourceType").and_then(Value::as_str).unwrap_or("other");
            *types.entry(name).or_default() += 1;
        }
        let mut types: Vec<_> = types.into_iter().collect();
        types.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let types: Vec<String> = types.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let cut = if self.cut {
            " The chart goes on; Medplum gives no page beyond this. Search by type for the rest."
        } else {
            ""
        };
        format!("{} resources: {}.{cut}", self.entries.len(), types.join(", "))
    }

    fn into_bundle(self) -> Value {
        json!({ "resourceType": "Bundle", "type": "searchset", "entry": self.entries })
    }
}
