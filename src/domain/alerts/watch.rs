//! One watched number. Two levels and a minimum duration keep it from flapping.

use std::time::Duration;

use super::rule::Side;
use crate::domain::time::{Boot, Now, Wall};

/// `alerts.<rule>.raise`, `.clear`, `.for`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// At it, or beyond it on the rule's side, it is raised, once that has lasted.
    pub raise: u64,
    /// At it, or beyond it on the other side, it is cleared.
    pub clear: u64,
    /// How long it must stand at or beyond `raise`.
    pub lasting: Duration,
}

/// A watched number. Times are of when `raise` was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    #[default]
    Calm,
    Rising(Boot, Wall),
    Raised(Wall),
}

/// What to tell people; since when it has been so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Raised(Wall),
    Cleared(Wall),
}

impl Watch {
    /// Takes note of a reading.
    pub fn observe(
        &mut self,
        reading: u64,
        side: Side,
        levels: &Levels,
        now: Now,
    ) -> Option<Change> {
        let is_bad = side.is_beyond(reading, levels.raise);
        if let Self::Raised(since) = *self {
            // Where the levels were changed meanwhile both may hold.
            if is_bad || !side.is_beyond(levels.clear, reading) {
                return None;
            }
            *self = Self::Calm;
            return Some(Change::Cleared(since));
        }
        if !is_bad {
            *self = Self::Calm;
            return None;
        }
        let (boot, since) = match *self {
            Self::Rising(boot, since) => (boot, since),
            Self::Calm | Self::Raised(_) => (now.boot, now.wall),
        };
        if now.boot.since(boot) < levels.lasting {
            *self = Self::Rising(boot, since);
            return None;
        }
        *self = Self::Raised(since);
        Some(Change::Raised(since))
    }

    #[must_use]
    pub fn is_raised(&self) -> bool {
        matches!(self, Self::Raised(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// A reading a second, from second 0 on; at which one something is told.
    fn run(side: Side, (raise, clear): (u64, u64), readings: &[u64]) -> Vec<(usize, Change)> {
        let levels = Levels { raise, clear, lasting: Duration::from_secs(2) };
        let mut watch = Watch::default();
        let now = |second: usize| Now {
            boot: Boot(second as u64 * 1_000_000),
            wall: Wall(i64::try_from(second).unwrap() * SECOND),
        };
        let step = |(second, reading): (usize, &u64)| {
            Some((second, watch.observe(*reading, side, &levels, now(second))?))
        };
        readings.iter().enumerate().filter_map(step).collect()
    }

    #[test]
    fn it_is_raised_once_it_has_lasted_and_cleared_at_the_other_level() {
        let since = Wall(SECOND);
        assert_eq!(
            run(Side::Above, (10, 5), &[9, 10, 10, 10, 10, 7, 6, 5, 4]),
            [(3, Change::Raised(since)), (7, Change::Cleared(since))]
        );
        assert_eq!(
            run(Side::Below, (50, 70), &[51, 50, 50, 50, 50, 65, 69, 70, 90]),
            [(3, Change::Raised(since)), (7, Change::Cleared(since))]
        );
    }

    #[test]
    fn a_number_that_swings_about_the_level_raises_once() {
        let swinging = [10, 10, 10, 9, 11, 8, 12, 6, 10];
        assert_eq!(run(Side::Above, (10, 5), &swinging), [(2, Change::Raised(Wall(0)))]);
        assert_eq!(run(Side::Above, (10, 5), &[10, 10, 9, 10, 10, 9]), []);
    }

    #[test]
    fn levels_that_were_changed_into_one_another_clear_nothing_that_is_bad() {
        let levels = |raise, clear| Levels { raise, clear, lasting: Duration::ZERO };
        let now = Now { boot: Boot(0), wall: Wall(0) };
        let mut watch = Watch::Raised(Wall(0));
        assert_eq!(watch.observe(8, Side::Above, &levels(8, 8), now), None);
        assert_eq!(
            watch.observe(7, Side::Above, &levels(8, 7), now),
            Some(Change::Cleared(Wall(0)))
        );
    }
}
