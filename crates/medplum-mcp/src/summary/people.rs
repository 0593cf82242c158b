//! What is to be done, and by whom: tasks, appointments, the care team.

use serde_json::Value;

use super::merge::row;
use super::text::{cell, concept, concepts, list, string};
use super::{Rows, Sources, dates};

/// Open tasks: what, how far, how urgent, until when, whose.
pub(super) fn tasks(sources: &Sources<'_>) -> Rows {
    let rows = sources.resources().map(|task| {
        let what = string(task, "/description").or_else(|| task.get("code").and_then(concept));
        let priority = string(task, "/priority").filter(|priority| *priority != "routine");
        let status = [string(task, "/status"), priority].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let due = task.get("restriction").and_then(|restriction| string(restriction, "/period/end"));
        let due = due.and_then(dates::Recorded::parse).map(|due| format!("due {}", due.date));
        let owner = task.get("owner").and_then(|owner| sources.names.of_reference(owner));
        row(vec![cell(what.or(Some("(no description)"))), cell(Some(status)), cell(due), cell(owner)])
    });
    Rows { rows: rows.collect(), ..Rows::default() }
}

/// Appointments from today on, and those without a date: when, what for, how far, with whom.
pub(super) fn appointments(sources: &Sources<'_>) -> Rows {
    let rows = sources.resources().map(|appointment| {
        let what = string(appointment, "/description").map(str::to_owned);
        let what =
            what.or_else(|| concepts(appointment, "/serviceType")).or_else(|| concepts(appointment, "/reasonCode"));
        let what = what.or_else(|| appointment.get("appointmentType").and_then(concept).map(str::to_owned));
        let with: Vec<String> =
            list(appointment, "/participant").iter().filter_map(|p| member(p, "/actor", sources)).collect();
        let start = string(appointment, "/start").map(minute);
        row(vec![cell(start), cell(what), cell(string(appointment, "/status")), cell(Some(with.join(", ")))])
    });
    Rows { rows: rows.collect(), ..Rows::default() }
}

/// `2026-01-05T08:00Z`: nobody needs the seconds.
fn minute(start: &str) -> String {
    match (start.get(..16), start.get(16..)) {
        (Some(minute), Some(rest)) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == '.');
            format!("{minute}{zone}")
        }
        _ => start.to_owned(),
    }
}

/// Care teams: what each is for, and who is in it.
pub(super) fn care_team(sources: &Sources<'_>) -> Rows {
    let rows = sources.resources().map(|team| {
        let name = string(team, "/name").map(str::to_owned).or_else(|| concepts(team, "/category"));
        let mut cells = vec![cell(name)];
        cells.extend(list(team, "/participant").iter().filter_map(|participant| {
            let who = member(participant, "/member", sources)?;
            let role = concepts(participant, "/role").map(|role| format!(" ({role})")).unwrap_or_default();
            Some(cell(Some(format!("{who}{role}"))))
        }));
        let more = cells.len().saturating_sub(1 + MEMBERS);
        if more > 0 {
            cells.truncate(1 + MEMBERS);
            cells.push(format!("+{more}").into());
        }
        row(cells)
    });
    Rows { rows: rows.collect(), ..Rows::default() }
}

/// How many members of a team are shown.
const MEMBERS: usize = 6;

/// Somebody who takes part and is not the patient.
fn member(participant: &Value, at: &str, sources: &Sources<'_>) -> Option<String> {
    let who = participant.pointer(at)?;
    let is_patient = string(who, "/reference").is_some_and(|to| to.starts_with("Patient/"));
    if is_patient { None } else { sources.names.of_reference(who) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_to_the_minute() {
        assert_eq!(minute("2026-01-05T08:00:00Z"), "2026-01-05T08:00Z");
        assert_eq!(minute("2026-01-05T08:00:00.000+01:00"), "2026-01-05T08:00+01:00");
        assert_eq!(minute("2026-01-05"), "2026-01-05");
    }
}
