//! A set of the places of one resource type: one bit a resource.

/// A place in the list of a type's resources.
pub(crate) type Slot = u32;

/// Which places are meant. Sets of one type all combine word by word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotSet {
    words: Vec<u64>,
}

const BITS: u32 = u64::BITS;

fn place(slot: Slot) -> (usize, u64) {
    ((slot / BITS) as usize, 1 << (slot % BITS))
}

impl SlotSet {
    pub(crate) fn insert(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn extend(&mut self, slots: impl IntoIterator<Item = Slot>) {
        for slot in slots {
            self.insert(slot);
        }
    }

    /// Keeps what the other has too.
    pub(crate) fn keep(&mut self, other: &Self) {
        for (index, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(index).copied().unwrap_or(0);
        }
    }

    /// Takes away what the other has.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, taken) in self.words.iter_mut().zip(&other.words) {
            *word &= !taken;
        }
    }

    /// Adds what the other has.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (0u32..).zip(&self.words).flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    index * BITS + bit
                })
            })
        })
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::default();
        set.extend(slots);
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(a: Vec<u8>, b: Vec<u8>) {
            use std::collections::BTreeSet;
            let wide = |list: &[u8]| list.iter().map(|n| u32::from(*n) * 3).collect::<BTreeSet<Slot>>();
            let (a, b) = (wide(&a), wide(&b));
            let set = |list: &BTreeSet<Slot>| list.iter().copied().collect::<SlotSet>();
            let listed = |set: &SlotSet| set.iter().collect::<Vec<_>>();
            prop_assert_eq!(listed(&set(&a)), a.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set(&a).len(), a.len());
            let mut both = set(&a);
            both.keep(&set(&b));
            prop_assert_eq!(listed(&both), a.intersection(&b).copied().collect::<Vec<_>>());
            let mut either = set(&a);
            either.add(&set(&b));
            prop_assert_eq!(listed(&either), a.union(&b).copied().collect::<Vec<_>>());
            let mut less = set(&a);
            less.subtract(&set(&b));
            prop_assert_eq!(listed(&less), a.difference(&b).copied().collect::<Vec<_>>());
        }
    }
}
