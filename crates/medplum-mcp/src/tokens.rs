//! How many tokens a text costs an agent, guessed: no tokenizer and its tables are carried along for it.

/// About how many tokens a text costs, for a person who wants to know: exact to about a tenth.
pub fn about(text: &str) -> usize {
    let mut count = Counter::default();
    text.chars().for_each(|c| count.take(c));
    count.sixths.saturating_mul(USUAL_HUNDREDTHS).div_ceil(600)
}

/// Of what is guessed to be rather too much, so many hundredths are real: measured with o200k_base on this server's
/// definitions and on recorded FHIR.
const USUAL_HUNDREDTHS: usize = 73;

/// How many tokens a text costs an agent: rather too many than too few.
///
/// Counted by o200k_base's own way of cutting a text: words, numbers of up to three digits, runs of punctuation. How a
/// word is cut further is guessed from its length.
pub(crate) fn at_most(text: &str) -> usize {
    let mut count = Counter::default();
    text.chars().for_each(|c| count.take(c));
    count.sixths.div_ceil(6)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    None,
    Letter,
    Digit,
    Space,
    Mark,
}

/// Sums in sixths of a token.
#[derive(Debug, Default)]
struct Counter {
    sixths: usize,
    kind: Kind,
    run: usize,
}

impl Counter {
    fn take(&mut self, c: char) {
        let kind = kind(c);
        self.run = if kind == self.kind { self.run.saturating_add(1) } else { 0 };
        self.kind = kind;
        let cost = match (kind, self.run) {
            _ if !c.is_ascii() => foreign(c),
            // A word or number begins a token, and another every so often.
            (Kind::Letter | Kind::Mark, 0) => 6,
            (Kind::Letter, run) if run % 5 == 0 => 6,
            (Kind::Digit, run) if run % 3 == 0 => 6,
            (Kind::Mark, run) if run % 3 == 0 => 6,
            // A space goes with the word behind it, but not with a number.
            (Kind::Space, _) => 2,
            _ => 0,
        };
        self.sixths = self.sixths.saturating_add(cost);
    }
}

fn kind(c: char) -> Kind {
    match c {
        c if c.is_ascii_digit() => Kind::Digit,
        c if c.is_whitespace() => Kind::Space,
        c if c.is_alphabetic() => Kind::Letter,
        _ => Kind::Mark,
    }
}

/// An accent cuts a word in two; letters of other scripts are one token or less; what is rare is two or three.
fn foreign(c: char) -> usize {
    match u32::from(c) {
        0..0x0370 => 6,
        0x0370..0x0700 => 3,
        0x2000..0x2070 | 0x3000..0xA000 | 0xAC00..0xD7B0 => 8,
        0x0700..0x2000 => 9,
        _ => 18,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(text: &str) -> usize {
        tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len()
    }

    #[test]
    fn tokens_are_rather_too_many() {
        for text in [
            r#"{"patient":{"id":"7f3a9c1e-0000-4000-8000-00000000020b","name":"Alice Smith","birthDate":"1961-02-03"}}"#,
            r#"["Hemoglobin A1c/Hemoglobin.total in Blood","4548-4",7.9,"%","4-6 H","2025-11-02",21,"rising: 7.2, 7.4, 7.9"]"#,
            r#"["24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet","1 tablet twice a day","since 2019-01-07"]"#,
            r#"["糖尿病性腎症、ステージ三","高血圧症","慢性閉塞性肺疾患"]"#,
            r#"["Хроническая сердечная недостаточность","αρτηριακή υπέρταση","ارتفاع ضغط الدم","مرض السكري"]"#,
            r#"["Ménière’s disease – bilateral","Sjögren’s","naïve","🩺💊","मधुमेह","당뇨병 제2형","โรคเบาหวาน"]"#,
        ] {
            let (guess, real) = (at_most(text), real(text));
            assert!(guess >= real, "{guess} < {real}: {text}");
            assert!(guess <= real.saturating_mul(2), "{guess} > 2 × {real}: {text}");
        }
    }
}
