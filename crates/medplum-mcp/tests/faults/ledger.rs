//! What was to be written and what the agent was told of it, held against what the sandbox stored.

use std::collections::HashMap;
use std::ops::Add;

use serde_json::Value;

/// What an agent knows of a write after its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was done.
    Done,
    /// It was done, but its answer was lost.
    DoneUnseen,
    /// It may have been done.
    Doubt,
    /// It was not done.
    NotDone,
    /// The call was dropped before its end, so nothing was told.
    Nothing,
}

impl Told {
    /// Of a creation that another made at the same time: one whose answer was lost may have found the other's.
    pub fn whoever_it_was(self) -> Self {
        if self == Self::DoneUnseen { Self::Doubt } else { self }
    }

    /// By the words of a failed call.
    pub fn by_words(text: &str) -> Self {
        if text.contains("was carried out; only its answer was lost") {
            Self::DoneUnseen
        } else if ["may have been carried out", "may have been created"].iter().any(|words| text.contains(words)) {
            Self::Doubt
        } else {
            Self::NotDone
        }
    }
}

/// One write.
#[derive(Debug)]
struct Write {
    told: Told,
    /// The schedule, the call, its faults and its answer: for whoever looks for what went wrong.
    story: String,
}

/// Writes by their marks: each leaves its own in `name[0].text`, or in the id of what it deletes.
#[derive(Debug, Default)]
pub struct Ledger {
    writes: HashMap<String, Write>,
    /// The write whose version another replaces, if it is carried out.
    follows: HashMap<String, String>,
    /// How many writes were not carried out because somebody else's was.
    pub overtaken: usize,
}

/// How the writes ended.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub acknowledged: usize,
    pub in_doubt_and_done: usize,
    pub in_doubt_and_not_done: usize,
    pub not_done: usize,
    pub dropped: usize,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            in_doubt_and_done: self.in_doubt_and_done + other.in_doubt_and_done,
            in_doubt_and_not_done: self.in_doubt_and_not_done + other.in_doubt_and_not_done,
            not_done: self.not_done + other.not_done,
            dropped: self.dropped + other.dropped,
        }
    }
}

impl Ledger {
    pub fn note(&mut self, mark: String, told: Told, story: &str) {
        let again = self.writes.insert(mark, Write { told, story: story.to_owned() });
        assert!(again.is_none(), "a mark is used once");
    }

    /// A write that is carried out replaces the version of this one, and nobody's change in between.
    pub fn follows(&mut self, mark: &str, read: &str) {
        self.follows.insert(mark.to_owned(), read.to_owned());
    }

    /// Each write that replaced another version than it was for, and each two resources that were to be one.
    fn lost_and_doubled(&self, history: &[(String, Option<Value>)]) -> Vec<String> {
        let text = |version: &'_ Value, at: &str| version.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let mut wrong = Vec::new();
        let mut known: HashMap<String, &str> = HashMap::new();
        for (index, (id, version)) in history.iter().enumerate() {
            let Some(version) = version else { continue };
            if let Some(identifier) = text(version, "/identifier/0/value")
                && known.insert(identifier.clone(), id).is_some_and(|other| other != id)
            {
                wrong.push(format!("{identifier}: created twice"));
            }
            let Some(mark) = text(version, "/name/0/text") else { continue };
            let Some(read) = self.follows.get(&mark) else { continue };
            let before = index.checked_sub(1).and_then(|before| history.get(before)).filter(|(of, _)| of == id);
            let before = before.and_then(|(_, version)| text(version.as_ref()?, "/name/0/text"));
            if before.as_ref() != Some(read) {
                let story = self.writes.get(&mark).map(|write| write.story.as_str()).unwrap_or_default();
                wrong.push(format!("{mark}: was for {read} and replaced {before:?}\n{story}"));
            }
        }
        wrong
    }

    /// How the writes ended, and each that ended otherwise than was told.
    pub fn against(&self, history: &[(String, Option<Value>)]) -> (Counts, Vec<String>) {
        let mut stored: HashMap<&str, usize> = HashMap::new();
        for (id, version) in history {
            let mark = version.as_ref().map_or(Some(id.as_str()), |version| version.pointer("/name/0/text")?.as_str());
            *stored.entry(mark.expect("every version has a mark")).or_default() += 1;
        }
        let mut counts = Counts::default();
        let mut wrong = self.lost_and_doubled(history);
        for (mark, write) in &self.writes {
            let times = stored.remove(mark.as_str()).unwrap_or_default();
            match (write.told, times) {
                (Told::Done, 1) => counts.acknowledged += 1,
                (Told::DoneUnseen | Told::Doubt, 1) => counts.in_doubt_and_done += 1,
                (Told::Doubt, 0) => counts.in_doubt_and_not_done += 1,
                (Told::NotDone, 0) => counts.not_done += 1,
                (Told::Nothing, 0 | 1) => counts.dropped += 1,
                (told, times) => wrong.push(format!("{mark}: told {told:?}, stored {times} times\n{}", write.story)),
            }
        }
        wrong.extend(stored.keys().map(|mark| format!("{mark}: stored, and nobody wrote it")));
        (counts, wrong)
    }
}
