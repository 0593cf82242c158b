//! Decimal numbers, exact as FHIRPath asks (§4.1.4): a whole number of up to 38 digits, and where its point is.
//!
//! `0.1 + 0.2 = 0.3` holds here. What does not fit is no number (`None`), which the spec turns into an empty answer.

use std::cmp::Ordering;
use std::fmt;

/// Digits behind the point that a division keeps.
const DIVISION_SCALE: u32 = 12;
/// Digits behind the point that a number may have.
const MAX_SCALE: u32 = 28;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    /// The digits, without the point.
    mantissa: i128,
    /// How many of them stand behind the point.
    scale: u32,
}

fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

impl Decimal {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return None;
            }
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        let mantissa = if negative { -mantissa } else { mantissa };
        match u32::try_from(scale) {
            Ok(scale) if scale <= MAX_SCALE => Some(Self { mantissa, scale }),
            Ok(_) => None,
            Err(_) => {
                Some(Self { mantissa: mantissa.checked_mul(power_of_ten(u32::try_from(-scale).ok()?)?)?, scale: 0 })
            }
        }
    }

    /// Both with the same number of digits behind the point.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        Some((self.mantissa_at(scale)?, other.mantissa_at(scale)?, scale))
    }

    fn mantissa_at(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(power_of_ten(scale.checked_sub(self.scale)?)?)
    }

    pub(crate) fn negated(self) -> Self {
        Self { mantissa: self.mantissa.saturating_neg(), scale: self.scale }
    }

    pub(crate) fn abs(self) -> Self {
        Self { mantissa: self.mantissa.saturating_abs(), scale: self.scale }
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { mantissa: left.checked_add(right)?, scale })
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let product = Self { mantissa: self.mantissa.checked_mul(other.mantissa)?, scale: self.scale + other.scale };
        Some(if product.scale > MAX_SCALE { product.rounded(MAX_SCALE) } else { product })
    }

    /// Rounded half up behind twelve digits; `None` by zero.
    pub(crate) fn divided_by(self, other: Self) -> Option<Self> {
        if other.mantissa == 0 {
            return None;
        }
        let shift = (DIVISION_SCALE + 1 + other.scale).saturating_sub(self.scale);
        let quotient = Self {
            mantissa: self.mantissa.checked_mul(power_of_ten(shift)?)? / other.mantissa,
            scale: (self.scale + shift).checked_sub(other.scale)?,
        };
        Some(quotient.rounded(DIVISION_SCALE).normalised())
    }

    /// The whole part of the quotient, towards zero (`div`, §6.6.5).
    pub(crate) fn whole_quotient(self, other: Self) -> Option<Self> {
        let (left, right, _) = self.aligned(other)?;
        Some(Self { mantissa: left.checked_div(right)?, scale: 0 })
    }

    /// What the whole quotient leaves (`mod`, §6.6.6).
    pub(crate) fn remainder(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { mantissa: left.checked_rem(right)?, scale })
    }

    /// Rounded half away from zero to `scale` digits behind the point.
    pub(crate) fn rounded(self, scale: u32) -> Self {
        let Some(unit) = self.scale.checked_sub(scale).and_then(power_of_ten) else {
            return self;
        };
        let half = if unit == 1 { 0 } else { unit / 2 };
        let towards = if self.mantissa < 0 { -half } else { half };
        Self { mantissa: self.mantissa.saturating_add(towards) / unit, scale }
    }

    pub(crate) fn truncated(self) -> Self {
        match power_of_ten(self.scale) {
            Some(unit) => Self { mantissa: self.mantissa / unit, scale: 0 },
            None => self,
        }
    }

    pub(crate) fn floor(self) -> Self {
        match power_of_ten(self.scale) {
            Some(unit) => Self { mantissa: self.mantissa.div_euclid(unit), scale: 0 },
            None => self,
        }
    }

    pub(crate) fn ceiling(self) -> Self {
        self.negated().floor().negated()
    }

    /// Without the zeros at the end.
    pub(crate) fn normalised(self) -> Self {
        let mut number = self;
        while number.scale > 0 && number.mantissa % 10 == 0 {
            number.mantissa /= 10;
            number.scale -= 1;
        }
        number
    }

    /// How many digits stand behind the point, zeros at the end not counted.
    pub(crate) fn precision(self) -> u32 {
        self.normalised().scale
    }

    /// The number as an integer, if it has no fraction.
    pub(crate) fn to_integer(self) -> Option<i64> {
        let number = self.normalised();
        (number.scale == 0).then(|| i64::try_from(number.mantissa).ok()).flatten()
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self { mantissa: i128::from(value), scale: 0 }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Some((left, right, _)) => left.cmp(&right),
            // Too far apart to be written side by side: the whole parts decide.
            None => self.truncated().mantissa.cmp(&other.truncated().mantissa),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = usize::try_from(self.scale).unwrap_or_default();
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at_checked(padded.len() - scale).unwrap_or((&padded, ""));
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn reads_and_prints() {
        for text in ["0", "-1", "0.05", "-12.500", "123456789.123456789"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e-7").to_string(), "0.0000001");
        assert_eq!(number("1.5e3").to_string(), "1500");
        for text in ["", ".5", "a", "1e300", "1e-300", "1.2.3", "--1"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn computes_exactly() {
        assert_eq!(number("0.1").plus(number("0.2")), Some(number("0.3")));
        assert_eq!(number("1").divided_by(number("8")), Some(number("0.125")));
        assert_eq!(number("1").divided_by(number("3")).unwrap().to_string(), "0.333333333333");
        assert_eq!(number("1").divided_by(number("0.0")), None);
        assert_eq!(number("7.5").whole_quotient(number("2")), Some(number("3")));
        assert_eq!(number("-7").remainder(number("2")), Some(number("-1")));
        assert_eq!(number("-1.5").floor(), number("-2"));
        assert_eq!(number("1.2").ceiling(), number("2"));
        assert_eq!(number("2.345").rounded(2), number("2.35"));
        assert!(number("1.10") == number("1.1"));
        assert!(number("-0.5") < number("0.25"));
    }
}
