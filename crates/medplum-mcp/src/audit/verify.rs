//! Whether a log is as it was written: no line changed, missing, added or moved, and every write with its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read};

use super::line::{AskedOf, Hash, Head, Says, Sealed};

/// No call leaves a longer line: this is a bundle of the largest size, each of its entries named.
const LONGEST_LINE: u64 = 256 << 20;

/// What is wrong with a log, and where: the file by its place among those given, and the line in it, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The first line does not begin a file.
    NoBeginning {
        /// Its number in the chain.
        seq: u64,
    },
    /// Its hash does not fit what it says.
    Changed,
    /// It is no whole line. The chain behind it shows that it was like this when the next was written.
    CutShort,
    /// It is no line of a log.
    NotALine,
    /// Lines are missing before it.
    Missing {
        /// The number of the first that is missing.
        from: u64,
        /// The number of the last.
        to: u64,
    },
    /// It stands behind a line that was written later.
    OutOfOrder {
        /// Its number in the chain.
        seq: u64,
        /// The number of the line before it.
        after: u64,
    },
    /// It was written behind another line than the one before it.
    Unlinked,
    /// It announces something that acts, and no line says how that ended.
    Unfinished {
        /// When it was written.
        time: String,
        /// The tool.
        tool: String,
        /// What was about to be sent.
        what: String,
    },
    /// It ends what no line announces.
    NoIntent,
    /// The head that was kept is not in the log.
    HeadMissing,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBeginning { seq } => {
                write!(f, "lines are missing before it: its number is {seq}, and it does not begin a file")
            }
            Self::Changed => f.write_str("changed: its hash does not fit what it says"),
            Self::CutShort => f.write_str(
                "cut short: the machine stopped, or its disk was full, while it was written. The chain goes on behind it",
            ),
            Self::NotALine => f.write_str("no line of a log"),
            Self::Missing { from, to } if from == to => write!(f, "a line is missing before it: number {from}"),
            Self::Missing { from, to } => write!(f, "lines are missing before it: numbers {from} to {to}"),
            Self::OutOfOrder { seq, after } => write!(f, "out of order: number {seq} behind number {after}"),
            Self::Unlinked => f.write_str("does not follow from the line before it: one of the two was replaced"),
            Self::Unfinished { time, tool, what } => write!(
                f,
                "without an end: {tool}, {what}, of {time}. The server was stopped before it knew, or is still waiting; look in Medplum whether it was carried out"
            ),
            Self::NoIntent => f.write_str("ends what no line announces"),
            Self::HeadMissing => {
                f.write_str("the head that you kept is not in the log: lines were cut off at its end, or it is another log")
            }
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verification {
    /// What is wrong: in which file, in which of its lines.
    pub findings: Vec<(usize, u64, Finding)>,
    /// How many lines there are.
    pub lines: u64,
    /// How many calls they are of.
    pub calls: u64,
    /// How many of these acted, or were about to.
    pub acts: u64,
    /// When the first and the last were written.
    pub times: Option<(String, String)>,
    /// The head of an earlier file that the first line goes on from.
    pub goes_on_from: Option<Hash>,
    /// The last line's number and hash.
    pub head: Option<(u64, Hash)>,
    /// How many lines stand behind the head that was kept.
    pub since_head: Option<u64>,
}

/// Reads the files of a log, in the order in which they were written.
///
/// # Errors
/// If one cannot be read.
pub fn verify<R: BufRead>(files: impl IntoIterator<Item = R>, kept: Option<Hash>) -> io::Result<Verification> {
    let mut walk = Walk { kept, ..Walk::default() };
    let mut bytes = Vec::new();
    for (file, mut reader) in files.into_iter().enumerate() {
        walk.file = file;
        walk.line = 0;
        while next_line(&mut reader, &mut bytes)? {
            walk.line = walk.line.saturating_add(1);
            walk.take(bytes.strip_suffix(b"\n").unwrap_or(&bytes));
        }
    }
    Ok(walk.end())
}

/// Reads a line, with its newline; false at the end. Of one that is too long its first part stands for it, which is no
/// line either.
fn next_line(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    let mut part = reader.take(LONGEST_LINE);
    part.read_until(b'\n', bytes)?;
    if part.limit() == 0 && !bytes.ends_with(b"\n") {
        reader.skip_until(b'\n')?;
    }
    Ok(!bytes.is_empty())
}

#[derive(Default)]
struct Walk {
    kept: Option<Hash>,
    file: usize,
    line: u64,
    /// What the next line must be bound to; nothing before the first whole line of all.
    head: Option<Head>,
    /// Bytes that were no line, and what the next line is bound to if they were there when it was written.
    cut: Option<Cut>,
    /// What was announced and has no end so far, by its number.
    open: BTreeMap<u64, (usize, u64, Says)>,
    /// The number of the first line of all.
    first: Option<u64>,
    report: Verification,
}

/// A run of lines that are not whole.
struct Cut {
    places: Vec<(usize, u64)>,
    behind: Head,
}

impl Walk {
    fn find(&mut self, finding: Finding) {
        self.report.findings.push((self.file, self.line, finding));
    }

    fn take(&mut self, line: &[u8]) {
        self.report.lines = self.report.lines.saturating_add(1);
        if let Some(sealed) = Sealed::read(line) {
            return self.whole(sealed);
        }
        if let Some(claimed) = Sealed::claimed(line) {
            // It has the form of a line: what follows is bound to the hash that it carries.
            self.drop_cut();
            self.find(Finding::Changed);
            let seq = self.head.map_or(claimed.seq, |head| head.seq.saturating_add(1));
            self.first.get_or_insert(seq);
            self.reach(Head { seq, hash: claimed.hash });
            return;
        }
        let before = self.cut.as_ref().map_or(self.head.unwrap_or(Head::START), |cut| cut.behind);
        let place = (self.file, self.line);
        let behind = before.behind_cut(line);
        match &mut self.cut {
            Some(cut) => {
                cut.places.push(place);
                cut.behind = behind;
            }
            None => self.cut = Some(Cut { places: vec![place], behind }),
        }
    }

    fn whole(&mut self, sealed: Sealed) {
        let Sealed { head, before, says } = sealed;
        let expected = match self.cut.take() {
            Some(cut) if cut.behind.hash == before => {
                let found = cut.places.iter().map(|(file, line)| (*file, *line, Finding::CutShort));
                self.report.findings.extend(found);
                Some(cut.behind)
            }
            cut => {
                self.cut = cut;
                self.drop_cut();
                self.head
            }
        };
        self.follows(expected, head, before, &says);
        self.first.get_or_insert(head.seq);
        self.note(head.seq, says);
        self.reach(head);
    }

    /// Lines that are not whole, and that nothing is bound to.
    fn drop_cut(&mut self) {
        if let Some(cut) = self.cut.take() {
            self.report.findings.extend(cut.places.iter().map(|(file, line)| (*file, *line, Finding::NotALine)));
        }
    }

    /// Whether a line stands where it was written.
    fn follows(&mut self, expected: Option<Head>, head: Head, before: Hash, says: &Says) {
        let Some(expected) = expected else {
            // The first of all. What stood before it is in an earlier file, if it begins one.
            if before != Head::START.hash || head.seq != 1 {
                if says.opens {
                    self.report.goes_on_from = Some(before);
                    self.keep(before);
                } else {
                    self.find(Finding::NoBeginning { seq: head.seq });
                }
            }
            return;
        };
        let next = expected.seq.saturating_add(1);
        if head.seq > next {
            self.find(Finding::Missing { from: next, to: head.seq.saturating_sub(1) });
        } else if head.seq < next {
            self.find(Finding::OutOfOrder { seq: head.seq, after: expected.seq });
        } else if before != expected.hash {
            self.find(Finding::Unlinked);
        }
    }

    /// What a line says of calls.
    fn note(&mut self, seq: u64, says: Says) {
        let report = &mut self.report;
        match &mut report.times {
            Some((_, last)) => last.clone_from(&says.time),
            none => *none = Some((says.time.clone(), says.time.clone())),
        }
        match says.line.as_str() {
            "call" => report.calls = report.calls.saturating_add(1),
            "intent" => {
                self.open.insert(seq, (self.file, self.line, says));
            }
            "end" => {
                report.calls = report.calls.saturating_add(1);
                report.acts = report.acts.saturating_add(1);
                let first = self.first.unwrap_or_default();
                // Announced in a file that is not here: nothing can be said of it.
                let here = says.intents.iter().filter(|intent| **intent >= first);
                let unknown =
                    here.filter(|intent| self.open.remove(*intent).is_none_or(|(_, _, of)| of.call != says.call));
                if unknown.count() > 0 {
                    self.find(Finding::NoIntent);
                }
            }
            _ => {}
        }
    }

    fn reach(&mut self, head: Head) {
        self.report.since_head = self.report.since_head.map(|since| since.saturating_add(1));
        self.keep(head.hash);
        self.head = Some(head);
    }

    fn keep(&mut self, hash: Hash) {
        if self.kept == Some(hash) {
            self.report.since_head = Some(0);
        }
    }

    fn end(mut self) -> Verification {
        if let Some(cut) = self.cut.take() {
            // Nothing behind it is bound to it: it may have been changed since.
            self.report.findings.extend(cut.places.iter().map(|(file, line)| (*file, *line, Finding::NotALine)));
        }
        for (file, line, says) in std::mem::take(&mut self.open).into_values() {
            let what = says.asked.first().map(described).unwrap_or_default();
            self.report.findings.push((file, line, Finding::Unfinished { time: says.time, tool: says.tool, what }));
            self.report.acts = self.report.acts.saturating_add(1);
        }
        if self.kept.is_some() && self.report.since_head.is_none() {
            self.find(Finding::HeadMissing);
        }
        self.report.findings.sort_by_key(|(file, line, _)| (*file, *line));
        self.report.head = self.head.map(|head| (head.seq, head.hash));
        self.report
    }
}

/// `update Patient/2758b284-…`
fn described(asked: &AskedOf) -> String {
    let of = [asked.resource_type.as_deref(), asked.id.as_deref()];
    let of: Vec<&str> = of.into_iter().flatten().collect();
    format!("{} {}", asked.interaction, of.join("/")).trim_end().to_owned()
}
