//! What a statement takes a column for that it is not: SQLite would carry it out, and the answer would be wrong without
//! a word. A comparison that can never hold is refused; what depends on the rows is said of them.

use super::columns::quoted;
use super::question::Table;
use super::sandboxed::{Closed, Seen};
use super::statement::{Tokens, text_of};
use super::trouble::Trouble;

/// A comparison of a column with a text in which it can never hold what was meant, and what would.
pub(super) fn never_holds(sql: &str, tables: &[Table], seen: &Seen) -> Option<String> {
    let tokens: Vec<&str> = Tokens::of(sql).map(text_of).collect();
    (0..tokens.len()).find_map(|at| {
        let (name, literal) = comparison(tokens.get(at..)?)?;
        tables.iter().find_map(|table| in_table(name, literal, table, seen))
    })
}

fn in_table(name: &str, literal: &str, table: &Table, seen: &Seen) -> Option<String> {
    let (column, kinds) =
        table.layout.names.iter().zip(&table.layout.kinds).find(|(own, _)| own.eq_ignore_ascii_case(name))?;
    if !seen.reads(&table.layout.table, column) {
        return None;
    }
    let is_flag = ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(literal));
    if kinds.flag && !kinds.text && is_flag {
        return Some(format!("{column} is true or false: {column} = {}, without quotes", literal.to_ascii_lowercase()));
    }
    if kinds.number && kinds.text && literal.trim().parse::<f64>().is_ok() {
        return Some(format!(
            "{column} holds numbers and texts, and a number never equals a text: {column}_value {literal} for numbers, {column}_text '{literal}' for texts"
        ));
    }
    None
}

/// `active = 'true'`, `"value" in ('7'`: the name of the column, and the text.
fn comparison<'s>(tokens: &[&'s str]) -> Option<(&'s str, &'s str)> {
    let (name, rest) = tokens.split_first()?;
    let name = name.trim_matches(['"', '`', '[', ']']);
    let operator = rest.iter().take_while(|token| is_operator(token)).count();
    let literal = rest.get(operator).filter(|_| operator > 0)?;
    let text = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    Some((name, text))
}

fn is_operator(token: &str) -> bool {
    ["=", "<", ">", "!", "(", "IS", "NOT", "IN", "BETWEEN"].iter().any(|known| known.eq_ignore_ascii_case(token))
}

/// What must be known of the numbers that a statement read.
pub(super) fn of_numbers(closed: &Closed, tables: &[Table], seen: &Seen) -> Result<Vec<String>, Trouble> {
    let mut notes = Vec::new();
    for table in tables {
        for (column, kinds) in table.layout.names.iter().zip(&table.layout.kinds) {
            if !seen.reads(&table.layout.table, column) {
                continue;
            }
            let of = Of { closed, table, seen };
            if kinds.number && kinds.text {
                notes.extend(of.mixed(column)?);
            }
            if let Some(quantity) = column.strip_suffix("_value").filter(|_| kinds.number) {
                notes.extend(of.bounds(quantity)?);
                notes.extend(of.units(quantity)?);
            }
        }
    }
    Ok(notes)
}

/// A table of which a statement has read some columns.
struct Of<'c> {
    closed: &'c Closed,
    table: &'c Table,
    seen: &'c Seen,
}

impl Of<'_> {
    /// Numbers and texts in one column: texts count as 0 in a sum, and as more than any number.
    fn mixed(&self, column: &str) -> Result<Option<String>, Trouble> {
        let (name, table) = (quoted(column), quoted(&self.table.layout.table));
        let is = |of: &str| format!("(SELECT count(*) FROM {table} WHERE typeof({name}) {of})");
        let counts = self.closed.count(&[&is("IN ('integer', 'real')"), &is("= 'text'")])?;
        Ok(match counts.as_slice() {
            [numbers, texts] if *numbers > 0 && *texts > 0 => Some(format!(
                "{column} is a number in {numbers} rows and a text in {texts}: numbers alone are in {column}_value, texts in {column}_text."
            )),
            _ => None,
        })
    }

    /// Values that were recorded as less or more than a number.
    fn bounds(&self, quantity: &str) -> Result<Option<String>, Trouble> {
        let comparator = format!("{quantity}_comparator");
        if !self.held_and_not_read(&comparator) {
            return Ok(None);
        }
        let (name, table) = (quoted(&comparator), quoted(&self.table.layout.table));
        let counts = self.closed.count(&[&format!("(SELECT count({name}) FROM {table})")])?;
        Ok(counts.first().filter(|rows| **rows > 0).map(|rows| {
            format!(
                "{quantity}_value is a bound, less or more than it says, in {rows} of the rows fetched: {comparator}."
            )
        }))
    }

    /// Values in several units, of one code where the statement looks at codes.
    fn units(&self, quantity: &str) -> Result<Option<String>, Trouble> {
        let unit = format!("{quantity}_unit");
        if !self.held_and_not_read(&unit) || self.seen.reads(&self.table.layout.table, &format!("{quantity}_code")) {
            return Ok(None);
        }
        let (value, table) = (quoted(&format!("{quantity}_value")), quoted(&self.table.layout.table));
        let units = format!("count(DISTINCT coalesce({}, ''))", quoted(&unit));
        let code = ["code_code", "code_text"].into_iter().find(|code| self.seen.reads(&self.table.layout.table, code));
        let code = code.filter(|code| self.held(code));
        let most = match code {
            Some(code) => format!(
                "(SELECT max(n) FROM (SELECT {units} n FROM {table} WHERE {value} IS NOT NULL GROUP BY {}))",
                quoted(code)
            ),
            None => format!("(SELECT {units} FROM {table} WHERE {value} IS NOT NULL)"),
        };
        let counts = self.closed.count(&[&most])?;
        Ok(counts.first().filter(|units| **units > 1).map(|units| match code {
            Some(code) => format!(
                "{quantity}_value is in {units} units for the same {code}: group by {unit} too, or filter by it."
            ),
            None => format!("{quantity}_value is in {units} units: group by {unit}, or filter by it."),
        }))
    }

    fn held_and_not_read(&self, column: &str) -> bool {
        self.held(column) && !self.seen.reads(&self.table.layout.table, column)
    }

    fn held(&self, column: &str) -> bool {
        let at = self.table.layout.names.iter().position(|name| name == column);
        at.and_then(|at| self.table.filled.holds.get(at)).is_some_and(|holds| *holds)
    }
}
