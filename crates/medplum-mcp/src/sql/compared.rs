//! A text compared with a number: in SQLite the two are never equal, and the text is always the greater. So
//! `substr(birth_date, 1, 4) < 1950` holds for nobody, in silence. A column has an affinity by which SQLite converts what
//! it is compared with; what a function gives has none.
//!
//! Only what is certainly a text, on the one side, and certainly a number, on the other, is told.

use super::program::{Comparison, Converts, Origin, Program, Sort, counts_time};

/// A comparison of a text with a number, and what would work.
pub(super) fn told(program: &Program<'_>) -> Option<String> {
    program.comparisons().find_map(|Comparison { left, right, converts }| {
        let both = (left, right.into_iter().fold(Sort::Nothing, Sort::or));
        match converts {
            // Beside a column of texts, the number is compared as one.
            Converts::ToTexts => both_as_texts(both),
            // Beside a column of numbers, the text is made one.
            Converts::ToNumbers => None,
            Converts::Nothing => teach(both),
        }
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
