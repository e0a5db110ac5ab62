//! When a watched number becomes an alert, and when it stops being one. Two levels and a minimum duration keep it
//! from flapping.

use std::time::Duration;

use super::time::Boot;

/// `alerts.<rule>.raise`, `.clear`, `.for`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// At or above this it is raised, once it has lasted.
    pub raise: u64,
    /// At or below this it is cleared. Below `raise`.
    pub clear: u64,
    /// How long it must stand at or above `raise`.
    pub lasting: Duration,
}

/// A watched number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    #[default]
    Calm,
    /// At or above the raise level since this time.
    Rising(Boot),
    Raised,
}

/// What to tell people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Raised,
    Cleared,
}

impl Watch {
    /// Takes note of a reading.
    pub fn observe(&mut self, reading: u64, levels: &Levels, now: Boot) -> Option<Change> {
        let above = reading >= levels.raise;
        match *self {
            Self::Raised if reading <= levels.clear => {
                *self = Self::Calm;
                Some(Change::Cleared)
            }
            Self::Raised => None,
            Self::Rising(since) if above && now.since(since) >= levels.lasting => {
                *self = Self::Raised;
                Some(Change::Raised)
            }
            Self::Rising(_) if above => None,
            Self::Calm if above && levels.lasting.is_zero() => {
                *self = Self::Raised;
                Some(Change::Raised)
            }
            Self::Calm if above => {
                *self = Self::Rising(now);
                None
            }
            Self::Calm | Self::Rising(_) => {
                *self = Self::Calm;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: Levels = Levels { raise: 10, clear: 5, lasting: Duration::from_secs(2) };

    fn run(readings: &[u64]) -> Vec<(usize, Change)> {
        let mut watch = Watch::default();
        let at = |i: usize| Boot(i as u64 * 1_000_000);
        let step = |(i, r): (usize, &u64)| Some((i, watch.observe(*r, &LEVELS, at(i))?));
        readings.iter().enumerate().filter_map(step).collect()
    }

    #[test]
    fn it_is_raised_once_it_has_lasted_and_cleared_at_the_lower_level() {
        assert_eq!(
            run(&[9, 10, 10, 10, 10, 7, 6, 5, 4]),
            [(3, Change::Raised), (7, Change::Cleared)]
        );
    }

    #[test]
    fn a_number_that_swings_about_the_level_raises_once() {
        assert_eq!(run(&[10, 10, 10, 9, 11, 8, 12, 6, 10]), [(2, Change::Raised)]);
        assert_eq!(run(&[10, 10, 9, 10, 10, 9]), []);
    }
}
