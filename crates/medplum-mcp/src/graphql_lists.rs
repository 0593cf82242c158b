//! What is said of the lists of a GraphQL answer that end where their page does. Medplum says nothing of it itself.

use medplum_client::{FullList, GraphQl, Interaction};
use serde_json::Value;

use crate::search::entries;

/// The most places that are named.
const MOST: usize = 8;

/// The note on an answer; empty where no list of it may go on. The documents in a batch are looked at too.
pub(crate) fn note(interaction: &Interaction, reply: &Value) -> String {
    let lists: Vec<String> = match interaction {
        Interaction::GraphQl(document) => of(document, reply, ""),
        Interaction::Batch(batch) => {
            let entries = batch.entries().iter().zip(entries(reply)).enumerate();
            let documents = entries.filter_map(|(index, (entry, answer))| match &entry.interaction {
                Interaction::GraphQl(document) => Some(of(document, answer.get("resource")?, &format!("[{index}] "))),
                _ => None,
            });
            documents.flatten().collect()
        }
        _ => return String::new(),
    };
    if lists.is_empty() {
        return String::new();
    }
    let more = lists.len().saturating_sub(MOST);
    let more = if more == 0 { String::new() } else { format!(", and {more} more lists likewise") };
    let named = lists.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    format!("More may match: {named}{more}. Pass _count, at most 1000; _offset goes on behind that.")
}

fn of(document: &GraphQl, answer: &Value, entry: &str) -> Vec<String> {
    document.full_lists(answer).iter().map(|list| format!("{entry}{}", told(list))).collect()
}

fn told(list: &FullList) -> String {
    let FullList { path, holds, .. } = list;
    let places = if list.lists == 1 { String::new() } else { format!(" in {} places", list.lists) };
    match (list.of, list.counted) {
        (Some(of), _) => format!("{path} holds {holds} of {of}"),
        (None, true) => format!("{path} ends at its _count, {holds}{places}"),
        (None, false) => format!("{path} ends at Medplum's default, {holds}{places}"),
    }
}
