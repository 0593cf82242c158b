//! What SQLite's instructions do (<https://www.sqlite.org/opcode.html>), as far as it matters for where a value comes from.
//! One that is not known here may lead anywhere, and write to any register that it names.

/// Lead to the next one and nowhere else, and write to a register.
const WRITE: &str = "\
    Add Affinity AggFinal AggInverse AggStep AggStep1 AggValue And BitAnd BitNot BitOr Blob Cast ClrSubtype \
    Column Concat Copy Count Divide Function GetSubtype IdxRowid Int64 IntCopy Integer IsTrue MakeRecord MemMax \
    Move Multiply NewRowid Not Null OffsetLimit Or PureFunc Real RealAffinity Remainder RowData Rowid SCopy \
    Sequence SetSubtype ShiftLeft ShiftRight SoftNull SorterData String String8 Subtract VColumn ZeroOrNull";
/// Lead to the next one and nowhere else, and write to none.
const PASS: &str = "\
    BeginSubrtn Close CollSeq ColumnsUsed Compare CursorHint DeferredSeek EndCoroutine Explain FilterAdd \
    FinishSeek Halt IdxInsert Insert Noop NullRow OpenAutoindex OpenDup OpenEphemeral OpenPseudo OpenRead \
    Permutation ReleaseReg ResetSorter ResultRow Return SeekHit SorterInsert SorterOpen TableLock Transaction \
    VOpen";
/// Lead elsewhere too, or compare; and write to no register, or only where they are in the program.
const LEAD: &str = "\
    DecrJumpZero Delete ElseEq Eq Filter Found Ge Gosub Goto Gt HaltIfNull IdxGE IdxGT IdxLE IdxLT If IfEmpty \
    IfNoHope IfNot IfNotOpen IfNotZero IfPos IfSizeBetween Init InitCoroutine IsNull IsType Jump Last Le Lt Ne \
    Next NoConflict NotExists NotFound NotNull Once Prev Rewind RowCell SeekEnd SeekGE SeekGT SeekLE SeekLT \
    SeekRowid SeekScan SequenceTest Sort SorterCompare SorterNext SorterSort VFilter VNext Yield";

/// What is known of an instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// It leads to the next one and nowhere else.
    pub(super) goes_on: bool,
    /// It writes to no register.
    pub(super) writes_nothing: bool,
}

impl Known {
    pub(super) fn of(code: &str) -> Self {
        let is_one_of = |codes: &str| codes.split_ascii_whitespace().any(|known| known == code);
        let passes = is_one_of(PASS);
        Self { goes_on: passes || is_one_of(WRITE), writes_nothing: passes || is_one_of(LEAD) }
    }
}
