//! One page on a patient.

use schemars::JsonSchema;
use serde::Deserialize;

use super::read::id;
use crate::answer::Answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::summary::{Name, summarise};
use crate::tool::{Does, Facts, Run};
use crate::toolset::Toolset;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GetPatientSummary {
    patient_id: String,
    sections: Option<Vec<Name>>,
}

impl Run for GetPatientSummary {
    const FACTS: Facts = Facts {
        name: "get_patient_summary",
        toolset: Toolset::Patient,
        title: "Get Patient Summary",
        description: "One page on a patient: who, and what is current of each section; in latest, each vital sign's and laboratory code's last value, count and trend. Start here.",
        when: "an overview of a patient, before anything else of the chart",
        does: Does::Reads,
        may_run: false,
        on_behalf_of: true,
    };

    async fn run(self, cx: &Context<'_>) -> Result<Answer, Failure> {
        let id = id("patient_id", "Patient", &self.patient_id)?;
        summarise(cx, &id, &self.sections.unwrap_or_default()).await
    }
}
