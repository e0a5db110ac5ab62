//! Durations (`"250ms"`, `"24h"`) and sizes (`"64KiB"`) as they stand in the configuration. Strict: one whole
//! number, one unit, nothing else. Not a general parser of times.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration that reads and prints as one whole number and one of `ms s m h d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(pub Duration);

/// Durations that read and print as one text with commas, or `off` for none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Periods(pub Vec<Duration>);

const NO_PERIODS: &str = "off";

impl FromStr for Periods {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        if text == NO_PERIODS {
            return Ok(Self::default());
        }
        let each = text.split(',').map(|one| Ok(one.trim().parse::<Period>()?.0));
        each.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Periods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NO_PERIODS);
        }
        let each: Vec<String> = self.0.iter().map(|one| Period(*one).to_string()).collect();
        f.write_str(&each.join(", "))
    }
}

/// A number of bytes that reads and prints as one whole number and one of `B KiB MiB GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

/// Why a text is no duration or size; says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUnit(&'static str);

const PERIOD_FORM: &str =
    "a duration is a whole number and one of ms, s, m, h, d: \"250ms\", \"5s\", \"24h\"";
const SIZE_FORM: &str = "a size is a whole number and one of B, KiB, MiB, GiB: \"64KiB\"";
const TOO_LARGE: &str = "the number is too large";

/// Units in milliseconds, the largest first so that printing finds the shortest form.
const PERIOD_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The number and its unit's worth; `Ok(None)` where the form is wrong.
fn parse(text: &str, units: &[(&str, u64)]) -> Result<Option<u64>, BadUnit> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let leading_zero = number.len() > 1 && number.starts_with('0');
    let Some((_, worth)) = units.iter().find(|(name, _)| *name == unit) else { return Ok(None) };
    if number.is_empty() || leading_zero {
        return Ok(None);
    }
    let number: u64 = number.parse().map_err(|_| BadUnit(TOO_LARGE))?;
    number.checked_mul(*worth).map(Some).ok_or(BadUnit(TOO_LARGE))
}

fn print(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let whole = units.iter().find(|(_, worth)| value > 0 && value.is_multiple_of(*worth));
    match whole {
        Some((unit, worth)) => write!(f, "{}{unit}", value / worth),
        None => write!(f, "{value}{}", units.last().map_or("", |(unit, _)| unit)),
    }
}

impl FromStr for Period {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let millis = parse(text, &PERIOD_UNITS)?.ok_or(BadUnit(PERIOD_FORM))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Period {
    /// Fractions of a millisecond, which only computed periods have, are cut off.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &PERIOD_UNITS, f)
    }
}

impl FromStr for Size {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        Ok(Self(parse(text, &SIZE_UNITS)?.ok_or(BadUnit(SIZE_FORM))?))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZE_UNITS, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_one_number_and_one_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("1ms", 1),
            ("250ms", 250),
            ("5s", 5_000),
            ("10m", 600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(millis))), "{text}");
        }
        for bad in [
            "", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "1m30s", "05s", "5S", "5us",
            "٥s",
        ] {
            assert_eq!(bad.parse::<Period>(), Err(BadUnit(PERIOD_FORM)), "{bad}");
        }
        assert_eq!("99999999999999999999s".parse::<Period>(), Err(BadUnit(TOO_LARGE)));
        assert_eq!("18446744073709551615d".parse::<Period>(), Err(BadUnit(TOO_LARGE)));
    }

    #[test]
    fn durations_stand_behind_one_another_with_commas() {
        let minutes = |all: &[u64]| Periods(all.iter().map(|m| Duration::from_mins(*m)).collect());
        assert_eq!("5m,1h, 1d".parse(), Ok(minutes(&[5, 60, 1440])));
        assert_eq!("off".parse(), Ok(Periods::default()));
        for text in ["5m, 1h, 1d", "10s", "off"] {
            assert_eq!(text.parse::<Periods>().unwrap().to_string(), text);
        }
        for bad in ["", "5m,", "5m 1h", "off, 5m"] {
            assert_eq!(bad.parse::<Periods>(), Err(BadUnit(PERIOD_FORM)), "{bad}");
        }
    }

    #[test]
    fn sizes_are_one_number_and_one_unit() {
        for (text, bytes) in [("0B", 0), ("64KiB", 65_536), ("1MiB", 1 << 20), ("3GiB", 3 << 30)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in ["64", "64KB", "64kib", "64 KiB", "1.5MiB", "-1B"] {
            assert_eq!(bad.parse::<Size>(), Err(BadUnit(SIZE_FORM)), "{bad}");
        }
    }

    #[test]
    fn printing_takes_the_shortest_form_and_reads_back() {
        for text in ["0ms", "1ms", "1500ms", "90s", "2m", "36h", "1d"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("24h".parse::<Period>().unwrap().to_string(), "1d");
        for text in ["0B", "1023B", "64KiB", "1MiB", "3GiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }
}
