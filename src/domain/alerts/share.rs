//! What share of something that is only ever counted up was good, over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::time::Boot;

/// Counts, as they were at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    at: Boot,
    good: u64,
    all: u64,
}

/// A share in percent.
#[derive(Debug, Clone)]
pub struct Share {
    /// How far back it looks.
    over: Duration,
    /// Of fewer there is nothing to say.
    least: u64,
    seen: VecDeque<Counts>,
}

impl Share {
    #[must_use]
    pub fn new(over: Duration, least: u64) -> Self {
        Self { over, least, seen: VecDeque::new() }
    }

    /// Takes note of both counts so far; the share since the earliest note that is not too old, rounded down.
    pub fn observe(&mut self, (good, all): (u64, u64), now: Boot) -> Option<u64> {
        // One at or before the beginning of the time is kept, to count from.
        while self.seen.get(1).is_some_and(|next| now.since(next.at) >= self.over) {
            self.seen.pop_front();
        }
        self.seen.push_back(Counts { at: now, good, all });
        let first = self.seen.front()?;
        let (good, all) = (good - first.good.min(good), all - first.all.min(all));
        (all >= self.least.max(1)).then(|| good * 100 / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_the_last_minutes_and_of_enough() {
        let mut share = Share::new(Duration::from_secs(10), 20);
        let mut at = |second: u64, counts| share.observe(counts, Boot(second * 1_000_000));
        assert_eq!(at(0, (500, 1000)), None);
        assert_eq!(at(1, (510, 1019)), None);
        assert_eq!(at(2, (515, 1020)), Some(75));
        assert_eq!(at(9, (515, 1120)), Some(12));
        // The first two are too old now.
        assert_eq!(at(12, (525, 1140)), Some(8));
        assert_eq!(at(19, (545, 1160)), Some(75));
        assert_eq!(at(60, (545, 1160)), None);
    }
}
