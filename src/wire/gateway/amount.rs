//! An amount as a gateway writes it, brought to minor units digit by digit. No floating point.

use crate::domain::money::Currency;

/// Digits, and nothing else than digits.
pub(super) fn whole(text: &str) -> Option<i64> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// `12.5` and `12.50` are 1250 minor units of EUR, `12` are 12 of JPY. More decimals than the currency has are zeros.
pub(super) fn minor(text: &str, unit: Currency) -> Option<i64> {
    let places = usize::from(unit.exponent().unwrap_or(0));
    let (main, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let (kept, rest) = decimals.split_at_checked(places).unwrap_or((decimals, ""));
    let is_exact = decimals.bytes().all(|b| b.is_ascii_digit()) && rest.bytes().all(|b| b == b'0');
    if !is_exact || decimals.is_empty() {
        return None;
    }
    let main = whole(main)?.checked_mul(10_i64.checked_pow(u32::try_from(places).ok()?)?)?;
    let fraction = if places == 0 { 0 } else { whole(&format!("{kept:0<places$}"))? };
    main.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_minor_units_or_nothing() {
        let minor = |text, code| minor(text, Currency::parse(code).unwrap());
        for (text, code, expected) in [
            ("12.50", "EUR", 1250),
            ("12.5", "EUR", 1250),
            ("12", "EUR", 1200),
            ("0.07", "EUR", 7),
            ("12.5000", "EUR", 1250),
            ("12", "JPY", 12),
            ("12.0", "JPY", 12),
            ("1.234", "BHD", 1234),
            ("10000000000000.00", "EUR", 1_000_000_000_000_000),
        ] {
            assert_eq!(minor(text, code), Some(expected), "{text} {code}");
        }
        for (text, code) in [
            ("12.505", "EUR"),
            ("12.5", "JPY"),
            ("", "EUR"),
            (".5", "EUR"),
            ("1.", "EUR"),
            ("-1.00", "EUR"),
            ("+1.00", "EUR"),
            ("1,50", "EUR"),
            ("1e3", "EUR"),
            ("1.5é", "EUR"),
            ("99999999999999999999", "EUR"),
            ("92233720368547758.08", "EUR"),
        ] {
            assert_eq!(minor(text, code), None, "{text} {code}");
        }
    }

    #[test]
    fn whole_numbers_are_digits() {
        assert_eq!(whole("1250"), Some(1250));
        for text in ["", "-1", "+1", "1 ", "1.0", "99999999999999999999"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
