//! The tools. Each is its arguments, facts about it, and a run; a new one is a file here and a line in [`all`].

mod bot;
mod bundle;
mod codes;
mod discover;
mod graphql;
mod operation;
mod patient;
mod query;
mod raw;
mod read;
mod search;
mod summary;
mod terminology;
mod write;

use crate::settings::Limits;
use crate::tool::Tool;

/// Every tool, as it is told where some are closed: nothing speaks of those, whose names come beside.
pub(crate) fn told(limits: &Limits) -> (Vec<Tool>, Vec<&'static str>) {
    let mut tools = all(limits);
    let closed: Vec<&'static str> =
        tools.iter().filter(|tool| !tool.is_open(limits)).map(|tool| tool.facts.name).collect();
    if !closed.is_empty() {
        let others = tools.clone();
        tools.iter_mut().for_each(|tool| tool.forget(&closed, &others));
    }
    (tools, closed)
}

/// Every tool, in the order in which they are listed.
pub fn all(limits: &Limits) -> Vec<Tool> {
    vec![
        Tool::of::<discover::GetResourceSchema>(limits),
        Tool::of::<discover::GetResourceCapabilities>(limits),
        Tool::of::<read::ReadResource>(limits),
        Tool::of::<search::SearchResources>(limits),
        Tool::of::<search::SearchOne>(limits),
        Tool::of::<search::SearchAllResources>(limits),
        Tool::of::<query::QueryResources>(limits),
        Tool::of::<codes::ListCodes>(limits),
        Tool::of::<patient::GetPatientEverything>(limits),
        Tool::of::<summary::GetPatientSummary>(limits),
        Tool::of::<write::CreateResource>(limits),
        Tool::of::<write::CreateResourceIfNoneExist>(limits),
        Tool::of::<write::UpdateResource>(limits),
        Tool::of::<write::PatchResource>(limits),
        Tool::of::<write::DeleteResource>(limits),
        Tool::of::<terminology::ValidateCode>(limits),
        Tool::of::<terminology::ValidateCodesystemCode>(limits),
        Tool::of::<terminology::ExpandValueset>(limits),
        Tool::of::<terminology::LookupConcept>(limits),
        Tool::of::<terminology::TranslateConcept>(limits),
        Tool::of::<operation::ExecuteOperation>(limits),
        Tool::of::<graphql::ExecuteGraphql>(limits),
        Tool::of::<bundle::ExecuteBatch>(limits),
        Tool::of::<bot::ExecuteBot>(limits),
        Tool::of::<bot::CreateBot>(limits),
        Tool::of::<bot::SaveAndDeployBot>(limits),
        Tool::of::<raw::RawRequest>(limits),
    ]
}
