//! How much fits on a page.

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
