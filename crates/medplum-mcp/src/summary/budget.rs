//! How much fits on a page.

/// About how many tokens a text costs an agent: rather too many than too few.
///
/// Counted by o200k_base's own way of cutting a text: words, numbers of up to three digits, runs of punctuation. How a
/// word is cut further is guessed from its length.
pub(super) fn tokens(text: &str) -> usize {
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

/// What a section would like to show: the cost of each row, the first the most important.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) costs: Vec<usize>,
    /// How many rows it gets each time the room is shared out.
    pub(super) share: usize,
}

/// How many rows of each section fit. The room is shared out in rounds; a section that has a row which does not fit
/// gets no more.
pub(super) fn share_out(wishes: &[Wish], mut room: usize) -> Vec<usize> {
    let mut open: Vec<(&Wish, usize, bool)> = wishes.iter().map(|wish| (wish, 0, true)).collect();
    while open.iter().any(|(_, _, open)| *open) {
        for (wish, shown, open) in open.iter_mut().filter(|(_, _, open)| *open) {
            for _ in 0..wish.share.max(1) {
                match wish.costs.get(*shown) {
                    Some(cost) if *cost <= room => {
                        room = room.saturating_sub(*cost);
                        *shown = shown.saturating_add(1);
                    }
                    _ => *open = false,
                }
            }
        }
    }
    open.into_iter().map(|(_, shown, _)| shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            let (guess, real) = (tokens(text), real(text));
            assert!(guess >= real, "{guess} < {real}: {text}");
            assert!(guess <= real.saturating_mul(2), "{guess} > 2 × {real}: {text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shared_out_fits_and_leaves_nothing_that_would(
            costs in prop::collection::vec((prop::collection::vec(1_usize..40, 0..12), 1_usize..5), 0..8),
            room in 0_usize..600,
        ) {
            let wishes: Vec<Wish> = costs.into_iter().map(|(costs, share)| Wish { costs, share }).collect();
            let shown = share_out(&wishes, room);
            prop_assert_eq!(shown.len(), wishes.len());
            let spent: usize = wishes.iter().zip(&shown).map(|(wish, shown)| wish.costs.iter().take(*shown).sum::<usize>()).sum();
            prop_assert!(spent <= room);
            for (wish, shown) in wishes.iter().zip(&shown) {
                prop_assert!(wish.costs.get(*shown).is_none_or(|next| spent + next > room));
            }
        }
    }
}
