//! Which share of the records is of which kind.

use std::fmt;
use std::str::FromStr;

/// What a generated record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A gateway in order approves it.
    Good,
    /// Its payment method is one that the simulated gateway declines.
    Declined,
    /// It breaks a rule of the wire and is rejected.
    Invalid,
    /// The id and the payload of an earlier record, often on another partition.
    Duplicate,
    /// The id of an earlier record with another amount.
    Conflict,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Good, Self::Declined, Self::Invalid, Self::Duplicate, Self::Conflict];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Declined => "declined",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
        }
    }
}

/// Parts of a million for every kind but the good ones, which are the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mix {
    pub declined: u32,
    pub invalid: u32,
    pub duplicate: u32,
    pub conflict: u32,
}

/// One million: all records.
pub const ALL_PARTS: u32 = 1_000_000;

/// Why a text is no mix; says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMix {
    #[error("{0:?} is no share; write for example declined=3%,invalid=0.1%")]
    Form(String),
    #[error("there is no kind {0:?}; choose among declined, invalid, duplicate, conflict")]
    Kind(String),
    #[error("{0} stands there twice")]
    Twice(String),
    #[error("the shares are more than 100% together")]
    TooMuch,
}

impl Mix {
    /// The kind at a point from 0 to one million.
    #[must_use]
    pub fn kind_at(&self, mut point: u32) -> Kind {
        let shares = [
            (Kind::Declined, self.declined),
            (Kind::Invalid, self.invalid),
            (Kind::Duplicate, self.duplicate),
            (Kind::Conflict, self.conflict),
        ];
        for (kind, share) in shares {
            if point < share {
                return kind;
            }
            point -= share;
        }
        Kind::Good
    }
}

impl FromStr for Mix {
    type Err = BadMix;

    fn from_str(text: &str) -> Result<Self, BadMix> {
        let mut mix = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let form = || BadMix::Form(part.to_owned());
            let (name, share) = part.split_once('=').ok_or_else(form)?;
            let slot = match name {
                "declined" => &mut mix.declined,
                "invalid" => &mut mix.invalid,
                "duplicate" => &mut mix.duplicate,
                "conflict" => &mut mix.conflict,
                _ => return Err(BadMix::Kind(name.to_owned())),
            };
            if seen.contains(&name) {
                return Err(BadMix::Twice(name.to_owned()));
            }
            seen.push(name);
            *slot = parts_of_million(share).ok_or_else(form)?;
        }
        let sum = [mix.declined, mix.invalid, mix.duplicate, mix.conflict]
            .iter()
            .map(|share| u64::from(*share))
            .sum::<u64>();
        if sum > u64::from(ALL_PARTS) { Err(BadMix::TooMuch) } else { Ok(mix) }
    }
}

/// `3%`, `0.1%`: at most four digits behind the point.
fn parts_of_million(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > 4 || whole.len() > 3 {
        return None;
    }
    let parts = format!("{whole}{rest:0<4}").parse().ok()?;
    (parts <= ALL_PARTS).then_some(parts)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        let mix: Mix = "declined=3%,invalid=0.1%, duplicate=0.5%".parse().unwrap();
        assert_eq!(mix, Mix { declined: 30_000, invalid: 1_000, duplicate: 5_000, conflict: 0 });
        assert_eq!("".parse(), Ok(Mix::default()));
        assert_eq!("declined=100%".parse::<Mix>().unwrap().declined, ALL_PARTS);
        for bad in ["declined", "declined=3", "declined=-1%", "declined=.5%", "declined=101%"] {
            assert_eq!(bad.parse::<Mix>(), Err(BadMix::Form(bad.to_owned())));
        }
        assert_eq!("x=1%".parse::<Mix>(), Err(BadMix::Kind("x".to_owned())));
        assert!(matches!("invalid=1%,invalid=2%".parse::<Mix>(), Err(BadMix::Twice(_))));
        assert_eq!("invalid=60%,declined=60%".parse::<Mix>(), Err(BadMix::TooMuch));
    }

    #[test]
    fn kinds_take_their_shares_one_after_the_other() {
        let mix: Mix = "declined=10%,conflict=20%".parse().unwrap();
        let at = [0, 99_999, 100_000, 299_999, 300_000, 999_999].map(|point| mix.kind_at(point));
        use Kind::{Conflict, Declined, Good};
        assert_eq!(at, [Declined, Declined, Conflict, Conflict, Good, Good]);
    }
}
