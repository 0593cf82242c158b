//! Dates are texts, `2024-01-15` or `2024-01-15T06:30:00`: they can be ordered and compared, and SQLite's functions move
//! them. What other databases do with them besides gives a wrong answer here without a word: arithmetic takes the year
//! alone, so that `CURRENT_DATE - 365` is 1660; `2025-11-25` without quotes is 1989; `'11/25/2025'` is before every year;
//! and a date of which the function understands nothing is null.

use super::program::{Comparison, Origin, Program, Sort};
use super::question::Table;
use super::sandboxed::Closed;
use super::statement::{Tokens, text_of};
use super::trouble::Trouble;

/// What works in place of arithmetic.
const MOVED: &str = "a year ago is date('now','-1 year'), the days between two are julianday(a) - julianday(b), 65 or older is birth_date <= date('now','-65 years')";
/// What a function of a date may be given, for one that is not known before rows are read: a text, seconds, days.
const SOME: [&str; 3] = ["'2020-01-15T10:00:00'", "1600000000", "2459000.5"];

/// What a statement does with a date that cannot be meant, and what would work.
pub(super) fn told(
    closed: &Closed,
    program: &Program<'_>,
    tables: &[Table],
    sql: &str,
) -> Result<Option<String>, Trouble> {
    let dates = Dates { closed, program, tables, sql };
    if let Some(why) = unquoted(sql).or_else(|| dates.arithmetic()).or_else(|| dates.comparison()) {
        return Ok(Some(why));
    }
    dates.functions()
}

/// `2025-11-25` without quotes.
fn unquoted(sql: &str) -> Option<String> {
    let tokens: Vec<&str> = Tokens::of(sql).map(text_of).collect();
    let number = |token: &str, digits: usize, most: u32| {
        let is = token.len() == digits && token.bytes().all(|byte| byte.is_ascii_digit());
        is && token.parse::<u32>().is_ok_and(|number| (1..=most).contains(&number))
    };
    tokens.windows(5).find_map(|five| match five {
        [year, "-", month, "-", day] if number(year, 4, 2999) && number(month, 2, 12) && number(day, 2, 31) => {
            let date = format!("{year}-{month}-{day}");
            Some(format!("{date} without quotes is a subtraction: '{date}' is the date"))
        }
        _ => None,
    })
}

struct Dates<'d> {
    closed: &'d Closed,
    program: &'d Program<'d>,
    tables: &'d [Table],
    sql: &'d str,
}

impl Dates<'_> {
    fn arithmetic(&self) -> Option<String> {
        let date = self.program.operands().find_map(|operand| self.date(&operand))?;
        Some(format!("{date} is a text, and arithmetic takes its year alone: {MOVED}"))
    }

    /// What a value is called that is a date.
    fn date(&self, value: &Sort) -> Option<String> {
        match value {
            Sort::Column(table, column) => self.column(*table, *column).map(str::to_owned),
            Sort::Text(Origin::Made(made)) if is_moment(made) => {
                let constant = made.strip_suffix("()").map(str::to_uppercase);
                Some(constant.unwrap_or_else(|| made.clone()))
            }
            _ => None,
        }
    }

    /// The name of a column that holds dates and nothing else.
    fn column(&self, table: usize, column: usize) -> Option<&str> {
        let layout = &self.tables.get(table)?.layout;
        let kinds = layout.kinds.get(column)?;
        let only_time = kinds.time && !kinds.text && !kinds.number && !kinds.flag;
        layout.names.get(column).map(String::as_str).filter(|_| only_time)
    }

    fn comparison(&self) -> Option<String> {
        self.program.comparisons().find_map(|Comparison { left, right, .. }| {
            right.iter().find_map(|right| self.beside(&left, right).or_else(|| self.beside(right, &left)))
        })
    }

    /// What is wrong with what a column of dates is compared with.
    fn beside(&self, column: &Sort, value: &Sort) -> Option<String> {
        let Sort::Column(table, column) = column else { return None };
        let name = self.column(*table, *column)?;
        match value {
            Sort::Number(Origin::Literal(number)) if !is_year(number) => Some(format!(
                "{name} holds dates as texts, and {number} is a number: write 'YYYY-MM-DD', or 'YYYY' alone"
            )),
            Sort::Text(Origin::Literal(text)) if is_word_for_now(text) => {
                Some(format!("'{text}' is a text here, which {name} never is: today is date('now')"))
            }
            Sort::Text(Origin::Literal(text)) if !begins_a_date(text) => Some(format!(
                "'{text}' is no date as {name} holds them, so it has no place in their order: write 'YYYY-MM-DD'"
            )),
            _ => None,
        }
    }

    /// A function of a date that gives null whatever it is given.
    fn functions(&self) -> Result<Option<String>, Trouble> {
        let tokens: Vec<&str> = Tokens::of(self.sql).map(text_of).collect();
        for at in 0..tokens.len() {
            let Some((name, call)) = tokens.get(at..).and_then(call) else { continue };
            if self.is_null(&call.as_sql(name))?
                && let Some(why) = self.why_null(&call)?
            {
                return Ok(Some(format!("{name}(…) gives null: {why}")));
            }
        }
        Ok(None)
    }

    fn why_null(&self, call: &Call<'_>) -> Result<Option<String>, Trouble> {
        let alone = |moment, modifiers| Call { format: None, moment, modifiers }.as_sql("julianday");
        if let Some(moment) = call.moment
            && self.is_null(&alone(Some(moment), Vec::new()))?
        {
            let form = if moment.starts_with('%') {
                "the form comes first, strftime('%Y', x)"
            } else {
                "write 'YYYY-MM-DD', or 'now'"
            };
            return Ok(Some(format!("'{moment}' is no date; {form}")));
        }
        for modifier in &call.modifiers {
            if self.is_null(&alone(None, vec![modifier]))? {
                return Ok(Some(format!("'{modifier}' moves no date; '-1 year', '+30 days' and 'start of month' do")));
            }
        }
        Ok(call
            .format
            .map(|format| format!("'{format}' holds what strftime does not know; it knows %Y %m %d %H %M %S %j %w %W")))
    }

    fn is_null(&self, calls: &[String]) -> Result<bool, Trouble> {
        let nulls: Vec<String> = calls.iter().map(|call| format!("{call} IS NULL")).collect();
        let nulls: Vec<&str> = nulls.iter().map(String::as_str).collect();
        Ok(self.closed.count(&nulls)?.iter().all(|null| *null == 1))
    }
}

/// A call of one of SQLite's functions of a date, as far as it stands in the statement itself.
struct Call<'c> {
    format: Option<&'c str>,
    moment: Option<&'c str>,
    modifiers: Vec<&'c str>,
}

impl<'c> Call<'c> {
    /// A call whose modifiers are all known.
    fn of(name: &str, given: &[Option<&'c str>]) -> Option<Self> {
        let (format, rest) = if name == "strftime" { given.split_first()? } else { (&None, given) };
        let (moment, modifiers) = rest.split_first()?;
        let modifiers: Option<Vec<&str>> = modifiers.iter().copied().collect();
        Some(Self { format: *format, moment: *moment, modifiers: modifiers? })
    }

    /// The call, once for each sort of what is not known.
    fn as_sql(&self, name: &str) -> Vec<String> {
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let moments = self.moment.map_or_else(|| SOME.map(str::to_owned).to_vec(), |moment| vec![text(moment)]);
        let format = (name == "strftime").then(|| text(self.format.unwrap_or("%Y")));
        let call = |moment| {
            let given =
                format.iter().cloned().chain([moment]).chain(self.modifiers.iter().map(|modifier| text(modifier)));
            format!("{name}({})", given.collect::<Vec<_>>().join(","))
        };
        moments.into_iter().map(call).collect()
    }
}

/// `date('now', '-1 year')`: the function at which tokens begin, and what it is given.
fn call<'c>(tokens: &[&'c str]) -> Option<(&'static str, Call<'c>)> {
    const FUNCTIONS: [&str; 6] = ["date", "time", "datetime", "julianday", "unixepoch", "strftime"];
    let (name, rest) = tokens.split_first()?;
    let name = FUNCTIONS.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    let (mut depth, mut given, mut one) = (0_usize, Vec::new(), Vec::new());
    for token in rest {
        match (*token, depth) {
            ("(", 0) => depth = 1,
            (_, 0) => return None,
            ("," | ")", 1) => given.push(literal(&std::mem::take(&mut one))),
            _ => one.push(*token),
        }
        match *token {
            "(" if !one.is_empty() => depth = depth.saturating_add(1),
            ")" if depth == 1 => return Call::of(name, &given).map(|call| (name, call)),
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The text of an argument that is a literal and nothing else.
fn literal<'c>(argument: &[&'c str]) -> Option<&'c str> {
    match argument {
        [literal] => literal.strip_prefix('\'')?.strip_suffix('\''),
        _ => None,
    }
}

/// Whether a function gives a date or a time as a text.
fn is_moment(made: &str) -> bool {
    const MOMENTS: [&str; 7] =
        ["date(", "datetime(", "time(", "strftime('", "current_date(", "current_time(", "current_timestamp("];
    MOMENTS.iter().any(|function| made.starts_with(function))
}

/// A year alone orders rightly among dates, number or not; 0 is before all of them.
fn is_year(number: &str) -> bool {
    number.parse::<u32>().is_ok_and(|number| number == 0 || (1_000..10_000).contains(&number))
}

fn is_word_for_now(text: &str) -> bool {
    ["now", "today", "yesterday", "tomorrow"].iter().any(|word| word.eq_ignore_ascii_case(text.trim()))
}

/// Whether a text is a date as far as it goes: `2025-1` is, and so is `2025-11-25T10:00`, or `2025-11~` as an end.
fn begins_a_date(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(given, form): (&u8, &u8)| match form {
        b'0' => given.is_ascii_digit(),
        b'T' => matches!(given, b'T' | b' '),
        form => given == form,
    };
    let same = text.as_bytes().iter().zip(FORM).take_while(|pair| fits(*pair)).count();
    let rest = text.as_bytes().get(same..).unwrap_or_default();
    match rest {
        [] => true,
        [b'Z' | b'+' | b'-', ..] if same == 16 => true,
        // An end that no date reaches: '2025-11-' and what comes behind all of it.
        [end] if same >= 4 => !end.is_ascii_alphanumeric() && *end != b'/' && *end != b'.',
        _ => same == FORM.len(),
    }
}
