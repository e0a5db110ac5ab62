//! Money: an integer of minor units and an ISO 4217 currency. Never a float.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Minor units (cents, yen, fils), 1 to 10¹⁵.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// The largest amount, in minor units.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

/// Why a number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    #[error("the amount is {0}, it must be at least 1 minor unit")]
    NotPositive(i64),
    #[error("the amount is {0}, it must be at most 1000000000000000 minor units")]
    TooLarge(i64),
}

impl Amount {
    pub fn new(minor_units: i64) -> Result<Self, BadAmount> {
        match minor_units {
            ..=0 => Err(BadAmount::NotPositive(minor_units)),
            1..=AMOUNT_MAX => Ok(Self(minor_units)),
            _ => Err(BadAmount::TooLarge(minor_units)),
        }
    }

    #[must_use]
    pub fn minor_units(self) -> i64 {
        self.0
    }
}

/// Codes of which [`Currency::parse`] has found that ISO 4217 has them, a bit each: the list is searched from its
/// beginning, and every transaction would have it searched twice.
static FOUND: [AtomicU64; CODES.div_ceil(64)] = [const { AtomicU64::new(0) }; CODES.div_ceil(64)];

/// Texts of three upper-case letters.
const CODES: usize = 26 * 26 * 26;

/// An ISO 4217 code, three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// `None` where ISO 4217 has no such code, or it isn't upper case.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        let number = letters.iter().try_fold(0, |number, letter| {
            letter.is_ascii_uppercase().then(|| number * 26 + usize::from(letter - b'A'))
        })?;
        let (word, bit) = (&FOUND[number / 64], 1 << (number % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            iso_currency::Currency::from_code(code)?;
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Some(Self(letters))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits behind the decimal point: 2 for EUR, 0 for JPY, 3 for BHD; `None` for units without one (gold).
    #[must_use]
    pub fn exponent(&self) -> Option<u16> {
        iso_currency::Currency::from_code(self.as_str())?.exponent()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_bounded_on_both_sides() {
        assert_eq!(Amount::new(0), Err(BadAmount::NotPositive(0)));
        assert_eq!(Amount::new(i64::MIN), Err(BadAmount::NotPositive(i64::MIN)));
        assert_eq!(Amount::new(1).unwrap().minor_units(), 1);
        assert_eq!(Amount::new(AMOUNT_MAX).unwrap().minor_units(), AMOUNT_MAX);
        assert_eq!(Amount::new(AMOUNT_MAX + 1), Err(BadAmount::TooLarge(AMOUNT_MAX + 1)));
    }

    #[test]
    fn currencies_have_their_exponent() {
        assert_eq!(Currency::parse("EUR").unwrap().exponent(), Some(2));
        assert_eq!(Currency::parse("JPY").unwrap().exponent(), Some(0));
        assert_eq!(Currency::parse("BHD").unwrap().exponent(), Some(3));
        for bad in ["eur", "EU", "EURO", "ZZZ", "€", "A{{", ""] {
            assert!(Currency::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Currency::parse("EUR"), Currency::parse("EUR"), "found before");
    }
}
