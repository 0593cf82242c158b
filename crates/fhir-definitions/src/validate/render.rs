//! Faults as an agent reads them: grouped, without repeats, the first ones if there are many.

use std::collections::HashSet;

use super::fault::Fault;

/// More faults than this are counted, not listed: nobody mends a hundred at once.
const MOST: usize = 25;

/// Takes out repeats.
pub(super) fn tidy(faults: &mut Vec<Fault>) {
    let mut seen: HashSet<Fault> = HashSet::with_capacity(faults.len());
    faults.retain(|fault| seen.insert(fault.clone()));
}

/// `Observation was not sent. 3 faults:` and a line for each; those with the same words share a line.
#[must_use]
pub fn list(head: &str, faults: &[Fault]) -> String {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for fault in faults {
        match groups.iter_mut().find(|(_, message)| *message == fault.message) {
            Some((paths, _)) => paths.push(&fault.path),
            None => groups.push((vec![&fault.path], &fault.message)),
        }
    }
    let count = faults.len();
    let mut lines = vec![format!("{head} {count} {}:", if count == 1 { "fault" } else { "faults" })];
    lines.extend(groups.iter().take(MOST).map(|(paths, message)| line(paths, message)));
    if let Some(more) = groups.len().checked_sub(MOST).filter(|n| *n > 0) {
        lines.push(format!("and {more} more."));
    }
    lines.join("\n")
}

fn line(paths: &[&str], message: &str) -> String {
    let places = match paths {
        [] | [""] => return message.to_owned(),
        [a, b, c, d, rest @ ..] if !rest.is_empty() => format!("{a}, {b}, {c}, {d} and {} more", rest.len()),
        some => some.join(", "),
    };
    format!("{places}: {message}")
}
