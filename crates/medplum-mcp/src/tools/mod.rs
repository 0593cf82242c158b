//! The tools. Each is its arguments, facts about it, and a run; a new one is a file here and a line in `tools!`.

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
use crate::tool::{Run, Tool};

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

macro_rules! tools {
    ($($arguments:ty,)*) => {
        /// Every tool, in the order in which they are listed.
        pub fn all(limits: &Limits) -> Vec<Tool> {
            vec![$(Tool::of::<$arguments>(limits)),*]
        }

        /// Their names.
        pub(crate) const NAMES: &[&str] = &[$(<$arguments as Run>::FACTS.name),*];
    };
}

tools! {
    discover::GetResourceSchema,
    discover::GetResourceCapabilities,
    read::ReadResource,
    search::SearchResources,
    search::SearchOne,
    search::SearchAllResources,
    query::QueryResources,
    codes::ListCodes,
    patient::GetPatientEverything,
    summary::GetPatientSummary,
    write::CreateResource,
    write::CreateResourceIfNoneExist,
    write::UpdateResource,
    write::PatchResource,
    write::DeleteResource,
    terminology::ValidateCode,
    terminology::ValidateCodesystemCode,
    terminology::ExpandValueset,
    terminology::LookupConcept,
    terminology::TranslateConcept,
    operation::ExecuteOperation,
    graphql::ExecuteGraphql,
    bundle::ExecuteBatch,
    bot::ExecuteBot,
    bot::CreateBot,
    bot::SaveAndDeployBot,
    raw::RawRequest,
}
