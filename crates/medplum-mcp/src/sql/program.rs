//! The program that SQLite makes of a statement, and what its registers hold: there, names, aliases and subqueries are
//! resolved, and each comparison says whether it converts. An instruction that is not known here makes what it writes
//! uncertain.

use std::cell::Cell;
use std::collections::HashMap;

use super::functions::{Gives, gives};
use super::opcodes::Known;

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

/// What the two sides of a comparison are, those of a list one by one.
pub(super) struct Comparison {
    pub(super) left: Sort,
    pub(super) right: Vec<Sort>,
    pub(super) converts: Converts,
}

/// To what SQLite converts both sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Converts {
    Nothing,
    ToTexts,
    ToNumbers,
}

impl Converts {
    /// By the affinity that a comparison names.
    fn of(p5: i64) -> Self {
        const AFFINITY: i64 = 0x47;
        const TEXT: i64 = 0x42;
        match p5 & AFFINITY {
            TEXT => Self::ToTexts,
            affinity if affinity > TEXT => Self::ToNumbers,
            _ => Self::Nothing,
        }
    }
}

/// A longer program is not looked at.
pub(super) const LONGEST_PROGRAM: usize = 4_000;
/// How far a value is followed from register to register.
const DEEPEST: usize = 16;
/// How many registers are looked up for one program.
const MOST_LOOKED_UP: usize = 2_000;

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
    pub(super) fn or(self, other: Self) -> Self {
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

/// Whether what made a number counts the days or seconds of a moment.
pub(super) fn counts_time(made: &str) -> bool {
    ["julianday(", "unixepoch("].iter().any(|function| made.starts_with(function))
}

/// Where an instruction can be reached by another way than from the one before it.
fn starts(steps: &[Step], known: &[Known]) -> Vec<bool> {
    let mut starts = vec![false; steps.len()];
    let mut start = |at: i64| {
        if let Some(start) = usize::try_from(at).ok().and_then(|at| starts.get_mut(at)) {
            *start = true;
        }
    };
    for (at, (step, known)) in steps.iter().zip(known).enumerate() {
        match step.code.as_str() {
            _ if known.goes_on => {}
            "InitCoroutine" => [step.p2, step.p3].into_iter().for_each(&mut start),
            "IfNullRow" | "MustBeInt" => start(step.p2),
            code if code != "Jump" && known.writes_nothing => start(step.p2),
            _ => [step.p1, step.p2, step.p3].into_iter().for_each(&mut start),
        }
        // What is behind a call has what was done there behind it too.
        if ["Gosub", "Yield", "Return", "EndCoroutine", "Goto", "Halt", "InitCoroutine"].contains(&step.code.as_str()) {
            start(i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1));
        }
    }
    starts
}

/// A statement as SQLite carries it out.
pub(super) struct Program<'p> {
    steps: &'p [Step],
    known: Vec<Known>,
    starts: Vec<bool>,
    /// How many more registers are looked up.
    left: Cell<usize>,
    /// The place of a table by the page at which it begins.
    roots: HashMap<i64, usize>,
}

impl<'p> Program<'p> {
    pub(super) fn of(steps: &'p [Step], roots: HashMap<i64, usize>) -> Self {
        let known: Vec<Known> = steps.iter().map(|step| Known::of(&step.code)).collect();
        Self { steps, starts: starts(steps, &known), known, left: Cell::new(MOST_LOOKED_UP), roots }
    }

    /// What it adds, subtracts, multiplies or divides.
    pub(super) fn operands(&self) -> impl Iterator<Item = Sort> {
        const ARITHMETIC: [&str; 5] = ["Add", "Subtract", "Multiply", "Divide", "Remainder"];
        self.left.set(MOST_LOOKED_UP);
        let steps = self.steps.iter().enumerate().filter(|(_, step)| ARITHMETIC.contains(&step.code.as_str()));
        steps.flat_map(|(at, step)| [step.p1, step.p2].map(|operand| self.before(at, operand, DEEPEST)))
    }

    /// What it compares.
    pub(super) fn comparisons(&self) -> impl Iterator<Item = Comparison> {
        self.left.set(MOST_LOOKED_UP);
        self.steps.iter().enumerate().filter_map(|(at, step)| match step.code.as_str() {
            "Eq" | "Ne" | "Lt" | "Le" | "Gt" | "Ge" => Some(Comparison {
                left: self.before(at, step.p1, DEEPEST),
                right: vec![self.before(at, step.p3, DEEPEST)],
                converts: Converts::of(step.p5),
            }),
            // `x IN (1, 2)`: what is looked up in a table of the list.
            "Found" | "NotFound" if step.p4 == "1" => Some(Comparison {
                left: self.before(at, step.p3, DEEPEST),
                right: self.listed(step.p1),
                converts: Converts::Nothing,
            }),
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
        if let Some((to, sort)) = by_itself(step) {
            return (to == register).then_some(sort);
        }
        match step.code.as_str() {
            "Null" => (is(p2) || (*p2..=*p3).contains(&register)).then_some(Sort::Nothing),
            "Function" | "PureFunc" => is(p3).then(|| match self.written_form(at, step, depth) {
                Some(form) => Sort::Text(Origin::Made(format!("strftime('{form}', …)"))),
                None => given_by(p4),
            }),
            "AggFinal" => is(p1).then(|| self.greatest_or_least(step, depth).unwrap_or_else(|| given_by(p4))),
            "Add" | "Subtract" => is(p3).then(|| self.moved(at, step, depth)),
            "SCopy" => is(p2).then(|| self.before(at, *p1, depth)),
            "Copy" => among(*p2, p3.saturating_add(1))
                .then(|| self.before(at, p1.saturating_add(register.saturating_sub(*p2)), depth)),
            "Move" if among(*p2, *p3) => Some(self.before(at, p1.saturating_add(register.saturating_sub(*p2)), depth)),
            "Move" => among(*p1, *p3).then_some(Sort::Nothing),
            "Column" => is(p3).then(|| self.column(*p1, *p2, depth)),
            "Affinity" if p4.chars().all(|affinity| !matches!(affinity, 'B'..='F')) => None,
            "Affinity" => among(*p1, *p2).then(|| match affinity_at(p4, register.saturating_sub(*p1)) {
                Some(affinity) => as_affinity(affinity, self.before(at, register, depth)),
                None => Sort::Any,
            }),
            // They keep the value, or what they write is no value.
            "RealAffinity" | "IfNullRow" | "AggStep" | "AggStep1" | "AggInverse" | "ClrSubtype" | "SetSubtype" => None,
            _ if self.known.get(at).is_some_and(|known| known.writes_nothing) => None,
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

    /// A moment to which something is added, or from which it is taken, counts time still.
    fn moved(&self, at: usize, step: &Step, depth: usize) -> Sort {
        let operands = [step.p1, step.p2].map(|operand| self.before(at, operand, depth));
        let moment = operands.into_iter().find(|operand| match operand {
            Sort::Number(Origin::Made(made)) => counts_time(made),
            _ => false,
        });
        moment.unwrap_or_else(|| Sort::number("the result of the arithmetic"))
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

/// What an instruction writes to one register, whatever the others hold.
fn by_itself(step: &Step) -> Option<(i64, Sort)> {
    let Step { p1, p2, p3, p4, .. } = step;
    Some(match step.code.as_str() {
        "Integer" => (*p2, Sort::Number(Origin::Literal(p1.to_string()))),
        "Int64" | "Real" => (*p2, Sort::Number(Origin::Literal(p4.clone()))),
        "String8" | "String" => (*p2, Sort::Text(Origin::Literal(p4.clone()))),
        "SoftNull" => (*p1, Sort::Nothing),
        "Concat" => (*p3, Sort::Text(Origin::Made("… || …".to_owned()))),
        "Multiply" | "Divide" | "Remainder" | "BitAnd" | "BitOr" | "ShiftLeft" | "ShiftRight" => {
            (*p3, Sort::number("the result of the arithmetic"))
        }
        "And" | "Or" => (*p3, Sort::number("a condition")),
        "Not" | "BitNot" | "IsTrue" | "ZeroOrNull" => (*p2, Sort::number("a condition")),
        "Count" | "Rowid" | "IdxRowid" | "Sequence" | "NewRowid" | "OffsetLimit" | "IntCopy" => {
            (*p2, Sort::number("a count"))
        }
        "AddImm" | "MemMax" | "MustBeInt" => (*p1, Sort::number("a count")),
        "Cast" => match p2 {
            0x42 => (*p1, Sort::Text(Origin::Made("CAST(… AS TEXT)".to_owned()))),
            0x43..=0x45 => (*p1, Sort::number("CAST(…)")),
            _ => (*p1, Sort::Any),
        },
        "AggValue" | "MakeRecord" => (*p3, Sort::Any),
        "SorterData" | "RowData" => (*p2, Sort::Any),
        _ => return None,
    })
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
    match gives(name) {
        Gives::Text => Sort::Text(Origin::Made(shown)),
        Gives::Number => Sort::Number(Origin::Made(shown)),
        Gives::Any => Sort::Any,
    }
}
