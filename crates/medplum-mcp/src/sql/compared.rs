//! A text compared with a number: in SQLite the two are never equal, and the text is always the greater. So
//! `substr(birth_date, 1, 4) < 1950` holds for nobody, in silence. A column has an affinity by which SQLite converts what
//! it is compared with; what a function gives has none.
//!
//! What is compared with what is read from the program that SQLite makes of a statement
//! (<https://www.sqlite.org/opcode.html>): there, names, aliases and subqueries are resolved, and each comparison says
//! whether it converts. Only what is certainly a text, on the one side, and certainly a number, on the other, is told;
//! an instruction that is not known here makes what it writes uncertain.

use std::cell::Cell;
use std::collections::HashMap;

use super::functions::{GIVES_NUMBER, GIVES_TEXT};

/// An instruction of SQLite's.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) code: String,
    pub(super) p1: i64,
    pub(super) p2: i64,
    pub(super) p3: i64,
    pub(super) p4: String,
    pub(super) p5: i64,
}

/// A longer program is not looked at.
pub(super) const LONGEST_PROGRAM: usize = 4_000;
/// How far a value is followed from register to register.
const DEEPEST: usize = 16;
/// How many registers are looked up for one program.
const MOST_LOOKED_UP: usize = 2_000;
/// SQLite's affinities as a comparison names them.
const AFFINITY: i64 = 0x47;
const TEXT: i64 = 0x42;

/// What a register holds, null aside.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sort {
    /// Nothing but null.
    Nothing,
    /// What a column of a table holds: the place of the table, and that of the column.
    Column(usize, usize),
    Text(Origin),
    Number(Origin),
    Any,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    Literal(String),
    /// `substr(…)`
    Made(String),
}

impl Sort {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) => other,
            (one, Self::Nothing) => one,
            (Self::Column(table, column), other) if other == Self::Column(table, column) => other,
            (Self::Text(of), Self::Text(_)) => Self::Text(of),
            (Self::Number(of), Self::Number(_)) => Self::Number(of),
            _ => Self::Any,
        }
    }

    fn number(of: &str) -> Self {
        Self::Number(Origin::Made(of.to_owned()))
    }
}

/// A comparison of a text with a number, and what would work.
pub(super) fn told(program: &Program<'_>) -> Option<String> {
    program.left.set(MOST_LOOKED_UP);
    program.steps.iter().enumerate().find_map(|(at, step)| match step.code.as_str() {
        "Eq" | "Ne" | "Lt" | "Le" | "Gt" | "Ge" => {
            let both = || (program.before(at, step.p1, DEEPEST), program.before(at, step.p3, DEEPEST));
            match step.p5 & AFFINITY {
                // A column of texts: the number is compared as one.
                TEXT => both_as_texts(both()),
                // A column of numbers: the text is made one.
                affinity if affinity > TEXT => None,
                _ => teach(both()),
            }
        }
        // `x IN (1, 2)`: what is looked up in a table of the list.
        "Found" | "NotFound" if step.p4 == "1" => {
            teach((program.before(at, step.p3, DEEPEST), program.column(step.p1, 0, DEEPEST)))
        }
        _ => None,
    })
}

fn teach(both: (Sort, Sort)) -> Option<String> {
    let (text, number) = match both {
        (Sort::Text(text), Sort::Number(number)) | (Sort::Number(number), Sort::Text(text)) => (text, number),
        _ => return None,
    };
    let never = "in SQLite these are never equal, and the text is always the greater";
    Some(match (text, number) {
        // The frame of a window is compared so by SQLite itself.
        (Origin::Literal(text), _) if text.is_empty() => return None,
        (Origin::Literal(text), Origin::Literal(number) | Origin::Made(number)) => {
            format!("'{text}' is a text and {number} a number: {never}. Without quotes, {text} is a number")
        }
        (Origin::Made(text), Origin::Literal(number)) => format!(
            "{text} is a text and {number} a number: {never}. CAST({text} AS INTEGER) makes a number of it, and in quotes '{number}' is a text"
        ),
        (Origin::Made(text), Origin::Made(number)) => {
            format!("{text} is a text and {number} a number: {never}. CAST({text} AS REAL) makes a number of it")
        }
    })
}

/// A moment counted in days or seconds has no order among the texts of a column: `effective > julianday('now') - 30`.
fn both_as_texts(both: (Sort, Sort)) -> Option<String> {
    let moment = |sort: Sort| match sort {
        Sort::Number(Origin::Made(made)) if counts_time(&made) => Some(made),
        _ => None,
    };
    let moment = moment(both.0).or(moment(both.1))?;
    Some(format!(
        "{moment} is a number and the other side a text, so the two are compared as texts, which is no order of time. {moment} on both sides compares numbers, date(…) makes a text of a day"
    ))
}

fn counts_time(made: &str) -> bool {
    ["julianday(", "unixepoch("].iter().any(|function| made.starts_with(function))
}

/// Where an instruction can be reached by another way than from the one before it.
fn starts(program: &[Step]) -> Vec<bool> {
    let mut starts = vec![false; program.len()];
    let mut start = |at: i64| {
        if let Some(start) = usize::try_from(at).ok().and_then(|at| starts.get_mut(at)) {
            *start = true;
        }
    };
    for (at, step) in program.iter().enumerate() {
        match step.code.as_str() {
            code if goes_on(code) => {}
            "InitCoroutine" => [step.p2, step.p3].into_iter().for_each(&mut start),
            "IfNullRow" | "MustBeInt" => start(step.p2),
            code if code != "Jump" && writes_nothing(code) => start(step.p2),
            _ => [step.p1, step.p2, step.p3].into_iter().for_each(&mut start),
        }
        // What is behind a call has what was done there behind it too.
        if ["Gosub", "Yield", "Return", "EndCoroutine", "Goto", "Halt", "InitCoroutine"].contains(&step.code.as_str()) {
            start(i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1));
        }
    }
    starts
}

/// Instructions that lead to the next one and nowhere else.
fn goes_on(code: &str) -> bool {
    const GO_ON: &[&str] = &[
        "Add",
        "Affinity",
        "AggFinal",
        "AggInverse",
        "AggStep",
        "AggStep1",
        "AggValue",
        "And",
        "BitAnd",
        "BitNot",
        "BitOr",
        "Blob",
        "Cast",
        "Close",
        "CollSeq",
        "Column",
        "ColumnsUsed",
        "Compare",
        "Concat",
        "Copy",
        "Count",
        "DeferredSeek",
        "Divide",
        "FilterAdd",
        "FinishSeek",
        "Function",
        "IdxInsert",
        "IdxRowid",
        "Insert",
        "Int64",
        "IntCopy",
        "Integer",
        "IsTrue",
        "MakeRecord",
        "MemMax",
        "Move",
        "Multiply",
        "NewRowid",
        "Noop",
        "Not",
        "Null",
        "NullRow",
        "OffsetLimit",
        "OpenAutoindex",
        "OpenDup",
        "OpenEphemeral",
        "OpenPseudo",
        "OpenRead",
        "Or",
        "Permutation",
        "PureFunc",
        "Real",
        "RealAffinity",
        "ReleaseReg",
        "Remainder",
        "ResetSorter",
        "ResultRow",
        "RowData",
        "Rowid",
        "SCopy",
        "SeekHit",
        "Sequence",
        "ShiftLeft",
        "ShiftRight",
        "SoftNull",
        "SorterData",
        "SorterInsert",
        "SorterOpen",
        "String",
        "String8",
        "Subtract",
        "Transaction",
        "VColumn",
        "VOpen",
        "ZeroOrNull",
        "ClrSubtype",
        "GetSubtype",
        "SetSubtype",
        "TableLock",
        "Halt",
        "Return",
        "EndCoroutine",
        "Explain",
        "CursorHint",
        "BeginSubrtn",
    ];
    GO_ON.contains(&code)
}

/// A statement as SQLite carries it out.
pub(super) struct Program<'p> {
    steps: &'p [Step],
    starts: Vec<bool>,
    /// How many more registers are looked up.
    left: Cell<usize>,
    /// The place of a table by the page at which it begins.
    roots: HashMap<i64, usize>,
}

impl<'p> Program<'p> {
    pub(super) fn of(steps: &'p [Step], roots: HashMap<i64, usize>) -> Self {
        Self { steps, starts: starts(steps), left: Cell::new(MOST_LOOKED_UP), roots }
    }

    /// What it adds, subtracts, multiplies or divides.
    pub(super) fn operands(&self) -> impl Iterator<Item = Sort> {
        const ARITHMETIC: [&str; 5] = ["Add", "Subtract", "Multiply", "Divide", "Remainder"];
        self.left.set(MOST_LOOKED_UP);
        let steps = self.steps.iter().enumerate().filter(|(_, step)| ARITHMETIC.contains(&step.code.as_str()));
        steps.flat_map(|(at, step)| [step.p1, step.p2].map(|operand| self.before(at, operand, DEEPEST)))
    }

    /// What it compares, and with what: of a list, with each.
    pub(super) fn comparisons(&self) -> impl Iterator<Item = (Sort, Vec<Sort>)> {
        self.left.set(MOST_LOOKED_UP);
        self.steps.iter().enumerate().filter_map(|(at, step)| match step.code.as_str() {
            "Eq" | "Ne" | "Lt" | "Le" | "Gt" | "Ge" => {
                Some((self.before(at, step.p1, DEEPEST), vec![self.before(at, step.p3, DEEPEST)]))
            }
            "Found" | "NotFound" if step.p4 == "1" => Some((self.before(at, step.p3, DEEPEST), self.listed(step.p1))),
            _ => None,
        })
    }

    /// What is put into the table of a list, one by one.
    fn listed(&self, cursor: i64) -> Vec<Sort> {
        let steps = self.steps.iter().enumerate();
        let added = steps.filter(|(_, step)| step.code == "IdxInsert" && step.p1 == cursor);
        added.map(|(at, step)| self.in_record(at, step.p2, 0, DEEPEST)).collect()
    }
}

impl Program<'_> {
    /// What a register holds where an instruction begins.
    fn before(&self, at: usize, register: i64, depth: usize) -> Sort {
        let (Some(depth), Some(left)) = (depth.checked_sub(1), self.left.get().checked_sub(1)) else {
            return Sort::Any;
        };
        self.left.set(left);
        let mut here = at;
        while !self.starts.get(here).copied().unwrap_or(true) {
            let Some(before) = here.checked_sub(1) else { break };
            here = before;
            if let Some(written) = self.written(here, register, depth) {
                return written;
            }
        }
        // By whatever way it comes here, something in the program wrote it.
        let all = (0..self.steps.len()).filter_map(|at| self.written(at, register, depth));
        match all.fold(Sort::Nothing, Sort::or) {
            Sort::Nothing => Sort::Any,
            sort => sort,
        }
    }

    /// What an instruction writes to a register; none if it does not write to it.
    fn written(&self, at: usize, register: i64, depth: usize) -> Option<Sort> {
        let step = self.steps.get(at)?;
        let Step { p1, p2, p3, p4, .. } = step;
        let is = |to: &i64| *to == register;
        let among = |from: i64, many: i64| (from..from.saturating_add(many)).contains(&register);
        match step.code.as_str() {
            "Integer" => is(p2).then(|| Sort::Number(Origin::Literal(p1.to_string()))),
            "Int64" | "Real" => is(p2).then(|| Sort::Number(Origin::Literal(p4.clone()))),
            "String8" | "String" => is(p2).then(|| Sort::Text(Origin::Literal(p4.clone()))),
            "Null" => (is(p2) || (*p2..=*p3).contains(&register)).then_some(Sort::Nothing),
            "SoftNull" => is(p1).then_some(Sort::Nothing),
            "Function" | "PureFunc" => is(p3).then(|| match self.written_form(at, step, depth) {
                Some(form) => Sort::Text(Origin::Made(format!("strftime('{form}', …)"))),
                None => given_by(p4),
            }),
            "AggFinal" => is(p1).then(|| self.greatest_or_least(step, depth).unwrap_or_else(|| given_by(p4))),
            "AggValue" => is(p3).then_some(Sort::Any),
            "Concat" => is(p3).then(|| Sort::Text(Origin::Made("… || …".to_owned()))),
            "Add" | "Subtract" => is(p3).then(|| {
                let operands = [p1, p2].map(|operand| self.before(at, *operand, depth));
                let moment = operands.into_iter().find(|operand| match operand {
                    Sort::Number(Origin::Made(made)) => counts_time(made),
                    _ => false,
                });
                moment.unwrap_or_else(|| Sort::number("the result of the arithmetic"))
            }),
            "Multiply" | "Divide" | "Remainder" | "BitAnd" | "BitOr" | "ShiftLeft" | "ShiftRight" => {
                is(p3).then(|| Sort::number("the result of the arithmetic"))
            }
            "And" | "Or" => is(p3).then(|| Sort::number("a condition")),
            "Not" | "BitNot" | "IsTrue" | "ZeroOrNull" => is(p2).then(|| Sort::number("a condition")),
            "Count" | "Rowid" | "IdxRowid" | "Sequence" | "NewRowid" | "OffsetLimit" | "IntCopy" => {
                is(p2).then(|| Sort::number("a count"))
            }
            "AddImm" | "MemMax" | "MustBeInt" => is(p1).then(|| Sort::number("a count")),
            "SCopy" => is(p2).then(|| self.before(at, *p1, depth)),
            "Copy" => among(*p2, p3.saturating_add(1))
                .then(|| self.before(at, p1.saturating_add(register.saturating_sub(*p2)), depth)),
            "Move" if among(*p2, *p3) => Some(self.before(at, p1.saturating_add(register.saturating_sub(*p2)), depth)),
            "Move" => among(*p1, *p3).then_some(Sort::Nothing),
            "Column" => is(p3).then(|| self.column(*p1, *p2, depth)),
            "Cast" => is(p1).then(|| match p2 {
                0x42 => Sort::Text(Origin::Made("CAST(… AS TEXT)".to_owned())),
                0x43..=0x45 => Sort::number("CAST(…)"),
                _ => Sort::Any,
            }),
            "Affinity" if p4.chars().all(|affinity| !matches!(affinity, 'B'..='F')) => None,
            "Affinity" => among(*p1, *p2).then(|| match affinity_at(p4, register.saturating_sub(*p1)) {
                Some(affinity) => as_affinity(affinity, self.before(at, register, depth)),
                None => Sort::Any,
            }),
            "MakeRecord" => is(p3).then_some(Sort::Any),
            "SorterData" | "RowData" => is(p2).then_some(Sort::Any),
            // They keep the value, or what they write is no value.
            "RealAffinity" | "IfNullRow" | "AggStep" | "AggStep1" | "AggInverse" | "ClrSubtype" | "SetSubtype" => None,
            code if writes_nothing(code) => None,
            _ => [p1, p2, p3].into_iter().any(is).then_some(Sort::Any),
        }
    }

    /// What a column of a table holds that the statement itself fills.
    fn column(&self, cursor: i64, column: i64, depth: usize) -> Sort {
        let Some(depth) = depth.checked_sub(1) else { return Sort::Any };
        let mut held = Sort::Nothing;
        for (at, step) in self.steps.iter().enumerate() {
            let more = match step.code.as_str() {
                "OpenRead" if step.p1 == cursor => match (self.roots.get(&step.p2), usize::try_from(column)) {
                    (Some(table), Ok(column)) => Sort::Column(*table, column),
                    _ => Sort::Any,
                },
                "OpenWrite" | "VOpen" | "OpenAutoindex" if step.p1 == cursor => Sort::Any,
                "OpenDup" if step.p1 == cursor => self.column(step.p2, column, depth),
                "SorterData" if step.p3 == cursor => self.column(step.p1, column, depth),
                "Insert" | "IdxInsert" | "SorterInsert" if step.p1 == cursor => {
                    self.in_record(at, step.p2, column, depth)
                }
                _ => continue,
            };
            held = held.or(more);
        }
        if held == Sort::Nothing { Sort::Any } else { held }
    }

    /// What a column of the record holds that was made right before an instruction.
    fn in_record(&self, at: usize, register: i64, column: i64, depth: usize) -> Sort {
        let mut here = at;
        while !self.starts.get(here).copied().unwrap_or(true) {
            here = here.saturating_sub(1);
            let Some(Step { code, p1, p2, p3, p4, .. }) = self.steps.get(here) else { break };
            if code == "MakeRecord" && *p3 == register {
                if !(0..*p2).contains(&column) {
                    return Sort::Any;
                }
                let held = self.before(here, p1.saturating_add(column), depth);
                return affinity_at(p4, column).map_or(held.clone(), |affinity| as_affinity(affinity, held));
            }
        }
        Sort::Any
    }
}

impl Program<'_> {
    /// The form of a date that is written by it, and is no number: `strftime('%Y-%m-%d', x)`.
    fn written_form(&self, at: usize, step: &Step, depth: usize) -> Option<String> {
        if !step.p4.starts_with("strftime(") {
            return None;
        }
        let Sort::Text(Origin::Literal(form)) = self.before(at, step.p2, depth) else { return None };
        let is_no_number = ["-", "/", ":", "%F", "%T", "%R", "%D"].iter().any(|part| form.contains(part));
        is_no_number.then_some(form)
    }

    /// The greatest or the least of a column is of that column.
    fn greatest_or_least(&self, last: &Step, depth: usize) -> Option<Sort> {
        if !["max(1)", "min(1)"].contains(&last.p4.as_str()) {
            return None;
        }
        let steps = self.steps.iter().enumerate();
        let adds = steps.filter(|(_, step)| step.code.starts_with("AggStep") && step.p3 == last.p1);
        let all = adds.map(|(at, step)| self.before(at, step.p2, depth)).fold(Sort::Nothing, Sort::or);
        matches!(all, Sort::Column(..)).then_some(all)
    }
}

/// The affinity that is given to one of several registers.
fn affinity_at(affinities: &str, register: i64) -> Option<char> {
    affinities.chars().nth(usize::try_from(register).ok()?)
}

/// A value to which an affinity is given: a text stays one among texts.
fn as_affinity(affinity: char, sort: Sort) -> Sort {
    match (affinity, sort) {
        ('B', kept @ (Sort::Text(_) | Sort::Column(..) | Sort::Nothing)) => kept,
        ('B'..='F', _) => Sort::Any,
        (_, kept) => kept,
    }
}

/// What a function gives: `substr(3)`, as SQLite names it with the number of its arguments.
fn given_by(function: &str) -> Sort {
    let name = function.split('(').next().unwrap_or_default();
    let shown = match (name, function.ends_with("(0)")) {
        ("->", _) => "… -> …".to_owned(),
        ("count", true) => "count(*)".to_owned(),
        (name, true) => format!("{name}()"),
        (name, false) => format!("{name}(…)"),
    };
    let is_one = |known: &&str| known.eq_ignore_ascii_case(name);
    if GIVES_TEXT.iter().any(&is_one) {
        Sort::Text(Origin::Made(shown))
    } else if GIVES_NUMBER.iter().any(is_one) {
        Sort::Number(Origin::Made(shown))
    } else {
        Sort::Any
    }
}

/// Instructions that write to no register, or only where they are in the program.
fn writes_nothing(code: &str) -> bool {
    const NOTHING: &[&str] = &[
        "BeginSubrtn",
        "Close",
        "CollSeq",
        "ColumnsUsed",
        "Compare",
        "CursorHint",
        "DecrJumpZero",
        "DeferredSeek",
        "Delete",
        "ElseEq",
        "EndCoroutine",
        "Eq",
        "Explain",
        "Filter",
        "FilterAdd",
        "FinishSeek",
        "Found",
        "Ge",
        "Gosub",
        "Goto",
        "Gt",
        "Halt",
        "HaltIfNull",
        "IdxGE",
        "IdxGT",
        "IdxInsert",
        "IdxLE",
        "IdxLT",
        "If",
        "IfEmpty",
        "IfNoHope",
        "IfNot",
        "IfNotOpen",
        "IfNotZero",
        "IfPos",
        "IfSizeBetween",
        "Init",
        "InitCoroutine",
        "Insert",
        "IsNull",
        "IsType",
        "Jump",
        "Last",
        "Le",
        "Lt",
        "Ne",
        "Next",
        "NoConflict",
        "Noop",
        "NotExists",
        "NotFound",
        "NotNull",
        "NullRow",
        "Once",
        "OpenAutoindex",
        "OpenDup",
        "OpenEphemeral",
        "OpenPseudo",
        "OpenRead",
        "Permutation",
        "Prev",
        "ReleaseReg",
        "ResetSorter",
        "ResultRow",
        "Return",
        "Rewind",
        "RowCell",
        "SeekEnd",
        "SeekGE",
        "SeekGT",
        "SeekHit",
        "SeekLE",
        "SeekLT",
        "SeekRowid",
        "SeekScan",
        "SequenceTest",
        "Sort",
        "SorterCompare",
        "SorterInsert",
        "SorterNext",
        "SorterOpen",
        "SorterSort",
        "TableLock",
        "Transaction",
        "VFilter",
        "VNext",
        "VOpen",
        "Yield",
    ];
    NOTHING.contains(&code)
}
