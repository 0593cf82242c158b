//! Bytes, eight at a time: the strings of a record are short, and a word of eight tells sooner where they end than a
//! search that is made for long texts.

/// Eight bytes of a text.
#[derive(Clone, Copy)]
pub(crate) struct Eight(u64);

/// The places of some of the eight. The first is exact; behind it there may be others that are none.
#[derive(Clone, Copy)]
pub(crate) struct Places(u64);

impl Eight {
    pub(crate) fn of(bytes: &[u8; 8]) -> Self {
        Self(u64::from_le_bytes(*bytes))
    }

    /// The same in small letters.
    pub(crate) fn small(self) -> [u8; 8] {
        let without_top = self.0 & every(0x7f);
        let from_a = without_top.wrapping_add(every(0x80 - b'A'));
        let behind_z = without_top.wrapping_add(every(0x7f - b'Z'));
        let capitals = (from_a ^ behind_z) & !self.0 & every(0x80);
        (self.0 | capitals >> 2).to_le_bytes()
    }

    /// Where this byte is.
    pub(crate) fn equal(self, byte: u8) -> Places {
        Self(self.0 ^ every(byte)).below(1)
    }

    /// Where bytes are that are less than this one, which is 128 at the most.
    pub(crate) fn below(self, byte: u8) -> Places {
        Places(self.0.wrapping_sub(every(byte)) & !self.0 & every(0x80))
    }
}

impl Places {
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The first of them.
    pub(crate) fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| (self.0.trailing_zeros() / u8::BITS) as usize)
    }
}

const fn every(byte: u8) -> u64 {
    u64::MAX / 255 * byte as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_exact(bytes in prop::array::uniform8(prop_oneof![any::<u8>(), prop::sample::select(vec![0, 1, 31, 32, 33, 34, 64, 65, 90, 91, 92, 97, 122, 127, 128, 193, 218, 255])])) {
            let eight = Eight::of(&bytes);
            for byte in [0, 32, 34, 92, 127] {
                prop_assert_eq!(eight.equal(byte).first(), bytes.iter().position(|b| *b == byte));
                prop_assert_eq!(eight.below(byte).first(), bytes.iter().position(|b| *b < byte));
            }
            prop_assert_eq!(eight.small(), bytes.map(|byte| byte.to_ascii_lowercase()));
            let either = eight.below(32).or(eight.equal(34)).first();
            prop_assert_eq!(either, bytes.iter().position(|b| *b < 32 || *b == 34));
        }
    }
}
