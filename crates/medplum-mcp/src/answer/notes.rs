//! What the server says behind a record: what is missing from it comes first.

/// The sentences of an answer's last block.
#[derive(Debug, Default)]
pub struct Notes {
    missing: Vec<String>,
    rest: Vec<String>,
}

impl Notes {
    /// Adds a sentence on what is missing: a reader must know it before anything else. An empty one is left out.
    pub fn missing(&mut self, note: impl Into<String>) {
        push(&mut self.missing, note.into());
    }

    /// Adds any other sentence. An empty one is left out.
    pub fn add(&mut self, note: impl Into<String>) {
        push(&mut self.rest, note.into());
    }

    /// Adds those of another.
    pub fn extend(&mut self, others: Self) {
        self.missing.extend(others.missing);
        self.rest.extend(others.rest);
    }

    /// How many characters they have.
    pub(super) fn size(&self) -> usize {
        self.missing.iter().chain(&self.rest).map(|note| note.chars().count().saturating_add(1)).sum()
    }

    /// The block, with what was cut to fit behind what is missing; empty where there is nothing to say.
    pub(super) fn into_text(self, cut: Option<String>) -> String {
        self.missing.into_iter().chain(cut).chain(self.rest).collect::<Vec<_>>().join("\n")
    }
}

fn push(notes: &mut Vec<String>, note: String) {
    // Each page of a walk may bring the same.
    if !note.is_empty() && !notes.contains(&note) {
        notes.push(note);
    }
}
